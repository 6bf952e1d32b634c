"""``dg`` finds the components through the entry point, and looking for them loads nothing heavy."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from pydantic import TypeAdapter

from fastlabel_dagster.components import FastLabelProjectComponent, FastLabelWorkspaceComponent
from fastlabel_dagster.components.connection import FastLabelConnection
from fastlabel_dagster.resource import FastLabelResource

HEAVY = {"pandas", "pyarrow", "numpy", "cv2", "boto3", "deltalake", "matplotlib", "requests"}


def test_the_entry_point_leads_to_both_components():
    (entry,) = [
        entry
        for entry in importlib.metadata.entry_points(group="dagster_dg_cli.registry_modules")
        if entry.name == "fastlabel_dagster"
    ]
    module = entry.load()
    found = {name for name in dir(module) if hasattr(getattr(module, name), "__dg_package_entry__")}
    assert found == {"FastLabelProjectComponent", "FastLabelWorkspaceComponent"}


def test_importing_the_module_loads_no_component_and_naming_one_nothing_heavy():
    code = (
        "import sys, fastlabel_dagster.components as c\n"
        "assert 'fastlabel_dagster.components.project' not in sys.modules\n"
        "assert 'dagster' not in sys.modules\n"
        "c.FastLabelProjectComponent.model(); c.FastLabelWorkspaceComponent.model()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())


def test_the_schema_that_editors_and_dg_check_against_can_be_made():
    for component in (FastLabelProjectComponent, FastLabelWorkspaceComponent):
        model = component.get_model_cls()
        assert model is not None
        schema = TypeAdapter(model).json_schema()
        assert {"fastlabel", "op", "translation", "resource_key"} <= set(schema["properties"])


def test_a_connection_says_of_each_setting_what_the_resource_says():
    own = {"access_token_env", "access_token"}
    fields = {name: field for name, field in FastLabelConnection.model_fields.items() if name not in own}
    theirs = {name: field for name, field in FastLabelResource.model_fields.items() if name != "access_token"}
    assert set(fields) == set(theirs)
    for name, field in fields.items():
        assert (field.default, field.description) == (theirs[name].default, theirs[name].description)
    connection = FastLabelConnection(access_token_env="ACME_TOKEN", request_attempts=3)
    assert connection.resource().request_attempts == 3
    assert connection.resource() is FastLabelConnection(access_token_env="ACME_TOKEN", request_attempts=3).resource()
