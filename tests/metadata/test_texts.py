"""Texts are shown with their spans marked, and nothing in them is Markdown or HTML of its own."""

from __future__ import annotations

from fastlabel_dagster.labels.fastlabel import from_fastlabel
from fastlabel_dagster.metadata.texts import text_preview


def ner(value, start, end, text):
    return {"type": "ner", "value": value, "start": start, "end": end, "text": text}


def preview(text, annotations, name="a.txt"):
    tasks = from_fastlabel([{"id": "1", "name": name, "status": "approved", "annotations": annotations}], []).tasks
    return text_preview(tasks, lambda task_id, name: text)


def test_spans_are_bold_and_named():
    text = "Mio lives in 東京."
    said = preview(text, [ner("place", 13, 15, "東京"), ner("person", 0, 3, "Mio")])
    assert said == "**a.txt**\n\n> **Mio** `person` lives in **東京** `place` ."


def test_spans_that_overlap_or_lie_outside_leave_the_text_whole():
    said = preview("abcdef", [ner("x", 0, 4, "abcd"), ner("y", 2, 6, "cdef"), ner("z", 5, 99, "")])
    assert said.endswith("> **abcd** `x` ef")


def test_an_entity_from_nowhere_is_let_be():
    said = preview("abc", [ner("x", float("nan"), 2, ""), ner("y", 0, float("inf"), ""), ner("z", 0, 1, "a")])
    assert said.endswith("> **a** `z` bc")


def test_markup_in_a_text_is_shown_not_obeyed():
    said = preview("<img src=x> [a](javascript:1) **b**", [], name="x](y).txt")
    assert "<img" not in said.replace("\\<img", "") and "](j" not in said.replace("\\]\\(j", "")


def test_a_text_that_is_missing_is_told():
    tasks = from_fastlabel([{"id": "1", "name": "a.txt", "annotations": []}], []).tasks
    problems = []
    assert text_preview(tasks, lambda *_: None, problems.append) == "" and problems == ["a.txt: no text"]


def test_an_entity_over_a_whole_book_is_cut():
    said = preview("a" * 2_000_000, [ner("x", 0, 2_000_000, "")])
    assert len(said) < 1_000 and "`x`" in said
