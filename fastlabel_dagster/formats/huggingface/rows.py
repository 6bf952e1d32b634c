"""Rows of a Hugging Face dataset of pictures: objects in boxes, or one label for each picture.

Both layouts (``imagefolder`` and ``parquet`` beside this module) have the same columns. ``objects`` is the form
``datasets`` gives object detection sets: a list per field, with ``bbox`` as x, y, width, height in pixels, ``area`` the
square pixels of the shape itself, ``category`` the place of the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import CROWD, apply_stated_boxes, read_attributes
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.huggingface.label import Labelling, labels_of_batch
from fastlabel_dagster.formats.outlines import SLACK, is_turned
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.shapes import SHAPES, shape_batches
from fastlabel_dagster.formats.splits import Split, parts_of, tell_of_lost_tags
from fastlabel_dagster.labels.geometry import areas
from fastlabel_dagster.labels.ragged import (
    Bools,
    Ints,
    any_column,
    as_ragged,
    offsets_of,
    one_array,
    ranges,
    valid_mask,
)
from fastlabel_dagster.labels.tables import Labels

TASKS = ("detect", "classify")
CATEGORIES = ("index", "name")
_SPLITS = {"val": "validation"}


@dataclass(frozen=True)
class Rows:
    """The rows of a batch of tasks that are written, in the order of the labels."""

    picture: Ints
    """int64[t]: the position of each task's picture in the dataset."""
    columns: pa.Table
    """``image_id`` (from 1), ``task_id``, ``file_name``, ``width``, ``height`` (pixels, null when unknown), and
    ``objects`` (a struct of lists) or ``label``."""


@dataclass(frozen=True)
class Shape:
    """What the rows look like: for the card and for the Parquet files."""

    task: str
    category: str
    names: Sequence[str]
    """Class or label names by their place."""


def check_options(task: str, category: str) -> None:
    """Raises ValueError for an unknown task or form of category."""
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; known are {', '.join(TASKS)}")
    if category not in CATEGORIES:
        raise ValueError(f'category is "index" or "name", not {category!r}')


def splits_of(pictures: Pictures, split: Split, tally: Tally) -> list[str]:
    """The split of each picture, as ``datasets`` calls it: ``val`` is ``validation``. Tags that say more are told.

    Raises:
        ValueError: for an impossible split, or a name ``datasets`` does not take.
    """
    own = parts_of(pictures, split)
    tell_of_lost_tags(pictures, own, tally)
    parts = [_SPLITS.get(part or "train", part or "train") for part in own]
    for part in sorted(set(parts)):
        if "-" in part:
            raise ValueError(f"datasets does not take {part!r} for the name of a split: letters, digits and _ only")
    return parts


def object_classes(labels: Labels) -> Categories:
    """The classes of all shapes, those only annotations speak of included, for their names come before the rows."""
    categories = Categories(labels.classes)
    for tasks in task_batches(labels, ["annotations"]):
        rows = pc.list_flatten(one_array(tasks["annotations"]))
        kind, value = pc.struct_field(rows, "type"), pc.struct_field(rows, "value")
        wanted = pc.is_in(kind, value_set=pa.array(SHAPES))
        met = pc.drop_null(pc.unique(value.filter(wanted)))
        categories.meet(met, pa.nulls(len(met), pa.string()), pa.nulls(len(met)))
    return categories


def object_rows(
    labels: Labels,
    pictures: Pictures,
    categories: Categories,
    tally: Tally,
    *,
    names: bool,
    wanted: Bools,
) -> Iterator[Rows]:
    """Rows with ``objects``. ``names``: categories by name and not by place. ``wanted`` (bool[pictures]): the others
    are left out, with their annotations."""
    first_id = 1
    for batch in shape_batches(labels, pictures, tally):
        flat, told = batch.flat, batch.told
        batch.sift(*SHAPES, what="a box", sized=False)
        told.drop("there is no picture of its task, which was left out", ~wanted[batch.picture][flat.task])
        met = batch.meet(categories)
        attributes = read_attributes(batch.column("attributes"))
        told.alter("a rotated box became the upright box around it", is_turned(flat))
        told.alter("a shape became the box around it", ~flat.is_type("bbox"))
        told.alter(f"attributes other than {CROWD} were left out", valid_mask(attributes.json))
        batch.tell_of_losses()
        with np.errstate(invalid="ignore"):
            sides = np.hstack([batch.box[:, :2] < -SLACK, batch.box[:, 2:] > batch.size + SLACK])
        outside: Bools = any_column(sides)
        told.notice("reaches outside the image", outside)
        apply_stated_boxes(batch.box, attributes)
        kept = np.flatnonzero(told.kept)
        box = batch.box[kept]
        place = pa.array(met.column("index")[kept])
        fields = {
            "id": pa.array(np.arange(first_id, first_id + len(kept))),
            "area": pa.array(areas(flat)[kept]),
            "bbox": _fours(np.hstack([box[:, :2], box[:, 2:] - box[:, :2]])),
            "category": pa.array([one.value for one in categories], pa.string()).take(place) if names else place,
            "iscrowd": pa.array(attributes.crowd[kept].astype(np.int64)),
        }
        first_id += len(kept)
        counts = np.bincount(flat.task[kept], minlength=len(batch.picture))
        offsets = pa.array(offsets_of(counts), pa.int32())
        lists = [pa.ListArray.from_arrays(offsets, values) for values in fields.values()]
        objects = pa.StructArray.from_arrays(lists, names=list(fields))
        told.finish()
        yield _rows(pictures, batch.picture, "objects", objects, wanted)


def label_rows(
    labels: Labels, pictures: Pictures, labelling: Labelling, tally: Tally, *, wanted: Bools
) -> Iterator[Rows]:
    """Rows with ``label``, the place of the picture's label among ``labelling.names``; null without one."""
    missing: list[str] = []
    count = 0
    for tasks in task_batches(labels, ["task_id", "name", "attributes", "annotations"]):
        picture = pictures.rows_of(tasks["task_id"])
        values = labels_of_batch(tasks, labelling, tally, wanted[picture])
        place = pc.index_in(pa.array(values, pa.string()), value_set=pa.array(labelling.names, pa.string()))
        for row in np.flatnonzero(np.array([value is None for value in values], np.bool_) & wanted[picture]).tolist():
            count += 1
            if len(missing) < EXAMPLES:
                missing.append(pictures.names[int(picture[row])])
        yield _rows(pictures, picture, "label", pc.cast(place, pa.int64()), wanted)
    tally.note("noticed", "the image has no label", IMAGE, count, missing)


def _rows(pictures: Pictures, picture: Ints, name: str, content: pa.Array, wanted: Bools) -> Rows:
    kept = np.flatnonzero(wanted[picture])
    picture = picture[kept]
    columns: dict[str, Any] = {
        "image_id": pa.array(picture + 1),
        "task_id": pa.array([pictures.task_ids[row] for row in picture.tolist()], pa.string()),
        "file_name": pa.array([pictures.files[row] for row in picture.tolist()], pa.string()),
        "width": _sides(pictures.width[picture]),
        "height": _sides(pictures.height[picture]),
        name: content.take(pa.array(kept)),
    }
    return Rows(picture, pa.table(columns))


def _sides(values: np.ndarray[Any, np.dtype[np.float64]]) -> pa.Array:
    known = values > 0
    return pa.array(np.where(known, values, 0).astype(np.int64), mask=~known)


def _fours(values: np.ndarray[Any, np.dtype[np.float64]]) -> pa.Array:
    offsets = pa.array(np.arange(0, 4 * len(values) + 1, 4), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))


def taken_apart(objects: pa.Array) -> tuple[Ints, dict[str, pa.Array]]:
    """The ``objects`` of ``t`` rows as offsets (int64[t + 1]) and a flat array per field."""
    fields = {}
    offsets = offsets_of(np.zeros(len(objects), np.int64))
    for field in objects.type:
        lists = as_ragged(pc.struct_field(objects, field.name))
        offsets = offsets_of(lists.lengths)
        fields[field.name] = lists.values.take(pa.array(ranges(lists.starts, lists.lengths)))
    return offsets, fields
