"""Masks, run lengths and outlines against pycocotools, and against themselves for every small mask hypothesis finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as judge

from fastlabel_dagster.labels import raster

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def signed_area(ring: list[float]) -> float:
    points = np.array(ring).reshape(-1, 2)
    return float((points[:-1, 0] * points[1:, 1] - points[1:, 0] * points[:-1, 1]).sum() / 2)


@settings(max_examples=300, deadline=None)
@given(masks)
def test_any_mask_survives_outlines(mask):
    regions = raster.mask_to_regions(mask)
    height, width = mask.shape
    np.testing.assert_array_equal(raster.regions_to_mask(regions, width, height), mask)
    for outline, *holes in regions:
        assert signed_area(outline) > 0, "outlines run clockwise on screen (y downwards)"
        assert all(signed_area(hole) < 0 for hole in holes)
        assert all(ring[:2] == ring[-2:] for ring in (outline, *holes))
    assert sum(signed_area(ring) for region in regions for ring in region) == mask.sum()


@settings(max_examples=200, deadline=None)
@given(masks)
def test_run_lengths_are_those_of_pycocotools(mask):
    height, width = mask.shape
    encoded = judge.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = raster.decode_rle(encoded["counts"])
    assert sum(counts[1::2]) == mask.sum() == judge.area(encoded)
    np.testing.assert_array_equal(raster.rle_to_mask(counts, height, width), mask)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 15), st.floats(-5, 15)), min_size=3, max_size=7))
def test_a_pixel_belongs_when_its_centre_is_inside(polygon):
    """Against the crossing-number test of one point at a time."""
    got = raster.regions_to_mask([[[c for p in polygon for c in p]]], 10, 9)
    for row in range(9):
        for column in range(10):
            x, y, inside, close = column + 0.5, row + 0.5, False, False
            for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
                if (y1 <= y) != (y2 <= y):
                    crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
                    close |= abs(crossing - x) < 1e-9
                    inside ^= crossing <= x
            assert close or got[row, column] == inside


def test_pixels_that_touch_at_a_corner_are_two_regions():
    mask = np.zeros((4, 4), bool)
    mask[1, 1] = mask[2, 2] = True
    assert raster.mask_to_regions(mask) == [
        [[1, 1, 2, 1, 2, 2, 1, 2, 1, 1]],
        [[2, 2, 3, 2, 3, 3, 2, 3, 2, 2]],
    ]


def test_a_hole_belongs_to_the_region_around_it():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[2:7, 2:7] = False
    mask[4, 4] = True  # an island in the hole
    (outline, hole), (island,) = raster.mask_to_regions(mask)
    assert outline == [1, 1, 8, 1, 8, 8, 1, 8, 1, 1]
    assert sorted(zip(hole[::2], hole[1::2], strict=True))[0] == (2, 2)
    assert island == [4, 4, 5, 4, 5, 5, 4, 5, 4, 4]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3, 3)])
def test_an_empty_mask_has_no_regions(shape):
    mask = np.zeros(shape, bool)
    assert raster.mask_to_regions(mask) == []
    np.testing.assert_array_equal(raster.regions_to_mask([], shape[1], shape[0]), mask)
    np.testing.assert_array_equal(raster.rle_to_mask([mask.size] if mask.size else [], *shape), mask)


def test_shapes_that_share_an_edge_share_no_pixel_and_leave_no_gap():
    left, right = [0, 0, 7.3, 0, 2.1, 9], [7.3, 0, 9, 9, 2.1, 9]
    both = [raster.regions_to_mask([[ring]], 9, 9) for ring in (left, right)]
    assert not (both[0] & both[1]).any()
    whole = raster.regions_to_mask([[[0, 0, 7.3, 0, 9, 9, 2.1, 9]]], 9, 9)
    np.testing.assert_array_equal(both[0] | both[1], whole)


def test_overlapping_regions_are_united():
    squares = [[[0, 0, 4, 0, 4, 4, 0, 4]], [[2, 2, 6, 2, 6, 6, 2, 6]]]
    assert raster.regions_to_mask(squares, 8, 8).sum() == 16 + 16 - 4


@pytest.mark.parametrize("text", ["0", "P", "\x00", "`" * 3, "oooooooooooooo0"])
def test_damaged_run_lengths_say_so(text):
    if text == "0":
        assert raster.decode_rle(text) == [0]
        return
    with pytest.raises(ValueError, match="run lengths"):
        raster.decode_rle(text)


def test_counts_that_do_not_fit_the_picture_say_so():
    with pytest.raises(ValueError, match="5, not to 2 x 2"):
        raster.rle_to_mask([1, 4], 2, 2)
    with pytest.raises(ValueError, match="negative"):
        raster.rle_to_mask([5, -1], 2, 2)
    with pytest.raises(ValueError, match="finite"):
        raster.regions_to_mask([[[0, 0, float("nan"), 1, 1, 1]]], 3, 3)


def test_holes_are_cut_out_of_their_region_wherever_they_lie():
    square, big = [2, 2, 6, 2, 6, 6, 2, 6], [0, 0, 9, 0, 9, 9, 0, 9]
    beside, other = [4, 4, 8, 4, 8, 8, 4, 8], [5, 5, 9, 5, 9, 9, 5, 9]
    assert raster.paint([[square, big]], 10, 10).mask.sum() == 0
    cut = raster.paint([[square, beside, other]], 10, 10)
    assert (cut.mask.sum(), cut.overlaps, cut.holes_leave) == (16 - 4, False, True)
    whole = raster.paint([[square, [3, 3, 5, 3, 5, 5, 3, 5]], [[3, 3, 5, 3, 5, 5, 3, 5]]], 10, 10)
    assert (whole.mask.sum(), whole.overlaps, whole.holes_leave) == (16, False, False)
    assert raster.paint([[square], [beside]], 10, 10).overlaps
