"""Geometry: numbers worked out by hand, and properties against a slow computation that shares no code."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import labels
from fastlabel_dagster.labels.diff import diff_tasks
from fastlabel_dagster.labels.geometry import areas, boxes, flatten, inside_image, is_finite, ring_areas
from fastlabel_dagster.labels.schema import TASKS

NAN = math.nan


def table(*annotations: dict[str, Any], **task: Any) -> pa.Table:
    return labels.tasks_table(
        [{"id": "t", "name": "t.jpg", "width": 100, "height": 50, "annotations": list(annotations), **task}]
    )


def bbox(*points: float, rotation: float = 0) -> dict[str, Any]:
    return {"type": "bbox", "value": "car", "points": list(points), "rotation": rotation}


def of(kind: str, *points: float) -> dict[str, Any]:
    return {"type": kind, "value": "car", "points": list(points)}


SQUARE_WITH_HOLE = [[0, 0, 40, 0, 40, 40, 0, 40, 0, 0], [10, 10, 10, 20, 20, 20, 20, 10, 10, 10]]
TRIANGLE = [[50, 0, 60, 0, 60, 10, 50, 0]]


def test_numbers_by_hand() -> None:
    flat = flatten(
        table(
            bbox(10, 20, 30, 25),
            of("polygon", 0, 0, 4, 0, 4, 3),
            {"type": "segmentation", "points": [SQUARE_WITH_HOLE, TRIANGLE]},
            of("keypoint", 7, 8),
            of("line", 1, 2, 5, 9, 3, 0),
            of("circle", 20, 20, 5),
            {
                "type": "pose_estimation",
                "keypoints": [{"key": "head", "value": [3, 4, 1]}, {"key": "hand", "value": [9, 1, 0]}],
            },
            {"type": "classification"},
        )
    )
    assert len(flat) == 8
    assert flat.well_formed.all()
    np.testing.assert_array_equal(
        boxes(flat),
        [
            [10, 20, 30, 25],
            [0, 0, 4, 3],
            [0, 0, 60, 40],
            [7, 8, 7, 8],
            [1, 0, 5, 9],
            [15, 15, 25, 25],
            [3, 1, 9, 4],
            [NAN] * 4,
        ],
    )
    np.testing.assert_allclose(areas(flat), [100, 6, 1600 - 100 + 50, 0, 0, 25 * math.pi, 0, 0], rtol=1e-15)
    assert flat.annotation_rings.tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 9]
    assert np.diff(flat.ring_offsets).tolist() == [4, 3, 4, 4, 3, 1, 3, 1, 2]
    assert flat.ring_region.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert flat.ring_is_hole.tolist() == [False, False, False, True, False, False, False, False, False]
    assert flat.ring_annotation.tolist() == [0, 1, 2, 2, 2, 3, 4, 5, 6]
    assert flat.vertex_ring.tolist()[:8] == [0, 0, 0, 0, 1, 1, 1, 2]
    np.testing.assert_allclose(ring_areas(flat)[:5], [100, 6, 1600, 100, 50])
    assert flat.coords[:4].tolist() == [[10, 20], [30, 20], [30, 25], [10, 25]]
    assert flat.radius[5] == 5
    assert np.isnan(np.delete(flat.radius, 5)).all()
    assert flat.width.tolist() == [100] * 8
    assert flat.height.tolist() == [50] * 8
    assert inside_image(flat).all()


def test_rotation_is_clockwise_about_the_centre() -> None:
    quarter, half_quarter, none, whole, back = (
        flatten(table(bbox(10, 10, 30, 20, rotation=degrees))) for degrees in (90, 45, 0, 360, -90)
    )
    # y points down: a quarter turn clockwise takes the top left corner to the top right.
    assert quarter.coords.tolist() == [[25, 5], [25, 25], [15, 25], [15, 5]]
    assert back.coords.tolist() == [[15, 25], [15, 5], [25, 5], [25, 25]]
    assert boxes(quarter)[0].tolist() == [15, 5, 25, 25]
    assert none.coords.tolist() == whole.coords.tolist() == [[10, 10], [30, 10], [30, 20], [10, 20]]
    reach = 15 / math.sqrt(2)
    np.testing.assert_allclose(boxes(half_quarter)[0], [20 - reach, 15 - reach, 20 + reach, 15 + reach])
    np.testing.assert_allclose(areas(half_quarter), [200])
    assert half_quarter.rotation.tolist() == [45]


@pytest.mark.parametrize("rotation", [0, 30, 90])
def test_any_two_opposite_corners_make_the_same_box(rotation: float) -> None:
    ends = [(10, 20, 30, 40), (30, 40, 10, 20), (30, 20, 10, 40), (10, 40, 30, 20)]
    flat = flatten(table(*(bbox(*points, rotation=rotation) for points in ends)))
    assert flat.reversed.tolist() == [False, True, True, True]
    first, *others = np.split(flat.coords, 4)
    for other in others:
        assert other.tolist() == first.tolist()


def test_only_boxes_are_reversed_and_nan_is_in_no_order() -> None:
    flat = flatten(
        table(bbox(5, 5, 5, 5), bbox(NAN, 9, 1, 2), bbox(9, 9, NAN, NAN), of("line", 9, 9, 1, 1), bbox(9, 1, 2))
    )
    assert flat.reversed.tolist() == [False, True, False, False, False]
    np.testing.assert_array_equal(flat.coords[4:8], [[NAN, 2], [1, 2], [1, 9], [NAN, 9]])


@pytest.mark.parametrize(
    "annotation",
    [
        of("bbox", 1, 2, 3),
        of("bbox"),
        of("bbox", 1, 2, 3, 4, 5, 6),
        {"type": "bbox"},
        {"type": "bbox", "points": None},
        {"type": "bbox", "points": [1, None, 3, 4]},
        {"type": "bbox", "points": "1,2,3,4"},
        {"type": "bbox", "points": [[[1, 2, 3, 4]]]},
        of("polygon", 0, 0, 1, 1),
        of("polygon", 0, 0, 1, 1, 2),
        of("polygon", 0, 0, 1, 1, 2, 2, 3),
        of("keypoint", 1),
        of("keypoint", 1, 2, 3),
        of("line", 1, 2),
        of("line", 1, 2, 3, 4, 5),
        of("circle", 1, 2),
        of("segmentation", 1, 2, 3, 4, 5, 6),
        {"type": "segmentation", "points": []},
        {"type": "segmentation", "points": [[]]},
        {"type": "segmentation", "points": [[[]]]},
        {"type": "segmentation", "points": [SQUARE_WITH_HOLE, [[0, 0, 1, 1, 0, 0]]]},
        {"type": "segmentation", "points": [SQUARE_WITH_HOLE, [[0, 0, 1, 1, 0, 1, 9]]]},
        {"type": "segmentation", "points": [[*SQUARE_WITH_HOLE, []]]},
        {"type": "pose_estimation"},
        {"type": "pose_estimation", "keypoints": []},
        {"type": "pose_estimation", "keypoints": [{"key": "head", "value": [1]}]},
        {"type": "pose_estimation", "keypoints": [{"key": "head", "value": [1, 2, 3, 4]}]},
        {"type": "pose_estimation", "keypoints": [{"key": "head", "value": []}]},
    ],
)
def test_ill_formed_geometry_has_no_ring(annotation: dict[str, Any]) -> None:
    flat = flatten(table(bbox(0, 0, 9, 9), annotation, of("polygon", 0, 0, 4, 0, 4, 3)))
    assert flat.well_formed.tolist() == [True, False, True]
    assert flat.annotation_rings.tolist() == [0, 1, 1, 2]
    assert np.isnan(boxes(flat)[1]).all()
    assert areas(flat).tolist() == [81, 0, 6]
    assert is_finite(flat).all()


@pytest.mark.parametrize(
    "annotation",
    [
        {"type": "classification"},
        {"type": "cuboid", "points": [1, 2, 3, 1, 1, 1, 2, 2, 2]},
        {"type": "bbox", "points": {"1": {"value": [1, 2, 3, 4], "autogenerated": False}}},
        {"type": "segmentation", "start": 0.4, "end": 0.5},
        {"type": "ner", "start": 0, "end": 5, "text": "Hello"},
        {"type": None, "points": [1, 2]},
        {},
    ],
)
def test_other_kinds_of_annotation_are_well_formed_and_have_no_ring(annotation: dict[str, Any]) -> None:
    flat = flatten(table(annotation))
    assert flat.well_formed.tolist() == [True]
    assert flat.annotation_rings.tolist() == [0, 0]
    assert inside_image(flat).tolist() == [True]


def test_keypoints_that_are_not_placed_are_left_out() -> None:
    keypoints = [
        {"key": "a", "value": [1, 2, 1]},
        {"key": "b", "value": []},
        {"key": "c"},
        {"key": "d", "value": [5, 6]},
    ]
    flat = flatten(table({"type": "pose_estimation", "keypoints": keypoints}))
    assert flat.coords.tolist() == [[1, 2], [5, 6]]


def test_nan_and_infinities_stay_with_their_annotation() -> None:
    flat = flatten(
        table(
            bbox(0, 0, 2, 2),
            bbox(0, NAN, 2, 2),
            of("polygon", 0, 0, math.inf, 0, 4, 3),
            of("circle", 5, 5, NAN),
            of("circle", 5, 5, math.inf),
            bbox(0, 0, 2, 2, rotation=NAN),
            bbox(1, 1, 3, 3),
        )
    )
    assert flat.well_formed.all()
    assert is_finite(flat).tolist() == [True, False, False, False, False, False, True]
    assert inside_image(flat).tolist() == is_finite(flat).tolist()
    assert boxes(flat)[[0, -1]].tolist() == [[0, 0, 2, 2], [1, 1, 3, 3]]
    assert np.isnan(boxes(flat)[1]).any()
    assert np.isnan(boxes(flat)[3]).all()
    assert areas(flat)[[0, -1]].tolist() == [4, 4]
    assert not np.isfinite(areas(flat)[1:-1]).any()


@pytest.mark.filterwarnings("error")
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_coordinate_makes_a_warning(data: st.DataObject) -> None:
    """What is not finite, or so large that sums of it are not, must not spill warnings over somebody's terminal."""
    number = st.one_of(st.sampled_from([1e308, -1e308, 1e200, math.inf, -math.inf, math.nan, 5e-324]), st.floats())
    a, b, c, d, e, f = (data.draw(number) for _ in range(6))
    ring = [a, b, c, d, e, f]
    whole = table(
        {"type": "bbox", "points": [a, b, c, d], "rotation": data.draw(st.one_of(number, st.just(30.0)))},
        of("polygon", *ring),
        of("line", *ring),
        of("keypoint", a, b),
        of("circle", a, b, c),
        {"type": "segmentation", "points": [[[*ring, a, b], ring], [ring]]},
        {"type": "pose_estimation", "keypoints": [{"key": "k", "value": [a, b, 1]}]},
        width=10,
        height=10,
    )
    flat = flatten(whole)
    for computed in (boxes(flat), areas(flat), ring_areas(flat), inside_image(flat), is_finite(flat)):
        assert len(computed)
    before = labels.tasks_table([{"id": "a", "annotations": [{**each, "value": "x"} for each in (bbox(a, b, c, d),)]}])
    after = labels.tasks_table([{"id": "a", "annotations": [bbox(d, c, b, a), of("polygon", *ring)]}])
    assert str(diff_tasks(before, after))


def test_inside_image_includes_the_edges_and_knows_unknown_sizes() -> None:
    inside = [
        bbox(0, 0, 100, 50),
        bbox(-0.1, 0, 9, 9),
        bbox(0, 0, 100.1, 9),
        of("circle", 98, 9, 3),
        bbox(5, 45, 6, 50.5),
    ]
    assert inside_image(flatten(table(*inside))).tolist() == [True, False, False, False, False]
    assert inside_image(flatten(table(*inside, width=None, height=0))).tolist() == [True, False, True, True, True]
    rotated = flatten(table(bbox(0, 0, 40, 10, rotation=90)))
    assert inside_image(rotated).tolist() == [False]


def test_rows_nulls_slices_and_chunks() -> None:
    tasks = labels.tasks_table(
        [
            {"id": "a", "annotations": [bbox(0, 0, 1, 1), bbox(0, 0, 2, 2)], "width": 10, "height": 20},
            {"id": "b"},
            {"id": "c", "annotations": []},
            {"id": "d", "annotations": None},
            {"id": "e", "annotations": [{"type": "segmentation", "points": [TRIANGLE]}], "width": -3},
        ]
    )
    whole = flatten(tasks)
    assert whole.task.tolist() == [0, 0, 4]
    assert whole.index.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(whole.width, [10, 10, NAN])
    np.testing.assert_array_equal(whole.height, [20, 20, NAN])
    twice = pa.concat_tables([tasks, tasks]).slice(3, 4)
    part = flatten(twice)
    assert part.task.tolist() == [1, 2, 2]
    assert areas(part).tolist() == [50, 1, 4]
    for empty in (tasks.slice(1, 1), tasks.slice(0, 0), TASKS.empty_table(), tasks.slice(1, 2)):
        flat = flatten(empty)
        assert (len(flat), len(boxes(flat)), len(areas(flat)), len(inside_image(flat))) == (0, 0, 0, 0)


def test_nulls_among_the_numbers_of_tables_from_elsewhere() -> None:
    annotations = [
        {"type": "bbox", "points": [1.0, None, 3.0, 4.0]},
        {"type": "bbox", "points": [1.0, 2.0, 3.0, 4.0]},
        {"type": "segmentation", "regions": [[[0.0, 0.0, None, 1.0, 1.0, 1.0]]]},
        {"type": "segmentation", "regions": [[[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]]]},
        {"type": "pose_estimation", "keypoints": [{"value": [1.0, None, 1.0]}]},
    ]
    flat = flatten(pa.Table.from_pylist([{"task_id": "t", "annotations": annotations}], schema=TASKS))
    assert flat.well_formed.tolist() == [False, True, False, True, False]
    assert areas(flat).tolist() == [0, 4, 0, 0.5, 0]


# --------------------------------------------------------------------- properties

coordinate = st.integers(-2000, 2000).map(lambda n: n / 4)
vertices = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)


def flat_list(ring: list[tuple[float, float]]) -> list[float]:
    return [number for vertex in ring for number in vertex]


def slow_area(ring: list[tuple[float, float]]) -> float:
    """Trapezoids under each edge, in exact arithmetic on quarters of a pixel."""
    total = 0
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        total += (int(4 * x1) - int(4 * x2)) * (int(4 * y1) + int(4 * y2))
    return abs(total) / 32


@settings(max_examples=100, deadline=None)
@given(st.lists(vertices, min_size=1, max_size=6))
def test_polygons_against_a_slow_computation(polygons: list[list[tuple[float, float]]]) -> None:
    flat = flatten(table(*(of("polygon", *flat_list(ring)) for ring in polygons)))
    np.testing.assert_allclose(areas(flat), [slow_area(ring) for ring in polygons], rtol=1e-12, atol=1e-9)
    expected = [
        [min(x for x, _ in r), min(y for _, y in r), max(x for x, _ in r), max(y for _, y in r)] for r in polygons
    ]
    np.testing.assert_array_equal(boxes(flat), expected)
    with_cv2 = [cv2.contourArea(np.array(ring, np.float32)) for ring in polygons]
    np.testing.assert_allclose(areas(flat), with_cv2, rtol=1e-4, atol=1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.lists(vertices, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_segmentations_keep_their_rings(segmentations: list[list[list[list[tuple[float, float]]]]]) -> None:
    """Each ring comes back without the closing vertex, in order, whatever its neighbours are."""
    annotations: list[dict[str, Any]] = []
    expected: list[list[tuple[float, float]]] = []
    places: list[tuple[int, int, bool]] = []
    for regions in segmentations:
        annotations += [
            {"type": "segmentation", "points": [[flat_list([*r, r[0]]) for r in rings] for rings in regions]}
        ]
        for region, rings in enumerate(regions):
            expected += rings
            places += [(len(annotations) - 1, region, hole > 0) for hole in range(len(rings))]
    flat = flatten(table(*annotations))
    assert flat.well_formed.all()
    cut = np.split(flat.coords, flat.ring_offsets[1:-1])
    assert [[tuple(vertex) for vertex in ring.tolist()] for ring in cut] == expected
    assert list(zip(flat.ring_annotation, flat.ring_region, flat.ring_is_hole, strict=True)) == places
    for box, regions in zip(boxes(flat), segmentations, strict=True):  # whatever its holes do
        xs, ys = zip(*(vertex for outline, *_ in regions for vertex in outline), strict=True)
        assert box.tolist() == [min(xs), min(ys), max(xs), max(ys)]


@settings(max_examples=100, deadline=None)
@given(coordinate, coordinate, st.floats(0.5, 500), st.floats(0.5, 500), st.floats(-720, 720), coordinate, coordinate)
def test_rotated_boxes(x: float, y: float, w: float, h: float, degrees: float, dx: float, dy: float) -> None:
    flat = flatten(
        table(
            bbox(x, y, x + w, y + h, rotation=degrees), bbox(x + dx, y + dy, x + dx + w, y + dy + h, rotation=degrees)
        )
    )
    np.testing.assert_allclose(areas(flat), w * h, rtol=1e-9)
    # An independent turn: cv2 turns a box of this centre and size clockwise on screen by this angle.
    corners = cv2.boxPoints(((x + w / 2, y + h / 2), (w, h), degrees))
    ours = boxes(flat)[0]
    np.testing.assert_allclose(ours, [*corners.min(axis=0), *corners.max(axis=0)], rtol=1e-4, atol=1e-2)
    # Moving the box moves everything alike.
    np.testing.assert_allclose(boxes(flat)[1], ours + np.array([dx, dy, dx, dy]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(flat.coords[4:] - flat.coords[:4], np.tile([dx, dy], (4, 1)), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(vertices, st.integers(-(10**7), 10**7))
def test_area_does_not_suffer_far_from_the_origin(ring: list[tuple[float, float]], shift: int) -> None:
    moved = [(x + shift, y + shift) for x, y in ring]
    flat = flatten(
        table(of("polygon", *flat_list(ring)), of("polygon", *flat_list(moved)), of("polygon", *flat_list(ring[::-1])))
    )
    near, far, reversed_ = areas(flat)
    assert far == pytest.approx(near, rel=1e-12, abs=1e-9)
    assert reversed_ == pytest.approx(near, rel=1e-12, abs=1e-9)
