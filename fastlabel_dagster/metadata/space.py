"""A preview of point clouds: their points and cuboids from above, in metres."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.formats.frames import encode
from fastlabel_dagster.metadata.cloud import points_from_above
from fastlabel_dagster.metadata.pictures import colour, document, shortened
from fastlabel_dagster.metadata.sheet import legend
from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

_COLUMNS = 3
_CELL = (317, 238)
_CAPTION = 20
_WIDTH = 8 + _COLUMNS * (_CELL[0] + 8)
#: How many clouds are shown, and cuboids of each.
_MOST = 6
_MOST_CUBOIDS = 120
#: Metres; what is further away, or no number, is no place anybody drew.
_FURTHEST = 1e6
#: How bright the ground is, and how many bytes the picture of a cloud's points may have.
_GROUND = 243
_LARGEST_DENSITY = 15_000
_NO_POINTS = np.empty((0, 2))


class _Cuboid(NamedTuple):
    value: str
    corners: NDArray[np.float64]
    """float64[4, 2]: x and y in metres, from the front left round to the front right."""


def space_sheet(
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    read_cloud: Callable[[str, str], bytes | None] = lambda *_: None,
    on_problem: Callable[[str], object] = lambda _: None,
) -> str | None:
    """An SVG document with the first six of ``tasks`` (schema ``TASKS``) that have cuboids, x to the right, y upwards
    and the origin as a cross; None when there are none.

    A cuboid is nine numbers: its centre, its rotation about x, y and z in radians, its lengths along x, y and z. From
    above only the rotation about z is seen; the line from the centre points to the front, along the cuboid's own x. Of
    a sequence the frame with the most cuboids is shown.

    Under them lie the points, the denser the darker, where ``read_cloud`` (given a task's id and name) has a PCD file
    that is not compressed; why one has none is told to ``on_problem``.
    """
    colours = {one.value: colour(one.color) for one in classes}
    cells: list[str] = []
    used: set[str] = set()
    for task in tasks.select(["task_id", "name", "annotations"]).to_pylist():
        frame, count, cuboids = _cuboids(task["annotations"] or [])
        if not cuboids:
            continue
        name = str(task["name"] or task["task_id"])
        points = _points(str(task["task_id"]), name, read_cloud, on_problem) if frame is None else _NO_POINTS
        caption = name if frame is None else f"frame {frame:,} · {name}"
        if count > len(cuboids):
            caption = f"{len(cuboids)} of {count:,} cuboids · {caption}"
        cells.append(_cell(len(cells), caption, cuboids, points, colours))
        used |= {one.value for one in cuboids}
        if len(cells) == _MOST:
            break
    if not cells:
        return None
    top = 8 + math.ceil(len(cells) / _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    said, height = legend([one for one in classes if one.value in used], top, _WIDTH)
    return document(_WIDTH, top + height, "".join(cells) + said)


def _cuboids(annotations: Sequence[dict[str, Any]]) -> tuple[int | None, int, list[_Cuboid]]:
    """Of a cloud, or of the fullest frame of a sequence: the number of that frame, how many cuboids there are, and
    the first of them."""
    solid = [one for one in annotations if one.get("type") == "cuboid"]
    listed = Counter(frame["frame"] for one in solid for frame in one.get("frames") or [] if frame["frame"] is not None)
    fullest = min(listed, key=lambda number: (-listed[number], number)) if listed else None
    found = []
    for one in solid:
        points = one.get("points")
        if fullest is not None:
            points = next((each["value"] for each in one.get("frames") or [] if each["frame"] == fullest), None)
        if points is not None and len(points) == 9 and all(abs(number) <= _FURTHEST for number in points):
            found.append((str(one.get("value") or ""), points))
    return fullest, len(found), [_Cuboid(value, _from_above(points)) for value, points in found[:_MOST_CUBOIDS]]


def _from_above(points: Sequence[float]) -> NDArray[np.float64]:
    x, y, _, _, _, turn, length, width, _ = points
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.array([length / 2, width / 2])
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(corners @ rotation + np.array([x, y]))


def _points(
    task_id: str,
    name: str,
    read_cloud: Callable[[str, str], bytes | None],
    on_problem: Callable[[str], object],
) -> NDArray[np.float64]:
    try:
        data = read_cloud(task_id, name)
        if data is not None:
            return points_from_above(data)
        on_problem(f"{name}: no points")
    except Exception as error:  # noqa: BLE001 - a decoration: without the points there are still the cuboids
        on_problem(f"{name}: {type(error).__name__}: {error}")
    return _NO_POINTS


def _cell(
    number: int, name: str, cuboids: Sequence[_Cuboid], points: NDArray[np.float64], colours: dict[str, str]
) -> str:
    left = 8 + (number % _COLUMNS) * (_CELL[0] + 8)
    top = 8 + (number // _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    corners = np.concatenate([one.corners for one in cuboids])
    low, high = np.minimum(corners.min(axis=0), 0), np.maximum(corners.max(axis=0), 0)  # the origin is in view
    scale = float(min((np.array(_CELL) - 24) / np.maximum(high - low, 1.0)))
    middle = (low + high) / 2

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        centre = np.array([left + _CELL[0] / 2, top + _CELL[1] / 2])
        return np.asarray((points - middle) * np.array([scale, -scale]) + centre)

    parts = [f'<rect x="{left}" y="{top}" width="{_CELL[0]}" height="{_CELL[1]}" fill="#f1f3f5"/>']
    parts.append(_density(place(points), left, top))
    parts.append(_grid(left, top, scale, place(np.zeros((1, 2)))[0]))
    outlines: dict[str, list[str]] = {}
    for one in cuboids:
        around, front = place(one.corners), place((one.corners[:1] + one.corners[3:]) / 2)[0]
        (x, y), words = around.mean(axis=0).tolist(), "L".join(f"{x:.1f} {y:.1f}" for x, y in around.tolist())
        outlines.setdefault(colours.get(one.value, NO_COLOUR), []).append(
            f"M{words}ZM{x:.1f} {y:.1f}L{front[0]:.1f} {front[1]:.1f}"
        )
    for tint, drawn in outlines.items():  # one element for each colour: hundreds of cuboids stay small
        look = f'fill="{tint}" fill-opacity="0.25" stroke="{tint}" stroke-width="1.4"'
        parts.append(f'<path d="{"".join(drawn)}" {look}/>')
    caption = f'<text x="{left + 2}" y="{top + _CELL[1] + 14}" fill="#444b55">{shortened(name, 46)}</text>'
    return "".join(parts) + caption


def _density(points: NDArray[np.float64], left: int, top: int) -> str:
    """The points that lie in the cell, as a small picture: the denser the darker. Many make a coarser one."""
    edges = (top, top + _CELL[1]), (left, left + _CELL[0])
    data = b""
    for coarse in (1, 2, 4):
        bins = _CELL[1] // coarse, _CELL[0] // coarse
        counts = np.histogram2d(points[:, 1], points[:, 0], bins=bins, range=edges)[0]
        if not counts.any():
            return ""
        dark = np.minimum(np.sqrt(counts / np.quantile(counts[counts > 0], 0.95)), 1)
        data = encode(np.round(_GROUND * (1 - 0.25 * np.round(3 * dark))).astype(np.uint8), ".png")
        if len(data) <= _LARGEST_DENSITY:
            break
    coded = base64.b64encode(data).decode()
    place = f'x="{left}" y="{top}" width="{_CELL[0]}" height="{_CELL[1]}"'
    return f'<image {place} href="data:image/png;base64,{coded}"/>'


def _grid(left: int, top: int, scale: float, origin: NDArray[np.float64]) -> str:
    """Lines every one, two, five, ten … metres through the origin, which is a cross, and how far they are apart."""
    wide = 40 / scale
    power = 10.0 ** math.floor(math.log10(wide))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wide)
    lines = []
    for axis, begin, side in ((0, left, _CELL[0]), (1, top, _CELL[1])):
        first = origin[axis] - math.floor((origin[axis] - begin) / (step * scale)) * step * scale
        for at in np.arange(first, begin + side, step * scale).tolist():
            across = f"M{at:.1f} {top}v{_CELL[1]}" if axis == 0 else f"M{left} {at:.1f}h{_CELL[0]}"
            lines.append(across)
    x, y = origin.tolist()
    return (
        f'<path d="{"".join(lines)}" stroke="#d5d9df" stroke-width="1"/>'
        f'<path d="M{x - 5:.1f} {y:.1f}h10M{x:.1f} {y - 5:.1f}v10" stroke="#4a5563" stroke-width="1.6"/>'
        f'<text x="{left + 5}" y="{top + _CELL[1] - 6}" font-size="10" fill="#444b55">grid: {step:g} m</text>'
    )
