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
    exactly in a vertex is counted here too."""
    unexamined: Bools
    """It has edges that lie beside more than ``MOST_STEPS`` others; what was compared is in the other two."""


def self_contact(flat: FlatAnnotations, rings: Ints) -> SelfContact:
    """How the outlines ``rings`` (indices into the rings of ``flat``) meet themselves.

    A ring is closed: its last vertex is joined to its first. Vertices that repeat the one before are passed over. Rings
    with a coordinate that is not finite meet nothing.
    """
    n = len(rings)
    starts, lengths = flat.ring_offsets[rings], flat.ring_offsets[rings + 1] - flat.ring_offsets[rings]
    offsets = offsets_of(lengths)
    coords, offsets = _without_repeats(flat.coords[ranges(starts, lengths)], offsets)
    lengths = np.diff(offsets)
    crosses, touches = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    unexamined = np.zeros(n, np.bool_)
    if not len(coords):
        return SelfContact(crosses, touches, unexamined)
    ring = np.repeat(np.arange(n), lengths)
    after = np.arange(1, len(coords) + 1)
    filled = lengths > 0
    after[offsets[1:][filled] - 1] = offsets[:-1][filled]
    begin, end = coords, coords[after]

    _spikes(coords, after, ring, crosses)
    edges = _sorted_by_sweep(begin, end, ring, offsets)
    at = np.arange(len(edges.row) - 1)
    step = 0
    while len(at):
        step += 1
        at = at[at + step < len(edges.row)]
        at = at[(edges.ring[at] == edges.ring[at + step]) & (edges.low[at + step] <= edges.high[at])]
        if step > MOST_STEPS:
            unexamined[edges.ring[at]] = True
            break
        # Across the sweep, the two must reach each other as well.
        beside = at[
            (edges.across_low[at] <= edges.across_high[at + step])
            & (edges.across_low[at + step] <= edges.across_high[at])
        ]
        one, two = edges.row[beside], edges.row[beside + step]
        apart = (after[one] != two) & (after[two] != one)
        one, two = one[apart], two[apart]
        if len(one):
            crossing, touching = _meetings(begin[one], end[one], begin[two], end[two])
            crosses[ring[one[crossing]]] = True
            touches[ring[one[touching]]] = True
    return SelfContact(crosses, touches, unexamined)


def _without_repeats(coords: Floats, offsets: Ints) -> tuple[Floats, Ints]:
    """The vertices that differ from the one before them on the ring, of rings all of whose coordinates are finite."""
    lengths = np.diff(offsets)
    finite = all_true(np.isfinite(coords[:, 0]) & np.isfinite(coords[:, 1]), offsets)
    before = np.arange(-1, len(coords) - 1)
    filled = lengths > 0
    before[offsets[:-1][filled]] = offsets[1:][filled] - 1
    kept = np.repeat(finite, lengths) & (coords != coords[before]).any(axis=1) if len(coords) else np.zeros(0, np.bool_)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    return coords[kept], offsets_of(np.bincount(ring[kept], minlength=len(lengths)))


class _Edges(NamedTuple):
    row: Ints  # the vertex each edge begins with
    ring: Ints
    low: Floats  # along the longer side of its ring
    high: Floats
    across_low: Floats
    across_high: Floats


def _sorted_by_sweep(begin: Floats, end: Floats, ring: Ints, offsets: Ints) -> _Edges:
    """The edges, ring by ring, in the order in which a line that moves along the ring's longer side meets them."""
    lows, highs = np.minimum(begin, end), np.maximum(begin, end)
    filled = np.flatnonzero(np.diff(offsets))
    extent = np.zeros((len(offsets) - 1, 2))
    extent[filled] = np.maximum.reduceat(highs, offsets[filled]) - np.minimum.reduceat(lows, offsets[filled])
    upright = (extent[:, 1] > extent[:, 0])[ring]
    low = np.where(upright, lows[:, 1], lows[:, 0])
    row = np.lexsort((low, ring))
    turned = upright[row]
    lows, highs = lows[row], highs[row]
    return _Edges(
        row,
        ring[row],
        low[row],
        np.where(turned, highs[:, 1], highs[:, 0]),
        np.where(turned, lows[:, 0], lows[:, 1]),
        np.where(turned, highs[:, 0], highs[:, 1]),
    )


def _spikes(coords: Floats, after: Ints, ring: Ints, crosses: Bools) -> None:
    """Mark the rings in which an edge runs back along the one before it."""
    corner, tip = coords[after], coords[after[after]]
    with np.errstate(over="ignore", invalid="ignore"):
        back = np.einsum("ij,ij->i", coords - corner, tip - corner) > 0
    rows = np.flatnonzero(back)
    straight = _sides(coords[rows], corner[rows], tip[rows]) == 0
    crosses[ring[rows[straight]]] = True


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
