"""Other people's readers see in our files what we have put there."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from fastlabel_dagster import formats

PEERS = Path(__file__).parents[3] / ".venv" / "peers" / "bin" / "python"


def asked(script, *arguments):
    """What a script in the peers' environment prints, as JSON."""
    if not PEERS.exists():
        pytest.skip("the environment of other converters is not here")
    command = [PEERS, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def content(bench):
    shapes = [
        bench.shape("bbox", [0, 0, 20, 20.5], "dog"),
        bench.shape("polygon", [10, 10, 40, 10, 40, 40], "cat"),
    ]
    return bench.labels(bench.task("a.jpg", *shapes), bench.task("b.jpg"), classes=[])


BOXES = [["dog", 0, 0, 20, 20.5], ["cat", 10, 10, 40, 40]]


@pytest.mark.parametrize("bbox_segmentation", ["none", "rectangle"])
def test_labelformat_and_globox_read_the_boxes(content, tmp_path, bbox_segmentation):
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


def test_supervision_reads_boxes_and_masks(content, tmp_path, pictures):
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
    # Its masks hold the pixels on the border too, as cv2.fillPoly paints them: so much more than the area.
    areas = {row[0]: row[5] for row in seen}
    assert areas == {"dog": pytest.approx(410, abs=60), "cat": pytest.approx(450, abs=60)}


def test_datumaro_reads_instances_and_panoptic(content, tmp_path):
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
