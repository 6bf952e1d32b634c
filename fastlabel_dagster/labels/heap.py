"""Memory that arrays have freed, kept for the next ones."""

from __future__ import annotations

import functools

import numpy as np

_BYTES = 16_000_000


@functools.cache
def keep_freed_memory() -> None:
    """Have the C library keep some megabytes of what is freed, from now on and for the whole process.

    A young process gives each array of some hundred kilobytes back to the system as soon as it is freed, and the next
    one is handed out anew, page by page, which can take longer than to compute what it holds. glibc stops that when it
    has seen a larger block freed: blocks up to that size are then kept, up to twice that size of them (mallopt(3),
    M_MMAP_THRESHOLD, "dynamic"). So this frees one which nobody has touched. Elsewhere nothing changes.
    """
    np.empty(_BYTES, np.uint8)
