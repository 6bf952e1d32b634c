"""Annotations drawn into pixels.

Fill and stroke are those of the official SDK's ``export_image_with_annotations``: areas are tinted by 50 of 255 parts,
lines, circles and points by 200 of 255; lines are a 300th of the picture's shorter side wide; a point has that radius,
but 2 pixels at least, and in a pose 7. Whole numbers are the centres of pixels, as they are there; the area of a
segmentation is exactly its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.frames import Pixels
from fastlabel_dagster.labels.ragged import Floats
from fastlabel_dagster.labels.raster import paint

THIN = 50 / 255
DARK = 200 / 255
_LEAST_DOT = 2
_LEAST_POSE = 7
# Lines and points are not smoothed at their edges, so that a pixel is either of the shape or left alone.
#: OpenCV takes coordinates as whole numbers of 1/16 pixel.
_SHIFT = 4
#: Pixels: a path that reaches farther is cut there before OpenCV sees it, whose numbers are of 32 bits.
_FAR = 30_000.0

#: uint8 blue, green, red.
Colour = tuple[int, int, int]
#: A rectangle of pixels: left, top, right, bottom (the last two not part of it).
_Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Style:
    """How to draw."""

    thickness: int | None = None
    """Of lines, in pixels; None: by the size of the picture."""
    fill: float = THIN
    """How much of an area's colour covers the picture, from 0 to 1."""

    def stroke(self, pixels: Pixels) -> int:
        """The width of lines on this picture, in pixels."""
        return max(1, int(min(pixels.shape[:2]) / 300)) if self.thickness is None else self.thickness


@dataclass(frozen=True)
class Shape:
    """One annotation, in pixels of the picture."""

    type: str
    colour: Colour
    rings: list[Floats]
    """float64[k, 2] each; of a pose its points."""
    regions: list[list[Floats]]
    """Of a segmentation: region -> ring -> flat numbers."""
    radius: float = 0.0
    """Of a circle."""
    edges: tuple[tuple[int, int], ...] = ()
    """Of a pose: positions in its ring."""
    title: str = ""
    """What is written at it, where names are wanted."""


def draw(pixels: Pixels, shape: Shape, style: Style) -> None:
    """Draw ``shape`` into ``pixels``. Nothing outside of the shape and its lines is changed."""
    stroke = style.stroke(pixels)
    if shape.type in ("bbox", "polygon"):
        _tint_polygon(pixels, shape.rings, shape.colour, style.fill)
        for ring in shape.rings:
            if shape.type == "bbox" and _is_upright(ring):
                _draw_frame(pixels, ring, shape.colour, stroke)
            else:
                _draw_path(pixels, np.concatenate([ring, ring[:1]]), shape.colour, stroke)
    elif shape.type == "segmentation":
        _tint_regions(pixels, shape.regions, shape.colour, style.fill)
    elif shape.type == "line":
        for ring in shape.rings:
            _draw_path(pixels, ring, shape.colour, stroke)
    elif shape.type == "circle":
        _draw_disc(pixels, shape.rings[0][0], shape.radius, shape.colour, DARK)
    elif shape.type == "keypoint":
        _draw_disc(pixels, shape.rings[0][0], max(stroke, _LEAST_DOT), shape.colour, DARK)
    elif shape.type == "pose_estimation":
        wide = max(stroke, _LEAST_POSE) if style.thickness is None else stroke
        points = shape.rings[0]
        for first, second in shape.edges:
            _draw_path(pixels, points[[first, second]], shape.colour, wide)
        for point in points:
            _draw_disc(pixels, point, wide, shape.colour, 1.0)


def _window(pixels: Pixels, points: Floats, margin: float) -> _Window | None:
    """The part of the picture these points reach, ``margin`` pixels around them; None when that is none."""
    height, width = pixels.shape[:2]
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin + 1
    left, top = (int(np.floor(np.clip(value, 0, size))) for value, size in zip(low, (width, height), strict=True))
    right, bottom = (int(np.ceil(np.clip(value, 0, size))) for value, size in zip(high, (width, height), strict=True))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _tint_polygon(pixels: Pixels, rings: list[Floats], colour: Colour, share: float) -> None:
    """Cover the inside of rings (even-odd)."""
    import cv2

    window = _window(pixels, np.concatenate(rings), 0) if rings else None
    if window is None or share <= 0:
        return
    left, top, right, bottom = window
    mask = np.zeros((bottom - top, right - left), np.uint8)
    reached = [ring for ring in (_within_reach(ring, window) for ring in rings) if len(ring)]
    if not reached:
        return
    cv2.fillPoly(mask, [_sixteenths(ring - (left, top)) for ring in reached], 255, lineType=cv2.LINE_8, shift=_SHIFT)
    _tint(pixels, window, mask, colour, share)


def _tint_regions(pixels: Pixels, regions: list[list[Floats]], colour: Colour, share: float) -> None:
    """Cover the pixels of a segmentation, by the rule of :mod:`fastlabel_dagster.labels.raster`."""
    points = [ring.reshape(-1, 2) for region in regions for ring in region]
    window = _window(pixels, np.concatenate(points), 0) if points else None
    if window is None or share <= 0:
        return
    left, top, right, bottom = window
    offset = np.array([left, top], np.float64)
    local = [[(ring.reshape(-1, 2) - offset).reshape(-1) for ring in region] for region in regions]
    mask = paint(local, right - left, bottom - top).mask
    _tint(pixels, window, mask.astype(np.uint8), colour, share)


def _tint(pixels: Pixels, window: _Window, mask: NDArray[np.uint8], colour: Colour, share: float) -> None:
    """Blend ``colour`` into the pixels of a window where ``mask`` is not 0."""
    import cv2

    left, top, right, bottom = window
    part: Any = pixels[top:bottom, left:right]
    if 8 * cv2.countNonZero(mask) < mask.size:  # a few pixels of a large window, such as a line across the picture
        chosen = mask > 0
        old = part[chosen].astype(np.float32)
        part[chosen] = np.rint(old + (np.array(colour, np.float32) - old) * np.float32(share)).astype(np.uint8)
        return
    tinted = cv2.addWeighted(part, 1 - share, np.full_like(part, colour), share, 0)
    cv2.copyTo(tinted, mask, part)


def _is_upright(ring: Floats) -> bool:
    """Whether two sides of this box run along the rows of pixels."""
    return bool((ring[0] == ring[1]).any() and (ring[1] == ring[2]).any())


def _draw_frame(pixels: Pixels, ring: Floats, colour: Colour, width: int) -> None:
    """The lines of an upright box, inwards from its edge."""
    window = _window(pixels, np.rint(ring), 0)
    if window is None:
        return
    left, top, right, bottom = window
    mask = np.full((bottom - top, right - left), 255, np.uint8)
    low, high = np.rint(ring.min(axis=0)) + width, np.rint(ring.max(axis=0)) - width + 1
    first, last = (np.clip(ends - (left, top), 0, (right - left, bottom - top)).astype(int) for ends in (low, high))
    mask[first[1] : last[1], first[0] : last[0]] = 0
    _tint(pixels, window, mask, colour, DARK)


def _draw_path(pixels: Pixels, path: Floats, colour: Colour, width: int) -> None:
    """A path of straight lines; where it crosses itself it is no darker."""
    import cv2

    window = _window(pixels, path, width / 2 + 2)
    if window is None:
        return
    left, top, right, bottom = window
    mask = np.zeros((bottom - top, right - left), np.uint8)
    if np.abs(path).max() >= _FAR:
        reach = (left - 2.0 * width, top - 2.0 * width, right + 2.0 * width, bottom + 2.0 * width)
        lines = _cut_lines(path, reach)
    else:
        lines = np.stack([path[:-1], path[1:]], axis=1)
    lines -= (left, top)
    if width == 1:
        cv2.polylines(mask, list(_sixteenths(lines)), False, 255, 1, cv2.LINE_8, _SHIFT)
    else:
        # OpenCV's own thick lines are up to two pixels too thick, so a line is a rectangle, and a joint is round.
        # Filling covers every pixel the outline touches, half a pixel on each side.
        half = (width - 1) / 2
        along = lines[:, 1] - lines[:, 0]
        length = np.maximum(np.sqrt(np.square(along).sum(axis=1, keepdims=True)), 1e-9)
        aside = along[:, ::-1] * (-1, 1) / length * half
        corners = np.stack([lines[:, 0] + aside, lines[:, 1] + aside, lines[:, 1] - aside, lines[:, 0] - aside], axis=1)
        for corner in _sixteenths(corners):
            cv2.fillConvexPoly(mask, corner, 255, cv2.LINE_8, _SHIFT)
        for joint in _sixteenths(lines[1:, 0]).tolist():
            cv2.circle(mask, joint, round(half * (1 << _SHIFT)), 255, -1, cv2.LINE_8, _SHIFT)
    _tint(pixels, window, mask, colour, DARK)


def _draw_disc(pixels: Pixels, centre: Floats, radius: float, colour: Colour, share: float) -> None:
    """A filled circle: the pixels whose centres are at most half a pixel outside of it."""
    window = _window(pixels, centre[None], radius + 1)
    if window is None:
        return
    left, top, right, bottom = window
    x, y = np.arange(left, right) - centre[0], np.arange(top, bottom) - centre[1]
    inside = np.square(x)[None, :] + np.square(y)[:, None] <= (radius + 0.5) ** 2
    _tint(pixels, window, inside.astype(np.uint8), colour, share)


def _sixteenths(points: Floats) -> NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _within_reach(ring: Floats, window: _Window) -> Floats:
    """The ring, cut to the window where it reaches too far for OpenCV."""
    from fastlabel_dagster.formats.outlines import cut_to_image

    if np.abs(ring).max() < _FAR:
        return ring
    left, top, right, bottom = window
    origin = np.array([left - 2.0, top - 2.0])
    cut: Floats = cut_to_image(ring - origin, right - left + 4.0, bottom - top + 4.0) + origin
    return cut


def _cut_lines(path: Floats, reach: tuple[float, float, float, float]) -> Floats:
    """float64[k, 2, 2]: the parts of a path's lines inside a rectangle (left, top, right, bottom), by Liang and
    Barsky's rule."""
    starts, steps = path[:-1], np.diff(path, axis=0)
    enter, leave = np.zeros(len(starts)), np.ones(len(starts))
    seen = np.ones(len(starts), np.bool_)
    for axis, limit, sign in ((0, reach[0], -1.0), (0, reach[2], 1.0), (1, reach[1], -1.0), (1, reach[3], 1.0)):
        speed, room = sign * steps[:, axis], sign * (limit - starts[:, axis])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = room / speed
        seen &= (speed != 0) | (room >= 0)
        leave = np.where(speed > 0, np.minimum(leave, share), leave)
        enter = np.where(speed < 0, np.maximum(enter, share), enter)
    kept = np.flatnonzero(seen & (enter <= leave))
    first, last = (starts[kept] + steps[kept] * share[kept, None] for share in (enter, leave))
    return np.stack([first, last], axis=1)
