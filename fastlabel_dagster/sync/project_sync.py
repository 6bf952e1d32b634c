"""``sync_project``: bring the mirror of a project up to date, writing only what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fastlabel_dagster.api import FastLabelError, Invalid, NotFound
from fastlabel_dagster.labels.digest import classes_digest, combined_digest
from fastlabel_dagster.labels.fastlabel import classes_from_fastlabel, tasks_table
from fastlabel_dagster.store import S3Options, Store, open_store
from fastlabel_dagster.sync.buckets import buckets_for, checked_buckets, outgrown
from fastlabel_dagster.sync.delta import ConcurrentSync, DataFile
from fastlabel_dagster.sync.inflight import in_flight
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.quarantine import Quarantined, write_quarantine
from fastlabel_dagster.sync.scan import Scan, scan_project
from fastlabel_dagster.sync.snapshot import Snapshot
from fastlabel_dagster.sync.spill import SpilledTask, TaskSpill

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_ATTEMPTS = 3
_UPLOADS_IN_FLIGHT = 4


@dataclass(frozen=True)
class SyncReport:
    """What a sync found and did.

    Attributes:
        project, project_id, project_type: the slug, and what the API says of it.
        version, previous_version: of the mirror now and before; the same when nothing changed, previous None at first.
        changed: whether a version was committed.
        digest: of all tasks and classes; the data version of the labels.
        tasks, annotations, classes: in the mirror now.
        added, updated, removed: tasks, against the version before.
        buckets, buckets_rewritten: of the mirror in all, and by this sync.
        passes, settled, looked_up: how the scan went; see :func:`~fastlabel_dagster.sync.scan.scan_project`.
        quarantined: what could not be read as a task; ``quarantine_file`` says where it is listed.
        seconds: in all. requests, retries, waited_seconds, bytes_received: what it cost at the API.
    """

    project: str
    project_id: str
    project_type: str
    version: int
    previous_version: int | None
    changed: bool
    digest: str
    tasks: int
    annotations: int
    classes: int
    added: int
    updated: int
    removed: int
    buckets: int
    buckets_rewritten: int
    passes: int
    settled: bool
    looked_up: int
    quarantined: list[Quarantined]
    quarantine_file: str | None
    seconds: float
    requests: int
    retries: int
    waited_seconds: float
    bytes_received: int

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"{self.tasks:,} tasks, {self.annotations:,} annotations in {self.seconds:.1f} s"]
        if self.changed:
            parts.append(f"version {self.version} (+{self.added:,} ~{self.updated:,} -{self.removed:,})")
            parts.append(f"{self.buckets_rewritten:,} of {self.buckets:,} buckets written")
        else:
            parts.append(f"nothing changed, still version {self.version}")
        if self.quarantined:
            parts.append(f"{len(self.quarantined):,} unreadable, see {self.quarantine_file}")
        if not self.settled:
            parts.append("the project was still changing; the next sync catches up")
        return " · ".join(parts)


def sync_project(
    client: FastLabelClient,
    project: str,
    store: str | Path | Store,
    *,
    buckets: int | None = None,
    confirm: bool = True,
    max_passes: int = 5,
    page_size: int = 1000,
    s3: S3Options | None = None,
    log: Callable[[str], object] | None = None,
    progress: bool = False,
) -> SyncReport:
    """Mirror the labels of an image project into ``<store>/labels``, incrementally.

    All pages are read (the API cannot say what changed), but only buckets whose content differs are written, in one
    atomic commit; when nothing differs, nothing is committed. A process killed at any instant leaves the last committed
    version readable, and the next sync arrives at the same digest as if nothing had happened. What it guarantees about
    a project that people are editing is said at :func:`~fastlabel_dagster.sync.scan.scan_project`.

    Answers that are no task are quarantined: listed in ``<store>/quarantine/<project>.jsonl`` and counted in the
    report, while everything else goes on. Two syncs of a project at once are safe: the second to commit reads again.

    Args:
        project: the slug.
        store: a folder, ``s3://bucket/prefix``, or an open store.
        buckets: of a new mirror, a power of two from 1 to 1,024; by default from the project's size, 500 to 1,000 tasks
            in each. An existing mirror keeps its own, until the project has outgrown them fourfold.
        confirm, max_passes, page_size: see ``scan_project``.
        log: called with a sentence now and then. progress: show a bar, when standard error is a terminal.

    Raises:
        NotFound: no project has this slug; the hint names similar ones.
        Invalid: not an image project.
        ValueError: the store mirrors another project; or ``buckets`` is not a power of two.
        ConcurrentSync: other syncs came in between again and again.
        FastLabelError: the API refused or cannot be reached; the mirror stays as it was.
    """
    started, used_before = time.monotonic(), client.statistics.snapshot()
    say = log or (lambda sentence: None)
    if buckets is not None:
        checked_buckets(buckets)
    root = open_store(store, s3)
    mirror = LabelMirror(root.at("labels"))
    found = _project(client, project)
    for attempt in range(1, _ATTEMPTS + 1):
        base = mirror.base()
        before = None if base is None else base.version
        if before is not None and before.project != project:
            raise ValueError(f"{root.uri} mirrors the project {before.project!r}; give {project!r} a store of its own")
        with TaskSpill() as spill:
            with progress_bar(progress, "tasks", unit="task") as advance:
                scan = scan_project(
                    client,
                    project,
                    spill,
                    confirm=confirm,
                    max_passes=max_passes,
                    page_size=page_size,
                    on_page=advance,
                    log=say,
                )
            classes = list(client.annotation_classes.iter(project))
            update = _Update(
                mirror=mirror,
                base=base,
                project=project,
                spill=spill,
                scan=scan,
                classes=classes,
                buckets=buckets,
            )
            try:
                update.commit()
            except ConcurrentSync:
                if attempt == _ATTEMPTS:
                    raise
                say(f"{project}: another sync committed meanwhile, reading again")
                continue
            quarantined = [
                *(Quarantined(bad.reason, bad.task_id, bad.name, bad.excerpt) for bad in scan.unreadable),
                *update.rejected,
            ]
            quarantine_file = write_quarantine(root, project, quarantined)
            used = client.statistics.snapshot() - used_before
            report = SyncReport(
                project=project,
                project_id=str(found.get("id", "")),
                project_type=str(found.get("type", "")),
                version=update.version,
                previous_version=None if before is None else before.version,
                changed=update.changed,
                digest=update.digest,
                tasks=spill.tasks,
                annotations=spill.annotations,
                classes=len(classes),
                added=update.added,
                updated=update.updated,
                removed=update.removed,
                buckets=update.buckets,
                buckets_rewritten=len(update.changed_buckets),
                passes=scan.passes,
                settled=scan.settled,
                looked_up=scan.looked_up,
                quarantined=quarantined,
                quarantine_file=quarantine_file,
                seconds=time.monotonic() - started,
                requests=used.requests,
                retries=used.retries,
                waited_seconds=used.waited_seconds,
                bytes_received=used.bytes_received,
            )
            say(str(report))
            return report
    raise AssertionError("unreachable: the last attempt returns or raises")


class _Update:
    """The difference between what a scan read and the newest version, and the commit that removes it."""

    def __init__(
        self,
        *,
        mirror: LabelMirror,
        base: Snapshot | None,
        project: str,
        spill: TaskSpill,
        scan: Scan,
        classes: Sequence[dict[str, Any]],
        buckets: int | None,
    ) -> None:
        self._mirror, self._base = mirror, base
        self._before = None if base is None else base.version
        self._project, self._spill, self._scan = project, spill, scan
        self._classes = list(classes)
        self._classes_digest = classes_digest(self._classes)
        self._wanted_buckets = buckets
        self.rejected: list[Quarantined] = []
        self.version = -1
        self.changed = False
        self._plan()

    def commit(self) -> None:
        """Commit the difference, if there is one; ``version`` and ``changed`` tell.

        A task that cannot be converted is rejected, and the rest planned and written anew.

        Raises:
            ConcurrentSync: another sync committed since the table was opened.
        """
        while self._before is None or self.digest != self._before.digest:
            try:
                self._write()
            except _Unconvertible as unconvertible:
                for entry in unconvertible.entries:
                    self._spill.drop(str(entry.task_id), seen=self._scan.passes)
                self.rejected += unconvertible.entries
                self._plan()
            else:
                return
        self.version = self._before.version

    def _plan(self) -> None:
        spill, before = self._spill, self._before
        tasks = spill.tasks
        laid_out = None if before is None else before.buckets
        self._again = laid_out is not None and outgrown(tasks, laid_out)
        self.buckets = self._wanted_buckets or buckets_for(tasks) if laid_out is None else laid_out
        self.digest = combined_digest(chain(spill.digests(), [self._classes_digest]))
        self.added = self.updated = self.removed = 0
        self.changed_buckets: set[int] = set()
        if before is not None and self.digest == before.digest:
            return
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
            "project": self._project,
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
        files: list[DataFile] = []
        tables = (
            (bucket, self._converted(tasks))
            for bucket, tasks in self._spill.by_bucket(self.buckets)
            if bucket in self.changed_buckets
        )
        workers = 1 if self._mirror.store.is_local else _UPLOADS_IN_FLIGHT
        try:
            for file in in_flight(lambda each: self._mirror.write_bucket(each[1], each[0]), tables, workers=workers):
                files.append(file)
        except _Unconvertible:
            self._mirror.discard(files)
            raise
        return files

    def _converted(self, tasks: Sequence[SpilledTask]) -> pa.Table:
        bodies = self._spill.bodies([task.task_id for task in tasks])
        try:
            rows = tasks_table(bodies)
        except _CONVERSION_ERRORS:
            entries = [entry for body in bodies if (entry := _conversion_problem(body)) is not None]
            if not entries:
                raise
            raise _Unconvertible(entries) from None
        rows = rows.set_column(rows.schema.get_field_index("url"), "url", pa.nulls(rows.num_rows, pa.string()))
        return rows.append_column("digest", pa.array([task.digest for task in tasks], pa.binary()))


class _Unconvertible(Exception):
    """Tasks that cannot be kept as rows."""

    def __init__(self, entries: list[Quarantined]) -> None:
        super().__init__(f"{len(entries)} tasks")
        self.entries = entries


#: What a value of a shape nobody foresaw makes a conversion raise.
_CONVERSION_ERRORS = (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def _conversion_problem(task: Mapping[str, Any]) -> Quarantined | None:
    try:
        tasks_table([dict(task)])
    except _CONVERSION_ERRORS as error:
        reason = f"cannot be kept as a row: {type(error).__name__}: {error}"[:500]
        return Quarantined(reason, str(task["id"]), str(task.get("name")))
    return None


def _project(client: FastLabelClient, slug: str) -> dict[str, Any]:
    try:
        found = client.projects.by_slug(slug)
    except NotFound as error:
        raise NotFound(
            f"there is no project {slug!r}",
            status=error.status,
            method=error.method,
            path=error.path,
            hint=_similar(client, slug),
        ) from error
    kind = found.get("type")
    # Classification projects have task lists of their own; asked for image tasks they answer with none at all.
    if isinstance(kind, str) and (not kind.startswith("image") or kind == "image_classification"):
        raise Invalid(
            f"project {slug!r} is of type {kind}",
            hint="image projects with annotations are mirrored; other types come later",
        )
    return found


def _similar(client: FastLabelClient, slug: str) -> str:
    try:
        slugs = [str(project.get("slug")) for project in islice(client.projects.iter(), 1000)]
    except FastLabelError:
        return "check the slug"  # the list is only a courtesy; the error it is for matters more
    near = get_close_matches(slug, slugs, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not slugs:
        return "this token sees no projects at all"
    return f"this token sees {len(slugs):,} projects, for example {', '.join(slugs[:3])}"
