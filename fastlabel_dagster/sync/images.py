"""``download_images``: the pictures of a mirrored project, beside its labels, each fetched once and checked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.api import FastLabelError, NotFound, Unauthorized
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import ImageFolder, S3Options, Store, StoreError, disk_names, open_store
from fastlabel_dagster.store.images import INDEX, images_schema
from fastlabel_dagster.store.local import remove_abandoned_files
from fastlabel_dagster.sync.inflight import Outage, in_flight
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.pictures import check_size, picture_size
from fastlabel_dagster.sync.progress import progress_bar
from fastlabel_dagster.sync.quarantine import Quarantined, write_quarantine

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: Which file was being fetched for which task, while a download runs; hidden, so no image's name can be the same.
_JOURNAL = ".pending.json"
_SAVE_EVERY = 1000
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class ImagesReport:
    """What a download found and did.

    Attributes:
        total: tasks that should have an image.
        downloaded, adopted, kept: images fetched now; found complete from a run that was killed; there already.
        removed: files deleted because their task is gone or its file is called otherwise now.
        quarantined: images that cannot be had, each with the reason; ``quarantine_file`` says where they are listed.
        bytes: downloaded now. total_bytes: of all images in the folder.
        digest: of the image folder: which task has which content under which name.
        seconds: in all. requests, retries, waited_seconds: what it cost at the API.
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

    @property
    def changed(self) -> bool:
        """Whether the folder is not what it was."""
        return bool(self.downloaded or self.adopted or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"{self.kept + self.adopted + self.downloaded:,} of {self.total:,} images in {self.seconds:.1f} s"]
        if self.changed:
            parts.append(f"{self.downloaded:,} downloaded ({self.bytes / 1e6:,.1f} MB)")
            parts += [f"{self.adopted:,} found from before"] if self.adopted else []
            parts += [f"{self.removed:,} removed"] if self.removed else []
        else:
            parts.append("nothing to download")
        if self.quarantined:
            parts.append(f"{len(self.quarantined):,} cannot be had, see {self.quarantine_file}")
        return " · ".join(parts)


class _Wanted(NamedTuple):
    """The image a task should have: its file below the image folder, and the size the task states."""

    task_id: str
    name: str
    file: str
    width: int | None
    height: int | None


class _Fetched(NamedTuple):
    """One image after all was tried: its index row, or why there is none (and the error behind that, if one)."""

    row: dict[str, Any] | None
    problem: Quarantined | None = None
    error: FastLabelError | None = None
    adopted: bool = False


def download_images(
    client: FastLabelClient,
    project: str,
    store: str | Path | Store,
    labels: Labels | None = None,
    *,
    workers: int = 8,
    page_size: int = 1000,
    s3: S3Options | None = None,
    log: Callable[[str], object] | None = None,
    progress: bool = False,
) -> ImagesReport:
    """Bring ``<store>/images`` up to date with a project's labels: fetch what is missing, delete what is gone.

    File names come from the task names in the order the tasks were created, made safe and unique by
    ``store.disk_names``: a name cannot leave the folder, two tasks never share a file, and a later task never renames
    an earlier one's file. The same labels give the same files, locally and on S3.

    Every image is complete (its length is compared), decodes, and has the size its task states. One that is not is
    quarantined: left out of the index, counted, and listed in ``<store>/quarantine/<project>-images.jsonl``; the others
    go on. A killed run loses nothing: files it completed are checked and adopted by the next.

    Args:
        labels: of the whole project (default: the newest version of the mirror); an image of no task in them goes.
        workers: downloads at a time.
        page_size: tasks a request, where links are listed; few links are asked for one by one instead.
        log: called with a sentence now and then. progress: show a bar, when standard error is a terminal.

    Raises:
        LookupError: no labels given, and nothing was synced here yet.
        StoreError: ``images`` holds files that no download put there; see :func:`refuse_foreign_images`.
        FastLabelError: the API refused, or downloads fail one after the other; what is complete stays.
    """
    started, used_before = time.monotonic(), client.statistics.snapshot()
    root = open_store(store, s3)
    refuse_foreign_images(root)
    folder = ImageFolder(root.at("images"))
    _remove_leftovers(folder.store)
    wanted = _wanted(LabelMirror(root.at("labels")).read() if labels is None else labels)
    state = _FolderState(folder, wanted)
    removed = state.clear_away()
    missing = state.missing()
    if missing and log is not None:
        log(f"{project}: {len(missing):,} of {len(wanted):,} images to fetch")
    state.begin(missing)

    downloaded = adopted = received = 0
    quarantined: list[Quarantined] = []
    outage = Outage()

    def fetch(job: tuple[_Wanted, dict[str, Any] | None]) -> _Fetched:
        return _fetch(client, folder.store, *job, adoptable=job[0].file in state.adoptable)

    jobs = _jobs(client, project, missing, state.adoptable, total=len(wanted), page_size=page_size)
    with progress_bar(progress, "images", total=len(missing), unit="image") as advance:
        for result in in_flight(fetch, jobs, workers=workers):
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
        quarantine_file=write_quarantine(root, f"{project}-images", quarantined),
        bytes=received,
        total_bytes=sum(row["bytes"] for row in state.rows.values()),
        digest=folder.digest(),
        seconds=time.monotonic() - started,
        requests=used.requests,
        retries=used.retries,
        waited_seconds=used.waited_seconds,
    )
    if log is not None:
        log(f"{project}: {report}")
    return report


def refuse_foreign_images(store: str | Path | Store, *, s3: S3Options | None = None) -> None:
    """Make sure that a download may write to ``<store>/images``: it is empty, or a download made it.

    A download gives files the names of the tasks and deletes files whose task is gone, so in a folder of somebody's own
    pictures it would replace them. Its own folder it knows by the index, or by the journal of a run that was killed.
    Hidden files do not count: no picture is ever called so. Costs one request or two; nothing is written.

    Raises:
        StoreError: the folder holds files, and neither the index nor the journal.
    """
    folder = open_store(store, s3).at("images")
    if _is_ours(folder):
        return
    visible = (each.path for each in folder.list() if not any(part.startswith(".") for part in each.path.split("/")))
    found = next(visible, None)
    # Asked once more, because another process may have begun its download meanwhile, and that is its picture.
    if found is not None and not _is_ours(folder):
        raise StoreError(
            f"{folder.uri} holds files that no sync put there, such as {found!r}: no pictures are downloaded into it, "
            "as that could replace them; name another store, or move the folder away",
            folder.uri,
        )


def _is_ours(folder: Store) -> bool:
    # In this order: a download saves the index before it puts the journal away.
    return folder.exists(_JOURNAL) or folder.exists(INDEX)


def _remove_leftovers(store: Store) -> None:
    """Remove the unfinished files of killed runs; elsewhere than on a local disk there are none."""
    if store.is_local:
        for folder, _, _ in os.walk(store.local_path):
            with suppress(OSError):  # tidying up is a courtesy; what is wrong with the folder comes out when it is used
                remove_abandoned_files(Path(folder))


def _wanted(labels: Labels) -> dict[str, _Wanted]:
    """The image every task should have, by task id, in the order the tasks were created."""
    columns = ["task_id", "name", "width", "height", "created_at"]
    batches = list(labels.batches(columns))
    if not batches:
        return {}
    table = pa.concat_tables(batches)
    table = table.take(pc.sort_indices(table, [("created_at", "ascending"), ("task_id", "ascending")]))
    ids = table["task_id"].to_pylist()
    names = [name or task_id for name, task_id in zip(table["name"].to_pylist(), ids, strict=True)]
    files = disk_names(list(map(_with_stem, names, ids)), ids)
    rows = zip(ids, names, files, table["width"].to_pylist(), table["height"].to_pylist(), strict=True)
    return {row[0]: _Wanted(*row) for row in rows}


def _with_stem(name: str, task_id: str) -> str:
    """The name, but for one that is a suffix and nothing else: ``.png`` made safe would be ``_png``, no picture to
    anybody; with the task's id before it, it stays one."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{task_id}{last}" if last.lower() in _SUFFIXES else name


class _FolderState:
    """What the image folder holds against what it should hold, kept so that a kill at any moment can be told later.

    A file counts as a task's only when the index says so, or when the journal, written before the first download, says
    that it was being fetched for that very task. Anything else in the place of a wanted file is cleared away before the
    journal is written: it may be the picture of a task that had the name before. That this is a download's own folder
    and nobody else's, :func:`refuse_foreign_images` has made sure of.
    """

    def __init__(self, folder: ImageFolder, wanted: Mapping[str, _Wanted]) -> None:
        self._folder = folder
        self._wanted = wanted
        self._files = {found.path: found.size for found in folder.store.list()}
        self._journal = _read_journal(folder.store) if _JOURNAL in self._files else {}
        try:
            self._before: dict[str, dict[str, Any]] = {row["task_id"]: row for row in folder.table.to_pylist()}
        except pa.ArrowInvalid:
            self._before = {}  # somebody damaged the index; without it every image is fetched again
        self.rows = {task_id: row for task_id, row in self._before.items() if self._is_kept(row)}
        self.adoptable = {
            each.file
            for each in wanted.values()
            if each.task_id not in self.rows
            and each.file in self._files
            and self._journal.get(each.file) == each.task_id
        }
        self._saved: dict[str, dict[str, Any]] | None = self._before if INDEX in self._files else None
        self._unsaved = 0
        self._journal_written = False

    def _is_kept(self, row: Mapping[str, Any]) -> bool:
        wanted = self._wanted.get(row["task_id"])
        if wanted is None or wanted.file != row["file"] or self._files.get(row["file"], -1) != row["bytes"]:
            return False
        try:
            check_size((row["width"], row["height"]), wanted.width, wanted.height)
        except ValueError:
            return False
        return True

    def clear_away(self) -> int:
        """Delete the files that are nobody's any more, and return how many."""
        mine = {row["file"] for row in self.rows.values()} | self.adoptable
        known = {row["file"] for row in self._before.values()} | set(self._journal)
        known.update(each.file for each in self._wanted.values())
        gone = sorted(path for path in known if path in self._files and path not in mine)
        if gone:
            # Index first, so that it never names a file that is not there; the journal remembers what to delete.
            self._write_journal({**self._journal, **dict.fromkeys(gone)})
            self._save()
            self._folder.store.delete(gone)
        return len(gone)

    def missing(self) -> list[_Wanted]:
        """The images to be had."""
        return [each for task_id, each in self._wanted.items() if task_id not in self.rows]

    def begin(self, missing: Iterable[_Wanted]) -> None:
        """Note what is about to be fetched."""
        planned: dict[str, str | None] = {each.file: each.task_id for each in missing}
        if planned:
            self._write_journal(planned)

    def add(self, row: dict[str, Any]) -> None:
        """Keep an image that is in place; the index is saved now and then."""
        self.rows[row["task_id"]] = row
        self._unsaved += 1
        if self._unsaved >= max(_SAVE_EVERY, len(self.rows) // 10):
            self._save()

    def finish(self) -> None:
        """Save the index, when it says something new, and put the journal away."""
        if self.rows != self._saved:
            self._save()
        if self._journal_written or _JOURNAL in self._files:
            self._folder.store.delete([_JOURNAL])

    def _save(self) -> None:
        self._folder.save(pa.Table.from_pylist(list(self.rows.values()), schema=images_schema()))
        self._saved, self._unsaved = dict(self.rows), 0

    def _write_journal(self, entries: Mapping[str, str | None]) -> None:
        self._journal_written = True
        self._folder.store.write_bytes(_JOURNAL, json.dumps(entries, sort_keys=True).encode())


def _read_journal(store: Store) -> dict[str, str | None]:
    try:
        entries = json.loads(store.read_bytes(_JOURNAL))
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _jobs(
    client: FastLabelClient,
    project: str,
    missing: Iterable[_Wanted],
    adoptable: set[str],
    *,
    total: int,
    page_size: int,
) -> Iterator[tuple[_Wanted, dict[str, Any] | None]]:
    """Each missing image with its task as the API has it now, links fresh, by as few requests as that takes.

    Without a task where one request for it alone is cheaper, where the pages skipped it, or where no link is needed.
    """
    waiting: dict[str, _Wanted] = {}
    for each in missing:
        if each.file in adoptable:
            yield each, None
        else:
            waiting[each.task_id] = each
    if len(waiting) > -(-total // page_size):
        for page in client.image_tasks.pages(project, page_size=page_size):
            for task in page:
                found = waiting.pop(task["id"], None) if isinstance(task, dict) and "id" in task else None
                if found is not None:
                    yield found, task
            if not waiting:
                return
    for each in waiting.values():
        yield each, None


def _fetch(
    client: FastLabelClient, store: Store, wanted: _Wanted, task: dict[str, Any] | None, *, adoptable: bool
) -> _Fetched:
    """Adopt or download one image; whatever is wrong with this one image becomes a quarantine entry."""
    if adoptable:
        try:
            return _Fetched(_row(wanted, store.read_bytes(wanted.file)), adopted=True)
        except (ValueError, FileNotFoundError):
            pass  # not complete after all: fetched like any other
    error: FastLabelError | None = None
    try:
        data = _downloaded(client, wanted.task_id, task)
        row = _row(wanted, data)
    except Unauthorized:
        raise  # of the API itself: the token is refused, and will be for every other image too
    except (FastLabelError, ValueError) as problem:
        error = problem if isinstance(problem, FastLabelError) else None
        return _Fetched(None, Quarantined(str(problem), wanted.task_id, wanted.name), error)
    store.write_bytes(wanted.file, data)
    return _Fetched(row)


def _downloaded(client: FastLabelClient, task_id: str, task: dict[str, Any] | None) -> bytes:
    """The bytes behind a task's link; a link that has expired is replaced by a fresh one, once."""
    fresh = task is None
    if task is None:
        task = _task(client, task_id)
    while True:
        url = task.get("url")
        if not isinstance(url, str) or not url:
            raise ValueError("its task has no link to a picture")
        received = bytearray()
        try:
            client.download(url, received.extend)
        except (Unauthorized, NotFound) as refused:
            if fresh:
                raise ValueError(f"its link does not work: {refused.status} {refused.message}") from refused
            task, fresh = _task(client, task_id), True
        else:
            return bytes(received)


def _task(client: FastLabelClient, task_id: str) -> dict[str, Any]:
    try:
        return client.image_tasks.find(task_id)
    except NotFound as error:
        raise ValueError("its task is gone") from error


def _row(wanted: _Wanted, data: bytes) -> dict[str, Any]:
    """The index row of an image. Raises ValueError when it is no whole picture of the size its task states."""
    width, height = picture_size(data)
    check_size((width, height), wanted.width, wanted.height)
    return {
        "task_id": wanted.task_id,
        "name": wanted.name,
        "file": wanted.file,
        "bytes": len(data),
        "sha256": sha256(data).hexdigest(),
        "width": width,
        "height": height,
    }
