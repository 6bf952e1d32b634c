"""Sensors: finished imports request a sync, approvals request a retraining, finished trainings become models."""

from fastlabel_dagster.sensors.approvals import build_approval_sensor
from fastlabel_dagster.sensors.imports import build_import_sensor
from fastlabel_dagster.sensors.training import build_training_sensor

__all__ = ["build_approval_sensor", "build_import_sensor", "build_training_sensor"]
