"""The control surface drives a sandbox in another process; the clock decides what is over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.clock import timestamp
from fastlabel_dagster.sandbox.seed import seed_drawn
from fastlabel_dagster.sandbox.state import SandboxState

Http = Callable[..., requests.Response]


@pytest.fixture
def scenes(sandbox: Sandbox) -> str:
    seed_drawn(sandbox.state, tasks=20)
    return "street-scenes"


def test_health_counts_what_is_there(http: Http, scenes: str) -> None:
    health = http("GET", "/_sandbox/health").json()
    assert (health["status"], health["projects"], health["tasks"], health["speed"]) == ("ok", 1, 20, 1.0)


def test_a_number_of_tasks_moves_on(http: Http, scenes: str) -> None:
    approved = http("GET", "tasks/count", params={"project": scenes, "status": "approved"}).json()
    request = {"project": scenes, "count": 4, "status": "approved", "reviewer": "smith"}
    updated = http("POST", "/_sandbox/tasks/status", json=request).json()["updated"]
    assert len(set(updated)) == 4
    assert http("GET", "tasks/count", params={"project": scenes, "status": "approved"}).json() == approved + 4
    for task_id in updated:
        task = http("GET", f"tasks/image/{task_id}").json()
        assert (task["status"], task["reviewer"]) == ("approved", "John Smith")
        assert task["annotations"], "pictures with annotations are approved first"
    back = {"ids": updated[:1], "status": "sent_back", "assignee": None}
    assert http("POST", "/_sandbox/tasks/status", json=back).json() == {"updated": updated[:1]}
    assert http("GET", f"tasks/image/{updated[0]}").json()["assignee"] is None
    some = {"project": scenes, "count": 2, "from": "sent_back", "priority": 30}
    for task_id in http("POST", "/_sandbox/tasks/status", json=some).json()["updated"]:
        assert http("GET", f"tasks/image/{task_id}").json()["status"] == "sent_back"
    assert http("POST", "/_sandbox/tasks/status", json={"project": scenes, "count": 1}).status_code == 422
    assert http("POST", "/_sandbox/tasks/status", json={"ids": ["none"], "status": "approved"}).status_code == 404
    wrong = {"project": scenes, "count": "many", "status": "approved"}
    assert http("POST", "/_sandbox/tasks/status", json=wrong).status_code == 422


def test_tasks_change_and_go_behind_everybodys_back(http: Http, scenes: str, sandbox: Sandbox) -> None:
    first, second, *_ = sandbox.state.task_ids(scenes)
    changes = {
        "name": "../../x.jpg",
        "width": None,
        "annotations": [{"type": "bbox", "value": "ghost", "points": [None]}],
    }
    assert http("POST", "/_sandbox/tasks/update", json={"id": first, "changes": changes}).status_code == 200
    task = http("GET", f"tasks/image/{first}").json()
    assert (task["name"], task["width"], task["annotations"][0]["points"]) == ("../../x.jpg", None, [None])
    assert http("POST", "/_sandbox/tasks/delete", json={"ids": [second]}).json() == {"deleted": [second]}
    assert http("GET", f"tasks/image/{second}").status_code == 404
    gone = http("POST", "/_sandbox/tasks/delete", json={"project": scenes, "count": 3}).json()["deleted"]
    assert gone[0] == first and http("GET", "tasks/count", params={"project": scenes}).json() == 16


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_an_import_ends_as_it_was_told(http: Http, scenes: str, outcome: str) -> None:
    request = {"project": scenes, "outcome": outcome, "seconds": 50, "tasks": 3}
    history = http("POST", "/_sandbox/imports", json=request).json()
    assert history["status"] == "running"
    assert http("POST", "/_sandbox/clock", json={"advance": 49}).status_code == 200
    assert http("GET", f"tasks/import/histories/{history['id']}").json()["status"] == "running"
    http("POST", "/_sandbox/clock", json={"advance": 2})
    (listed,) = http("GET", "tasks/import/histories", params={"project": scenes}).json()
    assert (listed["id"], listed["status"]) == (history["id"], outcome)
    assert listed["updatedAt"] > listed["createdAt"]
    added = 3 if outcome == "completed" else 0
    assert http("GET", "tasks/count", params={"project": scenes}).json() == 20 + added
    if added:
        newest = http("GET", "tasks/image", params={"project": scenes, "offset": 20}).json()
        assert [task["name"] for task in newest] == ["imported_0001.jpg", "imported_0002.jpg", "imported_0003.jpg"]
        assert requests.get(newest[0]["url"], timeout=10).content.startswith(b"\xff\xd8")


def test_jobs_fail_on_demand_each_kind_on_its_own(http: Http, scenes: str) -> None:
    assert http("POST", "/_sandbox/jobs/fail-next", json={"kind": "auto_annotation", "times": 1}).status_code == 200
    assert http("POST", "/_sandbox/jobs/fail-next", json={"kind": "coffee"}).status_code == 422
    request = {"project": scenes, "modelName": "fastlabel_x"}
    for _ in range(2):
        http("POST", "auto-annotations", json=request)
    http("POST", "/_sandbox/clock", json={"advance": 61})
    jobs = http("GET", "auto-annotations", params={"project": scenes}).json()
    assert [job["status"] for job in jobs] == ["completed", "failed"], "the newest job is listed first"


@pytest.mark.parametrize(
    "body", [{"advance": -1}, {"advance": "soon"}, {"speed": -2}, {"advance": "inf"}, {"speed": []}]
)
def test_a_clock_cannot_be_turned_back(http: Http, body: dict[str, Any]) -> None:
    assert http("POST", "/_sandbox/clock", json=body).status_code == 422


def test_the_clock_runs_fast_stands_still_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    wall = [1_700_000_000.0]
    with SandboxState(tmp_path, wall=lambda: wall[0]) as state:
        assert state.clock.now() == wall[0]
        state.clock.set_speed(60)
        wall[0] += 10
        assert state.clock.now() == 1_700_000_600.0
        assert state.clock.unscaled() == wall[0]
        state.clock.advance(5)
        assert state.clock.now() == 1_700_000_605.0
        assert state.clock.unscaled() == wall[0] + 5
        wall[0] -= 3600
        assert state.clock.now() == 1_700_000_605.0, "never backwards, whatever the wall does"
        wall[0] += 3600
    wall[0] += 1
    with SandboxState(tmp_path, wall=lambda: wall[0]) as state:
        assert state.clock.now() == 1_700_000_665.0
        state.clock.set_speed(0)
        wall[0] += 100
        assert state.clock.now() == 1_700_000_665.0
    with SandboxState(tmp_path, speed=2, wall=lambda: wall[0]) as state:
        wall[0] += 1
        assert state.clock.now() == 1_700_000_667.0
    assert timestamp(1_613_993_127.158) == "2021-02-22T11:25:27.158Z"
