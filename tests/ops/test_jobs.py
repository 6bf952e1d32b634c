"""Ops on jobs: each submitted once, waited for where asked, handing on what the next one needs."""

from __future__ import annotations

import json
import zipfile

import dagster as dg
import pytest

from fastlabel_dagster import ops
from fastlabel_dagster.assets.submitting import claimant_of
from fastlabel_dagster.resource import FastLabelResource

FAST = {"poll_seconds": 0.05}
BASE = "fastlabel_object_detection_light"


@pytest.fixture
def here(store):
    return {"project": "street", "store": store, **FAST}


@pytest.fixture
def published(run, here):
    place = {"project": here["project"], "store": here["store"]}
    run(ops.sync_op, place)
    run(ops.download_images_op, place)
    return run(ops.publish_op, {**place, "dataset": "street"})


@pytest.fixture
def trained(run, here, published):
    config = {**here, "dataset": "street", "dataset_version": published["digest"], "base_model": BASE, "epoch": 1}
    return run(ops.train_op, {**config, "wait": True})


def jobs(sandbox):
    return sandbox.state.summary()["jobs"]


def test_train_and_wait(trained, sandbox):
    assert (trained["kind"], trained["status"], trained["submitted"]) == ("training", "completed", True)
    assert trained["model_name"] == "street-1" and trained["model_classes"] == ["car"] and trained["model_id"]
    assert "?" not in trained["model_url"]
    json.dumps(trained)


def test_evaluate_once_and_the_gate(run, here, trained, sandbox):
    config = {**here, "dataset": "street", "dataset_version": "v1", "model_name": trained["model_name"]}
    sandbox.state.next_metrics(mAP=0.5)
    first = run(ops.evaluate_op, {**config, "gate": {"mAP": {"at_least": 0.6}}})
    assert (first["mAP"], first["passed"]) == (0.5, False) and "MISSES at least 0.6" in first["verdict"]
    again = run(ops.evaluate_op, {**config, "gate": {"mAP": {"at_least": 0.2}}})
    assert (again["submitted"], again["job_id"], again["passed"]) == (False, first["job_id"], True)
    sandbox.state.next_metrics(mAP=0.4)
    other = run(ops.evaluate_op, {**config, "model_name": BASE, "gate": {"mAP": {"no_worse_than": 0.01}}})
    assert other["passed"] is False and "previous model's 0.5" in other["verdict"]
    json.dumps([first, again, other])


def test_auto_annotate_what_is_untouched(run, here, trained, sandbox):
    config = {**here, "model_name": trained["model_name"]}
    nothing = run(ops.auto_annotate_op, config)
    assert nothing["submitted"] is False and "without annotations" in nothing["reason"]
    sandbox.state.add_tasks("street", [{"name": "new.jpg"}])
    done = run(ops.auto_annotate_op, config)
    assert done["submitted"] is True and done["untouched_tasks"] == 1 and "annotated_tasks" in done
    assert run(ops.auto_annotate_op, config)["submitted"] is False


def test_submit_now_and_wait_later(run, here, published, sandbox):
    config = {**here, "dataset": "street", "dataset_version": "v", "base_model": BASE, "epoch": 1}
    started = run(ops.train_op, config)
    assert "model_name" not in started
    done = run(ops.wait_op, {"kind": "training", "job_id": started["job_id"], **FAST})
    assert (done["status"], done["model_name"]) == ("completed", "street-1")
    with pytest.raises(dg.Failure, match="no jobs of the kind 'coffee'"):
        run(ops.wait_op, {"kind": "coffee", "job_id": "x"})
    with pytest.raises(dg.Failure, match="kind, job_id"):
        run(ops.wait_op, {})


def test_a_job_that_fails_fails_the_op_and_is_started_again(run, here, published, sandbox):
    config = {**here, "dataset": "street", "dataset_version": "v", "base_model": BASE, "epoch": 1, "wait": True}
    sandbox.state.fail_next("training")
    with pytest.raises(dg.Failure, match="ended with status 'failed'"):
        run(ops.train_op, config)
    assert run(ops.train_op, config)["submitted"] is True and jobs(sandbox) == 2


def test_settings_that_cannot_be_are_refused_before_anything_is_sent(run, here, sandbox):
    config = {**here, "dataset": "street", "dataset_version": "v", "base_model": BASE, "epoch": 1}
    with pytest.raises(dg.Failure, match="no option lr"):
        run(ops.train_op, {**config, "options": {"lr": 1}})
    with pytest.raises(dg.Failure, match="no measure"):
        run(ops.evaluate_op, {**here, "dataset": "d", "dataset_version": "v", "model_name": "m", "gate": {"x": {}}})
    with pytest.raises(dg.Failure, match="dataset, dataset_version is neither in the config"):
        run(ops.train_op, {**here, "base_model": BASE, "epoch": 1})
    assert jobs(sandbox) == 0


def test_imports(run, here, sandbox, tmp_path, store):
    from .conftest import picture

    bucket = sandbox.state.data / "buckets" / "acme"
    bucket.mkdir(parents=True)
    (bucket / "new.jpg").write_bytes(picture())
    done = run(ops.import_s3_op, {**here, "bucket": "acme", "region": "ap-northeast-1", "tags": ["batch"]})
    assert (done["kind"], done["status"]) == ("s3_import", "completed")
    assert len(sandbox.state.task_ids("street")) == 4
    sandbox.state.create_project("scans", type="dicom_bbox")
    rows_and_columns = b"\x28\x00\x10\x00US\x02\x00\x00\x02" + b"\x28\x00\x11\x00US\x02\x00\x00\x01"
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as zipped:
        zipped.writestr("series/1.dcm", bytes(128) + b"DICM" + rows_and_columns)
    scans = {"project": "scans", "store": f"{store}-scans", "file": str(tmp_path / "series.zip"), **FAST}
    assert [run(ops.import_dicom_op, scans)["submitted"] for _ in range(2)] == [True, False]


def test_the_retrain_graph_goes_the_whole_way_and_a_second_time_for_nothing(sandbox, store):
    sandbox.state.add_tasks("street", [{"name": "new.jpg"}])
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    job = ops.retrain_graph.to_job(resource_defs={"fastlabel": resource})
    place = {"project": "street", "store": store}
    config = {
        **dict.fromkeys(("sync_op", "download_images_op"), place),
        "publish_op": {**place, "dataset": "street"},
        "train_op": {**place, "base_model": BASE, "epoch": 1, "wait": True, **FAST},
        "evaluate_op": {**place, "gate": {"mAP": {"at_least": 0.1}}, **FAST},
        "auto_annotate_op": {**place, **FAST},
    }
    answers = []
    for _ in range(2):
        result = job.execute_in_process(run_config={"ops": {name: {"config": one} for name, one in config.items()}})
        answers.append([result.output_for_node(name) for name in ("train_op", "evaluate_op", "auto_annotate_op")])
    assert [one["submitted"] for one in answers[0]] == [True, True, True]
    assert [one["submitted"] for one in answers[1]] == [False, False, False]
    assert answers[0][1]["passed"] is True and answers[0][2]["model_name"] == "street-1"
    assert jobs(sandbox) == 3


def test_a_model_that_has_not_passed_annotates_nothing(sandbox, store, trained):
    @dg.graph
    def gated():
        ops.auto_annotate_op(evaluated=ops.evaluate_op())

    place = {"project": "street", "store": store, **FAST}
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    evaluate = {**place, "dataset": "street", "dataset_version": "v", "model_name": "street-1"}
    evaluate["gate"] = {"mAP": {"at_least": 1.0}}
    config = {"evaluate_op": {"config": evaluate}, "auto_annotate_op": {"config": place}}
    result = gated.to_job(resource_defs={"fastlabel": resource}).execute_in_process(run_config={"ops": config})
    last = result.output_for_node("auto_annotate_op")
    assert last["submitted"] is False and "has not passed the gate" in last["reason"]


def test_the_sync_graph(sandbox, store):
    place = {"project": "street", "store": store}
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    config = {"sync_op": place, "download_images_op": place, "export_op": {**place, "format": "coco"}}
    job = ops.sync_graph.to_job(resource_defs={"fastlabel": resource})
    result = job.execute_in_process(run_config={"ops": {name: {"config": one} for name, one in config.items()}})
    assert result.output_for_node("export_op")["written"] == 3


def test_a_gate_is_kept_when_the_waiting_is_left_to_another_op(sandbox, store, trained):
    sandbox.state.add_tasks("street", [{"name": "new.jpg"}])

    @dg.graph
    def gated():
        ops.auto_annotate_op(evaluated=ops.wait_op(job=ops.evaluate_op()))

    @dg.graph
    def hasty():
        ops.auto_annotate_op(evaluated=ops.evaluate_op())

    place = {"project": "street", "store": store, **FAST}
    resource = {"fastlabel": FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)}
    evaluate = {**place, "dataset": "street", "dataset_version": "v", "model_name": "street-1", "wait": False}
    evaluate["gate"] = {"mAP": {"at_least": 0.6}}
    sandbox.state.next_metrics(mAP=0.1)
    config = {"evaluate_op": {"config": evaluate}, "auto_annotate_op": {"config": place}}
    before = jobs(sandbox)
    with pytest.raises(dg.Failure, match="put wait_op after"):
        hasty.to_job(resource_defs=resource).execute_in_process(run_config={"ops": config})
    config["wait_op"] = {"config": FAST}
    result = gated.to_job(resource_defs=resource).execute_in_process(run_config={"ops": config})
    waited, last = result.output_for_node("wait_op"), result.output_for_node("auto_annotate_op")
    assert waited["passed"] is False and "MISSES at least 0.6" in waited["verdict"]
    assert last["submitted"] is False and "has not passed the gate" in last["reason"]
    assert jobs(sandbox) == before + 1, "one evaluation, no annotation"


def test_a_model_is_compared_with_those_before_it_also_with_one_that_found_nothing(run, here, trained, sandbox):
    config = {**here, "dataset": "street", "dataset_version": "v1", "gate": {"mAP": {"no_worse_than": 0.01}}}
    sandbox.state.next_metrics(mAP=0.0)
    assert run(ops.evaluate_op, {**config, "model_name": BASE})["passed"] is True
    sandbox.state.next_metrics(mAP=0.5)
    second = run(ops.evaluate_op, {**config, "model_name": "street-1"})
    assert "the previous model's 0" in second["verdict"]
    again = run(ops.evaluate_op, {**config, "model_name": BASE})
    assert (again["submitted"], again["passed"]) == (False, True), "the later model is no yardstick for the earlier"


def test_mapped_steps_of_one_run_submit_each_for_itself(sandbox, store, published):
    """Two steps of the same name run at a time in one run; neither takes the other's claim for one of its own past."""
    seen = []

    @dg.op(out=dg.DynamicOut())
    def several():
        yield dg.DynamicOutput(1, "one")
        yield dg.DynamicOutput(2, "two")

    @dg.op
    def submit(context, number):
        seen.append(claimant_of(context))

    @dg.job
    def mapped():
        several().map(submit)

    mapped.execute_in_process()
    assert len({one.step for one in seen}) == 2 and len({one.run_id for one in seen}) == 1
