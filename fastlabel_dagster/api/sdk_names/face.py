"""What the methods with the SDK's names are made of: a request, its answer handed on as it is."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.api.errors import Invalid, ServerError
from fastlabel_dagster.api.transport import Transport
from fastlabel_dagster.api.wire import Json, check_limit


class SdkFace:
    """The SDK's rules: falsy optional values are not sent, answers are not looked at.

    A further method is its signature and one call of these.
    """

    _transport: Transport

    def _get(self, path: str, query: Json | None = None) -> Any:
        return self._transport.call("GET", path, query=query)

    def _get_page(self, path: str, query: Json, *, limit: int | None, maximum: int = 1000) -> Any:
        check_limit(limit, maximum)
        return self._get(path, query)

    def _post(self, path: str, body: Json, *, harmless: bool | None = None) -> Any:
        return self._transport.call("POST", path, body=body, harmless=harmless)

    def _put(self, path: str, body: Json) -> Any:
        return self._transport.call("PUT", path, body=body)

    def _delete(self, path: str) -> None:
        self._transport.call("DELETE", path)


def first_of(found: list[Json] | None) -> Json | None:
    """The first entry of a list, or None.

    Raises:
        ServerError: when it is no list.
    """
    if not isinstance(found, (list, type(None))):
        raise ServerError(f"the answer is a {type(found).__name__} where a list was expected")
    return found[0] if found else None


def named(name: str, what: str) -> str:
    """The name that is looked for.

    Raises:
        Invalid: for an empty one. The API takes it as no filter at all, and the answer would be just anything.
    """
    if not name:
        raise Invalid(f"an empty {what} finds nothing")
    return name
