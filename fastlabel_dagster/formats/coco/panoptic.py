"""COCO panoptic: every pixel belongs to one segment at most; a PNG per picture says to which."""

from fastlabel_dagster.formats.coco.panoptic_read import read_panoptic
from fastlabel_dagster.formats.coco.panoptic_write import write_panoptic
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="coco_panoptic",
    summary="COCO panoptic segmentation (JSON and a PNG per picture)",
    index="panoptic.json",
    rules=2,
    write=write_panoptic,
    read=read_panoptic,
    options={"stuff": ()},
)
