"""The workspace sensor: partitions in step with the projects, a run for a new one, an observation for a changed one."""

from __future__ import annotations

import json
import random
import uuid

import dagster as dg
import pytest

from fastlabel_dagster.partitions import project_partitions
from fastlabel_dagster.sensors import build_workspace_sensor
from fastlabel_dagster.sensors.cursor import dump_cursor, short

PROJECTS = project_partitions("projects_of_this_test")


@dg.asset(partitions_def=PROJECTS)
def report() -> None: ...


PER_PROJECT = dg.define_asset_job("per_project", [report])


@pytest.fixture
def instance(tmp_path):
    """An instance on disk: Dagster checks the partitions of run requests against no other."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def tick(daemon, instance):
    """Ticks as the daemon does, which also carries out what is asked about partitions."""

    def tick(sensor, **more):
        daemon.definitions = dg.Definitions(assets=[report], jobs=[PER_PROJECT], sensors=[sensor])
        result = daemon.tick(sensor, **more)
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
            else:
                for key in request.partition_keys:
                    instance.delete_dynamic_partition(request.partitions_def_name, key)
        return result

    return tick


def partitions(instance):
    return sorted(instance.get_dynamic_partitions("projects_of_this_test"))


def add(sandbox, *slugs, **more):
    return [sandbox.state.create_project(slug, type="image_bbox", **more) for slug in slugs]


def test_each_project_has_a_partition_and_repeating_adds_none(tick, sandbox, instance):
    watch = build_workspace_sensor(PROJECTS)
    tick(watch)
    assert partitions(instance) == ["street-scenes"]
    add(sandbox, "harbour", "airport_2")
    tick(watch)
    assert partitions(instance) == ["airport_2", "harbour", "street-scenes"]
    result = tick(watch)
    assert not result.dynamic_partitions_requests and "3 project(s)" in result.skip_message


def test_a_new_project_launches_one_run_in_its_partition(tick, daemon, sandbox, instance):
    watch = build_workspace_sensor(PROJECTS, job=PER_PROJECT)
    tick(watch)
    assert daemon.launched == {}
    (project_id,) = add(sandbox, "harbour")
    tick(watch, crash=True)
    for _ in range(3):
        tick(watch)
    (request,) = daemon.launched.values()
    assert request.partition_key == "harbour" and request.run_key == f"fastlabel/harbour/project/{project_id}"


def test_projects_of_the_first_tick_launch_runs_only_when_asked(tick, daemon, sandbox):
    add(sandbox, "harbour")
    watch = build_workspace_sensor(PROJECTS, job=PER_PROJECT, first_tick="backfill")
    for _ in range(3):
        tick(watch)
    assert {request.partition_key for request in daemon.launched.values()} == {"harbour", "street-scenes"}


def test_a_partition_goes_only_when_wanted_and_twice_not_seen(tick, daemon, sandbox, instance):
    (project_id,) = add(sandbox, "harbour")
    keeping, deleting = build_workspace_sensor(PROJECTS), build_workspace_sensor(PROJECTS, delete=True)
    tick(keeping)
    sandbox.state.projects.delete(project_id)
    for _ in range(3):
        tick(keeping)
    assert partitions(instance) == ["harbour", "street-scenes"]
    tick(deleting)
    assert partitions(instance) == ["harbour", "street-scenes"]
    tick(deleting)
    assert partitions(instance) == ["street-scenes"]
    gone = [event for event in daemon.events if isinstance(event, dg.AssetObservation)]
    assert [(event.asset_key.path[-1], event.metadata["status"].value) for event in gone] == [("harbour", "gone")]


def test_two_code_locations_of_one_name_delete_no_partitions_of_each_other(tick, daemon, sandbox, instance):
    ids = add(sandbox, "harbour", "pier", "quay")
    here = build_workspace_sensor(PROJECTS, selector="street-*", delete=True)
    there = build_workspace_sensor(PROJECTS, selector=["harbour", "pier", "quay"], delete=True)
    cursors = {"here": None, "there": None}
    said = ""

    def both():
        nonlocal said
        for name, watch in (("here", here), ("there", there)):
            daemon.cursor = cursors[name]
            result = tick(watch)
            cursors[name], said = daemon.cursor, f"{said} {result.skip_message or ''}"

    for _ in range(4):
        both()
        assert {"harbour", "pier", "quay"} <= set(partitions(instance)), "no tick of the other one takes them away"
    assert partitions(instance) == ["harbour", "pier", "quay", "street-scenes"]
    assert "3 partition(s) of projects that are not selected here are left alone" in said
    sandbox.state.projects.delete(ids[0])
    there = build_workspace_sensor(
        PROJECTS, selector=["harbour", "pier"], delete=True
    )  # and quay is no longer selected
    for _ in range(3):
        both()
    assert partitions(instance) == ["pier", "street-scenes"], "what is gone, and what was selected once, goes"


def test_a_changed_project_is_told_of_once(tick, daemon, sandbox):
    (project_id,) = add(sandbox, "harbour", name="Harbour")
    watch = build_workspace_sensor()
    tick(watch)
    sandbox.state.projects.update(project_id, {"name": "The old harbour"})
    for _ in range(3):
        tick(watch)
    (event,) = daemon.events
    assert event.asset_key == dg.AssetKey(["fastlabel", "harbour"])
    assert event.metadata["name"].value == "The old harbour"


def test_what_is_told_of_a_project_keeps_its_version(tick, daemon, sandbox, instance):
    first, _ = add(sandbox, "harbour", "street")
    watch = build_workspace_sensor()
    tick(watch)
    seen = dg.AssetObservation(dg.AssetKey(["fastlabel", "harbour"]), tags={"dagster/data_version": "v1"})
    instance.report_runless_asset_event(seen)
    for name in ("Old", "Older"):
        sandbox.state.projects.update(first, {"name": name})
        tick(watch)
    assert [event.tags.get("dagster/data_version") for event in daemon.events] == ["v1", "v1"]


def test_only_selected_projects_count(tick, sandbox, instance):
    add(sandbox, "harbour-day", "harbour-night", "airport")
    tick(build_workspace_sensor(PROJECTS, selector={"globs": ["harbour-*"], "exclude": ["*-night"]}))
    assert partitions(instance) == ["harbour-day"]


def test_partitions_and_runs_of_a_tick_are_bounded_and_none_is_lost(make_vendor, make_daemon, instance):
    projects = [
        {"id": f"id-{n}", "slug": f"p-{n:03}", "name": "P", "type": "t", "status": "active"} for n in range(230)
    ]
    watch = build_workspace_sensor(PROJECTS, job=PER_PROJECT, first_tick="backfill")
    daemon = make_daemon(
        resource=make_vendor(lambda path, query: projects).resource(),
        definitions=dg.Definitions(assets=[report], jobs=[PER_PROJECT], sensors=[watch]),
    )
    for _ in range(6):
        result = daemon.tick(watch)
        added = [key for one in result.dynamic_partitions_requests or [] for key in one.partition_keys]
        assert len(added) <= 100 and len(result.run_requests) <= 50
        instance.add_dynamic_partitions(PROJECTS.name, added)
    assert len(partitions(instance)) == 230
    assert len(daemon.launched) == 230
    assert len(json.dumps(daemon.cursor, ensure_ascii=False).encode()) < 20_000


def test_an_error_is_told_and_everything_kept(tick, daemon, sandbox, instance):
    watch = build_workspace_sensor(PROJECTS, delete=True)
    tick(watch)
    sandbox.fail("GET projects", times=3, status=500)
    for _ in range(3):
        assert "ServerError" in tick(watch).skip_message
    assert partitions(instance) == ["street-scenes"]


@pytest.mark.parametrize("first_tick", ["from_now", "backfill"])
def test_a_workspace_that_takes_longer_to_read_than_a_tick_has_is_read_over_several(
    first_tick, make_vendor, make_daemon
):
    """Each answer takes more than half of the time of a look, so that no two of them fit into one."""

    def project(number):
        return {"id": f"p{number}", "slug": f"s{number}", "name": "n", "type": "t", "status": "active"}

    projects = [project(number) for number in range(1010)]
    vendor = make_vendor(
        lambda path, query: projects[int(query.get("offset", 0)) :][: int(query["limit"])], lambda path, query: 3.0
    )
    daemon = make_daemon(resource=vendor.resource())
    watch = build_workspace_sensor(job="each", first_tick=first_tick, clock=vendor.clock)

    daemon.ticks(50, watch, vendor.clock)
    assert len(daemon.launched) == (1010 if first_tick == "backfill" else 0)
    projects[:0] = [project(-1)]
    projects[900]["status"] = "done"
    daemon.ticks(5, watch, vendor.clock)
    assert "fastlabel/s-1/project/p-1" in daemon.launched
    assert [one.description for one in daemon.events if isinstance(one, dg.AssetObservation)] == ["s899 has changed."]


def workspace_of(make_vendor, make_daemon, count):
    """A vendor with so many projects of everyday names, and a daemon that asks it."""
    chance = random.Random(7)
    words = ["street", "night", "harbour", "airport", "crossing", "factory", "defect", "solder", "leaf", "shelf"]
    projects = [
        {
            "id": str(uuid.UUID(int=chance.getrandbits(128))),
            "slug": f"{'-'.join(chance.choices(words, k=3))}-{number}",
            "name": f"Project {number}",
            "type": "image_bbox",
            "status": "active",
        }
        for number in range(count)
    ]
    vendor = make_vendor(lambda path, query: projects[int(query.get("offset", 0)) :][: int(query["limit"])])
    return projects, vendor, make_daemon(resource=vendor.resource())


def test_two_thousand_projects_fit_into_what_a_database_keeps(make_vendor, make_daemon):
    projects, vendor, daemon = workspace_of(make_vendor, make_daemon, 2000)
    watch = build_workspace_sensor(job="each", clock=vendor.clock)
    daemon.tick(watch)
    # Dagster keeps it as JSON within JSON, in 65,535 bytes where the database is MySQL
    assert len(json.dumps(daemon.cursor)) < 60_000
    projects[1500]["name"] = "renamed"
    gone = projects.pop(7)["slug"]
    for _ in range(2):
        daemon.tick(watch)
    assert [one.description for one in daemon.events if isinstance(one, dg.AssetObservation)] == [
        f"{projects[1499]['slug']} has changed.",
        f"{gone} is no longer among the projects.",
    ]
    assert daemon.launched == {}


def test_a_cursor_of_a_release_before_is_read(make_vendor, make_daemon):
    projects, vendor, daemon = workspace_of(make_vendor, make_daemon, 3)
    watch = build_workspace_sensor(job="each", clock=vendor.clock)
    known = {
        short(one["id"]): [one["slug"], short("\n".join((one["slug"], one["name"], one["type"], one["status"])))]
        for one in projects
    }
    daemon.cursor = dump_cursor("workspace", {"projects": {"workspace": {"known": known, "at": 1}}})
    projects.append({**projects[0], "id": "new", "slug": "new"})
    daemon.tick(watch)
    assert list(daemon.launched) == ["fastlabel/new/project/new"] and daemon.events == []
