"""The messages of a project, read a page at a time: how many comments are open, and which messages are new."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fastlabel_dagster.sensors.cursor import short

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

PAGE: Final = 1000
#: A message may appear this many seconds after one that is younger by its date.
_LATE: Final = 600.0
#: A date that lies further ahead of our clock than this is not looked at before its time has come: one wrong date would
#: make every later message an old one.
_AHEAD: Final = 600.0
#: How many messages of that time are known by name; with more of them the time is shorter.
_NAMED: Final = 8
#: Characters of a comment's mark, and how many characters of a cursor all projects together may use for such marks.
_MARK: Final = 5
_MARKS: Final = 24_000
#: Characters of a message that a table shows.
_SHOWN: Final = 300


@dataclass(frozen=True)
class Message:
    """One message of an open comment."""

    id: str
    text: str
    comment: str
    task: str
    content: str
    created: str

    @classmethod
    def of(cls, thread: Mapping[str, Any]) -> Message:
        """The message of an entry of ``comments/threads``."""
        comment = thread.get("comment") or {}
        text = " ".join(str(thread.get("text") or "").split())
        return cls(
            id=str(thread.get("id")),
            text=text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…",
            comment=str(comment.get("id") or ""),
            task=str(comment.get("taskId") or ""),
            content=str(comment.get("contentName") or "")[:_SHOWN],
            created=str(thread.get("createdAt") or ""),
        )


def page_of_messages(client: FastLabelClient, project: str, memory: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The page whose turn it is: one request."""
    offset = int((memory or {}).get("page", 0)) * PAGE
    return client.comments.list(project, offset=offset, limit=PAGE)


@dataclass
class Reading:
    """How far a project's messages are read. A round reads all pages, one a visit; most projects have one.

    Which messages are new is known by their dates, whatever the order of the list: those younger than ``floor``, which
    lies some minutes before the youngest one of the last round, and not named in ``names``.

    Attributes:
        page: which page comes next.
        counted: open comments on the pages of this round so far.
        marks: of the comments counted on the pages of this round so far, as one may have messages on several pages; the
            last ones, when there are more than ``keep``: a comment further back may be counted twice.
        open: open comments of the last whole round; None before the first.
        high, low, fresh: the youngest date of this round so far, the date up to which messages need no name, and those
            above it: id (short) -> date.
    """

    page: int = 0
    counted: int = 0
    marks: list[str] = field(default_factory=list)
    open: int | None = None
    floor: float = 0.0
    names: set[str] = field(default_factory=set)
    high: float = 0.0
    low: float = 0.0
    fresh: dict[str, float] = field(default_factory=dict)
    keep: int = _MARKS // _MARK

    @classmethod
    def load(cls, known: Mapping[str, Any], *, targets: int = 1) -> Reading:
        """What :meth:`dump` wrote; ``targets`` share a cursor."""
        marks = str(known.get("marks", ""))
        return cls(
            keep=_MARKS // _MARK // max(1, targets),
            marks=[marks[start : start + _MARK] for start in range(0, len(marks), _MARK)],
            page=int(known.get("page", 0)),
            counted=int(known.get("counted", 0)),
            open=known.get("open"),
            floor=float(known.get("floor", 0)),
            names=set(known.get("names", "").split()),
            high=float(known.get("high", 0)),
            low=float(known.get("low", 0)),
            fresh={name: float(date) for name, date in known.get("fresh", {}).items()},
        )

    def dump(self) -> dict[str, Any]:
        """JSON for a cursor; what is empty is left out."""
        state = {
            "page": self.page,
            "counted": self.counted,
            "marks": "".join(self.marks),
            "floor": round(self.floor, 3),
            "names": " ".join(sorted(self.names)),
            "high": round(self.high, 3),
            "low": round(self.low, 3),
            "fresh": self.fresh,
        }
        return {key: value for key, value in state.items() if value} | (
            {} if self.open is None else {"open": self.open}
        )

    def take(
        self, page: Sequence[Mapping[str, Any]], *, now: float | None = None
    ) -> tuple[list[Message], list[Message]]:
        """Take in a page, ``now`` (seconds since 1970; by default this moment).

        Returns:
            The messages of open comments on it, the youngest first, and those of them that are new.
        """
        latest = (time.time() if now is None else now) + _AHEAD
        if (
            max(self.floor, self.high, self.low) > latest
        ):  # of a release that believed every date, or our clock was wrong
            self.floor, self.high, self.low = (min(date, latest) for date in (self.floor, self.high, self.low))
        threads = [(thread, _date(thread.get("createdAt"), latest)) for thread in page]
        open_ = [(thread, date) for thread, date in threads if not (thread.get("comment") or {}).get("isResolved")]
        open_.sort(key=lambda one: one[1], reverse=True)
        new = [thread for thread, date in open_ if date > self.floor and short(str(thread.get("id"))) not in self.names]
        comments = {str((thread.get("comment") or {}).get("id")) for thread, _ in open_}
        marks = {comment: short(comment)[:_MARK] for comment in sorted(comments)}
        before = set(self.marks)
        self.counted += sum(mark not in before for mark in marks.values())
        self.high = max([self.high, *(date for _, date in threads)])
        self.fresh.update({short(str(thread.get("id"))): date for thread, date in threads})
        youngest = sorted(self.fresh.values(), reverse=True)
        self.low = max(self.low, self.high - _LATE, *youngest[_NAMED : _NAMED + 1])
        self.fresh = {name: date for name, date in self.fresh.items() if date > self.low}
        if len(page) == PAGE:
            self.page += 1
            here = set(marks.values())
            self.marks = [*sorted(here), *(mark for mark in self.marks if mark not in here)][: self.keep]
            # the list may move on by a few before the next page is read
            self.names |= set(self.fresh) & {short(str(thread.get("id"))) for thread in new}
        else:
            self.open, self.floor, self.names = self.counted, max(self.floor, self.low), set(self.fresh)
            self.page, self.counted, self.high, self.low, self.fresh = 0, 0, 0.0, 0.0, {}
            self.marks = []
        return [Message.of(thread) for thread, _ in open_], [Message.of(thread) for thread in new]


def _date(text: object, latest: float) -> float:
    """Seconds since 1970; 0 for what is no date, so that it is never taken for new, or one after ``latest``."""
    try:
        date = datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return date if date <= latest else 0.0
