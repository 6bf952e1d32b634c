"""Read COCO datasets as labels, taking them as they are.

What becomes what: a box alone -> bbox; one polygon -> polygon; several -> segmentation with a region each; run
lengths of either kind -> segmentation traced along the pixel edges, exactly; keypoints -> pose_estimation (keypoint
when the category has just one point, named like itself); ``iscrowd`` -> the attribute of that key; ``score`` -> the
confidence. Category ids become the order of the classes and annotation ids those of the annotations, so they come out
again as they went in. Vertices are kept in their order and to the last digit.

What cannot be read is told to the tally, with the file and the annotation it is in.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from fastlabel_dagster.formats.assembly import AnnotationColumns, class_colors, classes_table
from fastlabel_dagster.formats.coco.annotations import read_annotations
from fastlabel_dagster.formats.coco.classes import ClassBook
from fastlabel_dagster.formats.coco.files import RECTANGLES, CocoFile, load_coco_files
from fastlabel_dagster.formats.coco.images import TaskRows
from fastlabel_dagster.formats.parquet_file import parquet_table
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.schema import TASKS
from fastlabel_dagster.labels.tables import Labels


def read_coco(source: Path, told: ReadTally, *, rectangles_are_boxes: bool = False, keypoints: bool = True) -> Labels:
    """Read a COCO dataset: a folder with one or several annotation files, or one such file.

    A task's id is stable (a hash of its split and file name, or the ``task_id`` our own export wrote), its ``url``
    is the file URI of the picture when it is there, its tags are the image's own or the name of its split.

    Args:
        source: the folder or the file.
        told: what is left out or changed.
        rectangles_are_boxes: an outline that is nothing but the rectangle of the annotation's box is a box, as in files
            the official SDK writes. Our own exports say so themselves.
        keypoints: off: what has keypoints is read as its outline or box rather than as a pose.

    Raises:
        FileNotFoundError: when there is no annotation file.
        FormatError: when it is damaged or not COCO; the message names it.
    """
    with without_collecting():
        files = load_coco_files(source, told)
        return _Reader(files, told, rectangles=rectangles_are_boxes, keypoints=keypoints).labels("coco")


def read_coco_parquet(source: Path, told: ReadTally) -> Labels:
    """Read ``images.parquet``, ``annotations.parquet`` and ``categories.parquet`` of a folder."""
    if not source.exists():
        raise FileNotFoundError(f"there is no COCO dataset at {source}")
    folder = source if source.is_dir() else source.parent
    content: dict[str, list[dict[str, Any]]] = {}
    for name in ("images", "annotations", "categories"):
        path = folder / f"{name}.parquet"
        rows = parquet_table(path).to_pylist()
        content[name] = [{name: value for name, value in row.items() if value is not None} for row in rows]
    for row in content["annotations"]:
        counts, size = row.pop("counts", None), row.pop("size", None)
        if counts is not None:
            row["segmentation"] = {"counts": counts, "size": size}
    for row in (*content["annotations"], *content["categories"]):
        with suppress(orjson.JSONDecodeError):  # the reader tells that it is no object
            row["attributes"] = orjson.loads(row.get("attributes", "{}"))
    file = CocoFile(folder / "annotations.parquet", folder, "", "", content)
    return _Reader([file], told).labels("coco_parquet")


class _Reader:
    """Collects tasks, classes and annotations over all files of one dataset."""

    def __init__(
        self, files: list[CocoFile], told: ReadTally, *, rectangles: bool = False, keypoints: bool = True
    ) -> None:
        self._files = files
        self._told = told
        self._rectangles, self._keypoints = rectangles, keypoints
        self._book = ClassBook(files, told)
        self._tasks = TaskRows(files, told)
        self._annotations = AnnotationColumns()

    def labels(self, format: str) -> Labels:
        for file in self._files:
            self._read(file)
        return labels_of(self._tasks, self._book, self._annotations, self._told, format)

    def _read(self, file: CocoFile) -> None:
        before = len(self._tasks)
        info = file.content.get("info")
        said = isinstance(info, dict) and info.get(RECTANGLES) == "rectangle"
        read_annotations(
            file,
            self._tasks,
            self._book,
            self._annotations,
            self._told,
            rectangles=said or self._rectangles,
            keypoints=self._keypoints,
        )
        self._told.advance(len(self._tasks) - before)


def labels_of(tasks: TaskRows, book: ClassBook, found: AnnotationColumns, told: ReadTally, format: str) -> Labels:
    """What was found, as labels; the counts are told."""
    colors = class_colors(book.classes)
    alone = tasks.table(pa.nulls(len(tasks), TASKS.field("annotations").type))
    rows = found.of_tasks(alone, {one.value: one for one in book.classes}, colors)
    told.found(len(tasks), len(found))
    return Labels(rows, classes_table(book.classes, found.usage(), colors), origin={"format": format})
