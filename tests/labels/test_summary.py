from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from fastlabel_dagster import labels
from fastlabel_dagster.labels import Labels
from fastlabel_dagster.labels.geometry import flatten
from fastlabel_dagster.labels.summary import (
    CLASS_COUNTS,
    Totals,
    class_counts,
    geometry_masks,
    status_counts,
    totals,
)

CLASSES = [
    {"type": "bbox", "value": "car", "title": "Car", "color": "#f00"},
    {"type": "polygon", "value": "car", "title": "Car outline", "color": "#0f0"},
    {"type": "bbox", "value": "bike", "title": "Bike", "color": "#00f"},
]


def box(value: str | None, *points: float, **more: Any) -> dict[str, Any]:
    return {
        "type": "bbox",
        "value": value,
        "title": "shown",
        "color": "#123",
        "points": list(points or (0, 0, 1, 1)),
        **more,
    }


TASKS = [
    {"id": "a", "status": "approved", "width": 10, "height": 10, "annotations": [box("car"), box("car", 0, 0, 11, 1)]},
    {"id": "b", "status": "approved", "annotations": []},
    {
        "id": "c",
        "status": "registered",
        "annotations": [box("truck"), box(None), box("car", 1, 2), box("car", 0, 0, math.nan, 1)],
    },
    {"id": "d", "annotations": [{"type": "polygon", "value": "car", "points": [0, 0, 1, 0, 1, 1]}]},
    {"id": "e", "status": "skipped"},
]


@pytest.fixture(params=["one table", "a batch per task"])
def project(request: pytest.FixtureRequest) -> Labels:
    read = labels.from_fastlabel(TASKS, CLASSES)
    if request.param == "one table":
        return read

    def stream(columns: Any) -> Any:
        for row in range(read.tasks.num_rows):
            part = read.tasks.slice(row, 1)
            yield part if columns is None else part.select(columns)

    return Labels(stream, read.classes)


def test_totals(project: Labels) -> None:
    assert totals(project) == Totals(tasks=5, annotations=7, empty_tasks=2)


def test_status_counts(project: Labels) -> None:
    assert list(status_counts(project).items()) == [("approved", 2), ("registered", 1), ("skipped", 1), ("unknown", 1)]


def test_class_counts(project: Labels) -> None:
    counts = class_counts(project)
    assert counts.schema == CLASS_COUNTS
    assert [tuple(row.values()) for row in counts.to_pylist()] == [
        ("car", "Car", "bbox", "#f00", 4),
        (None, "shown", "bbox", "#123", 1),
        ("car", "Car outline", "polygon", "#0f0", 1),
        ("truck", "shown", "bbox", "#123", 1),
        ("bike", "Bike", "bbox", "#00f", 0),
    ]


def test_each_odd_annotation_has_one_problem(project: Labels) -> None:
    found = [geometry_masks(flatten(batch)) for batch in project.batches()]
    counts = {name: sum(int(masks[name].sum()) for masks in found) for name in found[0]}
    assert counts == {"ill_formed": 1, "not_finite": 1, "outside_image": 1}


def test_a_tolerance_forgives_what_lies_just_outside(project: Labels) -> None:
    found = [geometry_masks(flatten(batch), tolerance=1.0)["outside_image"].sum() for batch in project.batches()]
    assert sum(found) == 0
    strict = [geometry_masks(flatten(batch), tolerance=0.5)["outside_image"].sum() for batch in project.batches()]
    assert sum(strict) == 1


def test_empty_project() -> None:
    for empty in (labels.from_fastlabel([]), Labels(lambda _columns: iter([]))):
        assert totals(empty) == Totals(0, 0, 0)
        assert status_counts(empty) == {}
        assert class_counts(empty).equals(pa.table([[]] * 5, schema=CLASS_COUNTS))
