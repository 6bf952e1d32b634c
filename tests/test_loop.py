"""The loop's mapping, and the definitions that are made of it."""

import dagster as dg
import pytest

from fastlabel_dagster import FastLabelResource
from fastlabel_dagster.loop import LoopPlan
from fastlabel_dagster.project import build_fastlabel_project
from fastlabel_dagster.sandbox import Sandbox

PROJECT = "street-scenes"
LOOP = {
    "retrain_after": {"approved": 200},
    "dataset": PROJECT,
    "base_model": "fastlabel_object_detection_light",
    "epoch": 300,
    "gate": {"mAP": {"no_worse_than": 0.02, "at_least": 0.3}},
    "auto_annotate": {"status": "registered", "confidence": 0.5},
}


#: Nobody listens there: what these tests see comes from the Dagster instance.
NOBODY = {"fastlabel": FastLabelResource(access_token="token", base_url="http://127.0.0.1:9")}


def without(*names, **changed):
    return {name: value for name, value in {**LOOP, **changed}.items() if name not in names}


def test_every_key_of_the_mapping_reaches_the_plan():
    plan = LoopPlan.of({**LOOP, "training": {"batch_size": 16}, "evaluation": {"iou_threshold": 0.7}})
    assert (plan.approved, plan.share, plan.dataset) == (200, None, PROJECT)
    assert (plan.training.base_model_name, plan.training.epoch) == ("fastlabel_object_detection_light", 300)
    assert plan.training.more == {"batch_size": 16}
    assert plan.evaluation.iou_threshold == 0.7
    assert plan.evaluation.gate.to_dict()["mAP"] == {"no_worse_than": 0.02, "at_least": 0.3}
    assert (plan.auto_annotation.status, plan.auto_annotation.confidence) == (("registered",), 0.5)
    assert LoopPlan.of(plan) is plan


def test_what_is_left_out():
    plan = LoopPlan.of(without("gate", "auto_annotate"))
    assert plan.evaluation.gate.to_dict()["mAP"] == {"no_worse_than": 0.01}
    assert plan.auto_annotation is None
    assert LoopPlan.of(without(gate=None)).evaluation.gate == plan.evaluation.gate, "`gate:` with nothing behind it"
    assert LoopPlan.of(without(gate={})).evaluation.gate is None
    assert LoopPlan.of(without(auto_annotate=True)).auto_annotation.confidence == 0.4
    assert LoopPlan.of(without(retrain_after={"share": 0.8})).share == 0.8


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ("approved", "loop is a mapping"),
        (without("dataset"), "loop lacks dataset"),
        (without("base_model", "epoch"), "loop lacks base_model, epoch"),
        (without(dataset=" "), "dataset is the name"),
        (without(epoch=0), "loop: training needs"),
        (without(retrain_after=200), "retrain_after is {approved"),
        (without(retrain_after={"approved": 0}), "at least 1"),
        (without(retrain_after={"approved": True}), "at least 1"),
        (without(retrain_after={"share": 1.5}), "at most 1"),
        (without(retrain_after={"approvals": 3}), "has no approvals"),
        (without(retrain_after={"approved": None}), "approved, share or both"),
        (without(gate={"mAPP": {"at_least": 0.1}}), "mAPP"),
        (without(gate={"mAP": {"at_leest": 0.1}}), "at_leest"),
        (without(training=3), "training is a mapping"),
        (without(training={"momentum": 1}), "momentum"),
        (without("gate", evaluation={"gate": {"mAP": {"at_least": 0.5}}}), "gate stands beside evaluation, not in it"),
        (without(training={"epoch": 5, "base_model": "m"}), "base_model, epoch stands beside training, not in it"),
        (without(auto_annotate={"confidence": 2}), "confidence"),
        (without(auto_annotate={"update_existing": True}), "never touches"),
        (without(gaet={}), "loop has no gaet; it has retrain_after"),
    ],
)
def test_what_is_wrong_is_said_when_the_code_location_loads(loop, words):
    with pytest.raises(ValueError, match=words):
        LoopPlan.of(loop)


def definitions(tmp_path, **more):
    resource = FastLabelResource(access_token=dg.EnvVar("FASTLABEL_ACCESS_TOKEN"))
    made = build_fastlabel_project(PROJECT, store=tmp_path, exports=["coco"], resource=resource, **more)
    repository = made.get_repository_def()
    repository.load_all_definitions()
    return made


def keys_of(made, job):
    layer = made.resolve_job_def(job).asset_layer
    return {key.path[-1] for key in layer.executable_asset_keys}


def test_a_loop_is_jobs_and_sensors_and_lineage(tmp_path):
    made = definitions(tmp_path, loop=LOOP, nightly_at=None)
    assert keys_of(made, "street_scenes_sync") == {"labels", "classes", "tasks", "annotations", "images", "coco"}
    assert keys_of(made, "street_scenes_retrain") >= {"labels", "images", "dataset", "training"}
    assert keys_of(made, "street_scenes_evaluate") == {"evaluation", "auto_annotation"}
    starts = {
        "street_scenes_imports": "street_scenes_sync",
        "street_scenes_approvals": "street_scenes_retrain",
        "street_scenes_jobs": "street_scenes_evaluate",
        "street_scenes_annotated": "street_scenes_sync",
    }
    assert {name: made.resolve_sensor_def(name).job_name for name in starts} == starts
    graph = made.resolve_asset_graph()
    arrows = {
        (parent.path[-1], key.path[-1]) for key in graph.get_all_asset_keys() for parent in graph.get(key).parent_keys
    }
    assert arrows >= {
        (PROJECT, "labels"),
        ("labels", "dataset"),
        ("dataset", "training"),
        ("training", "model"),
        ("model", "evaluation"),
        ("evaluation", "auto_annotation"),
    }
    gate = graph.get(dg.AssetCheckKey(dg.AssetKey([PROJECT, "evaluation"]), "gate"))
    assert gate.blocking


def test_without_auto_annotation_the_loop_ends_at_the_gate(tmp_path):
    made = definitions(tmp_path, loop=without("auto_annotate"))
    assert keys_of(made, "street_scenes_evaluate") == {"evaluation"}
    assert "street_scenes_annotated" not in {sensor.name for sensor in made.sensors}


PLAIN = {
    "dataset": PROJECT,
    "training": {"base_model": "fastlabel_object_detection_light", "epoch": 3},
    "evaluation": {"gate": {"mAP": {"at_least": 0.2}}, "wait": "sensor"},
    "auto_annotation": {},
}


@pytest.mark.parametrize("wanted", [PLAIN, {"loop": {**LOOP, "evaluation": {"wait": "sensor"}}}], ids=["plain", "loop"])
@pytest.mark.parametrize("passed", [True, False, None])
def test_an_evaluation_that_no_run_waits_for_is_followed_by_a_run_of_its_own(tmp_path, wanted, passed):
    made = definitions(tmp_path, nightly_at=None, **wanted)
    assert keys_of(made, "street_scenes_evaluate") == {"evaluation"}
    assert keys_of(made, "street_scenes_annotate") == {"auto_annotation"}
    sensor = made.resolve_sensor_def("street_scenes_jobs")
    assert {target.job_name for target in sensor.targets} == {"street_scenes_evaluate", "street_scenes_annotate"}
    verdict = {} if passed is None else {"gate_passed": passed}
    metadata = {"job_kind": "evaluation", "job_id": "e-1", "wait": "sensor", "model_name": "m", **verdict}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization([PROJECT, "evaluation"], metadata=metadata))
        with dg.build_sensor_context(instance, definitions=made, resources=NOBODY) as context:
            requests = sensor.evaluate_tick(context).run_requests
    started = [(request.run_key, request.job_name) for request in requests]
    assert started == ([] if passed is False else [("e-1", "street_scenes_annotate")])


def test_an_evaluation_that_a_run_waits_for_needs_no_second_job(tmp_path):
    made = definitions(tmp_path, loop=LOOP)
    assert "street_scenes_annotate" not in {job.name for job in made.jobs}
    made = definitions(tmp_path, loop=without("auto_annotate", evaluation={"wait": "sensor"}))
    assert "street_scenes_annotate" not in {job.name for job in made.jobs}


def test_imports_alone_are_followed_too(tmp_path):
    """An import that no run waits for, in a project that trains nothing."""
    made = definitions(tmp_path, imports={"s3": {"wait": "sensor"}}, nightly_at=None)
    with Sandbox(tmp_path / "sandbox") as sandbox, dg.DagsterInstance.ephemeral() as instance:
        sandbox.state.create_project(PROJECT, type="image_all")
        job = sandbox.state.start_import(PROJECT, seconds=0)
        key = dg.AssetKey([PROJECT, "s3_import"])
        metadata = {"job_kind": "s3_import", "job_id": job, "submitted": True, "wait": "sensor"}
        instance.report_runless_asset_event(dg.AssetObservation(key, metadata=metadata))
        resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
        with dg.build_sensor_context(instance, definitions=made, resources={"fastlabel": resource}) as context:
            told = made.resolve_sensor_def("street_scenes_jobs").evaluate_tick(context).asset_events
    assert [event.asset_key for event in told if isinstance(event, dg.AssetMaterialization)] == [key]
    none = {sensor.name for sensor in definitions(tmp_path / "bare").sensors}
    assert "street_scenes_jobs" not in none


def test_a_loop_stands_for_what_would_say_the_same_twice(tmp_path):
    with pytest.raises(ValueError, match="loop names dataset"):
        definitions(tmp_path, loop=LOOP, dataset=PROJECT)
    with pytest.raises(ValueError, match="every second at most"):
        definitions(tmp_path, loop=LOOP, sensor_interval_seconds=0)


@pytest.mark.parametrize("job", ["job-1", "", None])
def test_each_auto_annotation_that_has_landed_is_synced_once(tmp_path, job):
    made = definitions(tmp_path, loop=LOOP)
    sensor = made.resolve_sensor_def("street_scenes_annotated")
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, keys = None, []
        for _ in range(3):
            metadata = {} if job is None else {"job_id": job}
            instance.report_runless_asset_event(
                dg.AssetMaterialization([PROJECT, "auto_annotation"], metadata=metadata)
            )
            with dg.build_sensor_context(instance, cursor=cursor, definitions=made) as context:
                data = sensor.evaluate_tick(context)
            cursor = data.cursor
            keys += [request.run_key for request in data.run_requests]
    # run and jobs sensor may both tell of one job: its key is the same
    assert set(keys) == ({"fastlabel/street-scenes/annotated/job-1"} if job else set())
