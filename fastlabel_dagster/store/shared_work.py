"""Work that other threads begin ahead, and that whoever waits for it does himself as far as nobody has begun it.

A thread that waits for others is a processor that does nothing, and one thread less to wait for is one set of buffers
less to be handed out by the system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SharedWork(Generic[Result]):
    """``work()``, begun by a thread of ``others``, or in this thread by :meth:`begin_here`."""

    def __init__(self, others: Executor, work: Callable[[], Result]) -> None:
        self._work = work
        self._future: Future[Result] = others.submit(work)

    def begin_here(self) -> bool:
        """Do it now, in this thread, if nobody has begun it; False: somebody has."""
        if not self._future.cancel():
            return False
        self._future = Future()
        try:
            self._future.set_result(self._work())
        except Exception as error:  # noqa: BLE001 - comes out where its result is asked for, as another thread's would
            self._future.set_exception(error)
        return True

    def result(self, behind: Iterable[SharedWork[Result]] = ()) -> Result:
        """What came of it. Whatever of this and of the work ``behind`` it nobody has begun is done here meanwhile.

        Raises what ``work`` raises."""
        waiting = [self, *behind]
        while not self._future.done() and any(one.begin_here() for one in waiting):
            pass
        return self._future.result()
