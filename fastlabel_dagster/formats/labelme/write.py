"""Write labelme: ``images/….json`` beside ``images/….jpg``, so that ``labelme images`` opens all of it.

``labels.txt`` is for labelme's ``--labels``; ``classes.json`` lists the classes with titles and colours, which labelme
has no place for. Both lie outside ``images``, where every JSON file is one of labelme's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from fastlabel_dagster.formats.attributes import tell_of_keys
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_list import class_list
from fastlabel_dagster.formats.class_words import CLASS_FILE
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.labelme.shapes import SCORE, TYPES, said, scores_of, shapes_of
from fastlabel_dagster.formats.outlines import SLACK
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.shapes import ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, any_column
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

FOLDER = "images"
LABELS_FILE = "labels.txt"
TURNED_BOXES = ("polygon", "oriented_rectangle")
#: What a file says wrote it: the first version of labelme that knows all of the shapes (but ``oriented_rectangle``).
VERSION = "5.5.0"
_CLASSIFICATION = "classification"


def write_labelme(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    turned_boxes: str = "polygon",
) -> Written:
    """Write a labelme dataset into ``folder``.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie beside their JSON files.
        tally: told of everything left out or changed.
        turned_boxes: what a box with a rotation becomes: the ``polygon`` of its corners, or an ``oriented_rectangle``,
            which labelme before version 6 refuses to open.

    Raises:
        ValueError: for other ``turned_boxes``.
    """
    if turned_boxes not in TURNED_BOXES:
        raise ValueError(f"turned_boxes is one of {', '.join(TURNED_BOXES)}, not {turned_boxes!r}")
    pictures = list_pictures(labels, images, tally, unique_stem=True, safe=_no_label_file)
    categories = Categories(labels.classes)
    files = total = 0

    def documents_of(batch: ShapeBatch) -> list[tuple[int, bytes]]:
        return list(_documents(batch, pictures, categories, oriented=turned_boxes != "polygon"))

    def label_files() -> Iterator[tuple[str, bytes]]:
        nonlocal files, total
        for documents in each_batch(labels, pictures, tally, documents_of):
            for row, text in documents:
                files, total = files + 1, total + len(text)
                yield f"{FOLDER}/{label_name(pictures.files[row], '.json')}", text

    folder.write_many(label_files())
    names = "".join(f"{' '.join(category.value.splitlines())}\n" for category in categories)
    for path, content in ((LABELS_FILE, names.encode()), (CLASS_FILE, class_list(categories))):
        folder.write_bytes(path, content)
        files, total = files + 1, total + len(content)
    if images is not None:
        paths = [f"{FOLDER}/{file}" for file in pictures.files]
        linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
        files, total = files + linked, total + linked_bytes
    return Written(len(pictures), files, total)


def _no_label_file(name: str) -> str:
    """A picture called ``a.json`` would lie where its own label file does."""
    return f"{name[:-5]}_json" if name.lower().endswith(".json") else name


def _documents(
    batch: ShapeBatch, pictures: Pictures, categories: Categories, *, oriented: bool
) -> Iterator[tuple[int, bytes]]:
    """The position of each task's picture, and its JSON file."""
    flat, told = batch.flat, batch.told
    classification = flat.is_type(_CLASSIFICATION)
    batch.sift(*TYPES, _CLASSIFICATION, reason="labelme has no shape for it", bare=_CLASSIFICATION, sized=False)
    tell_of_keys(batch.column("attributes"), told)
    batch.meet(categories)
    classified = _image_flags(batch, classification)
    shapes = shapes_of(batch, oriented=oriented)
    told.notice("reaches outside the image", _outside(batch))
    told.finish()
    ends = np.searchsorted(flat.task[shapes.annotation], np.arange(batch.tasks.num_rows), side="right").tolist()
    task_ids = batch.tasks["task_id"].to_pylist()
    names = batch.tasks["name"].to_pylist()
    start = 0
    for task, end in enumerate(ends):
        row = int(batch.picture[task])
        document: dict[str, Any] = {
            "version": VERSION,
            "flags": dict.fromkeys(classified.get(task, ()), True),
            "shapes": shapes.shapes[start:end],
            "imagePath": pictures.files[row].rpartition("/")[2],
            "imageData": None,
            "imageHeight": _side(pictures.height[row]),
            "imageWidth": _side(pictures.width[row]),
            "task_id": task_ids[task],
            "task_name": names[task],
        }
        if pictures.tags[row]:
            document["tags"] = pictures.tags[row]
        about = {value: own for value, own in classified.get(task, {}).items() if own}
        if about:
            document["flag_attributes"] = about
        yield row, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
        start = end


def _image_flags(batch: ShapeBatch, classification: Bools) -> dict[int, dict[str, dict[str, Any]]]:
    """Task -> class value -> what the classification says of itself. A class is said once of a picture."""
    flat, told = batch.flat, batch.told
    rows = np.flatnonzero(classification & told.kept)
    if not len(rows):
        return {}
    about = said(batch.column("attributes"), classification & told.kept)
    for row, score in scores_of(batch).items():
        if classification[row]:
            about.setdefault(row, {})[SCORE] = score
    values = flat.value.take(rows).to_pylist()
    found: dict[int, dict[str, dict[str, Any]]] = {}
    again = np.zeros(len(flat), np.bool_)
    for row, value in zip(rows.tolist(), values, strict=True):
        of_task = found.setdefault(int(flat.task[row]), {})
        again[row] = value in of_task
        of_task.setdefault(value, about.get(row, {}))
    told.drop("the picture has a classification of this class already", again)
    return found


def _outside(batch: ShapeBatch) -> Bools:
    """bool[n]: reaches outside the image and is written as it is."""
    box, size = batch.box, batch.size
    with np.errstate(invalid="ignore"):  # a size that is not known is no limit
        outside: Bools = any_column(np.hstack([box[:, :2] < -SLACK, box[:, 2:] > size + SLACK]))
    outside[batch.flat.ring_annotation[batch.flat.ring_is_hole]] = False  # a mask was cut, which is told
    return outside


def _side(value: float) -> int | None:
    return int(value) if value > 0 else None
