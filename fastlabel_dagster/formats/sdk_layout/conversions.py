"""Datasets as what FastLabel's API takes: for each picture's name, its annotations.

The answer has the shape of the official SDK's ``convert_*``: ``{"a.jpg": [{"type": …, "value": …, "points": […]}]}``.
What could not be read is logged, with counts; ``formats.read`` hands the same back as a report.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from fastlabel_dagster.formats.attributes import STATED_BOX, STATED_SHAPE
from fastlabel_dagster.formats.dispatch import read
from fastlabel_dagster.labels.fastlabel import to_fastlabel
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.tables import Labels

log = logging.getLogger("fastlabel_dagster.formats")

Annotation: TypeAlias = dict[str, Any]
ByPicture: TypeAlias = dict[str, list[Annotation]]
#: What a COCO file can be taken for.
COCO_TYPES = ("bbox", "polygon", "segmentation", "pose_estimation")
#: What our readers note for our writers is no attribute of a class, and the API refuses those that are none.
_OURS = (STATED_BOX, STATED_SHAPE)
_KEPT = ("type", "value", "points", "rotation", "keypoints", "attributes")


def annotations_of_coco(file: str | Path, annotation_type: str) -> ByPicture:
    """The annotations of a COCO file.

    ``annotation_type``: ``pose_estimation`` takes the keypoints, and what has some; ``segmentation`` makes regions of
    all outlines; ``polygon`` makes polygons, one for each part; ``bbox`` makes boxes of upright rectangles and leaves
    other outlines what they are.

    Raises:
        ValueError: for another type.
        FormatError: for a file that is not COCO.
    """
    if annotation_type not in COCO_TYPES:
        raise ValueError(f"a COCO file is taken for {', '.join(COCO_TYPES)}, not for {annotation_type!r}")
    posed = annotation_type == "pose_estimation"
    labels = _read(Path(file), "coco", rectangles_are_boxes=annotation_type == "bbox", keypoints=posed)
    poseless: list[Annotation] = []

    def poses_only(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
        for annotation in annotations:
            if annotation["type"] in ("pose_estimation", "keypoint"):
                yield annotation
            else:
                poseless.append(annotation)

    fitted: dict[str, Callable[[Iterable[Annotation]], Iterator[Annotation]]] = {
        "bbox": iter,
        "polygon": _as_polygons,
        "segmentation": _as_regions,
        "pose_estimation": poses_only,
    }
    found = _by_picture(labels, fitted[annotation_type])
    if poseless:
        log.warning("%s: %d annotations without keypoints were left out", Path(file).name, len(poseless))
    return found


def annotations_of_labelme(folder: str | Path) -> ByPicture:
    """The annotations of all labelme files below ``folder``."""
    return _by_picture(_read(Path(folder), "labelme"))


def annotations_of_pascal_voc(folder: str | Path) -> ByPicture:
    """The annotations of all Pascal VOC files below ``folder``."""
    return _by_picture(_read(Path(folder), "pascal_voc"))


def annotations_of_yolo(classes_file: str | Path, folder: str | Path, *, outlines: bool) -> ByPicture:
    """The annotations of the YOLO files below ``folder``; ``outlines``: polygon rows become segmentations.

    Raises:
        FileNotFoundError: when there is no such classes file, or no picture.
    """
    classes = [line.strip() for line in Path(classes_file).read_text(encoding="utf-8-sig").splitlines()]
    kind = "segmentation" if outlines else "polygon"
    labels = _read(Path(folder), "yolo", classes=classes, polygons=kind, task="segment" if outlines else "auto")
    return _by_picture(labels)


def _read(source: Path, format: str, **options: Any) -> Labels:
    labels = read(source, format=format, **options)
    if labels.report is not None:
        for sentence in labels.report.sentences():
            log.warning("%s: %s", source.name, sentence)
    return labels


def _by_picture(labels: Labels, fit: Callable[[Iterable[Annotation]], Iterator[Annotation]] = iter) -> ByPicture:
    found: ByPicture = {}
    with without_collecting():
        for task in to_fastlabel(labels):
            if task["name"] in found:
                log.warning("several pictures are called %r: the annotations of the last one are here", task["name"])
            found[task["name"]] = list(fit(map(_bare, task.get("annotations") or [])))
    return found


def _bare(annotation: Annotation) -> Annotation:
    """What the API takes of an annotation, and nothing that only a project knows."""
    bare = {key: annotation[key] for key in _KEPT if annotation.get(key) is not None}
    if "attributes" in bare:
        attributes = (one for one in bare["attributes"] if one["key"] not in _OURS)
        bare["attributes"] = [{"key": one["key"], "value": one["value"]} for one in attributes]
    if "keypoints" in bare:
        bare["keypoints"] = [{"key": one["key"], "value": one["value"]} for one in bare["keypoints"]]
    return bare


def _as_polygons(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    for annotation in annotations:
        if annotation["type"] == "bbox":
            yield {**annotation, "type": "polygon", "points": _corners(annotation["points"])}
        elif annotation["type"] == "segmentation":
            for region in annotation["points"]:
                yield {**annotation, "type": "polygon", "points": _open(region[0])}
        else:
            yield annotation


def _as_regions(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    for annotation in annotations:
        if annotation["type"] in ("bbox", "polygon"):
            points = annotation["points"]
            ring = _corners(points) if annotation["type"] == "bbox" else list(points)
            closed = ring if ring[:2] == ring[-2:] else [*ring, *ring[:2]]
            yield {**annotation, "type": "segmentation", "points": [[closed]]}
        else:
            yield annotation


def _corners(box: Sequence[float]) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def _open(ring: Sequence[float]) -> list[float]:
    return list(ring[:-2] if len(ring) > 6 and ring[:2] == ring[-2:] else ring)
