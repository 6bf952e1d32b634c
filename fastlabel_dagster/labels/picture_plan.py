"""Which single pictures the tasks of a table become, how they are called and how large they are.

The rules are those of :mod:`fastlabel_dagster.labels.single_pictures`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.content_names import content_names
from fastlabel_dagster.labels.ragged import Bools, Ints, Ragged, as_ragged, offsets_of, one_array, ranges
from fastlabel_dagster.labels.schema import TASKS

#: A video whose task states more frames than this (four days at 30 a second) does not state its frames.
MOST_FRAMES = 10_000_000
#: The columns of a task that say what it is made of.
DECIDING = ("name", "frame_count", "contents")
#: The columns a plan needs.
NEEDS = (*DECIDING, "task_id", "width", "height")
_VIDEO = re.compile(r"\.(?:mp4|m4v|mov|avi|mkv|webm|mpe?g|wmv)$", re.IGNORECASE)
#: What is true of a task as a whole and not of a picture of it.
_OF_THE_WHOLE = ("fps", "frame_count", "duration", "contents")


@dataclass(frozen=True)
class PicturePlan:
    """The ``p`` pictures the ``t`` tasks of a table become, in the order of the tasks."""

    is_video: Bools
    """bool[t]: it is a video."""
    is_several: Bools
    """bool[t]: it has contents."""
    first: Ints
    """int64[t + 1]: where each task's pictures begin."""
    row: Ints
    """int64[p]: the task."""
    content: Ints
    """int64[p]: its row in ``contents``; -1 for what is none."""
    contents: pa.Array
    """The contents of all tasks."""
    content_name: pa.Array
    """string[p]: what a content is called within its task, no two the same; null for what is none."""

    @property
    def is_apart(self) -> Bools:
        """bool[t]: it is not one picture."""
        return self.is_video | self.is_several


def is_video_name(names: pa.Array | pa.ChunkedArray) -> Bools:
    """bool[n]: the name ends as those of video files do."""
    found = pc.match_substring_regex(one_array(names), _VIDEO.pattern, ignore_case=True)
    mask: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def is_name_of_video(name: str) -> bool:
    """The same of one name."""
    return _VIDEO.search(name) is not None and not name.endswith("\n")  # Arrow's $ is the very end


def frame_counts(table: pa.Table) -> Ints:
    """int64[t]: the frames each task states; 0 where it states none, or more than there can be."""
    counts: Ints = np.asarray(pc.fill_null(one_array(table["frame_count"]), 0), np.int64)
    return np.where((counts > 0) & (counts <= MOST_FRAMES), counts, 0)


def plan_pictures(table: pa.Table, annotations: Ragged | None) -> PicturePlan:
    """The pictures of the tasks of ``table`` (columns :data:`NEEDS`).

    ``annotations`` are those of the same tasks; they tell how many frames a video has whose task does not.
    """
    counts = frame_counts(table)
    contents = as_ragged(one_array(table["contents"]))
    several: Bools = contents.lengths > 0
    if annotations is not None:
        for row in np.flatnonzero(is_video_name(table["name"]) & (counts == 0)).tolist():
            counts[row] = _last_frame(annotations, row)
    video: Bools = (counts > 0) & ~several
    if not (several.any() or video.any()):  # as nearly always
        n = table.num_rows
        each = np.arange(n + 1)
        none = np.full(n, -1, np.int64)
        return PicturePlan(video, several, each, each[:-1], none, contents.values, pa.nulls(n, pa.string()))
    # A content that is a video itself (robotics has those) is no picture.
    listed = ranges(contents.starts, contents.lengths)
    owner = np.repeat(np.arange(table.num_rows), contents.lengths)
    still = ~is_video_name(pc.struct_field(contents.values, "name").take(pa.array(listed)))
    stills = np.bincount(owner[still], minlength=table.num_rows)
    counts = np.where(several, stills, np.where(video, counts, 1)).astype(np.int64)
    row_of: Ints = np.repeat(np.arange(table.num_rows, dtype=np.int64), counts)
    content = np.full(len(row_of), -1, np.int64)
    content[several[row_of]] = listed[still]
    names = _content_names(row_of, content, contents.values)
    return PicturePlan(video, several, offsets_of(counts), row_of, content, contents.values, names)


def pictures_between(
    table: pa.Table, plan: PicturePlan, start: int, end: int, *, columns: list[str], suffix: str
) -> dict[str, pa.Array]:
    """Columns of the pictures from ``start`` up to ``end``; the names of frames end in ``suffix``."""
    row, content = plan.row[start:end], plan.content[start:end]
    apart = plan.is_apart[row]
    made = {}
    for column in columns:
        values = one_array(table[column])
        if column in _OF_THE_WHOLE:
            made[column] = values.take(pa.array(row, mask=apart))
        elif column == "url":  # a frame has none: that of its video is no picture
            made[column] = _own_first(values.take(pa.array(row, mask=apart)), column, plan, content)
        elif column in ("width", "height"):
            made[column] = _own_first(values.take(pa.array(row)), column, plan, content)
        elif column in ("task_id", "name"):
            made[column] = _called(values, column, plan, start, end, suffix=suffix)
        else:
            made[column] = values.take(pa.array(row))
        made[column] = made[column].cast(TASKS.field(column).type)
    return made


def _last_frame(annotations: Ragged, row: int) -> int:
    """The highest frame an annotation of the task is on; 0 when none is on any."""
    of_task = annotations.values.slice(int(annotations.starts[row]), int(annotations.lengths[row]))
    frames = pc.struct_field(pc.list_flatten(pc.struct_field(of_task, "frames")), "frame")
    last = pc.max(pc.filter(frames, pc.less_equal(frames, MOST_FRAMES))).as_py()
    return max(last or 0, 0)


def _content_names(row: Ints, content: Ints, contents: pa.Array) -> pa.Array:
    several = np.flatnonzero(content >= 0)
    names: list[str | None] = [None] * len(row)
    if len(several):
        listed = pc.struct_field(contents, "name").take(pa.array(content[several])).to_pylist()
        ends = np.flatnonzero(np.diff(row[several], append=-1)) + 1
        for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            called = content_names(listed[start:end])
            for index, name in zip(several[start:end].tolist(), called, strict=True):
                names[index] = name
    return pa.array(names, pa.string())


def _own_first(of_task: pa.Array, column: str, plan: PicturePlan, content: Ints) -> pa.Array:
    """What a content says of itself, otherwise what its task says."""
    if not (content >= 0).any():
        return of_task
    own = pc.struct_field(plan.contents, column).take(pa.array(content, mask=content < 0))
    return pc.coalesce(own, of_task)


def _called(own: pa.Array, column: str, plan: PicturePlan, start: int, end: int, *, suffix: str) -> pa.Array:
    row = plan.row[start:end]
    called = own.take(pa.array(row))
    video = plan.is_video[row]
    names = plan.content_name.slice(start, end - start)
    if names.null_count < len(names):
        called = pc.coalesce(pc.binary_join_element_wise(called, names, "/"), called)
    if not video.any():
        return called
    number = np.arange(start, end) - plan.first[row]
    if column == "task_id":
        framed = pc.binary_join_element_wise(called, pa.array(number + 1).cast(pa.string()), "#")
    else:
        digits = pa.array(number).cast(pa.string())
        width = np.char.str_len(np.diff(plan.first).astype(np.str_))[row]
        for wide in np.unique(width[video]).tolist():
            digits = pc.if_else(pa.array(width == wide), pc.utf8_lpad(digits, wide, "0"), digits)
        stem = pc.replace_substring_regex(called, r"(?s)([^/])\.[^./]*$", r"\1")
        framed = pc.binary_join_element_wise(stem, pc.binary_join_element_wise(digits, suffix, ""), "_")
    return pc.if_else(pa.array(video), framed, called)
