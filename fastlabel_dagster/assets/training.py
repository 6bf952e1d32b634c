"""``<slug>/dataset`` and ``<slug>/training``: publish what is approved, train on it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.enrichment import change_pictures, enrichment
from fastlabel_dagster.assets.following import ends_here, follow_in_run, outcome_in_run, told_again
from fastlabel_dagster.assets.job_plans import VersionNow
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.assets.tables import read_labels
from fastlabel_dagster.job_reports.submissions import (
    CARRIED,
    as_made,
    carried_of,
    newest,
    newest_model,
    submission_metadata,
)
from fastlabel_dagster.jobs.kinds import TRAINING
from fastlabel_dagster.jobs.submission import Submission
from fastlabel_dagster.metadata.tables import api_usage, labels_origin, quarantine_table
from fastlabel_dagster.resource import FastLabelResource

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient


#: What is true of a training only when the dataset is as it was published.
_OF_PUBLICATION = (
    "labels_version",
    "labels_digest",
    "approved_tasks",
    "objects",
    "changes_since_model",
    "changes_since_model_from",
    "changes_since_model_to",
    "changes_since_previous_model",
)


class PublishRunConfig(dg.Config):
    """What one run may say about the dataset."""

    labels_version: int | None = Field(
        default=None, ge=0, description="Publish the labels as they were at this version of the mirror."
    )


def build_dataset_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Publishes the approved tasks with their pictures as a FastLabel dataset; unchanged objects are not sent again.

    Its data version is that of everything the dataset holds, for that is what a training learns from.
    """
    key, name = plan.key("dataset"), plan.dataset
    assert name is not None

    def dataset(
        context: dg.AssetExecutionContext, config: PublishRunConfig, fastlabel: FastLabelResource
    ) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster.metadata.changes import changes_since, since_trained
        from fastlabel_dagster.store import ImageFolder
        from fastlabel_dagster.sync import LabelMirror, publish_dataset

        store = plan.open_store()
        labels, version = read_labels(plan, config.labels_version)
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            report = publish_dataset(
                client,
                labels,
                ImageFolder(store.at("images")),
                name,
                status=plan.publish_status,
                prune=plan.prune,
            )
            usage = client.statistics.snapshot() - before
        context.log.info("%s", report)
        metadata: dict[str, Any] = {
            "dagster/row_count": report.objects,
            "dataset": name,
            "dataset_id": report.dataset_id,
            "dataset_version": report.digest,
            "approved_tasks": report.added + report.updated + report.unchanged,
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "removed": report.removed,
            "left_over": report.left_over,
            "objects": report.objects,
            "objects_of_others": report.others,
            **labels_origin(labels),
            **api_usage(usage),
        }
        if report.pictures_replaced:
            metadata["pictures_replaced"] = report.pictures_replaced
            context.log.warning(
                "%d objects have another picture than they were published with: the labels are those of version %d, "
                "and the pictures those of today.",
                report.pictures_replaced,
                version.version,
            )
        if report.quarantined:
            metadata["quarantined"] = quarantine_table(report.quarantined)
        mirror = LabelMirror(store.at("labels"))
        with enrichment(context.log, "What changed since the dataset was last published"):
            last = newest(context.instance, key).get("labels_version")
            if isinstance(last, int) and last >= 0:
                metadata.update(changes_since(mirror, last, version.version))
        if plan.training is not None:
            with enrichment(context.log, "What changed since the model was trained"):
                model = newest_model(context.instance, plan.key("model"), plan.key("training"))
                metadata.update(since_trained(mirror, model, version.version))
        if plan.previews:
            images = ImageFolder(store.at("images"))
            metadata.update(change_pictures(context.log, mirror, metadata, images=images, client=fastlabel.client))
        return dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(report.digest), metadata=metadata)

    spec = plan.spec("dataset")
    return plan.step(dataset, "dataset", [spec], pool=plan.pool)


def build_training_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Submits a training on the published dataset.

    One training for each version of the published labels: a retried step, a re-executed run and a run in which nothing
    was newly approved all attach to the job there is, and say so in ``submitted`` and ``reason``.

    With ``wait: sensor`` (the default) the step ends there, and the jobs sensor reports the model when it is trained.
    With ``wait: run`` the step polls to the end and is the one that makes ``<slug>/model``; in a run in which only
    the training was selected it reports the model all the same.
    """
    key, model_key, dataset_key, training = plan.key("training"), plan.key("model"), plan.key("dataset"), plan.training
    assert training is not None
    in_run = training.waiting.wait == "run"

    def train(
        context: dg.AssetExecutionContext, config: JobConfig, fastlabel: FastLabelResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        selected = context.selected_asset_keys
        published = published_dataset(context.instance, dataset_key)
        about = {name: published[name] for name in CARRIED if name in published}
        about |= {"base_model": training.base_model_name, "epoch": training.epoch}
        about["dataset_asset"] = dataset_key.to_user_string()
        if published.get("changes_since_model"):
            # what the dataset has learned since the last model is what is new in this one
            about["changes_since_previous_model"] = published["changes_since_model"]
        if not published.get("approved_tasks"):
            reason = f"no task of {plan.project} is {plan.publish_status}: there is nothing to train on"
            context.log.warning("No training: %s.", reason)
            if key in selected:
                yield dg.MaterializeResult(
                    asset_key=key,
                    data_version=dg.DataVersion("none"),
                    metadata={**about, "job_kind": TRAINING.name, "submitted": False, "reason": reason},
                )
            return

        def tell(submission: Submission) -> dict[str, Any]:
            made_of = as_made(about, submission, without=_OF_PUBLICATION)
            waits = training.waiting.wait, training.waiting.give_up_after_hours
            return {
                **submission_metadata(TRAINING, submission, made_of, *waits),
                "training_status": submission.status,
            }

        name = str(published["dataset"])
        revision = training.more.get("dataset_revision_id")
        request = training.request(
            name, str(published["dataset_version"]), version_now(name, plan.project, revision_id=revision)
        )
        step, store = context.op_execution_context, plan.open_store()
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            submission = submit_in_run(
                step, client, store, request, config, name=plan.name, key=key, tell=tell, reported=model_key
            )
            usage = client.statistics.snapshot() - before
            if key in selected:
                version = dg.DataVersion(submission.job_id)
                told = {**tell(submission), **api_usage(usage)}
                yield dg.MaterializeResult(asset_key=key, data_version=version, metadata=told)
            if (again := told_again(step, model_key, TRAINING, submission)) is not None:
                if model_key in selected:
                    yield again
            elif not ends_here(step, TRAINING, submission, training.waiting):
                if submission.gone:
                    raise _unknown_model(submission)
                followed = follow_in_run(
                    step, client, TRAINING, submission, subject=request.subject, waiting=training.waiting, store=store
                )
                carried = carried_of(context.instance, key, TRAINING, submission.job_id, tell(submission))
                outcome = outcome_in_run(
                    context, model_key, TRAINING, submission=submission, followed=followed, carried=carried
                )
                if model_key in selected:
                    yield outcome.result()
                else:
                    context.instance.report_runless_asset_event(outcome.materialization())

    specs = [plan.spec("training")]
    if in_run:
        specs.append(plan.spec("model").replace_attributes(skippable=True))
    return plan.step(train, "training", specs, pool=plan.pool, can_subset=in_run)


def version_now(dataset: str, project: str, *, revision_id: str | None = None) -> VersionNow:
    """Looks which version a dataset has when it is asked; of a revision, that one's."""

    def look(client: FastLabelClient) -> str:
        from fastlabel_dagster.sync import dataset_digest

        return dataset_digest(client, dataset, project, revision_id=revision_id)

    return look


def _unknown_model(submission: Submission) -> dg.Failure:
    """Of a training that somebody else has seen complete and that is no longer in FastLabel, nobody knows the model."""
    return dg.Failure(
        description=f"The training {submission.job_id} has completed and is no longer in FastLabel, and its model was "
        "never reported here. If the model is there, report it as a materialization of the model asset; force: true "
        "trains another.",
        metadata={"job_id": submission.job_id},
        allow_retries=False,
    )


def published_dataset(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, Any]:
    """What the newest materialization of the dataset says. Raises ``dg.Failure`` when there is none."""
    published = newest(instance, key)
    if "dataset_version" not in published:
        raise dg.Failure(
            description=f"Nothing was published yet; materialize {key.to_user_string()} first.", allow_retries=False
        )
    return published
