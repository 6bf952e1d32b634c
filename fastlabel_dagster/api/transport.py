"""The way to the server: one pooled session, the token, timeouts, tries; answers as values or as one kind of error."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from copy import copy
from email.utils import parsedate_to_datetime
from enum import Enum
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from fastlabel_dagster.api.answers import (
    Again,
    Failure,
    UnreadableAnswer,
    decode_json,
    failed_answer,
    failed_connection,
    is_html,
    message_in,
)
from fastlabel_dagster.api.budget import BudgetAccount
from fastlabel_dagster.api.errors import Invalid, NotFound, ServerError
from fastlabel_dagster.api.retry import REPEATABLE_METHODS, RetryPolicy
from fastlabel_dagster.api.statistics import StatisticsCounter
from fastlabel_dagster.api.streamed import StreamedBody, json_body

log = logging.getLogger("fastlabel_dagster.api")

Timeout = float | tuple[float, float]
Body = bytes | StreamedBody

POOL_SIZE: Final = 32
"""Connections kept open per host; more threads than this still work, on connections that are closed afterwards."""
MOST_REDIRECTS: Final = 5


class BearerToken(AuthBase):
    """Puts the token on API requests. Passing any auth object also keeps `requests` from reading ~/.netrc instead."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __repr__(self) -> str:
        return "BearerToken(…)"

    def hide_in(self, text: str) -> str:
        """The text with the token, should a server echo it, crossed out."""
        return text.replace(self._token, "…")


class NoToken(AuthBase):
    """For signed URLs: no Authorization, and none from ~/.netrc either."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def clean_token(token: str) -> str:
    """The token without surrounding white space, such as the line end of a secret file.

    Raises:
        Invalid: when it cannot be a header value. The text is not repeated in the error.
    """
    token = token.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise Invalid("the access token holds characters that no token has", hint="check FASTLABEL_ACCESS_TOKEN")
    return token


def clean_base_url(url: str) -> str:
    """The base URL with its final slash.

    Raises:
        Invalid: when it is no http(s) URL, or carries a user name, a query or a fragment.
    """
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment:
        raise Invalid(
            "the API's base URL is not a plain http(s) URL",
            hint="set FASTLABEL_API_URL to something like https://api.fastlabel.ai/v1/",
        )
    return url.strip().rstrip("/") + "/"


def new_session() -> requests.Session:
    """A session with a keep-alive pool that leaves retries to us and keeps no cookies."""
    session = requests.Session()
    # read=False: urllib3 must hand every failure on at once, it does not know which POST may be repeated.
    adapter = HTTPAdapter(pool_connections=8, pool_maxsize=POOL_SIZE, max_retries=Retry(0, read=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs reach the same server: scheme, host and port."""

    def origin(url: str) -> tuple[str, str | None, int | None]:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

    return origin(one) == origin(other)


class Transport:
    """Sends requests for all groups of one client; safe to use from many threads."""

    def __init__(
        self,
        token: str,
        base_url: str,
        *,
        timeout: Timeout,
        retry: RetryPolicy,
        account: BudgetAccount | None,
        session: requests.Session,
    ) -> None:
        self.base_url = base_url
        self.timeout = timeout
        self.retry = retry
        self.session = session
        self.counter = StatisticsCounter()
        self.server_ahead: float | None = None
        """Seconds that the server's clock was ahead of ours at its last answer; None when it has not said."""
        self.longest_wait: float | None = None
        """Seconds to wait for room in the request budget at most; None waits as long as it takes."""
        self._auth = BearerToken(token)
        self._account = account

    def with_limits(self, *, timeout: Timeout | None, retry: RetryPolicy | None) -> Transport:
        """The same way to the server with other limits; see `FastLabelClient.with_limits`."""
        other = copy(self)
        if timeout is not None:
            other.timeout = timeout
        if retry is not None:
            other.retry, other.longest_wait = retry, retry.total_seconds
        return other

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        harmless: bool | None = None,
    ) -> Any:
        """Send one request, again where that is right, and return the decoded answer.

        Args:
            path: below the base URL, its ids percent-encoded (`wire.path_to`).
            query: values or lists of values; None is left out.
            body: anything JSON can hold; enum members are sent as their values.
            harmless: whether processing the request twice does no harm. By default GET, PUT and DELETE are.

        Returns:
            The JSON value; None for an empty answer, and for every successful DELETE.

        Raises:
            FastLabelError: one of its subclasses.
        """
        data = None if body is None else encode_json(body, method, path)
        _check_query(query, method, path)
        if harmless is None:
            harmless = method in REPEATABLE_METHODS
        tries = self.retry.begin()
        maybe_done = False
        while True:
            result = self._try(method, path, query, data)
            if not isinstance(result, Failure):
                return result[0]
            if method == "DELETE" and maybe_done and isinstance(result.error, NotFound):
                return None  # an earlier try did delete it, only its answer was lost
            again = result.again is Again.ALWAYS or (result.again is Again.IF_HARMLESS and harmless)
            following = tries.after(result.error, method, path, result.retry_after) if again else None
            if following is None:
                raise result.error
            maybe_done = maybe_done or result.again is Again.IF_HARMLESS
            tries, wait = following
            self.pause(wait, result.error)

    def persist(self, attempt: Callable[[], Failure | None], method: str, where: str) -> None:
        """Make an ``attempt`` that may be repeated, such as a transfer of a file, until it succeeds (None).

        Args:
            attempt: what failed, and whether another try can help.
            method: for the error, like ``where``.

        Raises:
            FastLabelError: the failure, when no try is left or none can help.
        """
        tries = self.retry.begin()
        while (failure := attempt()) is not None:
            following = tries.after(failure.error, method, where, failure.retry_after)
            if failure.again is Again.NEVER or following is None:
                raise failure.error
            tries, wait = following
            self.pause(wait, failure.error)

    @staticmethod
    def wall_clock() -> float:
        """Seconds since 1970 by our own clock, to compare with `server_ahead` added."""
        return time.time()

    def pause(self, seconds: float, reason: Exception) -> None:
        """Wait before another try, and count both."""
        log.info("%s; trying again in %.1f s", reason, seconds)
        self.retry.sleep(seconds)
        self.counter.add(retries=1, waited_seconds=seconds)

    def _try(self, method: str, path: str, query: Mapping[str, Any] | None, data: Body | None) -> tuple[Any] | Failure:
        if self._account is not None:
            self.counter.add(waited_seconds=self._account.spend(self.longest_wait))
        self.counter.add(requests=1, bytes_sent=0 if data is None else len(data))
        try:
            response = self._send(method, self.base_url + path, query, data)
            self.counter.add(bytes_received=len(response.content))
        except requests.RequestException as error:
            return failed_connection(error, method, path)
        self._note_clock(response)
        if response.is_redirect:
            return Failure(self._redirected_away(response, method, path), Again.NEVER)
        if not 200 <= response.status_code < 300:
            message = self._auth.hide_in(message_in(response))
            retry_after = self.retry.begin().seconds_in(response.headers.get("Retry-After"))
            return failed_answer(
                response,
                method=method,
                path=path,
                message=message,
                retry_after=retry_after,
                repeatable=self.retry.statuses | (self.retry.read_statuses if method == "GET" else frozenset()),
            )
        if method == "DELETE" or response.status_code == 204:
            return (None,)
        if not response.content.strip() and method != "GET":
            return (None,)
        try:
            return (decode_json(response.content),)
        except UnreadableAnswer as error:
            page = is_html(response.text[:200])
            said = "an HTML page where JSON was expected" if page else f"the answer is not JSON: {error}"
            hint = "check FASTLABEL_API_URL" if page else ""
            failure = ServerError(said, status=response.status_code, method=method, path=path, hint=hint)
            return Failure(failure, Again.IF_HARMLESS)

    def _note_clock(self, response: requests.Response) -> None:
        try:
            said = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, TypeError):
            return  # a server need not have a clock
        self.server_ahead = said.timestamp() - self.wall_clock()

    def _send(self, method: str, url: str, query: Mapping[str, Any] | None, data: Body | None) -> requests.Response:
        """One exchange. Redirects are followed only where the request stays what it is and the token stays at home."""
        for _ in range(MOST_REDIRECTS):
            response = self.session.request(
                method,
                url,
                params=query,
                data=data,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                auth=self._auth,
                timeout=self.timeout,
                allow_redirects=False,
            )
            target = urljoin(response.url, response.headers.get("Location", ""))
            keeps_method = method == "GET" or response.status_code in (307, 308)
            if not (response.is_redirect and keeps_method and same_origin(self.base_url, target)):
                break
            url, query = target, None
        return response

    def _redirected_away(self, response: requests.Response, method: str, path: str) -> Invalid:
        target = urljoin(response.url, response.headers.get("Location", ""))
        if not same_origin(self.base_url, target):
            host = urlsplit(target).netloc.rpartition("@")[2]
            said = f"the server sends this request on to {host}, where the token must not go"
        elif method == "GET" or response.status_code in (307, 308):
            said = f"the server redirects this request more than {MOST_REDIRECTS} times"
        else:
            said = "the server redirects this request in a way that would change it into a GET"
        return Invalid(
            said,
            status=response.status_code,
            method=method,
            path=path,
            hint="set FASTLABEL_API_URL to the address that answers itself",
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()


def _check_query(query: Mapping[str, Any] | None, method: str, path: str) -> None:
    """Refuse texts that no query can hold: lone surrogates, which `requests` would trip over."""
    try:
        for value in (query or {}).values():
            for text in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(text, str):
                    text.encode()
    except UnicodeEncodeError:
        raise Invalid("the request holds text that cannot be written as UTF-8", method=method, path=path) from None


def encode_json(body: object, method: str, path: str) -> Body:
    """A request body. NaN and infinities are refused, as no JSON reader on the other side is bound to take them.

    Files in it (`streamed.Base64Content`) are read from disk while the body is sent.

    Raises:
        Invalid: when the body holds something that JSON cannot.
    """
    try:
        return json_body(body, _plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"the request cannot be written as JSON: {error}", method=method, path=path) from None


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    # NumPy's numbers and arrays, without importing NumPy: both know how to become plain Python values.
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")
