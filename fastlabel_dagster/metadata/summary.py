"""``LabelSummary``: what one pass over a project's labels tells: counts, and a few tasks to show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels import Labels
from fastlabel_dagster.labels.ragged import one_array
from fastlabel_dagster.labels.summary import class_counts, status_counts, totals

#: The colour of an annotation whose class has none.
NO_COLOUR = "#8a8f98"


@dataclass(frozen=True)
class ClassCount:
    """How often a class is used. ``title`` is what people read, ``known`` whether the project declares the class."""

    value: str
    title: str
    color: str
    count: int
    known: bool


@dataclass
class LabelSummary:
    """Counts over all tasks, filled batch by batch with :meth:`add`; memory does not grow with the project.

    Attributes:
        shown: how many tasks :meth:`sample` picks.
        tasks, annotations, empty_tasks: totals; an empty task has no annotation.
        values, types, statuses: how many annotations by class value and by type; how many tasks by status.
    """

    shown: int = 12
    tasks: int = 0
    annotations: int = 0
    empty_tasks: int = 0
    values: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    _by_class: dict[str, tuple[int, pa.Table]] = field(default_factory=dict)
    _lowest: list[tuple[int, pa.Table]] = field(default_factory=list)

    @classmethod
    def of(cls, labels: Labels, *, shown: int = 12) -> LabelSummary:
        """Read all of ``labels`` once."""
        summary = cls(shown=shown)
        for batch in labels.batches():
            summary.add(batch)
        return summary

    def add(self, tasks: pa.Table) -> None:
        """Count one batch of tasks (schema ``TASKS``)."""
        if not tasks.num_rows:
            return
        batch = Labels(tasks)
        sums = totals(batch)
        self.tasks += sums.tasks
        self.annotations += sums.annotations
        self.empty_tasks += sums.empty_tasks
        for used in class_counts(batch).to_pylist():
            self.values[used["value"] or ""] += used["count"]
            self.types[used["type"] or ""] += used["count"]
        self.statuses.update(status_counts(batch))
        rows = one_array(tasks["annotations"])
        values = pc.fill_null(pc.struct_field(pc.list_flatten(rows), "value"), "")
        self._pick(tasks, pc.list_parent_indices(rows), values)

    def _pick(self, tasks: pa.Table, parents: pa.Array, values: pa.Array) -> None:
        """Keep, for every class and overall, the tasks with the lowest hash: the same ones whatever the batches."""
        if not len(parents):
            return
        ids = tasks["task_id"].to_pylist()
        hashes = pa.array([_mark(str(task_id)) for task_id in ids], pa.int64())
        marks = pc.take(hashes, parents)
        lowest = pa.table({"value": values, "mark": marks}).group_by("value").aggregate([("mark", "min")])
        position = {mark: row for row, mark in enumerate(hashes.to_pylist())}
        for value, mark in zip(lowest["value"].to_pylist(), lowest["mark_min"].to_pylist(), strict=True):
            if value not in self._by_class or mark < self._by_class[value][0]:
                self._by_class[value] = (mark, tasks.take([position[mark]]))
        used = pc.unique(marks)
        few = used.take(pc.array_sort_indices(used)).slice(0, self.shown).to_pylist()
        merged = dict(self._lowest)
        merged.update((mark, tasks.take([position[mark]])) for mark in few)
        self._lowest = sorted(merged.items(), key=lambda pair: pair[0])[: self.shown]

    def sample(self) -> pa.Table | None:
        """Up to ``shown`` annotated tasks, each class represented as far as there is room; always the same choice for
        the same labels. None when nothing is annotated."""
        rare_first = sorted(self._by_class.items(), key=lambda pair: (self.values[pair[0]], pair[0]))
        chosen: dict[int, pa.Table] = {}
        for _, (mark, row) in rare_first:
            if len(chosen) < self.shown:
                chosen[mark] = row
        for mark, row in self._lowest:
            if len(chosen) < self.shown:
                chosen[mark] = row
        if not chosen:
            return None
        return pa.concat_tables([row for _, row in sorted(chosen.items(), key=lambda pair: pair[0])])

    def classes(self, classes: pa.Table) -> list[ClassCount]:
        """Every class declared in ``classes`` (schema ``CLASSES``) in its order, unused ones too, then those that only
        annotations name."""
        known: dict[str, tuple[str, str]] = {}
        for row in classes.select(["value", "title", "color"]).to_pylist():
            known.setdefault(row["value"] or "", (row["title"] or row["value"] or "", row["color"] or NO_COLOUR))
        counts = [ClassCount(value, *about, self.values.get(value, 0), True) for value, about in known.items()]
        unknown = sorted(value for value in self.values if value not in known)
        return counts + [ClassCount(value, value, NO_COLOUR, self.values[value], False) for value in unknown]


def _mark(task_id: str) -> int:
    return int.from_bytes(blake2b(task_id.encode(), digest_size=7).digest(), "big")
