"""The ``annotations`` of a COCO file as columns, made some hundred at a time.

JSON of many megabytes becomes millions of small objects, spread over more memory than the processor's caches hold:
visiting them takes longer than parsing them. So the text of the list, which is most of the file, is cut between two
annotations every few hundred kilobytes; each piece is parsed and becomes columns while it is at hand, and its objects
make room for those of the next one. That takes half the time of parsing the whole, and less memory.

Why that is right: where the text of the list is replaced by a word, the rest still is JSON with that word as its
``annotations``; and each piece of the list's text is JSON in brackets, with nothing but a comma between the pieces. So
the whole is JSON, and has just these annotations. Wherever that is not so, the whole is parsed at once.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from fastlabel_dagster.formats.coco.attributes import AttributeRows
from fastlabel_dagster.formats.coco.columns import NUMBERS, lists_of_numbers
from fastlabel_dagster.formats.coco.pages import give_back
from fastlabel_dagster.formats.unread import SAYS_NOTHING, unread_names
from fastlabel_dagster.labels.ragged import Ints

_BEGIN = re.compile(rb'"annotations"\s*:\s*\[')
#: The end of a list of objects; when that is one within an annotation, the rest is no JSON.
_END = re.compile(rb"\}\s*\]")
#: What is left out between two pieces no parser sees: it has to be what JSON takes for space.
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_PIECE_BYTES = 120_000
_PIECE_ITEMS = 1_000

#: What is read of an annotation, and which of it are lists of numbers.
_LISTS = {"bbox": NUMBERS, "keypoints": NUMBERS, "segmentation": pa.list_(NUMBERS)}
_NAMES = ("id", "image_id", "category_id", "iscrowd", "score", "rotation", *_LISTS, "area")
#: What is read elsewhere, or follows from the rest.
_KNOWN = frozenset((*_NAMES, "attributes", "num_keypoints"))
#: What is read of an object that stands in ``segmentation``.
_OF_MASK = frozenset(("counts", "size"))
#: Names counted, at most: a file may use thousands.
_MOST_UNREAD = 100
_OF_TYPE = {int: pa.int64(), float: pa.float64()}
_NOTHING = pa.null()
_MOST_NAMES = 16


class Items:
    """The objects of a list, as columns."""

    def __init__(self) -> None:
        self._length = 0
        self._seen = 0
        self._parts: dict[str, list[list[Any] | pa.Array]] = {name: [] for name in _NAMES}
        self._columns: dict[str, list[Any] | pa.Array] = {}
        self.attributes = AttributeRows()
        """What stands in ``attributes``."""
        self.first: Any = None
        """The first entry of the list, as it is."""
        self.bad: list[int] = []
        """Which entries of the list are no objects, counting from 0. They are no rows."""
        self.odd: dict[str, list[int]] = {name: [] for name in _LISTS}
        """Rows in which something else stands where there should be a list of numbers; it is null in the column."""
        self.runs: dict[int, dict[str, Any]] = {}
        """The objects that stand in ``segmentation``, by row; null in the column. Their ``counts`` may be an array."""
        self.unread: dict[str, int] = {}
        """The names that are not read, and how many objects say something under each."""

    @classmethod
    def of(cls, entries: list[Any]) -> Items:
        """A list that is parsed already."""
        items = cls()
        for start in range(0, len(entries), _PIECE_ITEMS):
            items.add(entries[start : start + _PIECE_ITEMS])
        return items

    def __len__(self) -> int:
        return self._length

    @property
    def place(self) -> Ints:
        """int64[n]: where in the list each row stands, from 0."""
        places = np.arange(self._seen)
        return np.delete(places, self.bad) if self.bad else places

    def add(self, entries: list[Any]) -> None:
        """Add the next entries of the list."""
        if not self._seen and entries:
            self.first = entries[0]
        start = self._seen
        self._seen += len(entries)
        if set(map(type, entries)) - {dict}:
            self.bad += [place for place, entry in enumerate(entries, start) if type(entry) is not dict]
            entries = [entry for entry in entries if type(entry) is dict]
        columns = _columns_of(entries)
        for name in sorted(columns.keys() - _KNOWN):
            self._count_unread(name, sum(value not in SAYS_NOTHING for value in columns[name]))
        self.attributes.add(columns.get("attributes") or [None] * len(entries))
        for name, parts in self._parts.items():
            if name == "area" and not self.runs and "keypoints" not in columns:
                columns.pop(name, None)  # it matters for masks and poses only
            parts.append(self._compact(name, columns[name]) if name in columns else pa.nulls(len(entries)))
        self._length += len(entries)

    def _count_unread(self, name: str, said: int) -> None:
        if name in self.unread or len(self.unread) < _MOST_UNREAD:
            self.unread[name] = self.unread.get(name, 0) + said

    def _compact(self, name: str, values: list[Any]) -> list[Any] | pa.Array:
        if name not in _LISTS:
            return _compact(values)
        if name == "segmentation" and dict in set(map(type, values)):
            self.runs.update(
                (self._length + row, _in_little(value)) for row, value in enumerate(values) if type(value) is dict
            )
            for mask in values:
                if type(mask) is dict and not _OF_MASK.issuperset(mask):
                    for unread in unread_names(mask, _OF_MASK):
                        self._count_unread(f"segmentation.{unread}", 1)
            values = [None if type(value) is dict else value for value in values]
        column, odd = lists_of_numbers(values, _LISTS[name])
        self.odd[name] += [self._length + row for row in odd]
        return column

    def column(self, name: str) -> list[Any] | pa.Array:
        """What each says under this name, None where it says nothing; an array for lists of numbers, and where all are
        whole numbers (of 64 bits) or all are not. ``area`` is kept where there are masks or keypoints."""
        if name not in self._columns:
            self._columns[name] = self._whole(name, self._parts.pop(name))
        return self._columns[name]

    def taken(self, name: str) -> list[Any] | pa.Array:
        """The same, given up: it can be asked for once."""
        return self._whole(name, self._parts.pop(name))

    def _whole(self, name: str, parts: list[list[Any] | pa.Array]) -> list[Any] | pa.Array:
        types = {part.type if isinstance(part, pa.Array) else None for part in parts} - {_NOTHING}
        if name in _LISTS:
            types = {_LISTS[name]}
        elif not types:
            return pa.nulls(len(self))
        if len(types) == 1 and None not in types:
            (type_,) = types
            arrays = [pa.nulls(len(part), type_) if isinstance(part, pa.NullArray) else part for part in parts]
            return pa.concat_arrays(arrays) if arrays else pa.array([], type_)
        return [value for part in parts for value in as_list(part)]

    def says(self, name: str) -> bool:
        """Whether any says something under this name."""
        column = self.column(name)
        return column.count(None) < len(column) if isinstance(column, list) else column.null_count < len(column)

    def field(self, name: str) -> list[Any]:
        """The same as :meth:`column`, as a list."""
        return as_list(self.column(name))


def items_of_document(data: bytes | mmap.mmap) -> dict[str, Any] | None:
    """The content of a COCO file, its ``annotations`` as :class:`Items`; None where it cannot be read that way. Its
    pages are given back as they are read."""
    begin = _BEGIN.search(data)
    last = None if begin is None else _END.search(data, begin.end())
    if begin is None or last is None:
        return None
    start, end = begin.end(), last.end() - 1
    word = os.urandom(8).hex()
    try:
        content = orjson.loads(b"".join([data[: start - 1], b'"', word.encode(), b'"', data[end + 1 :]]))
        if not isinstance(content, dict) or content.get("annotations") != word:
            return None
        items = content["annotations"] = Items()
        for piece in _pieces(data, start, end):
            items.add(orjson.loads(b"".join([b"[", piece, b"]"])))
    except orjson.JSONDecodeError:
        return None
    return content


def _pieces(data: bytes | mmap.mmap, start: int, end: int) -> Iterator[memoryview]:
    """The text of the list in pieces with whole annotations, the commas between the pieces left out."""
    view = memoryview(data)
    while between := _BETWEEN.search(data, start + _PIECE_BYTES, end):
        yield view[start : between.start() + 1]
        start = between.end() - 1
        give_back(data, start)
    yield view[start:end]


def _columns_of(entries: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What these objects say, by name; of what is not read, as much as is told of."""
    if not entries:
        return {}
    first = entries[0]
    if len(first) <= _MOST_NAMES and set(map(len, entries)) == {len(first)}:
        try:  # as many names as the first one has, and all of those: the same ones
            return {name: list(map(itemgetter(name), entries)) for name in first}
        except KeyError:
            pass
    unread = sorted(set().union(*entries) - _KNOWN)[:_MOST_UNREAD]
    return {name: list(map(dict.get, entries, repeat(name))) for name in (*_NAMES, "attributes", *unread)}


def _compact(values: list[Any]) -> list[Any] | pa.Array:
    types = set(map(type, values))
    type_ = _OF_TYPE.get(types.pop()) if len(types) == 1 else None
    if type_ is None:
        return values
    try:
        return pa.array(values, type_)
    except OverflowError:  # a whole number beyond 64 bits
        return values


def _in_little(mask: dict[str, Any]) -> dict[str, Any]:
    """The same mask; a list of run lengths becomes an array, which needs a tenth of the memory."""
    counts = mask.get("counts")
    if type(counts) is list:
        try:
            runs = np.array(counts)
        except ValueError:  # lists of several lengths
            return mask
        if runs.ndim == 1 and runs.dtype == np.int64 and runs.min() >= 0 and runs.max() < 2**31:
            return {**mask, "counts": runs.astype(np.int32)}
    return mask


def as_list(column: list[Any] | pa.Array) -> list[Any]:
    if isinstance(column, list):
        return column
    return list(column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist())
