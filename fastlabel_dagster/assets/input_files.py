"""Files that jobs are started with: known by what is in them, as a name says nothing of that."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import dagster as dg


def file_digest(path: str) -> str:
    """A digest of a file's content, read in pieces. Raises ``dagster.Failure`` when it cannot be read."""
    digest = blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise dg.Failure(description=f"{path} cannot be read: {error.strerror}", allow_retries=False) from error
    return digest.hexdigest()


def settings_of(options: Mapping[str, Any]) -> list[object]:
    """What the options of a job say, in an order of their own; of a configuration file what is in it, whatever it is
    called and wherever it lies.

    Raises:
        dagster.Failure: that file cannot be read.
    """
    config = options.get("config_file_path")
    content = {"config_file_path": file_digest(str(config))} if config else {}
    return [*sorted({**options, **content}.items())]
