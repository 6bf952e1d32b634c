"""The checks that ask the API, of many projects, in one step: Dagster would spend a millisecond on each otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster._compat import function_of_step, kept_whole
from fastlabel_dagster.api import FastLabelError
from fastlabel_dagster.assets.gathered import apart
from fastlabel_dagster.checks import CheckPlan, ChecksLike, build_remote_checks
from fastlabel_dagster.checks.outcome import shortened_words
from fastlabel_dagster.resource import FastLabelResource, error_metadata, resource_named
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key, safe_name


@dataclass(frozen=True)
class CheckedProject:
    """A project whose remote checks are to be gathered; ``trained`` when it has a training, and so a model; ``checks``
    where it has its own in place of those of all."""

    slug: str
    translator: DagsterFastLabelTranslator
    trained: bool = False
    checks: CheckPlan | None = None

    def key(self, part: str) -> dg.AssetKey:
        """The key of one of its assets."""
        return asset_key(self.slug, part, self.translator)

    def definitions(
        self, resource_key: str, checks: CheckPlan, name: str | None = None
    ) -> Sequence[dg.AssetChecksDefinition]:
        """Its checks, each as a definition of its own; ``name`` begins the names of their ops."""
        return build_remote_checks(
            self.slug,
            project_key=self.key("project"),
            training_key=self.key("training") if self.trained else None,
            model_key=self.key("model") if self.trained else None,
            resource_key=resource_key,
            checks=checks,
            name=name,
        )


def gathered_checks(
    name: str, projects: Sequence[CheckedProject], *, resource_key: str, checks: ChecksLike = None
) -> list[dg.AssetsDefinition]:
    """One step called ``name`` that answers what :func:`~fastlabel_dagster.checks.build_remote_checks` has for each of
    ``projects``; nothing when there are none, and several steps where keys are too much alike for one.

    A check that blocks is a step of its own for each project: Dagster stops what is downstream of a whole step, and
    one project must not stop the others.

    The definitions of a project's own checks are made when a run asks for one of them. When the code location loads,
    one project with a model and one without stand for all others that have the same checks.
    """
    plan = CheckPlan.of(checks)
    groups = apart(projects, lambda project: project.key("project"))
    built: list[dg.AssetsDefinition] = [
        _one_step(name if number == 1 else f"{name}_{number}", group, resource_key, plan)
        for number, group in enumerate(groups, 1)
    ]
    for project in projects:
        if (project.checks or plan).blocks("project"):
            own = project.definitions(resource_key, project.checks or plan, f"{name}_{safe_name(project.slug)}")
            built += [one for one in own if any(spec.blocking for spec in one.check_specs)]
    return built


def _one_step(name: str, projects: Sequence[CheckedProject], resource_key: str, plan: CheckPlan) -> dg.AssetsDefinition:
    patterns = {
        alike: [
            (spec, part)
            for spec in _specs(one, resource_key, one.checks or plan)
            if not spec.blocking and (part := _part(one, spec))
        ]
        for alike, one in {(one.trained, id(one.checks)): one for one in projects}.items()
    }
    owners: dict[dg.AssetCheckKey, CheckedProject] = {}
    specs: list[dg.AssetCheckSpec] = []
    for project in projects:
        for pattern, part in patterns[project.trained, id(project.checks)]:
            spec = dg.AssetCheckSpec(
                pattern.name,
                asset=project.key(part),
                description=pattern.description,
                metadata=pattern.metadata,
            )
            owners[spec.key] = project
            specs.append(spec)

    def check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> Iterator[dg.AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys, key=str):
            own = owners[key].checks or plan
            for definition in owners[key].definitions(resource_key, own):
                if key in definition.check_keys:
                    try:
                        answer: Any = function_of_step(definition)(context, **{resource_key: fastlabel})
                    except Exception as error:  # noqa: BLE001 - one project must not keep the others from an answer
                        answer = _failed(key, own, error)
                    yield answer

    made = dg.multi_asset_check(name=name, specs=specs, can_subset=True)(resource_named(resource_key, check))
    return kept_whole(made)


def _failed(key: dg.AssetCheckKey, plan: CheckPlan, error: Exception) -> dg.AssetCheckResult:
    said = shortened_words(f"{type(error).__name__}: {error}")
    setting = plan.get(key.name)
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN if setting is None else setting.severity,
        description=f"This could not be checked: {said}",
        metadata=error_metadata(error) if isinstance(error, FastLabelError) else {"error": said},
    )


def _specs(project: CheckedProject, resource_key: str, plan: CheckPlan) -> list[dg.AssetCheckSpec]:
    return [spec for one in project.definitions(resource_key, plan) for spec in one.check_specs]


def _part(project: CheckedProject, spec: dg.AssetCheckSpec) -> str | None:
    return next((part for part in ("project", "model") if spec.asset_key == project.key(part)), None)
