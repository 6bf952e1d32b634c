"""labelme's shapes as FastLabel's geometry, with everything people have written into such files."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastlabel_dagster.formats.labelme.masks import read_mask
from fastlabel_dagster.formats.rectangles import boxes_of_corners
from fastlabel_dagster.labels.ragged import Floats

Numbers = list[float]
_FEWEST_VERTICES = 3
_UNKNOWN = "a shape of a type that labelme does not have"


class UnreadShapeError(ValueError):
    """A shape that cannot be read; the message is the reason."""


class Shape(NamedTuple):
    """What one shape is."""

    type: str
    """FastLabel's type."""
    points: Numbers | None = None
    regions: list[list[Numbers]] | None = None
    rotation: float | None = None
    altered: str = ""
    """What is not as it is written there."""


def shape_geometry(shape: dict[str, Any]) -> list[Shape]:
    """What a shape is; several where it stands for several points.

    Raises:
        UnreadShapeError: when it is nothing that can be read.
    """
    kind = shape.get("shape_type") or "polygon"  # the oldest files name no type
    corners = _corners(shape.get("points"))
    if kind == "polygon":
        return [_polygon(shape, corners)]
    if kind in ("rectangle", "rotation", "oriented_rectangle"):
        return [_rectangle(corners)]
    if kind == "circle":
        return [_circle(corners)]
    if kind in ("line", "linestrip"):
        if len(corners) < 2:
            raise UnreadShapeError("a line of less than two points")
        return [Shape("line", corners.reshape(-1).tolist())]
    if kind in ("point", "points"):
        return _points(kind, corners)
    if kind == "mask":
        return [_mask(shape, corners)]
    raise UnreadShapeError(_UNKNOWN)


def _corners(points: Any) -> Floats:
    """float64[k, 2], k > 0, finite."""
    if not isinstance(points, list) or not points:
        raise UnreadShapeError("a shape without points")
    try:
        pairs = set(map(len, points)) == {2} and not any(map(str.__instancecheck__, points))
        numbers = list(chain.from_iterable(points)) if pairs else []
        if not numbers or any(isinstance(number, str | bool | list | dict) for number in numbers):
            raise UnreadShapeError("a point is not a pair of numbers")
        corners = np.array(numbers, np.float64)
    except OverflowError as error:
        raise UnreadShapeError("a coordinate is not a finite number") from error
    except (TypeError, ValueError) as error:
        raise UnreadShapeError("a point is not a pair of numbers") from error
    if not np.isfinite(corners).all():
        raise UnreadShapeError("a coordinate is not a finite number")
    return corners.reshape(-1, 2)


def _polygon(shape: dict[str, Any], corners: Floats) -> Shape:
    if len(corners) < _FEWEST_VERTICES:
        raise UnreadShapeError("a polygon of less than three points")
    turned = shape.get("rotation")
    if isinstance(turned, int | float) and len(corners) == 4:
        box = boxes_of_corners(corners[None])
        if box.fits[0]:  # as our own export writes a turned box, unless somebody has moved a corner since
            return Shape("bbox", box.points[0].tolist(), rotation=_angle(float(box.rotation[0]), float(turned)))
    if shape.get("annotation_type") == "segmentation":
        return Shape("segmentation", regions=[[_closed(corners)]])
    return Shape("polygon", corners.reshape(-1).tolist())


def _rectangle(corners: Floats) -> Shape:
    if len(corners) == 2:
        (x1, y1), (x2, y2) = corners.tolist()
        if x2 < x1 or y2 < y1:
            ordered = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
            return Shape("bbox", ordered, altered="the corners of a rectangle were in the wrong order")
        return Shape("bbox", [x1, y1, x2, y2])
    if len(corners) != 4:
        raise UnreadShapeError("a rectangle that has neither two corners nor four")
    box = boxes_of_corners(corners[None])
    if not box.fits[0]:
        return Shape(
            "polygon", corners.reshape(-1).tolist(), altered="a rectangle whose corners are none became a polygon"
        )
    rotation = float(box.rotation[0])
    if rotation % 90 == 0:  # upright, from whichever corner it begins
        ends = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        return Shape("bbox", ends.tolist())
    return Shape("bbox", box.points[0].tolist(), rotation=rotation)


def _angle(measured: float, stated: float) -> float:
    """The stated angle where the corners agree with it: it has all digits, and may be negative or of several turns."""
    apart = abs((measured - stated) % 360)
    return stated if math.isfinite(stated) and min(apart, 360 - apart) < 1e-6 else measured


def _circle(corners: Floats) -> Shape:
    if len(corners) != 2:
        raise UnreadShapeError("a circle that is not a centre and a point on its rim")
    (x, y), rim = corners[0].tolist(), corners[1] - corners[0]
    radius = float(np.hypot(*rim))
    if not math.isfinite(radius) or radius <= 0:
        raise UnreadShapeError("a circle without a radius")
    return Shape("circle", [x, y, radius])


def _points(kind: str, corners: Floats) -> list[Shape]:
    if kind == "point" and len(corners) != 1:
        raise UnreadShapeError("a point that is not one point")
    altered = "a set of points became single keypoints" if len(corners) > 1 else ""
    return [Shape("keypoint", corner.tolist(), altered=altered) for corner in corners]


def _mask(shape: dict[str, Any], corners: Floats) -> Shape:
    try:
        regions = read_mask(shape.get("mask"), *corners[0].tolist())
    except ValueError as error:
        raise UnreadShapeError(str(error)) from error
    if not regions:
        raise UnreadShapeError("a mask without pixels")
    return Shape("segmentation", regions=regions)


def _closed(corners: Floats) -> Numbers:
    """A ring whose first vertex is repeated at its end, as FastLabel closes them."""
    ring: Numbers = corners.reshape(-1).tolist()
    return ring if ring[:2] == ring[-2:] else [*ring, *ring[:2]]
