"""Fetching the files of tasks: links by few requests, each file checked before it takes its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlabel_dagster.api import FastLabelError, NotFound, Unauthorized
from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.store import Store
from fastlabel_dagster.store.errors import said_plainly
from fastlabel_dagster.store.on_disk import on_disk
from fastlabel_dagster.store.staging import Staged
from fastlabel_dagster.sync.file_checks import check_for
from fastlabel_dagster.sync.pictures import check_size
from fastlabel_dagster.sync.project_kind import tasks_of
from fastlabel_dagster.sync.quarantine import Quarantined
from fastlabel_dagster.sync.wanted_files import WantedFile, links_of

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks

_PIECE_BYTES = 1 << 20


class Fetched(NamedTuple):
    """One file after all was tried: its index row, or why there is none (and the error behind that, if one)."""

    row: dict[str, Any] | None
    problem: Quarantined | None = None
    error: FastLabelError | None = None
    adopted: bool = False


class _Sum:
    """The checksum and the length of what has come so far, so that a file is not read once more to have them."""

    def __init__(self) -> None:
        self.sha256 = sha256()
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.sha256.update(piece)
        self.size += len(piece)


class TaskLinks:
    """The links to the files of one task: asked for when one is needed, and again when one has expired. For threads.

    Many files share one task, so an answer serves all who ask for newer links at the same time.
    """

    def __init__(self, tasks: ModalityTasks, task_id: str, task: dict[str, Any] | None = None) -> None:
        self._tasks = tasks
        self._task_id = task_id
        self._links = None if task is None else links_of(task)
        self._age = 0
        self._lock = Lock()

    def newer_than(self, age: int) -> tuple[dict[str | None, str], int, bool]:
        """Links (see `links_of`) newer than those of this age (-1: any), their own age, and whether they were asked for
        just now.

        Raises:
            ValueError: the task is gone.
        """
        with self._lock:
            if self._links is not None and self._age > age:
                return self._links, self._age, False
            try:
                self._links = links_of(self._tasks.find(self._task_id))
            except NotFound as error:
                raise ValueError("its task is gone") from error
            self._age = max(self._age, age) + 1
            return self._links, self._age, True


class Job(NamedTuple):
    """A file to be had, and the links of its task."""

    wanted: WantedFile
    links: TaskLinks


@dataclass(frozen=True)
class Fetcher:
    """Fetches the files of one project into the folder that is ``store``; for threads.

    Attributes:
        adoptable: files that a run that was killed may have completed.
    """

    client: FastLabelClient
    project: str
    modality: Modality
    store: Store
    adoptable: frozenset[str]

    def jobs(self, missing: Iterable[WantedFile], *, tasks: int, page_size: int | None) -> Iterator[Job]:
        """Each missing file, its task's links fresh, by as few requests as that takes.

        Links are listed page by page, or asked for task by task where that is cheaper, where the pages skipped a task,
        and where no link may be needed. ``tasks``: how many the project has.
        """
        group = tasks_of(self.client, self.modality)
        page_size = page_size or self.modality.page_maximum
        waiting: dict[str, list[WantedFile]] = {}
        for task_id, files in groupby(missing, key=lambda each: each.task_id):
            links = TaskLinks(group, task_id)
            for each in files:
                if each.file in self.adoptable:
                    yield Job(each, links)
                else:
                    waiting.setdefault(task_id, []).append(each)
        if len(waiting) > -(-tasks // page_size):
            for page in group.pages(self.project, page_size=page_size):
                for task in page:
                    found = waiting.pop(task["id"], None) if isinstance(task, dict) and "id" in task else None
                    if found is not None:
                        links = TaskLinks(group, task["id"], task)
                        yield from (Job(each, links) for each in found)
                if not waiting:
                    return
        for task_id, of_task in waiting.items():
            links = TaskLinks(group, task_id)
            yield from (Job(each, links) for each in of_task)

    def fetch(self, job: Job) -> Fetched:
        """Adopt or download one file; whatever is wrong with this one file becomes a quarantine entry.

        Raises:
            Unauthorized: the API refuses the token.
            StoreError: the file cannot be written.
        """
        wanted, links = job
        if wanted.file in self.adoptable:
            try:
                return Fetched(self._adopted(wanted), adopted=True)
            except (ValueError, FileNotFoundError):
                pass  # not complete after all: fetched like any other
        error: FastLabelError | None = None
        try:
            return Fetched(self._downloaded(wanted, links))
        except Unauthorized:
            raise  # of the API itself: the token is refused, and will be for every other file too
        except (FastLabelError, ValueError) as problem:
            error = problem if isinstance(problem, FastLabelError) else None
            return Fetched(None, Quarantined(str(problem), wanted.task_id, wanted.name), error)

    def _downloaded(self, wanted: WantedFile, links: TaskLinks) -> dict[str, Any]:
        """The row of a file now in its place; a link that has expired is replaced by a fresh one, once."""
        age, fresh = -1, False
        while True:
            known, age, asked_now = links.newer_than(age)
            fresh = fresh or asked_now
            url = known.get(wanted.content)
            if url is None:
                raise ValueError("its task has no link to a file")
            try:
                with self.store.staged(wanted.file) as staged:
                    sum_of = _Sum()

                    def take(piece: bytes, staged: Staged = staged, sum_of: _Sum = sum_of) -> None:
                        staged.write(piece)
                        sum_of.add(piece)

                    self.client.download(url, take)
                    return self._row(wanted, staged.flush(), sum_of)
            except (Unauthorized, NotFound) as refused:
                if fresh:
                    raise ValueError(f"its link does not work: {refused.status} {refused.message}") from refused
                fresh = True

    def _adopted(self, wanted: WantedFile) -> dict[str, Any]:
        """The row of a file that is in its place already, when it is whole.

        Raises:
            ValueError: it is not. FileNotFoundError: there is none.
        """
        with on_disk(self.store, wanted.file) as path, said_plainly(self.store.uri_of(wanted.file)):
            sum_of = _Sum()
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    sum_of.add(piece)
            return self._row(wanted, path, sum_of)

    def _row(self, wanted: WantedFile, path: Path, sum_of: _Sum) -> dict[str, Any]:
        """The index row of a file. Raises ValueError when it is no whole file of its kind, or of another size than its
        task states."""
        width, height = check_for(self.modality, wanted.name)(path)
        check_size((width, height), wanted.width, wanted.height)
        return {
            "task_id": wanted.key,
            "name": wanted.name,
            "file": wanted.file,
            "bytes": sum_of.size,
            "sha256": sum_of.sha256.hexdigest(),
            "width": width,
            "height": height,
        }
