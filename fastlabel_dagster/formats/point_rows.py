"""Annotations that are numbers and nothing else, gathered as plain lists and handed over as columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import AnnotationColumns
from fastlabel_dagster.labels.ragged import offsets_of

#: Numbers gathered before they become a column: a list of floats takes four times the memory.
_MOST_NUMBERS = 2**20


class PointRows:
    """Gathers annotations of which readers know the type, the class and ``points`` only, which most are.

    A reader that adds others to the same :class:`AnnotationColumns` gives every one of them its ``order``.
    """

    def __init__(self, annotations: AnnotationColumns) -> None:
        self._annotations = annotations
        self._clear()

    def _clear(self) -> None:
        self._owner: list[int] = []
        self._order: list[int] = []
        self._kind: list[str] = []
        self._value: list[str] = []
        self._numbers: list[float] = []
        self._lengths: list[int] = []

    def add(self, owner: int, order: int, kind: str, value: str, points: Sequence[float]) -> None:
        """Add an annotation of the task at position ``owner``, at the place ``order`` within that task."""
        self._owner.append(owner)
        self._order.append(order)
        self._kind.append(kind)
        self._value.append(value)
        self._numbers += points
        self._lengths.append(len(points))
        if len(self._numbers) > _MOST_NUMBERS:
            self.hand_over()

    def extend(
        self, owner: Sequence[int], order: Sequence[int], kind: str, value: Sequence[str], points: Sequence[float]
    ) -> None:
        """:meth:`add` many of one type, which have the same number of points each; those lie behind each other."""
        self._owner += owner
        self._order += order
        self._kind += [kind] * len(owner)
        self._value += value
        self._numbers += points
        self._lengths += [len(points) // max(len(owner), 1)] * len(owner)
        if len(self._numbers) > _MOST_NUMBERS:
            self.hand_over()

    def hand_over(self) -> None:
        """Add what was gathered to the annotations; to be called once more when all is read."""
        if self._owner:
            self._annotations.add_many(
                np.array(self._owner, np.int64),
                pa.array(self._kind, pa.string()).dictionary_encode(),
                pa.array(self._value, pa.string()).dictionary_encode(),
                points=(np.array(self._numbers, np.float64), offsets_of(np.array(self._lengths, np.int64))),
                order=np.array(self._order, np.int64),
            )
            self._clear()
