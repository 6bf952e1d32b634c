"""The contact sheet: a dozen pictures of a project with their annotations drawn in the classes' colours."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.labels.geometry import FlatAnnotations, flatten
from fastlabel_dagster.metadata.pictures import FONT, colour, shortened
from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

_COLUMNS = 4
_CELL = (236, 178)
_CAPTION = 20
_MOST_SHAPES = 80
_MOST_VERTICES = 120
_LEGEND_PER_ROW = 5
#: A picture larger than this many bytes is not opened for a thumbnail.
_LARGEST_FILE = 64 * 1024 * 1024

#: The bytes of a task's picture, given its id and name; None when there is none. May raise: the cell then stays grey.
ReadImage = Callable[[str, str], bytes | None]


def contact_sheet(
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    read_image: ReadImage,
    on_problem: Callable[[str], object] = lambda _: None,
) -> str:
    """An SVG document with one cell for each row of ``tasks`` (schema ``TASKS``).

    Photographs are small JPEGs inside it; shapes and names are drawn by the browser on top, so lines stay sharp and
    Japanese names readable. Boxes, polygons, segmentations with holes, lines, points and circles are drawn; at most 80
    shapes a picture. A picture that cannot be had or read leaves a grey cell and a line to ``on_problem``.
    """
    flat = flatten(tasks)
    colours = {one.value: colour(one.color) for one in classes}
    rows = tasks.select(["task_id", "name", "width", "height"]).to_pylist()
    cells = []
    used: set[str] = set()
    for number, row in enumerate(rows):
        name = str(row["name"] or row["task_id"])
        photo, size = "", (row["width"], row["height"])
        try:
            data = read_image(str(row["task_id"]), name)
            if data is None:
                on_problem(f"{name}: no picture")
            else:
                jpeg, actual = thumbnail(data)
                size = (row["width"] or actual[0], row["height"] or actual[1])
                photo = _photo(jpeg, size)
        except Exception as error:  # noqa: BLE001 - a decoration: whatever is wrong with one picture, the rest is drawn
            on_problem(f"{name}: {type(error).__name__}: {error}")
        shapes, values = _shapes(flat, number, colours, size)
        used |= values
        cells.append(_cell(number, name, photo, shapes, size))
    lines = math.ceil(len(rows) / _COLUMNS)
    legend, legend_height = _legend(
        [one for one in classes if one.value in used], 8 + lines * (_CELL[1] + _CAPTION + 8)
    )
    width = 8 + _COLUMNS * (_CELL[0] + 8)
    height = 8 + lines * (_CELL[1] + _CAPTION + 8) + legend_height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{html.escape(FONT)}" font-size="12" fill="#1c2128">'
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>{"".join(cells)}{legend}</svg>'
    )


def thumbnail(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """A small JPEG of the picture in ``data`` and the picture's own (width, height) in pixels.

    Raises:
        ValueError: ``data`` is no picture OpenCV can read, or is too large.
    """
    import cv2

    if len(data) > _LARGEST_FILE:
        raise ValueError(f"{len(data):,} bytes are too many for a thumbnail")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise ValueError("not a picture that can be read")
    height, width = picture.shape[:2]
    scale = min(1.0, _CELL[0] * 1.4 / width, _CELL[1] * 1.4 / height)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    good, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 72])
    if not good:
        raise ValueError("the thumbnail could not be written")
    return jpeg.tobytes(), (width, height)


def _photo(jpeg: bytes, size: tuple[Any, Any]) -> str:
    coded = base64.b64encode(jpeg).decode()
    place = f'width="{size[0]}" height="{size[1]}" preserveAspectRatio="none"'
    return f'<image {place} href="data:image/jpeg;base64,{coded}"/>'


def _cell(number: int, name: str, photo: str, shapes: str, size: tuple[Any, Any]) -> str:
    x = 8 + (number % _COLUMNS) * (_CELL[0] + 8)
    y = 8 + (number // _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    drawing = ""
    if size[0] and size[1]:
        drawing = (
            f'<svg x="{x}" y="{y}" width="{_CELL[0]}" height="{_CELL[1]}" viewBox="0 0 {size[0]} {size[1]}">'
            f'{photo}<g fill-opacity="0.22" stroke-width="1.6">{shapes}</g></svg>'
        )
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL[0]}" height="{_CELL[1]}" fill="#e8eaed"/>{drawing}'
        f'<text x="{x + 2}" y="{y + _CELL[1] + 14}" fill="#444b55">{shortened(name, 34)}</text>'
    )


def _shapes(flat: FlatAnnotations, task: int, colours: dict[str, str], size: tuple[Any, Any]) -> tuple[str, set[str]]:
    """The annotations of row ``task`` as SVG elements in pixels of the picture, and the class values they use."""
    drawn, values = [], set()
    dot = 2.2 * max((size[0] or 0) / _CELL[0], (size[1] or 0) / _CELL[1], 0.3)
    for row in np.flatnonzero(flat.task == task)[:_MOST_SHAPES].tolist():
        first, last = int(flat.annotation_rings[row]), int(flat.annotation_rings[row + 1])
        value = flat.value[row].as_py() or ""
        values.add(value)
        tint = colours.get(value, NO_COLOUR)
        rings = [_ring(flat, ring) for ring in range(first, last)]
        rings = [ring for ring in rings if len(ring)]
        if not rings:
            continue
        radius = float(flat.radius[row])
        drawn.append(_shape(flat.type[row].as_py() or "", rings, tint, radius, dot))
    return "".join(drawn), values


def _ring(flat: FlatAnnotations, ring: int) -> Any:
    points = flat.coords[int(flat.ring_offsets[ring]) : int(flat.ring_offsets[ring + 1])]
    points = points[np.isfinite(points).all(axis=1)]
    step = max(1, math.ceil(len(points) / _MOST_VERTICES))
    return points[::step]


def _shape(kind: str, rings: list[Any], tint: str, radius: float, dot: float) -> str:
    stroke = f'stroke="{tint}" vector-effect="non-scaling-stroke"'
    if kind in ("keypoint", "pose_estimation"):
        points = np.concatenate(rings)
        return "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{dot:.1f}" fill="{tint}" fill-opacity="0.9"/>'
            for x, y in points.tolist()
        )
    if kind == "circle":
        if not math.isfinite(radius) or radius < 0:
            return ""
        x, y = rings[0][0].tolist()
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{tint}" {stroke}/>'
    closed = "" if kind == "line" else "Z"
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring.tolist()) + closed for ring in rings)
    fill = "none" if kind == "line" else tint
    return f'<path d="{path}" fill="{fill}" fill-rule="evenodd" {stroke}/>'


def _legend(classes: Sequence[ClassCount], top: int) -> tuple[str, int]:
    """Colour and name of each class that is drawn, up to 20, and the height this takes."""
    shown = list(classes)[:20]
    width = (_COLUMNS * (_CELL[0] + 8)) // _LEGEND_PER_ROW
    parts = []
    for number, one in enumerate(shown):
        x, y = 10 + (number % _LEGEND_PER_ROW) * width, top + 4 + (number // _LEGEND_PER_ROW) * 20
        parts.append(
            f'<rect x="{x}" y="{y}" width="12" height="12" rx="2" fill="{colour(one.color)}"/>'
            f'<text x="{x + 18}" y="{y + 11}">{shortened(one.title or one.value, 22)}</text>'
        )
    return "".join(parts), math.ceil(len(shown) / _LEGEND_PER_ROW) * 20 + 6
