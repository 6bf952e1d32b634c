"""The official SDK's COCO converters beside ours: the same where theirs are right, and what their defects give.

Every test calls the SDK itself, so the difference is shown and not remembered.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel

converters = pytest.importorskip("fastlabel.converters")
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
whole = st.integers(0, 60)
boxes = st.tuples(whole, whole, st.integers(1, 40), st.integers(1, 20)).map(
    lambda box: ("bbox", [box[0], box[1], box[0] + box[2], box[1] + box[3]])
)
# Right-angled triangles: the SDK's area of a polygon is that of its vertices in order, and so is ours.
polygons = st.tuples(whole, whole, st.integers(1, 40), st.integers(1, 20)).map(
    lambda box: ("polygon", [box[0], box[1], box[0] + box[2], box[1], box[0] + box[2], box[1] + box[3]])
)
regions = boxes.map(
    lambda box: (
        "segmentation",
        [[[box[1][place] for place in (0, 1, 2, 1, 2, 3, 0, 3, 0, 1)]]],
    )
)
projects = st.lists(
    st.lists(st.tuples(st.one_of(boxes, polygons, regions), st.sampled_from(["bird", "cat", "dog"])), max_size=5),
    min_size=1,
    max_size=4,
)


def tasks_of(project):
    return [
        {
            "id": f"t{number}",
            "name": f"{number}.jpg",
            "width": 100,
            "height": 80,
            "annotations": [
                {"type": kind, "value": value, "title": value, "color": "#ff0000", "points": points, "attributes": []}
                for (kind, points), value in annotations
            ],
        }
        for number, annotations in enumerate(project)
    ]


def ours(tasks, folder, classes=()):
    formats.write(from_fastlabel(tasks, list(classes)), format="coco", target=folder, bbox_segmentation="rectangle")
    return json.loads((Path(folder) / "annotations.json").read_bytes())


def seen(document):
    """Image by image: category name, box, area and outlines (without the vertex that closes them), sorted."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    result = {image["file_name"]: (image["width"], image["height"], []) for image in document["images"]}
    file_of = {image["id"]: image["file_name"] for image in document["images"]}
    for row in document["annotations"]:
        outlines = [
            [*map(float, ring[:-2] if ring[:2] == ring[-2:] else ring)] for ring in row.get("segmentation") or []
        ]
        box = [float(side) for side in row["bbox"]]
        result[file_of[row["image_id"]]][2].append((names[row["category_id"]], box, float(row["area"]), outlines))
    for _, _, rows in result.values():
        rows.sort(key=repr)
    return result


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(projects)
def test_exports_hold_the_same_images_boxes_areas_and_outlines(project):
    tasks = tasks_of(project)
    with tempfile.TemporaryDirectory() as folder:
        theirs = converters.to_coco("image_all", tasks, folder)
        assert seen(ours(tasks, folder)) == seen(json.loads(json.dumps(theirs, default=float)))


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(st.lists(st.lists(st.tuples(polygons, st.sampled_from(["cat", "dog"])), max_size=4), min_size=1, max_size=4))
def test_polygons_are_imported_the_same(project):
    with tempfile.TemporaryDirectory() as folder:
        document = ours(tasks_of(project), folder)
        theirs = converters.execute_coco_to_fastlabel(document, "polygon")
        labels = formats.read(Path(folder), format="coco")
    found = {
        task["name"]: [(row["value"], row["type"], row["points"]) for row in task["annotations"]]
        for task in to_fastlabel(labels)
    }
    assert found == {
        name: [(row["value"], row["type"], row["points"]) for row in rows] for name, rows in theirs.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(
    st.lists(
        st.lists(st.tuples(whole, whole, st.sampled_from([0, 1, 2])), min_size=3, max_size=3).filter(
            lambda points: any(v for _, _, v in points)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_poses_are_imported_the_same(poses):
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "categories": [{"id": 1, "name": "dog", "keypoints": ["a", "b", "c"], "skeleton": []}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "keypoints": [number for point in pose for number in point]}
            for n, pose in enumerate(poses, start=1)
        ],
    }
    theirs = converters.execute_coco_to_fastlabel(json.loads(json.dumps(document)), "pose_estimation")["a.jpg"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.json").write_text(json.dumps(document))
        (task,) = to_fastlabel(formats.read(Path(folder), format="coco"))

    def points(rows):
        return [[(point["key"], [float(n) for n in point["value"]]) for point in row["keypoints"]] for row in rows]

    assert points(task["annotations"]) == points(theirs)


class TestExport:
    def both(self, bench, *shapes, classes=(), sdk_classes=()):
        task = bench.task("a.jpg", *shapes)
        theirs = converters.to_coco("image_all", [task], str(bench.folder), list(sdk_classes))
        return theirs, ours([task], bench.folder / "ours", classes)

    def test_c1_every_category_has_its_own_colour(self, bench):
        shapes = [
            bench.shape("bbox", [0, 0, 9, 9], value, color=color)
            for value, color in (("dog", "#ff0000"), ("bird", "#00ff00"))
        ]
        classes = [bench.klass("dog", 1, color="#ff0000"), bench.klass("bird", 2, color="#00ff00")]
        theirs, mine = self.both(bench, *shapes, classes=classes)
        assert {row["color"] for row in theirs["categories"]} == {"#00ff00"}
        assert {row["name"]: row["color"] for row in mine["categories"]} == {"dog": "#ff0000", "bird": "#00ff00"}

    def test_c2_a_turned_box_is_turned(self, bench):
        theirs, mine = self.both(bench, bench.shape("bbox", [10, 10, 90, 20], rotation=90))
        assert theirs["annotations"][0]["bbox"] == [10, 10, 80, 10]
        assert mine["annotations"][0]["bbox"] == [45, -25, 10, 80]

    def test_c3_holes_are_no_part_of_the_mask(self, bench):
        rings = [[0, 0, 40, 0, 40, 40, 0, 40, 0, 0], [10, 10, 10, 30, 30, 30, 30, 10, 10, 10]]
        theirs, mine = self.both(bench, bench.shape("segmentation", [rings]))
        assert (theirs["annotations"][0]["area"], len(theirs["annotations"][0]["segmentation"])) == (1600, 1)
        assert (mine["annotations"][0]["area"], set(mine["annotations"][0]["segmentation"])) == (
            1200,
            {"counts", "size"},
        )

    def test_c4_a_box_smaller_than_a_pixel_is_kept(self, bench):
        theirs, mine = self.both(bench, bench.shape("bbox", [10.2, 10.2, 10.8, 10.8]))
        assert theirs["annotations"] == [] and len(mine["annotations"]) == 1

    def test_c5_annotations_keep_their_order(self, bench):
        shapes = [bench.shape("bbox", [0, 0, side, side], value) for side, value in ((50, "b"), (10, "a"), (5, "a"))]
        theirs, mine = self.both(bench, *shapes)
        assert [row["area"] for row in theirs["annotations"]] == [25, 100, 2500]
        assert [row["area"] for row in mine["annotations"]] == [2500, 100, 25]

    def test_c6_nothing_is_left_out_without_a_word(self, bench):
        shapes = [
            bench.shape("line", [0, 0, 5, 5]),
            bench.shape("keypoint", [5, 5], "nose"),
            bench.shape("circle", [20, 20, 5]),
            bench.shape("classification"),
        ]
        theirs, mine = self.both(bench, *shapes)
        assert theirs["annotations"] == [] and len(mine["annotations"]) == 2
        report = bench.write(bench.task("a.jpg", *shapes))
        assert {note.type for note in report.dropped} == {"line", "classification"}

    def test_c7_a_pose_brings_its_keypoints_and_has_a_box(self, bench):
        points = [
            {"name": key, "key": key, "value": value, "edges": []}
            for key, value in (("a", [5, 6, 1]), ("b", [7, 9, 0]))
        ]
        shape = bench.shape("pose_estimation", keypoints=points)
        theirs, mine = self.both(bench, shape)
        assert [theirs["annotations"][0][name] for name in ("keypoints", "num_keypoints", "bbox")] == [[], 2, []]
        row = mine["annotations"][0]
        assert [row["keypoints"], row["num_keypoints"], row["bbox"]] == [[5, 6, 2, 7, 9, 1], 2, [5, 6, 2, 3]]

    def test_c7b_the_keypoints_are_the_same_when_the_sdk_knows_the_class(self, bench):
        points = [{"name": key, "key": key, "value": [n, n, 1], "edges": []} for n, key in enumerate("abc", 1)]
        declared = [
            {"id": key, "key": key, "name": key, "color": "#000000", "edges": edges}
            for key, edges in (("a", ["b"]), ("b", ["a", "c"]), ("c", ["b"]))
        ]
        klass = bench.klass("dog", 1, "pose_estimation", keypoints=declared)
        shape = bench.shape("pose_estimation", keypoints=points[::-1])
        theirs, mine = self.both(bench, shape, classes=[klass], sdk_classes=[klass])
        assert theirs["annotations"][0]["keypoints"] == mine["annotations"][0]["keypoints"]
        assert theirs["categories"][0]["keypoints"] == mine["categories"][0]["keypoints"] == ["a", "b", "c"]
        assert sorted(theirs["categories"][0]["skeleton"]) == mine["categories"][0]["skeleton"] == [[1, 2], [2, 3]]
        assert theirs["annotations"][0]["bbox"] == [] and mine["annotations"][0]["bbox"] == [1, 1, 2, 2]

    def test_c8_an_object_of_an_unknown_class_stays(self, bench):
        shapes = [bench.shape("bbox", [0, 0, 9, 9], value) for value in ("dog", "bird")]
        dog = bench.klass("dog", 1, keypoints=[])
        theirs, mine = self.both(bench, *shapes, classes=[dog], sdk_classes=[dog])
        assert len(theirs["annotations"]) == 1 and len(mine["annotations"]) == 2

    def test_c9_a_box_is_four_corners(self, bench):
        theirs, mine = self.both(bench, bench.shape("bbox", [10, 10, 20, 20]))
        assert len(theirs["annotations"][0]["segmentation"][0]) == 10
        assert mine["annotations"][0]["segmentation"] == [[10, 10, 20, 10, 20, 20, 10, 20]]

    def test_c10_the_file_is_as_small_as_json_can_be(self, bench):
        task = bench.task("a.jpg", *(bench.shape("bbox", [n, n, n + 9, n + 9]) for n in range(50)))
        theirs = len(json.dumps(converters.to_coco("image_all", [task], str(bench.folder)), indent=4, default=float))
        bench.write(task)
        assert (bench.folder / "coco/annotations.json").stat().st_size < theirs / 2

    def test_c11_no_pool_of_threads_per_image(self, bench, monkeypatch):
        import concurrent.futures

        made = []
        original = concurrent.futures.ThreadPoolExecutor.__init__

        def counted(self, *args, **kwargs):
            made.append(self)
            original(self, *args, **kwargs)

        monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "__init__", counted)
        tasks = [bench.task(f"{n}.jpg", bench.shape("bbox", [0, 0, 9, 9])) for n in range(10)]
        converters.to_coco("image_all", tasks, str(bench.folder))
        theirs = len(made)
        bench.write(*tasks)
        assert theirs >= 10 and len(made) == theirs


def document(*rows, **fields):
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 1, **row} for n, row in enumerate(rows, 1)],
        "categories": [{"id": 1, "name": "dog"}],
        **fields,
    }


def their_import(content, kind="polygon"):
    return converters.execute_coco_to_fastlabel(json.loads(json.dumps(content)), kind)


def our_import(bench, content):
    return [row for task in to_fastlabel(bench.read(content)) for row in task["annotations"]]


OUTLINE = {"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]}
BOX = {"bbox": [1, 2, 3, 4], "segmentation": []}


class TestImport:
    def test_i1_a_box_the_sdk_has_exported_is_a_box_again(self, bench):
        theirs = converters.to_coco("image_all", [bench.task("a.jpg", bench.shape("bbox", [1, 2, 9, 8]))], "x")
        path = bench.folder / "sdk" / "coco.json"
        path.parent.mkdir()
        path.write_text(json.dumps(theirs, default=float))
        assert their_import(json.loads(path.read_text()), "bbox")["a.jpg"][0]["type"] == "polygon"
        (task,) = to_fastlabel(formats.read(path.parent, format="coco", rectangles_are_boxes=True))
        assert [(row["type"], row["points"]) for row in task["annotations"]] == [("bbox", [1, 2, 9, 8])]

    @pytest.mark.parametrize(
        ("row", "error", "points"),
        [
            (BOX, IndexError, [1, 2, 4, 6]),  # I2
            ({"bbox": [1, 2, 3, 4]}, KeyError, [1, 2, 4, 6]),  # I3
            (
                {"bbox": [0, 0, 2, 1], "segmentation": {"counts": [0, 1, 79, 1, 7919], "size": [80, 100]}},  # I4
                KeyError,
                [[[0, 0, 2, 0, 2, 1, 0, 1, 0, 0]]],
            ),
        ],
    )
    def test_i2_i3_i4_boxes_alone_and_run_lengths_are_read(self, bench, row, error, points):
        with pytest.raises(error):
            their_import(document(row))
        (annotation,) = our_import(bench, document(row))
        assert annotation["points"] == points

    def test_i5_all_parts_of_an_outline_are_kept(self, bench):
        parts = [[0, 0, 1, 0, 1, 1], [5, 5, 6, 5, 6, 6]]
        content = document({"bbox": [0, 0, 6, 6], "segmentation": parts})
        assert their_import(content)["a.jpg"][0]["points"] == parts[0]
        assert len(our_import(bench, content)[0]["points"]) == 2

    def test_i6_one_odd_outline_does_not_poison_the_next(self, bench):
        content = document({"bbox": [0, 0, 9, 9], "segmentation": [[1, 2]]}, OUTLINE)
        with pytest.raises(Exception, match="Annotation type must be"):
            their_import(content)
        assert [row["type"] for row in our_import(bench, content)] == ["bbox", "polygon"]

    def test_i7_segmentations_are_read(self, bench):
        content = document({"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9], [0, 0, 1, 1, 1, 2]]})
        with pytest.raises(Exception, match="Annotation type must be"):
            their_import(content, "segmentation")
        assert our_import(bench, content)[0]["type"] == "segmentation"

    def test_i8_unknown_categories_and_repeated_names(self, bench):
        content = document({**OUTLINE, "category_id": 9})
        with pytest.raises(KeyError):
            their_import(content)
        assert our_import(bench, content)[0]["value"] == "category_9"
        images = [{"id": n, "file_name": "a.jpg", "width": 100, "height": 80} for n in (1, 2)]
        assert their_import(document(OUTLINE, images=images)) == {"a.jpg": []}
        assert len(our_import(bench, document(OUTLINE, images=images))) == 1

    def test_i9_reading_looks_at_each_annotation_once(self, bench):
        class Counted(dict):
            asked = 0

            def __getitem__(self, key):
                Counted.asked += key == "image_id"
                return super().__getitem__(key)

        content = document(*[OUTLINE] * 20)
        content["images"] = [{"id": n, "file_name": f"{n}.jpg"} for n in range(1, 21)]
        content["annotations"] = [Counted(row) for row in content["annotations"]]
        converters.execute_coco_to_fastlabel(content, "polygon")
        assert Counted.asked == 20 * 20

    def test_i10_no_file_is_left_open(self, bench):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            bench.read(document(OUTLINE))
