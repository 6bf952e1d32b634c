"""What the methods on files do to folders, to their arguments, and with names and files nobody expected."""

from __future__ import annotations

import copy
import functools
import json
import logging
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, NotFound, Unauthorized
from fastlabel_dagster.formats import FormatError

from .generated import annotation, classes, task

Export = Callable[..., Any]
TASKS = [
    task(
        "a.jpg",
        annotation("bbox", [1, 2, 30, 40], attributes=[{"key": "k", "name": "k", "type": "text", "value": "v"}]),
    ),
    task("sub/b.jpg", annotation("polygon", [1, 2, 30, 2, 30, 40]), annotation("line", [1, 2, 3, 4])),
]
KINDS = [
    "coco",
    "yolo",
    "pascalvoc",
    "labelme",
    "instance_segmentation",
    "semantic_segmentation",
    "image_with_annotations",
]


@pytest.fixture(params=KINDS)
def export(request: Any, pair: Any) -> Export:
    """``export(tasks, folder)`` with each of the methods."""
    ours, kind = pair.ours, request.param
    method = getattr(ours, f"export_{kind}")
    if kind in ("coco", "yolo", "pascalvoc"):
        return lambda tasks, folder: method("everything", tasks, output_dir=folder)
    if kind != "image_with_annotations":
        return lambda tasks, folder: method(tasks, output_dir=folder)
    pictures = pair.folder()
    for one in TASKS:
        (pictures / one["name"]).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(pictures / one["name"]), np.full((90, 120, 3), 90, np.uint8))
    return lambda tasks, folder: method(tasks, str(pictures), folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_what_lies_in_the_folder_stays_and_a_second_run_replaces(export: Export, tmp_path: Path) -> None:
    (tmp_path / "out/annotations").mkdir(parents=True)
    (tmp_path / "out/mine.txt").write_text("mine")
    (tmp_path / "out/annotations/notes.md").write_text("mine, too")
    export(TASKS, str(tmp_path / "out"))
    first = contents(tmp_path / "out")
    assert first["mine.txt"] == b"mine"
    assert first["annotations/notes.md"] == b"mine, too"
    for name in first.keys() - {"mine.txt", "annotations/notes.md"}:
        (tmp_path / "out" / name).write_bytes(b"old")
    export(TASKS, tmp_path / "out")  # a Path serves as well
    assert contents(tmp_path / "out") == first
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_tasks_stay_as_they_are(export: Export, tmp_path: Path) -> None:
    tasks = copy.deepcopy(TASKS)
    export(tasks, str(tmp_path / "out"))
    assert tasks == TASKS


def test_no_tasks(export: Export, tmp_path: Path) -> None:
    report = export([], str(tmp_path / "new/folder"))
    assert (report.written, report.tasks) == (0, 0)
    assert (tmp_path / "new/folder").is_dir()


def test_any_iterable_of_tasks_with_and_without_ids(export: Export, tmp_path: Path) -> None:
    without = [{key: value for key, value in one.items() if key != "id"} for one in TASKS]
    export((one for one in without), tmp_path / "a")
    export(TASKS, tmp_path / "b")
    names = [list(contents(tmp_path / folder)) for folder in "ab"]
    assert names[0] == names[1]
    report = export([*TASKS, TASKS[0]], tmp_path / "twice")  # a task that two pages held
    assert report.tasks == 3


def computed(kind: str) -> list[Any]:
    """A box and a polygon as they come out of NumPy, of a model, or of exact arithmetic."""
    shapes = [("bbox", [1.5, 2, 30, 40]), ("polygon", [1, 2, 30.25, 2, 30, 40])]
    makers: dict[str, Callable[[list[float]], Any]] = {
        "float64": lambda points: list(map(np.float64, points)),
        "float32": lambda points: list(map(np.float32, points)),
        "array": np.array,
        "tuple": tuple,
        "Decimal": lambda points: list(map(Decimal, points)),
    }
    sides = {"width": np.int64(120), "height": np.int32(90)} if kind == "array" else {}
    return [{**task("a.jpg", *(annotation(type, makers[kind](points)) for type, points in shapes)), **sides}]


@pytest.mark.parametrize("kind", ["float64", "float32", "array", "tuple", "Decimal"])
def test_numbers_that_were_computed_are_numbers(export: Export, kind: str, tmp_path: Path) -> None:
    plain = [task("a.jpg", annotation("bbox", [1.5, 2, 30, 40]), annotation("polygon", [1, 2, 30.25, 2, 30, 40]))]
    export(plain, tmp_path / "plain")
    assert export(computed(kind), tmp_path / "computed").written == 2
    assert contents(tmp_path / "computed") == contents(tmp_path / "plain")


def test_tuples_are_lists_wherever_geometry_stands(pair: Any, tmp_path: Path) -> None:
    ring = (50, 50, 60, 50, 60, 60, 50, 50)
    pose = {"type": "pose_estimation", "value": "cat", "color": "#fff", "points": []}
    points = [{"key": key, "name": key, "value": (x, 20, 1), "edges": []} for key, x in (("a", 10), ("b", 30))]
    tasks = [task("a.jpg", annotation("segmentation", [[ring]]), {**pose, "keypoints": points})]
    report = pair.ours.export_coco("everything", tasks, output_dir=tmp_path)
    assert (report.written, report.dropped) == (2, ())
    outline, posed = json.loads((tmp_path / "annotations.json").read_bytes())["annotations"]
    assert outline["area"] == 50
    assert posed["keypoints"] == [10, 20, 2, 30, 20, 2]


def test_what_is_no_json_is_refused_and_the_task_named(export: Export, tmp_path: Path) -> None:
    odd = task("b.jpg", annotation("bbox", [object(), 2, 30, 40]))
    with pytest.raises(TypeError, match=r"task 1 \(counting from 0\), 'b.jpg', is not JSON"):
        export([TASKS[0], odd], tmp_path)


def test_classes_as_people_have_them(pair: Any, tmp_path: Path) -> None:
    """None, as the SDK takes it for COCO's, and columns of tables: their truth is nobody's."""
    ours = pair.ours
    ours.export_coco("everything", TASKS, None, tmp_path / "none")
    ours.export_coco("everything", TASKS, [], tmp_path / "list")
    ours.export_yolo("everything", TASKS, np.array(["dog", "cat"]), tmp_path / "array")
    ours.export_yolo("everything", TASKS, ["dog", "cat"], tmp_path / "two")
    ours.export_yolo("everything", TASKS, None, tmp_path / "no")
    ours.export_yolo("everything", TASKS, [], tmp_path / "empty")
    for one, other in (("none", "list"), ("array", "two"), ("no", "empty")):
        assert contents(tmp_path / one) == contents(tmp_path / other)
    colours = np.array([0, 0, 0, 255, 0, 0], np.uint8)
    ours.export_semantic_segmentation(TASKS, tmp_path / "a", colours, np.array(["cat"]))
    ours.export_semantic_segmentation(TASKS, tmp_path / "b", colours.tolist(), ["cat"])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    for method, place in ((ours.export_yolo, ("everything", TASKS)), (ours.export_semantic_segmentation, (TASKS,))):
        with pytest.raises(ValueError, match="list of class values"):
            method(*place, classes="cat", output_dir=tmp_path / "text")


HOSTILE = [
    "../../evil.jpg",
    "/etc/evil.jpg",
    "a\\..\\..\\evil.jpg",
    "",
    ".",
    "..",
    "new\nline.jpg",
    "x" * 300 + ".jpg",
    "CON.jpg",
]


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_hostile_names_stay_in_the_folder(pair: Any, kind: str, tmp_path: Path) -> None:
    tasks = [task(name, annotation("bbox", [1, 2, 30, 40]), id=str(n)) for n, name in enumerate(HOSTILE)]
    out = tmp_path / "deep/er/out"
    method = getattr(pair.ours, f"export_{kind}")
    arguments = ("everything", tasks) if kind in ("coco", "yolo", "pascalvoc") else (tasks,)
    report = method(*arguments, output_dir=str(out))
    assert (report.images, report.written) == (len(HOSTILE), len(HOSTILE))
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and out not in path.parents]
    assert outside == []
    if kind not in ("coco", "yolo"):
        assert len(contents(out)) == len(HOSTILE)


def test_pictures_outside_the_folder_are_not_drawn_on(pair: Any, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for place in ("secret.png", "pictures/a.png"):
        cv2.imwrite(str(tmp_path / place), np.full((90, 120, 3), 90, np.uint8))
    os.symlink(tmp_path / "secret.png", tmp_path / "pictures/link.png")
    url = (tmp_path / "secret.png").as_uri()
    names = ["a.png", "../secret.png", "link.png", str(tmp_path / "secret.png"), "not-there.png"]
    tasks = [task(name, annotation("bbox", [1, 2, 30, 40]), id=str(n), url=url) for n, name in enumerate(names)]
    tasks.append(task("several", annotation("bbox", [1, 2, 30, 40], content="1.png"), id="several"))
    tasks[-1]["contents"] = [{"name": "1.png", "url": url, "width": 120, "height": 90}]
    report = pair.ours.export_image_with_annotations(tasks, tmp_path / "pictures", tmp_path / "out")
    assert list(contents(tmp_path / "out")) == ["a.png"]
    assert (report.written, report.dropped_count) == (1, 5)
    with pytest.raises(FileNotFoundError, match="no picture of these tasks"):
        pair.ours.export_image_with_annotations(tasks[1:], tmp_path / "pictures", tmp_path / "out")


def test_drawings_may_lie_below_the_pictures_and_never_replace_them(pair: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((90, 120, 3), 90, np.uint8))
    before = contents(tmp_path)
    tasks = [task(name, annotation("bbox", [1, 2, 30, 40])) for name in ("a.png", "sub/b.png")]
    pair.ours.export_image_with_annotations(tasks, tmp_path, tmp_path / "drawn")
    assert list(contents(tmp_path / "drawn")) == ["a.png", "sub/b.png"]
    assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("drawn/")} == before
    with pytest.raises(ValueError, match="name another folder"):
        pair.ours.export_image_with_annotations(tasks, tmp_path, tmp_path)


def test_projects_and_files_that_are_refused(pair: Any, tmp_path: Path) -> None:
    for method in ("export_coco", "export_yolo", "export_pascalvoc"):
        for slug in ("nobody", "", None):
            with pytest.raises(NotFound, match="there is no project"):
                getattr(pair.ours, method)(slug, TASKS, output_dir=tmp_path / "out")
    for name in ("out.xml", "sub/out.json", "../out.json", "sub\\out.json", ""):
        with pytest.raises(Invalid, match="json extension"):
            pair.ours.export_coco("everything", TASKS, output_dir=tmp_path / "out", output_file_name=name)
    with pytest.raises(TypeError, match="task 1"):
        pair.ours.export_labelme([TASKS[0], "b"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_had_leaves_the_folder_as_it_was(pair: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    lost = task("cat.mp4", url=f"{pair.ours.base_url.rstrip('/').removesuffix('/v1')}/files/nothing.mp4", frameCount=3)
    with pytest.raises(Unauthorized):
        pair.ours.export_coco("films", [lost], output_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("method", "file", "text"),
    [
        ("coco", "coco.json", "{"),
        ("coco", "coco.json", "[]"),
        ("labelme", "a.json", "{"),
        ("pascalvoc", "a.xml", "<annotation>"),
        ("pascalvoc", "a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation><filename>&b;</filename></annotation>'),
    ],
)
def test_files_that_are_not_what_they_should_be(
    pair: Any, tmp_path: Path, caplog: Any, method: str, file: str, text: str
) -> None:
    (tmp_path / file).write_text(text)
    convert = getattr(pair.ours, f"convert_{method}_to_fastlabel")
    convert = functools.partial(convert, annotation_type="bbox") if method == "coco" else convert
    with caplog.at_level(logging.WARNING, "fastlabel_dagster.formats"):
        try:
            found = convert(tmp_path / file if method == "coco" else str(tmp_path))
        except FormatError as error:
            assert isinstance(error, ValueError)
            assert file in str(error)
        else:
            assert found == {}
            assert file in caplog.text
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "nowhere")


def test_types_of_coco_that_there_are_not(pair: Any, tmp_path: Path) -> None:
    for kind in ("line", "", None):
        with pytest.raises(
            Invalid, match="Annotation type must be one of bbox, polygon, segmentation, pose_estimation"
        ):
            pair.ours.convert_coco_to_fastlabel(tmp_path / "coco.json", kind)


def test_what_is_left_out_is_logged_with_counts(pair: Any, tmp_path: Path, caplog: Any) -> None:
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    rows = [{"id": n, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(3)]
    document = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "coco.json").write_text(json.dumps(document))
    with caplog.at_level(logging.WARNING, "fastlabel_dagster.formats"):
        assert pair.ours.convert_coco_to_fastlabel(tmp_path / "coco.json", "bbox") == {"a.jpg": []}
    assert [(record.levelname, "3" in record.message) for record in caplog.records] == [("WARNING", True)]
    assert "the file does not list" in caplog.text


def test_classes_without_a_value_and_annotations_without_anything(pair: Any, tmp_path: Path) -> None:
    odd = [
        {"type": "bbox", "value": "cat", "points": [1, 2, 30, 40]},
        {},
        {"type": "bbox"},
        {"type": "bbox", "value": None},
    ]
    given = [*classes(order=["cat"]), {"type": "bbox"}]
    report = pair.ours.export_coco("everything", [{**TASKS[0], "annotations": odd}], given, tmp_path)
    assert report.written + report.dropped_count == 4
    report = pair.ours.export_coco("everything", [{"name": "a.jpg", "annotations": None}], given, tmp_path)
    assert report.tasks == 1


def test_nothing_is_sent_by_what_needs_no_project(tmp_path: Path) -> None:
    with FastLabelClient("token", "http://127.0.0.1:9/v1", budget=None) as client:
        assert client.export_labelme(TASKS, tmp_path).written == 3
        assert sorted(client.convert_labelme_to_fastlabel(tmp_path)) == ["a.jpg", "sub/b.jpg"]
