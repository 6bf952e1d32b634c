"""The official SDK's converters agree with ours wherever theirs are right."""

from __future__ import annotations

import pytest

converters = pytest.importorskip("fastlabel.converters")


def project(bench):
    shapes = {
        "a.jpg": [bench.shape("bbox", [10, 20, 30, 60], "cat"), bench.shape("bbox", [0, 0, 50, 40], "dog")],
        "b.jpg": [bench.shape("polygon", [5, 5, 45, 5, 45, 35], "dog")],
        "c.jpg": [],
    }
    return [bench.task(name, *annotations) for name, annotations in shapes.items()]


def test_coco_boxes_areas_and_images_are_the_same(bench, tmp_path):
    tasks = project(bench)
    theirs = converters.to_coco("image_all", tasks, str(tmp_path))
    classes = [bench.klass("cat", 1), bench.klass("dog", 2)]
    _, ours = bench.coco(*tasks, classes=classes)

    def seen(document):
        images = {image["id"]: image["file_name"] for image in document["images"]}
        names = {category["id"]: category["name"] for category in document["categories"]}
        return sorted(
            (
                images[row["image_id"]],
                names[row["category_id"]],
                [float(side) for side in row["bbox"]],
                float(row["area"]),
            )
            for row in document["annotations"]
        )

    assert seen(ours.dataset) == seen(theirs)
    assert [image["file_name"] for image in ours.dataset["images"]] == [
        image["file_name"] for image in theirs["images"]
    ]


def test_yolo_boxes_are_the_same(bench, tmp_path):
    tasks = project(bench)
    theirs, _ = converters.to_yolo("image_all", tasks, [], str(tmp_path))
    _, ours = bench.yolo(*tasks, classes=[bench.klass("cat", 1), bench.klass("dog", 2)])
    for image in theirs:
        expected = sorted([float(word) for word in line.split()] for line in image["object"] or [])
        name = image["filename"].rpartition(".")[0]
        shown = sorted([float(word) for word in line.split()] for line in ours[f"{name}.txt"].splitlines())
        assert shown == [pytest.approx(row, abs=2e-7) for row in expected]
