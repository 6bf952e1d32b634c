"""JSON objects into Arrow columns: a column at a time, in C where the values fit, verbatim into ``extra`` where not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.fitting import (
    are_objects,
    frame_number,
    is_flag,
    is_integer,
    is_keyframes,
    is_list,
    is_list_of_numbers,
    is_list_of_texts,
    is_number,
    is_regions,
    is_text,
    is_time,
    is_whole,
    times_of_texts,
)
from fastlabel_dagster.labels.json_text import dumps
from fastlabel_dagster.labels.levels import Field, Kind, Level
from fastlabel_dagster.labels.ragged import Bools, Ints, offsets_of, valid_mask

Json: TypeAlias = dict[str, Any]
_Build: TypeAlias = Callable[[list[Any]], pa.Array]

#: What building a column raises when a value does not fit it. Arrow is lenient here and there (a bool becomes 1.0, a
#: text becomes a list of letters), so every builder first looks at the Python types, which costs far less than
#: building.
_ILL_FITTING = (TypeError, OverflowError, UnicodeEncodeError, pa.ArrowInvalid)
_NONE = type(None)


def arrays(rows: Sequence[Any], level: Level) -> list[pa.Array]:
    """One array per column of ``level``, ``extra`` included, for these JSON objects.

    What stands among them and is no object fills no column but ``extra``, with its own JSON text.
    """
    misfits = {} if are_objects(rows) else {i: row for i, row in enumerate(rows) if not isinstance(row, dict)}
    if misfits:
        rows = [{} if index in misfits else row for index, row in enumerate(rows)]
    keyed = _keyed(rows)
    columns: dict[str, pa.Array] = {}
    lost: list[_Lost] = []
    for field in level.fields:
        values = keyed.values(field.key)
        if values is None:
            continue
        built = _columns(field, values)
        columns.update(built)
        missing = _missing(list(built.values()))
        if missing is None:
            continue
        having = keyed.having(field.key)
        missing = missing if having is None else missing & having
        absent = len(rows) if having is None else int(having.sum())
        nulls = values.count(None) - (len(rows) - absent)
        if missing.any():
            lost.append(_Lost(field.key, missing, only_nulls=nulls == int(missing.sum())))
    columns["extra"] = _extra(rows, keyed, lost, {field.key for field in level.fields}, misfits)
    return [columns[f.name] if f.name in columns else pa.nulls(len(rows), f.type) for f in level.struct]


class _Keyed:
    """Objects by their keys: a project has a handful of key sets, so all that is about keys is done per set."""

    def __init__(self, rows: Sequence[Json], shapes: list[tuple[str, ...]], shape_of: Ints | None) -> None:
        self._rows, self.shapes, self._shape_of = rows, shapes, shape_of
        self._columns: dict[str, list[Any]] = {}

    @property
    def shape_of(self) -> Ints:
        """int64[rows]: the position in ``shapes`` of the keys of each row."""
        return np.zeros(len(self._rows), np.int64) if self._shape_of is None else self._shape_of

    def keep(self, columns: dict[str, list[Any]]) -> _Keyed:
        """The values of all keys, known already."""
        self._columns = columns
        return self

    def values(self, key: str) -> list[Any] | None:
        """The value of ``key`` in each row, None where it has none; None when no row has it."""
        if key in self._columns:
            return self._columns[key]
        if not any(key in shape for shape in self.shapes):
            return None
        if all(key in shape for shape in self.shapes):
            return list(map(itemgetter(key), self._rows))
        return list(map(dict.get, self._rows, repeat(key)))

    def having(self, key: str) -> Bools | None:
        """Which rows have ``key``; None: all of them."""
        having = np.array([key in shape for shape in self.shapes], np.bool_)
        return None if having.all() else having[self.shape_of]


def _keyed(rows: Sequence[Json]) -> _Keyed:
    """Nearly always the objects of a batch all have the same keys in the same order: their values are laid out in one
    walk over the objects then, which the processor's caches like better than a walk for each key."""
    shapes = list(map(tuple, rows))
    distinct = dict.fromkeys(shapes)
    if len(distinct) == 1:
        (keys,) = distinct
        values = list(chain.from_iterable(map(dict.values, rows)))
        return _Keyed(rows, [keys], None).keep({key: values[place :: len(keys)] for place, key in enumerate(keys)})
    number = {shape: place for place, shape in enumerate(distinct)}
    return _Keyed(rows, list(number), np.fromiter(map(number.__getitem__, shapes), np.int64, len(rows)))


class _Lost(NamedTuple):
    """Values of a known key that its columns do not say."""

    key: str
    where: Bools
    only_nulls: bool
    """All of them are null, as those of people not assigned: one text says it for all."""


def _missing(built: list[pa.Array]) -> Bools | None:
    """Where all of these columns are null; None: nowhere."""
    if any(array.null_count == 0 for array in built):
        return None
    filled = valid_mask(built[0])
    for array in built[1:]:
        filled |= valid_mask(array)
    return ~filled


def _extra(
    rows: Sequence[Json], keyed: _Keyed, lost: list[_Lost], known: set[str], misfits: Mapping[int, Any]
) -> pa.Array:
    """JSON text of what the columns do not say: unknown keys, known keys whose value did not fit (``lost``), and
    what is no object at all."""
    unknown = [tuple(key for key in shape if key not in known) for shape in keyed.shapes]
    if not lost and not misfits and not any(unknown):
        return pa.nulls(len(rows), pa.string())
    shape_of = keyed.shape_of
    by_row = np.array([bool(keys) for keys in unknown], np.bool_)[shape_of] if len(rows) else np.zeros(0, np.bool_)
    pattern = np.zeros(len(rows), dtype=np.int64)
    for bit, (_, where, only_nulls) in enumerate(lost):
        pattern |= where.astype(np.int64) << bit
        if not only_nulls:
            by_row |= where
    texts: list[str] = []
    place = np.full(len(rows), -1, np.int64)
    of_pattern = np.where(by_row, 0, pattern)
    for bits in np.unique(of_pattern).tolist():
        if bits:
            place[of_pattern == bits] = len(texts)
            texts.append(dumps({key: None for bit, (key, _, _) in enumerate(lost) if bits >> bit & 1}))
    indices = np.flatnonzero(by_row)
    place[indices] = np.arange(len(texts), len(texts) + len(indices))
    keys_of: dict[tuple[int, int], tuple[str, ...]] = {}
    for index, shape, bits in zip(indices.tolist(), shape_of[indices].tolist(), pattern[indices].tolist(), strict=True):
        keys = keys_of.get((shape, bits))
        if keys is None:
            keys = unknown[shape] + tuple(key for bit, (key, _, _) in enumerate(lost) if bits >> bit & 1)
            keys_of[shape, bits] = keys
        row = rows[index]
        texts.append(dumps({key: row[key] for key in keys}))
    for index, value in misfits.items():
        place[index] = len(texts)
        texts.append(dumps(value))
    return pa.array(texts, pa.string()).take(pa.array(place, mask=place < 0))


def _columns(field: Field, values: list[Any]) -> dict[str, pa.Array]:
    """The columns of one key; null where the value is absent, null or does not fit."""
    first = field.columns[0]
    if field.kind is Kind.ANY:
        return _any_values(field.columns, values)
    if field.kind is Kind.POINTS:
        assert field.level is not None
        return _points(field.columns, values, field.level)
    if field.kind is Kind.RECORDS:
        assert field.level is not None
        level = field.level
        return {first: _fitting(lambda kept: _records(kept, level), is_list, values)}
    build, fits = _SIMPLE[field.kind]
    return {first: _fitting(build, fits, values)}


def _fitting(build: _Build, fits: Callable[[Any], bool], values: list[Any]) -> pa.Array:
    """Build a column from all values at once; when one does not fit, look at them one by one and leave null what
    does not."""
    try:
        return build(values)
    except _ILL_FITTING:
        return build([value if fits(value) else None for value in values])


def _require(values: Iterable[Any], *types: type) -> None:
    found = set(map(type, values))
    if not found.issubset(types):
        raise TypeError(f"expected {types}, found {found}")


def _texts_column(values: list[Any]) -> pa.Array:
    # Of what JSON knows, Arrow takes nothing but text for text: the types need no look.
    return pa.array(values, pa.string())


def _integers_column(values: list[Any]) -> pa.Array:
    _require(values, int, _NONE)
    return pa.array(values, pa.int64())


def _whole_numbers_column(values: list[Any]) -> pa.Array:
    try:
        return _integers_column(values)
    except TypeError:
        # 100.0 is the same JSON number as 100.
        return _integers_column([int(value) if is_whole(value) else value for value in values])


def _numbers_column(values: list[Any]) -> pa.Array:
    _require(values, int, float, _NONE)
    return pa.array(values, pa.float64())


def _flags_column(values: list[Any]) -> pa.Array:
    _require(values, bool, _NONE)
    return pa.array(values, pa.bool_())


def _times_column(values: list[Any]) -> pa.Array:
    return times_of_texts(_texts_column(values))


def _list_column(values: list[Any], build: _Build) -> pa.Array:
    """A list column; ``build`` makes the array of all elements."""
    _require(values, list, _NONE)
    filled = values if None not in values else [value for value in values if value is not None]
    child = build(list(chain.from_iterable(filled)))
    if filled is values:
        return pa.ListArray.from_arrays(_offsets(values), child)
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(_offsets([value or () for value in values]), child, mask=mask)


def _offsets(lists: list[Any]) -> pa.Array:
    return pa.array(offsets_of(np.fromiter(map(len, lists), np.int64, len(lists))), pa.int32())


def _no_nulls(build: _Build, *types: type) -> _Build:
    def build_elements(elements: list[Any]) -> pa.Array:
        _require(elements, *types)
        return build(elements)

    return build_elements


_text_elements = _no_nulls(_texts_column, str)


def _text_lists(values: list[Any]) -> pa.Array:
    return _list_column(values, _text_elements)


def _number_lists(values: list[Any]) -> pa.Array:
    _require(values, list, _NONE)
    column = pa.array(values, pa.list_(pa.float64()))
    if column.values.null_count:
        raise TypeError("expected numbers, found null")
    numbers = column.values.to_numpy()
    # Only what is 0 or 1 now can have been false or true: few coordinates are, and looking at types takes as long as
    # all the rest.
    doubtful = np.flatnonzero((numbers == 0) | (numbers == 1))
    if len(doubtful):
        rows = np.unique(np.searchsorted(column.offsets.to_numpy(), doubtful, side="right") - 1)
        _require(chain.from_iterable(values[row] for row in rows.tolist()), int, float)
    return column


_ring_lists = _no_nulls(_number_lists, list)
_region_elements = _no_nulls(lambda regions: _list_column(regions, _ring_lists), list)


def _region_lists(values: list[Any]) -> pa.Array:
    return _list_column(values, _region_elements)


def _records(values: list[Any], level: Level) -> pa.Array:
    def build(rows: list[Any]) -> pa.Array:
        if not rows:
            return pa.array([], level.struct)
        return pa.StructArray.from_arrays(arrays(rows, level), fields=list(level.struct))

    return _list_column(values, build)


def _any_values(columns: tuple[str, ...], values: list[Any]) -> dict[str, pa.Array]:
    value, is_json = columns
    found = set(map(type, values))
    if found <= {str, _NONE}:
        texts = _fitting(_texts_column, is_text, values)
        flags = pc.if_else(texts.is_valid(), False, pa.scalar(None, pa.bool_()))
        return {value: texts, is_json: flags}
    kept = [v if v is None or is_text(v) else None if isinstance(v, str) else dumps(v) for v in values]
    marks = [None if v is None else not isinstance(v, str) for v in values]
    texts = pa.array(kept, pa.string())
    return {
        value: texts,
        is_json: pc.if_else(texts.is_valid(), pa.array(marks, pa.bool_()), pa.scalar(None, pa.bool_())),
    }


def _points(columns: tuple[str, ...], values: list[Any], frame: Level) -> dict[str, pa.Array]:
    points, regions, frames = columns
    try:
        return {points: _number_lists(values)}
    except _ILL_FITTING:
        pass  # Not numbers only: some are regions, keyframes or ill-formed, and each kind has its own column.
    nested = [value if isinstance(value, list) and value and isinstance(value[0], list) else None for value in values]
    flat = [value if inner is None else None for value, inner in zip(values, nested, strict=True)]
    return {
        points: _fitting(_number_lists, is_list_of_numbers, flat),
        regions: _fitting(_region_lists, is_regions, nested),
        frames: _fitting(lambda kept: _keyframes(kept, frame), is_keyframes, values),
    }


def _keyframes(values: list[Any], level: Level) -> pa.Array:
    """``{"1": {…}, "2": {…}}`` as a list of keyframes in the order of the keys."""
    _require(values, dict, _NONE)
    filled = [value for value in values if value is not None]
    rows = list(chain.from_iterable(value.values() for value in filled))
    numbers = [frame_number(key) for value in filled for key in value]
    child = pa.StructArray.from_arrays(
        [pa.array(numbers, pa.int64()), *arrays(rows, level)[1:]], fields=list(level.struct)
    )
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(_offsets([value or () for value in values]), child, mask=mask)


_SIMPLE: dict[Kind, tuple[_Build, Callable[[Any], bool]]] = {
    Kind.TEXT: (_texts_column, is_text),
    Kind.INTEGER: (_whole_numbers_column, is_integer),
    Kind.NUMBER: (_numbers_column, is_number),
    Kind.FLAG: (_flags_column, is_flag),
    Kind.TIME: (_times_column, is_time),
    Kind.TEXTS: (_text_lists, is_list_of_texts),
    Kind.NUMBERS: (_number_lists, is_list_of_numbers),
}
