"""Where the brackets of JSON text stand and how deep, for all bytes of a block at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.byte_search import byte_places
from fastlabel_dagster.labels.ragged import Bools, Ints

_QUOTE, _BACKSLASH, _OPENING, _CLOSING = b'"\\{}'
_CASE = 0x20  # "[" and "{" differ in this bit only, and so do "]" and "}"
_MARKS = b'"[]{}'
_NO_MARKS = bytes(set(range(256)).difference(_MARKS))
_AT_ONCE = 2**15


class Depth:
    """How deep the next byte stands, and whether it is within a text."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_text = False

    def ends(self, block: bytes) -> tuple[int, int]:
        """Where the list these brackets stand in (depth 0) ends in ``block``, and where the last of its elements does
        (depth 1): the positions of their brackets, -1 where there is none.

        ``block`` must not end within an escape."""
        before = self.depth
        place: Callable[[int], int]
        if b"\\" in block:
            _, brackets, depths = self.marks(block)
            place = brackets.__getitem__
        else:
            ranks, depths, marks = self._ranks(block)

            def place(bracket: int) -> int:
                return _from_behind(block, marks - int(ranks[bracket]))

        closes = np.diff(depths, prepend=before) < 0
        lists, elements = np.flatnonzero(depths == 0), np.flatnonzero((depths == 1) & closes)
        return int(place(lists[0])) if len(lists) else -1, int(place(elements[-1])) if len(elements) else -1

    def _ranks(self, block: bytes) -> tuple[Ints, Ints, int]:
        """Of each bracket outside of texts how many brackets and quotes stand before it, and the depth after it; how
        many of both there are. There is no backslash in ``block``.

        What else stands in the text is left out first, by the quickest loop there is."""
        found = np.frombuffer(block.translate(None, _NO_MARKS), np.uint8)
        ranks = np.flatnonzero(found != _QUOTE)
        quotes_before = ranks - np.arange(len(ranks))
        quotes = len(found) - len(ranks)
        ranks = ranks[(quotes_before & 1) == int(self.in_text)]
        depths = self._deepen(found[ranks])
        self.in_text ^= bool(quotes & 1)
        return ranks, depths, len(found)

    def _deepen(self, brackets: NDArray[np.uint8]) -> Ints:
        """The depth after each of these brackets, which come next."""
        depths = self.depth + np.cumsum(np.where((brackets | _CASE) == _OPENING, 1, -1))
        if len(depths):
            self.depth = int(depths[-1])
        return depths

    def marks(self, block: bytes) -> tuple[Ints, Ints, Ints]:
        """Positions of the quotes and the brackets outside of texts in ``block``, and the depth after each bracket.

        ``block`` must not end within an escape."""
        data = np.frombuffer(block, np.uint8)
        quotes = byte_places(data, _is_quote)
        if b"\\" in block:
            quotes = quotes[~_escaped(data, quotes)]
        brackets = byte_places(data, _is_bracket)
        outside = (np.searchsorted(quotes, brackets) & 1) == int(self.in_text)
        brackets = brackets[outside]
        self.in_text ^= bool(len(quotes) & 1)
        return quotes, brackets, self._deepen(data[brackets])


def _from_behind(block: bytes, number: int) -> int:
    """The position of the quote or bracket which has that number, counted from the end of ``block`` and from 1."""
    data = np.frombuffer(block, np.uint8)
    for end in range(len(data), 0, -_AT_ONCE):
        begin = max(0, end - _AT_ONCE)
        part = data[begin:end]
        places = np.flatnonzero(_is_quote(part) | _is_bracket(part))
        if len(places) >= number:
            return begin + int(places[-number])
        number -= len(places)
    raise IndexError(f"there are {number} quotes and brackets less than that")


def _is_quote(data: NDArray[np.uint8]) -> Bools:
    found: Bools = data == _QUOTE
    return found


def _is_bracket(data: NDArray[np.uint8]) -> Bools:
    folded = data | _CASE
    found: Bools = (folded == _OPENING) | (folded == _CLOSING)
    return found


def _escaped(data: NDArray[np.uint8], quotes: Ints) -> Bools:
    """Which of the quotes have an odd number of backslashes right before them."""
    slashes = np.flatnonzero(data == _BACKSLASH)
    begins = np.ones(len(slashes), np.bool_)
    begins[1:] = np.diff(slashes) > 1
    run_start = np.maximum.accumulate(np.where(begins, slashes, 0))
    last = np.searchsorted(slashes, quotes) - 1
    touches = (last >= 0) & (slashes[last] == quotes - 1)
    odd: Bools = touches & (((quotes - run_start[last]) & 1) == 1)
    return odd
