"""The import sensor: each finished import requests a sync once, each failed one fails a check once."""

from __future__ import annotations

import json
import random
import uuid
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import build_import_sensor

#: The imports of these tests were begun long ago by the clock on the wall.
AGES = timedelta(days=10_000)


def sensor(projects="street-scenes", **more):
    return build_import_sensor(projects, **{"job": "sync", "stuck_after": AGES, **more})


def told(daemon):
    """The imports the daemon's check evaluations speak of, in order."""
    return [(event.passed, event.metadata["import_history"].value) for event in daemon.told("imports_succeeded")]


def memory(daemon, project="street-scenes"):
    return json.loads(daemon.cursor)["projects"][project]


def finish(sandbox, count=1, project="street-scenes", outcome="completed"):
    ids = [sandbox.state.start_import(project, outcome=outcome, seconds=10) for _ in range(count)]
    sandbox.state.clock.advance(60)
    return ids


def test_a_finished_import_requests_one_sync(daemon, sandbox):
    watch = sensor()
    daemon.tick(watch)
    started = sandbox.state.start_import("street-scenes", seconds=100)
    assert daemon.tick(watch).run_requests == []  # still running
    sandbox.state.clock.advance(200)
    result = daemon.tick(watch)
    (request,) = result.run_requests
    assert request.run_key == f"fastlabel/street-scenes/import/{started}/completed"
    assert told(daemon) == [(True, started)]
    for _ in range(3):
        assert daemon.tick(sensor()).run_requests == []
    assert len(told(daemon)) == 1


def test_a_failed_import_fails_the_check_once_and_requests_nothing(daemon, sandbox):
    daemon.tick(sensor())
    (failed,) = finish(sandbox, outcome="failed")
    assert daemon.tick(sensor()).run_requests == []
    daemon.tick(sensor())
    (event,) = daemon.told("imports_succeeded")
    assert not event.passed
    assert event.asset_key == dg.AssetKey(["fastlabel", "street-scenes"])
    assert event.check_name == "imports_succeeded"
    assert event.metadata["import_history"].value == failed


def test_an_import_that_hangs_is_told_once_and_the_check_turns_when_it_ends(daemon, sandbox):
    watch = sensor(stuck_after=timedelta(microseconds=1))
    patient = sensor(stuck_after=24)
    first = sandbox.state.start_import("street-scenes", seconds=100)
    daemon.tick(patient)
    assert daemon.told("imports_succeeded") == []
    for _ in range(3):
        daemon.tick(watch)
    second = sandbox.state.start_import("street-scenes", seconds=200)
    for _ in range(2):
        daemon.tick(watch)
    stuck = daemon.told("imports_succeeded")
    assert [one.metadata["import_histories"].value for one in stuck] == [first, second]
    assert not any(one.passed for one in stuck) and f"{second} (running)" in stuck[1].description
    assert stuck[0].severity == dg.AssetCheckSeverity.WARN and stuck[0].metadata["imports_running"].value == 1
    sandbox.state.clock.advance(300)
    (request, other) = daemon.tick(watch).run_requests
    assert {request.tags["fastlabel/import"], other.tags["fastlabel/import"]} == {first, second}
    daemon.tick(watch)
    assert [one.passed for one in daemon.told("imports_succeeded")] == [False, False, True, True]


def test_each_of_several_imports_between_two_ticks_has_its_run(daemon, sandbox):
    daemon.tick(sensor())
    finished = finish(sandbox, 3)
    finish(sandbox, 1, outcome="failed")
    daemon.tick(sensor())
    assert sorted(request.tags["fastlabel/import"] for request in daemon.launched.values()) == sorted(finished)
    assert [passed for passed, _ in told(daemon)] == [True, True, True, False]


def test_imports_may_share_a_run_which_the_next_tick_requests(daemon, sandbox):
    watch = sensor(runs="together")
    daemon.tick(watch)
    finish(sandbox, 3)
    finish(sandbox, 1, outcome="failed")
    result = daemon.tick(watch)
    assert result.run_requests == [] and "3 finished import(s) share a run" in result.skip_message
    daemon.tick(watch, crash=True)  # launched, and the cursor lost
    finish(sandbox)
    daemon.tick(watch)  # the same three once more; the fourth waits for its own
    assert [request.tags["fastlabel/trigger"] for request in daemon.launched.values()] == ["3 import(s) finished"]
    daemon.tick(watch)
    assert len(daemon.launched) == 2
    assert daemon.tick(watch).run_requests == []
    assert len(told(daemon)) == 5


def test_imports_before_the_first_tick_are_settled_unless_asked_for(make_daemon, sandbox):
    finish(sandbox, 2)
    finish(sandbox, 1, outcome="failed")
    running = sandbox.state.start_import("street-scenes", seconds=100)
    late, early = make_daemon(), make_daemon()
    for _ in range(2):
        late.tick(sensor())
        early.tick(sensor(first_tick="backfill"))
    assert [request.tags["fastlabel/trigger"] for request in early.launched.values()] == ["2 import(s) finished"]
    assert (late.launched, told(late), len(told(early))) == ({}, [], 3)
    sandbox.state.clock.advance(200)
    late.tick(sensor())
    assert told(late) == [(True, running)] and len(late.launched) == 1
    for _ in range(3):
        early.tick(sensor(first_tick="backfill"))
    assert len(early.launched) == 2 and len(told(early)) == 4
    assert "backlog" not in memory(early)


def test_a_crash_before_the_cursor_is_stored_loses_and_doubles_nothing(daemon, sandbox):
    daemon.tick(sensor())
    first = finish(sandbox)
    daemon.tick(sensor(), crash=True)
    second = finish(sandbox)
    daemon.tick(sensor())
    assert [request.tags["fastlabel/import"] for request in daemon.launched.values()] == first + second
    assert told(daemon) == [(True, one) for one in first + second]


def test_the_cursor_stays_small_and_forgets_nothing_that_matters(daemon, sandbox):
    daemon.tick(sensor(first_tick="backfill"))
    slow = sandbox.state.start_import("street-scenes", seconds=1_000_000)
    for _ in range(8):
        finish(sandbox, 90)
        daemon.tick(sensor())
        assert len(daemon.cursor) < 6_000
    while daemon.tick(sensor()).run_requests:
        pass
    assert len(told(daemon)) == len(set(told(daemon))) == 720
    assert len(daemon.launched) == 720
    sandbox.state.clock.advance(2_000_000)
    daemon.tick(sensor())
    assert told(daemon)[-1] == (True, slow)
    assert len(told(daemon)) == 721


def test_no_running_import_is_lost_however_many_there_are(daemon, sandbox):
    daemon.tick(sensor())
    slow = {sandbox.state.start_import("street-scenes", seconds=1_000_000) for _ in range(130)}
    daemon.tick(sensor())
    for _ in range(4):
        finish(sandbox, 90)
        daemon.tick(sensor())
    while daemon.tick(sensor()).run_requests:
        pass
    assert len(told(daemon)) == 360
    sandbox.state.clock.advance(2_000_000)
    while daemon.tick(sensor()).run_requests:
        pass
    seen = [history for _, history in told(daemon)]
    assert slow <= set(seen) and len(seen) == len(set(seen)) == 490
    # with nothing under way the cursor is small again
    finish(sandbox)
    daemon.tick(sensor())
    assert len(daemon.cursor) < 6_000


def test_a_cursor_of_the_first_release_is_read_and_neither_loses_nor_repeats(daemon, sandbox):
    old, running = finish(sandbox, 3), sandbox.state.start_import("street-scenes", seconds=100)
    dates = {one["id"]: one["createdAt"] for one in sandbox.state.jobs.listed("import")}
    known = {"floor": dates[old[0]], "settled": old[1:], "running": [running]}
    daemon.cursor = json.dumps({"v": 1, "kind": "imports", "position": 0, "projects": {"street-scenes": known}})
    assert daemon.tick(sensor()).run_requests == []
    sandbox.state.clock.advance(200)
    new = finish(sandbox)
    daemon.tick(sensor())
    assert [history for _, history in told(daemon)] == [running, *new]
    assert json.loads(daemon.cursor)["v"] == 2


def test_two_hundred_busy_projects_fit_into_a_cursor(make_vendor, make_daemon):
    def histories(path, query):
        """Three hundred finished imports, with ids and dates as the service writes them."""
        number = int(query["project"].removeprefix("project-"))
        return [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {one}")),
                "status": "completed" if one % 100 else "running",
                "createdAt": f"2026-01-{one % 28 + 1:02}T{one // 28:02}:25:27.{number:03}Z",
            }
            for one in range(300)
        ]

    slugs = [f"project-{number:03}" for number in range(200)]
    vendor = make_vendor(histories)
    daemon = make_daemon(resource=vendor.resource())
    for _ in range(3):
        daemon.tick(sensor(slugs, clock=vendor.clock))
    assert len(json.loads(daemon.cursor)["projects"]) == 200
    # within a database's column, also as JSON within JSON, where each quotation mark takes two characters
    assert len(json.dumps(daemon.cursor, ensure_ascii=False).encode()) < 60_000
    assert daemon.launched == {} and told(daemon) == []


def test_a_long_list_costs_one_request_a_tick_and_no_import_in_it_is_missed(make_vendor, make_daemon):
    chance = random.Random(7)
    imports = [
        {"id": str(n), "status": "completed", "createdAt": f"2026-01-01T00:00:{n:06}"} for n in range(2500)
    ]  # newest last; the vendor lists the newest first
    under_way = [imports[n] for n in (3, 40, 900, 1600, 2400)]
    for one in under_way:
        one["status"] = "running"
    vendor = make_vendor(lambda path, query: imports[::-1][int(query["offset"]) :][: int(query["limit"])])
    daemon = make_daemon(resource=vendor.resource())
    daemon.tick(sensor())
    assert vendor.asked["street-scenes"] == 3  # the first look reads all
    finished = []
    for tick in range(1, 46):
        for _ in range(130 if tick == 10 else chance.randrange(3)):  # more at once than the cursor knows by name
            date = f"2026-01-01T00:00:{len(imports):06}"
            imports.append({"id": str(len(imports)), "status": "running", "createdAt": date})
            under_way.append(imports[-1])
        for _ in range(len(under_way) if tick == 38 else chance.randrange(2)):
            one = under_way.pop(chance.randrange(len(under_way)))
            one["status"] = chance.choice(["completed", "failed"])
            finished.append((one["status"] == "completed", one["id"]))
        daemon.tick(sensor())
        assert vendor.asked["street-scenes"] == 3 + tick
    assert sorted(told(daemon)) == sorted(finished) and len(finished) > 150
    launched = [request.tags["fastlabel/import"] for request in daemon.launched.values()]
    assert sorted(launched) == sorted(history for passed, history in finished if passed)


def test_an_old_import_under_way_makes_no_news_of_settled_ones(make_vendor, make_daemon):
    """Many that hang among the newest: what has ended after them is known by name, and more than a cursor has room for
    when many projects share it."""
    hanging = {50, *range(400, 425)}
    imports = [
        {"id": str(n), "status": "running" if n in hanging else "completed", "createdAt": f"2026-01-01T00:00:{n:06}"}
        for n in range(1200)
    ][::-1]
    vendor = make_vendor(
        lambda path, query: imports[int(query["offset"]) :][: int(query["limit"])] if query["project"] == "p0" else []
    )
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor([f"p{number}" for number in range(200)], clock=vendor.clock)
    for _ in range(5):
        daemon.tick(watch)
    assert daemon.launched == {} and told(daemon) == []


def test_fewer_places_in_a_cursor_lose_no_import(make_vendor, make_daemon):
    """The projects that share a cursor become more: what waits in it, waits on."""
    imports = [
        {"id": str(n), "status": "running" if n < 90 else "completed", "createdAt": f"2026-01-01T00:00:{n:06}"}
        for n in range(400)
    ]
    vendor = make_vendor(lambda path, query: imports if query["project"] == "p0" else [])
    daemon = make_daemon(resource=vendor.resource())
    daemon.tick(sensor(["p0"], clock=vendor.clock))
    more = sensor([f"p{number}" for number in range(200)], clock=vendor.clock)
    daemon.tick(more)
    for one in imports:
        one["status"] = "completed"
    for _ in range(10):
        daemon.tick(more)
    assert sorted(int(id) for passed, id in told(daemon)) == list(range(90))


def test_a_long_list_on_a_slow_server_is_read_over_several_ticks_and_none_of_it_is_missed(make_vendor, make_daemon):
    """One look at all of it would take longer than a tick has, and so would every later one."""
    hanging = {20, 2500, 5999, 6000, 8900}
    imports = [
        {"id": str(n), "status": "running" if n in hanging else "completed", "createdAt": f"2026-01-01T00:00:{n:06}"}
        for n in range(9000)
    ][::-1]
    vendor = make_vendor(
        lambda path, query: imports[int(query["offset"]) :][: int(query["limit"])], lambda path, query: 1.0
    )
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor(clock=vendor.clock)
    for number in range(8):
        before = vendor.now
        if number in (1, 2):
            imports.insert(0, {"id": f"new {number}", "status": "completed", "createdAt": f"2026-01-0{number + 1}"})
        daemon.tick(watch)
        assert vendor.now - before <= 5
    for one in imports:
        one["status"] = "completed"
    for _ in range(40):
        daemon.tick(watch)
    assert sorted(one for _, one in told(daemon)) == sorted([*map(str, hanging), "new 1", "new 2"])


@pytest.mark.parametrize(("after", "seconds"), [(1, 2.0), (5, 1.0)], ids=["while the first look goes on", "later"])
def test_more_than_a_page_of_news_costs_as_many_pages_as_there_are(after, seconds, make_vendor, make_daemon):
    """A sensor that was off for a while, and a list that takes longer to read than a tick has."""

    def begun(prefix, count, day):
        days = [f"2026-01-{day:02}T00:00:{n:06}" for n in range(count)]
        return [{"id": f"{prefix}{n}", "status": "completed", "createdAt": date} for n, date in enumerate(days)][::-1]

    imports = begun("old", 9000, 1)
    vendor = make_vendor(
        lambda path, query: imports[int(query["offset"]) :][: int(query["limit"])], lambda path, query: seconds
    )
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor(clock=vendor.clock)
    for _ in range(after):
        daemon.tick(watch)
    imports[:0] = begun("new", 1040, 2)
    for _ in range(40):
        before = vendor.asked["street-scenes"]
        daemon.tick(watch)
        assert vendor.asked["street-scenes"] - before <= 3
    assert sorted(one for _, one in told(daemon)) == sorted(f"new{n}" for n in range(1040))
    assert len(daemon.launched) == 1040


@pytest.mark.parametrize("first_tick", ["from_now", "backfill"])
@pytest.mark.parametrize("order", ["newest first", "oldest first", "none"])
def test_a_look_that_takes_longer_than_a_tick_has_goes_on_with_the_next(first_tick, order, make_vendor, make_daemon):
    """Each answer takes more than half of the time of a look, so that no two of them fit into one."""
    chance = random.Random(7)

    def begun(prefix, count, day):
        days = [f"2026-01-{day:02}T00:00:{n:06}" for n in range(count)]
        return [{"id": f"{prefix}{n}", "status": "completed", "createdAt": date} for n, date in enumerate(days)][::-1]

    listed = begun("old", 1500, 1)
    shuffled = {}

    def answer(path, query):
        if order == "none":  # the same one each time
            inner = sorted(listed, key=lambda one: shuffled.setdefault(one["id"], chance.random()))
        else:
            inner = listed if order == "newest first" else listed[::-1]
        return inner[int(query["offset"]) :][: int(query["limit"])]

    vendor = make_vendor(answer, lambda path, query: 3.0)
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor(clock=vendor.clock, first_tick=first_tick)

    daemon.ticks(50, watch, vendor.clock)
    old = {f"old{n}" for n in range(1500)} if first_tick == "backfill" else set()
    assert sorted(one for _, one in told(daemon)) == sorted(old)
    listed[:0] = begun("new", 1040, 2)
    daemon.ticks(1, watch, vendor.clock)
    listed[:0] = begun("late", 30, 3)  # while the look goes on
    daemon.ticks(120, watch, vendor.clock)
    new = {*(f"new{n}" for n in range(1040)), *(f"late{n}" for n in range(30))}
    assert sorted(one for _, one in told(daemon)) == sorted(old | new)
    assert new <= {request.tags.get("fastlabel/import") for request in daemon.launched.values()}
    assert {one.passed for one in daemon.told("polling_healthy")} == {True}


@pytest.mark.parametrize("step", [1300, 9000])
def test_of_many_imports_that_hang_in_a_long_list_each_is_told_once(make_vendor, make_daemon, step):
    """On every page, beside its edges, and more of them than a cursor knows by name; patience ends for one after the
    other, on whichever page is looked at then."""
    now = datetime.now(timezone.utc)
    hanging = {3, *range(40, 190), 998, 999, 1000, 1001, 1999, 2000, 2400}
    imports = [
        {
            "id": f"h{n}",
            "status": "running" if n in hanging else "completed",
            "createdAt": (now - timedelta(seconds=10 * n + 100)).isoformat(),
        }
        for n in range(2500)
    ]
    vendor = make_vendor(lambda path, query: imports[int(query["offset"]) :][: int(query["limit"])])
    daemon = make_daemon(resource=vendor.resource())
    for patience in [*range(25_200, 50, -step), *[50] * 8]:
        daemon.tick(sensor(stuck_after=timedelta(seconds=patience)))
    stuck = daemon.told("imports_succeeded")
    assert sum(one.metadata["imports_running"].value for one in stuck) == len(hanging)
    named = [name for one in stuck for name in one.metadata["import_histories"].value.split(", ")]
    assert len(named) == len(set(named)) and {f"h{n}" for n in hanging if n >= 900} <= set(named)


@pytest.mark.parametrize(
    "damage", [{"sought": 5}, {"sought": ["x", 1]}, {"sought": [-1, 1]}, {"floor": 7}, {"reading": "x"}, {"stuck": "x"}]
)
def test_a_damaged_memory_of_a_long_list_is_forgotten(damage, make_vendor, make_daemon):
    imports = [{"id": str(n), "status": "completed", "createdAt": f"2026-01-01T00:00:{n:06}"} for n in range(1500)]
    vendor = make_vendor(lambda path, query: imports[::-1][int(query["offset"]) :][: int(query["limit"])])
    daemon = make_daemon(resource=vendor.resource())
    daemon.tick(sensor())
    cursor = json.loads(daemon.cursor)
    cursor["projects"]["street-scenes"] |= damage
    daemon.cursor = json.dumps(cursor)
    for _ in range(2):
        daemon.tick(sensor())
    imports.append({"id": "new", "status": "completed", "createdAt": "2026-01-02T00:00:00"})
    daemon.tick(sensor())
    assert told(daemon) == [(True, "new")]


@pytest.mark.parametrize("order", ["oldest first", "none"])
def test_a_long_list_in_another_order_is_read_as_a_whole(make_vendor, make_daemon, order):
    imports = [{"id": str(n), "status": "completed", "createdAt": f"2026-01-01T00:00:{n:06}"} for n in range(1500)]
    if order == "none":
        random.Random(7).shuffle(imports)
    vendor = make_vendor(lambda path, query: imports[int(query["offset"]) :][: int(query["limit"])])
    daemon = make_daemon(resource=vendor.resource())
    daemon.tick(sensor())
    imports.insert(1200, {"id": "new", "status": "completed", "createdAt": "2026-01-02T00:00:00"})
    daemon.tick(sensor())
    assert told(daemon) == [(True, "new")]


def test_one_bad_project_does_not_stop_the_others(daemon, sandbox):
    sandbox.state.create_project("second", type="image_all")
    watch = sensor(["nowhere", "street-scenes", "second"])
    daemon.tick(watch)
    finish(sandbox, project="second")
    result = daemon.tick(watch)
    assert [request.tags["fastlabel/project"] for request in result.run_requests] == ["second"]
    assert "nowhere" in (daemon.tick(watch).skip_message or "")


def test_projects_take_turns_when_time_is_short(make_vendor, make_daemon):
    vendor = make_vendor(lambda path, query: [], lambda path, query: 1.0)
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor([f"p{number}" for number in range(12)], time_budget_seconds=9, clock=vendor.clock)
    for _ in range(6):
        daemon.tick(watch)
    assert set(vendor.asked.values()) == {4} and len(vendor.asked) == 12


def test_a_wrong_token_is_told_and_the_cursor_kept(make_daemon, sandbox):
    daemon = make_daemon(cursor="", resource=FastLabelResource(access_token="wrong", base_url=sandbox.url))
    assert "Unauthorized" in daemon.tick(sensor()).skip_message
    assert json.loads(daemon.cursor)["projects"] == {}
    assert [event.passed for event in daemon.told("polling_healthy")] == [False]


def test_without_a_job_the_assets_of_the_project_are_requested(make_daemon, sandbox, tmp_path):
    sandbox.state.create_project("second", type="image_all")
    slugs = ("street-scenes", "second")
    assets = [
        asset
        for slug in slugs
        for asset in build_fastlabel_project_assets(
            slug, store=tmp_path / slug, dataset="d", training={"base_model": "m", "epoch": 1}
        )
    ]
    watch = build_import_sensor(slugs)
    resources = {"fastlabel": make_daemon().resource}
    daemon = make_daemon(definitions=dg.Definitions(assets=assets, sensors=[watch], resources=resources))
    daemon.tick(watch)
    finish(sandbox, project="second")
    (request,) = daemon.tick(watch).run_requests
    assert sorted(key.to_user_string() for key in request.asset_selection) == [
        f"second/{part}" for part in ("annotations", "classes", "coco", "images", "labels", "tasks", "yolo")
    ]


def test_each_project_may_have_its_own_job(daemon, sandbox):
    sandbox.state.create_project("second", type="image_all")
    jobs = {slug: dg.define_asset_job(slug.replace("-", "_") + "_job") for slug in ("street-scenes", "second")}
    watch = build_import_sensor(list(jobs), job=jobs)
    daemon.tick(watch)
    finish(sandbox, project="second")
    (request,) = daemon.tick(watch).run_requests
    assert request.job_name == "second_job"


def test_a_sensor_of_no_project_is_refused():
    with pytest.raises(ValueError, match="at least one project"):
        build_import_sensor([])
