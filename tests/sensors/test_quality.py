"""The quality sensor: open comments and tasks sent back fail checks people see; each message is acted on once."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster.sensors import build_quality_sensor


def sensor(projects="street-scenes", **more):
    return build_quality_sensor(projects, **more)


def say(sandbox, text, *, resolved=False, project="street-scenes"):
    task = sandbox.state.task_ids(project)[0]
    return sandbox.state.comments.create({"taskId": task, "text": text, "points": [1, 2], "isResolved": resolved})


def observations(daemon):
    return [event for event in daemon.events if isinstance(event, dg.AssetObservation)]


def texts(metadata):
    return [record.data["text"] for record in metadata.value.records]


def only_comments(**more):
    return sensor(statuses=(), **more)


def test_a_comment_fails_the_check_and_is_told_once_with_its_text(daemon, sandbox):
    daemon.tick(only_comments())
    (check,) = daemon.told("no_open_comments")
    assert check.passed and check.asset_key == dg.AssetKey(["fastlabel", "street-scenes"])
    say(sandbox, "the van is a truck")
    say(sandbox, "this one is settled", resolved=True)
    for _ in range(3):
        daemon.tick(only_comments())
    (observation,) = observations(daemon)
    assert texts(observation.metadata["messages"]) == ["the van is a truck"]
    _, check = daemon.told("no_open_comments")
    assert not check.passed and check.metadata["open_comments"].value == 1
    assert texts(check.metadata["newest"]) == ["the van is a truck"]
    assert check.severity is dg.AssetCheckSeverity.WARN


def test_a_message_does_not_make_the_project_another(daemon, sandbox, instance):
    daemon.tick(only_comments())
    project = dg.AssetKey(["fastlabel", "street-scenes"])
    instance.report_runless_asset_event(dg.AssetObservation(project, tags={"dagster/data_version": "v1"}))
    instance.report_runless_asset_event(dg.AssetObservation(project, description="somebody else, without a version"))
    say(sandbox, "the van is a truck")
    daemon.tick(only_comments())
    (observation,) = observations(daemon)
    assert observation.tags.get("dagster/data_version") == "v1"


def test_a_reply_is_news_though_no_more_comments_are_open(daemon, sandbox):
    comment = say(sandbox, "is this a bus?")
    daemon.tick(only_comments())
    sandbox.state.clock.advance(5)
    sandbox.state.comments.reply(comment["id"], "no, a tram")
    daemon.tick(only_comments())
    (observation,) = observations(daemon)
    assert texts(observation.metadata["messages"]) == ["no, a tram"]
    assert [check.metadata["open_comments"].value for check in daemon.told("no_open_comments")] == [1, 1]


def test_a_comment_that_goes_turns_the_check_green(daemon, sandbox):
    comment = say(sandbox, "wrong class")
    daemon.tick(only_comments())
    sandbox.state.comments.delete_thread(comment["threads"][0]["id"])
    daemon.tick(only_comments())
    assert [check.passed for check in daemon.told("no_open_comments")] == [False, True]
    assert observations(daemon) == []


def test_messages_before_the_first_tick_are_news_only_when_asked_for(make_daemon, sandbox):
    say(sandbox, "an old one")
    late, early = make_daemon(), make_daemon()
    late.tick(only_comments())
    early.tick(only_comments(first_tick="backfill"))
    assert observations(late) == [] and len(observations(early)) == 1
    assert not late.told("no_open_comments")[0].passed


def test_new_messages_request_one_run_also_when_cursors_are_lost(daemon, sandbox):
    watch = only_comments(job="look_at_comments")
    daemon.tick(watch)
    say(sandbox, "one")
    say(sandbox, "two")
    daemon.tick(watch)
    assert daemon.launched == {}  # who shares the run stands in the cursor first
    daemon.tick(watch, crash=True)
    say(sandbox, "three")
    daemon.tick(watch)
    assert [request.tags["fastlabel/trigger"] for request in daemon.launched.values()] == ["2 new message(s)"]
    for _ in range(3):
        daemon.tick(watch)
    assert [request.tags["fastlabel/trigger"] for request in daemon.launched.values()][1:] == ["1 new message(s)"]


def test_tasks_sent_back_are_counted_by_status_and_told_when_that_changes(daemon, sandbox):
    watch = sensor(comments=False, most_sent_back=3, external_statuses=["customer_declined"])
    ids = sandbox.state.task_ids("street-scenes")
    sandbox.state.set_status(ids[:2], "sent_back")
    for _ in range(6):
        daemon.tick(watch)
    (check,) = daemon.told("few_sent_back")
    assert check.passed and check.metadata["tasks"].value == 2
    sandbox.state.set_status(ids[2:3], "declined")
    sandbox.state.set_status(ids[3:5], externalStatus="customer_declined")
    for _ in range(6):
        daemon.tick(watch)
    check = daemon.told("few_sent_back")[-1]
    assert not check.passed
    rows = {record.data["status"]: record.data["count"] for record in check.metadata["by_status"].value.records}
    assert rows == {"sent_back": 2, "declined": 1, "external customer_declined": 2}
    told = len(daemon.told("few_sent_back"))
    for _ in range(6):
        daemon.tick(watch)
    assert len(daemon.told("few_sent_back")) == told


@pytest.mark.parametrize("before", [2, 4])
def test_tasks_that_move_from_one_status_to_another_are_neither_twice_as_many_nor_none(daemon, sandbox, before):
    """FastLabel counts one status at a time, and these tasks are counted in the one and a tick later in the other."""
    watch = sensor(comments=False, statuses=["sent_back", "declined"], most_sent_back=3, job="call_somebody")
    ids = sandbox.state.task_ids("street-scenes")[:before]
    sandbox.state.set_status(ids, "sent_back")
    for status in ("declined", "sent_back", "declined", "declined", "sent_back"):
        for _ in range(3):
            daemon.tick(watch)
        sandbox.state.set_status(ids, status)
    assert {check.passed for check in daemon.told("few_sent_back")} == {before <= 3} and daemon.launched == {}
    sandbox.state.set_status(sandbox.state.task_ids("street-scenes")[:4], "sent_back" if before == 2 else "completed")
    for _ in range(4):
        daemon.tick(watch)
    assert daemon.told("few_sent_back")[-1].passed is (before > 3) and len(daemon.launched) == (before <= 3)


@pytest.mark.parametrize("first_tick", ["from_now", "backfill"])
def test_tasks_sent_back_request_a_run_each_time_they_become_many(daemon, sandbox, first_tick):
    watch = sensor(comments=False, statuses=["sent_back"], most_sent_back=1, job="call_somebody", first_tick=first_tick)
    ids = sandbox.state.task_ids("street-scenes")
    runs = []
    for many in (True, True, False, True, True):
        sandbox.state.set_status(ids[:2], "sent_back" if many else "completed")
        daemon.tick(watch, crash=len(runs) > 0)
        daemon.tick(watch)
        runs.append(len(daemon.launched))
    assert runs == ([0, 0, 0, 1, 1] if first_tick == "from_now" else [1, 1, 1, 2, 2])


def test_a_tick_costs_one_request_a_project(make_vendor, make_daemon):
    vendor = make_vendor(lambda path, query: [] if "comments" in path else 0)
    daemon = make_daemon(resource=vendor.resource())
    watch = sensor(["a", "b"])
    for tick in range(1, 7):
        daemon.tick(watch)
        assert vendor.asked == {"a": tick, "b": tick}


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_thousands_of_messages_are_read_page_by_page_and_each_is_news_once(make_vendor, make_daemon, order):
    def message(number):
        hours, seconds = divmod(number, 3600)
        date = f"2026-01-01T{hours:02}:{seconds // 60:02}:{seconds % 60:02}.000Z"
        return {"id": str(number), "text": f"m{number}", "createdAt": date, "comment": {"id": f"c{number}"}}

    messages = [message(number) for number in range(2300)]

    def page(path, query):
        listed = messages if order == "oldest first" else messages[::-1]
        return listed[int(query["offset"]) :][: int(query["limit"])]

    daemon = make_daemon(resource=make_vendor(page).resource())
    for _ in range(4):
        daemon.tick(only_comments())
    assert [check.metadata["open_comments"].value for check in daemon.told("no_open_comments")] == [2300]
    news = []
    for number in range(2300, 2330):
        messages.append(message(number))
        daemon.tick(only_comments())
        assert len(daemon.cursor) < 12_000
    for _ in range(4):
        daemon.tick(only_comments())
    for observation in observations(daemon):
        news += texts(observation.metadata["messages"])
    assert sorted(news) == sorted(f"m{number}" for number in range(2300, 2330))


def test_two_hundred_projects_fit_into_a_cursor(make_vendor, make_daemon):
    def answer(path, query):
        if "comments" not in path:
            return 12
        return [
            {"id": f"{n}-{query['project']}", "createdAt": f"2026-01-01T00:00:{n:02}.123Z", "comment": {"id": str(n)}}
            for n in range(60)
        ]

    vendor = make_vendor(answer)
    daemon = make_daemon(resource=vendor.resource())
    slugs = [f"project-{number:03}" for number in range(200)]
    for _ in range(6):
        daemon.tick(sensor(slugs, job="call_somebody", clock=vendor.clock))
    assert len(json.loads(daemon.cursor)["projects"]) == 200
    assert len(json.dumps(daemon.cursor, ensure_ascii=False).encode()) < 60_000


def test_nothing_to_look_at_is_refused():
    with pytest.raises(ValueError, match="nothing to look at"):
        sensor(comments=False, statuses=())
