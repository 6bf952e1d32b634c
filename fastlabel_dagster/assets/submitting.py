"""A step that starts a job: who it is, what it has started before, and what to type when nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster._compat import add_run_tags
from fastlabel_dagster.job_reports.submissions import job_history
from fastlabel_dagster.jobs.kinds import JobKind, JobRequest
from fastlabel_dagster.jobs.ledger import Claimant
from fastlabel_dagster.jobs.submission import Submission, submit_job

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store

#: How many generations of re-executed runs are searched for a submitted job.
_ANCESTORS = 20


class JobConfig(dg.Config):
    """What one run may say about its job."""

    force: bool = Field(
        default=False,
        description="Start a job again although nothing has changed; forget an earlier submit of unclear outcome.",
    )
    attach_to: str | None = Field(
        default=None, description="Id of a job to take for this version's; nothing is submitted."
    )


def submit_in_run(
    context: dg.OpExecutionContext,
    client: FastLabelClient,
    store: Store,
    request: JobRequest,
    config: JobConfig,
    *,
    name: str,
    key: dg.AssetKey | None = None,
    tell: Callable[[Submission], Mapping[str, Any]] = lambda submission: {},
    reported: dg.AssetKey | None = None,
) -> Submission:
    """:func:`~fastlabel_dagster.jobs.submission.submit_job` for a step: before anything else the job is observed, so
    that the jobs sensor knows it, and its id put among the run's tags, where a retry of the step and a re-execution of
    the run find it; and any run whose store knows no job of the version, as one that was left behind or emptied.

    Args:
        name: sets the tags of one project apart from those of another in the same run.
        key: the asset that submits the job, which is observed; None observes nothing.
        tell: the metadata of that observation.
        reported: the asset whose materializations tell of completed jobs; ``key`` when left out.

    Raises:
        dagster.Failure: nobody can tell whether a job runs; says what to type in the launchpad.
        FastLabelError, StoreError: as ``submit_job``.
    """
    kind = request.kind
    job_tag, version_tag = f"fastlabel/{kind.name}_job/{name}", f"fastlabel/{kind.name}_of/{name}"

    def record(submission: Submission, version: str) -> None:
        if key is not None:
            context.log_event(dg.AssetObservation(key, metadata=tell(submission)))
        add_run_tags(context.instance, context.run.run_id, {job_tag: submission.job_id, version_tag: version})

    def remembered(version: str) -> str | None:
        last = context.instance.get_runs(filters=dg.RunsFilter(tags={version_tag: version}), limit=1)
        job = last[0].tags.get(job_tag) if last else None
        if job is not None:
            context.log.warning(
                "%s knows no %s of this version, but the run %s has submitted or found %s: was the store left behind "
                "or emptied? `force: true` starts another.",
                store.uri_of(f"{kind.name}/ledger.json"),
                kind.words,
                last[0].run_id,
                job,
            )
        return job

    def has_completed(job: str) -> bool:
        told = reported or key
        return told is not None and job in job_history(context.instance, told, kind).reports()

    with unclear_told(context.op.name, kind):
        return submit_job(
            client,
            store,
            request,
            recorded=lambda version: _recorded(context.instance, context.run, job_tag, version_tag, version),
            remembered=remembered,
            has_completed=has_completed,
            force=config.force,
            attach_to=config.attach_to,
            claimant=claimant_of(context),
            record=record,
            log=context.log.info,
        )


@contextmanager
def unclear_told(step: str, kind: JobKind) -> Iterator[None]:
    """Turn ``UnclearSubmission`` into a failure that says what to type for ``step`` in the launchpad."""
    from fastlabel_dagster.api import UnclearSubmission

    try:
        yield
    except UnclearSubmission as error:
        words = kind.words
        which = " or ".join(error.candidates)
        head = f"ops:\n  {step}:\n    config:\n"
        attach = f'{head}      attach_to: "{error.candidates[0] if error.candidates else f"<id of the {words} job>"}"\n'
        again = f"{head}      force: true\n"
        choice = f" (it may be {which})" if which else ""
        raise dg.Failure(
            description=f"UnclearSubmission: {error.message}. Look at the {words} jobs in FastLabel. If one is the "
            f"{words} of this run{choice}, launch a new run with this in the launchpad:\n\n{attach}\n"
            f"If none is, submit again with:\n\n{again}",
            metadata={
                "candidates": ", ".join(error.candidates) or "none listed",
                "if one of the jobs is ours": dg.MetadataValue.md(f"```yaml\n{attach}```"),
                "if none is": dg.MetadataValue.md(f"```yaml\n{again}```"),
            },
            allow_retries=False,
        ) from error


def claimant_of(context: dg.OpExecutionContext) -> Claimant:
    """The step of a run as the one who submits; the instance knows which other runs still go on.

    A mapped step has siblings of the same name that run beside it: the mapping key tells them apart. The number of the
    attempt is left out, as a claim of the same step is always of an attempt that is over.
    """
    instance, run = context.instance, context.run

    def is_active(run_id: str) -> bool | None:
        other = instance.get_run_by_id(run_id)
        return None if other is None else not other.is_finished

    ancestors = frozenset(_ancestors(instance, run))
    mapped = context.get_mapping_key()
    step = str(context.op_handle) if mapped is None else f"{context.op_handle}[{mapped}]"
    return Claimant(run.run_id, step, ancestors, is_active)


def _ancestors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    known: dg.DagsterRun | None = run
    for _ in range(_ANCESTORS):
        parent = known.parent_run_id if known is not None else None
        if parent is None:
            return
        yield parent
        known = instance.get_run_by_id(parent)


def _recorded(
    instance: dg.DagsterInstance, run: dg.DagsterRun, job_tag: str, version_tag: str, version: str
) -> str | None:
    """The job that this run, or one of the runs it re-executes, has submitted for this version."""
    run_id: str | None = run.run_id
    for _ in range(_ANCESTORS):
        known = instance.get_run_by_id(run_id) if run_id else None
        if known is None:
            return None
        if known.tags.get(job_tag) and known.tags.get(version_tag) == version:
            return known.tags[job_tag]
        run_id = known.parent_run_id
    return None
