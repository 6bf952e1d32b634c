"""What watches a workspace: one sensor of each kind for all its projects, and the jobs and schedules they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from fastlabel_dagster.assets.built import BuiltTranslator
from fastlabel_dagster.assets.gathered_checks import CheckedProject, gathered_checks
from fastlabel_dagster.assets.steps import Made, StepOptions
from fastlabel_dagster.components.attributes import WorkspaceSensorAttributes
from fastlabel_dagster.components.planned import PlannedProject
from fastlabel_dagster.project_jobs import kinds_of_jobs, parts_after_training
from fastlabel_dagster.sensors import (
    build_annotated_sensor,
    build_approval_sensor,
    build_import_sensor,
    build_jobs_sensor,
    build_quality_checks,
    build_quality_sensor,
)
from fastlabel_dagster.sensors.target import SYNC_PARTS, SharedJob

#: When a project is ready for a run: newly approved tasks, the share of those approved, and the status that counts.
_Rule = tuple[int | None, float | None, str]
_APPROVED = "approved"


@dataclass(frozen=True)
class Watching:
    """The sensors of a workspace.

    Attributes:
        wanted: which of them there are.
        name: begins their names.
        built: what was built, which knows the keys.
        projects: those of the workspace that were built, as they are planned. Of one that was left out, a sensor could
            only fail, and for all the others too.
        common: further arguments of every builder that has a resource: ``resource_key``, ``default_status`` …
        loop: that of all projects; its approvals sensor is the one without a mark in its name.
        steps, pool: how the checks run when they are executed.
    """

    wanted: WorkspaceSensorAttributes
    name: str
    built: BuiltTranslator
    projects: Sequence[PlannedProject]
    common: Mapping[str, Any] = field(default_factory=dict)
    loop: Mapping[str, Any] | None = None
    steps: StepOptions = field(default_factory=StepOptions)
    pool: str | None = None

    @cached_property
    def _after_training(self) -> tuple[SharedJob, SharedJob]:
        """``<name>_evaluate`` and ``<name>_annotate``: what follows a model, and what follows an evaluation that no run
        waits for, of all projects that have it."""
        evaluated: dict[str, list[dg.AssetKey]] = {}
        annotated: dict[str, list[dg.AssetKey]] = {}
        for one in self.projects:
            wanted = one.options.get("auto_annotation") is not None
            for found, parts in zip(
                (evaluated, annotated), parts_after_training(one.evaluation, auto_annotation=wanted), strict=True
            ):
                if parts and (keys := self.built.keys(one.slug, parts)):
                    found[one.slug] = keys
        words = "Evaluates the newest model", "Has the model that has passed its gate annotate what is untouched"
        evaluate, annotate = (
            SharedJob(
                dg.define_asset_job(
                    f"{self.name}_{does}",
                    selection=dg.AssetSelection.assets(*(key for keys in found.values() for key in keys)),
                    description=f"{told}, of every project; a run that a sensor starts is of one.",
                ),
                found,
            )
            for does, found, told in zip(("evaluate", "annotate"), (evaluated, annotated), words, strict=True)
        )
        return evaluate, annotate

    def jobs(self) -> list[Any]:
        """What sensors run. Projects are synced and trained by runs of their assets, without a job."""
        return [shared.job for shared in self._after_training if shared.keys]

    def sensors(self) -> list[dg.SensorDefinition]:
        """One of each kind, but for approvals, of which there is one for each rule, and for jobs, of which there is one
        for each way things go on from there."""
        found = [*self._approvals(), *self._jobs(), *self._annotated()]
        if self.wanted.imports and self.projects:
            slugs = [one.slug for one in self.projects]
            stuck_after = self.wanted.stuck_after
            found.insert(
                0, build_import_sensor(slugs, name=f"{self.name}_imports", stuck_after=stuck_after, **self._reporting)
            )
        return found

    def sync_of_all(self) -> Any:
        """The job that brings every project up to date, in one run."""
        keys = [key for one in self.projects for key in self.built.keys(one.slug, SYNC_PARTS, gates=True)]
        return dg.define_asset_job(
            f"{self.name}_sync",
            selection=dg.AssetSelection.assets(*keys),
            description="Mirrors every project and writes its tables, images and exports.",
        )

    @property
    def _all(self) -> dict[str, Any]:
        return {**self.common, "translator": self.built}

    @property
    def _reporting(self) -> dict[str, Any]:
        """Of those that report checks."""
        return {**self._all, "severity": self.wanted.severity}

    def _approvals(self) -> list[dg.SensorDefinition]:
        wanted = self.wanted.approvals
        if wanted is False:
            return []
        every = None if wanted is True else wanted
        of_all: _Rule = (every, None, _APPROVED)
        if self.loop is not None:
            after = self.loop.get("retrain_after") or {}  # which each project may say for itself
            of_all = (after.get("approved"), after.get("share"), _APPROVED)
        groups: dict[_Rule, list[str]] = {}
        for one in self.projects:
            if one.loop is not None:
                groups.setdefault((one.loop.approved, one.loop.share, _status(one)), []).append(one.slug)
            elif every is not None and one.options.get("dataset"):
                groups.setdefault((every, None, _status(one)), []).append(one.slug)
        return [
            build_approval_sensor(
                slugs,
                every=rule[0],
                share=rule[1],
                status=rule[2],
                name=f"{self.name}_approvals{'' if rule == of_all else _marked(rule)}",
                **self._reporting,
            )
            for rule, slugs in groups.items()
        ]

    def _jobs(self) -> list[dg.SensorDefinition]:
        if not self.wanted.jobs:
            return []
        evaluate, annotate = self._after_training
        groups: dict[str, list[str]] = {}
        kinds = {one.slug: _kinds(one) for one in self.projects}
        for one in self.projects:
            if one.has_jobs:
                kind = "_apart" if one.slug in annotate.keys else "" if one.slug in evaluate.keys else "_only"
                groups.setdefault(kind, []).append(one.slug)
        return [
            build_jobs_sensor(
                slugs,
                on_model=None if kind == "_only" else evaluate,
                on_evaluation=annotate if kind == "_apart" else None,
                stuck_after=self.wanted.stuck_after,
                kinds={slug: kinds[slug] for slug in slugs},
                name=f"{self.name}_jobs{kind}",
                **self._reporting,
            )
            for kind, slugs in groups.items()
        ]

    def _annotated(self) -> list[dg.SensorDefinition]:
        slugs = [one.slug for one in self.projects if one.options.get("auto_annotation") is not None]
        if not slugs:
            return []
        settings = {key: value for key, value in self._all.items() if key != "resource_key"}
        return [build_annotated_sensor(slugs, name=f"{self.name}_annotated", **settings)]

    def quality(self) -> tuple[list[dg.SensorDefinition], list[dg.AssetChecksDefinition]]:
        """The quality sensor and the checks it reports, when they are wanted."""
        rules = self.wanted.quality_rules
        if rules is None or not self.projects:
            return [], []
        slugs = [one.slug for one in self.projects]
        sensor = build_quality_sensor(slugs, name=f"{self.name}_quality", **rules, **self._reporting)
        own = {key: self._reporting[key] for key in ("translator", "resource_key", "severity")}
        checks: list[dg.AssetChecksDefinition] = []
        for one in self.projects:
            made = build_quality_checks(one.slug, name=f"{one.name}_quality_checks", **own, **rules)
            checks += self._around([made], one.slug)
        return [sensor], checks

    def health(self) -> list[dg.AssetsDefinition]:
        """The checks of projects that nothing is made of: what is made of others brings them along."""
        made = gathered_checks(
            f"{self.name}_checks",
            [CheckedProject(one.slug, self.built) for one in self.projects],
            resource_key=self.common["resource_key"],
        )
        return self._around(made, "")

    def _around(self, made: Sequence[Made], slug: str) -> list[Made]:
        return self.steps.around(made, project=slug, resource_key=self.common["resource_key"], pool=self.pool)


def _kinds(project: PlannedProject) -> list[str]:
    """The kinds of jobs it asks for."""
    asked = {part: project.options.get(part) is not None for part in ("training", "evaluation", "auto_annotation")}
    return kinds_of_jobs(imports=project.options.get("imports"), **asked)


def _status(project: PlannedProject) -> str:
    """The status of the tasks that are published."""
    return str(project.options.get("publish_status") or _APPROVED)


def _marked(rule: _Rule) -> str:
    """The rule as the end of a name: ``_200``, ``_80_percent``, ``_200_reviewed``."""
    every, share, status = rule
    parts = [str(every)] if every is not None else []
    parts += [f"{share * 100:g}_percent".replace(".", "_")] if share is not None else []
    return "_" + "_".join([*parts, *([status] if status != _APPROVED else [])])
