"""One request as an endpoint sees it, and the row that puts an endpoint into the API."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlabel_dagster.sandbox.errors import Refused, invalid
from fastlabel_dagster.sandbox.task_body import Linker

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from fastlabel_dagster.sandbox.state import SandboxState


class JsonText(str):
    """An answer that is JSON text already."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """A request that has passed authentication and the budget."""

    state: SandboxState
    path: Mapping[str, str]
    query: QueryParams
    body: Mapping[str, Any]
    base: str
    page_limit: int | None = None

    @property
    def link(self) -> Linker:
        """Signs download links below the address the caller used."""
        return lambda key: self.state.files.link(self.base, key)

    def text(self, name: str) -> str | None:
        """A query parameter, None when it is absent or empty."""
        return self.query.get(name) or None

    def texts(self, name: str) -> list[str]:
        """A repeated query parameter (``tags=a&tags=b``)."""
        return [value for value in self.query.getlist(name) if value]

    def page(self, default: int, most: int) -> dict[str, Any]:
        """``offset`` and ``limit``; a 422 for a limit over ``most`` and for what is not a number of 0 or more."""
        most = self.page_limit or most
        limit = self._whole("limit", min(default, most))
        if limit > most:
            raise invalid(f"Limit must be less than or equal to {most}.")
        return {"offset": self._whole("offset", 0), "limit": limit}

    def _whole(self, name: str, default: int) -> int:
        given = self.text(name)
        if given is None:
            return default
        if not given.isascii() or not given.isdigit() or len(given) > 12:
            raise invalid(f"{name} must be a whole number of 0 or more")
        return int(given)

    def required(self, name: str) -> Any:
        """A field of the request body; a 422 when it is absent."""
        if self.body.get(name) is None:
            raise invalid(f"{name} should not be empty")
        return self.body[name]

    def number(self, name: str, default: float | None = None) -> float:
        """A field of the request body that is a finite number of 0 or more; a 422 otherwise, or when it is absent and
        there is no default."""
        given = self.body.get(name)
        given = default if given is None else given
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
            raise invalid(f"{name} must be a number of 0 or more")
        return given

    def file(self, name: str) -> bytes:
        """A base64 field of the request body as bytes; a 422 when it is absent or not base64."""
        import base64
        import binascii

        text = self.required(name)
        if not isinstance(text, str):
            raise invalid(f"{name} must be a base64 text")
        try:
            return base64.b64decode(text.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise invalid(f"{name} is not valid base64") from error


class Endpoint(NamedTuple):
    """``handler`` answers ``method`` on ``path`` (Starlette's path syntax, below ``/v1/`` or ``/_sandbox/``)."""

    method: str
    path: str
    handler: Callable[[Call], Any]


def not_here(call: Call) -> Any:
    """What every path answers that nobody knows."""
    raise Refused(404, "Cannot find this path")
