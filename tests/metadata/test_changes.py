"""What changed since a version, as a sentence, a table and a picture, from a real mirror."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from fastlabel_dagster.metadata.changes import changes_picture, changes_since, since_trained
from fastlabel_dagster.metadata.summary import LabelSummary
from fastlabel_dagster.store import open_store
from fastlabel_dagster.sync import LabelMirror, sync_project

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def versions(fastlabel_sandbox, fastlabel_client, tmp_path):
    """A mirror with two versions, between which one box was moved."""
    slug = fastlabel_sandbox.seed(tasks=8).project
    client, store = fastlabel_client, open_store(tmp_path)
    sync_project(client, slug, store)
    moved = next(task for task in client.image_tasks.iter(project=slug) if _boxes(task))
    box = _boxes(moved)[0]
    box["points"] = [value + 3 for value in box["points"]]
    client.image_tasks.update(moved["id"], annotations=moved["annotations"])
    sync_project(client, slug, store)
    return LabelMirror(store.at("labels")), moved


def _boxes(task):
    return [one for one in task["annotations"] if one["type"] == "bbox"]


def test_the_difference_is_a_sentence_and_a_table(versions):
    mirror, moved = versions
    told = changes_since(mirror, 0, 1)
    assert "1 box moved" in told["changes"] and (told["changes_from"], told["changes_to"]) == (0, 1)
    rows = [record.data for record in told["changes_table"].records]
    assert {row["task_id"] for row in rows} == {moved["id"]} and "moved" in {row["kind"] for row in rows}
    assert changes_since(mirror, 1, 1) == {"changes": "no changes", "changes_from": 1, "changes_to": 1}


def test_the_model_says_which_version_to_compare_with(versions):
    mirror, _ = versions
    assert since_trained(mirror, {}, 1) == {"changes_since_model": "no model was trained yet"}
    assert "does not say" in since_trained(mirror, {"model_id": "m"}, 1)["changes_since_model"]
    assert "1 box moved" in since_trained(mirror, {"labels_version": 0}, 1)["changes_since_model"]
    assert "not there any more" in since_trained(mirror, {"labels_version": 7}, 1)["changes_since_model"]


def test_a_changed_task_is_drawn_as_it_was_beside_what_it_is(versions):
    mirror, moved = versions
    picture = cv2.imencode(".jpg", np.full((90, 120, 3), 90, np.uint8))[1].tobytes()
    asked = []

    def read(task_id, name):
        asked.append(task_id)
        return picture

    svg = changes_picture(mirror, 0, 1, classes=LabelSummary().classes(mirror.classes()), read_image=read)
    said = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    assert asked == [moved["id"]], "its picture is read once, and is in the document once"
    assert [len(list(ET.fromstring(svg).iter(f"{SVG}{name}"))) for name in ("image", "use")] == [1, 1]
    assert next(text for text in said if text.startswith(("before: ", "after: "))).startswith("before: ")
    assert sum(text.startswith(("before: ", "after: ")) for text in said) == 2
    assert changes_picture(mirror, 1, 1, classes=[], read_image=read) is None


def test_tasks_that_only_moved_on_are_looked_at_in_linear_work(
    fastlabel_sandbox, fastlabel_client, tmp_path, monkeypatch
):
    slug = fastlabel_sandbox.seed(tasks=30).project
    store = open_store(tmp_path)
    sync_project(fastlabel_client, slug, store)
    fastlabel_sandbox.state.approve(slug, 20)
    sync_project(fastlabel_client, slug, store)
    mirror = LabelMirror(store.at("labels"))
    picture = changes_picture(mirror, 0, 1, classes=[], read_image=lambda *_: pytest.fail("nothing is drawn"))
    assert picture is None
    monkeypatch.setattr("fastlabel_dagster.metadata.changes.MOST_TASKS", 5)
    assert "more than 5 tasks differ" in changes_since(mirror, 0, 1)["changes"]
