"""Pascal VOC: an XML file of boxes for each picture, and lists of the pictures of each part."""

from fastlabel_dagster.formats.class_words import CLASS_FILE
from fastlabel_dagster.formats.pascal_voc.read import read_pascal_voc
from fastlabel_dagster.formats.pascal_voc.write import write_pascal_voc
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="pascal_voc",
    summary="Pascal VOC: an XML file of boxes per picture",
    index=CLASS_FILE,
    write=write_pascal_voc,
    read=read_pascal_voc,
    options={
        "split": None,
        "coordinates": "float",
        "first_pixel": 0,
        "outlines": "box",
        "pose_boxes": False,
    },
    read_options={"first_pixel": None},
    rules=3,
)
