"""One tree of errors. Each says what was asked, what came back and what to do; none carries the token."""

from __future__ import annotations


class FastLabelError(Exception):
    """Anything the API, or the way to it, refused; ``except FastLabelError`` catches every error of the client.

    Attributes:
        message: what went wrong, in the server's words where it said any.
        status: the HTTP status, or None when there was no answer.
        method, path: the request, path below the base URL and without its query.
        hint: what the reader can do about it; may be empty.
    """

    hint_by_default = ""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        method: str = "",
        path: str = "",
        hint: str = "",
    ) -> None:
        self.message = message
        self.status = status
        self.method = method
        self.path = path
        self.hint = hint or self.hint_by_default
        super().__init__(message)

    def __str__(self) -> str:
        request = f"{self.method} {self.path}".strip()
        answer = " ".join(part for part in (str(self.status or ""), self.message) if part)
        parts = [part for part in (request, answer) if part]
        return ": ".join(parts) + (f" ({self.hint})" if self.hint else "")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__.copy(), self.message))


def _rebuild(kind: type[FastLabelError], state: dict[str, object], message: str) -> FastLabelError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class TransportError(FastLabelError):
    """No answer: the connection failed, timed out, or broke off in the middle of the body."""

    hint_by_default = "check the network and FASTLABEL_API_URL; the request can be tried again"


class Unauthorized(FastLabelError):
    """401 or 403: the token is missing, wrong, or not allowed to do this."""

    hint_by_default = "check FASTLABEL_ACCESS_TOKEN and the permissions of the user it belongs to"


class NotFound(FastLabelError):
    """404: no such object, or not visible to this token."""

    hint_by_default = "it may have been deleted or renamed, or this token's user may not see it"


class Invalid(FastLabelError, ValueError):
    """Any other 4xx, and what the client refuses before sending: the request is wrong and will be wrong again."""


class RateLimited(FastLabelError):
    """429 after all retries. ``retry_after`` is the server's wish in seconds, when it named one."""

    hint_by_default = "the API allows 10,000 requests in 10 minutes; wait, or lower the request budget of this process"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = 429,
        method: str = "",
        path: str = "",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, method=method, path=path, hint=hint)
        self.retry_after = retry_after


class ServerError(FastLabelError):
    """5xx, or an answer that cannot be read (HTML, truncated or invalid JSON).

    ``retry_after`` is the server's wish in seconds, when it named one.
    """

    hint_by_default = "the server failed; try again later"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        method: str = "",
        path: str = "",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, method=method, path=path, hint=hint)
        self.retry_after = retry_after


class RemoteJobFailed(FastLabelError):
    """A training, evaluation, auto-annotation or import job ended, and not well. ``job`` is its last known state."""

    def __init__(self, message: str, *, job: dict[str, object] | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.job = dict(job or {})
