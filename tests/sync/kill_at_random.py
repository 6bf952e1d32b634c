"""Kill a process at a random instant of its work, again and again.

Run it by itself for more kills than the suite makes: ``python tests/sync/kill_at_random.py 50``. It starts a sandbox,
lets a child process sync a project that keeps changing, kills the child (SIGKILL) at a random instant, and checks
after each kill that the last committed version can be read whole and that the next sync arrives where an undisturbed
one does.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import runpy
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = "street"
CHILD = Path(__file__).with_name("child_work.py")


class Victims:
    """Child processes that have everything imported already, so that a kill meets the work and not the imports."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["fastlabel_dagster.sync", "deltalake", "pyarrow.dataset", "cv2", "tqdm"])

    def run(self, seconds: float | None, *, since: Callable[[], bool] | None = None, **what: Any) -> tuple[bool, float]:
        """Let a child do ``child_work.py`` with these names set; kill it after ``seconds``, None: never. They count
        from the moment that ``since()`` is true. Answers whether it was killed, and how long it was let alone."""
        started, tell = self._context.Pipe(duplex=False)
        child = self._context.Process(target=runpy.run_path, args=(str(CHILD), {**what, "tell": tell}, "child"))
        child.start()
        tell.close()
        started.recv()
        begun = time.monotonic()
        while since is not None and child.is_alive() and not since():
            time.sleep(0.0005)
        child.join(seconds)
        spent = time.monotonic() - begun
        child.kill()
        child.join()
        started.close()
        return child.exitcode == -9, spent


def sync_under_kills(kills: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Kill so many syncs at work (a kill that comes too late is made up for); answers what the kills met."""
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.labels import to_fastlabel
    from fastlabel_dagster.labels.digest import classes_digest, combined_digest, task_digest
    from fastlabel_dagster.sandbox import Sandbox
    from fastlabel_dagster.sync import LabelMirror, sync_project

    dice = random.Random(seed)
    victims, counts = Victims(), Counter[str]()
    store, mirror = folder / "store", LabelMirror(folder / "store" / "labels")
    with Sandbox(folder / "sandbox") as sandbox, FastLabelClient(sandbox.token, sandbox.url, budget=None) as client:
        sandbox.state.create_project(PROJECT)
        sandbox.state.create_class(PROJECT, "bbox", "car", "Car")
        box = {"type": "bbox", "value": "car", "points": [1, 2, 30, 40]}
        ids = sandbox.state.add_tasks(PROJECT, [{"name": f"{n}.jpg", "annotations": [box] * 4} for n in range(400)])

        def expected() -> str:
            tasks = [task_digest(task) for task in client.image_tasks.iter(PROJECT)]
            return combined_digest([*tasks, classes_digest(list(client.annotation_classes.iter(PROJECT)))])

        def readable(version: int) -> str:
            labels = mirror.read(version)
            tasks = [task_digest(task) for batch in labels.batches() for task in to_fastlabel(batch)]
            assert len(tasks) == mirror.at(version).tasks
            return mirror.at(version).digest

        what = {"url": sandbox.url, "token": sandbox.token, "project": PROJECT, "store": str(store), "work": "sync"}
        _, whole = victims.run(None, **what)  # the first sync of all, undisturbed, tells how long one takes
        known = {0: readable(0)}
        assert known[0] == expected()
        _, again = victims.run(None, **what)  # nothing to commit, so all but the commit
        whole = max(whole, again)
        for each in itertools.count():
            if counts["killed"] >= kills:
                return counts
            assert each < 4 * kills, "the kills come too late to say anything"
            before = mirror.version
            files = set(store.rglob("*"))
            for task_id in dice.sample(ids, 60):
                points = [dice.randrange(30), 2, 31 + dice.randrange(30), 40]
                sandbox.state.update_task(task_id, annotations=[{**box, "points": points}])
            if each % 3 == 0:
                sandbox.state.create_class(PROJECT, "bbox", f"class-{each}", "Another")
            target = expected()
            if each % 2:
                killed, _ = victims.run(dice.uniform(0, whole), **what)
            else:  # the instants that matter most are few: while the commit is being written
                killed, _ = victims.run(
                    dice.uniform(0, 0.03), since=lambda files=files: set(store.rglob("*")) != files, **what
                )
            counts["killed"] += killed
            counts["killed while writing"] += killed and set(store.rglob("*")) != files and mirror.version == before
            counts["committed before the kill"] += killed and mirror.version > before
            assert mirror.version in (before, before + 1)
            if mirror.version > before:
                assert mirror.digest == target
            assert readable(before) == known[before]  # what was committed before is untouched
            readable(mirror.version)
            report = sync_project(client, PROJECT, store, page_size=50)
            assert report.digest == target == mirror.digest
            known[report.version] = readable(report.version)
    raise AssertionError("unreachable: the loop above returns")


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as name:
        outcome = sync_under_kills(wanted, Path(name), seed=time.time_ns())
    print(f"{wanted} kills, each time readable and converged: {dict(outcome)}")
