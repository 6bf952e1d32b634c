"""What talking to the API has cost so far: requests, retries, waiting, bytes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class RequestStatistics:
    """Counts of one client since it was made. Two of them subtract, which gives the cost of what lay between.

    ```python
    before = client.statistics
    ...
    print(client.statistics - before)
    ```

    Attributes:
        requests: requests sent to the API, repeated ones included. This is what the API's budget counts.
        downloads: requests sent to signed URLs; they cost no budget.
        retries: how many of both were repetitions of a failed try.
        waited_seconds: time spent waiting for the budget and between tries, summed over all threads.
        bytes_received: bytes of answers and downloads, after decompression.
        bytes_sent: bytes of request bodies.
    """

    requests: int = 0
    downloads: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    bytes_received: int = 0
    bytes_sent: int = 0

    def snapshot(self) -> RequestStatistics:
        """The counts as they are now. Every `client.statistics` is one already."""
        return self

    def __sub__(self, earlier: RequestStatistics) -> RequestStatistics:
        return RequestStatistics(**{f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)})

    def __add__(self, other: RequestStatistics) -> RequestStatistics:
        return RequestStatistics(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def to_dict(self) -> dict[str, int | float]:
        """The counts by name, ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


class StatisticsCounter:
    """Adds up the counts of all threads of one client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = RequestStatistics()

    def add(
        self,
        *,
        requests: int = 0,
        downloads: int = 0,
        retries: int = 0,
        waited_seconds: float = 0.0,
        bytes_received: int = 0,
        bytes_sent: int = 0,
    ) -> None:
        """Count something that happened."""
        with self._lock:
            self._total += RequestStatistics(requests, downloads, retries, waited_seconds, bytes_received, bytes_sent)

    def snapshot(self) -> RequestStatistics:
        """The counts so far, frozen."""
        with self._lock:
            return self._total
