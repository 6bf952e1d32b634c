"""COCO files as people have them: every oddity other importers stumble over."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as judge

from fastlabel_dagster import formats
from fastlabel_dagster.labels import raster, to_fastlabel


def document(*annotations, **fields):
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [{"id": n, "image_id": 7, "category_id": 3, **row} for n, row in enumerate(annotations, 1)],
        "categories": [{"id": 3, "name": "dog", "supercategory": "animal"}],
        **fields,
    }


def annotations_of(content):
    return next(iter(to_fastlabel(content)))["annotations"]


@pytest.mark.parametrize(
    "segmentation",
    [{}, {"segmentation": []}, {"segmentation": None}, {"segmentation": [[]]}, {"segmentation": [[1, 2]]}],
)
def test_a_box_alone_is_a_box(bench, segmentation):
    (annotation,) = annotations_of(bench.read(document({"bbox": [10, 20, 30, 40.5], **segmentation})))
    assert annotation["type"] == "bbox" and annotation["points"] == [10, 20, 40, 60.5]
    assert (annotation["value"], annotation["title"]) == ("dog", "dog")


def test_one_bad_outline_does_not_spoil_the_others(bench):
    box = [0, 0, 9, 9]
    content = bench.read(
        document({"bbox": box, "segmentation": [[1, 2]]}, {"bbox": box, "segmentation": [[0, 0, 9, 0, 9, 9]]})
    )
    assert [row["type"] for row in annotations_of(content)] == ["bbox", "polygon"]


def test_parts_are_regions_and_every_vertex_stays(bench):
    parts = [[0, 0, 10, 0, 10, 10.125], [20, 20, 30, 20, 30, 30, 20, 20]]
    (annotation,) = annotations_of(bench.read(document({"bbox": [0, 0, 30, 30], "segmentation": parts})))
    assert annotation["type"] == "segmentation"
    assert annotation["points"] == [[[*parts[0], 0, 0]], [[*parts[1], 20, 20]]]


@pytest.mark.parametrize("compressed", [True, False])
def test_run_lengths_of_both_kinds_are_traced_exactly(bench, compressed):
    mask = np.random.default_rng(1).random((80, 100)) < 0.4
    text = judge.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    encoded = text if compressed else raster.decode_rle(text)
    content = bench.read(
        document({"bbox": [0, 0, 100, 80], "iscrowd": 1, "segmentation": {"counts": encoded, "size": [80, 100]}})
    )
    (annotation,) = annotations_of(content)
    np.testing.assert_array_equal(raster.regions_to_mask(annotation["points"], 100, 80), mask)
    assert {"key": "iscrowd", "name": "iscrowd", "type": "switch", "value": True} in annotation["attributes"]


@pytest.mark.parametrize("counts", [[1, 2], "0", "\x7f", [8000]])
def test_a_damaged_or_empty_mask_leaves_its_box(bench, counts):
    content = bench.read(document({"bbox": [1, 2, 3, 4], "segmentation": {"counts": counts, "size": [80, 100]}}))
    assert annotations_of(content)[0]["points"] == [1, 2, 4, 6]
    assert "masks" in str(content.report)


def test_keypoints_are_a_pose_and_a_single_one_a_keypoint(bench):
    categories = [
        {"id": 3, "name": "dog", "keypoints": ["head", "ear", "tail"], "skeleton": [[1, 3]]},
        {"id": 4, "name": "nose", "keypoints": ["nose"], "skeleton": []},
    ]
    content = bench.read(
        document(
            {"bbox": [0, 0, 9, 9], "keypoints": [1.5, 2, 2, 0, 0, 0, 8, 8, 1], "num_keypoints": 2},
            {"category_id": 4, "bbox": [5, 6, 0, 0], "keypoints": [5, 6, 2], "num_keypoints": 1},
            {"bbox": [0, 0, 9, 9], "keypoints": [0] * 9, "num_keypoints": 0},
            categories=categories,
        )
    )
    pose, point, none = annotations_of(content)
    assert [(p["key"], p["value"], p["edges"]) for p in pose["keypoints"]] == [
        ("head", [1.5, 2, 1], ["tail"]),
        ("tail", [8, 8, 0], ["head"]),
    ]
    assert (point["type"], point["points"]) == ("keypoint", [5, 6])
    assert none["type"] == "bbox"
    types = {(row["value"], row["type"]) for row in content.classes.to_pylist()}
    assert types == {("dog", "pose_estimation"), ("dog", "bbox"), ("nose", "keypoint")}


def test_a_whole_number_with_a_point_is_an_id_and_what_is_none_is_told(bench):
    rows = [{"id": one, "bbox": [0, 0, 1, 1]} for one in (5.0, "a", 6, 7.5, [8], None)]
    content = bench.read(document(*rows))
    ids = [annotation.get("id") for annotation in annotations_of(content)]
    assert ids[:3] == ["5", "a", "6"] and not {"7.5", "[8]"} & set(map(str, ids))
    (note,) = content.report.altered
    assert "id" in note.reason and note.count == 2
    assert [row["id"] for row in annotations_of(bench.read(document(*({**row, "id": 3.0} for row in rows[:1]))))] == [
        "3"
    ]


def test_boxes_of_negative_size_are_put_in_order_and_told(bench):
    boxes = ([30, 20, -10, 5], [30, 20, 10, -5], [30, 20, -10, -5], [1, 2, 3, 4])
    content = bench.read(document(*({"bbox": box} for box in boxes)))
    assert [annotation["points"] for annotation in annotations_of(content)] == [
        [20, 20, 30, 25], [30, 15, 40, 20], [20, 15, 30, 20], [1, 2, 4, 6]
    ]  # fmt: skip
    (note,) = content.report.altered
    assert "negative" in note.reason and note.count == 3


def test_unknown_categories_and_images_are_told(bench):
    content = bench.read(document({"category_id": 99, "bbox": [0, 0, 1, 1]}, {"image_id": 55, "bbox": [0, 0, 1, 1]}))
    (annotation,) = annotations_of(content)
    assert annotation["value"] == "category_99"
    assert content.report.dropped_count == 1
    (note,) = content.report.dropped
    assert "images the file does not list" in note.reason


@pytest.mark.parametrize("missing", ["categories", "annotations"])
def test_missing_parts_are_empty_parts(bench, missing):
    content = document({"bbox": [0, 0, 1, 1]})
    del content[missing]
    assert bench.read(content).tasks.num_rows == 1


def test_a_class_per_value_and_type_and_colours_that_differ(bench):
    outline = [[0, 0, 9, 0, 9, 9]]
    content = bench.read(
        document(
            {"bbox": [0, 0, 9, 9], "segmentation": outline},
            {"bbox": [0, 0, 9, 9], "segmentation": outline},
            {"bbox": [0, 0, 9, 9]},
            categories=[{"id": n, "name": name} for n, name in ((3, "dog"), (90, "cat"), (17, "cow"))],
        )
    )
    rows = [(row["value"], row["type"], row["order"]) for row in content.classes.to_pylist()]
    assert rows == [("dog", "polygon", 3), ("dog", "bbox", 91), ("cow", "bbox", 17), ("cat", "bbox", 90)]
    colors = {row["value"]: row["color"] for row in content.classes.to_pylist()}
    assert len(set(colors.values())) == 3
    again = bench.read(document({"bbox": [0, 0, 9, 9]}))
    assert again.classes["color"][0].as_py().startswith("#")


def test_two_splits_with_one_file_name_are_two_tasks(bench):
    bench.read(document({"bbox": [0, 0, 1, 1]}), "annotations/instances_train2017.json")
    content = bench.read(document({"bbox": [5, 5, 1, 1]}), "annotations/instances_val2017.json")
    rows = content.tasks.select(["name", "tags"]).to_pylist()
    assert rows == [{"name": "train2017/a.jpg", "tags": ["train"]}, {"name": "val2017/a.jpg", "tags": ["val"]}]
    assert len(set(content.tasks["task_id"].to_pylist())) == 2
    assert [len(task["annotations"]) for task in to_fastlabel(content)] == [1, 1]


def test_files_over_the_same_images_are_read_once_and_captions_never(bench):
    bench.read(document({"bbox": [0, 0, 1, 1]}), "annotations/instances_train2017.json")
    captions = document()
    captions["annotations"] = [{"id": 1, "image_id": 7, "caption": "a dog"}]
    (bench.folder / "source/annotations/captions_train2017.json").write_text(json.dumps(captions))
    (bench.folder / "source/report.json").write_text("{}")
    content = bench.read(document({"bbox": [0, 0, 2, 2]}), "annotations/person_keypoints_train2017.json")
    assert content.tasks.num_rows == 1
    assert annotations_of(content)[0]["points"] == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["stuff", "image_info"])
def test_stuff_and_mere_lists_of_the_same_images_make_no_further_tasks(bench, laid, kind):
    other = document({"bbox": [0, 0, 2, 2]}, categories=[{"id": 3, "name": "sky"}])
    root = laid(
        {
            "annotations/instances_train2017.json": json.dumps(document({"bbox": [0, 0, 1, 1]})),
            f"annotations/{kind}_train2017.json": json.dumps(other),
            f"annotations/{kind}_test2017.json": json.dumps(other),
            "test2017/a.jpg": b"",
        }
    )
    content = formats.read(root, format="coco")
    rows = sorted(zip(*(content.tasks[name].to_pylist() for name in ("name", "tags", "url")), strict=True))
    assert [row[:2] for row in rows] == [("test2017/a.jpg", ["test"]), ("train2017/a.jpg", ["train"])]
    assert rows[0][2] == (root / "test2017" / "a.jpg").as_uri()
    (note,) = [note for note in content.report.noticed if "same pictures" in note.reason]
    assert note.examples == (f"annotations/{kind}_train2017.json",)


@pytest.mark.parametrize("kind", ["stuff", "image_info"])
def test_files_called_so_that_have_images_of_their_own_are_read(laid, kind):
    of = {name: [{"id": 7, "file_name": f"{name}.jpg", "width": 100, "height": 80}] for name in "ab"}
    plain = json.dumps(document({"bbox": [0, 0, 1, 1]}, images=of["a"]))
    root = laid({"train.json": plain, f"{kind}_train.json": json.dumps(document(images=of["b"]))})
    content = formats.read(root, format="coco")
    assert sorted(name[-5:] for name in content.tasks["name"].to_pylist()) == ["a.jpg", "b.jpg"]
    assert not [note for note in content.report.noticed if "same pictures" in note.reason]


def test_a_picture_that_two_files_list_is_told(laid):
    text = json.dumps(document({"bbox": [0, 0, 1, 1]}))
    content = formats.read(laid({"old.json": text, "new.json": text, "images/a.jpg": b""}), format="coco")
    assert content.tasks["name"].to_pylist() == ["new/a.jpg", "old/a.jpg"]
    (note,) = [note for note in content.report.noticed if "several files" in note.reason]
    assert (note.count, note.examples) == (1, ("old.json, a.jpg",))


def test_images_of_lvis_have_an_address_in_place_of_a_name(bench, laid):
    image = {"id": 7, "coco_url": "http://images.cocodataset.org/val2017/a.jpg", "width": 100, "height": 80}
    lvis = document({"bbox": [0, 0, 1, 1]}, images=[{**image, "neg_category_ids": [4]}])
    root = laid({"annotations/lvis_v1_val.json": json.dumps(lvis), "val2017/a.jpg": b""})
    content = formats.read(root, format="coco")
    (task,) = content.tasks.select(["name", "tags", "url"]).to_pylist()
    assert task == {"name": "val2017/a.jpg", "tags": ["val"], "url": (root / "val2017" / "a.jpg").as_uri()}
    assert len(annotations_of(content)) == 1
    (note,) = content.report.noticed
    assert note.examples == ("annotations/lvis_v1_val.json, neg_category_ids",)


def test_images_listed_twice_are_one_task(bench):
    images = [{"id": n, "file_name": "a.jpg", "width": 100, "height": 80} for n in (7, 8)]
    content = bench.read(document({"bbox": [0, 0, 1, 1]}, {"image_id": 8, "bbox": [0, 0, 2, 2]}, images=images))
    assert content.tasks.num_rows == 1 and len(annotations_of(content)) == 2


def test_a_truncated_file_says_which_it_is(bench):
    text = json.dumps(document({"bbox": [0, 0, 1, 1]}))[:-40]
    with pytest.raises(ValueError, match=r"annotations\.json: is not valid JSON"):
        bench.read(text)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"images": None}, "it has no list of images"),
        ({"annotations": [{"id": 1, "image_id": 7, "caption": "a dog"}]}, "its annotations are of another kind"),
    ],
)
def test_the_only_file_there_is_named_with_what_it_lacks(bench, fields, problem):
    with pytest.raises(formats.FormatError, match=rf"captions_val\.json: is not a COCO file: {problem}"):
        bench.read({**document(), **fields}, "annotations/captions_val.json")


def test_a_file_of_something_else_says_so(bench, tmp_path):
    with pytest.raises(FileNotFoundError, match="no COCO annotation file"):
        bench.read({"hello": 1})
    with pytest.raises(ValueError, match="is not a COCO file"):
        formats.read(bench.folder / "source" / "annotations.json", format="coco")
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "nowhere", format="coco")


def test_numbers_json_does_not_know_cost_their_annotation_only(bench):
    content = bench.read(document({"bbox": [0, float("nan"), 1, 1]}, {"bbox": [0, 0, 1, 1]}))
    (note,) = content.report.dropped
    assert (content.report.annotations, note.count, note.examples) == (1, 1, ("annotations.json, annotation 1",))
    assert "not a finite number" in note.reason


@pytest.mark.parametrize(("image", "category"), [("7", "3"), (7, "3"), ("7", 3), (7.0, 3.0), ("7", 3.0)])
@pytest.mark.parametrize(("named_image", "named_category"), [("7", "3"), (7, 3), (7.0, "3"), ("7", 3.0)])
def test_ids_may_be_text_here_and_numbers_there(bench, image, category, named_image, named_category):
    content = {
        "images": [{"id": image, "file_name": "a.jpg", "width": 9, "height": 9}],
        "categories": [{"id": category, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": named_image, "category_id": named_category, "bbox": [1, 1, 2, 2]},
            {"id": 2, "image_id": [7], "category_id": named_category, "bbox": [1, 1, 2, 2]},
            {"id": 3, "image_id": "07", "category_id": named_category, "bbox": [1, 1, 2, 2]},
        ],
    }
    (bench.folder / "mixed.json").write_text(json.dumps(content))
    labels = formats.read(bench.folder / "mixed.json", format="coco")
    assert [(row["task_name"], row["value"]) for row in labels.annotations.to_pylist()] == [("a.jpg", "dog")]
    assert [note.count for note in labels.report.dropped] == [2]
    # What stands for an order stays as it is; of a text it is told that the class got a number of its own.
    assert [note.reason[:12] for note in labels.report.noticed] == ["category ids"] * isinstance(category, str)


def test_a_rotation_among_the_attributes_of_a_box_is_told(bench):
    rotations = [0, 0.0, 90.0, "north", True, None, "-12.5"]
    boxes = [*((one, []) for one in rotations), (45, [[1, 1, 9, 1, 9, 9]])]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "segmentation": outline,
             "attributes": {"occluded": False, "rotation": rotation}}
            for number, (rotation, outline) in enumerate(boxes)
        ],
    }  # fmt: skip
    (bench.folder / "cvat.json").write_text(json.dumps(content))
    labels = formats.read(bench.folder / "cvat.json", format="coco")
    assert labels.annotations["type"].to_pylist() == ["bbox"] * 7 + ["polygon"]
    (note,) = (note for note in labels.report.noticed if "rotation" in note.reason)
    assert note.examples == ("cvat.json, annotation 2", "cvat.json, annotation 6")


def test_a_file_name_cannot_reach_outside_the_dataset(bench):
    (bench.folder / "secret.jpg").write_bytes(b"x")
    images = [{"id": 7, "file_name": "../secret.jpg", "width": 1, "height": 1}]
    assert bench.read(document(images=images)).tasks["url"][0].as_py() is None


@pytest.mark.parametrize(
    ("labels", "picture"),
    [
        ("labels.json", "data/a.jpg"),
        ("validation/labels.json", "validation/data/a.jpg"),
        ("annotations/instances_val2017.json", "JPEGImages/a.jpg"),
    ],
)
def test_pictures_lie_where_other_programs_put_them(laid, labels, picture):
    root = laid({labels: json.dumps(document()), picture: b""})
    assert formats.read(root, format="coco").tasks["url"].to_pylist() == [(root / picture).as_uri()]


@pytest.mark.parametrize(
    ("stated", "place"),
    [
        ("../../label-studio/data/media/upload/1/a.jpg", "images/a.jpg"),
        ("../../label-studio/data/media/upload/1/a.jpg", "upload/1/a.jpg"),
        ("/data/local-files/?d=set/a.jpg", "a.jpg"),
        ("https://host/data/upload/1/a.jpg?signed=x/y", "upload/1/a.jpg"),
        ("C:\\data\\upload\\1\\a.jpg", "images/a.jpg"),
    ],
)
def test_a_picture_whose_name_leads_elsewhere_is_found_by_the_end_of_it(laid, stated, place):
    image = {"id": 7, "file_name": stated, "width": 100, "height": 80}
    other = {**image, "id": 8, "file_name": "other/a.jpg"}
    root = laid({"result.json": json.dumps(document(images=[image])), place: b""})
    assert formats.read(root, format="coco").tasks["url"].to_pylist() == [(root / place).as_uri()]
    (root / "result.json").write_text(json.dumps(document(images=[image, other])))
    assert formats.read(root, format="coco").tasks["url"].to_pylist() == [None, None], "it may be either"


def test_a_picture_that_several_files_may_mean_is_that_of_none(laid):
    of = {
        part: json.dumps(document(images=[{"id": 7, "file_name": f"../{part}/1.png", "width": 9, "height": 9}]))
        for part in ("train", "val")
    }
    root = laid({f"annotations/{part}.json": text for part, text in of.items()} | {"images/1.png": b""})
    assert formats.read(root, format="coco").tasks["url"].to_pylist() == [None, None]


def test_a_link_that_leads_to_itself_hides_no_other_picture(bench):
    folder = bench.folder / "source" / "images"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.jpg").symlink_to("c.jpg")
    images = [{"id": place, "file_name": f"{name}.jpg"} for place, name in enumerate("abc")]
    urls = bench.read(document(images=images)).tasks["url"].to_pylist()
    assert [url and url.rpartition("/")[2] for url in urls] == ["a.jpg", "b.jpg", None]


def test_reading_is_the_same_every_time(bench):
    rows = document({"bbox": [0, 0, 1, 1]})
    first, second = bench.read(rows), bench.read(rows)
    assert first.tasks.equals(second.tasks) and first.classes.equals(second.classes)


def told(content):
    return {note.reason: note for fate in ("altered", "noticed") for note in getattr(content.report, fate)}


@pytest.mark.parametrize(
    "said, reason",
    [
        ({"score": 1.5}, "a score that is not"),
        ({"score": "0.9"}, "a score that is not"),
        ({"score": True}, "a score that is not"),
        ({"rotation": "45"}, "a rotation that is no number"),
        ({"rotation": 45}, "a rotation that its outline does not show"),
        ({"rotation": 45, "segmentation": [[0, 0, 9, 0, 9, 9]]}, "a rotation that its outline does not show"),
        ({"iscrowd": "1"}, "an iscrowd that is neither"),
        ({"iscrowd": 2}, "an iscrowd that is neither"),
        ({"bbox": [5, 5, 9, 9, 30], "segmentation": [[0, 0, 9, 0, 9, 9]]}, "a bbox that is not four"),
        ({"bbox": "0 0 9 9", "segmentation": [[0, 0, 9, 0, 9, 9]]}, "a bbox that is not four"),
        ({"keypoints": [1, 1, 0, 2, 2, 2]}, "keypoints of visibility 0"),
        ({"keypoints": [1, 1, 0.5, 2, 2, 2]}, "a visibility other than"),
        ({"keypoints": [1, 1, 2, 2]}, "keypoints that are not three numbers"),
        ({"track_id": 12}, "annotations with a field that FastLabel has no place for"),
    ],
)
def test_what_is_not_read_of_an_annotation_is_told(bench, said, reason):
    box = {"bbox": [0, 0, 9, 9]}
    keypoints = [{"id": 3, "name": "dog", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}]
    content = bench.read(document(box, box | said, box | {"iscrowd": 0, "area": 81}, categories=keypoints))
    assert content.report.annotations == 3
    (note,) = [note for text, note in told(content).items() if text.startswith(reason)]
    assert note.count == 1
    assert note.examples in (("annotations.json, annotation 2",), ("annotations.json, track_id",))


def test_a_sound_score_crowd_rotation_and_pose_are_told_nothing_of(bench):
    turned = {"bbox": [0, 0, 9, 9], "rotation": 90, "segmentation": [[9, 0, 9, 9, 0, 9, 0, 0]]}
    pose = {"keypoints": [0, 0, 0, 2, 2, 1], "num_keypoints": 1, "bbox": []}
    rows = [{"bbox": [0, 0, 9, 9], "score": 0.5, "iscrowd": 1, "rotation": 0}, turned, pose]
    keypoints = [{"id": 3, "name": "dog", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}]
    assert not told(bench.read(document(*rows, categories=keypoints)))


@pytest.mark.parametrize(
    "said, reason",
    [
        ({"categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "dog"}]}, "categories of one name"),
        ({"categories": [{"id": 3, "keypoints": ["a"], "skeleton": [[0, 1]]}]}, "edges of a skeleton"),
        ({"categories": [{"id": 3, "name": "dog", "keypoints": "a, b"}]}, "keypoints of a category"),
        ({"images": [{"id": 7, "file_name": "a.jpg", "width": "100", "height": 80}]}, "a width or height"),
        ({"images": [{"id": 7, "file_name": "a.jpg", "width": 100.5, "height": 80}]}, "a width or height"),
        ({"images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80, "frame": 5}]}, "images with a field"),
    ],
)
def test_what_is_not_read_of_images_and_categories_is_told(bench, said, reason):
    content = bench.read(document({"bbox": [0, 0, 9, 9]}, **said))
    (note,) = [note for text, note in told(content).items() if text.startswith(reason)]
    assert note.count == 1 and note.examples[0].startswith("annotations.json, ")


@pytest.mark.parametrize("deep", [0, 1000])
def test_ids_of_images_beyond_64_bits_are_not_rounded_into_one(tmp_path, deep):
    first, second = 2**70 + 1, 2**70 + 2
    images = [{"id": first, "file_name": "a.jpg"}, {"id": second, "file_name": "b.jpg"}]
    boxes = [{"image_id": second, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    boxes.append({"image_id": first, "category_id": 1, "bbox": [5, 5, 2, 2]})
    text = json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dog"}], "info": "x"})
    (tmp_path / "instances.json").write_text(text.replace('"x"', "[" * deep + "]" * deep or '"x"'))
    if deep:
        with pytest.raises(formats.FormatError, match=r"instances\.json"):
            formats.read(tmp_path / "instances.json", format="coco")
        return
    content = formats.read(tmp_path / "instances.json", format="coco")
    places = {task["name"]: task["annotations"][0]["points"] for task in to_fastlabel(content)}
    assert places == {"a.jpg": [5, 5, 7, 7], "b.jpg": [1, 1, 3, 3]}
