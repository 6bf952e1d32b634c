"""A Parquet file of somebody else as a table, or an error that names it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from fastlabel_dagster.formats.errors import FormatError


def parquet_table(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """All rows of ``path``; with a ``schema``, its columns in its types, null where the file has none.

    The content is checked whole, so that text that is no UTF-8 is found here and not wherever it is first looked at.

    Raises:
        FileNotFoundError: when it is not there.
        FormatError: when it is damaged, no Parquet, or has columns of other types.
    """
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table: pa.Table = pq.ParquetFile(file).read() if schema is None else pq.read_table(file, schema=schema)
        table.validate(full=True)
    except FileNotFoundError:
        raise
    # What is damaged in the head of a file is an OSError for Arrow, as is a folder in its place for Python.
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise FormatError(path, f"cannot be read as Parquet: {error}") from error
    return table
