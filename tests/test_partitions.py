"""Partitions: by project in step with the workspace, by split, by day. Backfills over them are in tests/assets."""

from __future__ import annotations

from datetime import datetime

import dagster as dg
import pytest

from fastlabel_dagster.partitions import SPLITS, approval_days, partition_changes, project_partitions
from fastlabel_dagster.workspace import FastLabelWorkspace, Project


def workspace(*slugs: str, **more: object) -> FastLabelWorkspace:
    return FastLabelWorkspace(projects=tuple(Project(slug=slug) for slug in slugs), **more)


def test_new_projects_are_added_and_those_gone_stay_unless_asked_for():
    changes = partition_changes(["old", "street"], workspace("street", "harbour"))
    assert (changes.add, changes.delete) == (("harbour",), ())
    changes = partition_changes(["old", "street"], workspace("street", "harbour"), delete=True)
    assert (changes.add, changes.delete) == (("harbour",), ("old",))
    assert not partition_changes(["street"], workspace("street"), delete=True)


def test_a_workspace_that_was_not_seen_whole_deletes_nothing():
    assert partition_changes(["old"], workspace(), delete=True).delete == ()
    partial = workspace("street", problems={"projects": "not all were listed"})
    assert partition_changes(["old"], partial, delete=True).delete == ()
    unrelated = workspace("street", problems={"trainings": "Unauthorized"})
    assert partition_changes(["old"], unrelated, delete=True).delete == ("old",)


def test_slugs_that_cannot_be_a_key_are_refused_by_name():
    changes = partition_changes([], ["a...b", "line\nbreak", "", "港湾"])
    assert changes.add == ("港湾",)
    assert changes.refused == ("a...b", "line\nbreak", "")
    with pytest.raises(dg.DagsterInvalidDefinitionError):
        dg.StaticPartitionsDefinition(["a...b"])  # the rule is Dagster's


def test_changes_become_requests_of_a_sensor_and_can_be_made_at_once():
    changes = partition_changes(["old"], ["new"], delete=True, name="ours")
    assert [(type(one).__name__, one.partitions_def_name, one.partition_keys) for one in changes.requests] == [
        ("AddDynamicPartitionsRequest", "ours", ["new"]),
        ("DeleteDynamicPartitionsRequest", "ours", ["old"]),
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("ours", ["old"])
        changes.apply(instance)
        changes.apply(instance)
        assert list(instance.get_dynamic_partitions("ours")) == ["new"]
        assert not partition_changes(instance.get_dynamic_partitions("ours"), ["new"], delete=True)


def test_a_sensor_keeps_them_in_step():
    @dg.sensor(target="*")
    def in_step(context: dg.SensorEvaluationContext):
        existing = context.instance.get_dynamic_partitions("fastlabel_projects")
        return dg.SensorResult(dynamic_partitions_requests=partition_changes(existing, ["a", "b"]).requests)

    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        (request,) = in_step.evaluate_tick(context).dynamic_partitions_requests
        assert request.partition_keys == ["a", "b"]
        instance.add_dynamic_partitions("fastlabel_projects", ["a", "b"])
        assert not in_step.evaluate_tick(context).dynamic_partitions_requests


def test_splits_and_days():
    assert SPLITS.get_partition_keys() == ["train", "valid", "test"]
    days = approval_days("2025-01-30", time_zone="Asia/Tokyo")
    now = datetime(2025, 2, 2, 12)
    assert days.get_partition_keys(current_time=now) == ["2025-01-30", "2025-01-31", "2025-02-01"]
    window = days.time_window_for_partition_key("2025-01-31")
    assert (window.end - window.start).total_seconds() == 86_400
    assert window.start.utcoffset().total_seconds() == 9 * 3600
    today = approval_days(datetime(2025, 2, 1), end_offset=1)
    assert today.get_partition_keys(current_time=now) == ["2025-02-01", "2025-02-02"]


def test_one_name_means_the_same_partitions():
    assert project_partitions() == project_partitions("fastlabel_projects") != project_partitions("others")
