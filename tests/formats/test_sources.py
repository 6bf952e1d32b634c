"""Exports lose nothing: not what others keep in the folder, not the dataset that is read, not its pictures."""

from __future__ import annotations

import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.labels import Labels, to_fastlabel
from fastlabel_dagster.store import StoreError, open_store


@pytest.fixture
def dataset(bench, pictures, tmp_path):
    """A YOLO dataset with pictures, as a neighbour might have it: written by us, but without our mark."""
    content = bench.labels(
        bench.task("a.png", bench.shape("bbox", [10, 20, 30, 60]), tags=["train"]),
        bench.task("sub/b.png", bench.shape("bbox", [0, 0, 50, 40]), tags=["val"]),
    )
    target = tmp_path / "neighbour"
    formats.write(content, format="yolo", target=target, images=pictures(content, tmp_path / "p"), split="tags")
    for name in (".fastlabel-folder", "report.json"):
        (target / name).unlink()
    return target


@pytest.mark.parametrize("report", [False, True])
def test_a_dataset_of_somebody_else_is_not_replaced(bench, dataset, tree, report):
    (dataset / "thesis.txt").write_text("years of work")
    if report:
        (dataset / "report.json").write_text("{}")
    before = tree(dataset)
    for format in ("yolo", "coco"):
        with pytest.raises(StoreError, match="nothing proves"):
            formats.write(bench.labels(bench.task()), format=format, target=dataset)
    assert tree(dataset) == before


def test_a_thesis_in_our_own_folder_stays_and_a_trainers_cache_goes(bench):
    bench.write(bench.task("a.jpg"), format="yolo")
    folder = bench.folder / "yolo"
    (folder / "thesis.txt").write_text("years of work")
    (folder / "labels/train.cache").write_text("stale")
    bench.write(bench.task("b.jpg"), format="yolo")
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert not (folder / "labels/train.cache").exists()
    bench.write(bench.task("b.jpg"), format="yolo", replace=True)
    assert not (folder / "thesis.txt").exists()


def test_an_export_of_another_format_is_not_replaced(bench, tmp_path, tree):
    content = bench.labels(bench.task())
    formats.write(content, format="coco", target=tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(StoreError, match="another kind"):
        formats.write(content, format="yolo", target=tmp_path / "out")
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("format", ["coco", "yolo", "parquet", "coco_parquet"])
def test_nothing_is_converted_onto_its_source(bench, pictures, tmp_path, tree, format):
    content = bench.labels(bench.task("a.png", bench.shape("bbox", [10, 20, 30, 60])))
    source = tmp_path / "above/source"
    formats.write(content, format=format, target=source, images=pictures(content, tmp_path / "p"))
    (tmp_path / "link").symlink_to(source)
    read = formats.read(source, format=format)
    before = tree(source)
    for target in (source, tmp_path / "link", source / "below/it", source.parent, source / ".." / "source"):
        for replace in (False, True):
            with pytest.raises(StoreError, match="labels are read from"):
                formats.write(read, format=format, target=target, replace=replace)
            with pytest.raises(StoreError, match="labels are read from"):
                formats.write(read.with_status("approved"), format="coco", target=target, replace=replace)
    assert tree(source) == before and {path.name for path in source.parent.iterdir()} == {"source"}
    formats.write(read, format=format, target=tmp_path / "above/source2")


def test_the_folder_of_the_pictures_is_not_replaced(bench, pictures, tmp_path, dataset, tree):
    content = bench.labels(bench.task("a.png"))
    images = pictures(content, tmp_path / "data/images")
    for target in (tmp_path / "data", tmp_path / "data/images"):
        with pytest.raises(StoreError, match="the pictures are read from"):
            formats.write(content, format="coco", target=target, images=images, replace=True)
    formats.write(content, format="coco", target=tmp_path / "data/coco", images=images)

    # A reader that was given the index file alone: its source is that file, and the pictures lie beside it.
    read = formats.read(dataset / "data.yaml", format="yolo")
    before = tree(dataset)
    with pytest.raises(StoreError, match=r"the picture .*a\.png of the labels lies there"):
        formats.write(read, format="coco", target=dataset / "images", replace=True)
    assert tree(dataset) == before


def test_a_converted_dataset_brings_its_pictures_and_comes_back(bench, dataset, tmp_path, tree):
    read = formats.read(dataset, format="yolo")
    report = formats.write(read, format="coco", target=tmp_path / "coco")
    files = tree(tmp_path / "coco")
    assert files["images/sub/b.png"] == (dataset / "images/val/sub/b.png").read_bytes()
    assert report.files == 3 and not report.dropped
    assert report.bytes == sum(len(data) for name, data in files.items() if name != "report.json")
    formats.write(formats.read(tmp_path / "coco", format="coco"), format="yolo", target=tmp_path / "y", split="tags")
    back = tree(tmp_path / "y")
    assert {name: data for name, data in back.items() if name != "report.json"} == tree(dataset)

    without = formats.write(read, format="coco", target=tmp_path / "bare", pictures=False)
    assert without.files == 1 and set(tree(tmp_path / "bare")) == {"annotations.json", "report.json"}


def test_a_converted_dataset_brings_its_pictures_to_s3(dataset, tmp_path, tree, moto_s3):
    read = formats.read(dataset, format="yolo")
    place = f"s3://{moto_s3.bucket}/coco"
    formats.write(read, format="coco", target=place)
    formats.write(read, format="coco", target=tmp_path / "coco")
    store = open_store(place)
    assert {found.path: store.read_bytes(found.path) for found in store.list()} == tree(tmp_path / "coco")


def test_pictures_that_are_gone_are_told(dataset, tmp_path):
    read = formats.read(dataset, format="yolo")
    (dataset / "images/train/a.png").unlink()
    report = formats.write(read, format="coco", target=tmp_path / "coco")
    (note,) = report.dropped
    assert (note.type, note.count, note.examples) == ("image", 1, ("a.png",))


def test_a_task_called_like_a_label_file_does_not_bring_that_as_its_picture(bench, tmp_path):
    bench.write(bench.task("annotations.json"), bench.task("b.jpg"))
    content = formats.read(bench.folder / "coco", format="coco")
    formats.write(content, format="coco", target=tmp_path / "copy")
    again = formats.read(tmp_path / "copy", format="coco")
    assert again.tasks["name"].to_pylist() == ["annotations.json", "b.jpg"] and not again.report.dropped


def test_a_server_cannot_name_a_file_to_copy(bench, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not yours")
    content = bench.labels(bench.task("a.png", url=secret.as_uri()))
    assert content.tasks["url"].to_pylist() == [secret.as_uri()]
    assert formats.write(content, format="coco", target=tmp_path / "coco").files == 1
    remote = bench.labels(bench.task("a.png", url="https://example.com/a.png"))
    remote.origin["source"] = str(tmp_path / "x")
    assert formats.write(remote, format="coco", target=tmp_path / "coco").files == 1


def test_what_a_reader_noted_is_in_the_report(dataset, tmp_path):
    (dataset / "labels/train/a.txt").write_text("0 0.5 0.5 0.1 0.1\n0 nan 1 1 1\n")
    report = formats.write(formats.read(dataset, format="yolo"), format="coco", target=tmp_path / "coco")
    assert "1 annotation: dropped when the source was read: a number is not finite" in str(report)


@pytest.mark.parametrize("format", ["coco", "coco_parquet", "yolo", "parquet"])
@pytest.mark.parametrize("place", ["local", "s3"])
def test_an_export_that_lost_a_file_is_written_again(bench, pictures, tmp_path, moto_s3, format, place):
    content = bench.labels(bench.task("a.png", bench.shape("bbox", [0, 0, 5, 5])), bench.task("b.png"))
    content = Labels(content.tasks, content.classes, origin={"digest": "d1"})
    images = pictures(content, tmp_path / "p")
    target = open_store(tmp_path / "out" if place == "local" else f"s3://{moto_s3.bucket}/out")

    def export():
        return formats.write(content, format=format, target=target, images=images, skip_unchanged=True)

    export()
    whole = {found.path: target.read_bytes(found.path) for found in target.list()}
    for path, data in whole.items():
        for broken in (None, data + b" "):
            assert export().unchanged and formats.is_current(target, content, format=format, images=images)
            if broken is None:
                target.delete([path])
            elif path == "report.json":
                continue
            else:
                target.write_bytes(path, broken)
            assert not formats.is_current(target, content, format=format, images=images)
            assert not export().unchanged
            assert {found.path: target.read_bytes(found.path) for found in target.list()} == whole
    target.write_bytes("thesis.txt", b"years of work")
    assert export().unchanged


def test_a_converted_folder_keeps_every_annotation(coco_mini, tmp_path):
    read = formats.read(coco_mini, format="coco")
    there = formats.write(read, format="yolo", target=tmp_path / "yolo")
    back = formats.read(tmp_path / "yolo", format="yolo")
    assert there.written == 424 and not back.report.dropped
    assert back.tasks.num_rows == 38 and sum(len(task["annotations"]) for task in to_fastlabel(back)) == 424
