"""The next item is made while one is used, and never more than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fastlabel_dagster.formats.one_ahead import one_ahead


def test_all_items_in_their_order_one_ahead():
    made = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int | None]:
        for number in range(5):
            made[number].set()
            yield number or None  # None is an item like any other

    for number, item in enumerate(one_ahead(items())):
        assert item == (number or None)
        if number < 4:
            assert made[number + 1].wait(30)  # without anybody asking for it
        if number < 3:
            assert not made[number + 2].is_set()
    assert list(one_ahead(iter(()))) == []


def test_what_making_one_raises_comes_out_behind_those_before_it():
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    used = []
    with pytest.raises(ValueError, match="the second cannot be made"):
        used.extend(one_ahead(items()))
    ahead = one_ahead(items())
    assert next(ahead) == 1


def test_nothing_is_made_behind_one_who_stops():
    made = []

    def items() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            yield number

    ahead = one_ahead(items())
    assert next(ahead) == 0
    ahead.close()
    assert made == [0, 1]
