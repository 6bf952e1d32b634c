"""Outlines as runs of pixels, exactly and for many shapes at once, by the rule of
:mod:`fastlabel_dagster.labels.raster`: a pixel belongs to a shape when its centre does.

A *span* is a row, the first pixel of a run in it, and the pixel behind the run. The work is that of the outlines, not
that of the pictures; filling a mask from spans is plain copying.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, ranges

_FEWEST_VERTICES = 3
_NOTHING = np.zeros(0, np.int64)
#: Pixels of a region with odd holes that are painted at once, in whole rows: memory is bounded, however large it is.
_AT_ONCE = 2**22
Pixel = TypeVar("Pixel", bound=np.generic)


class Spans(NamedTuple):
    """Runs of pixels of ``n`` shapes. Those of shape ``i`` are ``offsets[i]:offsets[i + 1]``, by row and column; no two
    of them share a pixel."""

    offsets: Ints
    """int64[n + 1] into the other three."""
    row: Ints
    start: Ints
    """The first column of each run."""
    stop: Ints
    """The column behind it, always greater than ``start``."""

    @property
    def owner(self) -> Ints:
        """The shape of each run."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @property
    def areas(self) -> Ints:
        """int64[n]: pixels of each shape."""
        pixels = offsets_of(self.stop - self.start)
        return np.diff(pixels[self.offsets])


class RegionSpans(NamedTuple):
    """The spans of regions, and what is odd about them."""

    spans: Spans
    holes_leave: Bools
    """bool[n]: a hole has a pixel outside its region's outline."""


def region_spans(coords: Floats, ring_offsets: Ints, regions: Ints, width: Ints, height: Ints) -> RegionSpans:
    """The pixels of each region: those whose centres lie in its outline and in none of its holes, wherever these lie.

    Args:
        coords: float64[m, 2], finite vertices in pixels.
        ring_offsets: int64[r + 1] into ``coords``. Rings are closed by themselves; one that crosses itself follows the
            even-odd rule, one of fewer than three vertices has no pixel.
        regions: int64[n + 1] into the rings: the outline of each region, then its holes.
        width: int64[n], width of each region's picture in pixels.
        height: int64[n], height likewise.
    """
    counts = np.diff(regions)
    region = np.repeat(np.arange(len(counts)), counts)
    crossed = _crossings(coords, ring_offsets, width[region], height[region])
    # Outline and holes together by the even-odd rule: that is the region, if every hole lies inside and no two meet.
    spans = _paired(region[crossed.ring], crossed, width, height)
    leave = np.zeros(len(counts), np.bool_)
    if counts.size and counts.max() > 1:
        holed = (counts > 1)[region[crossed.ring]]
        some = _Crossings(crossed.ring[holed], crossed.row[holed], crossed.column[holed])
        rings = _paired(some.ring, some, width[region], height[region])
        sign = np.ones(len(region), np.int64)
        sign[ranges(regions[:-1] + 1, np.maximum(counts - 1, 0))] = -1
        expected = offsets_of(sign * rings.areas)
        odd = np.flatnonzero((counts > 1) & (np.diff(expected[regions]) != spans.areas))
        if len(odd):
            spans = _replaced(
                spans,
                odd,
                [_without_holes(rings, regions[row : row + 2], leave, row) for row in odd.tolist()],
            )
    return RegionSpans(spans, leave)


def disc_spans(centre: Floats, radius: Floats, width: Ints, height: Ints) -> Spans:
    """The pixels whose centres lie inside circles.

    Args:
        centre: float64[n, 2] in pixels.
        radius: float64[n], positive, in pixels.
        width: int64[n], width of each circle's picture in pixels.
        height: int64[n], height likewise.
    """
    first = np.clip(np.ceil(centre[:, 1] - radius - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(centre[:, 1] + radius - 0.5), 0, height).astype(np.int64) - first
    disc = np.repeat(np.arange(len(radius)), rows)
    row = ranges(first, rows)
    half = np.sqrt(np.maximum(radius[disc] ** 2 - (row + 0.5 - centre[disc, 1]) ** 2, 0))
    start = np.clip(np.ceil(centre[disc, 0] - half - 0.5), 0, width[disc]).astype(np.int64)
    stop = np.clip(np.ceil(centre[disc, 0] + half - 0.5), 0, width[disc]).astype(np.int64)
    filled = stop > start
    return Spans(offsets_of(np.bincount(disc[filled], minlength=len(radius))), row[filled], start[filled], stop[filled])


def mask_spans(mask: Bools, top: int = 0, left: int = 0) -> Spans:
    """The runs of one mask (bool[h, w]) that lies at (``top``, ``left``) of its picture."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).view(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    return Spans(np.array([0, len(row)]), row + top, start + left, stop + left)


def joined_spans(spans: Spans, offsets: Ints) -> Spans:
    """Shapes put together: shape ``i`` becomes all of ``offsets[i]:offsets[i + 1]``. Their runs stay as they are, one
    part after the other, so runs of two parts may share pixels."""
    return spans._replace(offsets=spans.offsets[offsets])


class _Crossings(NamedTuple):
    """Where the edges of rings cross the centre lines of rows: the pixels from ``column`` on lie behind the edge."""

    ring: Ints
    row: Ints
    column: Ints


def _crossings(coords: Floats, offsets: Ints, width: Ints, height: Ints) -> _Crossings:
    lengths = np.diff(offsets)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    following = np.arange(1, len(coords) + 1)
    drawn = lengths > 0
    following[offsets[1:][drawn] - 1] = offsets[:-1][drawn]
    x, y = np.ascontiguousarray(coords[:, 0]), np.ascontiguousarray(coords[:, 1])
    after = y[following]
    # Row r is crossed when min <= r + 0.5 < max.
    limit = height[ring]
    first = np.clip(np.ceil(np.minimum(y, after) - 0.5), 0, limit).astype(np.int64)
    rows = np.clip(np.ceil(np.maximum(y, after) - 0.5), 0, limit).astype(np.int64) - first
    rows[lengths[ring] < _FEWEST_VERTICES] = 0
    steep = np.flatnonzero(rows)
    following, first, rows, ring = following[steep], first[steep], rows[steep], ring[steep]
    # Always from the upper to the lower end, so that two shapes sharing an edge compute the very same crossing.
    down = y[steep] <= y[following]
    upper, lower = np.where(down, steep, following), np.where(down, following, steep)
    slope = (x[lower] - x[upper]) / (y[lower] - y[upper])
    row = ranges(first, rows)
    crossing = np.repeat(x[upper], rows) + (row + 0.5 - np.repeat(y[upper], rows)) * np.repeat(slope, rows)
    column = np.clip(np.ceil(crossing - 0.5), 0, np.repeat(width[ring], rows)).astype(np.int64)
    return _Crossings(np.repeat(ring, rows), row, column)


def _paired(owner: Ints, crossed: _Crossings, width: Ints, height: Ints) -> Spans:
    """Spans of the owners of crossings: in each row one crossing enters, the next one leaves."""
    shapes = len(width)
    if not len(owner):
        return Spans(np.zeros(shapes + 1, np.int64), _NOTHING, _NOTHING, _NOTHING)
    lines = offsets_of(height)
    bits = int(crossed.column.max()).bit_length()
    keys = ((lines[owner] + crossed.row) << bits) | crossed.column
    keys.sort()
    line, column = keys[0::2] >> bits, keys & ((1 << bits) - 1)
    start, stop = column[0::2], column[1::2]
    owner = np.repeat(np.arange(shapes), np.bincount(owner, minlength=shapes) // 2)
    # Empty runs go; one that begins where the one before it ends (a hole along an outline's edge) stays by itself.
    filled = np.flatnonzero(stop > start)
    owner = owner[filled]
    offsets = offsets_of(np.bincount(owner, minlength=shapes))
    return Spans(offsets, line[filled] - lines[owner], start[filled], stop[filled])


def _without_holes(rings: Spans, numbers: Ints, leave: Bools, region: int) -> Spans:
    """The spans of one region whose holes meet each other or leave the outline; ``leave[region]`` is set if they do."""
    pieces = [slice(int(rings.offsets[ring]), int(rings.offsets[ring + 1])) for ring in range(*numbers.tolist())]
    every = slice(pieces[0].start, pieces[-1].stop)
    row, start, stop = rings.row[every], rings.start[every], rings.stop[every]
    if not len(row):
        return Spans(np.zeros(2, np.int64), row, start, stop)
    left, width = int(start.min()), int(stop.max() - start.min())
    bottom, high = int(row.max()) + 1, max(1, _AT_ONCE // width)
    found: list[Spans] = []
    for top in range(int(row.min()), bottom, high):
        shape = min(high, bottom - top), width
        outline, holes = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        for number, piece in enumerate(pieces):
            some = piece.start + np.searchsorted(rings.row[piece], (top, top + high))
            fill(holes if number else outline, rings, slice(*some.tolist()), top=top, left=left)
        leave[region] |= (holes & ~outline).any()
        found.append(mask_spans(outline & ~holes, top, left))
    together = stacked(found)
    return together._replace(offsets=together.offsets[[0, -1]])


def fill(mask: NDArray[Any], spans: Spans, which: slice, *, top: int = 0, left: int = 0) -> None:
    """Set the pixels of ``which`` spans in ``mask``, a C-contiguous array that begins at (``top``, ``left``) of the
    picture. For spans that share pixels; otherwise :func:`runs_to_pixels` is many times faster."""
    flat = mask.reshape(-1)
    line = (spans.row[which] - top) * mask.shape[1] - left
    for start, stop in zip((line + spans.start[which]).tolist(), (line + spans.stop[which]).tolist(), strict=True):
        flat[start:stop] = True


def runs_to_pixels(start: Ints, stop: Ints, values: NDArray[Pixel], size: int) -> NDArray[Pixel]:
    """``size`` pixels in a row, each 0 or the one of ``values`` whose run (``start`` to ``stop``) it lies in. The runs
    are sorted and share no pixel."""
    lengths = np.empty(2 * len(start) + 1, np.int64)
    lengths[1::2] = stop - start
    lengths[0::2] = np.append(start, size) - np.append(0, stop)
    colours = np.zeros(len(lengths), values.dtype)
    colours[1::2] = values
    return np.repeat(colours, lengths)


def stacked(parts: Sequence[Spans]) -> Spans:
    """The shapes of all ``parts``, one after the other."""
    counts = [np.diff(part.offsets) for part in parts]
    columns = [[part[place] for part in parts] for place in (1, 2, 3)]
    row, start, stop = (np.concatenate([_NOTHING, *column]) for column in columns)
    return Spans(offsets_of(np.concatenate([_NOTHING, *counts])), row, start, stop)


def placed(parts: Sequence[tuple[Ints, Spans]], shapes: int) -> Spans:
    """The spans of ``shapes`` shapes from those of some of them: (which ones, their spans). A shape that several parts
    have gets all of their runs, in the order of the parts."""
    owner = np.concatenate([which[spans.owner] for which, spans in parts])
    order = np.argsort(owner, kind="stable")
    row, start, stop = (np.concatenate([spans[column] for _, spans in parts])[order] for column in (1, 2, 3))
    return Spans(offsets_of(np.bincount(owner, minlength=shapes)), row, start, stop)


def picked(spans: Spans, shapes: slice) -> Spans:
    """Some shapes that follow each other."""
    offsets = spans.offsets[shapes.start : shapes.stop + 1]
    which = slice(int(offsets[0]), int(offsets[-1]))
    return Spans(offsets - offsets[0], spans.row[which], spans.start[which], spans.stop[which])


def _replaced(spans: Spans, rows: Ints, others: list[Spans]) -> Spans:
    """``spans`` with those of the shapes ``rows`` taken from ``others``."""
    parts, place = [], 0
    for row, other in zip(rows.tolist(), others, strict=True):
        parts += [picked(spans, slice(place, row)), other]
        place = row + 1
    return stacked([*parts, picked(spans, slice(place, len(spans.offsets) - 1))])
