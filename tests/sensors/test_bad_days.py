"""Ticks on bad days: servers that never finish, projects that are all down, tokens that must not show, no variable."""

from __future__ import annotations

import json
import threading

import dagster as dg
import pytest

from fastlabel_dagster.partitions import project_partitions
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import (
    build_approval_sensor,
    build_import_sensor,
    build_quality_sensor,
    build_workspace_sensor,
)

TOKEN = "tok-71c0-nobody-may-see-this"


def sensors(projects="street-scenes", **more):
    retrain = dg.define_asset_job("retrain", dg.AssetSelection.all())
    return [
        build_import_sensor(projects, job=retrain, **more),
        build_approval_sensor(projects, every=2, job=retrain, **more),
        build_approval_sensor(projects, share=0.1, job=retrain, name="share", **more),
        build_quality_sensor(projects, job=retrain, **more),
        build_workspace_sensor(project_partitions(), **more),
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_server_that_never_finishes_does_not_hold_a_tick(make_vendor, make_daemon, number):
    over = threading.Event()

    def answer(path, query):
        over.wait(60)  # longer than any timeout: as a name that is not found, or an answer that drips
        return []

    daemon = make_daemon(resource=make_vendor(answer).resource())
    # a tick that waited for the answer would not end before the answer is let go, which comes after it
    result = daemon.tick(sensors(["a", "b"], time_budget_seconds=0.4)[number])
    assert not over.is_set()
    over.set()
    assert result.run_requests == [] and "no answer within" in result.skip_message


def test_a_server_that_never_finishes_is_not_asked_for_ever(make_vendor, make_daemon):
    """Each question that nobody answers holds a thread and a connection: a day of ticks would be thousands."""
    over = threading.Event()

    def answer(path, query):
        over.wait(60)
        return []

    def under_way():
        return [one for one in threading.enumerate() if one.name == "fastlabel-poll-drips"]

    daemon = make_daemon(resource=make_vendor(answer).resource())
    watch = build_import_sensor("drips", job="sync", time_budget_seconds=0.1)
    for _ in range(20):
        result = daemon.tick(watch)
    assert not over.is_set() and 0 < len(under_way()) < 10
    assert "still under way" in result.skip_message
    assert [one.passed for one in daemon.told("polling_healthy")] == [False]
    over.set()
    for thread in under_way():
        thread.join()
    daemon.tick(build_import_sensor("drips", job="sync"))
    assert [one.passed for one in daemon.told("polling_healthy")] == [False, True]


def test_when_everything_is_down_everything_is_told_once_and_comes_back(make_vendor, make_daemon):
    down = True
    slugs = [f"project-{number:03}" for number in range(200)]
    vendor = make_vendor(lambda path, query: (503, {}) if down else [])
    daemon = make_daemon(resource=vendor.resource())
    for _ in range(40):
        daemon.tick(build_import_sensor(slugs, job="sync", clock=vendor.clock))
    told = [(event.asset_key.path[-1], event.passed) for event in daemon.told("polling_healthy")]
    assert sorted(told) == [(slug, False) for slug in slugs]
    assert len(json.dumps(daemon.cursor, ensure_ascii=False).encode()) < 60_000
    down = False
    for _ in range(12):
        daemon.tick(build_import_sensor(slugs, job="sync", clock=vendor.clock))
    told = [(event.asset_key.path[-1], event.passed) for event in daemon.told("polling_healthy")][200:]
    assert sorted(told) == [(slug, True) for slug in slugs]


def test_health_says_who_fails_since_when_and_why(make_daemon, sandbox):
    daemon = make_daemon()
    watch = build_import_sensor(["street-scenes", "nowhere"], job="sync")
    daemon.tick(watch)
    healthy, failed = sorted(daemon.told("polling_healthy"), key=lambda event: not event.passed)
    assert healthy.asset_key.path[-1] == "street-scenes" and "last_success" in healthy.metadata
    metadata = {name: value.value for name, value in failed.metadata.items()}
    assert metadata["error"] == "NotFound" and metadata["http_status"] == 404
    assert metadata["sensor"] == "imports" and metadata["failing"] == "1 of 2: nowhere"
    assert failed.severity is dg.AssetCheckSeverity.WARN


def test_the_cost_of_a_tick_is_told(make_daemon, sandbox):
    daemon = make_daemon()
    result = daemon.tick(build_import_sensor(["street-scenes", "nowhere"], job="sync"))
    assert "asked 2 of 2 with 2 requests" in result.skip_message
    assert "1 failing: nowhere" in result.skip_message


def test_the_token_is_in_no_cursor_event_request_or_reason(make_daemon, sandbox, tmp_path, capfd):
    from fastlabel_dagster.sandbox import Sandbox

    with Sandbox(tmp_path / "own", token=TOKEN) as own:
        own.state.create_project("street-scenes", type="image_all")
        own.state.add_tasks("street-scenes", [{"name": f"{number}.jpg"} for number in range(10)])
        said = []
        for good in (True, False):
            resource = FastLabelResource(access_token=TOKEN if good else f"{TOKEN}x", base_url=own.url)
            for sensor in sensors():
                daemon = make_daemon(resource=resource)
                daemon.tick(sensor)
                own.state.approve("street-scenes", 2)
                own.state.start_import("street-scenes", outcome="failed", seconds=0)
                own.state.start_import("street-scenes", seconds=0)
                for _ in range(3):
                    result = daemon.tick(sensor)
                    said += [result.cursor, result.skip_message, repr(result.run_requests), repr(result.asset_events)]
    said += [*capfd.readouterr()]
    assert not [text for text in said if text and TOKEN in text]
    assert any("Unauthorized" in (text or "") for text in said)


def test_sensors_load_with_the_variable_unset_and_read_it_in_the_tick(make_daemon, sandbox, monkeypatch):
    monkeypatch.delenv("TOKEN_SET_LATER", raising=False)
    resource = FastLabelResource(access_token=dg.EnvVar("TOKEN_SET_LATER"), base_url=sandbox.url)

    @dg.asset
    def labels(): ...

    definitions = dg.Definitions(assets=[labels], sensors=sensors(), resources={"fastlabel": resource})
    dg.Definitions.validate_loadable(definitions)
    monkeypatch.setenv("TOKEN_SET_LATER", sandbox.token)
    for sensor in sensors():
        daemon = make_daemon(resource=resource, definitions=definitions)
        daemon.tick(sensor)
        assert json.loads(daemon.cursor)["projects"]


def test_a_missing_token_is_told_and_nothing_is_raised(make_daemon, sandbox, monkeypatch):
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    for sensor in sensors():
        result = make_daemon(resource=FastLabelResource(base_url=sandbox.url)).tick(sensor)
        assert "FASTLABEL_ACCESS_TOKEN" in result.skip_message


def test_japanese_slugs_of_two_hundred_projects_fit_into_a_cursor(make_vendor, make_daemon):
    slugs = [f"交差点の夜景{number:03}" for number in range(200)]
    imports = [
        {
            "id": f"{number}",
            "status": "completed",
            "createdAt": f"2026-01-01T00:{number // 60:02}:{number % 60:02}.123Z",
        }
        for number in range(300)
    ]
    vendor = make_vendor(lambda path, query: imports)
    daemon = make_daemon(resource=vendor.resource())
    for _ in range(3):
        daemon.tick(build_import_sensor(slugs, job="sync", clock=vendor.clock))
    assert len(json.loads(daemon.cursor)["projects"]) == 200
    assert len(json.dumps(daemon.cursor)) < 65_535


def test_owners_tags_and_metadata_reach_the_sensor():
    own = {"owners": ["team:perception"], "tags": {"tier": "1"}, "metadata": {"runbook": "call us"}}
    for sensor in sensors(**own):
        assert list(sensor.owners) == ["team:perception"] and sensor.tags["tier"] == "1"
        assert sensor.metadata["runbook"].value == "call us"
