"""What a sensor remembers between ticks: versioned, bounded JSON, which survives restarts and reads its own past."""

from __future__ import annotations

import json
import logging
from typing import Any

#: Dagster keeps cursors in its database and shows them in the UI; ours stay far below this many characters.
MAX_CURSOR_CHARACTERS = 60_000


def load_cursor(text: str | None, kind: str, log: logging.Logger) -> dict[str, Any] | None:
    """The state stored by :func:`dump_cursor`, or None: no cursor yet, or one this sensor cannot read.

    An unreadable cursor (edited by hand, or of a newer release) is reported in the tick's log and treated as a first
    tick, so a sensor never gets stuck on it.
    """
    if not text:
        return None
    try:
        state = json.loads(text)
    except ValueError:
        state = None
    if not isinstance(state, dict) or state.get("kind") != kind or state.get("v") != 1:
        log.warning("The cursor is not one of this sensor (%.80r); starting as on a first tick.", text)
        return None
    return state


def dump_cursor(kind: str, state: dict[str, Any]) -> str:
    """``state`` as compact JSON with its kind and format version."""
    return json.dumps({"v": 1, "kind": kind, **state}, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
