"""Annotation classes as the categories of a dataset: one per class value, numbered so that nobody shifts.

FastLabel knows a class per value *and* type (``person`` as bbox and as segmentation are two rows); training formats
know one category per name. Rows of one value become one category, at the place of the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

POSE = "pose_estimation"
KEYPOINT = "keypoint"
#: An order from here on is no id: those of classes that are added behind would be more than 64 bits hold.
_NO_ID = 2**62


@dataclass
class Category:
    """One category: its ``id`` in the dataset, its place ``index`` (from 0), and what its class rows say."""

    id: int
    index: int
    value: str
    title: str | None = None
    color: str | None = None
    types: list[str] = field(default_factory=list)
    keypoints: list[str] = field(default_factory=list)
    """Keys of a pose's keypoints in class order; the value itself for a class of single points."""
    skeleton: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of positions in ``keypoints``, from 1, the lower first."""
    keypoint_colors: list[str | None] = field(default_factory=list)
    """The colours of ``keypoints`` where the class declares them; shorter, or empty, where it does not."""
    known: bool = True
    """False when only annotations speak of it: the class is not in the project."""

    @property
    def keypoint_count(self) -> int:
        """How many keypoints an object of this class has."""
        return len(self.keypoints)

    @property
    def point_slot(self) -> int:
        """Where a single keypoint of this class stands in ``keypoints``; -1 when it has no place there."""
        return self.keypoints.index(self.value) if self.value in self.keypoints else -1


class Categories:
    """All categories of a dataset, in the order of the classes' ``order``, then value.

    Ids: the class's ``order`` when the orders of all values are distinct positive numbers (below 2**62), otherwise 1,
    2, 3, … in that order. So ids with gaps survive, and deleting a class moves no other. Classes that only annotations
    speak of are added behind, when they are first met.
    """

    def __init__(self, classes: pa.Table) -> None:
        grouped: dict[str, list[dict[str, Any]]] = {}
        columns = ["value", "type", "title", "color", "order", "keypoints"]
        for row in classes.select(columns).to_pylist():
            if row["value"] is not None:
                grouped.setdefault(row["value"], []).append(row)
        for rows in grouped.values():
            rows.sort(key=_place)
        ordered = sorted(grouped.items(), key=lambda item: (_place(item[1][0]), item[0]))
        orders = [rows[0]["order"] for _, rows in ordered]
        given = [order for order in orders if isinstance(order, int) and 0 < order < _NO_ID]
        ids = given if len(set(given)) == len(orders) else list(range(1, len(orders) + 1))
        self._by_value: dict[str, Category] = {}
        self._last_id = max(ids, default=0)
        for index, (identity, (value, rows)) in enumerate(zip(ids, ordered, strict=True)):
            self._by_value[value] = _category(identity, index, rows)

    def __iter__(self) -> Iterator[Category]:
        return iter(self._by_value.values())

    def __len__(self) -> int:
        return len(self._by_value)

    def take_ids(self, stated: Mapping[str, int]) -> None:
        """Give categories the ids that are ``stated`` (by value), where these are distinct; others come behind them."""
        ids = {one.value: stated[one.value] for one in self if one.value in stated}
        if ids and len(set(ids.values())) == len(ids):
            self._last_id = max(ids.values())
            for one in self:
                self._last_id += one.value not in ids
                one.id = ids.get(one.value, self._last_id)

    def meet(self, values: pa.Array, types: pa.Array, keypoints: pa.Array) -> Met:
        """The categories of a batch of annotations (class value, type, keypoints of each); unknown ones are added."""
        encoded = pc.dictionary_encode(values)
        position = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        pointed = pc.is_in(types, value_set=pa.array([POSE, KEYPOINT])).to_numpy(zero_copy_only=False)
        with_points = np.flatnonzero(pointed)
        with_points = with_points[np.argsort(position[with_points], kind="stable")]
        begins = np.searchsorted(position[with_points], np.arange(len(encoded.dictionary) + 1)).tolist()
        met = []
        for number, value in enumerate(encoded.dictionary.to_pylist()):
            category = self._by_value.get(value)
            if category is None:
                self._last_id += 1
                category = self._by_value[value] = Category(self._last_id, len(self), value, known=False)
            if not category.keypoints:
                rows = with_points[begins[number] : begins[number + 1]]
                if len(rows):
                    _learn_points(category, types.take(pa.array(rows)), keypoints.take(pa.array(rows)))
            met.append(category)
        return Met(met, position)


class Met(NamedTuple):
    """The categories of a batch: the distinct ones, and for each annotation its position among them (-1: no class)."""

    categories: list[Category]
    position: NDArray[np.int64]

    def column(self, attribute: str) -> NDArray[np.int64]:
        """``attribute`` of each annotation's category as a number; -1 without a class."""
        values = [int(getattr(category, attribute)) for category in self.categories]
        return np.array([*values, -1], np.int64)[self.position]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the project has the class of each annotation."""
        known: NDArray[np.bool_] = self.column("known") == 1
        return known


def _place(row: dict[str, Any]) -> tuple[bool, int, str, str]:
    """Where a class row stands: by order, those without one last; then by value and type."""
    order = row["order"]
    return (order is None, order or 0, row["value"], row["type"] or "")


def _category(identity: int, index: int, rows: list[dict[str, Any]]) -> Category:
    first = rows[0]
    types = [row["type"] for row in rows if row["type"] is not None]
    category = Category(identity, index, first["value"], first["title"], first["color"], types)
    for row in rows:
        if row["keypoints"] and not category.keypoints:
            key_of = {point["keypoint_id"]: str(point["key"]) for point in row["keypoints"]}
            category.keypoints = [str(point["key"]) for point in row["keypoints"]]
            category.keypoint_colors = [point["color"] for point in row["keypoints"]]
            # A class names the ends of an edge by keypoint id; some answers hold keys, so both are understood.
            edges = [
                (str(point["key"]), key_of.get(end, str(end)))
                for point in row["keypoints"]
                for end in point["edges"] or []
            ]
            category.skeleton = _skeleton(category.keypoints, edges)
    _add_single_point(category)
    return category


def _learn_points(category: Category, types: pa.Array, keypoints: pa.Array) -> None:
    """Give a category whose class declares no keypoints those of the first annotation that has some."""
    first_pose = pc.index(types, POSE).as_py()
    if first_pose >= 0:
        points = keypoints[first_pose].as_py() or []
        category.keypoints = [str(point["key"]) for point in points]
        edges = [(str(point["key"]), str(end)) for point in points for end in point["edges"] or []]
        category.skeleton = _skeleton(category.keypoints, edges)
    if pc.index(types, KEYPOINT).as_py() >= 0 and category.value not in category.keypoints:
        category.keypoints.append(category.value)


def _add_single_point(category: Category) -> None:
    if KEYPOINT in category.types and category.value not in category.keypoints:
        category.keypoints.append(category.value)


def _skeleton(keys: list[str], edges: list[tuple[str, str]]) -> list[tuple[int, int]]:
    number = {key: place for place, key in enumerate(keys, start=1)}
    pairs = ((number[a], number[b]) for a, b in edges if a in number and b in number and a != b)
    return sorted({(min(pair), max(pair)) for pair in pairs})
