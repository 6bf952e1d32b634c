"""Where the brackets of JSON text stand and how deep, for all bytes of a block at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.byte_search import byte_places
from fastlabel_dagster.labels.ragged import Bools, Ints

_QUOTE, _BACKSLASH, _OPENING, _CLOSING = b'"\\{}'
_CASE = 0x20  # "[" and "{" differ in this bit only, and so do "]" and "}"


class Depth:
    """How deep the next byte stands, and whether it is within a text."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_text = False

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
        depths = self.depth + np.cumsum(np.where((data[brackets] | _CASE) == _OPENING, 1, -1))
        if len(quotes) & 1:
            self.in_text = not self.in_text
        if len(depths):
            self.depth = int(depths[-1])
        return quotes, brackets, depths


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


def is_closing(block: bytes, positions: Ints) -> Bools:
    """Which of these brackets close something."""
    closing: Bools = (np.frombuffer(block, np.uint8)[positions] | _CASE) == _CLOSING
    return closing
