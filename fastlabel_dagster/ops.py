"""The work of the assets as ops, for people who build jobs instead of assets.

Each op takes its project and store from its config, the resource ``fastlabel``, and an optional ``start`` that only
says "after this"; each returns its report as plain JSON values.

Example:
    >>> import dagster as dg
    >>> from fastlabel_dagster import ops
    >>> @dg.job
    ... def nightly():
    ...     ops.export_op(start=ops.download_images_op(start=ops.sync_op()))
"""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.exports import export_metadata
from fastlabel_dagster.assets.job_plans import TrainingPlan
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.metadata.tables import quarantine_table
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.store import Store

_AFTER = {"start": dg.In(dg.Nothing, description="Anything that has to happen before.")}


class ProjectConfig(dg.Config):
    """Which project, and where its files live."""

    project: str = Field(description="Slug of the project.")
    store: str = Field(description="A folder or s3://bucket/prefix; one for each project.")
    s3_endpoint_url: str | None = Field(default=None, description="S3 server, where the environment does not decide.")
    s3_region: str | None = Field(default=None, description="S3 region, likewise.")
    s3_profile: str | None = Field(default=None, description="Profile of the shared AWS files, likewise.")

    def open(self) -> "Store":
        """The store."""
        from fastlabel_dagster.store import S3Options, open_store

        options: S3Options | None = None
        if self.s3_endpoint_url or self.s3_region or self.s3_profile:
            options = S3Options(self.s3_endpoint_url, self.s3_region, self.s3_profile)
        return open_store(self.store, options)

    def labels(self) -> "Labels":
        """The newest labels of the mirror. Raises ``dagster.Failure`` when nothing was synced yet."""
        from fastlabel_dagster.sync import LabelMirror

        mirror = LabelMirror(self.open().at("labels"))
        try:
            return mirror.read()
        except LookupError as error:
            text = f"There is no mirror at {mirror.store.uri} yet; run sync_op first."
            raise dg.Failure(description=text, allow_retries=False) from error


class ExportConfig(ProjectConfig):
    """What to export, and how."""

    format: str = Field(description="coco, coco_parquet, yolo or parquet.")
    folder: str | None = Field(default=None, description="Folder inside the store; default is the format's name.")
    status: list[str] | None = Field(default=None, description="Only tasks in one of these statuses.")
    images: bool = Field(default=True, description="Put the pictures beside the labels.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the format.")
    force: bool = Field(default=False, description="Write the export again although nothing has changed.")


class PublishConfig(ProjectConfig):
    """Which tasks to publish as which dataset."""

    dataset: str = Field(description="Name of the FastLabel dataset: lower-case letters, digits, hyphens.")
    status: list[str] = Field(default=["approved"], description="Publish the tasks in one of these statuses.")
    prune: bool = Field(default=False, description="Delete our objects whose task is gone or in another status.")


class TrainConfig(ProjectConfig):
    """What to train, and on what."""

    dataset: str = Field(description="Name of the FastLabel dataset.")
    dataset_version: str = Field(description="What identifies its content, such as the digest publish_op returns.")
    base_model: str = Field(description="Name of the base model in FastLabel.")
    epoch: int = Field(ge=1, description="How often the training goes over the dataset.")
    options: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the training.")
    force: bool = Field(
        default=False,
        description="Train again although this version was trained on; forget an earlier submit of unclear outcome.",
    )
    attach_to: str | None = Field(
        default=None, description="Id of a training job to take for this version's training; nothing is submitted."
    )


@dg.op(ins=_AFTER, description="Bring the mirror of a project up to date.")
def sync_op(context: dg.OpExecutionContext, config: ProjectConfig, fastlabel: FastLabelResource) -> dict[str, Any]:
    """The report of :func:`fastlabel_dagster.sync.sync_project` as a dictionary."""
    from fastlabel_dagster.sync import sync_project

    with fastlabel.dagster_errors(context) as client:
        report = sync_project(client, config.project, config.open(), log=context.log.info)
    context.add_output_metadata({"summary": str(report), "quarantined": quarantine_table(report.quarantined)})
    return report.to_dict()


@dg.op(ins=_AFTER, description="Download what a project's mirrored tasks are made of: pictures, videos, texts, sound.")
def download_images_op(
    context: dg.OpExecutionContext, config: ProjectConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """The report of :func:`fastlabel_dagster.sync.download_images` as a dictionary."""
    from fastlabel_dagster.sync import download_images

    labels = config.labels()
    with fastlabel.dagster_errors(context) as client:
        report = download_images(client, config.project, config.open(), labels)
    context.add_output_metadata({"summary": str(report), "quarantined": quarantine_table(report.quarantined)})
    return report.to_dict()


@dg.op(ins=_AFTER, description="Write the mirrored labels in a training format.")
def export_op(context: dg.OpExecutionContext, config: ExportConfig) -> dict[str, Any]:
    """The :class:`~fastlabel_dagster.formats.ExportReport` as a dictionary. An export that is current is not
    rewritten."""
    from fastlabel_dagster import formats
    from fastlabel_dagster.store import ImageFolder

    store, labels = config.open(), config.labels()
    report = formats.write(
        labels,
        format=config.format,
        target=store.at(config.folder or config.format),
        images=ImageFolder(store.at("images")) if config.images and config.format != "parquet" else None,
        status=config.status,
        skip_unchanged=not config.force,
        **config.options,
    )
    context.add_output_metadata(export_metadata(report, labels))
    return report.to_dict()


@dg.op(ins=_AFTER, description="Publish approved tasks as a FastLabel dataset.")
def publish_op(context: dg.OpExecutionContext, config: PublishConfig, fastlabel: FastLabelResource) -> dict[str, Any]:
    """The report of :func:`fastlabel_dagster.sync.publish_dataset` as a dictionary; its ``digest`` is what
    :func:`train_op` takes for ``dataset_version``."""
    from fastlabel_dagster.store import ImageFolder
    from fastlabel_dagster.sync import publish_dataset

    labels, images = config.labels(), ImageFolder(config.open().at("images"))
    with fastlabel.dagster_errors(context) as client:
        report = publish_dataset(
            client, labels, images, config.dataset, status=config.status, prune=config.prune, log=context.log.info
        )
    context.add_output_metadata({"summary": str(report), "quarantined": quarantine_table(report.quarantined)})
    return report.to_dict()


@dg.op(ins=_AFTER, description="Submit a training, once for each version of the dataset; does not wait for it.")
def train_op(context: dg.OpExecutionContext, config: TrainConfig, fastlabel: FastLabelResource) -> dict[str, Any]:
    """``{"job_id", "status", "submitted", "reason"}``. A repeated step, run or call attaches to the job there is."""
    training = TrainingPlan.of({"base_model": config.base_model, "epoch": config.epoch, **config.options})
    request = training.request(config.dataset, config.dataset_version)
    how = JobConfig(force=config.force, attach_to=config.attach_to)
    with fastlabel.dagster_errors(context) as client:
        result = submit_in_run(context, client, config.open(), request, how, name=safe_name(config.project))
    context.add_output_metadata({"training_job_id": result.job_id, "reason": result.reason})
    return {"job_id": result.job_id, "status": result.status, "submitted": result.submitted, "reason": result.reason}
