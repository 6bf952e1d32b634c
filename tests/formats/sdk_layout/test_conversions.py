"""Our `convert_*` beside the SDK's, of the same files: the same annotations of the same pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fastlabel_dagster.labels import raster

from .generated import HEIGHT, NAMES, VALUES, WIDTH, areas, boxes, places, polygons, projects, task

SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
PICTURES = [name for name in NAMES if name.lower().endswith((".jpg", ".png", ".jpeg"))]
JSON_VALUES = (
    st.text(max_size=3) | st.booleans() | st.integers(-9, 9) | st.lists(st.sampled_from(["a", "b"]), max_size=2)
)


def listed(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Pictures in the order of their names, annotations without empty lists of attributes."""
    return {
        name: [{key: value for key, value in one.items() if key != "attributes" or value} for one in found[name]]
        for name in sorted(found)
    }


@st.composite
def coco_rows(draw: Any, kind: str) -> dict[str, Any]:
    """Annotations as the SDK takes them: a box has four numbers for its outline, its two corners."""
    row: dict[str, Any] = {"category_id": draw(st.integers(1, len(VALUES)))}
    if draw(st.booleans()):
        row["attributes"] = draw(st.dictionaries(st.sampled_from(["a", "ü", "iscrowd?"]), JSON_VALUES, max_size=2))
    if kind == "pose_estimation":
        points = draw(st.lists(st.tuples(places(WIDTH), places(HEIGHT), st.integers(0, 2)), min_size=3, max_size=3))
        points[0] = (*points[0][:2], 2)
        return row | {"keypoints": [number for point in points for number in point], "num_keypoints": 3}
    shape = draw({"bbox": boxes(), "polygon": polygons()}[kind])["points"]
    if kind == "bbox":
        x1, y1, x2, y2 = shape
        return row | {"segmentation": [shape], "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
    xs, ys = shape[::2], shape[1::2]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    return row | {"segmentation": [shape], "bbox": box, "area": 1}


@pytest.mark.parametrize("kind", ["bbox", "polygon", "pose_estimation"])
@SOME
@given(st.data())
def test_coco(pair: Any, kind: str, data: Any) -> None:
    names = data.draw(st.permutations(NAMES))[: data.draw(st.integers(1, 4))]
    numbers = data.draw(st.permutations(range(1, len(names) + 1)))
    rows = data.draw(st.lists(coco_rows(kind), max_size=6))
    document = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for number, name in zip(numbers, names, strict=True)
        ],
        "categories": [
            {"id": number, "name": value, "keypoints": ["a", "b", "c"]} for number, value in enumerate(VALUES, start=1)
        ],
        "annotations": [
            {"id": number, "image_id": data.draw(st.sampled_from(numbers)), **row}
            for number, row in enumerate(rows, start=1)
        ],
    }
    path = pair.folder() / "my coco.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document), encoding="utf-8")
    theirs, ours = pair.convert("convert_coco_to_fastlabel", str(path), kind)
    for found in (theirs, ours):
        for one in (one for rows in found.values() for one in rows):
            one["points"] = np.round(one.get("points", []), 6).tolist()  # a corner is x + (x2 - x)
    assert listed(ours) == listed(theirs)


#: A person of COCO's, whose box is rounded to hundredths.
PERSON = {
    "id": 1,
    "image_id": 1,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [10.01, 10, 20, 29.99],
    "area": 300,
    "segmentation": [[10, 10, 30, 10, 20, 40]],
    "keypoints": [12, 14, 2, 0, 0, 0, 20, 30, 1],
    "num_keypoints": 2,
}


def coco_file(folder: Path, *rows: dict[str, Any]) -> str:
    """A file of one picture, `a.jpg`, and one class."""
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["a", "b", "c"]}],
        "annotations": list(rows),
    }
    folder.mkdir()
    path = folder / "coco.json"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize("kind", ["bbox", "polygon", "pose_estimation"])
def test_coco_as_its_authors_have_it_becomes_what_the_api_takes(pair: Any, kind: str) -> None:
    """Persons have an outline and keypoints: the type that is asked for says which counts."""
    theirs, ours = pair.convert("convert_coco_to_fastlabel", coco_file(pair.folder(), PERSON), kind)
    assert ours == theirs
    assert ours["a.jpg"][0]["attributes"] == []


def test_what_conversions_of_coco_leave_out_is_logged(pair: Any, caplog: Any) -> None:
    outside = {**PERSON, "keypoints": [90, 70, 2, 0, 0, 0, 95, 75, 1]}  # of no use for the outline, nor the other way
    poseless = {key: value for key, value in PERSON.items() if "keypoints" not in key}
    path = coco_file(pair.folder(), PERSON, {**outside, "id": 2}, {**poseless, "id": 3})
    found = pair.ours.convert_coco_to_fastlabel(path, "polygon")
    assert [(one["type"], one["points"]) for one in found["a.jpg"]] == [("polygon", PERSON["segmentation"][0])] * 3
    assert "2 annotations altered: its keypoints were left out, as asked" in caplog.text
    assert len(pair.ours.convert_coco_to_fastlabel(path, "pose_estimation")["a.jpg"]) == 2
    assert "1 annotations without keypoints were left out" in caplog.text


def test_pictures_of_one_name_are_logged(pair: Any, caplog: Any) -> None:
    folder = pair.folder()
    folder.mkdir()
    for name, x in (("a", 1), ("b", 2)):
        shape = {"label": "cat", "shape_type": "rectangle", "points": [[x, 2], [30, 40]]}
        (folder / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": "same.jpg"}))
    assert list(pair.ours.convert_labelme_to_fastlabel(folder)) == ["same.jpg"]
    assert "several pictures are called 'same.jpg'" in caplog.text


@SOME
@given(projects(st.one_of(boxes(whole=True), polygons(whole=True))))
def test_pascal_voc_the_sdk_has_written(pair: Any, tasks: list[dict[str, Any]]) -> None:
    tasks = [one for one in tasks if one["annotations"] and one["name"] in PICTURES]
    assume(tasks)
    theirs, _, _ = pair.export("export_pascalvoc", "boxes", tasks)
    found, ours = pair.convert("convert_pascalvoc_to_fastlabel", str(theirs / "annotations"))
    assert listed(ours) == listed(found)
    # From the folder above, the SDK takes `annotations` for a part of the pictures' names.
    found, ours = pair.convert("convert_pascalvoc_to_fastlabel", str(theirs))
    assert listed(found) == listed({f"annotations/{name}": rows for name, rows in ours.items()})


@SOME
@given(projects(st.one_of(boxes(), polygons(), areas(regions=1))))
def test_labelme_the_sdk_has_written(pair: Any, tasks: list[dict[str, Any]]) -> None:
    tasks = [one for one in tasks if one["name"] in PICTURES]
    assume(tasks)
    theirs, _, _ = pair.export("export_labelme", tasks)
    found, ours = pair.convert("convert_labelme_to_fastlabel", str(theirs))
    for one in (one for rows in (*found.values(), *ours.values()) for one in rows):
        if one["type"] == "polygon" and one["points"][:2] == one["points"][-2:]:
            one["points"] = one["points"][:-2]  # the first point of an area, which the SDK wrote twice
    assert listed(ours) == listed(found)


def dataset(folder: Path, files: dict[str, str]) -> tuple[str, str]:
    """A folder of label files with their pictures, and the list of classes beside it."""
    place = folder / "dataset"
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.with_suffix(".txt")).write_text(text)
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (folder / "classes.txt").write_text("".join(f"{value}\n" for value in VALUES), encoding="utf-8")
    return str(folder / "classes.txt"), str(place)


YOLO_NAMES = ["a.jpg", "sub/a.jpg", "sub/b c.jpeg", "é.png"]


@SOME
@given(st.lists(st.lists(st.tuples(boxes(), st.integers(0, 2)), max_size=4), min_size=1, max_size=4))
def test_yolo_boxes(pair: Any, project: list[Any]) -> None:
    def line(box: dict[str, Any], number: int) -> str:
        x1, y1, x2, y2 = box["points"]
        shares = (x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT
        return f"{number} {' '.join(f'{share:.9f}' for share in shares)}\n"

    files = {name: "".join(line(*row) for row in rows) for name, rows in zip(YOLO_NAMES, project, strict=False)}
    theirs, ours = pair.convert("convert_yolo_to_fastlabel", *dataset(pair.folder(), files), "image_bbox")
    for found in (theirs, ours):
        for one in (one for rows in found.values() for one in rows):
            one["points"] = np.round(one["points"], 6).tolist()
    assert listed(ours) == listed(theirs)


@SOME
@given(st.lists(st.lists(areas(regions=1), max_size=4), min_size=1, max_size=4))
def test_yolo_areas(pair: Any, project: list[Any]) -> None:
    """At whole pixels, for the SDK rounds; ours are closed."""

    def line(area: dict[str, Any]) -> str:
        ring = area["points"][0][0][:-2]
        shares = (number / (WIDTH, HEIGHT)[place % 2] for place, number in enumerate(ring))
        return f"{VALUES.index(area['value'])} {' '.join(f'{share:.12f}' for share in shares)}\n"

    files = {name: "".join(map(line, rows)) for name, rows in zip(YOLO_NAMES, project, strict=False)}
    theirs, ours = pair.convert("convert_yolo_to_fastlabel", *dataset(pair.folder(), files), "segmentation")
    for one in (one for rows in ours.values() for one in rows):
        ring = np.round(one["points"][0][0], 6).tolist()
        assert ring[:2] == ring[-2:]
        one["points"] = [[ring[:-2]]]
    assert listed(ours) == listed(theirs)


@pytest.mark.parametrize("as_file", [False, True])
def test_masks(pair: Any, as_file: bool) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(mask, (10, 10), (50, 60), 255, -1)
    cv2.rectangle(mask, (20, 20), (30, 30), 0, -1)
    cv2.rectangle(mask, (70, 5), (110, 80), 255, -1)
    given_mask: Any = mask
    if as_file:
        given_mask = str(pair.folder()) + ".png"
        cv2.imwrite(given_mask, mask)
    theirs, ours = pair.convert("mask_to_fastlabel_segmentation_points", given_mask)

    assert [[len(ring) for ring in region] for region in ours] == [[10], [10, 10]]
    assert sorted(len(region) for region in theirs) == [1, 2]
    for points in (theirs, ours):  # the SDK's rings have vertices on straight edges
        np.testing.assert_array_equal(raster.regions_to_mask(points, WIDTH, HEIGHT), mask > 0)


def test_what_both_write_is_what_was_there(pair: Any) -> None:
    """COCO there and back: boxes, polygons and areas are what they were, with `annotation_type` for the areas."""
    box = {"type": "bbox", "value": "cat", "points": [1, 2, 30, 40.5], "rotation": 30}
    polygon = {"type": "polygon", "value": "cat", "points": [1, 2, 30, 2, 30, 40]}
    area = {"type": "segmentation", "value": "cat", "points": [[[50, 50, 60, 50, 60, 60, 50, 50]]]}
    shapes = [{**one, "color": "#fff"} for one in (box, polygon)]
    _, ours, _ = pair.export("export_coco", "boxes", [task("a.jpg", *shapes)])
    found = pair.ours.convert_coco_to_fastlabel(ours / "annotations.json", "bbox")
    assert listed(found) == {"a.jpg": [box, polygon]}
    _, ours, _ = pair.export("export_coco", "boxes", [task("a.jpg", {**area, "color": "#fff"})])
    assert listed(pair.ours.convert_coco_to_fastlabel(ours / "annotations.json", "segmentation")) == {"a.jpg": [area]}
