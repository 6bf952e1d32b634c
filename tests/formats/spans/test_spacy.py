"""Spans of text as JSON lines: what spaCy and Prodigy read is what was drawn, and comes back."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import FormatError
from fastlabel_dagster.formats.spans import text_spans
from fastlabel_dagster.store import ImageFolder, open_store

#: Letters, kanji, kana, half-width kana, emoji with skin tones and joiners, combining marks, blanks and breaks.
SIGNS = "ab1_.,-田中東京へひらカナｶﾅ々ー。！「」👍🏽👩\u200d🚀😀e\u0301か\u3099𠮷 \t\n\r\u3000\u2028\x00\ufeff"
TEXTS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=["Cs"])), max_size=40)


def ner(start: Any, end: Any, value: str | None = "place", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "ner", "value": value, "title": value, "start": start, "end": end, **fields}


def text_task(text: str | None, *spans: dict[str, Any], name: str = "a.txt", **fields: Any) -> dict[str, Any]:
    task = {"id": f"id-{name}", "name": name, "tags": [], **fields, "annotations": list(spans)}
    return task if text is None else {**task, "text": text}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def spans_of(content: labels.Labels) -> list[tuple[Any, ...]]:
    rows = content.annotations.to_pylist()
    return [(row["task_name"], row["start"], row["end"], row["value"], row["text"]) for row in rows]


@pytest.fixture
def source(tmp_path: Path):
    """Lines, written to a file of a dataset and read."""

    def read(*lines: Any, name: str = "data.jsonl") -> labels.Labels:
        path = tmp_path / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return formats.read(tmp_path / "source", format="spacy")

    return read


def test_a_line_is_what_prodigy_documents(bench) -> None:
    text = "Apple updates its analytics service with new metrics"
    report = bench.write(text_task(text, ner(0, 5, "ORG"), tags=["news"]), format="spacy", classes=[])
    (line,) = lines_of(bench.folder / "spacy/train.jsonl")
    assert {key: line[key] for key in ("text", "spans")} == {
        "text": text,
        "spans": [{"start": 0, "end": 5, "label": "ORG"}],
    }
    assert line["meta"] == {"task_id": "id-a.txt", "name": "a.txt", "tags": ["news"]}
    assert (report.written, report.dropped, report.images) == (1, (), 1)


def test_offsets_count_characters(bench) -> None:
    """The house is the 8th character and takes two units of UTF-16, four bytes of UTF-8."""
    text = "東京タワーと🏠です"
    bench.write(text_task(text, ner(0, 5), ner(6, 7), ner(7, 9)), format="spacy", classes=[])
    (line,) = lines_of(bench.folder / "spacy/train.jsonl")
    assert [text[span["start"] : span["end"]] for span in line["spans"]] == ["東京タワー", "🏠", "です"]


@pytest.mark.parametrize("format", ["spacy", "conll"])
@pytest.mark.parametrize(("score", "told"), [(0.5, ["its confidence was left out"]), (-1, [])])
def test_a_confidence_has_no_place_in_texts(bench, format: str, score: float, told: list[str]) -> None:
    task = text_task("Tokyo", ner(0, 5, confidenceScore=score))
    report = bench.write(task, format=format)
    assert [note.reason for note in report.altered if "confidence" in note.reason] == told


def test_offsets_in_utf16_units_are_found_out_by_the_annotations_own_text(bench) -> None:
    text = "😀😀 Kyoto 𠮷野家"
    task = text_task(text, ner(5, 10, text="Kyoto"), ner(11, 15, "shop", text="𠮷野家"), ner(0, 2, "mood"))
    report = bench.write(task, format="spacy", classes=[])
    (line,) = lines_of(bench.folder / "spacy/train.jsonl")
    assert [text[span["start"] : span["end"]] for span in line["spans"]] == ["Kyoto", "𠮷野家", "😀"]
    assert [(note.reason, note.count) for note in report.altered] == [
        ("its offsets counted UTF-16 units, they count characters now", 3)
    ]


def test_units_are_found_out_where_a_span_ends_with_the_text(bench) -> None:
    report = bench.write(text_task("to 🏠🏠", ner(3, 7, text="🏠🏠")), format="spacy", classes=[])
    (line,) = lines_of(bench.folder / "spacy/train.jsonl")
    assert [(span["start"], span["end"]) for span in line["spans"]] == [(3, 5)]
    assert (report.dropped, report.altered_count) == ((), 1)


def test_a_whole_number_of_any_size_comes_back(bench) -> None:
    huge = {"key": "id", "name": "id", "type": "text", "value": 10**30}
    bench.write(text_task("Tokyo", ner(0, 5, attributes=[huge])), format="spacy", classes=[])
    (task,) = labels.to_fastlabel(formats.read(bench.folder / "spacy", format="spacy"))
    assert task["annotations"][0]["attributes"] == [huge]


def test_a_unit_in_the_middle_of_a_character_is_no_place(bench) -> None:
    report = bench.write(
        text_task("😀 Kyoto", ner(3, 8, text="Kyoto"), ner(1, 8), ner(3, 99)), format="spacy", classes=[]
    )
    assert report.written == 1
    assert {note.reason for note in report.dropped} == {"it cuts a character in two", "it reaches outside the text"}


def test_everything_that_is_no_span_is_told(bench, tmp_path) -> None:
    task = text_task(
        "Kyoto",
        ner(0, 5),
        ner(0, 5, text="Osaka"),
        ner(3, 3),
        ner(4, 2),
        ner(0, 6),
        ner(-1, 2),
        ner(0.5, 2),
        ner(None, 2),
        ner(1e300, 1e301),
        ner(float("nan"), 2),
        ner(0, 5, None),
        bench.shape("bbox", [1, 2, 3, 4]),
        {"type": "classification"},
    )
    report = bench.write(task, text_task(None, ner(0, 1), name="b.txt"), format="spacy", classes=[])
    assert {(note.reason, note.type): note.count for note in report.dropped} == {
        ("not a span of text", "bbox"): 1,
        ("not a span of text", "classification"): 1,
        ("its start or end is not a whole number", "ner"): 4,
        ("it has no class", "ner"): 1,
        ("the text of its task is not known", "ner"): 1,
        ("the text of the task is not known, it was left out", "file"): 1,
        ("it covers no text", "ner"): 2,
        ("it reaches outside the text", "ner"): 2,
    }
    assert report.written == 2
    assert [note.reason for note in report.noticed] == ["its own text is not what stands there in the task's text"]
    with pytest.raises(formats.LossError):
        bench.write(task, format="spacy", classes=[], strict=True)


def test_texts_come_from_the_files_of_the_tasks(bench, tmp_path) -> None:
    store = open_store(tmp_path / "files")
    store.write_bytes("a.txt", "\ufeffKyotoと東京".encode())
    store.write_bytes("b.txt", b"\xff\xfe\xff")
    files = ImageFolder(store)
    files.save(pa.table({"task_id": ["id-a.txt", "id-b.txt"], "name": ["a", "b"], "file": ["a.txt", "b.txt"]}))
    tasks = [text_task(None, ner(6, 8)), text_task(None, ner(0, 1), name="b.txt")]
    report = bench.write(*tasks, format="spacy", classes=[], images=files)
    (line,) = lines_of(bench.folder / "spacy/train.jsonl")
    assert (line["text"], line["spans"][0]["start"]) == ("Kyotoと東京", 6)
    assert report.dropped_count == 1


def test_no_column_grows_with_the_texts_nor_with_what_their_spans_cover(bench, tmp_path) -> None:
    """A column of Arrow holds 2 GB of text: a few long texts have more, and so have spans that lie over each other."""
    text = "long " * 100_000
    names = [f"{number}.txt" for number in range(8)]
    store = open_store(tmp_path / "files")
    for name in names:
        store.write_bytes(name, text.encode())
    files = ImageFolder(store)
    files.save(pa.table({"task_id": [f"id-{name}" for name in names], "name": names, "file": names}))
    spans = [ner(start, len(text), text="elsewhere") for start in range(100)]
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        report = bench.write(
            *(text_task(None, *spans, name=name) for name in names), format="spacy", classes=[], images=files
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert (report.written, sum(note.count for note in report.noticed)) == (800, 800)
    assert pool.max_memory() < 4 * len(text)
    assert peak < 50 * len(text)


def test_texts_that_do_not_fit_into_a_column_are_read_in_pieces(source, monkeypatch) -> None:
    text = "a place of thirty characters.."
    plain = {"text": text, "spans": [{"start": 2, "end": 7, "label": "p"}]}
    nested = {"text": text, "spans": [{"start": n, "end": 30, "label": "p"} for n in range(3)]}
    whole = source(plain, plain, nested, plain)
    monkeypatch.setattr(text_spans, "_MOST_TEXT", 50)
    read = source(plain, plain, nested, plain)
    assert (whole.tasks["name"].num_chunks, read.tasks["name"].num_chunks) == (1, 4)
    assert [row[:4] for row in spans_of(read)] == [row[:4] for row in spans_of(whole)]
    assert [row[4] for row in spans_of(read)] == ["place", "place", None, None, None, "place"]
    (note,) = read.report.altered
    assert (note.type, note.count) == ("ner", 3) and "cover too much" in note.reason
    assert not whole.report.altered
    assert source().tasks.num_rows == 0


def test_splits_are_files(bench) -> None:
    tasks = [text_task("x", name=f"{part}.txt", tags=[part]) for part in ("train", "val", "test")]
    report = bench.write(*tasks, format="spacy", classes=[], split="tags")
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    back = formats.read(bench.folder / "spacy", format="spacy")
    assert dict(zip(back.tasks["name"].to_pylist(), back.tasks["tags"].to_pylist(), strict=True)) == {
        "test.txt": ["test"],
        "train.txt": ["train"],
        "val.txt": ["val"],
    }
    report = bench.write(text_task("x", tags=["val"]), format="spacy", classes=[], split="tags", replace=True)
    assert (bench.folder / "spacy/train.jsonl").read_bytes() == b""
    assert len(formats.read(bench.folder / "spacy", format="spacy").tasks) == 1


def test_classes_and_attributes_come_back(bench) -> None:
    span = ner(0, 5, "big city", attributes=[{"key": "sure", "value": True}, {"key": "iscrowd", "value": "x"}])
    classes = [bench.klass("big city", 7, "ner", title="Big City", color="#123456"), bench.klass("unused", 3, "ner")]
    bench.write(text_task("Kyoto", span), format="spacy", classes=classes)
    back = formats.read(bench.folder / "spacy", format="spacy")
    rows = {row["value"]: row for row in back.classes.to_pylist()}
    assert (rows["big city"]["title"], rows["big city"]["color"], rows["big city"]["order"]) == (
        "Big City",
        "#123456",
        7,
    )
    assert rows["unused"]["type"] == "ner"
    (annotation,) = back.annotations.to_pylist()
    assert {one["key"]: one["value"] for one in annotation["attributes"]} == {"sure": "true", "iscrowd": "x"}


def test_doccanos_lines_are_read(source) -> None:
    content = source(
        {"id": 1, "text": "東京の夏", "label": [[0, 2, "地名"]], "Comments": []},
        {"id": 2, "text": "Who is Shaka?", "labels": [[7, 12, "PERSON"]]},
        {"id": 3, "text": "ab", "entities": [{"id": 9, "label": "x", "start_offset": 0, "end_offset": 1}]},
        {"id": 4, "text": "none", "label": []},
    )
    assert spans_of(content) == [
        ("data.jsonl-1", 0, 2, "地名", "東京"),
        ("data.jsonl-2", 7, 12, "PERSON", "Shaka"),
        ("data.jsonl-3", 0, 1, "x", "a"),
    ]
    assert content.tasks.num_rows == 4 and not content.report.dropped


def test_labels_of_whole_texts_are_told(source) -> None:
    content = source(
        {"text": "good", "label": "POSITIVE", "answer": "accept"},
        {"text": "fine", "label": ["POSITIVE", "SHORT"]},
        {"text": "bad", "cats": {"POSITIVE": 0, "NEGATIVE": 1}},
        {"text": "both", "accept": ["SHORT"], "label": "ORG", "spans": [{"start": 0, "end": 4, "label": "ORG"}]},
        {"text": "a span", "label": "ORG", "spans": [{"start": 0, "end": 1, "label": "ORG"}], "accept": [], "cats": {}},
    )
    assert spans_of(content) == [("data.jsonl-4", 0, 4, "ORG", "both"), ("data.jsonl-5", 0, 1, "ORG", "a")]
    (note,) = content.report.dropped
    assert (note.reason, note.type, note.count) == ("a label of the whole text is no span", "classification", 4)
    assert note.examples == tuple(f"data.jsonl, line {number}" for number in (1, 2, 3, 4))


def test_all_documented_forms_are_read(source) -> None:
    content = source(
        {"text": "Who is Shaka Khan?", "entities": [[7, 17, "PERSON"]]},
        {"text": "I like London", "spans": [{"start": 7, "end": 13, "label": "LOC", "token_start": 2, "token_end": 2}]},
        ["Berlin", {"entities": [[0, 6, "LOC"]]}],
        {"text": "x", "spans": [], "answer": "accept"},
        {"text": "no", "spans": [{"start": 0, "end": 2, "label": "LOC"}], "answer": "reject"},
        name="dev.jsonl",
    )
    assert spans_of(content) == [
        ("dev.jsonl-1", 7, 17, "PERSON", "Shaka Khan"),
        ("dev.jsonl-2", 7, 13, "LOC", "London"),
        ("dev.jsonl-3", 0, 6, "LOC", "Berlin"),
    ]
    assert [row["value"] for row in content.classes.to_pylist()] == ["LOC", "PERSON"]
    assert set(content.classes["type"].to_pylist()) == {"ner"}
    assert content.tasks["tags"].to_pylist() == [["val"]] * 4
    assert [note.reason for note in content.report.dropped] == ["the annotator's answer to it was reject"]


def test_bad_lines_and_spans_cost_nothing_else(source) -> None:
    spans = [
        {"start": 0, "end": 1, "label": "ok"},
        {"start": 0, "end": 9, "label": "far"},
        {"start": -1, "end": 1, "label": "far"},
        {"start": True, "end": 1, "label": "bool"},
        {"start": 10**30, "end": 10**31, "label": "huge"},
        {"start": 0, "end": 1, "label": 7},
        {"start": 0, "end": 1},
        [0, 1],
        None,
    ]
    content = source(
        "{",
        "[]",
        "null",
        '{"text": "\\ud800"}',
        '{"text": 7}',
        {"text": "ab", "spans": spans},
        '{"text":"n","spans":NaN}',
    )
    assert content.report.annotations == 1
    assert content.report.tasks == 2
    assert {note.reason: note.count for note in content.report.dropped} == {
        "a line is not a JSON object with a text": 5,
        "a span reaches outside its text": 3,
        "the start or end of a span is not a whole number": 1,
        "a span has no label": 2,
        "a span has no start, end and label": 2,
        "the spans are not a list": 1,
    }
    assert content.report.dropped[0].examples[0] == "data.jsonl, line 1"


def test_the_same_task_id_twice_makes_two_tasks(source) -> None:
    content = source(*[{"text": "a", "meta": {"task_id": "7", "name": "n"}}] * 2)
    assert len(set(content.tasks["task_id"].to_pylist())) == 2


def test_a_class_list_of_somebody_else_is_left_aside(source, tmp_path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/classes.json").write_text('["a", "b"]')
    content = source({"text": "a", "spans": [{"start": 0, "end": 1, "label": "x"}]})
    assert content.report.annotations == 1
    assert content.report.noticed[0].type == "file"


def test_links_out_of_the_folder_are_not_followed(source, tmp_path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"text": "secret"}')
    (tmp_path / "source").mkdir()
    (tmp_path / "source/b.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert source({"text": "a"}).tasks["extra"].to_pylist() == ['{"text":"a"}']


def test_nothing_to_read_is_said(tmp_path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError):
            formats.read(place, format="spacy")


SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10), st.sampled_from(["a", "b c", "駅", "O"])), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, SPANS), max_size=4))
def test_what_is_written_comes_back(tmp_path_factory, drawn) -> None:
    tasks = []
    expected = []
    for number, (text, spans) in enumerate(drawn):
        inside = [(start, start + size, value) for start, size, value in spans if start + size <= len(text)]
        tasks.append(text_task(text, *(ner(*span) for span in inside), name=f"{number}"))
        expected += [(f"{number}", start, end, value, text[start:end]) for start, end, value in inside]
    place = tmp_path_factory.mktemp("round")
    formats.write(labels.from_fastlabel(tasks, []), format="spacy", target=place / "one")
    back = formats.read(place / "one", format="spacy")
    assert spans_of(back) == expected
    assert [json.loads(extra)["text"] for extra in back.tasks["extra"].to_pylist()] == [text for text, _ in drawn]
    formats.write(back, format="spacy", target=place / "two")
    assert (place / "one/train.jsonl").read_bytes() == (place / "two/train.jsonl").read_bytes()


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["text", "spans", "start", "end", "label", "meta", "attributes", "x"]), inner),
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(ANY.map(json.dumps).map(str.encode), st.binary(max_size=60)), max_size=5), st.booleans())
def test_whatever_a_file_holds_the_reader_reports(tmp_path_factory, lines, known) -> None:
    place = tmp_path_factory.mktemp("fuzz") / "source"
    place.mkdir()
    good = b'{"text":"ab","spans":[{"start":0,"end":1,"label":"x","attributes":' + (lines or [b"{}"])[0] + b"}]}"
    (place / "a.jsonl").write_bytes(b"\n".join([*lines, good]))
    if known:
        (place / "classes.json").write_bytes(b"".join(lines))
    try:
        content = formats.read(place, format="spacy")
    except (FormatError, FileNotFoundError):
        return
    assert content.report.annotations == len(content.annotations)
    formats.write(content, format="spacy", target=place.parent / "again")
