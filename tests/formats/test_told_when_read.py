"""Whatever a reader leaves out or changes of a file somebody else has written, it tells: a case for each such value."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from fastlabel_dagster import formats

CONLL = "EU NNP I-NP B-ORG\nrejects VBZ I-VP O\n"
AUDIO = "SPEAKER talk 1 0.5 2.0 <NA> <NA> anna {} <NA>\n"


def kitti(score):
    return {"label_2/a.txt": f"car 0 0 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10 {score}\n"}


def words(**said):
    return {"classes.json": json.dumps({"classes": [{"word": "car", "value": "car", "order": 1, **said}]})}


def listed(**said):
    return {"tasks.jsonl": json.dumps({"key": "a", "task_id": "t", "name": "", "tags": [], **said})}


def masks(one=None, image=None, **said):
    whole = {"classes": [{"index": 1, "value": "dog", **(one or {})}], "images": [{"mask": "a.png", **(image or {})}]}
    whole |= said
    return {"classes.json": json.dumps(whole), "a.png": cv2.imencode(".png", np.ones((4, 4), np.uint8))[1].tobytes()}


def instances(**said):
    files = masks(image={"instances": [{"index": 1, "class": "dog", "id": "a1", **said}]})
    return {"instances.json": files["classes.json"], "a.png": files["a.png"]}


def yolo(*numbers, more="nc: 1\n"):
    box = "0 0.5 0.5 0.5 0.5"
    return {
        "data.yaml": f"path: .\ntrain: images\nnames: [dog]\nkpt_shape: [2, 3]\n{more}",
        "images/a.png": cv2.imencode(".png", np.zeros((100, 100), np.uint8))[1].tobytes(),
        "labels/a.txt": " ".join([box, *map(str, numbers)]),
    }


def voc(inside, box="", size="<size><width>90</width><height>80</height></size>"):
    sides = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>"
    one = f"<object><name>dog</name>{inside}<bndbox>{sides}{box}</bndbox></object>"
    text = f"<annotation><filename>a.jpg</filename>{size}{one}</annotation>"
    return {"Annotations/a.xml": text, "Annotations/b.xml": text.replace("a.jpg", "b.jpg")}


def labelme(marks=None, *, document=None, more=(), **said):
    shape = {"label": "dog", "shape_type": "rectangle", "points": [[1.0, 2.0], [30.0, 40.0]], **said}
    whole = {"shapes": [shape, *more], "flags": marks or {}, "imagePath": "a.jpg", "imageWidth": 90, "imageHeight": 80}
    return {"a.json": json.dumps({**whole, **(document or {})})}


def point(**said):
    return {"label": "nose", "shape_type": "point", "points": [[1.0, 2.0]], "group_id": 7, "pose": "man", **said}


def corner(x, **said):
    points = [[x, 1.0], [x + 9, 1.0], [x, 9.0]]
    return {"label": "dog", "shape_type": "polygon", "points": points, "group_id": 7, **said}


def coco(category=None, image=None, annotation=None, more=(), **rest):
    animal = {"id": 1, "name": "dog", "supercategory": "animal", **(category or {})}
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 80, **(image or {})}],
        "categories": [animal, *more],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": animal["id"], "bbox": [1, 2, 3, 4], **(annotation or {})}
        ],
    }
    return {"annotations.json": json.dumps({**whole, **rest})}


def panoptic(**said):
    pixels = np.zeros((80, 90, 3), np.uint8)
    pixels[:2, :2, 2] = 5
    image = {"id": 1, "file_name": "a.jpg", "width": 90, "height": 80}
    segments = [{"id": 5, "category_id": 1, "area": 4}]
    annotations = [{"image_id": 1, "file_name": "a.png", "segments_info": segments, **said}]
    whole = {"images": [image], "categories": [{"id": 1, "name": "dog"}], "annotations": annotations}
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return {"panoptic_val.json": json.dumps(whole), "panoptic_val/a.png": png}


def cvat(inside, size='width="90" height="80"', label=""):
    label = f"<meta><task><labels><label><name>dog</name>{label}</label></labels></task></meta>"
    image = "" if "<track" in inside else f'<image id="0" name="a.jpg" {size}>{inside}</image>'
    return {"annotations.xml": f"<annotations>{label}{image or inside}</annotations>"}


def track(first="", second="", said=""):
    box = 'xtl="1" ytl="2" xbr="30" ybr="40" outside="0" keyframe="1"'
    shapes = "".join(f'<box frame="{number}" {box}{said}</box>' for number, said in enumerate((first, second)))
    return f'<track id="0" label="dog"{said}>{shapes}</track>'


def spacy(span=None, **document):
    return {"train.jsonl": json.dumps({"text": "Anna sleeps", "spans": [span or {}], **document})}


NAME = {"start": 0, "end": 4, "label": "PER"}
UNKNOWN = "<source><database>Unknown</database></source><segmented>0</segmented><folder>f</folder>"
CORNERS = "<x1>1</x1><y1>2</y1><x2>30</x2><y2>2</y2><x3>30</x3><y3>40</y3>"
BOX = '<box label="dog" xtl="1" ytl="2" xbr="30" ybr="40" {}/>'
SIZE = "<meta><original_size><width>wide</width></original_size></meta>"
POINT = '<skeleton label="dog"><points label="nose" points="1,2">{}</points></skeleton>'
ATTRIBUTE = (
    "<attributes><attribute><name>size</name><mutable>{2}</mutable><input_type>{0}</input_type>"
    "<default_value>{1}</default_value><values>1\n5</values></attribute></attributes>"
)

TOLD = [
    ("kitti", kitti("high"), "a score that is no finite number"),
    ("kitti", kitti("nan"), "a score that is no finite number"),
    ("kitti", kitti(-2.3), "a score below 0"),
    ("kitti", kitti(0.5) | words(note="x"), "what classes.json says that"),
    ("kitti", kitti(0.5) | words(color="red"), "what classes.json says that"),
    ("kitti", kitti(0.5) | {"classes.json": '{"classes": [], "note": "x"}'}, "what classes.json says that"),
    ("kitti", kitti(0.5) | words(word=7), "a class of classes.json without"),
    ("semantic_masks", masks({"note": "x"}), "what an index file says"),
    ("semantic_masks", masks({"color": 7}), "what an index file says"),
    ("semantic_masks", masks(note="x"), "what an index file says"),
    ("instance_masks", instances(note="x"), "what an index file says"),
    ("instance_masks", instances(id=7), "what an index file says"),
    ("semantic_masks", masks(image={"weather": "rain"}), "what an index file says"),
    ("semantic_masks", masks(image={"task_id": 7}), "what an index file says"),
    ("yolo", yolo(0.5, 0.5, 0.93, 0.4, 0.4, 2), "a visibility other than"),
    ("yolo", yolo(0.5, 0.5, 0, 0.4, 0.4, 2), "a keypoint of visibility 0"),
    ("yolo", yolo(more="roboflow: {license: CC BY 4.0}\n"), "what the data file says"),
    ("yolo", yolo(more="flip_idx: [1, 0]\n"), "what the data file says"),
    ("yolo", yolo(more="nc: 7\n"), "what the data file says"),
    ("yolo", yolo(more="task: banana\n"), "what the data file says"),
    ("yolo", yolo(more="kpt_names: {0: [nose, nose]}\n"), "what the data file says"),
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
    ("pascal_voc", voc("<difficult>1</difficult><difficult>0</difficult>"), "an element that stands twice"),
    ("pascal_voc", voc(f"<polygon>{CORNERS}<x5>1</x5><y5>1</y5></polygon>"), "points of a polygon behind a gap"),
    ("pascal_voc", voc("", size="<weather>rain</weather>"), "what the file says of its picture"),
    ("pascal_voc", voc("", size="<source><database>PASCAL</database></source>"), "what the file says of its picture"),
    ("pascal_voc", voc("", size="<size><width>wide</width><height>80</height></size>"), "its stated width or height"),
    ("coco", coco({"id": 0}), "category ids that cannot be"),
    ("coco", coco({"id": -3}), "category ids that cannot be"),
    ("coco", coco({"id": "7"}), "category ids that cannot be"),
    ("coco", coco({"id": 1.5}), "category ids that cannot be"),
    ("coco", coco({"id": 2**63}), "category ids that cannot be"),
    ("coco", coco(more=[{"id": 4, "name": "dog", "supercategory": "animal"}]), "category ids that cannot be"),
    ("coco", coco({"synset": "dog.n.01"}), "categories with a field"),
    ("coco", coco({"frequency": 0}), "categories with a field"),
    ("coco", coco({"color": 7}), "fields of a category that are not what"),
    ("coco", coco({"title": ["Dog"]}), "fields of a category that are not what"),
    ("coco", coco({"types": ["bbox", 1]}), "fields of a category that are not what"),
    ("coco", coco({"supercategory": 3}), "fields of a category that are not what"),
    ("coco", coco({"isthing": "yes"}), "fields of a category that are not what"),
    ("coco", coco({"attributes": [{"key": "wet"}]}), "fields of a category that are not what"),
    ("coco", coco({"keypoints": ["a", 1]}), "fields of a category that are not what"),
    ("coco", coco({"keypoints": ["a"], "keypoint_colors": ["#112233", 3]}), "fields of a category that are not what"),
    ("coco", coco({"name": 3}), "a category whose name is no text"),
    ("coco", coco({"name": None}), "a category whose name is no text"),
    ("coco", coco(more=[{"id": 4, "name": "dog", "color": "#112233"}]), "categories of one name that say different"),
    ("coco", coco(image={"license": 3}), "images with a field"),
    ("coco", coco(image={"coco_url": "http://host/a.jpg"}), "images with a field"),
    ("coco", coco(image={"tags": "north"}), "a task_id, task_name or tags"),
    ("coco", coco(image={"task_id": 7}), "a task_id, task_name or tags"),
    (
        "coco",
        coco(annotation={"segmentation": {"size": [80, 90], "counts": [0, 9, 7191], "order": "F"}}),
        "annotations with",
    ),
    ("coco", coco(videos=[{"id": 1}]), "what the file says beside"),
    ("coco", coco(licenses=[{"id": 1, "name": "CC BY 4.0"}]), "what the file says beside"),
    ("coco", coco(info={"year": 2017}), "what the file says beside"),
    (
        "coco",
        coco() | {"captions.json": json.dumps({"images": [], "annotations": [{"caption": "a"}]})},
        "a JSON file that",
    ),
    ("coco", coco() | {"package.json": "{}"}, "a JSON file that"),
    (
        "coco",
        {f"annotations/{name}_val.json": coco()["annotations.json"] for name in ("instances", "person_keypoints")},
        "a file of the same pictures",
    ),
    ("coco_panoptic", panoptic(weather="rain"), "images with a field"),
    ("labelme", labelme(kie_linking=[[1, 2]]), "its other fields"),
    ("labelme", labelme(line_color=[255, 0, 0]), "its other fields"),
    ("labelme", labelme(score="high"), "a score that is not a number"),
    ("labelme", labelme(score=-0.5), "a score that is not a number"),
    ("labelme", labelme(more=[point(score=10**400)]), "a score that is not a number"),
    ("labelme", labelme(document={"weather": "rain"}), "its other fields"),
    ("labelme", labelme(document={"imageData": "aGVsbG8="}), "the picture within the file"),
    ("labelme", labelme(document={"imageWidth": "wide"}), "fields that are not what"),
    ("labelme", labelme(document={"imagePath": 7}), "fields that are not what"),
    ("labelme", labelme(document={"tags": [7]}), "fields that are not what"),
    ("labelme", labelme(document={"task_id": 7}), "fields that are not what"),
    ("labelme", labelme(document={"task_name": 7}), "fields that are not what"),
    ("labelme", labelme(document={"flag_attributes": {"night": {}}}), "fields that are not what"),
    (
        "labelme",
        labelme({"night": True}, document={"flag_attributes": {"night": {"x": 1}}}),
        "fields that are not what",
    ),
    (
        "labelme",
        labelme()
        | {"b.json": labelme(document={"task_id": "t"})["a.json"]}
        | {"c.json": labelme(document={"task_id": "t"})["a.json"]},
        "two files have the same task id",
    ),
    ("labelme", labelme(more=[point(difficult=True)]), "its other fields"),
    ("labelme", labelme(more=[point(flags=["wet"])]), "flags that are neither"),
    ("labelme", labelme(more=[point(), point(flags={"wet": True})]), "what a further shape of its group"),
    ("labelme", labelme(more=[point(score=0.5), point(score=0.7)]), "what a further shape of its group"),
    ("labelme", labelme(more=[corner(1.0), corner(20.0, flags={"wet": True})]), "what a further shape of its group"),
    ("labelme", labelme(more=[corner(1.0), corner(20.0, score=0.5)]), "what a further shape of its group"),
    ("labelme", labelme(more=[point(keypoint={"visibility": 7})]), "what a point says of itself"),
    ("labelme", labelme(more=[point(keypoint={"edges": "ear"})]), "what a point says of itself"),
    ("labelme", labelme(more=[point(keypoint={"side": "left"})]), "what a point says of itself"),
    ("labelme", labelme(more=[point(keypoint="left")]), "what a point says of itself"),
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
    ("cvat", cvat('<polygon label="dog" points="1,2;3,4;5,9" rotation="30"/>'), "its other XML attributes"),
    ("cvat", cvat(track(">", ' score="0.9">')), "its other XML attributes"),
    ("cvat", cvat(track(">", ">", ' fate="lost"')), "its other XML attributes"),
    ("cvat", cvat(track(">", ' occluded="maybe">')), "an occluded that is neither"),
    ("cvat", cvat(BOX.format('fastlabel_confidence="high"')), "a confidence that is no"),
    ("cvat", cvat(f"{BOX.format('')[:-2]}><note>x</note></box>"), "elements within it"),
    (
        "cvat",
        cvat(f"{BOX.format('')[:-2]}><attribute name='a' note='b'>x</attribute></box>"),
        "its other XML attributes",
    ),
    ("cvat", cvat(POINT.format("").replace("points=", 'z_order="3" points=')), "its other XML attributes"),
    ("cvat", cvat(POINT.format("").replace('"1,2"', '"1,2;3,4"')), "all but the first"),
    ("cvat", cvat(POINT.format("<note>x</note>")), "elements within it"),
    ("cvat", cvat(BOX.format(""), 'width="90" height="80" weather="rain"'), "an image with XML attributes"),
    ("cvat", cvat(SIZE + track(">", ">")), "a width or height"),
    ("cvat", cvat(BOX.format(""), label="<weight>3</weight>"), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label="<color>red</color>"), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label="<type>banana</type>"), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label=ATTRIBUTE.format("select", "big", "False")), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label=ATTRIBUTE.format("select", "", "True")), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label=ATTRIBUTE.format("number", "", "False")), "what it says of a label"),
    ("cvat", cvat(BOX.format(""), label="</label><label><name>dog</name>"), "a label that was listed before"),
    ("cvat", cvat(BOX.format(""), label='<type id="3">any</type>'), "what the file says of its task"),
    (
        "cvat",
        {
            "annotations.xml": cvat(BOX.format(""))["annotations.xml"].replace(
                "<labels>", "<weather>rain</weather><labels>"
            )
        },
        "what the file says of its task",
    ),
    ("cvat", cvat(BOX.format('occluded="maybe"')), "an occluded that is neither"),
    ("cvat", cvat(BOX.format(""), 'width="wide" height="80"'), "a width or height"),
    ("cvat", cvat(POINT.format('<attribute name="side">left</attribute>')), "attributes of a skeleton's points"),
    ("cvat", cvat(track(">", ' occluded="1">')), "attributes that change within a track"),
    ("cvat", cvat(track(">", '><attribute name="a">b</attribute>')), "attributes that change within a track"),
    ("cvat", cvat(track(">", ">").replace('xtl="1"', 'xtl="50"')), "corners in the wrong order"),
    ("spacy", spacy(NAME | {"attributes": {"a": {"b": 1}}}), "attributes of a span"),
    ("spacy", spacy(NAME | {"attributes": ["wet"]}), "attributes of a span"),
    ("spacy", spacy(NAME | {"kb_id": "Q1"}), "a span has fields"),
    ("spacy", spacy(NAME | {"text": "Berta"}), "a span says it covers"),
    ("spacy", spacy(NAME, source="web"), "a line has fields"),
    ("spacy", spacy(NAME, tokens=[{"text": "Anna"}]), "a line has fields"),
    ("spacy", spacy(NAME, entities=[[5, 11, "VERB"]]), "a line has fields"),
    ("spacy", spacy(NAME, answer="perhaps"), "a line has fields"),
    ("spacy", spacy(NAME, meta={"source": "web"}), "a line has fields"),
    ("spacy", spacy(NAME, meta={"tags": "web"}), "a line has fields"),
    ("spacy", spacy(NAME, meta={"task_id": 7}), "a line has fields"),
    ("spacy", spacy(NAME, meta="web"), "a line has fields"),
    ("spacy", spacy(NAME, label="GOSSIP"), "a label of the whole text"),
    ("spacy", spacy(NAME, label=[[5, 11, "VERB"]]), "a line has fields"),
    ("spacy", spacy([0, 4, "PER", "Q1"]), "what a span has behind"),
    ("spacy", spacy(NAME, relations=[{"head": 0, "child": 1}]), "relations between spans"),
    ("conll", {"train.conll": CONLL}, "columns between token and tag"),
    ("conll", {"train.conll": f"-DOCSTART- sport -X- O\n\n{CONLL}"}, "what a line of -DOCSTART- says"),
    ("rttm", {"a.rttm": AUDIO.format("high")}, "its confidence is no number"),
    ("rttm", {"a.rttm": AUDIO.format("0.5"), **listed(speaker="x")}, "what the list of tasks says"),
    ("rttm", {"a.rttm": AUDIO.format("0.5"), **listed(tags=["x", 7])}, "what the list of tasks says"),
    ("rttm", {"a.rttm": AUDIO.format("0.5"), **listed(tags="x")}, "what the list of tasks says"),
    ("semantic_masks", masks(image={"tags": ["x", 7]}), "what an index file says"),
    ("semantic_masks", masks({"types": ["segmentation", None]}), "what an index file says"),
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
        ("coco", coco({"id": 7, "isthing": 1, "color": [1, 2, 3]}, {"license": 0, "coco_url": "", "date_captured": 0})),
        ("kitti", kitti(0.5) | words(types=["bbox"], title=None, color="#112233")),
        ("instance_masks", instances()),
        ("semantic_masks", masks({"types": ["segmentation"]}, {"tags": ["x"]})),
        ("coco", coco(info={"year": "", "contributor": ""}, licenses=[{"id": 0, "name": "", "url": ""}])),
        ("coco_panoptic", panoptic()),
        ("pascal_voc", {"Annotations/a.xml": voc("", size=UNKNOWN)["Annotations/a.xml"]}),
        ("labelme", labelme(flags={"night": False}, difficult=False, score=None, group_id=None, flag=None)),
        ("labelme", labelme(score=0.93, document={"version": "5", "lineColor": [0, 255, 0, 128], "checked": False})),
        ("cvat", cvat(BOX.format(""), label=ATTRIBUTE.format("select", "", "False") + "<type>any</type>")),
        ("spacy", spacy(NAME | {"text": "Anna"}, label="PER", answer="accept", meta={"name": "n", "tags": ["x"]})),
        ("cvat", cvat(BOX.format('occluded="1" source="manual" z_order="0"'))),
        ("cvat", cvat(track(' occluded="1">', ' occluded="1">'))),
        ("spacy", spacy(NAME | {"attributes": {"a": ["b"]}, "token_start": 0, "token_end": 0})),
        ("conll", {"train.conll": "EU -X- O B-ORG\n"}),
        ("rttm", {"a.rttm": AUDIO.format("<NA>")}),
        ("rttm", {"a.rttm": AUDIO.format("0.5"), **listed(tags=["x"])}),
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


@pytest.mark.parametrize("score", [0.93, 0, 1, 93.5])
def test_the_score_of_a_labelme_shape_is_its_confidence_and_comes_back(tmp_path, score):
    shapes = [point(score=score), point(label="ear", score=score), corner(1.0, score=score), corner(20.0, score=score)]
    night = {"flag_attributes": {"night": {"score": score}}}
    labels = read(tmp_path / "source", "labelme", labelme({"night": True}, document=night, more=shapes, score=score))
    kinds = {"bbox", "pose_estimation", "segmentation", "classification"}
    assert {one["type"]: one["confidence_score"] for one in labels.annotations.to_pylist()} == dict.fromkeys(
        kinds, score
    )
    formats.write(labels, format="labelme", target=tmp_path / "out")
    written = json.loads((tmp_path / "out/images/a.json").read_bytes())
    assert [shape.get("score") for shape in written["shapes"]] == [score] * 5
    again = formats.read(tmp_path / "out", format="labelme")
    assert again.annotations.to_pylist() == labels.annotations.to_pylist()
    assert not again.report.altered


def test_a_box_nobody_has_a_confidence_for_has_no_score(tmp_path):
    labels = read(tmp_path / "source", "labelme", labelme(score=None))
    formats.write(labels, format="labelme", target=tmp_path / "out")
    (shape,) = json.loads((tmp_path / "out/images/a.json").read_bytes())["shapes"]
    assert "score" not in shape


def test_the_track_says_where_it_comes_from(tmp_path):
    files = cvat(track(">", ">", ' source="auto" group_id="3"'))
    (annotation,) = read(tmp_path, "cvat", files).annotations.to_pylist()
    assert {one["key"]: one["value"] for one in annotation["attributes"]} == {"source": "auto", "group_id": "3"}


def test_a_column_the_label_tables_do_not_have_is_told(tmp_path):
    formats.write(read(tmp_path / "source", "labelme", labelme()), format="parquet", target=tmp_path / "out")
    (path,) = (tmp_path / "out/annotations").glob("*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", table["value"]), path)
    report = formats.read(tmp_path / "out", format="parquet").report
    assert [(note.count, note.examples) for note in report.noticed] == [(1, ("annotations, note",))]
