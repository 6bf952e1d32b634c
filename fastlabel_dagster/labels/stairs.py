"""The pixels the official SDK paints for an outline: whole numbers, slanted edges as stairs, borders moved inwards.

For outlines along pixel edges, which is what FastLabel's segmentation tool draws, this is the same as the rule of
:mod:`fastlabel_dagster.labels.raster`. Along slanted edges the two differ by a pixel or so. It is here for masks that
must equal those of the SDK, pixel for pixel. The rule, as the SDK's results show it:

1. Coordinates are cut to whole numbers. A slanted edge becomes as many stairs as its shorter side has pixels; each goes
   down (or up) first and then sideways, and ends where the division, cut to a whole number, puts it. The edge from a
   polygon's last vertex to its first is not made of stairs.
2. Corners between two steps in one direction go.
3. Outlines of a segmentation are turned clockwise, its holes are taken to be counter-clockwise and reversed; both begin
   at a corner that has no other above and to the left of it. Polygons stay as they are.
4. Both ends of an edge that goes down move left by a pixel, both ends of one that goes left move up.
5. OpenCV fills the result, its border included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.painting import Spans, mask_spans, stacked
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, ranges

_FLAT, _UPRIGHT = 1, 2


class Shapes(NamedTuple):
    """``n`` shapes of ``r`` rings, as in :class:`fastlabel_dagster.labels.geometry.FlatAnnotations`."""

    coords: Floats
    """float64[m, 2], finite."""
    ring_offsets: Ints
    """int64[r + 1] into ``coords``."""
    rings: Ints
    """int64[n + 1] into the rings."""
    is_hole: Bools
    """bool[r]."""
    is_segmentation: Bools
    """bool[n]: rings are closed and turned; otherwise they are the open outline of a polygon, or a box."""
    is_box: Bools
    """bool[n]: four whole corners, clockwise from the upper left one, which stay as they are even where two agree."""
    width: Ints
    """int64[n], of each shape's picture in pixels."""
    height: Ints


def stair_spans(shapes: Shapes) -> Spans:
    """The pixels of each shape. Costs several times what exact outlines cost."""
    ring_shape = np.repeat(np.arange(len(shapes.width)), np.diff(shapes.rings))
    closed = shapes.is_segmentation[ring_shape]
    points, offsets = _closed(shapes.coords.astype(np.int64), shapes.ring_offsets, closed)
    points, offsets = _stairs(points, offsets)
    # Stairs may miss the vertex they lead to, the one a ring is closed with too.
    missed = closed & (points[offsets[1:] - 1] != points[offsets[:-1]]).any(axis=1)
    points, offsets = _closed(points, offsets, missed)
    points, offsets = _without_straight_corners(points, offsets, shapes.is_box[ring_shape])
    outlines = np.split(points, offsets[1:-1])
    found = []
    for shape in range(len(shapes.width)):
        rings = range(int(shapes.rings[shape]), int(shapes.rings[shape + 1]))
        pieces = [(outlines[ring], bool(shapes.is_hole[ring])) for ring in rings if len(outlines[ring])]
        if shapes.is_segmentation[shape]:
            pieces = [(_begun(ring if not hole and _is_clockwise(ring) else ring[::-1]), hole) for ring, hole in pieces]
        found.append(_filled(pieces, int(shapes.width[shape]), int(shapes.height[shape])))
    return stacked(found)


def _closed(points: Ints, offsets: Ints, rings: Bools) -> tuple[Ints, Ints]:
    """The first vertex of ``rings`` (bool[r]) once more at their end."""
    lengths = np.diff(offsets)
    new = offsets_of(lengths + rings)
    longer = np.empty((new[-1], 2), np.int64)
    longer[ranges(new[:-1], lengths)] = points
    again = np.flatnonzero(rings)
    longer[new[1:][again] - 1] = points[offsets[:-1][again]]
    return longer, new


def _stairs(points: Ints, offsets: Ints) -> tuple[Ints, Ints]:
    """Every vertex with the corners of the stairs that lead to it."""
    before = np.roll(points, 1, axis=0)
    way = points - before
    way[offsets[:-1][np.diff(offsets) > 0]] = 0
    steps = np.abs(way).min(axis=1, initial=np.iinfo(np.int64).max)
    counts = np.where(steps > 0, 2 * steps, 1)
    owner = np.repeat(np.arange(len(points)), counts)
    place = ranges(np.zeros(len(points)), counts)
    result = points[owner]
    slanted = np.flatnonzero(steps[owner] > 0)
    edge, step = owner[slanted], place[slanted] // 2
    share = way[edge] / steps[edge, None]
    after = np.column_stack([step + place[slanted] % 2, step + 1])
    result[slanted] = before[edge] + (share * after).astype(np.int64)
    return result, offsets_of(counts)[offsets]


def _without_straight_corners(points: Ints, offsets: Ints, as_is: Bools) -> tuple[Ints, Ints]:
    """Outlines without repeated vertices and without corners between two edges of one direction; ``as_is`` (bool[r])
    stay as they are."""
    points, offsets, kinds, signs = _edges(
        *_kept(points, offsets, _is_new(points, offsets) | np.repeat(as_is, np.diff(offsets)))
    )
    ring = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    straight = (kinds[1:] == kinds[:-1]) & (kinds[1:] > 0) & ~as_is[ring[1:]]
    back = np.unique(ring[1:][straight & (signs[1:] != signs[:-1])])
    keep = np.ones(len(points), np.bool_)
    keep[:-1][straight] = False  # kinds[i] is of the edge that leads to vertex i
    if not len(back):
        return _kept(points, offsets, keep)
    # An edge that turns back on itself: what goes depends on what went before.
    pieces = np.split(points, offsets[1:-1])
    kept = np.split(keep, offsets[1:-1])
    outlines = [piece[mask] for piece, mask in zip(pieces, kept, strict=True)]
    for number in back.tolist():
        outlines[number] = _one_without_straight_corners(pieces[number])
    return np.concatenate(outlines), offsets_of(np.array([len(outline) for outline in outlines]))


def _is_new(points: Ints, offsets: Ints) -> Bools:
    """Whether a vertex differs from the one before it; the first of a ring does."""
    new = np.ones(len(points), np.bool_)
    new[1:] = (points[1:] != points[:-1]).any(axis=1)
    new[offsets[:-1][np.diff(offsets) > 0]] = True
    return new


def _kept(points: Ints, offsets: Ints, keep: Bools) -> tuple[Ints, Ints]:
    return points[keep], offsets_of(keep)[offsets]


def _edges(points: Ints, offsets: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The direction (flat, upright, or 0: neither) and sign of the edge that leads to each vertex; 0 for the first."""
    way = np.zeros_like(points)
    way[1:] = np.diff(points, axis=0)
    way[offsets[:-1][np.diff(offsets) > 0]] = 0
    kinds = np.where(way[:, 1] == 0, _FLAT, np.where(way[:, 0] == 0, _UPRIGHT, 0))
    kinds[(way == 0).all(axis=1)] = 0
    return points, offsets, kinds, np.sign(way.sum(axis=1))


def _one_without_straight_corners(points: Ints) -> Ints:
    kept: list[list[int]] = []
    for point in points.tolist():
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and any(kept[-2][axis] == kept[-1][axis] == point[axis] for axis in (0, 1)):
            kept[-1] = point
        else:
            kept.append(point)
    return np.array(kept, np.int64)


def _is_clockwise(points: Ints) -> bool:
    """On screen, where y goes down."""
    x, y = points.T
    return int(((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum()) < 0


def _begun(points: Ints) -> Ints:
    """The same closed ring from a corner that has no other above and to the left of it."""
    corners = points[1:].tolist()
    if not corners:
        return points
    first = 0
    least_x, least_y = corners[0]
    for place, (x, y) in enumerate(corners):
        if y <= least_y and x <= least_x:
            first, least_x, least_y = place, x, y
    return np.concatenate([points[1 + first :], points[1 : 1 + first], points[1 + first : 2 + first]])


def _moved(points: Ints) -> NDArray[np.int32]:
    """The corners as centres of the outermost pixels: borders on the right and at the bottom move inwards."""
    way = np.diff(points, axis=0)
    moved = points.copy()
    for axis, inwards in ((0, way[:, 1] > 0), (1, way[:, 0] < 0)):
        moved[:-1, axis] -= inwards
        moved[1:, axis] -= inwards
    return moved.astype(np.int32)


def _filled(pieces: list[tuple[Ints, bool]], width: int, height: int) -> Spans:
    """Outlines painted, holes wiped out again, one after the other."""
    import cv2

    outlines = [(_moved(points), hole) for points, hole in pieces]
    if not outlines:
        return mask_spans(np.zeros((0, 0), np.bool_))
    every = np.concatenate([points for points, _ in outlines])
    low, high = every.min(axis=0), every.max(axis=0) + 1
    if (low < 0).any() or (high > (width, height)).any():
        low, high = np.zeros(2, np.int32), np.array([width, height])  # how a slanted line is cut depends on where
    mask = np.zeros(tuple((high - low)[::-1].tolist()), np.uint8)
    for points, hole in outlines:
        cv2.fillPoly(mask, [points - low], 0 if hole else 1, lineType=cv2.LINE_8, shift=0)
    return mask_spans(mask.view(np.bool_), int(low[1]), int(low[0]))
