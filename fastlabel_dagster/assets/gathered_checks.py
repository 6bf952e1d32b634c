"""The checks that ask the API, of many projects, in one step: Dagster would spend a millisecond on each otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster._compat import function_of_step
from fastlabel_dagster.assets.gathered import apart
from fastlabel_dagster.checks import CheckPlan, ChecksLike, build_remote_checks
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key


@dataclass(frozen=True)
class CheckedProject:
    """A project whose remote checks are to be gathered; ``trained`` when it has a training, and so a model."""

    slug: str
    translator: DagsterFastLabelTranslator
    trained: bool = False

    def key(self, part: str) -> dg.AssetKey:
        """The key of one of its assets."""
        return asset_key(self.slug, part, self.translator)

    def definitions(self, resource_key: str, checks: CheckPlan) -> Sequence[dg.AssetChecksDefinition]:
        """Its checks, each as a definition of its own."""
        return build_remote_checks(
            self.slug,
            project_key=self.key("project"),
            training_key=self.key("training") if self.trained else None,
            model_key=self.key("model") if self.trained else None,
            resource_key=resource_key,
            checks=checks,
        )


def gathered_checks(
    name: str, projects: Sequence[CheckedProject], *, resource_key: str, checks: ChecksLike = None
) -> list[dg.AssetsDefinition]:
    """One step called ``name`` that answers what :func:`~fastlabel_dagster.checks.build_remote_checks` has for each of
    ``projects``; nothing when there are none, and several steps where keys are too much alike for one.

    The definitions of a project's own checks are made when a run asks for one of them. When the code location loads,
    one project with a model and one without stand for all others.
    """
    plan = CheckPlan.of(checks)
    groups = apart(projects, lambda project: project.key("project"))
    return [
        _one_step(name if number == 1 else f"{name}_{number}", group, resource_key, plan)
        for number, group in enumerate(groups, 1)
    ]


def _one_step(name: str, projects: Sequence[CheckedProject], resource_key: str, plan: CheckPlan) -> dg.AssetsDefinition:
    patterns = {
        one.trained: [(spec, part) for spec in _specs(one, resource_key, plan) if (part := _part(one, spec))]
        for one in {one.trained: one for one in projects}.values()
    }
    owners: dict[dg.AssetCheckKey, CheckedProject] = {}
    specs: list[dg.AssetCheckSpec] = []
    for project in projects:
        for pattern, part in patterns[project.trained]:
            spec = dg.AssetCheckSpec(
                pattern.name,
                asset=project.key(part),
                description=pattern.description,
                blocking=pattern.blocking,
                metadata=pattern.metadata,
            )
            owners[spec.key] = project
            specs.append(spec)

    def check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> Iterator[dg.AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys, key=str):
            for definition in owners[key].definitions(resource_key, plan):
                if key in definition.check_keys:
                    answer: Any = function_of_step(definition)(context, **{resource_key: fastlabel})
                    yield answer

    return dg.multi_asset_check(name=name, specs=specs, can_subset=True)(resource_named(resource_key, check))


def _specs(project: CheckedProject, resource_key: str, plan: CheckPlan) -> list[dg.AssetCheckSpec]:
    return [spec for one in project.definitions(resource_key, plan) for spec in one.check_specs]


def _part(project: CheckedProject, spec: dg.AssetCheckSpec) -> str | None:
    return next((part for part in ("project", "model") if spec.asset_key == project.key(part)), None)
