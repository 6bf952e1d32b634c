"""A labeling loop as a code location: what the tests under fire run.

Where FastLabel is it learns from the environment as it runs, and its store lies where it is run unless the environment
names another place: so one set of definitions serves every schedule, and a process that is forked has it already.
"""

from __future__ import annotations

import os

import dagster as dg

from fastlabel_dagster import FastLabelResource
from fastlabel_dagster.project import build_fastlabel_project

PROJECT = "street"
EVERY = 2

fastlabel = FastLabelResource(
    access_token="sandbox-token",
    base_url=dg.EnvVar("FIRE_SANDBOX"),
    read_timeout_seconds=float(os.environ.get("FIRE_TIMEOUT", "1.0")),
    request_attempts=3,
    step_retries=1,
    step_retry_seconds=0,
)

defs = dg.Definitions.merge(
    build_fastlabel_project(
        PROJECT,
        store=os.environ.get("FIRE_STORE", "store"),
        exports=[],
        nightly_at=None,
        loop={
            "retrain_after": {"approved": EVERY},
            "dataset": PROJECT,
            "base_model": "fastlabel_object_detection_light",
            "epoch": 3,
            "evaluation": {"poll_seconds": 0.05},
            "gate": {},
            "auto_annotate": {"status": "registered", "confidence": 0.4, "poll_seconds": 0.05},
        },
        resource=fastlabel,
        checks=False,
        sensor_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    ),
    dg.Definitions(executor=dg.in_process_executor),
)


def job(name: str) -> dg.JobDefinition:
    """One of the location's jobs; a process that runs it finds it by this."""
    return defs.resolve_job_def(name)
