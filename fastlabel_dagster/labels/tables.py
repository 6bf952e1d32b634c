"""``Labels``: the tasks and annotation classes of one project, in memory or streamed from where they live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.report import ReadReport
from fastlabel_dagster.labels.schema import CLASSES, TASKS

#: Yields tables of tasks (schema ``TASKS``, in a fixed order, each small enough for memory), projected to the columns
#: asked for (``None``: all). Must be callable again and again with the same answer. One thread at a time asks for the
#: next table, but not always the same one.
TaskSource: TypeAlias = Callable[[Sequence[str] | None], Iterator[pa.Table]]


class Labels:
    """The labels of one project: tasks with their annotations, and the annotation classes.

    ``tasks`` may be a table, or a callable that streams tables (a mirror hands one bucket at a time), so that a reader
    which uses :meth:`batches` needs memory for a bucket and not for the project. ``origin`` says where the labels came
    from (mirror location, version, digest); exports record it. ``report`` is what the reader of a dataset had to say,
    for labels that come from one.
    """

    def __init__(
        self,
        tasks: pa.Table | TaskSource,
        classes: pa.Table | None = None,
        *,
        origin: Mapping[str, str | int] | None = None,
        report: ReadReport | None = None,
    ) -> None:
        self._table: pa.Table | None = tasks if isinstance(tasks, pa.Table) else None
        self._source: TaskSource = (
            (lambda columns: iter([_project(tasks, columns)])) if self._table is not None else tasks
        )
        self.classes: pa.Table = CLASSES.empty_table() if classes is None else classes
        self.origin: dict[str, str | int] = dict(origin or {})
        self.report = report
        #: Whatever has to stay as long as the labels do, such as the temporary folder their pictures lie in.
        self.files: object = None

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Stream the tasks, a table at a time, in a fixed order; ``columns`` names the ones wanted (default all)."""
        return self._source(columns)

    @property
    def tasks(self) -> pa.Table:
        """All tasks as one table (schema ``TASKS``); loads the whole project."""
        if self._table is None:
            tables = list(self.batches())
            self._table = pa.concat_tables(tables) if tables else TASKS.empty_table()
        return self._table

    @property
    def annotations(self) -> pa.Table:
        """One row per annotation of all tasks; see :func:`annotations_of`."""
        return annotations_of(self.tasks)

    def where(
        self,
        predicate: Callable[[pa.Table], pa.ChunkedArray | pa.Array],
        *,
        needs: Iterable[str],
        name: str | None = None,
    ) -> Labels:
        """The same labels with only the tasks for which ``predicate(table)`` (a boolean column) is true.

        ``needs`` names the columns the predicate reads. ``name`` says in words what the predicate is: it is added to
        ``origin["filter"]``. Without a name the result has no ``digest`` in its origin, for nobody could tell which
        part of the labels it is.
        """
        needed = list(needs)

        def filtered(columns: Sequence[str] | None) -> Iterator[pa.Table]:
            wanted = None if columns is None else list(dict.fromkeys([*columns, *needed]))
            for table in self.batches(wanted):
                yield _project(table.filter(predicate(table)), columns)

        origin = dict(self.origin)
        if name is None:
            origin.pop("digest", None)
        else:
            origin["filter"] = f"{origin['filter']} and {name}" if "filter" in origin else name
        chosen = Labels(filtered, self.classes, origin=origin, report=self.report)
        chosen.files = self.files
        return chosen

    def with_status(self, *statuses: str) -> Labels:
        """Only the tasks in one of these statuses."""
        wanted = pa.array(statuses, pa.string())
        name = f"status in ({', '.join(sorted(statuses))})"
        return self.where(lambda table: pc.is_in(table["status"], value_set=wanted), needs=["status"], name=name)


def annotations_of(tasks: pa.Table) -> pa.Table:
    """The nested annotations of ``tasks`` as one row each: ``task_id``, ``task_name``, ``index`` (position within the
    task, from 0), then the fields of ``schema.ANNOTATION``. Shares memory with ``tasks``."""
    batches = tasks.to_batches() or [pa.RecordBatch.from_pylist([], schema=tasks.schema)]
    return pa.concat_tables([_annotations_of_batch(batch) for batch in batches])


def _annotations_of_batch(tasks: pa.RecordBatch) -> pa.Table:
    nested = tasks.column("annotations")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(nested), 0), dtype=np.int64)
    parents = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    starts = np.cumsum(lengths) - lengths
    flat = pc.list_flatten(nested)
    columns: dict[str, pa.Array] = {
        "task_id": tasks.column("task_id").take(pa.array(parents)),
        "task_name": tasks.column("name").take(pa.array(parents)),
        "index": pa.array(np.arange(len(parents), dtype=np.int64) - starts[parents]),
    }
    columns.update(zip((field.name for field in flat.type), flat.flatten(), strict=True))
    return pa.table(columns)


def _project(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return table if columns is None else table.select(list(columns))
