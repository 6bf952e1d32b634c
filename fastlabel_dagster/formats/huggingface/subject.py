"""What a dataset teaches: objects in pictures, or one label for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from fastlabel_dagster.formats.huggingface.label import find_labelling
from fastlabel_dagster.formats.huggingface.rows import (
    Rows,
    Shape,
    check_options,
    label_rows,
    object_classes,
    object_rows,
)
from fastlabel_dagster.formats.pictures import Pictures, tell_of_lost_attributes
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.labels.ragged import Bools
from fastlabel_dagster.labels.tables import Labels


class Subject(NamedTuple):
    """The shape of the rows, and the rows of the pictures that are wanted (bool[pictures])."""

    shape: Shape
    rows: Callable[[Bools], Iterator[Rows]]


def subject_of(
    labels: Labels, pictures: Pictures, tally: Tally, *, task: str, category: str, label: str | None
) -> Subject:
    """Look through the labels for what their rows will look like.

    Raises:
        ValueError: for an unknown task or category, or a label that is not there or not the only one.
    """
    check_options(task, category)
    if task == "detect":
        tell_of_lost_attributes(labels, tally)
        classes = object_classes(labels)
        objects = partial(object_rows, labels, pictures, classes, tally, names=category == "name")
        return Subject(Shape(task, category, [one.value for one in classes]), lambda wanted: objects(wanted=wanted))
    labelling = find_labelling(labels, label)
    tell_of_lost_attributes(labels, tally, [] if labelling.key is None else [labelling.key])
    return Subject(
        Shape(task, category, labelling.names),
        lambda wanted: label_rows(labels, pictures, labelling, tally, wanted=wanted),
    )
