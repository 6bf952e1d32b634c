"""Arrow columns back into JSON objects: each column becomes a Python list in C, then rows are zipped together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.json_text import LARGEST_EXACT_INTEGER, loads
from fastlabel_dagster.labels.levels import Field, Kind, Level
from fastlabel_dagster.labels.ragged import Bools, Floats, valid_mask

Json: TypeAlias = dict[str, Any]
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def objects(columns: dict[str, pa.Array], level: Level, count: int) -> list[Json]:
    """The ``count`` JSON objects these columns (of ``level``; any may be absent) stand for."""
    keys: list[str] = []
    values: list[list[Any]] = []
    masks: list[Bools | None] = []
    for field in level.fields:
        present = {name: columns[name] for name in field.columns if name in columns}
        filled = _filled(list(present.values()), count)
        if not filled.any():
            continue
        keys.append(field.key)
        values.append(_values(field, present))
        masks.append(None if filled.all() else filled)
    rows = _rows(keys, values, masks, count)
    if "extra" in columns and columns["extra"].null_count < count:
        _merge_extra(rows, columns["extra"])
    return rows


def struct_columns(structs: pa.Array) -> dict[str, pa.Array]:
    """The columns of a struct array; a null struct is null in all of them."""
    return dict(zip((field.name for field in structs.type), structs.flatten(), strict=True))


def _rows(keys: list[str], values: list[list[Any]], masks: list[Bools | None], count: int) -> list[Json]:
    pattern = np.zeros(count, dtype=np.int64)
    for bit, mask in enumerate(masks):
        if mask is not None:
            pattern |= mask.astype(np.int64) << bit
    distinct, which = np.unique(pattern, return_inverse=True)
    if len(distinct) <= 1:
        return _zipped(keys, values, count)
    rows: list[Json] = [{}] * count
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(distinct) + 1))
    for number, bits in enumerate(distinct.tolist()):
        members = order[ends[number] : ends[number + 1]].tolist()
        has = [column for column, mask in enumerate(masks) if mask is None or bits >> column & 1]
        picked = [list(map(values[column].__getitem__, members)) for column in has]
        for member, row in zip(members, _zipped([keys[column] for column in has], picked, len(members)), strict=True):
            rows[member] = row
    return rows


def _zipped(keys: list[str], values: list[list[Any]], count: int) -> list[Json]:
    if not keys:
        return [{} for _ in range(count)]
    return [dict(zip(keys, row)) for row in zip(*values)]  # noqa: B905 - equal lengths by construction, hot loop


def _merge_extra(rows: list[Any], extra: pa.Array) -> None:
    """Put what ``extra`` says into the objects; where it says something that is no object, that is the whole row."""
    nulls: dict[str, Json] = {}
    where = np.flatnonzero(valid_mask(extra)).tolist()
    for index, text in zip(where, _texts(extra.drop_null()), strict=True):
        kept = nulls.get(text)
        if kept is None:
            kept = loads(text)
            if not isinstance(kept, dict):
                rows[index] = kept
                continue
            # Only objects made of nulls are shared: changing one task's value must not show in another's.
            if all(value is None for value in kept.values()):
                nulls[text] = kept
        rows[index].update(kept)


def _filled(arrays: list[pa.Array], count: int) -> Bools:
    filled = np.zeros(count, dtype=np.bool_)
    for array in arrays:
        if array.null_count == 0:
            return np.ones(count, dtype=np.bool_)
        filled |= valid_mask(array)
    return filled


def _values(field: Field, columns: dict[str, pa.Array]) -> list[Any]:
    """Python values of one key; anything where the key is absent."""
    if field.kind is Kind.ANY:
        return _any_values(columns, *field.columns)
    if field.kind is Kind.POINTS:
        assert field.level is not None
        return _points(columns, field.level)
    array = columns[field.columns[0]]
    if field.kind is Kind.RECORDS:
        assert field.level is not None
        return _records(array, field.level)
    return _SIMPLE[field.kind](array)


def _texts(array: pa.Array) -> list[Any]:
    result: list[Any] = array.cast(pa.string()).to_numpy(zero_copy_only=False).tolist()
    return result


def _integers(array: pa.Array) -> list[Any]:
    result: list[Any] = array.fill_null(0).to_numpy(zero_copy_only=False).tolist()
    return result


def _flags(array: pa.Array) -> list[Any]:
    result: list[Any] = array.fill_null(False).to_numpy(zero_copy_only=False).tolist()
    return result


def _numbers(array: pa.Array) -> list[Any]:
    """Numbers, whole ones as int (JSON knows no other difference); None where null."""
    numbers: Floats = array.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        is_whole = (numbers == np.floor(numbers)) & (np.abs(numbers) <= LARGEST_EXACT_INTEGER)
    if array.null_count == 0:
        if is_whole.all():
            whole: list[Any] = numbers.astype(np.int64).tolist()
            return whole
        if not is_whole.any():
            fractions: list[Any] = numbers.tolist()
            return fractions
    mixed = numbers.astype(object)
    mixed[is_whole] = numbers[is_whole].astype(np.int64).astype(object)
    mixed[~valid_mask(array)] = None
    result: list[Any] = mixed.tolist()
    return result


def _times(array: pa.Array) -> list[Any]:
    return _texts(pc.strftime(array.cast(pa.timestamp("ms", "UTC")), format=_TIME_FORMAT))


def _lists(array: pa.Array, elements: list[Any]) -> list[Any]:
    """``elements`` (those of ``pc.list_flatten(array)``) cut into the rows of ``array``."""
    ends = np.cumsum(pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)).tolist()
    starts = [0, *ends[:-1]] if ends else []
    return [elements[start:end] for start, end in zip(starts, ends, strict=True)]


def _text_lists(array: pa.Array) -> list[Any]:
    return _lists(array, _texts(pc.list_flatten(array)))


def _number_lists(array: pa.Array) -> list[Any]:
    return _lists(array, _numbers(pc.list_flatten(array)))


def _region_lists(array: pa.Array) -> list[Any]:
    regions = pc.list_flatten(array)
    return _lists(array, _lists(regions, _number_lists(pc.list_flatten(regions))))


def _records(array: pa.Array, level: Level) -> list[Any]:
    flat = pc.list_flatten(array)
    return _lists(array, objects(struct_columns(flat), level, len(flat)))


def _any_values(columns: dict[str, pa.Array], value: str, is_json: str) -> list[Any]:
    values = _texts(columns[value])
    if is_json in columns:
        for index in np.flatnonzero(columns[is_json].fill_null(False).to_numpy(zero_copy_only=False)).tolist():
            if values[index] is not None:
                values[index] = loads(values[index])
    return values


def _points(columns: dict[str, pa.Array], level: Level) -> list[Any]:
    readers: dict[str, Callable[[pa.Array], list[Any]]] = {
        "points": _number_lists,
        "regions": _region_lists,
        "frames": lambda array: _keyframes(array, level),
    }
    merged: list[Any] | None = None
    for name, read in readers.items():
        array = columns.get(name)
        if array is None or array.null_count == len(array):
            continue
        values = read(array)
        if merged is None:
            merged = values
        else:
            for index in np.flatnonzero(valid_mask(array)).tolist():
                merged[index] = values[index]
    return merged or []


def _keyframes(array: pa.Array, level: Level) -> list[Any]:
    flat = pc.list_flatten(array)
    columns = struct_columns(flat)
    keys = list(map(str, _integers(columns["frame"])))
    frames = list(zip(keys, objects(columns, level, len(flat)), strict=True))
    return [dict(pairs) for pairs in _lists(array, frames)]


_SIMPLE = {
    Kind.TEXT: _texts,
    Kind.INTEGER: _integers,
    Kind.NUMBER: _numbers,
    Kind.FLAG: _flags,
    Kind.TIME: _times,
    Kind.TEXTS: _text_lists,
    Kind.NUMBERS: _number_lists,
}
