"""Attributes of annotations, for formats that have flags or a free dictionary for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.formats.report import BatchTally
from fastlabel_dagster.formats.text import glued, joined, json_text
from fastlabel_dagster.labels.ragged import Bools, Ints, as_ragged, offsets_of, ranges, valid_mask
from fastlabel_dagster.labels.schema import ATTRIBUTE

#: A switch: the annotation stands for a crowd, a group too dense to draw one by one (COCO's ``iscrowd``).
CROWD = "iscrowd"
#: "x,y,width,height": the box a COCO file stated where it was not quite the box around the shape (COCO's own crowds are
#: a pixel short). It counts only while it is within a pixel of the shape, so editing the shape overrules it.
STATED_BOX = "coco_bbox"
#: A JSON object of ``bbox``, ``area`` and ``segmentation``: what a COCO file says of an object beside its keypoints. It
#: counts while the box holds the keypoints.
STATED_SHAPE = "coco_shape"
KEYLESS = "an attribute without a key was left out"
SAME_KEY = "several attributes have the same key, one of them counts"
#: The keys that have a meaning of their own.
OWN_KEYS = (CROWD, STATED_BOX, STATED_SHAPE)
_TRUE = pa.array(["true", "True", "TRUE", "1", "1.0", "yes", "on"])


class Attributes(NamedTuple):
    """The attributes of ``n`` annotations."""

    crowd: NDArray[np.bool_]
    """bool[n]: the crowd switch is on."""
    stated_boxes: dict[int, NDArray[np.float64]]
    """Row -> x, y, width, height, where a box is stated."""
    stated_shapes: dict[int, str]
    """Row -> JSON text, where a shape is stated."""
    json: pa.Array
    """string[n]: the others as a JSON object by key; null where there are none."""


def read_attributes(column: pa.Array) -> Attributes:
    """Take the attributes column (list of ``schema.ATTRIBUTE``) of a batch of annotations apart."""
    lists = as_ragged(column)
    n = len(lists.lengths)
    crowd = np.zeros(n, np.bool_)
    if not lists.lengths.any():
        return Attributes(crowd, {}, {}, pa.nulls(n, pa.string()))
    owner = np.repeat(np.arange(n), lists.lengths)
    rows = lists.values.take(pa.array(ranges(lists.starts, lists.lengths)))
    key, value, is_json = (pc.struct_field(rows, name) for name in ("key", "value", "value_is_json"))
    is_key = {name: _equal(key, name) for name in OWN_KEYS}
    truthy = pc.is_in(value, value_set=_TRUE).to_numpy(zero_copy_only=False)
    crowd[owner[is_key[CROWD] & truthy]] = True
    stated = {}
    for row in np.flatnonzero(is_key[STATED_BOX]).tolist():
        box = _box(value[row].as_py())
        if box is not None:
            stated[int(owner[row])] = box
    shapes = {int(owner[row]): str(value[row].as_py()) for row in np.flatnonzero(is_key[STATED_SHAPE]).tolist()}
    free = np.flatnonzero(~np.logical_or.reduce([is_key[name] for name in OWN_KEYS]) & valid_mask(key))
    picked = pa.array(free)
    key, value = key.take(picked), value.take(picked)
    plain_json = pc.fill_null(is_json.take(picked), False)
    member = glued(json_text(key), ":", pc.if_else(plain_json, pc.fill_null(value, "null"), json_text(value)))
    counts = np.bincount(owner[free], minlength=n)
    members = joined(offsets_of(counts), member, ",")
    return Attributes(crowd, stated, shapes, pc.if_else(pa.array(counts > 0), glued("{", members, "}"), None))


def has_attributes(column: pa.Array, *, but: Sequence[str]) -> Bools:
    """bool[n]: there is an attribute of another key than these."""
    lists = as_ragged(column)
    found = np.zeros(len(lists.lengths), np.bool_)
    if lists.lengths.any():
        owner = np.repeat(np.arange(len(found)), lists.lengths)
        keys = pc.struct_field(lists.values.take(pa.array(ranges(lists.starts, lists.lengths))), "key")
        known = pc.is_in(keys, value_set=pa.array(list(but), pa.string())).to_numpy(zero_copy_only=False)
        found[owner[~known]] = True
    return found


class AttributeValues(NamedTuple):
    """``k`` attributes of ``n`` annotations, a row each, in the order of the annotations. Those without a key are left
    out."""

    owner: Ints
    """int64[k]: the annotation, ascending."""
    key: pa.Array
    """string[k]."""
    name: pa.Array
    """string[k]: the title people read; may hold nulls."""
    type: pa.Array
    """string[k]: FastLabel's type of the attribute; may hold nulls."""
    value: pa.Array
    """string[k]: the string itself, or JSON text; null when there is none."""
    is_json: Bools
    """bool[k]: the value is JSON text (a number, a list, a switch)."""

    def take(self, rows: Bools | Ints) -> AttributeValues:
        """Some of the rows."""
        picked = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        arrow = pa.array(picked)
        return AttributeValues(
            self.owner[picked],
            self.key.take(arrow),
            self.name.take(arrow),
            self.type.take(arrow),
            self.value.take(arrow),
            self.is_json[picked],
        )

    def is_key(self, *keys: str) -> Bools:
        """bool[k]: the key is one of ``keys``."""
        return _is_in(self.key, keys)

    @property
    def is_true(self) -> Bools:
        """bool[k]: a switch that is on, or a text that says so ("true", "1", "yes", "on", …)."""
        true: Bools = pc.is_in(self.value, value_set=_TRUE).to_numpy(zero_copy_only=False)
        return true

    def json(self) -> pa.Array:
        """string[k]: each value as JSON text."""
        return pc.if_else(pa.array(self.is_json), pc.fill_null(self.value, "null"), json_text(self.value))

    def offsets(self, n: int) -> Ints:
        """int64[n + 1]: where the rows of each of the ``n`` annotations start."""
        return offsets_of(np.bincount(self.owner, minlength=n))


def attribute_values(column: pa.Array) -> AttributeValues:
    """The attributes column (list of ``schema.ATTRIBUTE``) of a batch of annotations as a row per attribute."""
    lists = as_ragged(column)
    owner = np.repeat(np.arange(len(lists.lengths)), lists.lengths)
    rows = lists.values.take(pa.array(ranges(lists.starts, lists.lengths)))
    keyed = np.flatnonzero(valid_mask(pc.struct_field(rows, "key")))
    rows = rows.take(pa.array(keyed))
    is_json: Bools = pc.fill_null(pc.struct_field(rows, "value_is_json"), False).to_numpy(zero_copy_only=False)
    key, name, kind, value = (pc.struct_field(rows, field) for field in ("key", "name", "type", "value"))
    return AttributeValues(owner[keyed], key, name, kind, value, is_json)


def attributes_column(owner: Ints, fields: Mapping[str, pa.Array], n: int) -> pa.Array:
    """The attributes column of ``n`` annotations that readers have made.

    Args:
        owner: int64[k], ascending: the annotation each attribute belongs to.
        fields: k values for each field of ``schema.ATTRIBUTE`` that is known; the others are null.
        n: how many annotations there are.
    """
    arrays = [fields.get(field.name, pa.nulls(len(owner), field.type)) for field in ATTRIBUTE]
    rows = pa.StructArray.from_arrays(arrays, fields=list(ATTRIBUTE))
    offsets = offsets_of(np.bincount(owner, minlength=n))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), rows)


def tell_of_keys(column: pa.Array, told: BatchTally, *, among: Sequence[str] | None = None) -> None:
    """Tell of attributes that will not be written: those without a key, and all but one of several with the same key.

    ``column`` is the attributes column of the batch. ``among``: only these keys have a place for a single value; None:
    every key has.
    """
    lists = as_ragged(column)
    if not lists.lengths.any():
        return
    owner = np.repeat(np.arange(len(lists.lengths)), lists.lengths)
    key = pc.struct_field(lists.values.take(pa.array(ranges(lists.starts, lists.lengths))), "key")
    told.alter(KEYLESS, _owned(len(column), owner[~valid_mask(key)]))
    counted = np.flatnonzero(valid_mask(key) if among is None else _is_in(key, among))
    codes = pc.dictionary_encode(key.take(pa.array(counted)))
    pairs = owner[counted] * max(1, len(codes.dictionary)) + codes.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(pairs, kind="stable")
    again = order[1:][pairs[order[1:]] == pairs[order[:-1]]]
    told.alter(SAME_KEY, _owned(len(column), owner[counted[again]]))


def flags(column: pa.Array, names: Sequence[str]) -> dict[str, Bools]:
    """For each of ``names`` bool[n]: the annotation has an attribute of this key that is on.

    ``column`` is the attributes column of ``n`` annotations. A switch, a radio, a text: what counts is that the value
    says yes, see :attr:`AttributeValues.is_true`.
    """
    values = attribute_values(column)
    true = values.is_true
    found = {}
    for name in names:
        found[name] = np.zeros(len(column), np.bool_)
        found[name][values.owner[true & values.is_key(name)]] = True
    return found


def apply_stated_boxes(box: NDArray[np.float64], attributes: Attributes) -> None:
    """Take over, in place, the stated boxes all of whose edges are within a pixel of ``box`` (float64[n, 4], x1 y1
    x2 y2)."""
    for row, (x, y, width, height) in attributes.stated_boxes.items():
        stated = np.array([x, y, x + width, y + height])
        if np.all(np.abs(box[row] - stated) <= 1 + 1e-6):
            box[row] = stated


def _owned(n: int, owners: Ints) -> Bools:
    found = np.zeros(n, np.bool_)
    found[owners] = True
    return found


def _is_in(keys: pa.Array, wanted: Sequence[str]) -> Bools:
    found: Bools = pc.is_in(keys, value_set=pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)
    return found


def _equal(keys: pa.Array, name: str) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = pc.fill_null(pc.equal(keys, name), False).to_numpy(zero_copy_only=False)
    return equal


def _box(text: str | None) -> NDArray[np.float64] | None:
    try:
        box = np.array((text or "").split(","), np.float64)
    except ValueError:
        return None
    return box if box.shape == (4,) and np.isfinite(box).all() else None
