"""``<slug>/dataset`` and ``<slug>/training``: publish what is approved, train on it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster._compat import add_run_tags
from fastlabel_dagster.assets.ledger import Claimant
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.submission import submit_training
from fastlabel_dagster.assets.tables import read_labels
from fastlabel_dagster.metadata.tables import api_usage, labels_origin, quarantine_table
from fastlabel_dagster.resource import FastLabelResource

#: How many generations of re-executed runs are searched for a submitted job.
_ANCESTORS = 20


class TrainingConfig(dg.Config):
    """What one run may say about its training."""

    force: bool = Field(
        default=False,
        description="Train again although nothing was newly approved; forget an earlier submit of unclear outcome.",
    )
    attach_to: str | None = Field(
        default=None, description="Id of a training job to take for this version's training; nothing is submitted."
    )


def build_dataset_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Publishes the approved tasks with their pictures as a FastLabel dataset; unchanged objects are not sent again.

    Its data version is that of everything the dataset holds, for that is what a training learns from.
    """
    key, name = plan.key("dataset"), plan.dataset
    assert name is not None

    def dataset(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster.store import ImageFolder
        from fastlabel_dagster.sync import publish_dataset

        store = plan.open_store()
        labels, _ = read_labels(plan)
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
        if report.quarantined:
            metadata["quarantined"] = quarantine_table(report.quarantined)
        return dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(report.digest), metadata=metadata)

    spec = plan.spec("dataset", [plan.key("labels"), plan.key("images")], options={"dataset": name})
    return plan.step(dataset, "dataset", [spec], pool=plan.pool)


def build_training_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Submits a training on the published dataset, and does not wait for it: ``build_training_sensor`` reports its end.

    One training for each version of the published labels: a retried step, a re-executed run and a run in which nothing
    was newly approved all attach to the job there is, and say so in ``submitted`` and ``reason``.
    """
    key, dataset_key, training = plan.key("training"), plan.key("dataset"), plan.training
    assert training is not None
    job_tag, version_tag = f"fastlabel/training_job/{plan.name}", f"fastlabel/training_of/{plan.name}"

    def train(
        context: dg.AssetExecutionContext, config: TrainingConfig, fastlabel: FastLabelResource
    ) -> dg.MaterializeResult[Any]:
        published = _published(context.instance, dataset_key)
        version = str(published["dataset_version"])
        about = {name: published[name] for name in _PASSED_ON if name in published}
        about["base_model"] = training.base_model_name
        about["epoch"] = training.epoch
        if not published.get("approved_tasks"):
            reason = f"no task of {plan.project} is {plan.publish_status}: there is nothing to train on"
            context.log.warning("No training: %s.", reason)
            return dg.MaterializeResult(
                asset_key=key,
                data_version=dg.DataVersion("none"),
                metadata={**about, "submitted": False, "reason": reason},
            )

        step = context.op_execution_context

        def record(job: str) -> None:
            add_run_tags(context.instance, context.run.run_id, {job_tag: job, version_tag: version})

        with fastlabel.dagster_errors(context) as client, unclear_told(step.op.name):
            before = client.statistics.snapshot()
            result = submit_training(
                client,
                plan.open_store(),
                training,
                str(published["dataset"]),
                version,
                recorded=_recorded(context.instance, context.run, job_tag, version_tag, version),
                force=config.force,
                attach_to=config.attach_to,
                claimant=claimant_of(step),
                record=record,
                log=context.log.info,
            )
            usage = client.statistics.snapshot() - before
        return dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(result.job_id),
            metadata={
                **about,
                "training_job_id": result.job_id,
                "training_status": result.status,
                "submitted": result.submitted,
                "reason": result.reason,
                **api_usage(usage),
            },
        )

    spec = plan.spec("training", [dataset_key], options={"base_model": training.base_model_name})
    return plan.step(train, "training", [spec], pool=plan.pool)


@contextmanager
def unclear_told(step: str) -> Iterator[None]:
    """Turn ``UnclearSubmission`` into a failure that says what to type for ``step`` in the launchpad."""
    from fastlabel_dagster.api import UnclearSubmission

    try:
        yield
    except UnclearSubmission as error:
        which = " or ".join(error.candidates)
        head = f"ops:\n  {step}:\n    config:\n"
        attach = f'{head}      attach_to: "{error.candidates[0] if error.candidates else "<id of the training job>"}"\n'
        again = f"{head}      force: true\n"
        choice = f" (it may be {which})" if which else ""
        raise dg.Failure(
            description=f"UnclearSubmission: {error.message}. Look at the training jobs in FastLabel. If one is the "
            f"training of this run{choice}, launch a new run with this in the launchpad:\n\n{attach}\n"
            f"If none is, submit again with:\n\n{again}",
            metadata={
                "candidates": ", ".join(error.candidates) or "none listed",
                "if one of the jobs is ours": dg.MetadataValue.md(f"```yaml\n{attach}```"),
                "if none is": dg.MetadataValue.md(f"```yaml\n{again}```"),
            },
            allow_retries=False,
        ) from error


def claimant_of(context: dg.OpExecutionContext) -> Claimant:
    """The step of a run as the one who submits; the instance knows which other runs still go on."""
    instance, run = context.instance, context.run

    def is_active(run_id: str) -> bool | None:
        other = instance.get_run_by_id(run_id)
        return None if other is None else not other.is_finished

    ancestors = frozenset(_ancestors(instance, run))
    return Claimant(run.run_id, str(context.op_handle), ancestors, is_active)


def _ancestors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    known: dg.DagsterRun | None = run
    for _ in range(_ANCESTORS):
        parent = known.parent_run_id if known is not None else None
        if parent is None:
            return
        yield parent
        known = instance.get_run_by_id(parent)


_PASSED_ON = (
    "dataset",
    "dataset_id",
    "dataset_version",
    "approved_tasks",
    "objects",
    "labels_version",
    "labels_digest",
)


def _published(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, Any]:
    """What the newest materialization of the dataset says. Raises ``dg.Failure`` when there is none."""
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event is not None else None
    if materialization is None or "dataset_version" not in materialization.metadata:
        raise dg.Failure(
            description=f"Nothing was published yet; materialize {key.to_user_string()} first.", allow_retries=False
        )
    return {name: value.value for name, value in materialization.metadata.items()}


def _recorded(
    instance: dg.DagsterInstance, run: dg.DagsterRun, job_tag: str, version_tag: str, version: str
) -> str | None:
    """The job that this run, or one of the runs it re-executes, has submitted for this version of the dataset."""
    run_id: str | None = run.run_id
    for _ in range(_ANCESTORS):
        known = instance.get_run_by_id(run_id) if run_id else None
        if known is None:
            return None
        if known.tags.get(job_tag) and known.tags.get(version_tag) == version:
            return known.tags[job_tag]
        run_id = known.parent_run_id
    return None
