"""Annotations put together one by one and as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass


def names():
    return {value: FoundClass(value, order) for order, value in enumerate("ab")}


def nested(found, tasks):
    return found.nested(tasks, names(), {"a": "#111111", "b": "#222222"}).to_pylist()


def test_columns_and_single_annotations_keep_the_order_they_came_in():
    found = AnnotationColumns()
    found.add(1, "polygon", "b", points=[0, 0, 1, 0, 1, 1])
    classes = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), ["a", "b"])
    points = np.arange(12.0), np.array([0, 4, 8, 12])
    found.add_many(np.array([0, 1, 0]), "bbox", classes, points=points)
    found.add(0, "circle", "a", points=[1, 2, 3], attributes=[{"key": "k", "value": "v"}], rotation=5.0)
    assert len(found) == 5
    assert found.usage() == {"b": {"polygon": 1, "bbox": 2}, "a": {"bbox": 1, "circle": 1}}
    first, second, third = nested(found, 3)
    assert [(row["type"], row["value"], row["points"]) for row in first] == [
        ("bbox", "b", [0, 1, 2, 3]),
        ("bbox", "b", [8, 9, 10, 11]),
        ("circle", "a", [1, 2, 3]),
    ]
    assert [row["type"] for row in second] == ["polygon", "bbox"] and third == []
    assert (first[2]["rotation"], first[2]["attributes"][0]["value"], first[0]["attributes"]) == (5, "v", [])
    assert (first[0]["title"], first[0]["color"]) == ("b", "#222222")


def test_a_stated_order_puts_columns_and_single_annotations_in_their_places():
    found = AnnotationColumns()
    box = np.zeros(8), np.array([0, 4, 8])
    found.add_many(np.array([0, 0]), "bbox", "a", points=box, order=np.array([0, 2]))
    found.add(0, "keypoint", "b", points=[1, 1], order=1)
    assert [row["type"] for row in nested(found, 1)[0]] == ["bbox", "keypoint", "bbox"]


def test_nothing_found_is_no_annotations():
    found = AnnotationColumns()
    found.add_many(np.array([], np.int64), "bbox", "a")
    assert (nested(found, 2), found.usage(), len(found)) == ([[], []], {}, 0)


def test_columns_that_do_not_fit_are_refused():
    found = AnnotationColumns()
    with pytest.raises(ValueError, match="differ in length"):
        found.add_many(np.array([0]), "bbox", pa.array(["a", "b"]))
    with pytest.raises(ValueError, match="no field 'colour'"):
        found.add(0, "bbox", "a", colour="#fff")
    with pytest.raises(ValueError, match="no field 'colour'"):
        found.add_many(np.array([0]), "bbox", "a", colour=pa.array(["#fff"]))
