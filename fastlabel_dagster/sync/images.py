"""``download_images``: what the tasks of a mirrored project are made of, beside its labels, each file fetched once and
checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api.file_rules import IMAGE, MULTI_IMAGE
from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder, S3Options, Store, open_store
from fastlabel_dagster.sync.fetching import Fetcher
from fastlabel_dagster.sync.folder_state import FolderState, refuse_foreign_images, remove_leftovers
from fastlabel_dagster.sync.identity import refuse_other_address
from fastlabel_dagster.sync.inflight import Outage, in_flight
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.project_kind import modality_of
from fastlabel_dagster.sync.quarantine import Quarantined, write_quarantine
from fastlabel_dagster.sync.wanted_files import wanted_files

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient


@dataclass(frozen=True)
class ImagesReport:
    """What a download found and did.

    Attributes:
        total: files that there should be: one for each task, or for each of the contents of tasks that have several.
        downloaded, adopted, kept: files fetched now; found complete from a run that was killed; there already.
        removed: files deleted because their task is gone or its file is called otherwise now.
        quarantined: files that cannot be had, each with the reason; ``quarantine_file`` says where they are listed.
        bytes: downloaded now. total_bytes: of all files in the folder.
        digest: of the image folder: which task has which content under which name.
        seconds: in all. requests, retries, waited_seconds: what it cost at the API.
        what: what a person would call the files: "images", or "files" in a project of anything else.
    """

    project: str
    total: int
    downloaded: int
    adopted: int
    kept: int
    removed: int
    quarantined: list[Quarantined]
    quarantine_file: str | None
    bytes: int
    total_bytes: int
    digest: str
    seconds: float
    requests: int
    retries: int
    waited_seconds: float
    what: str = "images"

    @property
    def changed(self) -> bool:
        """Whether the folder is not what it was."""
        return bool(self.downloaded or self.adopted or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [
            f"{self.kept + self.adopted + self.downloaded:,} of {self.total:,} {self.what} in {self.seconds:.1f} s"
        ]
        if self.changed:
            parts.append(f"{self.downloaded:,} downloaded ({self.bytes / 1e6:,.1f} MB)")
            parts += [f"{self.adopted:,} found from before"] if self.adopted else []
            parts += [f"{self.removed:,} removed"] if self.removed else []
        else:
            parts.append("nothing to download")
        if self.quarantined:
            parts.append(f"{len(self.quarantined):,} cannot be had, see {self.quarantine_file}")
        return " · ".join(parts)


def download_images(
    client: FastLabelClient,
    project: str,
    store: str | Path | Store,
    labels: Labels | None = None,
    *,
    workers: int = 8,
    page_size: int | None = None,
    s3: S3Options | None = None,
    log: Callable[[str], object] | None = None,
    progress: bool = False,
) -> ImagesReport:
    """Bring ``<store>/images`` up to date with a project's labels: fetch what is missing, delete what is gone.

    The files are what the tasks are made of, whichever kind the project is of: pictures, videos, texts, sound, point
    clouds, DICOM zips, and each of the ``contents`` of tasks that have several. In the index a task's own file stands
    under the task's id, a content under ``<task id>/<content>``, which is how the formats look for the pictures of
    single frames and contents. Sequences of point clouds have no files here: the API hands out no links to them.

    File names come from the task names in the order the tasks were created, made safe and unique by
    ``store.disk_names``: a name cannot leave the folder, two tasks never share a file, and a later task never renames
    an earlier one's file. The same labels give the same files, locally and on S3. However large the files, a download
    needs memory for a picture at most: what is larger passes through in pieces.

    Every file is complete: its length is compared. A picture is decoded, a video is opened and its first frame decoded,
    both have the size their task states; what is looked at in other files is said in
    :mod:`fastlabel_dagster.sync.file_checks`. A file that is not what it should be is quarantined: left out of the
    index, counted, and listed in ``<store>/quarantine/<project>-images.jsonl``; the others go on. A killed run loses
    nothing: files it completed are checked and adopted by the next.

    Args:
        labels: of the whole project (default: the newest version of the mirror); a file of no task in them goes.
        workers: downloads at a time.
        page_size: tasks a request, where links are listed (default: as many as the API allows); few links are asked for
            one by one instead.
        log: called with a sentence now and then. progress: show a bar, when standard error is a terminal.

    Raises:
        LookupError: no labels given, and nothing was synced here yet.
        ForeignMirror: the mirror is of a project at another address of the API.
        StoreError: ``images`` holds files that no download put there; see :func:`refuse_foreign_images`.
        FastLabelError: the API refused, or downloads fail one after the other; what is complete stays.
    """
    started, used_before = time.monotonic(), client.statistics.snapshot()
    root = open_store(store, s3)
    refuse_foreign_images(root)
    folder = ImageFolder(root.at("images"))
    remove_leftovers(folder.store)
    mirror = LabelMirror(root.at("labels"))
    labels = mirror.read() if labels is None else labels
    modality = _modality(client, project, mirror)
    wanted = wanted_files(labels, modality)
    state = FolderState(folder, wanted)
    removed = state.clear_away()
    missing = state.missing()
    what = "images" if modality.file in (IMAGE, MULTI_IMAGE) else "files"
    if missing and log is not None:
        log(f"{project}: {len(missing):,} of {len(wanted):,} {what} to fetch")
    state.begin(missing)

    downloaded = adopted = received = 0
    quarantined: list[Quarantined] = []
    outage = Outage()
    fetcher = Fetcher(client, project, modality, folder.store, state.adoptable)
    tasks = len({each.task_id for each in wanted.values()}) if missing else 0
    jobs = fetcher.jobs(missing, tasks=tasks, page_size=page_size)
    with progress_bar(progress, what, total=len(missing), unit=what[:-1]) as advance:
        for result in in_flight(fetcher.fetch, jobs, workers=workers):
            if advance is not None:
                advance(1)
            outage.note(result.error)
            if result.problem is not None:
                quarantined.append(result.problem)
            elif result.row is not None:
                state.add(result.row)
                adopted += result.adopted
                downloaded += not result.adopted
                received += 0 if result.adopted else result.row["bytes"]
    state.finish()
    quarantined.sort(key=lambda entry: (entry.name or "", entry.task_id or ""))
    used = client.statistics.snapshot() - used_before
    report = ImagesReport(
        project=project,
        total=len(wanted),
        downloaded=downloaded,
        adopted=adopted,
        kept=len(state.rows) - downloaded - adopted,
        removed=removed,
        quarantined=quarantined,
        quarantine_file=write_quarantine(root, project, quarantined, of="images"),
        bytes=received,
        total_bytes=sum(row["bytes"] for row in state.rows.values()),
        digest=folder.digest(),
        seconds=time.monotonic() - started,
        requests=used.requests,
        retries=used.retries,
        waited_seconds=used.waited_seconds,
        what=what,
    )
    if log is not None:
        log(f"{project}: {report}")
    return report


def _modality(client: FastLabelClient, project: str, mirror: LabelMirror) -> Modality:
    """Which kind of tasks the project has, as its mirror says; without a mirror, as the API says."""
    newest = mirror.newest()
    if newest is None or newest.project != project:
        return modality_of(client.projects.by_slug(project))
    refuse_other_address(newest, client.base_url, mirror.store.uri)
    return modality_of({"slug": project, "type": newest.project_type})
