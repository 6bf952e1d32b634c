"""Many small transfers at once: a bounded number of threads, a bounded number waiting, the first error wins."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

WORKERS = 16


class Transfers:
    """Runs calls on threads. `submit` waits when enough are under way, so memory stays bounded."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._running: set[Future[object]] = set()

    def submit(self, call: Callable[[], object]) -> None:
        """Run ``call`` soon. Raises the error of an earlier call, once one has failed."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="store")
        if len(self._running) >= 2 * self._workers:
            self._settle(wait(self._running, return_when=FIRST_COMPLETED).done)
        self._running.add(self._pool.submit(call))

    def drain(self) -> None:
        """Wait until everything submitted is done. Raises the first error, when all have stopped."""
        done = wait(self._running).done
        self._settle(done)

    def finish(self) -> None:
        """`drain`, then end the threads."""
        self.drain()
        self._shut()

    def abandon(self) -> None:
        """Drop what has not begun, wait for what has, end the threads. Errors no longer matter."""
        for future in self._running:
            future.cancel()
        self._running.clear()
        self._shut()

    def _settle(self, done: set[Future[object]]) -> None:
        self._running -= done
        for future in done:
            future.result()

    def _shut(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
