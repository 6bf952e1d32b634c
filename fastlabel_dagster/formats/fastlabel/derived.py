"""Annotation classes made from the annotations, where nobody says what the classes are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import FoundClass, class_colors, classes_table
from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.labels.ragged import one_array

_KEYS = ["value", "type"]


class DerivedClasses:
    """A class for each value, in the order of the values; title and colour are those of its first annotation that has
    one, types those its annotations have (the most frequent first), keypoints those of its first pose."""

    def __init__(self) -> None:
        self._usage: dict[str, dict[str, int]] = {}
        self._titles: dict[str, str] = {}
        self._colors: dict[str, str] = {}
        self._points: dict[str, list[dict[str, object]]] = {}

    def learn(self, tasks: pa.Table) -> None:
        """Look at the annotations of some tasks (schema ``TASKS``)."""
        structs = pc.list_flatten(one_array(tasks["annotations"]))
        columns = {name: pc.struct_field(structs, name) for name in (*_KEYS, "title", "color")}
        table = pa.table(columns).filter(pc.is_valid(columns["value"]))
        # "first" of values in the order of the rows: one thread.
        found = table.group_by(_KEYS, use_threads=False).aggregate(
            [("title", "first"), ("color", "first"), ([], "count_all")]
        )
        for row in found.to_pylist():
            value, kind = row["value"], row["type"]
            used = self._usage.setdefault(value, {})
            if kind is not None:
                used[kind] = used.get(kind, 0) + row["count_all"]
            for known, text in ((self._titles, row["title_first"]), (self._colors, row["color_first"])):
                if text:
                    known.setdefault(value, text)
            if kind == POSE and value not in self._points:
                place = pc.index(pc.and_(pc.equal(columns["value"], value), pc.equal(columns["type"], POSE)), True)
                self._points[value] = pc.struct_field(structs, "keypoints")[place.as_py()].as_py() or []

    def table(self) -> pa.Table:
        """The classes (schema ``CLASSES``)."""
        found = [self._found(value, order) for order, value in enumerate(sorted(self._usage), start=1)]
        return classes_table(found, self._usage, class_colors(found))

    def _found(self, value: str, order: int) -> FoundClass:
        points = self._points.get(value, [])
        keys = [str(point["key"]) for point in points]
        place = {key: number for number, key in enumerate(keys, start=1)}
        edges = {
            (min(place[key], place[end]), max(place[key], place[end]))
            for key, point in zip(keys, points, strict=True)
            for end in point["edges"] or ()  # type: ignore[attr-defined]
            if end in place and end != key
        }
        return FoundClass(
            value, order, self._titles.get(value), self._colors.get(value), keypoints=keys, skeleton=sorted(edges)
        )
