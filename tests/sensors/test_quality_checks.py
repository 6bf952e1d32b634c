"""The checks the sensors report are defined, so that Dagster shows them, and can be executed by hand."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.checks import CheckPlan, build_remote_checks
from fastlabel_dagster.project import build_fastlabel_project
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import build_import_sensor, build_quality_checks, build_quality_sensor


@pytest.fixture
def execute(make_daemon, instance):
    def execute(checks):
        resource = make_daemon().resource
        job = dg.define_asset_job("look", selection=dg.AssetSelection.checks(checks))
        definitions = dg.Definitions(asset_checks=[checks], jobs=[job], resources={"fastlabel": resource})
        result = definitions.resolve_job_def("look").execute_in_process(instance=instance)
        return {one.check_name: one for one in result.get_asset_check_evaluations()}

    return execute


def test_what_the_sensors_report_is_defined(daemon, sandbox, tmp_path):
    assets = build_fastlabel_project_assets("street-scenes", store=tmp_path, checks={})
    defined = {key for one in assets if isinstance(one, dg.AssetsDefinition) for key in one.check_keys}
    defined |= set(build_quality_checks("street-scenes").check_keys)
    sandbox.state.start_import("street-scenes", seconds=0)
    for sensor in (
        build_import_sensor("street-scenes", job="x", first_tick="backfill"),
        build_quality_sensor("street-scenes"),
    ):
        daemon.cursor = None
        for _ in range(3):
            daemon.tick(sensor)
    reported = {dg.AssetCheckKey(event.asset_key, event.check_name) for event in daemon.events}
    assert len(reported) == 4 and reported <= defined


def test_by_hand_they_say_what_the_sensor_would(execute, sandbox):
    ids = sandbox.state.task_ids("street-scenes")
    sandbox.state.set_status(ids[:12], "sent_back")
    sandbox.state.comments.create({"taskId": ids[0], "text": "a truck", "points": [1, 1]})
    found = execute(build_quality_checks("street-scenes"))
    assert {name: one.passed for name, one in found.items()} == {"no_open_comments": False, "few_sent_back": False}
    assert found["no_open_comments"].metadata["newest"].value.records[0].data["text"] == "a truck"
    assert found["few_sent_back"].metadata["tasks"].value == 12


@pytest.mark.parametrize("slug", ["street-scenes", "nowhere"])
def test_whether_a_project_can_be_read_is_answered_by_hand_too(execute, slug):
    key = dg.AssetKey(["fastlabel", slug])
    checks = build_remote_checks(slug, project_key=key, checks=CheckPlan.of({}))
    polling = next(one for one in checks if dg.AssetCheckKey(key, "polling_healthy") in one.check_keys)
    (found,) = execute(polling).values()
    assert found.passed == (slug != "nowhere")
    assert found.passed or "NotFound" in found.description


def test_none_is_refused():
    with pytest.raises(ValueError, match="nothing to look at"):
        build_quality_checks("street-scenes", comments=False, statuses=())


def test_a_project_has_the_quality_sensor_and_its_checks_when_asked(tmp_path):
    plain = build_fastlabel_project("street-scenes", store=tmp_path, resource=FastLabelResource())
    asked = build_fastlabel_project(
        "street-scenes", store=tmp_path, resource=FastLabelResource(), quality={"most_sent_back": 3, "comments": False}
    )
    dg.Definitions.validate_loadable(asked)
    assert {one.name for one in asked.sensors} - {one.name for one in plain.sensors} == {"street_scenes_quality"}
    checks = [{key.name for key in one.resolve_asset_graph().asset_check_keys} for one in (plain, asked)]
    assert checks[1] - checks[0] == {"few_sent_back"}
