"""The part of a dataset (train, val, test) each text belongs to, and the files of the parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from fastlabel_dagster.formats.class_words import CLASS_FILE, ClassWords
from fastlabel_dagster.formats.pictures import list_pictures, tell_of_lost_attributes
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.splits import Split, names_of_parts, parts_of
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter


class TextParts(NamedTuple):
    """The parts of the texts of some labels."""

    of_task: dict[str, str]
    """Task id -> part."""
    names: list[str]
    """The parts that get a file: those that have a text, and train, where readers begin."""


class PartFiles:
    """The open files of the parts, and how many texts each has got."""

    def __init__(self, parts: TextParts, files: dict[str, BinaryIO], ending: str) -> None:
        self._parts = parts
        self._files = files
        self._ending = ending
        self._counts = dict.fromkeys(files, 0)
        self._size = 0

    def write(self, task_id: str, text: bytes) -> str:
        """Put a task's text behind the others of its part. Returns the file and the number it has there."""
        part = self._parts.of_task[task_id]
        self._files[part].write(text)
        self._size += len(text)
        self._counts[part] += 1
        return f"{part}{self._ending}#{self._counts[part]}"

    def written(self, folder: FolderWriter, classes: ClassWords, *more: int) -> Written:
        """Write ``classes.json`` too. Returns what the dataset is, with further files of ``more`` bytes."""
        text = classes.to_json()
        folder.write_bytes(CLASS_FILE, text)
        size = self._size + len(text) + sum(more)
        parts = {part: count for part, count in self._counts.items() if count}
        return Written(sum(parts.values()), len(self._files) + 1 + len(more), size, parts)


@contextlib.contextmanager
def part_files(folder: FolderWriter, parts: TextParts, ending: str) -> Iterator[PartFiles]:
    """Open ``<part><ending>`` for each part."""
    with contextlib.ExitStack() as stack:
        files = {part: stack.enter_context(folder.open(f"{part}{ending}")) for part in parts.names}
        yield PartFiles(parts, files, ending)


def text_parts(labels: Labels, split: Split, tally: Tally) -> TextParts:
    """Which part each text belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says. Raises ValueError
    for an impossible split. ``tally`` is told of the tasks' own attributes, which have no place."""
    # No files are called after tasks, so nothing is to be told of their names.
    texts = list_pictures(labels, None, Tally(), attributes=None)
    tell_of_lost_attributes(labels, tally)
    parts = [part or "train" for part in parts_of(texts, split)]
    names = [part for part in names_of_parts(split, dict.fromkeys(parts, 1)) if part in parts or part == "train"]
    return TextParts(dict(zip(texts.task_ids, parts, strict=True)), names)
