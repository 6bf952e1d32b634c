"""``LabelMirror``: the labels of a project as a versioned Delta table; any version can be read and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from fastlabel_dagster.labels.diff import CHANGES, LabelDiff, diff_tasks
from fastlabel_dagster.labels.digest import combined_digest
from fastlabel_dagster.labels.schema import CLASSES, TASKS
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import S3Options, Store, open_store
from fastlabel_dagster.sync.delta import DataFile, VersionedTable
from fastlabel_dagster.sync.snapshot import STORED_TASKS, MirrorVersion, Snapshot, differing


class LabelMirror:
    """The mirror at ``location`` (a folder, ``s3://bucket/prefix``, or a store), which need not exist yet.

    Below it lie two Delta tables, ``tasks`` and ``classes``; any Delta reader (Polars, Spark, Athena) opens them.
    Versions count from 0. They stay readable until :meth:`vacuum` is asked to give up some.
    """

    def __init__(self, location: str | Path | Store, *, s3: S3Options | None = None) -> None:
        self.store = open_store(location, s3)
        self._tasks = VersionedTable(self.store.at("tasks"), STORED_TASKS, mark="labels_digest", partition="bucket")
        self._classes = VersionedTable(self.store.at("classes"), CLASSES, mark="classes_digest")

    def __repr__(self) -> str:
        return f"LabelMirror({self.store.uri!r})"

    @property
    def exists(self) -> bool:
        """Whether a sync has committed here."""
        return self.newest() is not None

    @property
    def version(self) -> int:
        """The newest version. Raises LookupError when nothing was ever synced here."""
        return self.at().version

    @property
    def digest(self) -> str:
        """The digest of the newest version. Raises LookupError when nothing was ever synced here."""
        return self.at().digest

    def newest(self) -> MirrorVersion | None:
        """The newest version, or None when nothing was ever synced here."""
        commit = self._tasks.newest(self._tasks.open())
        return None if commit is None else MirrorVersion.of(commit)

    def versions(self) -> list[MirrorVersion]:
        """Every version, oldest first."""
        return [MirrorVersion.of(commit) for commit in self._tasks.commits()]

    def at(self, version: int | None = None) -> MirrorVersion:
        """What is recorded of a version (default: the newest). Raises LookupError when there is none such."""
        return self.open(version).version

    def read(self, version: int | None = None) -> Labels:
        """The labels of a version (default: the newest), streamed bucket by bucket in an order that never changes.

        ``origin`` of the answer holds ``mirror`` (where), ``project``, ``version`` and ``digest``.

        Raises:
            LookupError: no such version, or its files were given up by :meth:`vacuum`.
        """
        snapshot = self.open(version)

        def stream(columns: Sequence[str] | None) -> Iterator[pa.Table]:
            return snapshot.stream(TASKS.names if columns is None else columns)

        origin: dict[str, str | int] = {
            "mirror": self.store.uri,
            "project": snapshot.version.project,
            "version": snapshot.version.version,
            "digest": snapshot.version.digest,
        }
        return Labels(stream, self._classes_of(snapshot.version), origin=origin)

    def classes(self, version: int | None = None) -> pa.Table:
        """The annotation classes (schema ``CLASSES``) as they were at a version of the mirror (default: the newest)."""
        return self._classes_of(self.at(version))

    def diff(self, before: int, after: int | None = None) -> LabelDiff:
        """What changed in the labels from one version to another (default: to the newest).

        Only what differs is read: files both versions share are left alone, then digests tell the changed tasks, then
        those tasks are compared. So the cost grows with the change, not with the project.

        Raises:
            LookupError: there is no such version.
        """
        changes = [diff_tasks(*states).table for states in self.changed(before, after)]
        return LabelDiff(pa.concat_tables(changes) if changes else CHANGES.empty_table())

    def changed(self, before: int, after: int | None = None) -> Iterator[tuple[pa.Table, pa.Table]]:
        """The tasks (schema ``TASKS``) that differ between two versions, as they are in each, some at a time.

        A task that only one of them has is in that one's table alone. See :meth:`diff` for the cost.

        Raises:
            LookupError: there is no such version, or its files were given up by :meth:`vacuum`.
        """
        old, new = self.open(before), self.open(after)
        paths = [{file.path: bucket for bucket, files in each.files.items() for file in files} for each in (old, new)]
        shared = paths[0].keys() & paths[1].keys()
        places = [{bucket for path, bucket in each.items() if path not in shared} for each in paths]
        if old.version.buckets == new.version.buckets:  # a task keeps its bucket, so one bucket at a time will do
            groups = [([bucket], [bucket]) for bucket in sorted(places[0] | places[1])]
        else:
            groups = [(sorted(places[0]), sorted(places[1]))]
        yield from (differing(old, new, *group) for group in groups)

    def vacuum(self, keep_versions: Iterable[int], *, older_than_hours: int = 168) -> int:
        """Delete the files only other versions need, and what killed syncs left behind; return how many files went.

        The newest version is always kept. Files younger than ``older_than_hours`` stay, because a sync that runs now
        may be about to commit them. The classes of every version stay readable: they are small.

        Raises:
            LookupError: one of the versions to keep does not exist.
        """
        newest = self.open()
        keep = {
            newest.version.version,
            newest.table.version(),
            *(self.at(version).version for version in keep_versions),
        }
        deleted = newest.table.vacuum(
            retention_hours=older_than_hours,
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
            keep_versions=sorted(keep),
        )
        return len(deleted)

    # What sync_project needs -------------------------------------------------------------------------------------

    def open(self, version: int | None = None) -> Snapshot:
        """A version (default: the newest), to read from and to commit on top of.

        Raises:
            LookupError: there is no such version, or no mirror yet.
        """
        table = self._tasks.open(version)
        commit = self._tasks.newest(table)
        if table is None or commit is None:
            raise LookupError(f"there is no mirror at {self.store.uri} yet; sync the project first")
        return Snapshot(self._tasks, table, MirrorVersion.of(commit))

    def base(self) -> Snapshot | None:
        """The newest version, or None when there is none yet.

        Raises:
            ValueError: a Delta table lies here that no sync made.
        """
        table = self._tasks.open()
        commit = self._tasks.newest(table)
        if table is not None and commit is None:
            raise ValueError(f"{self._tasks.uri} is a Delta table that no sync made; choose another store")
        return None if table is None or commit is None else Snapshot(self._tasks, table, MirrorVersion.of(commit))

    def commit_classes(self, classes: pa.Table, digest: str) -> int:
        """Make ``classes`` the newest version of the classes table, unless they are; return that version."""
        table = self._classes.open()
        newest = self._classes.newest(table)
        if newest is not None and newest.facts["classes_digest"] == digest:
            return newest.version
        file = self._classes.write(classes)
        return self._classes.commit(table, [file], {"classes_digest": digest}, replace="everything")

    def write_bucket(self, rows: pa.Table, bucket: int) -> DataFile:
        """Put the new rows of one bucket (schema ``STORED_TASKS`` without ``bucket``) in place, for the next commit."""
        return self._tasks.write(rows, partition=bucket, stem=combined_digest(rows["digest"].to_pylist()))

    def commit_tasks(
        self,
        base: Snapshot | None,
        files: Sequence[DataFile],
        facts: Mapping[str, str | int | bool],
        *,
        buckets: Sequence[int] | None,
    ) -> int:
        """Make ``files`` the new content of ``buckets`` (None: of the whole table) in one step; return the version.

        No buckets at all is a commit of the facts alone, for when only the classes changed.
        """
        told = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in facts.items()}
        table = None if base is None else base.table
        return self._tasks.commit(table, files, told, replace="everything" if buckets is None else buckets or "nothing")

    def _classes_of(self, version: MirrorVersion) -> pa.Table:
        table = self._classes.open(version.classes_version)
        if table is None:
            raise LookupError(f"{self.store.uri}: the annotation classes of version {version.version} are gone")
        files = [self._classes.read(file, CLASSES.names) for file in self._classes.files(table)]
        return pa.concat_tables([CLASSES.empty_table(), *files]).combine_chunks()
