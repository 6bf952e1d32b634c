"""The sandbox's clock: it can run fast, be moved ahead by hand, and goes on through a restart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from fastlabel_dagster.sandbox.database import Database


class Clock:
    """Seconds since 1970 as the sandbox counts them.

    :meth:`now` runs ``speed`` times as fast as the wall and dates everything: tasks, jobs, their ends. Links and the
    request budget go by :meth:`unscaled`, the wall plus what was advanced by hand, so that a fast clock does not turn
    an hour's link into a second's.
    """

    def __init__(
        self, database: Database, *, speed: float | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._wall = wall
        self._lock = threading.Lock()
        saved = database.setting("clock")
        now = wall()
        anchor = {"time": now, "wall": now, "speed": 1.0, "advanced": 0.0} if saved is None else json.loads(saved)
        self._time = float(anchor["time"])
        self._at = float(anchor["wall"])
        self._speed = float(anchor["speed"])
        self._advanced = float(anchor["advanced"])
        if saved is None or (speed is not None and speed != self._speed):
            self.set_speed(self._speed if speed is None else speed)

    @property
    def speed(self) -> float:
        """How many seconds pass on this clock in one second of the wall's."""
        return self._speed

    def now(self) -> float:
        """The time on this clock, in seconds since 1970; never runs backwards."""
        return self._time + max(0.0, self._wall() - self._at) * self._speed

    def unscaled(self) -> float:
        """The wall's time plus what was advanced by hand, in seconds since 1970."""
        return self._wall() + self._advanced

    def advance(self, seconds: float) -> float:
        """Move the clock ahead by ``seconds`` (not negative); answers the new time."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a clock moves ahead only: {seconds!r} seconds")
        with self._lock:
            self._anchor(self.now() + seconds, self._speed, self._advanced + seconds)
        return self.now()

    def set_speed(self, speed: float) -> None:
        """Let the clock run ``speed`` times as fast as the wall from now on; 0 stops it."""
        if not 0 <= speed < float("inf"):
            raise ValueError(f"not a speed for a clock: {speed!r}")
        with self._lock:
            self._anchor(self.now(), speed, self._advanced)

    def _anchor(self, at: float, speed: float, advanced: float) -> None:
        self._time, self._at, self._speed, self._advanced = at, self._wall(), speed, advanced
        anchor = {"time": self._time, "wall": self._at, "speed": speed, "advanced": advanced}
        self._database.set_setting("clock", json.dumps(anchor))


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as the API writes a time: ``2021-02-22T11:25:27.158Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
