"""The part of a dataset (train, val, test) each text belongs to, and the files of the parts."""

from __future__ import annotations

from typing import NamedTuple

from fastlabel_dagster.formats.pictures import list_pictures
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.splits import Split, names_of_parts, parts_of
from fastlabel_dagster.labels.tables import Labels


class TextParts(NamedTuple):
    """The parts of the texts of some labels."""

    of_task: dict[str, str]
    """Task id -> part."""
    names: list[str]
    """The parts that get a file: those that have a text, and train, where readers begin."""

    def counted(self, counts: dict[str, int]) -> dict[str, int]:
        """Texts per part, for a report: without parts that have none."""
        return {part: count for part, count in counts.items() if count}


def text_parts(labels: Labels, split: Split) -> TextParts:
    """Which part each text belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says. Raises ValueError
    for an impossible split."""
    texts = list_pictures(labels, None, Tally())  # no files are called after tasks, so nothing is to be told of them
    parts = [part or "train" for part in parts_of(texts, split)]
    names = [part for part in names_of_parts(split, dict.fromkeys(parts, 1)) if part in parts or part == "train"]
    return TextParts(dict(zip(texts.task_ids, parts, strict=True)), names)
