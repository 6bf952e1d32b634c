"""When a request is tried again, how often, and how long to wait before it: a value on top of `urllib3.Retry`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

from fastlabel_dagster.api.errors import Invalid

if TYPE_CHECKING:
    from typing_extensions import Self

REPEATABLE_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods that do no harm when the server processes them twice (RFC 9110, 9.2.2)."""


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a client is. A value: replace what you like, e.g. `RetryPolicy(attempts=1)` never repeats anything.

    GET, PUT and DELETE are repeated after a failed or broken connection, an answer that cannot be read, and the
    `statuses`. A POST that creates something is repeated only when it certainly was not processed: the connection was
    never made, or the server answered 429.

    Attributes:
        attempts: how often a request is sent at most, the first time included.
        backoff_seconds: wait before the second try; it doubles with each further one, with jitter of half of it
            either way, so that many workers do not come back at the same instant.
        backoff_max_seconds: longest wait that the backoff asks for.
        total_seconds: no try starts later than this after the first. It does not bound a try that is under way: the
            client's `timeout` does that for each wait for bytes, and an answer that drips in slowly but steadily may
            take longer than both. It is also the longest `Retry-After` that is waited
            for. A longer one is handed on at once as `RateLimited.retry_after`.
        statuses: answers worth another try.
        read_statuses: answers to GET that are worth one besides; whatever went wrong, reading again changes nothing.
        clock, sleep: monotonic seconds, and waiting; replaced in tests.
    """

    attempts: int = 5
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 30.0
    total_seconds: float = 300.0
    statuses: frozenset[int] = frozenset({429, 502, 503, 504})
    read_statuses: frozenset[int] = frozenset({500})
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise Invalid("attempts counts the first try too, so it is at least 1")
        if min(self.backoff_seconds, self.backoff_max_seconds, self.total_seconds) < 0:
            raise Invalid("a retry policy waits zero seconds or more")

    def begin(self) -> BoundedRetry:
        """The state of one request's tries, starting now."""
        return BoundedRetry(
            total=self.attempts - 1,
            status_forcelist=self.statuses,
            allowed_methods=REPEATABLE_METHODS,
            backoff_factor=self.backoff_seconds,
            backoff_max=self.backoff_max_seconds,
            policy=self,
            gives_up_at=self.clock() + self.total_seconds,
        )


class BoundedRetry(Retry):
    """`urllib3.Retry` bounded in time as well, with jitter that grows with the wait. Immutable, like its parent."""

    def __init__(self, *args: Any, policy: RetryPolicy, gives_up_at: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = policy
        self.gives_up_at = gives_up_at

    def new(self, **kw: Any) -> Self:
        return super().new(**{"policy": self.policy, "gives_up_at": self.gives_up_at, **kw})

    def get_backoff_time(self) -> float:
        """Seconds to wait before the next try: the backoff, half of it either way at random, at most the maximum."""
        wait = self.backoff_factor * 2 ** max(0, len(self.history) - 1)
        return float(min(self.backoff_max, wait * random.uniform(0.5, 1.5)))  # noqa: S311 - spreads load, hides nothing

    def after(self, error: Exception, method: str, path: str, retry_after: float | None) -> tuple[Self, float] | None:
        """The state for the next try and the seconds to wait before it, or None when this was the last.

        Args:
            error: what happened to the try that failed.
            retry_after: the server's wish in seconds; it overrides a shorter backoff.
        """
        try:
            following = self.increment(method, path, error=error)
        except MaxRetryError:
            return None
        wait = max(following.get_backoff_time(), retry_after or 0.0)
        if self.policy.clock() + wait > self.gives_up_at:
            return None
        return following, wait

    def seconds_in(self, header: str | None) -> float | None:
        """A `Retry-After` header, seconds or an HTTP date, as seconds from now; None when absent or unreadable."""
        if not header:
            return None
        try:
            return float(self.parse_retry_after(header))
        except (InvalidHeader, ValueError, OverflowError):
            return None
