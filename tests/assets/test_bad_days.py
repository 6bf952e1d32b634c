"""Wrong token, server down, unknown project, broken tasks: a clear failure or a counted entry, no more lost."""

from __future__ import annotations

import io
import json
import socket

import dagster as dg
import numpy as np
import pytest


def steps_failed(result) -> list[str]:
    return sorted(event.step_key for event in result.all_events if event.is_step_failure)


def test_a_wrong_token_fails_at_once_and_says_what_to_do(make_project, sandbox, fill_project, failure_text):
    fill_project(sandbox.state)
    result = make_project(token="not-the-token").run("street_scenes_sync")
    assert steps_failed(result) == ["street_scenes_labels"]
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    text = failure_text(result)
    assert "Unauthorized" in text and "FASTLABEL_ACCESS_TOKEN" in text and "401" in text
    assert "not-the-token" not in text


def test_a_server_that_is_down_is_retried_and_then_named(make_project, failure_text):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = make_project(base_url=f"http://127.0.0.1:{port}/v1/")
    result = project.run("street_scenes_sync")
    assert steps_failed(result) == ["street_scenes_labels"]
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    text = failure_text(result)
    assert "TransportError" in text and "tried 2 times" in text and "check the network" in text


def test_an_unknown_project_fails_with_a_suggestion(make_project, sandbox, fill_project, failure_text):
    fill_project(sandbox.state)
    result = make_project(slug="street-scene").run("street_scene_sync")
    assert steps_failed(result) == ["street_scene_labels"]
    assert "NotFound" in failure_text(result) and "street-scenes" in failure_text(result)


def test_exports_before_the_first_sync_say_what_to_do(project, failure_text):
    selection = dg.AssetSelection.assets(dg.AssetKey(["street-scenes", "coco"]))
    jobs = dg.Definitions(jobs=[dg.define_asset_job("alone", selection)])
    definitions = dg.Definitions.merge(project.definitions, jobs)
    job = definitions.resolve_job_def("alone")
    result = job.execute_in_process(instance=project.instance, raise_on_error=False)
    assert "materialize street-scenes/labels first" in failure_text(result)


def test_broken_labels_fail_checks_and_not_the_run(project):
    state = project.sandbox.state
    car = {"type": "bbox", "value": "car"}
    tasks = [
        {"name": "far-out.jpg", "width": 100, "height": 80, "annotations": [{**car, "points": [50, 50, 500, 500]}]},
        {"name": "no-size.jpg", "width": None, "height": None, "annotations": [{**car, "points": [1, 2, 3, 4]}]},
        {
            "name": "ghost.jpg",
            "width": 9,
            "height": 9,
            "annotations": [{**car, "value": "gone", "points": [1, 1, 2, 2]}],
        },
        *({"name": f"empty-{n}.jpg", "width": 9, "height": 9, "status": "approved"} for n in range(5)),
    ]
    state.add_tasks("street-scenes", tasks, validate=False)
    result = project.run("street_scenes_sync")
    assert result.success
    checks = project.checks(result)
    assert checks["geometry"] is False
    assert checks["classes_known"] is False
    assert checks["empty_tasks"] is False
    assert checks["parity"] is True
    images = project.metadata("images")
    assert images["dagster/row_count"] == 12
    assert len(images["quarantined"].records) == 8
    coco = json.loads((project.store / "coco" / "annotations.json").read_bytes())
    names = {one["file_name"].rsplit("/")[-1] for one in coco["images"]}
    assert {f"scene_{number:03d}.jpg" for number in range(12)} <= names
    assert len(coco["annotations"]) >= 24  # nothing of the sound tasks is lost


def test_a_corrupt_picture_is_quarantined_and_the_rest_goes_on(project):
    state = project.sandbox.state
    state.add_tasks(
        "street-scenes", [{"name": "torn.jpg", "width": 5, "height": 5}], {"torn.jpg": b"\xff\xd8 this is no picture"}
    )
    assert project.run("street_scenes_sync").success
    images = project.metadata("images")
    assert images["dagster/row_count"] == 12
    assert [record.data["name"] for record in images["quarantined"].records] == ["torn.jpg"]


def test_hostile_names_stay_inside_the_store(project, tmp_path):
    state = project.sandbox.state
    picture = np.zeros((4, 4, 3), np.uint8)
    import cv2

    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    names = ["../../escape.jpg", "/etc/absolute.jpg", "a\\b.jpg", "scene_000.JPG"]
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(project.store)}
    state.add_tasks("street-scenes", [{"name": name} for name in names], dict.fromkeys(names, jpeg))
    assert project.run("street_scenes_sync").success
    now = {path for path in tmp_path.rglob("*") if not path.is_relative_to(project.store)}
    assert not [path for path in now - outside if "escape" in path.name or "absolute" in path.name]
    assert project.metadata("images")["dagster/row_count"] == 16


def test_pictures_that_cannot_be_made_do_not_fail_the_run(project, monkeypatch):
    # OpenCV missing at run time, as on an image without libGL
    import sys

    project.run("street_scenes_sync")
    monkeypatch.setitem(sys.modules, "cv2", None)
    selection = dg.AssetSelection.assets(dg.AssetKey(["street-scenes", "annotations"])).required_multi_asset_neighbors()
    jobs = dg.Definitions(jobs=[dg.define_asset_job("tables", selection)])
    job = dg.Definitions.merge(project.definitions, jobs).resolve_job_def("tables")
    assert job.execute_in_process(instance=project.instance).success
    assert "class_histogram" in project.metadata("annotations")


def test_the_token_is_nowhere(make_project, sandbox, fill_project, monkeypatch, capfd, tmp_path):
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._serdes import serialize_value

    from fastlabel_dagster.project import build_fastlabel_project
    from fastlabel_dagster.resource import FastLabelResource

    secret = "tok-8f1c2e5b7a904d36"
    monkeypatch.setenv("SECRET_FOR_TEST", secret)
    fill_project(sandbox.state, tasks=2)
    resource = FastLabelResource(access_token=dg.EnvVar("SECRET_FOR_TEST"), base_url=sandbox.url, step_retries=0)
    definitions = build_fastlabel_project("street-scenes", store=tmp_path / "store", resource=resource)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("street_scenes_sync")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success  # the sandbox knows another token
        told = [serialize_value(entry) for entry in instance.all_logs(result.run_id)]
        told.append(serialize_value(instance.get_run_by_id(result.run_id)))
    told.append(serialize_value(RepositorySnap.from_def(definitions.get_repository_def())))
    told += [repr(resource), str(resource), *capfd.readouterr()]
    with resource.process_config_and_initialize_cm() as ready:
        told += [repr(ready), str(ready), repr(ready.client)]
        with pytest.raises(dg.Failure) as caught, ready.dagster_errors() as client:
            client.projects.list()
        told += [
            str(caught.value),
            repr(caught.value.__cause__),
            str(caught.value.__cause__),
            str(caught.value.metadata),
        ]
    assert len(told) > 20
    assert not [text for text in told if secret in text]


def test_downloads_leave_no_signed_address_behind(project):
    result = project.run()
    assert result.success
    from dagster._serdes import serialize_value

    text = io.StringIO()
    for entry in project.instance.all_logs(result.run_id):
        text.write(serialize_value(entry))
    url = project.sandbox.base
    signed = [word for word in text.getvalue().split('"') if word.startswith(url) and "?" in word]
    assert signed == []
