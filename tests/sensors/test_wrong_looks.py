"""Answers that are wrong once: lists with entries missing, a count of nothing, a date in the far future."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster.sensors import (
    build_approval_sensor,
    build_import_sensor,
    build_quality_sensor,
    build_workspace_sensor,
)


def imports(count, status="completed"):
    return [
        {"id": f"i{n}", "status": status, "createdAt": f"2026-01-01T{n // 60:02}:{n % 60:02}:00.000Z"}
        for n in range(count)
    ]


@pytest.fixture
def watched(make_vendor, make_daemon):
    """A vendor whose one answer can be exchanged, and a daemon that asks it."""

    def watched(answer):
        now = [answer]
        vendor = make_vendor(lambda path, query: now[0])
        return vendor, make_daemon(resource=vendor.resource()), now

    return watched


@pytest.mark.parametrize("runs", ["each", "together"])
@pytest.mark.parametrize("count", [20, 250])
def test_imports_that_an_answer_leaves_out_are_no_new_ones(watched, runs, count):
    listed = imports(count)
    vendor, daemon, now = watched(listed)
    watch = build_import_sensor("a", job="sync", runs=runs, clock=vendor.clock)
    for now[0] in (listed, [], listed, listed[::2], listed, listed):
        daemon.tick(watch)
    assert daemon.launched == {} and daemon.told("imports_succeeded") == []
    now[0] = [*listed, {"id": "new", "status": "completed", "createdAt": "2026-01-02T00:00:00.000Z"}]
    for _ in range(3):
        daemon.tick(watch)
    assert len(daemon.launched) == 1


def test_an_import_that_runs_while_an_answer_leaves_it_out_is_still_waited_for(watched):
    listed = imports(250)
    listed[10]["status"] = "running"
    vendor, daemon, now = watched(listed)
    watch = build_import_sensor("a", job="sync", clock=vendor.clock)
    for now[0] in (listed, [], listed, imports(250)):
        daemon.tick(watch)
    assert list(daemon.launched) == ["fastlabel/a/import/i10/completed"]


def test_what_is_kept_of_unlisted_imports_is_bounded(watched):
    vendor, daemon, now = watched([])
    watch = build_import_sensor("a", job="sync", clock=vendor.clock)
    sizes = []
    for day in range(1, 13):
        now[0] = [{**one, "id": f"{day}-{one['id']}", "createdAt": f"2026-02-{day:02}"} for one in imports(100)]
        daemon.tick(watch)
        sizes.append(len(daemon.cursor))
    assert max(sizes) < 4_000


def test_a_project_that_one_look_does_not_see_is_no_new_one(watched):
    projects = [{"id": f"p{n}", "slug": f"s{n}", "name": "n", "type": "t", "status": "active"} for n in range(10)]
    vendor, daemon, now = watched(projects)
    watch = build_workspace_sensor(job="each", clock=vendor.clock)
    for now[0] in (projects, projects[1:], [], projects, projects):
        daemon.tick(watch)
    assert daemon.launched == {}
    told = [event.description for event in daemon.events if isinstance(event, dg.AssetObservation)]
    assert told.count("s0 is no longer among the projects.") == told.count("s0 is among the projects again.") == 1
    assert "gone" not in json.loads(daemon.cursor)["projects"]["workspace"]
    now[0] = [*projects, {**projects[0], "id": "p10", "slug": "s10"}]
    daemon.tick(watch)
    assert list(daemon.launched) == ["fastlabel/s10/project/p10"]


def test_a_count_that_is_wrong_once_starts_no_run(watched):
    vendor, daemon, now = watched(500)
    watch = build_approval_sensor("a", every=100, job="retrain", clock=vendor.clock)
    for now[0] in (500, 0, 500, 500, 0, 500):
        daemon.tick(watch)
    assert daemon.launched == {}
    for now[0] in (440, 450):  # sent back: two looks agree that there are no more than 450
        daemon.tick(watch)
    assert json.loads(daemon.cursor)["projects"]["a"]["baseline"] == 450
    now[0] = 549
    daemon.tick(watch)
    assert daemon.launched == {}
    now[0] = 550
    daemon.tick(watch)
    assert len(daemon.launched) == 1


@pytest.mark.parametrize("percent", [7, 14, 28, 55, 56, 57, 58])
def test_a_share_is_reached_at_exactly_that_share(make_vendor, make_daemon, percent):
    approved = [0]
    vendor = make_vendor(lambda path, query: approved[0] if "status" in query else 100)
    daemon = make_daemon(resource=vendor.resource())
    watch = build_approval_sensor("a", share=percent / 100, job="retrain", clock=vendor.clock)
    for approved[0] in (percent - 1, percent):
        assert daemon.launched == {}
        for _ in range(5):
            daemon.tick(watch)
    assert len(daemon.launched) == 1


def message(number, date):
    return {"id": f"m{number}", "text": "t", "createdAt": date, "comment": {"id": f"c{number}", "isResolved": False}}


def test_one_date_in_the_far_future_hides_no_later_message(watched):
    messages = [message(1, "2026-01-01T00:00:00.000Z"), message(2, "2226-01-01T00:00:00.000Z")]
    vendor, daemon, _ = watched(messages)
    watch = build_quality_sensor("a", statuses=(), job="look", clock=vendor.clock)
    for _ in range(2):
        daemon.tick(watch)
    before = len(daemon.launched)
    for day in range(2, 6):
        messages.append(message(day + 1, f"2026-01-{day:02}T00:00:00.000Z"))
        for _ in range(2):
            daemon.tick(watch)
    assert len(daemon.launched) == before + 4
    # a cursor of a release that believed the date is healed
    state = json.loads(daemon.cursor)
    state["projects"]["a"]["comments"]["floor"] = 8_000_000_000
    daemon.cursor = json.dumps(state)
    daemon.tick(watch)
    assert json.loads(daemon.cursor)["projects"]["a"]["comments"]["floor"] < 6_000_000_000


def test_a_comment_with_messages_on_several_pages_is_one_open_comment(make_vendor, make_daemon):
    """Three comments, of which two have messages on each of three pages."""
    comments = [{"id": f"c{number}", "taskId": "t", "isResolved": False} for number in range(3)]
    messages = [
        {
            "id": f"m{n}",
            "text": "t",
            "createdAt": f"2026-01-01T{n // 60:02}:{n % 60:02}:00.000Z",
            "comment": comments[n % 2],
        }
        for n in range(1400)
    ] * 2
    messages[5] = {**messages[5], "comment": comments[2]}
    vendor = make_vendor(lambda path, query: messages[int(query.get("offset", 0)) :][:1000])
    daemon = make_daemon(resource=vendor.resource())
    watch = build_quality_sensor("a", statuses=(), most_open_comments=3, clock=vendor.clock)
    for _ in range(7):
        daemon.tick(watch)
    assert {event.metadata["open_comments"].value for event in daemon.told("no_open_comments")} == {3}
    assert vendor.asked["a"] == 7
