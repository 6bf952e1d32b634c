"""The next of some batches, made while one is written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """``items`` in their order; the next is made in another thread while whoever asks uses one.

    What making one raises comes out here. Arrow and NumPy do not hold up Python while they work, nor does the system
    while it writes files, so that two processors have something to do.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as other:
        made = _begin(other, items)
        while item := made.result():
            made = _begin(other, items)
            yield item[0]


def _begin(other: ThreadPoolExecutor, items: Iterator[Item]) -> Future[list[Item]]:
    """The next item; nothing behind the last."""
    return other.submit(lambda: list(islice(items, 1)))
