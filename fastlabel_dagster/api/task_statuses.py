"""The statuses of a task, and how a slip of the pen in one is told before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

#: The statuses of a task that the API's documents name, in the order a task goes through them.
TASK_STATUSES = ("registered", "pending", "completed", "skipped", "reviewed", "sent_back", "approved", "declined")

#: How much alike two words are, from 0 to 1, that are taken for the same with a slip: ``aproved``, ``Sent-back``. A
#: status of one's own, such as ``workflow_1_completed``, is further away from each of them.
_ALIKE = 0.8


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Tasks by status in the order a task goes through them; behind these what the API does not name, such as statuses
    of an account's own, the most frequent first."""
    named = {status: counts[status] for status in TASK_STATUSES if status in counts}
    others = sorted(counts.keys() - named.keys(), key=lambda status: (-counts[status], status))
    return named | {status: counts[status] for status in others}


def mistyped(status: str) -> str | None:
    """The status that is meant by one that is nearly it; None when it is one the API names, or like none of them."""
    near = [] if status in TASK_STATUSES else get_close_matches(status.lower(), TASK_STATUSES, 1, _ALIKE)
    return near[0] if near else None


def refuse_mistyped(what: str, statuses: str | Iterable[str] | None) -> None:
    """Refuse a status that is nearly one the API names: no task is ever in it, so that an export would be empty, and a
    dataset would be emptied. Any other word is taken as it is, for an account may have statuses of its own.

    Raises:
        ValueError: it says which status is meant.
    """
    for status in (statuses,) if isinstance(statuses, str) else statuses or ():
        if (meant := mistyped(status)) is not None:
            raise ValueError(f"{what} {status!r} is no status of a task; did you mean {meant!r}?")
