"""``<slug>/coco``, ``<slug>/yolo`` …: the labels in a training format, one asset for each export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.plan import ExportPlan, ProjectPlan
from fastlabel_dagster.assets.tables import read_labels
from fastlabel_dagster.metadata.tables import column_schema, counts_table, export_notes_table, labels_origin

if TYPE_CHECKING:
    from fastlabel_dagster.store import Store

#: Formats that are Parquet tables, and where the table of the annotations is.
_TABLES = {"coco_parquet": "annotations.parquet", "hf_parquet": "data/"}


class ExportRunConfig(dg.Config):
    """What one run may say about an export."""

    force: bool = Field(default=False, description="Write the export again although nothing has changed.")
    labels_version: int | None = Field(
        default=None, ge=0, description="Write the labels as they were at this version of the mirror."
    )


def build_export_asset(plan: ProjectPlan, export: ExportPlan) -> dg.AssetsDefinition:
    """Writes the folder ``<store>/<name>`` unless it already is what the labels and options would give, or ``force`` in
    the run's configuration asks for it."""
    spec = plan.spec("export", export)

    def write_export(context: dg.AssetExecutionContext, config: ExportRunConfig) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster import formats
        from fastlabel_dagster.store import ImageFolder

        store = plan.open_store()
        pinned = export.labels_version if config.labels_version is None else config.labels_version
        labels, version = read_labels(plan, pinned)
        report = formats.write(
            labels,
            format=export.format,
            target=store.at(export.name),
            images=ImageFolder(store.at("images")) if export.images else None,
            status=export.status,
            skip_unchanged=not config.force,
            **export.options,
        )
        context.log.info("%s", report)
        return dg.MaterializeResult(
            asset_key=spec.key,
            data_version=dg.DataVersion(report.digest or version.digest),
            metadata={
                **export_metadata(report, labels),
                **_columns(store.at(export.name), export.format, plan.key("labels")),
            },
        )

    return plan.step(write_export, f"{export.name.replace('-', '_')}_export", [spec])


def export_metadata(report: Any, labels: Any) -> dict[str, Any]:
    """What a person wants to know of an export: how much, where, and what did not come through and why."""
    metadata: dict[str, Any] = {
        "dagster/row_count": report.written,
        "dagster/uri": report.target,
        "summary": str(report),
        "tasks": report.tasks,
        "images": report.images,
        "files": report.files,
        "bytes": report.bytes,
        "dropped": report.dropped_count,
        "altered": report.altered_count,
        "report": export_notes_table(report),
        "unchanged": report.unchanged,
        **labels_origin(labels),
    }
    if report.splits:
        metadata["splits"] = counts_table(report.splits, "split")
    return metadata


def _columns(folder: Store, format: str, labels: dg.AssetKey) -> dict[str, Any]:
    """Columns of an export that is a Parquet table, and where they come from; of any other one nothing."""
    from fastlabel_dagster.metadata.lineage import column_lineage

    prefix = _TABLES.get(format)
    first = next((one for one in folder.list(prefix) if one.path.endswith(".parquet")), None) if prefix else None
    if first is None:
        return {}
    import pyarrow.parquet as pq

    with folder.open_read(first.path) as file:
        schema = pq.read_schema(file)
    return {
        "dagster/column_schema": column_schema(schema),
        "dagster/column_lineage": column_lineage(schema.names, labels),
    }
