"""Rotated rectangles as four corners: around a shape, and back to a box with a rotation.

Corners stand in the order of FastLabel's box before it was turned: top left, top right, bottom right, bottom left. So
the first two say where its upper side points, and the rotation comes back over the whole circle, which a rectangle
alone could not say.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlabel_dagster.labels.ragged import Bools, Floats

#: Pixels: corners that miss a rectangle by no more are a rectangle that was rounded.
ROUNDED = 0.05


class Turned(NamedTuple):
    """``n`` boxes as FastLabel has them."""

    box: Floats
    """float64[n, 4]: x1, y1, x2, y2 in pixels before turning."""
    rotation: Floats
    """float64[n]: degrees clockwise on screen about the box's centre, 0 <= rotation < 360."""
    miss: Floats
    """float64[n]: how far, in pixels, the farthest corner was from the rectangle."""


def turned_boxes(corners: Floats) -> Turned:
    """The box and rotation whose corners come closest to ``corners`` (float64[n, 4, 2], pixels, in either sense of
    rotation)."""
    x, y = corners[:, :, 0], corners[:, :, 1]
    twice_area = (x[:, 2] - x[:, 0]) * (y[:, 3] - y[:, 1]) - (x[:, 3] - x[:, 1]) * (y[:, 2] - y[:, 0])
    corners = np.where((twice_area < 0)[:, None, None], corners[:, [0, 3, 2, 1]], corners)
    centre = corners.mean(axis=1)
    along = (corners[:, 1] - corners[:, 0] + corners[:, 2] - corners[:, 3]) / 2
    down = (corners[:, 3] - corners[:, 0] + corners[:, 2] - corners[:, 1]) / 2
    angle = np.arctan2(along[:, 1], along[:, 0])
    side = np.column_stack([np.hypot(*along.T), np.hypot(*down.T)]) / 2
    box = np.hstack([centre - side, centre + side])
    miss = np.abs(corners - corners_of(centre, side, angle)).max(axis=(1, 2), initial=0)
    return Turned(box, np.rad2deg(angle) % 360, miss)


def corners_of(centre: Floats, side: Floats, angle: Floats) -> Floats:
    """float64[n, 4, 2]: corners of boxes by centre, half sides (float64[n, 2] each, pixels) and angle (radians)."""
    across = np.column_stack([np.cos(angle), np.sin(angle)])
    downwards = np.column_stack([-across[:, 1], across[:, 0]])
    u, v = across * side[:, :1], downwards * side[:, 1:]
    return np.stack([centre - u - v, centre + u - v, centre + u + v, centre - u + v], axis=1)


def smallest_rectangle(points: Floats) -> Floats:
    """float64[4, 2]: corners of the rectangle of least area around ``points`` (float64[k, 2], k > 0).

    One of its sides lies on a side of the convex hull, so each of those is tried. Of several as small, the one turned
    least counts; its first corner is the one that would be top left with a rotation from 0 to below 90 degrees.
    """
    import cv2

    start = points.min(axis=0)
    local = points - start
    # OpenCV counts in single precision: it only chooses the points of the hull, whose own digits are kept.
    hull = local[cv2.convexHull(local.astype(np.float32), returnPoints=False).ravel()]
    sides = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.append(np.arctan2(sides[:, 1], sides[:, 0]) % (np.pi / 2), 0.0))
    cos, sin = np.cos(angles), np.sin(angles)
    u, v = hull @ np.stack([cos, sin]), hull @ np.stack([-sin, cos])
    low_u, high_u, low_v, high_v = u.min(axis=0), u.max(axis=0), v.min(axis=0), v.max(axis=0)
    area = (high_u - low_u) * (high_v - low_v)
    best = int(np.flatnonzero(area <= area.min() * (1 + 1e-9))[0])
    across, downwards = np.array([cos[best], sin[best]]), np.array([-sin[best], cos[best]])
    u_of = np.array([low_u, high_u, high_u, low_u])[:, best, None]
    v_of = np.array([low_v, low_v, high_v, high_v])[:, best, None]
    corners: Floats = start + u_of * across + v_of * downwards
    return corners


def fits_image(corners: Floats, size: Floats) -> Bools:
    """bool[n]: trainers take these corners (float64[n, 4, 2], pixels) for an image of this size (float64[n, 2]).

    They look at the upright box around the corners: its centre lies in the image, and it is no larger than that. A
    corner itself may lie outside.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    middle = (low + high) / 2
    fits: Bools = np.logical_and.reduce((middle >= 0) & (middle <= size) & (high - low <= size), axis=1)
    return fits
