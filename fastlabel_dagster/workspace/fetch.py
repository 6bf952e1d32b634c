"""``fetch_workspace``: a look at a workspace in a bounded number of requests; what is broken stays one record's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from fastlabel_dagster.api import FastLabelError
from fastlabel_dagster.api.task_statuses import TASK_STATUSES
from fastlabel_dagster.workspace.former import with_former
from fastlabel_dagster.workspace.records import (
    AnnotationClass,
    AutoAnnotationJob,
    Dataset,
    EvaluationJob,
    ImportHistory,
    Project,
    TrainingJob,
)
from fastlabel_dagster.workspace.selector import ProjectSelector, like_a_token
from fastlabel_dagster.workspace.snapshot import FastLabelWorkspace

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: What may be asked for. Of each project: ``classes``, ``tasks`` (their number), ``statuses`` (their number in each
#: status: eight requests), ``imports``, ``auto_annotations``. Of the workspace: ``datasets``, ``objects`` (the number
#: of objects of each dataset), ``trainings`` (and with them the models), ``evaluations``.
Part: TypeAlias = Literal[
    "classes",
    "tasks",
    "statuses",
    "imports",
    "auto_annotations",
    "datasets",
    "objects",
    "trainings",
    "evaluations",
]
PARTS: tuple[Part, ...] = get_args(Part)
#: Everything but the count by status.
DEFAULT_PARTS: tuple[Part, ...] = tuple(part for part in PARTS if part != "statuses")

_PAGE = 1000
#: How many pages of each kind of job are read; the newest jobs stand on the first.
_JOB_PAGES = 3
#: How many imports and auto-annotations of a project are kept, the newest.
_KEPT = 50
#: How many projects are listed at most, pages of 1,000 each.
_PROJECT_PAGES = 100

Got = TypeVar("Got")


def fetch_workspace(
    client: FastLabelClient,
    selector: ProjectSelector | Mapping[str, Any] | str | Iterable[str] | None = None,
    *,
    include: Iterable[Part] = DEFAULT_PARTS,
    max_requests: int = 3_000,
    workers: int = 4,
    former: FastLabelWorkspace | None = None,
    log: Callable[[str], object] | None = None,
) -> FastLabelWorkspace:
    """The projects that ``selector`` means, and what else of the workspace ``include`` names, as records.

    The list of projects costs one request for a thousand of them, and is all that is read of a project that is not
    selected. Then each selected project costs one request for every part included (the eight counts of ``statuses``
    aside), each dataset one for its objects. When ``max_requests`` are used up, the remaining parts are left out, and
    each project says which (``left_out``). The service allows 10,000 requests in 10 minutes.

    What cannot be had of one project (it was deleted meanwhile, the server stumbles over it, its answer is no list)
    becomes that project's ``errors``; what cannot be had of the workspace becomes ``problems``. Both are logged. With
    the ``former`` look at hand, it is taken from there, and ``kept`` says so.

    Args:
        selector: see :meth:`ProjectSelector.of`. None: all projects.
        max_requests: how many requests may be made, beside repetitions after a failed try.
        workers: how many projects are asked for at once; 1 uses no threads.
        former: what an earlier call with the same selector and parts has found; see
            :func:`~fastlabel_dagster.workspace.former.with_former`.
        log: called with a sentence for each problem.

    Raises:
        ValueError: ``include`` names a part there is not, or the selector is none.
        FastLabelError: the list of projects cannot be had; without it there is nothing to show.
    """
    chosen = ProjectSelector.of(selector)
    wanted = tuple(dict.fromkeys(include))
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise ValueError(f"a workspace has no part {', '.join(unknown)}; it has {', '.join(PARTS)}")
    say = log or (lambda sentence: None)
    fetch = _Fetch(client, _Allowance(max_requests), say)
    before = client.statistics
    projects = fetch.projects(chosen)
    datasets = fetch.listed("datasets", wanted, lambda: [client.datasets.list()], Dataset.of)
    trainings = fetch.listed(
        "trainings", wanted, lambda: fetch.pages("trainings", client.training_jobs.list), TrainingJob.of
    )
    evaluations = fetch.listed(
        "evaluations", wanted, lambda: fetch.pages("evaluations", client.evaluation_jobs.list), EvaluationJob.of
    )
    projects = _in_parallel(lambda project: fetch.detailed(project, wanted), projects, workers)
    if datasets is not None:
        found = [_with_revisions(dataset, evaluations or ()) for dataset in datasets]
        datasets = tuple(_in_parallel(fetch.counted, found, workers) if "objects" in wanted else found)
    workspace = FastLabelWorkspace(
        base_url=str(client.base_url),
        fetched_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        projects=tuple(projects),
        datasets=datasets,
        trainings=trainings,
        evaluations=evaluations,
        problems=dict(fetch.problems),
        requests=(client.statistics - before).requests,
    )
    return workspace if former is None else with_former(workspace, former.select(chosen), say)


@dataclass
class _Allowance:
    """How many requests may still be made."""

    left: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, requests: int = 1) -> bool:
        with self.lock:
            if self.left < requests:
                return False
            self.left -= requests
            return True


@dataclass
class _Fetch:
    client: FastLabelClient
    allowance: _Allowance
    say: Callable[[str], object]
    problems: dict[str, str] = field(default_factory=dict)

    def problem(self, what: str, why: str) -> None:
        self.problems[what] = why
        self.say(f"{what}: {why}")

    def projects(self, selector: ProjectSelector) -> list[Project]:
        """The selected projects as the list tells of them, by slug."""
        found: dict[str, Project] = {}
        for page in range(_PROJECT_PAGES):
            if not self.allowance.take():
                self.problem("projects", "not all were listed: the requests allowed were used up")
                break
            answers = self.client.projects.list(offset=page * _PAGE, limit=_PAGE)
            for answer in answers:
                project = Project.of(answer)
                if not project.slug:
                    self.problem(f"project {project.id or 'without an id'}", "the API lists it without a slug")
                elif selector.matches(project):
                    found[project.slug] = project
            if len(answers) < _PAGE:
                break
        for slug in selector.slugs:
            if slug not in found:
                name = "(not repeated here: it looks like a token)" if like_a_token(slug) else slug
                self.problem(f"project {name}", "this token sees no project of this slug that the selector would take")
        return [found[slug] for slug in sorted(found)]

    def pages(self, part: Part, fetch: Callable[[int, int], list[dict[str, Any]]]) -> Iterable[list[dict[str, Any]]]:
        """The first pages of a list of jobs."""
        for page in range(_JOB_PAGES):
            if page and not self.allowance.take():
                self.problem(part, f"only {page * _PAGE:,} were listed: the requests allowed were used up")
                return
            answers = fetch(page * _PAGE, _PAGE)
            yield answers
            if len(answers) < _PAGE:
                return

    def listed(
        self,
        part: Part,
        wanted: tuple[Part, ...],
        pages: Callable[[], Iterable[list[dict[str, Any]]]],
        record: Callable[[Mapping[str, Any]], Got],
    ) -> tuple[Got, ...] | None:
        """A list of the workspace, or None and a problem."""
        if part not in wanted:
            return None
        if not self.allowance.take():
            self.problem(part, "left out: the requests allowed were used up")
            return None
        try:
            return tuple(record(answer) for page in pages() for answer in page)
        except FastLabelError as error:
            self.problem(part, _said(error))
            return None

    def detailed(self, project: Project, wanted: tuple[Part, ...]) -> Project:
        """The project with its parts, each of which may fail by itself."""
        client, slug = self.client, project.slug
        errors: dict[str, str] = {}
        left_out: list[str] = []

        def had(part: Part, get: Callable[[], Got], requests: int = 1) -> Got | None:
            if part not in wanted:
                return None
            if not self.allowance.take(requests):
                left_out.append(part)
                return None
            try:
                return get()
            except FastLabelError as error:
                errors[part] = _said(error)
                self.say(f"{slug}: {part}: {errors[part]}")
                return None

        classes = had("classes", lambda: client.annotation_classes.list(slug, limit=_PAGE))
        tasks = had("tasks", lambda: client.tasks.count(slug))
        statuses = had("statuses", lambda: _by_status(client, slug), len(TASK_STATUSES))
        imports = had("imports", lambda: client.import_histories.list(slug, limit=_PAGE))
        annotated = had("auto_annotations", lambda: client.auto_annotation_jobs.list(slug, limit=_PAGE))
        return replace(
            project,
            tasks=tasks,
            statuses=statuses or {},
            classes=None if classes is None else tuple(map(AnnotationClass.of, classes)),
            imports=None if imports is None else _newest(map(ImportHistory.of, imports)),
            auto_annotations=None if annotated is None else _newest(map(AutoAnnotationJob.of, annotated)),
            errors=errors,
            left_out=tuple(left_out),
        )

    def counted(self, dataset: Dataset) -> Dataset:
        """The dataset with the number of its objects, when one page holds them."""
        if not self.allowance.take():
            return dataset
        try:
            objects = len(self.client.dataset_objects.list(dataset.name, limit=_PAGE))
        except FastLabelError as error:
            self.say(f"dataset {dataset.name}: {_said(error)}")
            return replace(dataset, error=_said(error))
        return replace(dataset, objects=objects if objects < _PAGE else None, objects_at_least=objects)


def _by_status(client: FastLabelClient, slug: str) -> dict[str, int]:
    counts = {status: client.tasks.count(slug, status=status) for status in TASK_STATUSES}
    return {status: count for status, count in counts.items() if count}


def _with_revisions(dataset: Dataset, evaluations: Iterable[EvaluationJob]) -> Dataset:
    jobs = [job for job in evaluations if job.dataset_id == dataset.id and job.dataset_revision]
    newest_first = sorted(jobs, key=lambda job: job.created_at, reverse=True)
    return replace(dataset, revisions=tuple(dict.fromkeys(job.dataset_revision for job in newest_first)))


def _newest(records: Iterable[Got]) -> tuple[Got, ...]:
    return tuple(sorted(records, key=lambda record: str(getattr(record, "created_at", "")), reverse=True)[:_KEPT])


def _in_parallel(work: Callable[[Got], Got], things: Iterable[Got], workers: int) -> list[Got]:
    if workers <= 1:
        return [work(thing) for thing in things]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(work, things))


def _said(error: FastLabelError) -> str:
    tree = FastLabelError.__module__
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == tree)
    return f"{kind}: {error}"
