"""The canonical label tables (Arrow) that every source becomes and every target is written from.

``from_fastlabel`` and ``to_fastlabel`` turn task JSON into tables and back without loss; the column meanings are in
:mod:`fastlabel_dagster.labels.schema`.
"""

from fastlabel_dagster.labels.fastlabel import (
    classes_from_fastlabel,
    classes_to_fastlabel,
    dataset_objects_from_fastlabel,
    dataset_objects_to_fastlabel,
    from_fastlabel,
    tasks_table,
    to_fastlabel,
)
from fastlabel_dagster.labels.tables import Labels, annotations_of

__all__ = [
    "Labels",
    "annotations_of",
    "classes_from_fastlabel",
    "classes_to_fastlabel",
    "dataset_objects_from_fastlabel",
    "dataset_objects_to_fastlabel",
    "from_fastlabel",
    "tasks_table",
    "to_fastlabel",
]
