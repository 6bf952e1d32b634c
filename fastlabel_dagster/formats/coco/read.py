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

from fastlabel_dagster.formats.assembly import AnnotationColumns, class_colors, classes_table, stable_id, tasks_table
from fastlabel_dagster.formats.coco.annotations import read_annotations
from fastlabel_dagster.formats.coco.classes import ClassBook
from fastlabel_dagster.formats.coco.columns import is_id
from fastlabel_dagster.formats.coco.files import RECTANGLES, CocoFile, collector_paused, load_coco_files
from fastlabel_dagster.formats.coco.pictures import PictureFinder
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.formats.report import IMAGE
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels


def read_coco(source: Path, told: ReadTally, *, rectangles_are_boxes: bool = False) -> Labels:
    """Read a COCO dataset: a folder with one or several annotation files, or one such file.

    A task's id is stable (a hash of its split and file name, or the ``task_id`` our own export wrote), its ``url``
    is the file URI of the picture when it is there, its tags are the image's own or the name of its split.

    Args:
        source: the folder or the file.
        told: what is left out or changed.
        rectangles_are_boxes: an outline that is nothing but the rectangle of the annotation's box is a box, as in files
            the official SDK writes. Our own exports say so themselves.

    Raises:
        FileNotFoundError: when there is no annotation file.
        FormatError: when it is damaged or not COCO; the message names it.
    """
    with collector_paused():
        return _Reader(load_coco_files(source, told), told, rectangles_are_boxes).labels("coco")


def read_coco_parquet(source: Path, told: ReadTally) -> Labels:
    """Read ``images.parquet``, ``annotations.parquet`` and ``categories.parquet`` of a folder."""
    import pyarrow.parquet as pq

    folder = source if source.is_dir() else source.parent
    content: dict[str, list[dict[str, Any]]] = {}
    for name in ("images", "annotations", "categories"):
        path = folder / f"{name}.parquet"
        try:
            rows = pq.read_table(path).to_pylist()
        except (pa.ArrowException, UnicodeError) as error:
            raise FormatError(path, f"cannot be read as Parquet: {error}") from error
        content[name] = [{name: value for name, value in row.items() if value is not None} for row in rows]
    for row in content["annotations"]:
        if "counts" in row:
            row["segmentation"] = {"counts": row["counts"], "size": row.get("size")}
        with suppress(orjson.JSONDecodeError):  # the reader tells that it is no object
            row["attributes"] = orjson.loads(row.get("attributes", "{}"))
    file = CocoFile(folder / "annotations.parquet", folder, "", "", content)
    return _Reader([file], told, rectangles_are_boxes=False).labels("coco_parquet")


class _Reader:
    """Collects tasks, classes and annotations over all files of one dataset."""

    def __init__(self, files: list[CocoFile], told: ReadTally, rectangles_are_boxes: bool) -> None:
        self._files = files
        self._told = told
        self._rectangles_are_boxes = rectangles_are_boxes
        self._book = ClassBook(files, told)
        self._annotations = AnnotationColumns()
        self._task_ids: set[str] = set()
        self._tasks: dict[str, list[Any]] = {name: [] for name in ("task_id", "name", "width", "height", "tags", "url")}

    def labels(self, format: str) -> Labels:
        repeated = self._repeated_names()
        for file in self._files:
            self._read(file, repeated)
        classes = {one.value: one for one in self._book.classes}
        colors = class_colors(self._book.classes)
        nested = self._annotations.nested(len(self._tasks["task_id"]), classes, colors)
        self._told.found(len(self._tasks["task_id"]), len(self._annotations))
        return Labels(
            tasks_table({**self._tasks, "annotations": nested}),
            classes_table(self._book.classes, self._annotations.usage(), colors),
            origin={"format": format},
        )

    def _repeated_names(self) -> set[str]:
        """File names that occur in more than one file of the dataset."""
        if len(self._files) == 1:
            return set()
        first: dict[str, str] = {}
        repeated = set()
        for file in self._files:
            for image in file.content["images"]:
                name = _file_name(image) if isinstance(image, dict) else None
                if name is not None and first.setdefault(name, file.name) != file.name:
                    repeated.add(name)
        return repeated

    def _read(self, file: CocoFile, repeated: set[str]) -> None:
        before = len(self._tasks["task_id"])
        row_of_image = self._read_images(file, repeated)
        info = file.content.get("info")
        said = isinstance(info, dict) and info.get(RECTANGLES) == "rectangle"
        read_annotations(
            file,
            row_of_image,
            self._book,
            self._annotations,
            self._told,
            rectangles=said or self._rectangles_are_boxes,
        )
        self._told.advance(len(self._tasks["task_id"]) - before)

    def _read_images(self, file: CocoFile, repeated: set[str]) -> dict[Any, int]:
        rows: dict[Any, int] = {}
        row_of_name: dict[str, int] = {}
        pictures = PictureFinder(file)
        tasks = self._tasks
        prefix = f"{file.split}/" if file.split else ""
        split_tags = [file.tag] if file.tag else []
        for place, image in enumerate(file.content["images"], start=1):
            name = _file_name(image) if isinstance(image, dict) else None
            if name is None or not is_id(image.get("id")):
                self._told.drop("images without an id or a file name", IMAGE, where=f"{file.name}, image #{place}")
                continue
            identity = image["id"]
            if identity in rows:
                self._told.drop("images whose id another image has already", IMAGE, where=f"{file.name}, {name}")
                continue
            if name in row_of_name:
                self._told.notice(
                    "images listed twice under one file name, read as one", IMAGE, where=f"{file.name}, {name}"
                )
                rows[identity] = row_of_name[name]
                continue
            task_id = image.get("task_id")
            if not isinstance(task_id, str) or task_id in self._task_ids:
                task_id = stable_id("coco", file.split, name)
            self._task_ids.add(task_id)
            rows[identity] = row_of_name[name] = len(self._tasks["task_id"])
            task_name = image.get("task_name")
            if not (task_name and isinstance(task_name, str)):
                task_name = prefix + name if name in repeated else name
            tags = image.get("tags")
            if not (tags and isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
                tags = split_tags
            tasks["task_id"].append(task_id)
            tasks["name"].append(task_name)
            tasks["width"].append(_side(image.get("width")))
            tasks["height"].append(_side(image.get("height")))
            tasks["tags"].append(tags)
            tasks["url"].append(pictures.url_of(name))
        return rows


def _file_name(image: dict[str, Any]) -> str | None:
    name = image.get("file_name")
    return name.replace("\\", "/") if isinstance(name, str) and name else None


def _side(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 0 < value <= FARTHEST else None
