"""``<slug>/labels``: the versioned mirror, and the observation of the project it was read from."""

from __future__ import annotations

from typing import Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.assets.enrichment import change_pictures, enrichment, progress_picture
from fastlabel_dagster.assets.observation import project_event, tags_of_sync
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.checks import freshness_policy, mirror_results
from fastlabel_dagster.job_reports.submissions import newest_model
from fastlabel_dagster.metadata.tables import api_usage, column_schema, quarantine_table, statuses_table
from fastlabel_dagster.resource import FastLabelResource


class SyncRunConfig(dg.Config):
    """What one run may say about a sync."""

    take_over: bool = Field(
        default=False,
        description="Let the project take the place of another one of its slug that the store mirrors. Needed once.",
    )


def build_mirror_asset(plan: ProjectPlan) -> dg.AssetsDefinition:
    """The asset ``<slug>/labels`` with its checks; each run observes the state ``fastlabel/<slug>`` is in as it begins.

    Looking before reading is what makes the two agree: what people change meanwhile is not in that state, and the next
    observation finds it.
    """
    project, key = plan.spec("project"), plan.key("labels")

    def labels(
        context: dg.AssetExecutionContext, config: SyncRunConfig, fastlabel: FastLabelResource
    ) -> dg.MaterializeResult[Any]:
        from fastlabel_dagster.labels.schema import TASKS
        from fastlabel_dagster.labels.summary import status_counts
        from fastlabel_dagster.metadata.changes import changes_since, since_trained
        from fastlabel_dagster.store import ImageFolder
        from fastlabel_dagster.sync import LabelMirror, sync_project
        from fastlabel_dagster.workspace import project_state

        store = plan.open_store()
        with fastlabel.dagster_errors(context) as client:
            before = client.statistics.snapshot()
            state = project_state(client, plan.project)
            context.log_event(project_event(project, plan.project, state))
            report = sync_project(client, plan.project, store, take_over=config.take_over, log=context.log.info)
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
            "project_id": report.project_id,
            "annotations": report.annotations,
            "added": report.added,
            "updated": report.updated,
            "removed": report.removed,
            "buckets_rewritten": f"{report.buckets_rewritten} of {report.buckets}",
            "seconds": round(report.seconds, 3),
            **api_usage(usage),
        }
        if report.replaced_project_id:
            metadata["replaced_project_id"] = report.replaced_project_id
            context.log.warning(
                "%s is another project than before: %s in place of %s, whose %d tasks are removed.",
                plan.project,
                report.project_id,
                report.replaced_project_id,
                report.removed,
            )
        if report.quarantined:
            metadata["quarantined"] = quarantine_table(report.quarantined)
            metadata["quarantine_file"] = report.quarantine_file
        statuses: dict[str, int] = {}
        with enrichment(context.log, "The count of tasks by status"):
            statuses = status_counts(mirror.read())
            metadata["statuses"] = statuses_table(statuses)
        earlier = report.previous_version if report.changed else None
        if earlier is not None:
            with enrichment(context.log, "The list of changes"):
                metadata.update(changes_since(mirror, earlier, report.version))
        if plan.training is not None:
            with enrichment(context.log, "What changed since the model was trained"):
                model = newest_model(context.instance, plan.key("model"), plan.key("training"))
                metadata.update(since_trained(mirror, model, report.version))
        if plan.previews and statuses:
            statuses_before = None if earlier is None else status_counts(mirror.read(earlier))
            metadata.update(progress_picture(context.log, statuses, statuses_before))
            images = ImageFolder(store.at("images"))
            metadata.update(change_pictures(context.log, mirror, metadata, images=images, client=fastlabel.client))
        results = mirror_results(
            plan.checks, key, report=report, counted=counted, labels=mirror.read, client=fastlabel.client
        )
        return dg.MaterializeResult(
            asset_key=key,
            metadata=metadata,
            data_version=dg.DataVersion(report.digest),
            tags=tags_of_sync(context.instance, project, plan.project, state),
            check_results=list(results),
        )

    spec, policy = plan.spec("labels"), freshness_policy(plan.checks)
    if policy is not None and spec.freshness_policy is None:
        spec = spec.replace_attributes(freshness_policy=policy)
    return plan.step(labels, "labels", [spec], check_specs=plan.checks.specs("labels", key), pool=plan.pool)
