"""Labels have versions: exports and datasets can stay at one, and everyone is told what changed since which."""

from __future__ import annotations

import dataclasses
import json

import dagster as dg
import pyarrow as pa

from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.store import ImageFolder, open_store

MOVED = [{"type": "bbox", "value": "sign", "points": [1, 2, 30, 40]}]


def change(project, number=0):
    task = project.sandbox.state.task_ids(project.slug)[number]
    project.sandbox.state.update_task(task, annotations=MOVED)
    return task


def boxes_in(project, folder="coco"):
    return len(json.loads((project.store / folder / "annotations.json").read_bytes())["annotations"])


def test_a_run_can_write_an_export_of_an_earlier_version(project):
    assert project.run("street_scenes_sync").success
    before = (project.store / "coco" / "annotations.json").read_bytes()
    change(project)
    assert project.run("street_scenes_sync").success
    assert boxes_in(project) == 23 and project.metadata("coco")["labels_version"] == 1
    config = {"ops": {"street_scenes_coco_export": {"config": {"labels_version": 0}}}}
    assert project.run("street_scenes_sync", run_config=config).success
    assert (project.store / "coco" / "annotations.json").read_bytes() == before
    assert project.metadata("coco")["labels_version"] == 0 and project.metadata("yolo")["labels_version"] == 1


def test_an_export_pinned_in_its_definition_stays(make_project, sandbox, fill_project):
    fill_project(sandbox.state)
    pinned = {"format": "coco", "name": "gold", "labels_version": 0}
    project = make_project(options={"exports": ["coco", pinned]})
    assert project.run("street_scenes_sync").success
    change(project)
    assert project.run("street_scenes_sync").success
    assert (boxes_in(project), boxes_in(project, "gold")) == (23, 24)
    assert project.metadata("gold")["unchanged"] is True


def test_a_version_that_is_not_there_is_named_with_those_that_are(project):
    assert project.run("street_scenes_sync").success
    config = {"ops": {"street_scenes_coco_export": {"config": {"labels_version": 7}}}}
    result = project.run("street_scenes_sync", run_config=config)
    failed = next(event for event in result.all_events if event.is_step_failure)
    assert "no version 7 (any more); it has version 0 only" in failed.step_failure_data.user_failure_data.description


def test_another_project_of_the_slug_is_told_and_one_at_another_address_waits_to_be_asked_in(
    project, fill_project, failure_text, tmp_path
):
    labels = [dg.AssetKey([project.slug, "labels"])]
    assert project.run(asset_selection=labels).success
    former = project.metadata("labels")["project_id"]
    project.sandbox.state.projects.delete(former)
    fill_project(project.sandbox.state, project.slug, 3, 1)
    assert project.run(asset_selection=labels).success
    told = project.metadata("labels")
    assert (told["replaced_project_id"], told["labels_version"], told["removed"], told["added"]) == (former, 1, 12, 3)
    assert told["project_id"] != former
    with Sandbox(tmp_path / "elsewhere") as elsewhere:
        fill_project(elsewhere.state, project.slug, 2, 1)
        moved = dataclasses.replace(project, base_url=elsewhere.url)
        refused = moved.run(asset_selection=labels)
        assert "take_over: true" in failure_text(refused)
        (failed,) = [event for event in refused.all_events if event.is_step_failure]
        told = failed.step_failure_data.user_failure_data
        assert told is not None and told.description.startswith("Invalid: "), "a failure that no retry policy repeats"
        config = {"ops": {"street_scenes_labels": {"config": {"take_over": True}}}}
        assert moved.run(asset_selection=labels, run_config=config).success
    assert (project.metadata("labels")["labels_version"], project.metadata("labels")["dagster/row_count"]) == (2, 2)


def test_the_mirror_shows_what_changed_before_and_after(project):
    assert project.run("street_scenes_sync").success
    first = project.metadata("labels")
    assert "changes" not in first and "status_funnel" in first
    task = change(project)
    assert project.run("street_scenes_sync").success
    labels = project.metadata("labels")
    assert (labels["changes_from"], labels["changes_to"]) == (0, 1)
    assert task in {record.data["task_id"] for record in labels["changes_table"].records}
    assert labels["changes_pictured"].startswith("![changed tasks before and after](data:image/svg+xml;base64,")


def report_models(project):
    """Let the trainings end and the jobs sensor report them: the metadata of all models, the newest report first."""
    project.sandbox.state.clock.advance(24 * 3600)
    sensor = project.definitions.resolve_sensor_def("street_scenes_jobs")
    with dg.build_sensor_context(
        instance=project.instance, resources={"fastlabel": project.resource}, definitions=project.definitions
    ) as context:
        told = sensor.evaluate_tick(context)
    for event in told.asset_events:
        project.instance.report_runless_asset_event(event)
    models = project.instance.fetch_materializations(dg.AssetKey([project.slug, "model"]), limit=9).records
    return [{name: one.value for name, one in record.asset_materialization.metadata.items()} for record in models]


def test_dataset_and_model_say_what_changed_since_the_model_was_trained(project):
    assert project.run().success
    assert project.metadata("dataset")["changes_since_model"] == "no model was trained yet"
    (first,) = report_models(project)
    assert first["labels_version"] == 0 and "changes_since_previous_model_table" not in first
    change(project)
    assert project.run().success
    dataset, training = project.metadata("dataset"), project.metadata("training")
    assert (dataset["changes_since_model_from"], dataset["changes_since_model_to"]) == (0, 1)
    assert "reclassified car → sign" in dataset["changes_since_model"] or "gone" in dataset["changes_since_model"]
    assert dataset["changes"] == dataset["changes_since_model"] == training["changes_since_model"]
    assert dataset["changes_pictured"].startswith("![changed tasks before and after](data:image/svg+xml;base64,")
    assert "changes_since_model_pictured" not in dataset, "the same versions are drawn once"
    change(project, 1)
    assert project.run().success
    for part in ("dataset", "labels"):
        told = project.metadata(part)
        assert (told["changes_from"], told["changes_since_model_from"]) == (1, 0)
        assert told["changes_pictured"] != told["changes_since_model_pictured"]
    pictured, table = "changes_since_previous_model_pictured", "changes_since_previous_model_table"
    models = {one["labels_version"]: one for one in report_models(project)}
    assert pictured not in models[0]
    assert models[1][pictured] == dataset["changes_pictured"]
    newest = project.metadata("dataset")
    assert models[2][pictured] == newest["changes_since_model_pictured"]
    assert models[2][table].records == newest["changes_since_model_table"].records


def test_the_dataset_can_be_published_at_an_earlier_version(project):
    assert project.run().success
    first = project.metadata("dataset")["dataset_version"]
    change(project)
    config = {"ops": {"street_scenes_dataset": {"config": {"labels_version": 0}}}}
    assert project.run(run_config=config).success
    assert project.metadata("dataset")["dataset_version"] == first
    assert project.metadata("labels")["labels_version"] == 1
    assert "pictures_replaced" not in project.metadata("dataset")

    folder = ImageFolder(open_store(project.store).at("images"))  # the pictures come to be others behind our back
    folder.save(pa.Table.from_pylist([{**row, "sha256": "0" * 64} for row in folder.table.to_pylist()]))
    dataset = [dg.AssetKey([project.slug, "dataset"])]
    result = project.run(asset_selection=dataset, run_config=config)
    assert result.success and project.metadata("dataset")["labels_version"] == 0
    assert project.metadata("dataset")["pictures_replaced"] == 4


def test_columns_are_traced_to_the_mirror_also_those_of_parquet_exports(make_project, sandbox, fill_project):
    fill_project(sandbox.state)
    project = make_project(options={"exports": ["coco_parquet", "hf_parquet", "coco"]})
    assert project.run("street_scenes_sync").success
    labels = dg.AssetKey([project.slug, "labels"])

    def sources(part):
        lineage = project.metadata(part)["dagster/column_lineage"].deps_by_column
        assert {dep.asset_key for deps in lineage.values() for dep in deps} == {labels}
        return {column: deps[0].column_name for column, deps in lineage.items()}

    tasks = sources("tasks")
    assert tasks["status"] == "status" and tasks["annotation_count"] == "annotations"
    assert sources("annotations")["task_name"] == "name" and sources("annotations")["points"] == "annotations"
    assert sources("coco_parquet")["image_id"] == "task_id" and sources("coco_parquet")["bbox"] == "annotations"
    assert sources("hf_parquet")["file_name"] == "name"
    assert "dagster/column_schema" in project.metadata("hf_parquet")
    assert "dagster/column_lineage" not in project.metadata("coco")
    mirrored = {column.name for column in project.metadata("labels")["dagster/column_schema"].columns}
    assert set(tasks.values()) <= mirrored


def test_no_event_is_larger_than_a_database_likes(project):
    assert project.run().success
    for part in ("labels", "annotations", "dataset", "coco"):
        event = project.instance.get_latest_materialization_event(dg.AssetKey([project.slug, part]))
        assert len(dg.serialize_value(event)) < 300_000, part
