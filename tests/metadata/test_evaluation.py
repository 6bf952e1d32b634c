"""The pictures of evaluations are well-formed, small, escape what comes from outside, and show the right numbers."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from fastlabel_dagster.metadata.evaluation import (
    confusion_svg,
    evaluation_pictures,
    history_svg,
    models_table,
    read_matrix,
)

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "given",
    [
        [[3, 1], [0, 2]],
        {"matrix": [[3, 1], [0, 2]], "labels": ["car", "person"]},
        {"data": [[3, 1], [0, 2]], "classes": ["car", "person"]},
        {"car": {"car": 3, "person": 1}, "person": {"person": 2}},
    ],
)
def test_the_usual_forms_of_a_confusion_matrix_are_understood(given):
    names, counts = read_matrix(given)
    assert counts == [[3, 1], [0, 2]]
    assert names == (["class 1", "class 2"] if isinstance(given, list) else ["car", "person"])


@pytest.mark.parametrize(
    "given",
    [None, "", "x", 3, [], {}, [[1, 2], [3]], [[1, "2"], [3, 4]], [[math.nan]], [[-1]], {"labels": ["a"]}, [[True]]],
)
def test_what_is_no_matrix_is_none(given):
    assert read_matrix(given) is None


def test_a_matrix_shows_its_numbers_and_escapes_names():
    svg = confusion_svg(["<car>", "歩行者"], [[30, 10], [0, 2]])
    shown = texts(svg)
    assert [one for one in shown if one.isdigit()] == ["30", "10", "0", "2"]
    assert "<car>" in shown and "歩行者" in shown
    assert "&lt;car&gt; found as 歩行者: 10 (25%)" in svg


def test_many_classes_are_cut_and_that_is_said():
    many = [[number * 1000.0 for number in range(50)] for _ in range(50)]
    svg = confusion_svg([f"class {number}" for number in range(50)], many)
    assert "30 more classes are not drawn" in svg and len(svg) < 150_000
    ElementTree.fromstring(svg)


def test_the_history_has_a_point_for_each_model_that_was_measured():
    models = [{"model_name": f"m-{n}", "mAP": value} for n, value in enumerate([0.3, None, 0.5, "x", 0.4])]
    root = ElementTree.fromstring(history_svg(models))
    circles = list(root.iter(f"{SVG}circle"))
    heights = [float(one.get("cy")) for one in circles]
    assert len(circles) == 3
    assert heights[1] < heights[2] < heights[0], "higher mAP stands higher"


def test_the_history_and_the_table_say_the_same_numbers():
    models = [{"model_name": f"m-{n}", "mAP": value} for n, value in enumerate([0.63449, 0.30157, 0.4])]
    written = {text.text for text in ElementTree.fromstring(history_svg(models)).iter(f"{SVG}text")}
    listed = [row.data["mAP"] for row in models_table(models[-1], models[-2::-1]).records]
    assert listed == [0.4, 0.3016, 0.6345]
    assert {f"{value:.4f}" for value in listed} <= written


@pytest.mark.parametrize("models", [[], [{"mAP": 0.5}], [{"mAP": 1.0}, {"mAP": 0.0}]])
def test_a_short_history_is_drawn_too(models):
    ElementTree.fromstring(history_svg(models))


def test_everything_together_stays_small():
    models = [{"model_name": f"street-{n}", "mAP": n / 100, "recall": 0.5} for n in range(100)]
    job = {"confusionMatrix": [[1.0] * 60 for _ in range(60)]}
    metadata = evaluation_pictures(job, models[0], models[1:])
    assert sum(len(value.value) for value in metadata.values()) < 300_000
    table = models_table(models[0], models[1:])
    assert len(table.records) == 30 and table.records[1].data["model"] == "street-1"
    assert "confusion_matrix" not in evaluation_pictures({"confusionMatrix": None}, models[0], [])


def test_hostile_names_of_many_classes_stay_small_and_measures_that_are_none_leave_gaps():
    names = ["<&>'\"" * 30 + str(n) for n in range(60)]
    counts = [[float(row == column) for column in range(60)] for row in range(60)]
    assert len(confusion_svg(names, counts)) < 150_000
    drawn = history_svg([{"mAP": 0.4}, {"mAP": float("nan")}, {"mAP": 0.6}])
    assert "nan" not in drawn and drawn.count("<circle") == 2
