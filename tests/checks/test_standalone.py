"""Checks that ask the API when they are executed, and checks of labels on assets of one's own."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.checks import build_comments_check, build_connection_check, build_label_checks
from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sync import sync_project


@dg.asset
def mine():
    pass


def evaluate(*definitions, resource=None):
    result = dg.materialize([mine, *definitions], resources={"fastlabel": resource} if resource else {})
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_a_good_connection_says_where_and_what(street, values):
    found = evaluate(build_connection_check("mine", "street"), resource=street.resource)["connection"]
    assert found.passed
    about = values(found)
    assert about["address"].startswith(street.sandbox.url)
    assert about["project_type"] == "image_all"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"access_token": "not-this-one-at-all"}, "Unauthorized"),
        ({"base_url": "http://127.0.0.1:9/v1/"}, "TransportError"),
    ],
)
def test_a_bad_connection_fails_with_what_to_do_and_without_the_token(street, values, wrong, kind):
    told = {"access_token": street.sandbox.token, "base_url": street.sandbox.url, "request_attempts": 1, **wrong}
    found = evaluate(build_connection_check("mine", "street"), resource=FastLabelResource(**told))["connection"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert values(found)["error"] == kind
    assert told["access_token"] not in f"{found.description} {values(found)}"


def test_no_token_is_a_failed_check_and_not_a_failed_run(street, monkeypatch, values):
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN")
    found = evaluate(build_connection_check("mine", "street"), resource=FastLabelResource(base_url=street.sandbox.url))
    assert not found["connection"].passed
    assert "FASTLABEL_ACCESS_TOKEN" in f"{found['connection'].description} {values(found['connection'])}"


def test_a_project_the_token_does_not_see(street, values):
    found = evaluate(build_connection_check("mine", "strait"), resource=street.resource)["connection"]
    assert not found.passed
    assert values(found)["error"] == "NotFound"


def test_the_connection_is_checked_by_the_project_itself_and_can_be_left_out(street, said):
    assert said(street.run(), "connection").passed
    names = {found.check_name for found in street.run({"connection": False}).get_asset_check_evaluations()}
    assert "connection" not in names


def test_comments_can_be_checked_by_themselves(street, values):
    (task,) = street.fill([{"name": "a.jpg"}])
    with street.resource.client as client:
        client.comments.create(task, [1, 1], "why?")
    found = evaluate(build_comments_check("mine", "street"), resource=street.resource)["comments"]
    assert not found.passed
    assert values(found)["unresolved_comments"][0]["task_id"] == task


BAD = {"type": "bbox", "value": "gone", "points": [1, 1, 1, 9]}
TASK = {"id": "t", "name": "t.jpg", "width": 20, "height": 20, "status": "approved", "annotations": [BAD, dict(BAD)]}


def test_labels_from_anywhere_can_be_checked(tmp_path, values):
    formats.write(
        from_fastlabel([TASK], [{"type": "bbox", "value": "car"}]), format="fastlabel", target=tmp_path / "data"
    )
    definition = build_label_checks(
        "mine",
        labels=lambda: formats.read(tmp_path / "data", format="fastlabel"),
        checks={"duplicates": True, "approval_share": True, "freshness": True, "class_drift": True},
    )
    found = evaluate(definition)
    assert {name: one.passed for name, one in found.items()} == {
        "class_changes": True,
        "geometry": False,
        "duplicates": True,  # boxes without area are no duplicates
        "classes_known": False,
        "empty_tasks": True,
        "class_drift": True,
        "approval_share": True,
        "freshness": True,
    }
    assert values(found["geometry"])["zero_area"] == 2


def test_a_mirror_can_be_checked_with_its_history_and_one_check_alone(street, fastlabel_client):
    street.fill([TASK])
    sync_project(fastlabel_client, "street", street.store)
    street.fill([{**TASK, "id": "u", "name": "u.jpg", "annotations": [{**BAD, "value": "sign"}] * 9}])
    sync_project(fastlabel_client, "street", street.store)
    drift = {"class_drift": {"fewest": 1}}
    definition = build_label_checks("mine", mirror=street.store / "labels", checks=drift)
    found = evaluate(definition)
    assert not found["class_drift"].passed
    alone = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("mine"), "class_drift"))
    result = dg.materialize([mine, definition], selection=alone)
    assert [one.check_name for one in result.get_asset_check_evaluations()] == ["class_drift"]


def test_a_mirror_that_is_not_there_is_said_so(tmp_path):
    definition = build_label_checks("mine", mirror=tmp_path)
    result = dg.materialize([mine, definition], raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "sync the project first" in str(failed.step_failure_data.user_failure_data.description)


def test_a_failed_import_is_as_severe_by_hand_as_the_sensor_says(street, said):
    street.state.start_import("street", outcome="failed", seconds=0)
    found = said(street.run(), "imports_succeeded")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
