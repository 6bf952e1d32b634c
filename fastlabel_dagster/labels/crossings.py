"""Which outlines cross or touch themselves, exactly, for all outlines at once.

The edges of every ring are swept along the ring's longer side: an edge is compared with those that begin before it
ends. All rings take each step together, so the work is done in NumPy and grows with the pairs of edges that lie beside
each other, not with the square of the vertices.

The side of a line on which a point lies is the sign of a 2x2 determinant. Floating point gives it together with a
bound of its error (J. R. Shewchuk, *Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates*,
1997); the few determinants within the bound are worked out again with fractions. So the answer is that of the
coordinates as they are, without a tolerance.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, all_true, offsets_of, ranges

#: An edge is compared with so many of those that begin while it lasts; see ``SelfContact.unexamined``.
MOST_STEPS = 20_000
#: The longer side of a ring is cut into so many steps.
_STEP_BITS = 31
_STEPS = 2.0**30
_EPSILON = 2.0**-53
#: Shewchuk's bound for the determinant of three points, relative to the sum of its two products.
_ERROR = (3.0 + 16.0 * _EPSILON) * _EPSILON
#: Products of differences of whole numbers up to this size are exact in 53 bits.
_EXACT_UP_TO = 2.0**25
#: Products below this one are near the smallest numbers there are, and rounded more coarsely.
_TINY = 1e-290


class SelfContact(NamedTuple):
    """What :func:`self_contact` found, one value for each of the rings that were asked about."""

    crosses: Bools
    """Two of its edges cross between their ends, or run along each other for a stretch."""
    touches: Bools
    """It meets itself in a single point: a vertex lies on another edge, or on another vertex. A path that changes sides
    exactly in a vertex is counted here too. Of rings that cross themselves not every touch is looked for."""
    unexamined: Bools
    """It has edges that lie beside more than ``MOST_STEPS`` others; what was compared is in the other two."""


def self_contact(flat: FlatAnnotations, rings: Ints) -> SelfContact:
    """How the outlines ``rings`` (indices into the rings of ``flat``) meet themselves.

    A ring is closed: its last vertex is joined to its first. Vertices that repeat the one before are passed over. Rings
    with a coordinate that is not finite meet nothing.
    """
    n = len(rings)
    starts, lengths = flat.ring_offsets[rings], flat.ring_offsets[rings + 1] - flat.ring_offsets[rings]
    found = SelfContact(*(np.zeros(n, np.bool_) for _ in range(3)))
    coords, offsets = _without_repeats(flat.coords[ranges(starts, lengths)], offsets_of(lengths))
    ring = np.repeat(np.arange(n), np.diff(offsets))
    open_question = ~_are_stars(coords, offsets)[ring]
    coords, ring = coords[open_question], ring[open_question]
    offsets = offsets_of(np.bincount(ring, minlength=n))
    if not len(coords):
        return found
    first = np.flatnonzero(np.diff(offsets))
    first, last = offsets[first], offsets[first + 1] - 1
    begin = coords
    end = _following(begin, first, last)
    _spikes(begin, end, _following(end, first, last), ring, found.crosses)
    edges = _sorted_by_sweep(begin, end, ring, offsets)
    at, step = np.flatnonzero(~found.crosses[ring]), 0
    while len(at):
        step += 1
        at = at[at + step < len(begin)]
        at = at[edges.begins[at + step] <= edges.ends[at]]
        if step > MOST_STEPS:
            found.unexamined[ring[edges.row[at]]] = True
            break
        # Across the sweep, the two must reach each other as well.
        other = at + step
        beside = (edges.low[at] <= edges.high[other]) & (edges.low[other] <= edges.high[at])
        one, two = edges.row[at[beside]], edges.row[other[beside]]
        low, high = np.minimum(one, two), np.maximum(one, two)
        whole = ring[one]
        adjacent = (high - low == 1) | ((low == offsets[whole]) & (high == offsets[whole + 1] - 1))
        one, two = one[~adjacent], two[~adjacent]
        if len(one):
            crossing, touching = _meetings(begin[one], end[one], begin[two], end[two])
            found.touches[ring[one[touching]]] = True
            if crossing.any():
                found.crosses[ring[one[crossing]]] = True
                at = at[~found.crosses[ring[edges.row[at]]]]  # nothing more is to be learnt about these
    return found


def _are_stars(coords: Floats, offsets: Ints) -> Bools:
    """bool[n]: the rings that go once round the mean of their vertices, every edge forwards: these meet nothing.

    Most outlines people draw are such, and this is told in one pass; False says nothing."""
    lengths = np.diff(offsets)
    filled = np.flatnonzero(lengths)
    stars = np.zeros(len(lengths), np.bool_)
    if not len(filled):
        return stars
    first, last = offsets[filled], offsets[filled + 1] - 1
    counts = lengths[filled]
    with np.errstate(over="ignore", invalid="ignore"):
        centre = np.add.reduceat(coords, first, axis=0) / counts[:, None]
        away = coords - np.repeat(centre, counts, axis=0)
        x, y = np.ascontiguousarray(away[:, 0]), np.ascontiguousarray(away[:, 1])
        next_x, next_y = _following(x, first, last), _following(y, first, last)
        left, right = x * next_y, y * next_x
        turn = left - right
        sure = np.abs(turn) > _ERROR * (np.abs(left) + np.abs(right)) + _TINY
    turn[~sure] = 0
    one_way = (np.minimum.reduceat(turn, first) > 0) | (np.maximum.reduceat(turn, first) < 0)
    rounds = np.add.reduceat((y <= 0) & (next_y > 0), first, dtype=np.int64)
    stars[filled] = one_way & (rounds == 1)
    return stars


def _following(values: Floats, first: Ints, last: Ints) -> Floats:
    """Each row's successor on its ring; rings go from ``first`` to ``last``."""
    after = np.empty_like(values)
    after[:-1] = values[1:]
    after[last] = values[first]
    return after


def _without_repeats(coords: Floats, offsets: Ints) -> tuple[Floats, Ints]:
    """The vertices that differ from the one before them on the ring, of rings all of whose coordinates are finite."""
    lengths = np.diff(offsets)
    filled = lengths > 0
    first, last = offsets[:-1][filled], offsets[1:][filled] - 1
    before = np.empty_like(coords)
    before[1:] = coords[:-1]
    before[first] = coords[last]
    kept = (coords[:, 0] != before[:, 0]) | (coords[:, 1] != before[:, 1])
    finite = np.isfinite(coords[:, 0]) & np.isfinite(coords[:, 1])
    if kept.all() and finite.all():
        return coords, offsets
    kept &= np.repeat(all_true(finite, offsets), lengths)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    return coords[kept], offsets_of(np.bincount(ring[kept], minlength=len(lengths)))


class _Edges(NamedTuple):
    """The edges, ring by ring, in the order in which a line that moves along the ring's longer side meets them."""

    row: Ints
    """The vertex each edge begins with."""
    begins: Ints
    """Where along the sweep it begins, in steps so fine that two edges beside each other are never told apart; with the
    number of the ring in front, so that edges of different rings are never beside each other."""
    ends: Ints
    low: Floats
    """Its extent across the sweep, in pixels."""
    high: Floats


def _sorted_by_sweep(begin: Floats, end: Floats, ring: Ints, offsets: Ints) -> _Edges:
    filled = np.flatnonzero(np.diff(offsets))
    extent = np.zeros((2, len(offsets) - 1))
    corner = np.zeros((2, len(offsets) - 1))
    for axis in (0, 1):
        values = np.ascontiguousarray(begin[:, axis])
        corner[axis, filled] = np.minimum.reduceat(values, offsets[filled])
        extent[axis, filled] = np.maximum.reduceat(values, offsets[filled]) / 2 - corner[axis, filled] / 2
    upright = extent[1] > extent[0]
    along = np.where(upright[ring], 1, 0)
    rows = np.arange(len(ring))
    here, there = begin[rows, along], end[rows, along]
    # Rounding keeps the order: an edge that begins before another ends does so in steps as well.
    side = np.maximum(np.where(upright, extent[1], extent[0]), np.finfo(np.float64).tiny)[ring]
    start = np.where(upright, corner[1], corner[0])[ring] / 2
    key = ring << _STEP_BITS
    begins = key + ((np.minimum(here, there) / 2 - start) / side * _STEPS).astype(np.int64)
    ends = key + ((np.maximum(here, there) / 2 - start) / side * _STEPS).astype(np.int64)
    order = np.argsort(begins)
    here, there = begin[rows, 1 - along], end[rows, 1 - along]
    return _Edges(order, begins[order], ends[order], np.minimum(here, there)[order], np.maximum(here, there)[order])


def _spikes(begin: Floats, end: Floats, tip: Floats, ring: Ints, crosses: Bools) -> None:
    """Mark the rings in which an edge, from ``end`` to ``tip``, runs back along the one before it."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = (begin[:, 0] - end[:, 0]) * (tip[:, 0] - end[:, 0])
        y = (begin[:, 1] - end[:, 1]) * (tip[:, 1] - end[:, 1])
        sharp = ~(x + y <= 0)  # turned by more than a right angle, or too large to tell
    rows = np.flatnonzero(sharp | ((x == 0) & (y == 0)))  # products of tiny numbers vanish
    straight = rows[_sides(begin[rows], end[rows], tip[rows]) == 0]
    if len(straight):
        lows = [np.minimum(one[straight], end[straight]) for one in (begin, tip)]
        highs = [np.maximum(one[straight], end[straight]) for one in (begin, tip)]
        low, high = np.maximum(*lows), np.minimum(*highs)
        crosses[ring[straight[((low <= high).all(axis=1)) & (low < high).any(axis=1)]]] = True


def _meetings(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Bools, Bools]:
    """bool[k] twice: the edges ab and cd cross or run along each other; they meet in one point only."""
    sides = np.empty((4, len(a)), np.int8)
    sides[0], sides[1] = _sides(a, b, c), _sides(a, b, d)
    sides[2], sides[3] = _sides(c, d, a), _sides(c, d, b)
    crossing = (sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0)
    touching = np.zeros(len(a), np.bool_)
    for side, point, one, two in ((0, c, a, b), (1, d, a, b), (2, a, c, d), (3, b, c, d)):
        on_line = np.flatnonzero(sides[side] == 0)
        p, q, r = point[on_line], one[on_line], two[on_line]
        inside = ((p >= np.minimum(q, r)) & (p <= np.maximum(q, r))).all(axis=1)
        touching[on_line[inside]] = True
    flat = np.flatnonzero((sides == 0).all(axis=0))  # all four on one line
    if len(flat):
        ends = np.stack([a[flat], b[flat], c[flat], d[flat]])
        low = np.maximum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
        high = np.minimum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
        crossing[flat] = (low <= high).all(axis=1) & (low < high).any(axis=1)
    return crossing, touching & ~crossing


def _sides(a: Floats, b: Floats, c: Floats) -> NDArray[np.int8]:
    """int8[k]: on which side of the line through a and b the point c lies: 1, -1, or 0 for exactly on it."""
    with np.errstate(over="ignore", invalid="ignore"):
        left = (a[:, 0] - c[:, 0]) * (b[:, 1] - c[:, 1])
        right = (a[:, 1] - c[:, 1]) * (b[:, 0] - c[:, 0])
        determinant = left - right
        bound = _ERROR * (np.abs(left) + np.abs(right))
        unsure = (~(np.abs(determinant) > bound) & (bound > 0)) | _underflowed(a, b, c, left, right)
    sides = np.sign(np.nan_to_num(determinant)).astype(np.int8)
    rows = np.flatnonzero(unsure)
    if len(rows):
        triple = np.concatenate([a[rows], b[rows], c[rows]], axis=1)
        whole = (np.abs(triple) <= _EXACT_UP_TO).all(axis=1) & (triple == np.floor(triple)).all(axis=1)
        for row in rows[~whole].tolist():
            sides[row] = _exact_side(a[row], b[row], c[row])
    return sides


def _underflowed(a: Floats, b: Floats, c: Floats, left: Floats, right: Floats) -> Bools:
    """Whether a product is so small that digits of it are lost: the bound of the error does not hold for it."""
    gone_left = (np.abs(left) < _TINY) & (a[:, 0] != c[:, 0]) & (b[:, 1] != c[:, 1])
    gone_right = (np.abs(right) < _TINY) & (a[:, 1] != c[:, 1]) & (b[:, 0] != c[:, 0])
    result: Bools = gone_left | gone_right
    return result


def _exact_side(a: Floats, b: Floats, c: Floats) -> int:
    ax, ay, bx, by, cx, cy = (Fraction(float(number)) for number in (*a, *b, *c))
    determinant = (ax - cx) * (by - cy) - (ay - cy) * (bx - cx)
    return (determinant > 0) - (determinant < 0)
