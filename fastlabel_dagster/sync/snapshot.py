"""One version of a mirror: what its sync recorded, and its rows, bucket by bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.digest import combined_digest
from fastlabel_dagster.labels.schema import TASKS
from fastlabel_dagster.sync.delta import Commit, DataFile, VersionedTable
from fastlabel_dagster.sync.inflight import ahead

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: The tasks as they lie in Delta: the label columns (``url`` always null), the bucket, the digest of the task's JSON.
STORED_TASKS = TASKS.append(pa.field("bucket", pa.int32())).append(pa.field("digest", pa.binary()))

#: A file of one whole bucket begins with the combined digest of its tasks, so that equal buckets are told unread.
_NAMED_BY_DIGEST = re.compile(r"(?:.*/)?([0-9a-f]{32})-[0-9a-f]{32}\.parquet")
#: Buckets are streamed together up to so many tasks and bytes of Arrow data.
_ROWS_TOGETHER, _BYTES_TOGETHER = 4096, 4 * 2**20


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
        project_type: what the API calls the kind of project; empty in versions from before this was recorded, all of
            which are of image projects.
        project_id, base_url, looked_at: which project it is, at which address of the API, and when the sync looked it
            up (UTC); empty and None in versions from before this was recorded.
        replaced_project_id: the project of the version before, where this one took its place under the same slug.
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
    project_type: str = ""
    project_id: str = ""
    base_url: str = ""
    looked_at: datetime | None = None
    replaced_project_id: str | None = None

    @classmethod
    def of(cls, commit: Commit) -> MirrorVersion:
        """What a commit recorded."""
        facts = commit.facts
        looked_at = facts.get("looked_at")
        return cls(
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
            project_type=facts.get("project_type", ""),
            project_id=facts.get("project_id", ""),
            base_url=facts.get("base_url", ""),
            looked_at=datetime.fromisoformat(looked_at) if looked_at else None,
            replaced_project_id=facts.get("replaced_project_id"),
        )


class Snapshot:
    """The ``tasks`` table at one version, as it was when it was opened: commits that follow do not show."""

    def __init__(self, tasks: VersionedTable, table: DeltaTable, version: MirrorVersion) -> None:
        self.table = table
        self.version = version
        self._tasks = tasks

    @cached_property
    def files(self) -> dict[int, list[DataFile]]:
        """The data files of each bucket that holds tasks, buckets in ascending order."""
        found: dict[int, list[DataFile]] = {}
        for file in self._tasks.files(self.table):
            found.setdefault(file.partition or 0, []).append(file)
        return found

    def bucket_digest(self, bucket: int) -> str | None:
        """The combined digest of one bucket's tasks, read off its file's name; None when it has to be worked out."""
        files = self.files.get(bucket, [])
        if not files:
            return combined_digest([])
        named = _NAMED_BY_DIGEST.fullmatch(files[0].path) if len(files) == 1 else None
        return None if named is None else named[1]

    def digests(self, bucket: int) -> dict[str, bytes]:
        """The digest of every task of one bucket, by id."""
        rows = self.bucket(bucket, ("task_id", "digest"))
        return dict(zip(rows["task_id"].to_pylist(), rows["digest"].to_pylist(), strict=True))

    def bucket(self, bucket: int, columns: Sequence[str]) -> pa.Table:
        """These columns of one bucket, in the order of the task ids.

        Raises:
            LookupError: a vacuum gave up the files of this version.
        """
        names = list(dict.fromkeys([*columns, "task_id"]))
        empty = pa.schema([STORED_TASKS.field(name) for name in names]).empty_table()
        try:
            found = [self._tasks.read(file, names) for file in self.files.get(bucket, [])]
        except FileNotFoundError as error:
            raise LookupError(f"the files of version {self.version.version} were given up by a vacuum") from error
        rows = pa.concat_tables([empty, *found]).combine_chunks()
        ids = rows["task_id"]
        if rows.num_rows > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
            rows = rows.take(pc.sort_indices(ids))
        return rows.select(list(columns))

    def stream(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of all buckets that hold tasks, one after the other, small ones together: what is done with a
        table costs something however small it is. On S3 a few are fetched ahead."""
        workers = 0 if self._tasks.store.is_local else 4
        held: list[pa.Table] = []
        rows = size = 0
        for table in ahead(lambda bucket: self.bucket(bucket, columns), self.files, workers=workers):
            if rows + table.num_rows > _ROWS_TOGETHER or size + table.nbytes > _BYTES_TOGETHER:
                yield from _together(held)
                held, rows, size = [], 0, 0
            held.append(table)
            rows, size = rows + table.num_rows, size + table.nbytes
        yield from _together(held)

    def rows(self, buckets: Sequence[int], columns: Sequence[str], *, only: pa.Array | None = None) -> pa.Table:
        """These columns of several buckets: of all tasks, or only of those with these ids."""
        tables = [pa.schema([STORED_TASKS.field(name) for name in columns]).empty_table()]
        for bucket in buckets if only is None or len(only) else []:
            found = self.bucket(bucket, columns)
            tables.append(found if only is None else found.filter(pc.is_in(found["task_id"], value_set=only)))
        return pa.concat_tables(tables)


def _together(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """The tables as one; nothing of none."""
    if len(tables) > 1:
        yield pa.concat_tables(tables).combine_chunks()
    else:
        yield from tables


def differing(
    old: Snapshot, new: Snapshot, old_buckets: Sequence[int], new_buckets: Sequence[int]
) -> tuple[pa.Table, pa.Table]:
    """The tasks of these buckets that differ between two versions, as they are in each."""
    keys = ("task_id", "digest")
    was, is_now = old.rows(old_buckets, keys), new.rows(new_buckets, keys)
    contents = _contents(was), _contents(is_now)
    before = was.filter(pc.invert(pc.is_in(contents[0], value_set=contents[1])))["task_id"].combine_chunks()
    after = is_now.filter(pc.invert(pc.is_in(contents[1], value_set=contents[0])))["task_id"].combine_chunks()
    return old.rows(old_buckets, TASKS.names, only=before), new.rows(new_buckets, TASKS.names, only=after)


def _contents(rows: pa.Table) -> pa.Array:
    """One value per task that is equal only for the same task with the same content."""
    ids = pc.cast(rows["task_id"], pa.binary())
    return pc.binary_join_element_wise(ids, rows["digest"], b"\x00").combine_chunks()
