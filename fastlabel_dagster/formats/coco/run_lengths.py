"""COCO's run lengths of many shapes at once, from their outlines and without painting whole pictures.

Run lengths go down the columns of a picture, spans along its rows: each shape is painted into its own small window, and
only the window is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.coco.columns import list_array
from fastlabel_dagster.formats.outlines import outline_rings
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.painting import Spans, fill, region_spans, runs_to_pixels
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, ranges

_NOTHING = np.zeros(0, np.int64)
_AT_ONCE = 512  # shapes: their spans may need as much memory as their pictures


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
    pieces: list[Ints] = []
    for begin in range(0, len(rows), _AT_ONCE):
        pieces += _runs_of(flat, rows[begin : begin + _AT_ONCE], size, overlapping, leaving)
    counts = np.concatenate([_NOTHING, *pieces])
    offsets = offsets_of(np.array([len(piece) for piece in pieces], np.int64))
    foreground = np.where(ranges(np.zeros(len(rows)), np.diff(offsets)) % 2, counts, 0)
    area = np.diff(offsets_of(foreground)[offsets])
    return RunLengths(rows, counts, offsets, area, overlapping, leaving)


def _runs_of(flat: FlatAnnotations, rows: Ints, size: Floats, overlapping: Bools, leaving: Bools) -> list[Ints]:
    """The run lengths of each of ``rows``; what is odd about them is marked."""
    wanted = np.zeros(len(flat), np.bool_)
    wanted[rows] = True
    rings = outline_rings(flat, wanted[flat.ring_annotation])
    owner, part = flat.ring_annotation[rings.ring], flat.ring_region[rings.ring]
    first = np.flatnonzero(np.append(True, (owner[1:] != owner[:-1]) | (part[1:] != part[:-1])))
    width, height = (size[owner[first], axis].astype(np.int64) for axis in (0, 1))
    spans, holes_leave = region_spans(rings.coords, rings.offsets, np.append(first, len(owner)), width, height)
    leaving[owner[first[holes_leave]]] = True
    bounds = spans.offsets[offsets_of(np.bincount(owner[first], minlength=len(flat))[rows])].tolist()
    sides = size[rows].astype(np.int64).tolist()
    pieces = []
    for row, begin, stop, (wide, high) in zip(rows.tolist(), bounds[:-1], bounds[1:], sides, strict=True):
        runs, overlapping[row] = _column_runs(spans, slice(begin, stop), wide, high)
        pieces.append(runs)
    return pieces


def _column_runs(spans: Spans, which: slice, width: int, height: int) -> tuple[Ints, bool]:
    """The run lengths of one shape, and whether its spans share pixels."""
    row, start, stop = spans.row[which], spans.start[which], spans.stop[which]
    if not len(row):
        return np.array([height * width]), False
    top, left = int(row.min()), int(start.min())
    # A row more than the shape has: so no run goes over from the foot of one column to the head of the next.
    high, wide = int(row.max()) + 2 - top, int(stop.max()) - left
    line = (row - top) * wide - left
    order = np.argsort(line + start, kind="stable")
    begin, end = (line + start)[order], (line + stop)[order]
    overlaps = bool((end[:-1] > begin[1:]).any())
    if overlaps:
        window = np.zeros((high, wide), np.bool_)
        fill(window, spans, which, top=top, left=left)
    else:
        window = runs_to_pixels(begin, end, np.ones(len(begin), np.bool_), high * wide).reshape(high, wide)
    bits = np.concatenate([[False], window.T.reshape(-1)])
    column, inner = np.divmod(np.flatnonzero(bits[1:] != bits[:-1]), high)
    edges = (left + column) * height + top + inner
    # Where the shape is as high as the picture, a run does go over: its end is the next one's beginning.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate([same, same + 1]))
    runs = np.diff(np.concatenate([[0], edges, [height * width]]))
    return (runs[:-1] if edges[-1] == height * width else runs), overlaps
