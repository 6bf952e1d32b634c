"""Uploads to signed links, written to the disk as they come in: an archive of gigabytes needs no memory."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import BinaryIO

from fastlabel_dagster.sandbox.errors import Refused

_FORM = re.compile(r'multipart/form-data;.*boundary="?([^";]+)"?')
_LONGEST_HEAD = 64 << 10


class Upload:
    """A file that is coming in for ``target``: the body itself, or the one part of a multipart form.

    The official SDK sends a form where the service's own links take a plain body; both arrive as the same bytes. A
    context manager: what was not completed by :meth:`finish` leaves nothing behind.
    """

    def __init__(self, target: Path, content_type: str) -> None:
        form = _FORM.match(content_type)
        self._mark = b"" if form is None else b"--" + form.group(1).encode("latin-1")
        self._head: bytes | None = b"" if form else None
        self._target = target
        target.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = target.with_name(f".{secrets.token_hex(8)}")
        self._file: BinaryIO = self._temporary.open("w+b")

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Take the next piece of the request's body."""
        if self._head is None:
            self._file.write(chunk)
            return
        self._head += chunk
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            if not self._head.startswith(self._mark):
                raise Refused(400, "The multipart form does not begin with its boundary")
            rest, self._head = self._head[end + 4 :], None
            self._file.write(rest)
        elif len(self._head) > _LONGEST_HEAD:
            raise Refused(400, "The multipart form has no end of its head")

    def finish(self) -> None:
        """Put the file in its place. A 400 when a form is not complete."""
        if self._mark:
            if self._head is not None:
                raise Refused(400, "The multipart form is not complete")
            closing = b"\r\n" + self._mark + b"--"
            length = self._file.tell()
            start = max(0, length - len(closing) - 16)
            self._file.seek(start)
            at = self._file.read().rfind(closing)
            if at < 0:
                raise Refused(400, "The multipart form is not complete")
            self._file.truncate(start + at)
        self._file.flush()
        self._temporary.replace(self._target)
