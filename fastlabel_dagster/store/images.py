"""What the tasks of a project are made of, beside its labels: files, and an index that says whose each is.

Pictures in most projects, and so they are called here; in others videos, texts, sound or point clouds.
"""

from __future__ import annotations

import io
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.store.interface import Store
from fastlabel_dagster.store.paths import checked_path

if TYPE_CHECKING:
    import pyarrow as pa

INDEX = "index.parquet"


def images_schema() -> pa.Schema:
    """The columns of an image index.

    ``task_id`` and ``name`` (the task's, as FastLabel has them; for one of the contents of a task
    ``<task id>/<content>`` and ``<task name>/<content>``), ``file`` (path inside the image folder), ``bytes`` (its
    size), ``sha256`` (of its content, hex), ``width`` and ``height`` (pixels of a picture or of the frames of a video,
    null when unknown).
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("task_id", pa.string(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("file", pa.string(), nullable=False),
            pa.field("bytes", pa.int64()),
            pa.field("sha256", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
        ]
    )


class ImageFolder:
    """Image files in a store, with ``index.parquet`` naming the file of each task.

    The index is what counts: a file it does not name is not part of the folder. Every call reads the index anew, so
    keep what you got when you need it twice.

    Args:
        store: the folder itself, such as ``open_store("data/street").at("images")``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"ImageFolder({self._store.uri!r})"

    @property
    def store(self) -> Store:
        """Where the files lie; ``images.store.open_read(file)`` opens one."""
        return self._store

    @property
    def table(self) -> pa.Table:
        """The index (see `images_schema`), ordered by task id; no rows when there is none yet.

        Raises:
            StoreError: when the store cannot be read.
            pyarrow.ArrowInvalid: when the index is no Parquet file, or not one `save` wrote.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            data = self._store.read_bytes(INDEX)
        except FileNotFoundError:
            return images_schema().empty_table()
        # On this thread alone. With a Python file (or bytes) under them, Arrow's own threads may still have to call
        # Python when the interpreter is going down, and then the process is aborted after all its work is done.
        table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
        schema = images_schema()
        if not set(schema.names) <= set(table.column_names):
            raise pa.ArrowInvalid(f"{self._store.uri_of(INDEX)} is no image index")
        return table.select(schema.names).cast(schema)

    def files(self) -> dict[str, str]:
        """The file of each task, as a path inside `store`."""
        table = self.table
        return dict(zip(table["task_id"].to_pylist(), table["file"].to_pylist(), strict=True))

    def save(self, table: pa.Table) -> None:
        """Put a new index in place, in one step. Save the files first: nobody looks for them before the index is there.

        The same rows give the same bytes, whatever their order.

        Args:
            table: with at least ``task_id`` and ``file``; other columns of `images_schema` become null, further ones
                are left out.

        Raises:
            ValueError: for a task that is there twice, two tasks with one file, or a file outside the folder.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = images_schema()
        columns: list[Any] = []
        for field in schema:
            if field.name in table.column_names:
                columns.append(table[field.name].cast(field.type))
            elif field.nullable:
                columns.append(pa.nulls(table.num_rows, field.type))
            else:
                raise ValueError(f"an image index needs the column {field.name}")
        index = pa.Table.from_arrays(columns, schema=schema).sort_by("task_id")
        _check(index)
        content = io.BytesIO()
        pq.write_table(index, content, compression="zstd")
        self._store.write_bytes(INDEX, content.getvalue())

    def digest(self) -> str:
        """A hex digest of which task has which content under which file name; the same for equal folders anywhere."""
        table = self.table.select(["task_id", "file", "sha256"]).sort_by("task_id")
        digest = blake2b(digest_size=16)
        for batch in table.to_batches(max_chunksize=65_536):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                digest.update("\0".join(value or "" for value in row).encode() + b"\n")
        return digest.hexdigest()


def _check(index: pa.Table) -> None:
    for column in ("task_id", "file"):
        values = index[column].to_pylist()
        if None in values:
            raise ValueError(f"an image index has a row without {column}")
        if len(set(values)) != len(values):
            raise ValueError(f"an image index has the same {column} in two rows")
    for file in index["file"].to_pylist():
        if checked_path(file) == INDEX:
            raise ValueError(f"an image cannot be called {INDEX}: that is the index itself")
