"""2,000 mixed operations of our client while one request in five goes wrong, in every way and on every route.

Whatever happens, an operation succeeds or raises an error of the client's own; nothing is created twice, and nothing
that was acknowledged is lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, FastLabelError, RetryPolicy
from fastlabel_dagster.sandbox import Sandbox

OPERATIONS = 2000
SCENES = "street-scenes"


class Work:
    """The operations, and what was acknowledged: by kind, the id or answer of every name."""

    def __init__(self, client: FastLabelClient, sandbox: Sandbox, picture: bytes) -> None:
        self.client = client
        self.picture = picture
        self.scenes = sandbox.state.task_ids(SCENES)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._links = [task["url"] for task in client.image_tasks.list(SCENES)]
        self._dataset = client.datasets.find(client.datasets.create("shared")["id"])["id"]
        self.kinds: dict[str, Callable[[int], Any]] = {
            "image": lambda n: client.image_tasks.create("images", f"{n}.jpg", content=picture, priority=10),
            "text": lambda n: client.text_tasks.create("texts", f"{n}.txt", content=b"words", tags=["a"]),
            "pcd": lambda n: client.pcd_tasks.create("clouds", f"{n}.pcd", content=b"# .PCD"),
            "robotics": lambda n: client.robotics_tasks.create("robots", f"episode {n}", operator="R2"),
            "class": lambda n: client.annotation_classes.create("images", "bbox", f"class-{n}", f"分類 {n}"),
            "dataset": lambda n: client.datasets.create(f"dataset-{n}"),
            "object": lambda n: client.dataset_objects.create("shared", f"{n}.jpg", content=picture),
            "comment": lambda n: client.comments.create(self.scenes[n % 30], [1, 2], f"text {n}"),
            "project": lambda n: client.projects.create("image_bbox", f"Project {n}", f"project-{n}"),
            "user": lambda n: client.workspace_users.create(f"User {n}", f"user{n}@example.com", "ja", "member"),
            "training": lambda n: client.training_jobs.submit("trained", "fastlabel_light", n + 1),
            "tag": lambda n: client.tasks.add_tags(SCENES, [self.scenes[n % 30]], [f"tag-{n}"]),
            "deleted": self._create_and_delete,
            "update": lambda n: client.tasks.update(self.scenes[n % 30], priority=20),
            "iterate": lambda n: self._same(len(list(client.image_tasks.iter(SCENES, page_size=10))), 30),
            "find": lambda n: client.image_tasks.find(self.scenes[n % 30]),
            "count": lambda n: self._same(client.tasks.count(SCENES), 30),
            "names": lambda n: self._same(len(client.tasks.id_name_map(SCENES)), 30),
            "slug": lambda n: client.projects.by_slug("images"),
            "download": self._download,
        }

    def do(self, number: int) -> None:
        """One operation; the same number always does the same."""
        kind = list(self.kinds)[number % len(self.kinds)]
        with self._lock:
            self.tried[kind] += 1
        try:
            answer = self.kinds[kind](number)
        except FastLabelError as error:
            with self._lock:
                self.refused[f"{kind}: {type(error).__name__}"] += 1
            return
        with self._lock:
            self.acknowledged.setdefault(kind, {})[str(number)] = answer

    def _create_and_delete(self, number: int) -> str:
        task_id = self.client.text_tasks.create("texts", f"gone {number}.txt", content=b"x")
        self.client.tasks.delete(task_id)
        return task_id

    def _download(self, number: int) -> int:
        received: list[bytes] = []
        self.client.download(self._links[number % 30], received.append)
        content = b"".join(received)
        assert content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9"), "a picture arrives whole"
        return len(content)

    def _same(self, answer: int, expected: int) -> int:
        assert answer == expected
        return answer


@pytest.fixture
def prepared(fastlabel_sandbox: Sandbox) -> Sandbox:
    """Projects of four kinds and a dataset to train on."""
    state = fastlabel_sandbox.state
    fastlabel_sandbox.seed(tasks=30)
    for slug, kind in (("images", "image_bbox"), ("texts", "text_ner"), ("clouds", "pcd_cuboid")):
        state.create_project(slug, type=kind)
    state.create_project("robots", type="robotics_task_classification")
    state.datasets.create("trained")
    state.datasets.add_object("trained", "a.txt", b"x", {})
    return fastlabel_sandbox


def test_nothing_is_lost_and_nothing_is_there_twice(prepared: Sandbox) -> None:
    state = prepared.state
    picture = state.files.path(str(state.tasks.file_of(state.task_ids(SCENES)[0]))).read_bytes()
    retry = RetryPolicy(backoff_seconds=0.01, backoff_max_seconds=0.05)
    with FastLabelClient(timeout=(5, 0.3), retry=retry) as client:
        work = Work(client, prepared, picture)
        prepared.faults(probability=0.2, seed=0, silence_seconds=0.4, slow_seconds=0.01)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work.do, range(OPERATIONS)))
        prepared.clear_faults()

    met = state.faults.summary()
    assert set(met["kinds"]) == {"429", "500", "502", "reset", "timeout", "slow", "truncated", "html"}
    assert met["total"] > OPERATIONS / 10 and met["carriedOut"] > met["total"] / 4
    assert sum(work.tried.values()) == OPERATIONS
    assert sum(work.refused.values()) < OPERATIONS / 10, work.refused

    there = {
        "image": state.tasks.id_name_map("images", limit=-1),
        "text": state.tasks.id_name_map("texts", limit=-1),
        "pcd": state.tasks.id_name_map("clouds", limit=-1),
        "robotics": state.tasks.id_name_map("robots", limit=-1),
        "class": {one["id"]: one["value"] for one in state.classes.listed("images")},
        "project": {one["id"]: one["slug"] for one in state.projects.listed(limit=-1)},
        "dataset": {one["id"]: one["name"] for one in state.datasets.listed()},
        "user": {one["id"]: one["userEmail"] for one in state.people.listed(limit=10_000)},
        "object": {body["name"]: body["name"] for body, _, _ in state.datasets.objects("shared", limit=-1)},
        "training": {one["trainingJobId"]: one["epoch"] for one in state.jobs.listed("training", limit=-1)},
        "comment": {one["comment"]["id"]: one["text"] for one in state.comments.of_project(SCENES, limit=-1)},
    }
    for kind, found in there.items():
        assert len(set(found.values())) == len(found), f"a {kind} is there twice"
        for number, answer in work.acknowledged[kind].items():
            key = answer if isinstance(answer, str) else answer.get("id") or answer.get("trainingJobId")
            assert (key or answer["name"]) in found, f"{kind} {number} was acknowledged and is not there"
    for task_id in work.acknowledged["deleted"].values():
        assert task_id not in there["text"], "what was deleted is gone"
    tags = {one["name"] for one in state.tags.listed(SCENES, limit=-1)}
    assert {f"tag-{number}" for number in work.acknowledged["tag"]} <= tags
    assert {len(state.task_ids(SCENES)), *work.acknowledged["count"].values()} == {30}
