"""What other people's programs see in our YOLO datasets: as many objects, in the same places."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from labelformat.formats import YOLOv8InstanceSegmentationInput, YOLOv8ObjectDetectionInput

from fastlabel_dagster import formats
from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.labels.geometry import boxes, flatten

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A folder with an export of each task, pictures included, and the objects they hold: (image, class, x1, y1, x2,
    y2) of the box around each."""
    folder = tmp_path_factory.mktemp("exports")
    rng = np.random.default_rng(3)
    (folder / "source/images").mkdir(parents=True)
    (folder / "source/labels").mkdir()
    (folder / "source/classes.txt").write_text("cat\ndog\n")
    for name in ("a", "b", "empty"):
        cv2.imwrite(str(folder / f"source/images/{name}.jpg"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        rows = []
        for _ in range(0 if name == "empty" else 6):
            centre, half = rng.uniform(50, 70, 2), rng.uniform(5, 20, 2)
            angle = rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            corners = (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ turn + centre
            shares = (corners / [WIDTH, HEIGHT]).reshape(-1)
            rows.append(f"{rng.integers(2)} {' '.join(f'{share:.9f}' for share in shares)}\n")
        (folder / f"source/labels/{name}.txt").write_text("".join(rows))
    content = formats.read(folder / "source", format="yolo", task="obb")
    for task in ("detect", "segment", "obb"):
        report = formats.write(content, format="yolo", target=folder / task, task=task, split=None)
        assert report.written == 12 and report.dropped == ()
    flat = flatten(content.tasks)
    names = content.tasks["name"].to_pylist()
    objects = [
        (names[task], value, *box)
        for task, value, box in zip(flat.task.tolist(), flat.value.to_pylist(), boxes(flat).tolist(), strict=True)
    ]
    return folder, sorted(objects)


def agree(seen, objects, slack=1e-5):
    seen = sorted(tuple(row) for row in seen)
    assert [row[:2] for row in seen] == [row[:2] for row in objects]
    np.testing.assert_allclose([row[2:] for row in seen], [row[2:] for row in objects], rtol=0, atol=slack)


def test_labelformat_reads_boxes(exports):
    folder, objects = exports
    seen = [
        (labelled.image.filename, one.category.name, one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax)
        for labelled in YOLOv8ObjectDetectionInput(folder / "detect/data.yaml", "train").get_labels()
        for one in labelled.objects
    ]
    agree(seen, objects)


def test_labelformat_reads_outlines(exports):
    folder, objects = exports
    seen = []
    for labelled in YOLOv8InstanceSegmentationInput(folder / "segment/data.yaml", "train").get_labels():
        for one in labelled.objects:
            (outline,) = one.segmentation.polygons
            points = np.array(outline)
            seen.append((labelled.image.filename, one.category.name, *points.min(axis=0), *points.max(axis=0)))
    agree(seen, objects)


def test_supervision_reads_boxes_outlines_and_oriented_boxes(asked, exports):
    folder, objects = exports
    seen = asked(
        """
        import json, sys
        from pathlib import Path
        import supervision
        seen = {}
        for task in ("detect", "segment", "obb"):
            place = Path(sys.argv[1]) / task
            found = supervision.DetectionDataset.from_yolo(
                str(place / "images/train"), str(place / "labels/train"), str(place / "data.yaml"), is_obb=task == "obb"
            )
            rows = seen[task] = []
            for path, _, detections in found:
                corners = detections.data.get("xyxyxyxy")
                for row, (box, number) in enumerate(zip(detections.xyxy.tolist(), detections.class_id.tolist())):
                    if corners is not None:
                        low, high = corners[row].min(axis=0).tolist(), corners[row].max(axis=0).tolist()
                        box = low + high
                    rows.append([Path(path).name, found.classes[number], *box])
            seen[task + "_images"] = len(found)
        print(json.dumps(seen))
        """,
        folder,
    )
    for task in ("detect", "segment", "obb"):
        agree(seen[task], objects, slack=1e-4)  # it counts in single precision
        assert seen[f"{task}_images"] == 3


def test_datumaro_and_globox_read_boxes(asked, exports):
    folder, objects = exports
    seen = asked(
        """
        import json, sys
        import datumaro, globox
        from pathlib import Path
        place = Path(sys.argv[1]) / "detect"
        found = datumaro.Dataset.import_from(str(place), "yolo")
        names = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
        rows = [
            [item.id + ".jpg", names[one.label], *one.points] for item in found for one in item.annotations
        ]
        boxes = globox.AnnotationSet.from_yolo_v5(place / "labels/train", image_folder=place / "images/train")
        others = [
            [image.image_id, names[int(box.label)], box.xmin, box.ymin, box.xmax, box.ymax]
            for image in boxes for box in image.boxes
        ]
        print(json.dumps([rows, others]))
        """,
        folder,
    )
    agree(seen[0], objects, slack=0.0051)  # datumaro keeps two decimals
    agree(seen[1], objects)


def test_somebody_else_finds_poses_where_ultralytics_says_they_are(tmp_path):
    """There is no reader of poses among them, so the line is taken apart by the words of the format."""
    points = [{"id": key, "key": key, "name": key, "color": "#000000", "edges": []} for key in ("nose", "tail")]
    placed = [{"key": "tail", "name": "tail", "value": [30, 60, 0], "edges": []}]
    placed.append({"key": "nose", "name": "nose", "value": [10, 20, 1], "edges": []})
    shape = {"id": "1", "type": "pose_estimation", "value": "dog", "title": "dog", "color": "#000", "attributes": []}
    task = {"id": "t", "name": "a.jpg", "width": 100, "height": 80, "status": "approved", "tags": []}
    klass = {"id": "c", "type": "pose_estimation", "value": "dog", "title": "dog", "color": "#000", "order": 1}
    content = from_fastlabel(
        [{**task, "annotations": [{**shape, "keypoints": placed}]}], [{**klass, "keypoints": points}]
    )
    formats.write(content, format="yolo", target=tmp_path / "y", task="pose", split=None)
    (line,) = (tmp_path / "y/labels/train/a.txt").read_text().splitlines()
    number, *values = line.split()
    box, keypoints = np.array(values[:4], float), np.array(values[4:], float).reshape(-1, 3)
    assert number == "0" and box.tolist() == [0.2, 0.5, 0.2, 0.5]
    assert keypoints.tolist() == [[0.1, 0.25, 2], [0.3, 0.75, 1]]
