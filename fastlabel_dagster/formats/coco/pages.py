"""Memory that is given back to the system while a large file is read: what was made of its first half need not lie
beside it.

The file itself is not mapped: one that somebody cuts short in the meantime would end the process.
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pyarrow as pa

#: Of smaller files, a piece of memory is as good.
_WORTHWHILE = 2**24
#: Where Arrow holds less, asking the system again takes longer than it is worth.
_MUCH = 2**26


def pages_of(path: Path) -> bytes | mmap.mmap:
    """The content of a file."""
    if sys.platform != "win32":
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size >= _WORTHWHILE:
                pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                if file.readinto(pages) == size:
                    return pages
    return path.read_bytes()


def give_back(pages: bytes | mmap.mmap, stop: int) -> None:
    """Nobody will look at what lies before ``stop`` again: it reads as zeros from now on, or as it was."""
    whole = stop - stop % mmap.PAGESIZE
    if sys.platform != "win32" and isinstance(pages, mmap.mmap) and whole:
        pages.madvise(mmap.MADV_DONTNEED, 0, whole)


def release_unused() -> None:
    """Let Arrow give back what it keeps of memory that is free again, where it holds much."""
    pool = pa.default_memory_pool()
    if pool.bytes_allocated() >= _MUCH:
        pool.release_unused()
