"""The whole sync job into a folder and into S3: every object of the exports is the same, byte for byte, and so is what
the mirrors hold."""

import dagster as dg
import pytest

from fastlabel_dagster import FastLabelResource, LabelMirror, S3Options, build_fastlabel_project, open_store
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_drawn

PROJECT = "street-scenes"
EXPORTS = ["coco", "coco_parquet", "yolo", {"format": "yolo", "task": "segment", "name": "yolo_segment"}]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        seed_drawn(running.state, project=PROJECT, tasks=30)
        yield running


def sync_into(store, sandbox, s3=None):
    fastlabel = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    defs = build_fastlabel_project(PROJECT, store=store, exports=EXPORTS, resource=fastlabel, s3=s3)
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("street_scenes_sync").execute_in_process(instance=instance).success


def test_s3_equals_local(tmp_path, sandbox, moto_s3):
    sync_into(tmp_path / "out", sandbox)
    s3 = S3Options(endpoint_url=moto_s3.endpoint_url)
    sync_into(f"s3://{moto_s3.bucket}/street", sandbox, s3)

    local, remote = open_store(tmp_path / "out"), open_store(f"s3://{moto_s3.bucket}/street", s3)
    files = {o.path: o.size for o in local.list() if not o.path.startswith("labels/")}
    assert files == {o.path: o.size for o in remote.list() if not o.path.startswith("labels/")}
    assert {path.split("/")[0] for path in files} == {
        "images", "parquet", "coco", "coco_parquet", "yolo", "yolo_segment"
    }  # fmt: skip
    differing = [path for path in files if local.read_bytes(path) != remote.read_bytes(path)]
    assert differing == []

    here = LabelMirror(tmp_path / "out" / "labels")
    there = LabelMirror(f"s3://{moto_s3.bucket}/street/labels", s3=s3)
    assert here.digest == there.digest
    assert here.read().tasks.equals(there.read().tasks)
    assert here.read().classes.equals(there.read().classes)
