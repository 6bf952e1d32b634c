"""``<slug>/auto_annotation``: a model that has passed the gate annotates what nobody has touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.api import job_state
from fastlabel_dagster.assets.enrichment import enrichment
from fastlabel_dagster.assets.following import ends_here, follow_in_run, outcome_in_run, told_again
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.job_reports.evaluations import newest_evaluation, newest_verdict
from fastlabel_dagster.job_reports.submissions import carried_of, submission_metadata
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, JobRequest
from fastlabel_dagster.jobs.ledger import Ledger
from fastlabel_dagster.jobs.submission import PAUSES, Submission
from fastlabel_dagster.metadata.tables import api_usage
from fastlabel_dagster.resource import FastLabelResource

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store


class AutoAnnotationConfig(JobConfig):
    """What one run may say about its auto-annotation."""

    despite_gate: bool = Field(default=False, description="Let the newest model annotate although the gate failed.")


@dataclass(frozen=True)
class UntouchedTasks:
    """The tasks of a project that have no annotations and a status in which nobody has worked on them.

    Attributes:
        newest: when the newest of them was made, as the API says it; empty when there is none.
    """

    count: int
    newest: str


def untouched_tasks(client: FastLabelClient, project: str, status: tuple[str, ...]) -> UntouchedTasks:
    """Ask the API, one request for 1,000 tasks in one of the statuses.

    Raises:
        FastLabelError: the API refused or cannot be reached.
    """
    from fastlabel_dagster.sync.project_kind import modality_of, tasks_of

    tasks = tasks_of(client, modality_of(client.projects.by_slug(project)))
    count, newest_one = 0, ""
    for one in status:
        if not client.tasks.count(project, status=one):
            continue
        for task in tasks.iter(project, status=one):
            if not task.get("annotations"):
                count += 1
                newest_one = max(newest_one, str(task.get("createdAt") or ""))
    return UntouchedTasks(count, newest_one)


def finished_without_annotations(store: Store, status: tuple[str, ...]) -> int:
    """How many tasks of the mirror have no annotations and another status than these: left empty on purpose, as a rule.
    FastLabel annotates them with the others, as its jobs know no status.

    Raises:
        LookupError: there is no mirror.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from fastlabel_dagster.sync import LabelMirror

    count = 0
    for tasks in LabelMirror(store.at("labels")).read().batches(["status", "annotations"]):
        empty = pc.equal(pc.fill_null(pc.list_value_length(tasks["annotations"]), 0), 0)
        finished = pc.invert(pc.is_in(tasks["status"], value_set=pa.array(status, pa.string())))
        count += pc.sum(pc.and_(empty, finished)).as_py() or 0
    return count


def annotation_request(
    plan: AutoAnnotationPlan,
    project: str,
    untouched: UntouchedTasks,
    *,
    model_name: str,
    model_id: str,
) -> JobRequest:
    """The job for what is untouched now. Tasks that this model has been offered before and found nothing in are still
    untouched; they alone are no reason to ask it again, so the request is then that of the earlier job.

    So it is while a job of this model with these settings goes on, or was cut off while it was submitted: FastLabel
    decides while it runs which tasks it annotates, and tasks that came too late for it are the next run's. Which of
    these it is, is decided when it is this run's turn to submit.
    """
    family = plan.family(project, model_id)

    def request(newest: str) -> JobRequest:
        return plan.request(project, model_name, model_id, newest)

    def at_turn(client: FastLabelClient, ledger: Ledger) -> JobRequest:
        offered = [
            version.removeprefix(f"{family} ")
            for version in ledger.versions(project)
            if version.startswith(f"{family} ")
        ]
        if offered:
            last = request(offered[-1])
            entry = ledger.entry(project, last.version)
            if "known_ids" in entry:
                return last
            job = None
            if entry.get("job_id") and not entry.get("completed"):
                job = AUTO_ANNOTATION.look(client, str(entry["job_id"]), project, pauses=PAUSES)
            if job is not None and job_state(job) == "running":
                return last
        return request(min((when for when in offered if when >= untouched.newest), default=untouched.newest))

    return replace(request(untouched.newest), at_turn=at_turn)


def build_auto_annotation_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Has the evaluated model annotate the tasks without annotations, once for each model and set of new tasks.

    Only after the gate: within a run the blocking check sees to that, and a step that is started alone looks for
    itself. Work of people is never touched; which tasks lack annotations is FastLabel's decision when the job runs,
    and it looks at no status: finished tasks that were left empty on purpose are among them.
    """
    key, evaluation_key, annotation = plan.key("auto_annotation"), plan.key("evaluation"), plan.auto_annotation
    assert annotation is not None and plan.evaluation is not None
    gate = plan.evaluation.gate

    def annotate(
        context: dg.AssetExecutionContext, config: AutoAnnotationConfig, fastlabel: FastLabelResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        measured = newest_evaluation(context.instance, evaluation_key)
        if not measured.get("model_name"):
            raise dg.Failure(
                description=f"No model was evaluated yet; materialize {evaluation_key.to_user_string()} first.",
                allow_retries=False,
            )
        name, id = str(measured["model_name"]), str(measured.get("model_id") or measured["model_name"])
        told_of = ("labels_version", "labels_digest", "base_model")
        about: dict[str, Any] = {one: measured[one] for one in told_of if one in measured}
        about |= {"model_name": name, "model_id": id, "project": plan.project}
        about |= {"confidence_threshold": annotation.confidence}
        if gate is not None and not config.despite_gate:
            _, verdict = newest_verdict(context.instance, evaluation_key, gate)
            if verdict is not None and not verdict.passed:
                reason = f"the model {name} has not passed the gate: {verdict.text}"
                context.log.warning("No auto-annotation: %s.", reason)
                metadata = {**about, "job_kind": AUTO_ANNOTATION.name, "submitted": False, "reason": reason}
                context.log_event(dg.AssetObservation(asset_key=key, metadata=metadata))
                return
        store, step = plan.open_store(), context.op_execution_context
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            untouched = untouched_tasks(client, plan.project, annotation.status)
            about["untouched_tasks"] = untouched.count
            if not untouched.count and not config.attach_to:
                reason = f"no task of {plan.project} without annotations is {' or '.join(annotation.status)}"
                context.log.info("No auto-annotation: %s.", reason)
                metadata = {**about, "job_kind": AUTO_ANNOTATION.name, "submitted": False, "reason": reason}
                yield dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion("none"), metadata=metadata)
                return
            request = annotation_request(annotation, plan.project, untouched, model_name=name, model_id=id)
            with enrichment(context.log, "The number of finished tasks without annotations"):
                about["finished_without_annotations"] = finished_without_annotations(store, annotation.status)
            if about.get("finished_without_annotations"):
                context.log.warning(
                    "%d tasks in other statuses have no annotations; FastLabel annotates these too, as its jobs know "
                    "no status.",
                    about["finished_without_annotations"],
                )

            def tell(submission: Submission) -> dict[str, Any]:
                waits = annotation.waiting.wait, annotation.waiting.give_up_after_hours
                return submission_metadata(AUTO_ANNOTATION, submission, about, *waits)

            submission = submit_in_run(step, client, store, request, config, name=plan.name, key=key, tell=tell)
            waiting = annotation.waiting
            if (again := told_again(step, key, AUTO_ANNOTATION, submission)) is not None:
                yield again
                return
            if ends_here(step, AUTO_ANNOTATION, submission, waiting):
                return
            followed = follow_in_run(
                step, client, AUTO_ANNOTATION, submission, subject=request.subject, waiting=waiting, store=store
            )
            usage = client.statistics.snapshot() - before
            carried = carried_of(context.instance, key, AUTO_ANNOTATION, submission.job_id, about)
            outcome = outcome_in_run(
                context, key, AUTO_ANNOTATION, submission=submission, followed=followed, carried=carried
            )
            yield outcome.result(submitted=submission.submitted, reason=submission.reason, **api_usage(usage))

    spec = plan.spec("auto_annotation").replace_attributes(skippable=True)
    return plan.step(annotate, "auto_annotation", [spec], pool=plan.pool)
