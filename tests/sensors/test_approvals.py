"""The approval sensor: one run for each batch of newly approved tasks, however often the daemon restarts."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sensors import build_approval_sensor


def sensor(every=5, **more):
    return build_approval_sensor("street-scenes", every=every, job="retrain", **more)


def memory(daemon, project="street-scenes"):
    return json.loads(daemon.cursor)["projects"][project]


def test_a_batch_requests_one_run_and_fewer_request_none(daemon, sandbox):
    watch = sensor()
    assert daemon.tick(watch).run_requests == []  # the first tick only remembers
    sandbox.state.approve("street-scenes", 4)
    result = daemon.tick(watch)
    assert result.run_requests == [] and "4 of 5" in result.skip_message
    sandbox.state.approve("street-scenes", 1)
    assert len(daemon.tick(watch).run_requests) == 1
    assert daemon.tick(watch).run_requests == []
    sandbox.state.approve("street-scenes", 12)  # more than two batches are one run: all of them go with it
    assert len(daemon.tick(watch).run_requests) == 1
    assert daemon.tick(watch).run_requests == []
    assert len(daemon.launched) == 2
    assert {request.tags["fastlabel/project"] for request in daemon.launched.values()} == {"street-scenes"}


def test_a_tick_costs_one_request_and_a_spent_budget_is_told(make_daemon, tmp_path):
    with Sandbox(tmp_path / "strict", requests_per_10_minutes=3) as strict:
        strict.state.create_project("street-scenes", type="image_all")
        resource = FastLabelResource(access_token=strict.token, base_url=strict.url, request_attempts=1)
        daemon = make_daemon(resource=resource)
        told = [daemon.tick(sensor()).skip_message for _ in range(4)]
    assert "watching" in told[0] and all("0 of 5" in text for text in told[1:3])
    assert "RateLimited" in told[3]
    assert memory(daemon)["baseline"] == 0


def test_tasks_approved_before_the_first_tick_count_only_when_asked(make_daemon, sandbox):
    sandbox.state.approve("street-scenes", 8)
    late, early = make_daemon(), make_daemon()
    for _ in range(2):
        late.tick(sensor())
        early.tick(sensor(first_tick="backfill"))
    assert (len(late.launched), len(early.launched)) == (0, 1)


def test_a_restart_between_launch_and_cursor_launches_once(daemon, sandbox):
    watch = sensor()
    daemon.tick(watch)
    sandbox.state.approve("street-scenes", 5)
    daemon.tick(watch, crash=True)
    sandbox.state.approve("street-scenes", 2)
    daemon.tick(sensor())  # another process: the definition is built anew, the cursor comes from the database
    daemon.tick(sensor())
    assert len(daemon.launched) == 1


def test_a_task_approved_again_counts_again(daemon, sandbox):
    watch = sensor(every=3)
    daemon.tick(watch)
    ids = sandbox.state.approve("street-scenes", 3)
    daemon.tick(watch)
    assert len(daemon.launched) == 1
    sandbox.state.set_status(ids, "sent_back")
    daemon.tick(watch)
    assert memory(daemon)["baseline"] == 0
    sandbox.state.set_status(ids, "approved")
    daemon.tick(watch)
    assert len(daemon.launched) == 2


def test_a_reset_cursor_starts_new_run_keys(daemon, sandbox):
    watch = sensor(every=1)
    daemon.tick(watch)
    sandbox.state.approve("street-scenes", 1)
    daemon.tick(watch)
    daemon.cursor = None
    daemon.tick(watch)
    sandbox.state.approve("street-scenes", 1)
    daemon.tick(watch)
    assert len(daemon.launched) == 2  # not swallowed by Dagster as a run key it knows


@pytest.mark.parametrize("cursor", ["not json", "[]", '{"v": 99, "kind": "approvals"}', '{"v": 1, "kind": "imports"}'])
def test_a_cursor_nobody_can_read_is_a_first_tick(daemon, cursor):
    daemon.cursor = cursor
    result = daemon.tick(sensor())
    assert "watching from" in result.skip_message
    assert json.loads(daemon.cursor)["kind"] == "approvals"


def test_an_error_is_told_and_the_cursor_kept(make_daemon, daemon, sandbox):
    daemon.tick(sensor())
    wrong = make_daemon(cursor=daemon.cursor, resource=FastLabelResource(access_token="wrong", base_url=sandbox.url))
    result = wrong.tick(sensor())
    assert "Unauthorized" in result.skip_message and result.run_requests == []
    assert memory(wrong) == memory(daemon)
    sandbox.state.approve("street-scenes", 5)
    assert len(daemon.tick(sensor()).run_requests) == 1


def test_an_environment_variable_is_resolved_in_the_tick(make_daemon, sandbox, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_THE_SANDBOX", sandbox.token)
    resource = FastLabelResource(access_token=dg.EnvVar("TOKEN_OF_THE_SANDBOX"), base_url=sandbox.url)
    assert "watching from 0" in make_daemon(resource=resource).tick(sensor()).skip_message


def test_the_resource_may_have_another_name(make_daemon):
    daemon = make_daemon(resource_key="workspace_two")
    assert "watching from 0" in daemon.tick(sensor(resource_key="workspace_two")).skip_message


def test_names_are_safe_and_differ():
    names = {build_approval_sensor(slug, every=1, job="x").name for slug in ("a-b", "a_b", "A-b", "交差点", "交差点2")}
    assert len(names) == 5
    assert all(name.replace("_", "").isascii() and name.replace("_", "").isalnum() for name in names)


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        sensor(every=0)
