"""On which single picture each annotation is, and what it looks like there.

The rules are those of :mod:`fastlabel_dagster.labels.single_pictures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.fitting import is_regions
from fastlabel_dagster.labels.json_text import loads
from fastlabel_dagster.labels.picture_plan import PicturePlan
from fastlabel_dagster.labels.ragged import Bools, Ints, as_ragged, one_array, ranges, valid_mask
from fastlabel_dagster.labels.schema import ANNOTATION

NO_FRAMES = "it is on no frame of its video"
BEYOND = "the frame it is on is not in the video"
NO_CONTENT = "it names none of the pictures its task has"
NO_COUNT = "it is on frames of a video, and the task does not say how many there are"
NO_CONTENTS = "it is on one of several pictures, and the task does not list them"

#: Told a reason and the indices of the annotations that are left out for it, each as often as it is.
LeaveOut: TypeAlias = Callable[[str, Ints], None]


@dataclass(frozen=True)
class Placed:
    """``k`` annotations on single pictures, in the order of the pictures, then of the annotations."""

    annotation: Ints
    """int64[k]: which annotation of the table."""
    picture: Ints
    """int64[k]: where it lies."""
    frame: Ints
    """int64[k]: its row in ``frames``; -1 where it needs none."""
    rows: pa.Array
    """All annotations of the table."""
    frames: pa.Array
    """All their keyframes."""
    is_all: bool
    """These are all annotations as they were."""


def place(table: pa.Table, plan: PicturePlan, leave_out: LeaveOut) -> Placed:
    """Find the pictures every annotation of ``table`` is on, and tell of those that are on none."""
    nested = as_ragged(one_array(table["annotations"]))
    rows = pc.list_flatten(one_array(table["annotations"]))
    task: Ints = np.repeat(np.arange(table.num_rows, dtype=np.int64), nested.lengths)
    framed = as_ragged(pc.struct_field(rows, "frames"))
    content, content_id = pc.struct_field(rows, "content"), pc.struct_field(rows, "content_id")

    is_plain = ~plan.is_apart[task]
    if framed.valid.any():  # a cuboid's frames are those of a point cloud, which is no picture to any format
        solid = _mask(pc.equal(pc.struct_field(rows, "type"), "cuboid"))
        lost = is_plain & (framed.lengths > 0) & ~solid
        leave_out(NO_COUNT, np.flatnonzero(lost))
        is_plain &= ~lost
    if content.null_count < len(rows) or content_id.null_count < len(rows):
        own = one_array(table["name"]).take(pa.array(task))
        lost = is_plain & (_mask(pc.not_equal(content, own)) | valid_mask(content_id))
        leave_out(NO_CONTENTS, np.flatnonzero(lost))
        is_plain &= ~lost
    plain = np.flatnonzero(is_plain)
    if len(plain) == len(rows) and not plan.is_apart.any():
        none = np.full(len(rows), -1, np.int64)
        return Placed(plain, plan.first[task], none, rows, framed.values, is_all=True)

    filmed = np.where(plan.is_video[task], framed.lengths, 0)
    leave_out(NO_FRAMES, np.flatnonzero(plan.is_video[task] & (filmed == 0)))
    film = np.repeat(np.arange(len(rows)), filmed)
    frame = ranges(framed.starts, filmed)
    number = np.asarray(pc.fill_null(pc.struct_field(framed.values, "frame"), 0), np.int64)[frame]
    there = (number >= 1) & (number <= np.diff(plan.first)[task[film]])
    leave_out(BEYOND, film[~there])
    film, frame, number = film[there], frame[there], number[there]

    on_content, picture = _by_content(plan, task, content, content_id)
    leave_out(NO_CONTENT, on_content[picture < 0])
    on_content, picture = on_content[picture >= 0], picture[picture >= 0]

    annotation = np.concatenate([plain, film, on_content])
    where = np.concatenate([plan.first[task[plain]], plan.first[task[film]] + number - 1, picture])
    of_frame = np.full(len(annotation), -1, np.int64)
    of_frame[len(plain) : len(plain) + len(film)] = frame
    order = np.lexsort((annotation, where))
    return Placed(annotation[order], where[order], of_frame[order], rows, framed.values, is_all=False)


def annotations_between(plan: PicturePlan, placed: Placed, start: int, end: int) -> pa.Array:
    """The annotations on the pictures from ``start`` up to ``end``, as a column of tasks."""
    begin, stop = np.searchsorted(placed.picture, [start, end])
    annotation, picture, frame = (values[begin:stop] for values in (placed.annotation, placed.picture, placed.frame))
    rows, framed, apart = pa.array(annotation), frame >= 0, plan.is_apart[plan.row[picture]]
    # Field by field: the frames of a track are left behind before it is repeated for each of them.
    made: dict[str, pa.Array] = {}
    for field, column in zip(ANNOTATION, placed.rows.flatten(), strict=True):
        if field.name == "frames":
            made[field.name] = column.take(pa.array(annotation, mask=framed))
        elif field.name in ("content", "content_id"):
            made[field.name] = column.take(pa.array(annotation, mask=apart))
        else:
            made[field.name] = column.take(rows)
    if framed.any():
        of_frame = pa.array(frame, mask=~framed)
        points = pc.struct_field(placed.frames, "value").take(of_frame)
        made["points"] = pc.if_else(pa.array(framed), points, made["points"])
        extra = pc.struct_field(placed.frames, "extra").take(of_frame)
        if extra.null_count < len(extra):
            made["regions"] = _with_regions_of_frames(made["regions"], extra, made["type"])
    structs = pa.StructArray.from_arrays(list(made.values()), fields=list(ANNOTATION))
    offsets = np.searchsorted(picture, np.arange(start, end + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _by_content(plan: PicturePlan, task: Ints, content: pa.Array, content_id: pa.Array) -> tuple[Ints, Ints]:
    """The annotations of tasks with contents, and the picture each is on (-1: none), by the content's name or id."""
    which = np.flatnonzero(plan.is_several[task])
    pictures = np.flatnonzero(plan.content >= 0)
    if not len(which) or not len(pictures):
        return which, np.full(len(which), -1, np.int64)
    rows, owner, taken = pa.array(plan.content[pictures]), plan.row[pictures], pa.array(which)
    names = _keys(owner, pc.struct_field(plan.contents, "name").take(rows))
    ids = _keys(owner, _ids_of(pc.struct_field(plan.contents, "extra").take(rows)))
    by_name, by_id = (_keys(task[which], column.take(taken)) for column in (content, content_id))
    found = pc.coalesce(_first_at(by_name, names), _first_at(by_id, ids), _first_at(by_id, names))
    at: Ints = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return which, np.where(at < 0, -1, pictures[at])


def _first_at(keys: pa.Array, among: pa.Array) -> pa.Array:
    """Where each of ``keys`` stands first ``among``; null where it does not."""
    return pc.index_in(keys, value_set=among, skip_nulls=True)


def _keys(task: Ints, names: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.array(task).cast(pa.string()), names, "/")


def _ids_of(extra: pa.Array) -> pa.Array:
    """The ``id`` contents carry beside what has a column."""
    ids: list[str | None] = []
    for text in extra.to_pylist():
        known = loads(text) if text else None
        identity = known.get("id") if isinstance(known, dict) else None
        ids.append(identity if isinstance(identity, str) else None)
    return pa.array(ids, pa.string())


def _with_regions_of_frames(regions: pa.Array, extra: pa.Array, types: pa.Array) -> pa.Array:
    """``regions`` with those that stand in keyframes, where they have no column of their own but JSON text."""
    found: list[list[list[list[float]]] | None] = [None] * len(extra)
    for row in np.flatnonzero(_mask(pc.equal(types, "segmentation")) & valid_mask(extra)).tolist():
        known = loads(extra[row].as_py())
        found[row] = _as_regions(known.get("value") if isinstance(known, dict) else None)
    return pc.coalesce(pa.array(found, regions.type), regions)


def _as_regions(value: Any) -> list[list[list[float]]] | None:
    """Region -> ring -> numbers; None for anything else."""
    return [[list(map(float, ring)) for ring in region] for region in value] if is_regions(value) else None


def _mask(found: pa.Array) -> Bools:
    mask: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask
