"""Sensors: they watch FastLabel in short, bounded ticks, act once on what they find, and survive restarts."""

from fastlabel_dagster.sensors.annotated import build_annotated_sensor
from fastlabel_dagster.sensors.approvals import build_approval_sensor
from fastlabel_dagster.sensors.imports import build_import_sensor
from fastlabel_dagster.sensors.jobs import build_jobs_sensor
from fastlabel_dagster.sensors.quality import build_quality_sensor
from fastlabel_dagster.sensors.quality_checks import build_quality_checks
from fastlabel_dagster.sensors.workspace import build_workspace_sensor

__all__ = [
    "build_annotated_sensor",
    "build_approval_sensor",
    "build_import_sensor",
    "build_jobs_sensor",
    "build_quality_checks",
    "build_quality_sensor",
    "build_workspace_sensor",
]
