"""A step that waits for a job it has started: polls to the end, and says what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets.enrichment import enrichment
from fastlabel_dagster.assets.plan_options import Waiting
from fastlabel_dagster.assets.submitting import claimant_of
from fastlabel_dagster.job_reports.outcomes import JobOutcome, completed_job, failed_job
from fastlabel_dagster.job_reports.submissions import job_history, named_job
from fastlabel_dagster.jobs.following import Followed, follow_job
from fastlabel_dagster.jobs.kinds import Job, JobKind
from fastlabel_dagster.jobs.submission import Submission, note_completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store


def ends_here(context: dg.OpExecutionContext, kind: JobKind, submission: Submission, waiting: Waiting) -> bool:
    """Whether a step has nothing to wait for, as the jobs sensor reports the job's end."""
    if waiting.wait == "sensor":
        context.log.info("The jobs sensor reports the end of %s %s.", kind.words, submission.job_id)
    return waiting.wait == "sensor"


def told_again(
    context: dg.OpExecutionContext, key: dg.AssetKey, kind: JobKind, submission: Submission
) -> dg.MaterializeResult[Any] | None:
    """What was reported of a job that has completed and is no longer in FastLabel: it stands, and what follows in the
    run goes on from it. None for a job that is there, and where nothing was reported of it."""
    if not submission.gone:
        return None
    for record, metadata in job_history(context.instance, key, kind).events:
        made = record.asset_materialization
        if made is not None and named_job(metadata, kind) == submission.job_id:
            context.log.info(
                "The %s %s has completed before and is no longer in FastLabel: what was reported of it stands.",
                kind.words,
                submission.job_id,
            )
            told: dict[str, Any] = {**made.metadata, "submitted": False, "reason": submission.reason}
            return dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(submission.job_id), metadata=told)
    return None


def follow_in_run(
    context: dg.OpExecutionContext,
    client: FastLabelClient,
    kind: JobKind,
    submission: Submission,
    *,
    subject: str,
    waiting: Waiting,
    store: Store | None = None,
) -> Followed:
    """Poll the job to its end. When the run is cancelled the polling stops, the log says that the job goes on, and the
    interruption is passed on: the API has no call to stop a job.

    Args:
        store: whose ledger is to say that the job has completed; None when nobody knows it.

    Raises:
        dagster.Failure: the job still runs after ``waiting.give_up_after_hours``.
        FastLabelError: the job cannot be seen.
    """

    if submission.gone:
        return Followed("completed", dict(submission.job), 0)

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
    if followed.outcome == "completed" and store is not None:
        with enrichment(context.log, "The note in the ledger that the job has completed"):
            id, log = submission.job_id, context.log.info
            note_completed(store, kind, subject, id, claimant=claimant_of(context), log=log)
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
