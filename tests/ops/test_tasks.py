"""Many tasks at once: those that cannot be done are set aside, the others are done, and a second run does the rest."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from fastlabel_dagster import formats, ops
from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.resource import FastLabelResource

from .conftest import picture


@pytest.fixture
def dataset(tmp_path):
    """A COCO dataset of four pictures, one of which is not there."""
    folder = tmp_path / "dataset"
    (folder / "images").mkdir(parents=True)
    for number in range(3):
        (folder / "images" / f"{number + 10}.jpg").write_bytes(picture(number))
    images = [{"id": n, "file_name": f"{n + 10}.jpg", "width": 60, "height": 40} for n in range(4)]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [1, 2, 10, 5], "area": 50, "iscrowd": 0}
        for n in range(4)
    ]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]
    coco = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(coco))
    return str(folder)


def tasks(sandbox):
    with FastLabelClient(sandbox.token, sandbox.url) as client:
        return {task["name"]: task for task in client.image_tasks.iter("street")}


def test_a_dataset_folder_becomes_tasks_and_a_second_run_makes_none_twice(run, dataset, sandbox):
    config = {"project": "street", "source": dataset, "format": "coco", "tags": ["batch-1"], "status": "registered"}
    first = run(ops.create_tasks_op, config)
    assert (first["done"], first["failed"], first["classes_created"]) == (3, 1, ["bus"])
    ((missing,),) = [first["quarantined"]]
    assert missing["name"].endswith("13.jpg") and missing["reason"]
    made = tasks(sandbox)
    name = next(name for name in made if name.endswith("11.jpg"))
    (box,) = made[name]["annotations"]
    assert (box["value"], box["type"], box["points"]) == ("bus", "bbox", [1, 2, 11, 7])
    assert made[name]["status"] == "registered" and "batch-1" in made[name]["tags"]
    assert (made[name]["width"], made[name]["height"]) == (60, 40)
    second = run(ops.create_tasks_op, config)
    assert (second["done"], second["failed"]) == (0, 1)
    assert second["skipped"] == {"a task of this name is there": 3} and second["classes_created"] == []
    assert len(tasks(sandbox)) == 6
    json.dumps([first, second])


def test_a_request_that_is_refused_is_set_aside_and_the_rest_goes_on(run, dataset, sandbox):
    sandbox.fail("POST tasks/image", status=422, times=1)
    config = {"project": "street", "source": dataset, "format": "coco", "workers": 1}
    first = run(ops.create_tasks_op, config)
    assert (first["done"], first["failed"]) == (2, 2)
    assert any(one["reason"].startswith("Invalid") for one in first["quarantined"])
    assert run(ops.create_tasks_op, config)["done"] == 1


def test_too_many_failures_fail_the_op(run, dataset):
    config = {"project": "street", "source": dataset, "format": "coco", "most_failures": 0}
    with pytest.raises(dg.Failure, match="3 tasks created, 1 failed"):
        run(ops.create_tasks_op, config)


def test_a_dataset_that_cannot_be_read_is_said(run, tmp_path):
    with pytest.raises(dg.Failure, match="nowhere"):
        run(ops.create_tasks_op, {"project": "street", "source": str(tmp_path / "nowhere"), "format": "coco"})
    with pytest.raises(dg.Failure, match="pencil"):
        run(ops.create_tasks_op, {"project": "street", "source": str(tmp_path), "format": "pencil"})


def test_what_was_exported_comes_back_as_tasks(run, sandbox, tmp_path, store):
    """Out as YOLO, in again in another project."""
    here = {"project": "street", "store": store}
    run(ops.sync_op, here)
    run(ops.download_images_op, here)
    run(ops.export_op, {**here, "format": "yolo"})
    sandbox.state.create_project("copy", type="image_all")
    made = run(ops.create_tasks_op, {"project": "copy", "source": f"{store}/yolo", "format": "yolo"})
    assert (made["done"], made["failed"], made["classes_created"]) == (3, 0, ["car"])
    with FastLabelClient(sandbox.token, sandbox.url) as client:
        copies = list(client.image_tasks.iter("copy"))
    assert [[box["points"] for box in task["annotations"]] for task in copies] == [[[1, 2, 30, 20]]] * 3


def test_statuses_move_and_a_second_run_finds_nothing_to_do(run, sandbox):
    config = {"project": "street", "from_status": "approved", "status": "sent_back", "limit": 2}
    first = run(ops.update_statuses_op, config)
    assert (first["done"], first["failed"]) == (2, 0)
    assert run(ops.update_statuses_op, config)["done"] == 1
    assert run(ops.update_statuses_op, config)["done"] == 0
    assert {task["status"] for task in tasks(sandbox).values()} == {"sent_back"}


def test_some_ids_are_wrong(run, sandbox):
    ids = [*sandbox.state.task_ids("street"), "no-such-task"]
    report = run(ops.update_statuses_op, {"project": "street", "task_ids": ids, "external_status": "approved"})
    assert (report["done"], report["failed"]) == (3, 1)
    assert report["quarantined"][0]["task_id"] == "no-such-task"
    assert {task["externalStatus"] for task in tasks(sandbox).values()} == {"approved"}
    with pytest.raises(dg.Failure, match="0 tasks updated, 1 failed"):
        run(ops.update_statuses_op, {"project": "street", "task_ids": ["nobody"], "status": "approved"})


@pytest.mark.parametrize(
    ("config", "words"),
    [({"from_status": "approved"}, "which status"), ({"status": "approved"}, "which tasks")],
)
def test_half_a_wish_is_refused(run, config, words):
    with pytest.raises(dg.Failure, match=words):
        run(ops.update_statuses_op, {"project": "street", **config})


def test_a_server_that_is_down_ends_the_run_and_the_next_one_goes_on(run, sandbox):
    sandbox.state.add_tasks("street", [{"name": f"new-{n}.jpg", "status": "registered"} for n in range(30)])
    config = {"project": "street", "from_status": "registered", "status": "completed", "workers": 1}
    sandbox.fail("PUT tasks/{task_id}", status=503, times=None, skip=5)
    result = run(ops.update_statuses_op, config, raise_on_error=False)
    assert not result.success
    sandbox.state.faults.clear()
    assert run(ops.update_statuses_op, config)["done"] == 25


def test_any_format_into_any_other(run, dataset, tmp_path):
    target = str(tmp_path / "voc")
    config = {"source": dataset, "source_format": "coco", "target": target, "target_format": "pascal_voc"}
    report = run(ops.convert_op, config)
    assert (report["read"]["annotations"], report["written"]["written"]) == (4, 4)
    assert formats.read(target, format="pascal_voc").annotations.num_rows == 4
    json.dumps(report)
    with pytest.raises(dg.Failure, match="only read"):
        run(ops.convert_op, {**config, "target_format": "lerobot"})


def test_a_limit_holds_for_a_run_and_those_that_re_execute_it_together(sandbox):
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run

    names = [f"new-{number}.jpg" for number in range(10)]
    sandbox.state.add_tasks("street", [{"name": name, "status": "registered"} for name in names])
    limited = {"project": "street", "from_status": "registered", "status": "completed", "limit": 4, "workers": 1}
    config = {"ops": {"update_statuses_op": {"config": {**limited, "most_failures": 0}}}}
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, step_retries=0, request_attempts=1)
    graph = dg.GraphDefinition(name="one", node_defs=[ops.update_statuses_op])
    job = graph.to_job(resource_defs={"fastlabel": resource}, executor_def=dg.in_process_executor)

    def completed():
        return sum(task["status"] == "completed" for task in tasks(sandbox).values())

    with dg.DagsterInstance.ephemeral() as instance:
        sandbox.fail("PUT tasks/{task_id}", status=422, times=1, skip=2)
        failed = job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)
        assert not failed.success and completed() == 3
        again = instance.create_run_for_job(
            job, run_config=config, parent_run_id=failed.run_id, root_run_id=failed.run_id
        )
        assert execute_run(InMemoryJob(job), again, instance).success
        assert completed() == 4
        assert job.execute_in_process(run_config=config, instance=instance).success and completed() == 8
