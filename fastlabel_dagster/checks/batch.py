"""One batch of tasks as the checks look at it: what several of them need is worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.api.links import without_query
from fastlabel_dagster.labels import Labels
from fastlabel_dagster.labels.geometry import FlatAnnotations, flatten
from fastlabel_dagster.labels.keyframes import drawn_keyframes, has_several_pictures
from fastlabel_dagster.labels.ragged import one_array
from fastlabel_dagster.labels.single_pictures import TakenApart, single_pictures, video_of

#: The columns every table of offending annotations begins with.
ANNOTATION_COLUMNS = [
    ("task_id", "string"),
    ("task", "string"),
    ("annotation", "string"),
    ("type", "string"),
    ("class", "string"),
]


class LabelBatch:
    """Some tasks (schema ``TASKS``) and their annotations.

    ``videos`` are given where the tasks are frames of videos: the name of each video, by its task's id.
    """

    def __init__(self, tasks: pa.Table, videos: Mapping[str, str | None] | None = None) -> None:
        self.tasks = tasks
        self._videos = videos or {}

    @cached_property
    def flat(self) -> FlatAnnotations:
        """The geometry of all annotations."""
        return flatten(self.tasks)

    @cached_property
    def class_counts(self) -> Counter[str]:
        """See :func:`class_counts`."""
        return class_counts(self.tasks)

    @cached_property
    def _annotation_ids(self) -> pa.Array:
        return pc.struct_field(pc.list_flatten(one_array(self.tasks["annotations"])), "annotation_id")

    def pictures(self, told: TakenApart) -> Iterator[LabelBatch]:
        """The same annotations with a task for each single picture, in some batches; after the last ``told`` knows what
        was left out because it is on no picture.

        Tasks of one picture come as they are. Of a video come the frames on which somebody drew something, with what
        was drawn; what FastLabel has worked out between those is nobody's mistake.
        """
        several = has_several_pictures(self.tasks)
        if not several.any():
            yield self
            return
        if not several.all():
            yield LabelBatch(self.tasks.filter(pa.array(~several)))
        apart = drawn_keyframes(self.tasks.filter(pa.array(several)))
        names = dict(zip(apart["task_id"].to_pylist(), apart["name"].to_pylist(), strict=True))
        for piece in single_pictures(Labels(apart), told).batches():
            drawn_on = piece.filter(pc.greater(pc.list_value_length(piece["annotations"]), 0))
            if drawn_on.num_rows:
                yield LabelBatch(drawn_on, names)

    def task(self, row: int) -> dict[str, Any]:
        """What names the task in row ``row``: id, name, and the address of its file, without what signs it; for a frame
        of a video id and name of that, and the ``frame``, from 1."""
        task_id, name = self.tasks["task_id"][row].as_py(), self.tasks["name"][row].as_py()
        of_video = video_of(task_id) if self._videos and task_id else None
        if of_video is not None and of_video[0] in self._videos:
            return {"task_id": of_video[0], "task": self._videos[of_video[0]], "frame": of_video[1]}
        found: dict[str, Any] = {"task_id": task_id, "task": name}
        url = self.tasks["url"][row].as_py() if "url" in self.tasks.column_names else None
        return found | ({"url": without_query(url)} if url else {})

    def annotation(self, row: int) -> dict[str, Any]:
        """What names annotation ``row``: its task, its id (or position in the task, from 1), type and class."""
        flat = self.flat
        identity = self._annotation_ids[row].as_py()
        return {
            **self.task(int(flat.task[row])),
            "annotation": identity or f"#{int(flat.index[row]) + 1}",
            "type": flat.type[row].as_py(),
            "class": flat.value[row].as_py(),
        }


def class_counts(tasks: pa.Table) -> Counter[str]:
    """Annotations by class value; one without a value counts as ``""``."""
    values = pc.struct_field(pc.list_flatten(one_array(tasks["annotations"])), "value")
    return Counter({group["values"] or "": group["counts"] for group in pc.value_counts(values).to_pylist()})


def columns_of(rows: list[dict[str, Any]], columns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """``columns``, with one for the frames of videos and one for the addresses of the tasks' files, each where any row
    has it."""
    if any(row.get("frame") for row in rows):
        columns = [*columns[:2], ("frame", "int"), *columns[2:]]
    return [*columns, ("url", "string")] if any(row.get("url") for row in rows) else columns
