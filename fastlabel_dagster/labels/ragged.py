"""Arrow lists as NumPy offsets and values, and the index arithmetic of ragged arrays."""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
#: So many values of a row are few.
_SHORT = 8


class Ragged(NamedTuple):
    """A list column taken apart: row ``i`` is ``lengths[i]`` of the ``values`` from ``starts[i]``; 0 where null."""

    starts: Ints
    lengths: Ints
    valid: Bools
    values: pa.Array


def as_ragged(lists: pa.Array) -> Ragged:
    """Take a list array apart without copying its values (which may reach beyond the rows of a slice)."""
    offsets = lists.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    valid = valid_mask(lists)
    lengths = np.where(valid, np.diff(offsets), 0)
    return Ragged(offsets[:-1], lengths, valid, lists.values)


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """``column`` as a single array (copies only when it has several chunks)."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def valid_mask(array: pa.Array) -> Bools:
    """True where ``array`` is not null."""
    if array.null_count == 0:
        return np.ones(len(array), dtype=np.bool_)
    mask: Bools = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return mask


def floats(array: pa.Array | pa.ChunkedArray) -> Floats:
    """Numbers as float64, NaN where null; whole numbers beyond 2**53 are rounded."""
    column = one_array(array)
    if column.type != pa.float64():
        column = pc.cast(column, pa.float64(), safe=False)
    result: Floats = column.to_numpy(zero_copy_only=False)
    return result


def offsets_of(lengths: NDArray[Any]) -> Ints:
    """``[0, l0, l0 + l1, …]``: where each row starts, and the end."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> Ints:
    """The indices ``starts[i], starts[i] + 1, …`` (``lengths[i]`` of them) of every row, one after the other."""
    found = places(starts, lengths)
    return np.arange(found.start, found.stop) if isinstance(found, slice) else found


def places(starts: NDArray[Any], lengths: NDArray[Any]) -> slice | Ints:
    """The same to index with: a slice where the rows follow each other, as where all are wanted, for then nothing need
    be gathered."""
    offsets = offsets_of(lengths)
    begins = np.asarray(starts, dtype=np.int64)
    shift = begins - offsets[:-1]
    if len(shift) and (shift == shift[0]).all():
        return slice(int(begins[0]), int(begins[0] + offsets[-1]))
    result = np.arange(offsets[-1], dtype=np.int64)
    result += np.repeat(shift, lengths)
    return result


def taken(values: pa.Array, wanted: slice | Ints) -> pa.Array:
    """The values at these :func:`places`; nothing is copied where they follow each other."""
    return values[wanted] if isinstance(wanted, slice) else values.take(pa.array(wanted))


def kept_only(values: pa.Array, kept: Bools | pa.BooleanArray) -> pa.Array:
    """``values`` where ``kept`` (bool[n]), null elsewhere."""
    # Not `if_else(kept, values, None)`: with one null for all rows, Arrow before 24 takes the texts of an array that is
    # part of a longer one from the wrong places (https://github.com/apache/arrow/issues/49410).
    return pc.if_else(kept, values, pa.nulls(len(values), values.type))


def sums(values: Floats, offsets: Ints) -> Floats:
    """Sum of each row's values; 0 for an empty row. A NaN stays within its row."""
    return _reduce(np.add, values, offsets, 0.0)


def minima(values: Floats, offsets: Ints) -> Floats:
    """Smallest value of each row; NaN for an empty row or a row with a NaN."""
    return _extremes(np.minimum, values, offsets)


def maxima(values: Floats, offsets: Ints) -> Floats:
    """Largest value of each row; NaN for an empty row or a row with a NaN."""
    return _extremes(np.maximum, values, offsets)


def all_true(values: Bools, offsets: Ints) -> Bools:
    """Whether all of each row's values are true; True for an empty row."""
    bad = offsets_of(~values)
    none_bad: Bools = bad[offsets[1:]] == bad[offsets[:-1]]
    return none_bad


def any_column(mask: Bools) -> Bools:
    """bool[n]: whether any of a row of bool[n, k] is true. With few columns twenty times as quick as along the rows."""
    found: Bools = reduce(np.logical_or, mask.T, np.zeros(len(mask), np.bool_))
    return found


def every_column(mask: Bools) -> Bools:
    """bool[n]: whether all of a row of bool[n, k] are true."""
    found: Bools = reduce(np.logical_and, mask.T, np.ones(len(mask), np.bool_))
    return found


def _extremes(operation: np.ufunc, values: Floats, offsets: Ints) -> Floats:
    lengths = np.diff(offsets)
    if len(lengths) and 0 < lengths[0] <= _SHORT and (lengths == lengths[0]).all():
        # Rows as short as these, such as the corners of boxes, are quicker by columns: one number of all rows at once.
        columns = values[offsets[0] : offsets[-1]].reshape(-1, lengths[0]).T
        found: Floats = reduce(operation, columns[1:], columns[0].copy())
        return found
    return _reduce(operation, values, offsets, np.nan)


def _reduce(operation: np.ufunc, values: Floats, offsets: Ints, empty: float) -> Floats:
    # reduceat gives a row's own first value where the row is empty, so it only sees the rows that hold something.
    result = np.full(len(offsets) - 1, empty, dtype=np.float64)
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])
    if len(filled):
        result[filled] = operation.reduceat(values, offsets[:-1][filled])
    return result
