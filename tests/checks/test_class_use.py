"""Checks of how classes are used and defined, in one version and from one to the next."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlabel_dagster.checks import CheckPlan, LabelFindings
from fastlabel_dagster.checks.class_changes import class_changes
from fastlabel_dagster.checks.class_use import total_variation
from fastlabel_dagster.labels import classes_from_fastlabel, from_fastlabel

KEY = dg.AssetKey(["street", "annotations"])


def defined(value, **more):
    return {"id": f"id-{value}", "type": "bbox", "value": value, "title": value.title(), "color": "#ff0000", **more}


def tasks_with(*values, status="completed"):
    return [
        {
            "id": f"t{n}",
            "name": f"{n}.jpg",
            "status": status,
            "annotations": [{"type": "bbox", "value": value, "points": [0, 0, 9, 9]}],
        }
        for n, value in enumerate(values)
    ]


def check(tasks, checks, classes=(), *, size=1):
    labels = from_fastlabel(tasks, list(classes))
    findings = LabelFindings(CheckPlan.of(checks), labels)
    for start in range(0, labels.tasks.num_rows, size):
        findings.add(labels.tasks.slice(start, size))
    return {result.check_name: result for result in findings.results("", KEY)}


@pytest.mark.parametrize("size", [1, 10])
def test_unknown_classes_are_named_with_a_task_that_shows_them(size):
    tasks = tasks_with("car", "gone", "car", "gone", None)
    result = check(tasks, {}, [defined("car")], size=size)["classes_known"]
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    rows = [record.data for record in result.metadata["unknown"].records]
    assert [(row["class"], row["annotations"], row["task_id"]) for row in rows] == [
        ("gone", 2, "t1"),
        ("(none)", 1, "t4"),
    ]
    assert check(tasks, {"classes_known": {"at_most": 3}}, [defined("car")])["classes_known"].passed
    assert check(tasks_with("car"), {}, [defined("car")])["classes_known"].passed


def test_the_address_of_a_task_is_shown_without_what_signs_it():
    task = {**tasks_with("gone")[0], "url": "https://files.example/a.jpg?X-Signature=secret"}
    (record,) = check([task], {})["classes_known"].metadata["unknown"].records
    assert record.data["url"] == "https://files.example/a.jpg"


def test_coverage_names_the_classes_that_are_rare():
    classes = [defined("car"), defined("bus"), defined("rare"), defined("weather", type="classification")]
    tasks = tasks_with("car", "car", "car", "rare")
    result = check(tasks, {"class_coverage": {"at_least": 2}}, classes)["class_coverage"]
    assert not result.passed
    rows = [record.data for record in result.metadata["rare_classes"].records]
    assert [(row["class"], row["annotations"]) for row in rows] == [("bus", 0), ("rare", 1)]
    assert "2 of 3 classes have fewer than 2 annotations; 1 are not used at all" in result.description
    assert check(tasks, {"class_coverage": {"ignore": ["bus"]}}, classes)["class_coverage"].passed
    assert not check(tasks, {"class_coverage": True}, classes)["class_coverage"].passed


@pytest.mark.parametrize(("at_most", "passed"), [(0.5, True), (0.49, False)])
def test_empty_tasks_are_a_share_of_those_that_are_labeled(at_most, passed):
    empty = [{"id": f"e{n}", "name": f"e{n}", "status": status} for n, status in enumerate(["approved", "registered"])]
    classified = {"id": "c", "name": "c", "status": "approved", "attributes": [{"key": "a", "value": "b"}]}
    found = check([*tasks_with("car", status="registered"), *empty, classified], {"empty_tasks": {"at_most": at_most}})
    result = found["empty_tasks"]
    assert result.passed is passed
    assert (result.metadata["empty"].value, result.metadata["labeled"].value) == (1, 2)
    assert [record.data["task_id"] for record in result.metadata["empty_tasks"].records] == ["e0"]


def test_which_statuses_count_as_labeled_can_be_said():
    empty = {"id": "e", "name": "e", "status": "registered"}
    assert check([empty], {})["empty_tasks"].passed
    assert not check([empty], {"empty_tasks": {"statuses": ["registered"]}})["empty_tasks"].passed


counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), min_size=1).filter(
    lambda found: sum(found.values())
)


@given(counts, counts)
def test_total_variation_is_the_most_that_any_set_of_classes_changed(before, after):
    def share(found, chosen):
        return sum(found.get(value, 0) for value in chosen) / sum(found.values())

    subsets = [[c for i, c in enumerate("abcd") if mask >> i & 1] for mask in range(16)]
    assert total_variation(before, after) == pytest.approx(
        max(abs(share(before, chosen) - share(after, chosen)) for chosen in subsets)
    )


def changed(before, after):
    old, new = classes_from_fastlabel(before), classes_from_fastlabel(after)
    return [(one.kind, one.value, one.before, one.after) for one in class_changes(old, new)]


def test_every_kind_of_change_of_a_class_is_told():
    options = [{"title": "Red", "value": "red"}, {"title": "Blue", "value": "blue"}]
    colour = {"id": "a1", "key": "colour", "name": "Colour", "type": "select", "options": options}
    nose = {"id": "k1", "key": "nose", "name": "Nose", "color": "#00ff00", "edges": []}
    tail = {"id": "k2", "key": "tail", "name": "Tail", "color": "#00ff00", "edges": ["k1"]}
    before = [
        defined("car", attributes=[colour]),
        defined("bus"),
        defined("dog", type="pose_estimation", keypoints=[nose]),
        defined("gone"),
        defined("same", color="#FF0000"),
    ]
    after = [
        defined("car", attributes=[{**colour, "options": options[:1]}]),
        {**defined("bus"), "value": "coach", "color": "#0000ff", "type": "polygon"},
        defined("dog", type="pose_estimation", keypoints=[nose, tail]),
        defined("new"),
        defined("same"),
    ]
    assert changed(before, after) == [
        ("removed", "gone", "gone (Gone, bbox)", ""),
        (
            "attributes",
            "car",
            "colour: Colour · select · red (Red), blue (Blue)",
            "colour: Colour · select · red (Red)",
        ),
        ("renamed", "coach", "bus (Bus, bbox)", "coach (Bus, polygon)"),
        ("retyped", "coach", "bbox", "polygon"),
        ("recoloured", "coach", "#ff0000", "#0000ff"),
        ("keypoints", "dog", "", "tail: Tail → nose"),
        ("added", "new", "", "new (New, bbox)"),
    ]
    assert changed(before, before) == []
    assert changed(before, list(reversed(before))) == []


def test_a_class_that_was_made_anew_under_its_name_is_the_same_class():
    assert changed([defined("car")], [{**defined("car"), "id": "other"}]) == []
    assert changed([], []) == []
