"""Two components that would make the same assets or names: the message says which, where, and what to set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import WORKSPACE, keys


@pytest.fixture
def beside(defs_folder: Any, many: Any) -> Iterator[Any]:
    def write(**attributes: Any) -> None:
        defs_folder.write("all", {"store": "stores", **attributes}, type=WORKSPACE)

    yield write


@pytest.mark.parametrize("project", [{"project": "fastlabel"}, {"project": "street", "op": {"name": "fastlabel"}}])
def test_two_components_with_one_name_are_told_what_to_set(defs_folder, beside, project):
    beside()
    defs_folder.write("one", {**project, "store": "one"})
    with pytest.raises(Exception, match="building definitions") as told, defs_folder.load() as defs:
        defs.get_repository_def()
    words = str(told.value.__cause__)
    assert "the FastLabelProjectComponent of" in words
    assert "all begin with fastlabel_" in words
    assert "op: {name:" in words
    beside(op={"name": "ours"})
    with defs_folder.load() as defs:
        defs.get_repository_def().load_all_definitions()


@pytest.mark.parametrize("store", [{}, {"store": "stores"}], ids=["shown only", "made here"])
def test_a_project_of_two_components_is_told_with_what_to_set(defs_folder, many, store):
    defs_folder.write("all", {"selector": "street-*", **store}, type=WORKSPACE)
    project = {"project": "street-day", "store": "one"}
    defs_folder.write("one", project)
    defs_folder.refresh("all")
    with pytest.raises(Exception, match="building definitions") as told, defs_folder.load() as defs:
        defs.get_repository_def()
    words = str(told.value.__cause__)
    assert "the FastLabelProjectComponent of street-day both have the asset fastlabel/street-day" in words
    assert "selector: {exclude: [street-day]}" in words
    defs_folder.write("one", {**project, "translation": {"key_prefix": "again"}})
    with defs_folder.load() as defs:
        defs.get_repository_def().load_all_definitions()
        assert {"again/street-day/labels", "fastlabel/street-day"} <= keys(defs)


def test_a_project_of_two_project_components_is_told_with_both_places(defs_folder):
    project = {"project": "street-day", "store": "one"}
    for place in ("one", "two"):
        defs_folder.write(place, project)
    with pytest.raises(Exception, match="building definitions") as told, defs_folder.load() as defs:
        defs.get_repository_def()
    words = str(told.value.__cause__)
    assert "the project street-day is in two components, one" in words and "two" in words
    assert "the asset fastlabel/street-day: keep it in one of them" in words
    defs_folder.write("two", {**project, "translation": {"key_prefix": "again"}, "op": {"name": "again"}})
    for _ in range(2):
        with defs_folder.load() as defs:
            defs.get_repository_def().load_all_definitions()


def test_a_project_of_two_workspaces_is_told_with_both_places(defs_folder, many):
    defs_folder.write("all", {"selector": "street-*"}, type=WORKSPACE)
    defs_folder.write("day", {"selector": "street-day", "op": {"name": "day"}}, type=WORKSPACE)
    defs_folder.refresh("all", "day")
    with pytest.raises(Exception, match="building definitions") as told, defs_folder.load() as defs:
        defs.get_repository_def()
    words = str(told.value.__cause__)
    assert "the project street-day is in two components, all" in words
    assert "selector: {exclude: […]}" in words


def test_two_workspaces_with_one_name_are_told_what_to_set(defs_folder, beside):
    beside(selector="street-day")
    defs_folder.write("more", {"store": "more", "selector": "street-night"}, type=WORKSPACE)
    with pytest.raises(Exception, match="building definitions") as told, defs_folder.load() as defs:
        defs.get_repository_def()
    assert "another FastLabelWorkspaceComponent all begin with fastlabel_" in str(told.value.__cause__)
