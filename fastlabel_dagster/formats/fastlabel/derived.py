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
    one, types those its annotations have (the most frequent first), keypoints those of all its poses (an answer may
    leave out the points a pose does not have), in the order they are met."""

    def __init__(self) -> None:
        self._usage: dict[str, dict[str, int]] = {}
        self._titles: dict[str, str] = {}
        self._colors: dict[str, str] = {}
        self._points: dict[str, dict[str, dict[str, None]]] = {}
        """Value -> key of a point -> keys its edges lead to."""

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
        self._learn_points(structs)

    def _learn_points(self, annotations: pa.StructArray) -> None:
        poses = annotations.filter(pc.equal(pc.struct_field(annotations, "type"), POSE))
        if not len(poses):
            return
        nested = pc.struct_field(poses, "keypoints")
        points = pc.list_flatten(nested)
        edges = pc.struct_field(points, "edges")
        columns = [
            pc.struct_field(poses, "value").take(pc.list_parent_indices(nested)),
            pc.struct_field(points, "key").cast(pa.string()),
        ]
        # Most poses of a class say the same: what differs is looked at once.
        for value, key in _different(*columns):
            self._points.setdefault(value, {}).setdefault(key, {})
        of_edge = pc.list_parent_indices(edges)
        for value, key, end in _different(*(column.take(of_edge) for column in columns), pc.list_flatten(edges)):
            self._points[value][key][end] = None

    def table(self) -> pa.Table:
        """The classes (schema ``CLASSES``)."""
        found = [self._found(value, order) for order, value in enumerate(sorted(self._usage), start=1)]
        return classes_table(found, self._usage, class_colors(found))

    def _found(self, value: str, order: int) -> FoundClass:
        points = self._points.get(value, {})
        place = {key: number for number, key in enumerate(points, start=1)}
        edges = {
            (min(place[key], place[end]), max(place[key], place[end]))
            for key, ends in points.items()
            for end in ends
            if end in place and end != key
        }
        title, color = self._titles.get(value), self._colors.get(value)
        return FoundClass(value, order, title, color, keypoints=list(points), skeleton=sorted(edges))


def _different(*columns: pa.Array) -> list[tuple[str, ...]]:
    """The different rows of some columns without a null, in the order they are met."""
    names = [str(number) for number in range(len(columns))]
    table = pa.Table.from_arrays(list(columns), names).drop_null()
    rows = table.group_by(names, use_threads=False).aggregate([]).to_pylist()
    return [tuple(row.values()) for row in rows]
