"""A JSON file cut into pieces gives the same elements as the parser gives of the whole file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster.formats.fastlabel.json_pieces import read_elements

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["\\", '\\"', '"', "[{", "}]", '],"a":[', "\\\\", 'a\\"}', ",", "\n", "頭\u2028", "\ud800", "{" * 9]
    ),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
documents = st.lists(values, max_size=8)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, piece_bytes: int) -> tuple[list[Any], list[str], list[tuple[str, str]]]:
    found, places, damaged = [], [], []
    for part in read_elements(path, piece_bytes=piece_bytes):
        found.extend(part.values)
        places.extend(part.places or [f"task {part.first + index}" for index in range(len(part.values))])
        damaged.extend(part.damaged)
    return found, places, damaged


@quick
@given(
    documents, st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 60), st.sampled_from(["", " \n", "\ufeff"])
)
def test_a_list_in_pieces(
    tmp_path: Path, document: list[Any], indent: Any, ascii: bool, size: int, before: str
) -> None:
    path = tmp_path / "tasks.json"
    text = json.dumps(document, indent=indent, ensure_ascii=ascii)
    path.write_bytes(before.encode() + text.encode("utf-8", "replace") + b"\n")
    expected = json.loads(text.encode("utf-8", "replace"))
    found, places, damaged = read(path, size)
    assert found == expected
    assert places == [f"task {number}" for number in range(1, len(expected) + 1)]
    assert damaged == []


@pytest.mark.parametrize("tail", ["x" * 200_000, "[" * 200_000, '"]' * 50_000, "\\" * 50_000, "頭" * 50_000])
@pytest.mark.parametrize("ascii", [True, False])
def test_an_element_that_ends_far_behind_the_one_before_it(tmp_path: Path, tail: str, ascii: bool) -> None:
    """Where an element ends is looked for from the end of a block, a part of it at a time."""
    document = [{"a": [1]}, {"b": tail}, {"c": {"d": ["}"]}}, {"b": [[tail]]}, {"e": 1}]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(document, ensure_ascii=ascii), encoding="utf-8")
    for size in (20_000, 70_000, 150_000, 10**6):
        assert read(path, size) == (document, [f"task {number}" for number in range(1, 6)], [])


@quick
@given(documents, st.integers(1, 60), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_lines_in_pieces(tmp_path: Path, document: list[Any], size: int, end: str, ended: bool) -> None:
    rows = [{"a": value} for value in document]
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(end.join(map(json.dumps, rows)).encode() + (end.encode() if ended else b""))
    found, places, damaged = read(path, size)
    assert found == json.loads(json.dumps(rows))
    assert places == [f"line {1 + index * end.count(chr(10))}" for index in range(len(rows))]
    assert damaged == []


@quick
@given(st.lists(st.dictionaries(texts, values, max_size=3), min_size=1, max_size=6), st.data(), st.integers(1, 80))
def test_all_whole_elements_of_a_truncated_list_are_read(
    tmp_path: Path, document: list[Any], data: st.DataObject, size: int
) -> None:
    texts_of = [json.dumps(element) for element in document]
    text = "[" + ", ".join(texts_of) + "]"
    end = data.draw(st.integers(1, len(text) - 1))
    path = tmp_path / "tasks.json"
    path.write_text(text[:end])
    found, _, damaged = read(path, size)
    whole, at = 0, 1
    for one in texts_of:
        whole += at + len(one) <= end
        at += len(one) + 2
    assert found == json.loads(json.dumps(document[:whole]))
    assert len(damaged) == 1
    assert f"byte {end}" in " ".join(damaged[0])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_damaged_element_costs_no_other(tmp_path: Path, size: int) -> None:
    path = tmp_path / "tasks.json"
    text = '[{"a": 1}, {"b": nope}, {"c": [1, 2,]}, 5, {"d": "}"}, , {"e": NaN}, {"f": 1e400}, "x" "y"]'
    path.write_text(text)
    found, places, damaged = read(path, size)
    assert [value for value in found if value != found[3]] == [{"a": 1}, 5, {"d": "}"}, {"f": float("inf")}]
    assert str(found[3]) == "{'e': nan}"
    assert places == ["task 1", "task 4", "task 5", "task 7", "task 8"]
    begins = [(2, ' {"b"'), (3, ' {"c"'), (6, ' , {"e"'), (9, ' "x"')]
    assert [place for place, _ in damaged] == [f"task {number} (byte {text.index(at)})" for number, at in begins]


def test_damaged_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"a": 1}\n\n{"b": \n{"c": 3}\n   \n{"d": 4}{"e": 5}\n{"f": 6}')
    found, places, damaged = read(path, 1000)
    assert found == [{"a": 1}, {"c": 3}, {"f": 6}]
    assert places == ["line 1", "line 4", "line 7"]
    assert [place for place, _ in damaged] == ["line 3", "line 6"]


def test_one_object_over_several_lines_is_one(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps({"id": "a", "annotations": [{"type": "bbox"}]}, indent=2))
    assert read(path, 1000)[0] == [{"id": "a", "annotations": [{"type": "bbox"}]}]


@pytest.mark.parametrize("content", [b"", b" \n\t", b"[]", b"[ ]", b"[\n]\n"])
def test_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(content)
    assert read(path, 100) == ([], [], [])


def test_what_stands_behind_the_list_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text('[{"a": 1}]\n[{"b": 2}]')
    found, _, damaged = read(path, 100)
    assert found == [{"a": 1}]
    assert damaged == [("byte 10", "something stands behind the end of the list; it is not read")]


@pytest.mark.parametrize("size", [40, 10**6])
@pytest.mark.parametrize("behind", ["", "\n", "\n \n\n"])
@pytest.mark.parametrize("indent", [0, 2])
def test_one_object_over_several_lines(tmp_path: Path, indent: int, behind: str, size: int) -> None:
    value = {"name": "頭" * 9, "points": [1, 2.5, {}], "tags": ["a", "{"], "none": [], "frames": {"1": [[1]] * 99}}
    (tmp_path / "task.json").write_text(json.dumps(value, indent=indent, ensure_ascii=False) + behind)
    assert read(tmp_path / "task.json", size) == ([value], ["task 1"], [])


def test_lines_behind_an_object_over_several_lines_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text('{"id":\n 1}\n' + " \n" * 500 + '{"id": 2}\n')
    found, _, damaged = read(tmp_path / "tasks.json", 50)
    assert found == [{"id": 2}]
    assert [place for place, _ in damaged] == ["line 1", "line 2"]


def test_a_damaged_first_line_costs_no_line_behind_it(tmp_path: Path) -> None:
    lines = ['{"id": "' + "x" * 50, *(json.dumps({"id": number, "name": "y" * 40}) for number in range(20))]
    (tmp_path / "tasks.jsonl").write_text("\n".join(lines) + "\n")
    for size in (20, 70, 100, 1000):
        found, places, damaged = read(tmp_path / "tasks.jsonl", size)
        assert [task["id"] for task in found] == list(range(20))
        assert places == [f"line {number}" for number in range(2, 22)]
        assert [place for place, _ in damaged] == ["line 1"]
