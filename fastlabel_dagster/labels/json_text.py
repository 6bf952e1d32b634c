"""JSON text that gives back exactly what went in, for the values the label tables keep verbatim."""

from __future__ import annotations

import json
from typing import Any

import orjson

#: Whole numbers up to here are exact as float64; beyond it a float column cannot hold every integer.
LARGEST_EXACT_INTEGER = 2**53

_readable = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_escaped = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Compact JSON for any JSON value, as :func:`loads` reads it back: integers of any size, floats to the last digit.

    Python's own encoder rather than a faster one, because the fast ones turn NaN into null and refuse integers beyond
    64 bits. NaN and infinities are written as ``NaN``, ``Infinity`` and ``-Infinity``, which is what Python's JSON
    parser accepts and other parsers may not. Half surrogate pairs, which have no UTF-8, are written as escapes.

    Raises TypeError for a value that JSON has no word for.
    """
    text = _readable(value)
    return text if encodable(text) else _escaped(value)


def strict(value: Any) -> bytes:
    """Compact JSON that every parser reads: a number that is not finite is null, half a surrogate pair an escape."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits, half a surrogate pair, or nested deep
        text = dumps(value)
        if "NaN" in text or "Infinity" in text:
            text = dumps(json.loads(text, parse_constant=lambda _: None))
        return text.encode()


def loads(text: str) -> Any:
    """The value :func:`dumps` wrote."""
    return json.loads(text)


def encodable(text: str) -> bool:
    """Whether ``text`` has a UTF-8 form (a half surrogate pair has none)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def whole(number: float) -> int | float:
    """``number`` as an int where it is one (JSON knows only numbers: 100.0 and 100 are the same one)."""
    if number.is_integer() and abs(number) <= LARGEST_EXACT_INTEGER:
        return int(number)
    return number
