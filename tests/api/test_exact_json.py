"""JSON as Python's own parser reads it, whichever parser does."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlabel_dagster.api.exact_json import exact_json, may_be_rounded

integers = st.one_of(
    st.integers(-(10**40), 10**40),
    st.builds(
        lambda base, step: base + step, st.sampled_from([2**63, -(2**63), 2**64, 10**18, 10**19]), st.integers(-2, 2)
    ),
)
texts = st.one_of(st.text(max_size=5), st.sampled_from(["1" * 25, ": 12345678901234567890,", "\ud800", "-" + "9" * 19]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(st.lists(values, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_every_number_is_exact(document: list[Any], indent: Any, ascii: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii).encode("utf-8", "replace")
    assert repr(exact_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        b"[18446744073709551615, -9223372036854775808, 1234567890123456789]",
        b"[0.12345678901234567890123, 12345678901234567890.5, 12345678901234567890e2, 1e-12345678901234567890]",
        b'["12345678901234567890123", {"12345678901234567890123": "a12345678901234567890123"}]',
    ],
)
def test_what_the_fast_parser_reads_exactly_is_left_to_it(text: bytes) -> None:
    fits = b"18446744073709551615" in text
    assert may_be_rounded(text) is fits  # it has as many digits as numbers that do not
    assert repr(exact_json(text)) == repr(json.loads(text)) == repr(orjson.loads(text))


@pytest.mark.parametrize("text", [b"", b"{", b"[12345678901234567890123", b"[" * 100_000, b"[" + b"1" * 5000 + b"]"])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        exact_json(text)
