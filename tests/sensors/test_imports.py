"""The import sensor: each finished import requests a sync once, each failed one fails a check once."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import build_import_sensor


def sensor(projects="street-scenes", **more):
    return build_import_sensor(projects, **{"job": "sync", **more})


def finish(sandbox, count=1, project="street-scenes", outcome="completed"):
    ids = [sandbox.state.start_import(project, outcome=outcome, seconds=10) for _ in range(count)]
    sandbox.state.clock.advance(60)
    return ids


def test_a_finished_import_requests_one_sync(daemon, sandbox):
    watch = sensor()
    daemon.tick(watch)
    started = sandbox.state.start_import("street-scenes", seconds=100)
    assert daemon.tick(watch).run_requests == []  # still running
    sandbox.state.clock.advance(200)
    result = daemon.tick(watch)
    assert len(result.run_requests) == 1
    assert [(event.passed, event.metadata["import_history"].value) for event in daemon.events] == [(True, started)]
    for _ in range(3):
        assert daemon.tick(sensor()).run_requests == []
    assert len(daemon.events) == 1


def test_a_failed_import_fails_the_check_once_and_requests_nothing(daemon, sandbox):
    daemon.tick(sensor())
    (failed,) = finish(sandbox, outcome="failed")
    assert daemon.tick(sensor()).run_requests == []
    daemon.tick(sensor())
    (event,) = daemon.events
    assert isinstance(event, dg.AssetCheckEvaluation) and not event.passed
    assert event.asset_key == dg.AssetKey(["fastlabel", "street-scenes"])
    assert event.check_name == "imports_succeeded"
    assert event.metadata["import_history"].value == failed


def test_several_imports_between_two_ticks_share_a_sync(daemon, sandbox):
    daemon.tick(sensor())
    finish(sandbox, 3)
    finish(sandbox, 1, outcome="failed")
    daemon.tick(sensor())
    assert len(daemon.launched) == 1
    assert [event.passed for event in daemon.events] == [True, True, True, False]


def test_imports_before_the_first_tick_are_settled_unless_asked_for(make_daemon, sandbox):
    finish(sandbox, 2)
    running = sandbox.state.start_import("street-scenes", seconds=100)
    late, early = make_daemon(), make_daemon()
    late.tick(sensor())
    early.tick(sensor(first_tick="backfill"))
    assert (len(late.launched), len(early.launched)) == (0, 1)
    sandbox.state.clock.advance(200)
    late.tick(sensor())
    assert [event.metadata["import_history"].value for event in late.events] == [running]


def test_a_crash_before_the_cursor_is_stored_loses_and_doubles_nothing(daemon, sandbox):
    daemon.tick(sensor())
    finish(sandbox)
    daemon.tick(sensor(), crash=True)
    daemon.tick(sensor())
    assert len(daemon.launched) == 1 and len(daemon.events) == 1


def test_the_cursor_stays_small_and_forgets_nothing_that_matters(daemon, sandbox):
    daemon.tick(sensor(first_tick="backfill"))
    slow = sandbox.state.start_import("street-scenes", seconds=1_000_000)
    for _ in range(8):
        finish(sandbox, 90)
        daemon.tick(sensor())
    while daemon.tick(sensor()).run_requests:
        pass
    assert len(daemon.events) == 720
    assert len({event.metadata["import_history"].value for event in daemon.events}) == 720
    assert len(daemon.cursor) < 20_000
    sandbox.state.clock.advance(2_000_000)
    daemon.tick(sensor())
    assert daemon.events[-1].metadata["import_history"].value == slow
    assert len(daemon.events) == 721


def test_no_running_import_is_lost_however_many_there_are(daemon, sandbox):
    daemon.tick(sensor())
    slow = {sandbox.state.start_import("street-scenes", seconds=1_000_000) for _ in range(130)}
    daemon.tick(sensor())
    for _ in range(4):
        finish(sandbox, 90)
        daemon.tick(sensor())
    assert len(daemon.events) == 360
    sandbox.state.clock.advance(2_000_000)
    while daemon.tick(sensor()).run_requests:
        pass
    told = [event.metadata["import_history"].value for event in daemon.events]
    assert slow <= set(told) and len(told) == len(set(told)) == 490
    # with nothing under way the cursor is small again
    finish(sandbox)
    daemon.tick(sensor())
    assert len(daemon.cursor) < 20_000


def test_one_bad_project_does_not_stop_the_others(daemon, sandbox):
    sandbox.state.create_project("second", type="image_all")
    watch = sensor(["nowhere", "street-scenes", "second"])
    daemon.tick(watch)
    finish(sandbox, project="second")
    result = daemon.tick(watch)
    assert [request.tags["fastlabel/project"] for request in result.run_requests] == ["second"]
    assert "nowhere" in (daemon.tick(watch).skip_message or "")


def test_projects_take_turns_when_time_is_short(daemon, sandbox):
    names = [f"p{number}" for number in range(4)]
    for name in names:
        sandbox.state.create_project(name, type="image_all")
    watch = sensor(names, time_budget_seconds=0)
    positions = []
    for _ in range(5):
        daemon.tick(watch)
        positions.append(json.loads(daemon.cursor)["position"])
    assert positions == [1, 2, 3, 0, 1]
    assert sorted(json.loads(daemon.cursor)["projects"]) == names


def test_a_wrong_token_is_told_and_the_cursor_kept(make_daemon, sandbox):
    daemon = make_daemon(cursor="", resource=FastLabelResource(access_token="wrong", base_url=sandbox.url))
    assert "Unauthorized" in daemon.tick(sensor()).skip_message
    assert daemon.cursor == ""


def test_without_a_job_the_assets_of_the_project_are_requested(make_daemon, sandbox, tmp_path):
    sandbox.state.create_project("second", type="image_all")
    slugs = ("street-scenes", "second")
    assets = [
        asset
        for slug in slugs
        for asset in build_fastlabel_project_assets(
            slug, store=tmp_path / slug, dataset="d", training={"base_model": "m", "epoch": 1}
        )
    ]
    watch = build_import_sensor(slugs)
    resources = {"fastlabel": make_daemon().resource}
    daemon = make_daemon(definitions=dg.Definitions(assets=assets, sensors=[watch], resources=resources))
    daemon.tick(watch)
    finish(sandbox, project="second")
    (request,) = daemon.tick(watch).run_requests
    assert sorted(key.to_user_string() for key in request.asset_selection) == [
        f"second/{part}" for part in ("annotations", "classes", "coco", "images", "labels", "tasks", "yolo")
    ]


def test_each_project_may_have_its_own_job(daemon, sandbox):
    sandbox.state.create_project("second", type="image_all")
    jobs = {slug: dg.define_asset_job(slug.replace("-", "_") + "_job") for slug in ("street-scenes", "second")}
    watch = build_import_sensor(list(jobs), job=jobs)
    daemon.tick(watch)
    finish(sandbox, project="second")
    (request,) = daemon.tick(watch).run_requests
    assert request.job_name == "second_job"


def test_a_sensor_of_no_project_is_refused():
    with pytest.raises(ValueError, match="at least one project"):
        build_import_sensor([])
