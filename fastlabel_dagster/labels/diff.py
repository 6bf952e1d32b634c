"""What changed between two states of the same labels: tasks that came, went or changed, and each of their annotations.

Tasks are matched by their id, annotations within a task as :mod:`fastlabel_dagster.labels.pairing` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.digest import canonical_json, task_digest
from fastlabel_dagster.labels.fastlabel import to_fastlabel
from fastlabel_dagster.labels.geometry import boxes, flatten
from fastlabel_dagster.labels.pairing import GEOMETRY_KEYS, State, geometry_of, overlaps, pair
from fastlabel_dagster.labels.ragged import Floats

Json: TypeAlias = dict[str, Any]
#: kind, type, value_before, value_after, index_before, index_after, detail
_Row: TypeAlias = tuple[str, str | None, str | None, str | None, int | None, int | None, str | None]

TASK_ADDED = "task_added"
TASK_REMOVED = "task_removed"
STATUS_CHANGED = "status_changed"
TASK_CHANGED = "task_changed"
ADDED = "added"
REMOVED = "removed"
MOVED = "moved"
RECLASSIFIED = "reclassified"
ATTRIBUTES_CHANGED = "attributes_changed"
ANNOTATION_CHANGED = "annotation_changed"
REORDERED = "reordered"

#: The kinds that are about a task's annotations.
LABELING_KINDS = (ADDED, REMOVED, MOVED, RECLASSIFIED, ATTRIBUTES_CHANGED, ANNOTATION_CHANGED, REORDERED)
KINDS = (TASK_ADDED, TASK_REMOVED, STATUS_CHANGED, TASK_CHANGED, *LABELING_KINDS)

#: One row per change. ``kind`` is about a task (``task_added``, ``task_removed``, ``status_changed``; ``task_changed``:
#: other fields, named in ``detail``; ``reordered``: annotations stand in another order) or about one annotation
#: (``added``, ``removed``, ``moved``: other geometry, ``reclassified``: other class, ``attributes_changed``,
#: ``annotation_changed``: other fields). What changed in two ways has two rows. Positions count from 0.
CHANGES = pa.schema(
    [
        ("task_id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("type", pa.string()),
        ("value_before", pa.string()),
        ("value_after", pa.string()),
        ("index_before", pa.int64()),
        ("index_after", pa.int64()),
        ("detail", pa.string()),
    ]
)

# What an annotation shows of its class; with another class it changes as a matter of course.
_CLASS_LOOKS = frozenset(["title", "color"])
_NONE = type(None)
_NOT_OTHER = frozenset(["id", "type", "value", "attributes", *GEOMETRY_KEYS])
_NOUNS = {
    "task": ("task", "tasks"),
    "annotation": ("annotation", "annotations"),
    "bbox": ("box", "boxes"),
    "polygon": ("polygon", "polygons"),
    "segmentation": ("segmentation", "segmentations"),
    "keypoint": ("keypoint", "keypoints"),
    "line": ("line", "lines"),
    "circle": ("circle", "circles"),
    "pose_estimation": ("pose", "poses"),
}


class LabelDiff:
    """A table of changes (``table``, schema ``CHANGES``) with its numbers, and one line to read."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @property
    def summary(self) -> dict[str, Any]:
        """The number of changes by kind, and more.

        ``tasks_relabeled``: how many tasks have other annotations; ``reclassified_pairs``: changes of class, most
        frequent first (``{"car → truck": 12}``); ``status_pairs``: changes of status likewise; ``by_type``: annotations
        added, removed and moved by type (``{"moved": {"bbox": 340}}``).
        """
        kinds = Counter(self.table["kind"].to_pylist())
        labeling = pc.is_in(self.table["kind"], value_set=pa.array(LABELING_KINDS))
        reclassified = self._of_kind(RECLASSIFIED)
        classes = zip(reclassified["value_before"].to_pylist(), reclassified["value_after"].to_pylist(), strict=True)
        by_type = {
            kind: _counts(name or "annotation" for name in self._of_kind(kind)["type"].to_pylist())
            for kind in (ADDED, REMOVED, MOVED)
        }
        return {
            **{kind: kinds[kind] for kind in KINDS},
            "tasks_relabeled": pc.count_distinct(self.table.filter(labeling)["task_id"]).as_py(),
            "reclassified_pairs": _counts(_arrow(old, new) for old, new in classes),
            "status_pairs": _counts(self._of_kind(STATUS_CHANGED)["detail"].to_pylist()),
            "by_type": {kind: counts for kind, counts in by_type.items() if counts},
        }

    def __len__(self) -> int:
        """The number of changes."""
        return int(self.table.num_rows)

    def __str__(self) -> str:
        """``+120 tasks · 340 boxes moved · 12 reclassified car → truck · 3 tasks gone``, or ``no changes``."""
        numbers = self.summary
        by_type = numbers["by_type"]
        parts = [
            *_phrase("+{}", numbers[TASK_ADDED], "task"),
            *(text for pairs, n in numbers["status_pairs"].items() for text in _phrase("{} " + pairs, n, "task")),
            *(text for kind, n in by_type.get(ADDED, {}).items() for text in _phrase("+{}", n, kind)),
            *(text for kind, n in by_type.get(MOVED, {}).items() for text in _phrase("{} moved", n, kind)),
            *(f"{n:,} reclassified {pairs}" for pairs, n in numbers["reclassified_pairs"].items()),
            *_phrase("{} with other attributes", numbers[ATTRIBUTES_CHANGED], "annotation"),
            *_phrase("{} changed otherwise", numbers[ANNOTATION_CHANGED], "annotation"),
            *_phrase("{} reordered", numbers[REORDERED], "task"),
            *_phrase("{} changed otherwise", numbers[TASK_CHANGED], "task"),
            *(text for kind, n in by_type.get(REMOVED, {}).items() for text in _phrase("{} gone", n, kind)),
            *_phrase("{} gone", numbers[TASK_REMOVED], "task"),
        ]
        return " · ".join(parts) or "no changes"

    def __repr__(self) -> str:
        return f"LabelDiff({self})"

    def _of_kind(self, kind: str) -> pa.Table:
        return self.table.filter(pc.equal(self.table["kind"], kind))


def diff_tasks(before: pa.Table, after: pa.Table) -> LabelDiff:
    """The changes from ``before`` to ``after`` (both schema ``TASKS``).

    Tasks are matched by ``task_id`` and may come in any order. Hand in the tasks that may have changed: the work grows
    with them, not with the project. Signed links do not count as a change. Every task that differs has at least one
    row; rows come in the order of ``before``, new tasks last in the order of ``after``.
    """
    ids_before, ids_after = (pa.array(table["task_id"].to_pylist(), pa.string()) for table in (before, after))
    found = pc.index_in(ids_before, value_set=ids_after)
    rows = [
        *_whole_tasks(before.filter(pc.is_null(found)), TASK_REMOVED),
        *_differing_tasks(before.filter(pc.is_valid(found)), after.take(found.drop_null())),
        *_whole_tasks(after.filter(pc.invert(pc.is_in(ids_after, value_set=ids_before))), TASK_ADDED),
    ]
    columns: Iterable[tuple[Any, ...]] = zip(*rows, strict=True) if rows else [()] * len(CHANGES)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, CHANGES, strict=True)]
    return LabelDiff(pa.Table.from_arrays(arrays, schema=CHANGES))


def _whole_tasks(tasks: pa.Table, kind: str) -> Iterator[tuple[Any, ...]]:
    counts = pc.fill_null(pc.list_value_length(tasks["annotations"]), 0).to_pylist()
    for task_id, name, count in zip(tasks["task_id"].to_pylist(), tasks["name"].to_pylist(), counts, strict=True):
        yield (task_id, name, kind, None, None, None, None, None, f"{count} annotation{'' if count == 1 else 's'}")


def _differing_tasks(before: pa.Table, after: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The changes of the tasks both states have; row by row the tables hold the same task."""
    pairs = zip(to_fastlabel(before), to_fastlabel(after), strict=True)
    # One definition of "changed" for the mirror and its diff: the digest.
    differing = [(row, *tasks) for row, tasks in enumerate(pairs) if task_digest(tasks[0]) != task_digest(tasks[1])]
    rows = pa.array([row for row, _, _ in differing], pa.int64())
    boxes_before, boxes_after = (_boxes_by_task(table.take(rows)) for table in (before, after))
    for (_, old, new), old_boxes, new_boxes in zip(differing, boxes_before, boxes_after, strict=True):
        states = _state(old, old_boxes), _state(new, new_boxes)
        changes = [*_task_changes(old, new), *_annotation_changes(*states)]
        if not changes:
            where = "updatedAt" if not _same(old.get("updatedAt"), new.get("updatedAt")) else "annotations"
            changes = [_about_task(TASK_CHANGED, where)]
        for change in changes:
            yield (_text(old.get("id")), _text(new.get("name")), *change)


def _boxes_by_task(tasks: pa.Table) -> list[Floats]:
    flat = flatten(tasks)
    cuts = np.searchsorted(flat.task, np.arange(1, tasks.num_rows))
    return np.split(boxes(flat), cuts) if tasks.num_rows else []


def _state(task: Json, task_boxes: Floats) -> State:
    found = task.get("annotations")
    # What is no object is compared as one with a single field of its own: it has no class and no place.
    elements = found if isinstance(found, list) else []
    annotations = [element if isinstance(element, dict) else {"element": element} for element in elements]
    if len(task_boxes) != len(annotations):
        # Rows written when a list with anything but objects in it still stood in the task's extra as a whole.
        task_boxes = np.full((len(annotations), 4), np.nan)
    return State(annotations, task_boxes)


def _task_changes(old: Json, new: Json) -> Iterator[_Row]:
    if not _same(old.get("status"), new.get("status")):
        yield _about_task(STATUS_CHANGED, _arrow(old.get("status"), new.get("status")))
    # A task's updatedAt changes with everything else and says nothing besides.
    beside = {"status", "annotations", "updatedAt", "url"}
    details = [_field_change(key, old, new) for key in _differing_keys(old, new) if key not in beside]
    if details:
        yield _about_task(TASK_CHANGED, ", ".join(details))


def _annotation_changes(before: State, after: State) -> Iterator[_Row]:
    pairs = pair(before, after)
    new_of = dict(pairs)
    for index, annotation in enumerate(before.annotations):
        if index not in new_of:
            yield (REMOVED, *_about_annotation(annotation, None), index, None, None)
    for old_index, new_index in pairs:
        if before.contents[old_index] == after.contents[new_index]:
            continue
        old, new = before.annotations[old_index], after.annotations[new_index]
        for kind, detail in _differences(old, new, before.boxes[old_index], after.boxes[new_index]):
            yield (kind, *_about_annotation(old, new), old_index, new_index, detail)
    paired = set(new_of.values())
    for index, annotation in enumerate(after.annotations):
        if index not in paired:
            yield (ADDED, *_about_annotation(None, annotation), None, index, None)
    if any(later[1] < earlier[1] for earlier, later in pairwise(pairs)):
        yield _about_task(REORDERED, None)


def _differences(old: Json, new: Json, old_box: Floats, new_box: Floats) -> Iterator[tuple[str, str | None]]:
    """In which ways two states of one annotation differ: kind and detail."""
    reclassified = any(not _same(old.get(key), new.get(key)) for key in ("type", "value"))
    if reclassified:
        yield RECLASSIFIED, None if old.get("type") == new.get("type") else _arrow(old.get("type"), new.get("type"))
    if geometry_of(old) != geometry_of(new):
        yield MOVED, _movement(old, new, old_box, new_box)
    if not _same(old.get("attributes"), new.get("attributes")):
        yield ATTRIBUTES_CHANGED, _attribute_changes(old.get("attributes"), new.get("attributes"))
    expected = _NOT_OTHER | _CLASS_LOOKS if reclassified else _NOT_OTHER
    details = [_field_change(key, old, new) for key in _differing_keys(old, new) if key not in expected]
    if details:
        yield ANNOTATION_CHANGED, ", ".join(details)


def _movement(old: Json, new: Json, old_box: Floats, new_box: Floats) -> str:
    details = []
    if np.isfinite(old_box).all() and np.isfinite(new_box).all():
        with np.errstate(invalid="ignore", over="ignore"):  # huge, but finite: the shift may be infinite
            shift = (new_box[:2] + new_box[2:] - old_box[:2] - old_box[2:]) / 2
        details.append(f"centre {shift[0]:+.1f}, {shift[1]:+.1f} px")
        overlap = overlaps(old_box[None], new_box[None])[0, 0]
        if overlap:
            details.append(f"IoU {overlap:.2f}")
    moved = [key for key in GEOMETRY_KEYS if not _same(old.get(key), new.get(key))]
    details += [_field_change(key, old, new) for key in moved if key != "points" or not details]
    return ", ".join(details)


def _attribute_changes(old: Any, new: Any) -> str:
    sides = [
        {_text(a.get("key")): a.get("value") for a in side if isinstance(a, dict)} if isinstance(side, list) else {}
        for side in (old, new)
    ]
    keys = [key for key in {**sides[0], **sides[1]} if not _same(sides[0].get(key), sides[1].get(key))]
    return ", ".join(f"{key}: {_arrow(sides[0].get(key), sides[1].get(key))}" for key in keys) or "attributes"


def _differing_keys(old: Json, new: Json) -> list[str]:
    keys = {**old, **new}
    return [key for key in keys if (key in old) != (key in new) or not _same(old.get(key), new.get(key))]


def _field_change(key: str, old: Json, new: Json) -> str:
    """``priority 0 → 10``; just the key when a value is too much to show."""
    values = [state.get(key) for state in (old, new)]
    if any(isinstance(value, (list, dict)) or len(str(value)) > 60 for value in values):
        return key
    return f"{key} {_arrow(*values)}"


def _same(old: Any, new: Any) -> bool:
    """Equal as JSON: 1 is 1.0 but not True."""
    if type(old) is type(new) and isinstance(old, (str, int, _NONE)):
        return bool(old == new)
    return canonical_json({"": old}) == canonical_json({"": new})


def _about_task(kind: str, detail: str | None) -> _Row:
    return (kind, None, None, None, None, None, detail)


def _about_annotation(old: Json | None, new: Json | None) -> tuple[str | None, str | None, str | None]:
    """type, value_before, value_after of an annotation that is in one or both states."""
    shown = new if new is not None else old or {}
    before, after = (None if state is None else _text(state.get("value")) for state in (old, new))
    return _text(shown.get("type")), before, after


def _arrow(old: Any, new: Any) -> str:
    return f"{_shown(old)} → {_shown(new)}"


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)


def _text(value: Any) -> str | None:
    """``value`` for a text column: a field that should be text may be anything, half a surrogate pair included."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return {_shown(value): count for value, count in Counter(values).most_common()}


def _phrase(template: str, count: int, noun: str) -> list[str]:
    """``template`` with the count and its noun filled in; nothing for a count of 0."""
    if count == 0:
        return []
    singular, plural = _NOUNS.get(noun, (f"{noun} annotation", f"{noun} annotations"))
    return [template.replace("{}", f"{count:,} {singular if count == 1 else plural}")]
