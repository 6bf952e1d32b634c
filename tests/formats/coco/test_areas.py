"""The area of a COCO annotation is that of the mask pycocotools makes of it."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as maskUtils

from fastlabel_dagster import formats
from fastlabel_dagster.formats.coco.united import area_of_union
from fastlabel_dagster.labels import from_fastlabel, raster


def box(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]


def segmentation(bench, *regions):
    return bench.coco(bench.task("a.jpg", bench.shape("segmentation", list(regions))))


def noticed(report):
    return " ".join(note.reason for note in report.noticed)


@pytest.mark.parametrize(
    ("regions", "area", "said"),
    [
        ([[box(10, 10, 50, 50), box(0, 0, 90, 70)]], 0, "no pixel"),
        ([[box(10, 10, 50, 50), box(40, 40, 70, 70)]], 1500, "outside its outline"),
        ([[box(10, 10, 50, 50)], [box(40, 40, 70, 70)]], 2400, "overlap"),
        ([[box(10, 10, 50, 50)], [box(20, 20, 30, 30)]], 1600, "overlap"),
        ([[box(10, 10, 50, 50)], [box(10, 10, 50, 50)]], 1600, "overlap"),
        ([[box(10, 10, 50, 50)], [box(50, 10, 60, 50)]], 2000, ""),
        ([[box(10, 10, 50, 50), box(20, 20, 30, 30)], [box(20, 20, 30, 30)]], 1600, ""),
        ([[box(-50, 10, 50, 50), box(20, 20, 30, 30)]], 1900, ""),
    ],
)
def test_regions_are_united_and_holes_cut_out(bench, regions, area, said):
    report, coco = segmentation(bench, *regions)
    (annotation,) = coco.dataset["annotations"]
    assert annotation["area"] == coco.annToMask(annotation).sum() == area
    around = maskUtils.toBbox(coco.annToRLE(annotation)).tolist()
    assert annotation["bbox"] == (around if area else [10, 10, 40, 40])
    assert said in noticed(report) if said else not report.noticed


def test_regions_too_many_to_be_measured_are_told_and_added_up(bench):
    report, coco = segmentation(bench, *([[box(10, 10, 20, 20)]] * 3000))
    assert coco.dataset["annotations"][0]["area"] == 3000 * 100
    assert "too many regions" in noticed(report)


def test_many_regions_that_lie_apart_need_no_measuring(bench):
    report, coco = segmentation(bench, *([box(x, y, x + 1, y + 1)] for x in range(0, 100, 2) for y in range(0, 80, 2)))
    assert coco.dataset["annotations"][0]["area"] == 2000
    assert not report.noticed


def test_the_area_of_a_polygon_is_that_of_the_whole_of_it(bench):
    report, coco = bench.coco(bench.task("a.jpg", bench.shape("polygon", box(-50, 10, 50, 50)[:8])))
    assert coco.dataset["annotations"][0]["area"] == 4000
    assert "reaches outside" in noticed(report)


side = st.integers(0, 40)
boxes = st.tuples(side, side, st.integers(1, 20), st.integers(1, 20)).map(
    lambda b: [float(number) for number in box(b[0], b[1], b[0] + b[2], b[1] + b[3])]
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(regions=st.lists(st.lists(boxes, min_size=1, max_size=3), min_size=1, max_size=4))
def test_every_area_is_that_of_the_mask(coco_of, regions):
    shape = {"id": "a", "type": "segmentation", "value": "dog", "title": "dog", "points": regions, "attributes": []}
    task = {"id": "t", "name": "a.jpg", "width": 100, "height": 80, "annotations": [shape]}
    with tempfile.TemporaryDirectory() as folder:
        formats.write(from_fastlabel([task]), format="coco", target=folder)
        coco = coco_of(Path(folder) / "annotations.json")
    (annotation,) = coco.dataset["annotations"]
    assert annotation["area"] == pytest.approx(coco.annToMask(annotation).sum(), abs=1e-6)
    assert annotation["area"] >= 0


triangles = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=3, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(triangles, min_size=2, max_size=4))
def test_the_area_of_a_union_is_what_fine_pixels_count(outlines):
    fine = 16
    regions = [[[fine * number for point in outline for number in point]] for outline in outlines]
    counted = raster.regions_to_mask(regions, 60 * fine, 60 * fine).sum() / fine**2
    united = area_of_union([np.array(outline, np.float64) for outline in outlines])
    assert united == pytest.approx(counted, abs=25)


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_numbers_beyond_reason_are_dropped_in_silence(bench, format):
    shapes = [
        bench.shape("bbox", [-1e308, 0, 1e308, 1e308]),
        bench.shape("polygon", [0, 0, 1e308, -1e308, 1e300, 1e308]),
        bench.shape("segmentation", [[[0, 0, 1e200, 0, 5, 5]], [[0, 0, 9, 0, 9, 9]]]),
        bench.shape("circle", [5, 5, 1e200]),
        bench.shape("bbox", [float("inf"), 0, 1, 1]),
        bench.shape("bbox", [0, 0, 9, 9]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        report = bench.write(
            bench.task("a.jpg", *shapes), format=format, **({"task": "segment"} if format == "yolo" else {})
        )
    assert (report.written, report.dropped_count) == (1, 5)
    assert "more than a billion pixels away" in str(report)


def test_boxes_can_be_rectangles_that_come_back_as_boxes(bench):
    shapes = [bench.shape("bbox", [30, 40, 10.5, 20]), bench.shape("polygon", [0, 0, 9, 0, 9, 9])]
    _, coco = bench.coco(bench.task("a.jpg", *shapes), bbox_segmentation="rectangle")
    first, _ = coco.dataset["annotations"]
    assert coco.annToMask(first)[25:35, 15:25].all() and first["area"] == 19.5 * 20
    back = formats.read(bench.folder / "coco", format="coco")
    found = back.annotations.select(["type", "points"]).to_pylist()
    assert found[0] == {"type": "bbox", "points": [10.5, 20, 30, 40]} and found[1]["type"] == "polygon"


def test_a_stated_area_that_is_not_the_masks_is_told(bench, tmp_path):
    counts = [0, 8000]
    row = {"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 1, "bbox": [0, 0, 100, 80], "area": 9000}
    content = bench.read(
        {
            "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}],
            "annotations": [{**row, "segmentation": {"counts": counts, "size": [80, 100]}}],
            "categories": [{"id": 3, "name": "dog"}],
        }
    )
    report = formats.write(content, format="coco", target=tmp_path / "out")
    assert "masks whose stated area is not that of their pixels" in noticed(report)
