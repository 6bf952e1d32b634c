"""The labels as plain Parquet for SQL and data frames: ``tasks/``, ``annotations/`` and ``classes/``, flat.

``SELECT value, count(*) FROM 'annotations/*.parquet' GROUP BY 1`` answers what people ask first. Annotations have one
row each with ``task_id``, ``task_name`` and ``index`` (position within the task); tasks have ``annotation_count`` in
place of their annotations. The signed, expiring ``url`` of a task is left out. Nothing else is lost: ``read`` gives
the labels back.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.local_urls import NAMED, without_local_urls
from fastlabel_dagster.formats.parquet_file import parquet_table
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import EXAMPLES, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import offsets_of, one_array
from fastlabel_dagster.labels.report import FILE, TASK, ReadTally
from fastlabel_dagster.labels.schema import ANNOTATION, CLASSES, TASKS
from fastlabel_dagster.labels.tables import Labels, annotations_of
from fastlabel_dagster.store import FolderWriter

_UNREAD = "a column that the label tables do not have was not read"
_LEFT_OUT = ("url", "annotations")
TASK_ROWS = pa.schema([*(column for column in TASKS if column.name not in _LEFT_OUT), ("annotation_count", pa.int64())])
ANNOTATION_ROWS = pa.schema(
    [("task_id", pa.string()), ("task_name", pa.string()), ("index", pa.int64()), *list(ANNOTATION)]
)
#: A new file begins after this many tasks.
TASKS_PER_PART = 100_000


def write_parquet(labels: Labels, folder: FolderWriter, images: PictureSource | None, tally: Tally) -> Written:
    """Write the labels into ``folder``. Pictures are not part of this format; ``images`` is not used."""
    import pyarrow.parquet as pq

    tasks = files = size = 0
    parts: list[tuple[BinaryIO, pq.ParquetWriter]] = []

    def close() -> None:
        nonlocal size
        for file, writer in parts:
            writer.close()
            size += file.tell()
            file.close()
        parts.clear()

    def begin(number: int) -> None:
        for name, schema in (("tasks", TASK_ROWS), ("annotations", ANNOTATION_ROWS)):
            file = folder.open(f"{name}/part-{number:05}.parquet")
            parts.append((file, pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd")))

    begin(0)
    for whole in task_batches(labels):
        batch, _ = without_local_urls(whole)
        if tasks and tasks // TASKS_PER_PART != (tasks + batch.num_rows) // TASKS_PER_PART:
            close()
            files += 2
            begin(files // 2)
        tasks += batch.num_rows
        annotations = annotations_of(batch)
        nested = one_array(batch["annotations"])
        told = tally.batch(
            one_array(annotations["type"]), np.zeros(annotations.num_rows, np.int64), one_array(batch["name"])
        )
        told.finish()
        counts = pc.cast(pc.list_value_length(nested), pa.int64())
        rows = [*(batch[column.name] for column in TASK_ROWS if column.name != "annotation_count"), counts]
        parts[0][1].write_table(pa.table(rows, schema=TASK_ROWS))
        parts[1][1].write_table(annotations.cast(ANNOTATION_ROWS))
    close()
    files += 3
    with folder.open("classes/part-00000.parquet") as file:
        with pq.ParquetWriter(pa.PythonFile(file, mode="w"), CLASSES, compression="zstd") as writer:
            writer.write_table(labels.classes.select(CLASSES.names).cast(CLASSES))
        size += file.tell()
    return Written(tasks, files, size)


def read_parquet(source: Path, told: ReadTally) -> Labels:
    """Read a folder this format wrote; its index file stands for it.

    Raises:
        FileNotFoundError: when there are no ``tasks`` or ``classes`` in it.
        FormatError: when a file is damaged, annotations belong to no task, or two tasks have one id.
    """
    import pyarrow.parquet as pq

    folder = source.parent.parent if source.is_file() else source

    def rows(name: str, schema: pa.Schema) -> pa.Table:
        paths = sorted((folder / name).glob("*.parquet"))
        if not paths:
            raise FileNotFoundError(f"{source} has no {name}/*.parquet")
        table = pa.concat_tables([parquet_table(path, schema) for path in paths])
        unread = sorted({column for path in paths for column in pq.read_schema(path).names}.difference(schema.names))
        told.notice(_UNREAD, FILE, where=[f"{name}, {column}" for column in unread[:EXAMPLES]], count=len(unread))
        return table

    tasks, named = without_local_urls(rows("tasks", TASK_ROWS))
    if named.any():
        names = tasks["name"].filter(pa.array(named)).slice(0, EXAMPLES).to_pylist()
        told.alter(NAMED, TASK, where=[str(name) for name in names], count=int(named.sum()))
    annotations = rows("annotations", ANNOTATION_ROWS)
    ids = one_array(tasks["task_id"])
    if ids.null_count or len(pc.unique(ids)) < len(ids):
        raise FormatError(folder / "tasks", "has tasks without an id, or two with the same")
    place = pc.index_in(one_array(annotations["task_id"]), value_set=one_array(tasks["task_id"]))
    if place.null_count:
        raise FormatError(folder / "annotations", "has annotations whose task is not there")
    if annotations["index"].null_count:
        raise FormatError(folder / "annotations", "has annotations without their place in the task")
    owner = place.to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((one_array(annotations["index"]).to_numpy(), owner))
    ordered = annotations.take(pa.array(order))
    structs = pa.StructArray.from_arrays(
        [one_array(ordered[column.name]) for column in ANNOTATION], fields=list(ANNOTATION)
    )
    offsets = offsets_of(np.bincount(owner, minlength=tasks.num_rows)).astype(np.int32)
    absent = pc.is_null(one_array(tasks["annotation_count"]))
    nested = pa.ListArray.from_arrays(pa.array(offsets), structs, mask=absent)
    columns = {**{name: tasks[name] for name in TASK_ROWS.names}, "annotations": nested}
    filled = [columns.get(column.name, pa.nulls(tasks.num_rows, column.type)) for column in TASKS]
    told.found(tasks.num_rows, annotations.num_rows)
    return Labels(pa.table(filled, schema=TASKS), rows("classes", CLASSES), origin={"format": "parquet"})


FORMAT = Format(
    name="parquet",
    summary="the label tables themselves, flat, as Parquet",
    index="classes/part-00000.parquet",
    write=write_parquet,
    read=read_parquet,
    per_picture=False,
)
