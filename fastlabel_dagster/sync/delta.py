"""A Delta Lake table in a store, written file by file and committed to by at most one writer at a time.

We write and read the Parquet files ourselves, through the store, and leave to ``deltalake`` what is hard: the log, and
who wins when two commit. That keeps memory at one file where deltalake's writer holds every partition open at once, and
it keeps Python code off Arrow's threads: a process that read through ``DeltaTable.to_pyarrow_dataset`` may be aborted
when it ends (deltalake 1.6, pyarrow 26).

Every commit names the version it was prepared against and fails with :class:`ConcurrentSync` when another one came in
between, also where Delta itself would merge the two: the facts a commit records (digest, counts) describe the whole
table, and nobody has seen what a merge would hold.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyarrow as pa

from fastlabel_dagster.store import Store
from fastlabel_dagster.sync.inflight import in_flight

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: Old versions are what models were trained on: nothing of them is cleaned up by itself.
_CONFIGURATION: dict[str, str | None] = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
}
_LOGS_IN_FLIGHT = 8


class ConcurrentSync(RuntimeError):
    """Another process committed to the same table meanwhile; nothing of this commit is visible. Try again."""


@dataclass(frozen=True)
class Commit:
    """One commit that carries facts: its version, when it was made (UTC), and the facts."""

    version: int
    committed_at: datetime
    facts: Mapping[str, str]


class DataFile(NamedTuple):
    """A Parquet file of a table: its path, its size in bytes, its rows, and its partition (None: not partitioned)."""

    path: str
    size: int
    rows: int
    partition: int | None


class VersionedTable:
    """A Delta table at ``store`` (which need not exist yet) whose commits carry facts, strings by name.

    ``schema`` is in our own types; Delta knows times to the microsecond only. ``partition`` names the integer column
    the files are partitioned by, if any. ``mark`` is the fact by which our commits are known; others (a vacuum, a
    compaction somebody ran) change no content and are passed over.
    """

    def __init__(self, store: Store, schema: pa.Schema, *, mark: str, partition: str | None = None) -> None:
        self.store = store
        self.schema = schema
        self._mark = mark
        self._partition = partition
        stored = [
            field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
            for field in schema
        ]
        self._stored_schema = pa.schema(stored)
        self._file_schema = pa.schema([field for field in stored if field.name != partition])

    @property
    def uri(self) -> str:
        """Where the table lies, as Delta readers take it: a path, or ``s3://…``."""
        return str(self.store.local_path) if self.store.is_local else self.store.uri

    def _options(self) -> dict[str, str] | None:
        return None if self.store.is_local else self.store.storage_options()

    # Reading ------------------------------------------------------------------------------------------------------

    def open(self, version: int | None = None) -> DeltaTable | None:
        """The table at a version (default: the newest); None when there is no table yet.

        Raises:
            LookupError: there is a table, and it has no such version.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        if self.store.is_local and not self.store.local_path.is_dir():
            return None
        try:
            return DeltaTable(self.uri, version=version, storage_options=self._options())
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if version is None:
                raise
            raise LookupError(f"{self.uri} has no version {version}") from error

    def newest(self, table: DeltaTable | None) -> Commit | None:
        """The newest commit with our facts, up to the version ``table`` is open at; None when there is none."""
        if table is None:
            return None
        found = map(self._commit, range(table.version(), -1, -1))
        return next((commit for commit in found if commit is not None), None)

    def commits(self) -> list[Commit]:
        """All commits with our facts, oldest first."""
        table = self.open()
        versions = range(0 if table is None else table.version() + 1)
        found = in_flight(self._commit, versions, workers=_LOGS_IN_FLIGHT)
        return sorted((commit for commit in found if commit is not None), key=lambda commit: commit.version)

    def _commit(self, version: int) -> Commit | None:
        """What the log says of one version, read from the log itself: ``DeltaTable.history`` numbers the commits of a
        table that is open at an earlier version wrongly (deltalake 1.6)."""
        try:
            with self.store.open_read(f"_delta_log/{version:020}.json") as log:
                infos = (json.loads(line).get("commitInfo") for line in log)
                entry: dict[str, Any] = next((info for info in infos if info is not None), {})
        except FileNotFoundError:
            return None
        if self._mark not in entry:
            return None
        made = datetime.fromtimestamp(entry["timestamp"] / 1000, timezone.utc)
        return Commit(version, made, {key: value for key, value in entry.items() if isinstance(value, str)})

    def files(self, table: DeltaTable) -> list[DataFile]:
        """The files of the version ``table`` is open at, by partition and path."""
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        key = f"partition.{self._partition}"
        found = [DataFile(each["path"], each["size_bytes"], each["num_records"], each.get(key)) for each in actions]
        return sorted(found, key=lambda file: (file.partition or 0, file.path))

    def read(self, file: DataFile, columns: Sequence[str]) -> pa.Table:
        """These columns of one file, in our own types.

        Raises:
            FileNotFoundError: a vacuum gave it up.
        """
        import pyarrow.parquet as pq

        # One request for a file of a few hundred kilobytes beats several for its parts.
        local = self.store.is_local
        source = str(self.store.local_path / file.path) if local else _in_arrow(self.store.read_bytes(file.path))
        wanted = pa.schema([self.schema.field(name) for name in columns])
        stored = [name for name in columns if name != self._partition]
        # Columns of some kilobytes are decoded sooner than they are handed to threads.
        rows = pq.ParquetFile(source, pre_buffer=False).read(columns=stored, use_threads=False)
        if self._partition in columns:
            rows = rows.append_column(self._partition, pa.repeat(pa.scalar(file.partition, pa.int32()), rows.num_rows))
        return rows.select(list(columns)).cast(wanted)

    # Writing ------------------------------------------------------------------------------------------------------

    def write(self, rows: pa.Table, *, partition: int | None = None, stem: str = "part") -> DataFile:
        """Put rows (without the partition column) into a new file; no reader sees it before it is committed."""
        import pyarrow.parquet as pq

        content = pa.BufferOutputStream()
        pq.write_table(rows.cast(self._file_schema), content, compression="zstd")
        data = content.getvalue().to_pybytes()
        folder = "" if partition is None else f"{self._partition}={partition}/"
        path = f"{folder}{stem}-{uuid.uuid4().hex}.parquet"
        self.store.write_bytes(path, data)
        return DataFile(path, len(data), rows.num_rows, partition)

    def commit(
        self,
        base: DeltaTable | None,
        files: Sequence[DataFile],
        facts: Mapping[str, str],
        *,
        replace: Sequence[int] | Literal["everything", "nothing"],
    ) -> int:
        """Commit files on top of the version ``base`` is open at (None: make the table); return the new version.

        They take the place of the files of the partitions ``replace`` names, of everything, or of nothing. A commit
        without files and replacements records facts alone.

        Raises:
            ConcurrentSync: ``base`` is not the newest version any more. The files are left for a vacuum: where the
                answer to a commit was lost, it may have been our own that came first.
        """
        from deltalake import CommitProperties, Schema
        from deltalake.exceptions import CommitFailedError, DeltaError
        from deltalake.transaction import AddAction, create_table_with_add_actions

        actions = [
            AddAction(
                path=file.path,
                size=file.size,
                partition_values={} if self._partition is None else {self._partition: str(file.partition)},
                modification_time=int(time.time() * 1000),
                data_change=True,
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in files
        ]
        schema = Schema.from_arrow(self._stored_schema)
        partition_by = [] if self._partition is None else [self._partition]
        properties = CommitProperties(custom_metadata=dict(facts), max_commit_retries=0)
        try:
            if base is None:
                create_table_with_add_actions(
                    self.uri,
                    schema,
                    actions,
                    "error",
                    partition_by,
                    configuration=_CONFIGURATION,
                    storage_options=self._options(),
                    commit_properties=properties,
                )
                return 0
            filters: list[tuple[str, str, Any]] | None = None
            if not isinstance(replace, str):
                filters = [(str(self._partition), "in", [str(each) for each in replace])]
            base.create_write_transaction(
                [*actions],
                "append" if replace == "nothing" else "overwrite",
                schema,
                partition_by,
                partition_filters=filters,
                commit_properties=properties,
            )
        except CommitFailedError as error:
            raise ConcurrentSync(f"another process wrote to {self.uri} at the same time") from error
        except DeltaError as error:
            if base is None and "already exists" in str(error):
                raise ConcurrentSync(f"another process just made {self.uri}") from error
            raise
        return int(base.version()) + 1


def _in_arrow(data: bytes) -> pa.BufferReader:
    """``data`` copied to Arrow's own memory: Arrow reads on several threads, and one of them letting go of a Python
    object while the interpreter goes down would abort the process."""
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())
