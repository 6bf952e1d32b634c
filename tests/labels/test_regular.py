"""Regular JSON read by Arrow gives the very columns the objects give one by one, or nothing at all."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.labels import levels, reading, regular
from tests.labels.test_round_trip import anything
from tests.labels.test_round_trip import tasks as any_tasks

TIME = "2021-02-22T11:25:27.158Z"
ATTRIBUTE = {"key": "k", "name": "K", "type": "text", "value": 'v, "quoted" ünïcode'}
POINT = {"key": "p", "name": "p", "value": [1, 2.5, 1], "edges": ["q"]}


def annotation(points: Any = (1, 2.25, 3, 4), **more: Any) -> dict[str, Any]:
    row = {"id": "a", "type": "bbox", "value": "dog", "title": "Dog", "color": "#ff0000", "points": list(points)}
    return {**row, "rotation": 0, "confidenceScore": -1, "attributes": [], "keypoints": [], **more}


def task(number: int, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"id": f"t{number}", "name": f"{number}.jpg", "width": 100 + number, "height": 50, "status": "approved"}
    row |= {"tags": ["a", "b"][: number % 3], "metadatas": [], "assignee": None, "reviewer": None, "memo": f"m{number}"}
    return {**row, "annotations": list(annotations), "createdAt": TIME, "updatedAt": TIME, **more}


REGIONS = [[[1, 2, 3, 4, 5, 6, 1, 2], [0.5, 1]], [[7, 8]]]
REGULAR = {
    "boxes": [task(0, annotation(), annotation([9, 8, 7, 6.125])), task(1), task(2, annotation())],
    "attributes": [task(0, annotation(attributes=[ATTRIBUTE, ATTRIBUTE])), task(1, annotation())],
    "poses": [task(0, annotation((), keypoints=[POINT, POINT])), task(1, annotation((), keypoints=[]))],
    "regions": [task(0, annotation(REGIONS)), task(1, annotation(REGIONS[:1]))],
    "contents": [task(0, contents=[{"name": "a", "url": "u", "width": 5, "height": 6}]), task(1, contents=[])],
    "partly null": [task(0, annotation(rotation=None)), task(1, annotation(), width=None, memo=None)],
    "keys that are absent": [{"id": "a", "width": 5}, {"name": "b", "fps": 2.5}, {"id": "c", "name": "c"}],
    "a text of marks": [task(0, memo=':"x":[{'), task(1, memo='{"id":null}')],
}


def text_of(rows: list[Any], separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps(rows, separators=separators, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:-1]


def same(text: bytes, form: regular.Form | None) -> bool:
    """Whether it was taken; what was taken is what the long way gives."""
    found = None if form is None else regular.columns(regular.BEFORE + text + regular.BEHIND, form)
    if found is None:
        return False
    expected = reading.arrays(orjson.loads(b"[" + text + b"]"), levels.TASK)
    for name, ours, theirs in zip(levels.TASK.struct.names, found, expected, strict=True):
        ours.validate(full=True)
        assert ours.type == theirs.type
        assert repr(ours.to_pylist()) == repr(theirs.to_pylist()), name  # -0.0 is not 0.0 here
    return True


@pytest.mark.parametrize("name", [name for name in REGULAR if name != "a text of marks"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", ": ")])
def test_regular_tasks_are_taken(name: str, separators: tuple[str, str]) -> None:
    rows = REGULAR[name]
    assert same(text_of(rows, separators), regular.form_of(rows, levels.TASK))


def test_a_form_holds_for_tasks_it_was_not_learned_from() -> None:
    form = regular.form_of([task(0, annotation(), reviewer="me")], levels.TASK)
    assert same(text_of([task(number, annotation(), annotation(), assignee="you") for number in range(9)]), form)


@pytest.mark.parametrize(
    "odd",
    [
        task(1, annotation([1, None])),
        task(1, annotation([2**53 + 1])),
        task(1, annotation([[1, 2]])),
        task(1, annotation({"1": {"value": [1]}})),
        task(1, annotation(rotation=True)),
        task(1, annotation(rotation="5")),
        task(1, width=2**63),
        task(1, width=5.5),
        task(1, width=5.0),
        task(1, None),
        task(1, tags=[None]),
        task(1, createdAt="yesterday"),
        task(1, createdAt="2021-02-30T11:25:27.158Z"),
        task(1, metadatas=[1]),
        task(1, memo=7),
        task(1, fresh="key"),
        {key: value for key, value in task(1).items() if key != "reviewer"},
        7,
        None,
    ],
)
def test_what_is_different_is_left_to_the_long_way(odd: Any) -> None:
    form = regular.form_of([task(0, annotation())], levels.TASK)
    assert not same(text_of([task(0, annotation()), odd]), form)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"width":100', b'"width":100,"width":100'),
        (b"2.25", b"NaN"),
        (b"2.25", b"-Infinity"),
        (b"2.25", b"1e400"),
        (b"2.25", b"-0"),
        (b"2.25", b"02.25"),
        (b'"t0"', b'"t\xff0"'),
        (b'"t0"', b'"t\n0"'),
        (b'"t0"', b'"\\ud800"'),
        (b'"t0"', b'"t0"}]}\n{"rows":[{"id":"t0"'),
        (b"}", b"},"),
        (b'"reviewer":null', b'"memo2":null'),
        (b'"reviewer" :null', b'"reviewer":null'),
    ],
)
def test_text_that_is_odd_is_left_to_the_long_way(was: bytes, becomes: bytes) -> None:
    form = regular.form_of([task(0, annotation())], levels.TASK)
    text = text_of([task(0, annotation())])
    if was not in text:
        was, becomes = becomes, was
    text = text + becomes if b"}]}" in becomes else text.replace(was, becomes, 1)
    assert regular.columns(regular.BEFORE + text + regular.BEHIND, form) is None


quick = settings(max_examples=120, deadline=None)


@quick
@given(st.lists(any_tasks, min_size=1, max_size=4), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_any_tasks_are_taken_rightly_or_not_at_all(rows: list[Any], separators: tuple[str, str]) -> None:
    try:
        text = text_of(rows, separators)
        parsed = orjson.loads(b"[" + text + b"]")
    except orjson.JSONDecodeError:  # NaN and the like: what is no JSON never comes here
        return
    same(text, regular.form_of(parsed, levels.TASK))


@quick
@given(st.sampled_from(sorted(REGULAR)), st.data())
def test_one_odd_value_among_regular_ones(name: str, data: st.DataObject) -> None:
    form = regular.form_of(REGULAR[name], levels.TASK)
    rows = copy.deepcopy(REGULAR[name])
    places = list(_places(rows))
    holder, key = data.draw(st.sampled_from(places))
    what = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "replace":
        holder[key] = data.draw(st.one_of(anything, st.sampled_from([None, [], "", 0, -0.0, [[]], [[[]]], {}])))
    elif what == "remove":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, data.draw(anything))
    else:
        holder[data.draw(st.sampled_from(["fps", "extra", "rows", 'a"']))] = data.draw(anything)
    try:
        text = text_of(rows)
        orjson.loads(b"[" + text + b"]")
    except orjson.JSONDecodeError:
        return
    same(text, form)


def _places(value: Any) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def test_no_rows_have_no_form() -> None:
    assert regular.form_of([], levels.TASK) is None
    assert regular.form_of([{}], levels.TASK) is None
    assert isinstance(regular.form_of([{"id": "a"}], levels.TASK).struct, pa.StructType)
