"""Classes an option names: those that neither the project nor any label has are most likely misspelt."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow.compute as pc

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.report import EXAMPLES, Tally
from fastlabel_dagster.labels.ragged import one_array
from fastlabel_dagster.labels.tables import Labels

_CLASS = "class"


def tell_of_unknown(option: str, asked: Collection[str], labels: Labels, tally: Tally) -> None:
    """Notice the classes ``asked`` for by ``option`` that nobody knows. A class of the project that nothing is labelled
    with yet is no mistake, so the labels are looked through only for what the project does not have."""
    unknown = dict.fromkeys(asked)
    for value in labels.classes["value"].to_pylist():
        unknown.pop(value, None)
    if unknown:
        for value in values_of(labels):
            unknown.pop(value, None)
    reason = f"{option} names a class that neither the project nor a label has"
    tally.note("noticed", reason, _CLASS, len(unknown), list(unknown)[:EXAMPLES])


def values_of(labels: Labels) -> set[str]:
    """The classes of all annotations there are."""
    found: set[str] = set()
    for tasks in task_batches(labels, ["annotations"]):
        values = pc.struct_field(pc.list_flatten(one_array(tasks["annotations"])), "value")
        found.update(value for value in pc.unique(values).to_pylist() if value is not None)
    return found
