"""Annotations as CVAT's shapes, a batch of tasks at a time.

bbox -> ``<box>``, polygon -> ``<polygon>``, line -> ``<polyline>``, keypoint -> ``<points>`` of one point, circle ->
``<ellipse>``, segmentation -> ``<mask>``, pose_estimation -> ``<skeleton>``, classification -> ``<tag>``.

A segmentation is a mask even where one polygon would do: it is one object with its holes and all its regions, exact to
the pixel, and comes back as what it was. What CVAT has no place for stands in attributes of our own, whose names begin
with ``fastlabel_``; CVAT and all other readers skip them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import AttributeValues, attribute_values, tell_of_keys
from fastlabel_dagster.formats.categories import POSE, Categories, Met
from fastlabel_dagster.formats.cvat.masks import FARTHEST_SIDE, follow_pixels, masks_of
from fastlabel_dagster.formats.keypoints import keypoint_rows
from fastlabel_dagster.formats.shapes import CUT_MASK, ShapeBatch
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.xml import xml_texts
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import (
    Bools,
    Floats,
    Ints,
    any_column,
    as_ragged,
    floats,
    offsets_of,
    ranges,
    valid_mask,
)

#: FastLabel's type -> CVAT's element, and what CVAT calls a label that is only used for it.
ELEMENTS = {
    "bbox": ("box", "rectangle"),
    "polygon": ("polygon", "polygon"),
    "line": ("polyline", "polyline"),
    "keypoint": ("points", "points"),
    "circle": ("ellipse", "ellipse"),
    "segmentation": ("mask", "mask"),
    POSE: ("skeleton", "skeleton"),
    "classification": ("tag", "tag"),
}
TAG = "classification"
#: Attributes of FastLabel that are CVAT's own XML attributes -> what stands there without them, and what may.
OCCLUDED = "occluded"
_OWN = {"z_order": ("0", r"^-?[0-9]{1,9}$"), "group_id": ("", r"^[1-9][0-9]{0,8}$"), "source": ("manual", r"^[a-z-]+$")}
OWN_ATTRIBUTES = tuple(_OWN)
_ILLEGAL = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_NO_CHARACTER = "XML cannot hold a character of its class or an attribute, it was replaced"


@dataclass
class Used:
    """What the written annotations use, for the list of labels."""

    types: dict[int, set[str]]
    """Index of a category -> annotation types."""
    attributes: dict[int, dict[str, tuple[str, str]]]
    """Index of a category -> key of an attribute -> its name and type, of the first one met."""


class Elements(NamedTuple):
    """The elements of ``k`` annotations, in their order."""

    annotation: Ints
    text: pa.Array


def _escaped(values: pa.Array) -> pa.Array:
    """Each string as XML text, null as an empty one."""
    return xml_texts(pc.fill_null(values, ""))


def shape_elements(batch: ShapeBatch, categories: Categories, used: Used) -> Elements:
    """The element of every annotation that is kept; ``used`` learns what they use."""
    flat, told = batch.flat, batch.told
    _sift(batch)
    segmented = flat.is_type("segmentation")
    masked = np.flatnonzero(told.kept & segmented)
    masks = masks_of(flat, masked, batch.size, batch.box)
    empty = np.zeros(len(flat), np.bool_)
    empty[masked] = True
    empty[masks.annotation] = False
    told.drop("a segmentation without a pixel in the image", empty)
    told.alter(CUT_MASK, segmented & batch.outside())
    told.alter("an outline across pixels became the pixels whose centres it holds", segmented & ~follow_pixels(flat))
    met = batch.meet(categories)
    points = _skeletons(batch, met)
    told.drop("none of its keypoints is one of its class", flat.is_type(POSE) & ~points.placed)
    values = attribute_values(batch.column("attributes"))
    values = values.take(told.kept[values.owner])
    own, left = _own_attributes(values, flat)
    _learn(batch, met, left, used)

    kinds: list[tuple[Ints, pa.Array]] = [
        (masks.annotation, _mask_geometry(masks.box, masks.rle)),
        _boxes(batch),
        _points(batch),
        _circles(batch),
    ]
    plain = np.flatnonzero(told.kept & flat.is_type(POSE, TAG))
    kinds.append((plain, pa.array([""] * len(plain), pa.string())))
    rows = np.concatenate([rows for rows, _ in kinds])
    geometry = pa.concat_arrays([text for _, text in kinds]).take(pa.array(np.argsort(rows, kind="stable")))
    rows = np.sort(rows)
    return Elements(rows, _framed(batch, rows, geometry, values, own, left, points.text))


def _sift(batch: ShapeBatch) -> None:
    flat, told, box = batch.flat, batch.told, batch.box
    batch.sift(*ELEMENTS, reason="CVAT has no shape for it", bare=TAG, sized=False)
    mask = flat.is_type("segmentation")
    with np.errstate(invalid="ignore"):
        vast: Bools = mask & any_column(np.fmin(box[:, 2:], batch.size) > FARTHEST_SIDE)
    told.drop(f"a mask that reaches beyond {FARTHEST_SIDE:,} pixels", vast)
    told.notice("it reaches outside the image", ~mask & batch.outside())
    tell_of_keys(batch.column("attributes"), told, among=(OCCLUDED, *OWN_ATTRIBUTES))
    illegal = np.zeros(len(flat), np.bool_)
    illegal |= _illegal(flat.value)
    values = attribute_values(batch.column("attributes"))
    odd = _illegal(values.key) | _illegal(values.value)
    illegal[values.owner[odd]] = True
    told.alter(_NO_CHARACTER, illegal)
    told.alter("an attribute without a value was left out", _having(len(flat), values.owner[~valid_mask(values.value)]))


def _having(n: int, owners: Ints) -> Bools:
    found = np.zeros(n, np.bool_)
    found[owners] = True
    return found


def _illegal(texts: pa.Array) -> Bools:
    found = pc.fill_null(pc.match_substring_regex(texts, _ILLEGAL), False)
    illegal: Bools = found.to_numpy(zero_copy_only=False)
    return illegal


def _learn(batch: ShapeBatch, met: Met, values: AttributeValues, used: Used) -> None:
    kept = np.flatnonzero(batch.told.kept)
    types = pc.dictionary_encode(batch.flat.type.take(pa.array(kept)))
    names = types.dictionary.to_pylist()
    pairs = np.unique(met.position[kept] * max(1, len(names)) + types.indices.to_numpy(zero_copy_only=False))
    for pair in pairs.tolist():
        category = met.categories[pair // len(names)]
        used.types.setdefault(category.index, set()).add(names[pair % len(names)])
    keys = pc.dictionary_encode(values.key)
    named = keys.dictionary.to_pylist()
    pairs, first = np.unique(
        met.position[values.owner] * max(1, len(named)) + keys.indices.to_numpy(zero_copy_only=False),
        return_index=True,
    )
    for pair, row in zip(pairs.tolist(), first.tolist(), strict=True):
        key = named[pair % len(named)]
        said = (values.name[row].as_py() or key, values.type[row].as_py() or "text")
        used.attributes.setdefault(met.categories[pair // len(named)].index, {}).setdefault(key, said)


def _boxes(batch: ShapeBatch) -> tuple[Ints, pa.Array]:
    """``xtl ytl xbr ybr`` of the box before it is turned, and by how many degrees it is, clockwise on screen."""
    flat = batch.flat
    rows = np.flatnonzero(batch.told.kept & flat.is_type("bbox"))
    points = as_ragged(batch.column("points"))
    ends = floats(points.values)[points.starts[rows][:, None] + np.arange(4)]
    low, high = np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])
    turn = flat.rotation[rows] % 360.0 % 360.0
    rotation = pc.if_else(pa.array(turn != 0), glued(' rotation="', number_text(turn), '"'), "")
    text = glued(
        ' xtl="',
        _number(low[:, 0]),
        '" ytl="',
        _number(low[:, 1]),
        '" xbr="',
        _number(high[:, 0]),
        '" ybr="',
        _number(high[:, 1]),
        '"',
        rotation,
    )
    return rows, text


def _points(batch: ShapeBatch) -> tuple[Ints, pa.Array]:
    flat = batch.flat
    rows = np.flatnonzero(batch.told.kept & flat.is_type("polygon", "line", "keypoint"))
    counts = np.diff(flat.annotation_vertices)[rows]
    coords = flat.coords[ranges(flat.annotation_vertices[:-1][rows], counts)]
    pairs = glued(_number(coords[:, 0]), ",", _number(coords[:, 1]))
    return rows, glued(' points="', joined(offsets_of(counts), pairs, ";"), '"')


def _circles(batch: ShapeBatch) -> tuple[Ints, pa.Array]:
    flat = batch.flat
    rows = np.flatnonzero(batch.told.kept & flat.is_type("circle"))
    centre = flat.coords[flat.annotation_vertices[:-1][rows]]
    radius = _number(flat.radius[rows])
    text = glued(
        ' cx="', _number(centre[:, 0]), '" cy="', _number(centre[:, 1]), '" rx="', radius, '" ry="', radius, '"'
    )
    return rows, text


def _mask_geometry(box: Ints, rle: pa.Array) -> pa.Array:
    left, top, width, height = (number_text(np.ascontiguousarray(box[:, column])) for column in range(4))
    return glued(' rle="', rle, '" left="', left, '" top="', top, '" width="', width, '" height="', height, '"')


def _number(values: Floats) -> pa.Array:
    return number_text(np.ascontiguousarray(values) + 0.0)  # -0 becomes 0


class _Skeletons(NamedTuple):
    """What stands in the skeletons of a batch."""

    text: pa.Array
    """string[n]: their points, all those of the class in their order; empty for everything else."""
    placed: Bools
    """bool[n]: at least one of them is in the image."""


def _skeletons(batch: ShapeBatch, met: Met) -> _Skeletons:
    flat = batch.flat
    values, offsets, count = keypoint_rows(flat, batch.column("keypoints"), met, met.column("point_slot"), batch.told)
    pose = batch.told.kept & flat.is_type(POSE)
    begin, counts = offsets[:-1] // 3, np.diff(offsets) // 3
    counts = np.where(pose, counts, 0)
    triples = values.reshape(-1, 3)[ranges(begin, counts)]
    keys = [key for category in met.categories for key in category.keypoints]
    first = offsets_of(np.array([len(category.keypoints) for category in met.categories], np.int64))
    of_class = np.where(met.position >= 0, first[np.maximum(met.position, 0)], 0) if len(first) else met.position
    names = _escaped(pa.array(keys, pa.string())).take(pa.array(ranges(of_class, counts)))
    placed = triples[:, 2] > 0
    point = glued(_number(np.where(placed, triples[:, 0], 0)), ",", _number(np.where(placed, triples[:, 1], 0)))
    text = glued(
        '      <points label="',
        names,
        '" source="manual" outside="',
        pc.if_else(pa.array(placed), "0", "1"),
        '" occluded="',
        pc.if_else(pa.array(triples[:, 2] == 1), "1", "0"),
        '" points="',
        point,
        '"/>\n',
    )
    return _Skeletons(joined(offsets_of(counts), text, ""), count > 0)


def _framed(  # noqa: PLR0917
    batch: ShapeBatch,
    rows: Ints,
    geometry: pa.Array,
    values: AttributeValues,
    own: dict[str, pa.Array],
    left: AttributeValues,
    points: pa.Array,
) -> pa.Array:
    """The whole elements around what is special to each type."""
    flat, n = batch.flat, len(batch.flat)
    picked = pa.array(rows)
    types = flat.type.take(picked)
    names = pa.array([element for element, _ in ELEMENTS.values()])
    name = names.take(pc.index_in(types, value_set=pa.array(list(ELEMENTS))))
    tag, skeleton = (pa.array(flat.is_type(kind)[rows]) for kind in (TAG, POSE))
    occluded = pa.array(_having(n, values.owner[values.is_key(OCCLUDED) & values.is_true])[rows])
    group = own["group_id"].take(picked)
    identity = pc.fill_null(batch.column("annotation_id"), "").take(picked)
    confidence = floats(batch.column("confidence_score"))[rows]
    open_tag = glued(
        "    <",
        name,
        ' label="',
        _escaped(flat.value.take(picked)),
        '" source="',
        own["source"].take(picked),
        '"',
        pc.if_else(pc.or_(tag, skeleton), "", pc.if_else(occluded, ' occluded="1"', ' occluded="0"')),
        geometry,
        pc.if_else(tag, "", glued(' z_order="', own["z_order"].take(picked), '"')),
        pc.if_else(pc.equal(group, ""), "", glued(' group_id="', group, '"')),
        pc.if_else(pc.equal(identity, ""), "", glued(' fastlabel_id="', _escaped(identity), '"')),
        pc.if_else(
            pa.array(np.isfinite(confidence)), glued(' fastlabel_confidence="', number_text(confidence), '"'), ""
        ),
    )
    inner = glued(points.take(picked), _attribute_elements(left, n).take(picked))
    closed = glued(open_tag, "/>\n")
    return pc.if_else(pc.equal(inner, ""), closed, glued(open_tag, ">\n", inner, "    </", name, ">\n"))


def _own_attributes(values: AttributeValues, flat: FlatAnnotations) -> tuple[dict[str, pa.Array], AttributeValues]:
    """string[n] for each of CVAT's own attributes, and the attributes that are none of them."""
    n = len(flat)
    tag = flat.is_type(TAG)[values.owner]
    left = valid_mask(values.value)
    left &= ~_is_plain_flag(values) | tag | flat.is_type(POSE)[values.owner]  # which have no flag
    own = {}
    for key, (absent, pattern) in _OWN.items():
        # What stands there for everybody says nothing of this one: such a value is an attribute, to come back.
        said = pc.and_(pc.match_substring_regex(values.value, pattern), pc.not_equal(values.value, absent))
        fits = pc.fill_null(said, False).to_numpy(zero_copy_only=False)
        mine = np.flatnonzero(values.is_key(key) & fits & ~(tag & (key == "z_order")))
        left[mine] = False
        place = np.full(n, -1, np.int64)
        place[values.owner[mine]] = mine
        own[key] = pc.fill_null(values.value.take(pa.array(place, mask=place < 0)), absent)
    return own, values.take(left)


def _is_plain_flag(values: AttributeValues) -> Bools:
    """bool[k]: the switch ``occluded`` as the reader makes it of CVAT's flag, which says all of it."""
    same = pc.and_(pc.equal(values.value, "true"), pc.equal(values.name, OCCLUDED))
    same = pc.and_(same, pc.equal(values.type, "switch"))
    plain: Bools = pc.fill_null(same, False).to_numpy(zero_copy_only=False)
    return plain & values.is_json & values.is_key(OCCLUDED)


def _attribute_elements(values: AttributeValues, n: int) -> pa.Array:
    """string[n]: the ``<attribute>`` elements of each annotation."""
    text = glued(
        '      <attribute name="',
        _escaped(values.key),
        pc.if_else(pa.array(values.is_json), '" fastlabel_json="1">', '">'),
        _escaped(values.value),
        "</attribute>\n",
    )
    return joined(values.offsets(n), text, "")


__all__ = ["ELEMENTS", "OCCLUDED", "OWN_ATTRIBUTES", "TAG", "Elements", "Used", "shape_elements"]
