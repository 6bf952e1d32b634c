"""The checks the sensors report are defined, so that Dagster shows them, and can be executed by hand."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.sensors import build_import_sensor, build_quality_sensor, build_sensor_checks


@pytest.fixture
def execute(make_daemon, instance):
    def execute(checks):
        resource = make_daemon().resource
        job = dg.define_asset_job("look", selection=dg.AssetSelection.checks(checks))
        definitions = dg.Definitions(asset_checks=[checks], jobs=[job], resources={"fastlabel": resource})
        result = definitions.resolve_job_def("look").execute_in_process(instance=instance)
        return {one.check_name: one for one in result.get_asset_check_evaluations()}

    return execute


def test_what_the_sensors_report_is_defined(daemon, sandbox):
    checks = build_sensor_checks("street-scenes", quality=True)
    for sensor in (build_import_sensor("street-scenes", job="x"), build_quality_sensor("street-scenes")):
        daemon.cursor = None
        for _ in range(3):
            daemon.tick(sensor)
    reported = {dg.AssetCheckKey(event.asset_key, event.check_name) for event in daemon.events}
    assert reported == set(checks.check_keys)


def test_by_hand_they_say_what_the_sensors_would(execute, sandbox):
    ids = sandbox.state.task_ids("street-scenes")
    sandbox.state.set_status(ids[:12], "sent_back")
    sandbox.state.comments.create({"taskId": ids[0], "text": "a truck", "points": [1, 1]})
    found = execute(build_sensor_checks("street-scenes", quality=True))
    assert {name: one.passed for name, one in found.items()} == {
        "polling_healthy": True,
        "no_open_comments": False,
        "few_sent_back": False,
    }
    assert found["no_open_comments"].metadata["newest"].value.records[0].data["text"] == "a truck"
    assert found["few_sent_back"].metadata["tasks"].value == 12


def test_a_project_that_cannot_be_read_is_told(execute):
    (found,) = execute(build_sensor_checks("nowhere")).values()
    assert not found.passed and "NotFound" in found.description


def test_none_is_refused():
    with pytest.raises(ValueError, match="no check"):
        build_sensor_checks("street-scenes", polling=False)
