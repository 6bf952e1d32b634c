"""Every reader under fire: files of a good dataset are damaged in every way, by a generator with a seed.

Whatever lies there, a reader answers in time with labels and a report, or with a typed error that says where. More of
it: ``FASTLABEL_MUTATIONS=3000 pytest tests/formats/test_bad_input.py``; and others with any word as ``FASTLABEL_SEED``.
"""

from __future__ import annotations

import io
import os
import random
import re
import resource
import shutil
import struct
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import ArchiveLimits, registry

#: Layouts of a format that have files of their own.
LAYOUTS: dict[str, dict[str, object]] = {
    "yolo darknet": {"layout": "darknet", "split": {"train": 0.5, "val": 0.5}},
    "yolo segment": {"task": "segment"},
    "yolo pose": {"task": "pose"},
    "pascal_voc in parts": {"split": "tags", "outlines": "polygon"},
}
#: The least share of damaged datasets that is still read: one bad file does not sink the rest, so it is most of them;
#: less where all labels lie in one file, and least where that is a Parquet file, which one wrong byte spoils.
STILL_READ = {"coco": 0.3, "coco_panoptic": 0.4, "cvat": 0.3, "coco_parquet": 0.12, "parquet": 0.012}
READ = [name for name in registry.names() if registry.find(name).read]
COUNT = int(os.environ.get("FASTLABEL_MUTATIONS", "60"))
SEED = os.environ.get("FASTLABEL_SEED", "")
SECRET = b"the secret of somebody else"
SECONDS = 10  # of this process: a busy machine is no hang
WORDS = [
    b"NaN", b"-Infinity", b"1e400", b"-1", b"0", b"99999999999999999999999999", b"9" * 5000, b"null", b"true", b"[]",
    b"{}", b'""', b'"\\ud800"', b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"../../../etc/passwd", b"file:///etc/passwd",
    b"<x>", b"</annotation>", b"]]>", b"&bomb;", b"\r\n", b"\xe2\x80\xa8", b"\t", b",", b'"', b"1.5.5", b"0x10", b"1_0",
    "①".encode(), b"[" * 100_000, b'{"a":' * 50_000, b"<a>" * 20_000,
]  # fmt: skip
BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e SYSTEM "file:///etc/passwd">]><annotations>&d;&e;</annotations>"""


def giant_png(side: int = 1_000_000) -> bytes:
    """A picture that says it has a million times a million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def dataset_of(tmp_path_factory):
    """A good dataset of a format, pictures included; made once for each."""
    made: dict[str, Path] = {}

    def dataset(format: str) -> Path:
        if format not in made:
            folder = tmp_path_factory.mktemp("good") / format
            (lerobot if format == "lerobot" else written)(folder, format)
            made[format] = folder
        return made[format]

    return dataset


def written(folder: Path, format: str) -> None:
    import cv2
    import numpy as np

    source = folder.with_name("source")
    (source / "images").mkdir(parents=True)
    tasks = []
    for name in ("a.png", "sub/b.png", "c.png"):
        (source / "images" / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(source / "images" / name), np.zeros((80, 100, 3), np.uint8))
        ring = [60, 10, 80, 10, 80, 30, 60, 30, 60, 10]
        hole = [65, 15, 65, 20, 70, 20, 65, 15]
        flags = [{"key": "truncated", "name": "truncated", "type": "switch", "value": True}]
        points = [{"key": key, "name": key, "value": [x, 7.5, 1]} for key, x in (("nose", 5), ("eye", 50))]
        drawn = [
            shape("bbox", "dog", points=[1, 2, 30.5, 40], attributes=flags),
            shape("bbox", "dog", points=[20, 20, 60, 40], rotation=30),
            shape("polygon", "cat", points=[10, 10, 50, 10, 50, 60]),
            shape("segmentation", "cat", points=[[ring, hole]]),
            shape("pose_estimation", "person", keypoints=points),
            shape("ner", "place", text="world", start=6, end=11),
            shape("segmentation", "voice", start=0.5, end=1.25),
        ]
        url = (source / "images" / name).as_uri()
        tasks.append(
            {"id": name, "name": name, "width": 100, "height": 80, "status": "approved", "tags": ["train"], "url": url,
             "text": "hello world", "annotations": drawn, "duration": 2.5}
        )  # fmt: skip
    kinds = [("dog", "bbox"), ("cat", "polygon"), ("person", "pose_estimation"), ("place", "ner")]
    classes = [
        {"id": value, "type": kind, "value": value, "title": value, "color": "#00ff00", "order": order}
        for order, (value, kind) in enumerate(kinds, start=1)
    ]
    content = labels.from_fastlabel(tasks, classes)
    content.origin["source"] = str(source)
    formats.write(content, format=format.partition(" ")[0], target=folder, **LAYOUTS.get(format, {}))


def shape(kind: str, value: str, **fields: object) -> dict[str, object]:
    return {"id": f"{kind} 1", "type": kind, "title": value, "value": value, "color": "#ff0000", **fields}


def lerobot(folder: Path, format: str) -> None:
    pytest.skip(f"{format} is only read; its own tests damage it")


class Mutator:
    """Damages files of a folder."""

    def __init__(self, folder: Path, outside: Path, seed: str) -> None:
        self.folder, self.outside, self.random = folder, outside, random.Random(seed)
        self.done: list[str] = []

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())

    def strike(self) -> None:
        """One damage to one file. What people read (the report) is hit as seldom as it matters."""
        files = [path for path in self.files() if path.name not in ("report.json", ".fastlabel-folder")] or self.files()
        if not files:
            return
        # The files with labels deserve more of it than pictures.
        weights = [1 if path.suffix in (".png", ".jpg") else 4 for path in files]
        path = self.random.choices(files, weights)[0]
        way = self.random.choice(
            ["cut", "flip", "word", "word", "word", "swap", "swap", "gone", "twice", "empty", "become_folder", "link",
             "loop", "latin", "deep", "bomb", "giant", "other", "noise", "shuffle"]
        )  # fmt: skip
        self.done.append(f"{way} {path.relative_to(self.folder)}")
        getattr(self, way)(path, path.read_bytes())

    def cut(self, path: Path, data: bytes) -> None:
        path.write_bytes(data[: self.random.randrange(len(data) + 1)])

    def flip(self, path: Path, data: bytes) -> None:
        changed = bytearray(data)
        for _ in range(self.random.choice([1, 3, 20])):
            if changed:
                changed[self.random.randrange(len(changed))] = self.random.randrange(256)
        path.write_bytes(changed)

    def word(self, path: Path, data: bytes) -> None:
        """Something odd in the place of a number, or anywhere."""
        places = [found.span() for found in re.finditer(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|true|null", data[:200_000])]
        start, end = self.random.choice(places or [(0, 0)])
        path.write_bytes(data[:start] + self.random.choice(WORDS) + data[end:])

    def swap(self, path: Path, data: bytes) -> None:
        """Two values change places, so that types are not what they should be."""
        places = [found.span() for found in re.finditer(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|\[[^\[\]]*\]|\{[^{}]*\}", data)]
        if len(places) < 2:
            return
        (a, b), (c, d) = sorted(self.random.sample(places, 2))
        path.write_bytes(data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:])

    def gone(self, path: Path, _: bytes) -> None:
        path.unlink()

    def twice(self, path: Path, data: bytes) -> None:
        lines = data.splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines for _ in range(self.random.choice([1, 2]))))

    def shuffle(self, path: Path, data: bytes) -> None:
        lines = data.splitlines(keepends=True)
        self.random.shuffle(lines)
        path.write_bytes(b"".join(lines))

    def empty(self, path: Path, _: bytes) -> None:
        path.write_bytes(b"")

    def become_folder(self, path: Path, _: bytes) -> None:
        path.unlink()
        path.mkdir()

    def link(self, path: Path, _: bytes) -> None:
        path.unlink()
        path.symlink_to(self.outside / ("secret.png" if path.suffix == ".png" else "secret.txt"))

    def loop(self, path: Path, _: bytes) -> None:
        path.unlink()
        path.symlink_to(self.random.choice([path, path.parent, self.outside]))

    def latin(self, path: Path, data: bytes) -> None:
        at = self.random.randrange(len(data) + 1)
        path.write_bytes(data[:at] + "é日本".encode(self.random.choice(["latin-1", "utf-16", "shift-jis"]), "ignore"))

    def deep(self, path: Path, _: bytes) -> None:
        path.write_bytes(self.random.choice([b"[", b'{"a":', b"<a>"]) * 100_000)

    def bomb(self, path: Path, _: bytes) -> None:
        path.write_bytes(BOMB)

    def giant(self, path: Path, _: bytes) -> None:
        path.write_bytes(giant_png())

    def other(self, path: Path, _: bytes) -> None:
        path.write_bytes(self.random.choice(self.files()).read_bytes())

    def noise(self, path: Path, _: bytes) -> None:
        path.write_bytes(self.random.randbytes(300))


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    import cv2
    import numpy as np

    (folder / "secret.txt").write_bytes(SECRET)
    cv2.imwrite(str(folder / "secret.png"), np.full((7, 13, 3), 77, np.uint8))
    return folder


def check(source: Path, format: str, outside: Path, root: Path) -> str:
    """Read it; what came out: labels, or the kind of error. Anything else is an error of this test."""
    began = time.process_time()
    try:
        read = formats.read(source, format=format)
    except (FileNotFoundError, ValueError) as error:
        assert type(error).__module__ in ("builtins", "fastlabel_dagster.formats.errors"), repr(error)
        assert not isinstance(error, UnicodeError), repr(error)
        assert str(root) in str(error), repr(error)[:500]
        assert SECRET.decode() not in str(error)
        return type(error).__name__
    finally:
        assert time.process_time() - began < SECONDS
    tasks = read.tasks
    tasks.validate(full=True)
    read.classes.validate(full=True)
    assert read.report.tasks == tasks.num_rows == len(set(tasks["task_id"].to_pylist()))
    assert read.report.annotations == sum(len(of_task or ()) for of_task in tasks["annotations"].to_pylist())
    for note in (*read.report.dropped, *read.report.altered, *read.report.noticed):
        assert note.count > 0 and note.reason
        assert not [example for example in note.examples if str(root) in example], note
    for url in tasks["url"].to_pylist():
        if url is not None and url.startswith("file:"):
            place = os.path.realpath(unquote(urlsplit(url).path))
            assert Path(place).is_relative_to(os.path.realpath(root)), place
    text = str(tasks.drop_columns(["url"]).to_pylist())
    assert SECRET.decode() not in text
    assert (7, 13) not in set(zip(tasks["height"].to_pylist(), tasks["width"].to_pylist(), strict=True))
    # What was read can be written: nothing in it takes a writer by surprise.
    formats.write(read, format="fastlabel", target=outside.parent / "rewritten", replace=True, pictures=False)
    return "Labels"


@pytest.mark.parametrize("made", [*READ, *LAYOUTS])
def test_damaged_datasets(dataset_of, outside, tmp_path, made):
    good, format = dataset_of(made), made.partition(" ")[0]
    outcomes: dict[str, int] = {}
    for number in range(COUNT):
        folder = tmp_path / "damaged"
        shutil.copytree(good, folder)
        mutator = Mutator(folder, outside, f"{SEED}{made} {number}")
        for _ in range(mutator.random.choice([1, 1, 1, 2, 4])):
            mutator.strike()
        index = folder / registry.find(format).index
        source = index if number % 5 == 0 and index.is_file() else folder
        try:
            outcome = check(source, format, outside, folder)
        except Exception as error:
            raise AssertionError(f"{made} {number}: {', '.join(mutator.done)}") from error
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(folder)
    assert outcomes.get("Labels", 0) >= max(1, int(STILL_READ.get(made, 0.55) * COUNT)), outcomes


#: Where a label file of a format lies in a dataset of ours.
LABEL_FILES = {
    "yolo": "labels/train/{}.txt",
    "pascal_voc": "Annotations/{}.xml",
    "labelme": "images/{}.json",
    "kitti": "label_2/{}.txt",
    "dota": "labelTxt/{}.txt",
    "spacy": "{}.jsonl",
    "conll": "{}.conll",
    "rttm": "labels/{}.rttm",
    "audacity": "labels/{}.txt",
    "fastlabel": "{}.jsonl",
    "coco": "{}.json",
    "coco_panoptic": "{}.json",
    "cvat": "{}.xml",
}


@pytest.mark.parametrize("format", LABEL_FILES)
def test_a_file_whose_name_is_no_text_is_told(dataset_of, tmp_path, format):
    source = tmp_path / "source"
    shutil.copytree(dataset_of(format), source)
    path = LABEL_FILES[format].format(os.fsdecode("写真".encode("cp932")))
    (source / path).parent.mkdir(parents=True, exist_ok=True)
    (source / path).write_bytes(b"")
    if format == "cvat":  # is looked through for others only without
        (source / "annotations.xml").rename(source / "others.xml")
    content = formats.read(source, format=format)
    (note,) = [note for note in content.report.dropped if note.reason == "the name of the file is no text"]
    assert (note.type, note.count, note.examples) == ("file", 1, (ascii(path),))
    formats.write(content, format="coco", target=tmp_path / "out")


@pytest.mark.parametrize("format", READ)
def test_damaged_archives(dataset_of, outside, tmp_path, format):
    good = dataset_of(format)
    maker = random.Random(SEED + format)
    packed = {}
    for kind in ("zip", "tar"):
        packed[kind] = Path(shutil.make_archive(str(tmp_path / f"good-{kind}"), kind, good)).read_bytes()
    for number in range(max(4, COUNT // 10)):
        kind = maker.choice(["zip", "tar"])
        data = bytearray(packed[kind])
        if number % 2:
            data = data[: maker.randrange(len(data))]
        else:
            for _ in range(30):
                data[maker.randrange(len(data))] = maker.randrange(256)
        path = tmp_path / f"bad.{kind}"
        path.write_bytes(data)
        read_archive(path, format)


@pytest.mark.parametrize("format", READ)
def test_archives_that_are_bombs_or_lead_outside(tmp_path, format):
    index = registry.find(format).index
    limits = ArchiveLimits(slack=2**20)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(index, b" " * 50_000_000)
    assert read_archive(bomb, format, limits=limits) == "FormatError"
    sly = tmp_path / "sly.tar"
    with tarfile.open(sly, "w") as opened:
        for name in (f"../{index}", f"/tmp/{index}-sly", index):
            member = tarfile.TarInfo(name)
            member.size = 2
            opened.addfile(member, io.BytesIO(b"{}"))
        link = tarfile.TarInfo("images")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        opened.addfile(link)
    read_archive(sly, format)
    assert {path.name for path in tmp_path.iterdir()} == {"bomb.zip", "sly.tar"}
    assert not Path(f"/tmp/{index}-sly").exists()


def read_archive(path: Path, format: str, **settings: object) -> str:
    began = time.process_time()
    try:
        read = formats.read(path, format=format, **settings)
        read.tasks.validate(full=True)
    except (FileNotFoundError, ValueError) as error:
        assert not isinstance(error, UnicodeError), repr(error)
        return type(error).__name__
    finally:
        assert time.process_time() - began < SECONDS
    return "Labels"


def test_memory_stays_bounded(dataset_of, outside, tmp_path):
    """All of the above, giants and bombs among them, in a process that never grew large."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    assert most < 2.5, f"{most:.1f} GiB"
