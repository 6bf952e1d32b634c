"""``@fastlabel_project_assets``: the assets of a project around a function of your own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.gathered import GatheringSteps, Part, run_parts

if TYPE_CHECKING:
    from fastlabel_dagster.assets.plan import ExportLike
    from fastlabel_dagster.resource import FastLabelResource
    from fastlabel_dagster.translator import DagsterFastLabelTranslator


@dataclass(frozen=True)
class ProjectParts:
    """What a function below :func:`fastlabel_project_assets` is given as ``parts``: the work it may leave to us.

    Attributes:
        specs: of the assets, as the translator gave them.
        check_specs: of their checks.
    """

    specs: tuple[dg.AssetSpec, ...]
    check_specs: tuple[dg.AssetCheckSpec, ...]
    _parts: tuple[Part, ...]

    def key(self, name: str) -> dg.AssetKey:
        """The key of the asset ``name`` (``labels``, ``coco`` …). Raises KeyError when it was not chosen."""
        for spec in self.specs:
            if spec.key.path[-1] == name:
                return spec.key
        raise KeyError(name)

    def materialize(
        self,
        context: dg.AssetExecutionContext,
        fastlabel: FastLabelResource,
        *,
        only: Iterable[str] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Iterator[Any]:
        """Do what the package does for these assets, and yield the results; what the run does not select is left out.

        Args:
            only: names of assets (``["labels"]``); None: all of them. Several calls may share the work.
            options: by name, what a step takes: ``{"coco": {"force": True}}``.

        Raises:
            KeyError: ``only`` names an asset that was not chosen.
        """
        chosen = {spec.key for spec in self.specs} if only is None else {self.key(name) for name in only}
        selected = chosen & set(context.selected_asset_keys)
        yield from run_parts(context, fastlabel, self._parts, options=options, selected=selected)


def fastlabel_project_assets(
    *,
    project: str,
    store: str | Path,
    assets: Collection[str] | None = None,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    dataset: str | None = None,
    translator: DagsterFastLabelTranslator | None = None,
    name: str | None = None,
    pool: str | None = "fastlabel",
    retry_policy: dg.RetryPolicy | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    op_tags: Mapping[str, Any] | None = None,
    can_subset: bool = True,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make the function below it the step of a project's assets: specs and checks are ours, the body is yours.

    The function takes ``context``, the resource ``fastlabel`` (any other resource and a config, too), and, when it has
    a parameter ``parts``, the :class:`ProjectParts`, whose ``materialize`` does what the package would do.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster import FastLabelResource
        >>> from fastlabel_dagster.assets.decorator import fastlabel_project_assets
        >>> @fastlabel_project_assets(project="street", store="data/street", assets=["labels", "coco"])
        ... def street(context: dg.AssetExecutionContext, fastlabel: FastLabelResource, parts):
        ...     context.log.info("street begins")
        ...     yield from parts.materialize(context, fastlabel)
        >>> sorted(key.to_user_string() for key in street.keys)
        ['street/coco', 'street/labels']

    Args:
        assets: which of the data assets of the project, by the last part of their keys: ``labels``, ``classes``,
            ``tasks``, ``annotations``, ``images``, ``dataset``, and the names of exports. None: all of them. Checks
            come with their assets.
        store, exports, dataset, translator, options: as for
            :func:`~fastlabel_dagster.assets.build_fastlabel_project_assets`.
        name: of the step; by default the function's.
        pool, retry_policy, backfill_policy, op_tags, can_subset: of the step, as ``dg.multi_asset`` takes them.
        partitions_def: of the assets to which the translator gives no partitions.

    Raises:
        ValueError: an asset is named that the project does not have, or an argument is unusable.
    """
    made = build_fastlabel_project_assets(
        project,
        store=store,
        exports=exports,
        dataset=dataset,
        translator=translator,
        pool=pool,
        steps=GatheringSteps(),
        **options,
    )
    every = [one for one in made if isinstance(one, Part)]
    parts = _chosen(every, assets, partitions_def)

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        step_name = name or function.__name__
        return dg.multi_asset(
            name=step_name,
            specs=parts.specs,
            check_specs=parts.check_specs,
            can_subset=can_subset,
            pool=pool,
            retry_policy=retry_policy,
            backfill_policy=backfill_policy,
            op_tags=op_tags,
            description=inspect.getdoc(function),
        )(_given_parts(function, parts))

    return decorate


def _chosen(
    every: Sequence[Part], assets: Collection[str] | None, partitions_def: dg.PartitionsDefinition[Any] | None
) -> ProjectParts:
    names = {spec.key.path[-1] for part in every for spec in part.specs}
    unknown = sorted(set(assets or ()) - names)
    if unknown:
        raise ValueError(f"the project has no data asset {', '.join(unknown)}; it has {', '.join(sorted(names))}")
    specs = [
        spec
        if spec.partitions_def is not None or partitions_def is None
        else spec.replace_attributes(partitions_def=partitions_def)
        for part in every
        for spec in part.specs
        if assets is None or spec.key.path[-1] in assets
    ]
    keys = {spec.key for spec in specs}
    checks = [check for part in every for check in part.checks if check.asset_key in keys]
    return ProjectParts(tuple(specs), tuple(checks), tuple(every))


def _given_parts(function: Callable[..., Any], parts: ProjectParts) -> Callable[..., Any]:
    """``function`` without its parameter ``parts``, which is given here; annotations become real types on the way."""
    signature = inspect.signature(function, eval_str=True)
    shown = [one for one in signature.parameters.values() if one.name != "parts"]
    given = {"parts": parts} if "parts" in signature.parameters else {}
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def called(*args: Any, **more: Any) -> Any:
            yield from function(*args, **more, **given)

    else:

        @functools.wraps(function)
        def called(*args: Any, **more: Any) -> Any:
            return function(*args, **more, **given)

    vars(called).pop("__wrapped__", None)  # Dagster would look through to the parameter it must not see
    vars(called)["__signature__"] = signature.replace(parameters=shown)
    called.__annotations__ = {one.name: one.annotation for one in shown}
    return called
