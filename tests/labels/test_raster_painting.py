"""Runs of pixels of many shapes at once, beside painting each by itself and beside pycocotools."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from fastlabel_dagster.labels import painting, raster
from fastlabel_dagster.labels.painting import (
    Spans,
    disc_spans,
    fill,
    joined_spans,
    mask_spans,
    picked,
    placed,
    region_spans,
    runs_to_pixels,
    stacked,
)

WIDTH, HEIGHT = 12, 10
numbers = st.one_of(st.integers(-3, 15).map(float), st.floats(-4, 16, width=16))
rings = st.lists(st.tuples(numbers, numbers), max_size=7)
regions = st.lists(rings, min_size=1, max_size=4)


def centres_inside(ring) -> np.ndarray:
    """The crossing-number test, a pixel at a time."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if len(ring) < 3:
        return mask
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y = column + 0.5, row + 0.5
            for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
                if (y1 <= y) != (y2 <= y):
                    (xa, ya), (xb, yb) = ((x1, y1), (x2, y2)) if y1 <= y2 else ((x2, y2), (x1, y1))
                    mask[row, column] ^= xa + (y - ya) * ((xb - xa) / (yb - ya)) <= x
    return mask


def mask_of(spans: Spans, shape: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    fill(mask, spans, slice(spans.offsets[shape], spans.offsets[shape + 1]))
    return mask


def spans_of(shapes):
    coords = [point for region in shapes for ring in region for point in ring]
    offsets = np.cumsum([0, *(len(ring) for region in shapes for ring in region)])
    counts = np.cumsum([0, *(len(region) for region in shapes)])
    sides = np.full(len(shapes), WIDTH), np.full(len(shapes), HEIGHT)
    return region_spans(np.array(coords, np.float64).reshape(-1, 2), offsets, counts, *sides)


@pytest.mark.parametrize("at_once", [1, 30, painting._AT_ONCE])  # a row, some, all
@settings(max_examples=150, deadline=None)
@given(shapes=st.lists(regions, max_size=3))
def test_regions_are_outlines_less_their_holes_however_they_lie(shapes, at_once):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(painting, "_AT_ONCE", at_once)
        spans, leave = spans_of(shapes)
    for number, (outline, *holes) in enumerate(shapes):
        whole = centres_inside(outline)
        cut = np.zeros_like(whole)
        for hole in holes:
            cut |= centres_inside(hole)
        np.testing.assert_array_equal(mask_of(spans, number), whole & ~cut)
        assert leave[number] == (cut & ~whole).any()
        assert spans.areas[number] == (whole & ~cut).sum()


def test_holes_that_meet_in_an_aerial_picture_take_little_memory():
    width, height = 9000, 5000
    outline, first, second = (
        np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
        for x1, y1, x2, y2 in ((0, 0, width, height), (10, 10, 4000, 4000), (3000, 3000, 8000, 4500))
    )
    coords = np.concatenate([outline, first, second])
    tracemalloc.start()
    try:
        spans, _ = region_spans(
            coords, np.array([0, 4, 8, 12]), np.array([0, 3]), np.array([width]), np.array([height])
        )
        assert tracemalloc.get_traced_memory()[1] < width * height
    finally:
        tracemalloc.stop()
    assert spans.areas[0] == width * height - (3990 * 3990 + 5000 * 1500 - 1000 * 1000)


def test_a_whole_batch_is_the_same_as_one_at_a_time():
    random = np.random.default_rng(3)
    shapes = [[(random.random((5, 2)) * 14 - 1).tolist() for _ in range(random.integers(1, 4))] for _ in range(60)]
    together, _ = spans_of(shapes)
    alone = stacked([spans_of([shape])[0] for shape in shapes])
    for ours, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours, expected)
    again = stacked([picked(together, slice(0, 7)), picked(together, slice(7, 60))])
    assert all(np.array_equal(a, b) for a, b in zip(again, together, strict=True))
    odd, even = np.arange(1, 60, 2), np.arange(0, 60, 2)
    parts = [(rows, stacked([picked(together, slice(row, row + 1)) for row in rows])) for rows in (odd, even)]
    assert all(np.array_equal(a, b) for a, b in zip(placed(parts, 60), together, strict=True))
    pairs = joined_spans(together, np.arange(0, 61, 2))
    np.testing.assert_array_equal(mask_of(pairs, 4), mask_of(together, 8) | mask_of(together, 9))


def test_spans_of_a_mask_are_its_runs():
    random = np.random.default_rng(4)
    for _ in range(50):
        mask = random.random((HEIGHT, WIDTH)) < 0.5
        spans = mask_spans(mask)
        np.testing.assert_array_equal(mask_of(spans, 0), mask)
        line = spans.row * WIDTH
        runs = line + spans.start, line + spans.stop
        pixels = runs_to_pixels(*runs, np.full(len(line), 7, np.uint8), HEIGHT * WIDTH)
        np.testing.assert_array_equal(pixels.reshape(HEIGHT, WIDTH), mask * 7)


def test_a_disc_has_the_pixels_whose_centres_lie_in_the_circle():
    random = np.random.default_rng(5)
    centre, radius = random.uniform(-3, 14, (80, 2)), random.uniform(0.1, 9, 80)
    spans = disc_spans(centre, radius, np.full(80, WIDTH), np.full(80, HEIGHT))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for number in range(80):
        distance = np.hypot(x - centre[number, 0], y - centre[number, 1])
        sure = np.abs(distance - radius[number]) > 1e-9
        np.testing.assert_array_equal(mask_of(spans, number)[sure], (distance < radius[number])[sure])


def test_outlines_along_pixel_edges_are_those_of_pycocotools():
    random = np.random.default_rng(6)
    for _ in range(50):
        mask = random.random((HEIGHT, WIDTH)) < 0.6
        for outline, *_ in raster.mask_to_regions(mask):
            theirs = judge.decode(judge.merge(judge.frPyObjects([outline], HEIGHT, WIDTH)))
            ours = raster.regions_to_mask([[outline]], WIDTH, HEIGHT)
            np.testing.assert_array_equal(ours, theirs)


def test_painting_a_small_shape_in_a_large_picture_costs_a_mask_and_little_more():
    import tracemalloc

    tracemalloc.start()
    mask = raster.regions_to_mask([[[10, 10, 60, 10, 60, 60, 10, 60]]], 4000, 3000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask.sum() == 2500
    assert peak < 1.2 * mask.nbytes
