"""What a sensor remembers between ticks: versioned, bounded JSON, which survives restarts and reads its own past."""

from __future__ import annotations

import hashlib
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

#: Dagster keeps cursors in its database and shows them in the UI. MySQL's TEXT column holds 65,535 bytes.
MAX_CURSOR_CHARACTERS = 60_000
#: The format of the cursors written now.
VERSION = 2

#: Turns the state of an earlier version into one of the next.
Migration = Callable[[dict[str, Any]], dict[str, Any]]


def load_cursor(
    text: str | None, kind: str, log: logging.Logger, migrations: Mapping[int, Migration] = {}
) -> dict[str, Any] | None:
    """The state stored by :func:`dump_cursor`, or None: no cursor yet, or one this sensor cannot read.

    A cursor of an earlier release is read by its ``migrations`` (version -> what makes the next version of it). An
    unreadable one (edited by hand, or of a newer release) is reported in the tick's log and treated as a first tick, so
    a sensor never gets stuck on it.
    """
    if not text:
        return None
    try:
        state: dict[str, Any] = json.loads(text)
        if state["kind"] != kind:
            raise ValueError("it is of another sensor")
        found: int = state["v"]
        while found != VERSION:
            state = migrations[found](state)  # KeyError: of a version nobody knows
            found += 1
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("The cursor is not one of this sensor (%.80r); starting as on a first tick.", text)
        return None
    return state


def dump_cursor(kind: str, state: dict[str, Any]) -> str:
    """``state`` as compact JSON with its kind and format version."""
    return json.dumps({**state, "v": VERSION, "kind": kind}, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def short(name: str) -> str:
    """Eight characters that stand for an id in a cursor: 48 bits of its hash, so that two of a thousand ids meet once
    in half a billion projects."""
    return urlsafe_b64encode(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest()).decode()
