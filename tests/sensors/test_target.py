"""What a sensor launches: the project's own assets, and never more than those."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.sensors.target import Projects, Target


@dg.asset(tags={"fastlabel/project": "here", "fastlabel/part": "labels"})
def labels() -> None: ...


@dg.asset
def costly_training() -> None: ...


@pytest.mark.parametrize("projects", [["gone"], ["here", "gone"]])
def test_a_project_without_assets_starts_no_run(projects):
    definitions = dg.Definitions([labels, costly_training])
    context = dg.build_sensor_context(definitions=definitions)
    assert Target(None, projects).requests(context, "gone", "key", {}) == []


def test_a_run_is_of_the_assets_of_its_project():
    definitions = dg.Definitions([labels, costly_training])
    context = dg.build_sensor_context(definitions=definitions)
    (request,) = Target(None, ["here", "gone"]).requests(context, "here", "key", {"why": "because"})
    assert request.asset_selection == [dg.AssetKey("labels")]
    assert (request.run_key, request.tags) == ("key", {"fastlabel/project": "here", "why": "because"})


def test_what_is_partitioned_by_project_runs_in_the_partition_of_its_project():
    partitions = dg.DynamicPartitionsDefinition(name="projects")
    watched = Projects(partitions)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance)
        assert watched.now(context) == []
        instance.add_dynamic_partitions("projects", ["here", "there"])
        assert set(watched.now(context)) == {"here", "there"}
        (request,) = Target("sync", watched.named, partitions=partitions).requests(context, "there", "key", {})
    assert (request.partition_key, request.run_key) == ("there", "key")
    assert (watched.sensor_name("imports"), str(watched)) == ("projects_imports", "the partitions of projects")
    for wrong in (None, {"here": "sync"}):
        with pytest.raises(ValueError, match="name the job"):
            Target(wrong, watched.named, partitions=partitions)
    with pytest.raises(ValueError, match="need a name"):
        Projects(dg.DynamicPartitionsDefinition(lambda _: []))
