"""Other people's readers see in our files what we have put there."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from fastlabel_dagster import formats


@pytest.fixture
def content(bench):
    shapes = [
        bench.shape("bbox", [0, 0, 20, 20.5], "dog"),
        bench.shape("polygon", [10, 10, 40, 10, 40, 40], "cat"),
    ]
    # A category's attributes are a field nobody else knows.
    fur = {"key": "fur", "name": "Fur", "type": "select", "options": [{"title": "Red", "value": "red"}]}
    classes = [bench.klass("dog", 1, attributes=[fur]), bench.klass("cat", 2, "polygon", attributes=[fur])]
    return bench.labels(bench.task("a.jpg", *shapes), bench.task("b.jpg"), classes=classes)


BOXES = [["dog", 0, 0, 20, 20.5], ["cat", 10, 10, 40, 40]]


@pytest.mark.parametrize("bbox_segmentation", ["none", "rectangle"])
def test_labelformat_and_globox_read_the_boxes(asked, content, tmp_path, bbox_segmentation):
    formats.write(content, format="coco", target=tmp_path, bbox_segmentation=bbox_segmentation)
    seen = asked(
        """
        import json, sys
        from pathlib import Path
        from globox import AnnotationSet
        from labelformat.formats.coco import COCOObjectDetectionInput
        path = Path(sys.argv[1])
        boxes = AnnotationSet.from_coco(file_path=path)
        labels = COCOObjectDetectionInput(input_file=path).get_labels()
        print(json.dumps([
            [[b.label, b.xmin, b.ymin, b.xmax, b.ymax] for a in boxes for b in a.boxes],
            [[o.category.name, o.box.xmin, o.box.ymin, o.box.xmax, o.box.ymax] for l in labels for o in l.objects],
        ]))
        """,
        tmp_path / "annotations.json",
    )
    assert seen == [BOXES, BOXES]


def test_supervision_reads_boxes_and_masks(asked, content, tmp_path, pictures):
    images = pictures(content, tmp_path / "pictures")
    formats.write(content, format="coco", target=tmp_path / "out", images=images, bbox_segmentation="rectangle")
    seen = asked(
        """
        import json, sys
        import supervision as sv
        folder = sys.argv[1]
        data = sv.DetectionDataset.from_coco(folder + "/images", folder + "/annotations.json", force_masks=True)
        out = []
        for path, image, found in data:
            masks = [] if found.mask is None else found.mask
            for box, number, mask in zip(found.xyxy.tolist(), found.class_id.tolist(), masks):
                out.append([data.classes[number], *box, int(mask.sum())])
        print(json.dumps(out))
        """,
        tmp_path / "out",
    )
    assert sorted(row[:5] for row in seen) == sorted(BOXES)
    # Its masks are not ours: it cuts the decimals off the corners and paints with cv2.fillPoly, which colours the
    # pixels on the border too. So what it must see is that, of the polygons in the file.
    document = json.loads((tmp_path / "out/annotations.json").read_bytes())
    names = {category["id"]: category["name"] for category in document["categories"]}
    expected = {}
    for annotation in document["annotations"]:
        (polygon,) = annotation["segmentation"]
        corners = np.array(polygon).reshape(-1, 2).astype(np.int32)
        painted = cv2.fillPoly(np.zeros((80, 100), np.uint8), [corners], 1)
        expected[names[annotation["category_id"]]] = int(painted.sum())
    assert {row[0]: row[5] for row in seen} == expected


def test_datumaro_reads_instances_and_panoptic(asked, content, tmp_path):
    formats.write(content, format="coco", target=tmp_path / "coco", bbox_segmentation="rectangle")
    formats.write(content, format="coco_panoptic", target=tmp_path / "panoptic")
    for kind, source in (("instances", "coco/annotations.json"), ("panoptic", "panoptic/panoptic.json")):
        place = tmp_path / kind / "annotations"
        place.mkdir(parents=True)
        (tmp_path / kind / "images").mkdir()
        shutil.copy(tmp_path / source, place / f"{kind}_val.json")
    shutil.copytree(tmp_path / "panoptic/panoptic", tmp_path / "panoptic/annotations/panoptic_val")
    seen = asked(
        """
        import json, sys
        import datumaro as dm
        out = []
        for kind, format in (("instances", "coco"), ("panoptic", "coco_panoptic")):
            data = dm.Dataset.import_from(sys.argv[1] + "/" + kind, format)
            names = data.categories()[dm.AnnotationType.label]
            found = [[names[a.label].name, a.get_area()] for i in data for a in i.annotations if a.type.name != "bbox"]
            out.append([len(data), found])
        print(json.dumps(out, default=float))
        """,
        tmp_path,
    )
    (_, instances), (pictures, segments) = seen
    assert dict(instances) == {"dog": 410, "cat": 450} and pictures == 2
    infos = json.loads((tmp_path / "panoptic/panoptic.json").read_bytes())["annotations"][0]["segments_info"]
    assert dict(segments) == {"dog": infos[0]["area"], "cat": infos[1]["area"]}
