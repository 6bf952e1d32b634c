"""Locks the kernel lets go of when a process dies, and the swap of two folders in one step."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM}


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder for as long as it stays open. False when a living process holds it.

    On a file system without locks everything counts as locked: nobody's unfinished work is taken for a leftover.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # BlockingIOError: held by another; anything else: the file system has no such locks
        return False
    return True


def is_abandoned(path: Path, quiet_seconds: float = 0.0) -> bool:
    """Whether no living process holds the lock of this temporary file or folder, untouched for so many seconds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or somebody else's
        return False
    try:
        quiet = time.time() - os.fstat(descriptor).st_mtime >= quiet_seconds
        return quiet and try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder; waits for whoever has it. Without locks in the file system, does nothing."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _UNSUPPORTED | {errno.ENOLCK, errno.EBADF}:
                raise
        yield
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> bool:
    """Let two existing paths change places in one step, so that neither is ever missing.

    Returns False where the system or the file system cannot do it (it is ``renameat2`` with ``RENAME_EXCHANGE`` on
    Linux, ``renamex_np`` with ``RENAME_SWAP`` on macOS); nothing has happened then.

    Raises:
        OSError: when it can, but was refused.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        swap = getattr(libc, "renamex_np", None)
        outcome = None if swap is None else swap(first, second, ctypes.c_uint(2))
    else:
        swap = getattr(libc, "renameat2", None)
        here = ctypes.c_int(-100)  # AT_FDCWD: paths count from the working directory
        outcome = None if swap is None else swap(here, first, here, second, ctypes.c_uint(2))
    if outcome is None:
        return False
    if outcome == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))
