"""``StepOptions``: how Dagster runs the steps of a project's assets, whatever the steps do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import dagster as dg

from fastlabel_dagster._compat import function_of_step, run_step_as
from fastlabel_dagster.resource import resource_named


@dataclass(frozen=True)
class FastLabelStep:
    """One step that is about to run.

    Attributes:
        project: slug of the project; empty for a step that serves several, such as the observation of a workspace.
        name: the step's op, such as ``street_scenes_labels``.
        run: does the work and yields its results; nothing has happened before it is called.
    """

    project: str
    name: str
    run: Callable[[], Iterator[Any]]


#: What a step is run with: one that makes or observes assets, or one that only checks them.
StepContext: TypeAlias = dg.AssetExecutionContext | dg.AssetCheckExecutionContext
#: ``execute(context, step)``: runs ``step.run()`` and yields what it yields, with whatever it does before and after.
Execute: TypeAlias = Callable[[StepContext, FastLabelStep], Iterable[Any]]
#: Anything among the assets of a code location.
Made = TypeVar("Made", bound=dg.AssetsDefinition | dg.AssetSpec)


@dataclass(frozen=True)
class StepOptions:
    """What the steps of a project have in common.

    Attributes:
        name: begins the names of ops, jobs, sensors and schedule; None makes it from the slug. Two instances of one
            project in one code location need two names.
        tags: tags of every op.
        backfill_policy: how a backfill of partitioned assets is cut into runs.
        execute: runs each step, those that observe and check included; None runs it as it is.
        severities: by name, how bad it is when a check fails that sensors report, for when it is executed by hand.
    """

    name: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    backfill_policy: dg.BackfillPolicy | None = None
    execute: Execute | None = None
    severities: Mapping[str, dg.AssetCheckSeverity] = field(default_factory=dict)

    @property
    def gathered(self) -> bool:
        """Whether somebody gathers the steps of a project into one, and adds what looks at it and checks it himself."""
        return False

    def asset(
        self,
        run: Callable[..., Any],
        *,
        project: str,
        name: str,
        specs: Sequence[dg.AssetSpec],
        resource_key: str,
        **more: Any,
    ) -> dg.AssetsDefinition:
        """``run(context, fastlabel, …)`` as the asset or assets ``specs``, called ``name`` among the ops."""
        if self.tags:
            more["op_tags"] = {**more.get("op_tags", {}), **self.tags}
        if any(spec.partitions_def is not None for spec in specs):
            more.setdefault("backfill_policy", self.backfill_policy)
        body = run if self.execute is None else executed(run, self.execute, project, name)
        return dg.multi_asset(name=name, specs=specs, **more)(resource_named(resource_key, body))

    def around(self, made: Iterable[Made], *, project: str, resource_key: str, pool: str | None) -> list[Made]:
        """``made``, the steps among which that observe or check are run as the others are: by ``execute``, with
        ``tags``, and, when they ask the API, in ``pool``. What they check is as bad as ``severities`` say.

        Those definitions are changed themselves: give only what was just made. Steps that make assets are left alone,
        as :meth:`asset` has made them.
        """
        found = list(made)
        for one in found:
            if not isinstance(one, dg.AssetsDefinition):
                continue  # a spec, or what is gathered and becomes a step later
            if one.is_materializable and not isinstance(one, dg.AssetChecksDefinition):
                continue
            op, function = one.op, function_of_step(one)
            if any(spec.name in self.severities for spec in one.check_specs):
                function = _graded(function, self.severities)
            if self.execute is not None:
                function = executed(function, self.execute, project, op.name)
            asks = resource_key in op.required_resource_keys
            run_step_as(one, function, tags=self.tags, pool=op.pool or (pool if asks else None))
        return found


def executed(run: Callable[..., Any], execute: Execute, project: str, name: str) -> Callable[..., Iterator[Any]]:
    """``run`` as the step ``name`` of ``project``, run by ``execute``."""

    @functools.wraps(run)
    def executed(context: StepContext, *args: Any, **given: Any) -> Iterator[Any]:
        step = FastLabelStep(project, name, lambda: results_of(run(context, *args, **given)))
        yield from execute(context, step)

    return executed


def _graded(run: Callable[..., Any], severities: Mapping[str, dg.AssetCheckSeverity]) -> Callable[..., Iterator[Any]]:
    """``run``, the results of whose checks have the severities that are said of them."""

    @functools.wraps(run)
    def graded(context: StepContext, *args: Any, **given: Any) -> Iterator[Any]:
        for result in results_of(run(context, *args, **given)):
            severity = severities.get(result.check_name or "") if isinstance(result, dg.AssetCheckResult) else None
            if severity is None:
                yield result
                continue
            yield dg.AssetCheckResult(
                asset_key=result.asset_key,
                check_name=result.check_name,
                passed=result.passed,
                severity=severity,
                description=result.description,
                metadata=result.metadata,
            )

    return graded


def results_of(result: Any) -> Iterator[Any]:
    """What a step gave, one by one: a generator, a single result, several of them, or nothing."""
    if result is None:
        return
    if isinstance(result, Iterator | list) or type(result) is tuple:
        yield from result
    else:
        yield result
