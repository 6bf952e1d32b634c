"""Making many objects at once without looking for garbage among them meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """No cyclic garbage collection inside, where there is none to find: JSON has no cycles.

    Python looks through all young objects after every 700 new ones, and through old ones now and then, which makes
    parsing JSON of some megabytes two to four times slower. Keep the block short: the pause is for the whole process.
    Blocks may be nested, and entered by several threads.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
