"""FastLabel's task and annotation class JSON into label tables and back, without loss.

The rule is in :mod:`fastlabel_dagster.labels.schema`: an object's JSON is its columns plus ``extra``. It holds for any
JSON object, well-formed or not. What JSON itself does not tell apart is not kept apart: the order of keys, and 100.0
from 100 (whole numbers come out as integers). NaN and infinities, which some JSON parsers let through, stay in float
columns as they are; in ``extra`` they are written the way Python's JSON module writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from fastlabel_dagster.labels import levels, reading, writing
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.schema import CLASSES, DATASET_OBJECTS, TASKS
from fastlabel_dagster.labels.tables import Labels

_TASKS_PER_BATCH = 5_000
#: Rows turned into columns at a time: few enough that the objects stay in the processor's caches while each of their
#: keys is visited (twice as fast as thousands).
_ROWS_AT_ONCE = 500


def from_fastlabel(tasks: Iterable[dict[str, Any]], classes: Iterable[dict[str, Any]] | None = None) -> Labels:
    """Label tables of these tasks (JSON objects of any modality, as the API answers) and annotation classes.

    ``tasks`` is read once, a few thousand at a time. Raises TypeError, naming its position, for one that is not an
    object.
    """
    iterator = iter(tasks)
    batches: list[pa.Table] = []
    position = 0
    while batch := list(islice(iterator, _TASKS_PER_BATCH)):
        batches.append(_table(batch, levels.TASK, TASKS, "task", position))
        position += len(batch)
    table = pa.concat_tables(batches) if batches else TASKS.empty_table()
    return Labels(table, None if classes is None else classes_from_fastlabel(list(classes)))


def to_fastlabel(labels: Labels | pa.Table) -> Iterator[dict[str, Any]]:
    """The tasks as JSON objects, one after the other, in the order of the table.

    The objects equal the ones the labels were read from. Streams: memory is bounded by one batch of ``labels``. Columns
    that are not there (a projected table) are keys that are not there.
    """
    for table in labels.batches() if isinstance(labels, Labels) else [labels]:
        yield from _objects(table, levels.TASK)


def tasks_table(tasks: list[dict[str, Any]]) -> pa.Table:
    """One table (schema ``TASKS``, one chunk) of these tasks. Raises TypeError, naming its position, for a task that is
    not an object."""
    return _table(tasks, levels.TASK, TASKS, "task", 0)


def classes_from_fastlabel(classes: list[dict[str, Any]]) -> pa.Table:
    """A table (schema ``CLASSES``) of these annotation classes. Raises TypeError for one that is not an object."""
    return _table(classes, levels.CLASS, CLASSES, "annotation class", 0)


def classes_to_fastlabel(classes: pa.Table) -> list[dict[str, Any]]:
    """The annotation classes as JSON objects, equal to the ones the table was read from."""
    return list(_objects(classes, levels.CLASS))


def dataset_objects_from_fastlabel(objects: list[dict[str, Any]]) -> pa.Table:
    """A table (schema ``DATASET_OBJECTS``) of these dataset objects, as the API lists them. Raises TypeError for one
    that is not an object.

    Their annotations are columns of the same schema as those of tasks.
    """
    return _table(objects, levels.DATASET_OBJECT, DATASET_OBJECTS, "dataset object", 0)


def dataset_objects_to_fastlabel(objects: pa.Table) -> list[dict[str, Any]]:
    """The dataset objects as JSON objects, equal to the ones the table was read from."""
    return list(_objects(objects, levels.DATASET_OBJECT))


def _table(rows: list[Any], level: levels.Level, schema: pa.Schema, noun: str, first: int) -> pa.Table:
    for position, row in enumerate(rows):
        if not isinstance(row, dict):
            found = f"{type(row).__name__}: {row!r:.80}"
            raise TypeError(f"{noun} {first + position} (counting from 0) is not a JSON object but {found}")
    parts = [
        pa.Table.from_arrays(reading.arrays(rows[start : start + _ROWS_AT_ONCE], level), schema=schema)
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return pa.concat_tables(parts).combine_chunks() if len(parts) > 1 else parts[0] if parts else schema.empty_table()


def _objects(table: pa.Table, level: levels.Level) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_TASKS_PER_BATCH):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        with without_collecting():
            objects = writing.objects(columns, level, batch.num_rows)
        yield from objects
