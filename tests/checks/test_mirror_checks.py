"""The checks a sync computes: is the mirror whole, is somebody labeling, is it far enough, does anybody wait?"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest

from fastlabel_dagster.checks import CheckPlan
from fastlabel_dagster.checks.class_use import total_variation
from fastlabel_dagster.checks.mirror import NewestChange, freshness_result, parity_result, quarantine_result
from fastlabel_dagster.sync import LabelMirror
from fastlabel_dagster.sync.quarantine import Quarantined

KEY = dg.AssetKey(["street", "labels"])


def setting(name, **options):
    return CheckPlan.of({name: options}).get(name)


def boxes(*values, status="registered", start=0):
    return [
        {
            "name": f"{start + n:03d}.jpg",
            "width": 100,
            "height": 80,
            "status": status,
            "annotations": [{"type": "bbox", "value": value, "points": [1, 1, 20, 20]}],
        }
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize("settled", [True, False])
def test_parity_says_when_the_project_was_changing(settled):
    result = parity_result(setting("parity"), KEY, mirrored=3, quarantined=1, counted=4, settled=settled)
    assert result.passed
    assert "3 mirrored + 1 in quarantine, the API counts 4" in result.description
    assert ("was changing while it was read" in result.description) is not settled
    assert result.metadata["settled"].value is settled


@pytest.mark.parametrize(("counted", "at_most", "passed"), [(5, 0, False), (3, 0, False), (5, 1, True), (3, 1, True)])
def test_parity_may_be_off_by_what_was_allowed(counted, at_most, passed):
    result = parity_result(setting("parity", at_most=at_most), KEY, mirrored=3, quarantined=1, counted=counted)
    assert result.passed is passed


def test_the_share_of_approved_tasks(street, said, values):
    street.fill([*boxes("car", "car", "car", status="approved"), *boxes("car", start=3)])
    found = said(street.run({"approval_share": {"at_least": 0.8}}, only=["labels"]), "approval_share")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    about = values(found)
    assert (about["share"], about["far_enough"], about["tasks"]) == (0.75, 3, 4)
    assert {row["status"]: (row["tasks"], row["counts"]) for row in about["statuses"]} == {
        "approved": (3, True),
        "registered": (1, False),
    }
    wider = {"approval_share": {"at_least": 1, "statuses": ["approved", "registered"]}}
    assert said(street.run(wider, only=["labels"]), "approval_share").passed


def test_an_empty_project_lacks_no_approval(street, said):
    assert said(street.run({"approval_share": True}, only=["labels"]), "approval_share").passed


@pytest.mark.parametrize(("at_most", "passed"), [(24, False), (25, True)])
def test_what_could_not_be_read_is_shown_with_its_reason(at_most, passed, values):
    entries = [Quarantined("no id", None, f"{n}.jpg") for n in range(25)]
    result = quarantine_result(setting("quarantine", at_most=at_most), KEY, entries, "store/quarantine/street.jsonl")
    assert result.passed is passed
    about = values(result)
    assert (about["quarantined"], len(about["tasks"]), about["listed_in"]) == (25, 20, "store/quarantine/street.jsonl")
    assert (about["tasks"][0]["name"], about["tasks"][0]["reason"]) == ("0.jpg", "no id")
    assert quarantine_result(setting("quarantine"), KEY, []).passed


def test_freshness_is_the_age_of_the_newest_change():
    now = datetime(2026, 1, 10, tzinfo=timezone.utc)
    newest = NewestChange(now - timedelta(hours=30), "t1", "a.jpg")
    old = freshness_result(setting("freshness", changed_within_hours=24), KEY, newest, now=now)
    assert not old.passed
    assert old.metadata["age_hours"].value == 30
    assert old.metadata["task_id"].value == "t1"
    assert freshness_result(setting("freshness", changed_within_hours=31), KEY, newest, now=now).passed
    assert freshness_result(setting("freshness", changed_within_hours=None), KEY, newest, now=now).passed
    assert freshness_result(setting("freshness"), KEY, None, now=now).passed


def test_a_sync_finds_the_newest_change_and_dagster_watches_the_syncs(street, said, values):
    ids = street.fill(boxes("car", "car", "car"))
    street.state.clock.advance(60)
    street.state.update_task(ids[1], priority=10)
    checks = {"freshness": {"synced_within_hours": 5}}
    found = said(street.run(checks, only=["labels"]), "freshness")
    assert found.passed
    assert values(found)["task_id"] == ids[1]
    assert abs(values(found)["age_hours"]) < 1
    spec = street.definitions(checks).resolve_asset_graph().get(KEY)
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=5))
    assert street.definitions().resolve_asset_graph().get(KEY).freshness_policy is None


def test_unresolved_comments_are_listed_oldest_first(street, said, values):
    ids = street.fill(boxes("car", "car"))
    with street.resource.client as client:
        client.comments.create(ids[0], [5, 5], "is this a car?\nor a van?")
        client.comments.create(ids[1], [5, 5], "done", is_resolved=True)
        late = client.comments.create(ids[1], [5, 5], "one more <b>")
        client.comments.reply(late["id"], "me too")
    found = said(street.run({"comments": True}, only=["labels"]), "comments")
    assert not found.passed
    about = values(found)
    assert (about["unresolved"], about["comments"], about["tasks"]) == (2, 3, 2)
    assert [(row["task"], row["message"]) for row in about["unresolved_comments"]] == [
        ("000.jpg", "is this a car? or a van?"),
        ("001.jpg", "one more <b>"),
    ]
    assert said(street.run({"comments": {"at_most": 2}}, only=["labels"]), "comments").passed


def test_comments_that_cannot_be_read_fail_the_check_and_not_the_sync(street, said):
    street.fill(boxes("car"))
    street.sandbox.fail("GET comments/threads", times=5, status=403)
    result = street.run({"comments": True}, only=["labels"])
    assert result.success
    found = said(result, "comments")
    assert not found.passed
    assert "could not be read" in found.description


def test_drift_is_measured_against_the_version_before(street, said, values):
    checks = {"class_drift": {"threshold": 0.3, "fewest": 10}, "class_changes": True}
    parts = ["labels", "classes", "tasks", "annotations"]
    street.fill(boxes(*["car"] * 8, *["sign"] * 2))
    first = said(street.run(checks, only=parts), "class_drift")
    assert first.passed
    assert "no earlier version" in first.description

    street.fill(boxes(*["sign"] * 10, "person", start=100))
    found = said(street.run(checks, only=parts), "class_drift")
    mirror = LabelMirror(street.store / "labels")
    before, after = (Counter(mirror.read(version).annotations["value"].to_pylist()) for version in (0, 1))
    assert (before, after) == ({"car": 8, "sign": 2}, {"car": 8, "sign": 12, "person": 1})
    about = values(found)
    assert about["distance"] == pytest.approx(total_variation(before, after), abs=1e-6)
    assert about["distance"] == pytest.approx(0.8 - 8 / 21, abs=1e-6)
    assert not found.passed
    shares = {row["class"]: (row["before"], row["now"]) for row in about["shares"]}
    assert shares == {"car": (8, 8), "sign": (2, 12), "person": (0, 1)}
    assert about["shares"][0]["class"] == "car"
    few = {"class_drift": {"threshold": 0.3, "fewest": 11}}
    assert said(street.run(few, only=parts), "class_drift").passed


def test_changed_class_definitions_warn_until_the_next_version(street, said, values):
    parts = ["labels", "classes", "tasks", "annotations"]
    street.fill(boxes("car", "car"))
    assert said(street.run(only=parts), "class_changes").passed
    street.state.create_class("street", "bbox", "van", "Van", color="#00ff00")
    added = said(street.run(only=parts), "class_changes")
    assert added.passed, "a class more leaves the others what they were"
    assert [row["change"] for row in values(added)["class_changes"]] == ["added"]
    strict = {"class_changes": {"fails_on": ["added"], "severity": "error"}}
    found = said(street.run(strict, only=parts), "class_changes")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    street.fill(boxes("van", start=50))
    assert said(street.run(strict, only=parts), "class_changes").passed
