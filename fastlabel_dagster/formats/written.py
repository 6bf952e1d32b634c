"""What a writer of a format hands back."""

from __future__ import annotations

from typing import NamedTuple


class Written(NamedTuple):
    """What a format's writer put into its folder."""

    images: int
    """Images the dataset lists."""
    files: int
    bytes: int
    splits: dict[str, int] = {}  # noqa: RUF012 - a default nobody changes; a named tuple cannot have a factory
    """Images per part of the dataset, where the format has parts."""
