"""Regular JSON straight into the columns of the label tables, without a Python object for every value.

Nearly always the objects of a file are alike: the same keys, under each key values of one type. Arrow's JSON reader
makes columns of such text at several times the speed at which anybody could make objects first. It takes a form (which
keys there are, and of what type), learned from some objects that went the long way, and refuses text of another form.

A refusal costs time and nothing else: the caller parses the text and goes the long way
(:mod:`fastlabel_dagster.labels.reading`), which knows every JSON there is. What comes out is the same either way. So
whatever Arrow would take differently, or cannot tell, is refused here: see :func:`columns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.labels.byte_search import byte_places
from fastlabel_dagster.labels.fitting import times_of_texts
from fastlabel_dagster.labels.json_text import LARGEST_EXACT_INTEGER, dumps, encodable
from fastlabel_dagster.labels.levels import Field, Kind, Level
from fastlabel_dagster.labels.ragged import Bools, floats, valid_mask

_PLAIN = {
    Kind.TEXT: pa.string(),
    Kind.TIME: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.NUMBERS: pa.list_(pa.float64()),
}
_EMPTY = pa.list_(pa.null())
_FLAT = pa.list_(pa.float64())
_NESTED = pa.list_(pa.list_(pa.list_(pa.float64())))
_MOST_BYTES = 2**30
_QUOTE, _COLON = b'":'
#: What may stand before a quote that opens a text, or escapes it: a colon behind such a quote may be part of the text.
_BEFORE_OPENING = np.zeros(256, np.bool_)
_BEFORE_OPENING[list(b"[{,: \t\r\n\\")] = True


@dataclass(frozen=True)
class Form:
    """What the objects of one level look like."""

    level: Level
    types: dict[str, pa.DataType]
    """JSON key -> the type its values are read as. Of known keys and others."""
    inner: dict[str, Form]
    """JSON key -> the form of the objects in its lists."""

    @cached_property
    def struct(self) -> pa.StructType:
        return pa.struct(list(self.types.items()))


def form_of(rows: Sequence[Any], level: Level) -> Form | None:
    """The form of these JSON objects; None when they have none: values that only the long way can read, such as
    numbers beside regions, or an unknown key with an object."""
    if not all(type(row) is dict for row in rows):
        return None
    fields = {field.key: field for field in level.fields}
    types: dict[str, pa.DataType] = {}
    inner: dict[str, Form] = {}
    for key in dict.fromkeys(chain.from_iterable(rows)):
        values = [value for row in rows if (value := row.get(key)) is not None]
        field = fields.get(key)
        if field is None:
            type_ = _type_of_unknown(values) if encodable(key) else None
        elif field.kind is Kind.RECORDS and all(type(value) is list for value in values):
            type_, form = _type_of_records(values, field)
            if form is not None:
                inner[key] = form
        else:
            type_ = _type_of_known(values, field)
        if type_ is None:
            return None
        types[key] = type_
    return Form(level, types, inner) if types else None


def _type_of_unknown(values: list[Any]) -> pa.DataType | None:
    if not values:
        return pa.null()
    if all(type(value) is str for value in values):
        return pa.string()
    return _EMPTY if all(value == [] for value in values) else None


def _type_of_records(values: list[Any], field: Field) -> tuple[pa.DataType | None, Form | None]:
    rows = list(chain.from_iterable(values))
    if not rows:
        return _EMPTY, None
    assert field.level is not None
    form = form_of(rows, field.level)
    return (None, None) if form is None else (pa.list_(form.struct), form)


def _type_of_known(values: list[Any], field: Field) -> pa.DataType | None:
    """The type Arrow shall expect. It refuses what is of another one, so only what decides it is looked at."""
    if field.kind in _PLAIN:
        return _PLAIN[field.kind]
    if field.kind is Kind.ANY:
        return pa.string() if all(type(value) is str for value in values) else None
    if field.kind is Kind.POINTS:
        if not all(type(value) is list for value in values):
            return None
        return _NESTED if any(value and type(value[0]) is list for value in values) else _FLAT
    return None


#: What stands around the objects: Arrow reads one object a row, and this is the one.
BEFORE, BEHIND = b'{"rows":[', b"]}"


def columns(text: bytes, form: Form) -> list[pa.Array] | None:
    """One array per column of ``form.level``, as :func:`fastlabel_dagster.labels.reading.arrays` makes them.

    None when the text is of another form, or something in it is not the same for Arrow as for JSON's own parsers: a
    null where a list has one, a number that is not finite or beyond the whole numbers a float holds exactly, a text
    that is not UTF-8. JSON tells a key that is absent from one whose value is null, and Arrow does not; so either all
    that is null here is null in the text, or all of it is absent, told by the number of keys in the text.

    Args:
        text: JSON objects with commas between them, and :data:`BEFORE` and :data:`BEHIND` around them.
        form: what they look like.
    """
    found = objects(text, form.struct)
    if found is None:
        return None
    try:
        counted = _count(found, form)
        explicit = counted.nulls == 0 or _nulls_are_written(text, counted)
        return _arrays(found, form, explicit=explicit, signed_zero=b"-0" in text)
    except (_Irregular, pa.ArrowInvalid):
        return None


class _Irregular(Exception):
    """The text is for the long way."""


def objects(text: bytes, struct: pa.StructType) -> pa.StructArray | None:
    """JSON objects as rows of ``struct``, a field for each key they may have; null where a key is null or absent.

    None when the text is no JSON, or something in it is no object, of another type, or has another key. What Arrow
    takes that is no JSON (NaN and infinities), nulls within lists, and whole numbers beyond 2**53 in a column of
    floats are for the caller to look for.

    Args:
        text: JSON objects with commas between them, and :data:`BEFORE` and :data:`BEHIND` around them.
        struct: of the objects.
    """
    from pyarrow import json

    if len(text) > _MOST_BYTES or not _is_utf8(text):
        return None
    try:
        table = json.read_json(
            pa.BufferReader(text),
            read_options=json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=json.ParseOptions(
                explicit_schema=pa.schema([("rows", pa.list_(struct))]), unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowException:
        return None
    # One object holds them all; text that closes it and opens another is none of ours.
    lists = table.column(0)
    if table.num_rows != 1 or lists.num_chunks != 1:
        return None
    rows = lists.chunk(0).values
    return None if rows.null_count else rows


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class _Counted:
    keys: int = 1
    """How many keys there are when each object has all keys of its form; one is that of the list around them."""
    nulls: int = 0


def _count(rows: pa.StructArray, form: Form) -> _Counted:
    counted = _Counted()
    todo = [(rows, form)]
    while todo:
        rows, form = todo.pop()
        counted.keys += len(rows) * len(form.types)
        for place, key in enumerate(form.types):
            column = rows.field(place)
            counted.nulls += column.null_count
            if key in form.inner:
                values = column.values
                if values.null_count:
                    raise _Irregular
                todo.append((values, form.inner[key]))
    return counted


def _is_colon(data: NDArray[np.uint8]) -> Bools:
    found: Bools = data == _COLON
    return found


def _nulls_are_written(text: bytes, counted: _Counted) -> bool:
    """Whether all nulls stand in the text; False: they are keys that are not there."""
    data = np.frombuffer(text, np.uint8)
    ends = byte_places(data, _is_colon) - 1
    ends = ends[data[ends] == _QUOTE]
    if _BEFORE_OPENING[data[ends - 1]].any():
        raise _Irregular
    # Every one of these is the end of a key. Keys with a space before their colon are not counted, and then too few
    # are found for either answer.
    if len(ends) == counted.keys:
        return True
    if len(ends) == counted.keys - counted.nulls:
        return False
    raise _Irregular


def _arrays(rows: pa.StructArray, form: Form, *, explicit: bool, signed_zero: bool) -> list[pa.Array]:
    built: dict[str, pa.Array] = {}
    found = {key: rows.field(place) for place, key in enumerate(form.types)}
    for field in form.level.fields:
        if field.key in found:
            built.update(_columns(field, found[field.key], form, explicit=explicit, signed_zero=signed_zero))
    built["extra"] = _extra(found, form, len(rows), explicit=explicit)
    return [built[one.name] if one.name in built else pa.nulls(len(rows), one.type) for one in form.level.struct]


def _columns(field: Field, column: pa.Array, form: Form, *, explicit: bool, signed_zero: bool) -> dict[str, pa.Array]:
    name = field.columns[0]
    type_ = form.level.struct.field(name).type
    if column.type == _EMPTY:
        return {name: _relisted(column, pa.array([], type_.value_type), must_be_empty=True)}
    if field.kind is Kind.TIME:
        try:
            return {name: times_of_texts(column)}
        except TypeError:
            raise _Irregular from None
    if field.kind is Kind.RECORDS:
        inner = form.inner[field.key]
        parts = _arrays(column.values, inner, explicit=explicit, signed_zero=signed_zero)
        return {name: _relisted(column, pa.StructArray.from_arrays(parts, fields=list(inner.level.struct)))}
    if field.kind is Kind.ANY:
        flags = pc.if_else(column.is_valid(), False, pa.scalar(None, pa.bool_()))
        return {name: column, field.columns[1]: flags}
    values = column
    while pa.types.is_list(values.type):
        values = values.values
        if values.null_count:
            raise _Irregular
    if pa.types.is_floating(values.type):
        _refuse_odd_numbers(values, signed_zero=signed_zero)
    if column.type == _NESTED:
        if pc.any(pc.equal(pc.list_value_length(column), 0)).as_py():
            raise _Irregular  # an empty list is one of points, not of regions
        return {field.columns[1]: column}
    return {name: column}


def _relisted(lists: pa.Array, values: pa.Array, *, must_be_empty: bool = False) -> pa.Array:
    """The same lists of other values."""
    if must_be_empty and len(lists.values):
        raise _Irregular
    mask = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(lists.offsets, values, mask=mask)


def _refuse_odd_numbers(values: pa.Array, *, signed_zero: bool) -> None:
    numbers = floats(values)
    numbers = numbers if not values.null_count else numbers[valid_mask(values)]
    if not len(numbers):
        return
    if not (numbers.min() > -LARGEST_EXACT_INTEGER and numbers.max() < LARGEST_EXACT_INTEGER):
        raise _Irregular
    if signed_zero and (np.signbit(numbers) & (numbers == 0)).any():
        raise _Irregular  # -0 is 0 for JSON, -0.0 is not


def _extra(found: dict[str, pa.Array], form: Form, n: int, *, explicit: bool) -> pa.Array:
    """JSON text of unknown keys, and of known ones that are null."""
    known = [field.key for field in form.level.fields if field.key in found]
    parts: list[tuple[str | pa.Array, Bools]] = []
    for key in [key for key in found if key not in set(known)]:
        column, word = found[key], f",{dumps(key)}:"
        valid = valid_mask(column)
        if column.type == _EMPTY:
            if len(column.values):
                raise _Irregular
            parts.append((f"{word}[]", valid))
        elif column.type == pa.string():
            parts.append((pc.binary_join_element_wise(word, _json_of(column), ""), valid))
        parts.append((f"{word}null", ~valid & explicit))
    if explicit:
        parts += [(f",{dumps(key)}:null", ~valid_mask(found[key])) for key in known if found[key].null_count]
    parts = [part for part in parts if part[1].any()]
    if not parts:
        return pa.nulls(n, pa.string())
    if all(isinstance(text, str) and there.all() for text, there in parts):
        text = "".join(str(text) for text, _ in parts)
        return pa.repeat(pa.scalar("{" + text[1:] + "}", pa.string()), n)
    texts = [pc.if_else(pa.array(there), text, "") for text, there in parts]
    joined = pc.binary_join_element_wise(*texts, "")
    objects = pc.binary_join_element_wise(pc.binary_replace_slice(joined, 0, 1, "{"), "}", "")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), objects)


def _json_of(column: pa.Array) -> pa.Array:
    encoded = pc.dictionary_encode(column)
    words = pa.array([dumps(word) for word in encoded.dictionary.to_pylist()], pa.string())
    return words.take(encoded.indices)
