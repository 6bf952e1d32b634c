"""A workspace by YAML: no network at load, a file that one command refreshes, and words where the file is missing."""

from __future__ import annotations

import json
import logging
import re
import socket
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from fastlabel_dagster.workspace import FastLabelWorkspace

from .conftest import WORKSPACE, keys, refreshed, tick, workspace_component


def state_key(**attributes: Any) -> str:
    return workspace_component(**attributes).defs_state_config.key


def test_without_a_file_it_says_what_to_run(defs_folder, caplog, no_fastlabel_variables):
    defs_folder.write("all", {}, type=WORKSPACE)
    with caplog.at_level(logging.WARNING), defs_folder.load() as defs:
        (spec,) = defs.resolve_all_asset_specs()
        assert "dg utils refresh-defs-state" in (spec.description or "")
        assert spec.metadata["run this"] == "dg utils refresh-defs-state"
        assert set(defs.resources or {}) == {"fastlabel"}
    assert "dg utils refresh-defs-state" in caplog.text


@pytest.mark.parametrize("content", ["", "{", '{"kind": "fastlabel_workspace", "v": 99}', "[]"])
def test_a_file_that_cannot_be_read_says_so_too(tmp_path, content):
    state = tmp_path / "state"
    state.write_text(content, encoding="utf-8")
    defs = workspace_component().build_defs_from_state(None, state)  # type: ignore[arg-type]
    (spec,) = defs.resolve_all_asset_specs()
    assert "dg utils refresh-defs-state" in (spec.description or "")


def test_refreshed_it_shows_the_selected_projects_and_asks_nobody_at_load(many, tmp_path, monkeypatch):
    component = workspace_component(selector={"globs": ["street-*"]})
    state = refreshed(component, tmp_path)
    assert many.token not in state.read_text(encoding="utf-8")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened while definitions were built")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN")
    defs = component.build_defs_from_state(None, state)  # type: ignore[arg-type]
    defs.get_repository_def().load_all_definitions()
    assert {"fastlabel/street-day", "fastlabel/street-night"} <= keys(defs)
    assert not any("archive" in key for key in keys(defs))


def test_the_selector_comes_before_the_fetching(many, tmp_path):
    component = workspace_component(selector="street-day")
    workspace = FastLabelWorkspace.from_json(refreshed(component, tmp_path).read_bytes())
    assert workspace.slugs == ("street-day",)
    everything = FastLabelWorkspace.from_json(refreshed(workspace_component(), tmp_path).read_bytes())
    assert len(everything.slugs) == 3
    assert everything.requests - workspace.requests == 2 * 4, "classes, tasks, imports, auto-annotations of two more"


def test_a_project_that_was_renamed_since_is_told_with_what_to_run(many, tmp_path, on_disk, caplog):
    component = workspace_component(
        selector="street-*", store=str(tmp_path / "store"), exports=[], observe="0 * * * *", sensors={"quality": True}
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    cursor = tick(defs, "fastlabel_imports", on_disk).cursor
    renamed = many.state.projects.by_slug("street-night")["id"]
    many.state.projects.update(renamed, {"slug": "street-late"})
    for name in ("fastlabel_imports", "fastlabel_quality"):
        told = tick(defs, name, on_disk, cursor if name == "fastlabel_imports" else None)
        assert "street-night: NotFound: " in told.skip_message
        assert told.skip_message.count("run `dg utils refresh-defs-state` and reload") == 1, "the other is as it was"
        (failed,) = [event for event in told.asset_events if not event.passed]
        assert "run `dg utils refresh-defs-state`" in failed.description
        assert "run `dg utils refresh-defs-state`" in failed.metadata["what to do"].text
    for job, selection in (
        ("__ASSET_JOB", [dg.AssetKey(["street-night", "labels"])]),
        ("fastlabel_observation", None),
    ):
        ran = defs.resolve_job_def(job).execute_in_process(
            instance=on_disk, asset_selection=selection, raise_on_error=False
        )
        (event,) = [event for event in ran.all_events if event.is_step_failure]
        data = event.step_failure_data.user_failure_data
        assert "run `dg utils refresh-defs-state` and reload the code location" in data.description
        assert data.metadata["what to run"].text == "dg utils refresh-defs-state"
    refreshed(component, tmp_path)
    assert "street-night is called street-late now, and what is kept under its slug begins anew" in caplog.text
    assert "under `projects: {street-late: …}`, these go on." in caplog.text
    many.state.projects.delete(renamed)
    refreshed(component, tmp_path)
    assert "street-late is not among the projects any more: its assets leave, its folder in the store stays." in (
        caplog.messages
    )


def test_a_refresh_that_fails_keeps_the_earlier_state(many, tmp_path):
    component = workspace_component(
        selector="street-*", fastlabel={"request_attempts": 1, "access_token_env": "FASTLABEL_ACCESS_TOKEN"}
    )
    state = refreshed(component, tmp_path)
    before = state.read_bytes()
    many.fail("GET projects", times=10, status=503)
    with pytest.raises(Exception, match=r"503|server"):
        component.write_state_to_path(state)
    assert state.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("state")] == ["state"]


def test_with_a_store_every_project_is_mirrored_and_exported(many, tmp_path, instance):
    component = workspace_component(
        selector="street-*", store=str(tmp_path / "store"), exports=["coco"], op={"pool": "labels"}
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    assert {"street-day/labels", "street-day/coco", "street-night/images"} <= keys(defs)
    assert [sensor.name for sensor in defs.sensors or ()] == ["fastlabel_imports"]
    job = defs.resolve_implicit_global_asset_job_def()
    wanted = [dg.AssetKey(["street-day", name]) for name in ("labels", "images", "coco")]
    assert job.execute_in_process(instance=instance, asset_selection=wanted).success
    assert (tmp_path / "store" / "street-day" / "coco" / "annotations.json").is_file()


def test_translation_and_resource_key_reach_the_assets_of_a_workspace(many, tmp_path):
    component = workspace_component(
        selector="street-day", resource_key="other", translation={"key_prefix": "acme", "owners": ["team:ops"]}
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    specs = list(defs.resolve_all_asset_specs())
    assert {spec.key.path[0] for spec in specs} == {"acme"}
    assert {tuple(spec.owners) for spec in specs} == {("team:ops",)}
    assert set(defs.resources or {}) == {"other"}


def test_two_workspaces_live_side_by_side(defs_folder, many, recwarn):
    common = {"store": "stores"}
    defs_folder.write("one", {**common, "selector": "street-day"}, type=WORKSPACE)
    defs_folder.write(
        "two",
        {**common, "selector": "street-night", "resource_key": "second", "op": {"name": "second"}},
        type=WORKSPACE,
    )
    defs_folder.refresh("one", "two")
    with defs_folder.load() as defs:
        repository = defs.get_repository_def()
        repository.load_all_definitions()
        assert {"street-day/labels", "street-night/labels"} <= keys(defs)
        assert {sensor.name for sensor in defs.sensors or ()} == {"fastlabel_imports", "second_imports"}
        assert set(defs.resources or {}) == {"fastlabel", "second"}
    assert not [warning for warning in recwarn if "same defs state key" in str(warning.message)]


def test_state_keys_differ_when_what_is_fetched_differs_and_are_names_of_files():
    asked = [
        {},
        {"selector": "a"},
        {"selector": "a_b"},
        {"selector": "a b"},
        {"selector": ["a", "b"]},
        {"selector": {"globs": ["a"]}},
        {"selector": {"types": ["a"]}},
        {"selector": "番号"},
        {"include": ["classes"]},
        {"fastlabel": {"base_url": "https://a.example/v1/"}},
        {"fastlabel": {"access_token_env": "OTHER_TOKEN"}},
        {"resource_key": "other"},
        {"op": {"name": "other"}},
    ]
    found = [state_key(**attributes) for attributes in asked]
    assert len(set(found)) == len(asked)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", key) for key in found), (
        "Dagster replaces other characters by the same one"
    )
    assert state_key(selector=["a", "b"]) == state_key(selector=["a", "b"])
    assert state_key(defs_state={"key": "mine", "management_type": "LOCAL_FILESYSTEM"}) == "mine"


@pytest.mark.parametrize("kept", ["LOCAL_FILESYSTEM", "VERSIONED_STATE_STORAGE"])
def test_no_dg_command_refreshes_by_itself(kept):
    def refreshes(**said: Any) -> bool:
        return workspace_component(**said).defs_state_config.refresh_if_dev

    assert refreshes() is False
    assert refreshes(defs_state={"management_type": kept}) is False, "where it is kept says nothing of when to fetch"
    assert refreshes(defs_state={"management_type": kept, "key": "mine", "refresh_if_dev": True}) is True


def test_one_broken_project_does_not_take_the_others_down(many, tmp_path):
    component = workspace_component(selector="street-*", store="store", fastlabel={"request_attempts": 1})
    many.fail("GET annotations", times=1, status=500)
    state = refreshed(component, tmp_path)
    told = json.loads(state.read_text(encoding="utf-8"))
    assert [bool(project["errors"]) for project in told["projects"]].count(True) == 1
    defs = component.build_defs_from_state(None, state)  # type: ignore[arg-type]
    assert {"street-day/labels", "street-night/labels"} <= keys(defs)


def test_without_a_store_the_workspace_is_shown_and_nothing_can_be_made(many, tmp_path):
    component = workspace_component(selector="street-*")
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    repository = defs.get_repository_def()
    repository.load_all_definitions()
    graph = repository.asset_graph
    shown = {key.to_user_string() for key in graph.external_asset_keys}
    assert {"fastlabel/street-day", "fastlabel/street-day/annotation_classes"} <= shown
    assert "fastlabel_workspace/training_jobs" in shown
    assert shown == keys(defs)
    assert not graph.materializable_asset_keys
    assert not defs.sensors


PARTITIONED = {"selector": "street-*", "exports": ["coco"], "partitions": "project"}


def partitioned(tmp_path: Path, **more: Any) -> dg.Definitions:
    component = workspace_component(**{**PARTITIONED, "store": str(tmp_path / "store"), **more})
    return component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]


def test_partitions_by_project_are_one_set_of_assets_that_a_sensor_keeps_in_step(many, tmp_path, on_disk):
    defs = partitioned(tmp_path)
    assert {"fastlabel/fastlabel_projects", "fastlabel_projects/labels", "fastlabel_projects/coco"} <= keys(defs)
    assert not any("street" in key for key in keys(defs))
    assert {sensor.name for sensor in defs.sensors or ()} == {"fastlabel_workspace", "fastlabel_imports"}

    first = tick(defs, "fastlabel_workspace", on_disk)
    assert set(on_disk.get_dynamic_partitions("fastlabel_projects")) == {"street-day", "street-night"}
    assert not first.run_requests, "the projects there are get partitions; they are synced by a backfill"

    many.seed(tasks=2, project="street-dawn")
    second = tick(defs, "fastlabel_workspace", on_disk, first.cursor)
    (request,) = second.run_requests
    assert request.partition_key == "street-dawn"
    job = defs.resolve_job_def("fastlabel_sync_project")
    assert job.execute_in_process(instance=on_disk, partition_key="street-dawn").success
    assert (tmp_path / "store" / "street-dawn" / "coco" / "annotations.json").is_file()
    assert not (tmp_path / "store" / "street-day").exists()


def test_a_finished_import_syncs_the_partition_of_its_project_and_a_failed_one_is_told(many, tmp_path, on_disk, capsys):
    defs = partitioned(tmp_path)
    before = tick(defs, "fastlabel_imports", on_disk)
    assert not before.run_requests
    on_disk.add_dynamic_partitions("fastlabel_projects", ["street-day", "street-night"])
    first = tick(defs, "fastlabel_imports", on_disk, before.cursor)
    many.state.start_import("street-day", seconds=0)
    many.state.start_import("street-night", seconds=0, outcome="failed")
    many.state.start_import("archive", seconds=0)
    result = tick(defs, "fastlabel_imports", on_disk, first.cursor)
    (request,) = result.run_requests
    assert (request.partition_key, request.tags["fastlabel/project"]) == ("street-day", "street-day")
    assert not result.asset_events, "there is no check they could be of"
    assert "WARNING - street-night: Import" in capsys.readouterr().err
    assert not tick(defs, "fastlabel_imports", on_disk, result.cursor).run_requests


@pytest.mark.parametrize("wanted", [False, True])
def test_partitions_are_deleted_only_when_that_is_asked_for(many, tmp_path, on_disk, wanted):
    defs = partitioned(tmp_path, sensors={"delete_partitions": wanted})
    on_disk.add_dynamic_partitions("fastlabel_projects", ["street-gone"])
    cursor = None
    for _ in range(3):
        cursor = tick(defs, "fastlabel_workspace", on_disk, cursor).cursor
    assert ("street-gone" in on_disk.get_dynamic_partitions("fastlabel_projects")) is not wanted


def test_two_partitioned_workspaces_have_partitions_of_their_own(many, tmp_path):
    one, two = partitioned(tmp_path), partitioned(tmp_path, op={"name": "second"}, resource_key="second")
    both = dg.Definitions.merge(one, two)
    both.get_repository_def().load_all_definitions()
    assert {"fastlabel_projects/labels", "second_projects/labels"} <= keys(both)
    assert {sensor.name for sensor in both.sensors or ()} == {
        f"{name}_{what}" for name in ("fastlabel", "second") for what in ("workspace", "imports")
    }


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"store": None}, "store"),
        ({"dataset": "{slug}"}, "dataset"),
        ({"projects": {"street-day": {"exports": ["yolo"]}}}, "single projects"),
    ],
)
def test_what_partitions_cannot_have_is_refused(many, tmp_path, attributes, words):
    with pytest.raises(ValueError, match=words):
        partitioned(tmp_path, **attributes)


def test_the_sensors_of_a_workspace_are_those_asked_for(many, tmp_path):
    def names(**more: Any) -> set[str]:
        component = workspace_component(**{"selector": "street-*", **more})
        defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
        defs.get_repository_def().load_all_definitions()
        return {sensor.name for sensor in defs.sensors or ()}

    store = str(tmp_path / "store")
    assert names(sensors={"projects": True}) == {"fastlabel_workspace"}
    assert names(store=store, sensors={"imports": False, "projects": True}) == {"fastlabel_workspace"}
    assert names(store=store, sensors={"approvals": 5}) == {"fastlabel_imports"}, "there is no dataset to publish"
    assert names(store=store, dataset="{slug}", sensors={"approvals": 5}) == {
        "fastlabel_imports",
        "fastlabel_approvals",
    }
    assert names(store=store, partitions="project", sensors={"projects": False, "imports": False}) == set()


def test_enough_approvals_publish_the_dataset_of_their_project_only(many, tmp_path, on_disk):
    many.seed(tasks=8, project="street-long")
    component = workspace_component(
        selector="street-*", store=str(tmp_path / "store"), dataset="{slug}", sensors={"approvals": 2}
    )
    defs = component.build_defs_from_state(None, refreshed(component, tmp_path))  # type: ignore[arg-type]
    first = tick(defs, "fastlabel_approvals", on_disk)
    many.state.approve("street-long", 2)
    second = tick(defs, "fastlabel_approvals", on_disk, first.cursor)
    (request,) = second.run_requests
    assert {key.path[0] for key in request.asset_selection} == {"street-long"}
    assert dg.AssetKey(["street-long", "dataset"]) in request.asset_selection
