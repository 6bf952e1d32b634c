"""Waiting for what runs on FastLabel's machines: imports, trainings, evaluations, auto-annotations."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

from fastlabel_dagster.api.errors import (
    FastLabelError,
    RateLimited,
    RemoteJobFailed,
    ServerError,
    TransportError,
)
from fastlabel_dagster.api.wire import Json

log = logging.getLogger("fastlabel_dagster.api")

JobState = Literal["running", "completed", "failed"]

COMPLETED = frozenset({"completed", "complete", "succeeded", "success", "finished", "done"})
FAILED = frozenset(
    {
        "failed",
        "failure",
        "fail",
        "error",
        "errored",
        "cancelled",
        "canceled",
        "aborted",
        "stopped",
        "terminated",
        "expired",
        "rejected",
        "timeout",
        "timed_out",
    }
)
"""FastLabel documents `running`, `in_progress` and `completed` only; these are the usual words for a bad end."""

LOOKS_THAT_MAY_FAIL = 5
"""How many looks in a row may find the network or the server down before waiting gives up: jobs run for hours."""


class StillRunning(FastLabelError, TimeoutError):
    """The time one was ready to wait is over and the job still runs. ``job`` is its last known state."""

    hint_by_default = "the job goes on by itself; wait for it again later"

    def __init__(self, message: str, *, job: Json | None = None) -> None:
        super().__init__(message)
        self.job = dict(job or {})


def job_id(job: Json) -> str:
    """The id of a training, evaluation or auto-annotation job, '' when it has none."""
    for key in ("trainingJobId", "evaluationJobId", "autoAnnotationJobId", "jobId", "id"):
        if job.get(key):
            return str(job[key])
    return ""


def job_state(job: Json) -> JobState:
    """What a job's or import's `status` means. A word that nobody knows is a job that still runs."""
    status = str(job.get("status") or "").strip().lower().replace("-", "_").replace(" ", "_")
    if status in COMPLETED:
        return "completed"
    return "failed" if status in FAILED else "running"


def wait_until_done(
    look: Callable[[], Json],
    *,
    what: str,
    poll_seconds: float,
    timeout_seconds: float | None,
    forgiven: tuple[type[FastLabelError], ...] = (),
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Json:
    """Look again and again, half as long again between looks each time, up to twelve times the first interval.

    Args:
        look: returns the present state.
        what: names the job in errors, e.g. "training 7f3a".
        poll_seconds: time between the first two looks.
        timeout_seconds: how long to wait in all; None waits as long as it takes.
        forgiven: errors of a look that are forgiven a few times in a row, besides those of a server or network that
            is down.
        sleep, clock: for tests, or for a sleep that can be interrupted.

    Returns:
        The job as it was when it was completed.

    Raises:
        RemoteJobFailed: when it ended any other way.
        StillRunning: after `timeout_seconds`.
        FastLabelError: what `look` raised. A server or network that is down is forgiven a few times in a row.
    """
    passing: tuple[type[FastLabelError], ...] = (TransportError, ServerError, RateLimited, *forgiven)
    ends_at = None if timeout_seconds is None else clock() + timeout_seconds
    interval = poll_seconds
    failures = 0
    job: Json = {}
    while True:
        pause = interval
        try:
            job = look()
            failures = 0
        except passing as error:
            failures += 1
            if failures >= LOOKS_THAT_MAY_FAIL:
                raise
            log.warning("%s: cannot be seen at present: %s", what, error)
            pause = max(interval, getattr(error, "retry_after", None) or 0.0)
        else:
            state = job_state(job)
            if state == "completed":
                return job
            if state == "failed":
                raise RemoteJobFailed(f"{what} ended with status {job.get('status')!r}{_reason(job)}", job=job)
        if ends_at is not None:
            left = ends_at - clock()
            if left <= 0:
                raise StillRunning(f"{what} still runs after {timeout_seconds:g} s", job=job)
            pause = min(pause, left)
        sleep(pause)
        interval = min(interval * 1.5, poll_seconds * 12)


def _reason(job: Json) -> str:
    for key in ("errorMessage", "message", "msgCode", "error"):
        if job.get(key) and job[key] != "none":
            return f": {job[key]}"
    return ""
