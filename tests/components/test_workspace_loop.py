"""What a workspace's YAML says of all its projects reaches each of them: loop, jobs, sensors, schedules."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from .conftest import LOOP, keys, sensor_names, tick


def parts_of(requests: Any) -> set[tuple[str, ...]]:
    return {tuple(key.path) for request in requests for key in request.asset_selection or ()}


def test_the_loop_of_a_workspace_closes_in_each_project(definitions, many, on_disk):
    defs = definitions(loop=LOOP)
    assert sensor_names(defs) == {"imports", "approvals", "jobs_apart", "annotated"}
    assert {job.name for job in defs.jobs or ()} == {"fastlabel_evaluate", "fastlabel_annotate"}

    first = tick(defs, "fastlabel_approvals", on_disk)
    many.seed(tasks=8, project="unseen")
    many.state.add_tasks("street-day", [{"name": f"{n}.jpg", "status": "approved"} for n in range(2)])
    (request,) = tick(defs, "fastlabel_approvals", on_disk, first.cursor).run_requests
    made = {("street-day", part) for part in ("labels", "images", "dataset", "training")}
    assert parts_of([request]) == made

    key = dg.AssetKey(["street-day", "model"])
    told = {"job_kind": "training", "job_id": "t-1", "model_name": "m", "model_id": "i"}
    on_disk.report_runless_asset_event(dg.AssetMaterialization(key, metadata=told))
    passed = {"job_kind": "evaluation", "job_id": "e-1", "wait": "sensor", "gate_passed": True, "model_name": "m"}
    evaluation = dg.AssetKey(["street-night", "evaluation"])
    on_disk.report_runless_asset_event(dg.AssetMaterialization(evaluation, metadata=passed))
    requests = tick(defs, "fastlabel_jobs_apart", on_disk).run_requests
    started = {(one.job_name, one.run_key, *parts_of([one])) for one in requests}
    assert started == {
        ("fastlabel_evaluate", "t-1", ("street-day", "evaluation")),
        ("fastlabel_annotate", "e-1", ("street-night", "auto_annotation")),
    }
    run = defs.resolve_job_def("fastlabel_evaluate").get_subset(
        asset_selection={dg.AssetKey(["street-day", "evaluation"])}
    )
    gates = {check.asset_key.path[0] for check in run.asset_layer.asset_graph.asset_check_keys if check.name == "gate"}
    assert gates == {"street-day"}, "the gate is in the run that it has to stop"

    landed = dg.AssetMaterialization(["street-night", "auto_annotation"], metadata={"job_id": "a-1"})
    on_disk.report_runless_asset_event(landed)
    after = tick(defs, "fastlabel_annotated", on_disk)
    (request,) = after.run_requests
    synced = {("street-night", part) for part in ("labels", "classes", "tasks", "annotations", "images")}
    assert (request.run_key, parts_of([request])) == ("fastlabel/street-night/annotated/a-1", synced)
    assert not tick(defs, "fastlabel_annotated", on_disk, after.cursor).run_requests


def test_a_project_says_what_differs_from_the_loop_of_all(definitions, many):
    many.state.create_project("street-film", type="video_bbox")
    own = {
        "street-day": {"loop": {"retrain_after": {"share": 0.8}, "auto_annotate": False}},
        "street-night": {"loop": False},
    }
    defs = definitions(loop=LOOP, projects=own)
    there = keys(defs)
    assert {"street-day/training", "street-day/evaluation"} <= there
    assert not {"street-day/auto_annotation", "street-night/training", "street-film/training"} & there
    assert sensor_names(defs) == {"imports", "approvals_80_percent", "jobs"}
    only = definitions(projects={"street-night": {"loop": {**LOOP, "dataset": "night"}}})
    assert {key for key in keys(only) if key.endswith("/training")} == {"street-night/training"}


def test_what_is_told_of_one_dataset_for_all_is_that_of_the_loop(definitions):
    less = {key: value for key, value in LOOP.items() if key != "dataset"}
    defs = definitions(loop=less, dataset="of-{slug}")
    operations = {"street-day", "street-night"}
    assert {f"{one}/dataset" for one in operations} | {f"{one}/training" for one in operations} <= keys(defs)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"loop": {**LOOP, "dataset": "one"}}, r"trained on one dataset, one; put \{slug\}"),
        ({"loop": {**LOOP, "epoch": 0}}, "project street-.*epoch"),
        ({"loop": LOOP, "projects": {"street-day": {"training": {"base_model": "m", "epoch": 1}}}}, "loop: false"),
        ({"loop": LOOP, "projects": {"street-day": {"dataset": "train-street-night"}}}, "street-day and street-night"),
        ({"loop": LOOP, "partitions": "project"}, "FastLabelProjectComponent each"),
        ({"loop": LOOP, "store": None}, "loop.*give store too"),
        ({"projects": {"street-day": {"exports": []}}, "store": None}, "projects: .*give store too"),
        (
            {"store": None, "dataset": "d-{slug}", "exports": ["coco"], "checks": {"parity": False}},
            "^dataset, exports, checks: .*give store too, such as store: data",
        ),
        (
            {"store": None, "sensors": {"approvals": 40, "imports": True}},
            "^sensors.imports, sensors.approvals: ",
        ),
        ({"store": 7}, "store"),
        ({"projects": {"street-day": {"exports": None}}}, "^projects: street-day: exports is a list .* not null"),
        ({"projects": {"street-day": {"exports": ["yelo"]}}}, "^projects: street-day: unknown export format 'yelo'"),
        ({"projects": {"street-day": {"dataset": 7}}}, "^projects: street-day: dataset is the name"),
        ({"projects": {"street-day": {"store": None}}}, "^projects: street-day: store is a folder"),
        ({"projects": {"street-day": {"prune": "no"}}}, "^projects: street-day: prune is true or false"),
        ({"projects": {"street-day": {"pool": 3}}}, "^projects: street-day: pool is the name"),
        ({"projects": {"street-day": {"publish_status": None}}}, "^projects: street-day: publish_status is the status"),
        (
            {"projects": {"street-day": {"s3": {"regoin": "x"}}}},
            "street-day: s3 is a mapping of endpoint_url",
        ),
        ({"projects": {"street-day": {"checks": {"parity": "no"}}}}, "^projects: street-day: the check 'parity' takes"),
        ({"projects": {"street-day": {"exports": [{"format": "coco", "status": 3}]}}}, "street-day: status of coco is"),
        (
            {"projects": {"street-day": {"exports": [{"format": "coco", "images": "no"}]}}},
            "street-day: images of coco is",
        ),
        ({"resource_key": "of ours"}, "^resource_key is a name such as fastlabel"),
        ({"loop": {"retrain_afer": {"approved": 2}}, "selector": "none-such"}, "loop has no retrain_afer"),
        ({"loop": {**LOOP, "retrain_after": 200}, "selector": "none-such"}, "loop: retrain_after is"),
        ({"projects": {"street-day": {"loop": True}}}, "project street-day: loop lacks retrain_after"),
        ({"store": ""}, "store is empty"),
        ({"sensors": {"interval_seconds": 0}}, "every second at most"),
        ({"observe": "* * * * *", "partitions": "project"}, "observe are of a workspace without partitions"),
        ({"sensors": {"quality": True}, "partitions": "project"}, "no.* partitions"),
        ({"sensors": {"quality": {"most": 3}}}, "sensors.quality has no most; it has comments"),
        ({"sensors": {"quality": {"statuses": "sent_back"}}}, "statuses is a list"),
        ({"sensors": {"quality": {"most_sent_back": "many"}}}, "a number from 0 on, not 'many'"),
        ({"sensors": {"quality": {"comments": "no"}}}, "true or false, not 'no'"),
    ],
)
def test_what_a_loop_of_all_cannot_be_is_said_at_load(definitions, attributes, words):
    with pytest.raises(ValueError, match=words):
        definitions(**attributes)


def test_what_a_loop_of_all_leaves_open_each_project_says_for_itself(definitions):
    less = {key: value for key, value in LOOP.items() if key != "retrain_after"}
    own = {"street-day": {"loop": {"retrain_after": {"approved": 7}}}, "street-night": {"loop": False}}
    assert sensor_names(definitions(loop=less, projects=own)) == {"imports", "approvals_7", "jobs_apart", "annotated"}


def test_the_sensors_of_a_loop_can_be_left_out(definitions):
    off = {"imports": False, "approvals": False, "jobs": False}
    assert sensor_names(definitions(loop=LOOP, sensors=off)) == {"annotated"}


def test_one_approvals_sensor_for_each_rule_and_none_changes_its_name(definitions, many):
    many.seed(tasks=2, project="street-dawn")
    own = {
        "street-day": {"loop": {"retrain_after": {"approved": 7}}},
        "street-dawn": {"loop": False, "dataset": "dawn"},
    }
    defs = definitions(loop=LOOP, projects=own, sensors={"approvals": 40, "imports": False, "jobs": False})
    assert sensor_names(defs) == {"approvals", "approvals_7", "approvals_40", "annotated"}


def test_quality_of_every_project_is_watched_by_one_sensor(definitions, many, on_disk):
    many.state.add_tasks("street-day", [{"name": "back.jpg", "status": "sent_back"}])
    defs = definitions(
        store=None, sensors={"quality": {"comments": False, "statuses": ["sent_back"], "most_sent_back": 0}}
    )
    assert sensor_names(defs) == {"quality"}
    told = {event.asset_check_key: event.passed for event in tick(defs, "fastlabel_quality", on_disk).asset_events}
    assert {check.asset_key.to_user_string() for check in told} == {"fastlabel/street-day", "fastlabel/street-night"}
    defined = defs.resolve_asset_graph().asset_check_keys
    assert set(told) <= defined, "what is reported has a definition, or nobody would see it"
    assert {check.asset_key.path[-1] for check, passed in told.items() if not passed} == {"street-day"}


@pytest.mark.parametrize("made", [True, False])
def test_a_workspace_is_observed_when_the_yaml_says_so(definitions, many, on_disk, tmp_path, made):
    many.state.datasets.create("signs")
    store = str(tmp_path / "store") if made else None
    schedule = {"schedule": {"time_zone": "Asia/Tokyo"}} if made else {}
    assert not definitions(store=store).schedules
    defs = definitions(store=store, observe="*/15 * * * *", running=True, **schedule)
    at = {one.name: one for one in defs.schedules or ()}
    assert set(at) == {"fastlabel_observation", *(["fastlabel_nightly"] if made else [])}
    look = at["fastlabel_observation"]
    assert (look.cron_schedule, look.default_status) == ("*/15 * * * *", dg.DefaultScheduleStatus.RUNNING)
    assert look.execution_timezone == ("Asia/Tokyo" if made else "UTC")
    looked = defs.resolve_job_def(look.job_name).execute_in_process(instance=on_disk)
    assert looked.success
    assert not looked.get_asset_check_evaluations()
    seen = {key.to_user_string() for key in on_disk.get_asset_keys()}
    assert {"fastlabel/street-day", "fastlabel/street-night", "fastlabel_workspace/datasets/signs"} == seen


def test_the_schedule_of_a_workspace_syncs_everything_in_it(definitions):
    defs = definitions(exports=["coco"], schedule={"cron": "0 5 * * *"})
    (nightly,) = defs.schedules or ()
    synced = defs.resolve_job_def(nightly.job_name).asset_layer.executable_asset_keys
    parts = ("labels", "classes", "tasks", "annotations", "images", "coco")
    assert {tuple(key.path) for key in synced} == {
        (one, part) for one in ("street-day", "street-night") for part in parts
    }


def test_a_workspace_without_projects_loads_with_all_that_is_asked_of_it(definitions):
    wanted = {"loop": LOOP, "schedule": {}, "observe": "* * * * *", "sensors": {"quality": True, "approvals": 3}}
    assert not sensor_names(definitions(selector="none-such", **wanted))
