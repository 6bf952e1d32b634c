"""Annotation data in Dagster: FastLabel projects as versioned label tables, training-ready exports and retraining.

Names are handed out on first use (PEP 562), so ``import fastlabel_dagster`` costs next to nothing in the processes
Dagster starts for every step; pyarrow, OpenCV and boto3 load where they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fastlabel_dagster import formats, labels, ops
    from fastlabel_dagster.api import FastLabelClient, FastLabelError
    from fastlabel_dagster.assets import build_fastlabel_project_assets
    from fastlabel_dagster.assets.decorator import fastlabel_project_assets
    from fastlabel_dagster.assets.observation import build_fastlabel_observation
    from fastlabel_dagster.assets.partitioned import build_partitioned_workspace_assets
    from fastlabel_dagster.assets.slices import build_approved_tasks_asset, build_dataset_objects_asset
    from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions, load_fastlabel_asset_specs
    from fastlabel_dagster.components import FastLabelProjectComponent, FastLabelWorkspaceComponent
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.partitions import partition_changes, project_partitions
    from fastlabel_dagster.project import build_fastlabel_project
    from fastlabel_dagster.resource import FastLabelResource
    from fastlabel_dagster.sensors import (
        build_annotated_sensor,
        build_approval_sensor,
        build_import_sensor,
        build_jobs_sensor,
        build_quality_sensor,
        build_workspace_sensor,
    )
    from fastlabel_dagster.store import ImageFolder, S3Options, open_store
    from fastlabel_dagster.sync import LabelMirror, download_images, publish_dataset, sync_project
    from fastlabel_dagster.translator import DagsterFastLabelTranslator
    from fastlabel_dagster.workspace import FastLabelWorkspace, ProjectSelector, fetch_workspace

_HOMES = {
    "build_annotated_sensor": "fastlabel_dagster.sensors",
    "build_approval_sensor": "fastlabel_dagster.sensors",
    "build_approved_tasks_asset": "fastlabel_dagster.assets.slices",
    "build_dataset_objects_asset": "fastlabel_dagster.assets.slices",
    "build_fastlabel_assets_definitions": "fastlabel_dagster.assets.workspace",
    "build_fastlabel_observation": "fastlabel_dagster.assets.observation",
    "build_fastlabel_project": "fastlabel_dagster.project",
    "build_fastlabel_project_assets": "fastlabel_dagster.assets",
    "build_import_sensor": "fastlabel_dagster.sensors",
    "build_jobs_sensor": "fastlabel_dagster.sensors",
    "build_partitioned_workspace_assets": "fastlabel_dagster.assets.partitioned",
    "build_quality_sensor": "fastlabel_dagster.sensors",
    "build_workspace_sensor": "fastlabel_dagster.sensors",
    "DagsterFastLabelTranslator": "fastlabel_dagster.translator",
    "download_images": "fastlabel_dagster.sync",
    "fastlabel_project_assets": "fastlabel_dagster.assets.decorator",
    "FastLabelClient": "fastlabel_dagster.api",
    "FastLabelError": "fastlabel_dagster.api",
    "FastLabelProjectComponent": "fastlabel_dagster.components",
    "FastLabelResource": "fastlabel_dagster.resource",
    "FastLabelWorkspace": "fastlabel_dagster.workspace",
    "FastLabelWorkspaceComponent": "fastlabel_dagster.components",
    "fetch_workspace": "fastlabel_dagster.workspace",
    "ImageFolder": "fastlabel_dagster.store",
    "LabelMirror": "fastlabel_dagster.sync",
    "Labels": "fastlabel_dagster.labels",
    "load_fastlabel_asset_specs": "fastlabel_dagster.assets.workspace",
    "open_store": "fastlabel_dagster.store",
    "partition_changes": "fastlabel_dagster.partitions",
    "project_partitions": "fastlabel_dagster.partitions",
    "ProjectSelector": "fastlabel_dagster.workspace",
    "publish_dataset": "fastlabel_dagster.sync",
    "S3Options": "fastlabel_dagster.store",
    "sync_project": "fastlabel_dagster.sync",
}
_MODULES = ("formats", "labels", "ops")

__all__ = [
    "DagsterFastLabelTranslator",
    "FastLabelClient",
    "FastLabelError",
    "FastLabelProjectComponent",
    "FastLabelResource",
    "FastLabelWorkspace",
    "FastLabelWorkspaceComponent",
    "ImageFolder",
    "LabelMirror",
    "Labels",
    "ProjectSelector",
    "S3Options",
    "build_annotated_sensor",
    "build_approval_sensor",
    "build_approved_tasks_asset",
    "build_dataset_objects_asset",
    "build_fastlabel_assets_definitions",
    "build_fastlabel_observation",
    "build_fastlabel_project",
    "build_fastlabel_project_assets",
    "build_import_sensor",
    "build_jobs_sensor",
    "build_partitioned_workspace_assets",
    "build_quality_sensor",
    "build_workspace_sensor",
    "download_images",
    "fastlabel_project_assets",
    "fetch_workspace",
    "formats",
    "labels",
    "load_fastlabel_asset_specs",
    "open_store",
    "ops",
    "partition_changes",
    "project_partitions",
    "publish_dataset",
    "sync_project",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
