"""Bad days on demand: each kind of fault as a caller sees it, before and after the request was carried out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.faults import KINDS, Faults

Http = Callable[..., requests.Response]
PROJECT = {"type": "image_bbox", "name": "Zoo", "slug": "zoo"}


def outcome(send: Callable[[], requests.Response]) -> str:
    try:
        answer = send()
    except requests.exceptions.ReadTimeout:
        return "timeout"
    except requests.exceptions.ChunkedEncodingError:
        return "truncated"
    except requests.exceptions.ConnectionError:
        return "reset"
    if answer.headers.get("content-type", "").startswith("text/html"):
        return "html"
    return str(answer.status_code)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["500", "502", "503", "reset", "timeout", "html"])
def test_a_fault_comes_before_the_work_or_after_it(http: Http, sandbox: Sandbox, kind: str, after: bool) -> None:
    sandbox.fail("POST projects", kind=kind, after=after, seconds=20 if kind == "timeout" else None)
    timeout = 0.3 if kind == "timeout" else 30
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    assert (
        outcome(lambda: requests.post(f"{sandbox.url}projects", json=PROJECT, headers=headers, timeout=timeout)) == kind
    )
    assert (sandbox.state.find_project("zoo") is not None) == after
    again = http("POST", "projects", json=PROJECT)
    assert again.status_code == (422 if after else 200), "the script is used up; what was carried out is there"
    assert http("GET", "/_sandbox/faults").json() == {
        "total": 1,
        "carriedOut": int(after),
        "kinds": {kind: 1},
        "waiting": 0,
        "probability": 0.0,
    }


def test_a_refusal_for_haste_says_when_to_come_back(http: Http, sandbox: Sandbox) -> None:
    sandbox.seed(tasks=1)
    sandbox.fail("GET tasks/image", times=2, status=429, retry_after=1)
    for _ in range(2):
        answer = http("GET", "tasks/image", params={"project": "street-scenes"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert set(answer.json()) == {"statusCode", "message", "error"}
        assert http("GET", "tasks/count", params={"project": "street-scenes"}).json() == 1, "another route is not hit"
    assert len(http("GET", "tasks/image", params={"project": "street-scenes"}).json()) == 1


def test_a_body_is_cut_or_slow_and_the_link_to_a_file_is_a_route_too(http: Http, sandbox: Sandbox) -> None:
    sandbox.seed(tasks=1)
    (task,) = http("GET", "tasks/image", params={"project": "street-scenes"}).json()
    sandbox.fail("GET tasks/image/{task_id}", kind="truncated")
    sandbox.fail(f"GET tasks/image/{task['id']}", kind="slow", seconds=0.05)
    sandbox.fail("GET /files/*", kind="truncated")
    find = f"tasks/image/{task['id']}"
    assert outcome(lambda: http("GET", find)) == "truncated"
    assert http("GET", find).json()["id"] == task["id"]
    assert outcome(lambda: requests.get(task["url"], timeout=10)) == "truncated"
    whole = requests.get(task["url"], timeout=10)
    assert len(whole.content) == int(whole.headers["content-length"])
    assert sandbox.state.summary()["faults"]["kinds"] == {"slow": 1, "truncated": 2}


def test_an_answer_without_a_body_is_lost_whole(http: Http, sandbox: Sandbox) -> None:
    project = sandbox.state.create_project("zoo")
    sandbox.fail("DELETE projects/{id}", kind="truncated")
    assert outcome(lambda: http("DELETE", f"projects/{project}")) == "reset"
    assert sandbox.state.find_project("zoo") is None


def test_chance_hits_its_share_of_every_kind_and_the_same_seed_hits_the_same(tmp_path: Path) -> None:
    faults = Faults()
    drawn = []
    for _ in range(2):
        faults.chance(0.2, seed=7)
        drawn.append([faults.draw("POST", "/v1/projects") for _ in range(4000)])
    assert drawn[0] == drawn[1]
    hits = Counter(fault.kind for fault in drawn[0] if fault)
    assert set(hits) == set(KINDS) and 700 < sum(hits.values()) < 900
    sides = Counter((fault.kind, fault.after) for fault in drawn[0] if fault)
    for kind in ("500", "502", "reset", "timeout", "html"):
        assert sides[kind, False] and sides[kind, True]
    assert not sides["429", True] and not sides["slow", False] and not sides["truncated", False]
    faults.chance(1, kinds=[503, "reset"], route="GET tasks/*", after=True)
    assert faults.draw("POST", "/v1/tasks/image") is None and faults.draw("GET", "/_sandbox/health") is None
    assert {faults.draw("GET", "/v1/tasks/image").kind for _ in range(50)} == {"503", "reset"}  # type: ignore[union-attr]
    faults.clear()
    assert not faults.active and faults.summary()["total"] > 1600


def test_faults_are_driven_over_http_and_never_hit_the_controls(http: Http, sandbox: Sandbox) -> None:
    asked = {"probability": 1, "seed": 3, "kinds": ["500"], "after": False}
    assert http("POST", "/_sandbox/faults", json=asked).json()["probability"] == 1
    assert http("GET", "projects").status_code == 500
    assert http("DELETE", "/_sandbox/faults").json()["kinds"] == {"500": 1}
    assert http("GET", "projects").status_code == 200
    scripted = {"route": "GET projects", "status": 503, "times": 2, "skip": 1, "retryAfter": 2}
    assert http("POST", "/_sandbox/faults", json=scripted).json()["waiting"] == 1
    statuses = [http("GET", "projects").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert http("GET", "/_sandbox/health").json()["faults"]["kinds"] == {"500": 1, "503": 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"route": "GET taks/image", "status": 500},
        {"route": "GET *nothing*", "status": 500},
        {"route": "GET taks/*", "status": 500},
        {"route": "FOO *", "status": 500},
        {"route": "FOO tasks/image", "status": 500},
        {"route": "DELETE tags*", "status": 500},
        {"route": "PUT projects/*/*/*", "status": 500},
        {"route": "GET " + "*a" * 2000, "status": 500},
        {"probability": 0.5, "route": "GET taks/*"},
        {"route": "GET", "status": 500},
        {"route": "GET tasks/image"},
        {"route": "GET tasks/image", "status": 500, "kind": "reset"},
        {"route": "GET tasks/image", "status": 200},
        {"route": "GET tasks/image", "kind": "rain"},
        {"route": "GET tasks/image", "status": 429, "after": True},
        {"route": "GET tasks/image", "kind": "slow", "after": False},
        {"route": "GET tasks/image", "kind": "slow", "seconds": -1},
        {"route": "GET tasks/image", "status": 429, "retryAfter": "soon\r\n"},
        {"route": "GET tasks/image", "status": 500, "times": 0},
        {"route": "GET tasks/image", "status": 500, "often": True},
        {"probability": 1.5},
        {"probability": "often"},
        {"probability": 0.5, "kinds": []},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(http: Http, wrong: dict[str, Any]) -> None:
    answer = http("POST", "/_sandbox/faults", json=wrong)
    assert (answer.status_code, answer.json()["error"]) == (422, "Unprocessable Entity")
    assert http("GET", "/_sandbox/faults").json()["waiting"] == 0


def test_silence_ends_when_the_sandbox_stops(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        with Sandbox(tmp_path / "data") as sandbox:
            sandbox.fail("GET projects", kind="timeout", seconds=600)
            waiting = pool.submit(outcome, lambda: requests.get(f"{sandbox.url}projects", timeout=60))
            while not sandbox.state.faults.summary()["total"]:
                time.sleep(0.01)
        assert waiting.result() == "reset"


@pytest.mark.parametrize(
    ("route", "method", "path"),
    [
        ("get tasks/*", "GET", "tasks/image"),
        ("Get tasks/image", "GET", "tasks/image"),
        ("* *", "DELETE", "projects/7"),
        ("GET *age", "GET", "tasks/image"),
        ("put tasks/image/*", "PUT", "tasks/image/7"),
        ("PUT tasks/*-7", "PUT", "tasks/image/task-7"),
        ("GET /files/ab/*.jpg", "GET", "/files/ab/deep/a.jpg"),
        ("GET /files/*", "GET", "/files/ab/cd.jpg"),
        ("* /v1/tags*", "POST", "tags/delete/multi"),
    ],
)
def test_a_route_with_stars_meets_its_requests(sandbox: Sandbox, route: str, method: str, path: str) -> None:
    sandbox.fail(route, status=503)
    absolute = path if path.startswith("/") else f"/v1/{path}"
    fault = sandbox.state.faults.draw(method, absolute)
    assert fault is not None and fault.kind == "503"
