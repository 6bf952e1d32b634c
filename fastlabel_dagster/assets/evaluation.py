"""``<slug>/evaluation``: the newest model measured on the published dataset, and the gate it has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from fastlabel_dagster.assets.following import ends_here, follow_in_run, outcome_in_run, told_again
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.assets.training import published_dataset, version_now
from fastlabel_dagster.job_reports.submissions import as_made, carried_of, newest_model, submission_metadata
from fastlabel_dagster.jobs.kinds import EVALUATION
from fastlabel_dagster.jobs.submission import Submission
from fastlabel_dagster.metadata.tables import api_usage
from fastlabel_dagster.resource import FastLabelResource


def build_evaluation_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Evaluates the newest model on the dataset as it is published, once for each pair of them and settings.

    With ``wait: run`` (the default) the step polls to the end and materializes the measures. With ``wait: sensor`` it
    leaves an observation, and the jobs sensor materializes the asset when the evaluation has ended.

    Of an evaluation that was deleted in FastLabel, the measures that were reported stand, and are materialized again;
    where none were, the model is evaluated anew.
    """
    key, model_key, dataset_key, evaluation = (
        plan.key("evaluation"),
        plan.key("model"),
        plan.key("dataset"),
        plan.evaluation,
    )
    assert evaluation is not None

    def evaluate(
        context: dg.AssetExecutionContext, config: JobConfig, fastlabel: FastLabelResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        published = published_dataset(context.instance, dataset_key)
        model = newest_model(context.instance, model_key, plan.key("training"))
        if not model.get("model_name"):
            raise dg.Failure(
                description=f"There is no model of {plan.project} yet: {model_key.to_user_string()} is reported when a "
                "training has finished.",
                allow_retries=False,
            )
        request = evaluation.request(
            str(published["dataset"]),
            str(published["dataset_version"]),
            str(model["model_name"]),
            str(model.get("model_id") or model["model_name"]),
            version_now(str(published["dataset"]), plan.project),
        )
        about = {name: published[name] for name in ("dataset", "dataset_id", "dataset_version") if name in published}
        # the labels are those the model has learned from; the dataset is the one it is measured on
        about |= {name: model[name] for name in ("labels_version", "labels_digest", "base_model") if name in model}
        about |= {
            "model_name": model["model_name"],
            "model_id": model.get("model_id") or model["model_name"],
            "trained_dataset_version": model.get("dataset_version"),
            "iou_threshold": evaluation.iou_threshold,
            "confidence_threshold": evaluation.confidence_threshold,
            "use_dataset_test": evaluation.use_dataset_test,
            "gate": None if evaluation.gate is None else evaluation.gate.to_dict(),
        }

        def tell(submission: Submission) -> dict[str, Any]:
            waits = evaluation.waiting.wait, evaluation.waiting.give_up_after_hours
            return submission_metadata(EVALUATION, submission, as_made(about, submission), *waits)

        step, store = context.op_execution_context, plan.open_store()
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            submission = submit_in_run(step, client, store, request, config, name=plan.name, key=key, tell=tell)
            if (again := told_again(step, key, EVALUATION, submission)) is not None:
                yield again
                return
            if ends_here(step, EVALUATION, submission, evaluation.waiting):
                return
            followed = follow_in_run(
                step, client, EVALUATION, submission, subject=request.subject, waiting=evaluation.waiting, store=store
            )
            usage = client.statistics.snapshot() - before
            carried = carried_of(context.instance, key, EVALUATION, submission.job_id, tell(submission))
            outcome = outcome_in_run(
                context,
                key,
                EVALUATION,
                submission=submission,
                followed=followed,
                carried=carried,
                previews=plan.previews,
            )
            yield outcome.result(submitted=submission.submitted, reason=submission.reason, **api_usage(usage))

    spec = plan.spec("evaluation").replace_attributes(skippable=True)
    return plan.step(evaluate, "evaluation", [spec], pool=plan.pool)
