"""The ops do the work of the assets in a job one builds oneself."""

from __future__ import annotations

import json

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster import ops
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path / "sandbox") as sandbox:
        state = sandbox.state
        state.create_project("street", type="image_all")
        state.create_class("street", "bbox", "car", "乗用車", color="#d62728")
        box = {"type": "bbox", "value": "car", "points": [1, 2, 30, 20]}
        tasks = [{"name": f"{n}.jpg", "status": "approved", "annotations": [box]} for n in range(3)]
        jpeg = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
        state.add_tasks("street", tasks, {task["name"]: jpeg for task in tasks})
        yield sandbox


@dg.job
def nightly():
    ops.export_op(start=ops.download_images_op(start=ops.sync_op()))


def test_a_job_of_ops_syncs_and_exports(sandbox, tmp_path):
    here = {"project": "street", "store": str(tmp_path / "store")}
    result = nightly.execute_in_process(
        run_config={
            "ops": {
                "sync_op": {"config": here},
                "download_images_op": {"config": here},
                "export_op": {"config": {**here, "format": "yolo", "folder": "for-training"}},
            }
        },
        resources={"fastlabel": FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)},
    )
    assert result.success
    assert result.output_for_node("sync_op")["tasks"] == 3
    assert result.output_for_node("download_images_op")["downloaded"] == 3
    assert result.output_for_node("export_op")["written"] == 3
    assert (tmp_path / "store" / "for-training" / "data.yaml").is_file()
    json.dumps([result.output_for_node(name) for name in ("sync_op", "download_images_op", "export_op")])


def test_publish_and_train_once(sandbox, tmp_path):
    here = {"project": "street", "store": str(tmp_path / "store")}
    resources = {"fastlabel": FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)}

    @dg.job
    def publish():
        ops.publish_op(start=ops.download_images_op(start=ops.sync_op()))

    config = {name: {"config": here} for name in ("sync_op", "download_images_op")}
    config["publish_op"] = {"config": {**here, "dataset": "street"}}
    published = publish.execute_in_process(run_config={"ops": config}, resources=resources)
    version = published.output_for_node("publish_op")["digest"]

    @dg.job
    def train():
        ops.train_op()

    wanted = {**here, "dataset": "street", "dataset_version": version, "base_model": "m", "epoch": 1}
    answers = []
    for _ in range(2):
        result = train.execute_in_process(run_config={"ops": {"train_op": {"config": wanted}}}, resources=resources)
        answers.append(result.output_for_node("train_op"))
    assert [answer["submitted"] for answer in answers] == [True, False]
    assert answers[0]["job_id"] == answers[1]["job_id"]


def test_an_export_before_the_first_sync_says_what_to_do(tmp_path):
    @dg.job
    def export():
        ops.export_op()

    config = {"project": "street", "store": str(tmp_path / "store"), "format": "coco"}
    with pytest.raises(dg.Failure, match="run sync_op first"):
        export.execute_in_process(run_config={"ops": {"export_op": {"config": config}}})


def test_earlier_labels_can_be_exported_and_published(sandbox, tmp_path):
    store = str(tmp_path / "store")
    resource = {"fastlabel": FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)}

    def run(op, **config):
        job = dg.GraphDefinition(name="one", node_defs=[op]).to_job(resource_defs=resource)
        config = {"ops": {op.name: {"config": {"project": "street", "store": store, **config}}}}
        return job.execute_in_process(run_config=config).output_for_node(op.name)

    run(ops.sync_op)
    run(ops.download_images_op)
    sandbox.state.update_task(sandbox.state.task_ids("street")[0], status="registered", annotations=[])
    run(ops.sync_op)
    counts = [run(ops.export_op, format="coco", labels_version=version)["written"] for version in (0, 1)]
    assert counts == [3, 2]
    published = [run(ops.publish_op, dataset="d", labels_version=version) for version in (0, 1)]
    assert [(one["added"], one["unchanged"], one["left_over"]) for one in published] == [(3, 0, 0), (0, 2, 1)]
    for op in (ops.export_op, ops.publish_op):
        more = {"format": "coco"} if op is ops.export_op else {"dataset": "d"}
        with pytest.raises(dg.Failure, match="no version 7"):
            run(op, labels_version=7, **more)
