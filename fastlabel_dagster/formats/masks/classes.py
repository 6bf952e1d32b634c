"""Which number each class has in a semantic mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.asked_classes import values_of
from fastlabel_dagster.formats.categories import Categories, Category
from fastlabel_dagster.formats.shapes import SHAPES
from fastlabel_dagster.labels.ragged import Bools, Ints, kept_only
from fastlabel_dagster.labels.tables import Labels


class MaskClasses:
    """The classes of a dataset in the order of their pixel values.

    Args:
        labels: of the dataset.
        order: ``"project"``: as the project orders its classes, without those that have no area in any way, and behind
            them what only annotations speak of, as they are met: a class keeps its number whatever is drawn.
            ``"sorted"``: the values of all annotations there are, sorted, as the official SDK does it (a class that is
            drawn for the first time moves the others). Or the values themselves: others are left out.

    Raises:
        ValueError: for another order, or a value that is named twice.
    """

    def __init__(self, labels: Labels, order: str | Sequence[str]) -> None:
        self._about = {category.value: category for category in Categories(labels.classes)}
        self.fixed = not isinstance(order, str)
        if order == "project":
            values = [value for value, about in self._about.items() if not about.types or _has_area(about)]
        elif order == "sorted":
            values = sorted(values_of(labels))
        elif isinstance(order, list | tuple):
            values = list(order)
        else:
            raise ValueError(f'the order of classes is "project", "sorted" or the values themselves, not {order!r}')
        if not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
            raise ValueError("classes= names every class once, by its value")
        self._place = {value: place for place, value in enumerate(values)}

    def __len__(self) -> int:
        return len(self._place)

    @property
    def values(self) -> list[str]:
        """The class values, in order."""
        return list(self._place)

    def meet(self, values: pa.Array, kept: Bools) -> tuple[Ints, Bools]:
        """The places (from 0; -1: none) of annotations, and which are of a class of the project.

        ``values`` are their class values. Unknown classes of those that are ``kept`` are added, unless the classes were
        given.
        """
        encoded = pc.dictionary_encode(kept_only(values, kept))
        words = encoded.dictionary.to_pylist()
        if not self.fixed:
            for word in words:
                self._place.setdefault(word, len(self._place))
        position = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        place = np.array([*(self._place.get(word, -1) for word in words), -1], np.int64)
        known = np.array([*(word in self._about for word in words), True], np.bool_)
        return place[position], known[position]

    def colors(self, start: int) -> dict[int, str | None]:
        """Pixel value -> the colour of the class, where the project gives it one."""
        return {start + place: self._color(value) for value, place in self._place.items()}

    def color_of(self, value: str) -> str | None:
        """The colour the project gives a class."""
        return self._color(value)

    def rows(self, start: int) -> list[dict[str, Any]]:
        """What the index file says of each class."""
        rows = []
        for value, place in self._place.items():
            row: dict[str, Any] = {"index": start + place, "value": value}
            about = self._about.get(value)
            if about is not None:
                extra = {"title": about.title, "color": about.color, "types": about.types or None}
                row.update({name: content for name, content in extra.items() if content is not None})
            rows.append(row)
        return rows

    def _color(self, value: str) -> str | None:
        about = self._about.get(value)
        return None if about is None else about.color


def _has_area(category: Category) -> bool:
    return any(kind in SHAPES for kind in category.types)
