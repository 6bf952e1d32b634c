"""Projects and datasets as observable external assets: their data version is the state they are in at FastLabel.

One observation asks a handful of cheap requests a project (see :mod:`fastlabel_dagster.workspace.state`). The sync of a
project's mirror looks in the same way before it reads, and reports what it saw; so after a sync nothing is stale, and
as soon as an observation finds the project in another state, its mirror is. Conditions such as
``AutomationCondition.eager()`` or ``AutomationCondition.data_version_changed()`` go by that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster._compat import input_pointer_tag, input_version_tag, known_version, specs_of_run
from fastlabel_dagster.api.errors import FastLabelError, NotFound, Unauthorized
from fastlabel_dagster.api.task_statuses import in_order
from fastlabel_dagster.assets.gathered import apart
from fastlabel_dagster.metadata.tables import counts_table, statuses_table
from fastlabel_dagster.resource import PERMANENT_ERRORS, FastLabelResource, error_kind, failure, resource_named
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.assets.plan import ProjectPlan
    from fastlabel_dagster.workspace import ProjectState

#: What a look at something at FastLabel gives: its version, and what a reader wants to know.
Seen = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Observed:
    """An external asset and how to look at what it stands for."""

    spec: dg.AssetSpec
    look: Callable[[FastLabelClient], Seen]


def observed_project(spec: dg.AssetSpec, slug: str) -> Observed:
    """The project ``slug`` as the asset ``spec``."""

    def look(client: FastLabelClient) -> Seen:
        from fastlabel_dagster.workspace import project_state

        state = project_state(client, slug)
        return state.version, project_metadata(state)

    return Observed(spec, look)


def observed_dataset(spec: dg.AssetSpec, name: str) -> Observed:
    """The FastLabel dataset ``name`` as the asset ``spec``."""

    def look(client: FastLabelClient) -> Seen:
        from fastlabel_dagster.workspace import dataset_state

        state = dataset_state(client, name)
        if state is None:
            raise NotFound(f"there is no dataset {name!r}", method="GET", path="datasets-v2")
        metadata = {
            "dataset_id": state.id,
            "objects": state.objects,
            "all_objects_seen": state.whole,
            "splits": counts_table(state.splits, "split"),
        }
        return state.version, metadata

    return Observed(spec, look)


def project_metadata(state: ProjectState) -> dict[str, Any]:
    """What an observation says of a project: type, counts, and how far its tasks have come."""
    finished = sum(state.statuses.get(status, 0) for status in ("completed", "reviewed", "approved"))
    return {
        "tasks": state.tasks,
        "classes": state.classes,
        "project_id": state.id,
        "project_type": state.type,
        "project_status": state.status,
        "statuses": statuses_table(state.statuses),
        **{f"tasks/{status}": count for status, count in in_order(state.statuses).items()},
        "labeled_share": round(finished / state.tasks, 4) if state.tasks else 0.0,
        "approved_share": round(state.statuses.get("approved", 0) / state.tasks, 4) if state.tasks else 0.0,
        "every_task_seen": state.every_task,
    }


def project_event(spec: dg.AssetSpec, slug: str, state: ProjectState) -> dg.AssetObservation:
    """The observation with which a sync reports the state it began with. ``spec`` is the asset the project stands for;
    one partitioned by project is observed in the partition ``slug``."""
    return dg.AssetObservation(
        asset_key=spec.key,
        description=f"{state.tasks:,} tasks",
        metadata=project_metadata(state),
        partition=slug if isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition) else None,
        tags={"dagster/data_version": state.version},
    )


def tags_of_sync(instance: dg.DagsterInstance, spec: dg.AssetSpec, slug: str, state: ProjectState) -> dict[str, str]:
    """What a mirror notes of the state it was made in, after :func:`project_event` was logged, so that Dagster measures
    it by that, and not by what was known of the project when the step began."""
    tags = {input_version_tag(spec.key): state.version}
    if isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition):
        wanted = dg.AssetRecordsFilter(asset_key=spec.key, asset_partitions=[slug])
        for record in instance.fetch_observations(wanted, limit=1).records:
            tags[input_pointer_tag(spec.key)] = str(record.storage_id)
    return tags


def build_observation(
    name: str,
    observed: Sequence[Observed],
    *,
    resource_key: str = "fastlabel",
    description: str | None = None,
) -> dg.AssetsDefinition:
    """One step that looks at all of ``observed``, or those of them that a run selects.

    What cannot be looked at does not keep the others from being observed: it keeps the version it had, with the error
    in its metadata, and the step fails when it is through with the others, and names it. Checks of the same run are
    skipped then, and show as skipped: a scheduled look takes none along. Of a project that the same run also syncs
    (:func:`is_synced_too`) the step only warns, so that one broken project does not keep the others from being
    synced; its own sync looks by itself and fails by itself. Only a token that is refused ends the step at once.
    """
    looks = {one.spec.key: one.look for one in observed}

    def observe(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> Iterator[dg.ObserveResult]:
        failed: dict[dg.AssetKey, FastLabelError] = {}
        selected = context.selected_asset_keys
        with fastlabel.dagster_errors(context) as client:
            for key, look in looks.items():
                if key not in selected:
                    continue
                version: str | None
                try:
                    version, metadata = look(client)
                except Unauthorized:
                    raise
                except FastLabelError as error:
                    if not is_synced_too(context, key):
                        failed[key] = error
                    context.log.warning("%s: %s: %s", key.to_user_string(), error_kind(error), error)
                    version = known_version(context.instance, key)
                    metadata = {"error": f"{error_kind(error)}: {error}"}
                    if version is None and key in failed:
                        continue  # there is nothing to keep, and the step's own failure tells of it
                # Never seen and synced too: observed without a version, or Dagster would skip all that follows this
                # step, and call the run a success. A version made up would make the first real look a change.
                known = None if version is None else dg.DataVersion(version)
                yield dg.ObserveResult(asset_key=key, data_version=known, metadata=metadata)
        if failed:
            raise _failure(failed)

    return observing(name, [one.spec for one in observed], observe, resource_key, description)


def observation_steps(
    name: str, *, projects: Sequence[Observed], datasets: Sequence[Observed], resource_key: str
) -> list[dg.AssetsDefinition]:
    """The steps that look at the projects (``observe_<name>``) and the datasets (``observe_<name>_datasets``) of a
    workspace. Two, since a dataset that cannot be looked at fails its step, and no sync shall be left out for that;
    more, where keys would be one name to Dagster (:func:`~fastlabel_dagster.assets.gathered.apart`)."""
    return [
        build_observation(
            step if number == 1 else f"{step}_{number}",
            group,
            resource_key=resource_key,
            description=f"Looks at the state {what} are in, with a few cheap requests each.",
        )
        for step, what, observed in (
            (f"observe_{name}", "projects", projects),
            (f"observe_{name}_datasets", "datasets", datasets),
        )
        for number, group in enumerate(apart(observed, lambda one: one.spec.key), 1)
    ]


def observing(
    name: str,
    specs: Sequence[dg.AssetSpec],
    observe: Callable[..., Iterator[Any]],
    resource_key: str,
    description: str | None = None,
) -> dg.AssetsDefinition:
    """``observe(context, fastlabel)`` as the step that observes the external assets ``specs``."""
    with warnings.catch_warnings():  # the decorator is beta; whoever loads our definitions has not chosen it
        warnings.simplefilter("ignore", dg.BetaWarning)
        made: dg.AssetsDefinition = dg.multi_observable_source_asset(
            name=name,
            specs=[spec.replace_attributes(skippable=True) for spec in specs],
            can_subset=True,
            description=description,
        )(resource_named(resource_key, observe))
    return made


def is_synced_too(context: dg.AssetExecutionContext, project: dg.AssetKey) -> bool:
    """Whether a run also syncs the project that the asset ``project`` stands for. Then the sync tells what is wrong
    with it. Other assets made of it, and checks, do not: they would pass for current though nobody could look."""
    return any(
        spec.tags.get("fastlabel/part") == "labels" and any(dep.asset_key == project for dep in spec.deps)
        for spec in specs_of_run(context)
    )


def _failure(failed: Mapping[dg.AssetKey, FastLabelError]) -> dg.Failure:
    if len(failed) == 1:
        ((key, error),) = failed.items()
        one = failure(error)
        return dg.Failure(
            description=f"{key.to_user_string()} could not be observed. {one.description}",
            metadata=one.metadata,
            allow_retries=not isinstance(error, PERMANENT_ERRORS),
        )
    told = {key.to_user_string(): f"{error_kind(error)}: {error}" for key, error in failed.items()}
    some = ", ".join(list(told)[:5])
    return dg.Failure(
        description=f"{len(told):,} could not be observed: {some}{' …' if len(told) > 5 else ''}",
        metadata=dict(list(told.items())[:50]),
        allow_retries=not all(isinstance(error, PERMANENT_ERRORS) for error in failed.values()),
    )


def project_asset(plan: ProjectPlan) -> dg.AssetsDefinition | dg.AssetSpec:
    """``fastlabel/<slug>`` with a step of its own that looks at it; just its spec when the steps are gathered, and one
    step looks at many projects."""
    spec = plan.spec("project")
    if plan.steps.gathered:
        return spec
    return build_observation(
        f"{plan.name}_observe",
        [observed_project(spec, plan.project)],
        resource_key=plan.resource_key,
        description=f"Looks at the state {plan.project} is in, with a few cheap requests.",
    )


def build_fastlabel_observation(
    projects: str | Iterable[str] = (),
    *,
    datasets: str | Iterable[str] = (),
    name: str = "observe_fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    resource_key: str = "fastlabel",
) -> dg.AssetsDefinition:
    """Projects (by slug) and datasets (by name) as observable assets of one step, for assets of your own to depend on.

    What cannot be looked at fails the step, and in that run nothing is made of the others either: what is to go on by
    itself gets a step of its own, datasets above all where the same run syncs projects.

    :func:`~fastlabel_dagster.assets.build_fastlabel_project_assets` and
    :func:`~fastlabel_dagster.assets.workspace.build_fastlabel_assets_definitions` have this inside.

    Args:
        automation_condition: when to look, such as ``dg.AutomationCondition.on_cron("*/10 * * * *")``; used for specs
            to which the translator gives none. None: by hand, from a schedule, or by the sensors of this package.

    Raises:
        ValueError: nothing is named.
    """
    made = translator or DagsterFastLabelTranslator()
    slugs = [projects] if isinstance(projects, str) else list(dict.fromkeys(projects))
    names = [datasets] if isinstance(datasets, str) else list(dict.fromkeys(datasets))
    if not slugs and not names:
        raise ValueError("name at least one project or dataset")

    def spec(part: str, slug: str, name: str) -> dg.AssetSpec:
        given = made.get_asset_spec(FastLabelAssetProps(project=slug, part=part, name=name))
        if automation_condition is None or given.automation_condition is not None:
            return given
        return given.replace_attributes(automation_condition=automation_condition)

    observed = [observed_project(spec("project", slug, slug), slug) for slug in slugs]
    observed += [observed_dataset(spec("workspace_dataset", "", each), each) for each in names]
    return build_observation(name if name.isidentifier() else safe_name(name), observed, resource_key=resource_key)
