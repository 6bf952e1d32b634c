"""What a COCO file says comes out of a round trip as it went in: ids, outlines beside keypoints, supercategories."""

from __future__ import annotations

import json
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from fastlabel_dagster import formats
from fastlabel_dagster.labels import from_fastlabel, raster, to_fastlabel
from fastlabel_dagster.labels.fastlabel import classes_to_fastlabel

MASK = np.zeros((80, 100), np.uint8)
MASK[10:40, 20:60] = 1
MASK[20:30, 30:40] = 0
POSE = {"image_id": 1, "category_id": 2, "keypoints": [25, 15, 2, 0, 0, 0, 50, 38, 1], "num_keypoints": 2}
DOCUMENT = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "categories": [
        {"id": 1, "name": "dog", "supercategory": "animal"},
        {"id": 2, "name": "man", "supercategory": "person", "keypoints": ["a", "b", "c"], "skeleton": [[1, 3]]},
    ],
    "annotations": [
        {
            "id": 901,
            **POSE,
            "bbox": [20, 10, 40, 30],
            "area": 700,
            "segmentation": [[20, 10, 60, 10, 60, 40, 20, 40.5]],
        },
        {
            "id": 17,
            **POSE,
            "bbox": [20, 10, 40, 30],
            "area": 1100,
            "segmentation": {"size": [80, 100], "counts": judge.encode(np.asfortranarray(MASK))["counts"].decode()},
        },
        {"id": 5, **POSE, "bbox": [25, 15, 25, 23], "area": 575, "segmentation": []},
        {"id": 6, **POSE, "bbox": [0, 0, 90, 70], "area": 575, "segmentation": []},
        {"id": 8, **POSE, "bbox": [30, 0, 9, 9], "area": 1, "segmentation": [[30, 0, 39, 0, 39, 9]]},
        {"id": 1000, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.25},
    ],
}


@pytest.mark.parametrize("through_fastlabel", [False, True])
@pytest.mark.parametrize("format", ["coco", "coco_parquet"])
def test_outlines_boxes_and_areas_beside_keypoints_survive(bench, coco_of, through_fastlabel, format):
    content = bench.read(DOCUMENT)
    if through_fastlabel:
        content = from_fastlabel(to_fastlabel(content), classes_to_fastlabel(content.classes))
    types = [row["type"] for row in next(iter(to_fastlabel(content)))["annotations"]]
    assert types == ["pose_estimation"] * 5 + ["bbox"]
    if format == "coco_parquet":
        formats.write(content, format="coco_parquet", target=bench.folder / "parquet")
        content = formats.read(bench.folder / "parquet", format="coco_parquet")
        assert not content.report.noticed
    formats.write(content, format="coco", target=bench.folder / "out")
    coco = coco_of(bench.folder / "out" / "annotations.json")
    by_id = coco.anns
    assert list(by_id) == [901, 17, 5, 6, 8, 1000]
    for theirs in DOCUMENT["annotations"][:4]:
        ours = by_id[theirs["id"]]
        assert (ours["bbox"], ours["area"], ours["keypoints"]) == (theirs["bbox"], theirs["area"], theirs["keypoints"])
        if isinstance(theirs["segmentation"], list):
            assert ours["segmentation"] == theirs["segmentation"]
        assert "attributes" not in ours
    np.testing.assert_array_equal(coco.annToMask(by_id[17]), MASK)
    assert by_id[8]["bbox"] == [25, 15, 25, 23] and by_id[8]["segmentation"] == []
    assert by_id[1000]["score"] == 0.25 and "score" not in by_id[5]
    assert [row["supercategory"] for row in coco.dataset["categories"]] == ["animal", "person"]


def test_a_box_that_does_not_hold_its_keypoints_is_told(bench):
    report = bench.read(DOCUMENT).report
    (note,) = report.altered
    assert note.examples == ("annotations.json, annotation 8",) and "does not hold" in note.reason


def test_moving_a_keypoint_out_of_the_box_overrules_it(bench):
    (task,) = to_fastlabel(bench.read(DOCUMENT))
    task["annotations"][0]["keypoints"][0]["value"] = [90, 70, 1]
    report, coco = bench.coco(task, classes=classes_to_fastlabel(bench.read(DOCUMENT).classes))
    row = coco.anns[901]
    assert row["bbox"] == [50, 38, 40, 32] and row["segmentation"] == [] and "attributes" not in row
    assert any("no longer in the box" in note.reason for note in report.altered)


@pytest.mark.parametrize(
    "text", ["x", "[]", "{}", '{"bbox": [1, 2, 3], "area": 1, "segmentation": []}', '{"bbox": "1"}', "null"]
)
def test_a_stated_shape_nobody_can_read_does_not_count(bench, text):
    shape = {"key": "coco_shape", "name": "coco_shape", "type": "text", "value": text}
    keypoints = [{"name": "a", "key": "a", "value": [1, 2, 1], "edges": []}]
    _, coco = bench.coco(bench.task("a.jpg", bench.shape("pose_estimation", keypoints=keypoints, attributes=[shape])))
    assert coco.dataset["annotations"][0]["bbox"] == [1, 2, 0, 0]


@pytest.mark.parametrize(
    ("ids", "kept"),
    [(["7", "3"], [7, 3]), (["7", "7"], [1, 2]), (["0", "3"], [1, 2]), (["a-1", "3"], [1, 2]), ([None, "3"], [1, 2])],
)
def test_ids_are_kept_when_all_of_them_are_fit(bench, ids, kept):
    shapes = [bench.shape("bbox", [0, 0, 9, 9], id=identity) for identity in ids]
    _, coco = bench.coco(bench.task("a.jpg", *shapes))
    assert [row["id"] for row in coco.dataset["annotations"]] == kept


def boxes_of(bench, ids):
    """Labels of three classes whose categories have these ``ids``, a box each."""
    names = ["animals", "dog", "cat"]
    boxes = [{"image_id": 1, "category_id": one, "bbox": [5 * n, 0, 5, 5]} for n, one in enumerate(ids)]
    return bench.read(
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}],
            "annotations": [{"id": n, **box} for n, box in enumerate(boxes, start=1)],
            "categories": [{"id": one, "name": name} for one, name in zip(ids, names, strict=True)],
        }
    )


def categories_in(folder):
    document = json.loads((folder / "annotations.json").read_bytes())
    return {one["name"]: one["id"] for one in document["categories"]}, document["annotations"]


@pytest.mark.parametrize("format", ["coco", "coco_parquet", "coco_panoptic"])
@pytest.mark.parametrize(
    ("ids", "written", "told"),
    [
        ([0, 1, 5], [0, 1, 5], "exports have the file's ids"),
        ([5, 0, 1], [5, 0, 1], "exports have the file's ids"),
        ([-1, 1, 5], [1, 2, 3], "whole numbers from 1 on can"),
        (["a", 1, 5], [1, 2, 3], "whole numbers from 1 on can"),
    ],
)
def test_ids_of_categories_that_are_no_orders_are_kept_where_coco_can_have_them(bench, format, ids, written, told):
    content = boxes_of(bench, ids)
    assert content.classes["order"].to_pylist() == [1, 2, 3]
    assert told in content.report.noticed[0].reason
    formats.write(content, format=format, target=bench.folder / "out")
    back = formats.read(bench.folder / "out", format=format)
    formats.write(back, format="coco", target=bench.folder / "again")
    found, annotations = categories_in(bench.folder / "again")
    assert found == dict(zip(["animals", "dog", "cat"], written, strict=True))
    assert [one["category_id"] for one in annotations] == written


def test_classes_that_no_file_had_come_behind_its_ids(bench):
    content = boxes_of(bench, [0, 1, 5])
    classes = [*classes_to_fastlabel(content.classes), bench.klass("bird", 2)]
    content = from_fastlabel(to_fastlabel(content), classes)
    formats.write(content, format="coco", target=bench.folder / "out")
    assert categories_in(bench.folder / "out")[0] == {"animals": 0, "dog": 1, "cat": 5, "bird": 6}


def test_the_same_labels_give_the_same_bytes(bench, tree):
    tasks = [bench.task(f"{n}.jpg", bench.shape("bbox", [n, 0, n + 9, 9])) for n in (3, 1, 2)]
    bench.write(*tasks)
    first = tree(bench.folder / "coco")
    bench.write(*tasks)
    assert tree(bench.folder / "coco") == first


def test_repeated_ids_are_told_and_read(bench):
    rows = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [n, 0, 9, 9]} for n in range(3)]
    content = bench.read({**DOCUMENT, "annotations": rows})
    assert content.annotations["annotation_id"].to_pylist() == ["1", None, None]
    assert [note.count for note in content.report.noticed] == [2]


def test_a_damaged_file_beside_a_good_one_is_told(bench):
    bench.read(DOCUMENT, "annotations/instances_val.json")
    (bench.folder / "source/annotations/instances_train.json").write_text("{")
    content = formats.read(bench.folder / "source", format="coco")
    (note,) = content.report.dropped
    assert content.tasks.num_rows == 1
    assert (note.type, note.examples) == ("file", ("annotations/instances_train.json",))


def test_masks_tell_the_size_of_an_image_that_does_not(bench):
    image = {"id": 1, "file_name": "a.jpg"}
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"counts": [0, 10, 7990], "size": [80, 100]}}
    content = bench.read({**DOCUMENT, "images": [image], "annotations": [row]})
    assert content.tasks.select(["width", "height"]).to_pylist() == [{"width": 100, "height": 80}]


def test_masks_of_shapes_with_holes_are_those_of_two_judges(bench):
    faster = pytest.importorskip("faster_coco_eval")
    rng = np.random.default_rng(5)
    shapes, expected = [], []
    for _ in range(20):
        x, y = rng.integers(-10, 60, 2).tolist()
        outline = [x, y, x + 50, y, x + 50, y + 40, x, y + 40]
        hole = [x + 10, y + 10, x + 40, y + 12.5, x + 25, y + 30.25]
        shapes.append(bench.shape("segmentation", [[outline + outline[:2], hole + hole[:2]]]))
        expected.append(raster.regions_to_mask([[outline, hole]], 100, 80))
    _, coco = bench.coco(bench.task("a.jpg", *shapes))
    other = faster.COCO(str(bench.folder / "coco/annotations.json"))
    for row, mask in zip(coco.dataset["annotations"], expected, strict=True):
        np.testing.assert_array_equal(coco.annToMask(row), mask)
        np.testing.assert_array_equal(other.annToMask(other.anns[row["id"]]), mask)
        assert row["area"] == mask.sum()
        y, x = np.nonzero(mask)
        if len(x):  # the box is that of the shape as drawn: it holds the mask
            left, top, width, height = row["bbox"]
            assert left <= x.min() and top <= y.min() and left + width > x.max() and top + height > y.max()


def test_reading_pauses_the_collector_and_lets_it_go_on(bench):
    import gc

    assert gc.isenabled()
    bench.read(DOCUMENT)
    with pytest.raises(ValueError, match="not valid JSON"):
        formats.read(_broken(bench), format="coco")
    assert gc.isenabled()


def _broken(bench):
    path = bench.folder / "broken.json"
    path.write_text(json.dumps(DOCUMENT)[:-9])
    return path


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-50, 900).map(lambda number: round(number, 3)),
            st.floats(-50, 900).map(lambda number: round(number, 3)),
            st.floats(0.01, 400).map(lambda number: round(number, 3)),
            st.floats(0.01, 400).map(lambda number: round(number, 3)),
            st.integers(-720, 720) | st.floats(-400, 400).map(lambda number: round(number, 4)),
        ).filter(lambda box: box[2] >= 0.01 and box[3] >= 0.01),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["none", "rectangle"]),
)
def test_turned_boxes_come_back_exactly(drawn, bbox_segmentation):
    boxes = [([x, y, round(x + width, 3), round(y + height, 3)], angle) for x, y, width, height, angle in drawn]
    task = {"id": "t", "name": "a.jpg", "width": 1000, "height": 800}
    task["annotations"] = [
        {"id": str(n), "type": "bbox", "value": "dog", "points": points, "rotation": angle}
        for n, (points, angle) in enumerate(boxes, start=1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        content = from_fastlabel([task], [])
        formats.write(content, format="coco", target=f"{folder}/coco", bbox_segmentation=bbox_segmentation)
        (read,) = to_fastlabel(formats.read(f"{folder}/coco", format="coco"))
    found = [(row["type"], row["points"], (row.get("rotation") or 0) % 360) for row in read["annotations"]]
    assert [kind for kind, *_ in found] == ["bbox"] * len(boxes)
    for (points, angle), (_, seen, _) in zip(boxes, found, strict=True):  # an upright box is x, y, width, height
        assert seen == (points if angle % 360 else pytest.approx(points, abs=1e-9))
    assert [angle for *_, angle in found] == [angle % 360 for _, angle in boxes]


@pytest.mark.parametrize("angle", [30, 90, 180, 270.5])
def test_turned_boxes_of_the_sdk_are_what_they_were(bench, angle):
    """It writes the corners as if the box was not turned, and how it is turned beside them."""
    converters = pytest.importorskip("fastlabel.converters")
    task = bench.task("a.jpg", bench.shape("bbox", [10, 20, 50, 30], rotation=angle))
    content = json.dumps(converters.to_coco("image_all", [task], "unused"), default=float)
    (read,) = to_fastlabel(bench.read(content))
    assert [(row["type"], row["points"], row["rotation"]) for row in read["annotations"]] == [
        ("bbox", [10, 20, 50, 30], angle)
    ]


@pytest.mark.parametrize("rotation", [30, "30", [], True, 1e400, float("nan"), None, 10**400])
def test_a_rotation_that_is_none_leaves_the_polygon(bench, rotation):
    outline = {"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 1, 9, 9, 1, 9]], "rotation": rotation}
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    row = {"id": 1, "image_id": 1, "category_id": 1, **outline}
    text = json.dumps({"images": images, "annotations": [row], "categories": [{"id": 1, "name": "dog"}]})
    (read,) = to_fastlabel(bench.read(text.replace("NaN", "null").replace("Infinity", "1e400")))
    assert [annotation["type"] for annotation in read["annotations"]] == ["polygon"]


def test_keypoint_colours_and_every_key(bench):
    points = [
        {"id": key, "key": key, "name": key, "color": color, "edges": []}
        for key, color in (("a", "#111111"), ("b", None))
    ]
    klass = bench.klass("dog", 1, "pose_estimation", keypoints=points)
    pose = bench.shape("pose_estimation", keypoints=[{"key": "a", "name": "a", "value": [1, 2, 1], "edges": []}])
    task = bench.task("a.jpg", pose, bench.shape("bbox", [0, 0, 9, 9], "cat"))
    _, coco = bench.coco(task, classes=[klass, bench.klass("cat", 2)])
    dog, cat = coco.dataset["categories"]
    assert dog["keypoint_colors"] == ["#111111", "#00ff00"] and "keypoints" not in cat
    assert [row["supercategory"] for row in (dog, cat)] == ["dog", "cat"]
    again = formats.read(bench.folder / "coco", format="coco")
    rows = {row["value"]: row for row in again.classes.to_pylist()}
    assert [point["color"] for point in rows["dog"]["keypoints"]] == ["#111111", "#00ff00"]
    assert rows["cat"]["extra"] is None
    _, coco = bench.coco(task, classes=[klass, bench.klass("cat", 2)], every_key=True)
    nothing = {"keypoints": [], "num_keypoints": 0, "rotation": 0, "attributes": {}}
    assert {key: coco.dataset["annotations"][1][key] for key in nothing} == nothing
    assert (coco.dataset["categories"][1]["keypoints"], coco.dataset["categories"][1]["skeleton"]) == ([], [])


def test_boxes_with_keypoints_keep_both(bench):
    points = [{"id": key, "key": key, "name": key, "color": "#111111", "edges": []} for key in "ab"]
    klass = bench.klass("dog", 1, "bbox", keypoints=points)
    box = bench.shape(
        "bbox", [10, 10, 30, 30], keypoints=[{"key": "b", "name": "b", "value": [15, 16, 0], "edges": []}]
    )
    converters = pytest.importorskip("fastlabel.converters")
    (theirs,) = converters.to_coco("image_all", [bench.task("a.jpg", box)], "unused", [klass])["annotations"]
    _, coco = bench.coco(bench.task("a.jpg", box), classes=[klass])
    (row,) = coco.dataset["annotations"]
    keys = ("keypoints", "num_keypoints", "bbox")
    assert [row[key] for key in keys] == [theirs[key] for key in keys] == [[0, 0, 0, 15, 16, 1], 1, [10, 10, 20, 20]]


@pytest.mark.parametrize("format", ["coco", "coco_parquet", "coco_panoptic"])
def test_what_classes_declare_of_attributes_comes_back(bench, format):
    options = [{"title": "赤", "value": "red"}, {"title": "青", "value": "blue", "shortcut": "b"}]
    coat = {"id": "f1", "key": "coat", "name": "毛", "type": "select", "order": 1, "value": "red", "options": options}
    toys = {"key": "toys", "name": "Toys", "type": "checkbox", "options": [], "help": {"en": "what it plays with"}}
    given = [
        {"key": "coat", "name": "毛", "type": "select", "value": "blue"},
        {"key": "toys", "name": "Toys", "type": "checkbox", "value": ["ball"]},
        {"key": "age", "name": "age", "type": "text", "value": "3"},
    ]
    holed = [[[1, 1, 30, 1, 30, 30, 1, 30, 1, 1], [5, 5, 5, 9, 9, 9, 9, 5, 5, 5]]]
    shapes = [
        bench.shape("segmentation", holed, value, attributes=attributes)
        for value, attributes in (("dog", given), ("cat", given[:1]))
    ]
    classes = [bench.klass("dog", 1, "segmentation", attributes=[coat, toys]), bench.klass("cat", 2, "segmentation")]
    shapes[1]["points"] = [[[x + 40 for x in ring] for ring in holed[0]]]
    formats.write(
        bench.labels(bench.task("a.jpg", *shapes), classes=classes), format=format, target=bench.folder / "out"
    )
    read = formats.read(bench.folder / "out", format=format)
    assert [one["attributes"] for one in classes_to_fastlabel(read.classes)] == [[coat, toys], []]
    (task,) = to_fastlabel(read)
    of_cat = [{**given[0], "name": "coat", "type": "text"}]  # its class declares nothing
    assert {one["value"]: one["attributes"] for one in task["annotations"]} == {"dog": given, "cat": of_cat}


def test_other_attributes_of_categories_are_passed_over(bench):
    sound = {"key": "k", "type": "number", "name": None, "order": "first", "options": "z"}
    odd = [7, "occluded", {"name": "k"}, {"key": "", "type": "text"}, sound]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "attributes": {"k": 5}}
    for declared, expected in ((odd, ("k", "number")), ({"k": "text"}, ("k", "text")), (["k"], ("k", "text"))):
        document = {**DOCUMENT, "annotations": [box], "categories": [{"id": 1, "name": "dog", "attributes": declared}]}
        (bench.folder / "annotations.json").write_text(json.dumps(document))
        read = formats.read(bench.folder / "annotations.json", format="coco")
        (task,) = to_fastlabel(read)
        ((found,),) = [one["attributes"] for one in task["annotations"]]
        assert (found["name"], found["type"], found["value"]) == (*expected, 5)
