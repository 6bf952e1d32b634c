"""How exactly what was written comes back: nine decimals of a share, so 1e-9 of the image's side."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.text import decimal_lists
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel

sides = st.integers(1, 20_000)


def round_trip(shape, width, height, classes=(), **options):
    annotation = {"id": "1", "value": "dog", "title": "dog", "color": "#ff0000", "attributes": [], **shape}
    task = {"id": "t", "name": "a.jpg", "width": width, "height": height, "status": "approved", "tags": []}
    content = from_fastlabel([{**task, "annotations": [annotation]}], list(classes))
    with tempfile.TemporaryDirectory() as folder:
        formats.write(content, format="yolo", target=folder, split=None, **options)
        (read,) = to_fastlabel(formats.read(folder, format="yolo", size=(width, height)))
    return read["annotations"]


@settings(max_examples=80, deadline=None)
@given(sides, sides, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_within_a_billionth_of_the_side(width, height, shares):
    (left, right), (top, bottom) = sorted(shares[::2]), sorted(shares[1::2])
    if min(right - left, bottom - top) < 1e-8:
        return
    points = [left * width, top * height, right * width, bottom * height]
    (back,) = round_trip({"type": "bbox", "points": points}, width, height)
    # A centre and half a size, each rounded at the ninth decimal, and drawn to a whole thousandth of a pixel near by.
    np.testing.assert_allclose(back["points"], points, rtol=0, atol=1.8e-9 * max(width, height) + 1e-12)


@settings(max_examples=80, deadline=None)
@given(sides, sides, st.data())
def test_thousandths_of_a_pixel_come_back_to_the_last_digit(width, height, data):
    x = sorted(data.draw(st.lists(st.integers(0, 1000 * width), min_size=2, max_size=2, unique=True)))
    y = sorted(data.draw(st.lists(st.integers(0, 1000 * height), min_size=2, max_size=2, unique=True)))
    points = [x[0] / 1000, y[0] / 1000, x[1] / 1000, y[1] / 1000]
    (back,) = round_trip({"type": "bbox", "points": points}, width, height)
    assert back["points"] == points
    corners = [points[0], points[1], points[2], points[1], points[2], points[3]]
    (back,) = round_trip({"type": "polygon", "points": corners}, width, height, task="segment")
    assert back["points"] == corners


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12))
def test_outlines_within_half_a_billionth_of_the_side(width, height, shares):
    points = np.array(shares) * [width, height]
    if np.ptp(np.array(shares), axis=0).min() < 1e-8:
        return
    (back,) = round_trip({"type": "polygon", "points": points.reshape(-1).tolist()}, width, height, task="segment")
    error = np.abs(np.reshape(back["points"], (-1, 2)) - points) / [width, height]
    assert error.max() <= 1.6e-9


@settings(max_examples=40, deadline=None)
@given(
    sides,
    sides,
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([0, 1])), min_size=2, max_size=3),
)
def test_poses_come_back_with_the_names_of_their_points(width, height, places):
    if len({place[:2] for place in places}) < 2 or len({p[0] for p in places}) < 2 or len({p[1] for p in places}) < 2:
        return
    keys = ["head", "ear", "tail"]
    points = [{"id": key, "key": key, "name": key, "color": "#000000", "edges": []} for key in keys]
    classes = [
        {"id": "p", "type": "pose_estimation", "value": "dog", "title": "dog", "color": "#00ff00", "order": 1,
         "attributes": [], "keypoints": points}
    ]  # fmt: skip
    keypoints = [
        {"key": key, "name": key, "value": [round(x * width / 1000, 3), round(y * height / 1000, 3), seen], "edges": []}
        for key, (x, y, seen) in zip(keys, places, strict=False)
    ]
    (back,) = round_trip(
        {"type": "pose_estimation", "keypoints": keypoints}, width, height, classes=classes, task="pose"
    )
    assert back["type"] == "pose_estimation"
    assert [(one["key"], one["value"]) for one in back["keypoints"]] == [
        (one["key"], one["value"]) for one in keypoints
    ]


def test_a_pose_of_somebody_else_keeps_its_points_and_says_what_became_of_its_box(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("train: labels\nnames: [dog, cat]\nkpt_shape: [2, 2]\nkpt_names: {1: [nose]}\n")
    (tmp_path / "labels/a.txt").write_text(
        "0 0.5 0.5 0.9 0.9 0.1 0.2 0.3 0.4\n"
        "0 0.5 0.5 0.2 0.2 0 0 0 0\n"
        "1 0.2 0.3 0.2 0.2 0.1 0.2 0.3 0.4\n"
        "1 0.5 0.5 0.2 0.2\n"
    )
    content = formats.read(tmp_path, format="yolo", size=(100, 100))
    (task,) = to_fastlabel(content)
    dog, box, cat, plain = task["annotations"]
    assert [(one["key"], one["value"]) for one in dog["keypoints"]] == [
        ("keypoint_1", [10, 20, 1]),
        ("keypoint_2", [30, 40, 1]),
    ]
    assert (box["type"], box["points"]) == ("bbox", [40, 40, 60, 60]) == (plain["type"], plain["points"])
    assert [(one["key"], one["value"]) for one in cat["keypoints"]] == [("nose", [10, 20, 1])]
    assert {note.reason: note.count for note in content.report.altered} == {
        "the box of a pose was left out, it is not the one around its keypoints": 2,
        "a pose without keypoints became its box": 1,
        "a keypoint that its class does not have was left out": 1,
    }


def test_the_coco_boxes_of_photographs_come_back_to_the_last_digit(coco_mini, tmp_path):
    content = formats.read(coco_mini, format="coco")
    before = {task["name"]: task["annotations"] for task in to_fastlabel(content)}
    for task in ("detect", "obb", "segment"):
        report = formats.write(content, format="yolo", target=tmp_path / task, task=task, split="tags")
        back = formats.read(tmp_path / task, format="yolo")
        assert back.report.annotations >= report.written and not back.report.dropped
        after = {task["name"]: task["annotations"] for task in to_fastlabel(back)}
        assert after.keys() == before.keys()
        if task == "segment":
            continue
        for name, shapes in before.items():
            boxes = [one["points"] for one in shapes if one["type"] == "bbox"]
            if len(boxes) == len(shapes):
                read = [one["points"] for one in after[name]]
                np.testing.assert_allclose(read, boxes, rtol=0, atol=1e-6)


def test_text_has_at_most_nine_decimals_and_no_exponent():
    numbers = [0, 1, 0.1, 1 / 3, 2 / 3, 6e-10, 4.9e-10, -4.9e-10, 0.9999999996, 1e-9, 9.5, 0.100000001, 0.12]
    shown = ["0", "1", "0.1", "0.333333333", "0.666666667", "0.000000001", "0", "0", "1", "0.000000001", "9.5"]
    shown += ["0.100000001", "0.12"]
    assert _written(numbers) == shown
    assert _written([*numbers, 12.5, -0.25, -1e-9]) == [*shown, "12.5", "-0.25", "-0.000000001"]
    assert decimal_lists(np.array([]), np.array([0, 0])).to_pylist() == [""]


@given(numbers=st.lists(st.floats(-20, 20) | st.floats(0, 1)), cuts=st.lists(st.integers(0, 40)))
def test_text_is_what_python_writes_of_the_rounded_number(numbers, cuts):
    offsets = np.array([0, *sorted(min(cut, len(numbers)) for cut in cuts), len(numbers)])
    words = [_plain(number) for number in numbers]
    rows = ["".join(f" {word}" for word in words[start:end]) for start, end in pairwise(offsets.tolist())]
    assert decimal_lists(np.array(numbers, float), offsets).to_pylist() == rows


def _written(numbers: list[float]) -> list[str]:
    (row,) = decimal_lists(np.array(numbers, float), np.array([0, len(numbers)])).to_pylist()
    return row.split()


def _plain(number: float) -> str:
    """The number to the nearest billionth, by decimal arithmetic."""
    text = format(Decimal(round(number * 10**9)).scaleb(-9), "f").rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@pytest.mark.parametrize("size", [(1, 1), (20_000, 20_000)])
def test_the_whole_image_stays_the_whole_image(size):
    (back,) = round_trip({"type": "bbox", "points": [0, 0, *size]}, *size)
    assert back["points"] == [0, 0, *size]
