"""Whole runs against the sandbox: everything is made, nothing is made twice, nothing goes stale by itself."""

from __future__ import annotations

import json

import dagster as dg
import pyarrow.parquet as pq

from fastlabel_dagster.workspace import project_state


def test_a_run_makes_every_asset_and_says_what_it_made(project):
    result = project.run()
    assert result.success
    made = {event.materialization.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    parts = ("labels", "classes", "tasks", "annotations", "images", "coco", "yolo", "dataset", "training")
    assert made == {f"street-scenes/{part}" for part in parts}
    assert all(project.checks(result).values())
    assert set(project.checks(result)) == {
        "parity",
        "quarantine",
        "geometry",
        "classes_known",
        "class_changes",
        "connection",
        "empty_tasks",
        "imports_succeeded",
        "polling_healthy",
        "training_succeeded",
    }
    # the files themselves, read by other means
    coco = json.loads((project.store / "coco" / "annotations.json").read_bytes())
    assert (len(coco["images"]), len(coco["annotations"]), len(coco["categories"])) == (12, 24, 3)
    assert len(list((project.store / "yolo").rglob("*.txt"))) == 12
    annotations = pq.read_table(project.store / "parquet" / "annotations")
    assert annotations.num_rows == 24

    labels = project.metadata("labels")
    assert labels["dagster/row_count"] == 12
    assert labels["api/requests"] > 0
    assert labels["settled"] is True
    for part in ("classes", "tasks", "annotations", "images", "coco", "yolo", "dataset", "training"):
        about = project.metadata(part)
        assert about["labels_version"] == 0, part
        assert about["labels_digest"] == labels["labels_digest"], part
    assert project.metadata("annotations")["dagster/row_count"] == 24
    columns = project.metadata("annotations")["dagster/column_schema"].columns
    assert [column.name for column in columns] == annotations.schema.names
    for part in ("labels", "classes", "tasks", "annotations"):
        told = project.metadata(part)["dagster/column_schema"].columns
        assert not [column.name for column in told if not column.description], part
    assert project.metadata("training")["submitted"] is True
    told = {
        entry.step_key: entry.user_message for entry in project.instance.all_logs(result.run_id) if entry.level == 20
    }
    for part, said in (("labels", "12 tasks, 24 annotations"), ("images", "12 of 12 images"), ("dataset", "dataset ")):
        assert told[f"street_scenes_{part}"].startswith(said), "the log of the run has the counts"


def test_the_external_project_is_observed_in_the_state_the_sync_began_with(project):
    state = project_state(project.resource.client, project.slug)
    project.run()
    records = project.instance.fetch_observations(dg.AssetKey(["fastlabel", "street-scenes"]), limit=5).records
    observation = records[0].asset_observation
    assert observation.tags["dagster/data_version"] == state.version
    assert observation.metadata["tasks/approved"].value == 4


def test_after_the_first_run_nothing_is_stale(project):
    project.run()
    statuses = project.statuses()
    assert set(statuses.values()) == {"FRESH"}, statuses


def test_a_second_run_of_an_unchanged_project_changes_nothing(project):
    assert project.run().success
    before = {folder: project.files(folder) for folder in ("labels", "parquet", "images", "coco", "yolo")}
    jobs = project.sandbox.state.summary()["jobs"]
    assert project.run("street_scenes_sync").success  # only the mirror and what hangs on it: the rest must stay fresh
    statuses = project.statuses()
    assert set(statuses.values()) == {"FRESH"}, statuses
    assert project.run().success
    assert {folder: project.files(folder) for folder in before} == before
    assert project.sandbox.state.summary()["jobs"] == jobs
    assert project.metadata("labels")["changed"] is False
    assert project.metadata("coco")["unchanged"] is True
    assert project.metadata("training")["submitted"] is False
    assert "nothing newly approved" in project.metadata("training")["reason"]


def test_an_export_can_be_forced(project):
    assert project.run("street_scenes_sync").success
    (project.store / "coco" / "annotations.json").write_text("{}")  # damaged by hand: the report still says unchanged
    config = {"ops": {"street_scenes_coco_export": {"config": {"force": True}}}}
    assert project.run("street_scenes_sync", run_config=config).success
    assert len(json.loads((project.store / "coco" / "annotations.json").read_bytes())["images"]) == 12
    assert (project.metadata("coco")["unchanged"], project.metadata("yolo")["unchanged"]) == (False, True)


def test_a_changed_task_makes_what_hangs_on_it_stale_and_a_run_makes_it_fresh_again(project):
    project.run()
    task = project.sandbox.state.task_ids("street-scenes")[7]
    project.sandbox.state.update_task(task, annotations=[{"type": "bbox", "value": "sign", "points": [1, 2, 30, 40]}])
    key = dg.AssetSelection.assets(dg.AssetKey(["street-scenes", "labels"]))
    job = dg.define_asset_job("only_labels", key)
    definitions = dg.Definitions.merge(project.definitions, dg.Definitions(jobs=[job]))
    assert definitions.resolve_job_def("only_labels").execute_in_process(instance=project.instance).success
    statuses = project.statuses()
    assert statuses["street-scenes/labels"] == "FRESH"
    assert statuses["street-scenes/coco"] == statuses["street-scenes/annotations"] == "STALE"
    labels = project.metadata("labels")
    assert (labels["labels_version"], labels["updated"], labels["added"], labels["removed"]) == (1, 1, 0, 0)
    assert task in str(labels["changes_table"].records)
    assert project.run().success
    assert set(project.statuses().values()) == {"FRESH"}
    assert project.metadata("coco")["labels_version"] == 1
    assert project.metadata("annotations")["dagster/row_count"] == 23


def test_the_images_and_exports_of_an_empty_project_are_empty(make_project, sandbox):
    sandbox.state.create_project("nothing-yet", type="image_bbox")
    project = make_project(slug="nothing-yet")
    result = project.run()
    assert result.success
    assert all(project.checks(result).values())
    assert project.metadata("labels")["dagster/row_count"] == 0
    assert project.metadata("annotations")["dagster/row_count"] == 0
    training = project.metadata("training")
    assert training["submitted"] is False and "nothing to train on" in training["reason"]
    assert "training_job_id" not in training


def test_a_slug_that_is_no_name_for_an_op_works_from_end_to_end(make_project, sandbox, fill_project):
    fill_project(sandbox.state, slug="Night_Scenes", tasks=3, approved=1)
    project = make_project(slug="Night_Scenes", options={"dataset": "night"})
    assert project.run().success
    assert project.metadata("coco")["dagster/row_count"] == 6


def test_a_store_on_s3_holds_the_same_and_a_second_run_rewrites_nothing(make_project, sandbox, fill_project, moto_s3):
    import boto3

    fill_project(sandbox.state, tasks=3, approved=2)
    project = make_project()
    project.store = f"s3://{moto_s3.bucket}/street"
    s3 = boto3.client("s3", endpoint_url=moto_s3.endpoint_url)

    def objects():
        listed = s3.list_objects_v2(Bucket=moto_s3.bucket)["Contents"]
        return {one["Key"]: (one["ETag"], one["LastModified"]) for one in listed}

    result = project.run()
    assert result.success and all(project.checks(result).values())
    assert project.metadata("coco")["dagster/uri"] == f"s3://{moto_s3.bucket}/street/coco"
    before = objects()
    assert {"street/coco/annotations.json", "street/yolo/data.yaml", "street/images/index.parquet"} <= set(before)
    assert project.run("street_scenes_sync").success
    kept = {key: value for key, value in objects().items() if "/quarantine/" not in key}
    assert kept == {key: value for key, value in before.items() if "/quarantine/" not in key}
    assert set(project.statuses().values()) == {"FRESH"}
