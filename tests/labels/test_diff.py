"""Scenarios of change, each with the rows and the sentence it must give."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pyarrow as pa
import pytest

from fastlabel_dagster import labels
from fastlabel_dagster.labels.diff import CHANGES, LabelDiff, diff_tasks


def box(x: float, y: float, value: str = "car", size: float = 10, **more: Any) -> dict[str, Any]:
    return {
        "type": "bbox",
        "title": value.title(),
        "value": value,
        "color": f"#{value}",
        "points": [x, y, x + size, y + size],
        "rotation": 0,
        "attributes": [],
        **more,
    }


def task(task_id: str, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": task_id,
        "name": f"{task_id}.jpg",
        "url": "https://example.com/1",
        "status": "registered",
        "annotations": list(annotations),
        "updatedAt": "2021-02-22T11:25:27.158Z",
        **more,
    }


def compare(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> LabelDiff:
    result = diff_tasks(labels.tasks_table(before), labels.tasks_table(after))
    assert result.table.schema == CHANGES
    result.table.validate(full=True)
    return result


def rows(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    columns = ["task_id", "kind", "type", "value_before", "value_after", "index_before", "index_after"]
    return [tuple(row[c] for c in columns) for row in compare(before, after).table.to_pylist()]


def test_nothing_changed() -> None:
    same = [task("a", box(1, 1)), task("b")]
    other_links = [{**t, "url": "https://example.com/2"} for t in reversed(same)]
    diff = compare(same, other_links)
    assert len(diff) == 0
    assert str(diff) == "no changes"
    assert str(compare([], [])) == "no changes"


def test_tasks_that_come_and_go() -> None:
    diff = compare([task("a", box(1, 1)), task("b")], [task("b"), task("c", box(1, 1), box(2, 2))])
    assert [(r["task_id"], r["name"], r["kind"], r["detail"]) for r in diff.table.to_pylist()] == [
        ("a", "a.jpg", "task_removed", "1 annotation"),
        ("c", "c.jpg", "task_added", "2 annotations"),
    ]
    assert str(diff) == "+1 task · 1 task gone"


def test_status_and_other_fields() -> None:
    before = [task("a", priority=0, tags=["x"]), task("b"), task("c")]
    after = [
        task("a", priority=10, tags=["y"], status="approved", updatedAt="2022-02-22T11:25:27.158Z"),
        task("b", status="approved"),
        task("c", updatedAt="2022-02-22T11:25:27.158Z"),
    ]
    diff = compare(before, after)
    assert [(r["task_id"], r["kind"], r["detail"]) for r in diff.table.to_pylist()] == [
        ("a", "status_changed", "registered → approved"),
        ("a", "task_changed", "priority 0 → 10, tags"),
        ("b", "status_changed", "registered → approved"),
        ("c", "task_changed", "updatedAt"),
    ]
    assert diff.summary["status_pairs"] == {"registered → approved": 2}
    assert diff.summary["tasks_relabeled"] == 0
    assert str(diff) == "2 tasks registered → approved · 2 tasks changed otherwise"


def test_a_key_that_becomes_null_is_a_change() -> None:
    assert rows([task("a", assignee="Ann")], [task("a", assignee=None)])[0][1] == "task_changed"
    assert rows([task("a")], [task("a", assignee=None)])[0][1] == "task_changed"


def test_boxes_that_move_come_and_go() -> None:
    before = [task("a", box(0, 0), box(100, 100), box(200, 0, "truck"))]
    after = [task("a", box(102, 100), box(0, 0), box(300, 300, "bird"))]
    diff = compare(before, after)
    assert rows(before, after) == [
        ("a", "removed", "bbox", "truck", None, 2, None),
        ("a", "moved", "bbox", "car", "car", 1, 0),
        ("a", "added", "bbox", None, "bird", None, 2),
        ("a", "reordered", None, None, None, None, None),
    ]
    assert diff.table["detail"][1].as_py() == "centre +2.0, +0.0 px, IoU 0.67"
    assert str(diff) == "+1 box · 1 box moved · 1 task reordered · 1 box gone"
    assert diff.summary["by_type"] == {"added": {"bbox": 1}, "moved": {"bbox": 1}, "removed": {"bbox": 1}}


def test_reclassified_does_not_also_report_its_new_title_and_colour() -> None:
    before = [task(str(i), box(5, 5, "car"), box(50, 50, "car")) for i in range(12)]
    after = copy.deepcopy(before)
    for changed in after:
        changed["annotations"][0] = box(5, 5, "truck")
    diff = compare(before, after)
    assert set(rows(before, after)) == {(str(i), "reclassified", "bbox", "car", "truck", 0, 0) for i in range(12)}
    assert diff.summary["reclassified_pairs"] == {"car → truck": 12}
    assert diff.summary["tasks_relabeled"] == 12
    assert str(diff) == "12 reclassified car → truck"


def test_attributes() -> None:
    def with_kind(value: Any) -> dict[str, Any]:
        return box(1, 1, attributes=[{"key": "kind", "name": "Kind", "type": "text", "value": value}])

    diff = compare([task("a", with_kind("x"))], [task("a", with_kind(["y", 2]))])
    assert [(r["kind"], r["detail"]) for r in diff.table.to_pylist()] == [("attributes_changed", "kind: x → ['y', 2]")]
    assert str(diff) == "1 annotation with other attributes"


def test_true_is_not_one() -> None:
    assert len(compare([task("a", flag=True)], [task("a", flag=1)])) == 1
    assert len(compare([task("a", fps=30.0)], [task("a", fps=30)])) == 0


def test_ids_settle_who_is_who() -> None:
    before = [task("a", box(0, 0, id="1"), box(100, 0, id="2"))]
    swapped = [task("a", box(100, 0, id="1"), box(0, 0, id="2"))]
    assert [r[1] for r in rows(before, swapped)] == ["moved", "moved"]
    # One was deleted and another drawn, somewhere else or nearby: two objects, as the ids say.
    redrawn = [task("a", box(0, 0, id="1"), box(101, 0, id="3"))]
    assert [r[1] for r in rows(before, redrawn)] == ["removed", "added"]
    # All ids are new: the task was written anew, and ids say nothing about its annotations.
    rewritten = [task("a", box(0, 0, id="8"), box(101, 0, id="9"))]
    assert [r[1] for r in rows(before, rewritten)] == ["moved"]


def test_an_id_that_is_not_text_is_no_id() -> None:
    assert [r[1] for r in rows([task("a", box(0, 0, id=["1"]))], [task("a", box(4, 0, id=None))])] == ["moved"]


def test_best_overlap_wins_over_order() -> None:
    before = [task("a", box(0, 0), box(6, 0))]
    after = [task("a", box(5, 0), box(40, 0))]
    assert rows(before, after) == [
        ("a", "moved", "bbox", "car", "car", 0, 1),
        ("a", "moved", "bbox", "car", "car", 1, 0),
        ("a", "reordered", None, None, None, None, None),
    ]


def test_without_overlap_the_nearest_centre() -> None:
    def point(x: float) -> dict[str, Any]:
        return {"type": "keypoint", "value": "nose", "points": [x, 0]}

    assert [r[5:] for r in rows([task("a", point(0), point(100))], [task("a", point(98), point(3))])][:2] == [
        (0, 1),
        (1, 0),
    ]


def test_same_geometry_prefers_its_own_class() -> None:
    before = [task("a", box(0, 0, "car"), box(0, 0, "truck"))]
    after = [task("a", box(0, 0, "truck", attributes=[{"key": "k", "value": "v"}]), box(0, 0, "bus"))]
    assert rows(before, after) == [
        ("a", "reclassified", "bbox", "car", "bus", 0, 1),
        ("a", "attributes_changed", "bbox", "truck", "truck", 1, 0),
        ("a", "reordered", None, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ([[[0, 0, 9, 0, 9, 9]]], [[[0, 0, 9, 0, 9, 8]]], "1 segmentation moved"),
        ({"1": {"value": [0, 0, 1, 1]}}, {"1": {"value": [0, 0, 1, 2]}}, "1 segmentation moved"),
        ([1, None], [1, "x"], "1 segmentation moved"),
    ],
)
def test_geometry_of_every_shape(old: Any, new: Any, sentence: str) -> None:
    def drawn(points: Any) -> dict[str, Any]:
        return {"type": "segmentation", "value": "road", "points": points}

    assert str(compare([task("a", drawn(old))], [task("a", drawn(new))])) == sentence


def test_annotations_that_are_no_list_of_objects() -> None:
    diff = compare([task("a")], [{**task("a"), "annotations": None}])
    assert [(r["kind"], r["detail"]) for r in diff.table.to_pylist()] == [("task_changed", "annotations")]
    (row,) = compare([{**task("a"), "annotations": [1]}], [{**task("a"), "annotations": [2]}]).table.to_pylist()
    assert (row["kind"], row["type"], row["detail"]) == ("annotation_changed", None, "element 1 → 2")


def test_an_element_that_is_no_object_does_not_hide_the_others() -> None:
    before = {**task("a"), "annotations": [box(0, 0), None, box(50, 50)]}
    after = {**task("a"), "annotations": [box(0, 0), None, box(52, 50)]}
    assert str(compare([before], [after])) == "1 box moved"
    assert str(compare([before], [task("a", box(0, 0), box(50, 50))])) == "1 annotation gone"


def test_rows_from_before_elements_that_are_no_object_had_rows() -> None:
    """Such a list stood in the task's extra as a whole: rows of that kind are still read and compared."""
    state = {**task("a"), "annotations": [box(0, 0), None]}
    now = labels.from_fastlabel([state]).tasks
    whole = json.dumps({"annotations": state["annotations"]})
    columns = {"annotations": pa.nulls(1, now.schema.field("annotations").type), "extra": pa.array([whole])}
    old = now
    for name, column in columns.items():
        old = old.set_column(old.schema.get_field_index(name), old.schema.field(name), column)
    assert list(labels.to_fastlabel(old)) == [state]
    assert len(diff_tasks(old, now)) == 0
    moved = labels.from_fastlabel([{**state, "annotations": [box(1, 0), None]}]).tasks
    assert diff_tasks(old, moved).table["kind"].to_pylist() == ["moved"]


def test_text_and_odd_types() -> None:
    word = {"type": "ner", "value": "name", "text": "Ann", "start": 0, "end": 3}
    assert str(compare([task("a", word)], [task("a", {**word, "end": 4, "text": "Anna"})])) == (
        "1 ner annotation moved · 1 annotation changed otherwise"
    )
    odd = {"value": 7, "points": [1, 2]}
    assert str(compare([task("a", odd)], [task("a")])) == "1 annotation gone"
    assert rows([task("a", {"value": "\ud800", "type": "x"})], [task("a")])[0][1] == "removed"


def test_shuffled_tasks_and_annotations_account_for_everything() -> None:
    """Whatever happens, before = paired + removed and after = paired + added, each position once."""
    rng = random.Random(7)
    for _ in range(40):
        before = [
            task(str(i), *(box(rng.randrange(60), 0, rng.choice("ab")) for _ in range(rng.randrange(6))))
            for i in range(4)
        ]
        after = copy.deepcopy(before)
        rng.shuffle(after)
        for changed in after:
            rng.shuffle(changed["annotations"])
            for annotation in changed["annotations"]:
                if rng.random() < 0.5:
                    annotation["points"] = [p + rng.randrange(5) for p in annotation["points"]]
                if rng.random() < 0.3:
                    annotation["value"] = rng.choice("abc")
            del changed["annotations"][: rng.randrange(3)]
        result = compare(before, after)
        assert result.table.equals(compare(before, after).table)
        gone = sum(result.summary["by_type"].get("removed", {}).values())
        came = sum(result.summary["by_type"].get("added", {}).values())
        count = sum(len(t["annotations"]) for t in before) - sum(len(t["annotations"]) for t in after)
        assert gone - came == count
        for side in ("before", "after"):
            seen = [
                (r["task_id"], r[f"index_{side}"], r["kind"])
                for r in result.table.to_pylist()
                if r[f"index_{side}"] is not None
            ]
            assert len(seen) == len(set(seen))
