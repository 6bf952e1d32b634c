"""Segmentations as CVAT's masks and back.

A mask is a box of pixels (``left``, ``top``, ``width``, ``height``) and run lengths: the pixels of the box row by row,
runs of background and foreground in turn, beginning with background (which may be 0 long). A pixel belongs to a
segmentation when its centre does, as everywhere here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.text import joined, number_text
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.painting import region_spans
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, all_true, every_column, offsets_of, ranges

#: Pixels: no mask reaches further from the picture's corner.
FARTHEST_SIDE = 2**16
#: Pixels of the box of one mask.
LARGEST = 2**26


class Masks(NamedTuple):
    """The masks of ``k`` segmentations that have a pixel."""

    annotation: Ints
    """int64[k]: row of the annotation."""
    box: Ints
    """int64[k, 4]: left, top, width, height of the smallest box around the pixels."""
    rle: pa.Array
    """string[k]: the run lengths, with ``", "`` between them."""


def masks_of(flat: FlatAnnotations, rows: Ints, size: Floats, box: Floats) -> Masks:
    """The masks of some segmentations, cut to their images.

    Args:
        flat: the batch.
        rows: int64[m], ascending: well-formed segmentations whose box ends before :data:`FARTHEST_SIDE`.
        size: float64[n, 2], width and height of each annotation's image in pixels; NaN where unknown.
        box: float64[n, 4], the box around each annotation.
    """
    rings = ranges(flat.annotation_rings[:-1][rows], np.diff(flat.annotation_rings)[rows])
    lengths = np.diff(flat.ring_offsets)[rings]
    coords = flat.coords[ranges(flat.ring_offsets[:-1][rings], lengths)]
    first = np.flatnonzero(~flat.ring_is_hole[rings])
    owner = np.searchsorted(rows, flat.ring_annotation[rings[first]])
    limit = np.ceil(np.clip(np.fmin(box[rows, 2:], size[rows]), 0, FARTHEST_SIDE)).astype(np.int64)
    spans = region_spans(
        coords, offsets_of(lengths), np.append(first, len(rings)), limit[owner, 0], limit[owner, 1]
    ).spans
    of_span = owner[spans.owner]
    has = np.flatnonzero(np.bincount(of_span, minlength=len(rows)))
    if not len(has):
        return Masks(rows[:0], np.zeros((0, 4), np.int64), pa.array([], pa.string()))
    place = np.searchsorted(of_span, has)
    left, top = np.minimum.reduceat(spans.start, place), np.minimum.reduceat(spans.row, place)
    width = np.maximum.reduceat(spans.stop, place) - left
    height = np.maximum.reduceat(spans.row, place) + 1 - top

    # All masks behind each other on one line of pixels, with one pixel of air between them.
    mask = np.searchsorted(has, of_span)
    begin = offsets_of(width * height + 1)
    line = begin[mask] + (spans.row - top[mask]) * width[mask] - left[mask]
    start, stop = line + spans.start, line + spans.stop
    order = np.argsort(start, kind="stable")
    start, stop, mask = start[order], np.maximum.accumulate(stop[order]), mask[order]
    # Runs that touch or overlap (regions may) are one.
    opens = np.flatnonzero(np.append(True, start[1:] > stop[:-1]))
    start, stop, mask = start[opens], stop[np.append(opens[1:], len(stop)) - 1], mask[opens]
    runs = np.bincount(mask, minlength=len(has))
    end = begin[:-1] + width * height
    last = np.cumsum(runs) - 1
    trailing = stop[last] < end
    counts = 2 * runs + trailing
    offsets = offsets_of(counts)
    lengths = np.empty(offsets[-1], np.int64)
    slot = offsets[:-1][mask] + 2 * ranges(np.zeros(len(has)), runs)
    before = np.append(0, stop[:-1])
    before[last - runs + 1] = begin[:-1]
    lengths[slot], lengths[slot + 1] = start - before, stop - start
    lengths[offsets[1:][trailing] - 1] = (end - stop[last])[trailing]
    return Masks(rows[has], np.column_stack([left, top, width, height]), joined(offsets, number_text(lengths), ", "))


def follow_pixels(flat: FlatAnnotations) -> Bools:
    """bool[n]: every edge runs along the edges of pixels, so that the mask is the very same shape."""
    lengths = np.diff(flat.ring_offsets)
    following = np.arange(1, len(flat.coords) + 1)
    drawn = lengths > 0
    following[flat.ring_offsets[1:][drawn] - 1] = flat.ring_offsets[:-1][drawn]
    with np.errstate(invalid="ignore"):  # infinite coordinates, dropped for themselves
        step = flat.coords[following] - flat.coords if len(flat.coords) else flat.coords
        straight: Bools = (step[:, 0] == 0) | (step[:, 1] == 0)
        straight &= every_column(flat.coords == np.floor(flat.coords))
    return all_true(straight, flat.annotation_vertices)


def regions_of_mask(rle: str, left: int, top: int, width: int, height: int) -> list[list[list[float]]]:
    """Regions (as :mod:`labels.schema` has them) of a mask. Empty when it has no pixel.

    Raises:
        ValueError: for run lengths that do not fit the box, and a box no picture has.
    """
    if width <= 0 or height <= 0 or width * height > LARGEST:
        raise ValueError(f"a mask of {width} x {height} pixels")
    if abs(left) > FARTHEST_SIDE or abs(top) > FARTHEST_SIDE:
        raise ValueError("a mask far outside the image")
    runs = np.array([int(run) for run in rle.split(",")] if rle.strip() else [], object)
    if any(not 0 <= run <= LARGEST for run in runs) or sum(runs) != width * height:
        raise ValueError("run lengths that do not fill the mask's box")
    values = (np.arange(len(runs)) & 1).astype(np.bool_)
    mask = np.repeat(values, runs.astype(np.int64)).reshape(height, width)
    regions = raster.mask_to_regions(mask)
    for region in regions:
        for ring in region:
            ring[0::2] = [x + left for x in ring[0::2]]
            ring[1::2] = [y + top for y in ring[1::2]]
    return regions
