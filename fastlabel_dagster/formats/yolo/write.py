"""Write YOLO: ``data.yaml``, ``labels/<split>/….txt`` and ``images/<split>/…``, ready to train as it is.

``data.yaml`` names its folders relative to itself (no ``path``), which ultralytics, labelformat and supervision all
understand, so the dataset can be moved. Every image has a label file; one without objects is empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import yaml

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.pictures import link_pictures, list_pictures
from fastlabel_dagster.formats.report import IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split, names_of_parts, parts_of
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.formats.yolo.lines import NEEDS, yolo_texts
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

DATA_FILE = "data.yaml"
TASKS = ("detect", "segment", "pose")
_NO_SIZE = "the size of the image is not known, it was left out"


def write_yolo(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    task: str = "detect",
    split: Split = None,
    pose_boxes: bool = False,
) -> Written:
    """Write a YOLO dataset into ``folder``.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie beside the labels.
        tally: told of everything left out or changed.
        task: ``detect`` (the box around every shape), ``segment`` (a line per region) or ``pose``.
        split: which part each image belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says.
        pose_boxes: in ``detect``, poses become the box around their keypoints.

    Raises:
        ValueError: for an unknown task or an impossible split.
    """
    if task not in TASKS:
        raise ValueError(f"unknown YOLO task {task!r}; known are {', '.join(TASKS)}")
    pictures = list_pictures(labels, images, tally, unique_stem=True, safe=_without_images_folder)
    parts = parts_of(pictures, split)
    for row in np.flatnonzero(~(pictures.width * pictures.height > 0)).tolist():
        parts[row] = None
        tally.note("dropped", _NO_SIZE, IMAGE, 1, [pictures.names[row]])
    categories = Categories(labels.classes)
    keypoint_count = max((category.keypoint_count for category in categories), default=0)
    sizes = np.column_stack([pictures.width, pictures.height])
    total = 0

    def label_files() -> Iterator[tuple[str, bytes]]:
        nonlocal total
        for tasks in task_batches(labels, NEEDS):
            rows = pictures.rows_of(tasks["task_id"])
            texts = yolo_texts(
                tasks,
                sizes[rows],
                categories,
                tally,
                task=task,
                pose_boxes=pose_boxes,
                keypoint_count=keypoint_count,
            )
            for row, text in zip(rows.tolist(), texts, strict=True):
                if parts[row] is not None:
                    total += len(text)
                    yield f"labels/{parts[row]}/{label_name(pictures.files[row], '.txt')}", text

    folder.write_many(label_files())
    counts = {part: parts.count(part) for part in sorted({part for part in parts if part is not None})}
    data = _data_yaml(categories, names_of_parts(split, counts), keypoint_count if task == "pose" else 0)
    folder.write_bytes(DATA_FILE, data)
    listed = sum(counts.values())
    if "val" not in counts and listed:
        tally.note("noticed", "no image fell into val, so there is nothing to validate with", IMAGE, listed, [])
    files, size = listed + 1, total + len(data)
    if images is not None:
        paths = [part and f"images/{part}/{file}" for part, file in zip(parts, pictures.files, strict=True)]
        linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
        files, size = files + linked, size + linked_bytes
    return Written(listed, files, size, counts)


def _without_images_folder(name: str) -> str:
    """Trainers find the labels by replacing the *last* folder ``images`` of a path, so an image's own path has none."""
    parts = name.replace("\\", "/").split("/")
    return "/".join([*("images_" if part == "images" else part for part in parts[:-1]), parts[-1]])


def _data_yaml(categories: Categories, parts: list[str], keypoint_count: int) -> bytes:
    data: dict[str, object] = {part: f"images/{part}" for part in parts}
    data["nc"] = len(categories)
    data["names"] = [category.value for category in categories]
    if keypoint_count:
        data["kpt_shape"] = [keypoint_count, 3]
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode()
