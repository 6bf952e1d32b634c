"""A check of versions that blocks stays shut until the change is undone or accepted, whatever versions come."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.checks import build_label_checks
from fastlabel_dagster.sync import LabelMirror, sync_project

ONLY = ["labels", "classes", "tasks", "annotations", "coco"]
BOX = {"type": "bbox", "value": "car", "points": [5, 5, 50, 50]}
TASK = {"name": "a.jpg", "width": 100, "height": 80, "status": "approved", "annotations": [BOX]}


@pytest.fixture
def shut(street, said):
    """The project at version 1, where a class is gone that was there in version 0; a way to make the next version and
    to run again."""
    (task,) = street.fill([TASK])
    statuses = iter(["sent_back", "approved", "sent_back", "approved"])

    class Shut:
        def run(self, **options):
            result = street.run({"class_changes": {"blocking": True, **options}, "classes_known": False}, only=ONLY)
            assert ("coco" in self.made(result)) is said(result, "class_changes").passed
            return said(result, "class_changes")

        def made(self, result):
            return {one.materialization.asset_key.path[-1] for one in result.get_asset_materialization_events()}

        def touch(self):
            street.state.update_task(task, status=next(statuses))

        def add_class(self):
            street.state.create_class("street", "bbox", "sign", "Sign", color="#d62728")

    made = Shut()
    assert made.run().passed
    with street.resource.client as client:
        sign = next(one for one in client.annotation_classes.list("street") if one["value"] == "sign")
        client.annotation_classes.delete(sign["id"])
    assert not made.run().passed
    return made


def test_the_next_version_does_not_open_it(shut, values):
    assert not shut.run().passed, "the same version again"
    for _ in range(2):
        shut.touch()
        found = shut.run()
        assert not found.passed
        assert values(found)["version_before"] == 0
        assert "1 removed" in found.description
    shut.add_class()
    assert shut.run().passed


def test_what_is_meant_can_be_accepted(shut, values):
    shut.touch()
    found = shut.run()
    assert "accepted: 2" in found.description
    assert shut.run(accepted=2).passed
    shut.touch()
    found = shut.run()
    assert found.passed, "once is enough"
    assert values(found)["version_before"] == 2


def test_one_that_does_not_block_tells_what_is_new(street, said):
    (task,) = street.fill([TASK])
    checks = {"classes_known": False}
    street.run(checks, only=ONLY)
    with street.resource.client as client:
        client.annotation_classes.delete(client.annotation_classes.list("street")[-1]["id"])
    assert not said(street.run(checks, only=ONLY), "class_changes").passed
    street.state.update_task(task, status="sent_back")
    assert said(street.run(checks, only=ONLY), "class_changes").passed


def test_drift_is_held_as_well_on_an_asset_of_ones_own(street, fastlabel_client):
    @dg.asset
    def mine():
        pass

    drift = {"class_drift": {"fewest": 2, "blocking": True}}
    definition = build_label_checks("mine", mirror=street.store / "labels", checks=drift)

    def evaluate():
        sync_project(fastlabel_client, "street", street.store)
        result = dg.materialize([mine, definition], instance=street.instance, raise_on_error=False)
        return next(one for one in result.get_asset_check_evaluations() if one.check_name == "class_drift")

    def fill(name, value, count):
        return street.fill([{**TASK, "name": name, "annotations": [{**BOX, "value": value}] * count}])

    fill("a.jpg", "car", 9)
    assert evaluate().passed
    (signs,) = fill("b.jpg", "sign", 9)
    assert not evaluate().passed
    fill("c.jpg", "car", 1)
    assert not evaluate().passed
    street.state.delete_task(signs)
    assert evaluate().passed


@pytest.mark.parametrize("blocking", [True, False])
def test_drift_from_a_version_whose_files_are_gone_is_told_as_not_examined(street, said, values, blocking):
    checks = {"class_drift": {"fewest": 2, "blocking": blocking}, "classes_known": False}
    street.fill([{**TASK, "annotations": [BOX] * 9}])
    assert said(street.run(checks, only=ONLY), "class_drift").passed
    street.fill([{**TASK, "name": "b.jpg", "annotations": [{**BOX, "value": "sign"}] * 9}])
    street.run(checks, only=["labels"])
    mirror = LabelMirror(street.store / "labels")
    assert mirror.vacuum([], older_than_hours=0) > 0

    result = street.run(checks, only=ONLY)
    found = said(result, "class_drift")
    assert found.passed is not blocking
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "Not examined: the files of version 0 were given up" in found.description
    assert values(found)["examined"] is False
    made = {one.materialization.asset_key.path[-1] for one in result.get_asset_materialization_events()}
    assert "coco" in made, "a warning stops nothing"
    if blocking:
        later = said(street.run(checks, only=ONLY), "class_drift")
        assert later.passed and values(later)["version_before"] == 1, (
            "the next evaluation has something to compare with"
        )
