"""CVAT's shapes as annotations, one element at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.formats.cvat.masks import regions_of_mask
from fastlabel_dagster.formats.outlines import CIRCLE_VERTICES, FARTHEST, TOO_FAR

_NOT_A_NUMBER = "a coordinate is missing or no finite number"
_ROUND = 1e-9
_SIDES = ("xtl", "ytl", "xbr", "ybr")


class Shape(NamedTuple):
    """The geometry of one annotation; fields as in :mod:`labels.schema`."""

    kind: str
    points: list[float] | None = None
    regions: list[list[list[float]]] | None = None
    keypoints: list[tuple[str, list[float] | None]] | None = None
    """Key and [x, y, visibility] of each point, None where it is not placed."""
    rotation: float | None = None
    altered: str = ""
    """What is not read as it stands there."""


class ShapeError(Exception):
    """An element that is no shape we can read; the message says why."""

    def __init__(self, reason: str, kind: str = "annotation") -> None:
        super().__init__(reason)
        self.kind = kind


def read_shape(element: Element) -> list[Shape]:
    """The annotations an element of an image stands for; several for a ``<points>`` of several points.

    Raises:
        ShapeError: when it cannot be read.
    """
    read = _READERS.get(element.tag)
    if read is None:
        raise ShapeError("a shape FastLabel does not have" if element.tag == "cuboid" else "an unknown element")
    return read(element)


def _box(element: Element) -> list[Shape]:
    x1, y1, x2, y2 = points = [_number(element, name) for name in _SIDES]
    rotation = _rotation(element) or None
    if x1 <= x2 and y1 <= y2:
        return [Shape("bbox", points, rotation=rotation)]
    points = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
    return [Shape("bbox", points, rotation=rotation, altered="corners in the wrong order were exchanged")]


def _polygon(element: Element) -> list[Shape]:
    return [Shape("polygon", _points(element, "a polygon of fewer than three points", 3))]


def _polyline(element: Element) -> list[Shape]:
    return [Shape("line", _points(element, "a line of fewer than two points", 2))]


def _single_points(element: Element) -> list[Shape]:
    numbers = _points(element, "no point", 1)
    several = "a set of points became a keypoint each" if len(numbers) > 2 else ""
    return [
        Shape("keypoint", numbers[place : place + 2], altered=several if not place else "")
        for place in range(0, len(numbers), 2)
    ]


def _ellipse(element: Element) -> list[Shape]:
    x, y, across, down = (_number(element, name) for name in ("cx", "cy", "rx", "ry"))
    across, down = abs(across), abs(down)
    if not across > 0 or not down > 0:
        raise ShapeError("an ellipse without a size", "circle")
    if abs(across - down) <= _ROUND * max(across, down):
        return [Shape("circle", [x, y, across])]
    angle = np.arange(CIRCLE_VERTICES) * (2 * np.pi / CIRCLE_VERTICES)
    turn = math.radians(_rotation(element))
    right, below = across * np.cos(angle), down * np.sin(angle)
    corners = np.column_stack(
        [
            x + right * math.cos(turn) - below * math.sin(turn),
            y + right * math.sin(turn) + below * math.cos(turn),
        ]
    )
    return [
        Shape(
            "polygon",
            corners.reshape(-1).tolist(),
            altered=f"an ellipse became a polygon of {CIRCLE_VERTICES} vertices, FastLabel has circles only",
        )
    ]


def _mask(element: Element) -> list[Shape]:
    try:
        left, top, width, height = (int(element.get(name, "")) for name in ("left", "top", "width", "height"))
        regions = regions_of_mask(element.get("rle", ""), left, top, width, height)
    except ValueError as error:
        raise ShapeError("a mask that is damaged, or larger than any picture", "segmentation") from error
    if not regions:
        raise ShapeError("a mask without a pixel", "segmentation")
    return [Shape("segmentation", regions=regions)]


def _skeleton(element: Element) -> list[Shape]:
    keypoints: dict[str, list[float] | None] = {}
    altered = ""
    for child in element:
        key = child.get("label")
        if child.tag == "attribute":
            continue
        if child.tag != "points" or not key:
            raise ShapeError("a skeleton with an element that is no named point", POSE)
        if key in keypoints:
            raise ShapeError("a skeleton with two points of one name", POSE)
        if child.find("attribute") is not None:
            altered = "attributes of a skeleton's points were left out"
        if child.get("outside") == "1":
            keypoints[key] = None
        else:
            x, y = _points(child, "a skeleton with a point that is none", 1)[:2]
            keypoints[key] = [x, y, 0.0 if child.get("occluded") == "1" else 1.0]
    if all(value is None for value in keypoints.values()):
        raise ShapeError("a skeleton without a point in the image", POSE)
    return [Shape(POSE, keypoints=list(keypoints.items()), altered=altered)]


def _tag(element: Element) -> list[Shape]:
    return [Shape("classification")]


_READERS: dict[str, Callable[[Element], list[Shape]]] = {
    "box": _box,
    "polygon": _polygon,
    "polyline": _polyline,
    "points": _single_points,
    "ellipse": _ellipse,
    "mask": _mask,
    "skeleton": _skeleton,
    "tag": _tag,
}


def _number(element: Element, name: str) -> float:
    try:
        number = float(element.attrib[name])
    except (KeyError, ValueError) as error:
        raise ShapeError(_NOT_A_NUMBER) from error
    if -FARTHEST <= number <= FARTHEST:
        return number
    raise ShapeError(TOO_FAR if math.isfinite(number) else _NOT_A_NUMBER)


def _rotation(element: Element) -> float:
    return _number(element, "rotation") % 360.0 if "rotation" in element.attrib else 0.0


def _points(element: Element, too_few: str, fewest: int) -> list[float]:
    """``x,y;x,y;…`` as flat numbers."""
    pairs = element.get("points", "").strip().rstrip(";").split(";")
    try:
        numbers = [float(number) for pair in pairs if pair for number in _two(pair)]
    except ValueError as error:
        raise ShapeError(_NOT_A_NUMBER) from error
    if len(numbers) < 2 * fewest:
        raise ShapeError(too_few)
    for number in numbers:
        if not abs(number) <= FARTHEST:
            raise ShapeError(TOO_FAR if math.isfinite(number) else _NOT_A_NUMBER)
    return numbers


def _two(pair: str) -> tuple[str, str]:
    x, y = pair.split(",")
    return x, y
