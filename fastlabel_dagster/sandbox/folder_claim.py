"""One server to a data folder: two would hand out the same budget twice and know nothing of each other's faults."""

from __future__ import annotations

import os
from pathlib import Path

from fastlabel_dagster.sandbox.errors import SandboxError

NAME = ".server"


class FolderClaim:
    """Holds a data folder for the server of this process until :meth:`release`, or until the process ends, however it
    does: the lock is the operating system's, so a crash leaves none behind.

    Only servers claim a folder; ``seed`` and others that open the state write beside a running one. Raises
    :class:`SandboxError` when another server holds it. Where the system has no such locks (Windows) it holds nothing.
    """

    def __init__(self, data: Path) -> None:
        self._file: int | None = None
        try:
            import fcntl
        except ImportError:
            return
        path = data / NAME
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise SandboxError(
                f"another sandbox runs on the data folder {data}; stop it, or give this one a folder of its own "
                "with --data"
            ) from error
        except OSError as error:
            self.release()
            raise SandboxError(f"cannot lock the data folder {data}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let another server have the folder. A second call does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
