"""YOLO: ``data.yaml``, a text file of shares per image, ``images/`` beside ``labels/``."""

from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.yolo.read import read_yolo
from fastlabel_dagster.formats.yolo.write import write_yolo

FORMAT = Format(
    name="yolo",
    summary="YOLO detect, segment and pose (ultralytics' layout)",
    index="data.yaml",
    write=write_yolo,
    read=read_yolo,
    derived=("labels/*.cache",),  # of ultralytics: it would not always notice that labels have changed
    options={"task": "detect", "split": {"train": 0.9, "val": 0.1}, "pose_boxes": False},
)
