"""All pages of a list: several in flight, handed on in order, memory bounded by the look-ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fastlabel_dagster.api.errors import Invalid

Page = TypeVar("Page", bound=Sized)

PAGES_IN_FLIGHT = 4
"""How many pages are asked for ahead of the reader unless told otherwise."""


def iter_pages(
    fetch: Callable[[int, int], Page],
    *,
    page_size: int,
    offset: int = 0,
    in_flight: int = PAGES_IN_FLIGHT,
) -> Iterator[Page]:
    """Every page of a list that is read by offset and limit.

    The first page is read alone: most lists end there. While the reader works on a page, up to `in_flight` further
    ones are fetched or wait, never more. A page with fewer than `page_size` entries is the last; what was asked for
    beyond it is dropped. An empty page is never handed on.

    Args:
        fetch: called with offset and limit, from several threads.
        page_size: entries per page, at least 1.
        offset: where to begin.
        in_flight: pages fetched ahead, at least 1.

    Raises:
        Invalid: at once, for a page size, offset or look-ahead that makes no sense.
        FastLabelError: what `fetch` raised, when its page's turn comes.
    """
    if page_size < 1 or in_flight < 1 or offset < 0:
        raise Invalid(f"cannot read pages of {page_size} from {offset} with {in_flight} in flight")
    return _pages(fetch, page_size, offset, in_flight)


def _pages(fetch: Callable[[int, int], Page], size: int, offset: int, in_flight: int) -> Iterator[Page]:
    page = fetch(offset, size)
    following = offset + size
    pool: ThreadPoolExecutor | None = None
    ahead: deque[Future[Page]] = deque()
    try:
        while True:
            last = len(page) < size
            if not last:
                # Ask before the reader is given this page, so that the line is never idle.
                pool = pool or ThreadPoolExecutor(max_workers=in_flight, thread_name_prefix="fastlabel-pages")
                while len(ahead) < in_flight:
                    ahead.append(pool.submit(fetch, following, size))
                    following += size
            if len(page):
                yield page
            if last:
                return
            page = ahead.popleft().result()
    finally:
        # Also when the reader stops early or a page failed: nothing further is sent, nobody is waited for.
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
