"""COCO exports judged by pycocotools; the defects of other converters are the cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.labels import raster, to_fastlabel

POSE = [
    {"name": "head", "key": "head", "value": [10.5, 20, 1], "edges": ["tail"]},
    {"name": "tail", "key": "tail", "value": [40, 50.25, 0], "edges": ["head"]},
]


def pose_class(bench, keys=("head", "ear", "tail")):
    points = [{"id": f"k{key}", "key": key, "name": key, "color": "#000000", "edges": []} for key in keys]
    points[0]["edges"] = ["ktail"]
    return bench.klass("dog", kind="pose_estimation", keypoints=points)


def reasons(notes):
    return {note.type: note.count for note in notes}


def test_a_box_is_a_box_without_outline_whatever_corner_comes_first(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("bbox", [30, 40, 10, 20])))
    (annotation,) = coco.dataset["annotations"]
    assert annotation["bbox"] == [10, 20, 20, 20]
    assert (annotation["segmentation"], annotation["area"], annotation["iscrowd"]) == ([], 400, 0)
    assert report.written == 1 and not report.dropped
    assert [note.reason for note in report.altered] == [
        "the corners of the box came in another order, they were put in order"
    ]


def test_a_class_without_a_name_is_no_class(bench):
    shapes = [bench.shape("bbox", [1, 2, 3, 4], value) for value in ("", None, "dog")]
    report, coco = bench.coco(bench.task("a.jpg", *shapes))
    assert [(note.reason, note.count) for note in report.dropped] == [("it has no class", 2)]
    assert [category["name"] for category in coco.dataset["categories"]] == ["dog"]
    assert len(coco.dataset["annotations"]) == report.written == 1


def test_the_box_of_a_mask_ends_where_the_mask_does(bench):
    outline, hole = [-10, -10, 50, -10, 50, 50, -10, 50], [10, 10, 10, 30, 30, 30, 30, 10]
    beyond = [90, 70, 120, 70, 120, 95, 90, 95]
    report, coco = bench.coco(
        bench.task(
            "a.jpg",
            bench.shape("segmentation", [[outline, hole]]),
            bench.shape("segmentation", [[outline, hole], [beyond]]),
            bench.shape("segmentation", [[outline]]),
        )
    )
    first, second, plain = coco.dataset["annotations"]
    assert (first["bbox"], first["area"]) == ([0, 0, 50, 50], 50 * 50 - 400)
    assert second["bbox"] == [0, 0, 100, 80]
    assert plain["bbox"] == [-10, -10, 60, 60]
    y, x = np.nonzero(coco.annToMask(first))
    assert first["bbox"] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    told = {note.reason: note.count for note in report.altered}
    assert told["reached outside the image, its mask ends at the edge"] == 2


def test_a_turned_box_keeps_its_shape_in_an_enclosing_box(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("bbox", [10, 10, 50, 20], rotation=90)))
    (annotation,) = coco.dataset["annotations"]
    assert annotation["bbox"] == [25, -5, 10, 40]
    assert annotation["area"] == 400
    corners = np.array(annotation["segmentation"]).reshape(-1, 2)
    assert {tuple(corner) for corner in corners} == {(25, -5), (35, -5), (35, 35), (25, 35)}
    assert reasons(report.altered) == {"bbox": 1}
    assert [note.reason for note in report.noticed] == ["reaches outside the image"]


def test_boxes_smaller_than_a_pixel_are_kept(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("bbox", [10.2, 10.2, 10.4, 10.3])))
    assert coco.dataset["annotations"][0]["bbox"] == pytest.approx([10.2, 10.2, 0.2, 0.1])
    assert report.written == 1


def test_holes_stay_holes_in_mask_and_area(bench):
    outline, hole = [0, 0, 40, 0, 40, 40, 0, 40, 0, 0], [10, 10, 10, 30, 30, 30, 30, 10, 10, 10]
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("segmentation", [[outline, hole]])))
    (annotation,) = coco.dataset["annotations"]
    assert annotation["area"] == 1200 and annotation["iscrowd"] == 0
    mask = coco.annToMask(annotation)
    assert mask.sum() == 1200 and mask[20, 20] == 0 and mask[5, 5] == 1
    assert isinstance(annotation["segmentation"]["counts"], list)
    assert reasons(report.altered) == {"segmentation": 1}


def test_regions_without_holes_are_polygons_in_their_order(bench):
    first, second = [0, 0, 10, 0, 10, 10, 0, 0], [20, 20, 30, 20, 30, 30]
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("segmentation", [[first], [second]])))
    (annotation,) = coco.dataset["annotations"]
    assert annotation["segmentation"] == [[0, 0, 10, 0, 10, 10], [20, 20, 30, 20, 30, 30]]
    assert annotation["area"] == 100 and not report.altered


def test_annotations_keep_their_order(bench):
    shapes = [bench.shape("bbox", [0, 0, side, side], value) for side, value in ((5, "b"), (50, "a"), (2, "b"))]
    _, coco = bench.coco(bench.task("a.jpg", *shapes), classes=[bench.klass("a", 1), bench.klass("b", 2)])
    assert [row["area"] for row in coco.dataset["annotations"]] == [25, 2500, 4]
    assert [row["id"] for row in coco.dataset["annotations"]] == [1, 2, 3]


def test_what_coco_cannot_hold_is_dropped_with_a_reason(bench):
    nan = float("nan")
    report, coco = bench.coco(
        bench.task(
            "a.jpg",
            bench.shape("line", [0, 0, 5, 5]),
            bench.shape("classification"),
            bench.shape("cuboid", [1] * 9),
            bench.shape("bbox", [1, 2, 3]),
            bench.shape("bbox", [1, nan, 3, 4]),
            bench.shape("bbox", [0, 0, 1e300, 1e300]),
            bench.shape("circle", [5, 5, -1]),
            bench.shape("polygon", [1, 1, 2, 2]),
            bench.shape("bbox", [1, 1, 2, 2], value=None),
            bench.shape("bbox", [1, 1, 2, 2]),
        )
    )
    assert (report.annotations, report.written, report.dropped_count) == (10, 1, 9)
    assert len(coco.dataset["annotations"]) == 1
    said = {(note.type, note.reason) for note in report.dropped}
    assert ("line", "a line has no area, COCO has no place for it") in said
    assert ("bbox", "a coordinate is not a finite number") in said
    assert ("polygon", "the geometry is missing or ill-formed") in said
    assert all(example.startswith("a.jpg · ") for note in report.dropped for example in note.examples)


def test_a_circle_is_a_polygon_of_its_own_size(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("circle", [50, 40, 20])))
    (annotation,) = coco.dataset["annotations"]
    assert annotation["bbox"] == [30, 20, 40, 40] and annotation["area"] == pytest.approx(np.pi * 400)
    assert len(annotation["segmentation"][0]) == 128
    assert coco.annToMask(annotation).sum() == pytest.approx(np.pi * 400, rel=0.02)
    assert reasons(report.altered) == {"circle": 1}


def test_a_pose_has_all_keypoints_of_its_class_in_order(bench):
    report, coco = bench.coco(
        bench.task("a.jpg", bench.shape("pose_estimation", keypoints=POSE)), classes=[pose_class(bench)]
    )
    (annotation,) = coco.dataset["annotations"]
    assert annotation["keypoints"] == [10.5, 20, 2, 0, 0, 0, 40, 50.25, 1]
    assert annotation["num_keypoints"] == 2
    assert annotation["bbox"] == [10.5, 20, 29.5, 30.25] and annotation["area"] == 29.5 * 30.25
    (category,) = coco.dataset["categories"]
    assert category["keypoints"] == ["head", "ear", "tail"] and category["skeleton"] == [[1, 3]]
    assert report.written == 1 and not report.altered


def test_a_pose_of_an_unknown_class_brings_its_own_keypoints(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("pose_estimation", keypoints=POSE)), classes=[])
    (annotation,) = coco.dataset["annotations"]
    assert annotation["keypoints"] == [10.5, 20, 2, 40, 50.25, 1]
    assert coco.dataset["categories"][0]["keypoints"] == ["head", "tail"]
    assert "not in the project" in report.altered[0].reason


def test_a_stray_keypoint_is_left_out_and_told(bench):
    stray = [*POSE, {"name": "wing", "key": "wing", "value": [1, 1, 1], "edges": []}]
    report, coco = bench.coco(
        bench.task("a.jpg", bench.shape("pose_estimation", keypoints=stray)), classes=[pose_class(bench)]
    )
    assert coco.dataset["annotations"][0]["num_keypoints"] == 2
    assert "keypoint" in report.altered[0].reason


def test_a_single_keypoint_is_named_after_its_class(bench):
    _, coco = bench.coco(
        bench.task("a.jpg", bench.shape("keypoint", [12.5, 30])), classes=[bench.klass("dog", kind="keypoint")]
    )
    (annotation,) = coco.dataset["annotations"]
    assert annotation["keypoints"] == [12.5, 30, 2] and annotation["bbox"] == [12.5, 30, 0, 0]
    assert coco.dataset["categories"][0]["keypoints"] == ["dog"]


def test_a_crowd_is_a_mask(bench):
    crowd = [{"key": "iscrowd", "name": "iscrowd", "type": "switch", "value": True}]
    shapes = [
        bench.shape("bbox", [10, 10, 20, 30], attributes=crowd),
        bench.shape("polygon", [0.2, 0.2, 9.7, 0.2, 9.7, 9.7, 0.2, 9.7], attributes=crowd),
        bench.shape("bbox", [10, 10, 20, 30], attributes=[{**crowd[0], "value": False}]),
    ]
    report, coco = bench.coco(bench.task("a.jpg", *shapes))
    box, polygon, plain = coco.dataset["annotations"]
    assert [row["iscrowd"] for row in (box, polygon, plain)] == [1, 1, 0]
    assert coco.annToMask(box)[10:30, 10:20].all() and coco.annToMask(box).sum() == 200 == box["area"]
    assert coco.annToMask(polygon).sum() == polygon["area"] == 100
    assert report.altered_count == 2


def test_attributes_are_a_dictionary(bench):
    attributes = [
        {"key": "kind", "name": "Kind", "type": "text", "value": 'say "hi"\n頭'},
        {"key": "parts", "name": "Parts", "type": "checkbox", "value": ["a", "b"]},
        {"key": "old", "name": "Old", "type": "switch", "value": False},
    ]
    shapes = [bench.shape("bbox", [0, 0, 1, 1], attributes=attributes), bench.shape("bbox", [0, 0, 1, 1])]
    _, coco = bench.coco(bench.task("a.jpg", *shapes))
    first, second = coco.dataset["annotations"]
    assert first["attributes"] == {"kind": 'say "hi"\n頭', "parts": ["a", "b"], "old": False}
    assert "attributes" not in second


@pytest.mark.parametrize(
    ("orders", "ids"),
    [
        ((90, 3, 17), [3, 17, 90, 91]),
        ((1, 1, 2), [1, 2, 3, 4]),
        ((0, 1, 2), [1, 2, 3, 4]),
        ((None, 5, 2), [1, 2, 3, 4]),
        ((2**63 - 1, 5, 2), [1, 2, 3, 4]),
    ],
)
def test_category_ids_are_the_orders_when_those_are_good_for_it(bench, orders, ids):
    classes = [bench.klass(value, order) for value, order in zip("abc", orders, strict=True)]
    _, coco = bench.coco(bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4], "added")), classes=classes)
    assert [category["id"] for category in coco.dataset["categories"]] == ids


def test_class_rows_of_one_value_are_one_category_and_a_deleted_class_is_added_behind(bench):
    classes = [bench.klass("dog", 2), bench.klass("dog", 9, "polygon"), bench.klass("cat", 5)]
    shapes = [bench.shape("bbox", [0, 0, 1, 1], "gone"), bench.shape("polygon", [0, 0, 5, 0, 5, 5])]
    report, coco = bench.coco(bench.task("a.jpg", *shapes), classes=classes)
    assert {category["id"]: category["name"] for category in coco.dataset["categories"]} == {
        2: "dog",
        5: "cat",
        6: "gone",
    }
    assert [row["category_id"] for row in coco.dataset["annotations"]] == [6, 2]
    assert report.written == 2 and report.altered_count == 1


def test_images_are_numbered_by_name_and_keep_hostile_names_inside(bench, tree):
    names = ["b.jpg", "../../evil.jpg", "a.jpg", "A.jpg", "sub/c.jpg"]
    report, coco = bench.coco(*(bench.task(name) for name in names))
    files = {image["id"]: image["file_name"] for image in coco.dataset["images"]}
    assert len({file.lower() for file in files.values()}) == 5
    assert not any(".." in file or file.startswith("/") for file in files.values())
    by_task = {image["task_id"]: image for image in coco.dataset["images"]}
    assert by_task["id-a.jpg"]["id"] < by_task["id-b.jpg"]["id"] < by_task["id-sub/c.jpg"]["id"]
    assert by_task["id-../../evil.jpg"]["task_name"] == "../../evil.jpg"
    assert reasons(report.altered)["image"] >= 1
    assert set(tree(bench.folder)) == {"coco/annotations.json", "coco/report.json"}


def test_a_task_without_size_is_listed_and_only_its_masks_are_lost(bench):
    hole = [[0, 0, 40, 0, 40, 40, 0, 40], [10, 10, 10, 30, 30, 30]]
    sizeless = bench.task("a.jpg", bench.shape("bbox", [0, 0, 9, 9]), bench.shape("segmentation", [hole]))
    sizeless.update(width=0, height=None)
    report, coco = bench.coco(sizeless)
    assert [(image["width"], image["height"]) for image in coco.dataset["images"]] == [(0, 0)]
    assert report.written == 1 and "size" in report.dropped[0].reason
    assert ("image", 1) in {(note.type, note.count) for note in report.altered}


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (2**18, 1), (1, 10**9)])
def test_a_picture_no_mask_is_large_enough_for_loses_only_its_masks(bench, width, height):
    hole = [[0, 0, width, 1, width, height, 0, height], [width / 4, 0, width / 2, 0, width / 3, height]]
    task = bench.task(
        "a.jpg",
        bench.shape("segmentation", [hole], id="mask"),
        bench.shape("bbox", [0, 0, 1, 1], id="box"),
        width=width,
        height=height,
    )
    report = bench.write(task, format="coco")
    assert [(note.reason, note.examples) for note in report.dropped] == [
        ("the image has more than 4,294,967,295 pixels, or a longer side than 131,072, for a mask", ("a.jpg · mask",))
    ]
    assert report.written == 1


def test_a_mask_in_an_aerial_picture_comes_back(bench):
    holed = [[[100, 200, 130, 200, 130, 240, 100, 240, 100, 200], [110, 210, 120, 210, 120, 220, 110, 220, 110, 210]]]
    bench.write(
        bench.task("a.jpg", bench.shape("segmentation", holed, "dog"), width=30_000, height=20_000), format="coco"
    )
    back = formats.read(bench.folder / "coco", format="coco")
    ((annotation,),) = (task["annotations"] for task in to_fastlabel(back))
    assert raster.paint(annotation["points"], 200, 300).mask.sum() == 30 * 40 - 10 * 10
    assert back.report.dropped == ()


def test_pictures_lie_beside_the_labels_and_know_their_size(bench, pictures, tmp_path, tree):
    from fastlabel_dagster import formats

    sizeless = bench.task("x/b.png", bench.shape("bbox", [0, 0, 9, 9]))
    del sizeless["width"], sizeless["height"]
    content = bench.labels(bench.task("a.png"), sizeless)
    images = pictures(content, tmp_path / "pictures")
    report = formats.write(content, format="coco", target=tmp_path / "out", images=images)
    document = json.loads((tmp_path / "out/annotations.json").read_bytes())
    assert all((tmp_path / "out/images" / image["file_name"]).is_file() for image in document["images"])
    assert document["images"][1]["width"] == 100 and document["images"][1]["height"] == 80
    assert report.files == 3 and report.bytes == sum(
        len(data) for name, data in tree(tmp_path / "out").items() if name != "report.json"
    )


def test_two_tasks_with_one_id_are_an_error(bench):
    with pytest.raises(ValueError, match="same task id"):
        bench.write(bench.task("a.jpg", id="x"), bench.task("b.jpg", id="x"))


def test_an_empty_project_is_a_valid_dataset(bench):
    report, coco = bench.coco(classes=[])
    assert coco.dataset["images"] == coco.dataset["annotations"] == coco.dataset["categories"] == []
    assert report.tasks == report.written == 0


def test_mask_and_polygon_agree_with_the_outline(bench):
    """The mask of a hole-free region by our rule is that of pycocotools up to the pixels on its rim."""
    ring = [3.2, 4.1, 60.7, 9.3, 41.0, 70.9, 3.2, 4.1]
    _, coco = bench.coco(bench.task("a.jpg", bench.shape("segmentation", [[ring]])))
    theirs = coco.annToMask(coco.dataset["annotations"][0]).astype(bool)
    ours = raster.regions_to_mask([[ring]], 100, 80)
    assert (theirs ^ ours).sum() < 0.05 * ours.sum()
