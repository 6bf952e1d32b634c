"""Which entries of a growing list have been acted on, remembered in a few hundred characters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final

from fastlabel_dagster.sensors.cursor import short

#: Characters of a cursor that all targets together may use for names of settled entries.
_CHARACTERS: Final = 28_000
#: The date of an entry that states none: later than any.
UNDATED: Final = "~"


@dataclass
class Settled:
    """Every entry up to ``floor`` (a date) is settled, and those named in ``names``; but not those in ``waiting``.

    The newest settled entries are known by name, the newest first, so one that appears a little late, below the newest
    date, is still found; older ones are known by their date alone. An entry that an answer leaves out stays known for
    as long as there is room: a server may answer with less than there is, and the entry is no new one when it is listed
    again. Names are eight characters of hash.

    Attributes:
        keep: how many settled entries are known by name.
        follow: how many unsettled ones are; the floor stays clear of the others, so none is lost.
    """

    floor: str = ""
    names: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    keep: int = 200
    follow: int = 100

    @classmethod
    def load(cls, memory: Mapping[str, Any] | None, *, targets: int) -> Settled:
        """What :meth:`dump` wrote; ``targets`` share a cursor."""
        known = memory or {}
        room = _CHARACTERS // 9 // max(1, targets)
        return cls(
            floor=known.get("floor", ""),
            names=known.get("settled", "").split(),
            waiting=known.get("waiting", "").split(),
            keep=max(8, min(200, room)),
            follow=max(20, min(100, room)),
        )

    def dump(self) -> dict[str, Any]:
        """JSON for a cursor; what is empty is left out."""
        state = {"floor": self.floor, "settled": " ".join(self.names), "waiting": " ".join(self.waiting)}
        return {key: value for key, value in state.items() if value}

    def has(self, name: str, date: str) -> bool:
        """Whether an entry is settled."""
        return short(name) in self.names or (date <= self.floor and short(name) not in self.waiting)

    def waits_for(self, name: str) -> bool:
        """Whether an entry is known to be unsettled."""
        return short(name) in self.waiting

    def all_among(self, names: Iterable[str]) -> bool:
        """Whether every entry that is known to be unsettled is one of these."""
        return set(self.waiting) <= {short(name) for name in names}

    def update(
        self, settled: Mapping[str, str], unsettled: Mapping[str, str], *, whole: bool = True, newest: bool = True
    ) -> None:
        """Take in what is listed now: name -> date of all entries that are settled, and of all that are not.

        What is not listed is kept behind what is, the longest unlisted last, while there is room. When what is listed
        is not the ``whole``, unsettled entries that are not listed stand elsewhere, and their room is theirs; when the
        ``newest`` are not among it, so do the settled ones that are known by name.
        """
        listed = {short(name) for name in (*settled, *unsettled)}
        waiting = sorted(unsettled, key=lambda name: unsettled[name])
        elsewhere = 0 if whole else sum(name not in listed for name in self.waiting)
        # up to the floor, what is not known to be unsettled counts as settled, however little room there is by now
        room = max(sum(date <= self.floor for date in unsettled.values()), self.follow - elsewhere)
        now = [short(name) for name in waiting[:room]]
        self.waiting = _with_unlisted(now, self.waiting, listed, max(self.follow, len(now) + elsewhere))
        below = min((unsettled[name] for name in waiting[room:]), default=None)
        newest_first: Sequence[str] = sorted(settled, key=lambda name: settled[name], reverse=True)
        covered = {
            name
            for name in newest_first[self.keep :]
            if settled[name] != UNDATED and (below is None or settled[name] < below)
        }
        self.floor = max([self.floor, *(settled[name] for name in covered)])
        names = [short(name) for name in newest_first if name not in covered and settled[name] > self.floor]
        most = self.keep if newest else len(names) + len(self.names)
        self.names = _with_unlisted(names, self.names, listed, most)


def _with_unlisted(now: list[str], before: Sequence[str], listed: Set[str], most: int) -> list[str]:
    """The names of now, and of those before the ones that are not listed, as far as there is room."""
    return now + [name for name in before if name not in listed][: max(0, most - len(now))]
