"""The contact sheet: a dozen pictures of a project with their annotations drawn in the classes' colours."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.frames import Pixels, encode
from fastlabel_dagster.labels.geometry import FlatAnnotations, flatten
from fastlabel_dagster.metadata.pictures import TooLarge, colour, document, shortened
from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

_COLUMNS = 4
_CELL = (236, 178)
_CAPTION = 20
_LEGEND_PER_ROW = 5
#: A picture larger than this many bytes is not opened for a thumbnail.
_LARGEST_FILE = 64 * 1024 * 1024
#: Nor is one of more pixels, which need three bytes each.
_MOST_PIXELS = 100_000_000
_TOO_LARGE = " · too large to show"
_CAPTION_LETTERS = 34

#: A sheet is about this many bytes at most; in Markdown it takes a third more, and an event should stay below 300 KB.
LARGEST_SHEET = 140_000


class _Detail(NamedTuple):
    cells: float
    """Pixels of a photograph for each of its cell, across."""
    quality: int
    """Of its JPEG."""
    shapes: int
    """Of a picture."""
    vertices: int
    """Of an outline."""
    outlines: int
    """Of a shape: those with the most vertices."""


class _Picture(NamedTuple):
    name: str
    photo: Pixels | None
    size: tuple[Any, Any]
    """Width and height in pixels; None where unknown."""
    note: str = ""
    """What the caption says behind the name."""


#: How finely to draw: the first with which a sheet is small enough, or the last.
_DETAILS = (
    _Detail(1.4, 72, 80, 120, 400),
    _Detail(1.2, 60, 80, 60, 200),
    _Detail(1.0, 50, 60, 40, 80),
    _Detail(1.0, 35, 40, 24, 40),
    _Detail(0.7, 30, 24, 16, 12),
    _Detail(0.5, 20, 12, 12, 4),
    _Detail(0.5, 20, 6, 12, 4),
)
#: Pixels; what is further away is drawn there: no picture is so large, and a number may have 300 digits.
_FURTHEST = 1e6

#: The bytes of a task's picture, given its id and name; None when there is none. May raise: the cell then stays grey.
ReadImage = Callable[[str, str], bytes | None]


def contact_sheet(
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    read_image: ReadImage,
    on_problem: Callable[[str], object] = lambda _: None,
    *,
    limit: int = LARGEST_SHEET,
) -> str:
    """An SVG document with one cell for each row of ``tasks`` (schema ``TASKS``), of about ``limit`` bytes at most.

    Photographs are small JPEGs inside it; shapes and names are drawn by the browser on top, so lines stay sharp and
    Japanese names readable. Boxes, polygons, segmentations with holes, lines, points and circles are drawn; at most 80
    shapes a picture. A sheet that would be too large has coarser photographs and fewer shapes. A picture that cannot be
    had or read, or is too large to, leaves a grey cell and a line to ``on_problem``.
    """
    flat = flatten(tasks)
    pictures: list[_Picture] = []
    read: dict[str, tuple[Pixels, tuple[int, int]]] = {}  # a task may be shown twice, before and after
    for row in tasks.select(["task_id", "name", "width", "height"]).to_pylist():
        name = str(row["name"] or row["task_id"])
        photo, size, note = None, (row["width"], row["height"]), ""
        try:
            task_id = str(row["task_id"])
            data = None if task_id in read else read_image(task_id, name)
            if data is not None:
                read[task_id] = _small(data)
            if task_id in read:
                photo, actual = read[task_id]
                size = (row["width"] or actual[0], row["height"] or actual[1])
            else:
                on_problem(f"{name}: no picture")
        except Exception as error:  # noqa: BLE001 - a decoration: whatever is wrong with one picture, the rest is drawn
            on_problem(f"{name}: {type(error).__name__}: {error}")
            note = _TOO_LARGE if isinstance(error, TooLarge) else ""
        pictures.append(_Picture(name, photo, size, note))
    svg = ""
    for detail in _DETAILS:
        svg = _sheet(flat, classes, pictures, detail)
        if len(svg) <= limit:
            break
    return svg


def _sheet(
    flat: FlatAnnotations,
    classes: Sequence[ClassCount],
    pictures: Sequence[_Picture],
    detail: _Detail,
) -> str:
    colours = {one.value: colour(one.color) for one in classes}
    cells = []
    used: set[str] = set()
    photos: dict[tuple[int, Any], str] = {}
    for number, (name, photo, size, note) in enumerate(pictures):
        shapes, values = _shapes(flat, number, colours, size, detail)
        used |= values
        same = id(photo), size
        if photo is None:
            shown = ""
        elif same in photos:  # the same photograph is in the document once
            shown = f'<use href="#{photos[same]}"/>'
        else:
            photos[same] = f"photo{number}"
            shown = _photo(photo, size, detail, photos[same])
        caption = shortened(name, _CAPTION_LETTERS - len(note)) + note
        cells.append(_cell(number, caption, shown, shapes, size))
    top = 8 + math.ceil(len(pictures) / _COLUMNS) * (_CELL[1] + _CAPTION + 8)
    width = 8 + _COLUMNS * (_CELL[0] + 8)
    said, said_height = legend([one for one in classes if one.value in used], top, width)
    return document(width, top + said_height, "".join(cells) + said)


def _small(data: bytes) -> tuple[Pixels, tuple[int, int]]:
    """The picture in ``data`` as small as it is shown, and its own (width, height)."""
    import cv2

    from fastlabel_dagster.formats.image_size import head_size

    if len(data) > _LARGEST_FILE:
        raise TooLarge(f"{len(data):,} bytes are too many for a thumbnail")
    size = head_size(data)
    how, cells = cv2.IMREAD_COLOR, _DETAILS[0].cells
    if size is not None:
        if size[0] * size[1] > _MOST_PIXELS:
            raise TooLarge(f"{size[0]:,} x {size[1]:,} pixels are too many for a thumbnail")
        if data.startswith(b"\xff\xd8"):  # a JPEG can be decoded at a half, a quarter, an eighth of its size
            spare = max(size[0] / (_CELL[0] * cells), size[1] / (_CELL[1] * cells))
            how = next((flag for flag, times in _reduced() if times <= spare), how)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), how) if data else None
    if picture is None:
        raise ValueError("not a picture that can be read")
    height, width = picture.shape[:2]
    return _at_most(np.asarray(picture, np.uint8), cells), (width, height) if size is None else size


def _reduced() -> list[tuple[int, int]]:
    import cv2

    return [(cv2.IMREAD_REDUCED_COLOR_8, 8), (cv2.IMREAD_REDUCED_COLOR_4, 4), (cv2.IMREAD_REDUCED_COLOR_2, 2)]


def _at_most(picture: Pixels, cells: float) -> Pixels:
    """``picture``, made smaller where it has more than ``cells`` pixels for each of its cell."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(_CELL[0] * cells / width, _CELL[1] * cells / height)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _photo(photo: Pixels, size: tuple[Any, Any], detail: _Detail, name: str) -> str:
    coded = base64.b64encode(encode(_at_most(photo, detail.cells), ".jpg", detail.quality)).decode()
    place = f'width="{size[0]}" height="{size[1]}" preserveAspectRatio="none"'
    return f'<image id="{name}" {place} href="data:image/jpeg;base64,{coded}"/>'


def _cell(number: int, caption: str, photo: str, shapes: str, size: tuple[Any, Any]) -> str:
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
        f'<text x="{x + 2}" y="{y + _CELL[1] + 14}" fill="#444b55">{caption}</text>'
    )


def _shapes(
    flat: FlatAnnotations, task: int, colours: dict[str, str], size: tuple[Any, Any], detail: _Detail
) -> tuple[str, set[str]]:
    """The annotations of row ``task`` as SVG elements in pixels of the picture, and the class values they use."""
    drawn, values = [], set()
    dot = 2.2 * max((size[0] or 0) / _CELL[0], (size[1] or 0) / _CELL[1], 0.3)
    for row in np.flatnonzero(flat.task == task)[: detail.shapes].tolist():
        value = flat.value[row].as_py() or ""
        values.add(value)
        tint = colours.get(value, NO_COLOUR)
        rings = [_ring(flat, ring, detail.vertices) for ring in _largest(flat, row, detail.outlines)]
        rings = [ring for ring in rings if len(ring)]
        if not rings:
            continue
        radius = float(flat.radius[row])
        drawn.append(_shape(flat.type[row].as_py() or "", rings, tint, radius, dot))
    return "".join(drawn), values


def _largest(flat: FlatAnnotations, row: int, most: int) -> list[int]:
    """The outlines of an annotation, or of very many those with the most vertices."""
    first, last = int(flat.annotation_rings[row]), int(flat.annotation_rings[row + 1])
    if last - first <= most:
        return list(range(first, last))
    longest = np.argsort(-np.diff(flat.ring_offsets[first : last + 1]), kind="stable")[:most]
    return [first + ring for ring in sorted(longest.tolist())]


def _ring(flat: FlatAnnotations, ring: int, most: int) -> Any:
    points = flat.coords[int(flat.ring_offsets[ring]) : int(flat.ring_offsets[ring + 1])]
    points = points[np.isfinite(points).all(axis=1)]
    step = max(1, math.ceil(len(points) / most))
    return np.clip(points[::step], -_FURTHEST, _FURTHEST)


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
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{min(radius, _FURTHEST):.1f}" fill="{tint}" {stroke}/>'
    closed = "" if kind == "line" else "Z"
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring.tolist()) + closed for ring in rings)
    fill = "none" if kind == "line" else tint
    return f'<path d="{path}" fill="{fill}" fill-rule="evenodd" {stroke}/>'


def legend(classes: Sequence[ClassCount], top: int, width: int) -> tuple[str, int]:
    """Colour and name of each of ``classes``, up to 20, from ``top`` on in a picture of so many pixels' ``width``; and
    the height this takes."""
    shown = list(classes)[:20]
    each = (width - 8) // _LEGEND_PER_ROW
    parts = []
    for number, one in enumerate(shown):
        x, y = 10 + (number % _LEGEND_PER_ROW) * each, top + 4 + (number // _LEGEND_PER_ROW) * 20
        parts.append(
            f'<rect x="{x}" y="{y}" width="12" height="12" rx="2" fill="{colour(one.color)}"/>'
            f'<text x="{x + 18}" y="{y + 11}">{shortened(one.title or one.value, 22)}</text>'
        )
    return "".join(parts), math.ceil(len(shown) / _LEGEND_PER_ROW) * 20 + 6
