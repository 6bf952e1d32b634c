"""Run lengths of many shapes at once, beside each shape painted alone."""

from __future__ import annotations

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


@pytest.mark.parametrize("at_once", [140, module._AT_ONCE])  # about two shapes, all of them
@settings(deadline=None, max_examples=150)
@given(shapes=st.lists(_REGIONS, min_size=1, max_size=5), width=st.integers(1, 10), height=st.integers(1, 10))
def test_each_shape_has_the_runs_of_its_mask(shapes, width, height, at_once):
    annotations = [{"id": str(k), "type": "segmentation", "value": "a", "points": s} for k, s in enumerate(shapes)]
    task = {"id": "1", "name": "a.png", "width": width, "height": height, "annotations": annotations}
    flat = flatten(labels.from_fastlabel([task], []).tasks)
    drawn = flat.well_formed & (flat.annotation_rings[1:] > flat.annotation_rings[:-1])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_AT_ONCE", at_once)
        found = run_lengths(flat, drawn, np.column_stack([flat.width, flat.height]))
    for place, row in enumerate(found.rows.tolist()):
        painting = raster.paint(shapes[row], width, height)
        counts = found.counts[found.offsets[place] : found.offsets[place + 1]].tolist()
        judged = judge.encode(np.asfortranarray(painting.mask.astype(np.uint8)))
        assert counts == raster.decode_rle(judged["counts"])
        assert found.area[place] == painting.mask.sum()
        assert found.overlapping[row] == painting.overlaps
        assert found.leaving[row] == painting.holes_leave
