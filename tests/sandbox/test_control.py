"""The control surface drives a sandbox in another process; the clock decides what is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.clock import timestamp
from fastlabel_dagster.sandbox.control import ENDPOINTS
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


def test_what_the_next_evaluations_measure_can_be_said(http: Http, scenes: str) -> None:
    assert http("POST", "datasets-v2", json={"name": "street"}).status_code == 200
    wanted = [{"mAP": 0.9, "confusionMatrix": [[3, 1], [0, 2]]}, {"mAP": 0.1, "recall": 0.2}]
    for metrics in wanted:
        assert http("POST", "/_sandbox/jobs/next-metrics", json=metrics).status_code == 200
    for metrics in ({}, {"mAP": 1.5}, {"speed": 1}):
        assert http("POST", "/_sandbox/jobs/next-metrics", json=metrics).status_code == 422
    for _ in range(3):
        request = {"datasetName": "street", "modelName": "fastlabel_x"}
        assert http("POST", "evaluations", json=request).status_code == 200
    http("POST", "/_sandbox/clock", json={"advance": 130})
    usual, second, first = http("GET", "evaluations").json()
    assert (first["mAP"], first["confusionMatrix"]) == (0.9, [[3, 1], [0, 2]])
    assert (second["mAP"], second["recall"], second["confusionMatrix"]) == (0.1, 0.2, None)
    assert usual["mAP"] == 0.35 and second["precision"] == usual["precision"]


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


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("imports", {"project": "street-scenes", "outcome": []}, "outcome must be a text"),
        ("jobs/fail-next", {"kind": []}, "kind must be a text"),
        ("faults", {"route": 1, "status": 500}, "route must be a text"),
        ("tasks/status", {"ids": [], "status": [{"a": None}]}, "status must be a text"),
        ("tasks/status", {"project": "street-scenes", "count": 1, "status": -(10**30)}, "status must be a text"),
        ("datasets/object-type", {"datasetId": [], "objectName": "a", "type": "train"}, "datasetId must be a text"),
    ],
)
def test_a_wrong_type_is_named(http: Http, scenes: str, path: str, body: dict[str, Any], words: str) -> None:
    answer = http("POST", f"/_sandbox/{path}", json=body)
    assert (answer.status_code, answer.json()["message"]) == (422, words)


#: One request for every endpoint that goes well, to be spoilt in one field at a time.
GOOD: dict[str, list[dict[str, Any]]] = {
    "clock": [{"speed": 1, "advance": 0}],
    "tasks/status": [
        {"ids": [], "status": "approved", "externalStatus": "approved", "priority": 10, "assignee": "sato"},
        {"project": "street-scenes", "count": 1, "status": "approved"},
        {"project": "street-scenes", "count": 1, "from": "approved", "reviewer": "sato"},
    ],
    "tasks/update": [{"id": "TASK", "changes": {"priority": 10}}],
    "tasks/delete": [{"ids": []}, {"project": "street-scenes", "count": 0, "from": "approved"}],
    "imports": [{"project": "street-scenes", "outcome": "failed", "seconds": 0, "tasks": 0}],
    "jobs/fail-next": [{"kind": "training", "times": 0}],
    "jobs/next-metrics": [{"mAP": 0.5, "recall": 0, "precision": 1, "f1": 0.25}],
    "datasets/object-type": [{"datasetId": "DATASET", "objectName": "a.txt", "type": "train"}],
    "faults": [
        {"route": "GET tags", "times": 1, "kind": "429", "after": False, "skip": 0, "retryAfter": 1, "seconds": 0},
        {"route": "GET tags", "status": 503},
        {"route": "GET tags", "probability": 0, "seed": 0, "kinds": ["429", 500], "after": True, "retryAfter": "x"}
        | {"silenceSeconds": 0, "slowSeconds": 0},
    ],
}
WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0.5, 10**18, -(10**30), 1e308, "", "\0", "x" * 3000, "*", [], [None], [{"a": None}], [[]], {}),
    {"a": [1]},
)
CHANGES = (
    *(
        "status",
        "externalStatus",
        "priority",
        "tags",
        "assignee",
        "annotations",
        "attributes",
        "name",
        "width",
        "height",
    ),
    *("createdAt", "updatedAt", "operator", "metadatas", "relations", "workflow1User", "id", "contents", "task_id"),
)


def test_no_type_of_any_field_breaks_the_controls(sandbox: Sandbox, http: Http, scenes: str) -> None:
    assert set(GOOD) == {row.path for row in ENDPOINTS if row.method == "POST"}, "every endpoint is tried"
    task_id = sandbox.state.task_ids(scenes)[0]
    dataset = sandbox.state.datasets.create("set")
    sandbox.state.datasets.add_object("set", "a.txt", b"x", {})
    named = {"TASK": task_id, "DATASET": dataset["id"]}

    def send(path: str, body: Any) -> int:
        answer = http("POST", f"/_sandbox/{path}", data=json.dumps(body))
        assert answer.status_code in {200, 400, 404, 422}, (path, body, answer.text)
        if answer.status_code != 200:
            assert answer.json()["message"], (path, body)
        return answer.status_code

    for path, bodies in GOOD.items():
        for body in bodies:
            good = {key: named.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
            assert send(path, good) == 200, (path, good)
            for field in good:
                for wrong in WRONG:
                    send(path, {**good, field: wrong})
    for change in CHANGES:
        for wrong in WRONG:
            send("tasks/update", {"id": task_id, "changes": {change: wrong}})
    another = sandbox.state.tasks.find(sandbox.state.task_ids(scenes)[1])["name"]
    assert send("tasks/update", {"id": task_id, "changes": {"name": another}}) == 422
    assert http("GET", "tasks/image", params={"project": scenes}).status_code == 200, "all of it can still be read"
