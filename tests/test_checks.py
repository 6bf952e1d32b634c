"""What the checks say, from the numbers they are given."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.checks import LabelFindings, parity_result
from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.labels.summary import geometry_problems, undeclared_classes

KEY = dg.AssetKey(["street-scenes", "labels"])


@pytest.mark.parametrize("settled", [True, False])
def test_parity_says_when_the_project_was_changing(settled):
    result = parity_result(KEY, mirrored=3, quarantined=1, counted=4, settled=settled)
    assert result.passed and "3 mirrored + 1 in quarantine, the API counts 4" in result.description
    assert ("was changing while it was read" in result.description) is not settled
    assert result.metadata["settled"].value is settled


def test_findings_agree_with_the_counts_of_the_labels_however_they_come_in_batches():
    def box(value, *points):
        return {"type": "bbox", "value": value, "points": list(points)}

    rows = [
        {"id": "a", "name": "a", "width": 9, "height": 9, "annotations": [box("car", 1, 1, 12, 2), box("gone", 1, 1)]},
        {"id": "b", "name": "b", "width": 9, "height": 9, "annotations": [box("car", 1, 1, 9.4, 2), None]},
        {"id": "c", "name": "c", "status": "approved"},
        {"id": "d", "name": "d", "annotations": [box("gone", 0, float("nan"), 1, 1)]},
    ]
    labels = from_fastlabel(rows, [{"type": "bbox", "value": "car", "title": "Car"}])
    problems = geometry_problems(labels)
    for size in (1, 4):
        findings = LabelFindings(labels.classes)
        for start in range(0, 4, size):
            findings.add(labels.tasks.slice(start, size))
        assert findings.broken == problems["ill_formed"] + problems["not_finite"]
        assert (findings.outside, problems["outside_image"]) == (1, 2)  # the check forgives half a pixel
        assert findings.unknown == undeclared_classes(labels)
        assert (findings.labeled, findings.labeled_empty) == (1, 1)
        assert findings.outside_tasks[0] == "a"
