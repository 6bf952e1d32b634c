"""One project by YAML: what is in the definitions, what reaches the steps, and that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster import FastLabelProjectComponent
from fastlabel_dagster.assets.steps import FastLabelStep

LOOP = {
    "retrain_after": {"approved": 3},
    "dataset": "street-scenes",
    "base_model": "fastlabel_object_detection_light",
    "epoch": 3,
}


def attributes(tmp_path: Any, **more: Any) -> dict[str, Any]:
    return {"project": "street-scenes", "store": str(tmp_path / "store"), **more}


def key(*path: str) -> dg.AssetKey:
    return dg.AssetKey(list(path))


def keys(defs: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}


def spec_of(defs: dg.Definitions, *path: str) -> dg.AssetSpec:
    return next(spec for spec in defs.resolve_all_asset_specs() if spec.key == key(*path))


def component(tmp_path: Any, cls: type[FastLabelProjectComponent] = FastLabelProjectComponent, **more: Any) -> Any:
    return cls.from_attributes_dict(attributes=attributes(tmp_path, **more))


def test_a_yaml_of_three_lines_is_a_project(defs_folder, no_fastlabel_variables, tmp_path):
    defs_folder.write("street", attributes(tmp_path))
    with defs_folder.load() as defs:
        names = ["labels", "classes", "tasks", "annotations", "images", "coco", "yolo"]
        assert keys(defs) == {"fastlabel/street-scenes", *(f"street-scenes/{name}" for name in names)}
        assert {sensor.name for sensor in defs.sensors or ()} == {"street_scenes_imports"}
        assert not defs.schedules
        resource = (defs.resources or {})["fastlabel"]
        assert isinstance(resource.access_token, dg.EnvVar)
        assert resource.access_token.env_var_name == "FASTLABEL_ACCESS_TOKEN"


def test_sensors_and_schedule_are_off_until_somebody_says_otherwise(tmp_path):
    schedule = {"cron": "0 4 * * *", "time_zone": "Asia/Tokyo"}
    resting = dg.build_defs_for_component(component(tmp_path, schedule=schedule, loop=LOOP))
    running = dg.build_defs_for_component(component(tmp_path, schedule=schedule, loop=LOOP, running=True))
    for defs, status in ((resting, "STOPPED"), (running, "RUNNING")):
        assert {sensor.default_status.name for sensor in defs.sensors or ()} == {status}
        (nightly,) = defs.schedules or ()
        assert (nightly.cron_schedule, nightly.execution_timezone) == ("0 4 * * *", "Asia/Tokyo")
        assert nightly.default_status.name == status


def test_sensors_can_be_left_out_one_by_one(tmp_path):
    def names(**chosen: Any) -> set[str]:
        defs = dg.build_defs_for_component(component(tmp_path, loop=LOOP, sensors=chosen))
        return {sensor.name.removeprefix("street_scenes_") for sensor in defs.sensors or ()}

    everything = names()
    assert {"imports", "approvals"} < everything
    assert names(imports=False) == everything - {"imports"}
    assert names(approvals=False) == everything - {"approvals"}
    assert names(jobs=False) == {"imports", "approvals"}
    assert names(quality=True) == everything | {"quality"}
    defs = dg.build_defs_for_component(component(tmp_path, sensors={"interval_seconds": 7}))
    assert [sensor.minimum_interval_seconds for sensor in defs.sensors or ()] == [7]


def test_op_reaches_pool_tags_and_names(tmp_path):
    defs = dg.build_defs_for_component(
        component(tmp_path, loop=LOOP, op={"pool": "labels-pool", "tags": {"team": "perception"}, "name": "ours"})
    )
    steps = [
        asset
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.is_materializable and asset.keys
    ]
    assert {step.op.name: step.op.tags.get("team") for step in steps} == {step.op.name: "perception" for step in steps}
    assert all(step.op.name.startswith("ours_") for step in steps)
    by_name = {step.op.name: step for step in steps}
    assert by_name["ours_labels"].op.pool == "labels-pool"


def test_backfill_policy_reaches_partitioned_assets(tmp_path):
    defs = dg.build_defs_for_component(
        component(
            tmp_path,
            op={"backfill_policy": {"type": "single_run"}},
            translation={"partitions_def": {"type": "static", "partition_keys": ["a", "b"]}},
        )
    )
    labels = defs.resolve_assets_def(key("street-scenes", "labels"))
    assert labels.backfill_policy == dg.BackfillPolicy.single_run()
    assert labels.partitions_def is not None
    assert labels.partitions_def.get_partition_keys() == ["a", "b"]


def test_translation_reaches_every_attribute_of_a_spec(tmp_path):
    defs = dg.build_defs_for_component(
        component(
            tmp_path,
            translation={
                "key": "{{ props.part }}/{{ props.name }}",
                "key_prefix": "acme",
                "deps": ["upstream/thing"],
                "metadata": {"owner_of_truth": "{{ props.project }}"},
                "group_name": "labels",
                "owners": ["team:perception"],
                "tags": {"store": "{{ props.part }}"},
                "kinds": ["fastlabel", "gold"],
                "automation_condition": "{{ dg.AutomationCondition.eager() }}",
                "partitions_def": {"type": "daily", "start_date": "2026-01-01"},
                "freshness_policy": "{{ dg.FreshnessPolicy.time_window(fail_window=datetime.timedelta(hours=36)) }}",
                "code_version": "7",
            },
        )
    )
    spec = spec_of(defs, "acme", "export", "coco")
    assert {dep.asset_key for dep in spec.deps} == {
        key("upstream", "thing"),
        key("acme", "labels", "labels"),
        key("acme", "images", "images"),
    }
    assert spec.metadata["owner_of_truth"] == "street-scenes"
    assert spec.group_name == "labels"
    assert list(spec.owners) == ["team:perception"]
    assert spec.tags["store"] == "export"
    assert spec.tags["fastlabel/part"] == "export", "what sensors and jobs find the assets by stays"
    assert spec.kinds == {"fastlabel", "gold"}
    assert spec.automation_condition == dg.AutomationCondition.eager()
    assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36))
    assert spec.code_version == "7"


class Overriding(FastLabelProjectComponent):
    """What a user writes who wants more than YAML says."""

    def get_asset_spec(self, props: Any) -> dg.AssetSpec:
        return super().get_asset_spec(props).replace_attributes(owners=["team:ours"])

    def execute(self, context: dg.AssetExecutionContext, step: FastLabelStep) -> Iterator[Any]:
        context.log.info("%s begins", step.name)
        for result in super().execute(context, step):
            if isinstance(result, dg.MaterializeResult):
                yield result._replace(metadata={**(result.metadata or {}), "run_by": step.name})
            else:
                yield result


def test_a_subclass_can_do_something_around_every_step(filled, instance, tmp_path):
    defs = dg.build_defs_for_component(component(tmp_path, Overriding, exports=["coco"]))
    assert spec_of(defs, "street-scenes", "labels").owners == ["team:ours"]
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert result.success
    seen = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata["run_by"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[0] == "street-scenes"
    }
    assert seen == {
        "street-scenes/labels": "street_scenes_labels",
        "street-scenes/classes": "street_scenes_tables",
        "street-scenes/tasks": "street_scenes_tables",
        "street-scenes/annotations": "street_scenes_tables",
        "street-scenes/images": "street_scenes_images",
        "street-scenes/coco": "street_scenes_coco_export",
    }


def test_the_definitions_carry_the_resource_so_a_test_can_put_another_in_its_place(
    filled, instance, tmp_path, monkeypatch
):
    from fastlabel_dagster import FastLabelResource

    defs = dg.build_defs_for_component(
        component(tmp_path, fastlabel={"access_token_env": "NOT_SET_HERE"}, resource_key="labels_api", exports=[])
    )
    assert set(defs.resources or {}) == {"labels_api"}
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    job = defs.resolve_job_def("street_scenes_sync")
    other = FastLabelResource(access_token=filled.token, base_url=filled.url)
    assert job.execute_in_process(instance=instance, resources={"labels_api": other}).success


def test_what_is_published_and_whether_there_are_pictures_stands_in_the_yaml(filled, instance, tmp_path):
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    filled.state.add_tasks("street-scenes", [{"name": "done.png", "status": "declined"}], {"done.png": picture})
    published = {"dataset": "signs", "publish_status": "declined", "prune": False}
    defs = dg.build_defs_for_component(component(tmp_path, exports=[], previews=False, **published))
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert result.success
    made = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert (made["dataset"]["dataset"].value, made["dataset"]["approved_tasks"].value) == ("signs", 1)
    assert not [name for metadata in made.values() for name, value in metadata.items() if "data:image" in str(value)]


def test_two_projects_of_one_workspace_share_their_resource(defs_folder, tmp_path, no_fastlabel_variables):
    defs_folder.write("one", {"project": "street-scenes", "store": str(tmp_path / "a")})
    defs_folder.write("two", {"project": "番号", "store": str(tmp_path / "b")})
    with defs_folder.load() as defs:
        defs.get_repository_def().load_all_definitions()
        assert any(name.startswith("project_") and name.endswith("/labels") for name in keys(defs))
        assert set(defs.resources or {}) == {"fastlabel"}


def test_two_instances_of_one_project_live_side_by_side(defs_folder, filled, instance, tmp_path):
    defs_folder.write("one", attributes(tmp_path / "a", exports=[]))
    defs_folder.write(
        "two",
        attributes(
            tmp_path / "b",
            exports=[],
            fastlabel={"access_token_env": "FASTLABEL_ACCESS_TOKEN", "request_attempts": 2},
            resource_key="second",
            op={"name": "again"},
            translation={"key_prefix": "again"},
        ),
    )
    with defs_folder.load() as defs:
        repository = defs.get_repository_def()
        repository.load_all_definitions()
        assert set(defs.resources or {}) == {"fastlabel", "second"}
        jobs = {job.name for job in repository.get_all_jobs()}
        assert {"street_scenes_sync", "again_sync"} <= jobs
        assert {sensor.name for sensor in defs.sensors or ()} == {"street_scenes_imports", "again_imports"}
        for job in ("street_scenes_sync", "again_sync"):
            result = defs.resolve_job_def(job).execute_in_process(instance=instance)
            prefixes = {event.asset_key.path[0] for event in result.get_asset_materialization_events()}
            assert result.success
            assert prefixes == ({"again"} if job == "again_sync" else {"street-scenes"})
    assert (tmp_path / "a" / "store" / "labels").is_dir()
    assert (tmp_path / "b" / "store" / "labels").is_dir()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"exports": ["no-such-format"]}, "unknown export format"),
        ({"loop": {"epoch": 3}}, "loop lacks"),
        ({"project": "a/b"}, "no project slug"),
        ({"s3": {"endpoint_url": "not a url"}}, "URL"),
        ({"exports": [{"format": "coco", "name": "物体"}]}, "export cannot be called '物体'.*letters a-z"),
        ({"op": {"name": "街"}}, "op.name begins the names.*letters a-z.*'街'"),
        ({"translation": {"key_prefix": "街"}}, "translation .*project of street-scenes.*letters a-z.*'街'"),
        ({"dataset": "signs", "loop": LOOP}, "dataset: a loop names its own"),
        ({"publish_status": "reviewed"}, "^publish_status: .*without a loop"),
        ({"sensors": {"approvals": True}, "prune": False}, "^sensors.approvals, prune: "),
        ({"sensors": {"jobs": True}, "dataset": "signs"}, "^sensors.jobs: "),
        ({"translation": {"group_name": "街"}}, "translation .*street-scenes.*valid .*name"),
    ],
)
def test_what_cannot_be_is_told_when_the_location_loads(tmp_path, wrong, words):
    with pytest.raises(ValueError, match=words):
        dg.build_defs_for_component(component(tmp_path, **wrong))


def test_a_title_in_japanese_is_no_name_and_can_be_described(tmp_path):
    defs = dg.build_defs_for_component(
        component(tmp_path, translation={"description": "街の画像", "metadata": {"title": "街"}})
    )
    defs.get_repository_def().load_all_definitions()
    assert spec_of(defs, "street-scenes", "images").description == "街の画像"


def test_a_project_is_observed_when_the_yaml_says_so(filled, instance, tmp_path):
    assert not dg.build_defs_for_component(component(tmp_path)).schedules
    schedule = {"cron": "0 4 * * *", "time_zone": "Asia/Tokyo"}
    defs = dg.build_defs_for_component(component(tmp_path, observe="*/15 * * * *", schedule=schedule, running=True))
    defs.get_repository_def().load_all_definitions()
    look = next(one for one in defs.schedules or () if one.name == "street_scenes_observation")
    assert (look.cron_schedule, look.execution_timezone) == ("*/15 * * * *", "Asia/Tokyo")
    assert look.default_status is dg.DefaultScheduleStatus.RUNNING
    looked = defs.resolve_job_def(look.job_name).execute_in_process(instance=instance)
    assert looked.success
    assert not looked.get_asset_check_evaluations(), "a look that fails would hide what the sensors have reported"
    project = key("fastlabel", "street-scenes")
    (seen,) = instance.fetch_observations(project, limit=5).records
    assert seen.asset_observation.metadata["tasks"].value == 6
    assert instance.get_asset_keys() == [project], "nothing else is looked at or made"


def test_sensors_know_their_assets_by_whatever_keys_translation_gives(filled, tmp_path):
    """The store is what a sensor knows nothing of."""
    defs = dg.build_defs_for_component(
        component(
            tmp_path,
            translation={"key": "{{ 'stored' if props.store else 'unknown' }}/{{ props.part }}"},
            sensors={"quality": True},
            exports=[],
        )
    )
    project = key("stored", "project")
    assert project in {spec.key for spec in defs.resolve_all_asset_specs()}
    told: set[dg.AssetKey] = set()
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("street_scenes_imports", "street_scenes_quality"):
            cursor = None
            for _ in range(4):
                with dg.build_sensor_context(
                    instance, cursor=cursor, definitions=defs, resources=dict(defs.resources or {})
                ) as context:
                    result = defs.resolve_sensor_def(name).evaluate_tick(context)
                if cursor is None:
                    filled.state.start_import("street-scenes", outcome="failed", seconds=0)
                cursor = result.cursor
                told |= {event.asset_key for event in result.asset_events}
    assert told == {project}
    quality = next(one for one in defs.asset_checks or () if one.op.name == "street_scenes_quality_checks")
    assert {check.asset_key for check in quality.check_keys} == {project}


def test_what_it_is_and_makes_is_told_to_dg(tmp_path):
    spec = FastLabelProjectComponent.get_spec()
    assert spec.description
    assert set(getattr(spec, "produces", ["asset", "sensor"])) >= {"asset", "sensor"}
