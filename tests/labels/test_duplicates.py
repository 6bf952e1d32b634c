"""Boxes that lie on each other, against comparing every pair."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.labels.duplicates import duplicate_boxes
from fastlabel_dagster.labels.geometry import flatten


def find(tasks, **how):
    rows = [{"id": str(n), "name": str(n), "annotations": boxes} for n, boxes in enumerate(tasks)]
    found = duplicate_boxes(flatten(from_fastlabel(rows).tasks), **how)
    return {row: (of, iou) for row, of, iou in zip(*(part.tolist() for part in found), strict=True)}


def box(x1, y1, x2, y2, value="car", **more):
    return {"type": "bbox", "value": value, "points": [x1, y1, x2, y2], **more}


def brute(tasks, iou, *, same_class):
    flat = [(task, one["value"], one["points"]) for task, boxes in enumerate(tasks) for one in boxes]
    best = {}
    for i, j in combinations(range(len(flat)), 2):
        (task_a, class_a, a), (task_b, class_b, b) = flat[i], flat[j]
        if task_a != task_b or (same_class and class_a != class_b):
            continue
        a = (min(a[0], a[2]), min(a[1], a[3]), max(a[0], a[2]), max(a[1], a[3]))
        b = (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
        sizes = [(k[2] - k[0]) * (k[3] - k[1]) for k in (a, b)]
        if not all(sizes):
            continue
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(wide, 0) * max(high, 0)
        overlap = shared / (sum(sizes) - shared)
        if overlap >= iou and overlap > best.get(j, (0, 0))[1]:
            best[j] = (i, overlap)
    return best


corner = st.integers(0, 8)
boxes = st.builds(box, corner, corner, corner, corner, st.sampled_from(["car", "person"]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(boxes, max_size=8), min_size=1, max_size=4),
    st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]),
    st.booleans(),
)
def test_the_pairs_are_those_of_comparing_all(tasks, iou, same_class):
    found, expected = find(tasks, iou=iou, same_class=same_class), brute(tasks, iou, same_class=same_class)
    assert found.keys() == expected.keys()
    for row, (of, overlap) in expected.items():
        assert found[row] == (of, pytest.approx(overlap))


def test_many_boxes_in_one_picture():
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 900, (300, 2))
    places = np.concatenate([places, places[:40] + rng.uniform(0, 1.5, (40, 2))])
    task = [box(x, y, x + 60, y + 40) for x, y in places.tolist()]
    expected = brute([task], 0.9, same_class=True)
    assert len(expected) > 20
    assert {row: of for row, (of, _) in find([task], iou=0.9).items()} == {k: of for k, (of, _) in expected.items()}


def test_boxes_of_other_tasks_and_classes_are_left_alone():
    assert find([[box(0, 0, 9, 9)], [box(0, 0, 9, 9)]], iou=0.9) == {}
    two = [box(0, 0, 9, 9), box(0, 0, 9, 9, "truck")]
    assert find([two], iou=0.9) == {}
    assert find([two], iou=0.9, same_class=False) == {1: (0, 1.0)}
    assert find([[box(0, 0, 0, 9), box(0, 0, 0, 9)]], iou=0.9) == {}


def test_turned_boxes_are_compared_as_they_lie():
    first = box(100, 100, 180, 120, rotation=30)
    assert find([[first, dict(first)]], iou=0.99)[1][0] == 0
    # the same rectangle, named from the other side: a quarter turn with width and height exchanged
    assert find([[first, box(130, 70, 150, 150, rotation=120)]], iou=0.99)[1][1] == pytest.approx(1.0)
    assert find([[box(100, 100, 180, 120, rotation=90), box(130, 70, 150, 150)]], iou=0.99)[1][1] == pytest.approx(1.0)
    # mirrored, they have the same box around them and are not the same
    assert find([[first, box(100, 100, 180, 120, rotation=-30)]], iou=0.5) == {}
    # turned back by its angle it would lie where the other lies, and in the picture it does not
    angle = math.radians(30)
    x, y = 140 * math.cos(angle) - 110 * math.sin(angle), 140 * math.sin(angle) + 110 * math.cos(angle)
    far = box(x - 40, y - 10, x + 40, y + 10, rotation=30)
    assert find([[box(100, 100, 180, 120), far]], iou=0.5) == {}
    # moved along its own side by a tenth of its length: IoU 0.9 / 1.1
    dx, dy = 8 * math.cos(math.radians(30)), 8 * math.sin(math.radians(30))
    moved = box(100 + dx, 100 + dy, 180 + dx, 120 + dy, rotation=30)
    assert find([[first, moved]], iou=0.5)[1][1] == pytest.approx(0.9 / 1.1)


def test_coordinates_that_are_no_numbers_repeat_nothing():
    broken = [box(0, 0, math.nan, 9), box(0, 0, math.nan, 9), box(0, 0, math.inf, 9), {"type": "bbox", "points": [1]}]
    assert find([broken], iou=0.5) == {}
    assert find([[]], iou=0.5) == {}
