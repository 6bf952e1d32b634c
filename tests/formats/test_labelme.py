"""labelme: equal to the SDK where the SDK is right, as labelme's own loader wants it, and back again."""

from __future__ import annotations

import base64
import json
import math
import random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats.errors import FormatError, LossError
from fastlabel_dagster.labels import raster

SQUARE = [0, 0, 40, 0, 40, 40, 0, 40, 0, 0]
HOLE = [10, 10, 10, 20, 20, 20, 20, 10, 10, 10]
TRIANGLE = [50, 50, 70, 50, 70, 70, 50, 50]


@pytest.fixture
def labelme(bench):
    """Write, and look at the JSON files; or write JSON files by hand and read them."""

    class Labelme:
        folder = bench.folder / "labelme"

        def write(self, *tasks, **options):
            report = bench.write(*tasks, format="labelme", **options)
            place = self.folder / "images"
            return report, {
                path.relative_to(place).as_posix(): json.loads(path.read_text()) for path in place.rglob("*.json")
            }

        def shapes(self, *annotations, **options):
            """The report, and the shapes of a single picture."""
            report, files = self.write(bench.task("a.jpg", *annotations), **options)
            return report, files["a.json"]["shapes"]

        def back(self, **options):
            return formats.read(self.folder, format="labelme", **options)

        def read(self, files, **options):
            source = bench.folder / "source"
            for name, content in files.items():
                path = source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                text = content if isinstance(content, str | bytes) else json.dumps(content)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return formats.read(source, format="labelme", **options)

    return Labelme()


def document(*shapes, image="a.jpg", **fields):
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": 80,
        "imageWidth": 100,
        **fields,
    }


def drawn(kind, points, label="dog", **fields):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **fields}


def seen(read):
    """Type, class and geometry of what was read."""
    columns = ["type", "value", "points", "regions", "rotation"]
    rows = read.annotations.select(columns).to_pylist()
    return [
        (row["type"], row["value"], row["points"] if row["regions"] is None else row["regions"])
        + (() if row["rotation"] is None else (row["rotation"],))
        for row in rows
    ]


def reasons(notes):
    return {note.reason: note.count for note in notes}


def attribute(key, kind, value, name=None):
    return {"key": key, "name": name or key, "type": kind, "value": value}


def mask_of(shape):
    """A mask shape's own pixels."""
    mask = cv2.imdecode(np.frombuffer(base64.b64decode(shape["mask"]), np.uint8), cv2.IMREAD_UNCHANGED).astype(bool)
    (x1, y1), (x2, y2) = shape["points"]
    assert mask.shape == (y2 - y1 + 1, x2 - x1 + 1)
    return mask


def pixels_of(shape, size=(80, 100)):
    """A mask shape as labelme itself puts it into a picture."""
    mask = mask_of(shape)
    (x1, y1), (x2, y2) = shape["points"]
    picture = np.zeros(size, bool)
    picture[y1 : y2 + 1, x1 : x2 + 1] = mask
    return picture


# Beside the SDK ---------------------------------------------------------------------------------------------------


def sdk_writes(*tasks):
    converters = pytest.importorskip("fastlabel.converters")
    return converters.to_labelme(list(tasks))


def sdk_reads(content, name="a.json"):
    converters = pytest.importorskip("fastlabel.converters")
    return converters.execute_labelme_to_fastlabel(content, name)


COORDINATE = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@st.composite
def correct_for_the_sdk(draw):
    """Annotations the SDK writes right: no attributes, no rotation, lines of two points, segmentations of one ring."""
    kind = draw(st.sampled_from(["bbox", "polygon", "keypoint", "line", "segmentation"]))
    count = {"bbox": 2, "keypoint": 1, "line": 2}.get(kind) or draw(st.integers(3, 6))
    points = [draw(COORDINATE) for _ in range(2 * count)]
    if kind == "segmentation":
        points = [[[*points, *points[:2]]]]
    return {"id": "a", "type": kind, "value": draw(NAME), "points": points, "attributes": []}


def opened(shape):
    """A shape whose ring does not repeat its first point: labelme closes polygons itself, the SDK writes it twice."""
    points = shape["points"]
    closes = shape["shape_type"] == "polygon" and len(points) > 1 and points[0] == points[-1]
    return opened({**shape, "points": points[:-1]}) if closes else shape


def put_boxes_in_order(annotations):
    for annotation in annotations:
        if annotation["type"] == "bbox":
            x, y, u, v = annotation["points"]
            annotation["points"] = [min(x, u), min(y, v), max(x, u), max(y, v)]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(correct_for_the_sdk(), max_size=4), min_size=1, max_size=3))
def test_written_as_the_sdk_writes_where_it_is_right(tmp_path_factory, projects):
    folder = tmp_path_factory.mktemp("labelme")
    for shapes in projects:
        put_boxes_in_order(shapes)  # ours puts them in order, the SDK leaves them as they came
    tasks = [
        {"id": f"t{i}", "name": f"{i}.jpg", "width": 200, "height": 150, "tags": [], "annotations": annotations}
        for i, annotations in enumerate(projects)
    ]
    formats.write(labels.from_fastlabel(tasks, []), format="labelme", target=folder / "out")
    for theirs, task in zip(sdk_writes(*tasks), tasks, strict=True):
        ours = json.loads((folder / "out" / "images" / task["name"].replace(".jpg", ".json")).read_text())
        keys = ("label", "points", "group_id", "shape_type", "flags")
        assert [{key: shape[key] for key in keys} for shape in map(opened, ours["shapes"])] == [
            opened(shape) for shape in theirs["shapes"]
        ]
        for key in ("flags", "imagePath", "imageData", "imageHeight", "imageWidth"):
            assert ours[key] == theirs[key]


@settings(max_examples=60, deadline=None)
@given(st.lists(correct_for_the_sdk(), max_size=5))
def test_read_as_the_sdk_reads_where_it_is_right(tmp_path_factory, annotations):
    folder = tmp_path_factory.mktemp("labelme")
    put_boxes_in_order(annotations)
    [content] = sdk_writes({"name": "a.jpg", "width": 100, "height": 80, "annotations": annotations})
    (folder / "a.json").write_text(json.dumps(content))
    name, theirs = sdk_reads(content)
    ours = formats.read(folder, format="labelme", strict=True)
    assert ours.tasks["name"].to_pylist() == [name]
    assert seen(ours) == [(one["type"], one["value"], one["points"]) for one in theirs]


def test_l1_regions_and_holes(bench, labelme):
    annotation = bench.shape("segmentation", [[SQUARE, HOLE], [TRIANGLE]])
    [theirs] = sdk_writes(bench.task("a.jpg", annotation))
    assert [shape["points"] for shape in theirs["shapes"]] == [[[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]]]
    report, [mask] = labelme.shapes(annotation)
    expected = raster.regions_to_mask([[SQUARE, HOLE], [TRIANGLE]], 100, 80)
    assert (pixels_of(mask) == expected).all() and mask["shape_type"] == "mask"
    assert reasons(report.altered) == {"a segmentation with holes became a mask of pixels": 1}


def test_l1_regions_without_holes_are_polygons_of_one_group(bench, labelme):
    annotations = [
        bench.shape("segmentation", [[SQUARE], [TRIANGLE]]),
        bench.shape("segmentation", [[TRIANGLE], [SQUARE]]),
    ]
    report, shapes = labelme.shapes(*annotations)
    assert [(shape["shape_type"], shape["group_id"], len(shape["points"])) for shape in shapes] == [
        ("polygon", 1, 4),
        ("polygon", 1, 3),
        ("polygon", 2, 3),
        ("polygon", 2, 4),
    ]
    assert not report.altered
    assert seen(labelme.back()) == [
        ("segmentation", "dog", [[SQUARE], [TRIANGLE]]),
        ("segmentation", "dog", [[TRIANGLE], [SQUARE]]),
    ]


def test_l2_attributes_and_rotation(bench, labelme):
    annotation = bench.shape("bbox", [10, 10, 90, 20], rotation=90, attributes=[attribute("blurred", "switch", True)])
    [theirs] = sdk_writes(bench.task("a.jpg", annotation))
    assert theirs["shapes"][0]["points"] == [[10, 10], [90, 20]] and theirs["shapes"][0]["flags"] == {}
    report, [shape] = labelme.shapes(annotation)
    assert shape["points"] == [[55, -25], [55, 55], [45, 55], [45, -25]] and shape["flags"] == {"blurred": True}
    assert reasons(report.altered) == {"a turned box became the polygon of its corners": 1}
    assert seen(labelme.back()) == [("bbox", "dog", [10, 10, 90, 20], 90)]


def test_l3_a_shape_without_a_label(labelme):
    content = document(drawn("rectangle", [[1, 2], [3, 4]], ""), drawn("point", [[5, 6]]))
    assert sdk_reads(content) is None  # the SDK's caller then fails on it
    read = labelme.read({"a.json": content})
    assert seen(read) == [("keypoint", "dog", [5, 6])]
    assert reasons(read.report.dropped) == {"a shape without a label": 1}


def test_l4_every_shape_of_labelme(labelme):
    mask = np.zeros((4, 5), np.uint8)
    mask[1:3, 1:4] = 1
    png = base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    shapes = [
        drawn("circle", [[10, 20], [13, 24]]),
        drawn("linestrip", [[1, 2], [3, 4], [5, 6]]),
        drawn("line", [[1, 2], [3, 4]]),
        drawn("point", [[7, 8]]),
        drawn("points", [[7, 8], [9, 10]]),
        drawn("mask", [[20, 30], [24, 33]], mask=png),
        drawn("polygon", [[1, 2], [3, 4], [5, 7]]),
        drawn("rectangle", [[1, 2], [3, 4]]),
        drawn("oriented_rectangle", [[55, -25], [55, 55], [45, 55], [45, -25]]),
        drawn("rectangle", [[3, 4], [1, 4], [1, 2], [3, 2]]),
    ]
    assert [one["type"] for one in sdk_reads(document(shapes[0], shapes[1], shapes[5]))[1]] == [None] * 3
    assert seen(labelme.read({"a.json": document(*shapes)})) == [
        ("circle", "dog", [10, 20, 5]),
        ("line", "dog", [1, 2, 3, 4, 5, 6]),
        ("line", "dog", [1, 2, 3, 4]),
        ("keypoint", "dog", [7, 8]),
        ("keypoint", "dog", [7, 8]),
        ("keypoint", "dog", [9, 10]),
        ("segmentation", "dog", [[[21, 31, 24, 31, 24, 33, 21, 33, 21, 31]]]),
        ("polygon", "dog", [1, 2, 3, 4, 5, 7]),
        ("bbox", "dog", [1, 2, 3, 4]),
        ("bbox", "dog", [45, -25, 55, 55]),
        ("bbox", "dog", [1, 2, 3, 4]),
    ]


def test_l5_reversed_corners_are_mended_and_said(labelme):
    content = document(drawn("rectangle", [[9, 8], [2, 3]]))
    assert sdk_reads(content)[1][0]["points"] == [9, 8, 2, 3]
    read = labelme.read({"a.json": content})
    assert seen(read) == [("bbox", "dog", [2, 3, 9, 8])]
    assert reasons(read.report.altered) == {"the corners of a rectangle were in the wrong order": 1}


# Writing ----------------------------------------------------------------------------------------------------------


def load_as_labelme_does(content):
    """The checks of labelme's own loader (LabelFile.load): what fails here, labelme refuses to open."""
    assert isinstance(content["imagePath"], str) and "imageData" in content
    for shape in content["shapes"]:
        assert isinstance(shape["label"], str) and isinstance(shape["shape_type"], str) and shape["points"]
        assert all(len(point) == 2 and all(type(side) in (int, float) for side in point) for point in shape["points"])
        assert all(isinstance(key, str) and type(value) is bool for key, value in shape["flags"].items())
        assert isinstance(shape.get("description", ""), str)
        assert shape["group_id"] is None or type(shape["group_id"]) is int
        count = len(shape["points"])
        assert {
            "rectangle": count == 2,
            "oriented_rectangle": count == 4,
            "circle": count == 2,
            "line": count == 2,
            "point": count == 1,
            "linestrip": count > 2,
            "polygon": count > 2,
            "mask": count == 2 and isinstance(shape.get("mask"), str),
        }[shape["shape_type"]]
        if shape["shape_type"] == "mask":
            assert mask_of(shape).any()


def keypoint(key, *value, name=None, edges=()):
    return {"key": key, "name": name or key, "value": list(value), "edges": list(edges)}


@pytest.fixture
def everything(bench):
    nose, eye = keypoint("nose", 1, 2, 1, name="Nose", edges=["eye"]), keypoint("eye", 3, 4.5, 0, edges=["nose"])
    return [
        bench.shape("bbox", [1.5, 2, 30, 40], attributes=[attribute("description", "text", "hm")]),
        bench.shape("bbox", [20, 20, 60, 40], rotation=30.125),
        bench.shape("polygon", [1, 2, 30, 40, 5, 60], attributes=[attribute("colour", "select", "red", "Colour")]),
        bench.shape("segmentation", [[SQUARE], [TRIANGLE]], attributes=[attribute("n", "number", 3)]),
        bench.shape("segmentation", [[SQUARE]]),
        bench.shape("segmentation", [[SQUARE, HOLE]], attributes=[attribute("off", "switch", False)]),
        bench.shape("circle", [30, 30, 5.5]),
        bench.shape("line", [1, 2, 3, 4, 5, 6]),
        bench.shape("line", [1, 2, 3, 4]),
        bench.shape("keypoint", [1, 2], attributes=[attribute("tags", "checkbox", ["a", "b"])]),
        bench.shape("pose_estimation", keypoints=[nose, eye], value="person"),
        bench.shape("pose_estimation", keypoints=[eye, nose], value="person"),
        bench.shape("classification", value="sunny", attributes=[attribute("how", "text", "very")]),
    ]


def test_all_types_there_and_back(bench, labelme, everything):
    report, files = labelme.write(bench.task("x/a.jpg", *everything, tags=["night"]))
    assert report.written == len(everything) and not report.dropped
    load_as_labelme_does(files["x/a.json"])
    read = labelme.back(strict=True)
    [task] = labels.to_fastlabel(read)
    assert (task["id"], task["name"], task["tags"]) == ("id-x/a.jpg", "x/a.jpg", ["night"])
    wanted = ("type", "value", "points", "rotation", "keypoints", "attributes")
    for one, other in zip(everything, task["annotations"], strict=True):
        expected = {key: one[key] for key in wanted if key in one}
        assert {key: other.get(key) for key in expected} == expected


def test_the_polygon_of_a_turned_box_that_was_moved_stays_a_polygon(bench, labelme):
    labelme.shapes(bench.shape("bbox", [20, 20, 60, 40], rotation=30))
    path = labelme.folder / "images" / "a.json"
    content = json.loads(path.read_text())
    content["shapes"][0]["points"][0][0] += 1
    path.write_text(json.dumps(content))
    assert seen(labelme.back())[0][0] == "polygon"


def test_oriented_rectangles_on_request(bench, labelme):
    report, [shape] = labelme.shapes(
        bench.shape("bbox", [20, 20, 60, 40], rotation=30), turned_boxes="oriented_rectangle"
    )
    assert shape["shape_type"] == "oriented_rectangle" and not report.altered
    with pytest.raises(ValueError, match="turned_boxes"):
        bench.write(bench.task(), format="labelme", turned_boxes="circle")


def test_names_lie_where_labelme_looks(bench, labelme, pictures, tmp_path):
    content = bench.labels(
        bench.task("x/a.png"), bench.task("x/a.jpg"), bench.task("b.json.png"), bench.task("../../c.png")
    )
    target = labelme.folder
    report = formats.write(content, format="labelme", target=target, images=pictures(content, tmp_path / "pictures"))
    assert report.files == sum(1 for path in target.rglob("*") if path.is_file()) - 2  # the report and the mark
    for path in (target / "images").rglob("*.json"):
        assert (path.parent / json.loads(path.read_text())["imagePath"]).is_file()
    read = labelme.back(strict=True)
    assert sorted(read.tasks["name"].to_pylist()) == ["../../c.png", "b.json.png", "x/a.jpg", "x/a.png"]
    assert None not in read.tasks["url"].to_pylist() and not read.report.noticed
    first = {path.name: path.read_bytes() for path in (target / "images").rglob("*.json")}
    formats.write(read, format="labelme", target=tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again" / "images").rglob("*.json")} == first


def test_a_task_called_like_a_label_file(bench, labelme):
    labelme.write(bench.task("b.json", bench.shape("keypoint", [1, 2])))
    assert sorted(path.name for path in (labelme.folder / "images").iterdir()) == ["b_json.json"]
    assert labelme.back().tasks["name"].to_pylist() == ["b.json"]


def test_what_labelme_has_no_shape_for(bench, labelme):
    odd = [
        bench.shape("bbox", [1, 2, 3]),
        bench.shape("circle", [1, 2, 0]),
        bench.shape("polygon", [1, 2, 3, 4, 5, 1e12]),
        bench.shape(
            "segmentation", [[[200, 200, 240, 200, 240, 240, 200, 200], [210, 201, 212, 201, 212, 203, 210, 201]]]
        ),
        bench.shape("pose_estimation", keypoints=[keypoint("nose")]),
        bench.shape("something"),
    ]
    twice = [bench.shape("classification"), bench.shape("classification")]
    report, _ = labelme.shapes(*odd, *twice)
    assert report.written == 1 and report.dropped_count == len(odd) + 1
    dropped = reasons(report.dropped)
    assert dropped["the picture has a classification of this class already"] == 1
    assert dropped["its mask has no pixel: it lies outside the image, or its holes leave nothing"] == 1


def test_a_mask_that_leaves_the_picture_is_cut(bench, labelme):
    outline, hole = [-10, -10, 50, -10, 50, 50, -10, 50, -10, -10], [5, 5, 5, 9, 9, 9, 9, 5, 5, 5]
    report, [shape] = labelme.shapes(bench.shape("segmentation", [[outline, hole]]))
    assert shape["points"] == [[0, 0], [49, 49]]
    assert (pixels_of(shape) == raster.regions_to_mask([[outline, hole]], 100, 80)).all()
    assert reasons(report.altered)["reached outside the image, its mask ends at the edge"] == 1


def test_keypoints_without_a_place_are_said(bench, labelme):
    pose = bench.shape("pose_estimation", keypoints=[keypoint("nose", 1, 2, 1), keypoint("eye")])
    report, shapes = labelme.shapes(pose)
    assert [shape["label"] for shape in shapes] == ["nose"]
    assert reasons(report.altered)["a keypoint that has no place was left out"] == 1


def test_classes_and_labels_file(bench, labelme):
    classes = [bench.klass("b", 2, title="Bee", color="#010203"), bench.klass("a", 7)]
    labelme.write(bench.task("a.jpg"), classes=classes)
    assert (labelme.folder / "labels.txt").read_text() == "b\na\n"
    rows = labelme.back().classes.select(["value", "title", "color", "order"]).to_pylist()
    assert {"value": "b", "title": "Bee", "color": "#010203", "order": 2} in rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 30), st.integers(1, 30)),
        min_size=1,
        max_size=6,
    )
)
def test_masks_come_back_to_the_pixel(tmp_path_factory, rectangles):
    picture = np.zeros((90, 95), bool)
    for x, y, width, height in rectangles:
        picture[y : y + height, x : x + width] ^= True
    regions = raster.mask_to_regions(picture)
    holed = [region for region in regions if len(region) > 1]
    if not holed:
        return
    folder = tmp_path_factory.mktemp("labelme")
    annotation = {"id": "a", "type": "segmentation", "value": "dog", "points": holed, "attributes": []}
    task = {"id": "t", "name": "a.jpg", "width": 95, "height": 90, "tags": [], "annotations": [annotation]}
    formats.write(labels.from_fastlabel([task], []), format="labelme", target=folder / "out")
    [(_, _, back)] = seen(formats.read(folder / "out", format="labelme"))
    assert (raster.regions_to_mask(back, 95, 90) == raster.regions_to_mask(holed, 95, 90)).all()


def test_real_photographs_there_and_back(coco_mini, tmp_path):
    source = formats.read(coco_mini, format="coco")
    report = formats.write(source, format="labelme", target=tmp_path / "labelme")
    for path in (tmp_path / "labelme" / "images").rglob("*.json"):
        load_as_labelme_does(json.loads(path.read_text()))
    read = formats.read(tmp_path / "labelme", format="labelme", strict=True)
    assert read.report.annotations == report.written == report.annotations
    formats.write(read, format="labelme", target=tmp_path / "again")
    for path in (tmp_path / "labelme" / "images").rglob("*.json"):
        again = tmp_path / "again" / "images" / path.name
        assert json.loads(again.read_text())["shapes"] == json.loads(path.read_text())["shapes"]


def test_globox_reads_the_rectangles(asked, bench, labelme):
    labelme.write(bench.task("a.jpg", bench.shape("bbox", [1.5, 2, 30, 40])), bench.task("b.jpg"))
    seen = asked(
        """
        import json, sys
        from globox import AnnotationSet
        found = AnnotationSet.from_labelme(sys.argv[1])
        print(json.dumps(sorted([a.image_id, a.image_size, [[b.label, *b.ltrb] for b in a.boxes]] for a in found)))
        """,
        labelme.folder / "images",
    )
    assert seen == [["a.jpg", [100, 80], [["dog", 1.5, 2, 30, 40]]], ["b.jpg", [100, 80], []]]


# Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("text", "a shape that is no JSON object"),
        (drawn("star", [[1, 2]]), "a shape of a type that labelme does not have"),
        (drawn("rectangle", []), "a shape without points"),
        (drawn("rectangle", None), "a shape without points"),
        (drawn("rectangle", {"x": 1}), "a shape without points"),
        (drawn("rectangle", [[1, 2]]), "a rectangle that has neither two corners nor four"),
        (drawn("rectangle", [[1, 2], [3]]), "a point is not a pair of numbers"),
        (drawn("rectangle", [[1, 2], [3, "4"]]), "a point is not a pair of numbers"),
        (drawn("rectangle", [[1, 2], [3, None]]), "a point is not a pair of numbers"),
        (drawn("rectangle", [[1, 2], [3, True]]), "a point is not a pair of numbers"),
        (drawn("rectangle", [[1, 2], "34"]), "a point is not a pair of numbers"),
        (drawn("rectangle", [1, 2, 3, 4]), "a point is not a pair of numbers"),
        (drawn("rectangle", [[1, 2], [3, math.nan]]), "a coordinate is not a finite number"),
        (drawn("rectangle", [[1, 2], [3, math.inf]]), "a coordinate is not a finite number"),
        (drawn("polygon", [[1, 2], [3, 4]]), "a polygon of less than three points"),
        (drawn("circle", [[1, 2], [1, 2]]), "a circle without a radius"),
        (drawn("circle", [[1, 2]]), "a circle that is not a centre and a point on its rim"),
        (drawn("line", [[1, 2]]), "a line of less than two points"),
        (drawn("point", [[1, 2], [3, 4]]), "a point that is not one point"),
        (drawn("mask", [[1, 2], [3, 4]]), "a mask without pixels"),
        (drawn("mask", [[1, 2], [3, 4]], mask="ÄÖ"), "a mask that is not base64"),
        (drawn("mask", [[1, 2], [3, 4]], mask="AAAA"), "a mask that is no PNG"),
        (drawn("point", [[1, 2]], label=None), "a shape without a label"),
        (drawn("point", [[1, 2]], label=["a"]), "a shape without a label"),
    ],
)
def test_bad_shapes_are_dropped_with_their_place_and_good_ones_stay(labelme, bench, shape, reason):
    read = labelme.read({"sub/a.json": document(shape, drawn("point", [[5, 6]]))})
    assert seen(read) == [("keypoint", "dog", [5, 6])]
    [note] = read.report.dropped
    assert (note.reason, note.examples) == (reason, ("sub/a.json, shape 1",))
    with pytest.raises(LossError):
        formats.read(bench.folder / "source", format="labelme", strict=True)


def test_numbers_beyond_all_bounds(labelme):
    text = json.dumps(document(drawn("point", [[5, 6]]), drawn("point", [["BIG", 6]], flags={"seen": True})))
    read = labelme.read({"a.json": text.replace('"BIG"', str(2**53 + 1))})
    assert seen(read)[1] == ("keypoint", "dog", [2**53, 6])
    for number in ("9" * 500, "1e400", "-1e400", "NaN"):
        read = labelme.read({"a.json": text.replace('"BIG"', number)})
        assert seen(read) == [("keypoint", "dog", [5, 6])]
        assert reasons(read.report.dropped) == {"a coordinate is not a finite number": 1}


@pytest.mark.parametrize(("width", "height"), [(1_500_000, 20), (20, 1_500_000), (100_000, 100_000)])
def test_masks_no_png_can_hold_are_left_out_and_told(bench, width, height):
    holed = [[[0, 0, width, 0, width, height, 0, height, 0, 0], [5, 5, 9, 5, 7, 9]]]
    shapes = [bench.shape("segmentation", holed), bench.shape("bbox", [0, 0, 9, 9])]
    report = bench.write(bench.task("a.jpg", *shapes, width=width, height=height), format="labelme")
    assert report.written == 1
    assert reasons(report.dropped) == {"its mask would be larger than pictures are": 1}


def test_masks_that_claim_to_be_huge_are_not_decoded(labelme):
    png = bytearray(cv2.imencode(".png", np.ones((2, 2), np.uint8))[1].tobytes())
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    shape = drawn("mask", [[1, 2], [3, 4]], mask=base64.b64encode(bytes(png)).decode())
    read = labelme.read({"a.json": document(shape)})
    assert reasons(read.report.dropped) == {"a mask that claims to be larger than pictures are": 1}


@pytest.mark.parametrize(
    ("stated", "place", "name"),
    [
        ("a.jpg", "a.jpg", "a.jpg"),
        ("..\\images\\a.jpg", "images/a.jpg", "labels/a.jpg"),
        ("../images/a.jpg", "images/a.jpg", "labels/a.jpg"),
        ("/home/somebody/data/a.jpg", "a.jpg", "a.jpg"),
        ("C:\\data\\a.jpg", "labels/a.jpg", "labels/a.jpg"),
        ("../../../../etc/passwd.jpg", None, "passwd.jpg"),
    ],
)
def test_pictures_are_found_where_people_put_them(labelme, stated, place, name):
    home = f"{name.rpartition('/')[0]}/" if "/" in name else ""
    files = {f"{home}a.json": document(image=stated)}
    read = labelme.read(files if place is None else {**files, place: b""})
    assert read.tasks["name"].to_pylist() == [name]
    url = read.tasks["url"].to_pylist()[0]
    assert url is None if place is None else url.endswith(f"source/{place}")


def test_sizes_come_from_the_picture_or_from_the_data_within(labelme):
    png = cv2.imencode(".png", np.zeros((7, 9, 3), np.uint8))[1].tobytes()
    read = labelme.read({"a.json": document(image="a.png", imageWidth=None), "a.png": png})
    assert read.tasks.select(["width", "height"]).to_pylist() == [{"width": 9, "height": 7}]
    inside = base64.b64encode(png).decode()
    read = labelme.read({"b.json": document(image="b.png", imageWidth=0, imageHeight="x", imageData=inside)})
    assert read.tasks.select(["width", "height"]).to_pylist()[1] == {"width": 9, "height": 7}
    read = labelme.read({"c.json": document(image="c.png", imageWidth=0, imageHeight=0, imageData="%%%")})
    assert read.tasks.select(["width", "height"]).to_pylist()[2] == {"width": None, "height": None}


def test_the_oldest_and_the_barest_files(labelme):
    shape = {"label": "dog", "points": [[1, 2], [3, 4], [5, 7]], "line_color": None, "fill_color": None}
    read = labelme.read({"a.json": {"shapes": [shape]}, "b.json": "\ufeff" + json.dumps({"shapes": []})})
    assert seen(read) == [("polygon", "dog", [1, 2, 3, 4, 5, 7])]
    assert read.tasks["name"].to_pylist() == ["a", "b"]


def test_polygons_of_one_group_are_one_instance_as_for_labelme(labelme):
    parts = [drawn("polygon", [[x, 0], [x + 5, 0], [x, 5]], group_id=4) for x in (0, 10)]
    other = drawn("polygon", [[50, 0], [55, 0], [50, 5]], "cat", group_id=4)
    read = labelme.read({"a.json": document(*parts, other)})
    assert [row[:2] for row in seen(read)] == [("segmentation", "dog"), ("polygon", "cat")]
    assert reasons(read.report.noticed) == {
        "polygons of one group became one segmentation": 1,
        "the group a shape belongs to was not kept": 1,
    }


def test_flags_of_the_picture_are_classifications(labelme):
    read = labelme.read({"a.json": document(flags={"sunny": True, "rainy": False, "": True, "odd": 1})})
    assert seen(read) == [("classification", "sunny", None)]


def test_class_order_from_labels_txt(labelme):
    files = {"a.json": document(drawn("point", [[1, 2]], "new"), drawn("point", [[1, 2]], "cat"))}
    read = labelme.read({**files, "labels.txt": "__ignore__\n_background_\ndog\ncat\n"})
    classes = {row["value"]: row["order"] for row in read.classes.to_pylist()}
    assert sorted(classes, key=classes.__getitem__) == ["dog", "cat", "new"]


def test_attributes_of_every_kind(labelme):
    shape = drawn(
        "point",
        [[1, 2]],
        flags={"on": True, "off": False, "odd": 1},
        description="a text",
        attributes={"s": "x", "n": 1.5, "l": [1], "b": True, "o": {"a": None}, "z": None},
    )
    [task] = labels.to_fastlabel(labelme.read({"a.json": document(shape)}))
    assert [(a["key"], a["type"], a.get("value")) for a in task["annotations"][0]["attributes"]] == [
        ("on", "switch", True),
        ("off", "switch", False),
        ("description", "text", "a text"),
        ("s", "text", "x"),
        ("n", "text", 1.5),
        ("l", "checkbox", [1]),
        ("b", "switch", True),
        ("o", "text", {"a": None}),
        ("z", "text", None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "{",
        '{"shapes": {}}',
        "{}",
        "[" * 100_000,
        '{"shapes": [NaN' + "[" * 100_000,
        b"\xff\xfe\x00",
        '{"a": "\\ud800"',
    ],
)
def test_files_that_are_refused(labelme, text):
    with pytest.raises(FormatError, match=r"a\.json"):
        labelme.read({"a.json": text})
    read = labelme.read({"a.json": text, "b.json": document(drawn("point", [[1, 2]]), image="b.jpg")})
    assert read.tasks["name"].to_pylist() == ["b.jpg"]
    [note] = read.report.dropped
    assert (note.type, note.reason, note.count) == ("file", "a file cannot be read", 1)
    assert note.examples[0].startswith("a.json: ")


def test_half_characters_and_repeated_ids(labelme):
    joint = drawn("point", [[1, 2]], pose="dog", keypoint={"name": "\ud800", "edges": ["\ud800"]})
    broken = drawn("point", [[1, 2]], "\ud800")
    text = json.dumps(document(broken, joint, task_id="\ud800", task_name="\ud800", x=math.nan))
    twice = document(drawn("point", [[1, 2]]), task_id="one")
    read = labelme.read({"a.json": text, "b.json": twice, "c.json": twice})
    ids = read.tasks["task_id"].to_pylist()
    assert len(set(ids)) == 3 and ids[1] == "one" and read.report.annotations == 3
    assert (
        reasons(read.report.altered)["what a point says of itself that is not as our own exports write it was left out"]
        == 1
    )


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "gone", format="labelme")
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path, format="labelme")


def test_unlabeled_pictures_are_noticed(labelme):
    read = labelme.read({"a.json": document(), "a.jpg": b"", "x/b.jpg": b""})
    assert [note.examples for note in read.report.noticed] == [("x/b.jpg",)]


def test_one_file_and_the_class_file_stand_for_the_dataset(bench, labelme):
    labelme.write(bench.task("a.jpg", bench.shape("keypoint", [1, 2])), bench.task("b.jpg"))
    assert formats.read(labelme.folder / "classes.json", format="labelme").tasks.num_rows == 2
    assert formats.read(labelme.folder / "images" / "a.json", format="labelme").tasks["name"].to_pylist() == ["a.jpg"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
POINT = st.lists(st.one_of(st.floats(), st.integers(-5, 50), JSON), min_size=2, max_size=2)
SHAPE = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(st.sampled_from(["a", "b", ""]), JSON),
        "points": st.one_of(
            st.lists(POINT, max_size=5), st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=2)), JSON
        ),
        "shape_type": st.one_of(
            st.sampled_from(
                ["rectangle", "polygon", "circle", "line", "point", "points", "mask", "oriented_rectangle"]
            ),
            JSON,
        ),
        "group_id": st.one_of(st.integers(0, 2), JSON),
        "flags": JSON,
        "description": JSON,
        "attributes": JSON,
        "attribute_types": JSON,
        "attribute_names": JSON,
        "annotation_type": st.one_of(st.just("segmentation"), JSON),
        "rotation": JSON,
        "pose": st.one_of(st.just("person"), JSON),
        "keypoint": JSON,
        "mask": JSON,
    },
)
DOCUMENT = st.fixed_dictionaries(
    {"shapes": st.one_of(st.lists(st.one_of(SHAPE, JSON), max_size=5), JSON)},
    optional={
        **dict.fromkeys(("imagePath", "imageData", "imageWidth", "imageHeight", "flags", "flag_attributes"), JSON),
        **dict.fromkeys(("task_id", "task_name", "tags", "version"), JSON),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(DOCUMENT, min_size=1, max_size=2))
def test_whatever_a_file_holds_is_told(tmp_path_factory, documents):
    folder = tmp_path_factory.mktemp("fuzz")
    for number, content in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(content))
    try:
        read = formats.read(folder, format="labelme")
    except FormatError:
        return
    assert read.report.tasks == read.tasks.num_rows
    for task in labels.to_fastlabel(read):
        json.dumps(task)
    formats.write(read, format="labelme", target=tmp_path_factory.mktemp("out") / "out")


def test_damaged_bytes_are_told(bench, labelme, everything, tmp_path):
    labelme.write(bench.task("a.jpg", *everything))
    data = (labelme.folder / "images" / "a.json").read_bytes()
    random_ = random.Random(3)
    words = [b"NaN", b"1e999", b"null", b"[", b"]", b"{", b'"', b"\xff", b"\\ud800", b"9" * 400, b"true", b""]
    read = 0
    (tmp_path / "damaged").mkdir()
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(random_.randint(1, 2)):
            at = random_.randrange(len(broken))
            broken[at : at + random_.randint(0, 6)] = random_.choice(words)
        (tmp_path / "damaged" / "a.json").write_bytes(broken)
        try:
            result = formats.read(tmp_path / "damaged", format="labelme")
        except FormatError:
            continue
        read += 1
        list(labels.to_fastlabel(result))
    assert read > 20


# Plain boxes, read without detours ---------------------------------------------------------------------------------

COORDINATES = st.sampled_from([0, 1, 2.5, -3.0, 40.25, 40.5, math.nan, math.inf, -math.inf, True, "7", None, 10**400])


@settings(max_examples=200, deadline=None)
@given(
    shapes=st.lists(
        st.tuples(
            st.sampled_from(["dog", "cat", "犬", "", "\ud800", 7, None]),
            st.lists(st.lists(COORDINATES, min_size=1, max_size=3), max_size=3)
            | st.lists(st.lists(st.floats(0, 99), min_size=2, max_size=2), min_size=2, max_size=2)
            | st.sampled_from([None, "ab", {"ab": 1, "cd": 2}, [[1.0, 2.0], {"a": 1, "b": 2}]]),
            st.sampled_from(["rectangle"] * 8 + ["polygon", "point", None, "line"]),
        ),
        max_size=4,
    )
)
def test_plain_boxes_are_read_as_those_that_need_a_closer_look(tmp_path_factory, shapes):
    """A flag that is no truth value is left out and told, but not before somebody has looked at its shape."""
    results = []
    for flags in ({}, {"looked at": 1}):
        folder = tmp_path_factory.mktemp("labelme")
        stated = [
            {"label": label, "points": points, "shape_type": kind, "flags": flags} for label, points, kind in shapes
        ]
        (folder / "a.json").write_text(json.dumps({"imageWidth": 9, "imageHeight": 9, "shapes": stated}))
        read = formats.read(folder, format="labelme")
        notes = {
            fate: [note for note in getattr(read.report, fate) if not note.reason.startswith("flags that are neither")]
            for fate in ("dropped", "altered", "noticed")
        }
        results.append((read.tasks.to_pylist(), read.classes.to_pylist(), notes))
    assert repr(results[0]) == repr(results[1])


def test_a_task_without_a_name_is_called_like_its_picture(bench) -> None:
    tasks = [bench.task(None, id="x"), bench.task(None, id="sub/y"), bench.task("images/z.jpg")]
    bench.write(*tasks, format="labelme")
    read = formats.read(bench.folder / "labelme", format="labelme")
    assert sorted(read.tasks["name"].to_pylist()) == ["images/z.jpg", "sub/y", "x"]
