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


def number_text(values: NDArray[Any] | pa.Array) -> pa.Array:
    """Each number as the shortest text that reads back to the same number; legal JSON for finite numbers."""
    return pc.cast(values if isinstance(values, pa.Array) else pa.array(values), pa.string())


def decimal_text(values: NDArray[np.float64], places: int = 9) -> pa.Array:
    """Numbers from 0 on, rounded to ``places`` decimals, never in exponent notation, without trailing zeros."""
    scale = 10**places
    whole = np.rint(values * scale).astype(np.int64)
    # "1" and all decimals, of which the "1" becomes "0.": most numbers are shares, and this takes one conversion.
    text = pc.binary_replace_slice(number_text(whole % scale + scale), 0, 1, "0.")
    large = whole >= scale
    if large.any():
        decimals = pc.utf8_slice_codeunits(text.filter(pa.array(large)), 1)
        text = pc.replace_with_mask(text, pa.array(large), glued(number_text(whole[large] // scale), decimals))
    return pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".")


def joined(offsets: NDArray[np.int64], texts: pa.Array, separator: str) -> pa.Array:
    """Row ``i`` is ``texts[offsets[i]:offsets[i + 1]]`` with ``separator`` between them."""
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), texts), separator)


def glued(*parts: pa.Array | str) -> pa.Array:
    """The parts of each row one after the other; a plain string stands in every row."""
    return pc.binary_join_element_wise(*parts, "")


def json_text(values: pa.Array) -> pa.Array:
    """Each string as a JSON string; null becomes ``null``. Work is done once per distinct value."""
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    words = pa.array([orjson.dumps(value).decode() for value in encoded.dictionary.to_pylist()], pa.string())
    return words.take(encoded.indices)


def list_text(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> pa.Array:
    """Row ``i`` is ``[a,b,c]``, the JSON of ``values[offsets[i]:offsets[i + 1]]``, all of them finite.

    The offsets begin with 0 and end with the number of values. Whole numbers have no decimal point when all values are
    whole.
    """
    return glued("[", list_tails(values, offsets))


def list_tails(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> pa.Array:
    """The same without the opening bracket, which whoever glues this to other text can have there: each copy of a long
    text is felt."""
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
