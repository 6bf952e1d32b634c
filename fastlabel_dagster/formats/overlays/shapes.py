"""The annotations of a batch as shapes to draw: geometry, colour, the edges of poses, the title."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.outlines import regions_of
from fastlabel_dagster.formats.overlays.drawing import Colour, Shape
from fastlabel_dagster.formats.shapes import ShapeBatch

POSE = "pose_estimation"
DRAWN = ("bbox", "polygon", "segmentation", "circle", "line", "keypoint", POSE)
NO_COLOUR = "it has no colour that can be read, it was drawn in that of its class, or in grey"
_GREY: Colour = (128, 128, 128)
_SHORT = re.compile(r"#([0-9a-f])([0-9a-f])([0-9a-f])[0-9a-f]?")
_LONG = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})(?:[0-9a-f]{2})?")


class Palette:
    """Colours and titles, of annotations and where they have none of their classes."""

    def __init__(self, classes: pa.Table) -> None:
        self._colours: dict[tuple[str | None, str | None], Colour] = {}
        self._titles: dict[tuple[str | None, str | None], str] = {}
        for row in classes.select(["value", "type", "title", "color"]).to_pylist():
            for key in ((row["value"], row["type"]), (row["value"], None)):
                colour = parsed_colour(row["color"])
                if colour is not None:
                    self._colours.setdefault(key, colour)
                if row["title"]:
                    self._titles.setdefault(key, row["title"])

    def colour(self, value: str | None, kind: str) -> Colour:
        """Of a class, or grey."""
        return self._colours.get((value, kind)) or self._colours.get((value, None), _GREY)

    def title(self, value: str | None, kind: str) -> str:
        """Of a class, or its value."""
        return self._titles.get((value, kind)) or self._titles.get((value, None)) or value or ""


def parsed_colour(text: str | None) -> Colour | None:
    """``#rgb``, ``#rrggbb`` (with or without a part for opacity, which is not used) or a name of CSS, as blue, green,
    red; None for anything else."""
    if not text:
        return None
    low = text.strip().lower()
    if not low.startswith("#"):
        from matplotlib.colors import CSS4_COLORS

        low = str(CSS4_COLORS.get(low, "")).lower()
    found = _LONG.fullmatch(low) or _SHORT.fullmatch(low)
    if found is None:
        return None
    red, green, blue = (int(part if len(part) > 1 else part * 2, 16) for part in found.groups())
    return blue, green, red


def shapes_of(batch: ShapeBatch, palette: Palette) -> list[list[Shape]]:
    """The shapes of each task of the batch that are not dropped; tells of colours that cannot be read."""
    flat, told = batch.flat, batch.told
    colours = {text: parsed_colour(text) for text in batch.column("color").unique().to_pylist()}
    of_row = batch.column("color").to_pylist()
    told.alter(NO_COLOUR, np.array([colours[text] is None for text in of_row], np.bool_))
    values, kinds, titles = flat.value.to_pylist(), flat.type.to_pylist(), batch.column("title").to_pylist()
    poses = batch.column("keypoints")
    shapes: list[list[Shape]] = [[] for _ in range(batch.tasks.num_rows)]
    for row in np.flatnonzero(told.kept).tolist():
        kind, value = kinds[row], values[row]
        rings = [
            flat.coords[flat.ring_offsets[ring] : flat.ring_offsets[ring + 1]]
            for ring in range(flat.annotation_rings[row], flat.annotation_rings[row + 1])
        ]
        shapes[int(flat.task[row])].append(
            Shape(
                kind,
                colours[of_row[row]] or palette.colour(value, kind),
                rings,
                regions_of(flat, row) if kind == "segmentation" else [],
                float(flat.radius[row]) if kind == "circle" else 0.0,
                _edges(poses[row].as_py()) if kind == POSE else (),
                titles[row] or palette.title(value, kind),
            )
        )
    return shapes


def _edges(keypoints: list[dict[str, Any] | None]) -> tuple[tuple[int, int], ...]:
    """The lines of a pose, as positions among its placed points; each once, whichever end names it."""
    placed = [point for point in keypoints if point and point["value"]]
    position = {point["key"]: place for place, point in reversed(list(enumerate(placed))) if point["key"] is not None}
    edges: dict[tuple[int, int], None] = {}
    for place, point in enumerate(placed):
        for key in point["edges"] or []:
            other = position.get(key)
            if other is not None and other != place:
                edges[min(place, other), max(place, other)] = None
    return tuple(edges)
