"""``<slug>/images``: what the tasks are made of beside the labels, downloaded once: pictures, videos, texts, sound."""

from __future__ import annotations

from typing import Any

import dagster as dg

from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.tables import read_labels
from fastlabel_dagster.metadata.tables import api_usage, labels_origin, quarantine_table
from fastlabel_dagster.resource import FastLabelResource


def build_images_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """Downloads what is not there yet, verifies it, keeps the rest; its data version is the digest of the folder."""
    key = plan.key("images")

    def images(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster.store import ImageFolder
        from fastlabel_dagster.sync import download_images

        store = plan.open_store()
        labels, _ = read_labels(plan)
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            report = download_images(client, plan.project, store, labels)
            usage = client.statistics.snapshot() - before
        context.log.info("%s", report)
        folder = ImageFolder(store.at("images"))
        metadata: dict[str, Any] = {
            "dagster/row_count": folder.table.num_rows,
            "dagster/uri": folder.store.uri,
            "downloaded": report.downloaded,
            "kept": report.kept,
            "bytes": report.bytes,
            **labels_origin(labels),
            **api_usage(usage),
        }
        if report.quarantined:
            metadata["quarantined"] = quarantine_table(report.quarantined)
            context.log.warning("%d %s could not be used; see the metadata.", len(report.quarantined), report.what)
        return dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(folder.digest()), metadata=metadata)

    return plan.step(images, "images", [plan.spec("images")], pool=plan.pool)
