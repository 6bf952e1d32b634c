"""Labels in pieces small enough for memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from fastlabel_dagster.labels.tables import Labels

#: Tasks handled at once, at most; and about how many bytes of Arrow data.
MOST_TASKS = 4096
MOST_BYTES = 4 * 2**20


def task_batches(labels: Labels, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Stream the tasks in pieces of bounded size, in the order of the labels. Empty pieces are left out."""
    for source in labels.batches(columns):
        table = source if columns is None else source.select(list(columns))
        rows = table.num_rows
        if not rows:
            continue
        size = max(1, min(MOST_TASKS, int(MOST_BYTES / max(1.0, table.nbytes / rows))))
        for start in range(0, rows, size):
            yield table.slice(start, size).combine_chunks()
