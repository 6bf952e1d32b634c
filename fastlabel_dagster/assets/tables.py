"""``<slug>/classes``, ``/tasks`` and ``/annotations``: the labels as plain Parquet, with pictures and checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from fastlabel_dagster.assets.enrichment import enrichment, label_pictures
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.checks import CheckSetting, LabelFindings
from fastlabel_dagster.metadata.lineage import column_lineage
from fastlabel_dagster.metadata.tables import api_usage, column_schema, counts_table, labels_origin, statuses_table
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import GATE_TAG

TABLES = ("classes", "tasks", "annotations")


def build_tables_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """One step that writes the three tables as one snapshot folder, which appears whole or not at all."""
    labels_key = plan.key("labels")

    def check_key(setting: CheckSetting) -> dg.AssetCheckKey:
        return dg.AssetCheckKey(plan.key(setting.kind.part), setting.name)

    def tables(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> Iterator[dg.MaterializeResult[Any]]:
        from fastlabel_dagster import formats
        from fastlabel_dagster.checks.versions import remembered
        from fastlabel_dagster.metadata.spread import LabelSpread
        from fastlabel_dagster.metadata.summary import LabelSummary
        from fastlabel_dagster.store import ImageFolder
        from fastlabel_dagster.sync import LabelMirror

        store = plan.open_store()
        labels, version = read_labels(plan)
        report = formats.write(labels, format="parquet", target=store.at("parquet"), skip_unchanged=True)
        summary, spread = LabelSummary(), LabelSpread()
        images = ImageFolder(store.at("images"))
        findings = LabelFindings(
            plan.checks,
            labels,
            mirror=LabelMirror(store.at("labels")),
            images=images,
            pictures=plan.previews,
            last=None if context.has_partition_key else lambda one: remembered(context.instance, check_key(one)),
        )
        for batch in labels.batches():
            summary.add(batch)
            findings.add(batch)
            if plan.previews:
                spread.add(batch)
        pictures: dict[str, Any] = {}
        if plan.previews:
            with enrichment(context.log, "The pictures of the labels"):
                client = fastlabel.client
                before = client.statistics.snapshot()
                pictures = label_pictures(
                    context.log,
                    summary,
                    spread,
                    labels.classes,
                    images,
                    project_type=version.project_type,
                    client=client,
                )
                pictures |= api_usage(client.statistics.snapshot() - before)
        rows = {"classes": labels.classes.num_rows, "tasks": summary.tasks, "annotations": summary.annotations}
        versions = {"classes": version.classes_digest, "tasks": version.digest, "annotations": version.digest}
        details: dict[str, dict[str, Any]] = {
            "classes": {},
            "tasks": {"statuses": statuses_table(summary.statuses), "empty_tasks": summary.empty_tasks},
            "annotations": {**pictures, "types": counts_table(dict(summary.types.most_common()), "type")},
        }
        for name in TABLES:
            yield dg.MaterializeResult(
                asset_key=plan.key(name),
                data_version=dg.DataVersion(versions[name]),
                metadata={
                    "dagster/row_count": rows[name],
                    **_place(store, name, labels_key),
                    **details[name],
                    **labels_origin(labels),
                    "unchanged": report.unchanged,
                },
                check_results=list(findings.results(name, plan.key(name))),
            )

    specs = [plan.spec(name) for name in TABLES]
    if plan.gates:  # a job that publishes or trains makes them too, see project_selection
        specs = [spec.replace_attributes(tags={**spec.tags, GATE_TAG: "blocking"}) for spec in specs]
    check_specs = [spec for name in TABLES for spec in plan.checks.specs(name, plan.key(name))]
    return plan.step(tables, "tables", specs, check_specs=check_specs, pool=plan.pool)


def read_labels(plan: ProjectPlan, pinned: int | None = None) -> tuple[Any, Any]:
    """The labels of the mirror, at the version ``pinned`` or else the newest, and the facts of that version.

    Raises:
        dagster.Failure: there is no mirror yet, or it has no such version.
    """
    from fastlabel_dagster.sync import LabelMirror

    mirror = LabelMirror(plan.open_store().at("labels"))
    try:
        version = mirror.at(pinned)
    except LookupError as error:
        first = plan.key("labels").to_user_string()
        if pinned is not None and mirror.exists:
            raise dg.Failure(
                description=f"The mirror at {mirror.store.uri} has no version {pinned} (any more); it has "
                f"{_span(mirror)}. The metadata of {first} names them.",
                allow_retries=False,
            ) from error
        raise dg.Failure(
            description=f"There is no mirror at {mirror.store.uri} yet; materialize {first} first.", allow_retries=False
        ) from error
    return mirror.read(version.version), version


def _span(mirror: Any) -> str:
    versions = [one.version for one in mirror.versions()]
    return f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]} only"


def _place(store: Any, name: str, labels: dg.AssetKey) -> dict[str, Any]:
    """Where the table lies, what its columns are, read from the written files themselves, and where they come from."""
    import pyarrow.parquet as pq

    from fastlabel_dagster.labels.schema import TASKS

    files = [one.path for one in store.list("parquet/") if one.path.endswith(".parquet")]
    own = [path for path in files if path.split("/")[1].split(".")[0] == name]
    if not own:
        return {"dagster/uri": store.uri_of("parquet")}
    with store.open_read(own[0]) as file:
        schema = pq.read_schema(file)
    whole = own[0] if own[0].count("/") == 1 else f"parquet/{name}"
    place = {"dagster/uri": store.uri_of(whole), "dagster/column_schema": column_schema(schema)}
    if name == "tasks":
        place["dagster/column_lineage"] = column_lineage(
            schema.names, labels, dict(zip(TASKS.names, TASKS.names, strict=True))
        )
    elif name == "annotations":
        place["dagster/column_lineage"] = column_lineage(schema.names, labels)
    return place
