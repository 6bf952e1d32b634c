"""Many small waits at once, bounded; and telling a server that is down from one thing that is bad."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from fastlabel_dagster.api import FastLabelError, RateLimited, ServerError, TransportError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_flight(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """``work(item)`` for every item, on several threads; results in the order they are done.

    Items are drawn in the calling thread and only as room comes free, at most two per worker ahead. What ``work``
    raises comes out here; then, and when the caller stops early, nothing further is begun.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fastlabel-sync")
    running: set[Future[Result]] = set()
    try:
        for item in items:
            running.add(pool.submit(work, item))
            while len(running) >= 2 * workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        # Waits for what is under way, so that no thread writes to the store after the caller has moved on.
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """``work(item)`` for every item, in their order, begun ahead of the reader by this many; 0: nothing ahead."""
    if not workers:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fastlabel-ahead")
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Outage:
    """Tells one bad thing from a server that is down: after so many failures in a row the error is raised.

    Otherwise a project of a million images would be quarantined one by one, each after all its retries.
    """

    def __init__(self, in_a_row: int = 10) -> None:
        self._limit = in_a_row
        self._failures = 0

    def note(self, error: FastLabelError | None) -> None:
        """Count a result: None for one that went well, the error for one that did not.

        Raises:
            FastLabelError: the error, when it is the last straw.
        """
        if not isinstance(error, (TransportError, ServerError, RateLimited)):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._limit:
            raise error
