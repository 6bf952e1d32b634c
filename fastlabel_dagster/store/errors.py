"""What a store says when it cannot do as asked: one sentence, the place, and what to do. Never a credential."""

from __future__ import annotations

import errno as codes
import os
from collections.abc import Iterator
from contextlib import contextmanager


class StoreError(OSError):
    """A store refused, or cannot be reached. A missing object is a plain ``FileNotFoundError`` instead.

    ``str()`` is one sentence naming the place and what to do; ``errno`` is kept where the operating system gave one.

    Attributes:
        uri: the place, a local path or ``s3://bucket/key``.
    """

    def __init__(self, message: str, uri: str = "", errno: int | None = None) -> None:
        super().__init__(message)
        self.uri = uri
        self.errno = errno

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.uri, self.errno))


_SENTENCES = {
    codes.ENOSPC: "cannot write {uri}: the disk is full; free some space or name another folder",
    codes.EDQUOT: "cannot write {uri}: the disk quota is used up; free some space or name another folder",
    codes.EACCES: "cannot use {uri}: permission denied; check who owns the folder and its mode",
    codes.EPERM: "cannot use {uri}: the system does not permit it; check who owns the folder and its mode",
    codes.EROFS: "cannot write {uri}: the file system is read-only; name another folder",
    codes.ENOTDIR: "cannot use {uri}: a part of the path is a file, not a folder; remove it or name another folder",
    codes.EEXIST: "cannot use {uri}: a part of the path is a file, not a folder; remove it or name another folder",
    codes.EISDIR: "cannot use {uri} as a file: it is a folder; remove the folder or choose another name",
    codes.ENAMETOOLONG: "cannot write {uri}: the name is too long for this file system; choose a shorter one",
    codes.EFBIG: "cannot write {uri}: the file is larger than the system allows; raise the limit (ulimit -f)",
    codes.EMFILE: "cannot open {uri}: too many open files; raise the limit (ulimit -n)",
    codes.EIO: "cannot use {uri}: the disk answered with an input/output error; check the disk",
}


def local_error(error: OSError, uri: str) -> OSError:
    """The error of the operating system as this package says it; ``FileNotFoundError`` stays what it is."""
    if isinstance(error, StoreError):
        return error
    if error.errno == codes.ENOENT:
        return missing(uri)
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    sentence = _SENTENCES.get(error.errno or 0, "cannot use {uri}: {reason}")
    return StoreError(sentence.format(uri=uri, reason=reason), uri, error.errno)


def missing(uri: str) -> FileNotFoundError:
    """The error for an object that is not there."""
    return FileNotFoundError(codes.ENOENT, "no such object", uri)


@contextmanager
def said_plainly(uri: str) -> Iterator[None]:
    """Turn an ``OSError`` raised within into a ``StoreError`` (or ``FileNotFoundError``) that names ``uri``."""
    try:
        yield
    except OSError as error:
        plain = local_error(error, uri)
        if plain is error:
            raise
        raise plain from error
