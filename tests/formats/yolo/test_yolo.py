"""YOLO datasets, read back by labelformat where pictures are there, and by hand where the case is small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from labelformat.formats import YOLOv8ObjectDetectionInput

from fastlabel_dagster import formats
from fastlabel_dagster.labels import to_fastlabel
from fastlabel_dagster.store import ImageFolder, open_store


def lines(text):
    return [[float(word) for word in line.split()] for line in text.splitlines()]


def test_a_box_is_its_centre_and_size_rounded_to_nine_decimals(bench):
    _, files = bench.yolo(bench.task("a.jpg", bench.shape("bbox", [0, 0, 2, 2]), width=3, height=3))
    assert files == {"a.txt": "0 0.333333333 0.333333333 0.666666667 0.666666667\n"}


def test_no_number_is_in_exponent_notation(bench):
    tiny = bench.shape("bbox", [0, 0, 0.0001, 80])
    _, files = bench.yolo(bench.task("a.jpg", tiny, bench.shape("bbox", [0, 0, 100, 80])))
    assert files["a.txt"] == "0 0.0000005 0.5 0.000001 1\n0 0.5 0.5 1 1\n"


def test_class_numbers_are_the_places_of_the_names(bench):
    classes = [bench.klass(f"c{number}", number) for number in range(12, 0, -1)]
    report, files = bench.yolo(
        bench.task("a.jpg", bench.shape("bbox", [0, 0, 9, 9], "c10"), bench.shape("bbox", [0, 0, 9, 9], "c2")),
        classes=classes,
    )
    data = yaml.safe_load((bench.folder / "yolo/data.yaml").read_text())
    assert data["names"] == [f"c{number}" for number in range(1, 13)] and data["nc"] == 12
    assert [line[0] for line in lines(files["a.txt"])] == [9, 1]
    assert "path" not in data and data["train"] == "images/train"
    assert report.written == 2


def test_a_turned_box_becomes_the_box_around_it_or_its_corners(bench):
    turned = bench.task("a.jpg", bench.shape("bbox", [30, 30, 70, 40], rotation=90))
    report, files = bench.yolo(turned)
    assert lines(files["a.txt"]) == [[0, 0.5, 35 / 80, 0.1, 0.5]]
    assert [note.type for note in report.altered] == ["bbox"]
    _, files = bench.yolo(turned, task="segment")
    assert sorted(np.reshape(lines(files["a.txt"])[0][1:], (4, 2)).tolist()) == [
        [0.45, 0.1875],
        [0.45, 0.6875],
        [0.55, 0.1875],
        [0.55, 0.6875],
    ]


def test_regions_are_a_line_each_and_filled_holes_are_told(bench):
    regions = [
        [[0, 0, 40, 0, 40, 40, 0, 40, 0, 0], [10, 10, 10, 30, 30, 30, 10, 10]],
        [[60, 60, 70, 60, 70, 70, 60, 60]],
    ]
    report, files = bench.yolo(bench.task("a.jpg", bench.shape("segmentation", regions)), task="segment")
    assert [len(line) for line in lines(files["a.txt"])] == [9, 7]
    assert report.written == 1 and report.altered_count == 2


def test_detect_takes_the_box_of_every_shape_and_drops_the_rest(bench):
    pose = [
        {"name": "p", "key": "p", "value": [10, 10, 1], "edges": []},
        {"name": "q", "key": "q", "value": [20, 30, 1], "edges": []},
    ]
    task = bench.task(
        "a.jpg",
        bench.shape("polygon", [0, 0, 50, 0, 50, 40]),
        bench.shape("circle", [50, 40, 20]),
        bench.shape("line", [0, 0, 9, 9]),
        bench.shape("keypoint", [3, 3]),
        bench.shape("pose_estimation", keypoints=pose),
    )
    report, files = bench.yolo(task)
    assert lines(files["a.txt"]) == [[0, 0.25, 0.25, 0.5, 0.5], [0, 0.5, 0.5, 0.4, 0.5]]
    assert {note.type for note in report.dropped} == {"line", "keypoint", "pose_estimation"}
    assert {note.reason for note in report.dropped} == {"not a box"}
    report, files = bench.yolo(task, pose_boxes=True)
    assert lines(files["a.txt"])[2] == [0, 0.15, 0.25, 0.1, 0.25] and report.written == 3


def test_what_reaches_outside_is_cut_and_what_lies_outside_is_dropped(bench):
    shapes = [bench.shape("bbox", box) for box in ([-50, 10, 50, 30], [200, 10, 300, 30], [5, 5, 5, 9])]
    report, files = bench.yolo(bench.task("a.jpg", *shapes))
    assert lines(files["a.txt"]) == [[0, 0.25, 0.25, 0.5, 0.25]]
    assert (report.written, report.dropped_count, report.altered_count) == (1, 2, 1)


def test_an_outline_is_cut_along_the_edge_of_the_image(bench):
    triangle = bench.shape("polygon", [50, -40, 90, 40, 10, 40])
    report, files = bench.yolo(
        bench.task("a.jpg", triangle, bench.shape("polygon", [-9, -9, -1, -9, -1, -1])), task="segment"
    )
    corners = np.reshape(lines(files["a.txt"])[0][1:], (-1, 2)) * [100, 80]
    assert sorted(corners.round(6).tolist()) == [[10, 40], [30, 0], [70, 0], [90, 40]]
    assert (report.written, report.dropped_count, report.altered_count) == (1, 1, 1)


def test_pictures_of_one_stem_have_label_files_of_their_own(bench):
    tasks = [
        bench.task(name, bench.shape("bbox", [0, 0, n + 1, 9])) for n, name in enumerate(["a.jpg", "a.png", "A.JPG"])
    ]
    report, files = bench.yolo(*tasks)
    assert len(files) == 3 and sorted(len(text.splitlines()) for text in files.values()) == [1, 1, 1]
    assert report.images == 3


def test_hostile_names_stay_inside_and_no_folder_of_theirs_is_called_images(bench, tree):
    _, files = bench.yolo(bench.task("../../evil.jpg"), bench.task("images/a.jpg"), bench.task("/etc/passwd"))
    assert len(files) == 3 and not any("images/" in name for name in files)
    assert all(name.startswith("yolo/") for name in tree(bench.folder))


def test_images_without_objects_or_size(bench):
    sizeless = bench.task("b.jpg", bench.shape("bbox", [0, 0, 1, 1]))
    sizeless.update(width=0)
    report, files = bench.yolo(bench.task("a.jpg"), sizeless)
    assert files == {"a.txt": ""}
    assert report.images == 1 and report.dropped_count == 1
    assert {(note.type, note.count) for note in report.dropped} == {("bbox", 1), ("image", 1)}


def test_a_split_by_hash_never_moves_an_image(bench):
    def place(count):
        tasks = [bench.task(f"{number}.jpg") for number in range(count)]
        report = bench.write(*tasks, format="yolo", split={"train": 0.8, "val": 0.2})
        files = (bench.folder / "yolo/labels").rglob("*.txt")
        return report, {path.name: path.parent.name for path in files}

    few, many = place(50), place(400)
    assert few[1].items() <= many[1].items()
    assert many[0].splits == {part: list(many[1].values()).count(part) for part in ("train", "val")}
    assert 40 < many[0].splits["val"] < 120


def test_a_split_by_tags_and_an_empty_val_is_told(bench):
    tasks = [bench.task("a.jpg", tags=["valid"]), bench.task("b.jpg", tags=["test", "x"]), bench.task("c.jpg")]
    report = bench.write(*tasks, format="yolo", split="tags")
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    report = bench.write(tasks[2], format="yolo", split={"train": 1})
    assert "val" in report.noticed[0].reason


@pytest.mark.parametrize(
    "options",
    [
        {"task": "oriented"},
        {"layout": "coco"},
        {"classes": "dog"},
        {"classes": ["dog", "dog"]},
        {"split": {"../x": 1}},
        {"split": {"train": -1, "val": 2}},
        {"split": {"train": 0}},
        {"split": "random"},
        {"splits": 1},
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(bench, options):
    with pytest.raises(ValueError, match=r"YOLO task|layout|classes|part of|share|split|option"):
        formats.write(bench.labels(bench.task()), format="yolo", target=bench.folder / "yolo", **options)
    assert not (bench.folder / "yolo").exists()


def test_poses_have_a_keypoint_shape(bench):
    points = [{"id": k, "key": k, "name": k, "color": "#000000", "edges": []} for k in ("head", "ear", "tail")]
    placed = [
        {"name": "tail", "key": "tail", "value": [40, 40, 0], "edges": []},
        {"name": "head", "key": "head", "value": [10, 20, 1], "edges": []},
    ]
    classes = [bench.klass("dog", kind="pose_estimation", keypoints=points)]
    task = bench.task("a.jpg", bench.shape("pose_estimation", keypoints=placed), bench.shape("bbox", [0, 0, 9, 9]))
    report, files = bench.yolo(task, classes=classes, task="pose")
    assert lines(files["a.txt"]) == [[0, 0.25, 0.375, 0.3, 0.25, 0.1, 0.25, 2, 0, 0, 0, 0.4, 0.5, 1]]
    assert yaml.safe_load((bench.folder / "yolo/data.yaml").read_text())["kpt_shape"] == [3, 3]
    assert (report.written, report.dropped_count) == (1, 1)


def test_labelformat_reads_the_same_boxes_as_the_original(coco_mini, tmp_path, coco_of):
    content = formats.read(coco_mini, format="coco")
    pictures = tmp_path / "pictures"
    folder = ImageFolder(open_store(pictures))
    rows = []
    import pyarrow as pa

    for task_id, name, url in zip(*(content.tasks[c].to_pylist() for c in ("task_id", "name", "url")), strict=True):
        folder.store.write_bytes(name, Path(url.removeprefix("file://")).read_bytes())
        rows.append({"task_id": task_id, "name": name, "file": name, "bytes": 1})
    folder.save(pa.Table.from_pylist(rows))
    report = formats.write(content, format="yolo", target=tmp_path / "yolo", images=folder, split="tags")
    assert report.written == 424 and report.splits == {"train": 32, "val": 6}

    found = 0
    for split, originals in (("train", "train2017"), ("val", "val2017")):
        original = coco_of(coco_mini / "annotations" / f"instances_{originals}.json")
        image_of = {image["file_name"]: image for image in original.dataset["images"]}
        source = YOLOv8ObjectDetectionInput(tmp_path / "yolo/data.yaml", split)
        for labelled in source.get_labels():
            image = image_of[labelled.image.filename]
            theirs = original.imgToAnns[image["id"]]
            assert len(theirs) == len(labelled.objects)
            for annotation, read in zip(theirs, labelled.objects, strict=True):
                x, y, w, h = annotation["bbox"]
                shown = [read.box.xmin, read.box.ymin, read.box.xmax, read.box.ymax]
                slack = 1e-6 * max(image["width"], image["height"])
                np.testing.assert_allclose(shown, [x, y, x + w, y + h], rtol=0, atol=slack)
                assert read.category.name == original.cats[annotation["category_id"]]["name"]
                found += 1
    assert found == 424


def annotations(content):
    return {task["name"]: task["annotations"] for task in to_fastlabel(content)}


def test_a_dataset_comes_back(bench, pictures, tmp_path):
    tasks = [
        bench.task("a.png", bench.shape("bbox", [10, 20, 30, 60]), tags=["train"]),
        bench.task("sub/b.png", bench.shape("polygon", [0, 0, 50, 0, 50, 40]), tags=["val"]),
    ]
    content = bench.labels(*tasks)
    images = pictures(content, tmp_path / "pictures")
    formats.write(content, format="yolo", target=tmp_path / "y", images=images, task="segment", split="tags")
    for source in (tmp_path / "y", tmp_path / "y/data.yaml"):
        back = formats.read(source, format="yolo")
        found = annotations(back)
        np.testing.assert_allclose(found["a.png"][0]["points"], [10, 20, 30, 20, 30, 60, 10, 60], atol=1e-6)
        np.testing.assert_allclose(found["sub/b.png"][0]["points"], [0, 0, 50, 0, 50, 40], atol=1e-6)
        assert back.tasks["tags"].to_pylist() == [["train"], ["val"]]
        assert [row["order"] for row in back.classes.to_pylist()] == [1]


def test_a_picture_that_trainers_will_not_find_is_told(bench, pictures, tmp_path):
    content = bench.labels(bench.task("photo"), bench.task("v1.2"), bench.task("a.png"))
    images = pictures(content, tmp_path / "pictures")
    report = formats.write(content, format="yolo", target=tmp_path / "y", images=images, split=None)
    told = {note.reason: (note.count, note.examples) for note in report.noticed}
    assert (2, ("photo", "v1.2")) in [found for reason, found in told.items() if "ending of a picture" in reason]


@pytest.fixture
def folder(tmp_path):
    """A YOLO folder with classes.txt and one picture of 100 x 50, and a way to label it."""
    import cv2

    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("dog\ncat\n\n")
    cv2.imwrite(str(tmp_path / "images/a.jpg"), np.zeros((50, 100, 3), np.uint8))
    (tmp_path / "images/a.jpg").rename(tmp_path / "images/a.JPG")

    def read(text):
        (tmp_path / "labels/a.txt").write_text(text)
        return formats.read(tmp_path, format="yolo")

    return read


def test_blank_lines_tabs_and_upper_case_endings_are_read(folder):
    (task,) = to_fastlabel(folder("\n1\t0.5  0.5 0.2 0.4\r\n\n0 0 0 0.5 0 0.5 0.5\n"))
    box, polygon = task["annotations"]
    assert (box["type"], box["value"]) == ("bbox", "cat")
    assert box["points"] == pytest.approx([40, 15, 60, 35])
    assert (polygon["type"], polygon["points"]) == ("polygon", [0, 0, 50, 0, 50, 25])
    assert (task["width"], task["height"]) == (100, 50)


def test_bad_lines_are_counted_and_the_others_read(folder, tmp_path):
    (tmp_path / "labels/orphan.txt").write_text("0 0.5 0.5 1 1\n0 0.5 0.5 1 1\n")
    content = folder("x 1 2 3 4\n0 nan 0.5 0.1 0.1\n0 0.5 0.5\n7 0.5 0.5 1 1\n0 0.5 0.5 1 1\n")
    (task,) = to_fastlabel(content)
    assert [row["value"] for row in task["annotations"]] == ["class_7", "dog"]
    assert content.report.dropped_count == 5
    assert "its label file has no image" in {note.reason[:27] for note in content.report.dropped}


def test_a_corrupt_picture_is_counted(folder, tmp_path):
    (tmp_path / "images/b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "labels/b.txt").write_text("0 0.5 0.5 1 1\n")
    content = folder("")
    assert content.tasks.num_rows == 2 and content.report.dropped_count == 1


def test_without_names_or_with_a_damaged_file_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither data\.yaml nor classes\.txt"):
        formats.read(tmp_path, format="yolo")
    for text in ("names: [a", "[1]", "nc: 3", "names: [a]"):
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"data\.yaml"):
            formats.read(tmp_path, format="yolo")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        formats.read(tmp_path, format="yolo")


def test_the_box_of_a_pose_is_the_one_around_the_keypoints_that_are_placed(bench):
    def pose(**places):
        placed = [{"name": key, "key": key, "value": [x, y, 1], "edges": []} for key, (x, y) in places.items()]
        return bench.shape("pose_estimation", keypoints=placed)

    points = [{"id": k, "key": k, "name": k, "color": "#000000", "edges": []} for k in ("head", "ear", "tail")]
    classes = [bench.klass("dog", kind="pose_estimation", keypoints=points)]
    out_at_the_right = pose(head=(10, 20), ear=(40, 60), tail=(130, 70))
    one_left = pose(head=(10, 20), tail=(130, 70))
    none_left = pose(head=(-10, -20), tail=(-30, -40))
    task = bench.task("a.jpg", out_at_the_right, one_left, none_left)
    report, files = bench.yolo(task, classes=classes, task="pose")
    first, second = lines(files["a.txt"])
    assert first == [0, 0.25, 0.5, 0.3, 0.5, 0.1, 0.25, 2, 0.4, 0.75, 2, 0, 0, 0]
    # A single keypoint has no area, so the box stays the one around the whole pose, cut to the image.
    assert second == [0, 0.55, 0.5625, 0.9, 0.625, 0.1, 0.25, 2, 0, 0, 0, 0, 0, 0]
    assert (report.written, report.dropped_count) == (2, 1)
    only_the_first = bench.labels(bench.task("a.jpg", out_at_the_right), classes=classes)
    formats.write(only_the_first, format="yolo", target=bench.folder / "one", task="pose")
    back = formats.read(bench.folder / "one", format="yolo", size=(100, 80))
    assert not back.report.altered and not back.report.dropped
