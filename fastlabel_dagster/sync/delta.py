"""A Delta Lake table in a store, committed to by at most one writer at a time.

Every commit names the version it was prepared against and fails with :class:`ConcurrentSync` when another one came in
between, also where Delta itself would merge the two: the facts a commit records (digest, counts) describe the whole
table, and nobody has seen what a merge would hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

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
    "delta.dataSkippingNumIndexedCols": "1",  # bounds of the task id; those of other columns only make the log long
}

#: Rows a writer gathers before it encodes them; keeps a first commit, which holds every partition open, small.
_ROW_GROUP = 512
_LOGS_IN_FLIGHT = 8


class ConcurrentSync(RuntimeError):
    """Another process committed to the same table meanwhile; nothing of this commit is visible. Try again."""


@dataclass(frozen=True)
class Commit:
    """One commit that carries facts: its version, when it was made (UTC), and the facts."""

    version: int
    committed_at: datetime
    facts: Mapping[str, str]


class VersionedTable:
    """A Delta table at ``store`` (which need not exist yet) whose commits carry facts, strings by name.

    ``mark`` is the fact by which our commits are known; others (a vacuum, a compaction somebody ran) change no content
    and are passed over.
    """

    def __init__(self, store: Store, *, mark: str) -> None:
        self.store = store
        self.mark = mark

    @property
    def uri(self) -> str:
        """Where the table lies, as Delta readers take it: a path, or ``s3://…``."""
        return str(self.store.local_path) if self.store.is_local else self.store.uri

    def _options(self) -> dict[str, str] | None:
        return None if self.store.is_local else self.store.storage_options()

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
        if self.mark not in entry:
            return None
        made = datetime.fromtimestamp(entry["timestamp"] / 1000, timezone.utc)
        return Commit(version, made, {key: value for key, value in entry.items() if isinstance(value, str)})

    def create(
        self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], facts: Mapping[str, str], **options: Any
    ) -> int:
        """Make the table with its first rows, and return the version.

        Raises:
            ConcurrentSync: somebody else just made it.
        """
        return self._write(
            self.uri,
            schema,
            batches,
            facts,
            mode="error",
            storage_options=self._options(),
            configuration=_CONFIGURATION,
            **options,
        )

    def commit(
        self,
        base: DeltaTable,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch],
        facts: Mapping[str, str],
        *,
        replace: str | None,
        everything: bool = False,
    ) -> int:
        """Commit on top of the version ``base`` is open at, and return the new version.

        The rows that match the predicate ``replace`` (or ``everything``) make way for those of ``batches``; with
        neither, the rows are added.

        Raises:
            ConcurrentSync: ``base`` is not the newest version any more.
        """
        mode = "overwrite" if everything or replace is not None else "append"
        return self._write(base, schema, batches, facts, mode=mode, predicate=replace)

    def _write(
        self,
        target: str | DeltaTable,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch],
        facts: Mapping[str, str],
        **options: Any,
    ) -> int:
        from deltalake import CommitProperties, WriterProperties, write_deltalake
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            write_deltalake(
                target,
                pa.RecordBatchReader.from_batches(schema, batches),
                commit_properties=CommitProperties(custom_metadata=dict(facts), max_commit_retries=0),
                writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=_ROW_GROUP),
                **options,
            )
        except CommitFailedError as error:
            raise ConcurrentSync(f"another process wrote to {self.uri} at the same time") from error
        except DeltaError as error:
            if options["mode"] == "error" and "already exists" in str(error):
                raise ConcurrentSync(f"another process just made {self.uri}") from error
            raise
        if isinstance(target, str):
            return 0
        return target.version()


def read_rows(table: DeltaTable, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a small table, in our own types (Delta knows microseconds only, and names list items differently)."""
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    return table.to_pyarrow_dataset().to_table(columns=wanted.names).cast(wanted)
