"""The approval sensor: when enough tasks have newly been approved, the retraining job runs, once per batch."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import dagster as dg

from fastlabel_dagster.api.errors import FastLabelError
from fastlabel_dagster.resource import FastLabelResource, error_kind
from fastlabel_dagster.sensors.cursor import dump_cursor, load_cursor
from fastlabel_dagster.sensors.target import JobLike, target_of
from fastlabel_dagster.translator import safe_name

_KIND = "approvals"


def build_approval_sensor(
    project: str,
    *,
    every: int,
    job: JobLike | None = None,
    status: str = "approved",
    first_tick: Literal["from_now", "backfill"] = "from_now",
    name: str | None = None,
    resource_key: str = "fastlabel",
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that requests one run of ``job`` whenever ``every`` more tasks are approved than at the last request.

    It costs one request per tick (``tasks.count``). **Net count**: it compares how many tasks are approved now with how
    many there were when it last fired. The remembered number follows the count down, so a task that is sent back and
    approved again counts again; a task approved and another sent back between two ticks cancel out. All approvals known
    at a tick belong to that batch: 95 new ones with ``every=40`` are one run, not two.

    The first tick after the sensor is switched on (or its cursor is reset) only remembers and never fires:
    ``first_tick="from_now"`` counts from the present number, ``"backfill"`` counts tasks approved earlier as new.

    Each batch has a ``run_key`` made of the cursor's birth mark and the batch number, so a batch that is evaluated
    twice (daemon restarted before it stored the cursor) still launches one run.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster import build_approval_sensor
        >>> retrain = dg.define_asset_job("retrain", selection=dg.AssetSelection.groups("street_scenes"))
        >>> definitions = dg.Definitions(
        ...     jobs=[retrain], sensors=[build_approval_sensor("street-scenes", every=200, job=retrain)]
        ... )

    Args:
        project: slug of the project.
        every: how many newly approved tasks make a batch, at least 1.
        job: the job to run, as an object, or by the name of one among the same ``Definitions``: Dagster refuses to load
            a sensor whose job is not there. None: the project's assets from mirror to training, no job is needed.
        status: the task status that counts.
        resource_key: under which key the code location holds its :class:`FastLabelResource`.

    Raises:
        ValueError: ``every`` is below 1.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, not {every}")

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult | dg.SkipReason:
        state = load_cursor(context.cursor, _KIND, context.log)
        try:
            count = int(fastlabel.client.tasks.count(project, status=status))
        except FastLabelError as error:
            return dg.SkipReason(f"{project}: {error_kind(error)}: {error}. Nothing is lost; next tick tries again.")
        if state is None:
            baseline = count if first_tick == "from_now" else 0
            return _quiet(
                f"{project}: watching from {baseline} {status} tasks (now {count}); a run follows {every} more.",
                {"epoch": uuid.uuid4().hex[:12], "baseline": baseline, "batch": 0},
            )
        baseline = min(int(state["baseline"]), count)
        new = count - baseline
        if new < every:
            return _quiet(
                f"{project}: {new} of {every} newly {status} ({count} in all).", {**_own(state), "baseline": baseline}
            )
        batch = int(state["batch"]) + 1
        request = dg.RunRequest(
            run_key=f"fastlabel/{project}/{status}/{state['epoch']}/{batch}",
            tags={
                "fastlabel/project": project,
                "fastlabel/trigger": f"{new} newly {status}",
                "fastlabel/batch": str(batch),
            },
        )
        context.log.info("%s: %d newly %s (%d in all): requesting a run.", project, new, status, count)
        cursor = dump_cursor(_KIND, {"epoch": state["epoch"], "baseline": count, "batch": batch})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return target_of(
        evaluate,
        name=name or f"{safe_name(project)}_approvals",
        description=f"Requests a run for every {every} newly {status} tasks of {project}.",
        job=job,
        projects=[project],
        training=True,
        resource_key=resource_key,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
    )


def _own(state: dict[str, Any]) -> dict[str, Any]:
    return {key: state[key] for key in ("epoch", "baseline", "batch")}


def _quiet(reason: str, state: dict[str, Any]) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=dump_cursor(_KIND, state))
