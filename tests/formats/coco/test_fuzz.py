"""Whatever a COCO file holds, reading it ends in labels with a report that says what was left out, or in an error that
names the file; and what was read can be written."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.labels import to_fastlabel

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
ODD = st.sampled_from(
    [
        None, True, 0, -1, 3, 2.5, 1e300, 10**25, float("nan"), float("inf"), "", "7", "\ud800", "../../x", "a\0b", [],
        [[]], [1], [[1, 2]], [None], [[None, 1]], [1, 2, 3, 4], ["1", "2", "3", "4"], [0, 0, 1e308, 1e308], {},
        {"a": 1}, [[0, 0, 9, 0, 9, 9]], [[0, 0, 9, 0, 9]], [[0, 0, 9, 0, 9, 9], "x"], [0, 0, 9, 0, 9, 9],
        [{"id": 1}], [[[[[]]]]],
        {"counts": "PPYo0", "size": [80, 100]}, {"counts": [8000], "size": [80, 100]},
        {"counts": [1], "size": [1e9, 1e9]},
        {"counts": [0, 10, 7990], "size": [80, 100]}, {"counts": None, "size": None}, {"counts": "é", "size": [1, 1]},
        {"counts": [[1], [2]], "size": [3, 1]}, {"counts": [-1, 3], "size": [1, 2]}, {"counts": ["a"], "size": [1, 1]},
        {"counts": [1.5, 2.5], "size": [2, 2]}, {"counts": [4], "size": [float("nan"), 1]}, {"counts": [4], "size": 4},
    ]
)  # fmt: skip
DOCUMENT = {
    "info": {"description": "x"},
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80, "tags": ["val"], "task_id": "t", "task_name": "n"},
        {"id": 2, "file_name": "sub/b.jpg", "width": 100, "height": 80},
    ],
    "categories": [
        {"id": 1, "name": "dog", "supercategory": "animal", "color": "#102030", "types": ["bbox"]},
        {"id": 2, "name": "man", "keypoints": ["a", "b"], "skeleton": [[1, 2]]},
        {"id": 3, "name": "nose", "keypoints": ["nose"], "skeleton": []},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0, "segmentation": []},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]},
        {
            "id": 3,
            "image_id": 2,
            "category_id": 1,
            "bbox": [0, 0, 1, 10],
            "iscrowd": 1,
            "segmentation": {"counts": [0, 10, 7990], "size": [80, 100]},
            "attributes": {"kind": "x", "old": True},
        },
        {
            "id": 4,
            "image_id": 2,
            "category_id": 2,
            "bbox": [0, 0, 20, 20],
            "area": 9,
            "keypoints": [1, 2, 2, 9, 9, 1],
            "num_keypoints": 2,
            "segmentation": [[0, 0, 9, 0, 9, 9]],
            "score": 0.5,
        },
        {"id": 5, "image_id": 2, "category_id": 3, "bbox": [5, 5, 0, 0], "keypoints": [5, 5, 2]},
    ],
}


def places(value, path=()):
    """Every place in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


PLACES = list(places(DOCUMENT))
change = st.tuples(st.sampled_from(PLACES), st.one_of(ODD, st.just("delete"), st.just("repeat")))


def changed(document, changes):
    document = copy.deepcopy(document)
    for path, new in changes:
        holder = document
        try:
            for key in path[:-1]:
                holder = holder[key]
            if new == "delete":
                del holder[path[-1]]
            elif new == "repeat" and isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            else:
                holder[path[-1]] = copy.deepcopy(new)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return document


def read_and_write(text, format="coco", name="annotations.json"):
    """The labels, when there are any; they can be written as COCO, and come back as many."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in", name)
        path.parent.mkdir()
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            labels = formats.read(path, format=format)
        except FormatError as error:
            assert path.name in str(error)
            return None
        assert labels.report.annotations == labels.annotations.num_rows
        list(to_fastlabel(labels))
        report = formats.write(labels, format="coco", target=Path(folder, "out"))
        assert report.written + report.dropped_count == labels.report.annotations
        assert all("size of the image is not known" in note.reason for note in report.dropped)
        back = formats.read(Path(folder, "out"), format="coco")
        assert back.report.annotations == report.written
        return labels


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW)
@given(st.lists(change, min_size=1, max_size=4))
def test_wrong_types_and_missing_parts(changes):
    document = changed(DOCUMENT, changes)
    labels = read_and_write(json.dumps(document))
    listed = document.get("annotations")
    if labels is not None and isinstance(listed, list):
        assert labels.report.annotations + labels.report.dropped_count == len(listed)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(st.integers(0, len(json.dumps(DOCUMENT))), st.binary(max_size=3))
def test_truncated_and_damaged_files(place, junk):
    text = json.dumps(DOCUMENT).encode()
    read_and_write(text[:place] + junk)
    read_and_write(text[:place] + junk + text[place + len(junk) :])


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"images": [], "annotations": ' + "[" * 3000, "\0"])
def test_no_json_or_something_else(text):
    assert read_and_write(text) is None


def test_the_report_names_file_and_annotation(bench):
    document = changed(DOCUMENT, [(("annotations", 0, "bbox"), [1, 2, float("nan"), 4])])
    report = bench.read(document).report
    assert [note.examples for note in report.dropped] == [("annotations.json, annotation 1",)]


SEGMENTS = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4}],
    "annotations": [
        {
            "image_id": 1,
            "file_name": "a.png",
            "segments_info": [{"id": 1, "category_id": 1, "area": 12, "bbox": [0, 0, 3, 4], "iscrowd": 0}],
        }
    ],
    "categories": [{"id": 1, "name": "dog", "isthing": 1, "color": [1, 2, 3]}],
}
PANOPTIC_PLACES = list(places(SEGMENTS))
PNG = cv2.imencode(".png", np.repeat(np.array([[[0, 0, 1]] * 3 + [[0, 0, 0]] * 3], np.uint8), 4, axis=0))[1].tobytes()


def read_panoptic(document, png):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "panoptic").mkdir()
        Path(folder, "panoptic/a.png").write_bytes(png)
        path = Path(folder, "panoptic.json")
        path.write_text(json.dumps(document))
        try:
            report = formats.read(path, format="coco_panoptic").report
        except FormatError as error:
            assert "panoptic.json" in str(error)
            return None
        return report


@settings(max_examples=120, deadline=None, suppress_health_check=SLOW)
@given(st.lists(st.tuples(st.sampled_from(PANOPTIC_PLACES), st.one_of(ODD, st.just("repeat"))), min_size=1, max_size=3))
def test_panoptic_files_of_every_sort(changes):
    read_panoptic(changed(SEGMENTS, changes), PNG)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(st.integers(0, len(PNG)), st.binary(max_size=8))
def test_panoptic_pngs_of_every_sort(place, junk):
    report = read_panoptic(SEGMENTS, PNG[:place] + junk + PNG[place + len(junk) :])
    assert report.annotations + report.dropped_count == 1
    report = read_panoptic(SEGMENTS, PNG[:place] + junk)
    assert report.annotations + report.dropped_count == 1
