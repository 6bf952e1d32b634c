"""The engine below all sensors: who is asked in this tick, for how long, and what becomes of the answer.

A sensor brings two functions. ``ask`` sends *one* cheap request about one target (a project, or a job); it runs in a
thread and touches nothing but the client. ``digest`` turns the answer into :class:`Findings` on the tick's own thread:
what to remember, which runs to request, which events to report. :func:`poll` does the rest, the same way for everybody:

- **Turns.** Targets stand in a ring; a tick goes on where the last one stopped. Each target is asked at most once a
  tick.
- **Time.** A tick ends within ``time_budget_seconds``, also when a server drips, DNS hangs or the request budget is
  spent: a request that is not back in time is left behind. A request that was cut short by the end of the tick is
  nobody's fault; its target comes first next time. An ``ask`` whose list takes longer than that answers
  :class:`Unfinished`, and goes on behind what it has kept when its target has its next turn.
- **Room.** Events and run requests per tick are bounded. What finds no room stays where it is, in the remote system,
  and is found again: ``digest`` remembers only what it has acted on.
- **Errors** belong to the target they came from. It keeps its memory and waits one, two, four, at most eight ticks
  before it is asked again. A refused token (401) and a spent request budget (429) end the tick for everybody and count
  against nobody; when it was the first answer of a tick, the next one begins behind that target, which may be the only
  one that is refused.
- **Health.** The check ``polling_healthy`` of a target's asset fails when it cannot be read, or is only told to wait
  for an hour, and passes when it can be again; it is reported when that changes, not at every tick, and once more when
  another sensor has turned the check of a target that still fails.
- **Damage.** A part of the cursor that cannot be read is left out and the rest is kept; what is remembered of a target
  and cannot be understood is forgotten, and the target begins anew. Both are told in the log.

With the same cursor and the same remote state, ``digest`` gives the same run keys: evaluating a tick twice launches
nothing twice, as long as a run key is made of a remote id and its state, or of what the cursor remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dagster as dg

from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.tick import Tick
from fastlabel_dagster.sensors.visit import Ask, Digest, Findings, Polling, Unfinished, Visit

__all__ = ["Ask", "Digest", "Findings", "Polling", "Unfinished", "Visit", "poll"]


def poll(
    context: dg.SensorEvaluationContext,
    fastlabel: FastLabelResource,
    targets: Sequence[str],
    polling: Polling,
    *,
    ask: Ask,
    digest: Digest,
    health_key: Callable[[str], dg.AssetKey] | None = None,
    started: float | None = None,
) -> dg.SensorResult:
    """One tick: ask as many targets as time and room allow, in turn.

    Example:
        >>> def evaluate(context, fastlabel):                                     # doctest: +SKIP
        ...     return poll(
        ...         context,
        ...         fastlabel,
        ...         ["street-scenes", "harbour"],
        ...         Polling("counts"),
        ...         ask=lambda client, project, memory: client.tasks.count(project),
        ...         digest=lambda visit, count: Findings({"count": count}, note=f"{visit.target}: {count}"),
        ...     )

    Args:
        targets: what to poll, each once. They may change from tick to tick; a new one comes when its turn comes, and
            what is remembered of one that is gone is forgotten.
        health_key: the asset of a target on which ``polling_healthy`` is reported; None reports it nowhere.
        started: when the tick began by the clock of ``polling``, for a sensor that had something to do before it polls;
            None: now.

    Returns:
        Run requests, events, the new cursor, and, when no run is requested, what happened as the skip reason. API
        errors are never raised.
    """
    return Tick(context, fastlabel, targets, polling, ask=ask, digest=digest, health_key=health_key).run(started)
