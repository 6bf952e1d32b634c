"""The ``keypoints`` of COCO annotations as FastLabel's: named, with their edges, the placed ones only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.coco.columns import is_near, list_array
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, floats, offsets_of, ranges
from fastlabel_dagster.labels.schema import KEYPOINT


@dataclass
class Poses:
    """The placed keypoints (visibility above 0) of ``n`` annotations."""

    owner: Ints
    """int64[p]: whose, ascending."""
    key: Ints
    """int64[p]: which of ``keys``."""
    value: Floats
    """float64[p, 3]: x and y in pixels, and 1 for a visible point, 0 for a hidden one."""
    keys: pa.Array
    """string[k]: the keypoints of all classes."""
    edges: pa.Array
    """list<string>[k]: the keypoints each is connected with."""
    posed: Bools
    """bool[n]: it has a placed keypoint."""
    single: Bools
    """bool[n]: its class has one point, named like itself: a keypoint rather than a pose."""
    stray: Bools
    """bool[n]: it has more placed keypoints than its category, which were left out."""
    uneven: Bools
    """bool[n]: its numbers are no multiple of three, so they were left out."""
    unplaced: Bools
    """bool[n]: a keypoint that is said not to be there has a place."""
    unseen: Bools
    """bool[n]: a visibility is none of COCO's."""
    sound: Bools
    """bool[n]: no coordinate of a placed one is infinite or absurdly far."""

    @property
    def around(self) -> Floats:
        """float64[n, 4]: the box around the placed keypoints, x1, y1, x2, y2; NaN where there are none."""
        result = np.full((len(self.posed), 4), np.nan)
        rows = np.flatnonzero(self.posed)
        if len(rows):
            starts = np.searchsorted(self.owner, rows)
            result[rows, :2] = np.minimum.reduceat(self.value[:, :2], starts)
            result[rows, 2:] = np.maximum.reduceat(self.value[:, :2], starts)
        return result

    def of(self, rows: Ints) -> pa.Array:
        """The ``keypoints`` column of these rows (ascending)."""
        chosen = np.zeros(len(self.posed), np.bool_)
        chosen[rows] = True
        points = np.flatnonzero(chosen[self.owner])
        key = pa.array(self.key[points])
        value = list_array(3 * np.arange(len(points) + 1), pa.array(self.value[points].reshape(-1)))
        columns = {"key": self.keys.take(key), "name": self.keys.take(key), "value": value}
        columns |= {"edges": self.edges.take(key), "extra": pa.nulls(len(points), pa.string())}
        structs = pa.StructArray.from_arrays([columns[field.name] for field in KEYPOINT], fields=list(KEYPOINT))
        counts = np.bincount(self.owner[points], minlength=len(self.posed))[rows]
        return list_array(offsets_of(counts), structs)


def poses_of(column: pa.Array, wanted: Bools, numbers: Ints, classes: list[FoundClass]) -> Poses:
    """Take the ``keypoints`` (list<double>[n]) of annotations apart: those ``wanted``, whose classes are
    ``classes[numbers]``."""
    start = column.offsets.to_numpy().astype(np.int64)
    content = floats(column.values)
    slots = np.array([*(len(one.keypoints) for one in classes), 0], np.int64)
    base = offsets_of(slots)
    counts = np.diff(start)
    uneven = wanted & (counts % 3 != 0)
    points = np.where(wanted & ~uneven, counts // 3, 0)
    owner = np.repeat(np.arange(len(column)), points)
    slot = ranges(np.zeros(len(column)), points)
    value = content[ranges(start[:-1], 3 * points)].reshape(-1, 3)
    seen = value[:, 2]
    placed = seen > 0
    unplaced, unseen = np.zeros(len(column), np.bool_), np.zeros(len(column), np.bool_)
    unplaced[owner[(seen == 0) & (value[:, :2] != 0).any(axis=1)]] = True
    unseen[owner[(seen != 0) & (seen != 1) & (seen != 2)]] = True
    named = slot < slots[numbers][owner]
    stray = np.zeros(len(column), np.bool_)
    stray[owner[placed & ~named]] = True
    chosen = placed & named
    owner, slot, value = owner[chosen], slot[chosen], value[chosen]
    value[:, 2] = value[:, 2] >= 2
    posed, sound = np.zeros(len(column), np.bool_), np.ones(len(column), np.bool_)
    posed[owner] = True
    sound[owner[~is_near(value).all(axis=1)]] = False
    single = np.array([*(one.keypoints == [one.value] for one in classes), False], np.bool_)[numbers]
    edges = [one.edges() for one in classes]
    return Poses(
        owner,
        base[:-1][numbers][owner] + slot,
        value,
        pa.array([key for one in classes for key in one.keypoints], pa.string()),
        pa.array(
            [of[key] for one, of in zip(classes, edges, strict=True) for key in one.keypoints], pa.list_(pa.string())
        ),
        posed,
        single & posed,
        stray,
        uneven,
        unplaced,
        unseen,
        sound,
    )
