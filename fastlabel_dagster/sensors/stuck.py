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
from fastlabel_dagster.sensors.cursor import short
from fastlabel_dagster.sensors.histories import Look
from fastlabel_dagster.sensors.visit import Findings, Visit

#: So many imports are named in one evaluation; the rest is counted.
_NAMED: Final = 20
#: In the memory of a project: of which of the imports it waits for was told, as a 1 in the place of each; and when the
#: newest one was begun of those told that it has no room to know by name, in milliseconds.
_TOLD: Final = "told"
_STUCK: Final = "stuck"


def patience_of(stuck_after: timedelta | float) -> timedelta:
    """How long something may take, given as a timedelta or in hours. Raises ValueError when that is no time at all."""
    longest = stuck_after if isinstance(stuck_after, timedelta) else timedelta(hours=stuck_after)
    if longest <= timedelta(0):
        raise ValueError(f"stuck_after is longer than nothing, not {stuck_after}")
    return longest


def with_stuck_imports(
    findings: Findings, visit: Visit, look: Look, key: dg.AssetKey, *, longest: timedelta
) -> Findings:
    """The findings, and in one evaluation of the check the imports that have begun to run for too long.

    Each import that the project waits for is told by itself: a look may show one page of a long list, so an import that
    is told says nothing of older ones elsewhere. Imports beyond those known by name are the newest, and every look at
    the newest page shows all of them, so they are told up to a date. An import ended in a word that nobody knows is one
    that runs, so it is told here too.
    """
    until = round((time.time() - longest.total_seconds()) * 1000)
    before = visit.memory or {}
    waited = str(before.get("waiting", "")).split()
    told = {name for name, mark in zip(waited, str(before.get(_TOLD, "")), strict=False) if mark == "1"}
    told_until = int(before.get(_STUCK, 0))
    waiting = str(findings.memory.get("waiting", "")).split()
    running = [
        (_milliseconds(history), short(str(history.get("id"))), history)
        for history in look.histories
        if job_state(history) == "running"
    ]
    old = sorted((one for one in running if 0 < one[0] < until), key=lambda one: one[0])
    if look.page:  # what is not waited for is settled there
        old = [one for one in old if one[1] in waited]
    news = [one for one in old if not (one[1] in told if one[1] in waited else one[0] <= told_until)]
    told |= {name for _, name, _ in old} - {name for _, name, _ in news}
    if news and len(findings.events) < visit.events:
        told |= {name for _, name, _ in news}
        told_until = max([told_until, *(begun for begun, name, _ in old if name not in waiting)])
        evaluation = _evaluation(key, [history for _, _, history in news], longest)
        findings = replace(findings, events=[*findings.events, evaluation])
    marks = "".join(str(int(name in told)) for name in waiting).rstrip("0")
    known = ({_TOLD: marks} if marks else {}) | ({_STUCK: told_until} if told_until else {})
    return replace(findings, memory={**findings.memory, **known})


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
