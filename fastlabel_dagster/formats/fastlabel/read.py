"""FastLabel's own JSON read as label tables, a piece at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import stable_id
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.fastlabel.derived import DerivedClasses
from fastlabel_dagster.formats.fastlabel.json_pieces import Elements, Piece, piece_bytes_of, read_elements, read_pieces
from fastlabel_dagster.formats.fastlabel.layout import CLASS_FILES, NOT_TASKS, PICTURES, PICTURES_FILE, TASK_SUFFIXES
from fastlabel_dagster.formats.fastlabel.spool import Spool
from fastlabel_dagster.formats.label_files import only_named
from fastlabel_dagster.formats.local_urls import NAMED, without_local_urls
from fastlabel_dagster.labels import levels, regular
from fastlabel_dagster.labels.fastlabel import classes_from_fastlabel, tasks_table
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.ragged import one_array
from fastlabel_dagster.labels.report import EXAMPLES, FILE, TASK, ReadTally
from fastlabel_dagster.labels.schema import TASKS
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store.shared_work import SharedWork

_NESTED_TOO_DEEP = "it is nested too deep"
#: Pieces that do not look like those before them, until the short way is given up.
_MOST_REFUSED = 4
_FEW = 64
#: Threads that read pieces beside the one that waits for them, and how many pieces are read ahead.
_READERS = 2 if (os.cpu_count() or 1) > 2 else 1
_AHEAD = 3


def read_fastlabel(source: Path, told: ReadTally) -> Labels:
    """Read tasks as the API answers them: a ``.json`` file with a list of tasks, a ``.jsonl`` file with one a line, or
    a folder of such files in the order of their names.

    Classes are those of ``classes.json`` (or ``annotations.json``) beside them. Without it they are made from the
    annotations: a class for each value, in the order of the values, with the title and colour its first annotation
    has, and the types its annotations have. The url of a task whose picture lies in ``images/`` is that of the picture.

    A task that is no object, or no JSON, is left out and told, and so is the part of a file behind the place where it
    breaks off. A task without an id gets one from its place; the second of two with the same id is left out.

    Raises:
        FileNotFoundError: when there is no such file, or none in the folder.
        FormatError: when there is something in the files, but no task could be read.
    """
    root, files = _files(source, told)
    return _Reader(root, told).labels(files)


def _files(source: Path, told: ReadTally) -> tuple[Path, list[Path]]:
    if not source.exists():
        raise FileNotFoundError(f"there is no FastLabel JSON at {source}")
    if source.is_file() and source.name not in NOT_TASKS:
        return source.parent, [source]
    root = source if source.is_dir() else source.parent
    listed = sorted(
        path
        for path in root.iterdir()
        if path.suffix.lower() in TASK_SUFFIXES
        and path.name not in NOT_TASKS
        and not path.name.startswith(".")
        and path.is_file()
    )
    files = only_named(listed, root, told)
    if not files:
        raise FileNotFoundError(f"{root} has no tasks.jsonl, tasks.json or other .json or .jsonl file of tasks")
    return root, files


class _Reader:
    def __init__(self, root: Path, told: ReadTally) -> None:
        self._root, self._told = root, told
        self._spool = Spool(TASKS)
        self._seen: set[str] = set()
        self._tasks = self._annotations = 0
        self._problem: FormatError | None = None
        self._derived: DerivedClasses | None = None
        self._pictures = _pictures(root, told)
        self._form: regular.Form | None = None
        self._refused = 0

    def labels(self, files: list[Path]) -> Labels:
        classes = self._classes()
        if classes is None:
            self._derived = DerivedClasses()
        for path in files:
            file = path.relative_to(self._root).as_posix()
            for attempt in self._ahead(read_pieces(path, piece_bytes=piece_bytes_of(path))):
                piece, table = attempt.piece, self._regular(attempt)
                if table is not None:
                    self._add(file, table, _Numbered(piece.noun, piece.first))
                    continue
                with without_collecting():
                    found = attempt.found or piece.elements()
                    self._take(file, path, found)
                    self._learn(found)
        if not self._tasks and self._problem is not None:
            raise self._problem
        self._spool.finish()
        self._told.found(self._tasks, self._annotations)
        return Labels(self._spool, self._derived.table() if self._derived else classes, origin={"format": "fastlabel"})

    def _ahead(self, pieces: Iterator[Piece]) -> Iterator[_Attempt]:
        """The pieces in their order, with the columns of those that look like the ones before them.

        Arrow reads some pieces ahead in another thread, for it does not hold up Python meanwhile."""
        waiting: deque[_Attempt] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            for number, piece in enumerate(pieces):
                found = None
                if piece and not number and self._form is None:
                    with without_collecting():
                        self._learn(found := piece.elements())
                form = self._form if piece else None
                work = None if form is None else SharedWork(readers, partial(_columns, piece, form))
                waiting.append(_Attempt(piece, found, form, work))
                while waiting and (len(waiting) > _AHEAD or self._form is None):
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)

    def _regular(self, attempt: _Attempt) -> pa.Table | None:
        """The tasks of a piece, if they look like those before them."""
        columns = None if attempt.work is None else attempt.work.result()
        if columns is None:
            if attempt.form is self._form is not None:  # those read ahead in a form given up meanwhile say nothing
                self._refused += 1
                self._form = None
            return None
        table = pa.Table.from_arrays(columns, schema=TASKS)
        if attempt.piece.lines not in (0, table.num_rows) or _nameless(table):
            return None
        attempt.piece.took(table.num_rows)
        return table

    def _learn(self, found: Elements) -> None:
        """What tasks look like. Where it changes again and again it is no use to look for it."""
        if self._form is None and found.values and not found.damaged and self._refused < _MOST_REFUSED:
            few = found.values[:_FEW] if not self._refused else found.values
            self._form = regular.form_of(few, levels.TASK)

    def _take(self, file: str, path: Path, found: Elements) -> None:
        """Some tasks of ``file``."""
        for place, problem in found.damaged:
            self._drop(path, file, place, problem)
        values = found.values
        places = found.places or _Numbered("task", found.first)
        problems = {index: said for index, value in enumerate(values) if (said := _no_task(value))}
        if problems:
            for index, problem in problems.items():
                self._drop(path, file, places[index], problem)
            good = [index for index in range(len(values)) if index not in problems]
            values, places = [values[index] for index in good], [places[index] for index in good]
        if not values:
            return
        try:
            self._add(file, tasks_table(values), places)
        except RecursionError:
            for index, value in enumerate(values):
                try:
                    table = tasks_table([value])
                except RecursionError:
                    self._drop(path, file, places[index], _NESTED_TOO_DEEP)
                else:
                    self._add(file, table, [places[index]])

    def _drop(self, path: Path, file: str, place: str, problem: str) -> None:
        # A parser's message has positions within the piece it was given; as reasons they would all differ.
        reason = problem.partition(":")[0]
        self._told.drop(reason, TASK, where=f"{file}, {place}")
        if self._problem is None:
            self._problem = FormatError(path, problem, place=place)

    def _add(self, file: str, table: pa.Table, places: Sequence[str]) -> None:
        rows = table.num_rows
        ids = table["task_id"].to_pylist()
        if None in ids:
            without = [row for row, task_id in enumerate(ids) if task_id is None]
            for row in without:
                ids[row] = stable_id("task", file, places[row])
            self._told.alter(
                "it has no id that is a text, and got one from its place",
                TASK,
                where=[f"{file}, {places[row]}" for row in without[:EXAMPLES]],
                count=len(without),
            )
            table = _with(table, "task_id", pa.array(ids, pa.string()))
        if len(set(ids)) < rows or not self._seen.isdisjoint(ids):
            first = [row for row, task_id in enumerate(ids) if self._is_first(task_id)]
            again = sorted(set(range(rows)).difference(first))
            self._told.drop(
                "a task of the same id came before it",
                TASK,
                where=[f"{file}, {places[row]}" for row in again[:EXAMPLES]],
                count=len(again),
            )
            table, ids = table.take(pa.array(first, pa.int64())), [ids[row] for row in first]
        else:
            self._seen.update(ids)
        self._spool.add(table := self._with_urls(table, ids))
        self._tasks += table.num_rows
        self._annotations += pc.sum(pc.list_value_length(table["annotations"]), min_count=0).as_py()
        if self._derived is not None:
            self._derived.learn(table)
        self._told.advance(rows)

    def _is_first(self, task_id: str) -> bool:
        if task_id in self._seen:
            return False
        self._seen.add(task_id)
        return True

    def _with_urls(self, table: pa.Table, ids: list[str]) -> pa.Table:
        """The task's picture where the dataset has it. No other file of this machine: labels that were read from a
        dataset are trusted with ``file:`` URLs, so the dataset must not bring any."""
        table, foreign = without_local_urls(table)
        rows = np.flatnonzero(foreign)
        if len(rows):
            names = table["name"].take(pa.array(rows[:EXAMPLES])).to_pylist()
            self._told.alter(NAMED, TASK, where=[str(name) for name in names], count=len(rows))
        if self._pictures:
            names = table["name"].to_pylist()
            found = [self._pictures.of(task_id, name) for task_id, name in zip(ids, names, strict=True)]
            table = _with(table, "url", pc.coalesce(pa.array(found, pa.string()), one_array(table["url"])))
        return table

    def _classes(self) -> pa.Table | None:
        for name in CLASS_FILES:
            path = self._root / name
            if not path.is_file():
                continue
            rows: list[Any] = []
            whole = path.stat().st_size > 0
            for found in read_elements(path, noun="class"):
                for place, problem in found.damaged:
                    whole = False
                    self._told.drop(problem.partition(":")[0], FILE, where=f"{name}, {place}")
                rows.extend(found.values)
            good = [row for row in rows if isinstance(row, dict) and isinstance(row.get("value"), str)]
            if len(good) < len(rows):
                self._told.drop("an entry of it is no annotation class", FILE, where=name, count=len(rows) - len(good))
            try:
                table = classes_from_fastlabel(good)
            except RecursionError:
                self._told.drop(_NESTED_TOO_DEEP, FILE, where=name)
                continue
            if good or (whole and not rows):
                return table
        return None


def _no_task(value: Any) -> str:
    """Why this is no task; empty when it is one. (A COCO file is an object too, but no task.)"""
    if not isinstance(value, dict):
        return f"it is no object but {type(value).__name__}"
    return "" if "id" in value or "name" in value else "it has neither id nor name, so it is no task"


class _Attempt(NamedTuple):
    """A piece, and what Arrow makes of it when it has this form."""

    piece: Piece
    found: Elements | None
    """Its elements, where somebody has parsed them already."""
    form: regular.Form | None
    work: SharedWork[list[pa.Array] | None] | None


def _first(waiting: deque[_Attempt]) -> _Attempt:
    """The first that waits, done."""
    first = waiting.popleft()
    if first.work is not None:
        first.work.result(behind=[one.work for one in waiting if one.work is not None])
    return first


def _columns(piece: Piece, form: regular.Form) -> list[pa.Array] | None:
    return regular.columns(piece.text(regular.BEFORE, regular.BEHIND), form)


def _nameless(table: pa.Table) -> bool:
    """Whether there is an object without id and name, which is no task."""
    if not table["task_id"].null_count or not table["name"].null_count:
        return False
    both = pc.and_(pc.is_null(table["task_id"]), pc.is_null(table["name"]))
    return bool(pc.any(both).as_py())


class _Numbered(Sequence[str]):
    """``task 4``, ``task 5``, …: the places of tasks that follow each other in a file, said only when asked."""

    def __init__(self, noun: str, first: int) -> None:
        self._noun, self._first = noun, first

    def __getitem__(self, index: Any) -> Any:
        return f"{self._noun} {self._first + index}"

    def __len__(self) -> int:
        raise TypeError("places have no end")


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(TASKS.get_field_index(name), TASKS.field(name), column)


class _Pictures:
    """The pictures in the folder ``images/``: by task id where ``pictures.json`` says so, else by task name."""

    def __init__(self, files: dict[str, str], named: dict[str, str]) -> None:
        self._files, self._named = files, named

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, task_id: str, name: str | None) -> str | None:
        """The URL of the picture of a task; None when there is none."""
        named = self._named.get(task_id)
        return self._files.get(f"{PICTURES}/{name}" if named is None else named)


def _pictures(root: Path, told: ReadTally) -> _Pictures:
    inside = os.path.realpath(root)
    files: dict[str, str] = {}
    for folder, _, names in os.walk(root / PICTURES):
        for name in names:
            file = Path(folder, name)
            path = os.path.realpath(file)  # a link may lead out of the dataset
            if path.startswith(inside + os.sep) and file.is_file():
                files[file.relative_to(root).as_posix()] = f"file://{quote(os.fsencode(path))}"
    named: dict[str, str] = {}
    if files and (root / PICTURES_FILE).is_file():
        try:
            stated = orjson.loads((root / PICTURES_FILE).read_bytes())
            named = {task_id: file for task_id, file in stated.items() if isinstance(file, str)}
        except (orjson.JSONDecodeError, AttributeError):
            told.drop("it is no JSON object of task ids and files", FILE, where=PICTURES_FILE)
    return _Pictures(files, named)
