"""Imports as assets upstream of the project: once for each run or file, attached to while they go on."""

from __future__ import annotations

import zipfile

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox

FAST = {"poll_seconds": 0.05}


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path / "sandbox", speed=1000.0) as sandbox:
        sandbox.state.create_project("street", type="image_all")
        sandbox.state.create_project("scans", type="dicom_bbox")
        folder = sandbox.state.data / "buckets" / "acme" / "new"
        folder.mkdir(parents=True)
        for name in ("a.jpg", "b.jpg"):
            (folder / name).write_bytes(cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))[1].tobytes())
        yield sandbox


@pytest.fixture
def run(sandbox, instance, tmp_path):
    def run(part, project="street", **imports):
        assets = build_fastlabel_project_assets(project, store=tmp_path / project, exports=[], imports=imports)
        key = dg.AssetKey([project, part])
        job = dg.define_asset_job("bring_in", dg.AssetSelection.assets(key))
        resource = FastLabelResource(
            access_token=sandbox.token, base_url=sandbox.url, step_retries=1, step_retry_seconds=0
        )
        definitions = dg.Definitions(assets=assets, jobs=[job], resources={"fastlabel": resource})
        return definitions.resolve_job_def("bring_in").execute_in_process(instance=instance, raise_on_error=False)

    return run


def told(result):
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


S3 = {"bucket": "acme", "region": "ap-northeast-1", "prefix": "new", "tags": ["batch-1"], **FAST}


def test_pictures_of_a_bucket_become_tasks(run, sandbox):
    first = told(run("s3_import", s3=S3))
    assert (first["job_kind"], first["job_status"], first["submitted"]) == ("s3_import", "completed", True)
    assert first["tasks_in_project"] == 2 and first["storage_type"] == "awsS3"
    assert len(sandbox.state.task_ids("street")) == 2
    second = told(run("s3_import", s3=S3))
    assert second["submitted"] is True and second["job_id"] != first["job_id"], "each run imports once"
    assert second["tasks_in_project"] == 2


def test_an_import_that_goes_on_is_attached_to(run, sandbox, instance):
    sandbox.state.clock.set_speed(0)
    assert run("s3_import", s3={**S3, "wait": "sensor"}).success
    sandbox.state.clock.set_speed(20)
    again = told(run("s3_import", s3=S3))
    assert again["submitted"] is False and sandbox.state.summary()["jobs"] == 1


def test_a_failed_import_is_a_failed_check(run, sandbox, instance):
    sandbox.state.fail_next("import")
    assert not run("s3_import", s3=S3).success
    (note, _) = instance.fetch_observations(dg.AssetKey(["street", "s3_import"]), limit=5).records
    assert note.asset_observation.metadata["job_outcome"].value == "failed"
    assert run("s3_import", s3=S3).success


def test_without_a_storage_the_api_says_so(run, failure_text):
    result = run("s3_import", s3={**FAST})
    assert not result.success and "storage is not configured" in failure_text(result)


def test_a_dicom_file_is_imported_once(run, sandbox, tmp_path, failure_text):
    def series(name):
        rows_and_columns = b"\x28\x00\x10\x00US\x02\x00\x00\x02" + b"\x28\x00\x11\x00US\x02\x00\x00\x01"
        with zipfile.ZipFile(tmp_path / name, "w") as zipped:
            zipped.writestr(f"{name}/1.dcm", bytes(128) + b"DICM" + rows_and_columns)
        return {"file": str(tmp_path / name), **FAST}

    wanted = series("series.zip")
    first = told(run("dicom_import", "scans", dicom=wanted))
    assert first["submitted"] is True and first["file"] == "series.zip"
    again = told(run("dicom_import", "scans", dicom=wanted))
    assert (again["submitted"], again["job_id"]) == (False, first["job_id"])
    assert told(run("dicom_import", "scans", dicom=series("other.zip")))["submitted"] is True
    gone = run("dicom_import", "scans", dicom=str(tmp_path / "nowhere.zip"))
    assert not gone.success and "nowhere.zip cannot be read" in failure_text(gone)
