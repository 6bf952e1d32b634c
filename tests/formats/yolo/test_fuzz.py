"""Damaged and hostile YOLO datasets: an error that names the file, or labels with a counted report. Nothing else."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import cv2
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.yolo.parse import parse_lines
from fastlabel_dagster.labels import to_fastlabel

PICTURE = cv2.imencode(".png", np.zeros((80, 100, 3), np.uint8))[1].tobytes()
DATA = "train: images/train\nval: images/val\nnc: 2\nnames: [dog, cat]\nkpt_shape: [2, 3]\n"
WORDS = [
    "0",
    "1",
    "-1",
    "0.5",
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "1e-300",
    "9" * 400,
    "1.5",
    "x",
    "",
    "0x1F",
    "1_0",
    "é",
]
NUMBERS = ["0.5", "0.25", "1", "0", "1.2", "-0.5", "1e300", "5e-324", *WORDS]


def outcome(folder, **options):
    """What reading does; counts add up with what is in the labels."""
    try:
        content = formats.read(folder, format="yolo", **options)
    except (formats.FormatError, FileNotFoundError) as error:
        assert str(error)
        return None
    tasks = list(to_fastlabel(content))
    assert content.report.tasks == len(tasks)
    assert content.report.annotations == sum(len(task["annotations"]) for task in tasks)
    assert len({task["id"] for task in tasks}) == len(tasks)
    for task in tasks:
        for shape in task["annotations"]:
            assert np.isfinite(np.array(shape.get("points") or [0], np.float64)).all()
    return content


def dataset(folder, files):
    for name, text in {"data.yaml": DATA, "images/train/a.png": PICTURE, **files}.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (Path(folder) / "images/val").mkdir(exist_ok=True)
    return folder


lines = st.lists(st.lists(st.sampled_from(NUMBERS), max_size=13), max_size=8).map(
    lambda rows: "\n".join(" ".join(row) for row in rows).encode()
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(lines, st.binary(max_size=200)), st.sampled_from(["auto", "detect", "segment", "pose", "obb"]))
@example(b"99999999999999999999 0.5 0.5 0.1 0.1\n2147483648 0.5 0.5 0.1 0.1\n1e9 0.5 0.5 0.1 0.1", "auto")
@example(b"0 0.5 0.5 0.1 0.1\0\n\xff\xfe\xfa", "auto")
def test_label_files(text, task):
    with tempfile.TemporaryDirectory() as folder:
        content = outcome(dataset(folder, {"labels/train/a.txt": text}), task=task)
    assert content is not None
    found = sum(1 for line in parse_lines([text]).number)
    assert content.report.annotations + content.report.dropped_count == found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(lines, st.binary(max_size=60)), max_size=6))
def test_a_file_is_read_the_same_alone_and_among_others(texts):
    together = parse_lines(texts)
    for place, text in enumerate(texts):
        alone = parse_lines([text])
        mine = np.flatnonzero(together.text == place)
        np.testing.assert_array_equal(together.number[mine], alone.number)
        np.testing.assert_array_equal(together.counts[mine], alone.counts)
        np.testing.assert_array_equal(together.is_numbers[mine], alone.is_numbers)
        for row, line in enumerate(mine.tolist()):
            values = together.values[together.offsets[line] : together.offsets[line + 1]]
            own = alone.values[alone.offsets[row] : alone.offsets[row + 1]]
            if alone.is_numbers[row]:
                np.testing.assert_array_equal(values, own)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_numbers_are_those_python_reads(numbers):
    for form in (repr, lambda number: f"{number:.9f}", lambda number: f"{number:+.17e}"):
        text = " ".join(form(number) for number in numbers)
        parsed = parse_lines([text.encode()])
        assert parsed.values.tolist() == [float(word) for word in text.split()]


def scalars():
    return st.one_of(
        st.none(),
        st.integers(),
        st.sampled_from([10**400, float("nan"), "images/train", "../..", "/", "\0", "a" * 300]),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["train", "val", "names", "nc", "path", "kpt_shape", "kpt_names", "task", "other"]),
        st.recursive(
            scalars(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars(), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_data_files(data):
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        text = yaml.safe_dump({"train": "images/train", "names": ["dog"], **data})
        outcome(dataset(folder, {"data.yaml": text, "labels/train/a.txt": "0 0.5 0.5 0.1 0.1\n"}))


def test_cut_and_scrambled_files():
    rng = random.Random(7)
    texts = {
        "data.yaml": DATA.encode(),
        "labels/train/a.txt": b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.9 0.1 0.9 0.9\n0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 1\n",
        "images/train/a.png": PICTURE,
    }
    for _ in range(150):
        name = rng.choice(list(texts))
        data = bytearray(texts[name])
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                del data[place:]
                data += b"\n"
            elif change == 1:
                data[place] = rng.randrange(256)
            else:
                data[place:place] = rng.choice([b"\n", b" ", b"-", b"e", b"9" * 30, b": ", b"[", b"\xff"])
        with tempfile.TemporaryDirectory() as folder:
            outcome(dataset(folder, {**texts, name: bytes(data)}))


def test_names_of_files_that_are_no_text_and_folders_that_look_like_files(tmp_path):
    dataset(tmp_path, {"labels/train/a.txt": "0 0.5 0.5 0.1 0.1\n"})
    (tmp_path / "images/train/b.png").mkdir()
    (tmp_path / "labels/train/c.txt").mkdir()
    Path(str(tmp_path / "images/train") + "/\udcff.png").write_bytes(PICTURE)
    (tmp_path / "images/train/gone.png").symlink_to("nowhere.png")
    (tmp_path / "images/train/itself.png").symlink_to("itself.png")
    (tmp_path / "labels/itself").symlink_to("itself")
    content = outcome(tmp_path)
    assert content.report.annotations == 1 and content.report.tasks == 1
    assert {note.reason for note in content.report.dropped} == {"the name of the file is no text"}
