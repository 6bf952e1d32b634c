"""The jobs sensor: a finished training is the model, another finished job its asset; failed and stuck ones are failed
checks; each once."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.job_reports import submissions as submissions_module
from fastlabel_dagster.job_reports.submissions import LOOK_BACK
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import build_jobs_sensor, open_jobs
from fastlabel_dagster.sensors import jobs as jobs_module
from fastlabel_dagster.sensors.polling import Polling

TRAINING = dg.AssetKey(["street-scenes", "training"])
MODEL = dg.AssetKey(["street-scenes", "model"])


@pytest.fixture
def client(sandbox):
    with FastLabelClient(sandbox.token, sandbox.url) as client:
        picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
        client.datasets.create("street")
        client.dataset_objects.create("street", "a.jpg", content=picture)
        yield client


@pytest.fixture
def submit(client, instance):
    """Submits a training and records it as the training asset does."""

    def submit(version=3, *, again=None):
        job = again or client.training_jobs.submit("street", "fastlabel_object_detection_light", 3)["trainingJobId"]
        metadata = {
            "training_job_id": job,
            "labels_version": version,
            "labels_digest": f"digest-{version}",
            "dataset": "street",
            "dataset_version": f"dataset-{version}",
        }
        instance.report_runless_asset_event(dg.AssetMaterialization(TRAINING, metadata=metadata))
        return job

    return submit


def models(daemon):
    return [event for event in daemon.events if isinstance(event, dg.AssetMaterialization)]


def checks(daemon):
    return [event for event in daemon.events if isinstance(event, dg.AssetCheckEvaluation)]


def test_a_finished_training_is_reported_once_with_what_it_was_trained_on(daemon, sandbox, submit, instance):
    watch = build_jobs_sensor("street-scenes")
    assert "no job" in daemon.tick(watch).skip_message
    job = submit()
    assert "in_progress" in daemon.tick(watch).skip_message
    sandbox.state.clock.advance(3600)
    for _ in range(3):
        daemon.tick(build_jobs_sensor("street-scenes"))
    (model,) = models(daemon)
    assert model.asset_key == MODEL and model.tags["dagster/data_version"] == job
    told = {name: value.value for name, value in model.metadata.items()}
    assert (told["training_job_id"], told["labels_version"], told["labels_digest"]) == (job, 3, "digest-3")
    assert (told["dataset"], told["dataset_version"]) == ("street", "dataset-3")
    assert told["model_id"] and told["model_url"].startswith("http") and "?" not in told["model_url"]
    assert [(check.check_name, check.passed) for check in checks(daemon)] == [("training_succeeded", True)]
    assert len(instance.fetch_materializations(MODEL, limit=10).records) == 1


def test_a_lost_cursor_reports_nothing_twice(daemon, sandbox, submit):
    submit()
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor("street-scenes"))
    daemon.cursor = None
    daemon.tick(build_jobs_sensor("street-scenes"))
    assert len(models(daemon)) == 1


def test_a_crash_before_the_events_are_stored_loses_nothing(daemon, sandbox, submit):
    submit()
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor("street-scenes"), crash=True)
    daemon.tick(build_jobs_sensor("street-scenes"))
    assert len(models(daemon)) == 1


def test_a_failed_training_is_a_failed_check_and_no_model(daemon, sandbox, submit):
    sandbox.state.fail_next("training")
    job = submit()
    sandbox.state.clock.advance(3600)
    for _ in range(2):
        daemon.tick(build_jobs_sensor("street-scenes"))
    assert models(daemon) == []
    (check,) = checks(daemon)
    assert not check.passed and check.asset_key == MODEL
    assert check.metadata["training_job_id"].value == job


def test_each_of_several_trainings_is_reported_in_order(daemon, sandbox, submit):
    jobs = [submit(version) for version in range(3)]
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor("street-scenes"))
    assert [model.metadata["training_job_id"].value for model in models(daemon)] == jobs


def test_a_job_named_again_by_a_later_run_keeps_the_labels_it_was_trained_on(daemon, sandbox, submit):
    job = submit(version=1)
    submit(version=2, again=job)  # nothing newly approved: the next run attached to it
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor("street-scenes"))
    (model,) = models(daemon)
    assert model.metadata["labels_version"].value == 1


@pytest.fixture
def rename(sandbox):
    """Gives a job another id: by the one it had, FastLabel does not show it."""

    def rename(before, after):
        with sandbox.state.database.write() as connection:
            connection.execute("UPDATE jobs SET id = ? WHERE id = ?", (after, before))

    return rename


@pytest.mark.parametrize("looked_for", ["as long as a job may take", "since a run has attached to it"])
def test_a_job_that_is_shown_again_is_reported_after_all(looked_for, daemon, sandbox, submit, rename):
    """The token was of another workspace for a while, say: what FastLabel has not shown was never gone."""
    job = submit()
    rename(job, "unseen")
    forgotten = looked_for.startswith("since")
    watch = build_jobs_sensor("street-scenes", **({"stuck_after": timedelta(microseconds=1)} if forgotten else {}))
    for _ in range(4):
        daemon.tick(watch)
    assert [(one.check_name, one.passed) for one in checks(daemon)] == [("training_succeeded", False)]
    assert (daemon.tick(watch).skip_message == "no job of street-scenes is under way") is forgotten
    rename("unseen", job)
    sandbox.state.clock.advance(3600)
    if forgotten:
        submit(again=job)
    for _ in range(3):
        daemon.tick(watch)
    assert [one.passed for one in checks(daemon)] == [False, True]
    (model,) = models(daemon)
    assert model.metadata["training_job_id"].value == job


def test_a_job_that_was_shown_again_is_followed_for_longer_than_it_may_take(daemon, sandbox, submit, rename):
    job = submit()
    soon, late = (build_jobs_sensor("street-scenes", stuck_after=one) for one in (24, timedelta(microseconds=1)))
    for _ in range(2):  # gone and shown again, twice
        rename(job, "unseen")
        for _ in range(3):
            daemon.tick(soon)
        rename("unseen", job)
        for _ in range(3):
            daemon.tick(soon)
    for _ in range(3):
        daemon.tick(late)
    sandbox.state.clock.advance(3600)
    daemon.tick(late)
    assert [(one.passed, one.severity.value) for one in checks(daemon) if one.check_name == "training_succeeded"] == [
        (False, "ERROR"),
        (False, "ERROR"),
        (False, "WARN"),  # it hangs
        (True, "ERROR"),
    ]
    notes = [one.metadata["job_outcome"].value for one in daemon.events if isinstance(one, dg.AssetObservation)]
    assert notes == ["gone", "shown", "gone", "shown", "stuck"]
    assert [one.metadata["training_job_id"].value for one in models(daemon)] == [job]


def test_a_job_that_is_gone_is_a_failed_check(daemon, submit):
    submit(again="00000000-0000-0000-0000-000000000000")
    for _ in range(2):
        daemon.tick(build_jobs_sensor("street-scenes"))
    (check,) = checks(daemon)
    assert not check.passed and "no such job" in check.description


EVALUATION = dg.AssetKey(["street-scenes", "evaluation"])
ANNOTATION = dg.AssetKey(["street-scenes", "auto_annotation"])
MODEL_NAME = "fastlabel_object_detection_light"


@pytest.fixture
def evaluate(client, instance):
    """Submits an evaluation and observes it as the evaluation asset does."""

    def evaluate(model="model-a", **more):
        job = client.evaluation_jobs.submit("street", MODEL_NAME)["id"]
        metadata = {
            **{
                "job_kind": "evaluation",
                "job_id": job,
                "job_status": "in_progress",
                "submitted": True,
                "wait": "sensor",
            },
            **{"model_name": model, "model_id": f"id-of-{model}", "dataset": "street", "labels_version": 7},
            **{"gate": {"mAP": {"no_worse_than": 0.01}}, **more},
        }
        instance.report_runless_asset_event(dg.AssetObservation(EVALUATION, metadata=metadata))
        return job

    return evaluate


def told(daemon, check):
    return [(one.passed, one.description) for one in checks(daemon) if one.check_name == check]


def test_a_finished_evaluation_is_its_asset_with_the_gate_judged(daemon, sandbox, evaluate):
    sandbox.state.next_metrics(mAP=0.7)
    sandbox.state.next_metrics(mAP=0.5)
    watch = build_jobs_sensor("street-scenes")
    for model in ("model-a", "model-b"):
        job = evaluate(model)
        assert "in_progress" in daemon.tick(watch).skip_message
        sandbox.state.clock.advance(3600)
        for _ in range(2):
            daemon.tick(watch)
        newest = models(daemon)[-1]
        assert (newest.asset_key, newest.tags["dagster/data_version"]) == (EVALUATION, job)
    first, second = models(daemon)
    assert (first.metadata["mAP"].value, second.metadata["mAP"].value) == (0.7, 0.5)
    assert (second.metadata["labels_version"].value, second.metadata["model_name"].value) == (7, "model-b")
    assert [passed for passed, _ in told(daemon, "evaluation_succeeded")] == [True, True]
    gates = told(daemon, "gate")
    assert [passed for passed, _ in gates] == [True, False] and "previous model's 0.7" in gates[1][1]
    assert [row.data["model"] for row in second.metadata["models"].records] == ["model-b", "model-a"]


def test_a_failure_is_told_once_though_the_cursor_is_lost(daemon, sandbox, evaluate):
    sandbox.state.fail_next("evaluation")
    job = evaluate()
    sandbox.state.clock.advance(3600)
    for _ in range(3):
        daemon.tick(build_jobs_sensor("street-scenes"))
        daemon.cursor = None
    assert models(daemon) == []
    ((passed, text),) = told(daemon, "evaluation_succeeded")
    assert not passed and job in text and "failed" in text


def test_an_auto_annotation_is_reported_with_its_counts(daemon, sandbox, client, instance):
    job = client.auto_annotation_jobs.submit("street-scenes", MODEL_NAME)["id"]
    metadata = {
        "job_kind": "auto_annotation",
        "job_id": job,
        "submitted": True,
        "model_name": "m",
        "untouched_tasks": 30,
    }
    instance.report_runless_asset_event(dg.AssetObservation(ANNOTATION, metadata=metadata))
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor("street-scenes"))
    (event,) = models(daemon)
    assert event.asset_key == ANNOTATION and event.metadata["job_status"].value == "completed"
    assert {"annotated_tasks", "annotations_made", "untouched_tasks", "model_name"} <= set(event.metadata)


def test_an_import_is_reported(daemon, sandbox, instance):
    job = sandbox.state.start_import("street-scenes", tasks=1)
    key = dg.AssetKey(["street-scenes", "s3_import"])
    metadata = {"job_kind": "s3_import", "job_id": job, "submitted": True}
    instance.report_runless_asset_event(dg.AssetObservation(key, metadata=metadata))
    watch = build_jobs_sensor("street-scenes")
    assert "running" in daemon.tick(watch).skip_message
    sandbox.state.clock.advance(3600)
    daemon.tick(watch)
    assert [event.asset_key for event in models(daemon)] == [key]
    assert told(daemon, "s3_import_succeeded")[0][0] is True


def test_a_job_that_hangs_is_told_once_and_the_check_turns_when_it_ends(daemon, sandbox, submit):
    job = submit()
    watch = build_jobs_sensor("street-scenes", stuck_after=timedelta(microseconds=1))
    for _ in range(3):
        daemon.tick(watch)
        daemon.cursor = None
    ((passed, text),) = told(daemon, "training_succeeded")
    assert not passed and job in text and "cannot cancel" in text
    assert checks(daemon)[0].severity == dg.AssetCheckSeverity.WARN
    sandbox.state.clock.advance(3600)
    for _ in range(2):
        daemon.tick(watch)
    assert [passed for passed, _ in told(daemon, "training_succeeded")] == [False, True]
    assert len(models(daemon)) == 1
    patient = build_jobs_sensor("street-scenes", stuck_after=24)
    submit()
    daemon.tick(patient)
    assert len(checks(daemon)) == 2


def test_a_job_that_a_run_waits_for_is_left_to_it_until_it_ends(daemon, sandbox, client, instance):
    """The step observes what it has submitted, and while its run goes on the sensor holds still."""
    watch = build_jobs_sensor("street-scenes")
    seen = []

    @dg.op
    def wait_for_it(context):
        job = client.evaluation_jobs.submit("street", MODEL_NAME)["id"]
        metadata = {"job_kind": "evaluation", "job_id": job, "submitted": True, "wait": "run", "model_name": "m"}
        context.log_event(dg.AssetObservation(EVALUATION, metadata=metadata))
        sandbox.state.clock.advance(3600)
        seen.append(daemon.tick(watch).skip_message)
        raise RuntimeError("the process is killed")

    @dg.job
    def job():
        wait_for_it()

    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    assert seen == ["no job of street-scenes is under way"] and models(daemon) == []
    daemon.tick(watch)
    assert [event.asset_key for event in models(daemon)] == [EVALUATION]


def test_a_run_that_waits_for_longer_than_a_job_may_take_reports_it_all_the_same(daemon, sandbox, client, instance):
    """That it hangs is told while the run waits; its end is the run's to tell."""
    watch = build_jobs_sensor("street-scenes", stuck_after=timedelta(microseconds=1))

    @dg.op
    def wait_for_it(context):
        job = client.evaluation_jobs.submit("street", MODEL_NAME)["id"]
        metadata = {"job_kind": "evaluation", "job_id": job, "submitted": True, "wait": "run", "model_name": "m"}
        metadata["give_up_after_hours"] = 24.0
        context.log_event(dg.AssetObservation(EVALUATION, metadata=metadata))
        for seconds in (0, 0, 3600, 0):
            sandbox.state.clock.advance(seconds)
            daemon.tick(watch)

    @dg.job
    def job():
        wait_for_it()

    job.execute_in_process(instance=instance)
    assert models(daemon) == [] and [one.passed for one in checks(daemon)] == [False]
    for _ in range(2):  # the run has ended without a word
        daemon.tick(watch)
    assert [event.asset_key for event in models(daemon)] == [EVALUATION]
    assert [one.passed for one in checks(daemon)] == [False, True]


def test_a_job_that_a_later_run_has_attached_to_is_left_to_that_run(daemon, sandbox, client, instance):
    id = client.evaluation_jobs.submit("street", MODEL_NAME)["id"]
    seen = []

    def wait_for_it(then):
        @dg.op
        def wait(context):
            metadata = {"job_kind": "evaluation", "job_id": id, "submitted": False, "wait": "run", "model_name": "m"}
            context.log_event(dg.AssetObservation(EVALUATION, metadata=metadata))
            then()

        @dg.job
        def job():
            wait()

        job.execute_in_process(instance=instance)

    def tick():
        sandbox.state.clock.advance(3600)
        seen.append(daemon.tick(build_jobs_sensor("street-scenes")).skip_message)

    wait_for_it(lambda: None)
    wait_for_it(tick)
    assert seen == ["no job of street-scenes is under way"] and models(daemon) == []
    tick()
    assert len(models(daemon)) == 1


def test_the_events_of_an_asset_are_read_once_a_tick(daemon, evaluate, instance, monkeypatch):
    evaluate()
    read = []

    def noted(what, fetch):
        def note(wanted, *given, **more):
            read.append((what, wanted.asset_key.path[-1]))
            return fetch(wanted, *given, **more)

        return note

    for what in ("fetch_materializations", "fetch_observations"):
        monkeypatch.setattr(instance, what, noted(what, getattr(instance, what)))
    daemon.tick(build_jobs_sensor("street-scenes", on_model=evaluate_it, on_evaluation=evaluate_it))
    assert len(read) == len(set(read)) and ("fetch_materializations", "evaluation") in read


def test_a_run_that_reports_and_ends_between_two_looks_is_not_reported_again(daemon, sandbox, client, instance):
    """The run's reports are read, then whether it still goes on: what it did in between is looked for once more."""

    @dg.op
    def submit_it(context):
        job = client.evaluation_jobs.submit("street", MODEL_NAME)["id"]
        metadata = {"job_kind": "evaluation", "job_id": job, "submitted": True, "wait": "run", "model_name": "m"}
        context.log_event(dg.AssetObservation(EVALUATION, metadata=metadata))

    @dg.job
    def job():
        submit_it()

    assert job.execute_in_process(instance=instance).success
    sandbox.state.clock.advance(3600)
    (record,) = instance.fetch_observations(EVALUATION, limit=1).records
    named = {name: value.value for name, value in record.asset_observation.metadata.items()}
    ask = instance.get_run_by_id

    def ask_late(run_id):
        instance.report_runless_asset_event(dg.AssetMaterialization(EVALUATION, metadata=named))
        return ask(run_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "get_run_by_id", ask_late)
        daemon.tick(build_jobs_sensor("street-scenes"))
    assert models(daemon) == []


def test_runs_that_had_nothing_to_do_push_no_job_out_of_sight(daemon, sandbox, client, instance):
    def submit():
        job = client.auto_annotation_jobs.submit("street-scenes", MODEL_NAME)["id"]
        metadata = {"job_kind": "auto_annotation", "job_id": job, "submitted": True, "model_name": "m"}
        instance.report_runless_asset_event(dg.AssetObservation(ANNOTATION, metadata=metadata))

    def do_nothing():
        metadata = {"job_kind": "auto_annotation", "submitted": False, "reason": "there was nothing to annotate"}
        for _ in range(LOOK_BACK):
            instance.report_runless_asset_event(dg.AssetObservation(ANNOTATION, metadata=metadata))
            instance.report_runless_asset_event(dg.AssetMaterialization(ANNOTATION, metadata=metadata))

    submit()
    do_nothing()
    sandbox.state.clock.advance(3600)
    watch = build_jobs_sensor("street-scenes")
    daemon.tick(watch)
    assert len(models(daemon)) == 1, "the submission is still in sight"
    do_nothing()
    daemon.tick(watch)
    assert len(models(daemon)) == 1, "and so is its end"


def test_many_ends_push_none_out_of_sight(daemon, client, instance):
    """What was submitted in sight has its end in sight, however many ends came after it."""
    metadata = {"job_kind": "evaluation", "job_id": "first", "submitted": True, "model_name": "m"}
    instance.report_runless_asset_event(dg.AssetObservation(EVALUATION, metadata=metadata))
    for number in range(LOOK_BACK + 1):
        ended = {"job_kind": "evaluation", "job_id": f"later-{number}" if number else "first"}
        instance.report_runless_asset_event(dg.AssetMaterialization(EVALUATION, metadata=ended))
    assert "no job" in daemon.tick(build_jobs_sensor("street-scenes")).skip_message


@dg.op
def nothing():
    pass


@dg.job
def evaluate_it():
    nothing()


def test_a_new_model_starts_one_run(daemon, sandbox, submit):
    def watch():
        return build_jobs_sensor("street-scenes", on_model=evaluate_it)

    job = submit()
    assert not daemon.tick(watch()).run_requests
    sandbox.state.clock.advance(3600)
    for _ in range(3):
        daemon.tick(watch())
    assert list(daemon.launched) == [job]
    assert daemon.launched[job].tags["fastlabel/project"] == "street-scenes"
    assert not any(event for event in daemon.events if event.asset_key != MODEL)


def test_a_run_that_was_not_launched_before_the_daemon_died_is_launched_by_the_next_tick(daemon, sandbox, submit):
    job = submit()
    watch = build_jobs_sensor("street-scenes", on_model=evaluate_it)
    sandbox.state.clock.advance(3600)
    cursor = daemon.cursor
    daemon.tick(watch)
    daemon.launched.clear()  # the model was stored, then the daemon died
    daemon.cursor = cursor
    daemon.tick(watch)
    assert list(daemon.launched) == [job] and len(models(daemon)) == 1
    # and once there is a run with this key, nothing more is asked for
    ran = evaluate_it.execute_in_process(instance=daemon.instance, tags={"dagster/run_key": job})
    assert ran.success and not daemon.tick(watch).run_requests


@dg.job
def annotate_it():
    nothing()


def test_a_model_that_passes_its_gate_starts_one_run_and_one_that_does_not_none(daemon, sandbox, submit, evaluate):
    watch = build_jobs_sensor("street-scenes", on_model=evaluate_it, on_evaluation=annotate_it)
    sandbox.state.next_metrics(mAP=0.7)
    sandbox.state.next_metrics(mAP=0.5)
    good, training = evaluate("model-a"), submit()
    sandbox.state.clock.advance(3600)
    for _ in range(2):
        daemon.tick(watch)
    assert {key: one.job_name for key, one in daemon.launched.items()} == {good: "annotate_it", training: "evaluate_it"}
    evaluate("model-b")
    sandbox.state.clock.advance(3600)
    for _ in range(2):
        daemon.tick(watch)
    assert [passed for passed, _ in told(daemon, "gate")] == [True, False] and len(daemon.launched) == 2


def test_an_evaluation_that_a_run_has_waited_for_starts_no_other_run(daemon, instance):
    metadata = {"job_kind": "evaluation", "job_id": "e-1", "wait": "run", "gate_passed": True, "model_name": "m"}
    instance.report_runless_asset_event(dg.AssetMaterialization(EVALUATION, metadata=metadata))
    watch = build_jobs_sensor("street-scenes", on_evaluation=annotate_it)
    assert not daemon.tick(watch).run_requests
    instance.report_runless_asset_event(dg.AssetMaterialization(EVALUATION, metadata={**metadata, "wait": "sensor"}))
    assert [one.run_key for one in daemon.tick(watch).run_requests] == ["e-1"]


def trained_by_a_run(instance, *ids):
    for id in ids:
        metadata = {"job_kind": "training", "job_id": id, "wait": "run"}
        instance.report_runless_asset_event(dg.AssetMaterialization(MODEL, metadata=metadata))


def launched(daemon, watch, job):
    """One tick, and the runs it asks for, as the daemon launches them."""
    requests = daemon.tick(watch).run_requests
    for one in requests:
        tags = {"dagster/run_key": one.run_key, "dagster/sensor_name": watch.name}
        assert job.execute_in_process(instance=daemon.instance, tags=tags).success
    return [one.run_key for one in requests]


def test_each_of_several_models_that_runs_have_made_between_two_ticks_starts_a_run(daemon, instance):
    watch = build_jobs_sensor("street-scenes", on_model=evaluate_it)
    trained_by_a_run(instance, "t-1", "t-2", "t-3")
    assert launched(daemon, watch, evaluate_it) == ["t-1", "t-2", "t-3"]
    trained_by_a_run(instance, "t-2", "t-4")
    assert launched(daemon, watch, evaluate_it) == ["t-4"]
    assert launched(daemon, watch, evaluate_it) == []


def test_a_run_that_has_failed_is_not_requested_again_and_the_tick_says_what_to_do(daemon, instance):
    @dg.job(name="evaluate_it")
    def broken():
        dg.op(name="breaks")(lambda: 1 / 0)()

    watch = build_jobs_sensor("street-scenes", on_model=evaluate_it)
    trained_by_a_run(instance, "t-1")
    tags = {"dagster/run_key": "t-1", "dagster/sensor_name": watch.name}
    failed = broken.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id
    told = daemon.tick(watch)
    assert told.run_requests == [] and "no job of street-scenes is under way" in told.skip_message
    assert "evaluate_it that follows the training t-1 has failed and is not requested again" in told.skip_message
    assert f"re-execute it (run {failed})" in told.skip_message
    again = {"dagster/root_run_id": failed, "dagster/parent_run_id": failed}
    assert evaluate_it.execute_in_process(instance=instance, tags=again).success
    assert daemon.tick(watch).skip_message == "no job of street-scenes is under way"


def test_two_sensors_may_run_two_jobs_for_one_model(make_daemon, instance):
    trained_by_a_run(instance, "t-1")
    first = build_jobs_sensor("street-scenes", on_model=evaluate_it, name="first")
    second = build_jobs_sensor("street-scenes", on_model=annotate_it, name="second")
    renamed = build_jobs_sensor("street-scenes", on_model=evaluate_it, name="first_with_another_name")
    daemon = make_daemon()
    assert launched(daemon, first, evaluate_it) == ["t-1"]
    assert launched(daemon, second, annotate_it) == ["t-1"]
    assert [launched(daemon, one, evaluate_it) for one in (first, second, renamed)] == [[], [], []]


def slow_instance(monkeypatch, vendor, seconds):
    """By the vendor's clock each look at the events of an asset takes this long."""
    look = open_jobs.job_history

    def slow(*given, **more):
        vendor.now += seconds
        return look(*given, **more)

    monkeypatch.setattr(open_jobs, "job_history", slow)


def test_time_the_instance_has_taken_is_gone_for_polling(make_vendor, make_daemon, instance, monkeypatch):
    """By a clock that only looks at the instance and answers of the server move."""
    slugs = [f"p{number}" for number in range(60)]
    for slug in slugs:
        metadata = {"job_kind": "training", "job_id": f"t-{slug}", "submitted": True}
        instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey([slug, "training"]), metadata=metadata))
    vendor = make_vendor(lambda path, query: [], lambda path, query: 0.3)
    slow_instance(monkeypatch, vendor, 0.025)
    watch = build_jobs_sensor(slugs, kinds=["training"], time_budget_seconds=3, clock=vendor.clock)
    for _ in range(3):
        before = vendor.now
        make_daemon(resource=vendor.resource()).tick(watch)
        assert 2.0 < vendor.now - before <= 3.0


def test_a_tick_goes_on_with_the_project_that_the_last_one_had_no_time_for(
    make_vendor, make_daemon, instance, monkeypatch
):
    slugs = [f"p{number}" for number in range(12)]
    for slug in slugs:
        metadata = {"job_kind": "training", "job_id": f"t-{slug}", "submitted": True}
        instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey([slug, "training"]), metadata=metadata))
    vendor = make_vendor(lambda path, query: (403, {"message": "no"}))
    slow_instance(monkeypatch, vendor, 0.4)
    daemon = make_daemon(resource=vendor.resource())
    watch = build_jobs_sensor(slugs, kinds=["training"], time_budget_seconds=3, clock=vendor.clock)
    for _ in range(6):  # two projects take more than the second that a tick has for them
        daemon.tick(watch)
    assert {path.split("/")[-1] for path in vendor.asked} == {f"t-{slug}" for slug in slugs}
    for _ in range(12):
        daemon.tick(watch)
    health = [one for one in checks(daemon) if one.check_name == "polling_healthy"]
    assert len(health) == 12 and not any(one.passed for one in health), "who was not looked at is not healthy for that"


def test_every_job_has_its_turn_where_instance_and_server_are_slow(make_vendor, make_daemon, instance, monkeypatch):
    """A tick has time for some projects, and for some of the jobs of these."""
    slugs = [f"p{number}" for number in range(7)]
    for slug in slugs:
        for number in range(10):
            metadata = {"job_kind": "training", "job_id": f"t-{slug}-{number}", "submitted": True}
            instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey([slug, "training"]), metadata=metadata))
    vendor = make_vendor(lambda path, query: {"status": "in_progress"}, lambda path, query: 0.3)
    slow_instance(monkeypatch, vendor, 0.4)
    monkeypatch.setattr(jobs_module, "Polling", partial(Polling, wall=vendor.clock))
    daemon = make_daemon(resource=vendor.resource())
    watch = build_jobs_sensor(slugs, kinds=["training"], time_budget_seconds=3, clock=vendor.clock)
    for _ in range(60):
        before = vendor.now
        daemon.tick(watch)
        assert vendor.now - before <= 4.2  # a wave of four answers, one after the other by this clock
    assert len(vendor.asked) == 70
    assert max(vendor.asked.values()) - min(vendor.asked.values()) <= 2


def test_without_a_token_it_says_so_also_when_there_is_no_job(make_daemon):
    daemon = make_daemon(resource=FastLabelResource(access_token="", base_url="http://127.0.0.1:9/v1/"))
    assert "no job" in daemon.tick(build_jobs_sensor("street-scenes")).skip_message


def test_a_job_that_runs_attach_to_for_weeks_is_reported_once(daemon, sandbox, submit, instance, monkeypatch):
    job = submit()
    sandbox.state.clock.advance(3600)
    watch = build_jobs_sensor("street-scenes")
    daemon.tick(watch)
    assert len(models(daemon)) == 1
    # as if all of this was two weeks ago, and each hour since then a run had attached to the training
    monkeypatch.setattr(submissions_module, "_RECENT", -1.0)
    monkeypatch.setattr(submissions_module, "_CLOCKS_DIFFER", 0.0)
    monkeypatch.setattr(open_jobs, "NEW", timedelta(0))
    metadata = {"job_kind": "training", "job_id": job, "submitted": False, "labels_version": 9}
    for _ in range(LOOK_BACK + 1):
        instance.report_runless_asset_event(dg.AssetMaterialization(TRAINING, metadata=metadata))
    for _ in range(3):
        daemon.tick(watch)
    assert [model.metadata["labels_version"].value for model in models(daemon)] == [3]


def test_several_projects_are_followed_by_one_sensor(daemon, sandbox, client, instance):
    slugs = ["street-scenes", "harbour"]
    jobs = {}
    for slug in slugs:
        job = client.training_jobs.submit("street", MODEL_NAME, 3)["trainingJobId"]
        key = dg.AssetKey([slug, "training"])
        instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"training_job_id": job}))
        jobs[slug] = job
    sandbox.state.clock.advance(3600)
    daemon.tick(build_jobs_sensor(slugs, on_model=dict.fromkeys(slugs, evaluate_it)))
    assert {event.asset_key.path[0]: event.metadata["job_id"].value for event in models(daemon)} == jobs
    assert {key: one.job_name for key, one in daemon.launched.items()} == dict.fromkeys(jobs.values(), "evaluate_it")


def test_a_server_that_is_down_delays_and_loses_nothing(daemon, sandbox, submit, evaluate):
    submit()
    evaluate()
    sandbox.state.clock.advance(3600)
    sandbox.fail("GET trainings/{job_id}", status=503, times=1)
    watch = build_jobs_sensor("street-scenes")
    daemon.tick(watch)
    assert [event.asset_key for event in models(daemon)] == [EVALUATION]
    for _ in range(3):
        daemon.tick(watch)
    assert [event.asset_key for event in models(daemon)] == [EVALUATION, MODEL]


def test_a_project_is_healthy_when_all_its_jobs_can_be_read(daemon, sandbox, submit, evaluate):
    """One check for a project, told when it turns: not for each job, and not at every tick."""
    submit()
    evaluate()
    watch = build_jobs_sensor("street-scenes")

    def health():
        return [one for one in checks(daemon) if one.check_name == "polling_healthy"]

    for _ in range(3):
        daemon.tick(watch)
    assert health() == [], "nothing was wrong, so nothing is said"
    sandbox.fail("GET trainings/{job_id}", status=403, times=99)
    sandbox.fail("GET evaluations/{job_id}", status=403, times=99)
    for _ in range(4):
        daemon.tick(watch)
    (failed,) = health()
    assert not failed.passed and failed.asset_key == dg.AssetKey(["fastlabel", "street-scenes"])
    assert failed.severity == dg.AssetCheckSeverity.WARN and "cannot be read" in failed.description
    sandbox.clear_faults()
    sandbox.fail("GET trainings/{job_id}", status=403, times=99)
    for _ in range(12):
        daemon.tick(watch)
    assert len(health()) == 1, "one of the two is still out of reach"
    sandbox.clear_faults()
    for _ in range(12):
        daemon.tick(watch)
    assert [one.passed for one in health()] == [False, True]


def test_a_job_that_cannot_be_read_is_told_again_when_another_sensor_has_turned_the_check(
    daemon, sandbox, submit, instance
):
    submit()
    watch = build_jobs_sensor("street-scenes")
    sandbox.fail("GET trainings/{job_id}", status=403, times=99)
    for _ in range(3):
        daemon.tick(watch)
    passed = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["fastlabel", "street-scenes"]), check_name="polling_healthy", passed=True
    )
    instance.report_runless_asset_event(passed)
    for _ in range(3):
        daemon.tick(watch)
    assert [one.passed for one in checks(daemon) if one.check_name == "polling_healthy"] == [False, False]


@pytest.mark.parametrize("failing", [{"street-scenes training 1": [1]}, [], "x"])
def test_a_damaged_cursor_stops_no_tick(daemon, submit, failing):
    submit()
    daemon.cursor = json.dumps({"v": 2, "kind": "jobs", "failing": failing})
    assert "in_progress" in daemon.tick(build_jobs_sensor("street-scenes")).skip_message


def test_a_job_that_has_gone_ails_no_more(daemon, sandbox, submit, instance):
    job = submit()
    watch = build_jobs_sensor("street-scenes")
    sandbox.fail("GET trainings/{job_id}", status=403, times=99)
    daemon.tick(watch)
    model = dg.AssetMaterialization(MODEL, metadata={"job_kind": "training", "job_id": job})
    instance.report_runless_asset_event(model)  # somebody else has seen it end
    daemon.tick(watch)
    assert [one.passed for one in checks(daemon) if one.check_name == "polling_healthy"] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"projects": []}, "at least one project"),
        ({"kinds": ["coffee"]}, "no jobs of the kind 'coffee'"),
        ({"stuck_after": 0}, "longer than nothing"),
        ({"time_budget_seconds": 90}, "up to 55 seconds"),
        ({"on_model": "by-name", "on_evaluation": "by-name-too"}, "as job objects"),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        build_jobs_sensor(**{"projects": "street-scenes", **arguments})
