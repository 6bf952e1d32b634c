"""Leakage between the parts of an export, against the files it has written, and of a FastLabel dataset."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.checks.leakage import SPLIT_BY_DEFAULT, split_of
from fastlabel_dagster.formats import registry


def photo(seed):
    return cv2.imencode(".png", np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8))[1].tobytes()


def test_the_formats_that_have_parts_by_themselves_are_those():
    own = {}
    for name in registry.written_names():
        found = registry.find(name)
        if found.per_picture and found.options.get("split") is not None:
            own[name] = found.options["split"]
    assert own == SPLIT_BY_DEFAULT
    assert split_of("yolo", {}) == "auto"
    assert split_of("yolo", {"split": None}) is None
    assert split_of("coco", {}) is None


def fill(street, copies):
    """Forty pictures, of which those in ``copies`` (name to name) are another's copy, byte by byte."""
    names = [f"{n:02d}.png" for n in range(40)]
    files = {name: photo(int(copies.get(name, name)[:2])) for name in names}
    box = {"type": "bbox", "value": "car", "points": [1, 1, 5, 5]}
    return street.fill([{"name": name, "status": "approved", "annotations": [box]} for name in names], files)


def on_disk(street):
    """Checksums of the pictures of a YOLO export that are in several parts, from the files themselves."""
    parts = defaultdict(set)
    for file in (street.store / "yolo" / "images").rglob("*.png"):
        parts[hashlib.sha256(file.read_bytes()).hexdigest()].add(file.parent.name)
    assert {part for found in parts.values() for part in found} == {"train", "val"}
    return {checksum for checksum, found in parts.items() if len(found) > 1}


def test_a_picture_in_two_parts_of_an_export_is_found(street, said, values):
    export = {"format": "yolo", "split": {"train": 0.5, "val": 0.5}}
    names = [f"{n:02d}.png" for n in range(40)]
    fill(street, {names[n]: names[n - 20] for n in range(30, 40)})
    result = street.run({"leakage": True}, only=["labels", "images", "yolo"], exports=[export])
    found, about = said(result, "leakage"), values(said(result, "leakage"))
    leaking = on_disk(street)
    assert 0 < len(leaking) < 10, "some copies are in one part with their original"
    assert not found.passed
    assert about["in_several_parts"] == len(leaking)
    assert {row["sha256"] for row in about["leaks"]} == leaking
    first = about["leaks"][0]
    assert int(first["val"][:2]) % 20 == int(first["train"][:2]) % 20
    assert about["pictures"] == 40
    assert sum(row["pictures"] for row in about["parts"]) == 40
    lenient = {"leakage": {"at_most": 10, "severity": "warn"}}
    again = street.run(lenient, only=["labels", "images", "yolo"], exports=[export])
    assert said(again, "leakage").passed


def test_an_export_without_copies_is_clean(street, said):
    fill(street, {})
    export = {"format": "yolo", "split": {"train": 0.5, "val": 0.5}}
    result = street.run({"leakage": True}, only=["labels", "images", "yolo"], exports=[export])
    assert said(result, "leakage").passed
    assert on_disk(street) == set()


def test_pictures_nobody_has_downloaded_are_counted(street, said, values):
    fill(street, {})
    export = {"format": "yolo", "images": False, "split": {"train": 0.5, "val": 0.5}}
    result = street.run({"leakage": True}, only=["labels", "yolo"], exports=[export])
    assert values(said(result, "leakage"))["without_checksum"] == 40
    assert not said(result, "leakage").passed
    assert said(result, "leakage").severity is dg.AssetCheckSeverity.WARN
    assert "Nothing could be compared" in said(result, "leakage").description
    blocking = street.run({"leakage": {"blocking": True}}, only=["labels", "yolo"], exports=[export])
    assert said(blocking, "leakage").severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize("leaking", [True, False])
def test_the_parts_of_a_dataset_are_compared_by_what_was_published(street, said, values, leaking):
    fill(street, {"39.png": "00.png"})
    parts = ["labels", "images", "dataset"]
    first = said(street.run({"leakage": True}, only=parts, dataset="street"), "leakage")
    assert first.passed
    assert "no parts" in first.description
    with street.resource.client as client:
        dataset = client.datasets.by_name("street")
        objects = [one["name"] for one in client.dataset_objects.iter("street")]
    kinds = {name: "valid" if n % 4 else "train" for n, name in enumerate(sorted(objects))}
    kinds["39.png"] = "test" if leaking else kinds["00.png"]
    for name, kind in kinds.items():
        street.state.datasets.set_object_type(dataset["id"], name, kind)
    result = street.run({"leakage": True}, only=parts, dataset="street")
    found, about = said(result, "leakage"), values(said(result, "leakage"))
    assert found.asset_key == dg.AssetKey(["street", "dataset"])
    assert found.passed is not leaking
    assert about["pictures"] == 40
    if leaking:
        (row,) = about["leaks"]
        assert (row["train"], row["test"]) == ("00.png", "39.png")
