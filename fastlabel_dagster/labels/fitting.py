"""Whether a JSON value fits a column of the label tables. What does not is kept verbatim in ``extra``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.json_text import LARGEST_EXACT_INTEGER, encodable

_TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def times_of_texts(texts: pa.Array) -> pa.Array:
    """Texts that read ``YYYY-MM-DDTHH:MM:SS.mmmZ`` as times. Raises TypeError when one reads otherwise."""
    written = pc.fill_null(pc.match_substring_regex(texts, _TIME_PATTERN), True)
    if not pc.all(written, min_count=0).as_py():
        raise TypeError("not a time as the API writes it")
    return texts.cast(pa.timestamp("ms", "UTC"))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and encodable(value)


def is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return (isinstance(value, int) and -(2**63) <= value < 2**63) or is_whole(value)


def is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT_INTEGER


def is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_EXACT_INTEGER


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_time(value: Any) -> bool:
    if not is_text(value):
        return False
    try:
        times_of_texts(pa.array([value], pa.string()))
    except (TypeError, pa.ArrowInvalid):
        return False
    return True


def is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_list_of_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def is_regions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(region, list) and all(map(is_list_of_numbers, region)) for region in value
    )


def are_objects(values: Iterable[Any]) -> bool:
    return set(map(type, values)) <= {dict}


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_keyframes(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    try:
        for key in value:
            frame_number(key)
    except TypeError:
        return False
    return True


def frame_number(key: str) -> int:
    # "01" or "1.0" would come back as "1": only a number written the plain way is one.
    if len(key) > 18 or not key.isascii() or not key.removeprefix("-").isdigit() or str(int(key)) != key:
        raise TypeError(f"not a frame number: {key!r}")
    return int(key)
