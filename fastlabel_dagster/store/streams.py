"""Files being written: buffered, and thrown away when their ``with`` block ends in an exception."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, cast

_BUFFER_BYTES = 1 << 18


class Sink(Protocol):
    """A raw stream that can be told that its content is not wanted after all."""

    def abandon(self) -> None: ...


class OutputStream(io.BufferedWriter):
    """A buffer before a sink. An exception inside its ``with`` block abandons the sink instead of completing it."""

    def __init__(self, sink: io.RawIOBase, forget: Callable[[], object]) -> None:
        super().__init__(sink, _BUFFER_BYTES)
        self._forget = forget  # tells the folder that the file is not part of it after all

    def abandon(self) -> None:
        """Throw away what was written. Safe to call at any time, also after closing."""
        self._forget()
        cast(Sink, self.raw).abandon()
        with suppress(OSError, ValueError):  # what the buffer still holds is not wanted, nor is its failure to arrive
            self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()
