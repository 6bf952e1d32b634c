"""Audacity's label tracks: written as Audacity exports them, read with all it may write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import FormatError


def segment(start: Any, end: Any, value: str | None = "bird", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "segmentation", "value": value, "title": value, "start": start, "end": end, **fields}


def audio_task(*segments: dict[str, Any], name: str = "talk.wav", **fields: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "tags": [], **fields, "annotations": list(segments)}


def found(content: labels.Labels) -> list[tuple[Any, ...]]:
    return [
        (row["task_name"], row["value"], row["start"], row["end"], {a["key"]: a["value"] for a in row["attributes"]})
        for row in content.annotations.to_pylist()
    ]


@pytest.fixture
def source(tmp_path):
    def read(content: str | bytes, name: str = "track.txt") -> labels.Labels:
        path = tmp_path / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return formats.read(tmp_path / "source", format="audacity")

    return read


def test_a_track_by_hand(bench) -> None:
    task = audio_task(
        segment(2.15, 2.15, "point label"),
        segment(3.4, 6.1, "region 鳥"),
        segment(7, 8, attributes=[{"key": "low_frequency", "value": 100.5}, {"key": "high_frequency", "value": "2e3"}]),
        segment(9, 9.5, attributes=[{"key": "high_frequency", "value": 50}]),
    )
    report = bench.write(task, format="audacity", classes=[])
    assert (bench.folder / "audacity/labels/talk.txt").read_text() == (
        "2.150000\t2.150000\tpoint label\n3.400000\t6.100000\tregion 鳥\n"
        "7.000000\t8.000000\tbird\n\\\t100.500000\t2000.000000\n"
        "9.000000\t9.500000\tbird\n\\\t-1.000000\t50.000000\n"
    )
    assert (report.written, report.dropped, report.altered) == (4, (), ())
    assert found(formats.read(bench.folder / "audacity", format="audacity")) == [
        ("talk.wav", "point label", 2.15, 2.15, {}),
        ("talk.wav", "region 鳥", 3.4, 6.1, {}),
        ("talk.wav", "bird", 7, 8, {"low_frequency": "100.500000", "high_frequency": "2000.000000"}),
        ("talk.wav", "bird", 9, 9.5, {"high_frequency": "50.000000"}),
    ]


def test_frequencies_and_confidences_that_are_not_written_are_told(bench) -> None:
    low = [[{"key": "low_frequency", "value": value}] for value in ("deep", -5, 40)]
    low.append([{"key": "low_frequency", "value": 1}, {"key": "low_frequency", "value": 2}])
    segments = [segment(n, n + 1, attributes=one) for n, one in enumerate(low)]
    report = bench.write(audio_task(*segments, segment(9, 10, confidenceScore=0.5)), format="audacity", classes=[])
    lines = (bench.folder / "audacity/labels/talk.txt").read_text().splitlines()
    assert [line for line in lines if line[0] == "\\"] == ["\\\t40.000000\t-1.000000", "\\\t2.000000\t-1.000000"]
    assert {note.reason: note.count for note in report.altered} == {
        "a frequency that is no number of hertz was left out": 2,
        "several attributes have the same key, one of them counts": 1,
        "its confidence was left out": 1,
    }


def test_what_cannot_be_said_is_told(bench) -> None:
    task = audio_task(
        segment(0, 1, "a\tb\nc"),
        segment(0, 1, ""),
        segment(0, 1, " \t"),
        segment(2, 1),
        segment(0, 1, attributes=[{"key": "mood", "value": "x"}]),
        bench.shape("bbox", [0, 0, 1, 1]),
    )
    report = bench.write(task, format="audacity", classes=[])
    assert (bench.folder / "audacity/labels/talk.txt").read_text().splitlines()[0] == "0.000000\t1.000000\ta b c"
    assert {note.reason: note.count for note in report.dropped} == {
        "not a stretch of sound": 1,
        "it ends before it starts": 1,
        "it has no class": 1,
        "its class has no name but blanks": 1,
    }
    assert {note.reason for note in report.altered} == {
        "tabs and line breaks in the class name became blanks",
        "its attributes have no place in a line",
    }


def test_tracks_of_one_name_keep_apart(bench) -> None:
    bench.write(
        audio_task(segment(0, 1), name="a.wav"), audio_task(segment(1, 2), name="a.mp3"), format="audacity", classes=[]
    )
    assert len(list((bench.folder / "audacity/labels").iterdir())) == 2
    assert sorted(found(formats.read(bench.folder / "audacity", format="audacity"))) == [
        ("a.mp3", "bird", 1, 2, {}),
        ("a.wav", "bird", 0, 1, {}),
    ]


def test_tracks_as_audacity_writes_them(source) -> None:
    content = source("1,500000\t2,250000\twith commas\r\n\\\t6928.456055\t-1.000000\r\n3\t4\ttabs\tinside\n\n")
    assert found(content) == [
        ("track", "with commas", 1.5, 2.25, {"low_frequency": "6928.456055"}),
        ("track", "tabs\tinside", 3, 4, {}),
    ]


def test_bad_lines_cost_nothing_else(source) -> None:
    content = source(
        b"\\\t1\t2\n0\t1\tok\n\\\tx\n0\t1\n0\t1\t \nx\t1\ta\n-1\t1\ta\n2\t1\ta\n"
        b"0\tinf\ta\n0\t1e99\ta\nhello\n\xff\t\t\n"
    )
    assert [one[1] for one in found(content)] == ["ok"]
    assert {note.reason: note.count for note in content.report.dropped} == {
        "a line does not begin with two times in seconds": 5,
        "it has no label": 2,
        "it begins before the recording": 1,
        "it ends before it starts": 1,
        "a line of frequencies without a label before it": 1,
        "a line of frequencies without two numbers": 1,
    }


def test_utf16_is_read_too(source) -> None:
    assert found(source("0\t1\t鳥\n".encode("utf-16"))) == [("track", "鳥", 0, 1, {})]


TIMES = st.floats(0, 5000).map(lambda time: round(time, 6))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1, max_size=6).filter(
    lambda name: name.strip() != ""
)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text("ab .京", min_size=1, max_size=4), st.lists(st.tuples(TIMES, TIMES, NAMES), max_size=4), max_size=4
    )
)
def test_what_is_written_comes_back(tmp_path_factory, drawn) -> None:
    tasks, expected = [], []
    for name, segments in drawn.items():
        ordered = [(min(a, b), max(a, b), value) for a, b, value in segments]
        tasks.append(audio_task(*(segment(*one) for one in ordered), name=name))
        expected += [(name, value, start, end) for start, end, value in ordered]
    place = tmp_path_factory.mktemp("round")
    formats.write(labels.from_fastlabel(tasks, []), format="audacity", target=place / "one")
    back = formats.read(place / "one", format="audacity")
    assert sorted(one[:4] for one in found(back)) == sorted(expected)
    assert sorted(back.tasks["name"].to_pylist()) == sorted(drawn)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.lists(st.sampled_from(["\\", "0", "1.5", "nan", "-1", "x", "9" * 400, ""]), max_size=4)
            .map("\t".join)
            .map(str.encode),
            st.binary(max_size=30),
        )
    ),
    st.binary(max_size=40),
)
def test_whatever_a_file_holds_the_reader_reports(tmp_path_factory, lines, other) -> None:
    place = tmp_path_factory.mktemp("fuzz") / "source"
    place.mkdir()
    (place / "a.txt").write_bytes(b"\n".join(lines))
    (place / "tasks.jsonl").write_bytes(other)
    (place / "classes.json").write_bytes(other)
    try:
        content = formats.read(place, format="audacity")
    except (FormatError, FileNotFoundError):
        return
    assert content.report.annotations == len(content.annotations)
    formats.write(content, format="audacity", target=place.parent / "again")
