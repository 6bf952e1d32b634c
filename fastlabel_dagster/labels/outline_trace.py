"""Outlines of everything in an index image at once, traced exactly along the pixel edges.

Work is done where neighbouring pixels differ, nowhere else: a picture is looked at once, whatever it shows and however
many indices it has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import Bools, Ints, offsets_of, ranges

#: Region -> ring -> flat [x, y, …], closed, whole numbers: pixel corners.
Regions = list[list[list[int]]]


class Rings(NamedTuple):
    """The rings of the regions of a picture; a region's outline comes before its holes."""

    corners: Ints
    """int64[k, 2]: x and y of all rings one after the other; a ring ends with the corner it begins with."""
    offsets: Ints
    """int64[r + 1] into ``corners``."""
    region: Ints
    """int64[r]: the ring that is the outline of its region."""
    value: Ints
    """int64[r]: the index it is a region of."""


def trace(image: NDArray[Any]) -> dict[int, Regions]:
    """The outlines of every index other than 0, by index in ascending order.

    A region is a set of pixels of one index connected by their sides; pixels that only touch at a corner are two
    regions, so no ring crosses itself. Outlines run clockwise on screen, holes counter-clockwise, both from their
    topmost, then leftmost corner; only turning points are kept. Regions are ordered by that corner of their outline,
    the holes of a region by theirs.

    Args:
        image: whole numbers from 0 on (or bools), [h, w].
    """
    rings = rings_of(image)
    numbers: list[int] = rings.corners.reshape(-1).tolist()
    bounds = (2 * rings.offsets).tolist()
    found: dict[int, Regions] = {}
    regions: dict[int, list[list[int]]] = {}
    for ring, (outline, value) in enumerate(zip(rings.region.tolist(), rings.value.tolist(), strict=True)):
        if ring == outline:
            regions[ring] = []
            found.setdefault(value, []).append(regions[ring])
        regions[outline].append(numbers[bounds[ring] : bounds[ring + 1]])
    return found


def rings_of(image: NDArray[Any]) -> Rings:
    """What :func:`trace` finds, as columns: the indices in ascending order, the regions of each in their order."""
    edges = _upright_edges(image)
    sides = _sides(edges)
    walk, rings = _walked(sides)
    if not rings:
        nothing = np.zeros(0, np.int64)
        return Rings(np.zeros((0, 2), np.int64), np.zeros(1, np.int64), nothing, nothing)
    path = np.array(walk)
    x = sides.x[path]
    corners = np.column_stack([x, sides.begin[path], x, sides.end[path]]).reshape(-1, 2)
    first, last, hole = np.array(rings).T
    # The first side of an outline ends at its topmost, then leftmost corner; that of a hole begins there.
    lengths = 2 * (last - first)
    places = np.repeat(2 * first, lengths + 1) + ranges(1 - hole, lengths + 1) % np.repeat(lengths, lengths + 1)
    region = list(range(len(rings)))
    for ring, parent in zip(np.flatnonzero(hole).tolist(), _parents(edges, sides, rings, path), strict=True):
        region[ring] = region[parent]
    return Rings(corners[places], offsets_of(lengths + 1), np.array(region), sides.value[path[first]])


class _Edges(NamedTuple):
    """Upright pixel edges between an index and something else, each for the index on one side of it; sorted by index,
    column and row."""

    value: Ints
    x: Ints
    row: Ints
    rising: Bools
    """The index lies to the right of the edge."""
    height: int
    width: int


class _Sides(NamedTuple):
    """Edges above each other put together: the upright sides of rings."""

    value: Ints
    x: Ints
    begin: Ints
    """y where the side begins, when the index is kept on the right hand: rising sides go up, the others down."""
    end: Ints
    rising: Bools
    of_edge: Ints
    """The side of each edge."""


def _upright_edges(image: NDArray[Any]) -> _Edges:
    height, width = image.shape
    stride = width + 2
    padded = np.zeros((height, stride), np.uint8 if image.dtype == np.bool_ else image.dtype)
    padded[:, 1:-1] = image
    flat = padded.reshape(-1)
    place = np.flatnonzero(flat[1:] != flat[:-1])
    left, right = flat[place].astype(np.int64), flat[place + 1].astype(np.int64)
    from_left, from_right = np.flatnonzero(left), np.flatnonzero(right)
    value = np.concatenate([left[from_left], right[from_right]])
    place = np.concatenate([place[from_left], place[from_right]])
    row, x = place // stride, place % stride
    rising = np.zeros(len(value), np.bool_)
    rising[len(from_left) :] = True
    _, number = np.unique(value, return_inverse=True)
    order = np.argsort((number * stride + x) * height + row)
    return _Edges(value[order], x[order], row[order], rising[order], height, width)


def _sides(edges: _Edges) -> _Sides:
    value, x, row, rising, *_ = edges
    goes_on = (value[1:] == value[:-1]) & (x[1:] == x[:-1]) & (row[1:] == row[:-1] + 1) & (rising[1:] == rising[:-1])
    first = np.ones(len(value), np.bool_)
    first[1:] = ~goes_on
    last = np.ones(len(value), np.bool_)
    last[:-1] = ~goes_on
    top, bottom, up = row[first], row[last] + 1, rising[first]
    begin, end = np.where(up, bottom, top), np.where(up, top, bottom)
    return _Sides(value[first], x[first], begin, end, up, np.cumsum(first) - 1)


def _walked(sides: _Sides) -> tuple[list[int], list[tuple[int, int, bool]]]:
    """The sides in the order of the rings they make, and of each ring where it begins and ends in that order and
    whether it is a hole."""
    n = len(sides.x)
    if not n:
        return [], []
    # Corner i is the upper one of side i, corner n + i the lower one. Along a row of the corner grid the corners of
    # one index pair up into level edges. Where two pixels touch at a corner there are two corners; the one whose pixel
    # lies to the left comes first, which keeps the pixels apart.
    y = np.concatenate([np.minimum(sides.begin, sides.end), np.maximum(sides.begin, sides.end)])
    x, rising = np.tile(sides.x, 2), np.tile(sides.rising, 2)
    _, number = np.unique(sides.value, return_inverse=True)
    across, down = int(x.max()) + 1, int(y.max()) + 1
    order = np.argsort(((np.tile(number, 2) * down + y) * across + x) * 2 + rising)
    partner = np.empty(2 * n, np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    side = np.arange(n)
    follows: list[int] = (partner[np.where(sides.rising, side, n + side)] % n).tolist()
    # The first corner of a ring that is met is its topmost, then leftmost one: of an outline the end of a rising side,
    # of a hole the beginning of a falling one.
    walk: list[int] = []
    rings = []
    seen = bytearray(n)
    upward: list[bool] = sides.rising.tolist()
    for start in (order[order < n]).tolist():
        if seen[start]:
            continue
        first, at = len(walk), start
        while not seen[at]:
            seen[at] = 1
            walk.append(at)
            at = follows[at]
        rings.append((first, len(walk), not upward[start]))
    return walk, rings


def _parents(edges: _Edges, sides: _Sides, rings: list[tuple[int, int, bool]], path: Ints) -> list[int]:
    """For each hole a ring before it that belongs to the same region.

    The pixel above a hole's first corner is part of the region; going left from it, the first edge is one of the
    region's outline, or of another of its holes, which begins higher up and so comes earlier.
    """
    first = np.array([begin for begin, _, _ in rings])
    holes = np.flatnonzero([is_hole for _, _, is_hole in rings])
    parents: list[int] = []
    if len(holes):
        ring_of_side = np.empty(len(path), np.int64)
        ring_of_side[path] = np.repeat(np.arange(len(rings)), np.diff(np.append(first, len(path))))
        values, number = np.unique(edges.value, return_inverse=True)
        across = edges.width + 1
        rising = np.flatnonzero(edges.rising)
        keys = (number[rising] * edges.height + edges.row[rising]) * across + edges.x[rising]
        order = np.argsort(keys)
        side = path[first[holes]]
        wanted = np.searchsorted(values, sides.value[side]) * edges.height + sides.begin[side] - 1
        beside = np.searchsorted(keys[order], wanted * across + sides.x[side], side="right") - 1
        parents = ring_of_side[sides.of_edge[rising[order[beside]]]].tolist()
    return parents
