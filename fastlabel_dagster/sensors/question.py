"""One question to the server, which nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fastlabel_dagster.api.errors import TransportError
from fastlabel_dagster.sensors.visit import Ask

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: So many questions about one target may be under way in this process, those of earlier ticks and other sensors too.
_UNDER_WAY: Final = 8


class Question(threading.Thread):
    """One ``ask`` on a thread of its own: a timeout bounds each wait for bytes, but neither the look-up of a name nor
    an answer that drips in. Where answers never end, questions become no more than some: each holds a connection."""

    def __init__(self, ask: Ask, client: FastLabelClient, target: str, memory: Mapping[str, Any] | None) -> None:
        super().__init__(name=f"fastlabel-poll-{target[:40]}", daemon=True)
        self.target = target
        self.answer: Any = None
        self.error: Exception | None = None
        self._ask = ask
        self._arguments = (client, target, memory)

    def run(self) -> None:
        try:
            self.answer = self._ask(*self._arguments)
        except Exception as error:  # noqa: BLE001 - handed to the tick, which tells of it
            self.error = error

    def put(self) -> None:
        """Ask, unless too many questions about the target are without an answer."""
        others = [one for one in threading.enumerate() if isinstance(one, Question) and one.target == self.target]
        if len(others) >= _UNDER_WAY:
            self.error = TransportError(f"not asked: {len(others)} earlier questions are still under way")
        else:
            self.start()

    def wait(self, left: float, of: float) -> Exception | None:
        """What has gone wrong, when the seconds that are ``left`` of those it was given are over; None when there is an
        answer."""
        if self.ident is None:
            return self.error
        self.join(left)
        # asked first: it may come to its end while we look
        return TransportError(f"no answer within {of:.1f} s") if self.is_alive() else self.error
