"""Masks as FastLabel points: beside the official SDK's where it is right, and exact where it is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.masks import mask_to_fastlabel_points
from fastlabel_dagster.labels.outline_trace import trace

fastlabel = pytest.importorskip("fastlabel")


@pytest.fixture(scope="module")
def sdk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTLABEL_ACCESS_TOKEN", "unused")
        yield fastlabel.Client()


def rings(points):
    """Regions as lists of turning points, whatever corner a ring begins with."""
    found = []
    for region in points:
        cycles = []
        for ring in region:
            corners = list(zip(ring[:-2:2], ring[1:-2:2], strict=True))
            around = zip([corners[-1], *corners], corners, [*corners[1:], corners[0]], strict=False)
            turns = [b for a, b, c in around if not (a[0] == b[0] == c[0] or a[1] == b[1] == c[1])]
            first = turns.index(min(turns))
            cycles.append(turns[first:] + turns[:first])
        found.append([cycles[0], *sorted(cycles[1:])])
    return sorted(found)


def exported(sdk, points, shape, folder):
    """The pixels the SDK's own mask export paints for these points."""
    annotation = {"id": "a", "type": "segmentation", "value": "c", "points": points}
    task = {"id": "t", "name": "a.png", "width": shape[1], "height": shape[0], "annotations": [annotation]}
    sdk.export_instance_segmentation([task], output_dir=str(folder))
    return np.array(Image.open(folder / "a.png"))


def grown(seed: np.ndarray) -> np.ndarray:
    """Pixels as blocks of three, so that nothing is thin and nothing touches at a corner only."""
    mask = np.kron(seed, np.ones((3, 3), np.uint8))
    closed = cv2.morphologyEx(np.pad(mask, 4), cv2.MORPH_CLOSE, np.ones((2, 2), np.uint8))
    return closed


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8), elements=st.integers(0, 1))
)
def test_points_are_those_of_the_sdk_where_nothing_touches_at_a_corner(sdk, seed):
    mask = grown(seed)
    eight = cv2.connectedComponents(mask, connectivity=8)[0], cv2.connectedComponents(1 - mask, connectivity=8)[0]
    four = cv2.connectedComponents(mask, connectivity=4)[0], cv2.connectedComponents(1 - mask, connectivity=4)[0]
    theirs = sdk.mask_to_fastlabel_segmentation_points(mask.copy())
    if eight == four and np.array_equal(painted(theirs, mask.shape), mask):
        assert rings(mask_to_fastlabel_points(mask)) == rings(theirs)


def painted(points, shape):
    return raster.regions_to_mask(points, shape[1], shape[0])


def test_a_disc_with_a_hole_is_the_same_as_the_sdk_s(sdk):
    mask = np.zeros((90, 120), np.uint8)
    cv2.circle(mask, (60, 45), 40, 255, -1)
    cv2.circle(mask, (50, 40), 12, 0, -1)
    for operation in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):  # no tip of one pixel, on which the SDK's outline turns back
        mask = cv2.morphologyEx(mask, operation, np.ones((3, 3), np.uint8))
    assert rings(mask_to_fastlabel_points(mask)) == rings(sdk.mask_to_fastlabel_segmentation_points(mask))


def test_squares_that_touch_at_a_corner_are_two_regions_where_the_sdk_loses_pixels(sdk, tmp_path):
    mask = np.zeros((12, 12), np.uint8)
    mask[2:6, 2:6] = mask[6:10, 6:10] = 1
    theirs = sdk.mask_to_fastlabel_segmentation_points(mask.copy())
    assert len(theirs) == 1
    assert (exported(sdk, theirs, mask.shape, tmp_path) != mask).sum() == 2
    ours = mask_to_fastlabel_points(mask)
    assert ours == [[[2, 2, 6, 2, 6, 6, 2, 6, 2, 2]], [[6, 6, 10, 6, 10, 10, 6, 10, 6, 6]]]
    np.testing.assert_array_equal(painted(ours, mask.shape), mask > 0)
    np.testing.assert_array_equal(exported(sdk, ours, mask.shape, tmp_path), mask)


PICTURES = {
    "a hole of one pixel": ["#####", "##.##", "#####"],
    "one pixel": ["...", ".#.", "..."],
    "a thin cross": ["..#..", "..#..", "#####", "..#..", "..#.."],
    "holes that touch at a corner": ["####", "#.##", "##.#", "####"],
    "a hole at the border": ["####", "#..#", "#..#"],
    "everything": ["###", "###"],
    "a ring in a ring": ["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
}


@pytest.mark.parametrize("name", PICTURES)
def test_borders_thin_lines_and_small_holes_come_back_to_the_pixel(name):
    mask = np.array([[cell == "#" for cell in row] for row in PICTURES[name]])
    points = mask_to_fastlabel_points(mask)
    np.testing.assert_array_equal(painted(points, mask.shape), mask)
    assert all(type(number) is int for region in points for ring in region for number in ring)


def test_the_sdk_loses_a_pixel_of_its_own_thin_cross_and_none_of_ours(sdk, tmp_path):
    mask = np.pad(np.array([[cell == "#" for cell in row] for row in PICTURES["a thin cross"]]), 3).astype(np.uint8)
    theirs = sdk.mask_to_fastlabel_segmentation_points(mask.copy())
    assert (exported(sdk, theirs, mask.shape, tmp_path) != mask).sum() == 1
    np.testing.assert_array_equal(exported(sdk, mask_to_fastlabel_points(mask), mask.shape, tmp_path), mask)


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=st.integers(0, 4))
)
def test_all_indices_of_a_picture_are_traced_as_each_would_be_alone(image):
    found = trace(image)
    assert list(found) == [index for index in range(1, 5) if (image == index).any()]
    for index, regions in found.items():
        assert regions == raster.mask_to_regions(image == index)


def test_masks_come_as_arrays_colours_and_files(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:5] = 200
    expected = [[[2, 1, 5, 1, 5, 4, 2, 4, 2, 1]]]
    colored = np.dstack([np.zeros_like(mask), mask, np.zeros_like(mask), np.full_like(mask, 255)])
    for form in (mask, mask > 0, mask.astype(np.float32) / 255, mask.astype(np.uint16), colored):
        assert mask_to_fastlabel_points(form) == expected
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), mask)
    assert mask_to_fastlabel_points(path) == mask_to_fastlabel_points(str(path)) == expected
    assert mask_to_fastlabel_points(np.zeros((0, 3))) == []


def test_what_is_no_mask_says_so(tmp_path):
    with pytest.raises(ValueError, match="rows and columns"):
        mask_to_fastlabel_points(np.zeros(4))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (tmp_path / "b.png").write_bytes(b"")
    for name in ("a.png", "b.png"):
        with pytest.raises(ValueError, match="cannot be read as a picture"):
            mask_to_fastlabel_points(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        mask_to_fastlabel_points(tmp_path / "none.png")
