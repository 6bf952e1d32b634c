"""RTTM: turns of speakers, written by the letter of the format, and read as people write it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import FormatError


def segment(start: Any, end: Any, value: str | None = "alice", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "segmentation", "value": value, "title": value, "start": start, "end": end, **fields}


def audio_task(*segments: dict[str, Any], name: str = "talk.wav", **fields: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "tags": [], **fields, "annotations": list(segments)}


def turns(content: labels.Labels) -> list[tuple[Any, ...]]:
    return [(row["task_name"], row["value"], row["start"], row["end"]) for row in content.annotations.to_pylist()]


@pytest.fixture
def source(tmp_path):
    def read(content: str | bytes, name: str = "data.rttm") -> labels.Labels:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return formats.read(tmp_path / "source", format="rttm")

    return read


def test_a_line_by_hand(bench) -> None:
    task = audio_task(segment(0.4, 0.5), segment(1, 12.25, "bob", attributes=[{"key": "channel", "value": 2}]))
    report = bench.write(task, format="rttm", classes=[])
    assert (bench.folder / "rttm/labels/talk.rttm").read_text() == (
        "SPEAKER talk 1 0.400000 0.100000 <NA> <NA> alice <NA> <NA>\n"
        "SPEAKER talk 2 1.000000 11.250000 <NA> <NA> bob <NA> <NA>\n"
    )
    assert (report.written, report.dropped, report.altered, report.images) == (2, (), (), 1)


def test_a_confidence_comes_and_goes(bench, source) -> None:
    sure = [segment(number, number + 1, confidenceScore=score) for number, score in enumerate((0.75, -1, 0, None))]
    report = bench.write(audio_task(*sure), format="rttm", classes=[])
    lines = (bench.folder / "rttm/labels/talk.rttm").read_text().splitlines()
    assert [line.split()[8] for line in lines] == ["0.75", "<NA>", "0", "<NA>"]
    assert report.altered == ()
    back = formats.read(bench.folder / "rttm", format="rttm")
    assert back.annotations["confidence_score"].to_pylist() == [0.75, None, 0, None]
    assert back.report is not None and back.report.altered == ()
    odd = source("".join(f"SPEAKER talk 1 {n} 1 <NA> <NA> a {said}\n" for n, said in enumerate(("high", "-2", "nan"))))
    assert [note.count for note in odd.report.altered] == [3]
    assert odd.annotations["confidence_score"].null_count == 3


def test_a_channel_that_is_none_is_told(bench) -> None:
    said = [[{"key": "channel", "value": value}] for value in ("left", "2", "", -1)]
    said.append([{"key": "channel", "value": 2}, {"key": "channel", "value": 3}])
    report = bench.write(audio_task(*(segment(0, 1, attributes=one) for one in said)), format="rttm", classes=[])
    lines = (bench.folder / "rttm/labels/talk.rttm").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["1", "2", "1", "1", "3"]
    assert {note.reason: note.count for note in report.altered} == {
        "an attribute channel that is no number of a channel was left out": 3,
        "several attributes have the same key, one of them counts": 1,
    }


def test_fields_are_words(bench) -> None:
    tasks = [
        audio_task(segment(0, 1, "Ms. A"), name="a b.wav"),
        audio_task(segment(1, 2, "Ms._A"), name="a_b.wav"),
        audio_task(name="../../etc/quiet.wav"),
    ]
    report = bench.write(*tasks, format="rttm", classes=[])
    lines = [
        path.read_text().split()
        for path in sorted((bench.folder / "rttm/labels").rglob("*.rttm"))
        if path.stat().st_size
    ]
    assert [len(line) for line in lines] == [10, 10]
    assert len({line[1] for line in lines}) == len({line[7] for line in lines}) == 2
    assert {note.type for note in report.altered} == {"segmentation", "file", "image"}
    back = formats.read(bench.folder / "rttm", format="rttm")
    assert sorted(turns(back)) == [("a b.wav", "Ms. A", 0, 1), ("a_b.wav", "Ms._A", 1, 2)]
    assert sorted(back.tasks["name"].to_pylist()) == ["../../etc/quiet.wav", "a b.wav", "a_b.wav"]


def test_all_in_one_file(bench) -> None:
    tasks = [audio_task(segment(0, 1), name="a.wav"), audio_task(segment(1, 2), name="b.wav"), audio_task(name="c.wav")]
    report = bench.write(*tasks, format="rttm", classes=[], one_file=True)
    assert [line.split()[1] for line in (bench.folder / "rttm/all.rttm").read_text().splitlines()] == ["a", "b"]
    assert report.files == 3
    back = formats.read(bench.folder / "rttm", format="rttm")
    assert turns(back) == [("a.wav", "alice", 0, 1), ("b.wav", "alice", 1, 2)]
    assert len(back.tasks) == 3


def test_everything_that_is_no_turn_is_told(bench) -> None:
    task = audio_task(
        segment(0, 1),
        segment(3, 3),
        segment(3, 3.0000001),
        segment(2, 1),
        segment(-1, 1),
        segment(None, 1),
        segment(float("nan"), 1),
        segment(0, float("inf")),
        segment(0, 1e300),
        segment(0, 1, None),
        segment(0, 1, "<NA>"),
        segment(0, 11),
        segment(0, 1, attributes=[{"key": "mood", "value": "x"}]),
        {**segment(0, 5), "type": "ner"},
        bench.shape("segmentation", [[[0, 0, 1, 0, 1, 1]]]),
        duration=10.0,
    )
    report = bench.write(task, format="rttm", classes=[])
    assert {note.reason: note.count for note in report.dropped} == {
        "it is of no length": 2,
        "it ends before it starts": 1,
        "it begins before the recording": 1,
        "it has no start or end in seconds": 4,
        "a time is more than three years away": 1,
        "it has no class": 1,
        "its class is called <NA>, which says in RTTM that there is none": 1,
        "not a stretch of sound": 1,
    }
    assert report.written == 3
    assert [note.reason for note in report.noticed] == ["it reaches beyond the end of the recording"]
    assert "its attributes have no place in a line" in {note.reason for note in report.altered}


def test_recordings_go_along_and_are_found_again(bench, tmp_path) -> None:
    import pyarrow as pa

    from fastlabel_dagster.store import ImageFolder, open_store

    store = open_store(tmp_path / "files")
    store.write_bytes("talk.wav", b"RIFF")
    files = ImageFolder(store)
    files.save(pa.table({"task_id": ["id-talk.wav"], "file": ["talk.wav"]}))
    report = bench.write(audio_task(segment(0, 1)), format="rttm", classes=[], images=files)
    place = bench.folder / "rttm"
    assert (place / "audio/talk.wav").read_bytes() == b"RIFF"
    assert report.bytes == sum(
        path.stat().st_size
        for path in place.rglob("*")
        if path.is_file() and path.name not in ("report.json", ".fastlabel-folder")
    )
    back = formats.read(place, format="rttm")
    assert back.tasks["url"].to_pylist() == [(place / "audio/talk.wav").resolve().as_uri()]
    formats.write(back, format="audacity", target=tmp_path / "audacity")
    assert (tmp_path / "audacity/audio/talk.wav").read_bytes() == b"RIFF"


def test_files_of_others(source, tmp_path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/small.mp3").write_bytes(b"")
    content = source(
        ";; made by hand\n\nSPKR-INFO small 1 <NA> <NA> <NA> unknown SPEAKER_00 <NA> <NA>\n"
        "SPEAKER small 1 0.031 4.927 <NA> <NA> SPEAKER_00 <NA> <NA>\r\n"
        "SPEAKER  other\t2 2.984 0.422 <NA> <NA> SPEAKER_01 0.5\n"
    )
    assert turns(content) == [("small.mp3", "SPEAKER_00", 0.031, 4.958), ("other", "SPEAKER_01", 2.984, 3.406)]
    rows = content.annotations.to_pylist()
    assert [[(one["key"], one["value"]) for one in row["attributes"]] for row in rows] == [[], [("channel", "2")]]
    assert set(content.annotations["type"].to_pylist()) == {"segmentation"}
    assert [row["value"] for row in content.classes.to_pylist()] == ["SPEAKER_00", "SPEAKER_01"]
    assert [note.examples for note in content.report.noticed] == [("data.rttm, line 3",)]


def test_bad_lines_cost_nothing_else(source) -> None:
    content = source(
        b"SPEAKER a 1 0 1 <NA> <NA> x <NA> <NA>\nSPEAKER a 1 x 1 <NA> <NA> x\nSPEAKER a 1 nan 1 <NA> <NA> x\n"
        b"SPEAKER a 1 0 1e999 <NA> <NA> x\nSPEAKER a 1 0 -1 <NA> <NA> x\nSPEAKER a 1 -1 3 <NA> <NA> x\n"
        b"SPEAKER a 1 0 1\nSPEAKER a 1 0 1 <NA> <NA> <NA>\nSPEAKER a 1 1_0 1 <NA> <NA> x\n\xff\n"
    )
    assert content.report.annotations == 1
    assert {note.reason: note.count for note in content.report.dropped} == {
        "the onset or duration is not a number of seconds": 4,
        "it is of no length": 1,
        "it begins before the recording": 1,
        "a line with fewer than 8 fields": 1,
        "it has no name": 1,
    }


TIMES = st.floats(0, 5000).map(lambda time: round(time, 6))
SEGMENTS = st.lists(st.tuples(TIMES, st.floats(1e-6, 500), st.sampled_from(["a", "b c", "駅 前", "<NA>x"])), max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text("ab ./京", min_size=1, max_size=5), SEGMENTS, max_size=4), st.booleans())
def test_what_is_written_comes_back(tmp_path_factory, drawn, one_file) -> None:
    tasks, expected = [], []
    for name, segments in drawn.items():
        rounded = [(value, start, round(start + length, 6)) for start, length, value in segments]
        tasks.append(audio_task(*(segment(start, end, value) for value, start, end in rounded), name=name))
        expected += [(name, *one) for one in rounded]
    place = tmp_path_factory.mktemp("round")
    content = labels.from_fastlabel(tasks, [])
    formats.write(content, format="rttm", target=place / "one", one_file=one_file)
    back = formats.read(place / "one", format="rttm")
    assert sorted(turns(back)) == sorted(expected)
    assert set(back.tasks["task_id"].to_pylist()) == {task["id"] for task in tasks}


WORD = st.sampled_from(["SPEAKER", "a", "1", "0.5", "1e9", "-3", "nan", "<NA>", ";;", "x", "\x00", "é", "1" * 400])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.one_of(st.lists(WORD, max_size=11).map(lambda words: " ".join(words).encode()), st.binary(max_size=30))
    ),
    st.binary(max_size=40),
)
def test_whatever_a_file_holds_the_reader_reports(tmp_path_factory, lines, other) -> None:
    place = tmp_path_factory.mktemp("fuzz") / "source"
    place.mkdir()
    (place / "a.rttm").write_bytes(b"\n".join([*lines, b"SPEAKER a 1 0 1 <NA> <NA> x <NA> <NA>"]))
    (place / "tasks.jsonl").write_bytes(other)
    (place / "classes.json").write_bytes(other)
    try:
        content = formats.read(place, format="rttm")
    except (FormatError, FileNotFoundError):
        return
    assert content.report.annotations == len(content.annotations) >= 1
    formats.write(content, format="rttm", target=place.parent / "again")
