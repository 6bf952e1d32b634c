"""Which of a project's import histories a tick reads: one page of them, also where there are thousands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from fastlabel_dagster.sensors.long_lists import Readings
from fastlabel_dagster.sensors.settled import UNDATED
from fastlabel_dagster.sensors.visit import Unfinished

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

PAGE: Final = 1000
#: In the memory of a project: the page beyond the first that is looked through next, and whether it is its turn.
_SOUGHT: Final = "sought"
#: In the memory of a project: the page that its first look goes on with, when that takes several ticks.
_READING: Final = "reading"


@dataclass(frozen=True)
class Look:
    """One look at a list of import histories.

    Attributes:
        histories: what was read.
        whole: whether that is all of them.
        page: which page it is, when it is none of the newest: imports that are still under way are looked for there,
            and everything else on it is settled.
        first: it goes on with the first look at the list: what has ended on it had ended before, unless it is newer
            than what was settled then.
        following: the page that the next one goes on with then; 0 when nothing is left.
    """

    histories: list[dict[str, Any]]
    whole: bool = True
    page: int = 0
    first: bool = False
    following: int = 0

    def to_remember(self, memory: Mapping[str, Any], *, elsewhere: bool) -> dict[str, Any]:
        """What the memory of the project says of the next look. ``elsewhere``: an import under way stands on a page
        that was not read now; those pages and the first take turns."""
        if self.following:
            return {_READING: self.following}
        if self.whole:
            return {}
        if self.page and not self.first:
            return {_SOUGHT: [self.page + 1 if len(self.histories) == PAGE else 1, 0]}
        return {_SOUGHT: [_sought(memory)[0], 1]} if elsewhere else {}


def look_at_histories(
    client: FastLabelClient,
    project: str,
    memory: Mapping[str, Any] | None,
    readings: Readings,
    *,
    enough: Callable[[], bool],
    whole_first: bool = False,
) -> Look | Unfinished:
    """One request, when the list fits on a page, or when it is newest first and its first page reaches what is settled;
    after more than a page of news, as many as it takes to reach that.

    Else all of its pages: with the first look at a long list, and always where a long list is in another order, as
    nothing tells then on which page the next import will appear. Where that takes several looks, and the list is in no
    order at all, more imports may begin and end meanwhile, on pages that were read before, than are known by name; the
    oldest of these are not seen then.

    Args:
        readings: what looks have read that have not come to their end.
        enough: whether the time of this look is used up. It ends then, and the next one goes on behind it: of the first
            one at a list that is newest first, what was read counts already; of any other, when it has been read to its
            end.
        whole_first: nothing of the first look counts before its end.
    """
    known = memory or {}
    page, due = _sought(known)
    if due:
        return Look(client.import_histories.list(project, offset=page * PAGE, limit=PAGE), whole=False, page=page)
    begin, floor = _reading(known), str(known.get("floor", ""))
    with readings.of(project, memory) as reading:
        while True:
            offset = begin * PAGE + reading.offset
            answers = client.import_histories.list(project, offset=offset, limit=PAGE)
            reading.take(answers)
            found = list(reading.found.values())
            reading.over = True
            if len(answers) < PAGE:
                return Look(found, whole=not begin, page=begin, first=begin > 0)
            dates = [date_of(history) for history in found]
            newest_first = dates[0] > dates[-1] and all(one >= next_ for one, next_ in pairwise(dates))
            # the last ten, as one may be listed a little later than it was begun
            if newest_first and not begin and dates[-10:][0] <= floor:
                return Look(found, whole=False)
            if enough() and (begin or (newest_first and memory is None and not whole_first)):
                return Look(found, whole=False, page=begin, first=begin > 0, following=offset // PAGE + 1)
            reading.over = False
            if enough():
                return reading.unfinished()


def _reading(memory: Mapping[str, Any]) -> int:
    """The page that the first look goes on with; 0 when it has come to its end, or a damaged cursor says no page."""
    match memory.get(_READING):
        case int(page) if page >= 1:
            return page
    return 0


def _sought(memory: Mapping[str, Any]) -> tuple[int, bool]:
    """The page beyond the first that is looked through next, and whether it is its turn; the first of them, some other
    time, where a damaged cursor says what is no page."""
    match memory.get(_SOUGHT):
        case [int(page), int(due)] if page >= 1:
            return page, bool(due)
    return 1, False


def date_of(history: Mapping[str, Any]) -> str:
    """When an import was begun; later than anything when it does not say."""
    return str(history.get("createdAt") or UNDATED)
