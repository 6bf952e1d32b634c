"""Read YOLO datasets as labels: ``data.yaml`` and what it names, or just images, label files and ``classes.txt``.

A line of five numbers is a box, one with an odd count from seven a polygon, one as long as ``kpt_shape`` says a pose,
and where the dataset is one of oriented boxes, one of nine numbers a box with its rotation. Label files are read some
thousands at a time, as columns of numbers; what cannot be read is told to the tally.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from fastlabel_dagster.formats.assembly import stable_id, tasks_table
from fastlabel_dagster.formats.image_size import image_size
from fastlabel_dagster.formats.yolo.dataset import Dataset, find_dataset
from fastlabel_dagster.formats.yolo.files import DatasetFiles, Item
from fastlabel_dagster.formats.yolo.lines import TASKS
from fastlabel_dagster.formats.yolo.objects import AREAS, Objects
from fastlabel_dagster.formats.yolo.parse import Lines, parse_lines
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints
from fastlabel_dagster.labels.report import EXAMPLES, FILE, IMAGE, ReadTally
from fastlabel_dagster.labels.tables import Labels

#: Label files looked at together, at most; and about how many bytes.
_FILES_AT_ONCE = 4096
_BYTES_AT_ONCE = 32 * 2**20
_LARGEST_FILE = 256 * 2**20
_NO_IMAGE = (
    "its label file has no image in images/ (or where data.yaml or a list says) or beside it, so its size is not "
    "known; size='1280x720' gives it"
)
_UNREAD = "what the data file says that FastLabel has no place for, or that contradicts itself, was not read"
_LONGEST = 200
_UNREAD_IMAGE = "the image cannot be read, so its size is not known; size='1280x720' gives it"


def read_yolo(
    source: Path,
    told: ReadTally,
    *,
    task: str = "auto",
    classes: str | os.PathLike[str] | Sequence[str] | None = None,
    size: str | Sequence[int] | None = None,
    polygons: str = "polygon",
) -> Labels:
    """Read a YOLO dataset: its folder, its ``data.yaml``, or a folder with ``classes.txt``.

    Task names are paths below the part's image folder (with the part in front where two parts have the same name), task
    ids a stable hash of part and path, tags the part. The class at place i of ``names`` gets the order i + 1.

    Coordinates are pixels, as exact as the file. One that nine decimals cannot tell from a whole thousandth of a pixel
    is that thousandth, so that what was written from such numbers comes back exactly.

    Args:
        source: a folder, ``data.yaml`` or ``classes.txt``.
        told: told of everything left out or changed.
        task: what the lines are for: ``detect`` (polygons become the box around them), ``segment``, ``pose`` or
            ``obb`` (nine numbers are a rotated box). ``auto`` goes by what the dataset says (our own do); where it says
            nothing nine numbers are a polygon of four corners, and that is noticed.
        classes: names of the classes in the order of their numbers, or a text file of them, in place of the dataset's
            own.
        size: width and height in pixels of images that are missing or unreadable, such as ``(1280, 720)`` or
            ``"1280x720"``. Without it, the lines of such an image are left out.
        polygons: ``polygon``, or ``segmentation`` for projects that want their areas so.

    Raises:
        FileNotFoundError: when there is neither ``data.yaml`` nor ``classes.txt``, or an image folder is missing.
        FormatError: when ``data.yaml`` is damaged, or leads out of the dataset's folder; the message names it.
        ValueError: for impossible options.
    """
    if task not in ("auto", *TASKS):
        raise ValueError(f"unknown YOLO task {task!r}; known are auto, {', '.join(TASKS)}")
    if polygons not in AREAS:
        raise ValueError(f"polygons are read as {' or '.join(AREAS)}, not {polygons!r}")
    assumed = _sides(size)
    dataset = find_dataset(source, classes)
    if dataset.unread:
        told.notice(_UNREAD, FILE, where=", ".join(dataset.unread)[:_LONGEST])
    if task != "auto":
        dataset.task = task
    return _Reader(dataset, assumed, told, polygons).labels()


class _Reader:
    def __init__(self, dataset: Dataset, assumed: tuple[int, int] | None, told: ReadTally, polygons: str) -> None:
        self._assumed, self._told = assumed, told
        self._files = DatasetFiles(dataset, told)
        self._objects = Objects(dataset, told, polygons)
        self._owner: Ints = np.empty(0, np.int64)

    def labels(self) -> Labels:
        items = list(self._files.items())
        sizes = self._sizes(items)
        tasks = self._tasks(items, sizes)
        for rows, texts in self._texts(items):
            self._read(items, rows, parse_lines(texts), sizes)
            self._told.advance(len(rows))
        kept = len(tasks["task_id"])
        nested, classes = self._objects.tables(kept)
        self._told.found(kept, len(self._objects))
        return Labels(tasks_table({**tasks, "annotations": nested}), classes, origin={"format": "yolo"})

    def _sizes(self, items: list[Item]) -> Floats:
        """float64[items, 2]: width and height in pixels, NaN where they cannot be known."""
        sizes = np.full((len(items), 2), np.nan)
        unread = []
        for row, item in enumerate(items):
            found = image_size(item.image) if item.image is not None else None
            if found is None and item.image is not None:
                unread.append(item.image)
            found = found or self._assumed
            if found is not None:
                sizes[row] = found
        if unread and self._assumed is not None:
            where = [self._files.below(image) for image in unread[:EXAMPLES]]
            self._told.alter("the image cannot be read, the size given is taken", IMAGE, where=where, count=len(unread))
        return sizes

    def _tasks(self, items: list[Item], sizes: Floats) -> dict[str, list[object]]:
        """The columns of the tasks: every image, and label files without one where their size is given."""
        seen: dict[str, int] = {}
        for item in items:
            seen[item.name] = seen.get(item.name, 0) + 1
        columns: dict[str, list[object]] = {name: [] for name in ("task_id", "name", "width", "height", "tags", "url")}
        self._owner = np.full(len(items), -1, np.int64)
        ids: set[str] = set()
        urls: dict[str, str] = {}
        whole = np.where(np.isnan(sizes), 0, sizes).astype(np.int64).tolist()
        for row, (item, (width, height)) in enumerate(zip(items, whole, strict=True)):
            if item.image is None and self._assumed is None:
                continue
            identity = stable_id("yolo", item.part, item.name)
            if identity in ids:
                identity = stable_id("yolo", item.part, item.name, self._files.below(item.image or item.label or ""))
                if identity in ids:
                    continue
            ids.add(identity)
            self._owner[row] = len(columns["task_id"])
            columns["task_id"].append(identity)
            prefix = f"{item.part}/" if seen[item.name] > 1 and item.part else ""
            columns["name"].append(prefix + item.name)
            columns["width"].append(width or None)
            columns["height"].append(height or None)
            columns["tags"].append([item.part] if item.part else [])
            columns["url"].append(None if item.image is None else _uri(item.image, urls))
        return columns

    def _texts(self, items: list[Item]) -> Iterator[tuple[list[int], list[bytes]]]:
        """The label files, some at a time: whose they are, and their content."""
        rows: list[int] = []
        texts: list[bytes] = []
        total = 0
        for row, item in enumerate(items):
            text = b"" if item.label is None else self._content(item.label)
            rows.append(row)
            texts.append(text)
            total += len(text)
            if len(rows) >= _FILES_AT_ONCE or total >= _BYTES_AT_ONCE:
                yield rows, texts
                rows, texts, total = [], [], 0
        if rows:
            yield rows, texts

    def _content(self, path: str) -> bytes:
        try:
            text = _read_file(path)
        except OSError as error:
            self._told.drop("the label file cannot be read", FILE, where=f"{self._files.below(path)}: {error.strerror}")
            return b""
        if len(text) > _LARGEST_FILE:
            self._told.drop("a label file of more than 256 MiB", FILE, where=self._files.below(path))
            return b""
        return text

    def _read(self, items: list[Item], rows: list[int], lines: Lines, sizes: Floats) -> None:
        item_of = np.array(rows, np.int64)[lines.text]
        labels = [items[row].label for row in rows]

        def where(line: int) -> str:
            label = labels[int(lines.text[line])]
            return f"{self._files.below(label or '')}, line {int(lines.number[line])}"

        lost = ~(sizes[item_of] > 0).all(axis=1) | (self._owner[item_of] < 0)
        if lost.any():
            self._tell_of_lost(items, item_of, lines, lost)
        if self._assumed is None:
            self._tell_of_empty(items, rows, item_of)
        self._objects.add(lines, np.where(lost, -1, self._owner[item_of]), sizes[item_of], where)

    def _tell_of_lost(self, items: list[Item], item_of: Ints, lines: Lines, lost: Bools) -> None:
        """Lines of images that are not there, or whose size nobody knows."""
        rows, place, counts = np.unique(item_of[lost], return_inverse=True, return_counts=True)
        labelled = np.bincount(place, lines.is_numbers[lost], minlength=len(rows)) > 0
        for row, count, is_labels in zip(rows.tolist(), counts.tolist(), labelled.tolist(), strict=True):
            item = items[row]
            if item.image is not None:
                self._told.drop(_UNREAD_IMAGE, where=self._files.below(item.image), count=count)
            elif is_labels:
                self._told.drop(_NO_IMAGE, where=self._files.below(item.label or ""), count=count)
            else:
                self._told.notice("a text file that holds no labels", FILE, where=self._files.below(item.label or ""))

    def _tell_of_empty(self, items: list[Item], rows: list[int], item_of: Ints) -> None:
        """Label files without lines whose image is not there: a background image was lost."""
        filled = set(np.unique(item_of).tolist())
        for row in rows:
            label = items[row].label
            if items[row].image is None and label is not None and row not in filled:
                self._told.notice("an empty label file has no image", FILE, where=self._files.below(label))


def _sides(size: str | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        width, height = (int(side) for side in (size.lower().split("x") if isinstance(size, str) else size))
    except (TypeError, ValueError) as error:
        raise ValueError(f"size is width and height in pixels, such as 1280x720, not {size!r}") from error
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise ValueError(f"no image is {width} x {height} pixels")
    return width, height


def _read_file(path: str) -> bytes:
    """All of a small file, by three system calls; of a very large one as much as it takes to know."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(file, 65536)
        if len(text) < 65536:
            return text
        pieces, total = [text], len(text)
        while text and total <= _LARGEST_FILE:
            text = os.read(file, 1 << 24)
            pieces.append(text)
            total += len(text)
        return b"".join(pieces)
    finally:
        os.close(file)


def _uri(path: str, folders: dict[str, str]) -> str:
    """``file:///…``; the folder's part of it is made once."""
    folder, name = os.path.split(path)
    above = folders.get(folder)
    if above is None:
        above = folders[folder] = Path(folder).as_uri().rstrip("/")
    return f"{above}/{quote(os.fsencode(name))}"
