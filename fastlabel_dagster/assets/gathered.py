"""The data steps of a project gathered into one step: what hundreds of projects in one code location are made of.

Dagster spends about a millisecond on every step when a code location loads, in each process of each run. A project has
nine steps of its own when they are separate; gathered it has one, which runs what is selected of it, in order, in one
process. Every asset keeps its key, its checks and its lineage, any subset can be materialized, and a step that is tried
again goes on where it failed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from fastlabel_dagster._compat import materialized_in_run, refused_in_run
from fastlabel_dagster.assets.steps import StepOptions, executed, results_of
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.store import disk_names
from fastlabel_dagster.translator import safe_name

#: Parts whose steps are gathered. What starts something at FastLabel (imports, trainings, evaluations …) keeps a step
#: of its own: it may wait for hours, and be tried again by rules of its own.
GATHERED = frozenset({"labels", "classes", "tasks", "annotations", "images", "export", "dataset"})

#: Tag of what a blocking check has refused, where Dagster does not know of the check; the check's name.
REFUSED_TAG = "fastlabel/refused_by"

Thing = TypeVar("Thing")


class GatheredConfig(dg.Config):
    """What one run may say about the assets of a gathered step."""

    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="By the last part of an asset's key, what its own step would take: {'coco': {'force': true}}.",
    )


@dataclass(frozen=True)
class Part:
    """One of the steps that were gathered: what it runs, and which assets and checks come of it."""

    name: str
    run: Callable[..., Any]
    specs: tuple[dg.AssetSpec, ...]
    checks: tuple[dg.AssetCheckSpec, ...] = ()
    pool: str | None = None

    @property
    def keys(self) -> frozenset[dg.AssetKey]:
        """The keys of its assets."""
        return frozenset(spec.key for spec in self.specs)

    @property
    def needs(self) -> frozenset[dg.AssetKey]:
        """The keys of the assets it is made from."""
        return frozenset(dep.asset_key for spec in self.specs for dep in spec.deps)


@dataclass(frozen=True)
class GatheringSteps(StepOptions):
    """Step options that hand back a :class:`Part` in place of a definition, for the parts that can be gathered."""

    parts: frozenset[str] = field(default=GATHERED)

    @property
    def gathered(self) -> bool:
        """Yes: whoever gathers makes the step."""
        return True

    def asset(
        self,
        run: Callable[..., Any],
        *,
        project: str,
        name: str,
        specs: Sequence[dg.AssetSpec],
        resource_key: str,
        **more: Any,
    ) -> Any:
        """A :class:`Part`, or for other parts what :class:`StepOptions` makes."""
        if not all(spec.tags.get("fastlabel/part") in self.parts for spec in specs):
            return super().asset(run, project=project, name=name, specs=specs, resource_key=resource_key, **more)
        body = run if self.execute is None else executed(run, self.execute, project, name)
        return Part(name, body, tuple(specs), tuple(more.get("check_specs") or ()), more.get("pool"))


def gathered_step(
    name: str,
    parts: Sequence[Part],
    *,
    resource_key: str,
    steps: StepOptions,
    retry_policy: dg.RetryPolicy | None = None,
    description: str | None = None,
) -> dg.AssetsDefinition:
    """One step called ``name`` that makes the assets of all ``parts``, or those of them that a run selects."""

    def run(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> Iterator[Any]:
        config = GatheredConfig(**context.op_execution_context.op_config)
        yield from run_parts(context, fastlabel, parts, options=config.options)

    specs = [spec for part in parts for spec in part.specs]
    partitioned = any(spec.partitions_def is not None for spec in specs)
    return dg.multi_asset(
        name=name,
        specs=specs,
        check_specs=[check for part in parts for check in part.checks],
        can_subset=True,
        config_schema=_config_fields(),
        pool=next((part.pool for part in parts if part.pool), None),
        op_tags=dict(steps.tags) or None,
        retry_policy=retry_policy,
        backfill_policy=steps.backfill_policy if partitioned else None,
        description=description,
    )(resource_named(resource_key, run))


def apart(things: Iterable[Thing], key_of: Callable[[Thing], dg.AssetKey]) -> list[list[Thing]]:
    """``things`` in as few groups as it takes to have no two in one whose keys Dagster would call the same in a step.

    It names the outputs of a step after the keys, everything but ASCII letters and digits an underscore: ``a-1`` and
    ``a_1`` are one name to it, and so are all Japanese slugs of one length.
    """
    groups: list[list[Thing]] = []
    taken: list[set[str]] = []
    for thing in things:
        name = re.sub(r"[^A-Za-z0-9_]", "_", "__".join(key_of(thing).path))
        place = next((number for number, names in enumerate(taken) if name not in names), len(groups))
        if place == len(groups):
            groups.append([])
            taken.append(set())
        groups[place].append(thing)
        taken[place].add(name)
    return groups


def folder_of(slug: str) -> str:
    """The folder of a project below the store of its workspace: the slug, where it is a plain name for a folder on any
    disk (a Japanese character takes three of the 255 bytes a name may have there), else its
    :func:`~fastlabel_dagster.translator.safe_name`."""
    plain = re.fullmatch(r"\w([\w.-]*\w)?", slug) and ".." not in slug and disk_names([slug], [slug]) == [slug]
    return slug if plain else safe_name(slug)


@lru_cache(maxsize=1)
def _config_fields() -> Mapping[str, Any]:
    """The fields of :class:`GatheredConfig`, made once: as a parameter of the step they would be made for each step."""
    return GatheredConfig.to_fields_dict()


def run_parts(
    context: dg.AssetExecutionContext,
    fastlabel: Any,
    parts: Iterable[Part],
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    selected: Collection[dg.AssetKey] | None = None,
    done: Collection[dg.AssetKey] | None = None,
    told: bool = False,
) -> Iterator[Any]:
    """Run the parts that a run selects, one after the other, and yield their results as each is done.

    A part that fails, or one of whose blocking checks fails, keeps those from running that are made from it; the others
    go on, and at the end the first failure is raised, or, when a part asks to be tried again, that. When a step is
    tried again, parts that this run has made already are left alone (:func:`made_before`). What a part makes beside the
    selected assets is logged as materialized.

    Args:
        options: see :class:`GatheredConfig`.
        selected: the assets to make; None: those the run selects. done: those that need not be made again; None: those
            that an earlier attempt of the step has materialized.
        told: put the results of checks into the metadata, where Dagster does not take them as checks.

    Raises:
        Exception: of the first part that failed.
        dagster.RetryRequested: a part asks for it, whatever else has failed.
        dagster.Failure: a blocking check failed that Dagster does not know of.
    """
    wanted = frozenset(context.selected_asset_keys if selected is None else selected)
    done = frozenset({key for key, _ in made_before(context)} if done is None else done)
    failed: set[dg.AssetKey] = set()
    first: Exception | None = None
    again: list[dg.RetryRequested] = []
    for part in parts:
        missing = (part.keys & wanted) - done
        if not missing:
            continue
        hindered = part.needs & failed
        if hindered:
            failed |= part.keys
            context.log.warning("%s was left out: %s failed.", part.name, _named(hindered))
            continue
        try:
            for result in results_of(part.run(context, **_given(part, context, fastlabel, options or {}))):
                refused = _blocked(part, result)
                failed |= refused.keys()
                yield from _within(context, result, wanted, told=told, refused=refused)
                if refused and told:
                    first = first or dg.Failure(
                        f"A blocking check of {_named(refused)} failed: {_checks_text(result)}", allow_retries=False
                    )
        except Exception as error:  # noqa: BLE001 - raised below, when the parts that do not need this one are done
            failed |= part.keys
            context.log.warning("%s failed: %s: %s", part.name, type(error).__name__, error)
            first = first or error
            if isinstance(error, dg.RetryRequested):
                again.append(error)
    if again:
        raise dg.RetryRequested(
            max_retries=max(error.max_retries for error in again),
            seconds_to_wait=max(error.seconds_to_wait or 0 for error in again),
        ) from again[0]
    if first is not None:
        raise first


def made_before(context: dg.AssetExecutionContext) -> frozenset[tuple[dg.AssetKey, str | None]]:
    """What earlier attempts of a step have made in this run, each with its partition, or None.

    What a blocking check has refused is not among it. It is made once more and checked once more, as Dagster has it
    when a run is executed again from what failed: taken for made, it would pass, and what follows be made of it.
    """
    if not context.retry_number:
        return frozenset()
    refused = refused_in_run(context.instance, context.run.run_id)
    before = materialized_in_run(context.instance, context.run.run_id).items()
    return frozenset(one for one, tags in before if one[0] not in refused and REFUSED_TAG not in tags)


def _given(
    part: Part, context: dg.AssetExecutionContext, fastlabel: Any, options: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The arguments of a part's function beside the context: the resource, and its configuration where it takes one."""
    given: dict[str, Any] = {}
    for parameter in list(inspect.signature(part.run, eval_str=True).parameters.values())[1:]:
        kind = parameter.annotation
        if parameter.name == "fastlabel":
            given[parameter.name] = fastlabel
        elif isinstance(kind, type) and issubclass(kind, dg.Config):
            told: dict[str, Any] = {}
            for spec in part.specs:
                told |= options.get(spec.key.path[-1], {})
            given[parameter.name] = kind(**told)
    return given


def _blocked(part: Part, result: Any) -> dict[dg.AssetKey, str]:
    """The assets that a blocking check has just refused, each with the name of a check that did."""
    blocking = {(check.asset_key, check.name) for check in part.checks if check.blocking}
    found: Iterable[Any] = (getattr(result, "check_results", None) or ()) if not _is_check(result) else (result,)
    return {
        check.asset_key: check.check_name
        for check in found
        if not check.passed
        and check.severity is dg.AssetCheckSeverity.ERROR
        and (check.asset_key, check.check_name) in blocking
    }


def _within(
    context: dg.AssetExecutionContext,
    result: Any,
    wanted: frozenset[dg.AssetKey],
    *,
    told: bool,
    refused: Mapping[dg.AssetKey, str],
) -> Iterator[Any]:
    """``result`` as Dagster takes it from a step of which only ``wanted`` and the selected checks are expected."""
    checks = context.selected_asset_check_keys
    if _is_check(result):
        if dg.AssetCheckKey(result.asset_key, result.check_name) in checks:
            yield result
        return
    if not isinstance(result, dg.MaterializeResult) or result.asset_key is None:
        yield result
        return
    if result.asset_key not in wanted:
        if context.has_partition_key or told:
            return  # an event without its partition would be a lie
        version = {} if result.data_version is None else {"dagster/data_version": result.data_version.value}
        context.log_event(
            dg.AssetMaterialization(
                asset_key=result.asset_key, metadata=result.metadata, tags={**(result.tags or {}), **version}
            )
        )
        return
    noted = {REFUSED_TAG: refused[result.asset_key]} if told and result.asset_key in refused else {}
    kept = [one for one in result.check_results or () if dg.AssetCheckKey(_of(one, result), _check_name(one)) in checks]
    yield dg.MaterializeResult(
        asset_key=result.asset_key,
        metadata={
            **(result.metadata or {}),
            **({"checks": _checks_text(result)} if told and result.check_results else {}),
        },
        check_results=kept,
        data_version=result.data_version,
        tags={**(result.tags or {}), **noted} or None,
    )


def _checks_text(result: Any) -> str:
    """The checks of a result in a line: what failed and why, how many passed."""
    checks = (result,) if _is_check(result) else result.check_results or ()
    failed = [f"{_check_name(one)} ({one.description})" for one in checks if not one.passed]
    passed = f"{sum(1 for one in checks if one.passed)} passed"
    return "; ".join([*(f"failed: {one}" for one in failed), passed])


def _of(check: dg.AssetCheckResult, result: dg.MaterializeResult[Any]) -> dg.AssetKey:
    found = check.asset_key or result.asset_key
    assert found is not None
    return found


def _check_name(check: dg.AssetCheckResult) -> str:
    return check.check_name or ""


def _is_check(result: Any) -> bool:
    return isinstance(result, dg.AssetCheckResult)


def _named(keys: Iterable[dg.AssetKey]) -> str:
    return ", ".join(sorted(key.to_user_string() for key in keys))
