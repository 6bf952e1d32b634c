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
