"""Hugging Face's imagefolder: rows and card by the letter of its documentation, numbers as pycocotools knows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from fastlabel_dagster import formats


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def card_of(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text().split("---\n")
    card: dict[str, Any] = yaml.safe_load(head)
    return card


def features_of(folder: Path) -> dict[str, Any]:
    return {feature["name"]: feature for feature in card_of(folder)["dataset_info"]["features"]}


@pytest.fixture
def imagefolder(bench):
    """The report of an export without pictures, and its rows."""

    def write(*tasks: dict[str, Any], **options: Any):
        report = bench.write(*tasks, format="hf_imagefolder", **options)
        return report, rows_of(bench.folder / "hf_imagefolder/train/metadata.jsonl")

    return write


def test_a_row_by_hand(bench, imagefolder) -> None:
    task = bench.task(
        "a.jpg",
        bench.shape("bbox", [10, 20, 40.5, 60]),
        bench.shape("polygon", [0, 0, 10, 0, 0, 10], value="cat"),
    )
    report, (row,) = imagefolder(task, classes=[bench.klass("cat", 1), bench.klass("dog", 2)])
    assert row == {
        "file_name": "a.jpg",
        "image_id": 1,
        "task_id": "id-a.jpg",
        "width": 100,
        "height": 80,
        "objects": {
            "id": [1, 2],
            "area": [30.5 * 40, 50],
            "bbox": [[10, 20, 30.5, 40], [0, 0, 10, 10]],
            "category": [1, 0],
            "iscrowd": [0, 0],
        },
    }
    assert {(note.type, note.reason) for note in report.altered} == {("polygon", "a shape became the box around it")}
    assert [note.type for note in report.noticed] == ["image"]
    objects = features_of(bench.folder / "hf_imagefolder")["objects"]["sequence"]
    assert {field["name"]: field.get("dtype") for field in objects}["category"] == {
        "class_label": {"names": {"0": "cat", "1": "dog"}}
    }
    assert list(features_of(bench.folder / "hf_imagefolder")) == [
        "image",
        *(name for name in row if name != "file_name"),
    ]


def test_categories_by_name(bench, imagefolder) -> None:
    _, (row,) = imagefolder(bench.task("a.jpg", bench.shape("bbox", [0, 0, 1, 1], value='犬 "x"')), category="name")
    assert row["objects"]["category"] == ['犬 "x"']
    objects = features_of(bench.folder / "hf_imagefolder")["objects"]["sequence"]
    assert next(field["dtype"] for field in objects if field["name"] == "category") == "string"


def test_a_rotated_box_is_the_upright_one_around_it(bench, imagefolder) -> None:
    _, (row,) = imagefolder(bench.task("a.jpg", bench.shape("bbox", [10, 10, 90, 20], rotation=90)))
    assert row["objects"]["bbox"] == [pytest.approx([45, -25, 10, 80])]
    assert row["objects"]["area"] == [pytest.approx(800)]


def test_what_has_no_box_is_told(bench, imagefolder) -> None:
    task = bench.task(
        "a.jpg",
        bench.shape("bbox", [0, 0, 1, 1]),
        bench.shape("line", [0, 0, 1, 1]),
        bench.shape("keypoint", [0, 0]),
        bench.shape("bbox", [0, 0, 1]),
        bench.shape("polygon", [0, 0, 1, float("nan"), 1, 1]),
        bench.shape("circle", [5, 5, -1]),
        bench.shape("bbox", [0, 0, 1, 1], value=None),
        bench.shape("bbox", [0, 0, 1e12, 1]),
        bench.shape("bbox", [0, 0, 1, 1], value="new"),
    )
    report, rows = imagefolder(task, bench.task("b.jpg", width=None, height=None))
    row = rows[0]
    assert (rows[1]["width"], rows[1]["height"], rows[1]["objects"]["bbox"]) == (None, None, [])
    assert report.written == 2
    assert report.dropped_count == 7
    assert len(row["objects"]["id"]) == 2
    assert features_of(bench.folder / "hf_imagefolder")["objects"]["sequence"][3]["dtype"]["class_label"]["names"] == {
        "0": "dog",
        "1": "new",
    }


def test_what_a_box_loses_is_told(bench, imagefolder) -> None:
    crowd = {"key": "iscrowd", "name": "crowd", "type": "switch", "value": True}
    shapes = [
        bench.shape("bbox", [0, 0, 1, 1], attributes=[crowd]),
        bench.shape("bbox", [0, 0, 1, 1], attributes=[crowd, {**crowd, "key": "wet"}], confidenceScore=-1),
        bench.shape("bbox", [0, 0, 1, 1], confidenceScore=0.5),
    ]
    report, (row,) = imagefolder(bench.task("a.jpg", *shapes))
    assert row["objects"]["iscrowd"] == [1, 1, 0]
    assert [(note.reason, note.count) for note in report.altered] == [
        ("attributes other than iscrowd were left out", 1),
        ("its confidence was left out", 1),
    ]


def test_pictures_lie_beside_their_rows(bench, pictures, tmp_path) -> None:
    names = ["b/a.png", "metadata.jsonl", "c.png", "gone.png"]
    tags = ["val", "train", "x", "test"]
    shape = bench.shape("bbox", [0, 0, 5, 5])
    content = bench.labels(*(bench.task(name, shape, tags=[tag]) for name, tag in zip(names, tags, strict=True)))
    images = pictures(content, tmp_path / "images")
    table = images.table
    images.save(table.filter([name != "gone.png" for name in table["name"].to_pylist()]))
    place = tmp_path / "out"
    report = formats.write(content, format="hf_imagefolder", target=place, images=images, split="tags")
    assert report.splits == {"train": 2, "validation": 1}
    assert (report.written, report.dropped_count) == (3, 1)
    assert [(note.count, note.examples) for note in report.noticed if "tags" in note.reason] == [(1, ("c.png",))]
    for split in ("train", "validation"):
        for row in rows_of(place / split / "metadata.jsonl"):
            assert cv2.imread(str(place / split / row["file_name"])).shape == (row["height"], row["width"], 3)
    assert card_of(place)["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "train/**"}, {"split": "validation", "path": "validation/**"}],
        }
    ]
    sizes = [path.stat().st_size for path in place.rglob("*") if path.is_file() and path.name[0] != "."]
    assert report.files == len(sizes) - 1
    assert report.bytes == sum(sizes) - (place / "report.json").stat().st_size


def test_real_photographs_have_the_boxes_of_their_annotation_file(coco_mini, coco_of, tmp_path) -> None:
    content = formats.read(coco_mini, format="coco")
    formats.write(content, format="coco", target=tmp_path / "coco")
    formats.write(content, format="hf_imagefolder", target=tmp_path / "hf")
    known = coco_of(tmp_path / "coco/annotations.json")
    names = features_of(tmp_path / "hf")["objects"]["sequence"][3]["dtype"]["class_label"]["names"]
    rows = rows_of(tmp_path / "hf/train/metadata.jsonl")
    assert len(rows) == len(known.imgs) == 38
    for row in rows:
        (image,) = [one for one in known.imgs.values() if one["file_name"] == row["file_name"]]
        annotations = known.loadAnns(known.getAnnIds(image["id"]))
        assert row["objects"]["bbox"] == [pytest.approx(one["bbox"]) for one in annotations]
        assert [names[str(place)] for place in row["objects"]["category"]] == [
            known.cats[one["category_id"]]["name"] for one in annotations
        ]
        assert row["objects"]["iscrowd"] == [one["iscrowd"] for one in annotations]
        assert (tmp_path / "hf/train" / row["file_name"]).is_file()


def attribute(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "name": key, "type": "select", "value": value}


def test_the_label_of_a_classification_project(bench, imagefolder) -> None:
    options = [{"title": word, "value": word} for word in ("large", "small")]
    classes = [bench.klass("classification", 1, "classification", attributes=[{"key": "size", "options": options}])]
    tasks = [
        {**bench.task("a.jpg"), "attributes": [attribute("size", "small")]},
        {**bench.task("b.jpg"), "attributes": [attribute("size", ["odd"])]},
        bench.task(
            "c.jpg", bench.shape("classification", value="classification", attributes=[attribute("size", "large")])
        ),
        {**bench.task("d.jpg", bench.shape("bbox", [0, 0, 1, 1])), "attributes": [attribute("size", ["a", "b"])]},
    ]
    report, rows = imagefolder(*tasks, classes=classes, task="classify")
    assert features_of(bench.folder / "hf_imagefolder")["label"]["dtype"]["class_label"]["names"] == {
        "0": "large",
        "1": "small",
        "2": "odd",
    }
    assert [row["label"] for row in rows] == [1, 2, 0, None]
    assert (report.written, report.dropped_count) == (1, 1)
    assert ("the image has no label", 1) in {(note.reason, note.count) for note in report.noticed}


def test_annotations_that_disagree_on_the_label(bench, imagefolder) -> None:
    said = [bench.shape("classification", value=value) for value in ("cat", "cat", "dog", None)]
    report, (row,) = imagefolder(bench.task("a.jpg", *said), classes=[], task="classify")
    assert row["label"] == 0
    assert report.written == 2
    assert {note.reason for note in report.dropped} == {
        "the image has another label already",
        "it does not say the label, or several",
    }


def test_which_attribute_is_the_label(bench, imagefolder) -> None:
    task = {**bench.task("a.jpg"), "attributes": [attribute("size", 3), attribute("mood", True)]}
    with pytest.raises(ValueError, match="label='mood'"):
        imagefolder(task, task="classify")
    with pytest.raises(ValueError, match="no attribute has the key 'x'"):
        imagefolder(task, task="classify", label="x")
    _, (row,) = imagefolder(task, task="classify", label="size")
    assert row["label"] == 0
    assert features_of(bench.folder / "hf_imagefolder")["label"]["dtype"]["class_label"]["names"] == {"0": "3"}


def test_numbers_of_any_size_are_labels_of_their_own(bench, imagefolder) -> None:
    values = [2**64 + 1, [2**64 + 2], 1e-7, float("nan"), ["\ud800"]]
    tasks = [{**bench.task(f"{place}.jpg"), "attributes": [attribute("size", one)]} for place, one in enumerate(values)]
    _, rows = imagefolder(*tasks, task="classify", label="size")
    names = features_of(bench.folder / "hf_imagefolder")["label"]["dtype"]["class_label"]["names"]
    labels = [None if row["label"] is None else names[str(row["label"])] for row in rows]
    assert labels == ["18446744073709551617", "18446744073709551618", "1e-7", None, None]


def test_options_are_checked(bench, imagefolder) -> None:
    for wrong in ({"task": "segment"}, {"category": "number"}, {"split": {"a-b": 1}}):
        with pytest.raises(ValueError, match=r"one of detect, classify|one of index, name|datasets does not take"):
            imagefolder(bench.task(), **wrong)


def test_nothing_is_a_dataset_too(bench) -> None:
    report = bench.write(format="hf_imagefolder")
    assert (report.images, report.files) == (0, 1)
