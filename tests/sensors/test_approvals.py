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
    assert memory(daemon)["baseline"] == 3  # one count may be wrong
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


def test_a_cursor_of_the_first_release_goes_on_with_its_batches(daemon, sandbox):
    sandbox.state.approve("street-scenes", 8)
    daemon.cursor = json.dumps({"v": 1, "kind": "approvals", "epoch": "0123456789ab", "baseline": 5, "batch": 3})
    assert "3 of 5" in daemon.tick(sensor()).skip_message
    sandbox.state.approve("street-scenes", 2)
    (request,) = daemon.tick(sensor()).run_requests
    assert request.run_key == "fastlabel/street-scenes/approved/0123456789ab/4"


def test_several_projects_have_counts_and_batches_of_their_own(daemon, sandbox):
    sandbox.state.create_project("harbour", type="image_all")
    sandbox.state.add_tasks("harbour", [{"name": f"{number}.jpg"} for number in range(10)])
    watch = build_approval_sensor(["street-scenes", "harbour", "nowhere"], every=5, job="retrain")
    daemon.tick(watch)
    sandbox.state.approve("street-scenes", 3)
    sandbox.state.approve("harbour", 5)
    (request,) = daemon.tick(watch).run_requests
    assert request.tags["fastlabel/project"] == "harbour"
    sandbox.state.approve("street-scenes", 2)
    (request,) = daemon.tick(watch).run_requests
    assert request.tags["fastlabel/project"] == "street-scenes"
    assert [event.asset_key.path[-1] for event in daemon.told("polling_healthy") if not event.passed] == ["nowhere"]


def share(**more):
    return build_approval_sensor("street-scenes", **{"share": 0.5, "job": "retrain", **more})


def runs_after(daemon, watch, ticks=5):
    for _ in range(ticks):
        daemon.tick(watch)
    return len(daemon.launched)


def test_a_share_fires_when_it_is_reached_and_again_only_after_it_was_lost(daemon, sandbox):
    assert runs_after(daemon, share()) == 0
    ids = sandbox.state.approve("street-scenes", 14)
    assert runs_after(daemon, share()) == 0  # 14 of 30
    ids += sandbox.state.approve("street-scenes", 1)
    assert runs_after(daemon, share()) == 1
    sandbox.state.approve("street-scenes", 5)
    assert runs_after(daemon, share()) == 1
    sandbox.state.add_tasks("street-scenes", [{"name": f"new-{number}.jpg"} for number in range(30)])
    assert runs_after(daemon, share()) == 1  # 20 of 60
    sandbox.state.approve("street-scenes", 10)
    assert runs_after(daemon, share()) == 2


def test_a_share_reached_before_the_first_tick_counts_only_when_asked(make_daemon, sandbox):
    sandbox.state.approve("street-scenes", 20)
    assert runs_after(make_daemon(), share()) == 0
    assert runs_after(make_daemon(), share(first_tick="backfill")) == 1


def test_new_tasks_between_the_two_counts_do_not_fire_a_share(daemon, sandbox):
    tasks = [{"name": f"new-{number}.jpg", "status": "approved"} for number in range(40)]
    more = [{"name": f"more-{number}.jpg"} for number in range(200)]
    daemon.tick(share())  # counts the approved: 0
    daemon.tick(share())  # counts all: 30
    sandbox.state.add_tasks("street-scenes", tasks)
    sandbox.state.add_tasks("street-scenes", more)
    assert runs_after(daemon, share()) == 0  # 40 of the 30 there were, 40 of the 270 there are


def test_both_conditions_must_hold(daemon, sandbox):
    watch = share(every=5)
    assert runs_after(daemon, watch) == 0
    sandbox.state.approve("street-scenes", 10)
    assert runs_after(daemon, watch) == 0  # ten new ones, but a third of all
    sandbox.state.approve("street-scenes", 6)
    assert runs_after(daemon, watch) == 1
    sandbox.state.approve("street-scenes", 4)
    assert runs_after(daemon, watch) == 1  # two thirds of all, but four new ones
    sandbox.state.approve("street-scenes", 1)
    assert runs_after(daemon, watch) == 2


def test_a_share_costs_one_request_a_tick_too(make_vendor, make_daemon):
    vendor = make_vendor(lambda path, query: 10)
    daemon = make_daemon(resource=vendor.resource())
    for tick in range(1, 7):
        daemon.tick(share())
        assert vendor.asked["street-scenes"] == tick


def test_only_tasks_of_the_wanted_state_and_tags_count(daemon, sandbox):
    watch = build_approval_sensor(
        "street-scenes", every=2, status=None, external_status="approved", task_tags=["night"], job="retrain"
    )
    daemon.tick(watch)
    ids = sandbox.state.task_ids("street-scenes")
    sandbox.state.set_status(ids[:3], externalStatus="approved")
    sandbox.state.set_status(ids[3:6], "approved")
    sandbox.state.update_task(ids[5], tags=["night"])
    assert daemon.tick(watch).run_requests == []
    for task in ids[:2]:
        sandbox.state.update_task(task, tags=["night"])
    (request,) = daemon.tick(watch).run_requests
    assert request.tags["fastlabel/trigger"] == "2 newly externally approved, tagged night"


def test_when_other_tasks_count_the_sensor_begins_anew(daemon, sandbox):
    sandbox.state.approve("street-scenes", 4)
    sandbox.state.approve("street-scenes", 20, status="completed")
    for watch in (share(), share()):
        daemon.tick(watch)
    changed = sensor(every=5, status="completed")
    assert "watching from" in daemon.tick(changed).skip_message
    assert daemon.tick(changed).run_requests == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "every=, share= or both"),
        ({"share": 0}, "above 0"),
        ({"share": 1.5}, "at most 1"),
        ({"share": 0.5, "status": None}, "needs status="),
    ],
)
def test_conditions_that_make_no_sense_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        build_approval_sensor("street-scenes", job="retrain", **wrong)
