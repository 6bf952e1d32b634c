"""Label tables put together from what a reader found: annotation columns, tasks, and the classes they make
necessary."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.formats.annotation_blocks import (
    Block,
    TasksInParts,
    encoded,
    made_small,
    nested,
    with_annotations,
)
from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.schema import ANNOTATION, CLASSES, TASKS
from fastlabel_dagster.labels.tables import Labels, TaskSource

#: The fields of an annotation and their Arrow types.
ANNOTATION_TYPES: dict[str, pa.DataType] = {column.name: column.type for column in ANNOTATION}
#: Annotations added one by one become columns as soon as there are so many.
_SINGLE_AT_ONCE = 1_000


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
    keypoint_colors: list[str | None] = field(default_factory=list)
    """The colours of ``keypoints``, where the dataset states them; the others have that of the class."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What else the dataset says of it; kept in the class rows as it is."""
    attributes: list[dict[str, Any]] = field(default_factory=list)
    """What it declares of the attributes of its annotations: rows of ``schema.CLASS_ATTRIBUTE``."""

    def edges(self) -> dict[str, list[str]]:
        """Keypoint -> the keypoints it is connected with."""
        ends: dict[str, list[str]] = {key: [] for key in self.keypoints}
        for a, b in self.skeleton:
            if 1 <= a <= len(self.keypoints) and 1 <= b <= len(self.keypoints):
                ends[self.keypoints[a - 1]].append(self.keypoints[b - 1])
                ends[self.keypoints[b - 1]].append(self.keypoints[a - 1])
        return ends


class AnnotationColumns:
    """The annotations found so far. ``owner`` is the position of the task each belongs to.

    They come one by one (:meth:`add`), or many of a kind as columns (:meth:`add_many`), which costs nothing per
    annotation; both may be mixed. Within a task they stand by ``order``, or as they were added.
    """

    def __init__(self) -> None:
        self._count = 0
        self._blocks: list[Block] = []
        self._owner: list[int] = []
        self._order: list[int] = []
        self._single: dict[str, list[Any]] = {name: [] for name in ANNOTATION_TYPES}

    def __len__(self) -> int:
        return self._count

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
        order: int | None = None,
        **fields: Any,
    ) -> None:
        """Add one annotation; geometry and the other ``fields`` as :mod:`fastlabel_dagster.labels.schema` says.

        ``order`` is its place within the task (among all numbers given for that task); without one it comes behind
        those added before. Lists that are given may grow until an annotation of another task is added.
        """
        fields.update(type=kind, value=value, points=points, regions=regions, keypoints=keypoints)
        fields["attributes"] = list(attributes)
        _refuse_unknown(fields)
        if len(self._owner) >= _SINGLE_AT_ONCE and owner != self._owner[-1]:
            self._all()
        self._owner.append(owner)
        self._order.append(self._count if order is None else order)
        self._count += 1
        for name, column in self._single.items():
            column.append(fields.get(name))

    def add_many(
        self,
        owner: NDArray[np.int64],
        kind: str | pa.Array,
        value: str | pa.Array,
        *,
        points: tuple[NDArray[np.float64], NDArray[np.int64]] | pa.Array | None = None,
        order: NDArray[np.int64] | None = None,
        **columns: pa.Array,
    ) -> None:
        """Add ``n`` annotations.

        Args:
            owner: int64[n], the position of each one's task.
            kind: the type of all of them, or string[n].
            value: the class value of all, or string[n]; a ``DictionaryArray`` (class numbers into names) serves best.
            points: float64[m], all numbers behind each other, and int64[n + 1] offsets into them; or list<double>[n].
            order: int64[n], the place of each within its task; see :meth:`add`.
            columns: other fields of ``schema.ANNOTATION``, n rows each; what is not given is null (``attributes``: no
                attributes).

        Raises:
            ValueError: for a field the schema does not have, or columns that differ in length.
        """
        n = len(owner)
        if not n:
            return
        _refuse_unknown(columns)
        if isinstance(points, tuple):
            points = pa.ListArray.from_arrays(pa.array(points[1].astype(np.int32)), pa.array(points[0]))
        if points is not None:
            columns["points"] = points
        if "attributes" not in columns:
            columns["attributes"] = _empty_lists(n, ANNOTATION_TYPES["attributes"])
        columns["type"] = _repeated(kind, n)
        columns["value"] = _repeated(value, n)
        if any(len(column) != n for column in columns.values()):
            raise ValueError(f"the columns of {n} annotations differ in length")
        places = np.arange(self._count, self._count + n) if order is None else np.asarray(order, np.int64)
        self._blocks.append(Block(np.asarray(owner, np.int64), places, columns))
        self._count += n

    def usage(self) -> dict[str, dict[str, int]]:
        """Class value -> annotation type -> how many."""
        counts: dict[str, dict[str, int]] = {}
        for block in self._all():
            kinds, values = (encoded(block.columns[name]) for name in ("type", "value"))
            words = kinds.dictionary.to_pylist()
            numbers = values.indices.to_numpy().astype(np.int64) * len(words) + kinds.indices.to_numpy()
            names = values.dictionary.to_pylist()
            for number, count in zip(
                *(found.tolist() for found in np.unique(numbers, return_counts=True)), strict=True
            ):
                of_value = counts.setdefault(names[number // len(words)], {})
                of_value[words[number % len(words)]] = of_value.get(words[number % len(words)], 0) + count
        return counts

    def nested(self, tasks: int, classes: Mapping[str, FoundClass], colors: Mapping[str, str]) -> pa.Array:
        """The ``annotations`` column of ``tasks`` tasks; within a task annotations stand by their order."""
        return nested(self._all(), tasks, _titles(classes), colors)

    def of_tasks(
        self, tasks: pa.Table, classes: Mapping[str, FoundClass], colors: Mapping[str, str]
    ) -> pa.Table | TaskSource:
        """``tasks`` (schema ``TASKS``) with their annotations: a table, or one part after the other where these have
        outlines of masks, which need less memory that way."""
        if any(block.is_small for block in self._all()):
            return TasksInParts(tasks, self._all(), _titles(classes), colors)
        return with_annotations(tasks, self.nested(len(tasks), classes, colors))

    def _all(self) -> list[Block]:
        """The blocks, with those added one by one as a block of their own."""
        if self._owner:
            columns = {name: pa.array(self._single[name], type_) for name, type_ in ANNOTATION_TYPES.items()}
            columns["regions"] = made_small(columns["regions"])
            block = Block(np.array(self._owner, np.int64), np.array(self._order, np.int64), columns)
            self._blocks.append(block)
            self._owner, self._order = [], []
            self._single = {name: [] for name in ANNOTATION_TYPES}
        return self._blocks


def _refuse_unknown(fields: Iterable[str]) -> None:
    unknown = [name for name in fields if name not in ANNOTATION_TYPES]
    if unknown:
        raise ValueError(f"annotations have no field {unknown[0]!r}")


def _repeated(text: str | pa.Array, n: int) -> pa.Array:
    """``text`` ``n`` times, as a dictionary column."""
    if not isinstance(text, str):
        return text
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text], pa.string()))


def _empty_lists(n: int, type_: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.array([], type_.value_type))


def _titles(classes: Mapping[str, FoundClass]) -> dict[str, str]:
    return {value: one.title or value for value, one in classes.items()}


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


def labels_of(
    format: str,
    tasks: Mapping[str, Sequence[Any] | pa.Array],
    annotations: AnnotationColumns,
    classes: Mapping[str, FoundClass],
    told: ReadTally,
) -> Labels:
    """What a reader found, as labels, and how much that is.

    Args:
        format: where the labels are from.
        tasks: their columns, without the annotations.
        annotations: those of all tasks, by the rows of these.
        classes: by value.
        told: the reader's tally.
    """
    rows = tasks_table(tasks)
    colors = class_colors(classes.values())
    told.found(len(rows), len(annotations))
    table = classes_table(classes.values(), annotations.usage(), colors)
    return Labels(annotations.of_tasks(rows, classes, colors), table, origin={"format": format})


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
                {"keypoint_id": key, "key": key, "name": key, "color": color or colors[one.value], "edges": edges[key]}
                for key, color in zip_longest(one.keypoints, one.keypoint_colors[: len(one.keypoints)])
            ]
            rows.append(
                {
                    "class_id": stable_id("class", one.value, kind),
                    "type": kind,
                    "value": one.value,
                    "title": one.title or one.value,
                    "color": colors[one.value],
                    "order": behind if place else one.order,
                    "attributes": one.attributes,
                    "keypoints": points if kind == POSE else None,
                    "extra": orjson.dumps(one.extra).decode() if one.extra else None,
                }
            )
    return pa.Table.from_pylist(rows, CLASSES)


def class_colors(found: Iterable[FoundClass]) -> dict[str, str]:
    """A colour per class value: the stated one, or else one of its own, the same in every run."""
    found = sorted(found, key=lambda one: (one.order, one.value))
    colors = {one.value: one.color for one in found if one.color}
    taken = {color.lower() for color in colors.values()}
    fresh = distinct_colors()
    for one in found:
        if one.value not in colors:
            colors[one.value] = next(color for color in fresh if color not in taken)
    return colors


def stable_id(*parts: str) -> str:
    """An id that depends on nothing but ``parts``: 32 hex digits."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def distinct_colors() -> Iterator[str]:
    """Colours that differ: hues a golden angle apart, every turn a little darker or paler. Where eyes could not tell
    them apart any more, simply all other colours, 2**24 together; after that they come again."""
    seen = set()
    for index in range(2000):
        hue = (index * 0.61803398875) % 1.0
        lightness = (0.5, 0.38, 0.62, 0.3, 0.7)[(index // 12) % 5]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.75)
        color = f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
        if color not in seen:
            seen.add(color)
            yield color
    number = 0
    while True:
        number = (number + 0x9E3779) % 2**24  # an odd step meets every number once
        color = f"#{number:06x}"
        if color not in seen:
            yield color
