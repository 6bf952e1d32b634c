"""Attributes of a batch of annotations as rows, and as switches."""

from __future__ import annotations

import orjson
import pyarrow.compute as pc
import pytest

from fastlabel_dagster.formats.attributes import attribute_values, flags
from fastlabel_dagster.labels.ragged import one_array


@pytest.fixture
def column(bench):
    """The attributes column of annotations, given the attributes of each: key -> (type, value)."""

    def make(*annotations):
        shapes = [
            bench.shape(
                "bbox",
                [1, 2, 3, 4],
                attributes=[
                    {"key": key, "name": key, "type": kind, "value": value} for key, (kind, value) in one.items()
                ],
            )
            for one in annotations
        ]
        nested = one_array(bench.labels(bench.task("a.jpg", *shapes)).tasks["annotations"])
        return pc.struct_field(pc.list_flatten(nested), "attributes")

    return make


def test_a_row_per_attribute(column):
    values = attribute_values(column({"a": ("text", "1"), "b": ("number", 2)}, {}, {"c": ("checkbox", ["x"])}))
    assert values.owner.tolist() == [0, 0, 2] and values.key.to_pylist() == ["a", "b", "c"]
    assert [orjson.loads(text) for text in values.json().to_pylist()] == ["1", 2, ["x"]]
    assert values.offsets(3).tolist() == [0, 2, 2, 3]
    assert values.take(values.is_key("b", "c")).key.to_pylist() == ["b", "c"]


@pytest.mark.parametrize(
    ("kind", "value", "on"),
    [
        ("switch", True, True),
        ("switch", False, False),
        ("radio", "yes", True),
        ("radio", "no", False),
        ("text", "1", True),
        ("text", "true", True),
        ("text", "", False),
        ("number", 1, True),
        ("number", 0, False),
        ("checkbox", ["true"], False),
    ],
)
def test_flags_are_on_when_the_value_says_so(column, kind, value, on):
    found = flags(column({"truncated": (kind, value)}, {}), ["truncated", "occluded"])
    assert found["truncated"].tolist() == [on, False] and found["occluded"].tolist() == [False, False]


def test_no_attributes_at_all(column):
    assert flags(column({}, {}), ["x"])["x"].tolist() == [False, False]
    assert attribute_values(column({})).key.to_pylist() == []


def attribute(key, value, kind="text"):
    return {"name": "n", "type": kind, "value": value, **({} if key is None else {"key": key})}


@pytest.mark.parametrize(
    ("format", "counted"),
    [
        ("coco", {"key": 2, "same": 2}),
        ("coco_parquet", {"key": 2, "same": 2}),
        ("coco_panoptic", {"key": 2, "same": 2}),
        ("labelme", {"key": 2, "same": 2}),
        # These have a list of attributes, in which a key may stand twice, but one place for a flag.
        ("pascal_voc", {"key": 2, "same": 1}),
        ("cvat", {"key": 2, "same": 1}),
        ("kitti", {"key": 2, "same": 1}),
    ],
)
def test_attributes_that_are_lost_are_told(bench, format, counted):
    several = [attribute("occluded", True, "switch"), attribute("occluded", False, "switch")]
    shapes = [
        bench.shape("bbox", [1, 2, 30, 40], attributes=[attribute("k", "1"), attribute("k", "2")]),
        bench.shape("bbox", [50, 2, 60, 40], attributes=[attribute(None, "x"), attribute("k", "1"), *several]),
        bench.shape("bbox", [70, 2, 80, 40], attributes=[attribute(None, "x"), attribute("k", "1")]),
        bench.shape("bbox", [70, 50, 80, 60], attributes=[attribute("k", "1")]),
        bench.shape("bbox", [1, 50, 2, 60], attributes=[]),
    ]
    report = bench.write(bench.task("a.jpg", *shapes), format=format)
    told = {note.reason: note.count for note in report.altered}
    assert told["an attribute without a key was left out"] == counted["key"]
    assert told["several attributes have the same key, one of them counts"] == counted["same"]
    fine = bench.write(bench.task("a.jpg", *shapes[3:]), format=format, replace=True)
    assert not [note for note in fine.altered if "attribute" in note.reason and "key" in note.reason]


def test_attributes_of_spans_that_are_lost_are_told(bench):
    twice = [attribute("k", "1"), attribute("k", "2"), attribute(None, "x")]
    task = bench.task("a.txt", bench.shape("ner", start=0, end=5, attributes=twice), text="hello world")
    report = bench.write(task, format="spacy")
    assert [(note.reason, note.count) for note in report.altered] == [
        ("an attribute without a key was left out", 1),
        ("several attributes have the same key, one of them counts", 1),
    ]
