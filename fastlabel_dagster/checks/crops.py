"""Small pictures of annotations that are wrong, with the part of the photograph they lie on."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.checks.batch import LabelBatch
from fastlabel_dagster.metadata.pictures import colour, document, picture_markdown, shortened
from fastlabel_dagster.metadata.stills import FolderPictures
from fastlabel_dagster.metadata.summary import NO_COLOUR

#: The bytes of a task's picture, given its id and name; None when there is none. May raise: then there is none.
ReadImage = Callable[[str, str], bytes | None]

MOST_CROPS = 8
_COLUMNS = 4
_CELL = (180, 136)
_CAPTION = 34
_MOST_VERTICES = 400
_MOST_RINGS = 100
_LARGEST_FILE = 32 * 1024 * 1024
_PHOTO_SIDE = 240
_WRONG = "#e5484d"


def no_photographs(task_id: str, name: str) -> None:
    """A ``ReadImage`` for labels whose pictures are nowhere at hand."""


class Crop(NamedTuple):
    """What is drawn of some annotations of one task, or frame of a video: id and name of that, size of its picture in
    pixels (NaN: unknown), class and outlines of each, the last of them being the wrong one, and what is wrong."""

    task_id: str
    name: str
    size: tuple[float, float]
    values: tuple[str, ...]
    outlines: tuple[tuple[NDArray[np.float64], ...], ...]
    radii: tuple[float, ...]
    open: bool
    words: str


def crop_of(batch: LabelBatch, rows: Sequence[int], words: str) -> Crop:
    """The annotations ``rows`` of one task; the last is the wrong one."""
    flat = batch.flat
    row = int(rows[-1])
    task = batch.task(int(flat.task[row]))
    outlines = []
    for one in rows:
        rings = []
        first, last = int(flat.annotation_rings[one]), int(flat.annotation_rings[one + 1])
        shown = range(first, last, max(1, math.ceil((last - first) / _MOST_RINGS)))
        most = max(4, _MOST_VERTICES // max(len(shown), 1))
        for ring in shown:
            points = flat.coords[int(flat.ring_offsets[ring]) : int(flat.ring_offsets[ring + 1])]
            rings.append(points[:: max(1, math.ceil(len(points) / most))].copy())
        outlines.append(tuple(rings))
    name = str(task["task"] or task["task_id"])
    return Crop(
        str(batch.tasks["task_id"][int(flat.task[row])].as_py()),
        f"frame {task['frame']} · {name}" if "frame" in task else name,
        (float(flat.width[row]), float(flat.height[row])),
        tuple(flat.value[one].as_py() or "" for one in map(int, rows)),
        tuple(outlines),
        tuple(float(flat.radius[one]) for one in rows),
        flat.type[row].as_py() in ("line", "keypoint", "pose_estimation"),
        words,
    )


def crops_picture(crops: Sequence[Crop], classes: pa.Table, read_image: ReadImage | None) -> dict[str, Any]:
    """``{"picture": …}``: up to eight crops as one SVG in Markdown; empty when there is nothing to draw, or without
    ``read_image`` (:func:`no_photographs` gives outlines alone).

    What is wrong is drawn in red, what it lies on in its class's colour; the edge of the picture is a dashed line. A
    photograph that cannot be had or read is left out.
    """
    colours = {row["value"]: colour(row["color"]) for row in classes.select(["value", "color"]).to_pylist()}
    drawn = [one for one in crops if any(len(ring) for ring in one.outlines[-1])][:MOST_CROPS]
    if not drawn or read_image is None:
        return {}
    if isinstance(read_image, FolderPictures):
        read_image.expect(one.task_id for one in drawn)
    cells = [_cell(number, one, colours, read_image) for number, one in enumerate(drawn)]
    width = 8 + min(_COLUMNS, len(cells)) * (_CELL[0] + 8)
    height = 8 + math.ceil(len(cells) / _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    svg = document(width, height, "".join(cells), font_size=11)
    return {"picture": dg.MetadataValue.md(picture_markdown(svg, "what is wrong"))}


def _cell(number: int, crop: Crop, colours: dict[str, str], read_image: ReadImage) -> str:
    x = 8 + (number % _COLUMNS) * (_CELL[0] + 8)
    y = 8 + (number // _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    left, top, width, height = view = _view(crop)
    unit = max(width / _CELL[0], height / _CELL[1])
    parts = [_photo(crop, view, read_image)]
    if all(map(math.isfinite, crop.size)):
        parts.append(
            f'<rect x="0" y="0" width="{crop.size[0]:g}" height="{crop.size[1]:g}" fill="none" stroke="#6b7280" '
            f'stroke-width="{unit:.3g}" stroke-dasharray="{4 * unit:.3g}"/>'
        )
    last = len(crop.outlines) - 1
    for position, (value, rings, radius) in enumerate(zip(crop.values, crop.outlines, crop.radii, strict=True)):
        tint = _WRONG if position == last else colours.get(value, NO_COLOUR)
        parts.append(_shape(rings, radius, tint, unit, open=crop.open, dashed=position == last and last > 0))
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL[0]}" height="{_CELL[1]}" fill="#e8eaed"/>'
        f'<svg x="{x}" y="{y}" width="{_CELL[0]}" height="{_CELL[1]}" '
        f'viewBox="{left:.6g} {top:.6g} {width:.6g} {height:.6g}">{"".join(parts)}</svg>'
        f'<text x="{x + 2}" y="{y + _CELL[1] + 13}">{shortened(crop.words.replace("_", " "), 30)}</text>'
        f'<text x="{x + 2}" y="{y + _CELL[1] + 27}" fill="#444b55">{shortened(crop.name, 30)}</text>'
    )


def _view(crop: Crop) -> tuple[float, float, float, float]:
    """The part of the plane to show: what is wrong with a margin, and not less than 24 pixels."""
    points = np.concatenate([ring for ring in crop.outlines[-1] if len(ring)])
    reach = crop.radii[-1] if math.isfinite(crop.radii[-1]) else 0.0
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    low, high = np.clip(low, -1e6, 1e6), np.clip(high, -1e6, 1e6)
    middle = (low + high) / 2
    side = max(float((high[0] - low[0]) / _CELL[0]), float((high[1] - low[1]) / _CELL[1]), 24 / _CELL[0]) * 1.3
    width, height = side * _CELL[0], side * _CELL[1]
    return float(middle[0] - width / 2), float(middle[1] - height / 2), width, height


def _shape(
    rings: Sequence[NDArray[np.float64]], radius: float, tint: str, unit: float, *, open: bool, dashed: bool
) -> str:
    stroke = f'stroke="{tint}" stroke-width="{1.6 * unit:.3g}"' + (
        f' stroke-dasharray="{5 * unit:.3g} {3 * unit:.3g}"' if dashed else ""
    )
    if math.isfinite(radius) and rings:
        x, y = rings[0][0].tolist()
        return f'<circle cx="{x:.6g}" cy="{y:.6g}" r="{max(radius, 0):.6g}" fill="{tint}" fill-opacity="0.2" {stroke}/>'
    path = "".join(
        "M" + "L".join(f"{x:.6g} {y:.6g}" for x, y in np.clip(ring, -1e7, 1e7).tolist()) + ("" if open else "Z")
        for ring in rings
        if len(ring)
    )
    dots = "".join(
        f'<circle cx="{x:.6g}" cy="{y:.6g}" r="{2.2 * unit:.3g}" fill="{tint}"/>'
        for ring in rings
        for x, y in np.clip(ring[:1], -1e7, 1e7).tolist()
    )
    fill = "none" if open else tint
    look = f'fill="{fill}" fill-opacity="0.2" fill-rule="evenodd" stroke-linejoin="round"'
    return f'<path d="{path}" {look} {stroke}/>{dots}'


def _photo(crop: Crop, view: tuple[float, float, float, float], read_image: ReadImage) -> str:
    """The part of the photograph in view as a small JPEG; nothing where it cannot be had."""
    try:
        data = read_image(crop.task_id, crop.name)
        return "" if data is None or len(data) > _LARGEST_FILE else _cut(data, crop.size, view)
    except Exception:  # noqa: BLE001 - a decoration: without the photograph the outline still says what is wrong
        return ""


def _cut(data: bytes, size: tuple[float, float], view: tuple[float, float, float, float]) -> str:
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        return ""
    height, width = picture.shape[:2]
    # Labels are in pixels of the size the task states; a preview may be smaller.
    across = size[0] / width if math.isfinite(size[0]) else 1.0
    down = size[1] / height if math.isfinite(size[1]) else 1.0
    x1, y1 = max(0, math.floor(view[0] / across)), max(0, math.floor(view[1] / down))
    x2 = min(width, math.ceil((view[0] + view[2]) / across))
    y2 = min(height, math.ceil((view[1] + view[3]) / down))
    if x2 <= x1 or y2 <= y1:
        return ""
    part = picture[y1:y2, x1:x2]
    scale = min(1.0, _PHOTO_SIDE / max(part.shape[:2]))
    if scale < 1:
        smaller = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = cv2.resize(part, smaller, interpolation=cv2.INTER_AREA)
    good, jpeg = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 68])
    if not good:
        return ""
    coded = base64.b64encode(jpeg.tobytes()).decode()
    return (
        f'<image x="{x1 * across:.6g}" y="{y1 * down:.6g}" width="{(x2 - x1) * across:.6g}" '
        f'height="{(y2 - y1) * down:.6g}" preserveAspectRatio="none" href="data:image/jpeg;base64,{coded}"/>'
    )
