"""The pictures are well-formed SVG with the right numbers, whatever the names, colours and shapes from outside."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from fastlabel_dagster.labels.fastlabel import from_fastlabel
from fastlabel_dagster.metadata.pictures import picture_markdown
from fastlabel_dagster.metadata.sheet import contact_sheet
from fastlabel_dagster.metadata.spread import class_histogram
from fastlabel_dagster.metadata.summary import ClassCount, LabelSummary

SVG = "{http://www.w3.org/2000/svg}"
CLASSES = [
    {"id": "1", "type": "bbox", "value": "car", "title": "乗用車", "color": "#d62728"},
    {"id": "2", "type": "polygon", "value": "person", "title": "歩行者 <b>&", "color": '"/><script>alert(1)</script>'},
    {"id": "3", "type": "bbox", "value": "sign", "title": "Sign", "color": "#1f77b4"},
]


def box(value="car", points=(10, 10, 50, 40), **more):
    return {"type": "bbox", "value": value, "points": list(points), **more}


def task(number, annotations, **more):
    return {
        "id": f"id-{number:04d}",
        "name": f"{number}.jpg",
        "status": "approved",
        "width": 100,
        "height": 80,
        "annotations": annotations,
        **more,
    }


def jpeg(width=100, height=80):
    return cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))[1].tobytes()


def test_the_summary_counts_what_a_plain_loop_counts():
    rng = np.random.default_rng(3)
    values = ["car", "person", "sign", "gone"]
    tasks = [
        task(n, [box(values[int(v)]) for v in rng.integers(0, 4, int(rng.integers(0, 6)))], status=str(n % 3))
        for n in range(200)
    ]
    labels = from_fastlabel(tasks, CLASSES)
    whole = LabelSummary.of(labels)
    parts = LabelSummary()
    for start in range(0, 200, 17):
        parts.add(labels.tasks.slice(start, 17))
    every = [one for row in tasks for one in row["annotations"]]
    for summary in (whole, parts):
        assert summary.tasks == 200
        assert summary.annotations == len(every)
        assert summary.empty_tasks == sum(not row["annotations"] for row in tasks)
        assert summary.values == {v: sum(one["value"] == v for one in every) for v in values}
        assert summary.statuses == {str(s): sum(r["status"] == str(s) for r in tasks) for s in range(3)}
    # the sample does not depend on how the tasks came in batches
    assert whole.sample()["task_id"].to_pylist() == parts.sample()["task_id"].to_pylist()
    shown = whole.classes(labels.classes)
    assert [(one.value, one.known) for one in shown] == [
        *(("car", True), ("person", True), ("sign", True), ("gone", False)),
    ]


def test_the_sample_shows_rare_classes():
    tasks = [task(n, [box("car")]) for n in range(300)] + [task(999, [box("sign")])]
    sample = LabelSummary.of(from_fastlabel(tasks, CLASSES)).sample()
    assert sample.num_rows == 12 and "id-0999" in sample["task_id"].to_pylist()


def test_nothing_annotated_is_no_sample_and_an_empty_histogram():
    summary = LabelSummary.of(from_fastlabel([task(1, [])], []))
    assert summary.sample() is None
    assert "declares no class" in class_histogram([])


def test_the_histogram_shows_every_class_with_its_count_and_escapes_names():
    labels = from_fastlabel([task(1, [box(), box(), box("person")])], CLASSES)
    svg = class_histogram(LabelSummary.of(labels).classes(labels.classes))
    root = ET.fromstring(svg)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts == ["3 annotations in 3 classes", "乗用車", "2", "歩行者 <b>&", "1", "Sign", "0"]
    assert not list(root.iter(f"{SVG}script"))
    fills = {element.get("fill") for element in root.iter(f"{SVG}rect")}
    assert {"#d62728", "#8a8f98", "#1f77b4"} <= fills


def test_many_classes_become_forty_bars_and_the_rest():
    svg = class_histogram([ClassCount(f"c{n}", f"c{n}", "#000000", n, True) for n in range(100)])
    texts = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    assert len(texts) == 1 + 2 * 41 and "60 more" in texts


def test_the_sheet_draws_every_kind_of_shape_in_pixels_of_the_picture():
    annotations = [
        box(points=(10, 20, 30, 40)),
        {"type": "polygon", "value": "person", "points": [1, 2, 30, 2, 30, 20]},
        {
            "type": "segmentation",
            "value": "sign",
            "points": [[[0, 0, 50, 0, 50, 50, 0, 50, 0, 0], [10, 10, 20, 10, 20, 20, 10, 20, 10, 10]]],
        },
        {"type": "line", "value": "car", "points": [0, 0, 10, 10, 20, 5]},
        {"type": "keypoint", "value": "car", "points": [70, 60]},
        {"type": "circle", "value": "car", "points": [50, 40, 12]},
        {"type": "bbox", "value": "car", "points": [float("nan"), 1, 2, 3]},
        {"type": "classification", "value": "car"},
    ]
    labels = from_fastlabel([task(1, annotations)], CLASSES)
    summary = LabelSummary.of(labels)
    svg = contact_sheet(summary.sample(), summary.classes(labels.classes), lambda _id, _name: jpeg())
    root = ET.fromstring(svg)
    paths = [element.get("d") for element in root.iter(f"{SVG}path")]
    assert "M10.0 20.0L30.0 20.0L30.0 40.0L10.0 40.0Z" in paths
    assert any(path.count("M") == 2 for path in paths)  # the hole
    assert any(not path.endswith("Z") for path in paths)  # the line stays open
    circles = [(element.get("cx"), element.get("cy"), element.get("r")) for element in root.iter(f"{SVG}circle")]
    assert ("50.0", "40.0", "12.0") in circles and any(circle[:2] == ("70.0", "60.0") for circle in circles)
    (photo,) = root.iter(f"{SVG}image")
    assert photo.get("href").startswith("data:image/jpeg;base64,")
    assert "nan" not in svg


def test_pictures_that_cannot_be_had_leave_a_grey_cell_and_a_line():
    labels = from_fastlabel([task(1, [box()]), task(2, [box()]), task(3, [box()], width=None, height=None)], CLASSES)
    summary = LabelSummary.of(labels)

    def read(task_id, _name):
        return {"id-0001": b"not a picture", "id-0002": None}.get(task_id, jpeg())

    problems = []
    svg = contact_sheet(summary.sample(), summary.classes(labels.classes), read, problems.append)
    assert len(list(ET.fromstring(svg).iter(f"{SVG}image"))) == 1
    assert sorted(problems) == ["1.jpg: ValueError: not a picture that can be read", "2.jpg: no picture"]


def test_a_sheet_of_large_pictures_stays_small():
    rng = np.random.default_rng(0)
    large = cv2.imencode(".jpg", rng.integers(0, 255, (1500, 2000, 3)).astype(np.uint8))[1].tobytes()
    many = [{"type": "polygon", "value": "person", "points": rng.uniform(0, 1500, 800).tolist()} for _ in range(200)]
    labels = from_fastlabel([task(n, many, width=2000, height=1500) for n in range(12)], CLASSES)
    summary = LabelSummary.of(labels)
    svg = contact_sheet(summary.sample(), summary.classes(labels.classes), lambda _id, _name: large)
    assert len(svg) < 140_000, "noise is the worst a JPEG can meet, and the event has other pictures"
    assert len(list(ET.fromstring(svg).iter(f"{SVG}image"))) == 12


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"GIF89a"])
def test_what_is_no_picture_is_told_and_its_cell_stays_grey(data):
    labels = from_fastlabel([task(1, [box()], name="a.jpg")], CLASSES)
    problems = []
    summary = LabelSummary.of(labels)
    svg = contact_sheet(summary.sample(), summary.classes(labels.classes), lambda _id, _name: data, problems.append)
    assert problems == ["a.jpg: ValueError: not a picture that can be read"]
    assert not list(ET.fromstring(svg).iter(f"{SVG}image"))


def of_size(kind, width, height):
    """The beginning of a picture file, as far as it says how large it is."""
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0) + bytes(4)
    return b"RIFF\xff\0\0\0WEBPVP8L\xff\0\0\0\x2f" + (width - 1 | (height - 1) << 14).to_bytes(4, "little") + bytes(9)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_picture_of_too_many_pixels_is_not_opened_and_its_shapes_are_drawn(kind):
    labels = from_fastlabel([task(1, [box()], width=16_000, height=16_000, name="a" * 40)], CLASSES)
    problems = []
    tasks, classes = LabelSummary.of(labels).sample(), LabelSummary.of(labels).classes(labels.classes)
    data = of_size(kind, 16_000, 16_000)
    root = ET.fromstring(contact_sheet(tasks, classes, lambda _id, _name: data, problems.append))
    captions = [one.text for one in root.iter(f"{SVG}text")]
    assert len(captions[0]) < 36 and captions[0].endswith("… · too large to show")
    assert len(list(root.iter(f"{SVG}path"))) == 1 and not list(root.iter(f"{SVG}image"))
    assert problems == [f"{'a' * 40}: TooLarge: 16,000 x 16,000 pixels are too many for a thumbnail"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_large_photograph_is_opened_in_little_and_stays_the_same(turned):
    """A sixty-fourth of its pixels is decoded, which takes as much less memory."""
    across = np.tile(np.linspace(0, 255, 4000).astype(np.uint8)[None, :, None], (3000, 1, 3))
    data = bytearray(cv2.imencode(".jpg", across)[1].tobytes())
    if turned:
        data[2:2] = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        across = cv2.rotate(across, cv2.ROTATE_90_CLOCKWISE)
    labels = from_fastlabel([task(1, [box()], width=None, height=None)], CLASSES)
    summary = LabelSummary.of(labels)
    svg = contact_sheet(summary.sample(), summary.classes(labels.classes), lambda _id, _name: bytes(data))
    (shown,) = ET.fromstring(svg).iter(f"{SVG}image")
    size = int(shown.get("width")), int(shown.get("height"))
    small = base64.b64decode(shown.get("href").removeprefix("data:image/jpeg;base64,"))
    picture = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert size == ((3000, 4000) if turned else (4000, 3000))
    assert max(picture.shape[1] / (236 * 1.4), picture.shape[0] / (178 * 1.4)) == pytest.approx(1, abs=0.01)
    whole = cv2.resize(across, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - whole).mean() < 2


def test_the_markdown_holds_the_picture_itself():
    text = picture_markdown("<svg/>", "a [strange](name)\n")
    match = re.fullmatch(r"!\[([^\[\]()\n]*)\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", text)
    assert match and base64.b64decode(match[2]) == b"<svg/>"


def test_a_sheet_of_shapes_in_many_pieces_or_beyond_all_bounds_stays_small():
    square = [0, 0, 3, 0, 3, 3, 0, 3, 0, 0]
    pieces = [[[v + 4 * n for v in square]] for n in range(100)]
    far = [box(points=(1e300, -1e300, 1.7e308, 0))] * 80 + [{"type": "circle", "value": "car", "points": [0, 0, 1e307]}]
    whole = [{"type": "segmentation", "value": "sign", "points": pieces}]
    large = [[v for n in range(60) for v in (5000 + n, n * n % 7)]]
    few = [{"type": "segmentation", "value": "sign", "points": [*pieces, large]}] * 12
    for drawn in (far, whole, few):
        labels = from_fastlabel([task(n, drawn) for n in range(12)], CLASSES)
        summary = LabelSummary.of(labels)
        svg = contact_sheet(summary.sample(), summary.classes(labels.classes), lambda *_: None)
        paths = [one.get("d") for one in ET.fromstring(svg).iter(f"{SVG}path")]
        assert len(svg) < 140_000 and len(paths) >= 12 * min(len(drawn), 6)
        if drawn is whole:
            assert {path.count("M") for path in paths} == {100}, "nothing is left out where there is room"
        if drawn is few:
            assert all(path.count("M") < 101 and "M5000.0 0.0" in path for path in paths), "the largest piece stays"
