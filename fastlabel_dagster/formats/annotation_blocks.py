"""Annotations as blocks of columns, and blocks put together as the annotations of tasks: of all at once, or of some
thousand at a time.

Masks traced along their pixel edges have many vertices, and all of them are whole numbers. These are kept in two bytes
each instead of eight; the tasks of such a dataset are made a part at a time, whenever somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.ragged import Floats, Ints, floats, offsets_of
from fastlabel_dagster.labels.schema import ANNOTATION, TASKS

_REGIONS = pa.list_(pa.list_(pa.list_(pa.float64())))
_SMALL = pa.list_(pa.list_(pa.list_(pa.uint16())))
#: So many numbers are looked at before all are.
_FIRST = 64
#: Tasks that are made at once, at most; and about how many bytes.
_MOST_TASKS = 4_096
_MOST_BYTES = 8 * 2**20


class Block(NamedTuple):
    """Some annotations as columns; those of ``schema.ANNOTATION`` that are not there are null."""

    owner: Ints
    """int64[n]: the position of each one's task."""
    order: Ints
    """int64[n]: its place within the task."""
    columns: Mapping[str, pa.Array]

    @property
    def is_small(self) -> bool:
        """Whether its regions are kept in two bytes a number."""
        regions = self.columns.get("regions")
        return regions is not None and regions.type == _SMALL


def made_small(regions: pa.Array) -> pa.Array:
    """Regions in two bytes a number, where that is exactly the same; others as they are."""
    numbers = regions.values.values.values
    if numbers.null_count or not len(numbers):
        return regions
    values = floats(numbers)
    return regions.cast(_SMALL) if _fit(values[:_FIRST]) and _fit(values) else regions


def put_together(parts: Sequence[pa.Array]) -> pa.Array:
    """Regions of several masks as one column: small if all of them are."""
    some = [part for part in parts if len(part)]
    type_ = _SMALL if some and all(part.type == _SMALL for part in some) else _REGIONS
    return pa.concat_arrays([pa.array([], type_), *(part.cast(type_) for part in some)])


def _fit(values: Floats) -> bool:
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint16)
    return bool((small == values).all()) and not np.signbit(values).any()


def nested(blocks: Sequence[Block], tasks: int, titles: Mapping[str, str], colors: Mapping[str, str]) -> pa.Array:
    """The ``annotations`` column of ``tasks`` tasks; within a task annotations stand by their order.

    Args:
        blocks: all annotations.
        tasks: how many tasks there are.
        titles: class value -> its title.
        colors: class value -> its colour.
    """
    arrays = []
    for column in ANNOTATION:
        if column.name in ("title", "color"):
            said = titles if column.name == "title" else colors
            parts = [_looked_up(block.columns["value"], said) for block in blocks]
        else:
            parts = [_of_type(block.columns.get(column.name), column.type, len(block.owner)) for block in blocks]
        # One part is the whole: Arrow would make a copy of it.
        arrays.append(parts[0] if len(parts) == 1 else pa.concat_arrays(parts) if parts else pa.nulls(0, column.type))
    rows = pa.StructArray.from_arrays(arrays, fields=list(ANNOTATION))
    owner = np.concatenate([np.empty(0, np.int64), *(block.owner for block in blocks)])
    order = np.concatenate([np.empty(0, np.int64), *(block.order for block in blocks)])
    behind = owner[1:] < owner[:-1]
    behind |= (owner[1:] == owner[:-1]) & (order[1:] < order[:-1])
    if behind.any():
        rows = rows.take(pa.array(np.lexsort((order, owner))))
    offsets = offsets_of(np.bincount(owner, minlength=tasks))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), rows)


def with_annotations(tasks: pa.Table, annotations: pa.Array) -> pa.Table:
    """``tasks`` with these annotations in place of theirs."""
    place = TASKS.get_field_index("annotations")
    return tasks.set_column(place, TASKS.field(place), annotations)


class TasksInParts:
    """Tasks whose annotations are put together some thousand at a time, each time somebody asks for them. It is what
    ``Labels`` asks for as the source of its tasks."""

    def __init__(
        self, tasks: pa.Table, blocks: Sequence[Block], titles: Mapping[str, str], colors: Mapping[str, str]
    ) -> None:
        self._tasks, self._titles, self._colors = tasks, titles, colors
        self._blocks = [_InOrder.of(block) for block in blocks]
        size = sum(column.nbytes for block in blocks for column in block.columns.values())
        self._at_once = max(1, min(_MOST_TASKS, _MOST_BYTES * len(tasks) // (4 * size)))

    def __call__(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The tasks in their order."""
        names = list(TASKS.names if columns is None else columns)
        if "annotations" not in names:
            yield self._tasks.select(names)
            return
        for start in range(0, len(self._tasks), self._at_once):
            tasks = self._tasks.slice(start, self._at_once)
            blocks = [block.of_tasks(start, start + len(tasks)) for block in self._blocks]
            column = nested([block for block in blocks if block], len(tasks), self._titles, self._colors)
            yield with_annotations(tasks, column).select(names)


class _InOrder(NamedTuple):
    """A block, and where its annotations lie by task and by their order within it."""

    block: Block
    rows: Ints
    owner: Ints

    @classmethod
    def of(cls, block: Block) -> _InOrder:
        rows = np.lexsort((block.order, block.owner))
        return cls(block, rows, block.owner[rows])

    def of_tasks(self, start: int, stop: int) -> Block | None:
        """The annotations of the tasks from ``start``, which becomes task 0, to ``stop``; None: they have none."""
        first, last = np.searchsorted(self.owner, [start, stop]).tolist()
        if first == last:
            return None
        rows = self.rows[first:last]
        taken = pa.array(rows)
        # Those in a row need not be copied, but for what is widened: of a part of a column Arrow widens all.
        follow = rows[-1] - rows[0] == last - first - 1 and (np.diff(rows) == 1).all()
        columns = {
            name: column.slice(rows[0], len(rows)) if follow and column.type != _SMALL else column.take(taken)
            for name, column in self.block.columns.items()
        }
        return Block(self.owner[first:last] - start, self.block.order[rows], columns)


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """A column of texts by its different words."""
    if isinstance(column, pa.DictionaryArray) and not column.null_count:
        return column
    return pc.dictionary_encode(_of_type(column, pa.string(), len(column)), null_encoding="encode")


def _looked_up(values: pa.Array, said: Mapping[str, str]) -> pa.Array:
    words = encoded(values)
    found = [None if value is None else said[value] for value in words.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(words.indices)


def _of_type(column: pa.Array | None, type_: pa.DataType, n: int) -> pa.Array:
    if column is None:
        return pa.nulls(n, type_)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary.take(column.indices)
    return column if column.type == type_ else column.cast(type_)
