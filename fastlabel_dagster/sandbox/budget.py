"""The service's request budget: so many requests in a sliding window of ten minutes."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

from fastlabel_dagster.sandbox.errors import Refused

WINDOW_SECONDS = 600.0


class Budget:
    """Counts requests by ``time`` (seconds). The service documents the figure; 429 with Retry-After is our reading of
    what follows when it is passed."""

    def __init__(self, requests: int, time: Callable[[], float]) -> None:
        self._requests = requests
        self._time = time
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count one request; raise a 429 with ``Retry-After`` (whole seconds) when the window is full."""
        with self._lock:
            now = self._time()
            while self._taken and self._taken[0] <= now - WINDOW_SECONDS:
                self._taken.popleft()
            if len(self._taken) < self._requests:
                self._taken.append(now)
                return
            wait = max(1, math.ceil(self._taken[0] + WINDOW_SECONDS - now)) if self._taken else int(WINDOW_SECONDS)
        raise Refused(
            429,
            f"Too many requests: {self._requests} in {WINDOW_SECONDS / 60:.0f} minutes are allowed.",
            headers={"Retry-After": str(wait)},
        )
