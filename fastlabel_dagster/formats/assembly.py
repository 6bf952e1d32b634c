"""Label tables put together from what a reader found: annotation columns, tasks, and the classes they make
necessary."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.labels.ragged import offsets_of
from fastlabel_dagster.labels.schema import ANNOTATION, CLASSES, TASKS


@dataclass
class FoundClass:
    """A class as a dataset knows it. ``types`` are the ones the dataset states; usage may add others."""

    value: str
    order: int
    title: str | None = None
    color: str | None = None
    types: list[str] = field(default_factory=list)
    keypoints: list[str] = field(default_factory=list)
    skeleton: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of positions in ``keypoints``, from 1."""

    def edges(self) -> dict[str, list[str]]:
        """Keypoint -> the keypoints it is connected with."""
        ends: dict[str, list[str]] = {key: [] for key in self.keypoints}
        for a, b in self.skeleton:
            if 1 <= a <= len(self.keypoints) and 1 <= b <= len(self.keypoints):
                ends[self.keypoints[a - 1]].append(self.keypoints[b - 1])
                ends[self.keypoints[b - 1]].append(self.keypoints[a - 1])
        return ends


class AnnotationColumns:
    """The annotations found so far, a list per column; ``owner`` is the position of the task each belongs to."""

    def __init__(self) -> None:
        self.owner: list[int] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("type", "value", "points", "regions", "keypoints", "attributes")
        }

    def __len__(self) -> int:
        return len(self.owner)

    def add(
        self,
        owner: int,
        kind: str,
        value: str,
        *,
        points: Sequence[float] | None = None,
        regions: list[list[list[float]]] | None = None,
        keypoints: list[dict[str, Any]] | None = None,
        attributes: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Add one annotation; geometry as :mod:`fastlabel_dagster.labels.schema` says."""
        self.owner.append(owner)
        for name, content in (
            ("type", kind),
            ("value", value),
            ("points", points),
            ("regions", regions),
            ("keypoints", keypoints),
            ("attributes", attributes),
        ):
            self._columns[name].append(content)

    def usage(self) -> dict[str, dict[str, int]]:
        """Class value -> annotation type -> how many."""
        counts: dict[str, dict[str, int]] = {}
        for value, kind in zip(self._columns["value"], self._columns["type"], strict=True):
            of_value = counts.setdefault(value, {})
            of_value[kind] = of_value.get(kind, 0) + 1
        return counts

    def nested(self, tasks: int, classes: Mapping[str, FoundClass], colors: Mapping[str, str]) -> pa.Array:
        """The ``annotations`` column of ``tasks`` tasks; within a task annotations keep the order they were added
        in."""
        columns = dict(self._columns)
        columns["title"] = [classes[value].title or value for value in columns["value"]]
        columns["color"] = [colors[value] for value in columns["value"]]
        n = len(self)
        arrays = [
            pa.array(columns[name], type_) if name in columns else pa.nulls(n, type_)
            for name, type_ in ((field.name, field.type) for field in ANNOTATION)
        ]
        rows = pa.StructArray.from_arrays(arrays, fields=list(ANNOTATION))
        owner = np.asarray(self.owner, np.int64)
        ordered = rows.take(pa.array(np.argsort(owner, kind="stable")))
        offsets = offsets_of(np.bincount(owner, minlength=tasks))
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), ordered)


def tasks_table(columns: Mapping[str, Sequence[Any] | pa.Array]) -> pa.Table:
    """A table of the schema ``TASKS`` from the columns given; the others are null."""
    rows = len(next(iter(columns.values())))
    arrays = []
    for column in TASKS:
        content = columns.get(column.name)
        if content is None:
            arrays.append(pa.nulls(rows, column.type))
        else:
            arrays.append(content if isinstance(content, pa.Array) else pa.array(content, column.type))
    return pa.table(arrays, schema=TASKS)


def classes_table(
    found: Iterable[FoundClass], usage: Mapping[str, Mapping[str, int]], colors: Mapping[str, str]
) -> pa.Table:
    """Class rows: one per value and type in use, for FastLabel wants a class row for each.

    The first row of a value (the type its dataset states, then the most frequent one) has the class's order; the
    further ones come behind all others. A class without annotations and without stated types is one of boxes.
    """
    found = sorted(found, key=lambda one: (one.order, one.value))
    behind = max((one.order for one in found), default=0)
    rows = []
    for one in found:
        used = sorted(usage.get(one.value, {}).items(), key=lambda item: (-item[1], item[0]))
        types = list(dict.fromkeys([*one.types, *(kind for kind, _ in used)]))
        for place, kind in enumerate(types or [POSE if one.keypoints else "bbox"]):
            if place:
                behind += 1
            edges = one.edges()
            points = [
                {"keypoint_id": key, "key": key, "name": key, "color": colors[one.value], "edges": edges[key]}
                for key in one.keypoints
            ]
            rows.append(
                {
                    "class_id": stable_id("class", one.value, kind),
                    "type": kind,
                    "value": one.value,
                    "title": one.title or one.value,
                    "color": colors[one.value],
                    "order": behind if place else one.order,
                    "attributes": [],
                    "keypoints": points if kind == POSE else None,
                }
            )
    return pa.Table.from_pylist(rows, CLASSES)


def class_colors(found: Iterable[FoundClass]) -> dict[str, str]:
    """A colour per class value: the stated one, or else one of its own, the same in every run."""
    found = sorted(found, key=lambda one: (one.order, one.value))
    colors = {one.value: one.color for one in found if one.color}
    taken = {color.lower() for color in colors.values()}
    fresh = _fresh_colors()
    for one in found:
        if one.value not in colors:
            colors[one.value] = next(color for color in fresh if color not in taken)
    return colors


def stable_id(*parts: str) -> str:
    """An id that depends on nothing but ``parts``: 32 hex digits."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _fresh_colors() -> Iterator[str]:
    """Colours that differ: hues a golden angle apart, every turn a little darker or paler."""
    index = 0
    seen = set()
    while True:
        hue = (index * 0.61803398875) % 1.0
        lightness = (0.5, 0.38, 0.62, 0.3, 0.7)[(index // 12) % 5]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.75)
        color = f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
        index += 1
        if color not in seen:
            seen.add(color)
            yield color
