"""Datasets with a text file per picture and a line per object (KITTI, DOTA), written and read;
:mod:`~fastlabel_dagster.formats.line_layout` says where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    labels_of,
    stable_id,
)
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import CLASS_FILE, ClassWords, merged_by_value, read_class_words
from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES, image_size
from fastlabel_dagster.formats.label_files import files_below, folder_of, label_name
from fastlabel_dagster.formats.line_layout import Layout, label_files, tag_of, tasks_of, tell_of_lists
from fastlabel_dagster.formats.pictures import link_pictures, list_pictures
from fastlabel_dagster.formats.report import EXAMPLES, FILE, Tally
from fastlabel_dagster.formats.shapes import ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split, parts_of, tell_of_lost_tags
from fastlabel_dagster.formats.text import joined
from fastlabel_dagster.formats.text_files import REPLACED, decoded
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, as_ragged, offsets_of
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

_FILES_AT_ONCE = 2000
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"


#: ``lines_of(batch, words)`` drops and alters what it must, and gives the lines of those it keeps.
LinesOf: TypeAlias = Callable[[ShapeBatch, Categories, ClassWords], pa.Array]


def write_line_files(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    lines_of: LinesOf,
    *,
    layout: Layout,
    split: Split = None,
    heads: dict[str, bytes] | None = None,
    attributes: Sequence[str] = (),
) -> Written:
    """Write a dataset of ``layout``.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie beside the labels.
        tally: told of everything left out or changed.
        lines_of: makes the lines of a batch: string[k], one for each annotation its ``told`` keeps, in their order.
        layout: names of the folders.
        split: a folder per part, as :func:`~fastlabel_dagster.formats.splits.parts_of` says; None: no such folders.
        heads: what stands above the lines, by task id.
        attributes: keys of the tasks' own attributes that stand in ``heads``.
    """
    pictures = list_pictures(labels, images, tally, unique_stem=True, attributes=attributes)
    part_of = parts_of(pictures, split) if split is not None else [None] * len(pictures)
    tell_of_lost_tags(pictures, part_of, tally)
    parts = [f"{part}/" if part else "" for part in part_of]
    categories = Categories(labels.classes)
    words = ClassWords(categories)
    total = 0

    def texts_of(batch: ShapeBatch) -> tuple[list[int], list[str]]:
        lines = lines_of(batch, categories, words)
        batch.told.finish()
        owner = batch.flat.task[np.flatnonzero(batch.told.kept)]
        per_task = offsets_of(np.bincount(owner, minlength=batch.tasks.num_rows))
        return batch.picture.tolist(), joined(per_task, lines, "\n").to_pylist()

    def files() -> Iterator[tuple[str, bytes]]:
        nonlocal total
        for rows, texts in each_batch(labels, pictures, tally, texts_of):
            for row, text in zip(rows, texts, strict=True):
                head = heads.get(pictures.task_ids[row], b"") if heads else b""
                data = head + (f"{text}\n".encode() if text else b"")
                total += len(data)
                yield f"{parts[row]}{layout.labels}/{label_name(pictures.files[row], '.txt')}", data

    folder.write_many(files())
    index = words.to_json()
    folder.write_bytes(CLASS_FILE, index)
    count, size = len(pictures) + 1, total + len(index)
    if images is not None:
        paths = [f"{part}{layout.pictures}/{file}" for part, file in zip(parts, pictures.files, strict=True)]
        linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
        count, size = count + linked, size + linked_bytes
    names = [part.rstrip("/") for part in parts] if split is not None else []
    return Written(len(pictures), count, size, {name: names.count(name) for name in sorted(set(names))})


class Words(NamedTuple):
    """``k`` rows of words."""

    lists: pa.Array
    """list<string>[k]."""

    @property
    def counts(self) -> Ints:
        """int64[k]: words of each row."""
        return as_ragged(self.lists).lengths

    def word(self, place: int) -> pa.Array:
        """string[k]: the word at ``place`` (from 0), which all rows have."""
        lists = as_ragged(self.lists)
        return lists.values.take(pa.array(lists.starts + place))

    def numbers(self, first: int, count: int) -> Floats:
        """float64[k, count]: ``count`` words from ``first`` on, which all rows have; NaN where one is no number,
        infinite where it is too large for one."""
        lists = as_ragged(self.lists)
        words = lists.values.take(pa.array((lists.starts[:, None] + first + np.arange(count)).reshape(-1)))
        try:
            numbers = pc.cast(words, pa.float64())
        except pa.ArrowInvalid:
            fits = pc.match_substring_regex(words, _NUMBER)
            numbers = pc.cast(pc.if_else(fits, words, "nan"), pa.float64())
        found: Floats = numbers.to_numpy(zero_copy_only=False).reshape(-1, count)
        return found

    def take(self, rows: Ints) -> Words:
        """Some of the rows."""
        return Words(self.lists.take(pa.array(rows)))


class Lines:
    """``k`` lines of label files, taken apart at their blanks."""

    def __init__(self, texts: list[str], owner: Ints, number: Ints, files: dict[int, str], told: ReadTally) -> None:
        self.words = Words(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pa.array(texts, pa.string()))))
        self.owner = owner
        """int64[k]: row of the task."""
        self._number, self._files, self._told = number, files, told

    def __len__(self) -> int:
        return len(self.owner)

    def drop(self, reason: str, bad: Bools) -> None:
        """Leave out the lines in ``bad``."""
        rows = np.flatnonzero(bad)
        if len(rows):
            self._told.drop(reason, where=self._places(rows), count=len(rows))
            left = np.flatnonzero(~bad)
            self.words, self.owner, self._number = self.words.take(left), self.owner[left], self._number[left]

    def alter(self, reason: str, mask: Bools) -> None:
        """The lines in ``mask`` are not read as they stand there."""
        rows = np.flatnonzero(mask)
        self._told.alter(reason, where=self._places(rows), count=len(rows))

    def _places(self, rows: Ints) -> list[str]:
        return [f"{self._files[int(self.owner[row])]}, line {self._number[row]}" for row in rows[:EXAMPLES].tolist()]


#: ``read_lines(lines, annotations, classes)`` adds what the lines say; unknown words become classes of ``classes``.
ReadLines: TypeAlias = Callable[[Lines, AnnotationColumns, dict[str, FoundClass]], None]
#: ``is_head(line)``: the line says something of the whole file: a key and its value, which become a task's attribute
#: (none when the value is empty).
HeadOf: TypeAlias = Callable[[str], tuple[str, str] | None]


def read_line_files(
    source: Path, told: ReadTally, layout: Layout, read_lines: ReadLines, head_of: HeadOf | None = None
) -> Labels:
    """Read a dataset of ``layout``: its folder, or ``classes.json`` in it.

    A task for each label file, and for each picture without one. Its name is the path of the picture below the folder
    of pictures (with the part in front where two parts have the same), or that of the label file without its ending
    when there is no picture; its tag the part.

    Raises:
        FileNotFoundError: when there are no label files.
        FormatError: when ``classes.json`` is damaged.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no {layout.format} dataset at {source}")
    root = folder_of(source, [CLASS_FILE, ".txt"])
    if root.name == layout.labels:
        root = root.parent
    listing = list(files_below(root, {".txt", *IMAGE_SUFFIXES}, told))
    found = label_files(listing, layout)
    words = read_class_words(root, told)
    tell_of_lists(listing, found, told)
    if not found and not (root / CLASS_FILE).is_file():
        raise FileNotFoundError(
            f"{root} has no folder {layout.labels} of label files, so it is no {layout.format} dataset"
        )
    tasks = tasks_of(root, found, PictureIndex(root, listing), layout, told)
    stated = set(words)
    annotations = AnnotationColumns()
    heads: dict[int, dict[str, str]] = {}
    for start in range(0, len(tasks), _FILES_AT_ONCE):
        some = tasks[start : start + _FILES_AT_ONCE]
        files = {row: task.label for row, task in enumerate(some, start) if task.label}
        lines = _lines(root, files, heads, told, head_of=head_of)
        told.advance(len(some))
        if len(lines):
            read_lines(lines, annotations, words)
    unlisted = [word for word in words if word not in stated]
    if stated and unlisted:
        told.notice(f"classes that {CLASS_FILE} does not list", where=unlisted[:EXAMPLES], count=len(unlisted))
    classes = merged_by_value(words)
    sizes = [task.picture and image_size(task.picture) for task in tasks]
    unreadable = [task.name for task, size in zip(tasks, sizes, strict=True) if task.picture and not size]
    told.notice(
        "pictures that cannot be read: their size is not known", "image", where=unreadable, count=len(unreadable)
    )
    columns: dict[str, Any] = {
        "task_id": [stable_id(layout.format, task.part, task.name) for task in tasks],
        "name": [task.name for task in tasks],
        "width": [size and size[0] for size in sizes],
        "height": [size and size[1] for size in sizes],
        "tags": [[tag_of(task.part)] if task.part else [] for task in tasks],
        "url": [task.picture and task.picture.as_uri() for task in tasks],
        "attributes": [_attributes(heads.get(row, {})) for row in range(len(tasks))],
    }
    return labels_of(layout.format, columns, annotations, classes, told)


def _lines(
    root: Path, files: dict[int, str], heads: dict[int, dict[str, str]], told: ReadTally, *, head_of: HeadOf | None
) -> Lines:
    """The lines of some label files (row of the task -> path below ``root``). Blank lines and heads are none."""
    texts: list[str] = []
    owner: list[int] = []
    numbers: list[int] = []
    for row, file in files.items():
        try:
            content, whole = decoded((root / file).read_bytes())
        except OSError as error:
            told.drop(f"a label file that cannot be read ({type(error).__name__})", FILE, where=file)
            continue
        if not whole:
            told.alter(REPLACED, FILE, where=file)
        for number, line in enumerate(content.split("\n"), start=1):
            if not line or line.isspace():
                continue
            head = head_of(line) if head_of is not None else None
            if head is not None:
                if head[1]:
                    heads.setdefault(row, {})[head[0]] = head[1]
                continue
            texts.append(line)
            owner.append(row)
            numbers.append(number)
    return Lines(texts, np.array(owner, np.int64), np.array(numbers, np.int64), files, told)


def _attributes(head: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"key": key, "name": key, "type": "text", "value": value, "value_is_json": False} for key, value in head.items()
    ]
