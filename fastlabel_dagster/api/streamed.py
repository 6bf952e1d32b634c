"""Request bodies that are read from disk while they are sent: base64 inside JSON, and multipart forms.

Their length is known beforehand, so they travel with a Content-Length; they can be sent again from the start; and no
more than a few hundred kilobytes of them are in memory at any time.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from urllib3.fields import RequestField

from fastlabel_dagster.api.errors import Invalid

PIECE_BYTES: Final = 192 * 1024
"""How much of a file is read at a time: a multiple of 3, so that base64 pieces join without padding."""


class Base64Content:
    """A file's content as a JSON string of base64, written out only when the request is sent.

    Args:
        source: where the file lies, or its bytes.
        size: its length in bytes. Exactly as many are sent, as the request's length was promised by then.
    """

    __slots__ = ("size", "source")

    def __init__(self, source: Path | bytes, size: int) -> None:
        self.source = source
        self.size = size

    def __repr__(self) -> str:
        return f"Base64Content({self.size} bytes)"

    def __len__(self) -> int:
        """Characters of base64."""
        return 4 * ((self.size + 2) // 3)

    def pieces(self) -> Iterator[bytes]:
        """The base64 text, piece by piece."""
        for piece in _read(self.source, self.size):
            yield base64.b64encode(piece)


def _read(source: Path | bytes, size: int) -> Iterator[bytes]:
    left = size
    try:
        with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            while left:
                piece = _exactly(file, min(PIECE_BYTES, left))
                if len(piece) < min(PIECE_BYTES, left):
                    raise Invalid("a file became shorter while it was being sent", hint="send it when it is complete")
                left -= len(piece)
                yield piece
    except OSError as error:
        # As it stands, `requests` would take it for a broken connection, and the request would be sent again.
        raise Invalid(f"a file could not be read while it was being sent: {error.strerror or error}") from None


def _exactly(file: BinaryIO, size: int) -> bytes:
    """So many bytes even where a read may return fewer, as on pipes and network file systems; less only at the end."""
    piece = file.read(size)
    while len(piece) < size and (more := file.read(size - len(piece))):
        piece += more
    return piece


class StreamedBody:
    """A body made of pieces: what is short is held, what is long is read when its turn comes.

    `requests` takes it for what it is: something to iterate over, with a length.
    """

    def __init__(self, parts: list[bytes | Base64Content | FilePart]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()


class FilePart:
    """A file as it is, in the middle of a form."""

    __slots__ = ("path", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def __len__(self) -> int:
        return self.size

    def pieces(self) -> Iterator[bytes]:
        """The file's bytes, piece by piece."""
        return _read(self.path, self.size)


def json_body(body: object, plain: Callable[[object], object]) -> bytes | StreamedBody:
    """A JSON text; streamed when there is a `Base64Content` in it.

    Args:
        plain: turns what JSON cannot hold into something it can, as `default` of `json.dumps`.

    Raises:
        TypeError, ValueError, RecursionError: as `json.dumps`; NaN and infinities are refused.
    """
    files: list[Base64Content] = []
    # Unguessable, so that no text of the caller's can be taken for the place of a file.
    mark = f"file-{secrets.token_hex(16)}-"

    def default(value: object) -> object:
        if isinstance(value, Base64Content):
            files.append(value)
            return mark
        return plain(value)

    text = json.dumps(body, allow_nan=False, separators=(",", ":"), default=default).encode("ascii")
    if not files:
        return text
    between = text.split(mark.encode("ascii"))
    parts: list[bytes | Base64Content | FilePart] = [between[0]]
    for file, after in zip(files, between[1:], strict=True):
        parts += [file, after]
    return StreamedBody(parts)


def form_body(path: Path) -> tuple[StreamedBody, str]:
    """A multipart form with one file in a field named `file`, and the Content-Type that goes with it.

    Raises:
        OSError: when there is no such file.
    """
    boundary = secrets.token_hex(16)
    field = RequestField(name="file", data=b"", filename=path.name)
    field.make_multipart(content_type=None)
    head = f"--{boundary}\r\n{field.render_headers()}".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    return StreamedBody([head, FilePart(path), tail]), f"multipart/form-data; boundary={boundary}"
