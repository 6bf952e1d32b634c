"""COCO documents whose annotations are all alike: columns straight from the text, without an object for each.

In nearly every file all annotations have keys and values of the same types, and they are most of the file. Their list
is cut out of the text and read by Arrow; the rest is parsed as ever. Whatever is not like that (run lengths among
polygons, attributes, damage) is not read here but the long way, from the start.

Why that is right: where the text of the list is replaced by a word, the rest still is JSON with that word as its
``annotations``; and the text of the list, in pieces, is nothing but objects with commas between them. So the whole is
JSON, and has just these annotations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from fastlabel_dagster.labels import regular
from fastlabel_dagster.labels.ragged import floats

_BEGIN = re.compile(rb'"annotations"\s*:\s*\[')
#: No object of the list has a list of objects, so this is the end of the list.
_END = re.compile(rb"\}\s*\]")
#: Between two annotations: no key of an object comes behind the end of another object and a comma.
_BETWEEN = re.compile(rb"\}\s*,\s*\{")
_PIECE_BYTES = 400_000
_SAMPLE_BYTES = 2**13
_READERS = 2

_NUMBERS = pa.list_(pa.float64())
_KNOWN = {
    "area": pa.float64(),
    "score": pa.float64(),
    "rotation": pa.float64(),
    "bbox": _NUMBERS,
    "keypoints": _NUMBERS,
    "segmentation": pa.list_(_NUMBERS),
}
_IDS = ("id", "image_id", "category_id")
_OF_TYPE = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}


class RegularRows(Sequence[dict[str, Any]]):
    """Annotations as columns; as a sequence, the objects they are, without keys that are null."""

    def __init__(self, parts: list[pa.StructArray]) -> None:
        struct = parts[0].type
        self._length = sum(map(len, parts))
        self._columns = {
            struct.field(place).name: pa.concat_arrays([part.field(place) for part in parts])
            for place in range(struct.num_fields)
        }

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: Any) -> Any:
        said = {name: column[row].as_py() for name, column in self._columns.items()}
        return {name: value for name, value in said.items() if value is not None}

    def column(self, name: str) -> pa.Array | None:
        """What all say under this name; None when nobody says anything."""
        return self._columns.get(name)


def regular_document(data: bytes) -> dict[str, Any] | None:
    """The content of a COCO file, its ``annotations`` as :class:`RegularRows`; None when they are not that regular."""
    begin = _BEGIN.search(data)
    last = None if begin is None else _END.search(data, begin.end())
    if begin is None or last is None:
        return None
    start, end = begin.end(), last.end() - 1
    word = os.urandom(8).hex()
    try:
        content = orjson.loads(b"".join([data[: start - 1], b'"', word.encode(), b'"', data[end + 1 :]]))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict) or content.get("annotations") != word:
        return None
    rows = _rows(data, start, end)
    if rows is None:
        return None
    content["annotations"] = rows
    return content


def _rows(data: bytes, start: int, end: int) -> RegularRows | None:
    struct = _struct_of(data[start : next(_pieces(data, start, end, _SAMPLE_BYTES))[1]])
    if struct is None:
        return None
    parts: list[pa.StructArray] = []
    with ThreadPoolExecutor(_READERS) as readers:
        for part in readers.map(lambda piece: _part(data, piece, struct), _pieces(data, start, end)):
            if part is None:
                readers.shutdown(cancel_futures=True)
                return None
            parts.append(part)
    return RegularRows(parts)


def _pieces(data: bytes, start: int, end: int, size: int = _PIECE_BYTES) -> Iterator[tuple[int, int]]:
    """Begin and end of texts with whole annotations, commas between them left out."""
    while between := _BETWEEN.search(data, start + size, end):
        yield start, between.start() + 1
        start = between.end() - 1
    yield start, end


def _part(data: bytes, piece: tuple[int, int], struct: pa.StructType) -> pa.StructArray | None:
    text = b"".join([regular.BEFORE, memoryview(data)[slice(*piece)], regular.BEHIND])
    rows = regular.objects(text, struct)
    if rows is None or not all(_is_sound(column, signed_zero=b"-0" in text) for column in rows.flatten()):
        return None
    return rows


def _is_sound(column: pa.Array, *, signed_zero: bool) -> bool:
    """Whether a column is what Python's objects would have become: no null in a list, no -0."""
    while pa.types.is_list(column.type):
        column = column.values
        if column.null_count:
            return False
    if not signed_zero or not pa.types.is_floating(column.type):
        return True
    numbers = floats(column)
    return not (np.signbit(numbers) & (numbers == 0)).any()


def _struct_of(sample: bytes) -> pa.StructType | None:
    """The type of the annotations, of which these are some; None when they are none Arrow could read."""
    try:
        rows = orjson.loads(b"[" + sample + b"]")
    except orjson.JSONDecodeError:
        return None
    types: dict[str, pa.DataType] = {}
    for row in rows:
        if type(row) is not dict:
            return None
        for key, value in row.items():
            if value is None:
                continue
            type_ = _type_of(key, value)
            if type_ is None or types.setdefault(key, type_) != type_:
                return None
    for key in {key for row in rows for key in row} - set(types):
        types[key] = _KNOWN.get(key, pa.null())
    if any(types.get(key) not in (None, pa.int64(), pa.string()) for key in _IDS):
        return None
    return pa.struct(list(types.items())) if types else None


def _type_of(key: str, value: Any) -> pa.DataType | None:
    known = _KNOWN.get(key)
    if known is None:
        return _OF_TYPE.get(type(value))
    return known if pa.types.is_list(known) == (type(value) is list) and type(value) not in (str, dict, bool) else None
