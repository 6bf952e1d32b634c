"""The steps that can be measured, by name: ``step(input, out)`` prepares and hands back the work that is timed.

Steps run in a process of their own (``python -m benchmarks.conversions.one``); those of other converters run in their
own environment, where this package is not installed, so nothing of it is imported outside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Work: TypeAlias = Callable[[], object]
Step: TypeAlias = Callable[[Path, Path], Work]
STEPS: dict[str, Step] = {}


def step(name: str) -> Callable[[Step], Step]:
    def note(function: Step) -> Step:
        STEPS[name] = function
        return function

    return note
