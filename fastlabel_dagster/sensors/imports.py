"""The import sensor: a finished import requests a sync, a failed one becomes a failed check; each acted on once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg

from fastlabel_dagster.api import FastLabelError, Unauthorized, job_state
from fastlabel_dagster.checks.names import IMPORTS_CHECK
from fastlabel_dagster.resource import FastLabelResource, error_kind
from fastlabel_dagster.sensors.cursor import dump_cursor, load_cursor
from fastlabel_dagster.sensors.target import JobLike, project_selection, target_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key, safe_name

_KIND = "imports"
#: How many settled histories a project's part of the cursor names one by one; older ones are known by their date.
_RECENT = 200
#: How many unsettled imports of a project the cursor names. The oldest ones: below the floor only its name keeps a
#: history from counting as settled. Of those that are not named the floor stays clear, so none is lost.
_FOLLOWED = 100
#: How many imports of a project one tick acts on; the rest wait for the next.
_PER_TICK = 100


def build_import_sensor(
    projects: str | Sequence[str],
    *,
    job: JobLike | Mapping[str, JobLike] | None = None,
    first_tick: Literal["from_now", "backfill"] = "from_now",
    name: str | None = None,
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that watches the import histories of one or several projects.

    An import that finished requests one run of the project's sync; several that finished between two ticks share one
    run. An import that failed is reported as a failed evaluation of the check ``imports_succeeded`` on
    ``fastlabel/<slug>`` (a later finished import turns the check green). Each history is acted on once, also across
    restarts: the cursor keeps what was settled.

    Projects are visited in turn, starting where the last tick stopped, until ``time_budget_seconds`` are used up, so a
    slow project never starves the others. A project that cannot be read (deleted, forbidden) is named in the tick's log
    and does not stop the rest; the cursor keeps its place.

    Args:
        projects: slugs.
        job: the sync job, by name or object; for several projects a mapping of slug to job *object*. None: the assets
            of the project, from its mirror to its exports.
        first_tick: ``from_now`` takes imports finished before the first tick for settled; ``backfill`` acts on them.
        time_budget_seconds: Dagster ends a tick after 60 s, some proxies after 15 s.

    Raises:
        ValueError: no project is named.
    """
    slugs = [projects] if isinstance(projects, str) else list(dict.fromkeys(projects))
    if not slugs:
        raise ValueError("name at least one project")

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult | dg.SkipReason:
        state = load_cursor(context.cursor, _KIND, context.log) or {}
        seen: dict[str, Any] = {slug: known for slug, known in state.get("projects", {}).items() if slug in slugs}
        position = int(state.get("position", 0)) % len(slugs)
        deadline = time.monotonic() + time_budget_seconds
        requests: list[dg.RunRequest] = []
        events: list[dg.AssetCheckEvaluation] = []
        notes: list[str] = []
        visited = 0
        for slug in [*slugs[position:], *slugs[:position]]:
            if visited and time.monotonic() > deadline:
                notes.append(f"time budget used up after {visited} of {len(slugs)} projects")
                break
            visited += 1
            try:
                histories = list(fastlabel.client.import_histories.iter(slug))
            except Unauthorized as error:
                return dg.SkipReason(f"{error_kind(error)}: {error}. The cursor is kept.")
            except FastLabelError as error:
                context.log.warning("%s: %s: %s", slug, error_kind(error), error)
                notes.append(f"{slug}: {error_kind(error)}: {error}")
                continue
            watch = _Watch.load(seen.get(slug), first_tick)
            finished, failed = watch.settle(histories)
            seen[slug] = watch.dump()
            key = asset_key(slug, "project", translator)
            events += [_evaluation(key, history, passed=history in finished) for history in _by_date(finished + failed)]
            if finished:
                requests.append(_request(context, slug, finished, job, several=len(slugs) > 1))
        cursor = dump_cursor(_KIND, {"projects": seen, "position": (position + visited) % len(slugs)})
        quiet = None if requests else "; ".join(notes) or f"no import has finished in {', '.join(slugs[:5])}"
        return dg.SensorResult(run_requests=requests, asset_events=events, cursor=cursor, skip_reason=quiet)

    return target_of(
        evaluate,
        name=name or (f"{safe_name(slugs[0])}_imports" if len(slugs) == 1 else f"imports_{_mark(slugs)}"),
        description=f"Finished imports of {', '.join(slugs[:5])} request a sync; failed ones become a failed check.",
        job=job,
        projects=slugs,
        training=False,
        resource_key=resource_key,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
    )


@dataclass
class _Watch:
    """What is settled of one project: every history up to ``floor`` (a date), those named in ``settled``, but not those
    named in ``running``, which have not ended or not been acted on. ``fresh`` until the project has been read once."""

    fresh: bool
    first_tick: str
    floor: str = ""
    settled: set[str] = field(default_factory=set)
    running: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, known: Mapping[str, Any] | None, first_tick: str) -> _Watch:
        if known is None:
            return cls(fresh=True, first_tick=first_tick)
        return cls(False, first_tick, known["floor"], set(known["settled"]), list(known["running"]))

    def settle(self, histories: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The histories that newly finished and newly failed; remembers them as settled."""
        finished: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        unsettled: dict[str, str] = {}
        dates: dict[str, str] = {}
        for history in _by_date(histories):
            name, date = str(history.get("id")), str(history.get("createdAt") or "~")
            if name in self.settled or (date <= self.floor and name not in self.running):
                dates[name] = date
                continue
            state = job_state(history)
            if state == "running" or len(finished) + len(failed) >= _PER_TICK:
                unsettled[name] = date  # waits for its end, or for the next tick
                continue
            dates[name] = date
            self.settled.add(name)
            if not (self.fresh and self.first_tick == "from_now"):
                (finished if state == "completed" else failed).append(history)
        self.fresh = False
        self.running = list(unsettled)[:_FOLLOWED]
        self._forget(dates, below=min(list(unsettled.values())[_FOLLOWED:], default=None))
        return finished, failed

    def _forget(self, dates: dict[str, str], *, below: str | None) -> None:
        """Keep the newest settled ids by name, raise the floor over the others; drop what the API no longer lists.

        The floor stays ``below`` the date of the oldest history that is neither settled nor named; settled ones that
        it cannot cover for that reason stay named.
        """
        known = sorted((name for name in self.settled if name in dates), key=lambda name: dates[name], reverse=True)
        covered = {name for name in known[_RECENT:] if dates[name] != "~" and (below is None or dates[name] < below)}
        self.settled = {name for name in known if name not in covered}
        self.floor = max([self.floor, *(dates[name] for name in covered)])

    def dump(self) -> dict[str, Any]:
        return {"floor": self.floor, "settled": sorted(self.settled), "running": self.running}


def _by_date(histories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(histories, key=lambda history: str(history.get("createdAt") or ""))


def _evaluation(key: dg.AssetKey, history: Mapping[str, Any], *, passed: bool) -> dg.AssetCheckEvaluation:
    metadata = {
        "import_history": str(history.get("id")),
        "import_status": str(history.get("status")),
        "storage_type": str(history.get("storageType") or ""),
        "created_at": str(history.get("createdAt") or ""),
    }
    for name in ("message", "msgCode"):
        if history.get(name):
            metadata[name] = str(history[name])
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IMPORTS_CHECK,
        passed=passed,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.WARN,
        description="The import finished."
        if passed
        else f"Import {history.get('id')} ended as {history.get('status')}.",
    )


def _request(
    context: dg.SensorEvaluationContext,
    slug: str,
    finished: Sequence[Mapping[str, Any]],
    job: JobLike | Mapping[str, JobLike] | None,
    *,
    several: bool,
) -> dg.RunRequest:
    names = sorted(str(history.get("id")) for history in finished)
    extra: dict[str, Any] = {}
    if isinstance(job, Mapping):
        extra["job_name"] = job[slug].name
    elif job is None and several:
        definitions = context.repository_def
        if definitions is not None:
            extra["asset_selection"] = sorted(project_selection(slug).resolve(definitions.asset_graph))
    return dg.RunRequest(
        run_key=f"fastlabel/{slug}/import/{_mark(names)}",
        tags={"fastlabel/project": slug, "fastlabel/trigger": f"{len(names)} import(s) finished"},
        **extra,
    )


def _mark(names: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
