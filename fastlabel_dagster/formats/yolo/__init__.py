"""YOLO: a text file of shares per image, beside the images, with a list of classes."""

from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.yolo.read import read_yolo
from fastlabel_dagster.formats.yolo.write import write_yolo

FORMAT = Format(
    name="yolo",
    summary="YOLO detect, segment, pose and oriented boxes (ultralytics' layout, or classes.txt)",
    index="data.yaml",
    write=write_yolo,
    read=read_yolo,
    derived=("labels/*.cache",),  # of ultralytics: it would not always notice that labels have changed
    options={
        "task": "detect",
        "split": "auto",
        "pose_boxes": False,
        "layout": "ultralytics",
        "classes": None,
    },
    read_options={"task": "auto", "classes": None, "size": None, "polygons": "polygon"},
    rules=5,
)
