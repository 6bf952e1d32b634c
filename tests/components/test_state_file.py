"""Refreshing a workspace's state: what cannot be had this time is kept, wherever the state lies."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import DefsStateStorage, set_defs_state_storage
from upath import UPath

from fastlabel_dagster import FastLabelWorkspaceComponent
from fastlabel_dagster.workspace import FastLabelWorkspace


def component(kept: str = "LOCAL_FILESYSTEM") -> FastLabelWorkspaceComponent:
    return FastLabelWorkspaceComponent.from_attributes_dict(
        attributes={"fastlabel": {"request_attempts": 1}, "defs_state": {"management_type": kept}}
    )


def shown(made: FastLabelWorkspaceComponent, state: Path) -> dict[str, dg.AssetSpec]:
    defs = made.build_defs_from_state(None, state)  # type: ignore[arg-type]
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture
def trained(filled: Any) -> Any:
    """A workspace with an import, a dataset, and a model."""
    state = filled.state
    state.start_import("street-scenes", seconds=0)
    state.datasets.create("boxes")
    state.datasets.add_object("boxes", "a.txt", b"one", {})
    state.jobs.start_training({"datasetName": "boxes", "baseModelName": "fastlabel_x", "epoch": 2})
    state.clock.advance(1000)
    return filled


def test_two_may_refresh_at_once(filled, tmp_path):
    """One whose file the other has moved away would fail; what the other writes is a folder here, which stays."""
    (tmp_path / "state.new").mkdir()
    component().write_state_to_path(tmp_path / "state")
    assert "fastlabel/street-scenes" in shown(component(), tmp_path / "state")
    assert {path.name for path in tmp_path.iterdir()} >= {"state", "state.new"}


def test_lists_that_fail_take_no_assets_away_and_are_told_of(trained, tmp_path, caplog):
    made, state = component(), tmp_path / "state"
    made.write_state_to_path(state)
    before = shown(made, state)
    then = FastLabelWorkspace.from_json(state.read_bytes()).fetched_at
    for path in ("annotations", "tasks/import/histories", "trainings", "datasets-v2"):
        trained.fail(f"GET {path}", times=1, status=500)
    with caplog.at_level(logging.WARNING):
        made.write_state_to_path(state)
    after = shown(made, state)
    assert set(after) == set(before) and {"fastlabel/street-scenes/import_histories"} < set(after)
    assert any(key.startswith("fastlabel_workspace/models/") for key in after)
    assert f"trainings: what was known at {then} is kept" in caplog.text
    project = after["fastlabel/street-scenes"].metadata
    assert project["fastlabel/kept"] == f"classes of {then}, imports of {then}"
    assert "ServerError" in project["fastlabel/error"]
    for key in ("fastlabel_workspace/training_jobs", "fastlabel_workspace/datasets/boxes"):
        assert then in after[key].metadata["fastlabel/kept"] and "ServerError" in after[key].metadata["fastlabel/error"]
    made.write_state_to_path(state)
    assert not any("fastlabel/kept" in spec.metadata for spec in shown(made, state).values())


def test_a_former_state_that_cannot_be_read_is_left_alone(trained, tmp_path, caplog):
    made, state = component(), tmp_path / "state"
    state.write_text("{", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        made.write_state_to_path(state)
    assert "former state is not used" in caplog.text
    assert "fastlabel/street-scenes" in shown(made, state)


def test_a_state_that_the_instance_keeps_is_the_former_one_too(trained, tmp_path):
    made = component("VERSIONED_STATE_STORAGE")
    config = made.defs_state_config
    with dg.DagsterInstance.ephemeral() as instance:
        storage: DefsStateStorage[Any] = dg.UPathDefsStateStorage(base_path=UPath(tmp_path / "kept"))
        storage.register_instance(instance)
        with set_defs_state_storage(storage):
            asyncio.run(made.refresh_state(tmp_path))
            trained.fail("GET trainings", times=1, status=500)
            version = asyncio.run(made.refresh_state(tmp_path))
        storage.download_state_to_path(config.key, version, tmp_path / "newest")
    workspace = FastLabelWorkspace.from_json((tmp_path / "newest").read_bytes())
    assert set(workspace.kept) == {"trainings"} and workspace.models
    assert replace(workspace, kept={}).problems
