"""A contact sheet of videos and of tasks with several pictures: a few of their pictures on which something is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels import Labels
from fastlabel_dagster.labels.keyframes import drawn_keyframes
from fastlabel_dagster.labels.single_pictures import frame_id, single_pictures, video_of
from fastlabel_dagster.metadata.sheet import contact_sheet
from fastlabel_dagster.metadata.stills import FURTHEST_FRAME
from fastlabel_dagster.metadata.summary import ClassCount

if TYPE_CHECKING:
    from fastlabel_dagster.metadata.stills import FolderPictures

#: How many pictures are shown, of how many tasks at most.
_SHOWN = 12
_TASKS = 3


def film_sheet(
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    pictures: FolderPictures,
    on_problem: Callable[[str], object] = lambda _: None,
) -> str | None:
    """An SVG document with a dozen pictures of the first three of ``tasks`` (schema ``TASKS``) that have any, those
    whose files are downloaded first; None when nothing is drawn on any.

    Of a video these are frames somebody has drawn on, spread over its length; of a task with contents some of those.
    All annotations of a picture are drawn. Frames beyond :data:`~fastlabel_dagster.metadata.stills.FURTHEST_FRAME` are
    shown without their photograph, and only where there are no others.
    """
    each = [tasks.slice(row, 1) for row in range(tasks.num_rows)]
    drawn_on = [(task, ids) for task in each if (ids := _drawn_on(task))]
    drawn_on.sort(key=lambda one: _file_of(one[1][0]) not in pictures.held)
    chosen = [(task, _spread(ids, _SHOWN // min(len(drawn_on), _TASKS))) for task, ids in drawn_on[:_TASKS]]
    if not chosen:
        return None
    photos: dict[str, bytes] = {}
    for _, ids in chosen:
        photos |= _frames(ids, pictures, on_problem)

    def read(task_id: str, name: str) -> bytes | None:
        return photos.get(task_id) if video_of(task_id) else pictures(task_id, name)

    return contact_sheet(pa.concat_tables([_pictures(*one) for one in chosen]), classes, read, on_problem)


def _drawn_on(task: pa.Table) -> list[str]:
    """The ids of the single pictures of a task on which somebody drew something, in order."""
    found: list[str] = []
    for piece in single_pictures(Labels(drawn_keyframes(task))).batches(["task_id", "annotations"]):
        found += piece.filter(pc.greater(pc.list_value_length(piece["annotations"]), 0))["task_id"].to_pylist()
    return found


def _spread(ids: list[str], most: int) -> list[str]:
    """Up to ``most`` of them, evenly; frames that can be decoded soon where there are any."""
    near = [one for one in ids if (found := video_of(one)) is None or found[1] <= FURTHEST_FRAME] or ids
    places = np.unique(np.linspace(0, len(near) - 1, min(most, len(near))).round().astype(int))
    return [near[place] for place in places.tolist()]


def _pictures(task: pa.Table, ids: list[str]) -> pa.Table:
    """The single pictures ``ids`` of a task with all that is on them; frames are called by their number."""
    wanted = pa.array(ids, pa.string())
    found = pa.concat_tables(
        [one.filter(pc.is_in(one["task_id"], value_set=wanted)) for one in single_pictures(Labels(task)).batches()]
    )
    names = [
        name if (of := video_of(one)) is None else f"frame {of[1]:,} · {task['name'][0].as_py() or of[0]}"
        for one, name in zip(found["task_id"].to_pylist(), found["name"].to_pylist(), strict=True)
    ]
    return found.set_column(found.schema.get_field_index("name"), "name", pa.array(names, pa.string()))


def _frames(ids: list[str], pictures: FolderPictures, on_problem: Callable[[str], object]) -> dict[str, bytes]:
    """The frames among ``ids``, which are of one task, as picture files."""
    frames = [found for found in map(video_of, ids) if found is not None]
    if not frames:
        return {}
    video = frames[0][0]
    try:
        return {frame_id(video, n): data for n, data in pictures.frames(video, [n for _, n in frames]).items()}
    except ValueError as error:
        on_problem(str(error))
        return {}


def _file_of(picture: str) -> str:
    """The id under which the file of a single picture lies in an image folder."""
    found = video_of(picture)
    return picture if found is None else found[0]
