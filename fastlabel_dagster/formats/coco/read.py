"""Read COCO datasets as labels, taking them as they are.

What becomes what: a box alone -> bbox; one polygon -> polygon; several -> segmentation with a region each; run
lengths of either kind -> segmentation traced along the pixel edges, exactly; keypoints -> pose_estimation (keypoint
when the category has just one point, named like itself); ``iscrowd`` -> the attribute of that key. Category ids
become the order of the classes, so they come out again as they went in. Vertices are kept in their order and to the
last digit.

What cannot be read is told to the tally.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    class_colors,
    classes_table,
    stable_id,
    tasks_table,
)
from fastlabel_dagster.formats.attributes import CROWD, STATED_BOX
from fastlabel_dagster.formats.coco.files import RECTANGLES, CocoFile, find_image, load_coco_files
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

_FEWEST_NUMBERS = 6
_Numbers = Sequence[float]
_CROWD_ATTRIBUTE = {"key": CROWD, "name": CROWD, "type": "switch", "value": "true", "value_is_json": True}


def read_coco(source: Path, told: ReadTally) -> Labels:
    """Read a COCO dataset: a folder with one or several annotation files, or one such file.

    A task's id is stable (a hash of its split and file name, or the ``task_id`` our own export wrote), its ``url``
    is the file URI of the picture when it is there, its tags are the image's own or the name of its split.

    Raises:
        FileNotFoundError: when there is no annotation file.
        ValueError: when one is damaged or not COCO; the message names it.
    """
    return _Reader(load_coco_files(source), told).labels("coco")


def read_coco_parquet(source: Path, told: ReadTally) -> Labels:
    """Read ``images.parquet``, ``annotations.parquet`` and ``categories.parquet`` of a folder."""
    import pyarrow.parquet as pq

    folder = source if source.is_dir() else source.parent
    images, annotations, categories = (
        [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
        for table in (pq.read_table(folder / f"{name}.parquet") for name in ("images", "annotations", "categories"))
    )
    for row in annotations:
        if "counts" in row:
            row["segmentation"] = {"counts": row["counts"], "size": row["size"]}
        if "attributes" in row:
            row["attributes"] = orjson.loads(row["attributes"])
    content = {"images": images, "annotations": annotations, "categories": categories}
    return _Reader([CocoFile(folder / "annotations.parquet", folder, "", "", content)], told).labels("coco_parquet")


class _Reader:
    """Collects tasks, classes and annotations over all files of one dataset."""

    def __init__(self, files: list[CocoFile], told: ReadTally) -> None:
        self._files = files
        self._told = told
        self._classes: dict[str, FoundClass] = {}
        self._annotations = AnnotationColumns()
        self._tasks: dict[str, list[Any]] = {name: [] for name in ("task_id", "name", "width", "height", "tags", "url")}

    def labels(self, format: str) -> Labels:
        self._name_classes()
        repeated = self._repeated_names()
        for file in self._files:
            with _said_of(file.path):
                self._read(file, repeated)
        colors = class_colors(self._classes.values())
        with _said_of(self._files[0].root):
            nested = self._annotations.nested(len(self._tasks["task_id"]), self._classes, colors)
        self._told.found(len(self._tasks["task_id"]), len(self._annotations))
        return Labels(
            tasks_table({**self._tasks, "annotations": nested}),
            classes_table(self._classes.values(), self._annotations.usage(), colors),
            origin={"format": format},
        )

    def _name_classes(self) -> None:
        """Classes by category name over all files. Ids become orders while they are the same in all files."""
        ids: dict[str, set[int]] = {}
        for file, category in _each(self._files, "categories"):
            with _said_of(file.path):
                value = str(category["name"])
                ids.setdefault(value, set()).add(int(category["id"]))
                keypoints = [str(key) for key in category.get("keypoints") or []]
                skeleton = [(int(a), int(b)) for a, b in category.get("skeleton") or []]
                found = self._classes.get(value)
                if found is None or (keypoints and not found.keypoints):
                    self._classes[value] = FoundClass(
                        value,
                        int(category["id"]),
                        category.get("title"),
                        category.get("color"),
                        list(category.get("types") or []),
                        keypoints,
                        skeleton,
                    )
        orders = [one.order for one in self._classes.values()]
        if len(set(orders)) < len(orders) or any(len(of_value) > 1 for of_value in ids.values()):
            for order, one in enumerate(self._classes.values(), start=1):
                one.order = order

    def _repeated_names(self) -> set[str]:
        """File names that occur in more than one file of the dataset."""
        first: dict[str, CocoFile] = {}
        repeated = set()
        for file, image in _each(self._files, "images"):
            with _said_of(file.path):
                name = _file_name(image)
            if first.setdefault(name, file) is not file:
                repeated.add(name)
        return repeated

    def _read(self, file: CocoFile, repeated: set[str]) -> None:
        row_of_image = self._read_images(file, repeated)
        info = file.content.get("info")
        boxed = isinstance(info, dict) and info.get(RECTANGLES) == "rectangle"
        values = {category["id"]: str(category["name"]) for category in file.content.get("categories") or []}
        for annotation in file.content.get("annotations") or []:
            row = row_of_image.get(annotation.get("image_id"))
            if row is None:
                self._told.drop("annotations of images the file does not list")
                continue
            identity = annotation.get("category_id")
            if identity not in values:
                values[identity] = self._unlisted_class(identity)
                self._told.notice("categories that annotations name but the file does not list")
            self._read_annotation(row, self._classes[values[identity]], annotation, boxed)

    def _unlisted_class(self, identity: Any) -> str:
        value = f"category_{identity}"
        if value not in self._classes:
            orders = {one.order for one in self._classes.values()}
            free = isinstance(identity, int) and identity not in orders
            self._classes[value] = FoundClass(value, identity if free else max(orders, default=0) + 1)
        return value

    def _read_images(self, file: CocoFile, repeated: set[str]) -> dict[Any, int]:
        rows: dict[Any, int] = {}
        row_of_name: dict[str, int] = {}
        known = set(self._tasks["task_id"])
        for image in file.content["images"]:
            name = _file_name(image)
            if image["id"] in rows:
                self._told.notice("images whose id another image has already")
                continue
            if name in row_of_name:
                self._told.notice("images listed twice under one file name, read as one")
                rows[image["id"]] = row_of_name[name]
                continue
            task_id = image.get("task_id")
            if not isinstance(task_id, str) or task_id in known:
                task_id = stable_id("coco", file.split, name)
            known.add(task_id)
            rows[image["id"]] = row_of_name[name] = len(self._tasks["task_id"])
            picture = find_image(file, name)
            prefix = f"{file.split}/" if name in repeated and file.split else ""
            tags = image.get("tags") or ([file.tag] if file.tag else [])
            for column, content in (
                ("task_id", task_id),
                ("name", image.get("task_name") or prefix + name),
                ("width", _side(image.get("width"))),
                ("height", _side(image.get("height"))),
                ("tags", tags),
                ("url", picture.resolve().as_uri() if picture else None),
            ):
                self._tasks[column].append(content)
        return rows

    def _read_annotation(self, row: int, of: FoundClass, annotation: dict[str, Any], boxed: bool) -> None:
        attributes = [_attribute(key, value) for key, value in (annotation.get("attributes") or {}).items()]
        if annotation.get("iscrowd"):
            attributes.append(_CROWD_ATTRIBUTE)
        box = annotation.get("bbox") or []
        segmentation = annotation.get("segmentation")
        if boxed and _is_own_box(segmentation, box):
            segmentation = None
        placed = _placed_keypoints(of, annotation.get("keypoints") or [])
        if placed:
            if segmentation:
                self._told.notice("outlines beside keypoints: the keypoints were read")
            if of.keypoints == [of.value]:
                self._annotations.add(row, "keypoint", of.value, points=placed[0]["value"][:2], attributes=attributes)
            else:
                self._annotations.add(row, "pose_estimation", of.value, keypoints=placed, attributes=attributes)
            return
        if isinstance(segmentation, dict):
            regions = self._traced(segmentation, annotation.get("area"))
            if regions:
                attributes += self._stated_box(box, [ring for region in regions for ring in region])
                self._annotations.add(row, "segmentation", of.value, regions=regions, attributes=attributes)
                return
        elif segmentation:
            parts = [segmentation] if isinstance(segmentation[0], int | float) else segmentation
            rings = [part for part in parts if len(part) >= _FEWEST_NUMBERS and len(part) % 2 == 0]
            if len(rings) < len(parts):
                self._told.notice("polygons of fewer than three points")
            if rings:
                attributes += self._stated_box(box, rings)
            if len(rings) == 1:
                self._annotations.add(row, "polygon", of.value, points=rings[0], attributes=attributes)
                return
            if rings:
                regions = [[[*ring, *ring[:2]]] for ring in rings]
                self._annotations.add(row, "segmentation", of.value, regions=regions, attributes=attributes)
                return
        if len(box) == 4:
            x, y, width, height = box
            self._annotations.add(row, "bbox", of.value, points=[x, y, x + width, y + height], attributes=attributes)
            return
        self._told.drop("annotations without a box, an outline or keypoints")

    def _traced(self, segmentation: dict[str, Any], area: Any) -> list[list[list[float]]]:
        counts = segmentation["counts"]
        height, width = segmentation["size"]
        try:
            runs = raster.decode_rle(counts) if isinstance(counts, str | bytes) else counts
            regions = raster.mask_to_regions(raster.rle_to_mask(runs, int(height), int(width)))
        except ValueError:
            self._told.notice("damaged run-length masks: the box was read")
            return []
        if regions and isinstance(area, int | float) and abs(area - raster.rle_area(runs)) >= 1:
            self._told.notice("masks whose stated area is not that of their pixels: the pixels count")
        if not regions:
            self._told.notice("empty run-length masks: the box was read")
        return regions

    def _stated_box(self, box: _Numbers, rings: Sequence[_Numbers]) -> list[dict[str, Any]]:
        """The attribute that keeps a box which is not quite the one around the outline."""
        if len(box) != 4:
            return []
        numbers = np.concatenate([np.asarray(ring, np.float64) for ring in rings])
        x, y = numbers[0::2], numbers[1::2]
        around = np.array([x.min(), y.min(), x.max(), y.max()])
        stated = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], np.float64)
        gap = np.abs(around - stated).max()
        if gap <= 1e-9:
            return []
        if not gap <= 1 + 1e-6:
            self._told.notice("boxes more than a pixel off their outline: the outline was read")
            return []
        text = ",".join(repr(float(side)).removesuffix(".0") for side in box)
        return [{"key": STATED_BOX, "name": STATED_BOX, "type": "text", "value": text, "value_is_json": False}]


def _each(files: list[CocoFile], part: str) -> Iterator[tuple[CocoFile, dict[str, Any]]]:
    for file in files:
        for item in file.content.get(part) or []:
            yield file, item


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Errors of content that is not as it should be, as a ValueError that names the file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, OverflowError, pa.ArrowException) as error:
        raise ValueError(f"{path} is not COCO as it should be: {type(error).__name__}: {error}") from error


def _file_name(image: dict[str, Any]) -> str:
    return str(image["file_name"]).replace("\\", "/")


def _side(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _placed_keypoints(of: FoundClass, numbers: _Numbers) -> list[dict[str, Any]]:
    """The placed keypoints (visibility above 0) of one annotation, in FastLabel's form."""
    if not of.keypoints or len(numbers) < 3:
        return []
    edges = of.edges()
    return [
        {"key": key, "name": key, "value": [x, y, float(v >= 2)], "edges": edges[key]}
        for key, x, y, v in zip(of.keypoints, numbers[0::3], numbers[1::3], numbers[2::3], strict=False)
        if v > 0
    ]


def _is_own_box(segmentation: Any, box: _Numbers) -> bool:
    """Whether a segmentation is nothing but the four corners of the box, in whatever order."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or len(segmentation[0]) != 8 or len(box) != 4:
        return False
    x, y, width, height = box
    corners = [(x, y), (x, y + height), (x + width, y), (x + width, y + height)]
    found = sorted(zip(segmentation[0][0::2], segmentation[0][1::2], strict=True))
    return bool(np.allclose(found, corners, rtol=1e-12, atol=1e-9))


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"key": key, "name": key, "type": "text", "value": value, "value_is_json": False}
    kind = "switch" if isinstance(value, bool) else "checkbox" if isinstance(value, list) else "text"
    text = orjson.dumps(value).decode()
    return {"key": key, "name": key, "type": kind, "value": text, "value_is_json": True}
