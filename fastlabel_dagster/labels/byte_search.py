"""Where some bytes of a long text stand.

The text is looked at a cache-full at a time: what a comparison answers for each byte of a megabyte is memory the system
has to hand out first, and that takes longer than to compare.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import Bools, Ints

_AT_ONCE = 2**15


def byte_places(text: NDArray[np.uint8], wanted: Callable[[NDArray[np.uint8]], Bools]) -> Ints:
    """int64[m], ascending: the positions of the bytes ``wanted`` answers True for; it is asked for some at a time."""
    found = [np.flatnonzero(wanted(text[at : at + _AT_ONCE])) + at for at in range(0, len(text), _AT_ONCE)]
    return np.concatenate(found) if found else np.empty(0, np.int64)
