"""Write YOLO, as ultralytics lays it out or as the FastLabel SDK does.

``layout="ultralytics"``: ``data.yaml``, ``labels/<split>/….txt`` and ``images/<split>/…``, ready to train as it is.
``data.yaml`` names its folders relative to itself (no ``path``), which ultralytics, labelformat and supervision all
understand, so the dataset can be moved. It also says which ``task`` the labels are for, which trainers overlook and
our reader goes by.

``layout="darknet"``: ``classes.txt``, a class a line in the order of the class numbers, ``annotations/….txt``, and
``images/…``; with a split, ``train.txt`` and so on list the images of each part. ``obj.data`` names them all.

Every image has a label file; one without objects is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.asked_classes import tell_of_unknown
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
from fastlabel_dagster.formats.label_files import label_name, suffix_of
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import EXAMPLES, FILE, IMAGE, Tally
from fastlabel_dagster.formats.shapes import ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split, names_of_parts, parts_of, tell_of_lost_tags
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.formats.yaml_text import yaml_text
from fastlabel_dagster.formats.yolo.dataset import DARKNET_FILE
from fastlabel_dagster.formats.yolo.lines import TASKS, yolo_texts
from fastlabel_dagster.labels.schema import CLASSES
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

DATA_FILE = "data.yaml"
CLASSES_FILE = "classes.txt"
LAYOUTS = ("ultralytics", "darknet")
_NO_SIZE = "the size of the image is not known, it was left out"
_NO_ENDING = "the name of its picture has no ending of a picture, by which trainers (and our reader) find them"
_BROKEN_NAME = "the name of the class has line breaks or blanks at its ends, which classes.txt cannot hold"


def write_yolo(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    task: str = "detect",
    split: Split = None,
    pose_boxes: bool = False,
    layout: str = "ultralytics",
    classes: Sequence[str] | None = None,
) -> Written:
    """Write a YOLO dataset into ``folder``.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie beside the labels.
        tally: told of everything left out or changed.
        task: ``detect`` (the box around every shape), ``segment`` (a line per region), ``pose``, or ``obb`` (boxes with
            their rotation, the smallest rectangle around every other shape).
        split: which part each image belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says.
        pose_boxes: in ``detect`` and ``obb``, poses become the box around their keypoints.
        layout: ``ultralytics`` or ``darknet``.
        classes: class values in the order of their numbers; annotations of other classes are left out. Without it, all
            classes in the project's order, those only annotations speak of behind them.

    Raises:
        ValueError: for an unknown task or layout, an impossible split, or ``classes`` that are no list of different
            names.
    """
    if task not in TASKS:
        raise ValueError(f"unknown YOLO task {task!r}; known are {', '.join(TASKS)}")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown YOLO layout {layout!r}; known are {', '.join(LAYOUTS)}")
    wanted = _wanted(classes)
    darknet = layout == "darknet"
    pictures = list_pictures(labels, images, tally, unique_stem=True, safe=None if darknet else _without_images_folder)
    parts = parts_of(pictures, split)
    if darknet and f"{CLASSES_FILE}" in {f"{part}.txt" for part in parts}:
        raise ValueError(f"a part cannot be called {CLASSES_FILE.removesuffix('.txt')!r} in the layout 'darknet'")
    for row in np.flatnonzero(~(pictures.width * pictures.height > 0)).tolist():
        parts[row] = None
        tally.note("dropped", _NO_SIZE, IMAGE, 1, [pictures.names[row]])
    tell_of_lost_tags(pictures, parts if split is not None or not darknet else [None] * len(parts), tally)
    tell_of_unknown("classes", wanted or (), labels, tally)
    categories = Categories(labels.classes if wanted is None else _chosen(labels.classes, wanted))
    keypoint_count = max((category.keypoint_count for category in categories), default=0) if task == "pose" else 0
    paths = [None if part is None else "annotations/" if darknet else f"labels/{part}/" for part in parts]
    total = 0

    def texts_of(batch: ShapeBatch) -> tuple[list[int], list[bytes]]:
        texts = yolo_texts(
            batch, categories, task=task, pose_boxes=pose_boxes, keypoint_count=keypoint_count, wanted=wanted
        )
        return batch.picture.tolist(), texts

    def label_files() -> Iterator[tuple[str, bytes]]:
        nonlocal total
        for rows, texts in each_batch(labels, pictures, tally, texts_of):
            for row, text in zip(rows, texts, strict=True):
                place = paths[row]
                if place is not None:
                    total += len(text)
                    yield place + label_name(pictures.files[row], ".txt"), text

    folder.write_many(label_files())
    counts = {part: parts.count(part) for part in sorted({part for part in parts if part is not None})}
    if darknet:
        indexes = _class_list(categories, tally)
        if split is not None:
            indexes.update(_part_lists(pictures, parts, counts))
        indexes[DARKNET_FILE] = _darknet_data(categories, indexes, task, keypoint_count)
    else:
        indexes = {DATA_FILE: _data_yaml(categories, names_of_parts(split, counts), task, keypoint_count)}
    for path, data in indexes.items():
        folder.write_bytes(path, data)
    listed = sum(counts.values())
    if "val" not in counts and listed and not (darknet and split is None):
        tally.note("noticed", "no image fell into val, so there is nothing to validate with", IMAGE, listed, [])
    files, size = listed + len(indexes), total + sum(map(len, indexes.values()))
    if images is not None:
        places = [
            None if part is None else f"images/{file}" if darknet else f"images/{part}/{file}"
            for part, file in zip(parts, pictures.files, strict=True)
        ]
        unknown = [
            name
            for name, file, place in zip(pictures.names, pictures.files, places, strict=True)
            if place is not None and suffix_of(file) not in IMAGE_SUFFIXES
        ]
        tally.note("noticed", _NO_ENDING, IMAGE, len(unknown), unknown[:EXAMPLES])
        linked, linked_bytes = link_pictures(folder, pictures, places, images, tally)
        files, size = files + linked, size + linked_bytes
    return Written(listed, files, size, counts)


def _wanted(classes: Sequence[str] | None) -> list[str] | None:
    """The classes asked for; None for all of them. An empty list asks for nothing in particular."""
    if classes is None:
        return None
    if not isinstance(classes, list | tuple) or not all(isinstance(value, str) for value in classes):
        raise ValueError(f"classes is a list of class values in the order of their numbers, not {classes!r}")
    wanted = list(classes)
    if len(set(wanted)) < len(wanted):
        raise ValueError("classes names a class twice")
    return wanted or None


def _chosen(classes: pa.Table, wanted: list[str]) -> pa.Table:
    """The rows of the ``wanted`` classes with their place as order; one the project does not have gets a row of its
    own."""
    place = {value: number for number, value in enumerate(wanted, start=1)}
    rows = [{**row, "order": place[row["value"]]} for row in classes.to_pylist() if row["value"] in place]
    missing = place.keys() - {row["value"] for row in rows}
    rows.extend({"value": value, "title": value, "order": place[value]} for value in wanted if value in missing)
    return pa.Table.from_pylist(rows, CLASSES)


def _without_images_folder(name: str) -> str:
    """Trainers find the labels by replacing the *last* folder ``images`` of a path, so an image's own path has none."""
    if "/" not in name and "\\" not in name:
        return name
    parts = name.replace("\\", "/").split("/")
    return "/".join([*("images_" if part == "images" else part for part in parts[:-1]), parts[-1]])


def _data_yaml(categories: Categories, parts: list[str], task: str, keypoint_count: int) -> bytes:
    data: dict[str, object] = {part: f"images/{part}" for part in parts}
    data["nc"] = len(categories)
    data["names"] = [category.value for category in categories]
    if keypoint_count:
        data["kpt_shape"] = [keypoint_count, 3]
        data["kpt_names"] = {category.index: category.keypoints for category in categories if category.keypoints}
    data["task"] = task
    return yaml_text(data).encode()


def _class_list(categories: Categories, tally: Tally) -> dict[str, bytes]:
    names = [" ".join(category.value.splitlines()).strip() for category in categories]
    broken = [category.value for category, name in zip(categories, names, strict=True) if category.value != name]
    tally.note("altered", _BROKEN_NAME, FILE, len(broken), broken[:EXAMPLES])
    return {CLASSES_FILE: "".join(f"{name}\n" for name in names).encode()}


def _part_lists(pictures: Pictures, parts: list[str | None], counts: dict[str, int]) -> dict[str, bytes]:
    lists = {}
    for part in counts:
        images = (f"images/{file}\n" for file, own in zip(pictures.files, parts, strict=True) if own == part)
        lists[f"{part}.txt"] = "".join(images).encode()
    return lists


def _darknet_data(categories: Categories, files: Mapping[str, bytes], task: str, keypoint_count: int) -> bytes:
    """The data file of darknet, with what its readers overlook and ours goes by: the task."""
    lines = [f"classes = {len(categories)}", f"names = {CLASSES_FILE}"]
    lines += [f"{'valid' if name == 'val.txt' else name[:-4]} = {name}" for name in files if name != CLASSES_FILE]
    lines += [f"task = {task}"]
    lines += [f"kpt_shape = {keypoint_count} 3"] if keypoint_count else []
    return "".join(f"{line}\n" for line in lines).encode()
