"""What the sandbox says no with."""

from __future__ import annotations

from http import HTTPStatus

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {422: "Unprocessable Entity"}


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
