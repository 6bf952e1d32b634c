"""COCO's run lengths of many shapes at once, from their outlines and without painting whole pictures.

Run lengths go down the columns of a picture, spans along its rows. Outlines along pixel edges, which is what
FastLabel's segmentation tool draws, are turned themselves: their spans are then the runs. Where an edge slants, turning
it would decide otherwise about pixels whose centres lie on it; such a shape is painted into its own small window, some
columns at a time, and that is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.coco.columns import list_array
from fastlabel_dagster.formats.outlines import outline_rings
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.painting import Spans, fill, joined_spans, region_spans, runs_to_pixels
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, ranges

_NOTHING = np.zeros(0, np.int64)
#: Vertices of the shapes handled at once: what they take stays in the processor's caches. A shape counts for some, for
#: its spans may need as much memory as its picture.
_AT_ONCE = 2**15
_VERTICES_OF_SHAPE = 64
#: A picture longer than others is worth a vertex for so many of its rows or columns.
_LINES_OF_VERTEX = 64
#: Pixels of a shape with slanting edges that are painted at once: no more than fit into the caches, as they are turned,
#: and into memory, however large the picture is.
_WINDOW = 2**20


@dataclass
class RunLengths:
    """The masks of some of a batch of ``n`` annotations."""

    rows: Ints
    """int64[k]: which annotations, ascending."""
    counts: Ints
    """All run lengths one after the other: background and foreground in turn, background first."""
    offsets: Ints
    """int64[k + 1] into ``counts``."""
    area: Ints
    """int64[k]: pixels of each mask."""
    overlapping: Bools
    """bool[n]: two of its regions share a pixel."""
    leaving: Bools
    """bool[n]: a hole has a pixel outside its region's outline."""

    def column(self, n: int) -> pa.Array:
        """list<int64>[n]; null for annotations without a mask."""
        place = np.full(n, -1, np.int64)
        place[self.rows] = np.arange(len(self.rows))
        lists = list_array(self.offsets, pa.array(self.counts))
        return lists.take(pa.array(place, mask=place < 0))


def run_lengths(flat: FlatAnnotations, wanted: Bools, size: Floats) -> RunLengths:
    """The masks of the annotations ``wanted`` (bool[n]) in pictures of ``size`` (float64[n, 2], width and height in
    pixels); a pixel belongs to a shape when its centre does."""
    rows = np.flatnonzero(wanted)
    overlapping, leaving = np.zeros(len(flat), np.bool_), np.zeros(len(flat), np.bool_)
    if not len(rows):
        return RunLengths(rows, _NOTHING, offsets_of(rows), _NOTHING, overlapping, leaving)
    upright = _is_upright(flat)[rows]
    pieces: list[Ints] = [_NOTHING] * len(rows)
    for is_upright in (True, False):
        which = np.flatnonzero(upright == is_upright)
        lines = size[rows[which]].max(axis=1, initial=0).astype(np.int64)  # of a shape as large as its picture
        vertices = np.diff(flat.annotation_vertices)[rows[which]]
        weight = np.cumsum(vertices + np.maximum(_VERTICES_OF_SHAPE, lines // _LINES_OF_VERTEX)) // _AT_ONCE
        for some in np.split(which, np.flatnonzero(np.diff(weight)) + 1) if len(which) else ():
            found = _runs_of(flat, rows[some], size, overlapping, leaving, turned=is_upright)
            for place, piece in zip(some.tolist(), found, strict=True):
                pieces[place] = piece
    counts = np.concatenate([_NOTHING, *pieces])
    offsets = offsets_of(np.array([len(piece) for piece in pieces], np.int64))
    foreground = np.where(ranges(np.zeros(len(rows)), np.diff(offsets)) % 2, counts, 0)
    area = np.diff(offsets_of(foreground)[offsets])
    return RunLengths(rows, counts, offsets, area, overlapping, leaving)


def _is_upright(flat: FlatAnnotations) -> Bools:
    """bool[n]: all edges of an annotation are level or upright."""
    lengths = np.diff(flat.ring_offsets)
    following = np.arange(1, len(flat.coords) + 1)
    drawn = lengths > 0
    following[flat.ring_offsets[1:][drawn] - 1] = flat.ring_offsets[:-1][drawn]
    x, y = (np.ascontiguousarray(flat.coords[:, axis]) for axis in (0, 1))
    slants = (x != x[following]) & (y != y[following])
    upright = np.isnan(flat.radius)
    upright[flat.ring_annotation[flat.vertex_ring[slants]]] = False
    return upright


def _runs_of(
    flat: FlatAnnotations, rows: Ints, size: Floats, overlapping: Bools, leaving: Bools, *, turned: bool
) -> list[Ints]:
    """The run lengths of each of ``rows``; what is odd about them is marked. ``turned``: columns become rows."""
    wanted = np.zeros(len(flat), np.bool_)
    wanted[rows] = True
    rings = outline_rings(flat, wanted[flat.ring_annotation])
    owner, part = flat.ring_annotation[rings.ring], flat.ring_region[rings.ring]
    first = np.flatnonzero(np.append(True, (owner[1:] != owner[:-1]) | (part[1:] != part[:-1])))
    width, height = (size[owner[first], axis].astype(np.int64) for axis in (0, 1))
    coords, sides = (rings.coords[:, ::-1], (height, width)) if turned else (rings.coords, (width, height))
    spans, holes_leave = region_spans(coords, rings.offsets, np.append(first, len(owner)), *sides)
    leaving[owner[first[holes_leave]]] = True
    spans = joined_spans(spans, offsets_of(np.bincount(owner[first], minlength=len(flat))[rows]))
    size_of_rows = size[rows].astype(np.int64)
    if turned:
        pieces, overlapping[rows] = _turned_runs(spans, size_of_rows)
        return pieces
    pieces = []
    bounds = spans.offsets.tolist()
    for row, begin, stop, (wide, high) in zip(
        rows.tolist(), bounds[:-1], bounds[1:], size_of_rows.tolist(), strict=True
    ):
        runs, overlapping[row] = _column_runs(spans, slice(begin, stop), wide, high)
        pieces.append(runs)
    return pieces


def _turned_runs(spans: Spans, sides: Ints) -> tuple[list[Ints], Bools]:
    """The run lengths of shapes from spans along the columns (``row`` is one) of pictures of ``sides`` (int64[k, 2],
    width and height), and whether a shape's spans share pixels."""
    size = sides[:, 0] * sides[:, 1]
    base = offsets_of(size)
    shape = spans.owner
    line = base[shape] + spans.row * sides[shape, 1]
    begin, end = line + spans.start, line + spans.stop
    overlapping = np.zeros(len(size), np.bool_)
    back = np.flatnonzero(end[:-1] > begin[1:])  # several regions: in no order, or sharing pixels
    if len(back):
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], end[order]
        reach = np.maximum.accumulate(end)
        overlapping[shape[1:][reach[:-1] > begin[1:]]] = True
        end = reach
    # A run that begins where the one before it ends is one with it.
    goes_on = (end[:-1] >= begin[1:]) & (shape[:-1] == shape[1:])
    heads = np.flatnonzero(np.append(True, ~goes_on)[: len(begin)])
    tails = np.flatnonzero(np.append(~goes_on, True)[: len(begin)])
    counts = np.bincount(shape[heads], minlength=len(size))
    edges = np.column_stack([begin[heads], end[tails]]).reshape(-1)
    offsets = 2 * offsets_of(counts) + np.arange(len(size) + 1) * 2
    borders = np.empty(offsets[-1], np.int64)
    borders[offsets[:-1]], borders[offsets[1:] - 1] = base[:-1], base[1:]
    borders[ranges(offsets[:-1] + 1, 2 * counts)] = edges
    runs = np.diff(borders)
    # Nothing is left behind a shape that reaches the last pixel.
    last = offsets[1:] - 1 - ((runs[offsets[1:] - 2] == 0) & (counts > 0))
    return [runs[a:b] for a, b in zip(offsets[:-1].tolist(), last.tolist(), strict=True)], overlapping


def _column_runs(spans: Spans, which: slice, width: int, height: int) -> tuple[Ints, bool]:
    """The run lengths of one shape, and whether its spans share pixels."""
    row, start, stop = spans.row[which], spans.start[which], spans.stop[which]
    if not len(row):
        return np.array([height * width]), False
    shape = Spans(np.array([0, len(row)]), row, start, stop)
    top, left, right = int(row.min()), int(start.min()), int(stop.max())
    # A row more than the shape has: so no run goes over from the foot of one column to the head of the next.
    high = int(row.max()) + 2 - top
    wide = max(1, _WINDOW // high)
    found, overlaps = [], False
    for first in range(left, right, wide):
        last = min(first + wide, right)
        some = shape if last - first == right - left else _between(shape, first, last)
        pixels, shared = _painted(some, top, first, (high, last - first))
        bits = np.concatenate([[False], pixels.T.reshape(-1)])
        column, inner = np.divmod(np.flatnonzero(bits[1:] != bits[:-1]), high)
        found.append((first + column) * height + top + inner)
        overlaps |= shared
    edges = np.concatenate(found)
    # Where the shape is as high as the picture, a run does go over: its end is the next one's beginning.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate([same, same + 1]))
    runs = np.diff(np.concatenate([[0], edges, [height * width]]))
    return (runs[:-1] if edges[-1] == height * width else runs), overlaps


def _between(shape: Spans, first: int, last: int) -> Spans:
    """What of the spans of one shape lies in the columns from ``first`` up to ``last``."""
    inside = np.flatnonzero((shape.start < last) & (shape.stop > first))
    start, stop = np.maximum(shape.start[inside], first), np.minimum(shape.stop[inside], last)
    return Spans(np.array([0, len(inside)]), shape.row[inside], start, stop)


def _painted(shape: Spans, top: int, left: int, size: tuple[int, int]) -> tuple[Bools, bool]:
    """The spans of one shape in a window (bool[h, w], ``size``) that begins at (``top``, ``left``) of the picture, and
    whether they share pixels."""
    high, wide = size
    line = (shape.row - top) * wide - left
    order = np.argsort(line + shape.start, kind="stable")
    begin, end = (line + shape.start)[order], (line + shape.stop)[order]
    if (end[:-1] > begin[1:]).any():
        window = np.zeros(size, np.bool_)
        fill(window, shape, slice(None), top=top, left=left)
        return window, True
    return runs_to_pixels(begin, end, np.ones(len(begin), np.bool_), high * wide).reshape(size), False
