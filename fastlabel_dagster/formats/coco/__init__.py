"""COCO: ``annotations.json`` with boxes, polygons, run-length masks and keypoints, ``images/`` beside it."""

from fastlabel_dagster.formats.coco.read import read_coco
from fastlabel_dagster.formats.coco.write import write_coco
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="coco",
    summary="COCO instances and keypoints (JSON)",
    index="annotations.json",
    write=write_coco,
    read=read_coco,
    read_options={"rectangles_are_boxes": False, "keypoints": True},
    options={"bbox_segmentation": "none", "every_key": False},
    rules=3,
)
