"""The import sensor: a finished import requests a sync, a failed one becomes a failed check; each acted on once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from fastlabel_dagster.api.waiting import job_state
from fastlabel_dagster.checks.names import IMPORTS_CHECK, POLLING_CHECK
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.cursor import short
from fastlabel_dagster.sensors.histories import Look, date_of, look_at_histories
from fastlabel_dagster.sensors.long_lists import Readings
from fastlabel_dagster.sensors.polling import Findings, Polling, Unfinished, Visit, poll
from fastlabel_dagster.sensors.settled import UNDATED, Settled
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.sensors.stuck import patience_of, with_stuck_imports
from fastlabel_dagster.sensors.target import JobLike, Projects, ProjectsLike, Target, mark, sensor_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_KIND = "imports"


def build_import_sensor(
    projects: ProjectsLike,
    *,
    job: JobLike | Mapping[str, JobLike] | None = None,
    runs: Literal["each", "together"] = "each",
    first_tick: Literal["from_now", "backfill"] = "from_now",
    stuck_after: timedelta | float = timedelta(hours=24),
    severity: SeverityLike = None,
    name: str | None = None,
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dg.SensorDefinition:
    """A sensor that watches the import histories of one or several projects.

    An import that finished requests one run of the project's sync. An import that failed is reported as a failed
    evaluation of the check ``imports_succeeded`` on ``fastlabel/<slug>`` (a later finished import turns the check
    green). Each history is acted on once: the run key is made of its id and state, and the cursor keeps what was
    settled. Evaluating a tick twice, in whatever state its cursor was lost, launches nothing twice.

    An import that still runs after ``stuck_after`` fails the check once, as a warning; so does one that ended in a word
    nobody knows, as the API documents ``running`` and ``completed`` only. It is followed further, and its end turns the
    check.

    Projects are visited in turn, starting where the last tick stopped, until ``time_budget_seconds`` are used up, so a
    slow project never starves the others; one that cannot be read pauses, and its check ``polling_healthy`` fails. A
    project costs one request per tick, however many histories it has: of a long list, the page with the newest ones,
    and in turn with it, when an import further back is still under way, one of the other pages. Only the first look at
    a long list reads all its pages, and so does every look at a long list that is not newest first; a look after more
    than a page of news reads as many as there are. Where that takes longer than a tick has, the next one goes on.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster.sensors import build_import_sensor
        >>> sync = dg.define_asset_job("sync", selection=dg.AssetSelection.groups("street_scenes"))
        >>> sensor = build_import_sensor("street-scenes", job=sync)
        >>> sensor.name
        'street_scenes_imports'

    Args:
        projects: slugs; or dynamic partitions (``partitions.project_partitions``): the projects that have a partition
            when the sensor looks. Dagster's checks know no partitions, so a failed import is told in the tick's log.
        job: the sync job, by name or object; for several projects also a mapping of slug to job *object*; with
            partitions, the job that is run in the project's. None: the assets of the project, from its mirror to its
            exports.
        runs: ``each`` requests a run for every finished import in the tick that sees it. ``together`` lets the imports
            that one tick sees share one run, which the next tick requests: who shares it must stand in the cursor
            first, or a lost cursor would launch it again with others in it.
        first_tick: ``from_now`` takes imports that ended before they were first looked at for settled (with the first
            tick, or the few that it takes to read a long list); ``backfill`` acts on them, with one run for all that
            had finished.
        stuck_after: how long an import may run, as a timedelta or in hours.
        severity: ``warn`` (the default) or ``error``: how bad it is when a check fails; or by the check's name, such as
            ``{"imports_succeeded": "error"}``. An import that hangs is always a warning.
        time_budget_seconds: Dagster ends a tick after 60 s, some proxies after 15 s.
        owners, tags, metadata: the sensor's own, in Dagster.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: no project is named, one has no job, or a setting makes no sense.
    """
    watched = Projects(projects)
    if runs not in ("each", "together"):
        raise ValueError(f"runs are for each import or together, not {runs!r}")
    longest, severities = patience_of(stuck_after), severities_of(severity)
    target = Target(job, watched.named, partitions=watched.partitions)
    readings = Readings()
    polling = Polling(
        _KIND,
        time_budget_seconds=time_budget_seconds,
        first_tick=first_tick,
        severity=severities[POLLING_CHECK],
        migrations={1: lambda state: _from_v1(state, watched.named)} if watched.named else {},
        clock=clock,
    )

    def ask(client: FastLabelClient, project: str, memory: Mapping[str, Any] | None) -> Look | Unfinished:
        until = clock() + polling.longest_request / 2
        # with backfill, one look finds all that share a run
        whole_first = first_tick == "backfill"
        return look_at_histories(
            client, project, memory, readings, enough=lambda: clock() >= until, whole_first=whole_first
        )

    def key(slug: str) -> dg.AssetKey:
        return asset_key(slug, "project", translator)

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult:
        slugs = watched.now(context)
        readings.keep_only(slugs)

        def digest(visit: Visit, look: Look) -> Findings:
            told_of = key(visit.target)
            found = _digest(
                visit,
                look,
                told_of,
                target,
                targets=len(slugs),
                together=runs == "together",
                severity=severities[IMPORTS_CHECK],
            )
            found = with_stuck_imports(found, visit, look, told_of, longest=longest)
            return found if watched.partitions is None else _told_in_the_log(visit, found)

        health_key = key if watched.partitions is None else None
        return poll(context, fastlabel, slugs, polling, ask=ask, digest=digest, health_key=health_key)

    return sensor_of(
        evaluate,
        name=name or watched.sensor_name("imports"),
        description=f"Finished imports of {watched} request a sync; failed ones become a failed check.",
        resource_key=resource_key,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        owners=owners,
        tags=tags,
        metadata=metadata,
    )


def _told_in_the_log(visit: Visit, found: Findings) -> Findings:
    """``found`` without the checks, where there are none."""
    for event in found.events:
        if isinstance(event, dg.AssetCheckEvaluation) and not event.passed:
            visit.context.log.warning("%s: %s", visit.target, event.description)
    return replace(found, events=())


def _digest(
    visit: Visit,
    look: Look,
    key: dg.AssetKey,
    target: Target,
    *,
    targets: int,
    together: bool,
    severity: dg.AssetCheckSeverity,
) -> Findings:
    slug, memory = visit.target, visit.memory or {}
    watch = Settled.load(memory, targets=targets)
    seen = not look.page or look.first
    histories = [one for one in look.histories if seen or watch.waits_for(str(one.get("id")))]
    backlog: str = memory.get("backlog", "")
    if visit.backfill:
        backlog = max((date_of(history) for history in histories), default="")
    silent = visit.memory is None and not visit.backfill
    requests: list[dg.RunRequest] = []
    if memory.get("staged"):
        count, names = memory["staged"]
        requests.extend(_requests(visit, target, f"imports/{names}", f"{count} import(s) finished"))
    events: list[dg.AssetCheckEvaluation] = []
    staged: list[str] = []
    settled: dict[str, str] = {}
    unsettled: dict[str, str] = {}
    for history in sorted(histories, key=date_of):
        history_id, date, state = str(history.get("id")), date_of(history), job_state(history)
        if watch.has(history_id, date) and not (look.first and state == "running"):
            settled[history_id] = date
        elif state == "running" or len(events) >= visit.events or len(requests) >= visit.runs:
            unsettled[history_id] = date  # waits for its end, or for the next tick
        else:
            settled[history_id] = date
            news = watch.waits_for(history_id) or "" < watch.floor < date < UNDATED
            if silent or (look.first and not news):
                continue
            events.append(_evaluation(key, history, passed=state == "completed", severity=severity))
            if state == "completed" and (together or date <= backlog):
                staged.append(history_id)
            elif state == "completed":
                more = {"fastlabel/import": history_id}
                requests.extend(_requests(visit, target, f"import/{history_id}/{state}", "an import finished", **more))
    watch.update(settled, unsettled, whole=look.whole, newest=not look.page)
    elsewhere = not watch.all_among({**settled, **unsettled})
    state_now = watch.dump() | look.to_remember(memory, elsewhere=elsewhere)
    if backlog and any(date <= backlog for date in unsettled.values()):
        state_now["backlog"] = backlog
    if staged:
        state_now["staged"] = [len(staged), mark(staged)]
    note = f"{slug}: {len(staged)} finished import(s) share a run with the next tick" if staged else ""
    return Findings(state_now, runs=requests, events=events, note=note)


def _requests(visit: Visit, target: Target, what: str, trigger: str, **tags: str) -> list[dg.RunRequest]:
    run_key = f"fastlabel/{visit.target}/{what}"
    return target.requests(visit.context, visit.target, run_key, {"fastlabel/trigger": trigger, **tags})


def _evaluation(
    key: dg.AssetKey, history: Mapping[str, Any], *, passed: bool, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckEvaluation:
    metadata = {
        "import_history": str(history.get("id")),
        "import_status": str(history.get("status")),
        "storage_type": str(history.get("storageType") or ""),
        "created_at": str(history.get("createdAt") or ""),
    }
    for name in ("message", "msgCode"):
        if history.get(name):
            metadata[name] = str(history[name])[:2000]
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IMPORTS_CHECK,
        passed=passed,
        metadata=metadata,
        severity=severity,
        description="The import finished."
        if passed
        else f"Import {history.get('id')} ended as {history.get('status')}.",
    )


def _from_v1(state: dict[str, Any], slugs: Sequence[str]) -> dict[str, Any]:
    """A cursor of release 0.1: ids in full, the turn as a number."""
    return {
        "kind": state["kind"],
        "next": slugs[int(state.get("position", 0)) % len(slugs)],
        "projects": {
            slug: Settled(
                known["floor"], [short(one) for one in known["settled"]], [short(one) for one in known["running"]]
            ).dump()
            for slug, known in state.get("projects", {}).items()
        },
    }
