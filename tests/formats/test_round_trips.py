"""What each format carries there and back. ``CARRIED`` is the table of docs/formats.md, and the tests hold it to the
letter: what is said to come back does, within the tolerance, and what is said to be lost is."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats import registry
from fastlabel_dagster.labels import classes_to_fastlabel, to_fastlabel

WIDTH, HEIGHT = 100, 80


@dataclass(frozen=True)
class Carried:
    """What comes back. Kinds are types, but for ``turned`` (a bbox with a rotation), ``holes`` (a segmentation of
    several regions with holes) and ``sound`` (the segmentation of audio)."""

    same: tuple[str, ...]
    """Kinds that come back as the same type, every coordinate within ``tolerance`` (unless named in ``pixels``)."""
    tolerance: float = 0.0
    """In pixels (of sound: seconds)."""
    other: dict[str, str] = field(default_factory=dict)
    """Kinds that come back as another type; all that are named nowhere are dropped."""
    attributes: bool = False
    titles: bool = True
    """Titles and colours of classes."""
    order: bool = True
    """The order numbers of classes; without it, their places."""
    annotation_ids: bool = False
    task_ids: bool = True
    tags: str = "all"
    """Of tasks: ``all``, ``split`` (only the part the task is in) or ``none``."""
    status: bool = False
    pixels: tuple[str, ...] = ()
    """Kinds that come back as the pixels whose centres they cover, all of those and no others."""
    options: dict[str, Any] = field(default_factory=dict)

    def becomes(self, kind: str) -> str | None:
        plain = {"turned": "bbox", "holes": "segmentation", "sound": "segmentation"}.get(kind, kind)
        return plain if kind in self.same else self.other.get(kind)


AREAS = ("bbox", "turned", "polygon", "segmentation", "holes", "circle")
PLACED = (*AREAS, "keypoint", "line", "pose_estimation", "classification")
KINDS = (*PLACED, "ner", "sound")
IN_COCO = Carried(
    same=("bbox", "turned", "polygon", "holes", "keypoint", "pose_estimation"),
    tolerance=1e-9,
    pixels=("holes",),
    other={"segmentation": "polygon", "circle": "polygon"},
    attributes=True,
)
BOX_OF_ALL = dict.fromkeys(("turned", "polygon", "segmentation", "holes", "circle"), "bbox")
MASKS = Carried(
    same=("segmentation", "holes"),
    other=dict.fromkeys(("bbox", "turned", "polygon", "circle"), "segmentation"),
    pixels=AREAS,
    order=False,
)
YOLO = Carried(
    same=("bbox",), tolerance=1e-6, other=BOX_OF_ALL, titles=False, order=False, task_ids=False, tags="split"
)
CARRIED: dict[str, list[Carried]] = {
    "coco": [IN_COCO],
    "coco_parquet": [IN_COCO],
    "coco_panoptic": [
        Carried(same=MASKS.same, other=MASKS.other, pixels=AREAS, attributes=True),
    ],
    "yolo": [
        YOLO,
        Carried(**{
            **vars(YOLO), "same": ("polygon",), "options": {"task": "segment"},
            "other": dict.fromkeys(("bbox", "turned", "segmentation", "holes", "circle"), "polygon"),
        }),
        Carried(**{**vars(YOLO), "same": ("pose_estimation",), "other": {}, "options": {"task": "pose"}}),
        Carried(**{**vars(YOLO), "same": ("bbox", "turned"), "options": {"task": "obb"}}),
    ],
    "cvat": [
        Carried(same=PLACED, tolerance=1e-9, pixels=("segmentation", "holes"), attributes=True, annotation_ids=True)
    ],
    "kitti": [Carried(same=("bbox",), tolerance=1e-6, other=BOX_OF_ALL, task_ids=False, tags="none")],
    "dota": [
        Carried(
            same=("bbox", "turned"), tolerance=1e-6, task_ids=False, tags="none",
            other={"polygon": "polygon", "segmentation": "bbox", "holes": "bbox", "circle": "bbox"},
        )
    ],
    "pascal_voc": [
        Carried(same=("bbox",), tolerance=1e-9, other=BOX_OF_ALL, attributes=True, tags="none"),
        Carried(
            same=("bbox", "polygon"), tolerance=1e-9, attributes=True, tags="none", options={"outlines": "polygon"},
            other={"turned": "polygon", "segmentation": "polygon", "holes": "bbox", "circle": "polygon"},
        ),
    ],
    "labelme": [Carried(same=PLACED, tolerance=1e-9, pixels=("holes",), attributes=True)],
    "semantic_masks": [MASKS],
    "instance_masks": [Carried(**{**vars(MASKS), "annotation_ids": True})],
    "fastlabel": [Carried(same=KINDS, attributes=True, annotation_ids=True, status=True)],
    "parquet": [Carried(same=KINDS, attributes=True, annotation_ids=True, status=True)],
    "spacy": [Carried(same=("ner",), attributes=True)],
    "conll": [Carried(same=("ner",))],
    "rttm": [Carried(same=("sound",), tolerance=1e-6)],
    "audacity": [Carried(same=("sound",), tolerance=1e-6)],
}  # fmt: skip
OF_WORDS_AND_SOUND = ("spacy", "conll", "rttm", "audacity")
CASES = [pytest.param(name, case, id="-".join([name, *map(str, case.options.values())])) for name, cases in
         CARRIED.items() for case in cases]  # fmt: skip
ATTRIBUTES = [
    {"key": "t", "name": "T", "type": "text", "value": "v w"},
    {"key": "s", "name": "S", "type": "switch", "value": True},
    {"key": "c", "name": "C", "type": "checkbox", "value": ["x", "y"]},
]


def test_the_table_is_complete():
    both = {name for name in registry.names() if registry.find(name).read and registry.find(name).write}
    assert set(CARRIED) == both


# Generated shapes ---------------------------------------------------------------------------------------------------


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False).filter(lambda value: abs(value * 2 - round(value * 2)) > 1e-3)


@st.composite
def geometry(draw: Any, kind: str) -> dict[str, Any]:
    """The fields of an annotation well inside the picture; no corner on the centre or the edge of a pixel."""

    def points(count: int) -> list[float]:
        return [draw(number(1.1, (WIDTH, HEIGHT)[i % 2] - 1.1)) for i in range(2 * count)]

    whole, part = st.integers(1, 30), st.sampled_from([0, 0.25, 0.875])
    match kind:
        case "bbox":
            x, y = draw(number(1, 45)), draw(number(1, 35))
            return {"points": [x, y, x + draw(number(5, 50)), y + draw(number(5, 40))]}
        case "turned":
            x, y = draw(number(30, 45)), draw(number(25, 35))
            rotation = draw(st.floats(1, 89)) + 90 * draw(st.integers(0, 3))
            return {"points": [x, y, x + draw(number(14, 22)), y + draw(number(6, 12))], "rotation": rotation}
        case "polygon":
            # Convex, around a middle, so that no two sides cross and five corners stay five.
            turns = [2 * math.pi * (i + draw(st.floats(0.1, 0.5))) / 5 for i in range(5)]
            wide, high = draw(number(10, 40)), draw(number(10, 30))
            return {"points": [v for t in turns for v in (50 + wide * math.cos(t), 40 + high * math.sin(t))]}
        case "segmentation":
            x, y, w, h = (draw(whole) for _ in range(4))
            x, y = x + draw(part), y + draw(part)
            return {"points": [[[x, y, x + w, y, x + w, y + h, x, y + h, x, y]]]}
        case "holes":
            x, y, w, h = (draw(whole) for _ in range(4))
            x, y = x + draw(part), y + draw(part)
            hole = [x + 1, y + 1, x + 1, y + h + 2, x + w + 2, y + h + 2, x + w + 2, y + 1, x + 1, y + 1]
            ring = [x, y, x + w + 4, y, x + w + 4, y + h + 4, x, y + h + 4, x, y]
            return {"points": [[ring, hole], [[70, 60, 90, 60, 90, 75, 70, 75, 70, 60]]]}
        case "circle":
            return {"points": [draw(number(30, 70)), draw(number(30, 50)), draw(number(2, 28))]}
        case "keypoint":
            return {"points": points(1)}
        case "line":
            return {"points": points(draw(st.integers(2, 6)))}
        case "pose_estimation":
            keys = [("nose", [draw(number(1, 40)), draw(number(1, 30))], 1), ("eye", [draw(number(50, 99)), 70.2], 0)]
            return {"keypoints": [{"key": k, "name": k, "value": [*p, v], "edges": []} for k, p, v in keys]}
        case "ner":
            return {"text": "world", "start": 6, "end": 11}
        case "sound":
            start = draw(st.floats(0, 10))
            return {"start": start, "end": start + draw(st.floats(0.01, 10))}
        case _:
            return {}


@st.composite
def drawn(draw: Any, kinds: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Annotations, one for each picture."""
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6))
    return [(kind, draw(geometry(kind))) for kind in chosen]


def project(shapes: list[tuple[str, dict[str, Any]]], place: Path) -> labels.Labels:
    picture = cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    classes = {"last": {"id": "z", "type": "bbox", "value": "last", "title": "Last", "color": "#00ffee", "order": 40}}
    tasks = []
    for n, (kind, fields) in enumerate(shapes):
        file = f"{n}.wav" if kind == "sound" else f"{n}.png"
        (place / file).write_bytes(picture)
        type_ = {"turned": "bbox", "holes": "segmentation", "sound": "segmentation"}.get(kind, kind)
        about = {"title": f"{kind} あ", "color": f"#12345{KINDS.index(kind) % 10}"}
        points = [{"id": k, "key": k, "name": k, "color": "#000000", "edges": []} for k in ("nose", "eye")]
        classes[kind] = {"id": kind, "type": type_, "value": kind, **about, "order": 3 * KINDS.index(kind) + 2}
        if kind == "pose_estimation":
            classes[kind]["keypoints"] = points
        annotation = {"id": f"id {n}", "type": type_, "value": kind, **about, "attributes": ATTRIBUTES, **fields}
        tasks.append(
            {"id": f"task {n}", "name": file, "width": WIDTH, "height": HEIGHT, "status": "approved",
             "tags": ["val", "night"], "url": (place / file).as_uri(), "text": "hello world",
             "annotations": [annotation]}
        )  # fmt: skip
    made = labels.from_fastlabel(tasks, list(classes.values()))
    made.origin["source"] = str(place)
    return made


def coordinates(annotation: dict[str, Any]) -> list[float]:
    if "keypoints" in annotation:
        return [value for point in annotation["keypoints"] for value in point["value"]]
    if annotation.get("start") is not None:
        return [annotation["start"], annotation["end"]]
    return list(flat(annotation.get("points") or []))


def flat(value: Any):
    for one in value:
        yield from flat(one) if isinstance(one, list) else [one]


def rings_of(annotation: dict[str, Any]) -> list[list[float]]:
    points = annotation["points"]
    if annotation["type"] == "segmentation":
        return [ring for region in points for ring in region]
    if annotation["type"] == "polygon":
        return [points]
    x1, y1, x2, y2 = points
    turn = math.radians(annotation.get("rotation") or 0)
    x, y, w, h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    corners = [(-w, -h), (w, -h), (w, h), (-w, h)]
    c, s = math.cos(turn), math.sin(turn)
    return [[v for a, b in corners for v in (x + a * c - b * s, y + a * s + b * c)]]


def covered(annotation: dict[str, Any]) -> np.ndarray:
    """bool[80, 100]: the pixels whose centres it covers, by counting how often a ray to the right crosses it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    if annotation["type"] == "circle":
        cx, cy, radius = annotation["points"]
        return np.hypot(x - cx, y - cy) <= radius
    inside = np.zeros((HEIGHT, WIDTH), bool)
    for ring in rings_of(annotation):
        corners = np.array(ring).reshape(-1, 2)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if ay != by:
                inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


def same_turn(a: float | None, b: float | None) -> bool:
    return abs(((a or 0) - (b or 0) + 180) % 360 - 180) < 1e-5


@pytest.mark.parametrize(("format", "case"), CASES)
def test_generated_labels_come_back(format, case):
    kinds = tuple(kind for kind in KINDS if case.becomes(kind) is not None)

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(drawn(kinds))
    def comes_back(shapes):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "pictures").mkdir()
            content = project(shapes, place / "pictures")
            report = formats.write(content, format=format, target=place / "out", **case.options)
            assert report.written == len(shapes) and not report.dropped
            told = [note.count for note in report.noticed if "has tags" in note.reason]
            assert told == ([] if case.tags == "all" else [len(shapes)])
            read = formats.read(place / "out", format=format, strict=True)
            compare(shapes, content, read, case)

    comes_back()


def compare(shapes, content: labels.Labels, read: labels.Labels, case: Carried) -> None:
    before, after = list(to_fastlabel(content)), {task["name"]: task for task in to_fastlabel(read)}
    assert len(after) == len(before)
    for (kind, _), task in zip(shapes, before, strict=True):
        back, (was,) = after[task["name"]], task["annotations"]
        assert (back.get("id") == task["id"]) is case.task_ids
        tags = {"all": ["val", "night"], "split": ["val"], "none": []}[case.tags]
        assert (back.get("tags") or []) == tags
        assert (back.get("status") == task["status"]) is case.status
        if len(back["annotations"]) != 1:
            assert (kind, case.options) == ("holes", {"task": "segment"})  # an object for each region
            continue
        (found,) = back["annotations"]
        assert (found["type"], found["value"]) == (case.becomes(kind), kind)
        assert (found.get("id") == was["id"]) is case.annotation_ids
        attributes = {a["key"]: a["value"] for a in found.get("attributes") or []}
        attributes.pop("coco_bbox", None)  # what COCO states beside a mask of pixels is kept as one
        assert attributes == ({a["key"]: a["value"] for a in ATTRIBUTES} if case.attributes else {})
        if kind in case.pixels:
            np.testing.assert_array_equal(covered(found), covered(was))
        elif kind in case.same:
            if kind == "turned" or "rotation" in found:
                assert same_turn(found.get("rotation"), was.get("rotation"))
            np.testing.assert_allclose(coordinates(found), coordinates(was), rtol=0, atol=case.tolerance)
        if case.titles:
            assert (found["title"], found["color"]) == (was["title"], was["color"])
    orders = {one["value"]: one["order"] for one in reversed(classes_to_fastlabel(content.classes))}
    found_orders: dict[str, int] = {}
    for one in classes_to_fastlabel(read.classes):
        found_orders[one["value"]] = min(one["order"], found_orders.get(one["value"], one["order"]))
    assert set(orders) >= set(found_orders) >= {kind for kind, _ in shapes}
    carried_alone = all(kind in case.same for kind, _ in shapes)
    if case.order and carried_alone:
        assert {value: orders[value] for value in found_orders} == found_orders
    elif not case.order and carried_alone:
        assert sorted(found_orders, key=found_orders.__getitem__) == sorted(found_orders, key=orders.__getitem__)


@pytest.mark.parametrize(("format", "case"), CASES)
def test_what_is_not_carried_is_told(format, case):
    lost = [kind for kind in KINDS if case.becomes(kind) is None]

    @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(*(geometry(kind) for kind in lost)))
    def is_told(fields):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "pictures").mkdir()
            content = project(list(zip(lost, fields, strict=True)), place / "pictures")
            report = formats.write(content, format=format, target=place / "out", **case.options)
            assert (report.written, report.dropped_count) == (0, len(lost))

    is_told()


@pytest.mark.parametrize("format", ["coco", "coco_parquet", "dota", "labelme"])
@pytest.mark.parametrize("points", [[30, 40, 10, 30], [30, 30, 10, 40], [10, 40, 30, 30]])
def test_corners_in_another_order_turn_no_box(bench, format, points):
    told = bench.write(bench.task("a.jpg", bench.shape("bbox", points, rotation=30)), format=format).altered
    assert "the corners of the box came in another order, they were put in order" in [note.reason for note in told]
    back = formats.read(bench.folder / format, format=format)
    ((found,),) = (task["annotations"] for task in to_fastlabel(back))
    assert found["type"] == "bbox"
    np.testing.assert_allclose(found["points"], [10, 30, 30, 40], atol=1e-6)
    assert same_turn(found["rotation"], 30)


# Real photographs ---------------------------------------------------------------------------------------------------


def by_picture(coco: COCO) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {image["file_name"]: [] for image in coco.imgs.values()}
    for one in coco.anns.values():
        found[coco.imgs[one["image_id"]]["file_name"]].append({**one, "class": coco.cats[one["category_id"]]["name"]})
    return found


@pytest.fixture(scope="module")
def photographs(coco_mini, tmp_path_factory):
    """coco-mini as labels, and as pycocotools sees our COCO export of it."""
    read = formats.read(coco_mini, format="coco")
    direct = tmp_path_factory.mktemp("photographs") / "coco"
    formats.write(read, format="coco", target=direct, pictures=False)
    return read, load_coco(direct / "annotations.json")


@pytest.mark.parametrize(("format", "case"), [one for one in CASES if one.values[0] not in OF_WORDS_AND_SOUND])
def test_photographs_from_coco_there_and_back(photographs, tmp_path, format, case):
    """COCO -> format -> COCO, seen by pycocotools at both ends: classes, and shapes as far as they are carried."""
    read, direct = photographs
    report = formats.write(read, format=format, target=tmp_path / "there", **case.options)
    assert report.tasks == 38
    back = formats.read(tmp_path / "there", format=format)
    formats.write(back, format="coco", target=tmp_path / "back", pictures=False)
    before, after = by_picture(direct), by_picture(seen := load_coco(tmp_path / "back" / "annotations.json"))
    assert set(before) == set(after)
    for name, of_picture in before.items():
        left = list(after[name])
        for was in of_picture:
            kind = kind_of(was)
            if case.becomes(kind) is None or case.pixels == AREAS or case.options.get("task") == "segment":
                continue  # masks of whole pictures cover each other: the tests of those formats look at that
            found = min(
                (one for one in left if one["class"] == was["class"]),
                key=lambda one: np.abs(np.subtract(one["bbox"], was["bbox"])).max(),
            )
            left.remove(found)
            # Boxes of masks are stated as people drew them; a format may know no more than the pixels, a tip less.
            stated = kind == "holes" or kind in case.pixels
            if format != "dota" and case.options.get("task") != "obb":
                atol = 2.0 if stated else max(2 * case.tolerance, 1e-6)
                np.testing.assert_allclose(found["bbox"], was["bbox"], rtol=0, atol=atol)
            if kind == "polygon" and "polygon" in case.same:
                np.testing.assert_allclose(
                    found["segmentation"][0], was["segmentation"][0], rtol=0, atol=max(case.tolerance, 1e-9)
                )
            if kind == "holes" and "holes" in case.same:
                np.testing.assert_array_equal(seen.annToMask(found), direct.annToMask(was))
        if case.options.get("task") != "segment" and case.pixels != AREAS:
            assert not left


def kind_of(annotation: dict[str, Any]) -> str:
    """The kind of annotation a COCO annotation is read as."""
    if annotation.get("keypoints"):
        return "pose_estimation"
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return "bbox"
    if isinstance(segmentation, dict):
        return "holes"
    return "polygon" if len(segmentation) == 1 else "segmentation"


def load_coco(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))
