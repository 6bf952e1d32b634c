"""One set of assets partitioned by project: single runs, backfills in one run and in several, and broken projects."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster.assets.partitioned import build_partitioned_workspace_assets
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions
from fastlabel_dagster.partitions import partition_changes, project_partitions
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.workspace import Dataset, FastLabelWorkspace

SLUGS = ("alpha", "beta", "gamma")
COCO = {"format": "coco", "images": False}
NAMES = ("labels", "classes", "tasks", "annotations", "coco")
KEYS = {name: dg.AssetKey(["fastlabel_projects", name]) for name in NAMES}
PROJECT = dg.AssetKey(["fastlabel", "fastlabel_projects"])
FROM, TO = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def world(sandbox, instance, tmp_path, fill_project):
    for number, slug in enumerate(SLUGS):
        fill_project(sandbox.state, slug, tasks=number + 2, approved=1)

    class World:
        store = tmp_path / "store"

        def __init__(self):
            self.resource = FastLabelResource(
                access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0
            )

        def definitions(self, **more):
            built = build_partitioned_workspace_assets(store=self.store, exports=[COCO], **more)
            return dg.Definitions(assets=built, resources={"fastlabel": self.resource})

        def run(self, *keys, defs=None, **more):
            job = (defs or self.definitions()).resolve_implicit_global_asset_job_def()
            selection = list(keys or KEYS.values())
            return job.execute_in_process(instance=instance, asset_selection=selection, raise_on_error=False, **more)

        def materialized(self, name="labels"):
            return instance.get_materialized_partitions(KEYS[name])

        def metadata(self, slug, name="labels"):
            wanted = dg.AssetRecordsFilter(asset_key=KEYS[name], asset_partitions=[slug])
            (record, *_) = instance.fetch_materializations(wanted, limit=1).records
            return {key: value.value for key, value in record.asset_materialization.metadata.items()}

    partition_changes(instance.get_dynamic_partitions("fastlabel_projects"), SLUGS).apply(instance)
    return World()


def impatient(sandbox):
    """A resource whose steps are tried again at once."""
    return FastLabelResource(
        access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=1, step_retry_seconds=0
    )


def test_a_workspace_of_any_size_is_a_handful_of_assets(world):
    graph = world.definitions().resolve_asset_graph()
    images = dg.AssetKey(["fastlabel_projects", "images"])
    assert graph.get_all_asset_keys() == {PROJECT, images, *KEYS.values()}
    for one in graph.get_all_asset_keys():
        assert graph.get(one).partitions_def == project_partitions()
        assert graph.get(one).group_name == "fastlabel_projects"
    assert graph.get(KEYS["labels"]).parent_keys == {PROJECT}
    assert "the project of the partition" in graph.get(KEYS["labels"]).description
    dg.Definitions.validate_loadable(world.definitions())


def test_a_partition_is_what_the_project_is_alone(world):
    assert world.run(partition_key="beta").success
    assert {name: world.materialized(name) for name in NAMES} == {name: {"beta"} for name in NAMES}
    assert world.metadata("beta")["dagster/row_count"] == 3
    coco = json.loads((world.store / "beta" / "coco" / "annotations.json").read_bytes())
    assert len(coco["images"]) == 3
    assert "passed" in world.metadata("beta")["checks"]


def test_a_backfill_of_one_run_for_each_project_fails_only_where_it_is_broken(world, instance, sandbox):
    instance.add_dynamic_partitions("fastlabel_projects", ["deleted"])
    results = {slug: world.run(partition_key=slug).success for slug in (*SLUGS, "deleted")}
    assert results == {"alpha": True, "beta": True, "gamma": True, "deleted": False}
    assert world.materialized() == set(SLUGS)


def test_a_backfill_in_a_single_run_does_too(world, instance, failure_text):
    single = dg.BackfillPolicy.single_run()
    defs = world.definitions(steps=StepOptions(backfill_policy=single))
    assert defs.resolve_asset_graph().get(KEYS["labels"]).backfill_policy == single
    instance.add_dynamic_partitions("fastlabel_projects", ["deleted", "omega"])
    result = world.run(defs=defs, tags={FROM: "alpha", TO: "deleted"})
    assert not result.success
    assert {name: world.materialized(name) for name in NAMES} == {name: set(SLUGS) for name in NAMES}
    assert "1 of 4 projects failed: deleted" in failure_text(result)
    assert "NotFound" in failure_text(result)
    rows = {slug: world.metadata(slug)["dagster/row_count"] for slug in SLUGS}
    assert rows == {"alpha": 2, "beta": 3, "gamma": 4}, "each partition has the metadata of its own project"


def test_a_single_run_tried_again_goes_on_with_what_is_missing(world, instance, sandbox):
    world.resource = impatient(sandbox)
    defs = world.definitions()
    sandbox.fail("GET tasks/count", times=1, status=500)  # the first project's first look
    result = world.run(defs=defs, tags={FROM: "alpha", TO: "gamma"})
    assert world.materialized() == set(SLUGS)
    counts = dict.fromkeys(SLUGS, 0)
    for record in instance.fetch_materializations(KEYS["labels"], limit=20).records:
        counts[record.partition_key] += 1
    assert counts == dict.fromkeys(SLUGS, 1), "nobody is synced twice"
    assert result.success


def test_after_a_sync_no_partition_is_stale_and_a_change_shows_in_its_own(world, instance, sandbox):
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    def statuses():
        graph = world.definitions().resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        found = {slug: {resolver.get_status(one, slug).value for one in KEYS.values()} for slug in SLUGS}
        return {slug: "STALE" if "STALE" in words else words.pop() for slug, words in found.items()}

    everything = {FROM: "alpha", TO: "gamma"}
    assert world.run(tags=everything).success
    assert world.run(PROJECT, tags=everything).success
    assert statuses() == dict.fromkeys(SLUGS, "FRESH")
    sandbox.state.approve("beta", 1)
    assert world.run(PROJECT, tags=everything).success
    assert statuses() == {"alpha": "FRESH", "beta": "STALE", "gamma": "FRESH"}
    assert world.run(partition_key="beta").success
    assert statuses() == dict.fromkeys(SLUGS, "FRESH")
    sandbox.state.approve("gamma", 1)
    assert world.run(partition_key="gamma").success
    assert statuses() == dict.fromkeys(SLUGS, "FRESH"), "a change that only the sync has seen"


def test_looking_and_syncing_in_one_run(world, instance):
    instance.add_dynamic_partitions("fastlabel_projects", ["deleted"])
    assert world.run(PROJECT, *KEYS.values(), partition_key="alpha").success
    result = world.run(PROJECT, *KEYS.values(), tags={FROM: "alpha", TO: "deleted"})
    assert not result.success and world.materialized("coco") == set(SLUGS)


@pytest.mark.parametrize("status", [500, 401], ids=["looks fail", "the token is refused"])
def test_a_look_that_fails_beside_a_sync_leaves_a_project_the_version_it_had(world, instance, sandbox, status):
    def versions():
        wanted = [dg.AssetRecordsFilter(asset_key=PROJECT, asset_partitions=[slug]) for slug in SLUGS]
        records = [instance.fetch_observations(one, limit=1).records[0] for one in wanted]
        return [record.asset_observation.tags.get("dagster/data_version") for record in records]

    everything = {FROM: "alpha", TO: "gamma"}
    assert world.run(PROJECT, tags=everything).success
    before = versions()
    assert all(before)
    sandbox.fail("GET tasks/count", times=None, status=status)
    assert not world.run(PROJECT, *KEYS.values(), tags=everything).success
    assert versions() == before


def test_one_project_can_be_looked_at(world, instance, failure_text):
    instance.add_dynamic_partitions("fastlabel_projects", ["deleted"])
    assert world.run(PROJECT, partition_key="gamma").success
    result = world.run(PROJECT, tags={FROM: "alpha", TO: "deleted"})
    assert not result.success and "deleted" in failure_text(result)
    wanted = dg.AssetRecordsFilter(asset_key=PROJECT, asset_partitions=["beta"])
    (record,) = instance.fetch_observations(wanted, limit=5).records
    assert record.asset_observation.metadata["tasks"].value == 3


@pytest.mark.parametrize("again", [False, True], ids=["at once", "tried again"])
def test_a_blocking_check_keeps_what_follows_of_that_project_from_being_made(world, sandbox, failure_text, again):
    task = sandbox.state.task_ids("beta")[0]
    sandbox.state.update_task(task, annotations=[{"type": "bbox", "value": "car", "points": [-50, 5, 9000, 60]}])
    if again:  # for the first project; the second one has been refused by then
        world.resource = impatient(sandbox)
        sandbox.fail("GET tasks/count", times=1, status=500)
    defs = world.definitions(checks={"geometry": {"severity": "error", "blocking": True}})
    result = world.run(defs=defs, tags={FROM: "alpha", TO: "gamma"})
    assert not result.success and "geometry" in failure_text(result)
    assert world.materialized("annotations") == set(SLUGS)
    assert world.materialized("coco") == {"alpha", "gamma"}
    assert "failed: geometry" in world.metadata("beta", "annotations")["checks"]


def test_an_argument_of_the_workspace_builder_gives_the_same_set(world):
    known = FastLabelWorkspace(datasets=(Dataset(id="d", name="boxes"),))
    built = build_fastlabel_assets_definitions(known, store=world.store, exports=[COCO], partitions="project")
    defs = dg.Definitions(assets=built, resources={"fastlabel": world.resource})
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    assert keys >= {*KEYS.values(), PROJECT, dg.AssetKey(["fastlabel_workspace", "datasets", "boxes"])}
    with pytest.raises(ValueError, match="publish no dataset"):
        build_fastlabel_assets_definitions(known, store="s", partitions="project", dataset="{slug}")


def test_what_cannot_be_partitioned_is_refused_by_name():
    with pytest.raises(ValueError, match="have no dataset, training"):
        build_partitioned_workspace_assets(store="s", training={}, dataset="d")
    with pytest.raises(ValueError, match="unknown export format"):
        build_partitioned_workspace_assets(store="s", exports=["docx"])
