"""Real photographs' annotations through our tables and out again; pycocotools compares."""

from __future__ import annotations

import numpy as np
import pytest

from fastlabel_dagster import formats, labels


def pairs_of_annotations(original, written):
    """(original, written) annotation pairs, image by image in their order."""
    image_of = {image["file_name"]: image["id"] for image in written.dataset["images"]}
    for image in original.dataset["images"]:
        ours = written.imgToAnns[image_of[image["file_name"]]]
        theirs = original.imgToAnns[image["id"]]
        assert len(ours) == len(theirs)
        yield from zip(theirs, ours, strict=True)


@pytest.mark.parametrize("through_fastlabel", [False, True])
def test_every_image_category_box_polygon_and_crowd_survives(coco_mini, tmp_path, coco_of, through_fastlabel):
    content = formats.read(coco_mini, format="coco")
    if through_fastlabel:  # as a mirror of the project would hold it
        classes = labels.classes_to_fastlabel(content.classes)
        content = labels.from_fastlabel(labels.to_fastlabel(content), classes)
    report = formats.write(content, format="coco", target=tmp_path)
    assert (report.tasks, report.annotations, report.written, report.dropped) == (38, 424, 424, ())
    assert [(note.type, note.count) for note in report.altered] == [("segmentation", 5)]

    written = coco_of(tmp_path / "annotations.json")
    checked = 0
    for split in ("train2017", "val2017"):
        original = coco_of(coco_mini / "annotations" / f"instances_{split}.json")
        assert {c["id"]: c["name"] for c in written.dataset["categories"]} == {
            c["id"]: c["name"] for c in original.dataset["categories"]
        }
        for theirs, ours in pairs_of_annotations(original, written):
            assert (ours["category_id"], ours["iscrowd"]) == (theirs["category_id"], theirs["iscrowd"])
            np.testing.assert_allclose(ours["bbox"], theirs["bbox"], rtol=0, atol=1e-6)
            if theirs["iscrowd"]:
                np.testing.assert_array_equal(written.annToMask(ours), original.annToMask(theirs))
            else:
                assert ours["segmentation"] == theirs["segmentation"]
                assert ours["area"] == pytest.approx(theirs["area"], abs=1e-6)
            checked += 1
    assert checked == 424
    assert len(written.loadRes(written.dataset["annotations"]).anns) == 424


def test_moving_a_crowd_overrules_the_box_its_file_stated(bench):
    stated = {"key": "coco_bbox", "name": "coco_bbox", "type": "text", "value": "10,10,19,9"}
    square = [[10, 10, 30, 10, 30, 20, 10, 20, 10, 10]]
    moved = [[40, 10, 60, 10, 60, 20, 40, 20, 40, 10]]
    shapes = [bench.shape("segmentation", [rings], attributes=[stated]) for rings in (square, moved)]
    _, coco = bench.coco(bench.task("a.jpg", *shapes))
    assert [row["bbox"] for row in coco.dataset["annotations"]] == [[10, 10, 19, 9], [40, 10, 20, 10]]


def test_our_own_export_comes_back_with_ids_names_and_tags(bench):
    tasks = [bench.task("../up.jpg", bench.shape("bbox", [1, 2, 3, 4]), tags=["val"]), bench.task("b.jpg")]
    bench.write(*tasks, classes=[bench.klass("dog", 4, color="#123456", title="Dog")])
    back = formats.read(bench.folder / "coco", format="coco")
    rows = back.tasks.select(["task_id", "name", "tags"]).to_pylist()
    assert rows == [
        {"task_id": "id-../up.jpg", "name": "../up.jpg", "tags": ["val"]},
        {"task_id": "id-b.jpg", "name": "b.jpg", "tags": []},
    ]
    (row,) = back.classes.to_pylist()
    assert (row["value"], row["title"], row["color"], row["order"]) == ("dog", "Dog", "#123456", 4)


def test_parquet_tables_hold_what_the_json_holds(coco_mini, tmp_path):
    content = formats.read(coco_mini, format="coco")
    formats.write(content, format="coco", target=tmp_path / "json")
    report = formats.write(content, format="coco_parquet", target=tmp_path / "parquet")
    assert (report.written, report.files) == (424, 3 + 38)
    by_json = formats.read(tmp_path / "json", format="coco")
    by_parquet = formats.read(tmp_path / "parquet", format="coco_parquet")
    assert by_json.tasks.drop_columns("url").equals(by_parquet.tasks.drop_columns("url"))
    assert by_json.classes.equals(by_parquet.classes)
