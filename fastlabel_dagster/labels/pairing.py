"""Which annotation of a task's earlier state is which of its later state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from fastlabel_dagster.labels.digest import canonical_json
from fastlabel_dagster.labels.ragged import Floats

Json: TypeAlias = dict[str, Any]

#: Where an annotation is: in the picture, in time, and on which frame.
GEOMETRY_KEYS = ("points", "rotation", "keypoints", "start", "end", "content", "contentId")

# More candidate pairs than this within one class of one task are paired in order instead of by distance.
_MOST_CANDIDATES = 4_000_000


@dataclass(frozen=True)
class State:
    """A task's annotations in one state, and their boxes, float64[n, 4]: x1, y1, x2, y2; NaN where there is none."""

    annotations: list[Json]
    boxes: Floats

    @cached_property
    def contents(self) -> list[bytes]:
        """All of each annotation but its id, in a form that can be compared."""
        return [canonical_json({key: a[key] for key in a if key != "id"}) for a in self.annotations]


#: What identifies the annotation at a position of a state; None: nothing does.
_Key: TypeAlias = Callable[[State, int], Hashable]


def pair(before: State, after: State) -> list[tuple[int, int]]:
    """Positions (before, after) of the annotations that are the same one, in order; every position at most once.

    By id where both states know it; then exactly equal; then the same geometry and class; then the same geometry with
    another class; then, within a class, the boxes that overlap most, and the nearest of those that do not overlap.
    Where a task has kept ids, two ids that do not match are two objects, however near they lie. Greedy, best first and
    earlier positions first, so the same states always give the same pairs.
    """
    free = _Free(before, after)
    free.match(_id)
    kept_ids = bool(free.pairs)
    free.match(lambda state, position: state.contents[position])
    free.match(lambda state, position: (_class(state, position), geometry_of(state.annotations[position])))
    free.match(lambda state, position: (_class(state, position)[0], geometry_of(state.annotations[position])))
    free.match_nearest(without_ids=kept_ids)
    return sorted(free.pairs)


def geometry_of(annotation: Json) -> bytes:
    """The part of an annotation that says where it is, in a form that can be compared."""
    return canonical_json({key: annotation[key] for key in GEOMETRY_KEYS if key in annotation})


def overlaps(before: Floats, after: Floats) -> Floats:
    """float64[k, l]: intersection over union of boxes float64[k, 4] and float64[l, 4]; 0 where one has no area."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # coordinates are whatever came
        low = np.maximum(before[:, None, :2], after[None, :, :2])
        high = np.minimum(before[:, None, 2:], after[None, :, 2:])
        shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
        sizes = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (before, after)]
        result: Floats = np.nan_to_num(shared / (sizes[0][:, None] + sizes[1][None, :] - shared), nan=0.0, posinf=0.0)
    return result


class _Free:
    """The annotations that have found no partner yet, by position, and the pairs made so far."""

    def __init__(self, before: State, after: State) -> None:
        self._states = (before, after)
        self._free = (dict.fromkeys(range(len(before.annotations))), dict.fromkeys(range(len(after.annotations))))
        self.pairs: list[tuple[int, int]] = []

    def match(self, key: _Key) -> None:
        """Pair what has the same key (None: no key), first with first."""
        if not all(self._free):
            return
        before, after = (self._by_key(side, key) for side in (0, 1))
        for wanted, positions in before.items():
            self._take(zip(positions, after.get(wanted, ()), strict=False))

    def match_nearest(self, *, without_ids: bool) -> None:
        """Pair what is of the same class by overlap, then by distance of the centres, then in order.

        ``without_ids``: only annotations that have no id.
        """
        if not all(self._free):
            return

        def key(state: State, position: int) -> Hashable:
            return None if without_ids and "id" in state.annotations[position] else _class(state, position)

        before, after = (self._by_key(side, key) for side in (0, 1))
        for wanted, positions in before.items():
            if wanted in after:
                self._take(self._nearest(positions, after[wanted]))

    def _by_key(self, side: int, key: _Key) -> dict[Hashable, list[int]]:
        state = self._states[side]
        found: dict[Hashable, list[int]] = defaultdict(list)
        for position in self._free[side]:
            if (wanted := key(state, position)) is not None:
                found[wanted].append(position)
        return found

    def _take(self, pairs: Iterator[tuple[int, int]]) -> None:
        for old, new in pairs:
            del self._free[0][old]
            del self._free[1][new]
            self.pairs.append((old, new))

    def _nearest(self, before: list[int], after: list[int]) -> Iterator[tuple[int, int]]:
        if len(before) == len(after) == 1:
            yield before[0], after[0]
            return
        olds, news = dict.fromkeys(before), dict.fromkeys(after)
        if len(before) * len(after) <= _MOST_CANDIDATES:
            boxes = self._states[0].boxes[before], self._states[1].boxes[after]
            overlap = overlaps(*boxes)
            with np.errstate(invalid="ignore", over="ignore"):  # coordinates are whatever came
                centres = [(side[:, :2] + side[:, 2:]) / 2 for side in boxes]
                distance = np.linalg.norm(centres[0][:, None] - centres[1][None, :], axis=2)
            # Overlapping pairs first, most overlap first; then the others by distance; ties in the order they stand in.
            order = np.lexsort((distance.ravel(), -overlap.ravel()))
            order = order[np.isfinite(distance.ravel()[order])]
            for row, column in zip(*(part.tolist() for part in np.unravel_index(order, distance.shape)), strict=True):
                old, new = before[row], after[column]
                if old in olds and new in news:
                    del olds[old], news[new]
                    yield old, new
                    if not olds or not news:
                        return
        yield from zip(list(olds), list(news), strict=False)


def _id(state: State, position: int) -> Hashable:
    found = state.annotations[position].get("id")
    return found if isinstance(found, str) else None


def _class(state: State, position: int) -> tuple[str, str]:
    annotation = state.annotations[position]
    return str(annotation.get("type")), str(annotation.get("value"))
