"""Pictures of label files: found by what the file states or is called, never outside the dataset."""

from __future__ import annotations

import os

import pytest

from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.label_files import label_name, stem_of, suffix_of


@pytest.fixture
def dataset(tmp_path):
    """Make empty files, and look pictures up: ``find("Annotations/a.xml", "a.jpg")``."""

    class Dataset:
        root = tmp_path / "dataset"

        def make(self, *files):
            for file in files:
                path = self.root / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
            return self

        def find(self, label, stated=None):
            index = PictureIndex(self.root)
            found = index.find(self.root / label, stated=stated)
            return found and index.path_of(found)

    return Dataset()


@pytest.mark.parametrize(
    ("label", "stated", "picture"),
    [
        ("a.xml", "a.jpg", "a.jpg"),
        ("a.xml", None, "a.jpg"),
        ("a.json", "./a.jpg", "a.jpg"),
        ("Annotations/a.xml", "a.jpg", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", None, "JPEGImages/a.jpg"),
        ("VOC2012/Annotations/a.xml", "a.jpg", "VOC2012/JPEGImages/a.jpg"),
        ("Annotations/north/a.xml", "a.jpg", "JPEGImages/north/a.jpg"),
        ("Annotations/north/a.xml", "north/a.jpg", "JPEGImages/north/a.jpg"),
        ("training/label_2/000001.txt", None, "training/image_2/000001.png"),
        ("labels/train/a.json", "../../images/train/a.jpg", "images/train/a.jpg"),
        ("labels/a.json", "..\\images\\a.jpg", "images/a.jpg"),
        ("annotations/a.json", "C:\\Users\\me\\pictures\\a.jpg", "images/a.jpg"),
        ("annotations/a.json", "/home/me/project/images/sub/a.jpg", "images/sub/a.jpg"),
        ("a.xml", "a.JPG", "a.jpg"),
        ("a.xml", "a.jpg", "a.JPG"),
        ("labels/a.xml", "gone.jpg", "images/a.png"),
        ("deep/labels/a.xml", "other.png", "somewhere/else/other.png"),
    ],
)
def test_pictures_are_found_where_people_put_them(dataset, label, stated, picture):
    assert dataset.make(label, picture).find(label, stated) == picture


def test_the_picture_whose_path_agrees_most_is_taken(dataset):
    dataset.make("images/north/a.jpg", "images/south/a.jpg")
    assert dataset.find("labels/all.json", "/elsewhere/images/south/a.jpg") == "images/south/a.jpg"
    assert dataset.find("labels/all.json", "a.jpg") is None  # two are called so, neither is likelier


def test_masks_are_no_pictures(dataset):
    dataset.make("SegmentationClass/a.png")
    assert dataset.find("Annotations/a.xml", "a.png") is None


def test_the_stated_suffix_decides_between_two_of_one_stem(dataset):
    dataset.make("JPEGImages/a.jpg", "JPEGImages/a.png")
    assert dataset.find("Annotations/a.xml", "renamed.png") == "JPEGImages/a.png"
    assert dataset.find("Annotations/a.xml") == "JPEGImages/a.jpg"


@pytest.mark.parametrize(
    "stated",
    ["../secret.jpg", "../../secret.jpg", "/etc/secret.jpg", "..\\secret.jpg", "link.jpg", "linked/secret.jpg"],
)
def test_nothing_outside_the_dataset_is_found(dataset, stated):
    dataset.make("a.xml", "b.jpg")
    outside = dataset.root.parent / "secret.jpg"
    outside.write_bytes(b"")
    (dataset.root / "link.jpg").symlink_to(outside)
    (dataset.root / "linked").symlink_to(dataset.root.parent)
    assert dataset.find("a.xml", stated) is None


def test_links_inside_the_dataset_and_odd_files(dataset):
    dataset.make("store/1.jpg", "a.txt")
    (dataset.root / "a.jpg").symlink_to(dataset.root / "store" / "1.jpg")
    os.mkfifo(dataset.root / "pipe.jpg")
    (dataset.root / "folder.jpg").mkdir()
    assert dataset.find("a.xml") == "a.jpg"
    assert dataset.find("pipe.xml") is None and dataset.find("folder.xml") is None
    assert list(PictureIndex(dataset.root)) == ["a.jpg", "store/1.jpg"]
    assert len(PictureIndex(dataset.root)) == 2


@pytest.mark.parametrize("stated", ["", "   ", "..", "/", "a/b/../", "\\", "\x00", "a" * 5000 + ".jpg", "x/" * 3000])
def test_nonsense_is_not_found(dataset, stated):
    assert dataset.make("b.jpg").find("a.xml", stated) is None


def test_label_files_are_called_like_their_pictures():
    assert label_name("north/a.b.jpg", ".xml") == "north/a.b.xml"
    assert label_name("north.d/a", ".json") == "north.d/a.json"
    assert (stem_of("x/.jpg"), suffix_of("x/.jpg")) == (".jpg", "")
    assert suffix_of("x.y/A.JPG") == ".jpg"
