"""Corners of rotated boxes in YOLO label files.

They are written from the top left one of the box before it was turned, clockwise. So the first two say where its upper
side points, and the rotation comes back over the whole circle, which a rectangle alone could not say.
"""

from __future__ import annotations

import numpy as np

from fastlabel_dagster.labels.ragged import Bools, Floats, every_column


def corners_of(centre: Floats, half: Floats, degrees: Floats) -> Floats:
    """float64[n, 4, 2]: corners of boxes by centre and half sides (float64[n, 2] each, pixels) and rotation
    (float64[n], clockwise on screen)."""
    angle = np.deg2rad(degrees)
    across = np.column_stack([np.cos(angle), np.sin(angle)])
    downwards = np.column_stack([-across[:, 1], across[:, 0]])
    u, v = across * half[:, :1], downwards * half[:, 1:]
    return np.stack([centre - u - v, centre + u - v, centre + u + v, centre - u + v], axis=1)


def side_lengths(corners: Floats) -> Floats:
    """float64[n, 4]: the lengths of the sides that end at each corner (float64[n, 4, 2])."""
    lengths: Floats = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    return lengths


def fits_image(corners: Floats, size: Floats) -> Bools:
    """bool[n]: trainers take these corners (float64[n, 4, 2], pixels) for an image of this size (float64[n, 2]).

    They look at the upright box around the corners: its centre lies in the image, and it is no larger than that. A
    corner itself may lie outside.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    middle = (low + high) / 2
    fits: Bools = every_column((middle >= 0) & (middle <= size) & (high - low <= size))
    return fits
