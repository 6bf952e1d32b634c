"""Paths inside a store: relative, POSIX, unable to leave it. And the names a store keeps for its unfinished work."""

from __future__ import annotations

import os
import re
from hashlib import blake2b

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.(partial|old)", re.DOTALL)
#: The file a folder writer leaves in its folder (see `mark`). Like unfinished work it is the store's own: no listing
#: shows it, no path may name it.
FOLDER_MARK = ".fastlabel-folder"
#: What nearly all paths look like; the others are looked at part by part.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_STEM = 200  # bytes of a name kept in a temporary one, so that both fit the 255 bytes of a file name


def is_safe_path(path: str) -> bool:
    """Whether ``path`` may name an object in a store (see `checked_path`)."""
    if _PLAIN.fullmatch(path):
        return True
    if not path or "\0" in path or "\\" in path or _DRIVE.match(path):
        return False
    for part in path.split("/"):
        if part in {"", ".", ".."} or is_reserved(part):
            return False
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_path(path: str) -> str:
    """``path`` itself, when it is relative and POSIX and stays inside the store.

    Raises:
        ValueError: for an empty or absolute path, an empty, ``.`` or ``..`` part, a drive letter, a backslash, NUL,
            a lone surrogate, or a name of the kind the store gives its unfinished files.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path inside a store is a string, not {type(path).__name__}")
    if not is_safe_path(path):
        raise ValueError(
            f"{path!r} is no path inside a store: relative, '/' between parts, no '.' or '..', no drive, no NUL"
        )
    return path


def joined(*parts: str) -> str:
    """The parts as one path, empty ones left out; each is checked (ValueError as in `checked_path`)."""
    return "/".join(checked_path(part.rstrip("/")) for part in parts if part)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is unfinished work of a store, which nobody should read."""
    return _TEMPORARY.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    """Whether the store keeps this name for itself: unfinished work, or the mark of a folder."""
    return name.startswith(".") and (name == FOLDER_MARK or is_temporary(name))


def temporary_stem(name: str) -> str:
    """What all temporary names made for ``name`` begin with."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) > _LONGEST_STEM:
        name = raw[:100].decode("utf-8", "ignore") + "-" + blake2b(raw, digest_size=8).hexdigest()
    return f".{name}."


def temporary_name(name: str, kind: str = "partial") -> str:
    """A fresh hidden name beside ``name``; ``kind`` is ``partial`` (being written) or ``old`` (put aside)."""
    return f"{temporary_stem(name)}{os.urandom(6).hex()}.{kind}"
