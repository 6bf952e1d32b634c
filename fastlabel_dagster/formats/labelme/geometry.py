"""labelme's shapes as FastLabel's geometry, with everything people have written into such files."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastlabel_dagster.formats.labelme.masks import read_mask
from fastlabel_dagster.formats.labelme.said import READ, unread_of
from fastlabel_dagster.formats.labelme.shapes import DESCRIPTION, SCORE
from fastlabel_dagster.formats.rectangles import boxes_of_corners

#: x, y, x, y, … in pixels.
Numbers = list[float]
_FEWEST_NUMBERS = 6
_NUMBERS = {int, float}
_MOST_DEGREES = 1e6


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
    numbers = _numbers(shape.get("points"))
    if kind == "polygon":
        return [_polygon(shape, numbers)]
    if kind in ("rectangle", "rotation", "oriented_rectangle"):
        return [_rectangle(numbers)]
    if kind == "circle":
        return [_circle(numbers)]
    if kind in ("line", "linestrip"):
        if len(numbers) < 4:
            raise UnreadShapeError("a line of less than two points")
        return [Shape("line", numbers)]
    if kind in ("point", "points"):
        return _points(kind, numbers)
    if kind == "mask":
        return [_mask(shape, numbers)]
    raise UnreadShapeError("a shape of a type that labelme does not have")


def plain_box(shape: dict[str, Any]) -> Numbers | None:
    """x1, y1, x2, y2 of a shape that is a rectangle and says nothing of itself but its label, which most of a dataset
    of boxes are; None for others, and where anything is to be told."""
    if shape.get("shape_type") != "rectangle" or shape.get("group_id") is not None:
        return None
    if shape.get("flags") or shape.get(DESCRIPTION) or shape.get("attributes") or shape.get("rotation"):
        return None
    if shape.get(SCORE) is not None:
        return None
    if not READ.issuperset(shape) and unread_of(shape):
        return None
    try:
        (x1, y1), (x2, y2) = points = shape["points"]
        if type(points) is list and type(x1) is type(y1) is type(x2) is type(y2) is float:
            # Neither infinite nor NaN, for which nothing is less than anything.
            return [x1, y1, x2, y2] if -math.inf < x1 <= x2 < math.inf and -math.inf < y1 <= y2 < math.inf else None
    except (KeyError, TypeError, ValueError):  # shape_geometry says what is wrong
        pass
    return None


def _numbers(points: Any) -> Numbers:
    """x, y, x, y, … of at least one point, all finite."""
    if not isinstance(points, list) or not points:
        raise UnreadShapeError("a shape without points")
    if set(map(type, points)) != {list} or set(map(len, points)) != {2}:
        raise UnreadShapeError("a point is not a pair of numbers")
    numbers = list(chain.from_iterable(points))
    if not set(map(type, numbers)) <= _NUMBERS:
        raise UnreadShapeError("a point is not a pair of numbers")
    try:
        finite = all(map(math.isfinite, numbers))
    except OverflowError:  # a whole number beyond all floats
        finite = False
    if not finite:
        raise UnreadShapeError("a coordinate is not a finite number")
    return list(map(float, numbers))  # a column of floats takes no whole number that it cannot hold exactly


def _polygon(shape: dict[str, Any], numbers: Numbers) -> Shape:
    if len(numbers) < _FEWEST_NUMBERS:
        raise UnreadShapeError("a polygon of less than three points")
    turned = shape.get("rotation")
    if isinstance(turned, int | float) and len(numbers) == 8:
        box = boxes_of_corners(np.array(numbers, np.float64).reshape(1, 4, 2))
        if box.fits[0]:  # as our own export writes a turned box, unless somebody has moved a corner since
            return Shape("bbox", box.points[0].tolist(), rotation=_angle(float(box.rotation[0]), turned))
    if shape.get("annotation_type") == "segmentation":
        return Shape("segmentation", regions=[[closed(numbers)]])
    return Shape("polygon", numbers)


def _rectangle(numbers: Numbers) -> Shape:
    if len(numbers) == 4:
        x1, y1, x2, y2 = numbers
        if x2 < x1 or y2 < y1:
            ordered = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
            return Shape("bbox", ordered, altered="the corners of a rectangle were in the wrong order")
        return Shape("bbox", numbers)
    if len(numbers) != 8:
        raise UnreadShapeError("a rectangle that has neither two corners nor four")
    corners = np.array(numbers, np.float64).reshape(4, 2)
    box = boxes_of_corners(corners[None])
    if not box.fits[0]:
        return Shape("polygon", numbers, altered="a rectangle whose corners are none became a polygon")
    rotation = float(box.rotation[0])
    if rotation % 90 == 0:  # upright, from whichever corner it begins
        return Shape("bbox", np.concatenate([corners.min(axis=0), corners.max(axis=0)]).tolist())
    return Shape("bbox", box.points[0].tolist(), rotation=rotation)


def _angle(measured: float, stated: float) -> float:
    """The stated angle where the corners agree with it: it has all digits, and may be negative or of several turns."""
    if not abs(stated) < _MOST_DEGREES:
        return measured
    apart = (measured - stated) % 360
    return float(stated) if min(apart, 360 - apart) < 1e-6 else measured


def _circle(numbers: Numbers) -> Shape:
    if len(numbers) != 4:
        raise UnreadShapeError("a circle that is not a centre and a point on its rim")
    x, y, rim_x, rim_y = numbers
    radius = math.hypot(rim_x - x, rim_y - y)
    if not math.isfinite(radius) or radius <= 0:
        raise UnreadShapeError("a circle without a radius")
    return Shape("circle", [x, y, radius])


def _points(kind: str, numbers: Numbers) -> list[Shape]:
    if kind == "point" and len(numbers) != 2:
        raise UnreadShapeError("a point that is not one point")
    altered = "a set of points became single keypoints" if len(numbers) > 2 else ""
    return [Shape("keypoint", [x, y], altered=altered) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _mask(shape: dict[str, Any], numbers: Numbers) -> Shape:
    try:
        regions = read_mask(shape.get("mask"), numbers[0], numbers[1])
    except ValueError as error:
        raise UnreadShapeError(str(error)) from error
    if not regions:
        raise UnreadShapeError("a mask without pixels")
    return Shape("segmentation", regions=regions)


def closed(numbers: Numbers) -> Numbers:
    """A ring whose first vertex is repeated at its end, as FastLabel closes them."""
    return numbers if numbers[:2] == numbers[-2:] else [*numbers, *numbers[:2]]
