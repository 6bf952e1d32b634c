"""What the sandbox says no with."""

from __future__ import annotations

_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class SandboxError(RuntimeError):
    """The sandbox itself cannot run: a busy port, an unwritable data folder, nothing to seed from."""


class Refused(Exception):
    """A request the service turns down; becomes ``{"statusCode", "message", "error"}`` with this HTTP status."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """The JSON object sent to the caller."""
        return {"statusCode": self.status, "message": self.message, "error": _PHRASES.get(self.status, "Error")}


def invalid(message: str) -> Refused:
    """A 422: the request is understood and breaks a rule."""
    return Refused(422, message)


def missing(message: str) -> Refused:
    """A 404: no such thing."""
    return Refused(404, message)
