"""The engine: turns, time, room, errors and health, against a vendor whose clock only its own answers move."""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil
from unittest.mock import ANY

import dagster as dg
import pytest

from fastlabel_dagster._compat import last_check_evaluation
from fastlabel_dagster.sensors import build_approval_sensor, build_import_sensor
from fastlabel_dagster.sensors.polling import Findings, Polling, poll
from fastlabel_dagster.sensors.tick import LONGEST_PAUSE


def key(target):
    return dg.AssetKey(["fastlabel", target])


class Watch:
    """A sensor that counts tasks, ticked by hand."""

    def __init__(self, vendor, targets, digest=None, **settings):
        self.vendor, self.targets, self.resource = vendor, targets, vendor.resource()
        self.wall = 1_700_000_000.0
        settings = {"time_budget_seconds": 12.0, "in_flight": 1, **settings}
        self.polling = Polling("counts", clock=vendor.clock, wall=lambda: self.wall, **settings)
        self.digest = digest or (lambda visit, count: Findings({"count": count}, note=f"{visit.target}: {count}"))
        self.cursor = None
        self.events = []
        self.seconds = 0.0

    def tick(self):
        """The targets asked in one tick, in order of the ring's bookkeeping; keeps cursor and events."""
        before, asked = self.vendor.now, self.vendor.asked.copy()
        with dg.build_sensor_context(cursor=self.cursor) as context:
            self.result = poll(
                context,
                self.resource,
                self.targets,
                self.polling,
                ask=lambda client, project, memory: client.tasks.count(project),
                digest=self.digest,
                health_key=key,
            )
        self.seconds = self.vendor.now - before
        self.wall += 60
        self.cursor = self.result.cursor
        self.events += self.result.asset_events
        return dict(self.vendor.asked - asked)

    @property
    def health(self):
        return [
            (event.asset_key.path[-1], event.passed) for event in self.events if event.check_name == "polling_healthy"
        ]


PROJECTS = [f"project-{number:03}" for number in range(200)]


def test_two_hundred_projects_on_a_slow_server_are_all_polled_within_the_bound_and_the_budget(make_vendor):
    slow = 1.0
    watch = Watch(make_vendor(lambda path, query: 7, lambda path, query: slow), PROJECTS)
    bound = ceil(len(PROJECTS) / (12 // slow))
    last_seen = dict.fromkeys(PROJECTS, 0)
    for tick in range(1, 4 * bound + 1):
        asked = watch.tick()
        assert watch.seconds <= 12.0 and max(asked.values()) == 1
        for target in asked:
            assert tick - last_seen[target] <= bound
            last_seen[target] = tick
    assert all(4 * bound - seen < bound for seen in last_seen.values())
    assert len(watch.cursor) < 60_000


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is gone", "answers nonsense"])
def test_a_project_that_always_fails_delays_none(make_vendor, trouble):
    bad = "project-017"

    def answer(path, query):
        if query["project"] != bad:
            return 7
        return {"refuses": (500, {}), "is gone": (404, {}), "answers nonsense": ["what?"]}.get(trouble)

    def latency(path, query):
        return 1e9 if query["project"] == bad and trouble == "hangs" else 1.0

    watch = Watch(make_vendor(answer, latency), PROJECTS)
    # a round asks everybody once, and the bad one at the price of the longest request there may be
    bound = ceil((len(PROJECTS) - 1 + watch.polling.longest_request) / 12)
    last_seen = dict.fromkeys(PROJECTS, 0)
    ticks = 6 * bound
    for tick in range(1, ticks + 1):
        asked = watch.tick()
        assert watch.seconds <= 12.0
        for target in asked:
            limit = bound if target != bad else bound + LONGEST_PAUSE
            assert tick - last_seen[target] <= limit
            last_seen[target] = tick
    assert all(ticks - seen < bound for target, seen in last_seen.items() if target != bad)
    assert watch.health.count((bad, False)) == 1 and (bad, True) not in watch.health
    assert set(watch.health) - {(bad, False)} == {(target, True) for target in PROJECTS if target != bad}


def test_many_projects_that_hang_cost_the_others_a_bounded_time(make_vendor):
    bad = set(PROJECTS[::10])
    vendor = make_vendor(lambda path, query: 7, lambda path, query: 1e9 if query["project"] in bad else 1.0)
    watch = Watch(vendor, PROJECTS)
    # each of them costs the longest request, and as much again when the end of a tick cut its first try short
    bound = ceil((len(PROJECTS) - len(bad) + 2 * len(bad) * watch.polling.longest_request) / 12)
    last_seen = dict.fromkeys(PROJECTS, 0)
    for tick in range(1, 4 * bound + 1):
        asked = watch.tick()
        assert watch.seconds <= 12.0
        for target in set(asked) - bad:
            assert tick - last_seen[target] <= bound
            last_seen[target] = tick
    assert all(4 * bound - seen < bound for target, seen in last_seen.items() if target not in bad)
    assert {target for target, passed in watch.health if not passed} == bad


def test_a_failing_project_is_asked_less_and_less_often_but_at_a_bounded_interval_and_recovers(make_vendor):
    sick = True
    watch = Watch(
        make_vendor(lambda path, query: (503, {}) if query["project"] == "b" and sick else 1), ["a", "b", "c"]
    )
    asked_at = [tick for tick in range(60) if "b" in watch.tick()]
    gaps = [later - sooner for sooner, later in pairwise(asked_at)]
    assert gaps[:6] == [1, 2, 3, 5, 9, 9] and set(gaps[4:]) == {LONGEST_PAUSE + 1}
    assert watch.health == [("a", True), ("c", True), ("b", False)]
    sick = False
    for _ in range(LONGEST_PAUSE + 1):
        watch.tick()
    assert watch.health[3:] == [("b", True)]
    assert "failing" not in json.loads(watch.cursor)


def test_one_bad_look_is_forgiven_and_a_project_that_is_gone_is_told_at_once(make_vendor):
    answers = {"flaky": [(503, {}), 1, (503, {}), (503, {}), 1, 1], "gone": [(404, {})] * 6}
    watch = Watch(make_vendor(lambda path, query: answers[query["project"]].pop(0)), ["flaky", "gone"])
    watch.tick()
    assert watch.health == [("gone", False)]
    for _ in range(6):
        watch.tick()
    assert watch.health == [("gone", False), ("flaky", True)]


def test_requests_go_out_together_when_they_may(make_vendor):
    vendor = make_vendor(lambda path, query: 7)
    watch = Watch(vendor, PROJECTS[:40], in_flight=8)
    assert len(watch.tick()) == 40
    assert [json.loads(watch.cursor)["projects"][target]["count"] for target in PROJECTS[:40]] == [7] * 40


def test_a_request_cut_short_by_the_end_of_the_tick_counts_against_nobody_and_comes_first(make_vendor):
    times = {"a": 5.9, "b": 4.0, "c": 5.9}
    watch = Watch(make_vendor(lambda path, query: 1, lambda path, query: times[query["project"]]), list("abc"))
    times["a"] = 3.0
    assert set(watch.tick()) == {"a", "b", "c"}  # 3 + 4 s gone, c gets the 5 s that are left
    assert watch.seconds <= 12.0
    state = json.loads(watch.cursor)
    assert state["next"] == "c" and "failing" not in state and "c" not in state["projects"]
    assert "c" in watch.tick()
    assert "c" in json.loads(watch.cursor)["projects"]


def test_a_refused_token_ends_the_tick_for_all_once_and_keeps_what_is_known(make_vendor):
    refuse = False
    vendor = make_vendor(lambda path, query: (401, {"message": "no"}) if refuse else 7)
    watch = Watch(vendor, PROJECTS[:10])
    watch.tick()
    known = json.loads(watch.cursor)["projects"]
    refuse = True
    for _ in range(3):
        assert len(watch.tick()) == 1
    assert "Unauthorized" in watch.result.skip_reason.skip_message
    assert json.loads(watch.cursor)["projects"] == known
    assert watch.health[10:] == [(target, False) for target in PROJECTS[:10]]
    refuse = False
    assert len(watch.tick()) == 10
    assert sorted(watch.health[20:]) == [(target, True) for target in PROJECTS[:10]]


def test_a_forbidden_project_is_its_own_trouble(make_vendor):
    watch = Watch(make_vendor(lambda path, query: (403, {}) if query["project"] == "b" else 7), ["a", "b", "c"])
    assert set(watch.tick()) == {"a", "b", "c"}
    assert dict(watch.health) == {"a": True, "b": False, "c": True}


def test_a_spent_budget_is_waited_for_and_counts_against_nobody(make_vendor):
    limited = True
    watch = Watch(make_vendor(lambda path, query: (429, {}) if limited else 7), ["a", "b"])
    watch.tick()
    state = json.loads(watch.cursor)
    assert "RateLimited" in watch.result.skip_reason.skip_message and "failing" not in state
    limited = False
    assert set(watch.tick()) == {"a", "b"}


def test_nobody_is_asked_before_the_server_said_to_come_back(make_vendor):
    limited = True
    vendor = make_vendor(lambda path, query: (429, {}, {"Retry-After": "150"}) if limited else 7)
    watch = Watch(vendor, ["a", "b"])
    assert len(watch.tick()) == 1
    limited = False
    assert [len(watch.tick()) for _ in range(3)] == [0, 0, 2]  # a tick a minute
    limited = True
    watch.tick()
    watch.wall -= 86_400  # a clock that is set back keeps nobody waiting for a day
    limited = False
    assert len(watch.tick()) == 2


def test_room_is_bounded_shared_and_nothing_is_lost(make_vendor):
    backlog = {"hog": 1000, "a": 3, "b": 3}
    told = []

    def digest(visit, answer):
        known = (visit.memory or {"done": 0})["done"]
        todo = range(known, backlog[visit.target])[: visit.events]
        events = [dg.AssetObservation(key(visit.target), description=f"{visit.target} {one}") for one in todo]
        told.extend(event.description for event in events)
        return Findings({"done": known + len(events)}, events=events)

    watch = Watch(make_vendor(lambda path, query: 7), list(backlog), digest, events=40)
    for tick in range(200):
        watch.tick()
        assert len(watch.result.asset_events) <= 40
        if tick == 2:
            assert {"a 2", "b 2"} <= set(told)
    assert sorted(told) == sorted(f"{target} {one}" for target, count in backlog.items() for one in range(count))


def test_an_answer_nobody_foresaw_stops_only_its_own_project(make_vendor):
    def digest(visit, count):
        return Findings({"count": count["boom"] if visit.target == "b" else count})

    watch = Watch(make_vendor(lambda path, query: 7), ["a", "b", "c"], digest)
    watch.tick()
    assert dict(watch.health) == {"a": True, "b": False, "c": True}
    assert sorted(json.loads(watch.cursor)["projects"]) == ["a", "c"]


def test_projects_may_come_and_go_and_the_turn_is_kept(make_vendor):
    watch = Watch(make_vendor(lambda path, query: 7, lambda path, query: 4.0), list("abcdef"))
    assert set(watch.tick()) == {"a", "b", "c"}
    watch.targets = list("xabdefy")  # c has had its turn and is gone
    assert set(watch.tick()) == {"d", "e", "f"}
    assert set(watch.tick()) == {"y", "x", "a"}
    assert "c" not in json.loads(watch.cursor)["projects"]


@pytest.mark.parametrize("status", [401, 429])
def test_a_project_whose_answer_ends_every_tick_starves_nobody(make_vendor, status):
    bad = PROJECTS[10]
    watch = Watch(make_vendor(lambda path, query: (status, {}) if query["project"] == bad else 7), PROJECTS[:50])
    for _ in range(4):
        watch.tick()
    assert set(json.loads(watch.cursor)["projects"]) == set(PROJECTS[:50]) - {bad}


def test_a_budget_that_ends_every_tick_at_the_same_place_starves_nobody(make_vendor):
    left = [0]

    def answer(path, query):
        left[0] -= 1
        return 7 if left[0] >= 0 else (429, {})

    watch = Watch(make_vendor(answer), PROJECTS[:10])
    for _ in range(6):
        left[0] = 4  # so that the fifth is refused, and would be again if it were put last
        watch.tick()
    assert set(json.loads(watch.cursor)["projects"]) == set(PROJECTS[:10])


def test_who_is_told_to_wait_for_an_hour_counts_as_unhealthy_once(make_vendor):
    limited = True
    watch = Watch(make_vendor(lambda path, query: (429, {}) if limited else 7), ["a", "b"])
    for _ in range(60):
        watch.tick()
    assert watch.health == []
    for _ in range(60):
        watch.tick()
    assert sorted(watch.health) == [("a", False), ("b", False)]
    limited = False
    watch.tick()
    assert sorted(watch.health[2:]) == [("a", True), ("b", True)]
    assert not {"unread", "failing"} & set(json.loads(watch.cursor))
    limited = True
    for _ in range(59):
        watch.tick()
    assert len(watch.health) == 4
    for _ in range(10):
        watch.tick()
    assert sorted(watch.health[4:]) == [("a", False), ("b", False)]
    assert "last_success" in watch.events[-1].metadata and "RateLimited" in watch.events[-1].description


@pytest.mark.parametrize(
    "damage",
    [
        {"projects": {"a": 5}},
        {"projects": []},
        {"projects": {"a": {"count": 7, "at": "yesterday"}, "b": {"count": 7, "at": 1e999}}},
        {"tick": "x"},
        {"failing": {"a": [1], "b": [1, 2, 3, 4]}},
        {"failing": {"a": "abc"}},
        {"failing": 3},
        {"unread": {"a": None}},
        {"wait": "soon"},
        {"wait": 1e999},
        {"next": ["a"]},
    ],
    ids=str,
)
def test_a_damaged_part_of_a_cursor_is_left_out_and_the_rest_is_kept(make_vendor, damage):
    watch = Watch(make_vendor(lambda path, query: 7), ["a", "b", "c"])
    watch.tick()
    whole = json.loads(watch.cursor)
    watch.cursor = json.dumps({**whole, **damage})
    remembered = []
    watch.digest = lambda visit, count: remembered.append(visit.memory) or Findings({"count": count})
    assert set(watch.tick()) == {"a", "b", "c"}
    if "projects" not in damage:
        assert remembered == [{"count": 7}] * 3
    state = json.loads(watch.cursor)
    assert set(state["projects"]) == {"a", "b", "c"} and "failing" not in state and "wait" not in state


def test_a_memory_that_cannot_be_understood_is_forgotten_and_told_of(make_vendor, make_daemon):
    vendor = make_vendor(lambda path, query: 7)
    daemon = make_daemon(resource=vendor.resource())
    watch = build_approval_sensor(["a", "b"], every=5, job="retrain", clock=vendor.clock)
    daemon.tick(watch)
    state = json.loads(daemon.cursor)
    del state["projects"]["a"]["baseline"]
    daemon.cursor = json.dumps(state)
    daemon.tick(watch)
    assert [(event.asset_key.path[-1], event.passed) for event in daemon.told("polling_healthy")[2:]] == [("a", False)]
    assert "a: watching from 7" in daemon.tick(watch).skip_message
    assert [(event.asset_key.path[-1], event.passed) for event in daemon.told("polling_healthy")[3:]] == [("a", True)]
    assert json.loads(daemon.cursor)["projects"]["b"] == {**state["projects"]["b"], "at": ANY}


def test_an_answer_that_cannot_be_understood_costs_no_memory(make_vendor):
    odd = False

    def digest(visit, count):
        if odd:
            raise KeyError("what is this?")
        return Findings({"count": count})

    watch = Watch(make_vendor(lambda path, query: 7), ["a"], digest)
    watch.tick()
    odd = True
    for _ in range(5):
        watch.tick()
    assert json.loads(watch.cursor)["projects"]["a"]["count"] == 7


def test_the_check_of_a_project_says_what_fails_though_another_sensor_can_read_it(make_vendor, make_daemon):
    """Two sensors report to one check; each round the instance ends up knowing that one of them gets no answer."""
    refuse = True
    vendor = make_vendor(lambda path, query: (403, {}) if "import" in path and refuse else 7 if "count" in path else [])
    first, second = make_daemon(resource=vendor.resource()), make_daemon(resource=vendor.resource())
    imports = build_import_sensor("a", job="sync", clock=vendor.clock)
    approvals = build_approval_sensor("a", every=5, job="retrain", clock=vendor.clock)
    said = []
    for _ in range(12):
        for daemon, watch in ((first, imports), (second, approvals)):
            daemon.tick(watch)
        newest = last_check_evaluation(first.instance, dg.AssetCheckKey(key("a"), "polling_healthy"))
        said.append(newest.passed)
    assert said[0] and not any(said[1:])
    assert len(first.told("polling_healthy")) == 2, "it is said again when it was overwritten, not at every tick"
    refuse = False
    for _ in range(2):
        first.tick(imports)
    assert [one.passed for one in first.told("polling_healthy")] == [False, False, True]


def test_a_cursor_is_measured_as_dagster_keeps_it(make_vendor, caplog):
    from dagster._serdes import serialize_value

    targets = [f"夜の交差点の{number:03}" * 3 for number in range(200)]
    watch = Watch(make_vendor(lambda path, query: 7), targets, lambda visit, count: Findings({"of": "街" * 90}))
    watch.tick()
    assert len(watch.cursor) < 60_000 < len(serialize_value(watch.cursor))
    with dg.build_sensor_context(cursor=watch.cursor) as context:
        context.log.addHandler(caplog.handler)
        result = poll(context, watch.resource, targets, watch.polling, ask=lambda *_: 7, digest=watch.digest)
    assert f"The cursor has {len(serialize_value(result.cursor))} bytes" in caplog.text


@pytest.mark.parametrize(
    "wrong", [{"time_budget_seconds": 0}, {"time_budget_seconds": 60}, {"first_tick": "x"}, {"in_flight": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"seconds|first_tick|at least 1"):
        Polling("counts", **wrong)
