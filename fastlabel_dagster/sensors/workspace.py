"""The workspace sensor: a new project becomes a partition (and a run), a changed one is told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import dagster as dg

from fastlabel_dagster._compat import version_tags
from fastlabel_dagster.partitions import partition_changes
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.cursor import packed, short, unpacked
from fastlabel_dagster.sensors.long_lists import Reading, Readings
from fastlabel_dagster.sensors.polling import Findings, Polling, Unfinished, Visit, poll
from fastlabel_dagster.sensors.target import JobLike, Target, sensor_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key
from fastlabel_dagster.workspace import ProjectSelector
from fastlabel_dagster.workspace.records import Project

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_KIND = "workspace"
_PAGE: Final = 1000
#: Partitions a tick adds or deletes at most; the rest follows with the next.
_PARTITIONS: Final = 100
#: Characters that say whether what is told of a project has changed: 30 bits.
_MARK: Final = 5
#: Projects that are gone are remembered, so many of them at most (nine characters each).
_GONE: Final = 2000


def build_workspace_sensor(
    partitions_def: dg.DynamicPartitionsDefinition | None = None,
    *,
    selector: ProjectSelector | Mapping[str, Any] | str | Iterable[str] | None = None,
    delete: bool = False,
    job: JobLike | None = None,
    first_tick: Literal["from_now", "backfill"] = "from_now",
    name: str = "fastlabel_workspace",
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 300,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dg.SensorDefinition:
    """A sensor that keeps partitions in step with the projects of a workspace, at one request a tick.

    A project that appears gets a partition of its slug, and with ``job`` a run (once, by the project's id). A project
    whose name, slug, type or status has changed, that is gone, or is back, is told of as an observation of
    ``fastlabel/<slug>``; one that is back is no new one and gets no run.
    With ``delete`` the partition of a project that is gone goes too, when two looks one after the other do not see it;
    without, it stays with its history: the token may just not see the project for a while.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster.partitions import project_partitions
        >>> from fastlabel_dagster.sensors import build_workspace_sensor
        >>> projects = project_partitions()
        >>> @dg.asset(partitions_def=projects)
        ... def report(): ...
        >>> per_project = dg.define_asset_job("per_project", [report])
        >>> sensor = build_workspace_sensor(projects, selector="street-*", job=per_project)

    Args:
        partitions_def: the partitions to keep, one for each project (``partitions.project_partitions``). None keeps
            none; runs then carry the project as a tag only.
        selector: which projects are meant; see :meth:`~fastlabel_dagster.workspace.ProjectSelector.of`.
        delete: whether partitions are deleted. Everything among ``partitions_def`` that is no selected project goes,
            but not a project that is there and was never selected here: it may be that of another code location.
        job: the job a new project launches, by name or object, partitioned by ``partitions_def``.
        first_tick: with ``from_now`` the projects there are at the first tick get partitions and no runs; with
            ``backfill`` they get runs too.
        time_budget_seconds: Dagster ends a tick after 60 s, some proxies after 15 s.
        owners, tags, metadata: the sensor's own, in Dagster.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: the partitions have no name, or a setting makes no sense.
    """
    if partitions_def is not None and not partitions_def.name:
        raise ValueError("dynamic partitions that a sensor adds to need a name")
    chosen = ProjectSelector.of(selector)
    target = Target(job, [], runs=False)
    polling = Polling(_KIND, time_budget_seconds=time_budget_seconds, first_tick=first_tick, clock=clock)
    readings = Readings()

    def ask(client: FastLabelClient, target: str, memory: Mapping[str, Any] | None) -> list[Any] | Unfinished:
        until = clock() + polling.longest_request / 2
        with readings.of(target, memory) as reading:
            return _projects(client, reading, lambda: clock() >= until)

    def digest(visit: Visit, answers: list[dict[str, Any]]) -> Findings:
        there = [project for project in map(Project.of, answers) if project.slug]
        projects = [project for project in there if chosen.matches(project)]
        look = _Look(visit, projects, translator)
        look.leave_alone(there)
        added = look.keep_partitions(partitions_def, delete=delete) if partitions_def is not None else None
        look.tell_of_projects(None if job is None else target, added)
        return look.findings()

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult:
        return poll(context, fastlabel, ["workspace"], polling, ask=ask, digest=digest)

    return sensor_of(
        evaluate,
        name=name,
        description="Keeps one partition for each project of the FastLabel workspace, and tells of changed projects.",
        resource_key=resource_key,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        owners=owners,
        tags=tags,
        metadata=metadata,
    )


def _projects(client: FastLabelClient, reading: Reading, enough: Callable[[], bool]) -> list[Any] | Unfinished:
    """All projects: one request, and one more for each thousand beyond the first."""
    while not reading.over:
        page = client.projects.list(offset=reading.offset, limit=_PAGE)
        reading.take(page)
        reading.over = len(page) < _PAGE
        if not reading.over and enough():
            return reading.unfinished()
    return list(reading.found.values())


class _Look:
    """One look at the workspace. Memory: projects by id (short) -> slug and a mark of what is told of it, packed, and
    the ids of those that are gone."""

    def __init__(
        self, visit: Visit, projects: Sequence[Project], translator: DagsterFastLabelTranslator | None
    ) -> None:
        memory = visit.memory or {}
        self.visit, self.projects, self.translator = visit, projects, translator
        known = memory.get("known", {})
        if isinstance(known, str):  # else a release before has written it, with longer marks
            known = unpacked(known)
        self.known: dict[str, list[str]] = {key: [slug, mark[:_MARK]] for key, (slug, mark) in known.items()}
        self.gone: list[str] = memory.get("gone", "").split()
        self.unseen: list[str] = list(memory.get("unseen", []))
        self.events: list[dg.AssetObservation] = []
        self.runs: list[dg.RunRequest] = []
        self.partitions: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        self.notes: list[str] = []
        self.of_others: set[str] = set()

    def leave_alone(self, there: Iterable[Project]) -> None:
        """Delete no partition of those projects that are there and were never among these: partitions of one name are
        the same in all code locations of an instance."""
        ours = {project.slug for project in self.projects}
        known = {*self.known, *self.gone}
        self.of_others = {one.slug for one in there if one.slug not in ours and short(one.id or one.slug) not in known}

    def keep_partitions(self, partitions_def: dg.DynamicPartitionsDefinition, *, delete: bool) -> set[str]:
        """Ask for the partitions that are missing, and for the end of those that are too many.

        Returns:
            The slugs that have a partition when this tick is over.
        """
        name = str(partitions_def.name)
        existing = self.visit.context.instance.get_dynamic_partitions(name)
        changes = partition_changes(existing, [project.slug for project in self.projects], delete=delete, name=name)
        add = changes.add[:_PARTITIONS]
        too_many = [slug for slug in changes.delete if slug not in self.of_others]
        gone = [slug for slug in too_many if slug in self.unseen][:_PARTITIONS]
        self.unseen = [slug for slug in too_many if slug not in gone][:_PARTITIONS]
        if add:
            self.partitions.append(partitions_def.build_add_request(list(add)))
            self.notes.append(f"{len(add)} partition(s) added, {len(changes.add) - len(add)} to follow")
        if gone:
            self.partitions.append(partitions_def.build_delete_request(gone))
            self.notes.append(f"{len(gone)} partition(s) deleted")
        if left := len(changes.delete) - len(too_many):
            self.notes.append(f"{left} partition(s) of projects that are not selected here are left alone")
        if changes.refused:
            self.notes.append(f"no partition can be called {', '.join(map(repr, changes.refused[:5]))}")
        return {*existing, *add}

    def tell_of_projects(self, target: Target | None, partitions: set[str] | None) -> None:
        """Runs for what is new, observations for what has changed or gone; what finds no room waits."""
        for project in self.projects:
            key = short(project.id or project.slug)
            told = short("\n".join((project.slug, project.name, project.type, project.status)))
            now = [project.slug, told[:_MARK]]
            before = self.known.get(key)
            if before == now:
                continue
            if before is not None or key in self.gone:
                if len(self.events) < self.visit.events:
                    self.known[key] = now
                    change = "has changed" if before is not None else "is among the projects again"
                    self._observe(project.slug, f"{project.slug} {change}.", _told_of(project))
                continue
            silent = target is None or (self.visit.memory is None and not self.visit.backfill)
            if silent:
                self.known[key] = now
            elif len(self.runs) < self.visit.runs and (partitions is None or project.slug in partitions):
                self.known[key] = now
                self._launch(target, project, partitioned=partitions is not None)
        seen = {short(project.id or project.slug) for project in self.projects}
        self.gone = [key for key in self.gone if key not in self.known]
        for key in [key for key in self.known if key not in seen]:
            if len(self.events) < self.visit.events:
                slug = self.known.pop(key)[0]
                self.gone.append(key)
                self._observe(slug, f"{slug} is no longer among the projects.", {"status": "gone"})

    def _observe(self, slug: str, description: str, metadata: Mapping[str, Any]) -> None:
        key = asset_key(slug, "project", self.translator)
        tags = version_tags(self.visit.context.instance, key)
        self.events.append(dg.AssetObservation(key, description=description, metadata=metadata, tags=tags))

    def _launch(self, target: Target | None, project: Project, *, partitioned: bool) -> None:
        if target is None:
            return
        run_key = f"fastlabel/{project.slug}/project/{project.id}"
        tags = {"fastlabel/trigger": "a new project"}
        partition_key = project.slug if partitioned else None
        self.runs.extend(target.requests(self.visit.context, project.slug, run_key, tags, partition_key=partition_key))

    def findings(self) -> Findings:
        """What the look has found."""
        memory: dict[str, Any] = {"known": packed(self.known)}
        if self.gone:
            memory["gone"] = " ".join(self.gone[-_GONE:])
        if self.unseen:
            memory["unseen"] = self.unseen
        self.notes.insert(0, f"{len(self.projects)} project(s)")
        return Findings(
            memory, runs=self.runs, events=self.events, partitions=self.partitions, note="; ".join(self.notes)
        )


def _told_of(project: Project) -> dict[str, Any]:
    """What is told of a project."""
    return {"name": project.name, "type": project.type, "status": project.status, "project_id": project.id}
