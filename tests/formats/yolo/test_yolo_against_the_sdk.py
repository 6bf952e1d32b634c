"""YOLO beside the official SDK: the same where it is right, and what both do where it is not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel

converters = pytest.importorskip("fastlabel.converters")
fastlabel = pytest.importorskip("fastlabel")

CLASSES = ["bird", "cat", "dog"]  # the SDK is right where the classes are in alphabetical order


def numbers(text):
    return [[float(word) for word in line.split()] for line in text.splitlines()]


def klass(value, order):
    return {"id": value, "type": "bbox", "value": value, "title": value, "color": "#00ff00", "order": order}


def task(name, *shapes, width=100, height=80):
    annotations = [
        {"id": f"{number}", "title": shape["value"], "color": "#ff0000", "attributes": [], **shape}
        for number, shape in enumerate(shapes)
    ]
    fields = {"id": f"id-{name}", "name": name, "width": width, "height": height, "annotations": annotations}
    return {**fields, "status": "approved", "tags": []}


def bbox(*points, value="dog", **fields):
    return {"type": "bbox", "value": value, "points": list(points), **fields}


def ours(tasks, values=tuple(CLASSES), **options):
    """The label files by stem, and the names of the classes in the order of their numbers."""
    content = from_fastlabel(tasks, [klass(value, order) for order, value in enumerate(values, start=1)])
    with tempfile.TemporaryDirectory() as folder:
        report = formats.write(
            content, format="yolo", target=Path(folder) / "y", layout="darknet", split=None, **options
        )
        place = Path(folder) / "y"
        files = {path.stem: path.read_text() for path in (place / "annotations").rglob("*.txt")}
        return files, (place / "classes.txt").read_text().splitlines(), report


def theirs(tasks, classes, kind="image_all"):
    annos, categories = converters.to_yolo(kind, tasks, classes, "unused")
    files = {Path(anno["filename"]).stem: "".join(f"{row}\n" for row in anno.get("object") or []) for anno in annos}
    return files, [category["name"] for category in categories]


def same(a, b):
    """The same lines: the SDK sorts them, and cuts off after seven decimals where we round to nine."""
    assert a.keys() == b.keys()
    for name in a:
        left, right = sorted(numbers(a[name])), sorted(numbers(b[name]))
        assert [len(row) for row in left] == [len(row) for row in right]
        for row, other in zip(left, right, strict=True):
            np.testing.assert_allclose(row, other, rtol=0, atol=1.01e-7)


@st.composite
def boxes(draw, width, height):
    """A box at whole pixels inside the image: what the SDK has no trouble with."""
    x1, y1 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
    x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
    return bbox(x1, y1, x2, y2, value=draw(st.sampled_from(CLASSES)))


@st.composite
def polygons(draw, width, height):
    corners = draw(
        st.lists(st.tuples(st.integers(0, width), st.integers(0, height)), min_size=3, max_size=9, unique=True).filter(
            lambda found: all(len(set(axis)) > 1 for axis in zip(*found, strict=True))
        )
    )
    points = [float(number) for corner in corners for number in corner]
    return {"type": "polygon", "value": draw(st.sampled_from(CLASSES)), "points": points}


def projects(shape):
    def tasks(draw):
        found = []
        for number in range(draw(st.integers(1, 4))):
            width, height = draw(st.integers(2, 4000)), draw(st.integers(2, 4000))
            shapes = draw(st.lists(shape(width, height), max_size=5))
            found.append(task(f"{number}.jpg", *shapes, width=width, height=height))
        return found

    return st.composite(tasks)()


@settings(max_examples=60, deadline=None)
@given(projects(boxes))
def test_boxes_are_the_same_with_and_without_classes(tasks):
    files, names, report = ours(tasks, classes=CLASSES)
    given_files, given_names = theirs(tasks, CLASSES)
    same(files, given_files)
    assert names == given_names and report.dropped == ()
    files, names, _ = ours(tasks)
    used_files, used_names = theirs(tasks, [])
    # Without classes= the SDK numbers only the classes it meets.
    by_name = {number: names.index(name) for number, name in enumerate(used_names)}
    renumbered = {
        name: "".join(f"{by_name[int(row[0])]} {' '.join(map(repr, row[1:]))}\n" for row in numbers(text))
        for name, text in used_files.items()
    }
    same(files, renumbered)


@settings(max_examples=60, deadline=None)
@given(projects(polygons))
def test_polygons_are_the_same_with_classes(tasks):
    files, names, _ = ours(tasks, task="segment", classes=CLASSES)
    given_files, given_names = theirs(tasks, CLASSES)
    same(files, given_files)
    assert names == given_names


@settings(max_examples=30, deadline=None)
@given(projects(polygons))
def test_boxes_around_polygons_are_the_same_without_classes(tasks):
    """Y7: the same polygons are boxes without classes= and outlines with it; ours are what `task` says."""
    files, names, _ = ours(tasks)
    used_files, used_names = theirs(tasks, [])
    if used_names == names:
        same(files, used_files)


# What the SDK does otherwise, by the numbers under which docs list it.


def test_y1_y12_class_numbers_are_lines_of_classes_txt():
    tasks = [task("a.jpg", bbox(10, 10, 20, 20, value="dog"))]
    files, names = theirs(tasks, ["dog", "bird"])
    assert files["a"].startswith("0 ") and names[0] == "bird", "the dog is called a bird"
    files, names, _ = ours(tasks, classes=["dog", "bird"])
    assert files["a"].startswith("0 ") and names == ["dog", "bird"]

    many = [f"c{number:02}" for number in range(12)]
    tasks = [task("a.jpg", bbox(0, 0, 9, 9, value="c10"), bbox(0, 0, 9, 9, value="c02"))]
    assert [row[0] for row in numbers(theirs(tasks, many)[0]["a"])] == [10, 2], "sorted as text"
    assert [row[0] for row in numbers(ours(tasks, values=many, classes=many)[0]["a"])] == [10, 2], "as they were drawn"
    tasks[0]["annotations"].reverse()
    assert [row[0] for row in numbers(theirs(tasks, many)[0]["a"])] == [10, 2]
    assert [row[0] for row in numbers(ours(tasks, values=many, classes=many)[0]["a"])] == [2, 10]


def test_y2_shares_are_rounded_and_never_in_exponent_notation():
    tasks = [task("a.jpg", bbox(0, 0, 2, 2), width=3, height=3)]
    assert theirs(tasks, CLASSES)[0]["a"] == "2 0.3333333 0.3333333 0.6666666 0.6666666\n"
    assert ours(tasks)[0]["a"] == "2 0.333333333 0.333333333 0.666666667 0.666666667\n"
    tiny = [task("a.jpg", {"type": "polygon", "value": "dog", "points": [0, 0, 1e-5, 0, 40, 40]})]
    assert "1e-07" in theirs(tiny, CLASSES)[0]["a"]
    assert ours(tiny, task="segment")[0]["a"] == "2 0 0 0.0000001 0 0.4 0.5\n"


def test_y4_rotation_counts():
    tasks = [task("a.jpg", bbox(10, 10, 90, 20, rotation=90))]
    assert numbers(theirs(tasks, CLASSES)[0]["a"]) == [[2, 0.5, 0.1875, 0.8, 0.125]], "as if it were not turned"
    files, _, report = ours(tasks)
    assert numbers(files["a"]) == [[2, 0.5, 0.34375, 0.1, 0.6875]]  # around the turned box, cut at the upper edge
    assert {note.reason.partition(" became")[0] for note in report.altered} >= {"a rotated box"}


def test_y5_y6_regions_are_lines_of_their_own_and_holes_are_told():
    square = [0, 0, 40, 0, 40, 40, 0, 40, 0, 0]
    hole = [10, 10, 10, 30, 30, 30, 30, 10, 10, 10]
    other = [60, 60, 70, 60, 70, 70, 60, 60]
    tasks = [task("a.jpg", {"type": "segmentation", "value": "dog", "points": [[square, hole], [other]]})]
    (glued,) = theirs(tasks, CLASSES)[0]["a"].splitlines()
    assert glued.split().count("2") == 3, "three rings, the hole among them, and three class numbers on one line"
    files, _, report = ours(tasks, task="segment")
    assert [len(row) for row in numbers(files["a"])] == [9, 7]
    assert {note.reason for note in report.altered} == {
        "its holes were filled, YOLO has none",
        "its parts became an object each",
    }


def test_y8_y9_names_do_not_collide_and_stay_inside():
    tasks = [task("a.jpg", bbox(0, 0, 9, 9)), task("a.png", bbox(0, 0, 8, 8)), task("../../evil.jpg")]
    assert len(theirs(tasks, CLASSES)[0]) == 2, "one file name for two pictures"
    assert [anno["filename"] for anno in converters.to_yolo("image_all", tasks, CLASSES, "x")[0]][2] == "../../evil.jpg"
    files, _, report = ours(tasks)
    assert len(files) == 3 and "evil" in files
    assert report.images == 3


def test_y10_an_image_without_size_is_told():
    tasks = [task("a.jpg", bbox(0, 0, 9, 9), width=0), task("b.jpg")]
    with pytest.raises(ZeroDivisionError):
        theirs(tasks, [])
    assert list(theirs(tasks, CLASSES)[0]) == ["b"], "left out without a word"
    files, _, report = ours(tasks)
    assert list(files) == ["b"] and report.dropped_count == 1
    assert {note.type for note in report.dropped} == {"bbox", "image"}


def test_y11_nothing_lies_outside():
    tasks = [task("a.jpg", bbox(-20, -40, 150, 40))]
    assert max(numbers(theirs(tasks, CLASSES)[0]["a"])[0][1:]) > 1
    files, _, report = ours(tasks)
    assert numbers(files["a"]) == [[2, 0.5, 0.25, 1, 0.5]] and report.altered_count == 1


def test_boxes_smaller_than_a_pixel_and_corners_the_other_way_round():
    tasks = [task("a.jpg", bbox(10.1, 10.1, 10.9, 10.9), bbox(30, 40, 10, 20))]
    assert numbers(theirs(tasks, CLASSES)[0]["a"]) == [[2, 0.2, 0.375, 0.2, 0.25]], "the small box is not there"
    assert numbers(ours(tasks)[0]["a"]) == [[2, 0.105, 0.13125, 0.008, 0.01], [2, 0.2, 0.375, 0.2, 0.25]]


def test_classes_that_are_not_asked_for_are_left_out_by_both_and_told_by_us():
    tasks = [task("a.jpg", bbox(0, 0, 9, 9, value="cat"), bbox(0, 0, 9, 9, value="dog"))]
    assert len(numbers(theirs(tasks, ["dog"])[0]["a"])) == 1
    files, names, report = ours(tasks, classes=["dog"])
    assert len(numbers(files["a"])) == 1 and names == ["dog"]
    assert [note.reason for note in report.dropped] == ["its class is not among those asked for"]


# Reading.


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A folder of one picture of 100 x 80 pixels with a label file, read by both."""
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "none")
    client = fastlabel.Client()
    folder = tmp_path / "dataset"
    folder.mkdir()
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((80, 100, 3), np.uint8))

    class Dataset:
        place = folder

        def label(self, text, name="a.txt"):
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

        def theirs(self, project_type="image_bbox"):
            return client.convert_yolo_to_fastlabel(str(tmp_path / "classes.txt"), str(folder), project_type)

        def ours(self, **options):
            content = formats.read(folder, format="yolo", classes=str(tmp_path / "classes.txt"), **options)
            found = {read["name"]: read["annotations"] for read in to_fastlabel(content)}
            return found, content.report

    return Dataset()


def test_i11_plain_boxes_are_read_the_same(dataset):
    dataset.label("0 0.5 0.5 0.2 0.25\n1 0.333333 0.2 0.1 0.123456\n")
    (mine, report), given_boxes = dataset.ours(), dataset.theirs()
    assert list(mine) == list(given_boxes) == ["a.jpg"]
    for one, other in zip(mine["a.jpg"], given_boxes["a.jpg"], strict=True):
        assert (one["value"], one["type"]) == (other["value"], other["type"])
        np.testing.assert_allclose(one["points"], other["points"], rtol=0, atol=1e-7)
    assert str(report) == "yolo: 2 annotations of 1 tasks read"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=6))
def test_i11_shares_of_any_precision_are_read_the_same(rows):
    rows = [[x, y, w, h] for x, y, w, h in rows]
    text = "".join(f"0 {' '.join(map(repr, row))}\n" for row in rows)
    expected = converters.execute_bbox_yolo_to_fastlabel(
        {"0": "dog"},
        {"a": {"image_file_path": "a.jpg", "size": [100, 80]}},
        {"a": [r.split(" ") for r in text.splitlines()]},
    )["a.jpg"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_text(text)
        content = formats.read(folder, format="yolo", classes=["dog"], size=(100, 80))
    (read,) = to_fastlabel(content)
    for one, other in zip(read["annotations"], expected, strict=True):
        np.testing.assert_allclose(one["points"], other["points"], rtol=0, atol=1.1e-7)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("0 0.5 0.5 0.2 0.25\n\n", ValueError, id="I14 a blank line"),
        pytest.param("0\t0.5\t0.5 0.2  0.25\n", ValueError, id="I15 tabs and double blanks"),
        pytest.param("\ufeff0 0.5 0.5 0.2 0.25\n", KeyError, id="a byte order mark"),
        pytest.param("0 0.5 0.5 0.2 0.25\n0 0 0 0.5 0 0.5 0.5\n", ValueError, id="I16 a polygon among boxes"),
        pytest.param("0 0.5 0.5 0.2 0.25 0.9\n", ValueError, id="the confidence of a prediction"),
        pytest.param("0 0.5 0.5 0.2 0.25\nnonsense\n", ValueError, id="a line of something else"),
        pytest.param("0 0.5 0.5 0.2 0.25\n7 0.5 0.5 0.2 0.25\n", KeyError, id="a class without a name"),
    ],
)
def test_i13_i16_what_ends_the_sdk_costs_us_nothing_or_a_line(dataset, text, error):
    dataset.label(text)
    with pytest.raises(error):
        dataset.theirs()
    mine, _ = dataset.ours()
    assert mine["a.jpg"][0]["points"] == [40, 30, 60, 50] and mine["a.jpg"][0]["value"] == "dog"


def test_i12_labels_without_image_and_images_in_upper_case(dataset):
    dataset.label("0 0.5 0.5 0.2 0.25\n")
    (dataset.place / "a.jpg").rename(dataset.place / "a.JPG")
    with pytest.raises(KeyError):
        dataset.theirs()
    mine, report = dataset.ours()
    assert len(mine["a.JPG"]) == 1 and not report.dropped
    (dataset.place / "a.JPG").unlink()
    mine, report = dataset.ours()
    assert mine == {} and [note.reason[:27] for note in report.dropped] == ["its label file has no image"]
    mine, report = dataset.ours(size="100x80")
    assert mine["a"][0]["points"] == [40, 30, 60, 50] and not report.dropped


def test_i13_a_list_of_classes_among_the_labels(dataset):
    dataset.label("0 0.5 0.5 0.2 0.25\n")
    dataset.label("dog\ncat\n", "classes.txt")
    with pytest.raises((ValueError, KeyError)):
        dataset.theirs()
    content = formats.read(dataset.place, format="yolo")
    assert len(content.annotations) == 1
    assert content.report.dropped == content.report.noticed == ()


def test_i17_i18_areas_become_what_is_asked_for_closed_and_not_rounded(dataset):
    dataset.label("0 0.101 0.125 0.2 0.125 0.2 0.25\n")
    with pytest.raises(ValueError, match="too many values"):
        dataset.theirs("image_segmentation")
    assert dataset.theirs("segmentation")["a.jpg"][0]["points"] == [[[10, 10, 20, 10, 20, 20]]]
    mine, _ = dataset.ours(polygons="segmentation")
    assert mine["a.jpg"][0]["points"] == [[[10.1, 10, 20, 10, 20, 20, 10.1, 10]]]
    assert dataset.ours()[0]["a.jpg"][0]["points"] == [10.1, 10, 20, 10, 20, 20]
