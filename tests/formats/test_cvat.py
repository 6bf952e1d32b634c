"""CVAT's XML, read back by Datumaro, labelformat and the XML parser of the standard library."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelformat.formats.cvat import CVATObjectDetectionInput

from fastlabel_dagster import formats
from fastlabel_dagster.formats.errors import FormatError, LossError
from fastlabel_dagster.formats.xml_stream import iterate_xml
from fastlabel_dagster.labels import classes_to_fastlabel, raster, to_fastlabel
from fastlabel_dagster.labels.tables import Labels

HOLED = [
    [[10, 10, 40, 10, 40, 40, 10, 40, 10, 10], [20, 20, 20, 30, 30, 30, 30, 20, 20, 20]],
    [[60, 60, 70, 60, 70, 70, 60, 70, 60, 60]],
]
POINTS = [
    {"id": "k1", "key": "nose", "name": "nose", "color": "#fff000", "edges": ["k2"]},
    {"id": "k2", "key": "eye", "name": "eye", "color": None, "edges": ["k1"]},
    {"id": "k3", "key": "ear", "name": "ear", "color": "#000fff", "edges": ["k1"]},
]


def text(key, value, kind="text", name=None):
    return {"key": key, "name": name or key, "type": kind, "value": value}


def tasks_of(content):
    return list(to_fastlabel(content))


def annotations_of(content):
    return [annotation for task in to_fastlabel(content) for annotation in task["annotations"]]


def decoded(mask):
    """A mask element as pixels, by CVAT's rule: row by row, runs in turn, background first."""
    runs = [int(run) for run in mask.get("rle").split(",")]
    width, height = int(mask.get("width")), int(mask.get("height"))
    bits = np.concatenate([np.full(run, place % 2, bool) for place, run in enumerate(runs)])
    picture = np.zeros((80, 100), bool)
    top, left = int(mask.get("top")), int(mask.get("left"))
    picture[top : top + height, left : left + width] = bits.reshape(height, width)
    return picture


@pytest.fixture
def cvat(bench):
    """The report of an export, and its XML."""

    def write(*tasks, classes=None, **options):
        report = bench.write(*tasks, format="cvat", classes=classes, **options)
        return report, ElementTree.parse(bench.folder / "cvat" / "annotations.xml").getroot()

    return write


@pytest.fixture
def again(bench):
    """What was exported last, read."""
    return lambda: formats.read(bench.folder / "cvat", format="cvat")


@pytest.fixture
def read(tmp_path):
    """A document, read; ``body`` is what stands in ``<annotations>``."""

    def of(body, **options):
        path = tmp_path / "source" / "annotations.xml"
        path.parent.mkdir(exist_ok=True)
        document = body if isinstance(body, bytes) else f"<annotations>{body}</annotations>".encode()
        path.write_bytes(document)
        return formats.read(path.parent, format="cvat", **options)

    return of


@pytest.fixture
def everything(bench):
    """A task with an annotation of every type, and its classes."""
    shape = bench.shape
    known = [
        text("occluded", True, "switch"),
        text("colors", ["a", "b<"], "checkbox", "Colours"),
        text("note", 'line\n2 "x" & <y>'),
        text("group_id", "4"),
    ]
    pose = [
        {"key": "nose", "name": "nose", "value": [1, 2, 1], "edges": ["eye", "ear"]},
        {"key": "eye", "name": "eye", "value": [3, 4.5, 0], "edges": ["nose"]},
    ]
    annotations = [
        shape("bbox", [1.25, 2, 30.123456789, 40], attributes=known),
        shape("bbox", [10, 20, 30, 40], rotation=33.5, confidenceScore=0.5),
        shape("polygon", [1, 2, 3, 4.125, 5, 9, 1, 7]),
        shape("circle", [20, 20, 5.5]),
        shape("keypoint", [1, 2]),
        shape("line", [1, 2, 4, 5, 9.5, 5]),
        shape("segmentation", HOLED),
        shape("segmentation", HOLED[1:]),
        shape("classification", value="scene", attributes=[text("weather", "rain", "radio")]),
        shape("pose_estimation", value="person", keypoints=pose),
    ]
    for place, annotation in enumerate(annotations):
        annotation["id"] = f"id {place}"
        annotation["color"] = "#00ff00"
    task = bench.task("sub/a & b.jpg", *annotations, tags=["val", 'x "<y>"'])
    colors = {
        "id": "q",
        "key": "colors",
        "name": "Colours",
        "type": "checkbox",
        "options": [{"title": "a", "value": "a"}],
    }
    classes = [
        bench.klass("dog", attributes=[colors]),
        bench.klass("person", 4, "pose_estimation", keypoints=POINTS),
        bench.klass("scene", 7, "classification"),
    ]
    return task, classes


def test_every_type_comes_back_as_it_went(bench, cvat, again, everything):
    task, classes = everything
    report, _ = cvat(task, bench.task("b.png"), classes=classes, strict=True)
    assert (report.written, report.altered, report.noticed) == (10, (), ())
    content = again()
    assert (content.report.dropped, content.report.altered, content.report.noticed) == ((), (), ())
    found = {one["id"]: one for one in tasks_of(content)}
    assert set(found) == {task["id"], "id-b.png"}
    mine = found[task["id"]]
    assert {key: mine[key] for key in ("name", "tags", "width", "height")} == {
        key: task[key] for key in ("name", "tags", "width", "height")
    }

    def plain(annotation):
        attributes = sorted(annotation["attributes"], key=lambda one: one["key"])
        return {**annotation, "attributes": attributes}

    assert [plain(row) for row in mine["annotations"]] == [plain(row) for row in task["annotations"]]
    rows = {(row["value"], row["type"]): row for row in classes_to_fastlabel(content.classes)}
    assert [rows[key]["order"] for key in (("dog", "bbox"), ("person", "pose_estimation"))] == [1, 4]
    (attribute,) = rows["dog", "bbox"]["attributes"]
    assert [attribute[name] for name in ("key", "name", "type")] == ["colors", "Colours", "checkbox"]
    keypoints = rows["person", "pose_estimation"]["keypoints"]
    assert [(one["key"], one["edges"], one["color"]) for one in keypoints] == [
        ("nose", ["eye", "ear"], "#fff000"),
        ("eye", ["nose"], "#00ff00"),  # the class's
        ("ear", ["nose"], "#000fff"),
    ]


def test_the_file_is_built_as_cvat_builds_it(cvat, everything):
    task, classes = everything
    _, root = cvat(task, classes=classes)
    assert [child.tag for child in root] == ["version", "meta", "image"] and root.findtext("version") == "1.1"
    labels = {label.findtext("name"): label for label in root.iter("label")}
    assert {name: label.findtext("type") for name, label in labels.items()} == {
        "dog": "any",
        "person": "skeleton",
        "scene": "tag",
        "nose": "points",
        "eye": "points",
        "ear": "points",
    }
    assert [labels[name].findtext("color") for name in ("nose", "eye", "ear")] == ["#fff000", None, "#000fff"]
    assert labels["eye"].findtext("parent") == "person" and labels["dog"].findtext("color") == "#00ff00"
    drawing = ElementTree.fromstring(f"<svg>{labels['person'].findtext('svg')}</svg>")
    assert [one.get("data-label-name") for one in drawing.iter("circle")] == ["nose", "eye", "ear"]
    assert len(list(drawing.iter("line"))) == 2
    (image,) = root.iter("image")
    assert [image.get(name) for name in ("id", "name", "width", "height")] == ["0", "sub/a & b.jpg", "100", "80"]
    assert [child.tag for child in image] == (
        ["box", "box", "polygon", "ellipse", "points", "polyline", "mask", "mask", "tag", "skeleton"]
    )
    box, turned, polygon, ellipse = list(image)[:4]
    own = {"label", "source", "occluded", "xtl", "ytl", "xbr", "ybr", "z_order", "group_id"}
    assert {name for name in box.attrib if not name.startswith("fastlabel_")} == own
    assert (box.get("occluded"), box.get("group_id"), turned.get("rotation")) == ("1", "4", "33.5")
    assert polygon.get("points") == "1,2;3,4.125;5,9;1,7"
    assert [ellipse.get(name) for name in ("cx", "cy", "rx", "ry")] == ["20", "20", "5.5", "5.5"]
    points = [(one.get("label"), one.get("outside"), one.get("occluded")) for one in image[-1]]
    assert points == [("nose", "0", "0"), ("eye", "0", "1"), ("ear", "1", "0")]


def test_masks_are_the_pixels_of_the_segmentation(bench, cvat, again):
    rng = np.random.default_rng(8)
    masks = [rng.random((80, 100)) < share for share in (0.01, 0.3, 0.5, 0.9)]
    masks += [np.ones((80, 100), bool), np.zeros((80, 100), bool)]
    masks[-1][79, 99] = masks[-1][0, 0] = True
    shapes = [bench.shape("segmentation", raster.mask_to_regions(mask)) for mask in masks]
    report, root = cvat(bench.task("a.png", *shapes))
    assert report.altered == ()
    for mask, element in zip(masks, root.iter("mask"), strict=True):
        np.testing.assert_array_equal(decoded(element), mask)
        assert all(int(run) > 0 for run in element.get("rle").split(", ")[1:])
    for shape, row in zip(shapes, annotations_of(again()), strict=True):
        assert row["points"] == shape["points"]


def test_what_a_mask_cannot_hold_is_told(bench, cvat):
    shapes = [
        bench.shape("segmentation", [[[10.5, 10, 20, 10, 20, 20, 10.5, 20, 10.5, 10]]]),
        bench.shape("segmentation", [[[10, 10, 20, 10, 10, 20, 10, 10]]]),
        bench.shape("segmentation", [[[90, 70, 120, 70, 120, 90, 90, 90, 90, 70]]]),
        bench.shape("segmentation", [[[10, 10, 30, 10, 30, 30, 10, 30]], [[20, 20, 40, 20, 40, 40, 20, 40]]]),
        bench.shape("segmentation", [[[200, 10, 210, 10, 210, 20, 200, 20]]]),
        bench.shape("segmentation", [[[1e6, 10, 2e6, 10, 2e6, 20]]]),
    ]
    report, root = cvat(bench.task("a.png", *shapes))
    for shape, element in zip(shapes[:4], root.iter("mask"), strict=True):
        expected = raster.regions_to_mask(shape["points"], 100, 80)
        np.testing.assert_array_equal(decoded(element), expected)
    assert [(note.count, note.reason) for note in report.altered] == [
        (2, "an outline across pixels became the pixels whose centres it holds"),
        (1, "reached outside the image, its mask ends at the edge"),
    ]
    assert [note.count for note in report.dropped] == [2]
    unknown, _ = cvat(bench.task("a.png", shapes[-1], width=None, height=None), replace=True)
    assert unknown.dropped[0].reason == "a mask that reaches beyond 65,536 pixels"


def test_what_cvat_has_no_place_for_is_dropped_with_a_reason(bench, cvat):
    report, root = cvat(
        bench.task(
            "a.png",
            bench.shape("bbox", [1, 2, float("nan"), 4]),
            bench.shape("bbox", [1, 2, 3]),
            bench.shape("bbox", [1, 2, 1e12, 4]),
            bench.shape("circle", [1, 2, 0]),
            bench.shape("text", None),
            bench.shape("pose_estimation", keypoints=[]),
            bench.shape("bbox", [1, 2, 3, 4], value=None),
            bench.shape("bbox", [1, 2, 300, 4]),
        )
    )
    assert len(list(root.iter("box"))) == 1
    assert (report.written, report.dropped_count) == (1, 7)
    assert [note.reason for note in report.noticed] == ["it reaches outside the image"]
    with pytest.raises(LossError):
        cvat(bench.task("a.png", bench.shape("text", None)), strict=True, replace=True)


def test_flags_tags_and_skeletons_have_no_place_for_are_attributes(bench, cvat, again):
    said = [
        {"key": "occluded", "name": "occluded", "type": "switch", "value": True},
        {"key": "z_order", "name": "z_order", "type": "text", "value": "3"},
    ]
    shapes = [
        bench.shape("bbox", [1, 2, 3, 4], attributes=said),
        bench.shape("classification", None, "scene", attributes=said),
        bench.shape("pose_estimation", None, "ape", keypoints=[{"key": "nose", "value": [1, 2, 1]}], attributes=said),
        bench.shape("polygon", [1, 2, 3, 4, 5, 1], attributes=[{**said[1], "value": "on top"}]),
        bench.shape("line", [1, 2, 3, 4], attributes=[{"key": "source", "name": "source", "value": "manual"}]),
    ]
    _, root = cvat(bench.task("a.png", *shapes))
    elements = {element.tag: [one.get("name") for one in element.iter("attribute")] for element in root.find("image")}
    assert elements == {
        "box": [],
        "tag": ["occluded", "z_order"],
        "skeleton": ["occluded"],
        "polygon": ["z_order"],
        "polyline": ["source"],
    }
    for label in root.iter("label"):
        declared = {one.findtext("name") for one in label.iter("attribute")}
        assert declared == {"dog": {"z_order", "source"}, "scene": {"occluded", "z_order"}, "ape": {"occluded"}}.get(
            label.findtext("name"), set()
        )
    back = annotations_of(again())
    assert [{one["key"]: one["value"] for one in row["attributes"]} for row in back] == [
        {one["key"]: one["value"] for one in shape["attributes"]} for shape in shapes
    ]


def test_titles_of_options_and_blanks_around_names_come_back(bench, cvat, again):
    """Whatever stands between two tags may have blanks around it that mean nothing: the exact names stand elsewhere."""
    options = [{"title": "赤", "value": "red"}, {"title": "two\nlines", "value": " a\nb "}]
    attribute = {"id": "a1", "key": " kind ", "name": "Kind", "type": "select", "order": 1, "options": options}
    points = [{"key": " nose ", "name": "nose", "value": [5, 6, 1]}, {"key": "eye", "name": "eye", "value": [7, 8, 1]}]
    known = [{"key": one["key"], "name": one["name"], "edges": []} for one in points]
    classes = [
        bench.klass(" car ", 1) | {"attributes": [attribute], "title": " Car "},
        bench.klass(" man ", 2, type="pose_estimation") | {"keypoints": known},
    ]
    cvat(
        bench.task(
            "a.png",
            bench.shape("bbox", [1, 2, 3, 4], " car ", attributes=[text(" kind ", " a\nb ", "select", "Kind")]),
            bench.shape("pose_estimation", value=" man ", keypoints=points),
        ),
        classes=classes,
    )
    content = again()
    assert not content.report.noticed
    car, man = classes_to_fastlabel(content.classes)
    assert (car["value"], car["title"], man["value"]) == (" car ", " Car ", " man ")
    (declared,) = car["attributes"]
    assert (declared["key"], declared["options"]) == (" kind ", options)
    assert [one["key"] for one in man["keypoints"]] == [" nose ", "eye"]
    (box, pose) = annotations_of(content)
    assert box["attributes"] == [text(" kind ", " a\nb ", "select", "Kind")]
    assert [one["key"] for one in pose["keypoints"]] == [" nose ", "eye"]


def test_a_skeleton_without_a_point_is_not_written(bench, cvat, again):
    poses = [
        bench.shape("pose_estimation", value="ape", keypoints=[{"key": key, "value": [1, 2, 1]}], id=key)
        for key in ("nose", "tail")
    ]
    report, root = cvat(bench.task("a.png", *poses), classes=[bench.klass("ape", kind="pose_estimation")])
    assert len(list(root.iter("skeleton"))) == report.written == 1
    assert [(note.reason, note.count) for note in report.dropped] == [("none of its keypoints is one of its class", 1)]
    assert [row["id"] for row in annotations_of(again())] == ["nose"]


def test_reversed_corners_and_turns_are_the_same_box(bench, cvat):
    _, root = cvat(bench.task("a.png", bench.shape("bbox", [30, 40, 10, 20], rotation=-90)))
    (box,) = root.iter("box")
    assert [box.get(name) for name in ("xtl", "ytl", "xbr", "ybr", "rotation")] == ["10", "20", "30", "40", "270"]


def test_characters_xml_cannot_hold_are_replaced_and_told(bench, cvat, again):
    shape = bench.shape("bbox", [1, 2, 3, 4], "a\x01b", attributes=[text("k", "\x0c"), text("tab", "\t\r\n ")])
    report, _ = cvat(bench.task("a.png", shape))
    assert sum(note.count for note in report.altered) == 2  # the class is not in the project
    (row,) = annotations_of(again())
    assert row["value"] == "a\ufffdb" and [one["value"] for one in row["attributes"]] == ["\ufffd", "\t\r\n "]


def test_parts_are_the_subsets_of_a_project(bench, cvat, again, pictures):
    tasks = [bench.task(f"{part}.png", bench.shape("bbox", [1, 2, 3, 4]), tags=[part]) for part in ("train", "val")]
    content = bench.labels(*tasks)
    images = pictures(content, bench.folder / "pictures")
    report, root = cvat(*tasks, images=images, split="tags")
    assert report.splits == {"train": 1, "val": 1} and report.files == 3
    assert [one.text for one in root.iter("subset")] == ["train", "val"]
    assert {image.get("name"): image.get("subset") for image in root.iter("image")} == {
        "train.png": "train",
        "val.png": "val",
    }
    assert (bench.folder / "cvat/images/val/val.png").is_file()
    found = again().tasks.to_pylist()
    assert sorted((task["name"], *task["tags"], task["url"].rpartition("/images/")[2]) for task in found) == [
        ("train.png", "train", "train/train.png"),
        ("val.png", "val", "val/val.png"),
    ]


_DATUMARO = """
import json, sys
from datumaro.components.dataset import Dataset
found = []
for item in Dataset.import_from(sys.argv[1], sys.argv[2]):
    for one in item.annotations:
        kind = one.type.name
        row = [item.id, kind]
        if kind == "rotated_bbox":
            row += [one.cx, one.cy, one.w, one.h, one.r]
        elif kind == "mask":
            row += [int(one.image.sum()), *map(int, one.get_bbox())]
        elif kind == "bbox":
            row += list(map(float, one.points))
        elif kind != "label":
            row += list(map(float, one.points))
        found.append(row)
json.dump(found, sys.stdout)
"""


@pytest.fixture
def datumaro(asked, bench):
    """What Datumaro finds in an export: item, type and numbers of every annotation."""
    return lambda format, name: asked(_DATUMARO, bench.folder / format, name)


def test_datumaro_reads_the_same_numbers(bench, cvat, everything, pictures, datumaro):
    task, classes = everything
    images = pictures(bench.labels(task, classes=classes), bench.folder / "pictures")
    cvat(task, classes=classes, images=images)
    found = datumaro("cvat", "cvat")
    assert {row[0] for row in found} == {"sub/a & b"}
    by_type = {}
    for _, kind, *numbers in found:
        by_type.setdefault(kind, []).append(numbers)
    np.testing.assert_allclose(by_type["bbox"], [[1.25, 2, 30.12, 40]], rtol=1e-6)  # it keeps two decimals
    np.testing.assert_allclose(by_type["rotated_bbox"], [[20, 30, 20, 20, 33.5]])
    np.testing.assert_allclose(by_type["polygon"], [[1, 2, 3, 4.125, 5, 9, 1, 7]], atol=0.006)
    np.testing.assert_allclose(by_type["polyline"], [[1, 2, 4, 5, 9.5, 5]])
    assert [numbers[0] for numbers in by_type["mask"]] == [900 - 100 + 100, 100]
    # It knows no skeletons and reads their points one by one.
    assert by_type["points"] == [[1, 2], [1, 2], [3, 4.5], [0, 0]]
    assert by_type["label"] == [[]]


def test_datumaro_reads_kitti_and_dota_as_well(bench, pictures, datumaro):
    tasks = [
        bench.task("a_1.png", bench.shape("bbox", [1, 2, 30.5, 40]), bench.shape("bbox", [3, 4, 5, 6], "cat")),
        bench.task("b_2.png"),
    ]
    images = pictures(bench.labels(*tasks), bench.folder / "pictures")
    split = {"train": 1.0}
    bench.write(*tasks, format="kitti", images=images, split=split)
    assert datumaro("kitti", "kitti_detection") == [
        ["a_1", "bbox", 1, 2, 30.5, 40],
        ["a_1", "bbox", 3, 4, 5, 6],
    ]
    bench.write(*tasks, format="dota", images=images, split=split)
    assert [row[:1] + row[2:6] for row in datumaro("dota", "dota")] == [
        ["a_1", 15.75, 21, 29.5, 38],
        ["a_1", 4, 5, 2, 2],
    ]


def test_labelformat_reads_the_same_boxes(bench, cvat):
    rng = np.random.default_rng(5)
    boxes = [np.sort(rng.uniform(0, 80, (2, 2)), axis=0).reshape(-1).tolist() for _ in range(30)]
    tasks = [
        bench.task(f"{place}.png", *(bench.shape("bbox", box) for box in boxes[10 * place : 10 * place + 10]))
        for place in range(3)
    ]
    cvat(*tasks)
    theirs = CVATObjectDetectionInput(bench.folder / "cvat" / "annotations.xml")
    found = [[*vars(one.box).values()] for image in theirs.get_labels() for one in image.objects]
    assert found == boxes


def test_coco_mini_through_cvat_and_back(coco_mini, tmp_path):
    content = formats.read(coco_mini, format="coco")
    report = formats.write(content, format="cvat", target=tmp_path / "cvat")
    found = formats.read(tmp_path / "cvat", format="cvat")
    assert report.written == 424 and found.report.annotations == 424 and found.report.dropped == ()
    before = {task["id"]: task for task in tasks_of(content)}
    assert set(before) == {task["id"] for task in tasks_of(found)}
    for task in tasks_of(found):
        for ours, theirs in zip(task["annotations"], before[task["id"]]["annotations"], strict=True):
            assert (ours["type"], ours["value"]) == (theirs["type"], theirs["value"])
            if ours["type"] == "segmentation":
                size = task["width"], task["height"]
                masks = [raster.regions_to_mask(one["points"], *size) for one in (ours, theirs)]
                np.testing.assert_array_equal(*masks)
            else:
                assert ours["points"] == theirs["points"]


FOREIGN = """<version>1.1</version><meta><task><name>t</name><labels>
<label><name>car</name><color>#ff00aa</color><type>any</type><attributes>
<attribute><name>model</name><mutable>False</mutable><input_type>select</input_type><values>a
b</values></attribute><attribute><name>parked</name><input_type>checkbox</input_type></attribute></attributes></label>
</labels></task></meta>
<image id="0" name="frames\\a.png" width="100" height="80" subset="Validation">
<box label="car" occluded="1" source="auto" xtl="10.50" ytl="20.00" xbr="5.00" ybr="30.00" rotation="725" z_order="3">
<attribute name="model">b</attribute><attribute name="parked">true</attribute><attribute name="new">1</attribute></box>
<points label="car" points="1.00,2.00;3.00,4.00"></points>
<ellipse label="car" cx="10" cy="20" rx="4" ry="2" rotation="90"/>
<cuboid label="car" xtl1="1"/><wheel/>
<box label="car" xtl="1" ytl="nan" xbr="3" ybr="4"/><box label="car" xtl="1"/><box xtl="1" ytl="2" xbr="3" ybr="4"/>
<polygon label="car" points="1,2;3,4"/><polyline label="car" points="1,2,3;4"/><polygon label="car"/>
<mask label="car" rle="0,5" left="1" top="2" width="2" height="2"/>
<mask label="car" rle="0, 4" left="1" top="2" width="2" height="2"/>
<tag label="unlisted"/>
<skeleton label="man"><points label="1" points="1,2" outside="0" occluded="1"/>
<points label="2" outside="1"/></skeleton>
</image><image id="1" width="5"><box/></image><strange/>"""


def test_other_people_s_files_are_read_with_everything_told(read):
    content = read(FOREIGN)
    (task,) = tasks_of(content)
    assert (task["name"], task["tags"], task["width"]) == ("frames/a.png", ["Validation"], 100)
    rows = task["annotations"]
    assert [row["type"] for row in rows] == [
        "bbox",
        "keypoint",
        "keypoint",
        "polygon",
        "segmentation",
        "classification",
        "pose_estimation",
    ]
    assert (rows[0]["points"], rows[0]["rotation"], rows[0]["color"]) == ([5, 20, 10.5, 30], 5, "#ff00aa")
    assert {one["key"]: (one["type"], one["value"]) for one in rows[0]["attributes"]} == {
        "model": ("select", "b"),
        "parked": ("switch", True),
        "new": ("text", "1"),
        "occluded": ("switch", True),
        "z_order": ("text", "3"),
        "source": ("text", "auto"),
    }
    corners = np.array(rows[3]["points"]).reshape(-1, 2)
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[8, 16], [12, 24]])
    assert rows[4]["points"] == [[[1, 2, 3, 2, 3, 4, 1, 4, 1, 2]]]
    assert [(one["key"], one["value"]) for one in rows[6]["keypoints"]] == [("1", [1, 2, 0])]
    dropped = {note.reason: note.count for note in content.report.dropped}
    assert dropped == {
        "a shape FastLabel does not have": 1,
        "an unknown element": 1,
        "a coordinate is missing or no finite number": 3,
        "a polygon of fewer than three points": 2,
        "a mask that is damaged, or larger than any picture": 1,
        "a shape without a label": 1,
        "an image without a name": 1,
        "its image has no name": 1,
        "an element CVAT's format does not have": 1,
    }
    assert "annotations.xml, image 0 frames/a.png, wheel 5" in {
        example for note in content.report.dropped for example in note.examples
    }
    assert [note.count for note in content.report.altered] == [1, 1, 1]
    (declared,) = [row for row in classes_to_fastlabel(content.classes) if row["value"] == "car"][:1]
    assert [one["options"][0]["value"] for one in declared["attributes"] if one["type"] == "select"] == ["a"]


def test_cvat_s_own_attributes_come_and_go(read, tmp_path):
    content = read(FOREIGN)
    formats.write(content, format="cvat", target=tmp_path / "cvat")
    box = next(ElementTree.parse(tmp_path / "cvat/annotations.xml").getroot().iter("box"))
    assert [box.get(name) for name in ("z_order", "source", "occluded")] == ["3", "auto", "1"]
    assert [one.get("name") for one in box] == ["model", "parked", "new"]


def test_tracks_are_annotations_of_a_video(read):
    shapes = "".join(
        f'<box frame="{frame}" keyframe="{int(frame % 2 == 0)}" outside="{int(frame == 3)}" occluded="0" '
        f'xtl="{frame}" ytl="2" xbr="30" ybr="40"><attribute name="model">a</attribute></box>'
        for frame in range(4)
    )
    content = read(
        "<meta><task><name>film</name><size>9</size><source>film.mp4</source>"
        "<original_size><width>640</width><height>480</height></original_size></task></meta>"
        f'<track id="0" label="car">{shapes}</track><track id="1" label="car"><mask frame="0"/></track>'
        '<track id="2" label="car"/><track id="3"><box frame="x" xtl="1"/></track>'
    )
    (task,) = content.tasks.to_pylist()
    assert [task[name] for name in ("name", "width", "height", "frame_count")] == ["film.mp4", 640, 480, 9]
    (row,) = task["annotations"]
    assert row["type"] == "bbox"
    assert [(one["frame"], one["value"], one["autogenerated"]) for one in row["frames"]] == [
        (1, [0, 2, 30, 40], False),
        (2, [1, 2, 30, 40], True),
        (3, [2, 2, 30, 40], False),
    ]
    assert content.report.dropped_count == 3
    assert [one["key"] for one in row["attributes"]] == ["model"]


def test_several_files_are_subsets_and_a_bad_one_sinks_nothing(tmp_path):
    for name in ("train", "val"):
        image = '<image id="0" name="a.png"><tag label="x"/></image>'
        (tmp_path / f"{name}.xml").write_text(f"<annotations>{image}</annotations>")
    (tmp_path / "wrong.xml").write_text("<osm/>")
    content = formats.read(tmp_path, format="cvat")
    assert [(task["name"], task["tags"]) for task in tasks_of(content)] == [
        ("train/a.png", ["train"]),
        ("val/a.png", ["val"]),
    ]
    assert [(note.type, note.examples) for note in content.report.dropped] == [("file", ("wrong.xml",))]


BOMB = "<!DOCTYPE lolz [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (f"{BOMB}]><annotations><image name='&i;'/></annotations>".encode(), "document type"),
        (f"{BOMB}]><annotations><image name='&i;'/></annotations>".encode("utf-16"), "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type"),
        (b"<annotations>&x;</annotations>", "not XML"),
        (b"<annotations><image", "line 1"),
        (b"<osm/>", "root element"),
        (b"", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        (b'<?xml version="1.0" encoding="klingon"?><annotations/>', "klingon|encoding"),
        (b"<annotations>" + b"<a>" * 100_000, "lie in each other"),
    ],
    ids=["bomb", "bomb in UTF-16", "external", "entity", "cut", "root", "empty", "junk", "encoding", "deep"],
)
def test_what_is_no_xml_or_a_trap_is_an_error_that_names_the_file(read, document, said):
    with pytest.raises(FormatError, match=said) as error:
        read(document)
    assert "annotations.xml" in str(error.value)


@pytest.mark.parametrize("encoding", ["Shift_JIS", "EUC-JP", "ISO-2022-JP"])
def test_files_in_japanese_encodings_are_read(tmp_path, encoding):
    box = '<box label="{}" xtl="1" ytl="1" xbr="2" ybr="2"/>'
    images = [
        f'<image id="{n}" name="表{"ソ" * (n % 5)}{n}.png">{box.format("猫能"[n % 2])}</image>' for n in range(1200)
    ]
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<annotations>{"".join(images)}</annotations>'
    tasks = {}
    for name in ("utf-8", encoding):
        (tmp_path / "annotations.xml").write_bytes(text.replace(encoding, name).encode(name))
        content = formats.read(tmp_path, format="cvat", strict=True)
        tasks[name] = content.tasks.drop_columns(["annotations"]), content.annotations["value"]
    assert tasks[encoding] == tasks["utf-8"] and tasks["utf-8"][0].num_rows == 1200
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    for rest, said in (
        (b"<annotations>\x81</annotations>", "encoding cannot be read"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', "document type"),
    ):
        (tmp_path / "annotations.xml").write_bytes(head + rest)
        with pytest.raises(FormatError, match=f"(?i){said}"):
            formats.read(tmp_path, format="cvat")


def test_a_file_is_streamed(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotations>" + "<image><box/></image>" * 50_000 + "</annotations>")
    seen = []
    for element in iterate_xml(path, "annotations"):
        if seen:
            assert len(seen[-1]) == 1  # what was handed out stays whole
        seen[:] = [element]
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "none", format="cvat")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no annotations"):
        formats.read(tmp_path / "empty", format="cvat")


def test_a_picture_outside_the_folder_is_not_the_image_s(read, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    content = read('<image id="0" name="../secret.png"/><image id="1" name="/etc/passwd"/>')
    assert [task["url"] for task in content.tasks.to_pylist()] == [None, None]


numbers = st.floats(-1e4, 1e4, allow_nan=False)
positive = st.floats(1e-3, 1e3)
words = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=6
)
drawings = st.one_of(
    st.tuples(st.just("bbox"), st.tuples(numbers, numbers, positive, positive)),
    st.tuples(st.just("polygon"), st.lists(numbers, min_size=3, max_size=6).map(lambda xs: [*xs, *xs])),
    st.tuples(st.just("line"), st.lists(numbers, min_size=2, max_size=6).map(lambda xs: [*xs, *xs])),
    st.tuples(st.just("keypoint"), st.tuples(numbers, numbers)),
    st.tuples(st.just("circle"), st.tuples(numbers, numbers, positive)),
    st.tuples(st.just("classification"), st.none()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(drawings, words, words, words), max_size=6))
def test_shapes_classes_and_attributes_survive_the_way(bench, drawn):
    shapes = []
    for (kind, points), value, key, said in drawn:
        flat = None if points is None else [number + 0.0 for number in points]
        if kind == "bbox":
            x, y, width, height = points
            flat = [x + 0.0, y + 0.0, x + width, y + height]
        shapes.append(bench.shape(kind, flat, value, attributes=[text(f"k{key}", said)]))
    report = bench.write(bench.task("a.png", *shapes), format="cvat", replace=True)
    assert not report.dropped
    rows = annotations_of(formats.read(bench.folder / "cvat", format="cvat"))
    for shape, row in zip(shapes, rows, strict=True):
        for name in ("type", "value", "attributes"):
            assert row[name] == shape[name]
        assert row.get("points") == shape.get("points")


def test_no_mutation_of_a_file_is_more_than_a_counted_loss(tmp_path, bench, cvat, everything):
    task, classes = everything
    cvat(task, classes=classes)
    base = (bench.folder / "cvat/annotations.xml").read_bytes()
    rng = random.Random(13)
    harmless = [
        "",
        "nan",
        "-1e999",
        "9" * 400,
        "1e308",
        "&amp;",
        "-1",
        "0",
        "null",
        "[]",
        "{}",
        "٣",
        ";",
        ",",
        "1,2",
        "tag",
    ]
    junk = [*harmless, '"', "<a/>", "<points/>", "x" * 50, "</image>"]
    counts = {"read": 0, "refused": 0}
    path = tmp_path / "mutated" / "annotations.xml"
    path.parent.mkdir()
    for turn in range(300):
        data = base
        for _ in range(rng.randint(1, 5)):
            if turn % 3:  # another value of an XML attribute, or another text
                places = [found.span(1) for found in re.finditer(rb'(?:="|>)([^"<>]*)(?=["<])', data)]
                start, end = rng.choice(places)
                data = data[:start] + rng.choice(harmless).encode() + data[end:]
            else:
                at = rng.randrange(len(data))
                data = data[:at] + rng.choice(junk).encode() + data[at + rng.randint(0, 30) :]
        path.write_bytes(data)
        try:
            content = formats.read(path, format="cvat")
        except FormatError:
            counts["refused"] += 1
            continue
        counts["read"] += 1
        assert isinstance(content, Labels) and content.report.annotations == content.annotations.num_rows
        assert len(tasks_of(content)) == content.report.tasks
    assert counts["read"] > 150 and counts["refused"] > 50


@pytest.mark.parametrize("split", ["auto", "tags"])
def test_cvat_s_own_names_of_subsets_are_the_parts_of_what_is_made_of_them(read, tmp_path, split):
    """CVAT offers Train, Validation and Test, with capitals."""
    body = "".join(
        f'<image id="{number}" name="{number}.jpg" subset="{subset}" width="64" height="48"><box label="x" xtl="1" '
        'ytl="2" xbr="30" ybr="40"/></image>'
        for number, subset in enumerate(["Train", "Train", "Validation", "Test"])
    )
    report = formats.write(read(body), format="yolo", target=tmp_path / "yolo", split=split)
    assert report.splits == {"train": 2, "val": 1, "test": 1}
    assert not [note for note in report.noticed if "tags" in note.reason]
