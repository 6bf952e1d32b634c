"""``LabelSpread``: how annotations are spread over pictures: how many each, where, and how large; drawn as charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.labels.geometry import FlatAnnotations, boxes, flatten
from fastlabel_dagster.labels.ragged import one_array
from fastlabel_dagster.metadata.bars import Bar, bars, heat_map
from fastlabel_dagster.metadata.pictures import colour
from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

#: Upper ends of the groups "annotations in a picture": 0, 1, 2, 3–4, 5–8, …
_PER_IMAGE = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128])
#: Lower ends of the groups "side of a box" in pixels: the square root of its area, as COCO's small, medium and large.
_SIDES = np.array([0, 8, 16, 32, 64, 96, 128, 256, 512, 1024])
#: Box centres are counted in so many columns and rows, whatever the pictures' sizes.
GRID = (24, 18)
_MOST_CLASSES = 40


@dataclass
class LabelSpread:
    """Counts filled batch by batch with :meth:`add`; memory does not grow with the project.

    Attributes:
        per_image: int64[10], tasks by how many annotations they have: 0, 1, 2, up to 4, 8, … 128, more.
        centres: int64[18, 24], box centres by place, normalised by each picture's size; row 0 is the top. Centres
            outside their picture, and those in pictures of unknown size, are not counted.
        sides: int64[10], boxes by the square root of their area in pixels.
        sized: how many annotations have a box of finite size.
    """

    per_image: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_PER_IMAGE) + 1, np.int64))
    centres: NDArray[np.int64] = field(default_factory=lambda: np.zeros((GRID[1], GRID[0]), np.int64))
    sides: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_SIDES), np.int64))
    sized: int = 0

    def add(self, tasks: pa.Table, flat: FlatAnnotations | None = None) -> None:
        """Count one batch of tasks (schema ``TASKS``); ``flat`` is its geometry, where somebody has it already."""
        if not tasks.num_rows:
            return
        counts = pc.fill_null(pc.list_value_length(one_array(tasks["annotations"])), 0).to_numpy(zero_copy_only=False)
        self.per_image += np.bincount(np.searchsorted(_PER_IMAGE, counts), minlength=len(self.per_image))
        flat = flatten(tasks) if flat is None else flat
        corners = boxes(flat)
        good = np.isfinite(corners).all(axis=1)
        x1, y1, x2, y2 = corners[good].T
        with np.errstate(over="ignore", invalid="ignore"):
            area = (x2 - x1) * (y2 - y1)
            across, down = (x1 + x2) / 2 / flat.width[good], (y1 + y2) / 2 / flat.height[good]
        extended = np.isfinite(area) & (area > 0)
        self.sized += int(extended.sum())
        places = np.searchsorted(_SIDES, np.sqrt(area[extended]), side="right") - 1
        self.sides += np.bincount(places, minlength=len(self.sides))
        inside = (across >= 0) & (across <= 1) & (down >= 0) & (down <= 1)  # NaN, an unknown size, is in no picture
        column = np.minimum((across[inside] * GRID[0]).astype(np.int64), GRID[0] - 1)
        row = np.minimum((down[inside] * GRID[1]).astype(np.int64), GRID[1] - 1)
        self.centres += np.bincount(row * GRID[0] + column, minlength=GRID[0] * GRID[1]).reshape(GRID[1], GRID[0])

    def per_image_chart(self) -> str:
        """Tasks by how many annotations they have, as an SVG document."""
        names = _groups(_PER_IMAGE.tolist())
        rows = [Bar(name, int(count)) for name, count in zip(names, self.per_image, strict=True)]
        return bars(f"Annotations in each of {int(self.per_image.sum()):,} tasks", _trimmed(rows))

    def sides_chart(self) -> str:
        """Boxes by the square root of their area, as an SVG document."""
        ends = [*_SIDES.tolist()[1:], None]
        names = [f"{low}–{high} px" if high else f"{low} px and more" for low, high in zip(_SIDES, ends, strict=True)]
        rows = [Bar(name, int(count)) for name, count in zip(names, self.sides, strict=True)]
        return bars(f"Side (√ of the area) of {self.sized:,} boxes around annotations", _trimmed(rows))

    def centres_chart(self) -> str:
        """Where the centres of boxes lie in their pictures, as an SVG document."""
        return heat_map(f"Where {int(self.centres.sum()):,} annotations lie in their pictures", self.centres)


def class_histogram(classes: Sequence[ClassCount]) -> str:
    """Annotations per class as horizontal bars in the classes' colours, most frequent first; an SVG document.

    At most 40 bars; further classes are one bar "n more". A class the project does not declare is marked with ``?``.
    """
    ordered = sorted(classes, key=lambda one: (-one.count, one.title))
    rows = [
        Bar(one.title or one.value or "(no class)", one.count, colour(one.color), "" if one.known else "? undeclared")
        for one in ordered[:_MOST_CLASSES]
    ]
    rest = ordered[_MOST_CLASSES:]
    if rest:
        rows.append(Bar(f"{len(rest)} more", sum(one.count for one in rest), NO_COLOUR))
    total = sum(one.count for one in ordered)
    return bars(f"{total:,} annotations in {len(ordered)} classes", rows, empty="This project declares no class.")


def _groups(ends: Sequence[int]) -> list[str]:
    """Names of the groups that end at ``ends``: ``0``, ``1``, ``2``, ``3–4``, …, ``more than 128``."""
    names = [str(ends[0])]
    for low, high in pairwise(ends):
        names.append(str(high) if high == low + 1 else f"{low + 1}–{high}")
    return [*names, f"more than {ends[-1]}"]


def _trimmed(rows: Sequence[Bar]) -> list[Bar]:
    """Without the empty rows at both ends: those in between belong to the shape of the distribution."""
    used = [number for number, row in enumerate(rows) if row.count]
    return list(rows[used[0] : used[-1] + 1]) if used else []
