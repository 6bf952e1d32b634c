"""A whole workspace as assets: every selected project with what is made of it, datasets, jobs, models, imports."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import dagster as dg

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.built import BuiltTranslator
from fastlabel_dagster.assets.decorator import fastlabel_project_assets
from fastlabel_dagster.assets.gathered import GatheringSteps, Part, folder_of, gathered_step
from fastlabel_dagster.assets.gathered_checks import CheckedProject, gathered_checks
from fastlabel_dagster.assets.observation import Observed, observation_steps, observed_dataset, observed_project
from fastlabel_dagster.assets.partitioned import build_partitioned_workspace_assets
from fastlabel_dagster.assets.plan import checked_store, refuse_kinds
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.assets.workspace_specs import (
    REFUSED,
    InformedTranslator,
    dataset_specs,
    job_specs,
    project_specs,
    props_of,
    workspace_specs,
)
from fastlabel_dagster.checks import CheckPlan, checks_of_one
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator, dataset_name, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.assets.plan import ExportLike
    from fastlabel_dagster.workspace import FastLabelWorkspace, ProjectSelector

    SelectorLike: TypeAlias = ProjectSelector | Mapping[str, Any] | str | Iterable[str] | None

#: A fetched workspace, which costs no network, or the resource to fetch one with.
WorkspaceLike: TypeAlias = "FastLabelWorkspace | FastLabelResource"

__all__ = [
    "InformedTranslator",
    "WorkspaceLike",
    "build_fastlabel_assets_definitions",
    "build_partitioned_workspace_assets",
    "fastlabel_project_assets",
    "fetched",
    "load_fastlabel_asset_specs",
]

log = logging.getLogger("fastlabel_dagster.assets")

Made = TypeVar("Made")


def load_fastlabel_asset_specs(
    workspace: WorkspaceLike,
    translator: DagsterFastLabelTranslator | None = None,
    selector: SelectorLike = None,
) -> Sequence[dg.AssetSpec]:
    """What is in a workspace at FastLabel, as external assets: nothing here is materialized by Dagster.

    Of each selected project: itself (``fastlabel/<slug>``), its annotation classes, import histories and
    auto-annotation jobs (``fastlabel/<slug>/…``). Of the workspace: each dataset and each trained model, the trainings
    and the evaluations (``fastlabel_workspace/…``). What the workspace does not hold (because it was not fetched, or
    could not be had) has no asset. Counts, ids, types, statuses and errors are metadata of the specs.

    Args:
        workspace: fetched before, or a resource to fetch it with now: then this costs a few requests for each selected
            project, every time the code location loads. A state file
            (:class:`~fastlabel_dagster.components.FastLabelWorkspaceComponent`) spares that.
        translator: names and describes the assets.
        selector: which projects; for a resource, it is applied before anything of a project is fetched.

    Raises:
        FastLabelError: the workspace is a resource, and its list of projects cannot be had.

    Example:
        >>> specs = load_fastlabel_asset_specs(workspace)     # doctest: +SKIP
        >>> defs = dg.Definitions(assets=specs)               # doctest: +SKIP
    """
    found = fetched(workspace, selector)
    told = InformedTranslator(translator, found)
    specs: list[dg.AssetSpec] = []
    for project in found.projects:
        try:
            specs += project_specs(project, told)
        except REFUSED as error:
            log.warning("project %s was left out: %s", project.slug, error)
    return _distinct([*specs, *workspace_specs(found, told)], lambda spec: spec.key)


def fetched(workspace: WorkspaceLike, selector: SelectorLike = None) -> FastLabelWorkspace:
    """The workspace itself, narrowed to ``selector``, or what the resource fetches."""
    if not isinstance(workspace, FastLabelResource):
        return workspace.select(selector)
    from fastlabel_dagster.workspace import fetch_workspace

    try:
        return fetch_workspace(workspace.client, selector, log=log.warning)
    finally:
        workspace.close()


def build_fastlabel_assets_definitions(
    workspace: WorkspaceLike,
    *,
    store: str | Path,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    selector: SelectorLike = None,
    dataset: str | None = None,
    projects: Mapping[str, Mapping[str, Any]] | None = None,
    translator: DagsterFastLabelTranslator | None = None,
    partitions: Literal["project"] | None = None,
    gather: bool = True,
    name: str = "fastlabel",
    resource_key: str = "fastlabel",
    pool: str | None = "fastlabel",
    steps: StepOptions | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    **options: Any,
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """Every selected project of a workspace with all its assets, and the workspace's datasets, jobs and models.

    Each project gets what :func:`~fastlabel_dagster.assets.build_fastlabel_project_assets` gives, its store being
    ``<store>/<slug>``. Projects and datasets are observable: one step (``observe_<name>``) looks at all projects, and
    one (``observe_<name>_datasets``) at all datasets, or at those a run selects. A project that cannot be built (its
    slug is no key, or Dagster refuses a tag the translator makes of its title, say) is left out with a warning in the
    log; so is what has the key of another asset. What could
    not be fetched of a project is in the metadata of its asset. None of it takes the code location down.

    With ``gather`` the data steps of each project are one step (``<slug>_project``; see
    :mod:`~fastlabel_dagster.assets.gathered`), and one step answers all checks that ask the API. Three hundred projects
    load in half the time that way. Where even that is too long, ``partitions="project"`` gives one set of assets with a
    partition for each project (:func:`~fastlabel_dagster.assets.partitioned.build_partitioned_workspace_assets`), which
    loads at once however many projects there are.

    Args:
        workspace, selector: as for :func:`load_fastlabel_asset_specs`.
        exports: of each project.
        dataset: name of the dataset that each project's approved tasks are published to, in which ``{slug}`` stands for
            the slug in the form that datasets are named in: ``"{slug}"``, ``"train-{slug}"``. None publishes nothing.
        partitions: ``"project"`` for the one set of assets; then there is no ``dataset`` and no ``projects``, and what
            has a partition is not ``selector``'s matter but that of
            :func:`~fastlabel_dagster.partitions.partition_changes`.
        projects: by slug, what is different for a project: any argument of ``build_fastlabel_project_assets``. Its
            ``checks`` say what differs, check by check, and are otherwise those of all.
        gather: False gives every project the separate steps it would have alone.
        name: part of the names of the steps that serve all projects, and of the set of partitions
            (``<name>_projects``); two workspaces need two.
        pool, steps, retry_policy: of the steps. ``steps.name``, when given, begins the name of every project's steps.
        options: further arguments of ``build_fastlabel_project_assets``, the same for every project: ``training``,
            ``checks``, ``group_name``, ``s3`` …

    Raises:
        ValueError: an argument is unusable for every project, such as an unknown export format; or ``projects`` has
            an option that a project does not take, or a value that suits no project.
        dagster.DagsterInvalidDefinitionError: Dagster refuses what the translator makes of every project.
        FastLabelError: as for :func:`load_fastlabel_asset_specs`.
    """
    found = fetched(workspace, selector)
    told = InformedTranslator(translator, found)
    base = steps or StepOptions()
    root = checked_store(store).rstrip("/")
    refuse_kinds(dataset=dataset, resource_key=resource_key, pool=pool)
    shared = partial(base.around, project="", resource_key=resource_key, pool=pool)
    if partitions is not None:
        if dataset is not None or projects:
            raise ValueError("assets partitioned by project publish no dataset, and have no options of single projects")
        partitioned = build_partitioned_workspace_assets(
            store=store,
            exports=exports,
            name=f"{name}_projects",
            translator=translator,
            resource_key=resource_key,
            pool=pool,
            steps=steps,
            retry_policy=retry_policy,
            **options,
        )
        return [*partitioned, *shared(_of_workspace(found, told, {}, [], name, resource_key))]
    _check_options(projects or {})
    separate = replace(base, name=None)
    common = {"exports": list(exports), "resource_key": resource_key, "pool": pool, **options}
    built: list[dg.AssetsDefinition | dg.AssetSpec] = []
    observed: list[Observed] = []
    checked: list[CheckedProject] = []
    published: dict[str, list[dg.AssetKey]] = {}
    taken: set[dg.AssetKey] = set()
    problem: Exception | None = None
    for project in found.projects:
        slug = project.slug
        prefix = f"{base.name}_{safe_name(slug)}" if base.name else safe_name(slug)
        said = (projects or {}).get(slug) or {}
        own = {**common, **said}
        own.setdefault("dataset", dataset and dataset.replace("{slug}", dataset_name(slug)))
        own.setdefault("store", f"{root}/{folder_of(slug)}")
        own["checks"] = checks_of_one(options.get("checks"), said.get("checks"))
        kind = _gathering(separate, prefix) if gather else replace(separate, name=prefix)
        try:
            made = build_fastlabel_project_assets(slug, translator=told, steps=kind, **own)
            shown = project_specs(project, told)
        except REFUSED as error:
            _refuse_options(slug, common, said)
            log.warning("project %s was left out: %s", slug, error)
            problem = error
            continue
        parts = [one for one in made if isinstance(one, Part)]
        rest = [one for one in made if not isinstance(one, Part)]
        if parts:
            step = gathered_step(
                f"{prefix}_project",
                parts,
                resource_key=resource_key,
                steps=base,
                retry_policy=retry_policy,
                description=f"Mirrors {slug} and makes what is selected of its tables, images, exports and dataset.",
            )
            rest.append(step)
        keys = {key for one in rest for key in _keys(one)}
        if keys & taken:
            both = ", ".join(sorted(key.to_user_string() for key in keys & taken))
            log.warning("project %s was left out: another asset is called %s; a translator can rename it", slug, both)
            continue
        taken |= keys
        for one in rest:
            if isinstance(one, dg.AssetSpec) and one.key == shown[0].key:
                observed.append(observed_project(one, slug))
                if gather:
                    checks = CheckPlan.of(own["checks"]) if "checks" in said else None
                    known = BuiltTranslator(rest, told)
                    checked.append(CheckedProject(slug, known, own.get("training") is not None, checks))
            else:
                built.append(one)
        more = _distinct(shown[1:], lambda spec: spec.key, taken)
        taken |= {spec.key for spec in more}
        built += more
        if own["dataset"]:
            published.setdefault(str(own["dataset"]), []).append(told.key_of(props_of(slug, "dataset")))
    if problem is not None and not taken:
        raise problem
    built += shared(_of_workspace(found, told, published, observed, name, resource_key, taken))
    built += shared(gathered_checks(f"{name}_checks", checked, resource_key=resource_key, checks=options.get("checks")))
    return built


def _of_workspace(  # noqa: PLR0917 - private, and each of them is another thing
    workspace: FastLabelWorkspace,
    translator: DagsterFastLabelTranslator,
    published: Mapping[str, Sequence[dg.AssetKey]],
    observed: Sequence[Observed],
    name: str,
    resource_key: str,
    taken: Iterable[dg.AssetKey] = (),
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets that belong to no project, and the steps that look at datasets and at the projects ``observed``.
    What would have a key that is ``taken`` is left out."""
    seen: list[Observed] = []
    datasets = _distinct(dataset_specs(workspace, translator), lambda named: named[1].key, taken)
    for dataset, spec in datasets:
        made_from = [key for key in published.get(dataset, ()) if key not in {dep.asset_key for dep in spec.deps}]
        seen.append(observed_dataset(spec.replace_attributes(deps=[*spec.deps, *made_from]), dataset))
    before = {*taken, *(spec.key for _, spec in datasets)}
    built: list[dg.AssetsDefinition | dg.AssetSpec] = []
    built += _distinct(job_specs(workspace, translator), lambda spec: spec.key, before)
    built += observation_steps(name, projects=observed, datasets=seen, resource_key=resource_key)
    return built


def _gathering(steps: StepOptions, name: str) -> GatheringSteps:
    return GatheringSteps(name, steps.tags, steps.backfill_policy, steps.execute, steps.severities)


def _keys(made: dg.AssetsDefinition | dg.AssetSpec) -> Iterable[dg.AssetKey]:
    return (made.key,) if isinstance(made, dg.AssetSpec) else made.keys


def _distinct(
    things: Iterable[Made], key_of: Callable[[Made], dg.AssetKey], taken: Iterable[dg.AssetKey] = ()
) -> list[Made]:
    """The things whose key is not ``taken``, of two with one key the first; the others are named in the log."""
    known, kept = set(taken), []
    for thing in things:
        key = key_of(thing)
        if key in known:
            log.warning("a second asset called %s was left out; a translator can rename it", key.to_user_string())
        else:
            known.add(key)
            kept.append(thing)
    return kept


def _check_options(projects: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError for an option of a single project that there is none of."""
    ours = {"project", "translator", "steps"}
    known = [one for one in inspect.signature(build_fastlabel_project_assets).parameters if one not in ours]
    for slug, options in projects.items():
        if not isinstance(options, Mapping):
            raise ValueError(f"projects: {slug}: what differs for a project is a mapping, such as {{exports: [coco]}}")
        unknown = [str(one) for one in options if one not in known]
        if unknown:
            raise ValueError(f"project {slug} has no option {', '.join(unknown)}; there are {', '.join(known)}")


def _refuse_options(slug: str, common: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """A project that cannot be built for what FastLabel says of it is left out; what somebody has written of it is
    told. Raises ValueError when that, or what is written of all, would suit no project."""
    for own in (False, True) if said else ():
        given = {"store": "store", **common, **(said if own else {})}
        try:
            build_fastlabel_project_assets("project", steps=_gathering(StepOptions(), "project"), **given)
        except REFUSED as error:
            if own:
                raise ValueError(f"projects: {slug}: {error}") from error
            raise
