"""What the geometry and duplicate checks count, show and draw."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import cv2
import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster.checks import CheckPlan, LabelFindings
from fastlabel_dagster.labels import duplicates, from_fastlabel
from fastlabel_dagster.store import ImageFolder, open_store

KEY = dg.AssetKey(["street", "annotations"])
CLASSES = [{"id": "1", "type": "bbox", "value": "car", "title": "Car", "color": "#00aa00"}]


def one(kind, *points, **more):
    return {"type": kind, "value": "car", "points": list(points), **more}


def check(tasks, checks, *, size=None, **how):
    """The results by name, of labels that come in batches of ``size`` tasks."""
    labels = from_fastlabel(tasks, CLASSES)
    findings = LabelFindings(CheckPlan.of(checks), labels, **how)
    for start in range(0, labels.tasks.num_rows, size or labels.tasks.num_rows or 1):
        findings.add(labels.tasks.slice(start, size))
    return {result.check_name: result for result in findings.results("annotations", KEY)}


def tasks_of(*annotations, **more):
    return [
        {"id": f"t{n}", "name": f"{n}.jpg", "width": 100, "height": 80, "annotations": [one_], **more}
        for n, one_ in enumerate(annotations)
    ]


PROBLEMS = {
    "unreadable": [one("bbox", 1, 1), one("bbox", 0, float("nan"), 1, 1), one("polygon", 1, 2, 3)],
    "outside": [one("bbox", 10, 10, 100.6, 20), one("keypoint", -1, 5), one("circle", 5, 5, 6)],
    "zero_area": [one("bbox", 5, 5, 5, 9), one("polygon", 1, 1, 5, 5, 9, 9), one("circle", 9, 9, 0)],
    "self_intersecting": [one("polygon", 1, 1, 9, 9, 9, 1, 1, 8)],
    "self_touching": [one("polygon", 0, 0, 20, 20, 40, 0, 40, 40, 20, 20, 0, 40)],
}
SOUND = [
    one("bbox", 0, 0, 100.5, 80),
    one("keypoint", 5, 5),
    one("line", 1, 1, 9, 9, 9, 1, 1, 9),
    one("line", 1, 1, 1, 1),
]


@pytest.mark.parametrize("size", [1, 3, None])
def test_each_problem_is_counted_once_whatever_the_batches(size):
    tasks = tasks_of(*SOUND, *(wrong for kind in PROBLEMS.values() for wrong in kind))
    result = check(tasks, {"geometry": {"problems": [*PROBLEMS]}}, size=size)["geometry"]
    assert {name: result.metadata[name].value for name in PROBLEMS} == {name: len(w) for name, w in PROBLEMS.items()}
    assert result.metadata["annotations"].value == len(tasks)
    assert not result.passed
    shown = result.metadata["offenders"].records
    assert {row.data["problem"] for row in shown} == set(PROBLEMS)
    assert len(shown) == sum(map(len, PROBLEMS.values()))
    first = next(row.data for row in shown if row.data["problem"] == "outside")
    assert first["task"] == f"{len(SOUND) + 3}.jpg"
    assert first["class"] == "car"
    assert first["detail"] == "reaches from 10, 10 to 100.6, 20 in a picture of 100 x 80"


def test_sound_geometry_passes_and_touching_is_let_be_when_nothing_is_said():
    assert check(tasks_of(*SOUND, *PROBLEMS["self_touching"]), {})["geometry"].passed
    assert check([], {})["geometry"].passed


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ({"at_most": 0.5}, True),
        ({"at_most": 0.49}, False),
        ({"tolerance_pixels": 2}, True),
        ({"problems": ["zero_area"]}, True),
        ({"problems": ["zero_area"], "smallest_area": 2000}, False),
    ],
)
def test_thresholds(options, passed):
    result = check(tasks_of(one("bbox", 10, 10, 101, 30), one("bbox", 0, 0, 50, 50)), {"geometry": options})["geometry"]
    assert result.passed is passed


def test_severity_is_as_asked_for():
    tasks = tasks_of(one("bbox", 1, 1))
    assert check(tasks, {})["geometry"].severity is dg.AssetCheckSeverity.WARN
    assert check(tasks, {"geometry": {"severity": "error"}})["geometry"].severity is dg.AssetCheckSeverity.ERROR


def svg_of(result):
    coded = re.search(r"base64,([A-Za-z0-9+/=]+)\)", result.metadata["picture"].value)[1]
    return base64.b64decode(coded).decode()


def test_what_is_wrong_is_drawn_on_its_part_of_the_photograph(tmp_path):
    folder = ImageFolder(open_store(tmp_path))
    photo = np.full((80, 100, 3), (0, 0, 200), np.uint8)
    folder.store.write_bytes("0.jpg", cv2.imencode(".png", photo)[1].tobytes())
    folder.save(pa.table({"task_id": ["t0"], "file": ["0.jpg"]}))
    tasks = tasks_of(one("polygon", 1, 1, 9, 9, 9, 1, 1, 8), one("polygon", 1, 1, 9, 9, 9, 1, 1, 8))
    svg = svg_of(check(tasks, {}, images=folder)["geometry"])
    ElementTree.fromstring(svg)
    assert "self intersecting" in svg
    assert svg.count("<path") == 2
    (jpeg,) = re.findall(r"jpeg;base64,([^\"]+)\"", svg)  # the other task has no photograph, and is drawn all the same
    part = cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR)
    assert part[..., 2].mean() > 180
    assert part.shape[1] < 100, "a part of it, not all"


def test_without_pictures_there_is_the_table_alone():
    result = check(tasks_of(one("polygon", 1, 1, 9, 9, 9, 1, 1, 8)), {}, pictures=False)["geometry"]
    assert "picture" not in result.metadata
    assert len(result.metadata["offenders"].records) == 1


def test_names_from_outside_are_text_in_the_picture():
    task = tasks_of(one("bbox", 10, 10, 500, 20))[0] | {"name": '<script>"&歩行者.jpg'}
    svg = svg_of(check([task], {})["geometry"])
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "歩行者" in svg


def test_a_thousand_offenders_make_a_small_event():
    far = [one("polygon", *(float(n * k % 977) for k in range(900))) for n in range(1, 41)]
    many = [{"id": str(n), "name": "x" * 30_000, "width": 9, "height": 9, "annotations": far} for n in range(25)]
    result = check(many, {"duplicates": True, "geometry": {"problems": ["outside", "self_intersecting"]}})["geometry"]
    assert result.metadata["outside"].value == 1000
    assert len(result.metadata["offenders"].records) == 20
    assert sum(len(str(value)) for value in result.metadata.values()) < 150_000


def test_duplicates_are_counted_and_shown_in_pairs():
    boxes = [
        one("bbox", 10, 10, 50, 50, id="first"),
        one("bbox", 10, 10, 50, 50.5, id="second"),
        one("bbox", 60, 60, 70, 70),
    ]
    tasks = [{"id": "t", "name": "t.jpg", "width": 100, "height": 80, "annotations": boxes}, *tasks_of(boxes[0])]
    for size in (1, None):
        result = check(tasks, {"duplicates": True}, size=size)["duplicates"]
        assert not result.passed
        assert (result.metadata["duplicates"].value, result.metadata["tasks"].value) == (1, 1)
        (row,) = (record.data for record in result.metadata["offenders"].records)
        assert (row["task_id"], row["annotation"], row["repeats"]) == ("t", "second", "first")
        assert row["iou"] == pytest.approx(40 / 40.5, abs=1e-4)
        assert svg_of(result).count("<path") == 2
    assert check(tasks, {"duplicates": {"iou": 0.99}})["duplicates"].passed
    assert check(tasks, {"duplicates": {"at_most": 1}})["duplicates"].passed


def test_what_was_not_looked_at_is_told():
    frames = {"1": {"value": [50, 50, 5000, 5000], "autogenerated": False}}
    in_video = {"type": "bbox", "value": "car", "points": frames}
    name = {"type": "ner", "value": "car", "start": 0, "end": 4, "text": "Rosa"}
    video = {"id": "v", "name": "v.mp4", "width": 100, "height": 80, "annotations": [in_video, in_video, name]}
    checks = {"duplicates": True}
    alone = check([video], checks)
    for result in alone.values():
        assert "Nothing was looked at" in result.description or result.check_name in {"classes_known", "empty_tasks"}
    assert alone["geometry"].metadata["examined"].value == 0
    assert "3 have no place in a picture of their own" in alone["geometry"].description
    assert alone["duplicates"].metadata["not_looked_at"].value == 2
    both = check([video, *tasks_of(one("bbox", 1, 1, 9, 9), one("bbox", 1, 1))], checks)
    assert both["geometry"].metadata["examined"].value == 2
    assert both["geometry"].metadata["share"].value == 0.5
    assert "1 of 2 annotations" in both["geometry"].description
    assert both["duplicates"].metadata["boxes"].value == 1


def test_boxes_with_too_many_beside_them_are_told(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_STEPS", 5)
    task = {"id": "t", "name": "t.jpg", "annotations": [one("bbox", 1, 1, 9, 9)] * 20}
    result = check([task], {"duplicates": True})["duplicates"]
    assert result.metadata["duplicates"].value == 19
    assert result.metadata["not_compared_wholly"].value == 14
    assert "14 have too many beside them" in result.description
