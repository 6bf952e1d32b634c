"""One set of assets for all projects of a workspace, with a partition for each project.

A workspace with thousands of projects is a handful of assets that way: code locations load at once, and a backfill says
which projects to bring up to date. What a project has is the same as when it stands alone; its store is
``<store>/<slug>``, and an unpartitioned location that uses this store goes on where this one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster._compat import provenance_tags, version_tags
from fastlabel_dagster.api.errors import FastLabelError, Unauthorized
from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.gathered import (
    GatheredConfig,
    GatheringSteps,
    Part,
    folder_of,
    made_before,
    run_parts,
)
from fastlabel_dagster.assets.observation import is_synced_too, observing, project_event
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.partitions import PROJECTS, project_partitions
from fastlabel_dagster.resource import PERMANENT_ERRORS, FastLabelResource, error_kind, resource_named
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.assets.plan import ExportLike

#: What a partitioned project has. Datasets and jobs are told apart by their newest materialization, which would be any
#: project's here: a project that is trained on has assets of its own.
_NOT_PARTITIONED = frozenset(
    {"dataset", "training", "evaluation", "auto_annotation", "imports", "steps", "group_name", "translator", "store"}
)


class PartitionTranslator(DagsterFastLabelTranslator):
    """Gives the assets of every project the keys and specs of the one partitioned set."""

    def __init__(self, translator: DagsterFastLabelTranslator | None, name: str) -> None:
        self._translator = translator or DagsterFastLabelTranslator()
        self._name = name
        self._partitions = project_partitions(name)

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The other translator's spec of the set; it is partitioned by project unless that says otherwise."""
        name = self._name if props.part == "project" else props.name
        spec = self._translator.get_asset_spec(replace(props, project=self._name, name=name))
        text = (spec.description or "").replace(f"**{self._name}**", "the project of the partition")
        # the name of the set is no slug, which would get a mark that tells it from street-scenes
        group = self._name if spec.group_name == safe_name(self._name) and self._name.isidentifier() else None
        spec = spec.replace_attributes(description=text or None, group_name=group or spec.group_name)
        return spec if spec.partitions_def is not None else spec.replace_attributes(partitions_def=self._partitions)


@dataclass(frozen=True)
class _Set:
    """What makes the parts of any project."""

    store: str
    translator: PartitionTranslator
    options: Mapping[str, Any]
    steps: GatheringSteps = field(default_factory=GatheringSteps)

    def made(self, slug: str) -> Sequence[Any]:
        """The parts of a project, and the spec of the project itself."""
        return build_fastlabel_project_assets(
            slug,
            store=f"{self.store.rstrip('/')}/{folder_of(slug)}",
            translator=self.translator,
            steps=self.steps,
            **self.options,
        )

    def parts(self, slug: str) -> list[Part]:
        """The parts of a project."""
        return [one for one in self.made(slug) if isinstance(one, Part)]


def build_partitioned_workspace_assets(
    *,
    store: str | Path,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    name: str = PROJECTS,
    translator: DagsterFastLabelTranslator | None = None,
    resource_key: str = "fastlabel",
    pool: str | None = "fastlabel",
    steps: StepOptions | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    **options: Any,
) -> list[dg.AssetsDefinition]:
    """Mirror, tables, images and exports of every project, partitioned by project; asks nobody when it loads.

    The keys are ``fastlabel/<name>`` for the projects themselves (observable) and ``<name>/labels``, ``<name>/coco`` …
    for what is made of them. :func:`~fastlabel_dagster.partitions.partition_changes`, or the workspace sensor, keeps
    the partitions in step with the workspace.

    A backfill starts one run for each project, or, with ``StepOptions(backfill_policy=dg.BackfillPolicy.single_run())``
    or ``multi_run(n)``, one for several. In such a run a project that fails leaves the others alone: they are
    materialized, it is not, and the run ends as failed and names it. What the checks of a project found is in the
    metadata of its materializations: Dagster's checks know no partitions. A blocking check that fails still keeps what
    comes after it from being made.

    Args:
        store, exports: as for :func:`~fastlabel_dagster.assets.workspace.build_fastlabel_assets_definitions`.
        name: of the set of dynamic partitions (:func:`~fastlabel_dagster.partitions.project_partitions`).
        translator: is asked for the specs with ``name`` for the project. A spec that names partitions keeps them.
        options: ``checks``, ``s3``, ``prune`` … of ``build_fastlabel_project_assets``.

    Raises:
        ValueError: an option is unusable, or belongs to what is not partitioned (dataset and jobs).
    """
    refused = sorted(_NOT_PARTITIONED & set(options))
    if refused:
        raise ValueError(f"assets partitioned by project have no {', '.join(refused)}")
    base = steps or StepOptions()
    common = {"exports": list(exports), "resource_key": resource_key, "pool": pool, **options}
    every = _Set(
        str(store),
        PartitionTranslator(translator, name),
        common,
        GatheringSteps(None, base.tags, base.backfill_policy, base.execute),
    )
    pattern = every.made(name)
    parts = [one for one in pattern if isinstance(one, Part)]
    project = next(one for one in pattern if isinstance(one, dg.AssetSpec))

    def sync(context: dg.AssetExecutionContext, config: GatheredConfig, fastlabel: FastLabelResource) -> Iterator[Any]:
        slugs = list(context.partition_keys)
        if len(slugs) == 1:
            yield from run_parts(context, fastlabel, every.parts(slugs[0]), options=config.options, told=True)
            return
        yield from _several(context, fastlabel, every, slugs, config)

    def look(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> Iterator[Any]:
        yield from _observe(context, fastlabel, project, list(context.partition_keys))

    begin = base.name or name
    specs = [spec for part in parts for spec in part.specs]
    synced = dg.multi_asset(
        name=f"{begin}_sync",
        specs=specs,
        can_subset=True,
        pool=pool,
        op_tags=dict(base.tags) or None,
        retry_policy=retry_policy,
        backfill_policy=base.backfill_policy,
        description="Mirrors the project of the partition and makes what is selected of its tables, images, exports.",
    )(resource_named(resource_key, sync))
    looked = base.around(
        [observing(f"{begin}_observe", [project], look, resource_key)], project="", resource_key=resource_key, pool=pool
    )
    return [*looked, synced]


def _several(
    context: dg.AssetExecutionContext,
    fastlabel: FastLabelResource,
    every: _Set,
    slugs: Sequence[str],
    config: GatheredConfig,
) -> Iterator[Any]:
    """Several projects in one run, each by itself. Their results are logged with their partition, for what a step
    yields counts for all of its partitions."""
    done = made_before(context)
    failed: dict[str, Exception] = {}
    for slug in slugs:
        wanted = {key for key in context.selected_asset_keys if (key, slug) not in done}
        try:
            parts = every.parts(slug)
            deps = {spec.key: [dep.asset_key for dep in spec.deps] for part in parts for spec in part.specs}
            results = run_parts(context, fastlabel, parts, options=config.options, selected=wanted, told=True, done=())
            for result in results:
                noted = provenance_tags(context.instance, deps[result.asset_key], slug, context.run.run_id)
                context.log_event(materialization_of(result, slug, noted))
        except (FastLabelError, dg.Failure, dg.RetryRequested, ValueError, OSError) as error:
            failed[slug] = error
            context.log.warning("%s failed: %s", slug, _said(error))
    again = [error for error in failed.values() if isinstance(error, dg.RetryRequested)]
    if again:  # whatever else has failed will fail again, or not; what is done stays done
        raise dg.RetryRequested(
            max_retries=max(error.max_retries for error in again),
            seconds_to_wait=max(error.seconds_to_wait or 0 for error in again),
        ) from again[0]
    if failed:
        raise _failure(failed, len(slugs))
    yield from ()


def materialization_of(
    result: dg.MaterializeResult[Any], partition: str, tags: Mapping[str, str] | None = None
) -> dg.AssetMaterialization:
    """``result`` as the event of one partition; ``tags`` give way to its own."""
    assert result.asset_key is not None
    version = {} if result.data_version is None else {"dagster/data_version": result.data_version.value}
    return dg.AssetMaterialization(
        asset_key=result.asset_key,
        partition=partition,
        metadata=result.metadata,
        tags={**(tags or {}), **(result.tags or {}), **version},
    )


def _observe(
    context: dg.AssetExecutionContext, fastlabel: FastLabelResource, spec: dg.AssetSpec, slugs: Iterable[str]
) -> Iterator[Any]:
    """Each project's state as an observation of its partition. In a run that does more, an observation of all
    partitions at once, without a version, comes first: Dagster leaves out what follows a step that yields nothing.

    Dagster reads a version off the newest observation, so a project that could not be looked at is observed with the
    version it had: it would seem to have changed otherwise, and once more with the next look."""
    from fastlabel_dagster.workspace import project_state

    does_more = len(context.job_def.nodes) > 1
    if does_more:
        yield dg.ObserveResult(asset_key=spec.key)
    failed: dict[str, Exception] = {}
    unseen = dict.fromkeys(slugs, "was not looked at any more")
    try:
        with fastlabel.dagster_errors(context) as client:
            for slug in tuple(unseen):
                try:
                    context.log_event(project_event(spec, slug, project_state(client, slug)))
                    del unseen[slug]
                except Unauthorized:
                    raise
                except FastLabelError as error:
                    failed[slug] = error
                    unseen[slug] = _said(error)
                    context.log.warning("%s: %s", slug, _said(error))
    finally:
        for slug, why in unseen.items() if does_more else ():
            if tags := version_tags(context.instance, spec.key, slug):
                context.log_event(
                    dg.AssetObservation(spec.key, partition=slug, description=why, metadata={"error": why}, tags=tags)
                )
    if failed and not is_synced_too(context, spec.key):
        raise _failure(failed, len(list(context.partition_keys)))


def _failure(failed: Mapping[str, Exception], of: int) -> dg.Failure:
    named = ", ".join(list(failed)[:5])
    return dg.Failure(
        description=f"{len(failed):,} of {of:,} projects failed: {named}{' …' if len(failed) > 5 else ''}",
        metadata={slug: _said(error) for slug, error in list(failed.items())[:50]},
        allow_retries=not all(_is_permanent(error) for error in failed.values()),
    )


def _is_permanent(error: Exception) -> bool:
    if isinstance(error, dg.Failure):
        return not error.allow_retries
    return isinstance(error, (*PERMANENT_ERRORS, ValueError))


def _said(error: Exception) -> str:
    if isinstance(error, dg.Failure):
        return error.description or "failed"
    if isinstance(error, dg.RetryRequested):
        return _said(error.__cause__) if isinstance(error.__cause__, Exception) else "to be tried again"
    return f"{error_kind(error) if isinstance(error, FastLabelError) else type(error).__name__}: {error}"
