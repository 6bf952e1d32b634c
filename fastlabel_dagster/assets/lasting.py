"""``lasting``: thousands of definitions that all stay, made without looking for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_frozen = False


@contextmanager
def lasting() -> Iterator[None]:
    """Make definitions within, as a code location loads: Python's garbage collector rests meanwhile.

    Afterwards it leaves alone what there is, once in a process (``gc.freeze``). Whatever Dagster builds around
    thousands of definitions makes it go through all of them, and all modules, again and again: it took a third of the
    time. What goes by reference counting still goes. A process that loads the location once more freezes nothing then,
    so that the definitions it has replaced can be collected.
    """
    global _frozen  # noqa: PLW0603 - the collector is one for the process, too
    collecting = gc.isenabled()
    if collecting:
        gc.disable()
    try:
        yield
    finally:
        if not _frozen:
            gc.freeze()
        _frozen = True
        if collecting:
            gc.enable()
