"""COCO panoptic, decoded by panopticapi's rule restated here: a pixel's segment is R + 256 G + 256² B."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.labels import from_fastlabel, raster, to_fastlabel


def square(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def panoptic(folder):
    """The document, and the segments of each of its pictures as panopticapi decodes them."""
    document = json.loads((folder / "panoptic.json").read_bytes())
    segments = {}
    for row in document["annotations"]:
        color = cv2.imread(str(folder / "panoptic" / row["file_name"]))[:, :, ::-1].astype(np.int64)
        segments[row["image_id"]] = color[:, :, 0] + 256 * color[:, :, 1] + 256 * 256 * color[:, :, 2]
    return document, segments


def judge(document, segments):
    """What panopticapi's evaluation insists on: listed and drawn segments are the same, with area and box."""
    assert {image["id"] for image in document["images"] if image["width"]} == set(segments)
    known = {category["id"] for category in document["categories"]}
    for row in document["annotations"]:
        ids = segments[row["image_id"]]
        listed = [segment["id"] for segment in row["segments_info"]]
        assert sorted(listed) == sorted(set(np.unique(ids).tolist()) - {0})
        for segment in row["segments_info"]:
            y, x = np.nonzero(ids == segment["id"])
            assert segment["area"] == len(x) and segment["category_id"] in known
            assert segment["bbox"] == [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]


def test_later_annotations_lie_above_earlier_ones_and_every_pixel_is_one_segment(bench):
    crowd = [{"key": "iscrowd", "name": "iscrowd", "type": "switch", "value": True}]
    hole = [[*square(0, 40, 40, 80), 0, 40], [*square(10, 50, 20, 60), 10, 50]]
    shapes = [
        bench.shape("bbox", [0, 0, 20, 20], "dog", id="below"),
        bench.shape("bbox", [10, 10, 30, 30], "cat", id="above"),
        bench.shape("bbox", [12, 12, 14, 14], "cat", id="hidden"),
        bench.shape("polygon", square(12, 12, 14, 14), "dog", attributes=crowd, id="crowd"),
        bench.shape("segmentation", [hole], "dog", id="holed"),
        bench.shape("bbox", [200, 0, 210, 9], "dog", id="outside"),
        bench.shape("line", [0, 0, 9, 9], "dog", id="line"),
        bench.shape("circle", [80, 40, 10], "cat", id="round"),
    ]
    classes = [bench.klass("dog", 3, color="#102030"), bench.klass("cat", 7)]
    report = bench.write(bench.task("sub/a.jpg", *shapes), bench.task("b.png"), format="coco_panoptic", classes=classes)
    assert (report.annotations, report.written, report.files, report.images) == (8, 5, 3, 2)
    said = {note.reason: note.examples for note in (*report.dropped, *report.altered)}
    assert said["later annotations cover all of it"] == ("sub/a.jpg · hidden",)
    assert said["later annotations cover a part of it, which is theirs"] == ("sub/a.jpg · below", "sub/a.jpg · above")
    assert any("no pixel" in reason for reason in said) and "not an area" in said

    document, segments = panoptic(bench.folder / "coco_panoptic")
    judge(document, segments)
    (ids,) = (segments[image["id"]] for image in document["images"] if image["file_name"] == "sub/a.jpg")
    assert ids.shape == (80, 100)
    assert [ids[5, 5], ids[15, 15], ids[13, 13], ids[45, 5], ids[55, 15], ids[70, 60]] == [1, 2, 3, 4, 0, 0]
    infos = next(row["segments_info"] for row in document["annotations"] if row["file_name"] == "sub/a.png")
    assert [(row["category_id"], row["area"], row["iscrowd"]) for row in infos[:4]] == [
        (3, 300, 0),
        (7, 396, 0),
        (3, 4, 1),
        (3, 1500, 0),
    ]
    categories = {row["name"]: row for row in document["categories"]}
    assert categories["dog"]["color"] == [16, 32, 48] and categories["dog"]["isthing"] == 1


def test_what_is_cut_at_the_edge_is_told(bench):
    shapes = [
        bench.shape("bbox", [-5, 0, 5, 10], id="left"),
        bench.shape("bbox", [20, 0, 100, 80], id="inside"),
        bench.shape("bbox", [200, 0, 210, 9], id="nowhere"),
    ]
    report = bench.write(bench.task("a.jpg", *shapes), format="coco_panoptic")
    document, segments = panoptic(bench.folder / "coco_panoptic")
    judge(document, segments)
    assert [(note.reason, note.examples) for note in report.altered] == [
        ("reached outside the image, its mask ends at the edge", ("a.jpg · left",))
    ]
    assert (report.written, report.dropped_count) == (2, 1)


def test_stuff_is_one_segment_of_its_class(bench):
    shapes = [bench.shape("bbox", [x, 0, x + 10, 10], value) for x, value in ((0, "sky"), (20, "dog"), (5, "sky"))]
    report = bench.write(
        bench.task("a.jpg", *shapes), format="coco_panoptic", classes=[bench.klass("sky", 1)], stuff=["sky"]
    )
    document, segments = panoptic(bench.folder / "coco_panoptic")
    judge(document, segments)
    assert [row["area"] for row in document["annotations"][0]["segments_info"]] == [150, 100]
    assert [row["isthing"] for row in document["categories"]] == [0, 1]
    assert report.written == 3 and [note.count for note in report.altered if "stuff" in note.reason] == [2]
    again = formats.write(
        formats.read(bench.folder / "coco_panoptic", format="coco_panoptic"),
        format="coco_panoptic",
        target=bench.folder / "again",
    )
    assert again.written == 2
    assert [row["isthing"] for row in panoptic(bench.folder / "again")[0]["categories"]] == [0, 1]


side = st.integers(-5, 60)
shapes = st.one_of(
    st.tuples(side, side, st.integers(1, 40), st.integers(1, 40)).map(
        lambda box: ("bbox", [box[0], box[1], box[0] + box[2], box[1] + box[3]])
    ),
    st.lists(st.floats(-5, 60), min_size=6, max_size=12)
    .filter(lambda numbers: len(numbers) % 2 == 0)
    .map(lambda numbers: ("polygon", numbers)),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(drawn=st.lists(st.lists(shapes, max_size=6), min_size=1, max_size=3))
def test_pixels_are_those_of_the_shapes_and_come_back_the_same(drawn):
    tasks = [
        {
            "id": f"t{number}",
            "name": f"{number}.jpg",
            "width": 60,
            "height": 50,
            "annotations": [
                {"id": str(place), "type": kind, "value": f"c{place % 3}", "points": points}
                for place, (kind, points) in enumerate(of_task)
            ],
        }
        for number, of_task in enumerate(drawn)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        formats.write(from_fastlabel(tasks), format="coco_panoptic", target=folder / "one")
        document, segments = panoptic(folder / "one")
        judge(document, segments)
        classes = {row["id"]: row["name"] for row in document["categories"]}
        for image, task in zip(document["images"], tasks, strict=True):
            expected = np.full((50, 60), "", object)
            for shape in task["annotations"]:
                points = shape["points"]
                ring = square(*points) if shape["type"] == "bbox" else points
                expected[raster.regions_to_mask([[ring]], 60, 50)] = shape["value"]
            infos = next(row["segments_info"] for row in document["annotations"] if row["image_id"] == image["id"])
            names = {0: "", **{info["id"]: classes[info["category_id"]] for info in infos}}
            found = np.vectorize(names.__getitem__, otypes=[object])(segments[image["id"]])
            assert (found == expected).all()
        back = formats.read(folder / "one", format="coco_panoptic")
        assert not back.report.dropped and not back.report.noticed
        formats.write(back, format="coco_panoptic", target=folder / "two")
        for path in (folder / "one" / "panoptic").iterdir():
            assert path.read_bytes() == (folder / "two" / "panoptic" / path.name).read_bytes()
        other = json.loads((folder / "two/panoptic.json").read_bytes())
        assert other["annotations"] == document["annotations"]


def dataset(folder, *, ids=None, **changes):
    """A dataset of one picture of 6 x 4 pixels."""
    ids = np.array([[70000, 70000, 0, 5, 5, 5]] * 4) if ids is None else ids
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "a.png",
                "segments_info": [
                    {"id": 70000, "category_id": 3, "area": 8, "bbox": [0, 0, 2, 4], "iscrowd": 0},
                    {"id": 5, "category_id": 4, "area": 12, "bbox": [3, 0, 3, 4], "iscrowd": 1},
                ],
            }
        ],
        "categories": [
            {"id": 3, "name": "dog", "isthing": 1, "color": [1, 2, 3]},
            {"id": 4, "name": "sky", "isthing": 0, "color": [255, 0, 16], "supercategory": "outdoor"},
        ],
        **changes,
    }
    place = folder / "annotations"
    (place / "panoptic_val2017").mkdir(parents=True)
    colors = np.stack([ids // 65536, ids // 256 % 256, ids % 256], axis=2).astype(np.uint8)
    cv2.imwrite(str(place / "panoptic_val2017" / "a.png"), colors)
    (place / "panoptic_val2017.json").write_text(json.dumps(document))
    return folder


def test_a_dataset_as_coco_publishes_it(tmp_path):
    back = formats.read(dataset(tmp_path), format="coco_panoptic")
    (task,) = to_fastlabel(back)
    dog, sky = task["annotations"]
    assert (dog["type"], dog["value"], dog["points"]) == ("segmentation", "dog", [[[0, 0, 2, 0, 2, 4, 0, 4, 0, 0]]])
    assert sky["attributes"][0]["key"] == "iscrowd" and sky["color"] == "#ff0010"
    assert task["tags"] == ["val"] and not back.report.noticed


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda row: row.update(file_name="../../../secret.png"), "cannot be read"),
        (lambda row: row.update(file_name=None), "cannot be read"),
        (lambda row: row.update(file_name="a\0.png"), "cannot be read"),
        (lambda row: row.update(image_id=[1]), "does not list"),
        (lambda row: row["segments_info"][0].update(id="70000"), "without a pixel"),
        (lambda row: row["segments_info"][0].update(id=5), "without a pixel"),
        (lambda row: row["segments_info"][0].update(id=6), "without a pixel"),
        (lambda row: row["segments_info"].append("sky"), "not a JSON object"),
        (lambda row: row["segments_info"][0].update(iscrowd="1"), "neither 0 nor 1"),
        (lambda row: row["segments_info"][0].update(attributes=["wet"]), "attributes that are not"),
        (lambda row: row["segments_info"][0].update(track_id=5), "has no place for"),
        (lambda row: row["segments_info"].pop(), None),
    ],
)
def test_bad_entries_are_told(tmp_path, broken, said):
    dataset(tmp_path)
    (tmp_path.parent / "secret.png").write_bytes(b"x")
    path = tmp_path / "annotations/panoptic_val2017.json"
    document = json.loads(path.read_text())
    broken(document["annotations"][0])
    path.write_text(json.dumps(document))
    report = formats.read(tmp_path, format="coco_panoptic").report
    if said is None:
        assert report.annotations == 1 and "the file does not list" in report.noticed[0].reason
    else:
        notes = (*report.dropped, *report.altered, *report.noticed)
        assert any(said in note.reason and note.count >= 1 and note.examples for note in notes)


def test_a_damaged_png_costs_its_picture_only(tmp_path):
    path = dataset(tmp_path) / "annotations/panoptic_val2017/a.png"
    path.write_bytes(path.read_bytes()[:60])
    report = formats.read(tmp_path, format="coco_panoptic").report
    assert (report.tasks, report.annotations, report.dropped_count) == (1, 0, 2)
    with pytest.raises(ValueError, match="is not a COCO panoptic file"):
        other = tmp_path / "x.json"
        other.write_text('{"images": [], "annotations": [{"bbox": [1, 2, 3, 4]}]}')
        formats.read(other, format="coco_panoptic")


def test_an_aerial_picture_takes_memory_for_its_pixels_once(bench):
    side = 3000
    shapes = [bench.shape("circle", [side / 2, side / 2, side / 2 - k], id=f"round {k}") for k in range(20)]
    task = bench.task("a.jpg", *shapes, width=side, height=side)
    tracemalloc.start()
    try:
        report = bench.write(task, format="coco_panoptic")
        # Four bytes for each pixel's segment and three for its colour; twenty shapes lie one over the other.
        assert tracemalloc.get_traced_memory()[1] < 16 * side**2
    finally:
        tracemalloc.stop()
    assert report.written == 20
    judge(*panoptic(bench.folder / "coco_panoptic"))


def test_a_picture_no_memory_holds_has_no_segments(bench):
    box = bench.shape("bbox", [0, 0, 1, 10])
    tasks = [bench.task("wide.jpg", box, width=2**18, height=1), bench.task("high.jpg", box, width=1, height=2**28)]
    report = bench.write(*tasks, format="coco_panoptic")
    assert [(note.reason, note.count) for note in report.dropped] == [
        ("the image has more than 2^28 pixels, or a longer side than 131,072", 2)
    ]
