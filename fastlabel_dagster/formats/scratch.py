"""What goes wrong in the folder for temporary files: not the dataset's fault, and mended by another folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastlabel_dagster.store import StoreError


def close_scratch(file: Any) -> None:
    """Close a temporary file nobody needs any more. What it could not take was said when it was given, and would be
    tried and fail once more."""
    with suppress(OSError):
        file.close()


@contextmanager
def in_scratch(what: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` of writing a temporary file into a StoreError that says what for, and where there is too
    little room."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        place = tempfile.gettempdir()
        message = (
            f"{what} needs temporary files, and {place} cannot take them: {reason}; "
            "free some space there, or name another folder in TMPDIR"
        )
        raise StoreError(message, place, error.errno) from error
