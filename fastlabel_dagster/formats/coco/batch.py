"""The annotations of one COCO file on their way: which are kept, what is told of them, and what they say beside their
geometry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.coco.columns import are_distinct
from fastlabel_dagster.formats.coco.items import Items, as_list
from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints
from fastlabel_dagster.labels.report import EXAMPLES, ReadTally

_NUMBERS = (int, float)
_NO_ID = "an id that is neither a whole number nor text was left out"
UNREAD = "annotations with a field that FastLabel has no place for, which was not read"
_NO_SCORE = "a score that is not a number from -1 to 1 was left out"
_NO_ROTATION = "a rotation that is no number of degrees was left out"
_NO_SWITCH = "an iscrowd that is neither 0 nor 1: other numbers were read as 1, anything else as 0"


@dataclass
class Batch:
    """The annotations of a file, and what becomes of them."""

    items: Items
    file: str
    told: ReadTally
    kept: Bools

    @classmethod
    def of(cls, items: Items, file: str, told: ReadTally) -> Batch:
        where = [f"{file}, annotation #{place + 1}" for place in items.bad[:EXAMPLES]]
        told.drop("it is not a JSON object", where=where, count=len(items.bad))
        for name, count in items.unread.items():
            told.notice(UNREAD, where=f"{file}, {name}", count=count)
        return cls(items, file, told, np.ones(len(items), np.bool_))

    def rows(self, rows: Iterable[int]) -> Bools:
        chosen = np.zeros(len(self.items), np.bool_)
        chosen[list(rows)] = True
        return chosen

    def drop(self, reason: str, mask: Bools) -> None:
        rows = np.flatnonzero(mask & self.kept)
        self.told.drop(reason, where=self._where(rows), count=len(rows))
        self.kept &= ~mask

    def alter(self, reason: str, mask: Bools) -> None:
        rows = np.flatnonzero(mask & self.kept)
        self.told.alter(reason, where=self._where(rows), count=len(rows))

    def notice(self, reason: str, mask: Bools) -> None:
        rows = np.flatnonzero(mask & self.kept)
        self.told.notice(reason, where=self._where(rows), count=len(rows))

    def _where(self, rows: Ints) -> list[str]:
        return [f"{self.file}, annotation {self._name(row)}" for row in rows[:EXAMPLES].tolist()]

    def _name(self, row: int) -> str:
        identity = _identity(self.items.field("id")[row])
        return f"#{int(self.items.place[row]) + 1}" if identity is None else identity

    def identities(self) -> pa.Array:
        """string[n]: the ids that are whole numbers or text; null where the file has none, or has it twice."""
        ids = self.items.column("id")
        if isinstance(ids, pa.Int64Array) and not ids.null_count and are_distinct(ids.to_numpy()):
            return ids.cast(pa.string())
        rows: list[str | None] = []
        repeated: list[int] = []
        unfit: list[int] = []
        seen: set[str] = set()
        for row, identity in enumerate(self.items.field("id")):
            text = _identity(identity)
            if text is None and identity not in (None, ""):
                unfit.append(row)
            elif text in seen:
                repeated.append(row)
                text = None
            elif text is not None:
                seen.add(text)
            rows.append(text)
        self.notice("annotations whose id another one has already", self.rows(repeated))
        self.alter(_NO_ID, self.rows(unfit))
        return pa.array(rows, pa.string())

    def scores(self) -> pa.Array | None:
        """float64[n]: ``score``, the confidence of a detection; None when no annotation has one."""
        if not self.items.says("score"):
            return None
        values = self.items.field("score")
        sound = [float(value) if type(value) in _NUMBERS and abs(value) <= 1 else None for value in values]
        self.alter(_NO_SCORE, self._lost(values, sound))
        return pa.array(sound, pa.float64())

    def rotations(self) -> Floats | None:
        """float64[n]: ``rotation`` in degrees; NaN where there is none. None when no annotation has one."""
        if not self.items.says("rotation"):
            return None
        values = self.items.field("rotation")
        sound = [float(value) if type(value) in _NUMBERS and abs(value) <= FARTHEST else None for value in values]
        self.alter(_NO_ROTATION, self._lost(values, sound))
        return np.array(sound, np.float64)

    def crowds(self) -> Ints:
        """The rows whose ``iscrowd`` is on."""
        column = self.items.taken("iscrowd")
        if isinstance(column, pa.Int64Array) and not column.null_count:
            numbers = column.to_numpy()
            odd = (numbers != 0) & (numbers != 1)
        else:
            values = as_list(column)
            numbers = np.array([bool(one) and type(one) in (*_NUMBERS, bool) for one in values], np.bool_)
            odd = self.rows(row for row, one in enumerate(values) if one is not None and one not in (0, 1))
        self.alter(_NO_SWITCH, odd)
        return np.flatnonzero(numbers)

    def _lost(self, values: list[Any], sound: list[float | None]) -> Bools:
        pairs = zip(values, sound, strict=True)
        return self.rows(row for row, (was, now) in enumerate(pairs) if now is None and was is not None)


def _identity(stated: Any) -> str | None:
    """The id of an annotation as text; None for what is none. A whole number with a decimal point, as programs that
    keep ids in tables of floating point write it, is that number."""
    if type(stated) is float and stated.is_integer():
        stated = int(stated)
    return str(stated) if type(stated) in (int, str) and stated != "" else None
