"""``<slug>/s3_import`` and ``<slug>/dicom_import``: tasks brought into the project, as assets it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import job_state
from fastlabel_dagster.assets.following import ends_here, follow_in_run, outcome_in_run, told_again
from fastlabel_dagster.assets.import_plans import DicomImportPlan, S3ImportPlan
from fastlabel_dagster.assets.input_files import file_digest
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.plan_options import Waiting
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.job_reports.submissions import carried_of, submission_metadata
from fastlabel_dagster.jobs.kinds import DICOM_IMPORT, S3_IMPORT, JobKind, JobRequest
from fastlabel_dagster.jobs.ledger import Ledger
from fastlabel_dagster.jobs.submission import PAUSES, Submission
from fastlabel_dagster.metadata.tables import api_usage
from fastlabel_dagster.resource import FastLabelResource

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store

#: ``(client, store, run) -> what is asked for, and what to tell of it``.
_Prepare = Callable[["FastLabelClient", "Store", dg.DagsterRun], tuple[JobRequest, dict[str, Any]]]


def build_import_assets(plan: ProjectPlan) -> list[dg.AssetsDefinition]:
    """An asset for each import that the plan names."""
    assets = []
    if plan.imports.s3 is not None:
        assets.append(_s3_asset(plan, plan.imports.s3))
    if plan.imports.dicom is not None:
        assets.append(_dicom_asset(plan, plan.imports.dicom))
    return assets


def s3_import_request(plan: S3ImportPlan, project: str, run: str) -> JobRequest:
    """The import from the bucket that a run asks for: that of another run while it goes on, or when its submit
    was cut off; else its own.

    What lies in the bucket nobody can tell, so each run imports once; two of them at a time would read the same files.
    Which one it is, is decided when it is this run's turn to submit.

    Args:
        run: id of the run, or of the first of those that re-execute it.
    """

    def at_turn(client: FastLabelClient, ledger: Ledger) -> JobRequest:
        of_run = plan.request(project, run)
        newest = next(reversed(ledger.versions(project)), run)
        entry, own = ledger.entry(project, newest), ledger.entry(project, run).get("job_id")
        if newest == run or not entry:
            return of_run
        job = S3_IMPORT.look(client, str(own), project, pauses=PAUSES) if own else None
        if job is not None and job_state(job) != "failed":
            return of_run
        job = None
        if entry.get("job_id") and not entry.get("completed"):
            job = S3_IMPORT.look(client, str(entry["job_id"]), project, pauses=PAUSES)
        if "known_ids" in entry or (job is not None and job_state(job) == "running"):
            return replace(plan.request(project, newest), also=(run,))
        return of_run

    return replace(plan.request(project, run), at_turn=at_turn)


def _s3_asset(plan: ProjectPlan, wanted: S3ImportPlan) -> dg.AssetsDefinition:
    def prepare(client: FastLabelClient, store: Store, run: dg.DagsterRun) -> tuple[JobRequest, dict[str, Any]]:
        if wanted.bucket is not None:
            client.aws_s3.set_storage(plan.project, wanted.bucket, str(wanted.region), wanted.prefix)
        about = {"project": plan.project, "bucket": wanted.bucket, "prefix": wanted.prefix}
        return s3_import_request(wanted, plan.project, run.root_run_id or run.run_id), about

    return _asset(plan, S3_IMPORT, wanted.waiting, prepare)


def _dicom_asset(plan: ProjectPlan, wanted: DicomImportPlan) -> dg.AssetsDefinition:
    def prepare(client: FastLabelClient, store: Store, run: dg.DagsterRun) -> tuple[JobRequest, dict[str, Any]]:
        digest = file_digest(wanted.file)
        return wanted.request(plan.project, digest), {
            "project": plan.project,
            "file": Path(wanted.file).name,
            "file_digest": digest,
        }

    return _asset(plan, DICOM_IMPORT, wanted.waiting, prepare)


def _asset(plan: ProjectPlan, kind: JobKind, waiting: Waiting, prepare: _Prepare) -> dg.AssetsDefinition:
    key = plan.key(kind.name)

    def bring_in(
        context: dg.AssetExecutionContext, config: JobConfig, fastlabel: FastLabelResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        store = plan.open_store()
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            request, about = prepare(client, store, context.run)
            step = context.op_execution_context

            def tell(submission: Submission) -> dict[str, Any]:
                return submission_metadata(kind, submission, about, waiting.wait, waiting.give_up_after_hours)

            submission = submit_in_run(step, client, store, request, config, name=plan.name, key=key, tell=tell)
            if (again := told_again(step, key, kind, submission)) is not None:
                yield again
                return
            if ends_here(step, kind, submission, waiting):
                return
            followed = follow_in_run(
                step, client, kind, submission, subject=request.subject, waiting=waiting, store=store
            )
            carried = carried_of(context.instance, key, kind, submission.job_id, about)
            outcome = outcome_in_run(context, key, kind, submission=submission, followed=followed, carried=carried)
            tasks = client.tasks.count(plan.project)
            usage = client.statistics.snapshot() - before
            yield outcome.result(
                submitted=submission.submitted, reason=submission.reason, tasks_in_project=tasks, **api_usage(usage)
            )

    spec = plan.spec(kind.name).replace_attributes(skippable=True)
    return plan.step(bring_in, kind.name, [spec], pool=plan.pool)
