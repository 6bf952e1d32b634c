"""The YAML in the components' docstrings is what a reader copies: it loads."""

from __future__ import annotations

import inspect
import re
import textwrap

import pytest
import yaml

from fastlabel_dagster import FastLabelProjectComponent, FastLabelWorkspaceComponent


@pytest.mark.parametrize("component", [FastLabelProjectComponent, FastLabelWorkspaceComponent])
def test_the_example_of_a_component_loads(component, defs_folder, no_fastlabel_variables):
    told = inspect.getdoc(component) or ""
    examples = re.findall(r"``defs.yaml``\)::\n\n((?:    .*\n|\n)+)", f"{told}\n")
    assert examples
    for number, example in enumerate(examples):
        written = yaml.safe_load(textwrap.dedent(example))
        assert written["type"] == f"fastlabel_dagster.{component.__name__}"
        defs_folder.write(f"one{number}", written["attributes"], type=written["type"])
        with defs_folder.load() as defs:
            defs.get_repository_def().load_all_definitions()
            assert defs.resolve_all_asset_specs()
