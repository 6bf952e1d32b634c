"""COCO's tables as Parquet: the same rows as the JSON, for SQL and data frames."""

from fastlabel_dagster.formats.coco.read import read_coco_parquet
from fastlabel_dagster.formats.coco.write import write_coco_parquet
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="coco_parquet",
    summary="COCO's images, annotations and categories as Parquet tables",
    index="images.parquet",
    write=write_coco_parquet,
    read=read_coco_parquet,
    options={"bbox_segmentation": "none"},
    rules=3,
)
