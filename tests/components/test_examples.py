"""The YAML in the components' docstrings is what a reader copies: it loads."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from fastlabel_dagster import FastLabelProjectComponent, FastLabelWorkspaceComponent

from .conftest import refreshed, workspace_component

TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "tutorial.md"


@pytest.mark.parametrize("component", [FastLabelProjectComponent, FastLabelWorkspaceComponent])
def test_the_example_of_a_component_loads(component, defs_folder, no_fastlabel_variables):
    told = inspect.getdoc(component) or ""
    examples = re.findall(r"``defs.yaml``\)::\n\n((?:    .*\n|\n)+)", f"{told}\n")
    assert examples
    for number, example in enumerate(examples):
        written = yaml.safe_load(textwrap.dedent(example))
        assert written["type"].rsplit(".", 1)[-1] == component.__name__
        defs_folder.write(f"one{number}", written["attributes"], type=written["type"])
        with defs_folder.load() as defs:
            defs.get_repository_def().load_all_definitions()
            assert defs.resolve_all_asset_specs()


def test_the_tutorials_workspace_with_everything_loads(fastlabel_sandbox, tmp_path):
    """The tutorial's test leaves it out, as it would take long."""
    blocks = re.findall(r"```yaml\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    (written,) = [yaml.safe_load(block) for block in blocks if "archive:" in block]
    fastlabel_sandbox.seed(tasks=2, project="night-scenes")
    for slug in ("day-scenes", "archive"):
        fastlabel_sandbox.state.create_project(slug, type="image_bbox")
    component = workspace_component(**written["attributes"])
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))
    defs.get_repository_def().load_all_definitions()
    trained = {key.path[0] for key in defs.resolve_asset_graph().get_all_asset_keys() if key.path[-1] == "training"}
    assert trained == {"night-scenes", "day-scenes"}
    kinds = {"imports", "approvals", "approvals_50", "jobs", "quality"}
    assert {sensor.name for sensor in defs.sensors or ()} == {f"fastlabel_{kind}" for kind in kinds}
    assert {schedule.name for schedule in defs.schedules or ()} == {"fastlabel_nightly", "fastlabel_observation"}
    assert [job.name for job in defs.jobs or ()] == ["fastlabel_evaluate"]
