"""The annotated sensor: what a model has drawn is synced once, whether a run or the jobs sensor has reported it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from fastlabel_dagster.sensors.cursor import CursorState, dump_cursor, load_cursor, short
from fastlabel_dagster.sensors.target import JobLike, Target, listed, sensor_name, slugs_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key

_KIND = "annotated"
#: So many auto-annotations of a project are looked at in a tick; the next one goes on behind them.
_AT_ONCE: Final = 20


def build_annotated_sensor(
    projects: str | Sequence[str],
    *,
    job: JobLike | Mapping[str, JobLike] | None = None,
    name: str | None = None,
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    clock: Callable[[], float] = time.monotonic,
) -> dg.SensorDefinition:
    """A sensor that requests a sync of a project when an auto-annotation of it has landed, once for each.

    It looks at the events of ``<slug>/auto_annotation`` on the Dagster instance and asks FastLabel nothing. The run key
    is the id of the auto-annotation. On the first tick only the newest one counts.

    Example:
        >>> from fastlabel_dagster.sensors.annotated import build_annotated_sensor
        >>> build_annotated_sensor(["harbour", "airport"], name="landed").name
        'landed'

    Args:
        projects: slugs.
        job: the sync job, by name or object; for several projects also a mapping of slug to job *object*. None: the
            assets of the project, from its mirror to its exports.
        time_budget_seconds: a tick ends within about this time; the next one begins where it stopped.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: no project is named, or one has no job.
    """
    slugs = slugs_of(projects)
    target = Target(job, slugs)

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        started = clock()
        state = CursorState(load_cursor(context.cursor, _KIND, context.log), context.log)
        seen, first = state.numbers("seen"), state.text("next")
        begin = slugs.index(first) if first in slugs else 0
        requests: list[dg.RunRequest] = []
        following = ""
        for slug in [*slugs[begin:], *slugs[:begin]]:
            if clock() - started > time_budget_seconds:
                following = slug
                break
            key = asset_key(slug, "auto_annotation", translator)
            known = seen.get(short(slug))
            for id, job_id in _landed(context.instance, key, known):
                seen[short(slug)] = id
                if job_id:
                    tags = {"fastlabel/trigger": f"auto-annotation {job_id} has landed"}
                    requests += target.requests(context, slug, f"fastlabel/{slug}/annotated/{job_id}", tags)
        marks = {short(slug): seen[short(slug)] for slug in slugs if short(slug) in seen}
        quiet = None if requests else dg.SkipReason(f"no auto-annotation of {listed(slugs)} has landed")
        cursor = dump_cursor(_KIND, {"seen": marks, "next": following})
        return dg.SensorResult(run_requests=requests, skip_reason=quiet, cursor=cursor)

    return dg.SensorDefinition(
        name=name or sensor_name(slugs, _KIND),
        description=f"Syncs {listed(slugs)} when the model has annotated what was untouched.",
        evaluation_fn=evaluate,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        **target.arguments(),
    )


def _landed(instance: dg.DagsterInstance, key: dg.AssetKey, known: float | None) -> list[tuple[int, str]]:
    """Auto-annotations behind ``known`` by the id of their event, the oldest first; without it, the newest one only.
    The id of the job is empty where no task was untouched, so that none was started."""
    if known is None:
        records: Sequence[Any] = instance.fetch_materializations(key, limit=1).records
    else:
        wanted = dg.AssetRecordsFilter(asset_key=key, after_storage_id=int(known))
        records = instance.fetch_materializations(wanted, limit=_AT_ONCE, ascending=True).records
    found = []
    for record in records:
        made = record.asset_materialization
        told = None if made is None else made.metadata.get("job_id")
        found.append((int(record.storage_id), "" if told is None or not told.value else str(told.value)))
    return found
