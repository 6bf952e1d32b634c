"""KITTI label files, read back by labelformat, by Datumaro where it is installed, and by ourselves."""

from __future__ import annotations

import json
import random

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelformat.formats import KittiObjectDetectionInput

from fastlabel_dagster import formats
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.labels import to_fastlabel
from fastlabel_dagster.labels.tables import Labels

UNKNOWN_3D = ["-1", "-1", "-1", "-1000", "-1000", "-1000", "-10"]


def text(key, value, kind="text"):
    return {"key": key, "name": key, "type": kind, "value": value}


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.txt"))}


def notes(report, fate):
    return {(note.type, note.reason): note.count for note in getattr(report, fate)}


@pytest.fixture
def kitti(bench):
    """The report of an export, and its label files."""

    def write(*tasks, classes=None, **options):
        report = bench.write(*tasks, format="kitti", classes=classes, **options)
        return report, files_of(bench.folder / "kitti")

    return write


@pytest.fixture
def read(laid):
    """Label files (path -> text), read."""
    return lambda files, **options: formats.read(laid(files), format="kitti", **options)


def test_a_line_has_the_fifteen_columns_of_the_devkit(bench, kitti):
    known = [
        text("truncated", "0.25"),
        text("occluded", "2"),
        text("alpha", "-1.5"),
        text("dimensions", "1.5 1.6 3.9"),
        text("location", "1 2 30.5"),
        text("rotation_y", "1.25"),
    ]
    _, files = kitti(
        bench.task("a.png", bench.shape("bbox", [1, 2.5, 30.123456789, 40], attributes=known)),
        bench.task("sub/b.png", bench.shape("bbox", [0, 0, 9, 9])),
        bench.task("c.png"),
    )
    assert files == {
        "label_2/a.txt": "dog 0.25 2 -1.5 1 2.5 30.123456789 40 1.5 1.6 3.9 1 2 30.5 1.25\n",
        "label_2/c.txt": "",
        "label_2/sub/b.txt": f"dog 0 0 -10 0 0 9 9 {' '.join(UNKNOWN_3D)}\n",
    }


def test_switches_and_numbers_fill_the_fields_too(bench, kitti):
    attributes = [text("truncated", True, "switch"), text("occluded", 3, "number"), text("alpha", False, "switch")]
    report, files = kitti(bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9], attributes=attributes)))
    assert files["label_2/a.txt"].split()[:4] == ["dog", "1", "3", "-10"]
    assert len(report.altered) == 1 and "alpha" in report.altered[0].reason


@pytest.mark.parametrize("value", ["7", "half", "", "nan", "1e400", "-0.1", "[0.1, 0.2]", None, {"a": 1}])
def test_what_is_no_truncation_is_left_out_and_told(bench, kitti, value):
    attributes = [text("truncated", value), text("colour", "red")]
    report, files = kitti(bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9], attributes=attributes)))
    assert files["label_2/a.txt"].split()[1] == "0"
    reasons = [note.reason for note in report.altered]
    assert "attributes KITTI has no column for were left out" in reasons
    assert any("truncated" in reason for reason in reasons) == (value not in ("", None))


def test_shapes_become_boxes_and_the_rest_is_dropped(bench, kitti):
    report, files = kitti(
        bench.task(
            "a.png",
            bench.shape("bbox", [10, 40, 90, 60], rotation=90),
            bench.shape("polygon", [1, 2, 9, 2, 5, 8]),
            bench.shape("circle", [20, 20, 5]),
            bench.shape("bbox", [30, 20, 10, 5]),
            bench.shape("keypoint", [1, 1]),
            bench.shape("bbox", [float("nan"), 0, 1, 1]),
            bench.shape("bbox", [90, 70, 120, 90]),
        )
    )
    boxes = [line.split()[4:8] for line in files["label_2/a.txt"].splitlines()]
    assert boxes == [
        ["40", "10", "60", "90"],
        ["1", "2", "9", "8"],
        ["15", "15", "25", "25"],
        ["10", "5", "30", "20"],
        ["90", "70", "120", "90"],
    ]
    assert notes(report, "dropped") == {
        ("keypoint", "not a box"): 1,
        ("bbox", "a coordinate is not a finite number"): 1,
    }
    assert notes(report, "altered") == {
        ("bbox", "a rotated box became the upright box around it"): 1,
        ("polygon", "a shape became the box around it"): 1,
        ("circle", "a shape became the box around it"): 1,
        ("bbox", "the corners of the box came in another order, they were put in order"): 1,
    }
    assert [note.reason for note in report.noticed] == ["it reaches outside the image"]


def test_class_names_become_words_and_come_back(bench, kitti):
    values = ["\ufeffcat", "big_dog", "big  dog", "犬", " ", "DontCare", "big dog"]
    orders = [5, 3, 9, 1, 4, 20, 7]
    classes = [bench.klass(value, order, title=f"T{order}") for order, value in zip(orders, values, strict=True)]
    shapes = [bench.shape("bbox", [0, 0, 9, 9], value) for value in values]
    report, files = kitti(bench.task("a.png", *shapes), classes=classes)
    words = [line.split()[0] for line in files["label_2/a.txt"].splitlines()]
    assert len(set(words)) == len(values) and words[1] == "big_dog" and words[3] == "犬"
    assert all(len(line.split()) == 15 for line in files["label_2/a.txt"].splitlines())
    assert sum(note.count for note in report.altered) == 4

    content = formats.read(bench.folder / "kitti", format="kitti")
    assert [row["value"] for row in content.annotations.to_pylist()] == values
    found = {row["value"]: (row["order"], row["title"], row["color"]) for row in content.classes.to_pylist()}
    assert found == {value: (order, f"T{order}", "#00ff00") for order, value in zip(orders, values, strict=True)}


def test_regions_nobody_cares_for_know_nothing(bench, kitti):
    _, files = kitti(bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9], "DontCare")))
    assert files["label_2/a.txt"] == f"DontCare -1 -1 -10 0 0 9 9 {' '.join(UNKNOWN_3D)}\n"
    content = formats.read(bench.folder / "kitti", format="kitti")
    assert content.annotations["attributes"].to_pylist() == [[]]


def test_the_score_is_a_sixteenth_column_when_asked_for(bench, kitti):
    task = bench.task(
        "a.png", bench.shape("bbox", [0, 0, 9, 9], confidenceScore=0.75), bench.shape("bbox", [1, 1, 5, 5])
    )
    report, files = kitti(task)
    assert [len(line.split()) for line in files["label_2/a.txt"].splitlines()] == [15, 15]
    assert "confidence" in report.altered[0].reason
    report, files = kitti(task, score=True)
    assert [line.split()[15] for line in files["label_2/a.txt"].splitlines()] == ["0.75", "1"]
    content = formats.read(bench.folder / "kitti", format="kitti")
    assert content.annotations["confidence_score"].to_pylist() == [0.75, 1.0]


def test_a_box_a_person_drew_has_no_confidence(bench, kitti):
    task = bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9], confidenceScore=-1))
    report, _ = kitti(task)
    assert not report.altered
    report, files = kitti(task, score=True)
    assert files["label_2/a.txt"].split()[15] == "1"
    assert [note.reason for note in report.altered] == ["it has no confidence, the score was written as 1"]


def test_parts_have_folders_of_their_own_and_come_back_as_tags(bench, pictures):
    content = bench.labels(
        bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9]), tags=["val"]),
        bench.task("b.png", bench.shape("bbox", [1, 0, 9, 9]), tags=["train"]),
    )
    images = pictures(content, bench.folder / "pictures")
    target = bench.folder / "kitti"
    report = formats.write(content, format="kitti", target=target, images=images, split="tags")
    assert report.splits == {"train": 1, "val": 1}
    assert report.noticed == ()
    assert (report.files, report.images) == (5, 2)
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*.png")) == [
        "train/image_2/b.png",
        "val/image_2/a.png",
    ]
    tasks = formats.read(target, format="kitti").tasks.to_pylist()
    assert [(task["name"], task["tags"], task["width"], task["height"]) for task in tasks] == [
        ("b.png", ["train"], 100, 80),
        ("a.png", ["val"], 100, 80),
    ]
    assert all(task["url"].startswith("file://") for task in tasks)


def test_labelformat_reads_the_same_boxes(bench, pictures):
    rng = np.random.default_rng(4)
    boxes = [np.sort(rng.uniform(0, 80, (2, 2)), axis=0).reshape(-1).tolist() for _ in range(20)]
    shapes = [bench.shape("bbox", box, f"c{place % 3}") for place, box in enumerate(boxes)]
    content = bench.labels(
        bench.task("a.png", *shapes[:12]), bench.task("b.png", *shapes[12:]), classes=[bench.klass("c0")]
    )
    target = bench.folder / "kitti"
    formats.write(content, format="kitti", target=target, images=pictures(content, bench.folder / "pictures"))
    theirs = KittiObjectDetectionInput(target / "label_2", "c0,c1,c2", images_rel_path="../image_2")
    found = []
    for image in sorted(theirs.get_labels(), key=lambda label: label.image.filename):
        found += [(one.category.name, [*vars(one.box).values()]) for one in image.objects]
    assert found == [(f"c{place % 3}", box) for place, box in enumerate(boxes)]


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_kitti_s_own_lines_are_read_with_what_they_know(read, eol):
    lines = [
        "Pedestrian 0.00 0 -0.20 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01",
        "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10",
        "",
        "Car 0.88 3 -0.69 0.00 192.37 402.31 374.00 1.60 1.57 3.23 -2.70 1.74 3.68 -1.29 0.5",
    ]
    content = read({"training/label_2/000001.txt": eol.join(lines)})
    (task,) = to_fastlabel(content)
    assert (task["name"], task["tags"]) == ("000001", ["train"])
    assert [(row["value"], row["points"]) for row in task["annotations"]] == [
        ("Pedestrian", [712.4, 143, 810.73, 307.92]),
        ("DontCare", [503.89, 169.71, 590.61, 190.13]),
        ("Car", [0, 192.37, 402.31, 374]),
    ]
    said = [{one["key"]: one["value"] for one in row["attributes"]} for row in task["annotations"]]
    assert said == [
        {"alpha": "-0.2", "dimensions": "1.89 0.48 1.2", "location": "1.84 1.47 8.41", "rotation_y": "0.01"},
        {},
        {
            "truncated": "0.88",
            "occluded": "3",
            "alpha": "-0.69",
            "dimensions": "1.6 1.57 3.23",
            "location": "-2.7 1.74 3.68",
            "rotation_y": "-1.29",
        },
    ]
    assert [row.get("confidenceScore") for row in task["annotations"]] == [None, None, 0.5]


def test_a_bad_line_sinks_nothing_else(read):
    good = f"dog 0 0 -10 1 2 3 4 {' '.join(UNKNOWN_3D)}"
    content = read(
        {
            "label_2/a.txt": "\n".join(
                [
                    good,
                    "dog 0 0",
                    good.replace("1 2 3 4", "1 two 3 4"),
                    good.replace("1 2 3 4", "1 1e400 3 4"),
                    good.replace("1 2 3 4", "1 1e12 3 4"),
                    good.replace("1 2 3 4", "9 2 3 4"),
                    good.replace("dog 0 0", "dog x nan"),
                ]
            ),
            "label_2/b.txt": b"\xff\xfe\x00\x01",
        }
    )
    assert [row["points"] for row in content.annotations.to_pylist()] == [[1, 2, 3, 4], [3, 2, 9, 4], [1, 2, 3, 4]]
    report = content.report
    assert {(note.reason, note.examples) for note in report.dropped} == {
        ("a line without KITTI's 15 or 16 columns", ("label_2/a.txt, line 2", "label_2/b.txt, line 1")),
        ("a box that is no finite numbers", ("label_2/a.txt, line 3", "label_2/a.txt, line 4")),
        ("a coordinate is more than a billion pixels away", ("label_2/a.txt, line 5",)),
    }
    assert [note.count for note in report.altered] == [1, 1, 1]
    assert (report.tasks, report.annotations) == (2, 3)


def test_lists_of_pictures_are_told_where_they_are_no_label_files(read):
    line = "Car 0 0 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n"
    files = {"training/label_2/000000.txt": line, "training/label_2/val.txt": line}
    content = read(files | {"ImageSets/train.txt": "000000\n", "ImageSets/val.txt": "000001\n"})
    assert content.tasks["name"].to_pylist() == ["000000", "val"]
    (note,) = content.report.noticed
    assert (note.type, note.count, note.examples) == ("file", 2, ("ImageSets/train.txt", "ImageSets/val.txt"))


def test_the_pictures_of_other_cameras_are_no_pictures_without_objects(read):
    """As KITTI itself lies on the disk, with the right camera, the frames before and depths; testing has no labels."""
    line = "Car 0 0 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n"
    picture = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    others = ["training/depth/000000.png", "training/image_3/000000.png", "training/prev_2/000000_01.png"]
    places = ["training/image_2/000000.png", "training/image_2/empty.png", "testing/image_2/000001.png", *others]
    content = read({"training/label_2/000000.txt": line} | dict.fromkeys(places, picture))
    assert content.tasks["name"].to_pylist() == ["000000.png", "000001.png", "empty.png"]
    (note,) = content.report.noticed
    assert (note.type, note.count, note.examples) == ("image", 3, tuple(others))


def test_pictures_beside_others_have_no_objects(read):
    line = "Car 0 0 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n"
    picture = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    content = read({"a.txt": line} | dict.fromkeys(["a.png", "b.png", "imgs/c.png"], picture))
    assert content.tasks["name"].to_pylist() == ["a.png", "b.png", "imgs/c.png"]
    assert not content.report.noticed


def test_what_is_no_dataset_is_an_error(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "nothing", format="kitti")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="label_2"):
        formats.read(tmp_path / "empty", format="kitti")
    with pytest.raises(FormatError, match=r"classes\.json"):
        read({"label_2/a.txt": "", "classes.json": '{"classes": 7}'})


def test_an_export_without_tasks_is_read_again(bench, kitti):
    kitti()
    content = formats.read(bench.folder / "kitti", format="kitti")
    assert content.tasks.num_rows == 0 and content.classes["value"].to_pylist() == ["dog"]


def test_files_outside_the_folder_are_not_read(tmp_path, read):
    (tmp_path / "secret.txt").write_text(f"dog 0 0 -10 1 2 3 4 {' '.join(UNKNOWN_3D)}")
    (tmp_path / "source" / "label_2").mkdir(parents=True)
    (tmp_path / "source" / "label_2" / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert read({"label_2/a.txt": ""}).annotations.num_rows == 0


numbers = st.floats(-1e4, 1e4, allow_nan=False, width=64)
boxes = st.tuples(numbers, numbers, st.floats(0, 1e3), st.floats(0, 1e3)).map(
    lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]]
)
values = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(boxes, values, st.floats(0, 1), st.integers(0, 3)), max_size=4), max_size=4))
def test_boxes_classes_and_fields_survive_the_way(bench, drawn):
    tasks = []
    for place, shapes in enumerate(drawn):
        annotations = [
            bench.shape(
                "bbox", box, value, attributes=[text("truncated", str(truncated)), text("occluded", str(occluded))]
            )
            for box, value, truncated, occluded in shapes
        ]
        tasks.append(bench.task(f"{place}.png", *annotations))
    report = bench.write(*tasks, format="kitti", replace=True)
    assert not report.dropped
    found = list(to_fastlabel(formats.read(bench.folder / "kitti", format="kitti")))
    assert len(found) == len(drawn)
    for task, shapes in zip(found, drawn, strict=True):
        for row, (box, value, truncated, occluded) in zip(task["annotations"], shapes, strict=True):
            said = {one["key"]: float(one["value"]) for one in row["attributes"]}
            assert (row["value"], row["points"]) == (value, [number + 0.0 for number in box])
            assert (said.get("truncated", 0), said.get("occluded", 0)) == (truncated, occluded)


def test_no_mutation_of_a_file_is_more_than_a_counted_loss(tmp_path):
    line = f"dog 0.5 1 -1.5 1.5 2 30 40 {' '.join(UNKNOWN_3D)} 0.25"
    base = {
        "label_2/a.txt": f"{line}\n{line}\n",
        "classes.json": json.dumps({"classes": [{"word": "dog", "value": "x"}]}),
    }
    rng = random.Random(11)
    junk = [b"", b"nan", b"-1e999", b"\xff", b"\x00", b"9" * 400, b"\n", b" ", b"{", b"null", b"1e308", "٣".encode()]
    for turn in range(150):
        root = tmp_path / str(turn)
        for path, content in base.items():
            data = bytearray(content.encode())
            for _ in range(rng.randint(1, 4)):
                at = rng.randint(0, len(data))
                data[at : at + rng.randint(0, 12)] = rng.choice(junk)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data)
        try:
            content = formats.read(root, format="kitti")
        except (FormatError, FileNotFoundError):
            continue
        assert isinstance(content, Labels) and content.report.annotations == content.annotations.num_rows
        assert len(list(to_fastlabel(content))) == content.report.tasks
