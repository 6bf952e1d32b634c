"""A blocking check that fails really stops what is downstream of its asset, in the same run."""

from __future__ import annotations

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.sensors.target import project_selection


def tasks(*points):
    annotation = {"type": "bbox", "value": "car", "points": list(points)}
    return [{"name": "a.jpg", "width": 100, "height": 80, "status": "approved", "annotations": [annotation]}]


def made(result):
    return {event.materialization.asset_key.path[-1] for event in result.get_asset_materialization_events()}


PARTS = ["labels", "classes", "tasks", "annotations", "images", "coco", "dataset"]


@pytest.mark.parametrize("blocking", [True, False])
def test_wrong_geometry_keeps_exports_and_dataset_from_being_made(street, said, blocking):
    street.fill(tasks(50, 50, 500, 500))
    options = {"severity": "error", "blocking": blocking}
    result = street.run({"geometry": options}, only=PARTS, dataset="street")
    found = said(result, "geometry")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.blocking is blocking
    assert result.success is not blocking
    assert {"labels", "annotations"} <= made(result)
    assert ({"coco", "dataset"} & made(result) == set()) is blocking


def test_sound_labels_pass_the_gate(street, said):
    street.fill(tasks(5, 5, 50, 50))
    result = street.run({"geometry": {"blocking": True}}, only=PARTS, dataset="street")
    assert result.success
    assert said(result, "geometry").passed
    assert {"coco", "dataset"} <= made(result)


def test_a_check_of_files_stops_exports_too(street, said):
    photo = cv2.imencode(".jpg", np.full((80, 100, 3), 90, np.uint8))[1].tobytes()
    street.fill(tasks(5, 5, 50, 50), {"a.jpg": photo})
    checks = {"images": {"blocking": True}}
    assert street.run(checks, only=["labels", "images", "coco"]).success
    (street.store / "images" / "a.jpg").write_bytes(b"x" * len(photo))
    result = street.run(checks, only=["labels", "images", "coco"])
    assert not said(result, "images").passed
    assert made(result) == {"labels", "images"}


def test_lineage_shows_the_gate_and_jobs_that_train_pass_through_it(street):
    def parents(checks, name):
        graph = street.definitions(checks, dataset="street").resolve_asset_graph()
        return {key.path[-1] for key in graph.get(dg.AssetKey(["street", name])).parent_keys}

    for name in ("coco", "dataset"):
        assert "annotations" not in parents(None, name)
        assert "annotations" in parents({"geometry": {"blocking": True}}, name)
        assert "classes" in parents({"class_changes": {"blocking": True}}, name)

    def chosen(checks):
        graph = street.definitions(checks, dataset="street").resolve_asset_graph()
        return {key.path[-1] for key in project_selection("street", training=True).resolve(graph)}

    assert "annotations" not in chosen(None)
    assert {"annotations", "classes", "tasks"} <= chosen({"geometry": {"blocking": True}})
