"""A step that waits for a job it has started: polls to the end, and says what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets.job_plans import Waiting
from fastlabel_dagster.job_reports.outcomes import JobOutcome, completed_job, failed_job
from fastlabel_dagster.jobs.following import Followed, follow_job
from fastlabel_dagster.jobs.kinds import Job, JobKind
from fastlabel_dagster.jobs.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlabel_dagster.api import FastLabelClient


def follow_in_run(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    client: FastLabelClient,
    kind: JobKind,
    submission: Submission,
    *,
    subject: str,
    waiting: Waiting,
) -> Followed:
    """Poll the job to its end. When the run is cancelled the polling stops, the log says that the job goes on, and the
    interruption is passed on: the API has no call to stop a job.

    Raises:
        dagster.Failure: the job still runs after ``waiting.give_up_after_hours``.
        FastLabelError: the job cannot be seen.
    """

    def progress(job: Job) -> None:
        context.log.info("%s %s is %s.", kind.words, submission.job_id, job.get("status"))

    try:
        followed = follow_job(
            client,
            kind,
            submission.job_id,
            subject,
            poll_seconds=waiting.poll_seconds,
            deadline_seconds=waiting.give_up_after_hours * 3600,
            progress=progress,
            sleep=time.sleep,
        )
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        context.log.warning(
            "The run was cancelled; the %s %s goes on in FastLabel, whose API cannot cancel it. The jobs sensor "
            "reports its end, and the next run attaches to it.",
            kind.words,
            submission.job_id,
        )
        raise
    if followed.outcome == "gave_up":
        raise dg.Failure(
            description=f"The {kind.words} {submission.job_id} still runs after {waiting.give_up_after_hours:g} hours. "
            "It goes on by itself: the jobs sensor reports its end, and the next run attaches to it.",
            metadata={"job_id": submission.job_id, "job_status": str(followed.job.get("status") or "unknown")},
            allow_retries=False,
        )
    return followed


def outcome_in_run(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    key: dg.AssetKey,
    kind: JobKind,
    *,
    submission: Submission,
    followed: Followed,
    carried: Mapping[str, Any],
    previews: bool = True,
) -> JobOutcome:
    """What a followed job becomes. A failed one is reported as a failed check and a note, and fails the step.

    Raises:
        dagster.Failure: the job failed.
    """
    if followed.outcome == "completed":
        return completed_job(
            context.instance,
            key,
            kind,
            job_id=submission.job_id,
            job=followed.job,
            carried=carried,
            previews=previews,
        )
    outcome = failed_job(
        key,
        kind,
        job_id=submission.job_id,
        job=followed.job,
        carried=carried,
        problem=f"The {followed.problem}.",
    )
    for event in (outcome.check(), outcome.note()):
        context.instance.report_runless_asset_event(event)
    raise dg.Failure(description=outcome.problem, metadata=dict(outcome.metadata), allow_retries=False)
