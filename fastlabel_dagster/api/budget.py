"""The API's request budget, 10,000 requests in 10 minutes per token: kept by waiting, before the server says 429."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastlabel_dagster.api.errors import Invalid

if TYPE_CHECKING:
    from pyrate_limiter import InMemoryBucket


@dataclass(frozen=True)
class RequestBudget:
    """How many requests this process may send in a sliding window.

    The limit is per token, so all clients of one token and one budget in a process draw from one account. Several
    processes cannot see each other: give each its share, e.g. `RequestBudget(requests=2_500)` for four.

    Attributes:
        requests: how many requests fit into a window. The default is what FastLabel documents.
        seconds: length of the sliding window.
        clock: monotonic time in seconds; replaced in tests.
        sleep: waits that many seconds; replaced in tests.
    """

    requests: int = 10_000
    seconds: float = 600.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds <= 0:
            raise Invalid(f"a budget of {self.requests} requests in {self.seconds} seconds allows nothing")

    def account(self, access_token: str, base_url: str) -> BudgetAccount:
        """The account that all clients of this token, server and budget share."""
        # Only a digest of the token is kept, so that no dump of this registry shows it.
        owner = hashlib.blake2b(f"{base_url}\0{access_token}".encode(), digest_size=16).digest()
        with _accounts_lock:
            return _accounts.setdefault((owner, self), BudgetAccount(self))


class BudgetAccount:
    """A sliding window of the requests sent, over pyrate-limiter's in-memory bucket.

    The bucket is driven directly, without the library's `Limiter`: that keeps clock and sleep replaceable, and needs
    no background thread that prunes the window.
    """

    def __init__(self, budget: RequestBudget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._bucket: InMemoryBucket | None = None

    def spend(self) -> float:
        """Wait until one more request fits into the window, and count it.

        Returns:
            The seconds waited, 0.0 when there was room.
        """
        waited = 0.0
        while (wait := self._try_spend()) is not None:
            self._budget.sleep(wait)
            waited += wait
        return waited

    def _try_spend(self) -> float | None:
        from pyrate_limiter import InMemoryBucket, Rate, RateItem

        with self._lock:
            if self._bucket is None:
                self._bucket = InMemoryBucket([Rate(self._budget.requests, max(1, round(self._budget.seconds * 1000)))])
            now = int(self._budget.clock() * 1000)
            if self._bucket.count() >= self._budget.requests:
                self._bucket.leak(now)
            item = RateItem("request", now)
            if self._bucket.put(item):
                return None
            wait = self._bucket.waiting(item)
            assert isinstance(wait, int)  # the in-memory bucket never answers with an awaitable
            # One millisecond more than the bucket asks for: its window includes both ends.
            return (max(wait, 0) + 1) / 1000


_accounts: dict[tuple[bytes, RequestBudget], BudgetAccount] = {}
_accounts_lock = threading.Lock()
