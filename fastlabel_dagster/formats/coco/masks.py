"""COCO's run-length masks as regions, and what is wrong with those that are damaged.

Most masks fill a small part of their picture, and only that is painted. Many such windows lie below one another on one
canvas, which is traced at once: looking at a small mask costs no more than its share of the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import ANNOTATION_TYPES
from fastlabel_dagster.formats.coco.columns import list_array
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.outline_trace import rings_of
from fastlabel_dagster.labels.painting import runs_to_pixels
from fastlabel_dagster.labels.ragged import Ints, offsets_of, ranges

#: A mask of more pixels than readers of COCO count is damaged; and its columns that have some must fit into memory.
_MOST_COUNTED = 2**32 - 1
_MOST_PIXELS = 2**28
#: A canvas stays within the processor's caches, unless a single mask is larger.
_CANVAS_PIXELS = 2**19


class RunMask(NamedTuple):
    """One run-length mask before it is traced."""

    begin: Ints
    """int64[k]: where its runs begin, counting the pixels of the picture column by column."""
    end: Ints
    """int64[k]: and where they end."""
    area: int
    """Its number of pixels."""
    box: tuple[int, int, int, int]
    """Around its pixels: x1, y1, x2, y2."""
    size: tuple[int, int]
    """Width and height of the picture."""


def run_mask(segmentation: dict[str, Any]) -> RunMask | None:
    """A segmentation by run lengths of either kind; None when it has no pixel. Raises ValueError when it is
    damaged."""
    try:
        counts = segmentation["counts"]
        height, width = (int(side) for side in segmentation["size"])
        if height <= 0 or width <= 0 or height * width > _MOST_COUNTED:
            raise ValueError(f"a mask cannot have {height} x {width} pixels")
        runs = raster.runs_of(raster.decode_rle(counts) if isinstance(counts, str | bytes) else counts, height, width)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    edges = np.cumsum(runs)
    begin, end = edges[:-1:2], edges[1::2]
    if not runs[1::2].all():
        begin, end = begin[begin < end], end[begin < end]
    if not len(begin):
        return None
    first, last = begin // height, (end - 1) // height
    x1, x2 = int(first[0]), int(last[-1]) + 1
    if (x2 - x1) * height > _MOST_PIXELS:
        raise ValueError(f"a mask of {height} x {x2 - x1} pixels is too large to be traced")
    y1, y2 = 0, height
    if (first == last).all():  # otherwise one goes on at the head of the next column
        y1, y2 = int((begin - first * height).min()), int((end - last * height).max())
    return RunMask(begin, end, int((end - begin).sum()), (x1, y1, x2, y2), (width, height))


def regions_of(masks: Sequence[RunMask]) -> pa.Array:
    """The regions of each: ``list<list<list<double>>>[n]``, those of :func:`raster.mask_to_regions`."""
    boxes = np.array([mask.box for mask in masks], np.int64).reshape(-1, 4)
    parts = [pa.array([], ANNOTATION_TYPES["regions"])]
    high, wide, first = 0, 0, 0
    for place, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if place > first and (high + y2 - y1 + 1) * max(wide, x2 - x1) > _CANVAS_PIXELS:
            parts.append(_traced_together(masks[first:place], boxes[first:place]))
            high, wide, first = 0, 0, place
        high, wide = high + y2 - y1 + 1, max(wide, x2 - x1)
    if len(masks):
        parts.append(_traced_together(masks[first:], boxes[first:]))
    return pa.concat_arrays(parts)


def _traced_together(masks: Sequence[RunMask], boxes: Ints) -> pa.Array:
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    top = offsets_of(high + 1)  # a row is free between two of them
    canvas = np.zeros((top[-1], wide.max()), np.bool_)
    for mask, (x1, y1, x2, y2), start in zip(masks, boxes.tolist(), top.tolist(), strict=False):
        canvas[start : start + y2 - y1, : x2 - x1] = _columns(mask)[:, y1:y2].T
    rings = rings_of(canvas)
    owner = np.searchsorted(top, rings.corners[rings.offsets[:-1], 1], side="right") - 1
    lengths = np.diff(rings.offsets)
    moves = boxes[owner, :2]
    moves[:, 1] -= top[owner]
    corners = rings.corners + np.repeat(moves, lengths, axis=0)
    order = np.argsort(rings.region, kind="stable")
    numbers = corners[ranges(rings.offsets[order], lengths[order])].astype(np.float64).reshape(-1)
    regions, count = np.unique(rings.region, return_counts=True)
    of_ring = list_array(2 * offsets_of(lengths[order]), pa.array(numbers))
    of_region = list_array(offsets_of(count), of_ring)
    return list_array(offsets_of(np.bincount(owner[regions], minlength=len(masks))), of_region)


def _columns(mask: RunMask) -> raster.Mask:
    """bool[w, h]: the columns of the picture that have pixels of the mask."""
    x1, _, x2, _ = mask.box
    height = mask.size[1]
    values = np.ones(len(mask.begin), np.bool_)
    return runs_to_pixels(mask.begin - x1 * height, mask.end - x1 * height, values, (x2 - x1) * height).reshape(
        -1, height
    )
