"""A project folder as ``dg`` makes it, with components in it, and the sandbox they talk to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
import yaml
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from fastlabel_dagster import FastLabelWorkspaceComponent

PROJECT = "fastlabel_dagster.FastLabelProjectComponent"
WORKSPACE = "fastlabel_dagster.FastLabelWorkspaceComponent"

#: A loop for every project of a workspace.
LOOP = {
    "retrain_after": {"approved": 2},
    "dataset": "train-{slug}",
    "base_model": "fastlabel_object_detection_light",
    "epoch": 3,
    "evaluation": {"wait": "sensor"},
    "auto_annotate": True,
}


@dataclass
class DefsFolder:
    """The ``defs`` folder of a project that exists for one test."""

    folder: DefsFolderSandbox

    def write(self, name: str, attributes: dict[str, Any], type: str = PROJECT, **more: Any) -> Path:
        """``defs/<name>/defs.yaml``, as a user would write it."""
        place = self.folder.defs_folder_path / name
        place.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"type": type, "attributes": attributes, **more}, sort_keys=False, allow_unicode=True)
        (place / "defs.yaml").write_text(text, encoding="utf-8")
        return place

    def refresh(self, *names: str) -> None:
        """Fetch the state of these workspaces, as ``dg utils refresh-defs-state`` does."""
        with self.folder.build_component_tree() as tree:
            for name in names:
                component = cast(FastLabelWorkspaceComponent, tree.load_component(self.folder.defs_folder_path / name))
                asyncio.run(component.refresh_state(self.folder.project_root))

    @contextmanager
    def load(self) -> Iterator[dg.Definitions]:
        """Everything in the folder, as a code server loads it."""
        with self.folder.build_all_defs() as defs:
            yield defs


@pytest.fixture
def defs_folder() -> Iterator[DefsFolder]:
    with create_defs_folder_sandbox() as folder:
        yield DefsFolder(folder)


@pytest.fixture
def no_fastlabel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nothing of FastLabel is set."""
    for name in [name for name in os.environ if name.startswith("FASTLABEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def filled(fastlabel_sandbox: Any) -> Any:
    """A sandbox with a small project, ``street-scenes``: six pictures, 2 approved."""
    fastlabel_sandbox.seed(tasks=6)
    return fastlabel_sandbox


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def workspace_component(**attributes: Any) -> FastLabelWorkspaceComponent:
    return FastLabelWorkspaceComponent.from_attributes_dict(attributes=attributes)


def keys(defs: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}


@pytest.fixture
def many(fastlabel_sandbox: Any) -> Any:
    """Three projects, two of which the selector of these tests means."""
    for slug in ("street-day", "street-night", "archive"):
        fastlabel_sandbox.seed(tasks=2, project=slug)
    return fastlabel_sandbox


def refreshed(component: FastLabelWorkspaceComponent, tmp_path: Path) -> Path:
    state = tmp_path / "state"
    component.write_state_to_path(state)
    return state


@pytest.fixture
def definitions(many: Any, tmp_path: Path) -> Any:
    """``definitions(**attributes)``: what a workspace of the two street projects is, loaded to the end."""

    def made(**attributes: Any) -> dg.Definitions:
        component = workspace_component(
            **{"selector": "street-*", "store": str(tmp_path / "store"), "exports": [], **attributes}
        )
        defs = component.build_defs_from_state(None, refreshed(component, tmp_path))
        defs.get_repository_def().load_all_definitions()
        return defs

    return made


def sensor_names(defs: dg.Definitions) -> set[str]:
    """Without the workspace's own prefix."""
    return {sensor.name.removeprefix("fastlabel_") for sensor in defs.sensors or ()}


@pytest.fixture
def on_disk(tmp_path: Path) -> Any:
    """An instance on disk: Dagster checks the partitions of run requests against no other."""
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "instance")) as instance:
        yield instance


def tick(defs: dg.Definitions, name: str, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    """One evaluation of a sensor, its requests for partitions granted as the daemon grants them."""
    with dg.build_sensor_context(
        instance=instance,
        instance_ref=instance.get_ref(),
        cursor=cursor,
        definitions=defs,
        resources=dict(defs.resources or {}),
    ) as context:
        result = defs.resolve_sensor_def(name).evaluate_tick(context)
    for request in result.dynamic_partitions_requests or ():
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)
    return result
