"""Annotations put together one by one and as columns."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass, tasks_table
from fastlabel_dagster.labels.schema import TASKS


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


def outline(task):
    """A comb of 50 teeth: 200 numbers, all of pixel corners."""
    return [[[float(number + task % 7) for number in range(200)]]]


def whole(rows):
    return rows if isinstance(rows, pa.Table) else pa.concat_tables(rows(None))


def tasks_of(count):
    return tasks_table({"task_id": [str(task) for task in range(count)]})


def test_outlines_of_masks_are_handed_out_as_they_came():
    found, table = AnnotationColumns(), tasks_of(5_000)
    for task in range(0, 5_000, 2):
        found.add(task, "segmentation", "ab"[task % 3 == 0], regions=outline(task))
    box = np.arange(8.0), np.array([0, 4, 8])
    found.add_many(np.array([4_001, 6]), "bbox", "a", points=box, order=np.array([0, -1]))
    rows = found.of_tasks(table, names(), {"a": "#111111", "b": "#222222"})
    parts = list(rows(None))
    assert len(parts) > 1 and all(part.schema == TASKS for part in parts)
    assert next(rows(["name", "task_id"])).column_names == ["name", "task_id"]
    tasks = whole(rows).to_pylist()
    assert [task["task_id"] for task in tasks] == [str(task) for task in range(5_000)]
    assert tasks == nested_rows(found, 5_000)
    assert [row["type"] for row in tasks[6]["annotations"]] == ["bbox", "segmentation"]
    assert tasks[4_001]["annotations"][0]["points"] == [0, 1, 2, 3] and tasks[3]["annotations"] == []
    for task in range(0, 5_000, 2):
        assert tasks[task]["annotations"][-1]["regions"] == outline(task)


def nested_rows(found, tasks):
    annotations = nested(found, tasks)
    return [{**row, "annotations": mine} for row, mine in zip(tasks_of(tasks).to_pylist(), annotations, strict=True)]


@pytest.mark.parametrize("odd", [0.5, -1.0, 65536.0, 1e300, -0.0, float("inf")])
def test_outlines_of_other_numbers_lose_nothing(odd):
    found = AnnotationColumns()
    for task in range(3):
        found.add(task, "segmentation", "a", regions=[[[*range(100), odd, 3]]] if task == 1 else outline(task))
    rows = whole(found.of_tasks(tasks_of(3), names(), {"a": "#111111", "b": "#222222"})).to_pylist()
    assert repr(rows[1]["annotations"][0]["regions"]) == repr([[[*map(float, range(100)), odd, 3.0]]])


def test_lists_may_grow_until_an_annotation_of_another_task_comes():
    found = AnnotationColumns()
    for _ in range(2_000):
        found.add(0, "segmentation", "a", regions=[last := outline(0)[0]])
    last.append([1.0, 2.0])
    found.add(1, "segmentation", "a", regions=outline(0))
    rows = whole(found.of_tasks(tasks_of(2), names(), {"a": "#111111", "b": "#222222"})).to_pylist()
    assert rows[0]["annotations"][-1]["regions"] == [[outline(0)[0][0], [1.0, 2.0]]]


def test_masks_need_a_quarter_of_the_memory_of_their_outlines():
    found = AnnotationColumns()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    for task in range(20_000):
        found.add(task, "segmentation", "a", regions=outline(task))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = found.of_tasks(tasks_of(20_000), names(), {"a": "#111111", "b": "#222222"})
    kept = pa.total_allocated_bytes() - before
    size = 20_000 * 200 * 8
    assert kept < size / 2 and peak < size / 2
    assert max(part.nbytes for part in rows(None)) < size / 2
