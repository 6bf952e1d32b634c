"""Slices of a project as partitioned tables: the tasks approved on a day, the objects of a dataset's split."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets.partitioned import materialization_of
from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.assets.tables import read_labels
from fastlabel_dagster.metadata.tables import api_usage, column_schema, labels_origin
from fastlabel_dagster.partitions import SPLITS, approval_days
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.translator import DagsterFastLabelTranslator

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.store import S3Options, Store

#: What is said of an approved task.
_COLUMNS = (
    "task_id",
    "name",
    "status",
    "external_status",
    "updated_at",
    "created_at",
    "tags",
    "assignee",
    "reviewer",
    "approver",
)


#: What objects of a dataset may be: the splits, and ``none`` of them.
_SPLITS = frozenset({*SPLITS.get_partition_keys(), "none"})


def build_approved_tasks_asset(
    project: str,
    *,
    store: str | Path,
    start: str | datetime,
    time_zone: str = "UTC",
    status: str = "approved",
    translator: DagsterFastLabelTranslator | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    resource_key: str = "fastlabel",
    s3: S3Options | None = None,
) -> dg.AssetsDefinition:
    """``<slug>/approved_tasks``: which tasks were approved on which day, as one Parquet file a day, from the mirror.

    The field is ``updated_at`` of the tasks that are approved when the partition is materialized; see
    :func:`~fastlabel_dagster.partitions.approval_days` for what that means of tasks that were changed later. The file
    is ``<store>/approved_tasks/<day>.parquet`` with the columns of the label tables that tell who and when; a day
    without approvals has an empty one. Nothing is asked of the API.

    Args:
        store: the store of the project's mirror.
        start: the first day, such as ``2025-01-31``. time_zone: whose days. Neither counts when the translator gives
            the asset partitions of its own (weeks, hours …): then a file holds what was approved in such a window.
        backfill_policy: by default one run for all days asked for: the mirror is read once.

    Raises:
        ValueError: the translator gives the asset partitions that are no windows of time.
    """
    plan = _plan(project, store, translator, resource_key, s3)
    spec = plan.spec("approved_tasks")
    if spec.partitions_def is None:
        spec = spec.replace_attributes(partitions_def=approval_days(start, time_zone=time_zone))
    windows = spec.partitions_def
    if not isinstance(windows, dg.TimeWindowPartitionsDefinition):
        raise ValueError(f"approved tasks are partitioned by time, not by {type(windows).__name__} of the translator")

    def approved_tasks(context: dg.AssetExecutionContext) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        labels, _ = read_labels(plan)
        approved = [
            table.filter(pc.equal(table["status"], status)).select(_COLUMNS) for table in labels.batches(list(_COLUMNS))
        ]
        tasks = pa.concat_tables(approved) if approved else None
        folder = plan.open_store().at("approved_tasks")
        for key in context.partition_keys:
            window = windows.time_window_for_partition_key(key)
            found = _changed_within(tasks, window.start, window.end)
            yield from _written(context, spec, folder, key, found, about=labels_origin(labels))

    return dg.multi_asset(
        name=f"{plan.name}_approved_tasks",
        specs=[spec.replace_attributes(skippable=True)],
        backfill_policy=backfill_policy or dg.BackfillPolicy.single_run(),
    )(resource_named(resource_key, approved_tasks))


def build_dataset_objects_asset(
    project: str,
    *,
    dataset: str,
    store: str | Path,
    translator: DagsterFastLabelTranslator | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    resource_key: str = "fastlabel",
    s3: S3Options | None = None,
    pool: str | None = "fastlabel",
) -> dg.AssetsDefinition:
    """``<slug>/dataset_objects``: the objects of the dataset a project is published to, by split (train, valid, test).

    Each split is a Parquet file ``<store>/dataset_objects/<split>.parquet``: name, size, tags, licences, annotations
    and metadata of each object, in the columns of
    :data:`fastlabel_dagster.labels.schema.DATASET_OBJECTS`, without the signed links.

    Args:
        dataset: its name in FastLabel. store: the store of the project.

    Raises:
        ValueError: the translator gives the asset partitions that are no splits of a dataset.
    """
    plan = _plan(project, store, translator, resource_key, s3, dataset=dataset)
    spec = plan.spec("dataset_objects")
    if spec.partitions_def is None:
        spec = spec.replace_attributes(partitions_def=SPLITS)
    given = spec.partitions_def
    splits = given.get_partition_keys() if isinstance(given, dg.StaticPartitionsDefinition) else ()
    if not splits or not set(splits) <= _SPLITS:
        what = ", ".join(splits) or type(given).__name__
        raise ValueError(
            f"the objects of a dataset are partitioned by split ({', '.join(sorted(_SPLITS))}), not by {what}"
        )

    def dataset_objects(context: dg.AssetExecutionContext, fastlabel: FastLabelResource) -> Iterator[Any]:
        from fastlabel_dagster.labels.fastlabel import dataset_objects_from_fastlabel

        folder = plan.open_store().at("dataset_objects")
        for split in context.partition_keys:
            with fastlabel.dagster_errors(context) as client:
                before = client.statistics.snapshot()
                objects = [
                    {**{key: value for key, value in one.items() if key != "signedUrl"}, "type": split}
                    for one in client.dataset_objects.iter(dataset, types=[split])
                ]
                usage = client.statistics.snapshot() - before
            table = dataset_objects_from_fastlabel(sorted(objects, key=lambda one: str(one.get("name"))))
            about = {"dataset": dataset, "split": split, **api_usage(usage)}
            yield from _written(context, spec, folder, split, table, about=about)

    return dg.multi_asset(
        name=f"{plan.name}_dataset_objects",
        specs=[spec.replace_attributes(skippable=True)],
        pool=pool,
        backfill_policy=backfill_policy or dg.BackfillPolicy.single_run(),
    )(resource_named(resource_key, dataset_objects))


def _plan(
    project: str,
    store: str | Path,
    translator: DagsterFastLabelTranslator | None,
    resource_key: str,
    s3: S3Options | None,
    **more: Any,
) -> ProjectPlan:
    return ProjectPlan.of(
        project,
        (),
        store,
        training=None,
        translator=translator or DagsterFastLabelTranslator(),
        resource_key=resource_key,
        s3=s3,
        **more,
    )


def _changed_within(tasks: pa.Table | None, start: datetime, end: datetime) -> pa.Table:
    """The tasks last changed from ``start`` to before ``end``, by that time and id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from fastlabel_dagster.labels.schema import TASKS

    if tasks is None:
        return pa.schema([TASKS.field(name) for name in _COLUMNS]).empty_table()
    kind = TASKS.field("updated_at").type
    first, last = (pa.scalar(moment.astimezone(timezone.utc), kind) for moment in (start, end))
    when = tasks["updated_at"]
    found = tasks.filter(pc.and_(pc.greater_equal(when, first), pc.less(when, last)))
    return found.sort_by([("updated_at", "ascending"), ("task_id", "ascending")])


def _written(
    context: dg.AssetExecutionContext,
    spec: dg.AssetSpec,
    folder: Store,
    key: str,
    table: pa.Table,
    *,
    about: dict[str, Any],
) -> Iterator[Any]:
    """Write a partition's table, and report it: as the step's result when it is the only one, else as its own event."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), content, compression="zstd")
    data = content.getvalue().to_pybytes()
    path = f"{key}.parquet"
    folder.write_bytes(path, data)
    result = dg.MaterializeResult[Any](
        asset_key=spec.key,
        data_version=dg.DataVersion(_content_digest(table)),
        metadata={
            "dagster/row_count": table.num_rows,
            "dagster/uri": folder.uri_of(path),
            "dagster/column_schema": column_schema(table.schema),
            "bytes": len(data),
            **about,
        },
    )
    if len(context.partition_keys) == 1:
        yield result
    else:
        context.log_event(materialization_of(result, key))


def _content_digest(table: pa.Table) -> str:
    """The same for equal rows, whatever release of the Parquet writer wrote them."""
    import pyarrow as pa

    rows = pa.BufferOutputStream()
    with pa.ipc.new_stream(rows, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return blake2b(rows.getvalue(), digest_size=16).hexdigest()
