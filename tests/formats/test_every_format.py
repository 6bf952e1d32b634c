"""What every format promises, tried on each that the registry knows: a new one is covered by being there."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastlabel_dagster import formats
from fastlabel_dagster.cli import main
from fastlabel_dagster.formats import batches, registry
from fastlabel_dagster.formats.errors import LossError
from fastlabel_dagster.formats.report import ExportReport
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel
from fastlabel_dagster.store import open_store
from fastlabel_dagster.store.paths import FOLDER_MARK

WRITTEN = [name for name in registry.names() if registry.find(name).write]
BOTH = [name for name in WRITTEN if registry.find(name).read]
#: Formats of words and of sound, which have nothing to say of pictures.
SPAN_FORMATS = {"spacy", "conll", "rttm", "audacity"}
#: Formats that hold labels of any kind, so that nothing is ever left out.
LOSSLESS = {"fastlabel", "parquet"}
ODD_NAMES = [
    "a.jpg",
    "a.png",
    "A.JPG",
    "sub/a.jpg",
    "日本語/写真 1.jpg",
    "👩‍👩‍👧.png",
    "../../up.jpg",
    "/etc/passwd",
    "C:\\Windows\\x.jpg",
    "CON.jpg",
    "nul",
    "trailing. ",
    "x" * 300 + ".jpg",
    "é" * 150 + ".jpg",
    "e\u0301.jpg",
    "\u00e9.jpg",
    "line\nbreak\t.jpg",
    "quote\"<&>'.jpg",
    "report.json",
    ".fastlabel-folder",
    "images",
    "images/images/b.jpg",
    "  ",
    "..",
    "#7.jpg",
    "100%25.jpg",
    "",
    None,
]
RING = [10, 10, 40, 10, 40, 40, 10, 40, 10, 10]
HOLE = [15, 15, 15, 20, 20, 20, 20, 15, 15, 15]


def annotations_of_every_type(bench):
    pose = [
        {"key": "nose", "name": "nose", "value": [12, 13, 1], "edges": ["eye"]},
        {"key": "eye", "name": "eye", "value": [22.5, 13, 0], "edges": ["nose"]},
    ]
    texts = [
        {"key": "iscrowd", "name": "iscrowd", "type": "switch", "value": True},
        {"key": "odd", "name": "odd 頭", "type": "checkbox", "value": ["a", "b"]},
        {"key": "n", "name": "n", "type": "number", "value": 1.5},
    ]
    return [
        bench.shape("bbox", [1, 2, 30.25, 40]),
        bench.shape("bbox", [50, 40, 10, 20], attributes=texts),
        bench.shape("bbox", [20, 20, 60, 40], rotation=33.5),
        bench.shape("bbox", [-500, -500, 1e7, 1e7]),
        bench.shape("bbox", [5, 5, 5, 5]),
        bench.shape("bbox", [math.nan, 0, 1, 1]),
        bench.shape("bbox", [1e300, -1e300, 1e308, 4]),
        bench.shape("bbox", [200, 200, 300, 300]),
        bench.shape("bbox", [1, 2, 3]),
        bench.shape("bbox", []),
        bench.shape("bbox"),
        bench.shape("polygon", [1, 1, 50, 1, 50.5, 50], value="犬"),
        bench.shape("polygon", [1, 1, 50, 1]),
        bench.shape("polygon", [1, 1, 1, 1, 1, 1]),
        bench.shape("polygon", [0, 0, 10, 10, 10, 0, 0, 10]),
        bench.shape("polygon", [0, 0, 1.7e308, 0, 1.7e308, -1.7e308]),
        bench.shape("segmentation", [[RING, HOLE], [[60, 60, 70, 60, 70, 70, 60, 60]]]),
        bench.shape("segmentation", [[[float("inf"), 1, 2, 3, 4, 5]]]),
        bench.shape("segmentation", [[[0, 0, 2e7, 0, 2e7, 2e7, 0, 2e7, 0, 0], HOLE]]),
        bench.shape("segmentation", [[[0, 0, 1.7e308, 0, 1.7e308, -1.7e308, 0, 0], HOLE]]),
        bench.shape("segmentation", [[]]),
        bench.shape("segmentation", []),
        bench.shape("keypoint", [12.5, 30]),
        bench.shape("keypoint", [-1, 3000]),
        bench.shape("line", [1, 1, 9, 9, 12, 1]),
        bench.shape("line", [1, 1]),
        bench.shape("circle", [50, 40, 12.5]),
        bench.shape("circle", [50, 40, -1]),
        bench.shape("circle", [50, 40, 1e12]),
        bench.shape("circle", [1.7e308, 1.7e308, 1.7e308]),
        bench.shape("pose_estimation", keypoints=pose, value="person"),
        bench.shape("pose_estimation", keypoints=[]),
        bench.shape("pose_estimation", keypoints=[{"key": "nose", "value": [math.nan, 1, 1]}]),
        bench.shape("classification", attributes=texts),
        bench.shape("ner", text="世界", start=5, end=7, value="place"),
        bench.shape("segmentation", start=0.4, end=0.5, value="voice"),
        bench.shape("cuboid", [1, 2, 3, 1, 1, 1, 2, 2, 2]),
        bench.shape("never heard of", [1, 2, 3, 4]),
        bench.shape("bbox", [1, 2, 3, 4], value='a class\nthat is <odd> & "new" \' \\ /, ;'),
        bench.shape("bbox", [1, 2, 3, 4], value=""),
        bench.shape("bbox", [1, 2, 3, 4], value=None),
        bench.shape("bbox", [1, 2, 3, 4], id=None, color=None, title=None, attributes=None),
        bench.shape(None, [1, 2, 3, 4]),
        {"type": "bbox"},
        {},
    ]


@pytest.fixture
def odd(bench):
    """A project with every type of annotation, and whatever may be odd about tasks, names and geometry."""
    everything = annotations_of_every_type(bench)
    tasks = [
        bench.task("plain.jpg", *everything),
        bench.task("no size.jpg", *everything, width=None, height=None),
        bench.task("zero.jpg", *everything, width=0, height=0),
        bench.task("minus.jpg", *everything, width=-5, height=80, tags=["train", "日本"]),
        bench.task("wide.jpg", bench.shape("bbox", [1, 2, 30, 40]), width=2**53 + 1, height=2**63 - 1),
        bench.task("empty.jpg", status="registered"),
        bench.task("hello.txt", bench.shape("ner", text="world", start=6, end=11), text="hello world 世界"),
        bench.task("clip.wav", bench.shape("segmentation", start=0.5, end=1.25), duration=2.0),
        bench.task(
            "clip.mp4",
            bench.shape("bbox", {"1": {"value": [1, 2, 3, 4], "autogenerated": False}, "7": {"value": [math.nan]}}),
            frameCount=3,
            fps=2.0,
        ),
        bench.task(
            "several",
            bench.shape("bbox", [1, 2, 3, 4], content="1.jpg"),
            bench.shape("bbox", [1, 2, 3, 4], content="gone.jpg"),
            contents=[{"name": "1.jpg", "width": 100, "height": 80}, {"name": "../2.jpg"}],
        ),
        *(bench.task(name, bench.shape("bbox", [1, 2, 30, 40]), id=f"odd {n}") for n, name in enumerate(ODD_NAMES)),
        bench.task("a.jpg", bench.shape("bbox", [9, 9, 30, 40]), id="the same name again"),
    ]
    classes = [
        bench.klass("dog", 2),
        bench.klass("dog", 2, kind="polygon"),
        bench.klass("犬", None, kind="polygon", color=None),
        bench.klass("person", 1, kind="pose_estimation", keypoints=[{"id": "1", "key": "nose", "name": "nose"}]),
        bench.klass("place", 3, kind="ner"),
        bench.klass("voice", 4, kind="segmentation", title=None, color="no colour"),
    ]
    return bench.labels(*tasks, classes=classes)


@pytest.fixture
def good(bench):
    """A small project in which every format finds something to write."""
    tasks = [
        bench.task(
            f"sub/{name}",
            bench.shape("bbox", [1, 2, 30, 40], id=f"{name} 1"),
            bench.shape("polygon", [10, 10, 50, 10, 50, 60], id=f"{name} 2", value="cat"),
            bench.shape("segmentation", [[[60, 10, 80, 10, 80, 30, 60, 30, 60, 10]]], id=f"{name} 3", value="cat"),
            status=status,
            tags=[tag],
        )
        for name, status, tag in (("a.png", "approved", "train"), ("b.png", "submitted", "val"))
    ]
    classes = [bench.klass("dog", 1), bench.klass("cat", 2, kind="polygon")]
    return bench.labels(*tasks, classes=classes)


@pytest.fixture
def spans(bench):
    tasks = [
        {**bench.task(f"{n}.txt"), "text": "hello world", "annotations": [
            bench.shape("ner", text="world", start=6, end=11, value="place"),
            bench.shape("segmentation", start=0.5, end=1.25, value="voice"),
        ], "status": status}
        for n, status in ((1, "approved"), (2, "submitted"))
    ]  # fmt: skip
    return bench.labels(*tasks, classes=[bench.klass("place", 1, "ner"), bench.klass("voice", 2, "segmentation")])


@pytest.fixture
def fitting(good, spans):
    """A small project the format can hold."""
    return lambda format: spans if format in SPAN_FORMATS else good


@pytest.fixture
def write(bench, good, pictures, tmp_path_factory):
    """``formats.write``; overlays get some pictures, for they are drawn on them."""
    some = pictures(bench.labels(*to_fastlabel(good), bench.task("plain.jpg")), tmp_path_factory.mktemp("pictures"))

    def writing(content, *, format, **settings):
        if format == "overlays":
            settings.setdefault("images", some)
        return formats.write(content, format=format, **settings)

    return writing


#: What readers must be told of datasets without pictures: YOLO's numbers are shares of their size.
SIZE = {"yolo": {"size": [100, 80]}}


def everywhere(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def agrees(report: ExportReport, folder: Path, tree) -> None:
    """The report adds up, and says of the folder what is in it."""
    assert report.written + report.dropped_count == report.annotations
    files = tree(folder)
    assert report.files == len(files) - 1
    assert report.bytes == sum(len(data) for name, data in files.items() if name != "report.json")
    again = ExportReport.from_json(files["report.json"], report.target)
    assert again == ExportReport.from_json(report.to_json(), report.target)
    assert (again.written, again.annotations, again.dropped) == (report.written, report.annotations, report.dropped)
    assert str(folder).encode() not in b"".join(files.values())


@pytest.mark.parametrize("format", WRITTEN)
def test_an_empty_project_is_written_and_read(bench, tmp_path, tree, format, write):
    for number, classes in enumerate(([], [bench.klass("dog")])):
        folder = tmp_path / str(number)
        report = write(from_fastlabel([], classes), format=format, target=folder)
        agrees(report, folder, tree)
        assert (report.tasks, report.annotations, report.images) == (0, 0, 0) and not report.dropped
        assert (folder / registry.find(format).index).is_file()
        if format in BOTH:
            assert formats.read(folder, format=format, strict=True).tasks.num_rows == 0


@pytest.mark.parametrize("format", WRITTEN)
def test_whatever_a_project_holds(odd, tmp_path, tree, format, write):
    target = tmp_path / "inside/out"
    seen: list[int] = []
    report = write(odd, format=format, target=target, progress=seen.append)
    agrees(report, target, tree)
    assert everywhere(tmp_path) - {"inside", "inside/out"} == {f"inside/out/{name}" for name in everywhere(target)}
    several = 0 if format in SPAN_FORMATS | LOSSLESS else 3  # a video of three frames, and a task of two pictures
    assert sum(seen) - several == report.tasks == odd.tasks.num_rows
    assert sum(seen) == formats.steps_of(odd, format=format)
    if format in LOSSLESS:
        assert report.written == report.annotations
    assert not [path for path in target.rglob("*") if path.is_symlink()]

    write(odd, format=format, target=tmp_path / "again")
    assert tree(tmp_path / "again") == tree(target)
    if format in BOTH:
        read = formats.read(target, format=format, **SIZE.get(format, {}))
        assert read.report.annotations == sum(map(len, read.tasks["annotations"].drop_null()))
        assert read.report.tasks == read.tasks.num_rows
        if format in LOSSLESS:
            assert read.tasks.num_rows == odd.tasks.num_rows


@pytest.mark.parametrize("format", [name for name in WRITTEN if name not in LOSSLESS])
def test_an_empty_class_is_none(bench, tmp_path, format, write):
    of_format = {"spacy": "ner", "conll": "ner", "rttm": "segmentation", "audacity": "segmentation"}
    kind = of_format.get(format, "bbox")
    given = {"bbox": {"points": [1, 2, 30, 40]}, "ner": {"start": 0, "end": 5}, "segmentation": {"start": 0, "end": 1}}
    named, empty, none = (bench.shape(kind, value=value, **given[kind]) for value in ("dog", "", None))
    task = bench.task("plain.jpg", named, empty, none, text="hello world", duration=2.5)
    report = write(bench.labels(task), format=format, target=tmp_path)
    # Where a label is only drawn, there is a picture of it without a name as well.
    expected = [] if format == "overlays" else [("it has no class", kind, 2)]
    assert [(note.reason, note.type, note.count) for note in report.dropped] == expected


@pytest.mark.parametrize("format", [name for name in WRITTEN if name not in LOSSLESS | SPAN_FORMATS])
def test_boxes_with_their_corners_in_another_order_are_told(bench, tmp_path, format, write):
    task = bench.task("plain.jpg", bench.shape("bbox", [30, 40, 10, 20]), bench.shape("bbox", [50, 50, 70, 70]))
    report = write(bench.labels(task), format=format, target=tmp_path)
    assert report.written == 2
    told = "the corners of the box came in another order, they were put in order"
    assert [note.count for note in report.altered if note.reason == told] == [1]


@pytest.mark.parametrize("format", [name for name in WRITTEN if name not in LOSSLESS | SPAN_FORMATS])
def test_a_rotation_that_is_no_number_is_told(bench, tmp_path, format, write):
    given = [("30", 10), ([1], 30), (None, 50), (0, 70)]
    shapes = [bench.shape("bbox", [left, 20, left + 5, 30], rotation=rotation) for rotation, left in given]
    report = write(bench.labels(bench.task("plain.jpg", *shapes)), format=format, target=tmp_path)
    told = "its rotation is not a number, the box is taken as not turned"
    assert report.written == 4
    assert [note.count for note in report.altered if note.reason == told] == [2]


@pytest.mark.parametrize("format", WRITTEN)
def test_many_small_tasks(bench, tmp_path, tree, format, write):
    count = 5000 if format not in ("semantic_masks", "instance_masks", "coco_panoptic", "overlays") else 300
    tasks = [
        bench.task(f"{n % 7}/{n}.jpg", bench.shape("bbox", [1, 2, 3 + n % 50, 40]), id=f"id {n}") for n in range(count)
    ]
    seen: list[int] = []
    report = write(bench.labels(*tasks), format=format, target=tmp_path, progress=seen.append)
    agrees(report, tmp_path, tree)
    assert sum(seen) == report.tasks == report.annotations == count
    assert report.written == (0 if format in SPAN_FORMATS or format == "overlays" else count)
    if format in BOTH and format not in SPAN_FORMATS:
        read = formats.read(tmp_path, format=format, strict=True, **SIZE.get(format, {}))
        assert read.tasks.num_rows == len(set(read.tasks["task_id"].to_pylist())) == count
        assert read.report.annotations == report.written == count


@pytest.mark.parametrize("format", WRITTEN)
def test_many_batches_say_the_same_as_one(odd, tmp_path, monkeypatch, format, write):
    """The next batch is made in another thread while one is written: nothing is lost, twice, or in another order, and
    whoever follows the progress is told in his own thread."""
    whole = write(odd, format=format, target=tmp_path / "one")
    monkeypatch.setattr(batches, "MOST_TASKS", 3)
    threads: list[int] = []
    parts = write(
        odd, format=format, target=tmp_path / "many", progress=lambda _: threads.append(threading.get_ident())
    )
    assert len(threads) > 1 and set(threads) == {threading.get_ident()}
    assert _contents(tmp_path / "many") == _contents(tmp_path / "one")
    assert _told(parts) == _told(whole)


def _told(report: ExportReport) -> list[object]:
    """What became of the annotations; examples may be others."""
    fates = (report.dropped, report.altered, report.noticed)
    return [report.written, *({(note.reason, note.type, note.count) for note in fate} for fate in fates)]


def _contents(folder: Path) -> dict[str, object]:
    """What the files of an export hold; the report names its folder, and archives the moment they were made."""
    found: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".parquet":
            found[name] = str(pq.read_table(path).to_pylist())  # NaN is not itself, but reads the same
        elif path.suffix == ".json" and name not in ("report.json", FOLDER_MARK):
            found[name] = orjson.loads(path.read_bytes())
        elif name not in ("report.json", FOLDER_MARK):
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("format", WRITTEN)
def test_strict_writes_nothing_where_something_is_lost(odd, fitting, tmp_path, tree, format, write):
    if format in LOSSLESS:
        pytest.skip("it loses nothing")
    write(fitting(format), format=format, target=tmp_path / "out")
    before = tree(tmp_path)
    with pytest.raises(LossError, match="would lose something"):
        write(odd, format=format, target=tmp_path / "out", strict=True)
    with pytest.raises(LossError):
        write(odd, format=format, target=tmp_path / "new", strict=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("format", WRITTEN)
def test_what_is_there_already_is_not_written_again(fitting, pictures, tmp_path, tree, format):
    content = fitting(format)
    content.origin.update(project="p", version=3, digest="d1")
    images = None if format in SPAN_FORMATS else pictures(content, tmp_path / "pictures")
    target = tmp_path / "out"
    asked = {"format": format, "images": images}
    assert not formats.is_current(target, content, **asked)
    first = formats.write(content, target=target, skip_unchanged=True, **asked)
    before = tree(target)
    assert not first.unchanged and formats.is_current(target, content, **asked)
    second = formats.write(content, target=target, skip_unchanged=True, **asked)
    assert second.unchanged and tree(target) == before
    content.origin["digest"] = "d2"
    assert not formats.is_current(target, content, **asked)
    content.origin["digest"] = "d1"
    for option, default in registry.find(format).options.items():
        other = not default if isinstance(default, bool) else default + 1 if type(default) is int else "another"
        assert not formats.is_current(target, content, **asked, **{option: other})
    (victim,) = [
        path for path in target.rglob("*") if path.is_file() and path.name not in ("report.json", FOLDER_MARK)
    ][:1]
    victim.write_bytes(victim.read_bytes() + b" ")
    assert not formats.is_current(target, content, **asked)
    third = formats.write(content, target=target, skip_unchanged=True, **asked)
    assert not third.unchanged and tree(target) == before


@pytest.mark.parametrize("format", WRITTEN)
def test_options_are_looked_at(fitting, tmp_path, format, write):
    content, chosen = fitting(format), registry.find(format)
    with pytest.raises(ValueError, match="has no option 'colour'"):
        write(content, format=format, target=tmp_path / "out", colour="red")
    for option in chosen.options:
        for wrong in (7.25, object(), b"bytes", [["x"]], {"a": "b"}, "no such thing \0", float("nan"), {3: 4}, -1):
            try:
                write(content, format=format, target=tmp_path / "out", **{option: wrong})
            except ValueError as error:
                assert says(option, str(error)), (option, wrong, error)
    if chosen.read:
        write(content, format=format, target=tmp_path / "source")
        with pytest.raises(ValueError, match="has no option 'colour'"):
            formats.read(tmp_path / "source", format=format, colour="red")
        for option in chosen.read_options:
            for wrong in (7.25, object(), b"bytes", [["x"]], {"a": "b"}, "no such thing \0", float("nan"), -1):
                try:
                    formats.read(tmp_path / "source", format=format, **{option: wrong})
                except (ValueError, FileNotFoundError) as error:  # a text may be the path of a file
                    assert says(option, str(error)), (option, wrong, error)


def says(option: str, message: str) -> bool:
    """Whether the message speaks of the option, by its name or by the words in it."""
    words = option.replace("_", " ")
    other = {"split": "part of the dataset", "classes": "class"}.get(option, words)
    return any(word in message for word in (option, words, words.rstrip("s"), other))


@pytest.mark.parametrize("format", WRITTEN)
def test_only_tasks_in_a_status(fitting, tmp_path, format, write):
    content = fitting(format)
    whole = write(content, format=format, target=tmp_path / "1")
    half = write(content, format=format, target=tmp_path / "2", status="approved")
    none = write(content, format=format, target=tmp_path / "3", status=["sent_back"])
    assert [whole.tasks, half.tasks, none.tasks] == [2, 1, 0]
    assert whole.written == 2 * half.written > 0 == none.written
    if format in BOTH:
        assert formats.read(tmp_path / "2", format=format, **SIZE.get(format, {})).tasks.num_rows == 1


@pytest.mark.parametrize("format", [name for name in WRITTEN if name not in SPAN_FORMATS | LOSSLESS])
def test_pictures_come_along(good, pictures, tmp_path, tree, format):
    """From an image folder, then from the dataset that was made with it."""
    images = pictures(good, tmp_path / "pictures")
    report = formats.write(good, format=format, target=tmp_path / "out", images=images)
    agrees(report, tmp_path / "out", tree)
    originals = {path.read_bytes() for path in (tmp_path / "pictures").rglob("*.png")}
    assert len(originals) == 2
    if format not in ("overlays", "hf_parquet", "coco_parquet"):
        assert originals <= set(tree(tmp_path / "out").values())
    if format in BOTH:
        read = formats.read(tmp_path / "out", format=format)
        places = [url.removeprefix("file://") for url in read.tasks["url"].to_pylist()]
        assert {Path(place).read_bytes() for place in places} == originals
        assert all(Path(place).is_relative_to(tmp_path / "out") for place in places)
        second = formats.write(read, format="coco", target=tmp_path / "coco")
        assert originals <= set(tree(tmp_path / "coco").values()) and second.images == 2
        bare = formats.write(read, format="coco", target=tmp_path / "bare", pictures=False)
        assert bare.files == 1


def test_an_image_folder_may_be_said_by_where_it_lies(good, pictures, tmp_path, tree):
    pictures(good, tmp_path / "pictures")
    for number, place in enumerate((tmp_path / "pictures", str(tmp_path / "pictures"))):
        formats.write(good, format="coco", target=tmp_path / f"out {number}", images=place)
        assert sum(path.endswith(".png") for path in tree(tmp_path / f"out {number}")) == 2
        assert formats.is_current(tmp_path / f"out {number}", good, format="coco", images=place) is False  # no digest
    with pytest.raises(FileNotFoundError, match="gone is no image folder"):
        formats.write(good, format="coco", target=tmp_path / "not", images=tmp_path / "gone")
    assert not (tmp_path / "not").exists()


FILES = ("photo.png", "talk.wav", "hello.txt", "scan.pcd", "of no kind")


@pytest.mark.parametrize("format", [name for name in WRITTEN if name != "parquet"])
def test_files_that_are_something_else_are_not_brought_along(bench, pictures, tmp_path, tree, format):
    """The files of a project of sound are no pictures, and pictures no recordings."""
    content = bench.labels(*(bench.task(name) for name in FILES))
    images = pictures(content, tmp_path / "files")  # all of them are pictures inside, but who would open a .wav to see
    report = formats.write(content, format=format, target=tmp_path / "out", images=images)
    wanted = {"rttm": {"talk.wav", "of no kind"}, "audacity": {"talk.wav", "of no kind"}, "fastlabel": set(FILES)}
    own = wanted.get(format, set() if format in SPAN_FORMATS else {"photo.png", "of no kind"})
    if format not in ("overlays", "hf_parquet"):
        originals = {name: (tmp_path / "files" / name).read_bytes() for name in FILES}
        files = set(tree(tmp_path / "out").values())
        assert {name for name, data in originals.items() if data in files} == own
    said = {"rttm": "its file is not a recording", "audacity": "its file is not a recording"}
    told = {note.reason: note.count for note in report.dropped if note.type == "image"}
    if format not in ("spacy", "conll", "fastlabel"):
        assert told == {said.get(format, "its file is not a picture"): 3}


@pytest.mark.parametrize("format", WRITTEN)
def test_s3_holds_the_same(odd, fitting, tmp_path, tree, moto_s3, format, write):
    content = fitting(format)
    place = f"s3://{moto_s3.bucket}/deep/{format}"
    here = write(content, format=format, target=tmp_path / "out")
    there = write(content, format=format, target=place)
    store = open_store(place)
    assert {found.path: store.read_bytes(found.path) for found in store.list()} == tree(tmp_path / "out")
    assert here.to_json() == there.to_json()
    before = {found.path for found in store.list()}
    if format not in LOSSLESS:
        with pytest.raises(LossError):
            write(odd, format=format, target=place, strict=True)
        assert {found.path for found in store.list()} == before


@pytest.mark.parametrize("archive", ["zip", "tar"])
@pytest.mark.parametrize("format", WRITTEN)
def test_archives_read_the_same(fitting, pictures, tmp_path, tree, format, archive):
    content = fitting(format)
    images = None if format in SPAN_FORMATS | LOSSLESS else pictures(content, tmp_path / "pictures")
    formats.write(content, format=format, target=tmp_path / "plain", images=images)
    for number in (1, 2):
        report = formats.write(
            content,
            format=format,
            target=tmp_path / f"packed{number}",
            archive=archive,
            images=images,
            shard_bytes=2000,
        )
        agrees(report, tmp_path / f"packed{number}", tree)
    assert tree(tmp_path / "packed1") == tree(tmp_path / "packed2")
    if format in BOTH:
        plain = formats.read(tmp_path / "plain", format=format)
        packed = formats.read(tmp_path / "packed1", format=format)
        without = [name for name in plain.tasks.column_names if name != "url"]
        assert packed.tasks.select(without).equals(plain.tasks.select(without))
        assert packed.classes.equals(plain.classes)
        urls = [packed.tasks["url"].to_pylist(), plain.tasks["url"].to_pylist()]
        assert [url is None for url in urls[0]] == [url is None for url in urls[1]]


@pytest.mark.parametrize("format", BOTH)
def test_the_command_converts_from_and_to_it(fitting, pictures, tmp_path, format):
    content = fitting(format)
    images = None if format in SPAN_FORMATS | LOSSLESS else pictures(content, tmp_path / "pictures")
    formats.write(content, format=format, target=tmp_path / "a", images=images)
    steps = [
        (format, tmp_path / "a", "fastlabel", tmp_path / "b"),
        ("fastlabel", tmp_path / "b", format, tmp_path / "c"),
    ]
    for source_format, source, target_format, target in steps:
        words = ["convert", "--from", source_format, "--to", target_format, str(source), str(target)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        assert "written" in done.output
        assert orjson.loads((target / "report.json").read_bytes())["format"] == target_format
    a, c = (formats.read(tmp_path / place, format=format, **SIZE.get(format, {})) for place in "ac")
    assert a.report.annotations == c.report.annotations > 0


def test_the_command_lists_them():
    said = CliRunner().invoke(main, ["formats"]).output
    assert all(any(line.startswith(name) for line in said.splitlines()) for name in registry.names())


@pytest.mark.parametrize("format", [name for name in registry.names() if registry.find(name).read])
def test_reading_what_is_not_there(tmp_path, format):
    for place in (tmp_path / "nowhere", tmp_path):
        try:
            read = formats.read(place, format=format)
        except (FileNotFoundError, ValueError) as error:
            assert str(place) in str(error)
        else:
            assert np.all([read.tasks.num_rows == 0, place == tmp_path])
