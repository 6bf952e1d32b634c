"""The API's request budget, 10,000 requests in 10 minutes per token: kept by waiting, before the server says 429."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastlabel_dagster.api.errors import Invalid, RateLimited

if TYPE_CHECKING:
    from pyrate_limiter import InMemoryBucket, SQLiteBucket


@dataclass(frozen=True)
class RequestBudget:
    """How many requests this process may send in a sliding window.

    The limit is per token, so all clients of one token and one budget in a process draw from one account. Several
    processes see each other when they share a folder: `RequestBudget(shared="/var/lib/fastlabel/budget")`. Without
    one, give each its share, e.g. `RequestBudget(requests=2_500)` for four.

    Attributes:
        requests: how many requests fit into a window. The default is what FastLabel documents.
        seconds: length of the sliding window.
        shared: a folder on a local disk of this machine in which its processes keep their common account, in a small
            SQLite file per token (named after a digest of it). It is made when it is not there.
        clock: time in seconds; replaced in tests. When not given, monotonic time, or with `shared` the time of day,
            which all processes agree on.
        sleep: waits that many seconds; replaced in tests.
    """

    requests: int = 10_000
    seconds: float = 600.0
    shared: str | Path | None = None
    clock: Callable[[], float] | None = field(default=None, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds <= 0:
            raise Invalid(f"a budget of {self.requests} requests in {self.seconds} seconds allows nothing")

    def account(self, access_token: str, base_url: str) -> BudgetAccount:
        """The account that all clients of this token, server and budget share."""
        # Only a digest of the token is kept, so that no dump of this registry shows it.
        owner = hashlib.blake2b(f"{base_url}\0{access_token}".encode(), digest_size=16).digest()
        with _accounts_lock:
            return _accounts.setdefault((owner, self), BudgetAccount(self, owner.hex()))


class BudgetAccount:
    """A sliding window of the requests sent, over pyrate-limiter's in-memory bucket, or its SQLite bucket when shared.

    The bucket is driven directly, without the library's `Limiter`: that keeps clock and sleep replaceable, and needs
    no background thread that prunes the window.
    """

    def __init__(self, budget: RequestBudget, owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self._lock = threading.Lock()
        self._clock = budget.clock or (time.monotonic if budget.shared is None else time.time)
        self._bucket: InMemoryBucket | SQLiteBucket | None = None
        self._opened_by = 0

    def spend(self, longest: float | None = None) -> float:
        """Wait until one more request fits into the window, and count it.

        Args:
            longest: seconds to wait at most; None waits as long as it takes.

        Returns:
            The seconds waited, 0.0 when there was room.

        Raises:
            RateLimited: when there is no room within ``longest``; nothing is counted then.
            Invalid: when the shared account cannot be opened or written.
        """
        waited = 0.0
        while (wait := self._try_spend()) is not None:
            if longest is not None and waited + wait > longest:
                raise RateLimited("the request budget of this process is used up", status=None, retry_after=wait)
            self._budget.sleep(wait)
            waited += wait
        return waited

    def _try_spend(self) -> float | None:
        import sqlite3

        from pyrate_limiter import RateItem

        with self._lock:
            try:
                bucket = self._open()
                now = int(self._clock() * 1000)
                if bucket.count() >= self._budget.requests:
                    bucket.leak(now)
                item = RateItem("request", now)
                if bucket.put(item):
                    return None
                wait = bucket.waiting(item)
            except (OSError, sqlite3.Error) as error:
                raise Invalid(
                    f"the shared request budget cannot be kept: {error}", hint=str(self._budget.shared)
                ) from None
            assert isinstance(wait, int)  # neither bucket ever answers with an awaitable
            # One millisecond more than the bucket asks for: its window includes both ends.
            return (max(wait, 0) + 1) / 1000

    def _open(self) -> InMemoryBucket | SQLiteBucket:
        # A forked process must not go on with its parent's connection to the file.
        if self._bucket is not None and (self._budget.shared is None or self._opened_by == os.getpid()):
            return self._bucket
        from pyrate_limiter import InMemoryBucket, Rate, SQLiteBucket

        rates = [Rate(self._budget.requests, max(1, round(self._budget.seconds * 1000)))]
        if self._budget.shared is None:
            self._bucket = InMemoryBucket(rates)
        else:
            folder = Path(self._budget.shared)
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{self._owner}.sqlite"
            self._bucket = SQLiteBucket.init_from_file(rates, db_path=str(file), use_file_lock=True)
        self._opened_by = os.getpid()
        return self._bucket


_accounts: dict[tuple[bytes, RequestBudget], BudgetAccount] = {}
_accounts_lock = threading.Lock()
