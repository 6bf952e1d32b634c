"""``LabelMirror``: the labels of a project as a versioned Delta table; any version can be read and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.diff import CHANGES, LabelDiff, diff_tasks
from fastlabel_dagster.labels.schema import CLASSES, TASKS
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import S3Options, Store, open_store
from fastlabel_dagster.sync.delta import Commit, VersionedTable, read_rows

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: The tasks as they lie in Delta: the label columns (``url`` always null), the bucket, the digest of the task's JSON.
STORED_TASKS = TASKS.append(pa.field("bucket", pa.int32())).append(pa.field("digest", pa.binary()))


@dataclass(frozen=True)
class MirrorVersion:
    """One version of a mirror and what its sync recorded.

    Attributes:
        version: the version of the ``tasks`` table; what :meth:`LabelMirror.read` takes.
        digest: of all tasks and classes, hexadecimal; equal digests mean equal labels.
        project: the slug.
        tasks, annotations, classes: how many there are.
        added, updated, removed: tasks, against the version before.
        buckets: how many the tasks are spread over; ``buckets_rewritten``: how many of them this version replaced.
        classes_version: the version of the ``classes`` table that belongs to it.
        classes_digest: of the annotation classes alone.
        settled: whether the scan saw the project stand still (see ``sync_project``).
        committed_at: when, in UTC.
    """

    version: int
    digest: str
    project: str
    tasks: int
    annotations: int
    classes: int
    added: int
    updated: int
    removed: int
    buckets: int
    buckets_rewritten: int
    classes_version: int
    classes_digest: str
    settled: bool
    committed_at: datetime


class Snapshot:
    """The ``tasks`` table at one version, as it was when it was opened: commits that follow do not show."""

    def __init__(self, table: DeltaTable, version: MirrorVersion) -> None:
        self.table = table
        self.version = version

    @cached_property
    def buckets(self) -> list[int]:
        """The buckets that hold tasks, in ascending order."""
        return sorted({int(partition["bucket"]) for partition in self.table.partitions()})

    @cached_property
    def files(self) -> dict[str, int]:
        """The data files, each with the bucket it belongs to."""
        actions = pa.table(self.table.get_add_actions(flatten=True))
        return dict(zip(actions["path"].to_pylist(), actions["partition.bucket"].to_pylist(), strict=True))

    @cached_property
    def _rows(self) -> Any:
        return self.table.to_pyarrow_dataset()

    def bucket(self, bucket: int, columns: Sequence[str], *, only: pa.ChunkedArray | None = None) -> pa.Table:
        """The rows of one bucket in the order of their ids: these columns, all tasks or only those with these ids.

        Raises:
            LookupError: a vacuum gave up the files of this version.
        """
        import pyarrow.dataset as ds

        names = list(dict.fromkeys([*columns, "task_id"]))
        schema = pa.schema([STORED_TASKS.field(name) for name in names])
        condition = ds.field("bucket") == bucket
        if only is not None:
            condition &= ds.field("task_id").isin(only.combine_chunks())
        try:
            rows = self._rows.to_table(columns=names, filter=condition)
        except FileNotFoundError as error:
            raise LookupError(f"the files of version {self.version.version} were given up by a vacuum") from error
        rows = rows.cast(schema).combine_chunks()
        ids = rows["task_id"]
        if rows.num_rows > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
            rows = rows.take(pc.sort_indices(ids))
        return rows.select(list(columns))

    def rows(self, buckets: Sequence[int], columns: Sequence[str], *, only: pa.ChunkedArray | None = None) -> pa.Table:
        """The rows of several buckets, as :meth:`bucket` gives them, one bucket after the other."""
        empty = pa.schema([STORED_TASKS.field(name) for name in columns]).empty_table()
        if only is not None and not len(only):
            return empty
        present = set(self.buckets)
        return pa.concat_tables(
            [empty, *(self.bucket(each, columns, only=only) for each in buckets if each in present)]
        )

    def digests(self, bucket: int) -> dict[str, bytes]:
        """The digest of every task of one bucket, by id."""
        rows = self.rows([bucket], ("task_id", "digest"))
        return dict(zip(rows["task_id"].to_pylist(), rows["digest"].to_pylist(), strict=True))


class LabelMirror:
    """The mirror at ``location`` (a folder, ``s3://bucket/prefix``, or a store), which need not exist yet.

    Below it lie two Delta tables, ``tasks`` and ``classes``; any Delta reader (Polars, Spark, Athena) opens them.
    Versions count from 0. They stay readable until :meth:`vacuum` is asked to give up some.
    """

    def __init__(self, location: str | Path | Store, *, s3: S3Options | None = None) -> None:
        self.store = open_store(location, s3)
        self._tasks = VersionedTable(self.store.at("tasks"), mark="labels_digest")
        self._classes = VersionedTable(self.store.at("classes"), mark="classes_digest")

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
        return None if commit is None else _version(commit)

    def versions(self) -> list[MirrorVersion]:
        """Every version, oldest first."""
        return [_version(commit) for commit in self._tasks.commits()]

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
            for bucket in snapshot.buckets:
                rows = snapshot.bucket(bucket, TASKS.names if columns is None else columns)
                if rows.num_rows:
                    yield rows

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
        old, new = self.open(before), self.open(after)
        shared = old.files.keys() & new.files.keys()
        places = [{bucket for file, bucket in each.files.items() if file not in shared} for each in (old, new)]
        if old.version.buckets == new.version.buckets:  # a task keeps its bucket, so one bucket at a time will do
            groups = [([bucket], [bucket]) for bucket in sorted(places[0] | places[1])]
        else:
            groups = [(sorted(places[0]), sorted(places[1]))]
        changes = [diff_tasks(*_differing(old, new, *group)).table for group in groups]
        return LabelDiff(pa.concat_tables(changes) if changes else CHANGES.empty_table())

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
        return Snapshot(table, _version(commit))

    def base(self) -> Snapshot | None:
        """The newest version, or None when there is none yet.

        Raises:
            ValueError: a Delta table lies here that no sync made.
        """
        table = self._tasks.open()
        commit = self._tasks.newest(table)
        if table is not None and commit is None:
            raise ValueError(f"{self._tasks.uri} is a Delta table that no sync made; choose another store")
        return None if table is None or commit is None else Snapshot(table, _version(commit))

    def commit_classes(self, classes: pa.Table, digest: str) -> int:
        """Make ``classes`` the newest version of the classes table, unless they are; return that version."""
        table = self._classes.open()
        newest = self._classes.newest(table)
        if newest is not None and newest.facts["classes_digest"] == digest:
            return newest.version
        facts = {"classes_digest": digest}
        batches = iter(classes.to_batches())
        if table is None:
            return self._classes.create(CLASSES, batches, facts)
        return self._classes.commit(table, CLASSES, batches, facts, replace=None, everything=True)

    def commit_tasks(
        self,
        base: Snapshot | None,
        batches: Iterator[pa.RecordBatch],
        facts: Mapping[str, str | int | bool],
        *,
        buckets: Sequence[int] | None,
    ) -> int:
        """Commit new content of ``buckets`` (None: of all) in one step, and return the version.

        ``batches`` have the schema ``STORED_TASKS`` and come bucket by bucket. No buckets at all is a commit of the
        facts alone, for when only the classes changed.
        """
        told = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in facts.items()}
        if base is None:
            return self._tasks.create(STORED_TASKS, batches, told, partition_by=["bucket"])
        if buckets is None:
            return self._tasks.commit(base.table, STORED_TASKS, batches, told, replace=None, everything=True)
        replace = f"bucket IN ({', '.join(map(str, buckets))})" if buckets else None
        return self._tasks.commit(base.table, STORED_TASKS, batches, told, replace=replace)

    def _classes_of(self, version: MirrorVersion) -> pa.Table:
        table = self._classes.open(version.classes_version)
        if table is None:
            raise LookupError(f"{self.store.uri}: the annotation classes of version {version.version} are gone")
        return read_rows(table, CLASSES)


def _differing(
    old: Snapshot, new: Snapshot, old_buckets: Sequence[int], new_buckets: Sequence[int]
) -> tuple[pa.Table, pa.Table]:
    """The tasks of these buckets that differ between two versions, as they are in each."""
    keys = ("task_id", "digest")
    was, is_now = old.rows(old_buckets, keys), new.rows(new_buckets, keys)
    contents = _contents(was), _contents(is_now)
    before = was.filter(pc.invert(pc.is_in(contents[0], value_set=contents[1])))["task_id"]
    after = is_now.filter(pc.invert(pc.is_in(contents[1], value_set=contents[0])))["task_id"]
    return old.rows(old_buckets, TASKS.names, only=before), new.rows(new_buckets, TASKS.names, only=after)


def _contents(rows: pa.Table) -> pa.Array:
    """One value per task that is equal only for the same task with the same content."""
    ids = pc.cast(rows["task_id"], pa.binary())
    return pc.binary_join_element_wise(ids, rows["digest"], b"\x00").combine_chunks()


def _version(commit: Commit) -> MirrorVersion:
    facts = commit.facts
    return MirrorVersion(
        version=commit.version,
        digest=facts["labels_digest"],
        project=facts.get("project", ""),
        tasks=int(facts.get("tasks", 0)),
        annotations=int(facts.get("annotations", 0)),
        classes=int(facts.get("classes", 0)),
        added=int(facts.get("added", 0)),
        updated=int(facts.get("updated", 0)),
        removed=int(facts.get("removed", 0)),
        buckets=int(facts.get("buckets", 1)),
        buckets_rewritten=int(facts.get("buckets_rewritten", 0)),
        classes_version=int(facts.get("classes_version", 0)),
        classes_digest=facts.get("classes_digest", ""),
        settled=facts.get("settled", "true") == "true",
        committed_at=commit.committed_at,
    )
