"""JSON text read as it is written: the fast parser first, Python's own where the fast one would refuse or round."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_AS_ZEROS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
#: As many digits as the shortest whole number beyond 64 bits has, which is a negative one.
_MANY = b"0" * 19
_RUN = re.compile(rb"[0-9]*")
_LONG = re.compile(rb"(?:(?<=[\[:,\s])[0-9]{20,}|(?<=[\[:,\s]-)[0-9]{19,})(?![0-9.eE])")


def exact_json(text: bytes) -> Any:
    """The JSON value in ``text``.

    Python's parser is asked for what strict JSON refuses (NaN, infinities, half a surrogate pair), and for whole
    numbers beyond 64 bits, of which the fast one makes floats: 123456789012345678901 becomes 1.2345678901234568e20.

    Raises:
        ValueError: when it is no JSON, or nested too deep for both.
    """
    if may_be_rounded(text):
        return _slowly(text, None)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as strict:
        return _slowly(text, strict)


def may_be_rounded(text: bytes) -> bool:
    """Whether a whole number in ``text`` may be beyond 64 bits, so that the fast parser would round it."""
    digits = text.translate(_AS_ZEROS)
    at = digits.find(_MANY)
    while at >= 0:
        if _LONG.match(text, at):
            return True
        run = _RUN.match(text, at)
        at = digits.find(_MANY, at if run is None else run.end())
    return False


def _slowly(text: bytes, strict: Exception | None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(str(strict or error)) from error
