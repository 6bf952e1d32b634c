"""CoNLL-2003: what other programs read of our files, and what we read of theirs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import FormatError

TASKS_FILE = "tasks.jsonl"
SIGNS = "ab1_.,-田中東京へひらカナｶﾅ々ー。！「」👍🏽👩\u200d🚀😀e\u0301か\u3099𠮷 \t\n\r\u3000\u2028\x00\ufeff"
TEXTS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=["Cs"])), max_size=40)


def ner(start: int, end: int, value: str = "LOC", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "ner", "value": value, "title": value, "start": start, "end": end, **fields}


def text_task(text: str, *spans: dict[str, Any], name: str = "a.txt", **fields: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "tags": [], **fields, "annotations": list(spans), "text": text}


def as_others_read(content: str) -> list[list[list[tuple[str, str]]]]:
    """Documents of sentences of (token, tag), by the rules spaCy documents for its ``ner`` converter: documents lie
    between lines ``-DOCSTART- -X- O O``, sentences between empty lines, the token is the first and the tag the last
    column."""
    documents = []
    for document in content.split("-DOCSTART- -X- O O")[1:]:
        sentences = [sentence for sentence in document.strip("\n").split("\n\n") if sentence.strip("\n")]
        documents.append(
            [[(line.split()[0], line.split()[-1]) for line in sentence.split("\n")] for sentence in sentences]
        )
    return documents


def entities(sentences: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """(tokens glued together, label) of every entity, by the rule of BIO2."""
    found: list[tuple[str, str]] = []
    for sentence in sentences:
        for token, tag in sentence:
            if tag.startswith("B-"):
                found.append((token, tag[2:]))
            elif tag.startswith("I-"):
                found[-1] = (found[-1][0] + token, found[-1][1])
                assert found[-1][1] == tag[2:]
    return found


def glued(text: str) -> str:
    return "".join(text.split())


@pytest.fixture
def conll(bench):
    def write(*tasks: dict[str, Any], **options: Any):
        report = bench.write(*tasks, format="conll", **{"classes": [], **options})
        return report, (bench.folder / "conll/train.conll").read_bytes().decode()

    return write


@pytest.fixture
def source(tmp_path):
    def read(content: str | bytes, name: str = "data.conll") -> labels.Labels:
        path = tmp_path / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return formats.read(tmp_path / "source", format="conll")

    return read


def test_a_document_by_hand(conll) -> None:
    task = text_task("U.N. official Ekeus heads for Baghdad.", ner(0, 4, "ORG"), ner(14, 19, "PER"), ner(30, 37))
    report, content = conll(task)
    assert content == (
        "-DOCSTART- -X- O O\n\nU -X- O B-ORG\n. -X- O I-ORG\nN -X- O I-ORG\n. -X- O I-ORG\nofficial -X- O O\n"
        "Ekeus -X- O B-PER\nheads -X- O O\nfor -X- O O\nBaghdad -X- O B-LOC\n. -X- O O\n\n"
    )
    assert (report.written, report.dropped, report.altered) == (3, (), ())


def test_japanese_is_cut_at_the_bounds_of_spans(conll) -> None:
    _, content = conll(text_task("新横浜駅でABCテレビを見た。次の文", ner(1, 3), ner(5, 11, "ORG")))
    (document,) = as_others_read(content)
    assert entities(document) == [("横浜", "LOC"), ("ABCテレビ", "ORG")]
    assert [len(sentence) for sentence in document] == [13, 3]


def test_a_span_inside_a_word_and_one_behind_the_other(conll) -> None:
    _, content = conll(text_task("Londoners", ner(0, 6), ner(6, 9)))
    assert as_others_read(content) == [[[("London", "B-LOC"), ("ers", "B-LOC")]]]


def test_a_sentence_does_not_end_inside_a_span(conll) -> None:
    _, content = conll(text_task("モーニング娘。と\n二行。x", ner(0, 10, "PER")))
    (document,) = as_others_read(content)
    assert [len(sentence) for sentence in document] == [11, 1]
    assert entities(document) == [("モーニング娘。と二", "PER")]


def test_the_longest_of_overlapping_spans_is_kept(conll) -> None:
    spans = [ner(0, 5, "a"), ner(0, 14, "b"), ner(6, 14, "c"), ner(15, 17, "d"), ner(16, 18, "e"), ner(15, 17, "f")]
    report, content = conll(text_task("Kyoto Imperial abc", *spans))
    assert entities(as_others_read(content)[0]) == [("KyotoImperial", "b"), ("ab", "d")]
    (note,) = report.dropped
    assert (note.count, note.reason) == (4, "it overlaps a longer span, and a token has one tag only")


def test_blanks_of_a_span(conll) -> None:
    report, content = conll(text_task("a  b\u3000", ner(0, 3), ner(1, 3), ner(3, 5)))
    assert entities(as_others_read(content)[0]) == [("a", "LOC"), ("b", "LOC")]
    assert [(note.count, note.reason) for note in report.dropped] == [(1, "it covers blanks only")]
    assert [(note.count, note.reason) for note in report.altered] == [(2, "blanks at its ends were left out")]


def test_classes_of_several_words(bench, conll) -> None:
    classes = [bench.klass("big city", 1, "ner", title="Big"), bench.klass("big_city", 2, "ner")]
    task = text_task(
        "Kyoto Osaka", ner(0, 5, "big city"), ner(6, 11, "big_city", attributes=[{"key": "a", "value": "b"}])
    )
    report, content = conll(task, classes=classes)
    assert len({label for _, label in entities(as_others_read(content)[0])}) == 2
    assert len(report.altered) == 2
    back = formats.read(bench.folder / "conll", format="conll")
    assert [(row["value"], row["title"]) for row in back.annotations.to_pylist()] == [
        ("big city", "Big"),
        ("big_city", "big_city"),
    ]


def test_tasks_come_back_by_their_names(bench, conll) -> None:
    tasks = [text_task("x", name=name, tags=tags) for name, tags in (("b c", ["val"]), ("a", []), ("empty", ["test"]))]
    tasks[2]["text"] = ""
    report, _ = conll(*tasks, split="tags")
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    back = formats.read(bench.folder / "conll", format="conll")
    columns = [back.tasks[name].to_pylist() for name in ("task_id", "name", "tags")]
    assert sorted(zip(*columns, strict=True)) == [
        ("id-a", "a", []),
        ("id-b c", "b c", ["val"]),
        ("id-empty", "empty", ["test"]),
    ]
    assert len(formats.read(bench.folder / "conll" / TASKS_FILE, format="conll").tasks) == 3


def test_the_shared_tasks_own_columns_and_tags(source) -> None:
    """The original data: part of speech and chunk, tags in IOB1, where B- only parts neighbours of one kind."""
    content = source(
        "-DOCSTART- -X- O O\n\nU.N. NNP I-NP I-ORG\nofficial NN I-NP O\nEkeus NNP I-NP I-PER\n\n"
        "Rome NNP I-NP I-LOC\nParis NNP I-NP B-LOC\n\n-DOCSTART- (947testa CRICKET)\r\n\r\nOval NNP I-NP B-LOC\r\n",
        name="eng.testa",
    )
    rows = content.annotations.to_pylist()
    assert [(row["task_name"], row["text"], row["value"], row["start"], row["end"]) for row in rows] == [
        ("eng.testa-1", "U.N.", "ORG", 0, 4),
        ("eng.testa-1", "Ekeus", "PER", 14, 19),
        ("eng.testa-1", "Rome", "LOC", 20, 24),
        ("eng.testa-1", "Paris", "LOC", 25, 30),
        ("947testa CRICKET", "Oval", "LOC", 0, 4),
    ]
    assert json.loads(content.tasks["extra"][0].as_py())["text"] == "U.N. official Ekeus\nRome Paris"
    assert content.tasks["tags"].to_pylist() == [["val"], ["val"]]


@pytest.mark.parametrize(
    "tags",
    [
        ["B-a", "I-a", "O", "B-b"],
        ["I-a", "I-a", "O", "I-b"],
        ["B-a", "E-a", "O", "S-b"],
        ["B-a", "L-a", "O", "U-b"],
    ],
)
def test_the_schemes_of_tags(source, tags) -> None:
    content = source("\n".join(f"{token}\t{tag}" for token, tag in zip("wxyz", tags, strict=True)))
    rows = content.annotations.to_pylist()
    assert [(row["text"], row["value"]) for row in rows] == [("w x", "a"), ("z", "b")]


def test_bad_lines_cost_nothing_else(source) -> None:
    content = source(b"\xef\xbb\xbfa B-x\nalone\n\tB-x\nb strange\nc B-\n\xff I-x\n")
    assert [row["text"] for row in content.annotations.to_pylist()] == ["a", "\ufffd"]
    assert {(note.reason, note.type): note.count for note in content.report.dropped} == {
        ("a tag that is not of the form B-… or I-…", "ner"): 2,
        ("a line without a token", "token"): 1,
    }
    assert [note.type for note in content.report.altered] == ["file"]
    assert [note.examples for note in content.report.noticed] == [("data.conll, line 2",)]


def test_a_foreign_file_comes_out_as_it_went_in(source, tmp_path) -> None:
    """Tokens that are cut otherwise than ours stay as they are."""
    content = (
        "-DOCSTART- -X- O O\n\nU.N. -X- O B-ORG\n's -X- O I-ORG\n東京都 -X- O B-LOC\nは -X- O O\n\n3.5 -X- O O\n\n"
    )
    read = source(content)
    formats.write(read, format="conll", target=tmp_path / "again")
    assert (tmp_path / "again/train.conll").read_text() == content


SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10), st.sampled_from(["a", "b-c", "駅", "O"])), max_size=6
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(TEXTS, SPANS), max_size=4))
def test_every_kept_span_is_there_and_comes_back(tmp_path_factory, drawn) -> None:
    tasks, expected = [], []
    for number, (text, spans) in enumerate(drawn):
        taken: list[tuple[int, int, str]] = []
        for start, size, value in spans:
            end = start + size
            apart = all(end <= other or start >= last for other, last, _ in taken)
            if end <= len(text) and apart and glued(text[start:end]):
                taken.append((start, end, value))
        tasks.append(text_task(text, *(ner(*span) for span in taken), name=str(number)))
        expected.append([(glued(text[start:end]), value) for start, end, value in sorted(taken)])
    place = tmp_path_factory.mktemp("round")
    report = formats.write(labels.from_fastlabel(tasks, []), format="conll", target=place / "one")
    assert report.dropped == ()
    content = (place / "one/train.conll").read_bytes().decode()
    documents = as_others_read(content)
    assert [entities(document) for document in documents] == expected
    tokens = ["".join(token for sentence in document for token, _ in sentence) for document in documents]
    assert tokens == [glued(text) for text, _ in drawn]
    back = formats.read(place / "one", format="conll")
    assert [
        [(glued(one["text"]), one["value"]) for one in task["annotations"]] for task in back.tasks.to_pylist()
    ] == expected
    for task in back.tasks.to_pylist():
        text = json.loads(task["extra"])["text"]
        assert all(text[int(one["start"]) : int(one["end"])] == one["text"] for one in task["annotations"])
    formats.write(back, format="conll", target=place / "two")
    assert (place / "two/train.conll").read_bytes().decode() == content


LINES = st.one_of(
    st.sampled_from(
        [b"-DOCSTART- -X- O O", b"-DOCSTART-", b"-DOCSTART- (x)", b"", b" ", b"\t", b"a B-x", b"a\tB-x", b"b I-y"]
    ),
    st.binary(max_size=20),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, max_size=12), st.binary(max_size=40), st.sampled_from(["a.conll", "b.txt"]))
def test_whatever_a_file_holds_the_reader_reports(tmp_path_factory, lines, other, name) -> None:
    place = tmp_path_factory.mktemp("fuzz") / "source"
    place.mkdir()
    (place / name).write_bytes(b"\n".join(lines))
    (place / TASKS_FILE).write_bytes(other)
    (place / "classes.json").write_bytes(other)
    try:
        content = formats.read(place, format="conll")
    except (FormatError, FileNotFoundError):
        return
    assert content.report.annotations == len(content.annotations)
    formats.write(content, format="conll", target=place.parent / "again")


def test_a_token_with_blanks_in_it_is_several(tmp_path: Any) -> None:
    """Files with tabs between their columns may have such tokens; ours have blanks there."""
    (tmp_path / "tabs").mkdir()
    (tmp_path / "tabs" / "train.conll").write_text("New York\tB-LOC\nis\tO\nMr. X\tB-PER\n")
    content = formats.read(tmp_path / "tabs", format="conll")
    report = formats.write(content, format="conll", target=tmp_path / "out")
    assert (report.written, report.dropped, report.altered) == (2, (), ())
    (sentences,) = as_others_read((tmp_path / "out" / "train.conll").read_text())
    assert entities(sentences) == [("NewYork", "LOC"), ("Mr.X", "PER")]
    back = formats.read(tmp_path / "out", format="conll")
    assert (back.report.altered, back.report.noticed) == ((), ())
    spans = [task["annotations"] for task in map(dict, labels.to_fastlabel(back))]
    assert [[(one["text"], one["value"]) for one in task] for task in spans] == [
        [("New York", "LOC"), ("Mr. X", "PER")]
    ]


@pytest.mark.parametrize("tokens", [[], [[0, 5]], [[6, 9]], [[0, 5], [10, 15]], [[0, 14]], [[0, 15]]])
def test_tokens_that_leave_out_something_visible_cost_no_span(tmp_path: Any, tokens: list[list[int]]) -> None:
    task = text_task("Hello\nbig world", ner(6, 9), tokens=tokens, odd=float("nan"))
    report = formats.write(labels.from_fastlabel([task]), format="conll", target=tmp_path / "out")
    assert report.written == 1
    documents = as_others_read((tmp_path / "out" / "train.conll").read_text())
    assert documents == [[[("Hello", "O")], [("big", "B-LOC"), ("world", "O")]]]
