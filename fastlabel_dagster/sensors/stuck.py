"""What runs for too long: how long that is, and the imports that do, each told once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from fastlabel_dagster.api.waiting import job_state
from fastlabel_dagster.checks.names import IMPORTS_CHECK
from fastlabel_dagster.job_reports.outcomes import timestamp_of
from fastlabel_dagster.sensors.visit import Findings, Visit

#: So many imports are named in one evaluation; the rest is counted.
_NAMED: Final = 20
#: In the memory of a project: when the newest import was begun of which it was told, in milliseconds.
_STUCK: Final = "stuck"


def patience_of(stuck_after: timedelta | float) -> timedelta:
    """How long something may take, given as a timedelta or in hours. Raises ValueError when that is no time at all."""
    longest = stuck_after if isinstance(stuck_after, timedelta) else timedelta(hours=stuck_after)
    if longest <= timedelta(0):
        raise ValueError(f"stuck_after is longer than nothing, not {stuck_after}")
    return longest


def with_stuck_imports(
    findings: Findings, visit: Visit, histories: Sequence[dict[str, Any]], key: dg.AssetKey, *, longest: timedelta
) -> Findings:
    """The findings, and in one evaluation of the check the imports that have begun to run for too long.

    They are remembered by the date of the newest of them: what was begun before it has run for longer still, and was
    told. An import ended in a word that nobody knows is one that runs, so it is told here too.
    """
    until = round((time.time() - longest.total_seconds()) * 1000)
    running = [(_milliseconds(history), history) for history in histories if job_state(history) == "running"]
    old = sorted((one for one in running if 0 < one[0] < until), key=lambda one: one[0])
    told_until = int((visit.memory or {}).get(_STUCK, 0))
    stuck = [history for begun, history in old if begun > told_until]
    if stuck and len(findings.events) < visit.events:
        told_until = old[-1][0]
        findings = replace(findings, events=[*findings.events, _evaluation(key, stuck, longest)])
    return replace(findings, memory={**findings.memory, _STUCK: told_until}) if told_until else findings


def _milliseconds(history: Mapping[str, Any]) -> int:
    """When an import was begun, since 1970; 0 when it does not say."""
    return round((timestamp_of(history.get("createdAt")) or 0) * 1000)


def _evaluation(key: dg.AssetKey, stuck: Sequence[Mapping[str, Any]], longest: timedelta) -> dg.AssetCheckEvaluation:
    words = [f"{history.get('id')} ({history.get('status')})" for history in stuck[:_NAMED]]
    more = f" and {len(stuck) - _NAMED} more" if len(stuck) > _NAMED else ""
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IMPORTS_CHECK,
        passed=False,
        metadata={
            "imports_running": len(stuck),
            "import_histories": ", ".join(str(history.get("id")) for history in stuck[:_NAMED]),
            "created_at": str(stuck[0].get("createdAt")),
        },
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Not finished after {longest.total_seconds() / 3600:.3g} hours: {', '.join(words)}{more}. The API "
        "cannot cancel an import; look at it in FastLabel. It is followed further, and this check turns when it ends.",
    )
