"""Text of whole columns at once: numbers, lists and JSON, made by Arrow kernels rather than piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Whole numbers below this are the same as floating point numbers.
_EXACT = 2**53
#: Numbers written at once: what they take fits into a processor's cache.
_AT_ONCE = 2**15


def number_text(values: NDArray[Any] | pa.Array) -> pa.Array:
    """Each number as the shortest text that reads back to the same number; legal JSON for finite numbers."""
    return pc.cast(values if isinstance(values, pa.Array) else pa.array(values), pa.string())


def decimal_lists(values: NDArray[np.float64], offsets: NDArray[np.int64], places: int = 9) -> pa.Array:
    """Row ``i`` is ``values[offsets[i]:offsets[i + 1]]`` with a space before each: numbers rounded to ``places``
    decimals, never in exponent notation, without trailing zeros.

    The offsets begin with 0 and end with the number of values.
    """
    scale = 10**places
    if not len(values) or not (values.min() * scale >= -0.5 and values.max() <= 9):
        return joined(offsets, glued(" ", _decimal_text(np.rint(values * scale).astype(np.int64), places)), "")
    texts = []
    stops = np.zeros(len(values) + 1, np.int32)
    for start in range(0, len(values), _AT_ONCE):
        text, lengths = _short_decimals(values[start : start + _AT_ONCE], places)
        texts.append(text)
        stops[start + 1 : start + len(lengths) + 1] = lengths
    np.cumsum(stops, out=stops)
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(stops[offsets]), pa.py_buffer(np.concatenate(texts))
    )


def _short_decimals(values: NDArray[np.float64], places: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The text of numbers from 0 to 9, a space before each; and how long each is, with its space."""
    # Of a "1", a digit and the decimals, each number is as long as any other: with the comma before it a row of a
    # matrix, in which the digit moves to the column of the "1" and the point takes the column of the digit.
    scale, width = 10**places, places + 3
    whole = np.rint(values * scale).astype(np.int64) + 10 * scale
    text = bytearray(orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY))
    matrix = np.frombuffer(text, np.uint8)[:-1].reshape(-1, width)
    matrix[:, 0], matrix[:, 1], matrix[:, 2] = ord(" "), matrix[:, 2], ord(".")
    kept = np.ones(matrix.shape, np.bool_)
    lengths = np.full(len(whole), width)
    zeros = np.flatnonzero(matrix[:, -1] == ord("0"))
    for column in range(width - 1, 1, -1):
        if not len(zeros):
            break
        kept[zeros, column] = False
        lengths[zeros] -= 1
        if column > 3:  # the point goes with the first of the decimals
            zeros = zeros[matrix[zeros, column - 1] == ord("0")]
    return _picked(matrix, kept), lengths


def _picked(matrix: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """``matrix[kept]`` of contiguous arrays; Arrow, which looks at 64 places at once, takes half of NumPy's time where
    nearly all is kept."""
    values = pa.UInt8Array.from_buffers(pa.uint8(), matrix.size, [None, pa.py_buffer(matrix)])
    bits = pa.py_buffer(np.packbits(kept, bitorder="little"))
    found = values.filter(pa.BooleanArray.from_buffers(pa.bool_(), kept.size, [None, bits]))
    picked: NDArray[np.uint8] = found.to_numpy()
    return picked


def _decimal_text(whole: NDArray[np.int64], places: int) -> pa.Array:
    """Each whole number divided by 10 to the power of ``places``."""
    scale = 10**places
    size = np.abs(whole)
    decimals = pc.utf8_slice_codeunits(number_text(size % scale + scale), 1)
    text = pc.utf8_rtrim(pc.utf8_rtrim(glued(number_text(size // scale), ".", decimals), "0"), ".")
    return glued(pc.if_else(pa.array(whole < 0), "-", ""), text)


def joined(offsets: NDArray[np.int64], texts: pa.Array, separator: str) -> pa.Array:
    """Row ``i`` is ``texts[offsets[i]:offsets[i + 1]]`` with ``separator`` between them."""
    if not separator and not texts.null_count and not texts.offset and pa.types.is_string(texts.type):
        # Their texts stand one after the other in memory: that is the text of the row.
        _, stops, data = texts.buffers()
        ends = np.frombuffer(stops, np.int32)[offsets]
        return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(ends), data)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), texts), separator)


def glued(*parts: pa.Array | str) -> pa.Array:
    """The parts of each row one after the other; a plain string stands in every row."""
    return pc.binary_join_element_wise(*parts, "")


def json_text(values: pa.Array) -> pa.Array:
    """Each string as a JSON string; null becomes ``null``. Work is done once per distinct value."""
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    words = pa.array([orjson.dumps(value).decode() for value in encoded.dictionary.to_pylist()], pa.string())
    return words.take(encoded.indices)


def list_tails(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> pa.Array:
    """Row ``i`` is ``a,b,c]``, the JSON of ``values[offsets[i]:offsets[i + 1]]``, all finite. Whoever glues it to other
    text puts the opening bracket there: each copy of a long text is felt.

    The offsets begin with 0 and end with the number of values. Whole numbers have no decimal point when all values are
    whole.
    """
    n = len(offsets) - 1
    if not len(values):
        return pa.repeat(pa.scalar("]"), n)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    numbers = whole if (whole == values).all() and np.abs(whole).max() < _EXACT else np.ascontiguousarray(values)
    # One text of all values; the comma behind the last number of a row becomes its bracket.
    data = np.frombuffer(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)[1:].copy()
    ends = np.append(np.flatnonzero(data == ord(",")), len(data) - 1)
    filled = offsets[1:] > offsets[:-1]
    last = ends[offsets[1:][filled] - 1]
    data[last] = ord("]")
    stops = np.zeros(n + 1, np.int32)
    stops[1:][filled] = last + 1
    np.maximum.accumulate(stops, out=stops)
    rows = pa.StringArray.from_buffers(n, pa.py_buffer(stops), pa.py_buffer(data))
    return rows if filled.all() else pc.if_else(pa.array(filled), rows, "]")
