"""What the polling engine and its sensors hand each other: settings, a target's turn, what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from fastlabel_dagster.sensors.cursor import Migration

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

Event: TypeAlias = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
PartitionsRequest: TypeAlias = dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest


@dataclass(frozen=True)
class Polling:
    """How a sensor polls.

    Attributes:
        kind: what its cursor is called; a cursor of another kind is not read.
        time_budget_seconds: a tick ends within this time. Dagster ends a tick after 60 s, some proxies after 15 s.
        request_seconds: how long one request may take, at most; by default half the time budget, so that one slow
            target leaves room for others.
        in_flight: requests under way at the same time.
        events: asset events a tick reports at most, those about health included.
        runs: runs a tick requests at most.
        first_tick: ``from_now`` or ``backfill``; handed to ``digest``, which gives it its meaning.
        severity: of ``polling_healthy`` when it fails.
        migrations: how cursors of earlier versions are read.
        clock: monotonic seconds; wall: seconds since 1970. Replaced in tests.
    """

    kind: str
    time_budget_seconds: float = 10.0
    request_seconds: float | None = None
    in_flight: int = 4
    events: int = 200
    runs: int = 50
    first_tick: str = "from_now"
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.first_tick not in ("from_now", "backfill"):
            raise ValueError(f"first_tick is from_now or backfill, not {self.first_tick!r}")
        if not 0 < self.time_budget_seconds <= 55:
            raise ValueError(f"a tick has up to 55 seconds (Dagster ends it after 60), not {self.time_budget_seconds}")
        if self.in_flight < 1 or self.runs < 2 or self.events < 3:
            raise ValueError("in_flight is at least 1, runs at least 2, events at least 3")

    @property
    def longest_request(self) -> float:
        """Seconds one request may take."""
        return min(self.time_budget_seconds, self.request_seconds or self.time_budget_seconds / 2)


@dataclass(frozen=True)
class Visit:
    """One target's turn, as ``digest`` sees it.

    Attributes:
        target: the project's slug, or whatever the sensor polls.
        memory: what :class:`Findings` of the last visit told to remember; None on the first visit.
        events, runs: how many of each there is room for (at least 2); find no more, and remember only
            what was found.
        first_tick: the sensor's policy for a first visit.
        context: the tick.
    """

    target: str
    memory: Mapping[str, Any] | None
    events: int
    runs: int
    first_tick: str
    context: dg.SensorEvaluationContext

    @property
    def backfill(self) -> bool:
        """Whether this is a first visit that acts on what happened before it."""
        return self.memory is None and self.first_tick == "backfill"


@dataclass
class Findings:
    """What a visit found.

    Attributes:
        memory: what to remember of the target; JSON, small: some 200 characters when there are hundreds of targets.
            The key ``at`` is taken.
        runs, events, partitions: what to hand to Dagster.
        note: for people who look at the tick, when there is nothing else to see.
    """

    memory: Mapping[str, Any]
    runs: Sequence[dg.RunRequest] = ()
    events: Sequence[Event] = ()
    partitions: Sequence[PartitionsRequest] = ()
    note: str = ""


@dataclass(frozen=True)
class Unfinished:
    """What ``ask`` answers when there is more to read than a look has time for: nothing is remembered of it, and the
    next turn of the target goes on.

    Attributes:
        note: for people who look at the tick.
    """

    note: str


#: One request about a target: ``ask(client, target, memory) -> answer``. Raises FastLabelError.
Ask: TypeAlias = "Callable[[FastLabelClient, str, Mapping[str, Any] | None], Any]"
Digest: TypeAlias = Callable[[Visit, Any], Findings]
