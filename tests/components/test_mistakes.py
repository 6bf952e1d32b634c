"""What is wrong in a component's YAML is told with its file and line, its place and what belongs there; no value is."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.workspace import FastLabelWorkspace, Project

from .conftest import PROJECT, WORKSPACE

TOKEN = "s3cr3t-Tok3n-0f-A-P3rs0n"
OF_ALL = {PROJECT: {"project": "street-day", "store": "store"}, WORKSPACE: {"store": "store"}}

#: Where, what is written there, and what the reader is told. Values of every kind where another kind belongs.
IN_BOTH: list[tuple[str, Any, str]] = [
    ("exports", None, "exports takes a list, such as [coco"),
    ("exports", TOKEN, "exports takes a list, such as [coco"),
    ("exports", {"coco": TOKEN}, "exports takes a list, such as [coco"),
    ("exports", ["coco", None], "exports[1] takes a text or a mapping"),
    ("exports", [TOKEN], "unknown export format 'not repeated here'; known are coco"),
    ("loop", 7, "loop takes a mapping, such as {retrain_after: {approved: 200}"),
    ("loop", {TOKEN: 1}, "loop has no not repeated here; it has retrain_after"),
    ("checks", [TOKEN], "checks takes a mapping or true or false, such as {geometry"),
    ("checks", {"parity": [TOKEN]}, "the check 'parity' takes true, false or a mapping"),
    ("s3", {"regoin": TOKEN}, "s3 has no regoin (did you mean region?); it has endpoint_url, region, profile"),
    ("s3", {TOKEN: None}, "s3 is given a name that it has not, which is not repeated here; it has endpoint_url"),
    ("s3", {"region": 7}, "s3.region takes a text"),
    ("sensors", None, "sensors takes a mapping, such as {quality: true}"),
    ("sensors", {"imports": TOKEN}, "sensors.imports takes true or false"),
    ("sensors", {"interval_seconds": None}, "sensors.interval_seconds takes a whole number"),
    ("sensors", {"quality": {TOKEN: True}}, "sensors.quality has no not repeated here; it has comments"),
    ("schedule", [TOKEN], "schedule takes a mapping, such as {cron: 0 3 * * *}"),
    ("schedule", {"cron": 3}, "schedule.cron takes a text"),
    ("observe", TOKEN, "invalid cron schedule 'not repeated here' for schedule"),
    ("running", None, "running takes true or false"),
    ("op", {"tags": [TOKEN]}, "op.tags takes a mapping"),
    ("op", {"backfill_policy": TOKEN}, "op.backfill_policy takes a mapping"),
    ("translation", TOKEN, "translation takes a mapping, such as {key_prefix: acme}"),
    ("translation", {"key": None}, "translation.key takes a text"),
    ("translation", {"tags": TOKEN}, "translation.tags takes a mapping"),
    ("translation", {"owners": TOKEN}, "translation.owners takes a list"),
    ("translation", {"group_name": TOKEN}, '"not repeated here" is not a valid '),
    ("resource_key", TOKEN, "resource_key is a name such as fastlabel"),
    ("fastlabel", [TOKEN], "fastlabel takes a mapping, such as {access_token_env: FASTLABEL_ACCESS_TOKEN}"),
    ("fastlabel", {"request_attempts": TOKEN}, "fastlabel.request_attempts takes a whole number"),
    ("fastlabel", {"read_timeout_seconds": 0}, "fastlabel.read_timeout_seconds takes what is greater than 0"),
    ("exporst", [TOKEN], "a component has no exporst (did you mean exports?)"),
    ("store", "gs://acme/labels", "store: a store is a folder, file:///folder or s3://bucket/prefix, not gs://…"),
    ("store", f"s3://key:{TOKEN}@acme", "store: s3://… names no possible bucket"),
]
IN_A_PROJECT = [
    ("project", None, "project takes a text, such as street-scenes"),
    ("store", "  ", "store is a folder or s3://bucket/prefix"),
    ("imports", [TOKEN], "imports takes a mapping, such as {s3: true}"),
]
IN_A_WORKSPACE = [
    ("selector", 7, "selector takes a text or a list or a mapping, such as {globs"),
    ("selector", {TOKEN: ["a"]}, "a selector has no not repeated here; it has exclude"),
    ("selector", {"slugs": 7}, "slugs of a selector is a list of texts"),
    ("selector", {"slugs": [7, TOKEN]}, "slugs of a selector is a list of texts, not [7, 'not repeated here']"),
    ("projects", {TOKEN: None}, "projects takes a mapping, such as {street-night: {exports: [yolo]}}"),
    ("projects", {TOKEN: {"store": "gs://a"}}, "projects: a store is a folder, file:///folder"),
    ("projects", {"street-scenes-2024": None}, "projects.street-scenes-2024 takes a mapping"),
    ("include", ["classs"], "include has no classs; it has classes"),
    ("dataset", [TOKEN], "dataset takes a text, such as train-{slug}"),
    ("partitions", "slug", "partitions takes 'project'"),
    ("projects", [TOKEN], "projects takes a mapping, such as {street-night: {exports: [yolo]}}"),
    ("projects", {"street-day": None}, "projects.street-day takes a mapping"),
    ("projects", {"street-day": {"exports": None}}, "projects: street-day: exports is a list of formats"),
    (
        "projects",
        {"street-day": {"exports": [TOKEN]}},
        "projects: street-day: unknown export format 'not repeated here'",
    ),
    (
        "projects",
        {"street-day": {"store": "abfs://a/b"}},
        "projects.street-day.store: a store is a folder, file:///folder",
    ),
    ("defs_state", {"management_type": TOKEN}, "defs_state.management_type takes 'VERSIONED_STATE_STORAGE'"),
    ("sensors", {"approvals": [TOKEN]}, "sensors.approvals takes true or false or a whole number, such as 200"),
]


@pytest.fixture
def mistaken(defs_folder: Any, tmp_path: Path) -> Any:
    """``mistaken(type, place, value)``: what a reader is told of a YAML with this value in this place."""
    state = tmp_path / "state"
    projects = (Project(slug="street-day", id="1", type="image_bbox", classes=(), imports=()),)
    state.write_text(FastLabelWorkspace(projects=projects).to_json(), encoding="utf-8")

    def told(type: str, place: str, value: Any) -> str:
        folder = defs_folder.write("street", {**OF_ALL[type], place: value}, type=type)
        with pytest.raises(Exception) as caught, defs_folder.folder.build_component_tree() as tree:
            component = tree.load_component(folder)
            if type == WORKSPACE:
                component.build_defs_from_state(None, state)
            else:
                tree.build_defs(folder)
        return "".join(traceback.format_exception(caught.value))

    return told


@pytest.mark.parametrize(
    ("type", "place", "value", "words"),
    [
        *((PROJECT, *one) for one in (*IN_BOTH, *IN_A_PROJECT)),
        *((WORKSPACE, *one) for one in (*IN_BOTH, *IN_A_WORKSPACE)),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_belongs_there(mistaken, caplog, type, place, value, words):
    told = mistaken(type, place, value)
    assert words in told
    assert TOKEN not in told
    assert TOKEN not in caplog.text, "of a project that is left out the log says why"
    assert "TypeError" not in told and "AttributeError: 'NoneType'" not in told


def test_a_mistake_is_told_once_and_with_its_line(mistaken):
    told = mistaken(PROJECT, "s3", {"region": "ap-northeast-1", "profile": 3})
    assert "1 validation error for FastLabelProjectComponent" in told
    assert "`attributes.s3.profile at " in told and "street/defs.yaml:7`" in told


@pytest.mark.parametrize(("type", "line"), [(PROJECT, 4), (WORKSPACE, 3)])
def test_a_store_nobody_can_open_is_told_when_it_loads_with_its_line(mistaken, type, line):
    assert f"street/defs.yaml:{line}`" in mistaken(type, "store", "gs://acme/labels")


def test_a_store_of_a_template_is_looked_at_when_it_is_known(defs_folder, monkeypatch):
    monkeypatch.setenv("LABELS_STORE", "gs://acme/labels")
    defs_folder.write("street", {**OF_ALL[PROJECT], "store": "{{ env.LABELS_STORE }}"})
    with pytest.raises(Exception, match="street") as caught, defs_folder.load():
        pass
    assert "s3://bucket/prefix, not gs://…" in "".join(traceback.format_exception(caught.value))


def test_numbers_of_the_connection_may_come_from_the_environment(defs_folder, monkeypatch):
    monkeypatch.setenv("FASTLABEL_WAIT", "7")
    connection = {"read_timeout_seconds": "{{ env.FASTLABEL_WAIT }}", "request_attempts": "{{ env.FASTLABEL_WAIT }}"}
    defs_folder.write("street", {**OF_ALL[PROJECT], "fastlabel": connection})
    with defs_folder.load() as defs:
        resource = (defs.resources or {})["fastlabel"]
        assert (resource.read_timeout_seconds, resource.request_attempts) == (7, 7)


def test_a_statement_of_a_template_is_no_text_that_stands_in_the_wrong_place(defs_folder):
    sensors = {"interval_seconds": "{% if project_root %}120{% endif %}"}
    translation = {"deps": "{% if true %}['raw']{% endif %}"}
    folder = defs_folder.write("street", {**OF_ALL[PROJECT], "sensors": sensors, "translation": translation})
    with defs_folder.folder.build_component_tree() as tree:
        component = tree.load_component(folder)
    assert component.sensors.interval_seconds == 120
