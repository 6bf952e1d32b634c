"""How the options of jobs are read: what each may be, how a job is waited for, and what is said of all else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

#: ``run``: the step polls until the job has ended. ``sensor``: the step submits, and the jobs sensor reports the end.
Wait: TypeAlias = Literal["run", "sensor"]

_WAITING = ("wait", "poll_seconds", "give_up_after_hours")


@dataclass(frozen=True)
class Waiting:
    """How the end of a job is waited for.

    Attributes:
        wait: ``run``: in the run; ``sensor``: not at all, the jobs sensor reports the end.
        poll_seconds: pause between the first two looks; it grows to twelve times that.
        give_up_after_hours: how long a run polls at most. The job goes on, and the next run attaches to it.
    """

    wait: Wait = "run"
    poll_seconds: float = 10.0
    give_up_after_hours: float = 24.0

    @classmethod
    def of(cls, given: dict[str, Any], what: str, default: Wait) -> Waiting:
        """Take the three options out of ``given``. Raises ValueError."""
        wait = given.pop("wait", default)
        if wait not in ("run", "sensor"):
            raise ValueError(f"{what}: wait is 'run' or 'sensor', not {wait!r}")
        poll = number_of(given.pop("poll_seconds", 10.0), f"{what}: poll_seconds", above=0)
        hours = number_of(given.pop("give_up_after_hours", 24.0), f"{what}: give_up_after_hours", above=0)
        return cls(cast("Wait", wait), poll, hours)


def mapping_of(given: object, what: str) -> dict[str, Any]:
    """The options as a mapping of one's own. Raises ValueError for what is none."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} is a mapping of options, not {given!r}")
    return {str(name): value for name, value in given.items()}


def refuse_others(given: Mapping[str, Any], what: str, *known: Iterable[str], waits: bool = True) -> None:
    """Raises ValueError when something is ``given`` that is not ``known``, nor, with ``waits``, of :class:`Waiting`."""
    names = {name for some in known for name in some} | (set(_WAITING) if waits else set())
    unknown = sorted(set(given) - names)
    if unknown:
        raise ValueError(f"{what} has no option {', '.join(unknown)}; it has {', '.join(sorted(names))}")


def number_of(
    value: object, what: str, *, least: float | None = None, most: float | None = None, above: float | None = None
) -> float:
    """A number from ``least`` to ``most``, or ``above`` one. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is a number, not {value!r}")
    if (
        (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and value <= above)
    ):
        bounds = f"above {above:g}" if above is not None else f"from {least:g} to {most:g}"
        raise ValueError(f"{what} is a number {bounds}, not {value!r}")
    return float(value)


def flag_of(value: object, what: str) -> bool:
    """True or false. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} is true or false, not {value!r}")
    return value


def names_of(value: object, what: str) -> tuple[str, ...]:
    """A text or several. Raises ValueError for anything else."""
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, Iterable):
        raise ValueError(f"{what} is a text or a list of them, not {value!r}")
    names = tuple(several)
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{what} is a text or a list of them, not {value!r}")
    return names
