"""Tasks by the day of their approval, objects of datasets by split: the tables, single runs, backfills in one run."""

from __future__ import annotations

from datetime import datetime

import dagster as dg
import pyarrow.parquet as pq
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.slices import build_approved_tasks_asset, build_dataset_objects_asset
from fastlabel_dagster.partitions import SPLITS
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sync import sync_project
from fastlabel_dagster.translator import DagsterFastLabelTranslator

SLUG = "street-scenes"
FROM, TO = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def resource(sandbox):
    return FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0)


def run(asset, instance, resource, **more):
    job = dg.Definitions(assets=[asset], resources={"fastlabel": resource}).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False, **more)


@pytest.fixture
def days(sandbox, resource, fill_project, tmp_path):
    """A mirrored project whose tasks were last changed on certain days."""
    ids = fill_project(sandbox.state, SLUG, tasks=6, approved=4)
    moments = (
        "2025-01-30T23:59:59.999Z",
        "2025-01-31T00:00:00.000Z",
        "2025-01-31T23:59:59.999Z",
        "2025-02-01T00:00:00.000Z",
    )
    for task, moment in zip(ids, moments, strict=False):
        sandbox.state.update_task(task, updatedAt=moment)
    sandbox.state.update_task(ids[4], updatedAt="2025-01-31T12:00:00.000Z")  # registered: nobody has approved it
    sync_project(resource.client, SLUG, tmp_path / "store")
    resource.close()
    return tmp_path / "store", ids


def names(store, day):
    return pq.read_table(store / "approved_tasks" / f"{day}.parquet")["task_id"].to_pylist()


def test_the_tasks_of_a_day_are_those_approved_and_last_changed_then(days, instance, resource):
    store, ids = days
    asset = build_approved_tasks_asset(SLUG, store=store, start="2025-01-29")
    result = run(asset, instance, resource, partition_key="2025-01-31")
    assert result.success
    assert names(store, "2025-01-31") == [ids[1], ids[2]]
    (event,) = result.get_asset_materialization_events()
    assert event.partition == "2025-01-31"
    assert event.materialization.metadata["dagster/row_count"].value == 2
    assert event.materialization.metadata["labels_version"].value == 0


def test_days_end_where_they_end_in_the_time_zone(days, instance, resource):
    store, ids = days
    asset = build_approved_tasks_asset(SLUG, store=store, start=datetime(2025, 1, 29), time_zone="Asia/Tokyo")
    run(asset, instance, resource, partition_key="2025-01-31")
    assert names(store, "2025-01-31") == [ids[0], ids[1]]


def test_a_backfill_of_days_is_one_run_and_each_day_has_its_own_rows(days, instance, resource):
    store, _ = days
    asset = build_approved_tasks_asset(SLUG, store=store, start="2025-01-29")
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert run(asset, instance, resource, tags={FROM: "2025-01-29", TO: "2025-02-01"}).success
    rows = {}
    for record in instance.fetch_materializations(asset.key, limit=10).records:
        rows[record.partition_key] = record.asset_materialization.metadata["dagster/row_count"].value
    assert rows == {"2025-01-29": 0, "2025-01-30": 1, "2025-01-31": 2, "2025-02-01": 1}
    assert names(store, "2025-01-29") == []


def test_without_a_mirror_it_says_what_to_do(instance, resource, tmp_path, failure_text):
    asset = build_approved_tasks_asset(SLUG, store=tmp_path / "empty", start="2025-01-29")
    result = run(asset, instance, resource, partition_key="2025-01-31")
    assert not result.success and "materialize street-scenes/labels first" in failure_text(result)


def test_the_objects_of_a_dataset_by_split(sandbox, instance, resource, tmp_path):
    dataset = sandbox.state.datasets.create("boxes")
    for name, split in (("a.txt", "train"), ("b.txt", "train"), ("c.txt", "valid"), ("d.txt", "none")):
        sandbox.state.datasets.add_object("boxes", name, name.encode(), {"tags": ["x"]})
        sandbox.state.datasets.set_object_type(dataset["id"], name, split)
    asset = build_dataset_objects_asset(SLUG, dataset="boxes", store=tmp_path)
    assert asset.partitions_def == SPLITS
    assert run(asset, instance, resource, tags={FROM: "train", TO: "test"}).success
    read = {
        split: pq.read_table(tmp_path / "dataset_objects" / f"{split}.parquet") for split in ("train", "valid", "test")
    }
    assert {split: table["name"].to_pylist() for split, table in read.items()} == {
        "train": ["a.txt", "b.txt"],
        "valid": ["c.txt"],
        "test": [],
    }
    assert read["train"]["signed_url"].to_pylist() == [None, None]
    assert run(asset, instance, resource, partition_key="valid").success
    assert instance.get_materialized_partitions(asset.key) == {"train", "valid", "test"}


def test_equal_rows_have_equal_data_versions(days, instance, resource):
    store, _ = days
    asset = build_approved_tasks_asset(SLUG, store=store, start="2025-01-29")
    versions = set()
    for _ in range(2):
        result = run(asset, instance, resource, partition_key="2025-01-31")
        versions.add(result.get_asset_materialization_events()[0].materialization.tags["dagster/data_version"])
    assert len(versions) == 1


def test_they_stand_beside_the_assets_of_the_project(tmp_path):
    common = {"store": tmp_path, "dataset": "boxes"}
    project = build_fastlabel_project_assets(SLUG, exports=["coco"], **common)
    slices = [
        build_approved_tasks_asset(SLUG, store=tmp_path, start="2025-01-01"),
        build_dataset_objects_asset(SLUG, **common),
    ]
    defs = dg.Definitions(assets=[*project, *slices], resources={"fastlabel": FastLabelResource()})
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey([SLUG, "approved_tasks"])).parent_keys == {dg.AssetKey([SLUG, "labels"])}
    assert graph.get(dg.AssetKey([SLUG, "dataset_objects"])).parent_keys == {dg.AssetKey([SLUG, "dataset"])}
    dg.Definitions.validate_loadable(defs)


class Partitioned(DagsterFastLabelTranslator):
    def __init__(self, partitions):
        self.partitions = partitions

    def get_asset_spec(self, props):
        return super().get_asset_spec(props).replace_attributes(partitions_def=self.partitions)


def test_a_translator_may_choose_other_windows_and_nothing_but_windows(days, instance, resource):
    store, ids = days
    weeks = dg.WeeklyPartitionsDefinition(start_date="2025-01-26")
    asset = build_approved_tasks_asset(SLUG, store=store, start="2025-01-29", translator=Partitioned(weeks))
    assert run(asset, instance, resource, partition_key="2025-01-26").success
    assert names(store, "2025-01-26") == ids[:4]
    with pytest.raises(ValueError, match="partitioned by time, not by StaticPartitionsDefinition"):
        build_approved_tasks_asset(SLUG, store=store, start="2025-01-29", translator=Partitioned(SPLITS))


def test_a_translator_may_choose_splits_and_nothing_but_splits(tmp_path):
    def made(partitions):
        return build_dataset_objects_asset(SLUG, dataset="boxes", store=tmp_path, translator=Partitioned(partitions))

    with_none = dg.StaticPartitionsDefinition(["train", "none"])
    assert made(with_none).partitions_def == with_none
    for wrong, named in (
        (dg.StaticPartitionsDefinition(["train", "val"]), "not by train, val"),
        (dg.DailyPartitionsDefinition("2025-01-01"), "not by DailyPartitionsDefinition"),
    ):
        with pytest.raises(ValueError, match=f"by split .*{named}"):
            made(wrong)
