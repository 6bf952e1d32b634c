"""One batch of tasks as the checks look at it: what several of them need is worked out once."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.api.links import without_query
from fastlabel_dagster.labels.geometry import FlatAnnotations, flatten
from fastlabel_dagster.labels.ragged import one_array

#: The columns every table of offending annotations begins with.
ANNOTATION_COLUMNS = [
    ("task_id", "string"),
    ("task", "string"),
    ("annotation", "string"),
    ("type", "string"),
    ("class", "string"),
]


class LabelBatch:
    """Some tasks (schema ``TASKS``) and their annotations."""

    def __init__(self, tasks: pa.Table) -> None:
        self.tasks = tasks

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

    def task(self, row: int) -> dict[str, Any]:
        """What names the task in row ``row``: id, name, and the address of its file, without what signs it."""
        found: dict[str, Any] = {
            "task_id": self.tasks["task_id"][row].as_py(),
            "task": self.tasks["name"][row].as_py(),
        }
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
    """``columns``, with one for the addresses of the tasks' files where any row has one."""
    return [*columns, ("url", "string")] if any(row.get("url") for row in rows) else columns
