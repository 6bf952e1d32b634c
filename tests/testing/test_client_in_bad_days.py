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

from fastlabel_dagster.api import FastLabelClient, FastLabelError, RetryPolicy
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.modalities import MODALITIES

OPERATIONS = 2000
ROUTES = 135
SCENES = "street-scenes"


class Work:
    """The operations, and what was acknowledged: by kind, the id or answer of every name."""

    def __init__(self, client: FastLabelClient, here: Any, routes: dict[str, Callable[[int], Any]]) -> None:
        self.client = client
        self.scenes = here.scenes
        self.acknowledged: dict[str, dict[int, Any]] = {}
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.kinds: dict[str, Callable[[int], Any]] = {
            **routes,
            "create and delete": self._create_and_delete,
            "iterate": lambda n: self._same(len(list(client.image_tasks.iter(SCENES, page_size=10))), 30),
            "count": lambda n: self._same(client.tasks.count(SCENES), 30),
            "names": lambda n: self._same(len(client.tasks.id_name_map(SCENES)), 30),
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
            self.acknowledged.setdefault(kind, {})[number] = answer

    def _create_and_delete(self, number: int) -> str:
        task_id = self.client.text_tasks.create("of-text", f"deleted {number}.txt", content=b"x")
        self.client.tasks.delete(task_id)
        return task_id

    def _same(self, answer: int, expected: int) -> int:
        assert answer == expected
        return answer


def test_nothing_is_lost_and_nothing_is_there_twice(
    fastlabel_sandbox: Sandbox, everything: Any, every_call: Any, recorder: Any
) -> None:
    state = fastlabel_sandbox.state
    retry = RetryPolicy(backoff_seconds=0.01, backoff_max_seconds=0.05)
    with FastLabelClient(timeout=(5, 0.3), retry=retry, session=recorder) as client:
        work = Work(client, everything, every_call(client))
        recorder.met.clear()
        fastlabel_sandbox.faults(probability=0.2, seed=0, silence_seconds=0.4, slow_seconds=0.01)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work.do, range(OPERATIONS)))
        fastlabel_sandbox.clear_faults()

    met = state.faults.summary()
    assert set(met["kinds"]) == {"429", "500", "502", "reset", "timeout", "slow", "truncated", "html"}
    assert met["total"] > OPERATIONS / 10 and met["carriedOut"] > met["total"] / 4
    assert sum(work.tried.values()) == OPERATIONS
    assert sum(work.refused.values()) < OPERATIONS / 10, work.refused
    assert len(recorder.met) >= ROUTES, f"only {len(recorder.met)} routes were met"

    state.clock.advance(31)  # what was imported is there now
    state.settle()
    # What is there, a pair of id and name for each: one that is there twice is two pairs of one name.
    there: dict[str, list[tuple[str, Any]]] = {
        "POST annotations": [(one["id"], one["value"]) for one in state.classes.listed("settings")],
        "POST projects": [(one["id"], one["slug"]) for one in state.projects.listed(limit=-1)],
        "POST datasets-v2": [(one["id"], one["name"]) for one in state.datasets.listed()],
        "POST workspaces-users/internal-users": [
            (one["id"], one["userEmail"]) for one in state.people.listed(limit=10_000)
        ],
        "POST dataset-revision-objects": [
            (body["name"], body["name"]) for body, _, _ in state.datasets.objects("trained", limit=-1)
        ],
        "POST trainings": [(one["trainingJobId"], one["epoch"]) for one in state.jobs.listed("training", limit=-1)],
        "POST evaluations": [(one["id"], one["iouThreshold"]) for one in state.jobs.listed("evaluation", limit=-1)],
    }
    there["POST projects/copy"] = there["POST projects"]
    comments = [(one["comment"]["id"], one["text"]) for one in state.comments.of_project(SCENES, limit=-1)]
    there["POST comments"] = [pair for pair in comments if pair[1].startswith("comment")]
    for one in MODALITIES:
        if one.source in {"file", "contents", "nothing"}:
            slug = f"of-{one.name.replace('_', '-')}"
            there[f"POST tasks/{one.path}"] = [*state.tasks.id_name_map(slug, limit=-1).items()]
    assert len(there) == 22
    for kind, found in there.items():
        assert len({name for _, name in found}) == len(found), f"something of {kind} is there twice"
        ids = {one_id for one_id, _ in found}
        answers = work.acknowledged[kind]
        keys = {number: key_of(answer) for number, answer in answers.items()}
        assert len(set(keys.values())) == len(keys), f"{kind} acknowledged one thing twice"
        assert set(keys.values()) <= ids, f"{kind} was acknowledged and is not there"
    # What has no name to be looked up by is not sent again: at most one for each try, the acknowledged ones among them.
    unnamed = {
        "POST tasks/dicom": "of-dicom",
        "POST contents/imports/robotics-contents/batch": "of-robotics",
        "PUT /files/{key:path}": "of-sequential-pcd",
    }
    for kind, slug in unnamed.items():
        histories = {one["id"] for one in state.jobs.listed("import", project=slug, limit=-1)}
        acknowledged = {answer["id"] for answer in work.acknowledged[kind].values()}
        assert len(acknowledged) == len(work.acknowledged[kind]) and acknowledged <= histories, kind
        assert len(histories) <= work.tried[kind], f"{kind} was sent twice"
    jobs = {one["id"] for one in state.jobs.listed("auto_annotation", limit=-1)}
    assert len(work.acknowledged["POST auto-annotations"]) <= len(jobs) <= work.tried["POST auto-annotations"]
    texts = dict(there["POST tasks/text"])
    for task_id in work.acknowledged["create and delete"].values():
        assert task_id not in texts, "what was deleted is gone"
    for number in work.acknowledged["DELETE tasks/{task_id}"]:
        assert f"gone {number}" not in texts.values()
    assert not {f"gone-{number}" for number in work.acknowledged["DELETE datasets-v2/{dataset_id}"]} & {
        name for _, name in there["POST datasets-v2"]
    }
    tags = {one["name"] for one in state.tags.listed(SCENES, limit=-1)}
    assert {f"tag-{number}" for number in work.acknowledged["POST tasks/tags/add"]} <= tags
    assert {len(state.task_ids(SCENES)), *work.acknowledged["count"].values()} == {30}


def key_of(answer: Any) -> str:
    """What a thing is known by: its id, but for an object of a dataset, which has a name only."""
    if isinstance(answer, str):
        return answer
    return str(answer.get("id") or answer.get("trainingJobId") or answer["name"])
