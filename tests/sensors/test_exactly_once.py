"""Random schedules of imports, ticks, crashes and outages: no import is acted on twice, and none is missed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster.sensors import build_import_sensor
from fastlabel_dagster.sensors.tick import LONGEST_PAUSE

PROJECTS = ("a", "b", "c")


@dataclass
class World:
    """A vendor with imports, and a daemon that may lose what a tick has told it."""

    vendor_type: type
    daemon_of: object
    runs: str
    order: int
    imports: dict = field(default_factory=lambda: {project: [] for project in PROJECTS})
    down: set = field(default_factory=set)
    number: int = 0

    def __post_init__(self):
        self.shuffle = random.Random(self.order)
        self.vendor = self.vendor_type(self.answer)
        self.daemon = self.daemon_of(resource=self.vendor.resource())
        self.tick()

    def answer(self, path, query):
        project = query["project"]
        if project in self.down:
            return (500, {"message": "down"})
        listed = [dict(one) for one in self.imports[project]]
        if self.order % 3 == 0:
            listed.reverse()
        elif self.order % 3 == 1:
            self.shuffle.shuffle(listed)
        return listed

    def sensor(self):
        ages = timedelta(days=10_000)  # the imports were begun long ago by the clock on the wall
        return build_import_sensor(PROJECTS, job="sync", runs=self.runs, clock=self.vendor.clock, stuck_after=ages)

    def start(self, project, count):
        for _ in range(count):
            self.number += 1
            date = f"2026-01-01T00:{self.number // 60:02}:{self.number % 60:02}.000Z"
            self.imports[project].append({"id": f"import-{self.number}", "status": "running", "createdAt": date})

    def end(self, project, which, outcome):
        running = [one for one in self.imports[project] if one["status"] == "running"]
        for one in running[which::2]:
            one["status"] = outcome

    def tick(self, lose=""):
        """A tick whose cursor is stored; or lost after the launch; or that nobody has heard of."""
        launched = dict(self.daemon.launched)
        self.daemon.tick(self.sensor(), crash=bool(lose))
        if lose == "all":
            self.daemon.launched = launched

    def twice(self, project):
        """Two evaluations of one cursor, the world moving on between them; both launch, the second is stored."""
        self.tick(lose="cursor")
        self.start(project, 1)
        self.end(project, 0, "completed")
        self.tick()

    def settle(self):
        """Everything ends, everything is up again, and the daemon has all the time it wants."""
        self.down.clear()
        for project in PROJECTS:
            self.end(project, 0, "completed")
            self.end(project, 0, "completed")
        quiet = 0
        while quiet <= LONGEST_PAUSE + 2:  # a project that was down may still pause
            before = len(self.daemon.events) + len(self.daemon.launched)
            self.tick()
            quiet = quiet + 1 if len(self.daemon.events) + len(self.daemon.launched) == before else 0

    @property
    def ended(self):
        return {
            outcome: [one["id"] for all_ in self.imports.values() for one in all_ if one["status"] == outcome]
            for outcome in ("completed", "failed")
        }


OUTCOMES = ["completed", "completed", "completed", "failed"]

steps = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(PROJECTS), st.sampled_from([1, 1, 2, 5, 40])),
    st.tuples(
        st.just("end"),
        st.sampled_from(PROJECTS),
        st.sampled_from([0, 1]),
        st.sampled_from(["completed"] * 3 + ["failed"]),
    ),
    st.tuples(st.just("tick"), st.sampled_from(["", "", "", "cursor", "all"])),
    st.tuples(st.just("twice"), st.sampled_from(PROJECTS)),
    st.tuples(st.just("down"), st.sampled_from(PROJECTS)),
    st.tuples(st.just("up"), st.sampled_from(PROJECTS)),
)


@pytest.mark.parametrize("runs", ["each", "together"])
@given(schedule=st.lists(steps, max_size=30), order=st.integers(0, 5))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_import_is_acted_on_once_whatever_happens(make_vendor, make_daemon, runs, schedule, order):
    world = World(make_vendor, make_daemon, runs, order)
    lost = False
    for name, *arguments in schedule:
        if name == "down":
            world.down.add(*arguments)
        elif name == "up":
            world.down.discard(*arguments)
        else:
            getattr(world, name)(*arguments)
        lost = lost or name == "twice" or (name == "tick" and arguments[0] != "")
    world.settle()
    ended = world.ended
    launched = list(world.daemon.launched.values())
    if runs == "each":
        acted_on = Counter(request.tags["fastlabel/import"] for request in launched)
        assert acted_on == Counter(ended["completed"])
        assert set(world.daemon.launched) == {
            f"fastlabel/{project}/import/{one['id']}/completed"
            for project, all_ in world.imports.items()
            for one in all_
            if one["status"] == "completed"
        }
    else:
        shared = [int(request.tags["fastlabel/trigger"].split()[0]) for request in launched]
        assert sum(shared) == len(ended["completed"])
    told = Counter(
        (event.metadata["import_history"].value, event.passed) for event in world.daemon.told("imports_succeeded")
    )
    wanted = [(one, True) for one in ended["completed"]] + [(one, False) for one in ended["failed"]]
    assert set(told) == set(wanted)
    # the daemon of the tests drops the events of a tick it loses, so what is told is told once
    assert set(told.values()) <= {1}
    assert isinstance(world.daemon.cursor, str) and len(world.daemon.cursor) < 10_000
