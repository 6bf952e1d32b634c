"""Run lengths of many shapes at once, beside each shape painted alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from fastlabel_dagster import labels
from fastlabel_dagster.formats.coco import run_lengths as module
from fastlabel_dagster.formats.coco.run_lengths import run_lengths
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.geometry import flatten

_PLACE = st.one_of(st.integers(-2, 12), st.sampled_from([0.5, 1.5, 3.5, 7.25]))
_CORNERS = st.lists(st.tuples(_PLACE, _PLACE), min_size=3, max_size=6)


def _along_edges(corners):
    """Level and upright edges only."""
    following = [*corners[1:], corners[0]]
    return [number for (x, y), (_, below) in zip(corners, following, strict=True) for number in (x, y, x, below)]


_WHOLE = st.just([0, 0, 20, 0, 20, 20, 0, 20])  # all of any picture here, and more
_RING = st.one_of(
    _CORNERS.map(_along_edges),
    _CORNERS.map(lambda corners: [number for corner in corners for number in corner]),
    _WHOLE,
)
_REGIONS = st.lists(st.lists(_RING, min_size=1, max_size=3), min_size=1, max_size=3)


# About two shapes and a column or some, all of them and all columns.
@pytest.mark.parametrize(("at_once", "window"), [(140, 30), (module._AT_ONCE, module._WINDOW)])
@settings(deadline=None, max_examples=150)
@given(shapes=st.lists(_REGIONS, min_size=1, max_size=5), width=st.integers(1, 10), height=st.integers(1, 10))
def test_each_shape_has_the_runs_of_its_mask(shapes, width, height, at_once, window):
    annotations = [{"id": str(k), "type": "segmentation", "value": "a", "points": s} for k, s in enumerate(shapes)]
    task = {"id": "1", "name": "a.png", "width": width, "height": height, "annotations": annotations}
    flat = flatten(labels.from_fastlabel([task], []).tasks)
    drawn = flat.well_formed & (flat.annotation_rings[1:] > flat.annotation_rings[:-1])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_AT_ONCE", at_once)
        patched.setattr(module, "_WINDOW", window)
        found = run_lengths(flat, drawn, np.column_stack([flat.width, flat.height]))
    for place, row in enumerate(found.rows.tolist()):
        painting = raster.paint(shapes[row], width, height)
        counts = found.counts[found.offsets[place] : found.offsets[place + 1]].tolist()
        judged = judge.encode(np.asfortranarray(painting.mask.astype(np.uint8)))
        assert counts == raster.decode_rle(judged["counts"])
        assert found.area[place] == painting.mask.sum()
        assert found.overlapping[row] == painting.overlaps
        assert found.leaving[row] == painting.holes_leave


def test_a_shape_as_large_as_an_aerial_picture_takes_little_memory():
    width, height = 8000, 5000
    shape = [
        [[0, height / 2, width / 2, 0, width, height / 2, width / 2, height], [4000, 3000, 5000, 3000, 4500, 3500]]
    ]
    task = {"id": "1", "name": "a.png", "width": width, "height": height}
    annotation = {"id": "1", "type": "segmentation", "value": "a", "points": shape}
    flat = flatten(labels.from_fastlabel([{**task, "annotations": [annotation]}], []).tasks)
    tracemalloc.start()
    try:
        found = run_lengths(flat, np.array([True]), np.array([[width, height]], np.float64))
        assert tracemalloc.get_traced_memory()[1] < width * height / 4
    finally:
        tracemalloc.stop()
    judged = judge.encode(np.asfortranarray(raster.paint(shape, width, height).mask.astype(np.uint8)))
    assert found.counts.tolist() == raster.decode_rle(judged["counts"])
