"""A progress bar where somebody looks at it, and nothing at all where nobody does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    wanted: bool, label: str, *, total: int | None = None, unit: str = "it"
) -> Iterator[Callable[[int], object] | None]:
    """A function that moves a bar on standard error forward; None when not wanted, or when that is no terminal. A
    process may have no standard error at all (``2>&-``, a service)."""
    if not (wanted and sys.stderr and sys.stderr.isatty()):
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=unit, unit_scale=True, leave=False) as bar:
        yield bar.update
