"""What the server answered: JSON that may hold NaN, errors in every shape, and which try is worth repeating."""

from __future__ import annotations

import enum
import html
import json
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from fastlabel_dagster.api.errors import (
    FastLabelError,
    Invalid,
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from fastlabel_dagster.api.exact_json import exact_json

LONGEST_MESSAGE = 2_000
"""Characters of a server's message that are kept; some servers answer with a whole page."""


NOT_AN_API = "no list of projects is at this address; the API's, FASTLABEL_API_URL, ends in /v1/"
"""The hint for an address that answers and is none of the API's: that list is there whatever an account holds."""


class NeverSent(TransportError):
    """No connection was made, so the server has seen nothing: anything may be sent again."""


class Again(enum.Enum):
    """Whether a failed try may be repeated."""

    NEVER = "never"
    IF_HARMLESS = "only when processing it twice does no harm"
    ALWAYS = "it was certainly not processed"


@dataclass(frozen=True)
class Failure:
    """One try that did not work."""

    error: FastLabelError
    again: Again
    retry_after: float | None = None


class UnreadableAnswer(ValueError):
    """A body that is not JSON."""


def decode_json(body: bytes) -> Any:
    """The JSON value in a body.

    Strict and fast first. What strict JSON refuses but Python can hold (NaN, Infinity, a lone surrogate) is read by
    the standard library, so that one odd annotation does not cost the page of a thousand tasks around it; so are whole
    numbers beyond 64 bits.

    Raises:
        UnreadableAnswer: when it is no JSON at all: HTML, or a body that broke off.
    """
    try:
        return exact_json(body)
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None


def is_html(text: str) -> bool:
    """Whether a body is a web page, as proxies and load balancers send it."""
    return bool(re.match(r"\s*<(!doctype|html|head|body)\b", text, re.IGNORECASE))


def message_in(response: requests.Response) -> str:
    """The server's own words in an error answer of any shape, in one line of bounded length."""
    try:
        answer = decode_json(response.content)
    except UnreadableAnswer:
        text = response.content.decode("utf-8", errors="replace")
        if is_html(text):
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            said = f"an HTML page titled {html.unescape(title[1]).strip()!r}" if title else "an HTML page"
        else:
            said = text
    else:
        said = _words(answer)
    said = " ".join(said.split()) or str(response.reason or "no message")
    return said if len(said) <= LONGEST_MESSAGE else said[: LONGEST_MESSAGE - 1] + "…"


def _words(answer: object) -> str:
    if isinstance(answer, dict):
        for key in ("message", "error", "detail"):
            if answer.get(key):
                return _words(answer[key])
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return "; ".join(filter(None, map(_words, answer)))
    return "" if answer is None or answer == {} else json.dumps(answer, ensure_ascii=False, default=str)


def failed_answer(
    response: requests.Response,
    *,
    method: str,
    path: str,
    message: str,
    retry_after: float | None,
    repeatable: frozenset[int],
) -> Failure:
    """The failure that an answer outside 2xx stands for."""
    status = response.status_code
    if status == 429:
        limited = RateLimited(message, method=method, path=path, retry_after=retry_after)
        return Failure(limited, Again.ALWAYS if 429 in repeatable else Again.NEVER, retry_after)
    again = Again.IF_HARMLESS if status in repeatable else Again.NEVER
    kind: type[FastLabelError]
    if status in (401, 403):
        kind = Unauthorized
    elif status == 404:
        kind = NotFound
    elif 400 <= status < 500:
        kind = Invalid
    else:
        failed = ServerError(message, status=status, method=method, path=path, retry_after=retry_after)
        return Failure(failed, again, retry_after)
    hint = NOT_AN_API if kind is NotFound and (method, path) == ("GET", "projects") else ""
    return Failure(kind(message, status=status, method=method, path=path, hint=hint), again, retry_after)


def failed_connection(error: requests.RequestException, method: str, path: str) -> Failure:
    """The failure that an exception of `requests` stands for: no answer at all, or one that broke off.

    The exception itself is not passed on: it holds the request, and that holds the token.
    """
    chain = list(_reasons(error))
    said = _said_by(chain)
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in chain):
        return Failure(
            TransportError(
                said, hint="the server's certificate is not trusted; check FASTLABEL_API_URL", method=method, path=path
            ),
            Again.NEVER,
        )
    never_connected = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.ProxyError,
        socket.gaierror,
        ConnectionRefusedError,
    )
    if isinstance(error, requests.ConnectTimeout) or any(isinstance(e, never_connected) for e in chain):
        return Failure(NeverSent(said, method=method, path=path), Again.ALWAYS)
    if isinstance(error, ValueError):
        # InvalidURL, InvalidHeader, MissingSchema: requests refused to send it, and will refuse again.
        return Failure(Invalid(said, method=method, path=path), Again.NEVER)
    return Failure(TransportError(said, method=method, path=path), Again.IF_HARMLESS)


def _reasons(error: BaseException) -> list[BaseException]:
    """An exception and what caused it, outermost first: `requests` and urllib3 wrap several layers deep.

    They pass each layer on as `reason`, as an argument or with `raise … from`. `__context__` is left alone: Python puts
    there whatever the caller was handling when it called us, and a refused connection of somebody else's must not make
    a request that was sent look like one that never was.
    """
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        reason = waiting.pop(0)
        if not isinstance(reason, BaseException) or any(reason is seen for seen in found):
            continue
        found.append(reason)
        waiting += [getattr(reason, "reason", None), reason.__cause__, *reason.args]
    return found


def _said_by(chain: list[BaseException]) -> str:
    """What happened, in the words of the innermost cause: the outer layers print the whole URL with its query."""
    for e in chain:
        if isinstance(e, urllib3.exceptions.IncompleteRead):
            return f"the answer broke off after {e.partial} bytes, {e.expected} more were announced"
    for e in reversed(chain):
        if isinstance(e, OSError) and e.strerror:
            return e.strerror
    # Asked last: for urllib3 a refused connection is a kind of timeout as well.
    if any(isinstance(e, (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)) for e in chain):
        connecting = any(isinstance(e, urllib3.exceptions.ConnectTimeoutError) for e in chain)
        return "timed out while connecting" if connecting else "timed out while waiting for the answer"
    kinds = [type(e).__name__ for e in chain]
    return "the connection failed: " + " < ".join(dict.fromkeys(kinds))
