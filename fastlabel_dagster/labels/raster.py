"""Between pixels and outlines, exactly: masks, COCO run lengths and polygon regions.

One rule throughout: *a pixel belongs to a shape when its centre does*. Pixel (column ``c``, row ``r``) is the unit
square with corners (c, r) and (c + 1, r + 1); its centre is (c + 0.5, r + 0.5). A centre that lies exactly on an
edge belongs to the shape on its right (on its lower side for a horizontal edge), so shapes that share an edge share
no pixel.

Regions are those of :mod:`fastlabel_dagster.labels.schema`: region -> ring -> flat ``[x, y, x, y, …]`` in pixels,
the first ring of a region its outline and the others its holes.

Run lengths are COCO's: the mask is read column by column (Fortran order) and the counts alternate between background
and foreground, beginning with background. The text form is the one ``pycocotools`` reads and writes: every count
from the fourth on is stored as the difference to the count two places before, in groups of five bits, lowest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from fastlabel_dagster.labels.outline_trace import trace
from fastlabel_dagster.labels.painting import fill, region_spans, runs_to_pixels
from fastlabel_dagster.labels.ragged import offsets_of

Mask: TypeAlias = npt.NDArray[np.bool_]
#: A ring as flat numbers [x, y, x, y, …]; closed or not, both are read.
Ring: TypeAlias = Sequence[float] | npt.NDArray[np.float64]
#: Outline first, then the holes.
Region: TypeAlias = Sequence[Ring]


def rle_to_mask(counts: Sequence[int] | npt.NDArray[np.int64], height: int, width: int) -> Mask:
    """The mask (bool, ``height`` x ``width``) of uncompressed COCO ``counts``.

    Raises ValueError when the counts are negative or do not add up to the number of pixels.
    """
    runs = runs_of(counts, height, width)
    values = (np.arange(runs.size) & 1).astype(np.bool_)
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def runs_of(counts: Sequence[int] | npt.NDArray[np.integer], height: int, width: int) -> npt.NDArray[np.int64]:
    """Uncompressed COCO ``counts`` of a mask of ``height`` x ``width`` as int64.

    Raises ValueError when they are negative or do not add up to the number of pixels.
    """
    runs = np.asarray(counts, np.int64)
    if runs.ndim != 1:
        raise ValueError("run lengths are one list of numbers")
    if runs.size and runs.min() < 0:
        raise ValueError("run lengths must not be negative")
    # One by one first: the sum of huge ones goes over the largest number there is, and comes out right again.
    if runs.size and runs.max() > height * width:
        raise ValueError(f"a run of {int(runs.max())} pixels is longer than all {height} x {width} of them")
    if int(runs.sum()) != height * width:
        raise ValueError(f"run lengths add up to {int(runs.sum())}, not to {height} x {width} pixels")
    return runs


def decode_rle(text: str | bytes) -> list[int]:
    """Uncompressed counts of COCO's compressed run-length ``text``. Raises ValueError when the text is cut short or
    damaged."""
    raw = np.frombuffer(text.encode("ascii") if isinstance(text, str) else bytes(text), np.uint8).astype(np.int64) - 48
    if raw.size == 0:
        return []
    if raw.min() < 0 or raw.max() > 63:
        raise ValueError("compressed run lengths hold a character that cannot occur in them")
    last = (raw & 0x20) == 0
    if not last[-1]:
        raise ValueError("compressed run lengths end in the middle of a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = np.arange(raw.size) - np.repeat(starts, ends - starts + 1)
    if digits.max() > 11:
        raise ValueError("compressed run lengths hold a number of more than 60 bits")
    numbers = np.add.reduceat((raw & 0x1F) << (5 * digits), starts)
    numbers -= np.where(raw[ends] & 0x10, np.int64(1) << (5 * (ends - starts + 1)), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    if numbers.min() < 0:
        raise ValueError("compressed run lengths decode to a negative count")
    return numbers.tolist()  # type: ignore[no-any-return]


def mask_to_regions(mask: npt.NDArray[np.generic]) -> list[list[list[float]]]:
    """Trace ``mask`` along its pixel edges: regions of closed rings whose vertices are pixel corners (whole numbers).

    A region is a set of pixels connected by their sides; pixels that only touch at a corner are two regions, so no ring
    crosses itself. Outlines run clockwise on screen, holes counter-clockwise; only turning points are kept. Regions are
    ordered by their topmost, then leftmost corner. :func:`regions_to_mask` gives back exactly ``mask``.
    """
    return cast(list[list[list[float]]], trace(_as_mask(mask)).get(1, []))


class Painting(NamedTuple):
    """Regions as pixels, and what is odd about them."""

    mask: Mask
    overlaps: bool
    """Two regions share a pixel."""
    holes_leave: bool
    """A hole has a pixel outside its region's outline."""


def paint(regions: Sequence[Region], width: int, height: int) -> Painting:
    """The pixels (``height`` x ``width``) whose centres lie in any of ``regions``.

    A region is its outline less its holes, wherever those lie; regions are united. A ring that crosses itself follows
    the even-odd rule. Vertices may be fractions and may lie outside the picture. Exact inverse of
    :func:`mask_to_regions`. Raises ValueError on vertices that are not finite.
    """
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for region in regions for ring in region]
    coords = np.concatenate(rings) if rings else np.empty((0, 2))
    if not np.isfinite(coords).all():
        raise ValueError("a region has a vertex that is not a finite number")
    counts = offsets_of(np.array([len(region) for region in regions], np.int64))
    sides = (np.full(len(regions), side, np.int64) for side in (width, height))
    spans, leave = region_spans(coords, offsets_of(np.array([len(ring) for ring in rings], np.int64)), counts, *sides)
    line = spans.row * width
    start, stop = line + spans.start, line + spans.stop
    if len(regions) > 1:
        order = np.argsort(start, kind="stable")
        start, stop = start[order], stop[order]
    overlaps = bool((stop[:-1] > start[1:]).any())
    if overlaps:
        mask = np.zeros((height, width), np.bool_)
        fill(mask, spans, slice(None))
    else:
        mask = runs_to_pixels(start, stop, np.ones(len(start), np.bool_), height * width).reshape(height, width)
    return Painting(mask, overlaps, bool(leave.any()))


def regions_to_mask(regions: Sequence[Region], width: int, height: int) -> Mask:
    """The mask of :func:`paint`."""
    return paint(regions, width, height).mask


def _as_mask(mask: npt.NDArray[np.generic]) -> Mask:
    array = np.asarray(mask)
    if array.ndim != 2:
        raise ValueError(f"a mask has two dimensions (rows, columns), not {array.ndim}")
    return array.astype(np.bool_, copy=False)
