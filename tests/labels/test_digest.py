from __future__ import annotations

import math
from typing import Any

import pytest

from fastlabel_dagster.labels.digest import classes_digest, combined_digest, task_digest

TASK: dict[str, Any] = {
    "id": "1",
    "url": "https://example.com/a?signature=1",
    "width": 100,
    "assignee": None,
    "contents": [{"name": "c", "url": "https://example.com/c?signature=1"}],
    "annotations": [{"type": "bbox", "points": [1, 2, 3, 4.5]}],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**TASK, **fields}


def test_a_digest_is_sixteen_bytes_and_stays_what_it_is() -> None:
    assert len(task_digest(TASK)) == 16
    # Mirrors on disk hold digests: another algorithm would make every task look changed.
    assert task_digest({"id": "1", "width": 100}).hex() == "119f00d56dbd1fc94469b96b78e2f439"


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(TASK.items())),
        changed(url="https://example.com/a?signature=2"),
        {key: value for key, value in TASK.items() if key != "url"},
        changed(contents=[{"name": "c", "url": "other"}]),
        changed(width=100.0),
        changed(annotations=[{"points": [1.0, 2, 3, 4.5], "type": "bbox"}]),
    ],
)
def test_what_does_not_count(same: dict[str, Any]) -> None:
    assert task_digest(same) == task_digest(TASK)


def test_what_counts() -> None:
    others = [
        TASK,
        changed(width=101),
        changed(width="100"),
        changed(width=True),
        changed(width=1),
        changed(width=None),
        changed(width=math.nan),
        changed(width=math.inf),
        changed(width=2**70),
        changed(width=2**70 + 1),
        changed(width=1e30),
        changed(name="\ud800"),
        changed(name="\udfff"),
        changed(name="1.0]"),
        changed(name="1]"),
        {key: value for key, value in TASK.items() if key != "assignee"},
        changed(contents=[{"name": "d", "url": None}]),
        changed(contents=[{"name": "c"}, 5]),
        changed(contents={"url": 1}),
        changed(annotations=[{"type": "bbox", "points": [1, 2, 3, None]}]),
        changed(annotations=[{"type": "bbox", "points": [1, 2, 3, math.nan]}]),
        changed(annotations=[{"type": "bbox", "points": [2, 1, 3, 4.5]}]),
        changed(annotations=[{"type": "bbox", "points": [1, 2, 3, 4.5], "url": "part of the label"}]),
        changed(annotations=[]),
        changed(annotations=None),
    ]
    assert len({task_digest(task) for task in others}) == len(others)


def test_order_of_a_collection_does_not_count_but_its_members_do() -> None:
    digests = [task_digest(changed(id=str(i))) for i in range(5)]
    whole = combined_digest(digests)
    assert len(whole) == 32
    assert int(whole, 16)
    assert combined_digest(iter(digests[::-1])) == whole
    assert combined_digest(digests[:4]) != whole
    assert combined_digest([*digests, digests[0]]) != whole
    assert combined_digest([]) != whole


def test_classes() -> None:
    classes = [{"id": "1", "value": "car"}, {"id": "2", "value": "truck"}]
    assert classes_digest(classes) == classes_digest(classes[::-1])
    assert classes_digest(classes) != classes_digest(classes[:1])
    assert len(classes_digest([])) == 16
