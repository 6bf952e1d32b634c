"""``Update``: the difference between what a scan read and the newest version of a mirror, and its commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any

import pyarrow as pa

from fastlabel_dagster.labels.digest import classes_digest, combined_digest
from fastlabel_dagster.labels.fastlabel import classes_from_fastlabel, tasks_table
from fastlabel_dagster.sync.buckets import buckets_for, outgrown
from fastlabel_dagster.sync.delta import DataFile
from fastlabel_dagster.sync.identity import Identity
from fastlabel_dagster.sync.inflight import in_flight
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.scan import Scan
from fastlabel_dagster.sync.snapshot import Snapshot
from fastlabel_dagster.sync.spill import SpilledTask, TaskSpill

_UPLOADS_IN_FLIGHT = 4


class Update:
    """What a commit to the mirror is to change, worked out when this is made, and the commit itself.

    Attributes:
        digest: of all tasks and classes as they will be.
        added, updated, removed: tasks, against the newest version.
        buckets: how many the mirror will have; ``changed_buckets``: those to be rewritten.
        version, changed: after :meth:`commit`, the newest version, and whether it was made now.
    """

    def __init__(
        self,
        *,
        mirror: LabelMirror,
        base: Snapshot | None,
        identity: Identity,
        project_type: str,
        replaces: str | None,
        spill: TaskSpill,
        scan: Scan,
        classes: Sequence[dict[str, Any]],
        buckets: int | None,
    ) -> None:
        self._mirror, self._base = mirror, base
        self._before = None if base is None else base.version
        self._identity, self._project_type, self._replaces = identity, project_type, replaces
        self._spill, self._scan = spill, scan
        self._classes = list(classes)
        self._classes_digest = classes_digest(self._classes)
        self._wanted_buckets = buckets
        self.version = -1
        self.changed = False
        self._plan()

    def commit(self) -> None:
        """Commit the difference, if there is one; ``version`` and ``changed`` tell.

        That it is another project, or that nothing was noted of which it is, is a difference too: a commit without
        files notes it where the labels are equal.

        Raises:
            ConcurrentSync: another sync committed since the base was opened.
        """
        before = self._before
        if before is not None and self.digest == before.digest and self._identity.is_noted_in(before):
            self.version = before.version
        else:
            self._write()

    def _plan(self) -> None:
        spill, before = self._spill, self._before
        tasks = spill.tasks
        laid_out = None if before is None else before.buckets
        self._again = False  # laid out anew: never for equal labels, of which no file is written
        self.buckets = self._wanted_buckets or buckets_for(tasks) if laid_out is None else laid_out
        self.digest = combined_digest(chain(spill.digests(), [self._classes_digest]))
        self.added = self.updated = self.removed = 0
        self.changed_buckets: set[int] = set()
        if before is not None and self.digest == before.digest:
            return
        self._again = laid_out is not None and outgrown(tasks, laid_out)
        wanted = spill.by_bucket(self.buckets)
        upcoming = next(wanted, None)
        for bucket in range(self.buckets):
            now: list[SpilledTask] = []
            if upcoming is not None and upcoming[0] == bucket:
                now = upcoming[1]
                upcoming = next(wanted, None)
            if self._base is None:
                was = {}
            elif self._base.bucket_digest(bucket) == combined_digest(digest for _, digest in now):
                continue
            else:
                was = self._base.digests(bucket)
            kept = sum(task_id in was for task_id, _ in now)
            updated = sum(was.get(task_id, digest) != digest for task_id, digest in now)
            added, removed = len(now) - kept, len(was) - kept
            self.added, self.updated, self.removed = self.added + added, self.updated + updated, self.removed + removed
            if added or updated or removed:
                self.changed_buckets.add(bucket)
        if self._again:
            self.buckets = buckets_for(tasks)
            self.changed_buckets = set(range(self.buckets))

    def _write(self) -> None:
        files = self._write_files()
        classes_version = self._mirror.commit_classes(classes_from_fastlabel(self._classes), self._classes_digest.hex())
        facts: dict[str, str | int | bool] = {
            "project": self._identity.project,
            "project_type": self._project_type,
            **self._identity.facts,
            **({"replaced_project_id": self._replaces} if self._replaces else {}),
            "labels_digest": self.digest,
            "tasks": self._spill.tasks,
            "annotations": self._spill.annotations,
            "classes": len(self._classes),
            "classes_version": classes_version,
            "classes_digest": self._classes_digest.hex(),
            "buckets": self.buckets,
            "buckets_rewritten": len(self.changed_buckets),
            "added": self.added,
            "updated": self.updated,
            "removed": self.removed,
            "settled": self._scan.settled,
            "synced_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        rewritten = None if self._again or self._before is None else sorted(self.changed_buckets)
        self.version = self._mirror.commit_tasks(self._base, files, facts, buckets=rewritten)
        self.changed = True

    def _write_files(self) -> list[DataFile]:
        """Put the files of all changed buckets in place; several uploads at a time where that is not the local disk."""
        tables = (
            (bucket, self._converted(tasks))
            for bucket, tasks in self._spill.by_bucket(self.buckets)
            if bucket in self.changed_buckets
        )
        workers = 1 if self._mirror.store.is_local else _UPLOADS_IN_FLIGHT
        return list(in_flight(lambda each: self._mirror.write_bucket(each[1], each[0]), tables, workers=workers))

    def _converted(self, tasks: Sequence[SpilledTask]) -> pa.Table:
        rows = tasks_table(self._spill.bodies([task.task_id for task in tasks]))
        return rows.append_column("digest", pa.array([task.digest for task in tasks], pa.binary()))
