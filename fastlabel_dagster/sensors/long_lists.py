"""Lists that take longer to read than a look has: what was read is kept in this process, and the next look goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastlabel_dagster.sensors.visit import Unfinished


@dataclass
class Reading:
    """How far a list is read, page by page.

    Attributes:
        memory: what is remembered of its target, for which it is read.
        found: the entries so far, by id, or by slug where there is none. A list may move on between two pages: what is
            on both counts once.
        offset: where the next page begins.
        over: nothing is left to read, or nobody needs it.
    """

    memory: Mapping[str, Any] | None
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    offset: int = 0
    over: bool = False

    def take(self, page: Sequence[dict[str, Any]]) -> None:
        """Take in a page."""
        self.found.update((str(entry.get("id") or entry.get("slug")), entry) for entry in page)
        self.offset += len(page)

    def unfinished(self) -> Unfinished:
        """That there is more to read than the look has time for."""
        return Unfinished(f"{len(self.found):,} entries of its list are read, the next look goes on behind them")


class Readings:
    """The lists that are being read. A process that ends forgets them; the next one begins anew."""

    def __init__(self) -> None:
        self._kept: dict[str, Reading] = {}

    @contextmanager
    def of(self, target: str, memory: Mapping[str, Any] | None) -> Iterator[Reading]:
        """The reading of a target's list, from where the last look left it; kept unless it is over.

        A new one when something else is remembered of the target than when it began. As long as a look that nobody
        waits for any more has the old one, too: two never share one.
        """
        reading = self._kept.pop(target, None)
        if reading is None or reading.memory != memory:
            reading = Reading(memory)
        try:
            yield reading
        finally:
            if not reading.over:
                self._kept[target] = reading

    def keep_only(self, targets: Collection[str]) -> None:
        """Forget the lists of targets that are none of these any more."""
        for target in [target for target in list(self._kept) if target not in targets]:
            self._kept.pop(target, None)
