"""Following a job to its end: look, wait a little longer each time, and give up at a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastlabel_dagster.api import NotFound, RemoteJobFailed, StillRunning
from fastlabel_dagster.api.waiting import wait_until_done
from fastlabel_dagster.jobs.kinds import Job, JobKind

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient


#: A job that was submitted a moment ago may take a while to be listed: so many first looks may not find it.
_LOOKS_FOR_A_NEW_JOB = 3


@dataclass(frozen=True)
class Followed:
    """How following a job ended.

    Attributes:
        outcome: ``completed``, ``failed``, or ``gave_up``: the deadline came first and the job still runs.
        job: the job as it was seen last.
        looks: how often it was looked at with success.
        problem: what is wrong, as a sentence; empty when it completed.
    """

    outcome: Literal["completed", "failed", "gave_up"]
    job: Job
    looks: int
    problem: str = ""


def follow_job(
    client: FastLabelClient,
    kind: JobKind,
    id: str,
    subject: str,
    *,
    poll_seconds: float = 10.0,
    deadline_seconds: float | None = None,
    progress: Callable[[Job], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Followed:
    """Poll a job until it has ended or ``deadline_seconds`` are over.

    The pause grows by half from look to look, up to twelve times ``poll_seconds``. A network or server that is down is
    forgiven a few looks in a row. So is a job that FastLabel does not show yet; one that was seen and is gone is not.

    Args:
        subject: the dataset or project the job belongs to.
        progress: called with the job whenever its status has changed.
        sleep, clock: for tests.

    Raises:
        FastLabelError: the job cannot be seen: it is not there, the token is not accepted, or the API stays down.
    """
    looks = missing = 0
    status: object = None

    def look() -> Job:
        nonlocal looks, missing, status
        try:
            job = dict(kind.find(client, id, subject))
        except NotFound:
            missing += 1
            if looks or missing >= _LOOKS_FOR_A_NEW_JOB:
                raise
            return {}  # a job without a status still runs
        looks += 1
        if job.get("status") != status:
            status = job.get("status")
            progress(job)
        return job

    try:
        done = wait_until_done(
            look,
            what=f"{kind.words} {id}",
            poll_seconds=poll_seconds,
            timeout_seconds=deadline_seconds,
            sleep=sleep,
            clock=clock,
        )
    except RemoteJobFailed as error:
        return Followed("failed", dict(error.job), looks, error.message)
    except StillRunning as error:
        return Followed("gave_up", error.job, looks, error.message)
    return Followed("completed", done, looks)
