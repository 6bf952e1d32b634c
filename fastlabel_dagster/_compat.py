"""The few things of Dagster that are not part of its public face, each in one place and each held by a test.

Everything else in this package uses names exported by ``import dagster``, so that a range of Dagster versions works.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

# What a component needs for `op:` and `translation:` in its YAML. Dagster's own integrations use them and its docs show
# them; they can be imported from where they live, but from no module that is declared public.
from dagster.components.resolved.core_models import OpSpec
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

if TYPE_CHECKING:
    from dagster.components import DefsStateConfig

__all__ = [
    "OpSpec",
    "TaggedAssets",
    "TranslationFn",
    "TranslationFnResolver",
    "add_run_tags",
    "component_spec",
    "function_of_step",
    "input_pointer_tag",
    "input_version_tag",
    "kept_whole",
    "known_version",
    "last_check_evaluation",
    "materialized_in_run",
    "provenance_tags",
    "refused_in_run",
    "run_step_as",
    "specs_of_run",
    "stored_state",
    "version_tags",
]


def add_run_tags(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Write tags onto a run that is already going; they are stored when this returns.

    ``DagsterInstance.add_run_tags`` exists since the beginning but is not marked public.
    """
    instance.add_run_tags(run_id, dict(tags))


def input_version_tag(key: dg.AssetKey) -> str:
    """The tag with which a materialization remembers the data version of its upstream asset ``key``.

    Dagster looks at the upstream version when a step starts. A sync learns the project's version only while it runs, so
    it states what it has really read; without this every sync of a changed project would leave the mirror marked stale.
    """
    return f"dagster/input_data_version/{key.to_user_string()}"


#: How many observations are looked through for one with a data version, in pages.
_PAGE, _PAGES = 20, 25


def known_version(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None) -> str | None:
    """The data version that an asset, or one partition of it, was last observed with; None when none of its latest 500
    observations has one.

    Dagster reads the version off the newest observation alone: one without a version (of a message, say) would make it
    take the asset for changed, and again for changed with the next look. Whoever reports such a thing adds this
    version (see :func:`version_tags`).
    """
    wanted = key if partition is None else dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    cursor: str | None = None
    for _ in range(_PAGES):
        found = instance.fetch_observations(wanted, limit=_PAGE, cursor=cursor)
        for record in found.records:
            observation = record.asset_observation
            version = observation.tags.get("dagster/data_version") if observation is not None else None
            if version:
                return version
        if not found.has_more:
            return None
        cursor = found.cursor
    return None


def version_tags(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None) -> dict[str, str]:
    """The tags of an observation that tells something about an asset without having looked at its state."""
    version = known_version(instance, key, partition)
    return {} if version is None else {"dagster/data_version": version}


@dataclass(frozen=True)
class TaggedAssets(dg.AssetSelection):
    """The materializable assets that have, of each of ``wanted``, at least one tag.

    The same can be said with ``dg.AssetSelection.tag``, ``|`` and ``&``, but every tag is then a look at all assets
    whenever a code location loads: for a sensor of 300 projects 7 million, and five seconds. ``dg.AssetSelection`` is
    public, what a selection of one's own has to have is not.
    """

    wanted: tuple[frozenset[tuple[str, str]], ...]

    def resolve_inner(self, asset_graph: Any, allow_missing: bool) -> AbstractSet[dg.AssetKey]:
        """The keys of the assets in a graph."""
        nodes = (node for node in asset_graph.asset_nodes if node.is_materializable)
        return {node.key for node in nodes if not any(group.isdisjoint(node.tags.items()) for group in self.wanted)}


def component_spec(*, produces: Sequence[str], **known: Any) -> dg.ComponentTypeSpec:
    """What a list of component types shows; ``produces`` where Dagster has it (1.13.0 does not yet)."""
    if "produces" in inspect.signature(dg.ComponentTypeSpec.__new__).parameters:
        known["produces"] = produces
    return dg.ComponentTypeSpec(**known)


def materialized_in_run(
    instance: dg.DagsterInstance, run_id: str
) -> Mapping[tuple[dg.AssetKey, str | None], Mapping[str, str]]:
    """The assets that a run has materialized so far, each with its partition, or None; the tags of its newest event.

    ``DagsterInstance.all_logs`` is not marked public; the public look-ups go by asset, not by run.
    """
    found: dict[tuple[dg.AssetKey, str | None], Mapping[str, str]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.dagster_event
        if event is not None and event.asset_key is not None:
            found[event.asset_key, event.partition] = event.step_materialization_data.materialization.tags or {}
    return found


def refused_in_run(instance: dg.DagsterInstance, run_id: str) -> frozenset[dg.AssetKey]:
    """The assets of which a blocking check failed when a run evaluated it last, bad enough to stop what follows."""
    newest: dict[dg.AssetCheckKey, dg.AssetCheckEvaluation] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event is not None:
            found = entry.dagster_event.asset_check_evaluation_data
            newest[found.asset_check_key] = found
    refusals = (one for one in newest.values() if one.blocking and not one.passed)
    return frozenset(one.asset_key for one in refusals if one.severity is dg.AssetCheckSeverity.ERROR)


def specs_of_run(context: dg.AssetExecutionContext) -> list[dg.AssetSpec]:
    """The assets that the job of a run makes or observes, those of the other steps included.

    ``JobDefinition.asset_layer`` is not marked public, and a run of a whole job names no assets.
    """
    made = [layer.assets_def for layer in context.job_def.asset_layer.data]
    return [spec for assets in made for spec in assets.specs if spec.key in assets.keys]


def last_check_evaluation(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The newest evaluation of a check; None when it was never evaluated. A run that is going on has planned one, which
    is no evaluation yet.

    The look-up of ``DagsterInstance`` gives the planned one, so its storage is asked; neither is marked public.
    """
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    found = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status={Status.SUCCEEDED, Status.FAILED}
    )
    entry = found[0].event if found else None
    event = entry.dagster_event if entry is not None else None
    return event.asset_check_evaluation_data if event is not None else None


class _KeptWhole(dg.AssetChecksDefinition):
    """Checks that stay checks when Dagster gives them other attributes."""

    @staticmethod
    def dagster_internal_init(**attributes: Any) -> dg.AssetsDefinition:
        """What every copy of a definition is made by."""
        with warnings.catch_warnings():  # some of the attributes are beta; whoever loads our checks has not chosen them
            warnings.simplefilter("ignore", dg.BetaWarning)
            return _KeptWhole(**attributes)


def kept_whole(checks: dg.AssetChecksDefinition) -> dg.AssetChecksDefinition:
    """``checks``, of which Dagster makes no copy for each check when a component's definitions are loaded.

    A component's definitions get metadata about their origin. The copy that holds it is an ``AssetsDefinition``, which
    the repository turns into checks again: once for each check, and each time with all checks of the step. For 1,500
    checks in one step that takes several seconds. Neither the copying nor a definition's attributes are marked public.
    """
    made = _KeptWhole.dagster_internal_init(**checks.get_attributes_dict())
    assert isinstance(made, _KeptWhole)
    return made


def run_step_as(
    definition: dg.AssetsDefinition, function: Callable[..., Any], *, tags: Mapping[str, Any], pool: str | None
) -> None:
    """Have the step of ``definition`` run ``function`` (of the same parameters) with these op tags more, in this pool.

    The definition itself is changed, so it must be one that Dagster has not seen yet. The decorator of observations
    takes neither tags nor a pool, and to copy a step of 1,200 checks costs 0.1 s whenever a code location loads. The
    attributes of an op are not public.
    """
    op = definition.op
    told = dg.OpDefinition(compute_fn=lambda *_: None, name=op.name, tags={**op.tags, **tags})
    op._compute_fn = op.compute_fn._replace(decorated_fn=function)  # type: ignore[union-attr]  # a decorator made it
    op._tags, op._pool = told.tags, pool


def function_of_step(definition: dg.AssetsDefinition) -> Callable[..., Any]:
    """The function that a step's definition was made of, to be called from another step with the same arguments.

    Dagster has no public way back from a definition to its function; calling the definition itself works in tests only.
    """
    function: Callable[..., Any] = definition.op.compute_fn.decorated_fn  # type: ignore[union-attr]
    return function


def input_pointer_tag(key: dg.AssetKey) -> str:
    """The tag with which a materialization remembers which event of its upstream asset ``key`` it was made from. Where
    the upstream asset is partitioned, Dagster goes by this, and not by :func:`input_version_tag`."""
    return f"dagster/input_event_pointer/{key.to_user_string()}"


def provenance_tags(
    instance: dg.DagsterInstance, deps: Iterable[dg.AssetKey], partition: str, run_id: str
) -> dict[str, str]:
    """What Dagster itself would note on a materialization of ``partition`` made from ``deps`` as they are now: a code
    version (the run, when the asset names none), and the newest event of each dependency with its data version.

    Dagster notes it on what a step yields; events that a step logs by itself would never be found stale without it.
    """
    tags = {"dagster/code_version": run_id}
    for key in deps:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
        records = instance.fetch_materializations(wanted, limit=1).records
        records = records or instance.fetch_observations(wanted, limit=1).records
        for record in records:
            event = record.asset_materialization or record.asset_observation
            tags[input_pointer_tag(key)] = str(record.storage_id)
            version = (event.tags or {}).get("dagster/data_version") if event is not None else None
            # of a partitioned upstream asset Dagster notes one hash over the versions of all partitions used: here one
            tags[input_version_tag(key)] = hashlib.sha256((version or "INITIAL").encode()).hexdigest()
    return tags


def stored_state(config: DefsStateConfig, path: Path) -> Path | None:
    """The newest state of a component that the instance keeps (``VERSIONED_STATE_STORAGE``), copied to ``path``; None
    when it keeps none.

    A component is told where to write its state, but not where the former one is.
    """
    from dagster._core.storage.defs_state.base import DefsStateStorage

    storage = DefsStateStorage.get() if config.management_type.value == "VERSIONED_STATE_STORAGE" else None
    info = storage.get_latest_defs_state_info() if storage is not None else None
    known = info.info_mapping.get(config.key) if info is not None else None
    if storage is None or known is None or known.management_type is not config.management_type:
        return None
    storage.download_state_to_path(config.key, known.version, path)
    return path
