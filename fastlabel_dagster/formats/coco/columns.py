"""What JSON holds, as columns: numbers and outlines of all annotations of a file at once.

A value that is not what it should be becomes null and is named, and costs the others nothing but their speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.labels.ragged import (
    Bools,
    Floats,
    Ints,
    all_true,
    floats,
    maxima,
    minima,
    offsets_of,
    places,
    ranges,
)

NUMBERS = pa.list_(pa.float64())
_FEWEST_NUMBERS = 6
_NUMBERS = (int, float)
#: Turning a box back is exact to this many decimals of a pixel.
_DIGITS = 9
_SAME = 1e-9


def lists_of_numbers(values: list[Any], type_: pa.ListType) -> tuple[pa.Array, list[int]]:
    """``values`` as ``type_`` (``list<double>`` or ``list<list<double>>``), and the rows that are something else: they
    are null, as those are that were null already.

    Where lists of lists are wanted, a row that is one plain list of numbers counts as a list with that one list in it.
    """
    depth = 1 if type_ == NUMBERS else 2
    try:
        column = pa.array(values, type_)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        column = None
    if column is None or not _is_full(column, depth):
        clean = [None if value is None else _cleaned(value, depth) for value in values]
        odd = [row for row, (was, now) in enumerate(zip(values, clean, strict=True)) if now is None and was is not None]
        return pa.array(clean, type_), odd
    return column, []


def _is_full(column: pa.Array, depth: int) -> bool:
    """Whether nothing inside the rows is null."""
    for _ in range(depth):
        column = column.values
        if column.null_count:
            return False
    return True


def _cleaned(value: Any, depth: int) -> list[Any] | None:
    if not isinstance(value, list):
        return None
    if depth == 1:
        return [_as_float(item) for item in value] if all(type(item) in _NUMBERS for item in value) else None
    if value and type(value[0]) in _NUMBERS:
        value = [value]
    parts = [_cleaned(part, depth - 1) for part in value]
    return None if None in parts else parts


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number too large for floating point
        return np.inf


def looked_up(keys: list[Any] | pa.Array, table: Mapping[Any, int]) -> Ints:
    """The entry of each key, -1 where there is none. Where one side has numbers and the other the same as text, as VIA
    and many a script write them, they are the same."""
    found = _exactly(keys, table)
    missing = np.flatnonzero(found < 0)
    if len(missing) and table:
        spelled: dict[str, int] = {}
        for key, entry in table.items():
            spelled.setdefault(_spelled(key), entry)
        some = (
            keys.take(pa.array(missing)).to_pylist() if isinstance(keys, pa.Array) else [keys[row] for row in missing]
        )
        found[missing] = [spelled.get(_spelled(key), -1) if is_id(key) else -1 for key in some]
    return found


def _spelled(key: Any) -> str:
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)


def _exactly(keys: list[Any] | pa.Array, table: Mapping[Any, int]) -> Ints:
    if isinstance(keys, pa.Array):
        if pa.types.is_integer(keys.type) and set(map(type, table)) == {int}:
            with suppress(OverflowError):  # an id beyond 64 bits
                places = pc.index_in(keys, value_set=pa.array(list(table), pa.int64()))
                entries = np.append(np.fromiter(table.values(), np.int64, len(table)), -1)
                found: Ints = entries[places.fill_null(-1).to_numpy()]
                return found
        keys = keys.to_pylist()
    try:
        return np.array([table.get(key, -1) for key in keys], np.int64)
    except TypeError:  # a list or an object where an id should be
        return np.array([table.get(key, -1) if is_id(key) else -1 for key in keys], np.int64)


def is_id(value: Any) -> bool:
    """Whether a JSON value can be an id: a number or text."""
    return isinstance(value, int | float | str)


def are_distinct(numbers: Ints) -> bool:
    """Whether none occurs twice. In order, equal ones are neighbours; Arrow would make a table of hashes, which for a
    million of them takes hundreds of megabytes and seconds."""
    if (numbers[1:] > numbers[:-1]).all():  # as in most files
        return True
    ordered = np.sort(numbers)
    return bool((ordered[1:] != ordered[:-1]).all())


@dataclass
class Boxes:
    """The ``bbox`` of ``n`` annotations."""

    numbers: Floats
    """float64[n, 4]: x, y, width, height; NaN where there are no four numbers."""
    there: Bools
    """bool[n]: there are four numbers."""
    odd: Bools
    """bool[n]: there are others than four."""

    @classmethod
    def of(cls, column: pa.Array) -> Boxes:
        """Of ``list<double>[n]``."""
        offsets = column.offsets.to_numpy().astype(np.int64)
        counts = np.diff(offsets)
        there = counts == len(("x", "y", "width", "height"))
        if there.all():
            return cls(floats(column.values)[offsets[0] : offsets[-1]].reshape(-1, 4), there, ~there)
        numbers = np.full((len(column), 4), np.nan)
        numbers[there] = floats(column.values)[offsets[:-1][there, None] + np.arange(4)]
        return cls(numbers, there, ~there & (counts > 0))

    @cached_property
    def corners(self) -> Floats:
        """float64[n, 4]: x1, y1, x2, y2."""
        corners = self.numbers.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            corners[:, 2:] += corners[:, :2]
        return corners

    @property
    def sound(self) -> Bools:
        """bool[n]: there, and its corners are finite and not absurdly far."""
        return self.there & is_near(self.corners).all(axis=1)


@dataclass
class Outlines:
    """The polygons of ``n`` annotations: those of at least three vertices."""

    numbers: Floats
    """float64[m]: x, y, x, y, … of all polygons one after the other."""
    offsets: Ints
    """int64[r + 1] into ``numbers``: where each polygon starts."""
    rows: Ints
    """int64[n + 1] into the polygons: where those of each annotation start."""
    short: Bools
    """bool[n]: something that is no polygon was left out: fewer than three vertices, or half a vertex."""

    @classmethod
    def of(cls, column: pa.Array) -> Outlines:
        """Of ``list<list<double>>[n]``."""
        rows = column.offsets.to_numpy().astype(np.int64)
        offsets = column.values.offsets.to_numpy().astype(np.int64)
        numbers = floats(column.values.values)
        counts = np.diff(offsets)
        good = (counts >= _FEWEST_NUMBERS) & (counts % 2 == 0)
        if good.all():
            return cls(numbers, offsets, rows, np.zeros(len(column), np.bool_))
        owner = np.repeat(np.arange(len(column)), np.diff(rows))
        short = np.zeros(len(column), np.bool_)
        short[owner[~good & (counts > 0)]] = True
        return cls(
            numbers[ranges(offsets[:-1][good], counts[good])],
            offsets_of(counts[good]),
            offsets_of(np.bincount(owner[good], minlength=len(column))),
            short,
        )

    @property
    def counts(self) -> Ints:
        """int64[n]: how many polygons each annotation has."""
        return np.diff(self.rows)

    @property
    def sound(self) -> Bools:
        """bool[n]: all coordinates are finite and not absurdly far."""
        near = is_near(self.numbers)
        return np.ones(len(self.rows) - 1, np.bool_) if near.all() else all_true(near, self.offsets[self.rows])

    @property
    def around(self) -> Floats:
        """float64[n, 4]: the box around all polygons, x1, y1, x2, y2; NaN where there are none."""
        vertices = self.offsets[self.rows] // 2
        x, y = self.numbers[0::2], self.numbers[1::2]
        return np.column_stack(
            [minima(x, vertices), minima(y, vertices), maxima(x, vertices), maxima(y, vertices)],
        )

    def of_row(self, row: int) -> list[list[float]]:
        """The polygons of one annotation."""
        rings = self.offsets[self.rows[row] : self.rows[row + 1] + 1].tolist()
        return [self.numbers[start:stop].tolist() for start, stop in pairwise(rings)]

    def points(self, rows: Ints) -> tuple[Floats, Ints]:
        """All polygons of ``rows`` one after the other as numbers and offsets."""
        rings = ranges(self.rows[:-1][rows], self.counts[rows])
        counts = np.diff(self.offsets)[rings]
        return self.numbers[places(self.offsets[:-1][rings], counts)], offsets_of(counts)

    def regions(self, rows: Ints) -> pa.Array:
        """The polygons of ``rows`` as regions of one ring each, closed: ``list<list<list<double>>>``."""
        numbers, offsets = self.points(rows)
        counts = np.diff(offsets)
        closed = offsets_of(counts + 2)
        values = np.empty(closed[-1])
        values[ranges(closed[:-1], counts)] = numbers
        values[closed[1:] - 2], values[closed[1:] - 1] = numbers[offsets[:-1]], numbers[offsets[:-1] + 1]
        rings = list_array(closed, pa.array(values))
        return list_array(offsets_of(self.counts[rows]), list_array(np.arange(len(counts) + 1), rings))

    def is_rectangle(self, corners: Floats) -> Bools:
        """bool[n]: its one polygon is nothing but the box with ``corners`` (float64[n, 4]), whichever corner comes
        first, closed or not."""
        result = np.zeros(len(self.rows) - 1, np.bool_)
        single = np.flatnonzero(self.counts == 1)
        first = self.offsets[self.rows[:-1][single]]
        length = self.offsets[self.rows[:-1][single] + 1] - first
        closed = np.zeros(len(single), np.bool_)
        five = length == 10
        closed[five] = np.logical_and.reduce(
            self.numbers[first[five, None] + [0, 1]] == self.numbers[first[five, None] + [8, 9]], axis=1
        )
        candidates = np.flatnonzero((length == 8) | closed)
        x, y = (self.numbers[first[candidates, None] + np.arange(axis, 8, 2)] for axis in (0, 1))
        x1, y1, x2, y2 = corners[single[candidates]].T
        order = np.lexsort((y, x), axis=1)
        x, y = np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)
        wanted_x, wanted_y = np.column_stack([x1, x1, x2, x2]), np.column_stack([y1, y2, y1, y2])
        same = np.isclose(x, wanted_x, rtol=1e-12, atol=1e-9) & np.isclose(y, wanted_y, rtol=1e-12, atol=1e-9)
        result[single[candidates]] = same.all(axis=1)
        return result

    def turned_back(self, rotation: Floats, rectangular: Bools) -> Floats:
        """float64[n, 5]: x1, y1, x2, y2 of the upright box whose corners its one polygon is after a turn by
        ``rotation`` (float64[n], degrees clockwise on screen), and the rotation; NaN where the polygon is none.

        The official SDK writes the corners as if the box was not turned: ``rectangular`` (bool[n]) are those whose
        polygon is its own upright box.
        """
        found = np.full((len(rotation), 5), np.nan)
        with np.errstate(invalid="ignore"):
            some = np.flatnonzero((self.counts == 1) & np.isfinite(rotation) & (rotation % 360 != 0))
        first = self.offsets[self.rows[:-1][some]]
        length = self.offsets[self.rows[:-1][some] + 1] - first
        some, first = some[np.isin(length, (8, 10))], first[np.isin(length, (8, 10))]
        vertices = self.numbers[first[:, None] + np.arange(8)].reshape(-1, 4, 2)
        some, vertices = some[is_near(vertices).all(axis=(1, 2))], vertices[is_near(vertices).all(axis=(1, 2))]
        centre = vertices.mean(axis=1, keepdims=True)
        angle = np.radians(rotation[some])[:, None]
        dx, dy = np.moveaxis(vertices - centre, 2, 0)
        x = centre[..., 0] + dx * np.cos(angle) + dy * np.sin(angle)
        y = centre[..., 1] - dx * np.sin(angle) + dy * np.cos(angle)
        near = _SAME * (1 + np.abs(vertices).max(axis=(1, 2), initial=0))
        straight = np.abs(np.column_stack([x[:, 0] - x[:, 3], x[:, 1] - x[:, 2], y[:, 0] - y[:, 1], y[:, 2] - y[:, 3]]))
        fits = (straight.max(axis=1, initial=0) <= near) & (x[:, 1] > x[:, 0]) & (y[:, 3] > y[:, 0])
        corners = np.column_stack([x[:, 0], y[:, 0], x[:, 2], y[:, 2]]).round(_DIGITS)
        flat = rectangular[some] & ~fits
        x, y = vertices[flat, :, 0], vertices[flat, :, 1]
        corners[flat] = np.column_stack([x.min(1), y.min(1), x.max(1), y.max(1)]) if flat.any() else corners[flat]
        good = fits | flat
        found[some[good], :4] = corners[good]
        found[some[good], 4] = rotation[some[good]]
        return found


def is_near(numbers: Floats) -> Bools:
    """Finite, and not farther than anybody draws."""
    with np.errstate(invalid="ignore"):
        near: Bools = (numbers >= -FARTHEST) & (numbers <= FARTHEST)
    return near


def list_array(offsets: Ints, values: pa.Array) -> pa.Array:
    """A list column of ``values`` with these offsets."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
