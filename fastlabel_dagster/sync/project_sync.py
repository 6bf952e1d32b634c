"""``sync_project``: bring the mirror of a project up to date, writing only what changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import FastLabelError, NotFound
from fastlabel_dagster.store import S3Options, Store, open_store
from fastlabel_dagster.sync.buckets import checked_buckets
from fastlabel_dagster.sync.delta import ConcurrentSync
from fastlabel_dagster.sync.identity import Identity
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.project_kind import modality_of, tasks_of
from fastlabel_dagster.sync.quarantine import Quarantined, write_quarantine
from fastlabel_dagster.sync.scan import scan_project
from fastlabel_dagster.sync.spill import TaskSpill
from fastlabel_dagster.sync.update import Update

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_ATTEMPTS = 3


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
        passes, looked_up: how the scan went; see :func:`~fastlabel_dagster.sync.scan.scan_project`.
        settled: True when these labels are what the project was at one instant. False when people kept editing through
            all passes, or the API counted another number of tasks every time: a change made meanwhile may be missing
            until the next sync.
        replaced_project_id: None, or the id of the project whose place this one took: it was deleted and made anew, or
            the mirror was taken over. Its tasks are the ``removed`` ones, and stand in the versions before.
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
    replaced_project_id: str | None = None

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
        if self.replaced_project_id:
            parts.append(f"another project of this slug, {self.project_id} in place of {self.replaced_project_id}")
        if self.quarantined:
            parts.append(f"{len(self.quarantined):,} unreadable, see {self.quarantine_file}")
        if not self.settled:
            parts.append(f"not settled after {_times(self.passes)}: the project was changing; the next sync catches up")
        return " · ".join(parts)


def sync_project(
    client: FastLabelClient,
    project: str,
    store: str | Path | Store,
    *,
    buckets: int | None = None,
    take_over: bool = False,
    confirm: bool = True,
    max_passes: int = 5,
    page_size: int | None = None,
    s3: S3Options | None = None,
    log: Callable[[str], object] | None = None,
    progress: bool = False,
) -> SyncReport:
    """Mirror the labels of a project, whichever kind of tasks it has, into ``<store>/labels``, incrementally.

    All pages are read (the API cannot say what changed), but only buckets whose content differs are written, in one
    atomic commit; when nothing differs, nothing is committed. A process killed at any instant leaves the last committed
    version readable, and the next sync arrives at the same digest as if nothing had happened. What it guarantees about
    a project that people are editing is said at :func:`~fastlabel_dagster.sync.scan.scan_project`.

    Answers that are no task are quarantined: listed in ``<store>/quarantine/<project>.jsonl`` and counted in the
    report, while everything else goes on. Two syncs of a project at once are safe: the second to commit reads again.

    Which project the mirror is of is noted in it. One that was deleted and made anew under its slug takes the place of
    the former: a version in which all the former tasks are removed. A project of another account or at another address
    is refused, unless it is to ``take_over``. A mirror from before this was noted takes the note with its next sync.

    Args:
        project: the slug.
        store: a folder, ``s3://bucket/prefix``, or an open store.
        buckets: of a new mirror, a power of two from 1 to 1,024; by default from the project's size, 500 to 1,000 tasks
            in each. An existing mirror keeps its own, until the project has outgrown them fourfold.
        take_over: let this project take the place of the one of the same slug that the store mirrors, be it of another
            account or at another address. Needed once; the versions before stay readable.
        confirm, max_passes, page_size: see ``scan_project``.
        log: called with a sentence now and then. progress: show a bar, when standard error is a terminal.

    Raises:
        NotFound: no project has this slug; the hint names similar ones.
        Invalid: no list of tasks is known for its type, or its tasks are of another kind than its type says.
        ForeignMirror: the store mirrors another project; the error says how that can be taken over where it can. It is
            an ``Invalid``, and a ``ValueError``.
        ValueError: ``buckets`` is not a power of two.
        ConcurrentSync: other syncs came in between again and again.
        FastLabelError: the API refused or cannot be reached; the mirror stays as it was.
    """
    started, used_before = time.monotonic(), client.statistics.snapshot()
    say = log or (lambda sentence: None)
    if buckets is not None:
        checked_buckets(buckets)
    root = open_store(store, s3)
    mirror = LabelMirror(root.at("labels"))
    for attempt in range(1, _ATTEMPTS + 1):
        base = mirror.base()
        before = None if base is None else base.version
        # Looked up anew in each attempt: whoever came in between may have found another project under the slug.
        looked_at = datetime.now(timezone.utc)
        found = find_project(client, project)
        identity = Identity.of(found, project, client.base_url, looked_at)
        identity = identity if before is None else identity.remembered(before)
        replaces = None if before is None else identity.replaces(before, root.uri, take_over=take_over)
        tasks = tasks_of(client, modality_of(found))
        with TaskSpill() as spill:
            with progress_bar(progress, "tasks", unit="task") as advance:
                scan = scan_project(
                    client,
                    project,
                    spill,
                    tasks=tasks,
                    confirm=confirm,
                    max_passes=max_passes,
                    page_size=page_size,
                    on_page=advance,
                    log=say,
                )
            classes = list(client.annotation_classes.iter(project))
            update = Update(
                mirror=mirror,
                base=base,
                identity=identity,
                project_type=str(found.get("type") or ""),
                replaces=replaces,
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
            quarantined = [Quarantined(bad.reason, bad.task_id, bad.name, bad.excerpt) for bad in scan.unreadable]
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
                replaced_project_id=replaces,
            )
            say(str(report))
            return report
    raise AssertionError("unreachable: the last attempt returns or raises")


def _times(passes: int) -> str:
    return f"{passes} pass" if passes == 1 else f"{passes} passes"


def find_project(client: FastLabelClient, slug: str) -> dict[str, Any]:
    """What the API says of the project of this slug. Raises NotFound, whose hint names similar slugs."""
    try:
        found = client.projects.by_slug(slug)
    except NotFound as error:
        if error.status is not None:
            raise  # the server has no list of projects at that address: the slug is not to blame
        raise NotFound(
            f"there is no project {slug!r}",
            status=error.status,
            method=error.method,
            path=error.path,
            hint=_similar(client, slug),
        ) from error
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
    if len(slugs) == 1:
        return f"this token sees one project, {slugs[0]}"
    return f"this token sees {len(slugs):,} projects, for example {', '.join(slugs[:3])}"
