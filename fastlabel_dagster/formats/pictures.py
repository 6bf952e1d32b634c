"""Which images a dataset lists: their order, file names and sizes, and the pictures themselves put beside the
labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.frames import Wish, video_size, write_frames
from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.labels.ragged import as_ragged, one_array, ranges
from fastlabel_dagster.labels.single_pictures import video_of
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter, disk_names

_LOST_ATTRIBUTES = "its task has attributes, for which the format has no place"
#: Values of an attribute that say nothing.
_NOTHING = pa.array(["", "null", "[]", '""'])
_RENAMED = "the name could not be a file name, or another has it; the file is called differently"


@dataclass
class Pictures:
    """The images of a dataset, ordered by task name, then task id; image ``i`` is position ``i`` of every column."""

    task_ids: list[str]
    names: list[str]
    files: list[str]
    """Relative POSIX paths, safe and different from each other."""
    width: NDArray[np.float64]
    """Pixels; NaN when neither the task nor the image folder knows."""
    height: NDArray[np.float64]
    tags: list[list[str]]
    row: dict[str, int]
    """Task id -> position."""

    def __len__(self) -> int:
        return len(self.task_ids)

    def rows_of(self, task_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
        """The positions of these tasks."""
        row = self.row
        return np.fromiter((row[task_id] for task_id in task_ids.to_pylist()), np.int64, len(task_ids))


def list_pictures(
    labels: Labels,
    images: PictureSource | None,
    tally: Tally,
    *,
    unique_stem: bool = False,
    safe: Callable[[str], str] | None = None,
    attributes: Sequence[str] | None = (),
) -> Pictures:
    """Read names and sizes of all tasks (a narrow pass over the labels) and give every image its file name.

    Args:
        labels: whose tasks.
        images: where sizes come from for tasks that do not know theirs.
        tally: told about names that had to be altered.
        unique_stem: file names differ even without their extension.
        safe: makes a name fit for the format before it is made fit for the disk.
        attributes: keys of the tasks' own attributes the format has a place for, the others are told; None: nothing is
            told of them here.

    Raises:
        ValueError: when two tasks have the same id.
    """
    named: list[tuple[str, str]] = []
    listed: list[list[str]] = []
    sides: list[NDArray[np.float64]] = [np.empty((0, 2))]
    untagged: list[str] = []
    losing: list[str] = []
    for table in task_batches(labels, ["task_id", "name", "width", "height", "tags", "attributes"]):
        ids, names = (table[column].to_pylist() for column in ("task_id", "name"))
        named.extend((task_id if name is None else name, task_id) for task_id, name in zip(ids, names, strict=True))
        tags = one_array(table["tags"])
        listed.extend(tags.to_pylist() if as_ragged(tags).lengths.any() else [untagged] * len(tags))
        if attributes is not None:
            losing += _names_with_other_attributes(table, attributes)
        sides.append(np.column_stack([_sizes(table[side]) for side in ("width", "height")]))
    order = sorted(range(len(named)), key=named.__getitem__)
    names, task_ids = ([named[row][place] for row in order] for place in (0, 1))
    position = {task_id: index for index, task_id in enumerate(task_ids)}
    if len(position) != len(order):
        raise ValueError("two tasks of the labels have the same task id")
    wanted = [safe(name) for name in names] if safe else names
    files = disk_names(wanted, task_ids, unique_stem=unique_stem)
    renamed = [name for name, file in zip(names, files, strict=True) if name != file]
    tally.note("altered", _RENAMED, IMAGE, len(renamed), renamed[:EXAMPLES])
    tally.note("noticed", _LOST_ATTRIBUTES, IMAGE, len(losing), losing[:EXAMPLES])
    width, height = np.concatenate(sides)[order].T.copy()
    if images is not None:
        _complete_sizes(images, position, width, height)
        _complete_sizes_of_frames(images, task_ids, width, height)
    return Pictures(task_ids, names, files, width, height, [listed[row] or untagged for row in order], position)


def tell_of_lost_attributes(labels: Labels, tally: Tally, kept: Sequence[str] = ()) -> None:
    """Tell of the tasks with attributes of their own (not of their annotations) but those with the keys ``kept``."""
    losing: list[str] = []
    for table in task_batches(labels, ["name", "attributes"]):
        losing += _names_with_other_attributes(table, kept)
    tally.note("noticed", _LOST_ATTRIBUTES, IMAGE, len(losing), losing[:EXAMPLES])


def _names_with_other_attributes(table: pa.Table, kept: Sequence[str]) -> list[str]:
    """The names of the tasks with an attribute that says something and has none of the keys ``kept``."""
    lists = as_ragged(one_array(table["attributes"]))
    if not lists.lengths.any():
        return []
    rows = lists.values.take(pa.array(ranges(lists.starts, lists.lengths)))
    key, value = pc.struct_field(rows, "key"), pc.struct_field(rows, "value")
    silent = pc.or_(pc.is_null(value), pc.is_in(value, value_set=_NOTHING))
    other = pc.invert(pc.or_(silent, pc.is_in(key, value_set=pa.array(kept, pa.string()))))
    owner = np.repeat(np.arange(table.num_rows), lists.lengths)[other.to_numpy(zero_copy_only=False)]
    names: list[str | None] = table["name"].take(pa.array(np.unique(owner))).to_pylist()
    return [name or "" for name in names]


def link_pictures(
    folder: FolderWriter,
    pictures: Pictures,
    paths: Sequence[str | None],
    images: PictureSource,
    tally: Tally,
    *,
    without: set[int] | None = None,
) -> tuple[int, int]:
    """Put the picture of image ``i`` into the folder as ``paths[i]`` (None: not wanted). Returns files and bytes.

    A frame of a video is cut out of the video's file, if ``images`` hold that under the task id of the video. Tasks
    whose picture is not there are noted, and stay in the dataset; a format that cannot have them there passes a set
    ``without``, which is filled with the positions of all images that were wanted and got no picture.
    """
    missing: dict[str, list[str]] = {}
    lost: set[int] = set() if without is None else without
    of_videos: dict[str, list[Wish]] = {}
    asked: dict[str, int] = {}
    files = total = 0
    for index, (task_id, name, path) in enumerate(zip(pictures.task_ids, pictures.names, paths, strict=True)):
        if path is None:
            continue
        picture = images.held.get(task_id)
        if picture is None:
            frame = video_of(task_id)
            if frame is not None and frame[0] in images.held:
                wish = Wish(frame[1], name, path, pictures.width[index], pictures.height[index])
                of_videos.setdefault(frame[0], []).append(wish)
                asked[path] = index
            else:
                missing.setdefault(images.why_absent(task_id), []).append(name)
                lost.add(index)
            continue
        folder.link(picture.store, picture.path, path)
        files += 1
        total += picture.size
    for reason, tasks in missing.items():
        tally.note("dropped", reason, IMAGE, len(tasks), tasks[:EXAMPLES])
    made, made_bytes = write_frames(folder, of_videos, images.held, tally)
    lost.update(index for path, index in asked.items() if path not in made)
    return files + len(made), total + made_bytes


def _sizes(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Sides in pixels; NaN where unknown, no length, or more than a picture can have."""
    sizes = one_array(column).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where((sizes > 0) & (sizes <= FARTHEST), sizes, np.nan)


def _size(value: int | None) -> float:
    return float(value) if value is not None and value > 0 else np.nan


def _complete_sizes(
    images: PictureSource, row: dict[str, int], width: NDArray[np.float64], height: NDArray[np.float64]
) -> None:
    for task_id, (wide, high) in images.sides.items():
        index = row.get(task_id)
        if index is not None:
            if np.isnan(width[index]):
                width[index] = _size(wide)
            if np.isnan(height[index]):
                height[index] = _size(high)


def _complete_sizes_of_frames(
    images: PictureSource, task_ids: list[str], width: NDArray[np.float64], height: NDArray[np.float64]
) -> None:
    known: dict[str, tuple[int, int] | None] = {}
    for index in np.flatnonzero(np.isnan(width) | np.isnan(height)).tolist():
        frame = video_of(task_ids[index])
        if frame is None or task_ids[index] in images.held or frame[0] not in images.held:
            continue
        if frame[0] not in known:
            known[frame[0]] = video_size(images.held[frame[0]])
        size = known[frame[0]]
        if size is not None:
            width[index], height[index] = size
