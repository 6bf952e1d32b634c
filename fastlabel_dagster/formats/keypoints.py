"""Poses and single points as the keypoint triples of COCO and YOLO: every point of the class, in its order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.categories import POSE, Met
from fastlabel_dagster.formats.report import BatchTally
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, as_ragged, floats, offsets_of, places, taken


def keypoint_rows(
    flat: FlatAnnotations,
    column: pa.Array,
    met: Met,
    point_slot: Ints,
    told: BatchTally,
    *,
    posed: Bools | None = None,
) -> tuple[Floats, Ints, Ints]:
    """``keypoints`` of all annotations: flat values, offsets into them, and how many are placed (visibility above
    0). ``posed`` are those whose keypoints count; None: the poses."""
    slots = np.array([*(len(category.keypoints) for category in met.categories), 0], np.int64)[met.position]
    pose, single = flat.is_type(POSE) if posed is None else posed, flat.is_type("keypoint")
    counts = np.where((pose | single) & told.kept, slots, 0)
    offsets = offsets_of(counts)
    values = np.zeros((offsets[-1], 3), np.float64)

    lists = as_ragged(column)
    lengths = np.where(pose & told.kept, lists.lengths, 0)
    owner = np.repeat(np.arange(len(flat)), lengths)
    wanted = places(lists.starts, lengths)
    keys = pc.dictionary_encode(taken(pc.struct_field(lists.values, "key"), wanted).cast(pa.string()))
    slot = _slots(met, owner, keys)
    point = as_ragged(taken(pc.struct_field(lists.values, "value"), wanted))
    has_place = point.lengths >= 2
    stray = np.zeros(len(flat), np.bool_)
    stray[owner[has_place & (slot < 0)]] = True
    told.alter("a keypoint that its class does not have was left out", stray)
    fits = np.flatnonzero(has_place & (slot >= 0))
    numbers = floats(point.values)
    start = point.starts[fits]
    visible = np.ones(len(fits))
    third = point.lengths[fits] > 2
    visible[third] = numbers[start[third] + 2]
    target = offsets[:-1][owner[fits]] + slot[fits]
    values[target] = np.column_stack([numbers[start], numbers[start + 1], np.where(visible > 0, 2.0, 1.0)])

    alone = np.flatnonzero(single & told.kept)
    values[offsets[:-1][alone] + point_slot[alone], :2] = flat.coords[flat.annotation_vertices[:-1][alone]]
    values[offsets[:-1][alone] + point_slot[alone], 2] = 2.0
    placed = offsets_of(values[:, 2] > 0)[offsets]
    return values.reshape(-1), 3 * offsets, np.diff(placed)


def _slots(met: Met, owner: Ints, keys: pa.DictionaryArray) -> Ints:
    """int64[k]: which point of the category of its ``owner`` each key is, -1 for none.

    A table of all categories by all keys would be large where thousands of classes have keys of their own, so the pairs
    there are stand in a list.
    """
    number = {key: place for place, key in enumerate(keys.dictionary.to_pylist())}
    pairs = sorted(
        (place * len(number) + number[key], slot)
        for place, category in enumerate(met.categories)
        for slot, key in enumerate(category.keypoints)
        if key in number
    )
    pair, slot = np.array([*pairs, (np.iinfo(np.int64).max, -1)], np.int64).T
    place, key = met.position[owner], pc.fill_null(keys.indices, -1).to_numpy()
    wanted = np.where((place >= 0) & (key >= 0), place * len(number) + key, -1)
    found = np.searchsorted(pair, wanted)  # of a key that a category has twice, the first
    return np.where(pair[found] == wanted, slot[found], -1)
