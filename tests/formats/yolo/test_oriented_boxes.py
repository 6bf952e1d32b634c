"""Oriented boxes: four corners in the file, a box with its rotation in FastLabel."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.rectangles import smallest_rectangle
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel


def quads(text):
    return np.array([[float(word) for word in line.split()][1:] for line in text.splitlines()]).reshape(-1, 4, 2)


def read_again(bench, size="100x80", **options):
    content = formats.read(bench.folder / "yolo", format="yolo", size=size, **options)
    return [shape for task in to_fastlabel(content) for shape in task["annotations"]], content.report


def test_corners_begin_at_the_top_left_before_turning_and_run_clockwise(bench):
    _, files = bench.yolo(bench.task("a.jpg", bench.shape("bbox", [30, 30, 70, 40], rotation=90)), task="obb")
    # A quarter turn clockwise about (50, 35): the upper left corner comes to lie at the upper right.
    np.testing.assert_allclose(quads(files["a.txt"])[0] * [100, 80], [[55, 15], [55, 55], [45, 55], [45, 15]])


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 8000).flatmap(lambda side: st.tuples(st.just(side), st.integers(1, 8000))),
    st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.01, 0.25), st.floats(0.01, 0.25)),
    st.one_of(st.integers(-360, 720), st.floats(0, 360)),
)
def test_box_and_rotation_come_back(tmp_path_factory, size, shares, rotation):
    width, height = size
    # No longer than the image's shorter side allows, so that no corner leaves the image and nothing is cut.
    short = min(size)
    x, y, w, h = (share * side for share, side in zip(shares, (width, height, short, short), strict=True))
    points = [round(number, 3) for number in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]
    if min(points[2] - points[0], points[3] - points[1]) < 0.01:
        return
    shape = {"id": "1", "type": "bbox", "value": "dog", "title": "dog", "color": "#f00", "attributes": []}
    shape |= {"points": points, "rotation": rotation}
    task = {"id": "t", "name": "a.jpg", "width": width, "height": height, "status": "approved", "tags": []}
    target = tmp_path_factory.mktemp("obb")
    formats.write(from_fastlabel([{**task, "annotations": [shape]}], []), format="yolo", target=target, task="obb")
    (read,) = to_fastlabel(formats.read(target, format="yolo", size=size))
    (back,) = read["annotations"]
    np.testing.assert_allclose(back["points"], points, rtol=0, atol=4e-9 * max(size))
    # The angle is as sure as the longer side is long; half a turn apart is another box, with other first corners.
    longest = max(points[2] - points[0], points[3] - points[1])
    turn = (back.get("rotation", 0) - rotation + 180) % 360 - 180
    assert abs(turn) <= math.degrees(4e-9 * max(size) / longest) + 1e-9


def test_round_numbers_come_back_to_the_last_digit(bench):
    given_shapes = [
        bench.shape("bbox", [10.25, 20.5, 61.125, 40.75], rotation=rotation)
        for rotation in (0, 30, 45.5, 90, 123.456, 180, 270, 359.999)
    ]
    bench.yolo(bench.task("a.jpg", *given_shapes, width=1920, height=1080), task="obb")
    back, report = read_again(bench, "1920x1080")
    assert [shape["points"] for shape in back] == [[10.25, 20.5, 61.125, 40.75]] * 8
    assert [shape.get("rotation", 0) for shape in back] == [0, 30, 45.5, 90, 123.456, 180, 270, 359.999]
    assert not report.dropped and not report.altered


def test_a_box_given_by_other_corners_is_the_same_box(bench):
    shapes = [
        bench.shape("bbox", points, rotation=20)
        for points in ([30, 30, 70, 40], [70, 40, 30, 30], [70, 30, 30, 40], [30, 40, 70, 30])
    ]
    bench.yolo(bench.task("a.jpg", *shapes), task="obb")
    back, _ = read_again(bench)
    assert [(shape["points"], shape["rotation"]) for shape in back] == [([30, 30, 70, 40], 20)] * 4


def test_shapes_become_the_smallest_rectangle_as_opencv_finds_it(bench):
    rng = np.random.default_rng(5)
    outlines = [rng.uniform(20, 60, (number, 2)).round(2) for number in (3, 4, 5, 8, 20, 40)]
    shapes = [bench.shape("polygon", outline.reshape(-1).tolist()) for outline in outlines]
    regions = [[[*outlines[0].reshape(-1), *outlines[0][0]]], [[*outlines[1].reshape(-1), *outlines[1][0]]]]
    regions[0].append([0, 0, 90, 0, 90, 70, 0, 70, 0, 0])  # a hole far beyond its outline adds nothing
    both = bench.shape("segmentation", [[[float(n) for n in ring] for ring in region] for region in regions])
    report, files = bench.yolo(
        bench.task("a.jpg", *shapes, both, bench.shape("circle", [50, 40, 10]), bench.shape("line", [1, 1, 2, 2])),
        task="obb",
    )
    found = quads(files["a.txt"]) * [100, 80]
    for outline, corners in zip([*outlines, np.concatenate(outlines[:2])], found, strict=False):
        area = cv2.contourArea(corners.astype(np.float32))
        (_, sides, _) = cv2.minAreaRect(outline.astype(np.float32))
        assert area == pytest.approx(sides[0] * sides[1], rel=1e-4)
        lines = np.roll(corners, -1, axis=0) - corners
        for start, line in zip(corners, lines, strict=True):  # every vertex lies on the inner side of every edge
            cross = line[0] * (outline[:, 1] - start[1]) - line[1] * (outline[:, 0] - start[0])
            assert cross.min() >= -1e-5
    np.testing.assert_allclose(found[-1], [[40, 30], [60, 30], [60, 50], [40, 50]], atol=1e-6)
    told = {(note.reason, note.type): note.count for note in report.altered}
    reason = "a shape became the smallest rectangle around it"
    assert told == {(reason, "polygon"): 6, (reason, "segmentation"): 1, (reason, "circle"): 1}
    assert [(note.type, note.reason) for note in report.dropped] == [("line", "not a box")]


def test_what_sticks_out_keeps_its_corners_as_long_as_trainers_take_it(bench):
    out = bench.shape("bbox", [-10, 30, 20, 40], rotation=20)  # the middle of the box around it lies in the image
    far = bench.shape("bbox", [-20, 30, 10, 40], rotation=20)
    gone = bench.shape("bbox", [-60, 30, -30, 40], rotation=20)
    upright = bench.shape("bbox", [-20, 30, 10, 40])
    report, files = bench.yolo(bench.task("a.jpg", out, far, gone, upright), task="obb")
    found = quads(files["a.txt"])
    assert len(found) == 3 and found[0].min() < 0
    for corners in found:
        low, high = corners.min(axis=0), corners.max(axis=0)
        middle = (low + high) / 2
        assert (middle >= 0).all() and (middle <= 1).all() and (high - low <= 1).all()
    np.testing.assert_allclose(found[2], [[0, 0.375], [0.1, 0.375], [0.1, 0.5], [0, 0.5]])
    assert [(note.count, note.reason) for note in report.dropped] == [
        (1, "nothing of it lies within the image, or it has no area")
    ]
    assert [(note.count, note.reason) for note in report.altered] == [
        (2, "reached outside the image and was cut at its edge")
    ]
    assert next(note.reason for note in report.noticed) == "a corner of the rotated box lies outside the image"


def test_a_shape_within_the_image_never_has_a_box_larger_than_the_upright_one(bench):
    squares = [[[10, 10, 30, 10, 30, 30, 10, 30, 10, 10]], [[60, 55, 80, 55, 80, 75, 60, 75, 60, 55]]]
    report, files = bench.yolo(bench.task("a.jpg", bench.shape("segmentation", squares)), task="obb")
    (corners,) = quads(files["a.txt"]) * [100, 80]
    np.testing.assert_allclose(corners, [[10, 10], [80, 10], [80, 75], [10, 75]], atol=1e-6)
    assert "cut at its edge" not in str(report.altered)
    assert [note.reason for note in report.noticed][:1] == [
        "its smallest rectangle reaches too far outside the image, another one was taken"
    ]


def test_nine_numbers_are_what_the_dataset_or_the_reader_says(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.2 0.2 0.6 0.2 0.6 0.4 0.2 0.4\n0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("dog\n")

    def read(**options):
        content = formats.read(tmp_path, format="yolo", size=(100, 100), **options)
        shapes = [(shape["type"], shape["points"]) for task in to_fastlabel(content) for shape in task["annotations"]]
        return shapes, content.report

    box = ("bbox", [40, 40, 60, 60])
    polygon, turned = ("polygon", [20, 20, 60, 20, 60, 40, 20, 40]), ("bbox", [20, 20, 60, 40])
    assert read()[0] == [polygon, box]
    assert "task='obb'" in read()[1].noticed[0].reason
    assert read(task="segment") == ([polygon, box], read(task="segment")[1]) and not read(task="segment")[1].noticed
    assert read(task="obb")[0] == [turned, box]
    shapes, report = read(task="detect")
    assert shapes == [turned, box] and report.altered_count == 1
    (tmp_path / "data.yaml").write_text("train: labels\nnames: [dog]\ntask: obb\n")
    assert read()[0] == [turned, box]
    with pytest.raises(ValueError, match="unknown YOLO task"):
        read(task="boxes")


def test_corners_in_either_direction_and_corners_that_are_no_rectangle(tmp_path):
    (tmp_path / "labels").mkdir()
    clockwise, back = "0.2 0.2 0.6 0.2 0.6 0.4 0.2 0.4", "0.2 0.2 0.2 0.4 0.6 0.4 0.6 0.2"
    slanted, sure = "0.2 0.2 0.6 0.25 0.7 0.5 0.1 0.4", "0.2 0.2 0.6 0.2 0.6 0.4 0.2 0.4 0.75"
    (tmp_path / "labels/a.txt").write_text("".join(f"0 {row}\n" for row in (clockwise, back, slanted, sure)))
    content = formats.read(tmp_path, format="yolo", size=(100, 100), classes=["dog"], task="obb")
    (task,) = to_fastlabel(content)
    shapes = task["annotations"]
    assert [shape["points"] for shape in (shapes[0], shapes[1], shapes[3])] == [[20, 20, 60, 40]] * 3
    assert shapes[3]["confidenceScore"] == 0.75
    (note,) = content.report.altered
    assert "no rectangle" in note.reason and note.count == 1 and note.examples == ("labels/a.txt, line 3",)
    (_, sides, _) = cv2.minAreaRect(np.array([[20, 20], [60, 25], [70, 50], [10, 40]], np.float32))
    x1, y1, x2, y2 = shapes[2]["points"]
    assert (x2 - x1) * (y2 - y1) == pytest.approx(sides[0] * sides[1], rel=1e-4)


def test_the_smallest_rectangle_of_very_many_points_needs_little_memory():
    """A turned ellipse of 12,000 edges: all of them at once would take 2 GB."""
    angle = np.linspace(0, 2 * np.pi, 12_000, endpoint=False)
    turn = np.deg2rad(30)
    x, y = 4000 * np.cos(angle), 1000 * np.sin(angle)
    points = np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
    tracemalloc.start()
    corners = smallest_rectangle(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sides = np.sort(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T))
    assert sides == pytest.approx([2000, 2000, 8000, 8000], rel=1e-6)
    assert peak < 500e6
