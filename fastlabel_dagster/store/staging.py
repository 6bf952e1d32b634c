"""A file that is written and looked at before it takes its place in a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastlabel_dagster.store.errors import said_plainly


class Staged:
    """What was written so far, in a file on the local disk that nobody else looks at. Made by `Store.staged`.

    Attributes:
        path: the file. What is written is in it after `flush`.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self.path = path

    def write(self, data: bytes) -> None:
        """Append. Raises StoreError when the disk is full."""
        with said_plainly(str(self.path)):
            self._file.write(data)

    def flush(self) -> Path:
        """See to it that all that was written can be read from `path`, and return that."""
        with said_plainly(str(self.path)):
            self._file.flush()
        return self.path


@contextmanager
def staged_in(folder: Path) -> Iterator[Staged]:
    """A staged file in a folder of the caller's, which sees to what becomes of it."""
    with said_plainly(str(folder)):
        file = (folder / "staged").open("wb")
    with file:
        staged = Staged(file, folder / "staged")
        yield staged
        staged.flush()
