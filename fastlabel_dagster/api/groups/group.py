"""What every group of methods is made of: one call that checks the shape of the answer, and reading of all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from fastlabel_dagster.api.errors import FastLabelError, NotFound, ServerError
from fastlabel_dagster.api.paging import PAGES_IN_FLIGHT, iter_pages
from fastlabel_dagster.api.transport import Transport
from fastlabel_dagster.api.wire import Json

Answer = TypeVar("Answer")

MOST_PER_PAGE = 1000
"""The longest page that nearly every list of the API hands out."""


class Group:
    """Methods on one kind of thing.

    A further endpoint is one method: its arguments, and one `_list`, `_object`, `_text`, `_map` or `_nothing` call.
    Values that are None are left out by `wire.given`; everything else is sent, so an empty list clears.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.base_url!r})"

    def _list(self, path: str, query: Mapping[str, Any], *, as_they_are: bool = False) -> list[Json]:
        """A page. Every entry is an object, or the page is refused; ``as_they_are`` leaves that to the reader."""
        entries = _shaped(self._transport.call("GET", path, query=query), list, "GET", path)
        return entries if as_they_are else shaped_entries(entries, path)

    def _map(self, path: str, query: Mapping[str, Any]) -> dict[str, str]:
        return _shaped(self._transport.call("GET", path, query=query), dict, "GET", path)

    def _number(self, path: str, query: Mapping[str, Any]) -> int:
        return _shaped(self._transport.call("GET", path, query=query), int, "GET", path)

    def _object(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: object = None) -> Json:
        answer = self._transport.call(method, path, query=query, body=body)
        if answer is None and method == "GET":
            raise NotFound("the server answered with nothing", method=method, path=path)
        return _shaped(answer, dict, method, path)

    def _text(self, method: str, path: str, body: object) -> str:
        """For requests that answer with an id as a JSON string."""
        return _shaped(self._transport.call(method, path, body=body), str, method, path)

    def _nothing(self, method: str, path: str, *, body: object = None, harmless: bool | None = None) -> None:
        self._transport.call(method, path, body=body, harmless=harmless)


def id_in(found: Json) -> str:
    """The id of something that was found.

    Raises:
        ServerError: when it has none.
    """
    if found.get("id") in (None, ""):
        raise ServerError("the server lists it without an id")
    return str(found["id"])


def all_pages(
    fetch: Callable[[int, int], list[Json]], page_size: int = MOST_PER_PAGE, in_flight: int = PAGES_IN_FLIGHT
) -> Iterator[Json]:
    """The entries of all pages one by one, in order, `in_flight` pages ahead of the reader."""
    pages = iter_pages(fetch, page_size=page_size, in_flight=in_flight)
    return (entry for page in pages for entry in page)


def shaped_entries(entries: list[Json], path: str) -> list[Json]:
    """The entries of a page that was asked for at ``path``. Raises ServerError when one of them is no object."""
    for entry in entries:
        _shaped(entry, dict, "GET", path)
    return entries


def _shaped(answer: object, kind: type[Answer], method: str, path: str) -> Answer:
    if not isinstance(answer, kind):
        raise _misshapen(answer, kind, method, path)
    return answer


def _misshapen(answer: object, kind: type, method: str, path: str) -> FastLabelError:
    return ServerError(
        f"the answer is a {type(answer).__name__} where a {kind.__name__} was expected",
        method=method,
        path=path,
        hint="check that FASTLABEL_API_URL points at the FastLabel API",
    )
