"""How bad a failed check is that a sensor reports: as it is by default, or as one says."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.sensors import (
    build_approval_sensor,
    build_import_sensor,
    build_jobs_sensor,
    build_quality_checks,
    build_quality_sensor,
)

PROJECTS = ["street-scenes", "nowhere"]
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@pytest.fixture
def failing(make_daemon, sandbox, instance):
    """Everything goes wrong; what each check that the sensors report says of how bad that is."""

    def failing(**how):
        found = {}
        # a job nobody knows has failed
        training = {"training_job_id": "of nobody"}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(["street-scenes", "training"]), metadata=training)
        )
        task = sandbox.state.task_ids("street-scenes")[0]
        sandbox.state.comments.create({"taskId": task, "text": "no", "points": [1, 2], "isResolved": False})
        sandbox.state.set_status([task], status="sent_back")
        watching = {
            "imports": build_import_sensor(PROJECTS, job="sync", first_tick="backfill", **how),
            "jobs": build_jobs_sensor("street-scenes", **how),
            "quality": build_quality_sensor(PROJECTS, statuses=["sent_back"], most_sent_back=0, **how),
            "approvals": build_approval_sensor(PROJECTS, every=1, job="retrain", **how),
        }
        sandbox.state.start_import("street-scenes", outcome="failed", seconds=1)
        sandbox.state.clock.advance(60)
        for name, sensor in watching.items():
            daemon = make_daemon()
            for _ in range(2):
                daemon.tick(sensor)
            for one in daemon.events:
                if isinstance(one, dg.AssetCheckEvaluation) and not one.passed:
                    found[name, one.check_name] = one.severity
        return found

    return failing


POLLING = [(name, "polling_healthy") for name in ("imports", "quality", "approvals")]
OWN = [("imports", "imports_succeeded"), ("quality", "no_open_comments"), ("quality", "few_sent_back")]
JOB = ("jobs", "training_succeeded")


def test_nobody_says(failing):
    assert failing() == {**dict.fromkeys([*POLLING, *OWN], WARN), JOB: ERROR}


def test_everything_is_as_bad(failing):
    assert failing(severity="error") == dict.fromkeys([*POLLING, *OWN, JOB], ERROR)


def test_each_check_is_as_bad_as_is_said(failing):
    said = {"training_succeeded": "warn", "few_sent_back": dg.AssetCheckSeverity.ERROR, "polling_healthy": "Error"}
    expected = {**dict.fromkeys(POLLING, ERROR), **dict.fromkeys(OWN, WARN), JOB: WARN}
    assert failing(severity=said) == expected | {("quality", "few_sent_back"): ERROR}


@pytest.mark.parametrize(
    ("given", "words"),
    [("bad", "severity is warn or error"), (3, "not 3"), ({"geometry": "warn"}, "no sensor reports geometry")],
)
def test_mistakes_are_named(given, words):
    for build in (build_import_sensor, build_jobs_sensor, build_quality_sensor, build_quality_checks):
        with pytest.raises(ValueError, match=words):
            build("street-scenes", severity=given)
