"""Whatever a reader leaves out or changes of a file somebody else has written, it tells: a case for each such value."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from fastlabel_dagster import formats

CONLL = "EU NNP I-NP B-ORG\nrejects VBZ I-VP O\n"
AUDIO = "SPEAKER talk 1 0.5 2.0 <NA> <NA> anna {} <NA>\n"


def kitti(score):
    return {"label_2/a.txt": f"car 0 0 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10 {score}\n"}


def yolo(*numbers):
    box = "0 0.5 0.5 0.5 0.5"
    return {
        "data.yaml": "path: .\ntrain: images\nnames: [dog]\nkpt_shape: [2, 3]\n",
        "images/a.png": cv2.imencode(".png", np.zeros((100, 100), np.uint8))[1].tobytes(),
        "labels/a.txt": " ".join([box, *map(str, numbers)]),
    }


def voc(inside, box="", size="<size><width>90</width><height>80</height></size>"):
    sides = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>"
    one = f"<object><name>dog</name>{inside}<bndbox>{sides}{box}</bndbox></object>"
    text = f"<annotation><filename>a.jpg</filename>{size}{one}</annotation>"
    return {"Annotations/a.xml": text, "Annotations/b.xml": text.replace("a.jpg", "b.jpg")}


def labelme(marks=None, **said):
    shape = {"label": "dog", "shape_type": "rectangle", "points": [[1.0, 2.0], [30.0, 40.0]], **said}
    document = {"shapes": [shape], "flags": marks or {}, "imagePath": "a.jpg", "imageWidth": 90, "imageHeight": 80}
    return {"a.json": json.dumps(document)}


def cvat(inside, size='width="90" height="80"'):
    label = "<meta><task><labels><label><name>dog</name></label></labels></task></meta>"
    image = "" if inside.startswith("<track") else f'<image id="0" name="a.jpg" {size}>{inside}</image>'
    return {"annotations.xml": f"<annotations>{label}{image or inside}</annotations>"}


def track(first="", second=""):
    box = 'xtl="1" ytl="2" xbr="30" ybr="40" outside="0" keyframe="1"'
    shapes = "".join(f'<box frame="{number}" {box}{said}</box>' for number, said in enumerate((first, second)))
    return f'<track id="0" label="dog">{shapes}</track>'


def spacy(span=None, **document):
    return {"train.jsonl": json.dumps({"text": "Anna sleeps", "spans": [span or {}], **document})}


NAME = {"start": 0, "end": 4, "label": "PER"}
BOX = '<box label="dog" xtl="1" ytl="2" xbr="30" ybr="40" {}/>'
POINT = '<skeleton label="dog"><points label="nose" points="1,2">{}</points></skeleton>'

TOLD = [
    ("kitti", kitti("high"), "a score that is no finite number"),
    ("kitti", kitti("nan"), "a score that is no finite number"),
    ("yolo", yolo(0.5, 0.5, 0.93, 0.4, 0.4, 2), "a visibility other than"),
    ("yolo", yolo(0.5, 0.5, 0, 0.4, 0.4, 2), "a keypoint of visibility 0"),
    ("pascal_voc", voc("<truncated>unknown</truncated>"), "a truncated that is neither"),
    ("pascal_voc", voc("<difficult>0.3</difficult>"), "a difficult that is neither"),
    ("pascal_voc", voc("<confidence>0.93</confidence>"), "its other elements have no place"),
    ("pascal_voc", voc("", "<angle>0.3</angle>"), "its other elements have no place"),
    ("pascal_voc", voc("<robndbox><cx>5</cx></robndbox>"), "its other elements have no place"),
    (
        "pascal_voc",
        voc("<polygon><x1>50</x1><y1>50</y1><x2>60</x2><y2>50</y2><x3>60</x3><y3>60</y3></polygon>"),
        "a box more than a pixel off",
    ),
    ("pascal_voc", voc("", size="<size><width>wide</width><height>80</height></size>"), "its stated width or height"),
    ("labelme", labelme(score=0.93), "its other fields"),
    ("labelme", labelme(difficult=True), "its other fields"),
    ("labelme", labelme({"night": "yes"}), "a flag of the picture"),
    ("labelme", labelme(["night"]), "flags of the picture"),
    ("labelme", labelme(**{"rotation": 30}), "a rotation that its corners do not show"),
    ("labelme", labelme(**{"group_id": [1]}), "a group that is neither"),
    ("labelme", labelme(**{"flags": {"wet": 1}}), "flags that are neither"),
    ("labelme", labelme(**{"flags": ["wet"]}), "flags that are neither"),
    ("labelme", labelme(**{"description": {"a": 1}}), "flags that are neither"),
    ("labelme", labelme(**{"attributes": ["wet"]}), "flags that are neither"),
    ("cvat", cvat(BOX.format('score="0.93"')), "its other XML attributes"),
    ("cvat", cvat(BOX.format('occluded="maybe"')), "an occluded that is neither"),
    ("cvat", cvat(BOX.format(""), 'width="wide" height="80"'), "a width or height"),
    ("cvat", cvat(POINT.format('<attribute name="side">left</attribute>')), "attributes of a skeleton's points"),
    ("cvat", cvat(track(">", ' occluded="1">')), "attributes that change within a track"),
    ("cvat", cvat(track(">", '><attribute name="a">b</attribute>')), "attributes that change within a track"),
    ("cvat", cvat(track(">", ">").replace('xtl="1"', 'xtl="50"')), "corners in the wrong order"),
    ("spacy", spacy(NAME | {"attributes": {"a": {"b": 1}}}), "attributes of a span"),
    ("spacy", spacy(NAME | {"attributes": ["wet"]}), "attributes of a span"),
    ("spacy", spacy(NAME | {"kb_id": "Q1"}), "a span has fields"),
    ("spacy", spacy([0, 4, "PER", "Q1"]), "what a span has behind"),
    ("spacy", spacy(NAME, relations=[{"head": 0, "child": 1}]), "relations between spans"),
    ("conll", {"train.conll": CONLL}, "columns between token and tag"),
    ("rttm", {"a.rttm": AUDIO.format("0.93")}, "its orthography, subtype, confidence"),
]


def read(folder, format, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return formats.read(folder, format=format)


@pytest.mark.parametrize("format, files, reason", TOLD, ids=[f"{one[0]}-{one[2]}" for one in TOLD])
def test_what_is_not_read_is_told(tmp_path, format, files, reason):
    report = read(tmp_path, format, files).report
    notes = [note for note in (*report.dropped, *report.altered, *report.noticed) if note.reason.startswith(reason)]
    assert len(notes) == 1, report
    assert notes[0].count >= 1 and notes[0].examples


@pytest.mark.parametrize(
    "format, files",
    [
        ("kitti", kitti(0.93)),
        ("yolo", yolo(0.5, 0.5, 1, 0.4, 0.4, 2)),
        ("labelme", labelme(flags={"night": False}, difficult=False, score=None, group_id=None, flag=None)),
        ("cvat", cvat(BOX.format('occluded="1" source="manual" z_order="0"'))),
        ("cvat", cvat(track(' occluded="1">', ' occluded="1">'))),
        ("spacy", spacy(NAME | {"attributes": {"a": ["b"]}, "token_start": 0, "token_end": 0})),
        ("conll", {"train.conll": "EU -X- O B-ORG\n"}),
        ("rttm", {"a.rttm": AUDIO.format("<NA>")}),
    ],
)
def test_what_is_read_whole_is_told_nothing_of(tmp_path, format, files):
    report = read(tmp_path, format, files).report
    assert report.annotations == 1 and not report.dropped, report
    assert not [note for note in report.altered if "box of a pose" not in note.reason]
    assert not [note for note in report.noticed if note.is_of_annotations]


def test_the_confidence_of_a_predicted_pose_is_read(tmp_path):
    labels = read(tmp_path, "yolo", yolo(0.5, 0.5, 1, 0.4, 0.4, 2, 0.93))
    (pose,) = labels.annotations.to_pylist()
    assert (pose["type"], len(pose["keypoints"]), pose["confidence_score"]) == ("pose_estimation", 2, 0.93)


def test_an_object_its_mask_has_no_pixel_of_is_told(tmp_path):
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2:5, 2:5] = 1
    rows = [{"index": index, "class": "dog", "id": f"a{index}"} for index in (1, 2)]
    about = {"images": [{"mask": "masks/a.png", "file": "a.png", "instances": rows}]}
    files = {"masks/a.png": cv2.imencode(".png", pixels)[1].tobytes(), "instances.json": json.dumps(about)}
    report = read(tmp_path, "instance_masks", files).report
    assert [(note.reason, note.count) for note in report.dropped] == [("an object without a pixel in its mask", 1)]
