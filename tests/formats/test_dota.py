"""DOTA label files: corners against hand-computed numbers and OpenCV, boxes with their rotation both ways."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.rectangles import boxes_of_corners, smallest_rectangle
from fastlabel_dagster.labels import to_fastlabel
from fastlabel_dagster.labels.tables import Labels


def text(key, value, kind="text"):
    return {"key": key, "name": key, "type": kind, "value": value}


@pytest.fixture
def dota(bench):
    """The report of an export, and its label files."""

    def write(*tasks, classes=None, **options):
        report = bench.write(*tasks, format="dota", classes=classes, **options)
        root = bench.folder / "dota"
        return report, {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.txt")}

    return write


@pytest.fixture
def read(laid):
    """Label files (path -> text), read."""
    return lambda files, **options: formats.read(laid(files), format="dota", **options)


def annotations_of(content):
    return [annotation for task in to_fastlabel(content) for annotation in task["annotations"]]


def test_a_box_is_its_four_corners_clockwise_from_its_own_top_left(bench, dota):
    _, files = dota(
        bench.task(
            "a.png",
            bench.shape("bbox", [10, 20, 30, 40]),
            bench.shape("bbox", [10, 40, 90, 60], rotation=90),
            bench.shape("bbox", [30, 20, 10, 40], attributes=[text("difficult", True, "switch")]),
            bench.shape("polygon", [1, 2, 9, 2.5, 8, 7, 0, 6], attributes=[text("difficult", 2)]),
            bench.shape("polygon", [0, 6, 8, 7, 9, 2.5, 1, 2]),
        ),
        bench.task("b.png"),
    )
    assert files == {
        "labelTxt/a.txt": "10 20 30 20 30 40 10 40 dog 0\n"
        "60 10 60 90 40 90 40 10 dog 0\n"
        "10 20 30 20 30 40 10 40 dog 1\n"
        "1 2 9 2.5 8 7 0 6 dog 2\n"
        "0 6 1 2 9 2.5 8 7 dog 0\n",
        "labelTxt/b.txt": "",
    }


def test_a_confidence_has_no_place_and_is_told(bench, dota):
    scores = [0.5, 0, -1, None]
    report, _ = dota(bench.task("a.png", *(bench.shape("bbox", [1, 2, 3, 4], confidenceScore=one) for one in scores)))
    assert [(note.reason, note.count) for note in report.altered] == [("its confidence was left out", 2)]


def test_other_shapes_become_the_smallest_rectangle_and_the_rest_is_dropped(bench, dota):
    l_shape = [[[10, 10, 30, 10, 30, 15, 15, 15, 15, 40, 10, 40, 10, 10]]]
    report, files = dota(
        bench.task(
            "a.png",
            bench.shape("polygon", [50, 10, 60, 20, 55, 25, 45, 15, 50, 10.5]),
            bench.shape("circle", [40, 40, 5]),
            bench.shape("segmentation", l_shape),
            bench.shape("line", [0, 0, 5, 5]),
            bench.shape("polygon", [0, 0, 5, float("inf"), 5, 5]),
        )
    )
    rectangle, circle, upright = (
        np.array(line.split()[:8], float).reshape(4, 2) for line in files["labelTxt/a.txt"].splitlines()
    )
    assert circle.tolist() == [[35, 35], [45, 35], [45, 45], [35, 45]]
    assert sorted(map(tuple, upright.tolist())) == [(10, 10), (10, 40), (30, 10), (30, 40)]
    assert cv2.contourArea(rectangle.astype(np.float32)) == pytest.approx(100, abs=1e-3)  # turned by 45 degrees
    assert {(note.type, note.reason, note.count) for note in report.dropped} == {
        ("line", "not an area", 1),
        ("polygon", "a coordinate is not a finite number", 1),
    }
    assert {note.type for note in report.altered} == {"polygon", "circle", "segmentation"}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=12))
@example([(0.0, 0.0), (0.0, -5e-324)])  # OpenCV has no hull for these
def test_the_smallest_rectangle_holds_all_points_and_none_is_smaller(points):
    cloud = np.array(points)
    corners = smallest_rectangle(cloud)
    box = boxes_of_corners(corners[None])
    assert box.fits[0] or np.allclose(corners, corners[0], atol=1e-5)
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    for side in (along, down):
        length = np.hypot(*side)
        if length > 1e-9:
            share = (cloud - corners[0]) @ side / length
            assert share.min() >= -1e-6 and share.max() <= length + 1e-6
    width, height = cv2.minAreaRect(cloud.astype(np.float32))[1]
    assert np.hypot(*along) * np.hypot(*down) <= width * height + 1e-2


def test_of_rectangles_that_are_as_small_it_is_always_the_same_one():
    """Those along the sides of an acute triangle are: moved by a little, it must not turn by much."""
    random = np.random.default_rng(1)
    for _ in range(200):
        angles, radius = np.array([90, 210, 330]) + random.uniform(-25, 25, 3), random.uniform(5, 300)
        triangle = np.round(320 + radius * np.column_stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))]), 1)
        corners = smallest_rectangle(triangle)
        for shift in (1e-7, -3e-7, 100):
            np.testing.assert_allclose(smallest_rectangle(triangle + shift) - shift, corners, atol=1e-5)


boxes = st.tuples(
    st.floats(-4000, 4000), st.floats(-4000, 4000), st.floats(1, 4000), st.floats(1, 4000), st.floats(-720, 720)
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(boxes, min_size=1, max_size=8))
def test_turned_boxes_survive_the_way(bench, drawn):
    shapes = [
        bench.shape("bbox", [x, y, x + width, y + height], rotation=rotation) for x, y, width, height, rotation in drawn
    ]
    bench.write(bench.task("a.png", *shapes), format="dota", replace=True)
    found = annotations_of(formats.read(bench.folder / "dota", format="dota"))
    for shape, row in zip(shapes, found, strict=True):
        assert row["type"] == "bbox"
        # A turn by less than the ninth decimal of a degree is none; it moves a corner by less than this.
        np.testing.assert_allclose(row["points"], shape["points"], rtol=0, atol=5e-8)
        turned = (row.get("rotation", 0) - shape["rotation"] + 180) % 360 - 180
        assert abs(turned) < 1e-7


def test_upright_boxes_and_polygons_come_back_to_the_last_bit(bench):
    rng = np.random.default_rng(3)
    drawn = [np.sort(rng.uniform(0, 4000, (2, 2)), axis=0).reshape(-1).tolist() for _ in range(50)]
    quads = [(np.array([1, 1, 9, 2, 8, 9, 0, 8]) * rng.uniform(1, 90)).tolist() for _ in range(50)]
    shapes = [bench.shape("bbox", box) for box in drawn] + [bench.shape("polygon", quad, "plane") for quad in quads]
    rectangle = bench.shape("polygon", [0, 0, 9, 0, 9, 9, 0, 9], "field")
    classes = [bench.klass("dog"), bench.klass("field", 2, "polygon")]
    bench.write(bench.task("a.png", *shapes, rectangle), format="dota", classes=classes)
    found = annotations_of(formats.read(bench.folder / "dota", format="dota"))
    assert [row["points"] for row in found] == [*drawn, *quads, rectangle["points"]]
    assert [row["type"] for row in found] == ["bbox"] * 50 + ["polygon"] * 51
    assert all("rotation" not in row for row in found)


def test_class_names_become_words_and_come_back(bench, dota):
    report, files = dota(
        bench.task("a.png", bench.shape("bbox", [0, 0, 9, 9], "storage tank")),
        classes=[bench.klass("ship", 1), bench.klass("storage tank", 2, title="Tank")],
    )
    assert files["labelTxt/a.txt"].split()[8:] == ["storage_tank", "0"]
    assert [note.count for note in report.altered] == [1]
    content = formats.read(bench.folder / "dota", format="dota")
    assert content.classes.select(["value", "title", "order"]).to_pylist() == [
        {"value": "ship", "title": "ship", "order": 1},
        {"value": "storage tank", "title": "Tank", "order": 2},
    ]
    assert content.annotations["value"].to_pylist() == ["storage tank"]


def test_the_header_of_the_first_version_comes_and_goes(bench, dota, read):
    line = "2753 2408 2861 2385 2888 2468 2805 2502 plane 0"
    content = read({"train/labelTxt/P0000.txt": f"imagesource:GoogleEarth\ngsd:0.146343590398\n{line}\n"})
    (task,) = to_fastlabel(content)
    assert (task["name"], task["tags"]) == ("P0000", ["train"])
    assert {one["key"]: one["value"] for one in task["attributes"]} == {
        "imagesource": "GoogleEarth",
        "gsd": "0.146343590398",
    }
    formats.write(content, format="dota", target=bench.folder / "again", header=True, split="tags")
    again = (bench.folder / "again/train/labelTxt/P0000.txt").read_text()
    assert again == f"imagesource:GoogleEarth\ngsd:0.146343590398\n{line}\n"
    _, files = dota(bench.task("a.png"), header=True)
    assert files["labelTxt/a.txt"] == "imagesource:null\ngsd:null\n"
    (*_, unknown) = to_fastlabel(read({"val/labelTxt/P0001.txt": f"{files['labelTxt/a.txt']}{line}\n"}))
    assert unknown["name"] == "P0001"
    assert not unknown.get("attributes")  # what is not known is no attribute that says "null"


def test_a_picture_with_the_labels_of_two_versions_is_told(read):
    line = "2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n"
    picture = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    labels = {f"labelTxt-v1.{version}/P0000.txt": line for version in (0, 5)}
    content = read({"images/P0000.png": picture} | labels)
    assert [task["url"] is None for task in content.tasks.to_pylist()] == [False, True]
    (note,) = content.report.noticed
    assert (note.type, note.examples) == ("file", ("labelTxt-v1.5/P0000.txt",))


def test_drawn_corners_are_polygons_or_asked_for_boxes(read):
    files = {
        "labelTxt-v1.0/labelTxt/P1.txt": "\n".join(
            [
                "10.0 20.0 30.0 20.0 30.0 41.0 10.0 40.0 ship 1",
                "10 20 30 20 30 40 10 40 ship 0",
                "10 20 10 40 30 40 30 20 ship",
            ]
        )
    }
    found = annotations_of(read(files))
    assert [row["type"] for row in found] == ["polygon", "bbox", "bbox"]
    assert [row["points"] for row in found[1:]] == [[10, 20, 30, 40]] * 2
    assert [[one["value"] for one in row["attributes"]] for row in found] == [[True], [], []]

    content = read(files, as_boxes=True)
    found = annotations_of(content)
    assert [row["type"] for row in found] == ["bbox"] * 3 and found[0]["points"] == [10, 20, 30, 41]
    (note,) = content.report.altered
    assert note.count == 1 and note.examples == ("labelTxt-v1.0/labelTxt/P1.txt, line 1",)


def test_a_bad_line_sinks_nothing_else(read):
    good = "10 20 30 20 30 40 10 40 ship 0"
    lines = [
        good,
        "1 2 3",
        good.replace("10", "x"),
        good.replace("30", "1e999"),
        good.replace("30", "1e10"),
        good + "9",
    ]
    content = read({"labelTxt/a.txt": "\n".join(lines), "labelTxt/b.txt": b"\x00\xff"})
    assert content.annotations.num_rows == 2
    assert {(note.reason, note.count) for note in content.report.dropped} == {
        ("a line without four corners and a category", 2),
        ("a corner that is no finite numbers", 2),
        ("a coordinate is more than a billion pixels away", 1),
    }
    assert {(note.reason, note.examples[0]) for note in content.report.altered} == {
        ("a difficulty that is not 0, 1 or 2 was left out", "labelTxt/a.txt, line 6"),
        ("bytes that are no text were replaced", "labelTxt/b.txt"),
    }
    with pytest.raises(FileNotFoundError, match="labelTxt"):
        formats.read(content.origin["source"] + "/labelTxt/..", format="kitti")


def test_no_mutation_of_a_file_is_more_than_a_counted_loss(tmp_path):
    base = b"imagesource:x\ngsd:1\n10 20 30 20 30 40 10 40 ship 0\n1.5 2 3 4 5 6 7 8 plane 1\n"
    rng = random.Random(7)
    junk = [b"", b"nan", b"-1e999", b"\xff", b"\x00", b"9" * 400, b"\n", b" ", b"gsd:", b"1e308", "٣".encode()]
    for turn in range(150):
        data = bytearray(base)
        for _ in range(rng.randint(1, 5)):
            at = rng.randint(0, len(data))
            data[at : at + rng.randint(0, 12)] = rng.choice(junk)
        root = tmp_path / str(turn)
        (root / "labelTxt").mkdir(parents=True)
        (root / "labelTxt" / "a.txt").write_bytes(data)
        try:
            content = formats.read(root, format="dota", as_boxes=bool(turn % 2))
        except (FormatError, FileNotFoundError):
            continue
        assert isinstance(content, Labels) and content.report.annotations == content.annotations.num_rows
        assert len(list(to_fastlabel(content))) == 1
