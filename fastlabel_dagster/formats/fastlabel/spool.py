"""Tables of tasks on their way from a reader to a writer: in memory as long as they are small, else in a temporary
file.

A writer goes through the labels twice (names and sizes first, then the annotations). Reading a gigabyte of JSON twice
would cost minutes, holding its tables would cost gigabytes; a file of Arrow record batches costs neither.
"""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from fastlabel_dagster.formats.scratch import in_scratch

#: Tables up to this many bytes stay in memory.
MOST_BYTES_IN_MEMORY = 256 * 2**20
#: Small tables are joined until they have so many rows or bytes.
_ROWS = 4096
_BYTES = 12 * 2**20
_WHAT = "reading so many tasks"


class Spool:
    """Takes tables of one schema with :meth:`add`, then streams them, again and again, when called.

    It is what ``Labels`` asks for as the source of its tasks. The temporary file has no name, so it is gone when the
    spool is, and when the process is killed.
    """

    def __init__(self, schema: pa.Schema, *, in_memory: int = MOST_BYTES_IN_MEMORY) -> None:
        self._schema, self._in_memory = schema, in_memory
        self._small: list[pa.Table] = []
        self._small_bytes = self._small_rows = 0
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._file: int | None = None
        self._writer: Any = None
        self._sink: BinaryIO | None = None

    def add(self, table: pa.Table) -> None:
        """Take one more table."""
        self._small.append(table)
        self._small_bytes += table.nbytes
        self._small_rows += table.num_rows
        if self._small_bytes >= _BYTES or self._small_rows >= _ROWS:
            self._join()

    def finish(self) -> None:
        """All tables are there. From now on the spool is only read."""
        self._join()
        if self._sink is not None:
            with in_scratch(_WHAT):
                self._writer.close()
                self._sink.close()
            self._writer = self._sink = None

    def __call__(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The tables in the order they came, joined to some thousand rows each."""
        if self._file is None:
            for table in self._tables:
                yield table if columns is None else table.select(list(columns))
            return
        included = None if columns is None else [self._schema.get_field_index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=included)
        with pa.ipc.open_file(pa.PythonFile(_Window(self._file), mode="r"), options=options) as reader:
            for number in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(number)])
                yield table if columns is None else table.select(list(columns))

    def _join(self) -> None:
        if not self._small_rows:
            return
        table = pa.concat_tables(self._small).combine_chunks()
        self._bytes += table.nbytes
        self._small, self._small_bytes, self._small_rows = [], 0, 0
        with in_scratch(_WHAT):
            if self._writer is None and self._bytes > self._in_memory:
                self._begin_file()
            if self._writer is None:
                self._tables.append(table)
            else:
                self._writer.write_table(table)

    def _begin_file(self) -> None:
        with tempfile.TemporaryFile(prefix="fastlabel-") as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._sink = os.fdopen(os.dup(self._file), "wb")
        self._writer = pa.ipc.new_file(pa.PythonFile(self._sink, mode="w"), self._schema)
        for table in self._tables:
            self._writer.write_table(table)
        self._tables = []


class _Window(io.RawIOBase):
    """A file to read, with a position of its own: several may read one open file at the same time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._at = descriptor, 0
        self._size = os.fstat(descriptor).st_size

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._size - self._at if size is None or size < 0 else size
        data = os.pread(self._descriptor, wanted, self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
