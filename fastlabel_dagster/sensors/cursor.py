"""What a sensor remembers between ticks: versioned, bounded JSON, which survives restarts and reads its own past."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import zlib
from base64 import b85decode, b85encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

#: Dagster keeps cursors in its database, as JSON within JSON, and shows them in the UI. MySQL's TEXT column holds
#: 65,535 bytes.
MAX_CURSOR_BYTES = 60_000
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


class CursorState:
    """What a cursor of the polling engine says, part by part: a damaged part is told of and left out, so that no tick
    stumbles over it and the rest is kept."""

    def __init__(self, state: dict[str, Any] | None, log: logging.Logger) -> None:
        self._state, self._log = state or {}, log

    def number(self, name: str) -> float:
        """A number; 0 when there is none."""
        return self._read(name, self._state.get(name, 0), _number, 0.0)

    def text(self, name: str) -> str:
        """A text; empty when there is none."""
        return self._read(name, self._state.get(name, ""), _text, "")

    def numbers(self, name: str) -> dict[str, float]:
        """Numbers by target."""
        return self._each(name, _number)

    def memories(self) -> dict[str, dict[str, Any]]:
        """What is remembered of each target."""
        return self._each("projects", _memory)

    def failing(self) -> dict[str, tuple[int, int, bool]]:
        """Of each target in trouble: failures in a row, the tick it waits for, whether its check says so."""
        return self._each("failing", _trouble)

    def _each(self, name: str, of: Callable[[Any], _T]) -> dict[str, _T]:
        found: dict[str, _T] = {}
        for target, value in self._read(name, self._state.get(name, {}), _mapping, {}).items():
            one = self._read(target, value, of, None)
            if one is not None:
                found[target] = one
        return found

    def _read(self, name: str, value: Any, of: Callable[[Any], _T], default: _U) -> _T | _U:
        try:
            return of(value)
        except (TypeError, ValueError, ArithmeticError):
            self._log.warning("The cursor is damaged: %s is left out (%.80r).", name, value)
            return default


_T = TypeVar("_T")
_U = TypeVar("_U")


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("it is no number")
    return int(number) if number.is_integer() else number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("it is no mapping")
    return value


def _memory(value: Any) -> dict[str, Any]:
    memory = dict(_mapping(value))
    if "at" in memory:
        memory["at"] = int(_number(memory["at"]))
    return memory


def _trouble(value: Any) -> tuple[int, int, bool]:
    failures, resume, reported = value
    return int(_number(failures)), int(_number(resume)), bool(reported)


def dump_cursor(kind: str, state: dict[str, Any]) -> str:
    """``state`` as compact JSON with its kind and format version."""
    return json.dumps({**state, "v": VERSION, "kind": kind}, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def stored_bytes(cursor: str) -> int:
    """How many bytes of a database's column a cursor takes: Dagster escapes quotation marks, and what is not ASCII."""
    return len(json.dumps(cursor))


def packed(value: Any) -> str:
    """A JSON value in characters that nobody escapes, for what is large in a cursor."""
    return b85encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)).decode()


def unpacked(text: str) -> Any:
    """The value of :func:`packed`. Raises ValueError when it is damaged."""
    try:
        return json.loads(zlib.decompress(b85decode(text)))
    except zlib.error as error:
        raise ValueError(str(error)) from error


def short(name: str) -> str:
    """Eight characters that stand for an id in a cursor: 48 bits of its hash, so that two of a thousand ids meet once
    in half a billion projects."""
    return urlsafe_b64encode(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest()).decode()
