"""The training sensor: a finished training is the model, once; a failed one a failed check, once."""

from __future__ import annotations

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sensors import build_jobs_sensor

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


def test_a_job_that_is_gone_is_a_failed_check(daemon, submit):
    submit(again="00000000-0000-0000-0000-000000000000")
    for _ in range(2):
        daemon.tick(build_jobs_sensor("street-scenes"))
    (check,) = checks(daemon)
    assert not check.passed and "no such job" in check.description
