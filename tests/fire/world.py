"""A project in a sandbox, a Dagster instance, and a day on which everything goes wrong that can.

:class:`Daemon` does what Dagster's daemon does with a sensor's answer, step by step, and dies where it is told to.
:class:`Workers` runs jobs in processes of their own, which can be killed. :class:`World` puts both beside a sandbox and
plays a schedule: what happens, and in which order, follows from its number.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import fire_child
import fire_location
import numpy as np
import quick_storage  # noqa: F401
from account import PROJECT, Account

from fastlabel_dagster.sandbox import Sandbox

#: Faster than life: a training of ten minutes takes a third of a second.
SPEED = 2000.0
#: What can happen to a request. Every kind of a lost answer is among them, and every one of an honest refusal.
FAULTS = ("429", "500", "502", "reset", "timeout", "truncated", "html")
POSTS = ("POST trainings", "POST evaluations", "POST auto-annotations")


class Workers:
    """Runs jobs in child processes that have everything imported, so that a kill meets the work."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["quick_clock", "quick_storage", "fire_child", "deltalake", "cv2"])
        # up to Python 3.12 the server looks for what it preloads in the environment's path only, and says nothing
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), before)))
        forkserver.ensure_running()
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)

    def start(self, *what: Any) -> Any:
        child = self._context.Process(target=fire_child.run_job, args=what)
        child.start()
        return child


@dataclass
class Launched:
    """A run that the daemon has created."""

    job: str
    tags: dict[str, str]
    again: str | None = None


@dataclass
class Daemon:
    """Ticks sensors as Dagster's daemon does. Where it dies, what is already stored stays stored."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursors: dict[str, str | None] = field(default_factory=dict)
    waiting: deque[Launched] = field(default_factory=deque)
    requests: dict[str, dg.RunRequest] = field(default_factory=dict)

    def tick(self, name: str, *, dies: str | None = None) -> None:
        """Evaluate a sensor. ``dies`` says after what: ``evaluated``, ``reported`` (the events), ``launched`` (the runs
        too, but the cursor is not stored); None: it lives."""
        sensor = self.definitions.resolve_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            definitions=self.definitions,
            resources=dict(self.definitions.resources or {}),
        ) as context:
            answer = sensor.evaluate_tick(context)
        if dies == "evaluated":
            return
        for event in answer.asset_events:
            self.instance.report_runless_asset_event(event)
        if dies == "reported":
            return
        for request in answer.run_requests or []:
            self.launch(request, request.job_name or sensor.job_name)
        if dies != "launched" and answer.cursor is not None:
            self.cursors[name] = answer.cursor

    def launch(self, request: dg.RunRequest, job: str) -> None:
        """Create the run of a request; not a second one of its run key."""
        assert request.run_key is not None
        if request.run_key in self.requests:
            return
        self.requests[request.run_key] = request
        if not job.endswith("_sync"):  # that a sync is launched is what counts; what it does is told elsewhere
            self.waiting.append(Launched(job, {**request.tags, "dagster/run_key": request.run_key}))


class World:
    """One schedule's sandbox, instance and daemon, in a folder of its own."""

    def __init__(self, number: int, folder: Path, home: Path, workers: Workers, **environment: str) -> None:
        self.dice = random.Random(number)
        self.environment = environment
        self.home = folder / "dagster"
        shutil.copytree(home, self.home)
        self.sandbox = Sandbox(folder / "sandbox", speed=SPEED)
        self.workers = workers
        self.story: list[str] = []
        self.met: Counter[str] = Counter()
        self.pictures = 0
        self.imports: dict[str, str] = {}
        self.failed: deque[Launched] = deque()

    def __enter__(self) -> World:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(self.sandbox)
        self.environment["FIRE_SANDBOX"] = os.environ["FIRE_SANDBOX"] = self.sandbox.url
        self.instance = self._stack.enter_context(dg.DagsterInstance.from_config(str(self.home)))
        self.daemon = Daemon(self.instance, fire_location.defs)
        self.sensors = [sensor.name for sensor in self.daemon.definitions.sensors or []]
        state = self.sandbox.state
        state.create_project(PROJECT, type="image_all")
        state.create_class(PROJECT, "bbox", "car", "乗用車", color="#d62728")
        self.add_tasks(4)
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    # -- what people do ----------------------------------------------------------------------------------------------

    def add_tasks(self, count: int) -> None:
        box = {"type": "bbox", "value": "car", "points": [1, 2, 30, 20]}
        names = [f"{self.pictures + number:03}.jpg" for number in range(count)]
        self.pictures += count
        pixels = np.full((40, 60, 3), self.pictures % 250, np.uint8)
        jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
        tasks = [{"name": name, "annotations": [box]} for name in names]
        self.sandbox.state.add_tasks(PROJECT, tasks, dict.fromkeys(names, jpeg))

    def approve(self, count: int) -> None:
        self.add_tasks(count)
        self.sandbox.state.approve(PROJECT, count)

    def start_import(self) -> None:
        outcome = self.dice.choice(["completed", "completed", "failed"])
        seconds = self.dice.choice([0.0, 60.0, 600.0])
        name = self.sandbox.state.start_import(PROJECT, outcome=outcome, seconds=seconds)
        self.imports[name] = outcome

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def play(self, batches: int) -> None:
        """So many batches of approvals, each with its own mischief, and then calm until nothing is left to do."""
        for sensor in self.sensors:
            self.daemon.tick(sensor)
        for _ in range(batches):
            self.happen(self.dice.choice(["faults", "lost answer", "lost answer", "fair weather"]))
            for _ in range(self.dice.randint(1, 2)):
                self.happen("import")
            self.happen("approvals")
            self.happen(self.dice.choice(["ticks", "daemon dies", "daemon dies"]))
            self.happen("ticks")
            for _ in range(self.dice.randint(2, 4)):
                self.happen(self.dice.choices(list(_MISCHIEF), list(_MISCHIEF.values()))[0])
        self.calm_down()

    def happen(self, what: str) -> None:
        self.story.append(what)
        if what == "approvals":
            self.approve(self.dice.randint(2, 4))
        elif what == "import":
            self.start_import()
        elif what == "ticks":
            for sensor in self.sensors:
                self.daemon.tick(sensor)
        elif what == "daemon dies":
            dies = self.dice.choice(["evaluated", "reported", "launched"])
            self.story[-1] += f" once it has {dies}"
            self.met[f"daemon died: {dies}"] += 1
            for sensor in self.sensors:
                self.daemon.tick(sensor, dies=dies)
        elif what == "faults":
            self.sandbox.faults(
                self.dice.choice([0.05, 0.15, 0.3]),
                seed=self.dice.randrange(1000),
                kinds=FAULTS,
                silence_seconds=1.5,
                slow_seconds=0.0,
            )
        elif what == "lost answer":
            kind = self.dice.choice(["500", "502", "reset", "timeout", "truncated", "504"])
            route = self.dice.choice(POSTS)
            self.sandbox.fail(route, kind=kind, after=True, seconds=1.5)
        elif what == "fair weather":
            self.sandbox.clear_faults()
        else:
            self.work(what)

    def work(self, what: str) -> None:
        """Run what waits, or a failed run again: undisturbed, killed at some moment, or killed as a job begins.

        Sometimes two runs at a time: a daemon without a pool's limit launches them so.
        """
        if what == "two runs":
            threads = [threading.Thread(target=self.work, args=("run",)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return
        queue = self.daemon.waiting if self.daemon.waiting and self.dice.random() < 0.7 else self.failed
        queue = queue or self.daemon.waiting
        if not queue:
            return
        launched = queue.popleft()
        jobs = self.count_jobs()
        attempt = uuid.uuid4().hex
        child = self.workers.start(
            self.environment, str(self.home), launched.job, {**launched.tags, "fire/attempt": attempt}, launched.again
        )
        if what == "run killed":
            child.join(self.dice.uniform(0.05, 0.8))
        elif what == "run killed as a job begins":
            while child.is_alive() and self.count_jobs() == jobs:
                time.sleep(0.001)
        else:
            child.join(120)
            assert not child.is_alive(), f"a run hangs: {self.story}"
        if child.is_alive():
            child.kill()
            self.met[what] += 1
        child.join()
        self.after_run(launched, attempt, child.exitcode)

    def after_run(self, launched: Launched, attempt: str, code: int) -> None:
        """What run monitoring does: a run whose worker has died has failed. What failed may be re-executed."""
        runs = self.instance.get_runs(dg.RunsFilter(tags={"fire/attempt": attempt}))
        if not runs:  # killed before there was a run
            assert code < 0, f"the worker of {launched.job} ended with {code} before there was a run"
            self.daemon.waiting.append(launched)
            return
        run = runs[0]
        if not run.is_finished:
            self.instance.report_run_failed(run)
        if not run.is_success:
            again = run.run_id if any(self.instance.get_run_step_stats(run.run_id)) else None
            self.failed.append(Launched(launched.job, launched.tags, again))

    def calm_down(self) -> None:
        """No more faults: every sensor ticks and every run is run, until nothing moves."""
        self.sandbox.clear_faults()
        quiet = 0
        for _ in range(60):
            before = (len(self.daemon.requests), self.count_jobs())
            while self.daemon.waiting or self.failed:
                self.work("run")
            for sensor in self.sensors:
                self.daemon.tick(sensor)
            still = self.sandbox.state.jobs
            running = [
                job
                for kind in ("import", "training", "evaluation", "auto_annotation")
                for job in still.listed(kind, limit=1000)
                if job["status"] in ("running", "in_progress")
            ]
            if running:
                self.sandbox.state.clock.advance(3600)
                self.sandbox.state.settle()
            idle = not running and not self.daemon.waiting and before == (len(self.daemon.requests), self.count_jobs())
            quiet = quiet + 1 if idle else 0
            if quiet == 2:
                return
        raise AssertionError(f"no calm after the storm: {self.story}")

    # -- what came of it ---------------------------------------------------------------------------------------------

    def count_jobs(self) -> int:
        return int(self.sandbox.state.summary()["jobs"]) - len(self.imports)

    def account(self) -> Account:
        """What has come of it."""
        tags = (request.tags.get("fastlabel/import") for request in self.daemon.requests.values())
        return Account(self.sandbox, self.instance, self.imports, Counter(filter(None, tags)))


#: What happens to the runs and ticks of a batch, and how often.
_MISCHIEF = {
    "run killed as a job begins": 4,
    "run killed": 3,
    "run": 2,
    "two runs": 1,
    "daemon dies": 2,
    "ticks": 2,
}
