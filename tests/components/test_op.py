"""What ``op`` says in YAML reaches every step of a component, whoever makes it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from fastlabel_dagster import FastLabelProjectComponent, FastLabelWorkspaceComponent
from fastlabel_dagster.workspace import Dataset, FastLabelWorkspace, Project

LOOP = {"retrain_after": {"approved": 3}, "base_model": "fastlabel_object_detection_light", "epoch": 3}
OP = {"tags": {"team": "perception"}, "pool": "calls"}


def steps(defs: dg.Definitions) -> dict[str, dg.OpDefinition]:
    nodes = defs.resolve_implicit_global_asset_job_def().nodes
    return {node.definition.name: node.definition for node in nodes}  # type: ignore[misc]


def reached(found: dict[str, dg.OpDefinition]) -> bool:
    calling = [op for op in found.values() if "fastlabel" in op.required_resource_keys]
    return all(op.tags.get("team") == "perception" for op in found.values()) and all(
        op.pool == "calls" for op in calling
    )


def test_of_a_project(tmp_path):
    component = FastLabelProjectComponent.from_attributes_dict(
        attributes={
            "project": "street-scenes",
            "store": str(tmp_path),
            "loop": {**LOOP, "dataset": "street-scenes"},
            "sensors": {"quality": True},
            "op": OP,
        }
    )
    found = steps(dg.build_defs_for_component(component))
    assert {"street_scenes_observe", "street_scenes_polling_check", "street_scenes_quality_checks"} < set(found)
    assert reached(found)


@pytest.mark.parametrize("made", [True, False], ids=["made here", "shown only"])
def test_of_a_workspace(tmp_path, made):
    project = Project(slug="street-day", id="1", type="image_bbox", classes=(), imports=())
    workspace = FastLabelWorkspace(projects=(project,), datasets=(Dataset(id="2", name="train-street-day"),))
    state = Path(tmp_path / "state")
    state.write_text(workspace.to_json(), encoding="utf-8")
    more = {"store": str(tmp_path), "loop": {**LOOP, "dataset": "train-{slug}"}} if made else {"observe": "0 * * * *"}
    component = FastLabelWorkspaceComponent.from_attributes_dict(
        attributes={"op": OP, "sensors": {"quality": True}, **more}
    )
    found = steps(component.build_defs_from_state(None, state))  # type: ignore[arg-type]
    assert {"observe_fastlabel", "fastlabel_checks", "street_day_quality_checks"} <= set(found)
    assert reached(found)
