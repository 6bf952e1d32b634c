"""Sync a project while somebody works on all of it without a pause, and hold the mirror against a log of that work.

Run it by itself for a larger fire than the suite lights: ``python tests/sync/fire.py 3000 5`` (tasks, rounds). In each
round a thread adds, changes and deletes tasks as fast as it can while the project is synced in small pages. It stops
within the last pages of a pass drawn by lot, or (every third round) not before the sync has ended. Every change is
logged with the moments it began and ended, so that what the mirror must hold follows from the log alone.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

PROJECT = "street"


class Watched(requests.Session):
    """Tells ``on_page(offset)`` before each page of tasks is asked for."""

    def __init__(self, on_page: Callable[[int], None]) -> None:
        super().__init__()
        self._on_page = on_page

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        if url.path.endswith("/tasks/image"):
            self._on_page(int(parse_qs(url.query).get("offset", ["0"])[0]))
        return super().send(request, **options)


class Life:
    """What the log knows of one task: when it came and went and when each edit was made, as (begun, ended)."""

    def __init__(self, added: tuple[float, float]) -> None:
        self.added = added
        self.deleted: tuple[float, float] | None = None
        self.edits: list[tuple[float, float]] = []

    def edits_at(self, moment: float) -> tuple[int, int]:
        """The fewest and the most edits the task can have had at a moment."""
        return sum(end < moment for _, end in self.edits), sum(begin < moment for begin, _ in self.edits)

    def surely_there(self, since: float, until: float) -> bool:
        return self.added[1] < since and (self.deleted is None or self.deleted[0] > until)

    def surely_gone(self, moment: float) -> bool:
        return self.deleted is not None and self.deleted[1] < moment


class Fire:
    """Work on a sandbox's project, and the log of it. The number of a task's edits is in its one box."""

    def __init__(self, state: Any, tasks: int, seed: int) -> None:
        self._state = state
        self._dice = random.Random(seed)
        self._number = 0
        self.lives: dict[str, Life] = {}
        self._there: list[str] = []
        self.changes = Counter[str]()
        self._add(tasks)

    def burn(self, stop: threading.Event) -> None:
        while not stop.is_set():
            chance = self._dice.random()
            if chance < 0.2:
                self._add(self._dice.randrange(1, 4))
            elif chance < 0.5:
                self._delete()
            else:
                self._edit()
            # The sandbox shares this process: without a breath for its server nothing would be read at all.
            time.sleep(0.0005)

    def _add(self, count: int) -> None:
        tasks = [{"name": f"{self._number + n:06}.jpg", "annotations": [_box(0)]} for n in range(count)]
        self._number += count
        begun = time.monotonic()
        ids = self._state.add_tasks(PROJECT, tasks)
        span = begun, time.monotonic()
        self.lives.update((task_id, Life(span)) for task_id in ids)
        self._there.extend(ids)
        self.changes["added"] += count

    def _delete(self) -> None:
        # Mostly early tasks: that is what moves the others from page to page.
        place = int(len(self._there) * self._dice.random() ** 3)
        task_id = self._there.pop(place)
        begun = time.monotonic()
        self._state.delete_task(task_id)
        self.lives[task_id].deleted = begun, time.monotonic()
        self.changes["deleted"] += 1

    def _edit(self) -> None:
        life = self.lives[task_id := self._dice.choice(self._there)]
        begun = time.monotonic()
        self._state.update_task(task_id, annotations=[_box(len(life.edits) + 1)])
        life.edits.append((begun, time.monotonic()))
        self.changes["changed"] += 1


def _box(edits: int) -> dict[str, Any]:
    return {"type": "bbox", "value": "car", "points": [0, 0, edits + 1, 10]}


def sync_under_fire(folder: Path, *, tasks: int, page_size: int, seed: int, max_passes: int = 5) -> dict[str, Any]:
    """One round; answers what it was like. Raises AssertionError when the mirror broke a promise."""
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.labels import to_fastlabel
    from fastlabel_dagster.sandbox import Sandbox
    from fastlabel_dagster.sync import LabelMirror, sync_project

    dice = random.Random(seed)
    burning = seed % 3 != 0
    last_lit = dice.randrange(1, max_passes)  # the pass in whose last pages the fire goes out
    passes: list[float] = []
    stop = threading.Event()

    def on_page(offset: int) -> None:
        if offset == 0:
            passes.append(time.monotonic())
        if burning and len(passes) == last_lit and offset >= tasks - dice.randrange(2, 6) * page_size:
            stop.set()

    with Sandbox(folder / "sandbox") as sandbox:
        sandbox.state.create_project(PROJECT)
        sandbox.state.create_class(PROJECT, "bbox", "car", "Car")
        fire = Fire(sandbox.state, tasks, seed)
        mirror = LabelMirror(folder / "store" / "labels")

        def mirrored(version: int) -> dict[str, int]:
            found: dict[str, int] = {}
            for batch in mirror.read(version).batches():
                for task in to_fastlabel(batch):
                    assert task["id"] not in found, "a task is there twice"
                    found[task["id"]] = task["annotations"][0]["points"][2] - 1
            return found

        thread = threading.Thread(target=fire.burn, args=(stop,))
        begun = time.monotonic()
        thread.start()
        try:
            with FastLabelClient(sandbox.token, sandbox.url, session=Watched(on_page), budget=None) as client:
                report = sync_project(
                    client, PROJECT, folder / "store", page_size=page_size, max_passes=max_passes, buckets=8
                )
        finally:
            ended = time.monotonic()
            stop.set()
            thread.join()
        found, last_pass = mirrored(report.version), passes[-1]
        assert report.passes == len(passes)
        unseen = [i for i, life in fire.lives.items() if life.surely_there(begun, ended) and i not in found]
        assert not unseen, f"{len(unseen)} tasks that were there all the time are missing"
        ghosts = [task_id for task_id in found if fire.lives[task_id].surely_gone(last_pass)]
        assert not ghosts, f"{len(ghosts)} tasks that were gone before the last pass are there"
        stale = [i for i, edits in found.items() if edits < fire.lives[i].edits_at(last_pass)[0]]
        assert not stale, f"{len(stale)} tasks are older than the start of the last pass"
        if report.settled:  # then the mirror is the project at one instant: when the last pass began
            for task_id, life in fire.lives.items():
                fewest, most = life.edits_at(last_pass)
                if life.surely_there(last_pass, last_pass):
                    assert fewest <= found[task_id] <= most
        with FastLabelClient(sandbox.token, sandbox.url, budget=None) as client:
            quiet = sync_project(client, PROJECT, folder / "store", page_size=page_size)
        now = {i: len(life.edits) for i, life in fire.lives.items() if life.deleted is None}
        assert quiet.settled
        assert mirrored(quiet.version) == now
    return {
        **fire.changes,
        "burning until": f"pass {last_lit}" if burning else "the end",
        "passes": report.passes,
        "settled": report.settled,
        "looked up": report.looked_up,
        "seconds": round(ended - begun, 1),
    }


if __name__ == "__main__":
    size, rounds = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (3000, 5)
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            outcome = sync_under_fire(Path(name), tasks=size, page_size=max(10, size // 30), seed=number)
        print(f"round {number}: {outcome}", flush=True)
    print(f"{rounds} rounds with {size:,} tasks: every promise kept")
