"""What is typed under ``fastlabel:`` and does not belong there is refused by name; its value is in no message."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from fastlabel_dagster import FastLabelProjectComponent, FastLabelWorkspaceComponent
from fastlabel_dagster.components.connection import FastLabelConnection

from .conftest import PROJECT, WORKSPACE

TOKEN = "s3cr3t-Tok3n-0f-A-P3rs0n"

#: What somebody may write, and the word the message owes him.
MISTAKES = [
    ({"access_tokn": TOKEN}, "access_tokn"),
    ({"acces_token": TOKEN, "base_url": "https://labels.example/v1/"}, "acces_token"),
    ({"access_token": TOKEN}, "access_token"),
    ({"access_token_env": TOKEN}, "access_token_env"),
    ({TOKEN: None}, "access_token_env"),
    ({"access_tokn": {"nested": [TOKEN]}}, "access_tokn"),
    (TOKEN, "access_token_env"),
]


@pytest.mark.parametrize("type", [PROJECT, WORKSPACE])
@pytest.mark.parametrize(("connection", "word"), MISTAKES)
def test_a_misplaced_token_is_refused_and_not_repeated(defs_folder, tmp_path, caplog, capfd, type, connection, word):
    more = {"project": "street-scenes", "store": str(tmp_path / "store")} if type == PROJECT else {}
    defs_folder.write("street", {"fastlabel": connection, **more}, type=type)
    with pytest.raises(Exception) as caught, defs_folder.load():
        pass
    told = "".join(traceback.format_exception(caught.value))
    assert "fastlabel" in told
    assert word in told
    captured = capfd.readouterr()
    for place in (told, caplog.text, captured.out, captured.err):
        assert TOKEN not in place


@pytest.mark.parametrize("type", [PROJECT, WORKSPACE])
@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("access_token", TOKEN),
        ("op", {"token": TOKEN}),
        ("sensors", {"access_token": TOKEN}),
        ("schedule", [TOKEN]),
        ("op", TOKEN),
        ("running", TOKEN),
    ],
)
def test_a_token_outside_of_fastlabel_is_refused_and_not_repeated(defs_folder, caplog, capfd, type, place, written):
    more = {"project": "street-scenes", "store": "store"} if type == PROJECT else {}
    defs_folder.write("street", {**more, place: written}, type=type)
    with pytest.raises(Exception) as caught, defs_folder.load():
        pass
    told = "".join(traceback.format_exception(caught.value))
    assert any(
        words in told for words in (f"attributes.{place}", f"{place} takes a mapping, such as {{pool", f"\n{place}\n")
    )
    captured = capfd.readouterr()
    for where in (told, caplog.text, captured.out, captured.err):
        assert TOKEN not in where


def test_a_schedule_that_is_a_text_is_told_how_it_is_written(defs_folder):
    defs_folder.write("street", {"project": "street-scenes", "store": "store", "schedule": "0 3 * * *"})
    with pytest.raises(Exception) as caught, defs_folder.load():
        pass
    assert "schedule takes a mapping, such as {cron: 0 3 * * *}" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("component", [FastLabelProjectComponent, FastLabelWorkspaceComponent])
def test_the_schema_of_editors_still_lists_every_attribute(component: Any):
    schema = json.loads(json.dumps(component.get_model_cls().model_json_schema()))
    connection = schema["$defs"]["FastLabelConnectionModel"]
    assert set(connection["properties"]) == set(FastLabelConnection.model_fields)


def test_in_python_a_misspelt_name_is_refused_too():
    with pytest.raises(ValueError, match="access_tokn") as caught:
        FastLabelConnection(access_tokn=TOKEN)  # type: ignore[call-arg]
    assert TOKEN not in str(caught.value)
