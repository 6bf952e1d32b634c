"""Turned rectangles: from corners to a box with its rotation and back, and the smallest one around any shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlabel_dagster.labels.ragged import Bools, Floats

#: Pixels by which corners may miss a rectangle and still be one: far below what anybody draws, far above rounding.
TOLERANCE = 1e-6
#: Decimals of pixels and degrees that survive the way from a turned box to its corners and back.
DECIMALS = 9
#: Directions that are tried for a shape before only those beside the best one are, and what is computed at once.
_MOST_ANGLES, _MOST_PRODUCTS = 4_096, 2**22
#: Areas that differ by less (as a share) are the same: those of all rectangles along a side of an acute triangle are,
#: and which of them is a little smaller in floating point changes from one machine to another.
_AS_LARGE = 1e-9


class TurnedBoxes(NamedTuple):
    """``k`` boxes as FastLabel holds them."""

    points: Floats
    """float64[k, 4]: x1, y1, x2, y2 in pixels of the box before it is turned."""
    rotation: Floats
    """float64[k]: degrees from 0 to 360, clockwise on screen about the centre."""
    fits: Bools
    """bool[k]: the corners are those of a rectangle, but for :data:`TOLERANCE`."""


def clockwise(corners: Floats) -> Floats:
    """float64[k, 4, 2]: ``corners`` (likewise) running clockwise on screen, from the same first corner."""
    local = corners - corners[:, :1]  # far from the origin the products would cancel away the digits that matter
    following = np.roll(local, -1, axis=1)
    doubled = (local[..., 0] * following[..., 1] - following[..., 0] * local[..., 1]).sum(axis=1)
    return np.where((doubled < 0)[:, None, None], corners[:, [0, 3, 2, 1]], corners)


def boxes_of_corners(corners: Floats) -> TurnedBoxes:
    """The box each four ``corners`` (float64[k, 4, 2], finite, in pixels, in either direction) belong to: its rotation
    leads from the first corner to the second. The inverse of how :func:`labels.geometry.flatten` turns boxes, to
    :data:`DECIMALS` decimals; upright boxes exactly."""
    corners = clockwise(corners)
    a, b, c, d = np.moveaxis(corners, 1, 0)
    along, down = (b - a + c - d) / 2, (d - a + c - b) / 2
    width, height = np.hypot(*along.T), np.hypot(*down.T)
    longest = np.maximum(width, height)
    allowed = TOLERANCE + 1e-12 * np.abs(corners).max(axis=(1, 2), initial=0)
    skew = np.abs(a + c - b - d).max(axis=1, initial=0)
    lean = np.abs((along * down).sum(axis=1)) / np.where(longest > 0, longest, 1)
    fits: Bools = (skew <= allowed) & (lean <= allowed)
    # A box without width still has a direction, that of its other side.
    angle = np.where(width >= height, np.arctan2(along[:, 1], along[:, 0]), np.arctan2(-down[:, 0], down[:, 1]))
    rotation = np.round(np.rad2deg(angle) % 360.0, DECIMALS) % 360.0
    centre, half = corners.mean(axis=1), np.column_stack([width, height]) / 2
    points = np.round(np.hstack([centre - half, centre + half]), DECIMALS)
    upright = rotation == 0
    points[upright] = np.hstack([a, c])[upright]
    return TurnedBoxes(points, rotation, fits)


def smallest_rectangle(points: Floats) -> Floats:
    """float64[4, 2]: corners, clockwise on screen, of the rectangle of least area that holds all ``points``
    (float64[m, 2], m > 0, finite).

    One side of it lies along an edge of the convex hull. The hull is only asked for these directions; what is measured
    are the points themselves, in full precision.
    """
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    local = points - centre
    hull = convex_hull(local)
    edges = np.roll(hull, -1, axis=0) - hull
    # Folded into a quarter turn, and with the upright rectangle among them for shapes without an edge.
    angles = np.unique(np.append(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2), 0.0))
    step = -(-len(angles) // _MOST_ANGLES)
    best = _least(local, angles[::step])
    if step > 1:  # thousands of edges: those beside the best one of them all
        angles = angles[max(best - 1, 0) * step : (best + 1) * step + 1]
        best = _least(local, angles)
    cos, sin = np.cos(angles[best]), np.sin(angles[best])
    x1, x2, y1, y2 = (float(side[0]) for side in _sides(local, angles[best : best + 1]))
    box = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    turn = np.array([[cos, sin], [-sin, cos]])
    corners: Floats = box @ turn + centre
    return corners


def convex_hull(points: Floats) -> Floats:
    """float64[k, 2]: the corners of the convex hull of ``points`` (float64[m, 2], m > 0, finite), in their order."""
    import cv2

    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    found = cv2.convexHull((points - centre).astype(np.float32), returnPoints=False)
    hull: Floats = points if found is None else points[found.reshape(-1)]  # no hull of points that are one point
    return hull


def _least(points: Floats, angles: Floats) -> int:
    """The place of the angle whose rectangle around ``points`` is the least, the first of equal ones; in bounded
    memory."""
    at_once = max(1, _MOST_PRODUCTS // len(points))
    areas = []
    for start in range(0, len(angles), at_once):
        low_x, high_x, low_y, high_y = _sides(points, angles[start : start + at_once])
        areas.append((high_x - low_x) * (high_y - low_y))
    found = np.concatenate(areas)
    return int(np.argmax(found <= found.min() * (1 + _AS_LARGE)))


def _sides(points: Floats, angles: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """float64[a] each: left, right, top and bottom of ``points`` in axes turned by ``angles`` (radians)."""
    cos, sin = np.cos(angles), np.sin(angles)
    across, down = points @ np.array([cos, sin]), points @ np.array([-sin, cos])
    return across.min(axis=0), across.max(axis=0), down.min(axis=0), down.max(axis=0)
