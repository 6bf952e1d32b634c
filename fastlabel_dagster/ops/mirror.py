"""Ops on a project's mirror: sync, download, export, publish."""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.exports import export_metadata
from fastlabel_dagster.metadata.tables import quarantine_table
from fastlabel_dagster.ops.places import AFTER, ProjectConfig
from fastlabel_dagster.resource import FastLabelResource


class SyncConfig(ProjectConfig):
    """Which project to sync."""

    take_over: bool = Field(default=False, description="Let the project take the place of another one of its slug.")


class ExportConfig(ProjectConfig):
    """What to export, and how."""

    format: str = Field(description="Name of a format: coco, yolo, pascal_voc, parquet …")
    folder: str | None = Field(default=None, description="Folder inside the store; default is the format's name.")
    status: list[str] | None = Field(default=None, description="Only tasks in one of these statuses.")
    images: bool = Field(default=True, description="Put the pictures beside the labels.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the format.")
    force: bool = Field(default=False, description="Write the export again although nothing has changed.")
    labels_version: int | None = Field(
        default=None, ge=0, description="Write the labels as they were at this version of the mirror."
    )


class PublishConfig(ProjectConfig):
    """Which tasks to publish as which dataset."""

    dataset: str = Field(description="Name of the FastLabel dataset: lower-case letters, digits, hyphens.")
    status: list[str] = Field(default=["approved"], description="Publish the tasks in one of these statuses.")
    prune: bool = Field(default=False, description="Delete our objects whose task is gone or in another status.")
    labels_version: int | None = Field(
        default=None, ge=0, description="Publish the labels as they were at this version of the mirror."
    )


@dg.op(ins=AFTER, description="Bring the mirror of a project up to date.")
def sync_op(context: dg.OpExecutionContext, config: SyncConfig, fastlabel: FastLabelResource) -> dict[str, Any]:
    """The report of :func:`fastlabel_dagster.sync.sync_project` as a dictionary."""
    from fastlabel_dagster.sync import sync_project

    with fastlabel.dagster_errors(context) as client:
        report = sync_project(client, config.project, config.open(), take_over=config.take_over, log=context.log.info)
    context.add_output_metadata({"summary": str(report), "quarantined": quarantine_table(report.quarantined)})
    return report.to_dict()


@dg.op(ins=AFTER, description="Download what a project's mirrored tasks are made of: pictures, videos, texts, sound.")
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


@dg.op(ins=AFTER, description="Write the mirrored labels in a training format.")
def export_op(context: dg.OpExecutionContext, config: ExportConfig) -> dict[str, Any]:
    """The :class:`~fastlabel_dagster.formats.ExportReport` as a dictionary. An export that is current is not
    rewritten."""
    from fastlabel_dagster.formats import write
    from fastlabel_dagster.store import ImageFolder

    store, labels = config.open(), config.labels(config.labels_version)
    report = write(
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


@dg.op(ins=AFTER, description="Publish approved tasks as a FastLabel dataset.")
def publish_op(context: dg.OpExecutionContext, config: PublishConfig, fastlabel: FastLabelResource) -> dict[str, Any]:
    """The report of :func:`fastlabel_dagster.sync.publish_dataset` as a dictionary; its ``digest`` is what
    :func:`train_op` takes for ``dataset_version``."""
    from fastlabel_dagster.store import ImageFolder
    from fastlabel_dagster.sync import publish_dataset

    labels, images = config.labels(config.labels_version), ImageFolder(config.open().at("images"))
    with fastlabel.dagster_errors(context) as client:
        report = publish_dataset(
            client, labels, images, config.dataset, status=config.status, prune=config.prune, log=context.log.info
        )
    context.add_output_metadata({"summary": str(report), "quarantined": quarantine_table(report.quarantined)})
    return report.to_dict()
