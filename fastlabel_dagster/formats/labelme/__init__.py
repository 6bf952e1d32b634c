"""labelme: a JSON file of shapes for each picture."""

from fastlabel_dagster.formats.class_words import CLASS_FILE
from fastlabel_dagster.formats.labelme.read import read_labelme
from fastlabel_dagster.formats.labelme.write import write_labelme
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="labelme",
    summary="labelme: a JSON file of shapes per picture",
    index=CLASS_FILE,
    rules=2,
    write=write_labelme,
    read=read_labelme,
    options={"turned_boxes": "polygon"},
)
