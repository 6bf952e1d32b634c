"""``dg scaffold defs``: the name of a variable in the file, never a secret."""

from __future__ import annotations

import json

import pytest
import yaml

from fastlabel_dagster import FastLabelProjectComponent, FastLabelWorkspaceComponent
from fastlabel_dagster.components.connection import refusal


def test_the_project_scaffolder_writes_a_file_that_loads(defs_folder, no_fastlabel_variables):
    place = defs_folder.folder.scaffold_component(
        FastLabelProjectComponent, "street", {"project": "street-scenes", "access_token_env": "ACME_TOKEN"}
    )
    told = yaml.safe_load((place / "defs.yaml").read_text(encoding="utf-8"))
    assert told["attributes"] == {
        "fastlabel": {"access_token_env": "ACME_TOKEN"},
        "project": "street-scenes",
        "store": "data/street-scenes",
        "exports": ["coco", "yolo"],
    }
    assert told["requirements"] == {"env": ["ACME_TOKEN"]}
    with defs_folder.load() as defs:
        resource = (defs.resources or {})["fastlabel"]
        assert resource.access_token.env_var_name == "ACME_TOKEN"


def test_the_workspace_scaffolder_writes_a_file_that_loads(defs_folder, no_fastlabel_variables):
    place = defs_folder.folder.scaffold_component(
        FastLabelWorkspaceComponent, "all", {"store": "data", "base_url": "https://labels.example/v1/"}
    )
    told = yaml.safe_load((place / "defs.yaml").read_text(encoding="utf-8"))
    assert told["attributes"] == {
        "fastlabel": {"access_token_env": "FASTLABEL_ACCESS_TOKEN", "base_url": "https://labels.example/v1/"},
        "store": "data",
    }
    with defs_folder.load() as defs:
        assert len(list(defs.resolve_all_asset_specs())) == 1


@pytest.mark.parametrize("token", ["s3cr3t-token", "eyJhbGciOiJIUzI1NiJ9.e30.x", "a1" * 20, "A1" * 20])
def test_what_looks_like_a_token_is_refused_and_neither_written_nor_repeated(defs_folder, token, capfd):
    with pytest.raises(Exception) as raised:
        defs_folder.folder.scaffold_component(
            FastLabelProjectComponent, "street", {"project": "street-scenes", "access_token_env": token}
        )
    assert "NAME of an environment variable" in str(raised.value)
    error: BaseException | None = raised.value
    while error is not None:
        assert token not in str(error)
        error = error.__cause__ or error.__context__
    assert not list(defs_folder.folder.project_root.rglob("defs.yaml"))


def test_the_class_is_named_in_python_when_yaml_is_not_wanted(defs_folder):
    place = defs_folder.folder.scaffold_component(
        FastLabelProjectComponent, "street", {"project": "street-scenes"}, scaffold_format="python"
    )
    assert "FastLabelProjectComponent" in (place / "component.py").read_text(encoding="utf-8")
    assert not (place / "defs.yaml").exists()


@pytest.mark.parametrize("name", ["FASTLABEL_ACCESS_TOKEN", "TOKEN2", "_X", "ACME_LABELS_2026_TOKEN"])
def test_names_of_variables_are_taken(name):
    assert refusal(name) is None


@pytest.mark.parametrize("name", ["", None, 7, "token", "Mixed_Case", "A-B", "A B", "1A", "A1" * 10, "X" * 129])
def test_other_words_are_not(name):
    words = refusal(name)
    assert words is not None
    assert json.dumps(name) not in words
