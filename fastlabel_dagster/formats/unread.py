"""Which fields of a JSON object a reader has no use for: those it tells by their names."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from fastlabel_dagster.labels.json_text import encodable

#: Values that say nothing: a field that has one may be passed over in silence.
SAYS_NOTHING: tuple[Any, ...] = (None, "", [], {})


def unread_names(said: Mapping[str, Any], read: Container[str], nothing: tuple[Any, ...] = SAYS_NOTHING) -> list[str]:
    """The names in ``said`` that are not among those ``read`` and say more than ``nothing``, sorted. A name that cannot
    be written as text is shown as ``?``."""
    return sorted(
        name if encodable(name) else "?" for name, value in said.items() if name not in read and value not in nothing
    )


def differ(one: Any, other: Any) -> bool:
    """Whether two JSON values are not the same. Those that are nested too deep to be compared count as different."""
    try:
        return bool(one != other)
    except RecursionError:
        return True
