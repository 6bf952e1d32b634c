"""Pascal VOC: equal to the SDK where the SDK is right, read by others as it is meant, lossless where the format is."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats.errors import FormatError, LossError
from fastlabel_dagster.formats.pascal_voc.alike import ObjectForm


@pytest.fixture
def voc(bench):
    """Write, and look at the XML files as parsed elements; or write XML files by hand and read them."""

    class Voc:
        folder = bench.folder / "pascal_voc"

        def write(self, *tasks, **options):
            report = bench.write(*tasks, format="pascal_voc", **options)
            place = self.folder / "Annotations"
            return report, {
                path.relative_to(place).as_posix(): ElementTree.parse(path).getroot() for path in place.rglob("*.xml")
            }

        def back(self, **options):
            return formats.read(self.folder, format="pascal_voc", **options)

        def read(self, files, **options):
            source = bench.folder / "source"
            for name, text in files.items():
                path = source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return formats.read(source, format="pascal_voc", **options)

    return Voc()


def xml(*objects, filename="a.jpg", size=(100, 80), extra=""):
    sized = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{sized}{extra}{''.join(objects)}</annotation>"


def box(name="dog", xmin=1, ymin=2, xmax=30, ymax=40, extra=""):
    sides = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox>{extra}</object>"


def shapes_of(read):
    return [
        (row["type"], row["value"], row["points"])
        for row in read.annotations.select(["type", "value", "points"]).to_pylist()
    ]


def test_blanks_around_a_class_name_are_told(voc) -> None:
    read = voc.read({"a.xml": xml(box("\n  dog "), box()), "b.xml": xml(box(), filename="b.jpg")})
    assert [value for _, value, _ in shapes_of(read)] == ["dog"] * 3
    assert [(note.reason, note.count, note.examples) for note in read.report.altered] == [
        ("blanks around the name of the class were left out", 1, ("a.xml, object 1",))
    ]


def test_class_names_that_differ_in_blanks_stay_apart_in_our_own_exports(bench, voc) -> None:
    shapes = [bench.shape("bbox", [1, 2, 30, 40], value) for value in ("dog", " dog", "dog ")]
    voc.write(bench.task("a.jpg", *shapes), classes=[])
    read = voc.back()
    assert [value for _, value, _ in shapes_of(read)] == ["dog", " dog", "dog "]
    assert read.report.altered == ()


def reasons(notes):
    return {note.reason: note.count for note in notes}


def switch(key, value=True):
    return {"key": key, "name": key, "type": "switch", "value": value}


# Beside the SDK ---------------------------------------------------------------------------------------------------


def sdk_writes(*tasks):
    converters = pytest.importorskip("fastlabel.converters")
    return [voc["annotation"] for voc in converters.to_pascalvoc("image_bbox", list(tasks), ".")]


def sdk_reads(text, name="a.xml"):
    converters = pytest.importorskip("fastlabel.converters")
    xmltodict = pytest.importorskip("xmltodict")
    return converters.execute_pascalvoc_to_fastlabel(xmltodict.parse(text), name)


def as_the_sdk_writes(root):
    """Our XML in the SDK's structure, with what it does not have left out."""
    document = {
        "filename": root.findtext("filename"),
        "size": {side: int(root.findtext(f"size/{side}")) for side in ("width", "height", "depth")},
        "segmented": int(root.findtext("segmented")),
    }
    objects = [
        {
            "name": one.findtext("name"),
            "pose": one.findtext("pose"),
            **{flag: int(one.findtext(flag)) for flag in ("truncated", "occluded", "difficult")},
            "bndbox": {side.tag: float(side.text) for side in one.find("bndbox")},
        }
        for one in root.findall("object")
    ]
    return {**document, "object": objects} if objects else document


SIDE = st.integers(0, 100)


@st.composite
def correct_for_the_sdk(draw):
    """Annotations within the domain where the SDK's VOC is right: upright boxes and polygons of whole pixels."""
    annotations = []
    for number in range(draw(st.integers(0, 4))):
        x, y, width, height = draw(SIDE), draw(SIDE), draw(st.integers(1, 50)), draw(st.integers(1, 50))
        attributes = [
            switch(key, draw(st.booleans()))
            for key in draw(st.lists(st.sampled_from(["truncated", "occluded", "difficult"]), unique=True))
        ]
        kind = draw(st.sampled_from(["bbox", "polygon"]))
        points = [x, y, x + width, y + height] if kind == "bbox" else [x, y, x + width, y, x, y + height]
        value = draw(st.text("abÄ犬<&>\"' 1", min_size=1).map(str.strip).filter(bool))
        annotations.append(
            {
                "id": str(number),
                "type": kind,
                "value": value,
                "title": value,
                "color": "#ff0000",
                "points": points,
                "attributes": attributes,
            }
        )
    return annotations


@settings(max_examples=60, deadline=None)
@given(st.lists(correct_for_the_sdk(), min_size=1, max_size=3))
def test_written_as_the_sdk_writes_where_it_is_right(tmp_path_factory, projects):
    folder = tmp_path_factory.mktemp("voc")
    tasks = [
        {"id": f"t{i}", "name": f"{i}.jpg", "width": 200, "height": 150, "tags": [], "annotations": annotations}
        for i, annotations in enumerate(projects)
    ]
    content = labels.from_fastlabel(tasks, [])
    formats.write(content, format="pascal_voc", target=folder / "out")
    for theirs in sdk_writes(*tasks):
        path = folder / "out" / "Annotations" / theirs["filename"].replace(".jpg", ".xml")
        assert as_the_sdk_writes(ElementTree.parse(path).getroot()) == theirs
        for flag in ("truncated", "occluded", "difficult"):
            assert all(type(one[flag]) is int for one in theirs.get("object", []))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["dog", "cat", "Ä 犬"]), SIDE, SIDE, SIDE, SIDE), min_size=1, max_size=5))
def test_read_as_the_sdk_reads_where_it_is_right(tmp_path_factory, objects):
    folder = tmp_path_factory.mktemp("voc")
    text = xml(*(box(name, min(x, u), min(y, v), max(x, u) + 1, max(y, v) + 1) for name, x, y, u, v in objects))
    (folder / "a.xml").write_text(text)
    name, theirs = sdk_reads(text)
    ours = formats.read(folder, format="pascal_voc")
    assert ours.tasks["name"].to_pylist() == [name]
    assert shapes_of(ours) == [(one["type"], one["value"], [float(side) for side in one["points"]]) for one in theirs]


def sides(root, place=1):
    return [float(side.text) for side in root.findall("object")[place - 1].find("bndbox")]


def test_v1_rotation_fractions_and_segmentations(bench, voc):
    turned = bench.shape("bbox", [10, 10, 90, 20], rotation=90)
    fraction = bench.shape("bbox", [10.6, 10.6, 20.4, 20.4])
    region = bench.shape("segmentation", [[[0, 0, 40, 0, 40, 30, 0, 0]]])
    task = bench.task("a.jpg", turned, fraction, region)
    [theirs] = sdk_writes(task)
    assert [list(one["bndbox"].values()) for one in theirs["object"]] == [[10, 10, 90, 20], [10, 10, 20, 20]]
    report, files = voc.write(task)
    assert [sides(files["a.xml"], place) for place in (1, 2, 3)] == [
        [45, -25, 55, 55],
        [10.6, 10.6, 20.4, 20.4],
        [0, 0, 40, 30],
    ]
    assert reasons(report.altered) == {
        "a turned box became the upright box around it": 1,
        "a shape became the box around it": 1,
    }
    assert reasons(report.noticed) == {"reaches outside the image": 1}


def test_v2_an_annotation_without_attributes(bench, voc):
    annotation = bench.shape("bbox", [1, 2, 3, 4])
    del annotation["attributes"]
    with pytest.raises(KeyError):
        sdk_writes(bench.task("a.jpg", annotation))
    _, files = voc.write(bench.task("a.jpg", annotation))
    assert sides(files["a.xml"]) == [1, 2, 3, 4]


def test_v3_folder_and_source_are_there(bench, voc):
    task = bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4]))
    [theirs] = sdk_writes(task)
    assert "folder" not in theirs and "source" not in theirs
    _, files = voc.write(task)
    assert files["a.xml"].findtext("folder") == "JPEGImages"
    assert files["a.xml"].findtext("source/database") == "FastLabel"


def test_v4_children_in_any_order(voc):
    text = xml(
        "<object><name>c</name><bndbox><xmin>1</xmin><xmax>5</xmax><ymin>2</ymin><ymax>9</ymax></bndbox></object>"
    )
    assert sdk_reads(text)[1][0]["points"] == [1, 5, 2, 9]  # x, x, y, y
    assert shapes_of(voc.read({"a.xml": text})) == [("bbox", "c", [1, 2, 5, 9])]


def test_v5_fractions(voc):
    text = xml(box(xmin=1.5, ymin="2.25", xmax="3e1", ymax=" 40.75 "))
    with pytest.raises(ValueError, match="invalid literal"):
        sdk_reads(text)
    assert shapes_of(voc.read({"a.xml": text})) == [("bbox", "dog", [1.5, 2.25, 30, 40.75])]


def test_v6_no_object_and_a_single_one(voc):
    with pytest.raises(KeyError):
        sdk_reads(xml())
    read = voc.read({"a.xml": xml(), "b.xml": xml(box(), filename="b.jpg")})
    assert read.tasks["name"].to_pylist() == ["a.jpg", "b.jpg"]
    assert [len(row) for row in read.tasks["annotations"].to_pylist()] == [0, 1]


def test_y8_and_y9_names_neither_collide_nor_escape(bench, voc, tree):
    report, files = voc.write(
        bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4])),
        bench.task("a.png", bench.shape("bbox", [5, 6, 7, 8])),
        bench.task("../../evil.jpg"),
        bench.task(" b.jpg ", id="b"),
    )
    assert len(files) == 4
    assert all(not path.startswith("..") for path in tree(bench.folder))
    read = voc.back()
    assert sorted(read.tasks["name"].to_pylist()) == [" b.jpg ", "../../evil.jpg", "a.jpg", "a.png"]
    assert set(read.tasks["task_id"].to_pylist()) == {"id-a.jpg", "id-a.png", "id-../../evil.jpg", "b"}
    assert report.images == 4


# Writing ----------------------------------------------------------------------------------------------------------


def test_parts_are_lists_of_names(bench, voc):
    tasks = [bench.task(f"sub/{tag}.jpg", tags=[tag]) for tag in ("train", "val", "test")]
    report, _ = voc.write(*tasks, split="tags")
    place = voc.folder / "ImageSets" / "Main"
    assert {path.name: path.read_text() for path in place.iterdir()} == {
        "train.txt": "sub/train\n",
        "val.txt": "sub/val\n",
        "test.txt": "sub/test\n",
        "trainval.txt": "sub/train\nsub/val\n",
    }
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    read = voc.back()
    assert dict(zip(read.tasks["name"].to_pylist(), read.tasks["tags"].to_pylist(), strict=True)) == {
        "sub/train.jpg": ["train"],
        "sub/val.jpg": ["val"],
        "sub/test.jpg": ["test"],
    }


def test_without_a_split_all_are_for_training_and_no_tag_is_made_up(bench, voc):
    voc.write(bench.task("b.jpg"), bench.task("a.jpg"))
    assert [path.name for path in (voc.folder / "ImageSets" / "Main").iterdir()] == ["trainval.txt"]
    assert (voc.folder / "ImageSets" / "Main" / "trainval.txt").read_text() == "a\nb\n"
    assert voc.back().tasks["tags"].to_pylist() == [[], []]


@pytest.mark.parametrize(
    ("points", "whole"),
    [
        ([10.6, 10.4, 20.4, 20.6], [11, 10, 20, 21]),  # the nearest pixel, where the SDK goes down
        ([10.1, 10.1, 10.3, 10.4], [10, 10, 11, 11]),  # a box smaller than a pixel keeps one
        ([0.5, 1.5, 2.5, 3.5], [1, 2, 3, 4]),  # halves go up
        ([1, 2, 3, 4], [1, 2, 3, 4]),
    ],
)
def test_whole_pixels_on_request(bench, voc, points, whole):
    report, files = voc.write(bench.task("a.jpg", bench.shape("bbox", points)), coordinates="integer")
    assert [side.text for side in files["a.xml"].find("object/bndbox")] == [str(side) for side in whole]
    assert ("its corners were rounded to whole pixels" in reasons(report.altered)) == (points != whole)


def test_the_devkits_counting_from_one(bench, voc):
    """A box of the left upper pixel alone is 1, 1, 1, 1 for the devkit, which counts width as xmax - xmin + 1."""
    voc.write(
        bench.task("a.jpg", bench.shape("bbox", [0, 0, 1, 1]), bench.shape("bbox", [10, 20, 30, 60])), first_pixel=1
    )
    root = ElementTree.parse(voc.folder / "Annotations" / "a.xml").getroot()
    assert [sides(root, place) for place in (1, 2)] == [[1, 1, 1, 1], [11, 21, 30, 60]]
    for options in ({"first_pixel": 1}, {}):
        assert [points for _, _, points in shapes_of(voc.back(**options))] == [[0, 0, 1, 1], [10, 20, 30, 60]]
    assert [points for _, _, points in shapes_of(voc.back(first_pixel=0))] == [[1, 1, 1, 1], [11, 21, 30, 60]]


def test_outlines_beside_their_boxes(bench, voc):
    holes = [[[0, 0, 40, 0, 40, 40, 0, 40, 0, 0], [10, 10, 10, 20, 20, 20, 20, 10, 10, 10]]]
    report, files = voc.write(
        bench.task(
            "a.jpg",
            bench.shape("polygon", [1.5, 2, 30, 4, 5, 60]),
            bench.shape("bbox", [1, 2, 3, 4]),
            bench.shape("segmentation", [[[0, 0, 40, 0, 40, 30, 0, 0]]]),
            bench.shape("segmentation", holes),
        ),
        outlines="polygon",
    )
    assert [one.find("polygon") is not None for one in files["a.xml"].findall("object")] == [True, False, True, False]
    assert reasons(report.altered) == {"a shape became the box around it": 1}
    assert shapes_of(voc.back()) == [
        ("polygon", "dog", [1.5, 2, 30, 4, 5, 60]),
        ("bbox", "dog", [1, 2, 3, 4]),
        ("polygon", "dog", [0, 0, 40, 0, 40, 30]),
        ("bbox", "dog", [0, 0, 40, 40]),
    ]


def test_what_has_no_box_is_dropped_and_said(bench, voc):
    keypoints = [{"key": "nose", "name": "nose", "value": [5, 6, 1], "edges": []}] * 2
    odd = [
        bench.shape("line", [1, 2, 3, 4]),
        bench.shape("keypoint", [1, 2]),
        bench.shape("classification"),
        bench.shape("pose_estimation", keypoints=keypoints),
        bench.shape("bbox", [1, 2, 3]),
        bench.shape("bbox", [1, 2, 1, 9]),
        bench.shape("bbox", [1, 2, 1e12, 9]),
        bench.shape("polygon", [1, 2, 30, 4, 5, 60]),
        bench.shape("circle", [10, 10, 5]),
    ]
    report, files = voc.write(bench.task("a.jpg", *odd), outlines="drop")
    assert report.written == 0 and report.dropped_count == len(odd) and files["a.xml"].find("object") is None
    assert reasons(report.dropped)["the box has no area"] == 1
    report, files = voc.write(bench.task("a.jpg", *odd))
    assert report.written == 2 and sides(files["a.xml"], 2) == [5, 5, 15, 15]


def test_poses_on_request(bench, voc):
    points = [{"key": key, "name": key, "value": [x, y, 1], "edges": []} for key, x, y in (("a", 3, 4), ("b", 9, 8))]
    report, files = voc.write(bench.task("a.jpg", bench.shape("pose_estimation", keypoints=points)), pose_boxes=True)
    assert sides(files["a.xml"]) == [3, 4, 9, 8]
    assert reasons(report.altered) == {"a pose became the box around its keypoints": 1}


@pytest.mark.parametrize(
    "options", [{"coordinates": "whole"}, {"outlines": "x"}, {"first_pixel": 2}, {"split": "random"}, {"colour": 1}]
)
def test_unknown_settings_are_refused(bench, options):
    with pytest.raises(ValueError):
        bench.write(bench.task(), format="pascal_voc", **options)


def test_a_picture_of_unknown_size_is_written_without_one(bench, voc):
    report, files = voc.write(bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4]), width=0, height=0))
    assert files["a.xml"].find("size") is None and sides(files["a.xml"]) == [1, 2, 3, 4]
    assert reasons(report.noticed) == {"its size is not known, the file does not state it": 1}


def test_text_that_xml_cannot_hold(bench, voc):
    report, _ = voc.write(bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4], value="a\x00b]]>&\t\n")))
    assert reasons(report.altered)["XML cannot hold a character of the class name"] == 1
    assert shapes_of(voc.back())[0][1] == "a\ufffdb]]>&"


def test_pictures_lie_where_the_files_say(bench, voc, pictures, tmp_path):
    content = bench.labels(bench.task("x/a.png", bench.shape("bbox", [1, 2, 3, 4])), bench.task("b.png"))
    report = formats.write(
        content, format="pascal_voc", target=voc.folder, images=pictures(content, tmp_path / "pictures")
    )
    assert report.files == sum(1 for path in voc.folder.rglob("*") if path.is_file()) - 2  # the report and the mark
    read = voc.back()
    assert all(url.startswith("file://") for url in read.tasks["url"].to_pylist())
    assert formats.write(read, format="pascal_voc", target=tmp_path / "again").images == 2
    first, again = voc.folder / "Annotations", tmp_path / "again" / "Annotations"
    for path in first.rglob("*.xml"):
        assert path.read_bytes() == (again / path.relative_to(first)).read_bytes()


# Round trips ------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)
KEY = TEXT.map(str.strip).filter(bool)
NUMBER = st.floats(0, 5000, allow_nan=False).map(lambda value: round(value, 6))


@st.composite
def attribute(draw):
    kind = draw(st.sampled_from(["text", "select", "radio", "checkbox", "switch", "number"]))
    value = draw(
        {
            "checkbox": st.lists(TEXT, max_size=3),
            "switch": st.booleans(),
            "number": st.one_of(st.integers(-1000, 1000), st.floats(-10, 10)),
        }.get(kind, TEXT)
    )
    key = draw(st.one_of(KEY, st.sampled_from(["truncated", "occluded", "difficult", "pose"])))
    return {"key": key, "name": draw(st.one_of(st.just(key), TEXT)), "type": kind, "value": value}


@st.composite
def carried(draw):
    """A task of which VOC carries everything."""
    annotations = []
    for _ in range(draw(st.integers(0, 3))):
        x, y = draw(NUMBER), draw(NUMBER)
        found = draw(st.lists(attribute(), max_size=3, unique_by=lambda one: one["key"]))
        value = draw(KEY)
        points = [x, y, x + draw(st.floats(1e-3, 100)), y + draw(st.floats(1e-3, 100))]
        annotations.append({"type": "bbox", "value": value, "points": points, "attributes": found})
    return annotations


@pytest.mark.parametrize("pose", [" ", " left", "left\n", "Unspecified", "\u3000", "left"])
def test_a_pose_of_any_text_comes_back(bench, pose):
    attribute = {"key": "pose", "name": "pose", "type": "text", "value": pose}
    bench.write(bench.task("a.jpg", bench.shape("bbox", [1, 1, 9, 9], attributes=[attribute])), format="pascal_voc")
    back = formats.read(bench.folder / "pascal_voc", format="pascal_voc")
    (found,) = back.annotations.to_pylist()[0]["attributes"]
    assert {key: found[key] for key in attribute} == attribute


@settings(max_examples=80, deadline=None)
@given(st.lists(carried(), min_size=1, max_size=3))
def test_what_voc_carries_comes_back(tmp_path_factory, projects):
    folder = tmp_path_factory.mktemp("voc")
    tasks = [
        {"id": f"t{i}", "name": f"x/{i}.jpg", "width": 9000, "height": 9000, "tags": [], "annotations": annotations}
        for i, annotations in enumerate(projects)
    ]
    formats.write(labels.from_fastlabel(tasks, []), format="pascal_voc", target=folder / "out")
    read = formats.read(folder / "out", format="pascal_voc", strict=True)
    assert read.tasks["task_id"].to_pylist() == [task["id"] for task in tasks]
    assert read.tasks["name"].to_pylist() == [task["name"] for task in tasks]
    back = [json.loads(text) for text in map(json.dumps, labels.to_fastlabel(read))]
    for task, again in zip(tasks, back, strict=True):
        assert len(task["annotations"]) == len(again["annotations"])
        for one, other in zip(task["annotations"], again["annotations"], strict=True):
            assert (one["type"], one["value"], one["points"]) == (other["type"], other["value"], other["points"])
            plain = {a["key"]: (a["name"], a["type"], a["value"]) for a in one["attributes"]}
            assert {a["key"]: (a["name"], a["type"], a["value"]) for a in other["attributes"]} == plain


def test_classes_come_back_in_order_with_titles_and_colours(bench, voc):
    classes = [bench.klass("b", 2, title="Bee", color="#010203"), bench.klass("a", 7, title="Ay", color="#aabbcc")]
    voc.write(bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4], value="a")), classes=classes)
    rows = voc.back().classes.select(["value", "title", "color", "order"]).to_pylist()
    assert sorted(rows, key=lambda row: row["order"]) == [
        {"value": "b", "title": "Bee", "color": "#010203", "order": 2},
        {"value": "a", "title": "Ay", "color": "#aabbcc", "order": 7},
    ]


def test_real_photographs_there_and_back(coco_mini, tmp_path):
    source = formats.read(coco_mini, format="coco")
    report = formats.write(source, format="pascal_voc", target=tmp_path / "voc")
    read = formats.read(tmp_path / "voc", format="pascal_voc", strict=True)
    assert read.report.annotations == report.written and read.tasks.num_rows == source.tasks.num_rows
    formats.write(read, format="pascal_voc", target=tmp_path / "again")
    for path in (tmp_path / "voc" / "Annotations").rglob("*.xml"):
        again = ElementTree.parse(tmp_path / "again" / "Annotations" / path.name).getroot()
        first = ElementTree.parse(path).getroot()
        assert [one.findtext("name") for one in first.iter("object")] == [
            one.findtext("name") for one in again.iter("object")
        ]
        assert [sides(first, i + 1) for i in range(len(first.findall("object")))] == [
            sides(again, i + 1) for i in range(len(again.findall("object")))
        ]


# Reading ----------------------------------------------------------------------------------------------------------


def test_flags_poses_and_attributes_of_others(voc):
    read = voc.read(
        {
            "a.xml": xml(
                box(
                    extra="<truncated>1</truncated><difficult>0</difficult><occluded>true</occluded><pose>Left</pose>"
                    "<attributes><attribute><name>age</name><value>old</value></attribute></attributes>"
                )
            )
        }
    )
    [annotation] = next(iter(labels.to_fastlabel(read)))["annotations"]
    assert [(a["key"], a["type"], a["value"]) for a in annotation["attributes"]] == [
        ("truncated", "switch", True),
        ("occluded", "switch", True),
        ("pose", "text", "Left"),
        ("age", "text", "old"),
    ]


def test_reversed_corners_are_mended_and_said(voc):
    read = voc.read({"a.xml": xml(box(xmin=30, xmax=1, ymin=40, ymax=2))})
    assert shapes_of(read) == [("bbox", "dog", [1, 2, 30, 40])]
    assert reasons(read.report.altered) == {"the corners of a box were in the wrong order": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (box(xmin="nan"), "a coordinate is not a finite number"),
        (box(xmax="1e400"), "a coordinate is not a finite number"),
        (box(xmax="9" * 5000), "a coordinate is not a finite number"),
        (box(xmax="wide"), "a box whose corners are missing or no numbers"),
        (box(xmax=""), "a box whose corners are missing or no numbers"),
        (
            "<object><name>a</name><bndbox><xmin>1</xmin></bndbox></object>",
            "a box whose corners are missing or no numbers",
        ),
        ("<object><name>a</name></object>", "an object without a box"),
        (box(name=""), "an object without a name"),
        ("<object/>", "an object without a name"),
    ],
)
def test_bad_objects_are_dropped_with_their_place_and_good_ones_stay(voc, text, reason):
    read = voc.read({"sub/a.xml": xml(text, box("cat"))})
    assert shapes_of(read) == [("bbox", "cat", [1, 2, 30, 40])]
    [note] = read.report.dropped
    assert (note.reason, note.examples) == (reason, ("sub/a.xml, object 1",))
    with pytest.raises(LossError):
        formats.read(voc.folder.parent / "source", format="pascal_voc", strict=True)


@pytest.mark.parametrize("child", ["part", "actions", "point", "mask"])
def test_children_that_are_not_read_are_noticed(voc, child):
    read = voc.read({"a.xml": xml(box(extra=f"<{child}><name>head</name></{child}>"))})
    [note] = read.report.noticed
    assert note.examples == ("a.xml, object 1",) and read.report.annotations == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("<annotation verified='yes'>" + xml(box()).removeprefix("<annotation>"), "annotation@verified"),
        (xml(box().replace("<object>", '<object id="3" score="0.5">')), "object@id, object@score"),
        (xml(box(extra='<truncated conf="1">1</truncated>')), "truncated@conf"),
        (xml(box().replace("<xmin>", '<xmin unit="px">')), "xmin@unit"),
        (xml(box(extra="<attributes><other>x</other></attributes>")), "attributes.other"),
        (xml(box(extra="<attributes>colour=red</attributes>")), "text of attributes"),
        (
            xml(box(extra="<attributes><attribute><value>x</value></attribute></attributes>")),
            "an attribute without a name",
        ),
    ],
)
def test_what_elements_say_beside_their_texts_is_noticed(voc, text, names):
    read = voc.read({"a.xml": text, "b.xml": xml(box(), filename="b.jpg")})
    [note] = read.report.noticed
    assert read.report.annotations == 2 and note.count == 1
    assert note.examples[0].startswith("a.xml") and note.examples[0].endswith(f": {names}")


def test_a_flag_that_is_off_is_no_attribute_whatever_else_is_said_of_it(voc):
    read = voc.read({"a.xml": xml(box(extra='<truncated conf="1">0</truncated>'))})
    assert read.annotations["attributes"].to_pylist() == [[]]


def test_nothing_is_noticed_of_what_our_own_exports_say(bench, voc):
    told = [{**switch("truncated", value), "name": name} for value, name in ((True, "Cut"), (False, "truncated"))]
    typed = {"key": "age", "name": "Age", "type": "number", "value": 3}
    shapes = [bench.shape("bbox", [1, 2, 30, 40], attributes=[one, typed]) for one in told]
    voc.write(bench.task("a.jpg", *shapes))
    assert voc.back().report.noticed == ()


def test_attributes_without_a_type_have_none_when_they_come_back(bench, voc):
    said = {"key": "k", "name": "K", "value": "  two  words "}
    shapes = [bench.shape("bbox", [1, 2, 30, 40], attributes=[said])]
    voc.write(bench.task("a.jpg", *shapes))
    [found] = voc.back().annotations["attributes"].to_pylist()[0]
    assert (found["key"], found["name"], found["type"], found["value"]) == ("k", "K", None, "  two  words ")


def test_a_polygon_that_is_none_leaves_its_box(voc):
    read = voc.read({"a.xml": xml(box(extra="<polygon><x1>1</x1><y1>oops</y1></polygon>"))})
    assert shapes_of(read) == [("bbox", "dog", [1, 2, 30, 40])]
    assert reasons(read.report.altered) == {"a polygon that cannot be read, its box was read": 1}


def test_sizes_come_from_the_picture_where_the_file_has_none(voc, tmp_path):
    import cv2
    import numpy as np

    picture = cv2.imencode(".png", np.zeros((7, 9, 3), np.uint8))[1].tobytes()
    for size in (None, (0, 0), ("x", "")):
        read = voc.read({"Annotations/a.xml": xml(box(), filename="a.png", size=size), "JPEGImages/a.png": picture})
        assert read.tasks.select(["width", "height"]).to_pylist() == [{"width": 9, "height": 7}]
    assert voc.read({"Annotations/a.xml": xml(size=(5, 6), filename="a.png")}).tasks["width"].to_pylist() == [5]


def test_the_devkit_with_several_years(voc):
    read = voc.read(
        {
            "VOCdevkit/VOC2007/Annotations/1.xml": xml(box("cat"), filename="1.jpg"),
            "VOCdevkit/VOC2007/JPEGImages/1.jpg": b"",
            "VOCdevkit/VOC2007/ImageSets/Main/train.txt": "1\n9\n",
            "VOCdevkit/VOC2007/ImageSets/Main/cat_train.txt": "1  1\n",
            "VOCdevkit/VOC2012/Annotations/1.xml": xml(box("dog"), filename="1.jpg"),
            "VOCdevkit/VOC2012/ImageSets/Main/val.txt": "1  -1\n",
            "VOCdevkit/VOC2012/JPEGImages/1.jpg": b"",
            "VOCdevkit/VOC2012/JPEGImages/2.jpg": b"",
            "VOCdevkit/VOC2012/SegmentationClass/1.png": b"",
        }
    )
    assert read.tasks["name"].to_pylist() == ["VOCdevkit/VOC2007/1.jpg", "VOCdevkit/VOC2012/1.jpg"]
    assert read.tasks["tags"].to_pylist() == [["train"], ["val"]]
    assert [Path(url).parts[-3:] for url in read.tasks["url"].to_pylist()] == [
        ("VOC2007", "JPEGImages", "1.jpg"),
        ("VOC2012", "JPEGImages", "1.jpg"),
    ]
    told = {note.reason: note.examples for note in read.report.noticed}
    assert told["a part lists it, but it has no XML file"] == ("VOCdevkit/VOC2007/ImageSets/Main/train.txt: 9",)
    assert told["a picture without an XML file was not read"][0] == "VOCdevkit/VOC2012/JPEGImages/2.jpg"


def test_lists_of_single_classes_are_no_parts_whatever_the_parts_are_called(voc):
    read = voc.read(
        {
            **{f"Annotations/{name}.xml": xml(box(), filename=f"{name}.jpg") for name in ("a", "b 1")},
            "ImageSets/Main/default.txt": "a\nb 1\n",
            "ImageSets/Main/dog_default.txt": "a  1\nb 1 -1\n",
            "ImageSets/Main/cat_default.txt": "a\t1\n",
            "ImageSets/Main/night_train.txt": "b 1\n",
        }
    )
    assert read.tasks["tags"].to_pylist() == [["default"], ["default", "night_train"]]


def test_parts_and_actions_of_classes_are_noticed(voc):
    labels = "# label:color_rgb:parts:actions\ncat:255,0,16:leg,head:run\ndog:::\n"
    read = voc.read({"a.xml": xml(box()), "labelmap.txt": labels})
    [note] = read.report.noticed
    assert "parts and actions" in note.reason and note.examples == ("cat",)


def test_one_file_of_a_dataset(voc, tmp_path):
    voc.read({"Annotations/x/1.xml": xml(box(), filename="1.jpg"), "JPEGImages/x/1.jpg": b"", "JPEGImages/2.jpg": b""})
    read = formats.read(tmp_path / "source" / "Annotations" / "x" / "1.xml", format="pascal_voc")
    assert read.tasks["name"].to_pylist() == ["x/1.jpg"] and read.tasks["url"].to_pylist()[0].endswith("x/1.jpg")
    assert not read.report.noticed


def test_folders_called_like_parts(voc):
    read = voc.read({"train/a.xml": xml(box()), "valid/b.xml": xml(box(), filename="b.jpg")})
    assert read.tasks["name"].to_pylist() == ["train/a.jpg", "valid/b.jpg"]
    assert read.tasks["tags"].to_pylist() == [["train"], ["val"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:255,0,16::\ndog:::\n"),
        ("labels.txt", "cat\n\ndog\n"),
    ],
)
def test_class_lists_give_the_order(voc, name, text):
    read = voc.read({"a.xml": xml(box("new"), box("dog"), box("cat")), name: text})
    classes = {row["value"]: row for row in read.classes.to_pylist()}
    assert sorted(classes, key=lambda value: classes[value]["order"]) == ["cat", "dog", "new"]
    if name == "labelmap.txt":
        assert classes["cat"]["color"] == "#ff0010"


def test_duplicated_task_ids_and_pictures(voc):
    text = xml(box(), extra="<task_id>one</task_id>")
    read = voc.read({"a.xml": text, "b.xml": text, "a.jpg": b""})
    ids = read.tasks["task_id"].to_pylist()
    assert ids[0] == "one" and len(set(ids)) == 2
    assert reasons(read.report.noticed) == {"several XML files speak of one picture": 1}


BOMB = '<!DOCTYPE lolz [<!ENTITY lol "lol">{}]><annotation><filename>&lol9;</filename></annotation>'.format(
    "".join(f'<!ENTITY lol{i} "{f"&lol{i - 1 if i > 1 else str()};" * 10}">' for i in range(1, 10))
)
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        EXTERNAL,
        '<!DOCTYPE a SYSTEM "http://localhost/a.dtd"><annotation/>',
        f'<?xml version="1.0" encoding="utf-16"?>{BOMB}'.encode("utf-16"),
        "",
        "no xml",
        "<annotation>",
        b"\xff\xfe\x00",
        '<?xml version="1.0" encoding="klingon"?><annotation/>',
        b"<annotation>\xff</annotation>",
        "<html/>",
    ],
)
def test_files_that_are_refused(voc, text):
    with pytest.raises(FormatError, match=r"a\.xml"):
        voc.read({"a.xml": text})
    read = voc.read({"a.xml": text, "b.xml": xml(box(), filename="b.jpg")})
    assert read.tasks["name"].to_pylist() == ["b.jpg"]
    [note] = read.report.dropped
    assert (note.type, note.reason, note.count) == ("file", "a file cannot be read", 1)
    assert note.examples[0].startswith("a.xml: ")


def test_deep_and_wide_files(voc):
    deep = xml("<object>" * 50_000 + "</object>" * 50_000)
    wide = xml(*(box(f"class {i}") for i in range(3000)))
    read = voc.read({"deep.xml": deep, "wide.xml": wide})
    assert read.report.annotations == 3000 and read.report.dropped_count == 1


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "gone", format="pascal_voc")
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path, format="pascal_voc")


def test_whatever_is_done_to_a_dataset_is_told(bench, voc, tmp_path):
    """Seeded damage: bytes cut, changed, repeated; the answer is labels with a count, or a FormatError."""
    attributes = [switch("truncated"), {"key": "k", "name": "K", "type": "select", "value": "v"}]
    voc.write(
        bench.task("a.jpg", bench.shape("bbox", [1, 2, 30, 40], attributes=attributes)),
        bench.task("x/b.jpg", bench.shape("polygon", [1, 2, 30, 4, 5, 60])),
        outlines="polygon",
        split={"train": 1},
    )
    original = {path.relative_to(voc.folder): path.read_bytes() for path in voc.folder.rglob("*") if path.is_file()}
    random_ = random.Random(7)
    words = [
        b"nan",
        b"1e999",
        b"-1",
        b"",
        b"<",
        b"&",
        b"\xff",
        b"\x00",
        b"9" * 400,
        b"<object>",
        b"</bndbox>",
        b'json="1"',
    ]
    read = failed = 0
    for _ in range(250):
        source = tmp_path / "damaged"
        for path, data in original.items():
            broken = bytearray(data)
            for _ in range(random_.randint(0, 3)):
                at = random_.randrange(len(broken) + 1)
                broken[at : at + random_.randint(0, 40)] = random_.choice(words)
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(broken)
        try:
            result = formats.read(source, format="pascal_voc")
        except FormatError:
            failed += 1
        else:
            read += 1
            assert result.report.tasks == result.tasks.num_rows
            labels.to_fastlabel(result)
            assert all(map(math.isfinite, (side for _, _, points in shapes_of(result) for side in points)))
    assert read > 20 and failed > 20


# Other people's readers -------------------------------------------------------------------------------------------


@pytest.fixture
def shown(bench, voc, pictures, tmp_path):
    """An export with pictures, and what must be seen in it: stem, class, x1, y1, x2, y2."""
    tasks = [
        bench.task("a.png", bench.shape("bbox", [1.5, 2.25, 30, 40]), bench.shape("bbox", [5, 6, 7, 8], value="c&t")),
        bench.task("b.png", bench.shape("polygon", [1, 2, 30, 4, 5, 60], value="c&t")),
        bench.task("empty.png"),
    ]
    content = bench.labels(*tasks)
    formats.write(content, format="pascal_voc", target=voc.folder, images=pictures(content, tmp_path / "pictures"))
    return voc.folder, [
        ["a", "c&t", 5, 6, 7, 8],
        ["a", "dog", 1.5, 2.25, 30, 40],
        ["b", "c&t", 1, 2, 30, 60],
    ]


def test_labelformat_reads_it(shown):
    folder, expected = shown
    pascalvoc = pytest.importorskip("labelformat.formats.pascalvoc")
    source = pascalvoc.PascalVOCObjectDetectionInput(folder / "Annotations", "dog,c&t")
    seen = sorted(
        [label.image.filename.removesuffix(".png"), one.category.name, *one.box.to_format(_xyxy())]
        for label in source.get_labels()
        for one in label.objects
    )
    assert seen == expected
    assert {image.filename: (image.width, image.height) for image in source.get_images()}["empty.png"] == (100, 80)


def _xyxy():
    from labelformat.model.bounding_box import BoundingBoxFormat

    return BoundingBoxFormat.XYXY


def test_globox_reads_it(asked, shown):
    folder, expected = shown
    seen = asked(
        """
        import json, sys
        from globox import AnnotationSet
        found = AnnotationSet.from_pascal_voc(sys.argv[1])
        print(json.dumps(sorted([a.image_id[:-4], b.label, *b.ltrb] for a in found for b in a.boxes)))
        """,
        folder / "Annotations",
    )
    assert seen == expected


def test_datumaro_reads_it(asked, shown):
    folder, expected = shown
    seen = asked(
        """
        import json, sys
        import datumaro as dm
        found = dm.Dataset.import_from(sys.argv[1], "voc_detection")
        names = [label.name for label in found.categories()[dm.AnnotationType.label]]
        boxes = [(i, a) for i in found for a in i.annotations if a.type == dm.AnnotationType.bbox]
        rows = [[i.id, names[a.label], a.x, a.y, a.x + a.w, a.y + a.h] for i, a in boxes]
        print(json.dumps(sorted(rows)))
        """,
        folder,
    )
    assert [row[:2] for row in seen] == [row[:2] for row in expected]
    assert [row[2:] for row in seen] == [pytest.approx(row[2:], abs=1e-5) for row in expected]


def test_supervision_reads_it_when_pixels_are_counted_from_one(asked, shown, tmp_path):
    """supervision takes every VOC file for the devkit's, whose first pixel is 1."""
    folder, expected = shown
    formats.write(
        formats.read(folder, format="pascal_voc"), format="pascal_voc", target=tmp_path / "one", first_pixel=1
    )
    seen = asked(
        """
        import json, sys, pathlib
        import supervision as sv
        found = sv.DetectionDataset.from_pascal_voc(sys.argv[1] + "/JPEGImages", sys.argv[1] + "/Annotations")
        rows = []
        for path, _, boxes in found:
            for corners, number in zip(boxes.xyxy.tolist(), boxes.class_id.tolist()):
                rows.append([pathlib.Path(path).stem, found.classes[number], *corners])
        print(json.dumps(sorted(rows)))
        """,
        tmp_path / "one",
    )
    assert seen == expected


# Files that are alike, read at once -------------------------------------------------------------------------------

FIELDS = {
    "name": ["dog", "cat", " dog ", "", "犬", "a&amp;b", "d\nog", "a]]>b", "\ufffe", "<b>dog</b>", "d<!-- -->og"],
    "pose": ["Unspecified", "", "Left", " Left "],
    "truncated": ["0", "0", "1", "", "yes", " 1 "],
    "difficult": ["0", "0", "1"],
    "confidence": ["0.5", ""],
}
SIDE_TEXTS = ["1", "2.5", " 3 ", "30", "1e400", "nan", "-4", "", "many", "1_0", "٣", "5" * 400]


@st.composite
def alike_objects(draw, tags, sides):
    def leaf(tag, texts):
        attribute = ' title="t"' if draw(st.integers(0, 39)) == 7 else ""
        text = texts[0] if draw(st.integers(0, 9)) != 7 else draw(st.sampled_from(texts))
        return f"<{tag}{attribute}>{text}</{tag}>"

    def corner(tag):
        usual = {"xmin": "1", "ymin": "2", "xmax": "30", "ymax": "40.25"}.get(tag, "0")
        text = usual if draw(st.integers(0, 9)) != 7 else draw(st.sampled_from(SIDE_TEXTS))
        return f"<{tag}>{text}</{tag}>"

    parts = [
        f"<bndbox>{''.join(map(corner, sides))}</bndbox>" if tag == "bndbox" else leaf(tag, FIELDS[tag]) for tag in tags
    ]
    odd = ["<part><name>head</name></part>", "<object><name>in</name></object>", "text", "<xmin>9</xmin>", "<?go on?>"]
    odd += ["<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon>", "<name>twice</name>"]
    if draw(st.integers(0, 19)) == 7:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(odd)))
    blank = draw(st.sampled_from(["", "\n\t", "\r\n "]))
    return f"<object>{blank}{blank.join(parts)}{blank}</object>"


@st.composite
def alike_files(draw):
    """Some files of one form, most of them plain, and now and then one that is damaged, or cunning."""
    unread = draw(st.sampled_from([(), ("confidence",)]))
    inside = draw(st.sampled_from([(), (), (), ("depth",), ("confidence",), ("truncated",)]))
    tags = draw(st.permutations(["name", "pose", "truncated", "difficult", *unread, "bndbox"]))
    sides = draw(st.permutations(["xmin", "ymin", "xmax", "ymax", *inside]))
    frames = [("<annotation>", "</annotation>")] * 6 + [
        ("<annotation><size><width>9</width><height>9</height></size>", "<filename>x.jpg</filename></annotation>"),
        ('<?xml version="1.0" encoding="utf-8"?>\n<annotation>', "</annotation>\n"),
        ('<?xml version="1.0" encoding="latin-1"?><annotation>', "</annotation>"),
        ('<?xml version="1.0" encoding="koi8-r"?><annotation>', "</annotation>"),
        ("\ufeff<annotation>", "</annotation>"),
        ("<annotation><object>", "</object></annotation>"),
        ("<annotation><folder>", "</folder></annotation>"),
        ("<annotation><!--", "--></annotation>"),
        ("<annotation><object/><!--", "--></annotation>"),
        ("<annotation><![CDATA[", "]]></annotation>"),
        ("<annotation><?x ", "?></annotation>"),
        ("<?x ", "?><annotation><object/></annotation>"),
        ("<annotation a='", "'></annotation>"),
        ("<annotation><object><name>first</name></object>", "<object/></annotation>"),
        ('<!DOCTYPE annotation [<!ENTITY dog "cat">]><annotation>', "</annotation>"),
        ("<annotations>", "</annotations>"),
        ("<annotation>", ""),
    ]
    files = []
    for _ in range(draw(st.integers(2, 6))):
        objects = draw(st.lists(alike_objects(tags, sides), max_size=3))
        head, tail = frames[0] if draw(st.integers(0, 3)) != 3 else draw(st.sampled_from(frames))
        data = (head + "".join(objects) + tail).encode()
        if draw(st.integers(0, 19)) == 7:
            at = draw(st.integers(0, len(data)))
            data = data[:at] + draw(st.sampled_from([b"", b"<", b"&", b"\0", b"\xff", b"object"])) + data[at + 3 :]
        files.append(data)
    return files


@settings(max_examples=300, deadline=None)
@given(files=alike_files(), first_pixel=st.sampled_from([0, 1]))
def test_files_that_are_alike_are_read_as_each_is_read_alone(tmp_path_factory, files, first_pixel):
    """A comment behind the end sends a file through the parser as a whole, and changes nothing else."""
    results = []
    for behind in (b"", b"<!-- -->"):
        folder = tmp_path_factory.mktemp("voc")
        for number, data in enumerate(files):
            (folder / f"{number}.xml").write_bytes(data + behind)
        try:
            read = formats.read(folder, format="pascal_voc", first_pixel=first_pixel)
        except FormatError:
            results.append("cannot be read")
            continue
        notes = {
            fate: [
                (note.reason, note.type, note.count, [place.partition(": it is not XML")[0] for place in note.examples])
                for note in getattr(read.report, fate)
            ]
            for fate in ("dropped", "altered", "noticed")
        }
        results.append((read.tasks.to_pylist(), read.classes.to_pylist(), notes))
    assert repr(results[0]) == repr(results[1])


def test_elements_nobody_reads_are_no_reason_to_read_object_by_object():
    data = xml(box(extra="<id.of-it>7</id.of-it>"), box("cat", extra="<id.of-it>8</id.of-it>")).encode()
    objects = ObjectForm(ElementTree.fromstring(data).find("object")).objects_of(data)
    assert objects is not None
    assert (objects.columns["name"], objects.columns["id.of-it"]) == (["dog", "cat"], ["7", "8"])


@pytest.mark.parametrize("twice", ["truncated", "id"])
def test_elements_that_stand_in_two_places_are_read_object_by_object(twice):
    again = f"<{twice}>0</{twice}>"
    data = xml(box(extra=again).replace("<bndbox>", f"<bndbox>{again}"))
    with pytest.raises(ValueError, match="not simple"):
        ObjectForm(ElementTree.fromstring(data).find("object"))


def test_marked_objects_of_files_that_are_alike(voc):
    def marked(pose, truncated):
        return box(extra=f"<pose>{pose}</pose><truncated>{truncated}</truncated>")

    files = {f"{number}.xml": xml(marked("Unspecified", 0), marked("Left", 1)) for number in range(3)}
    rows = voc.read(files).annotations.to_pylist()
    assert [[said["key"] for said in row["attributes"]] for row in rows] == [[], ["truncated", "pose"]] * 3


def test_classes_come_in_the_order_of_the_files_whichever_way_these_are_read(voc):
    names = ["dog", "cat", "a&amp;b", "owl"]
    read = voc.read({f"{number}.xml": xml(box(name)) for number, name in enumerate(names)})
    ordered = sorted(read.classes.to_pylist(), key=lambda row: row["order"])
    assert [row["value"] for row in ordered] == ["dog", "cat", "a&b", "owl"]


@pytest.mark.parametrize("encoding", ["Shift_JIS", "EUC-JP", "ISO-2022-JP", "windows-31j"])
def test_files_in_japanese_encodings_are_read(tmp_path, encoding):
    is_windows = encoding in ("Shift_JIS", "windows-31j")
    box = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    for name, sign in (("a", "猫"), ("b", "髙①" if is_windows else "表")):
        (tmp_path / f"{name}.xml").write_bytes(
            f'<?xml version="1.0" encoding="{encoding}"?>\n<annotation><filename>{name}.jpg</filename>'
            f"<object><name>{sign}</name><bndbox>{box}</bndbox></object></annotation>".encode(
                "cp932" if is_windows else encoding
            )
        )
    (tmp_path / "c.xml").write_bytes(b'<?xml version="1.0" encoding="Shift_JIS"?><annotation>\x81</annotation>')
    (tmp_path / "d.xml").write_bytes(
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><annotation/>'.encode()
    )
    content = formats.read(tmp_path, format="pascal_voc")
    assert content.annotations["value"].to_pylist() == ["猫", "髙①" if is_windows else "表"]
    (note,) = content.report.dropped
    assert [example[:40] for example in note.examples] == [
        "c.xml: its encoding cannot be read: mult",
        "d.xml: it declares a document type or en",
    ]
