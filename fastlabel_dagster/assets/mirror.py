"""``<slug>/labels``: the versioned mirror, and the observation of the project it was read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster._compat import input_version_tag
from fastlabel_dagster.assets.enrichment import enrichment
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.checks import mirror_check_specs, parity_result, quarantine_result
from fastlabel_dagster.metadata.tables import api_usage, column_schema, counts_table, quarantine_table, records_table
from fastlabel_dagster.resource import FastLabelResource

if TYPE_CHECKING:
    from fastlabel_dagster.sync import SyncReport

#: A difference of two versions with more tasks than this is counted, not listed.
_LISTED_CHANGES = 20_000


def build_mirror_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """The asset ``<slug>/labels`` with its checks; each run observes ``fastlabel/<slug>`` with the digest it read."""
    project_key, key = plan.key("project"), plan.key("labels")

    def labels(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster.labels.schema import TASKS
        from fastlabel_dagster.labels.summary import status_counts
        from fastlabel_dagster.sync import LabelMirror, sync_project

        store = plan.open_store()
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            report = sync_project(client, plan.project, store, log=context.log.info)
            counted = client.tasks.count(plan.project)
            usage = client.statistics.snapshot() - before
        mirror = LabelMirror(store.at("labels"))
        metadata: dict[str, Any] = {
            "dagster/row_count": report.tasks,
            "dagster/uri": mirror.store.uri,
            "dagster/column_schema": column_schema(TASKS),
            "labels_version": report.version,
            "labels_digest": report.digest,
            "changed": report.changed,
            "settled": report.settled,
            "summary": str(report),
            "annotations": report.annotations,
            "added": report.added,
            "updated": report.updated,
            "removed": report.removed,
            "buckets_rewritten": f"{report.buckets_rewritten} of {report.buckets}",
            "seconds": round(report.seconds, 3),
            **api_usage(usage),
        }
        if report.quarantined:
            metadata["quarantined"] = quarantine_table(report.quarantined)
            metadata["quarantine_file"] = report.quarantine_file
        statuses: dict[str, int] = {}
        with enrichment(context.log, "The count of tasks by status"):
            statuses = status_counts(mirror.read())
            metadata["statuses"] = counts_table(statuses, "status")
        touched = report.added + report.updated + report.removed
        if report.changed and report.previous_version is not None and touched <= _LISTED_CHANGES:
            with enrichment(context.log, "The list of changes"):
                metadata.update(_changes(mirror, report.previous_version, report.version))
        known = _known_version(context.instance, project_key)
        for event in _project_events(project_key, report, statuses, changed=known != report.digest):
            context.log_event(event)
        return dg.MaterializeResult(
            asset_key=key,
            metadata=metadata,
            data_version=dg.DataVersion(report.digest),
            tags={input_version_tag(project_key): report.digest},
            check_results=[
                parity_result(
                    key,
                    mirrored=report.tasks,
                    quarantined=len(report.quarantined),
                    counted=counted,
                    settled=report.settled,
                ),
                quarantine_result(key, len(report.quarantined)),
            ],
        )

    specs = [plan.spec("labels", [project_key])]
    return plan.step(labels, "labels", specs, check_specs=mirror_check_specs(key), pool=plan.pool)


def _known_version(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """The data version with which the external project was last reported as changed."""
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event is not None else None
    return None if materialization is None else (materialization.tags or {}).get("dagster/data_version")


def _project_events(
    key: dg.AssetKey, report: SyncReport, statuses: Mapping[str, int], *, changed: bool
) -> Iterator[dg.AssetObservation | dg.AssetMaterialization]:
    """Every sync observes the project; one that found new content also reports it as materialized.

    Dagster takes the current data version of an external asset from its materializations (observations count only for
    assets with an observation function of their own), and marks as stale by it.
    """
    said: dict[str, Any] = {
        "description": f"{report.tasks:,} tasks, {report.annotations:,} annotations",
        "metadata": {
            "tasks": report.tasks,
            "annotations": report.annotations,
            "classes": report.classes,
            "project_id": report.project_id,
            "project_type": report.project_type,
            **{f"tasks/{status}": count for status, count in statuses.items()},
        },
        "tags": {"dagster/data_version": report.digest},
    }
    yield dg.AssetObservation(asset_key=key, **said)
    if changed:
        yield dg.AssetMaterialization(asset_key=key, **said)


def _changes(mirror: Any, before: int, after: int) -> dict[str, Any]:
    difference = mirror.diff(before, after)
    table = difference.table
    columns = [(name, "string") for name in table.column_names]
    rows = table.slice(0, 51).to_pylist()
    shown = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    return {"changes": str(difference), "changed_tasks": records_table(shown, columns)}
