"""Ragged arrays by columns: the same as a row at a time, whatever the numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastlabel_dagster.labels.ragged import any_column, every_column, kept_only, maxima, minima, offsets_of

_NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(
    st.one_of(
        st.lists(st.integers(0, 12)), st.tuples(st.integers(1, 9), st.integers(0, 6)).map(lambda t: [t[0]] * t[1])
    ),
    st.data(),
)
@pytest.mark.parametrize(("found", "one"), [(minima, np.min), (maxima, np.max)])
def test_extremes_are_those_of_each_row(found, one, lengths, data):
    before = data.draw(st.integers(0, 3))
    values = np.array(data.draw(st.lists(_NUMBERS, min_size=before + sum(lengths), max_size=before + sum(lengths))))
    offsets = offsets_of(np.array(lengths, np.int64)) + before
    expected = [one(values[a:b]) if b > a else np.nan for a, b in pairwise(offsets)]
    kept = values.copy()
    np.testing.assert_array_equal(found(values, offsets), np.array(expected, np.float64))
    np.testing.assert_array_equal(values, kept)


@given(arrays.arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(0, 5))))
def test_columns_are_looked_at_together(mask):
    assert any_column(mask).tolist() == [any(row) for row in mask.tolist()]
    assert every_column(mask).tolist() == [all(row) for row in mask.tolist()]


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.text(max_size=3)), st.booleans())), st.integers(0, 9))
def test_what_is_not_kept_is_null_wherever_the_texts_lie(rows, before):
    texts = pa.array(["in front"] * before + [text for text, _ in rows], pa.string())[before:]
    kept = np.array([keep for _, keep in rows], np.bool_)
    expected = [text if keep else None for text, keep in rows]
    for mask in (kept, pa.array(kept)):
        found = kept_only(texts, mask)
        found.validate(full=True)
        assert found.to_pylist() == expected
