"""Annotations as labelme's shapes, a batch of tasks at a time.

=================  ====================================================================================================
bbox               rectangle; turned: the polygon of its corners with the key ``rotation``
polygon            polygon
segmentation       a polygon per region, of one ``group_id`` where there are several; with holes a mask of pixels
circle             circle: centre and a point on the rim
line               line of two points, linestrip of more
keypoint           point
pose_estimation    a point per placed keypoint, labeled with its key, of one ``group_id``
=================  ====================================================================================================

labelme keeps keys of a shape that it does not know, so what it has no place for is written beside what it has:
``annotation_type`` and ``rotation``, ``pose`` (the class) and ``keypoint`` of a pose's points, ``attributes`` with
their values. Attributes that are switches are labelme's ``flags``, a text called ``description`` is its description.
The confidence is the ``score`` of all its shapes, as X-AnyLabeling writes that of its models.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import AttributeValues, attribute_values
from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.formats.labelme.masks import DrawnMask, draw_mask
from fastlabel_dagster.formats.outlines import is_turned, regions_of
from fastlabel_dagster.formats.shapes import CUT_MASK, SHAPES, ShapeBatch, confidences
from fastlabel_dagster.formats.text import glued, joined, json_text
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, valid_mask

TYPES = (*SHAPES, "line", "keypoint", POSE)
DESCRIPTION = "description"
SCORE = "score"
_LINE_POINTS = 2


class ShapeList(NamedTuple):
    """The shapes of a batch, in the order of its annotations."""

    shapes: list[dict[str, Any]]
    annotation: list[int]
    """The annotation each belongs to."""


def said(column: pa.Array, wanted: Bools) -> dict[int, dict[str, Any]]:
    """What annotations say of themselves: row -> the keys ``flags``, ``description``, ``attributes`` and, where these
    do not tell it, ``attribute_types`` and ``attribute_names``. Rows without attributes are not there."""
    values = attribute_values(column)
    values = values.take(wanted[values.owner])
    if not len(values.owner):
        return {}
    n = len(column)
    kinds = values.type
    truth: Bools = pc.is_in(values.value, value_set=pa.array(["true", "false"])).to_numpy(zero_copy_only=False)
    is_flag = truth & values.is_json & _equal(kinds, "switch")
    is_text = _equal(kinds, "text") & ~values.is_json & valid_mask(values.value)
    is_description = is_text & values.is_key(DESCRIPTION)
    free = ~is_flag & ~is_description
    titled = ~_equal(pc.fill_null(pc.equal(values.name, values.key), True), True)
    result: dict[int, dict[str, Any]] = {}
    for name, rows, content in (
        ("flags", is_flag, values.json()),
        ("attributes", free, values.json()),
        ("attribute_types", free & ~_is_plain(values), json_text(kinds)),
        ("attribute_names", titled, json_text(values.name)),
    ):
        for owner, members in _objects(values, rows, content, n):
            result.setdefault(owner, {})[name] = members
    for row in np.flatnonzero(is_description).tolist():
        result.setdefault(int(values.owner[row]), {})[DESCRIPTION] = values.value[row].as_py()
    return result


def _equal(column: pa.Array, value: Any) -> Bools:
    equal: Bools = pc.fill_null(pc.equal(column, value), False).to_numpy(zero_copy_only=False)
    return equal


def _is_plain(values: AttributeValues) -> Bools:
    """bool[k]: the type is the one a reader guesses from the value: see :func:`guessed_type`."""
    lists: Bools = pc.fill_null(pc.starts_with(values.value, "["), False).to_numpy(zero_copy_only=False)
    truth: Bools = pc.is_in(values.value, value_set=pa.array(["true", "false"])).to_numpy(zero_copy_only=False)
    guessed = np.full(len(values.owner), "text", object)
    guessed[values.is_json & lists] = "checkbox"
    guessed[values.is_json & truth] = "switch"
    unsaid = ~valid_mask(values.type)
    return unsaid | _equal(pc.equal(values.type, pa.array(guessed, pa.string())), True)


def guessed_type(value: Any) -> str:
    """The type of an attribute that does not state one, by its value."""
    return "switch" if isinstance(value, bool) else "checkbox" if isinstance(value, list) else "text"


def _objects(values: AttributeValues, rows: Bools, content: pa.Array, n: int) -> Iterator[tuple[int, orjson.Fragment]]:
    """A JSON object of the chosen attributes for each annotation that has some."""
    picked = np.flatnonzero(rows)
    if not len(picked):
        return
    arrow = pa.array(picked)
    members = glued(json_text(values.key.take(arrow)), ":", content.take(arrow))
    counts = np.bincount(values.owner[picked], minlength=n)
    texts = glued("{", joined(offsets_of(counts), members, ","), "}")
    owners = np.flatnonzero(counts)
    for owner, text in zip(owners.tolist(), texts.take(pa.array(owners)).to_pylist(), strict=True):
        yield owner, orjson.Fragment(text)


def shapes_of(batch: ShapeBatch, *, oriented: bool) -> ShapeList:
    """The shapes of all annotations that are kept. With ``oriented`` a turned box is an ``oriented_rectangle``, which
    labelme knows from version 6 on. Classifications have no shape."""
    flat, told = batch.flat, batch.told
    turned = is_turned(flat)
    holes = np.zeros(len(flat), np.bool_)
    holes[flat.ring_annotation[flat.ring_is_hole]] = True
    masks = _masks(batch, holes & told.kept)
    told.alter("a turned box became the polygon of its corners", turned & (not oriented))
    told.alter("a segmentation with holes became a mask of pixels", holes)
    pose = flat.is_type(POSE)
    told.alter("a pose became points of one group", pose)
    segmentation = flat.is_type("segmentation") & ~holes
    several = segmentation & (np.diff(flat.annotation_rings) > 1)
    group = _groups(flat.task, told.kept & (several | pose))

    kept = np.flatnonzero(told.kept)
    keypoints = _keypoints(batch, np.flatnonzero(pose & told.kept))
    about = said(batch.column("attributes"), told.kept)
    kinds = flat.type.to_pylist()
    values = flat.value.to_pylist()
    scores = scores_of(batch)
    rings = _Rings(batch)
    result = ShapeList([], [])
    for row in kept.tolist():
        kind, value = kinds[row], values[row]
        own = about.get(row)
        added = len(result.shapes)
        if kind == "bbox" and not turned[row]:
            result.shapes.append(_shape(value, rings.rectangle(row), "rectangle", own))
        elif kind == "bbox":
            form = "oriented_rectangle" if oriented else "polygon"
            shape = _shape(value, rings.outline(row), form, own)
            shape["rotation"] = float(flat.rotation[row])
            result.shapes.append(shape)
        elif kind in ("polygon", "keypoint"):
            result.shapes.append(_shape(value, rings.outline(row), "point" if kind == "keypoint" else kind, own))
        elif kind == "line":
            path = rings.outline(row)
            result.shapes.append(_shape(value, path, "line" if len(path) == _LINE_POINTS else "linestrip", own))
        elif kind == "circle":
            result.shapes.append(_shape(value, rings.circle(row), "circle", own))
        elif kind == POSE:
            result.shapes.extend(_pose_shapes(value, keypoints[row], int(group[row]), own))
        elif row in masks:
            shape = _shape(value, masks[row].points, "mask", own)
            shape["mask"] = masks[row].png
            result.shapes.append(shape)
        elif kind == "segmentation":
            for place, outline in enumerate(rings.regions(row)):
                shape = _shape(value, outline, "polygon", own if place == 0 else None)
                shape["annotation_type"] = kind
                shape["group_id"] = int(group[row]) if group[row] else None
                result.shapes.append(shape)
        if row in scores:
            for shape in result.shapes[added:]:
                shape[SCORE] = scores[row]
        result.annotation.extend([row] * (len(result.shapes) - added))
    return result


def scores_of(batch: ShapeBatch) -> dict[int, float]:
    """Row -> the confidence of those that have one."""
    score = confidences(batch.column("confidence_score"))
    rows = np.flatnonzero(np.isfinite(score))
    return dict(zip(rows.tolist(), score[rows].tolist(), strict=True))


class _Rings:
    """The points of shapes, as views into the vertices of the batch."""

    def __init__(self, batch: ShapeBatch) -> None:
        flat = batch.flat
        self._coords = np.ascontiguousarray(flat.coords)
        self._ring_offsets = flat.ring_offsets.tolist()
        self._first_ring = flat.annotation_rings.tolist()
        self._radius = flat.radius
        upright = np.flatnonzero(flat.is_type("bbox") & batch.told.kept)
        first = flat.annotation_vertices[:-1][upright]
        self._rectangles = np.ascontiguousarray(self._coords[np.column_stack([first, first + 2])])
        self._rectangle = dict(zip(upright.tolist(), range(len(upright)), strict=True))

    def rectangle(self, row: int) -> Floats:
        corners: Floats = self._rectangles[self._rectangle[row]]
        return corners

    def outline(self, row: int) -> Floats:
        ring = self._first_ring[row]
        return self._coords[self._ring_offsets[ring] : self._ring_offsets[ring + 1]]

    def regions(self, row: int) -> Iterator[Floats]:
        for ring in range(self._first_ring[row], self._first_ring[row + 1]):
            yield self._coords[self._ring_offsets[ring] : self._ring_offsets[ring + 1]]

    def circle(self, row: int) -> Floats:
        centre = self.outline(row)[0]
        return np.array([centre, (centre[0] + self._radius[row], centre[1])])


def _shape(label: str, points: Any, kind: str, own: dict[str, Any] | None) -> dict[str, Any]:
    shape = {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}
    if own is not None:
        shape.update(own)
    return shape


def _groups(task: Ints, grouped: Bools) -> Ints:
    """int64[n]: the number of each grouped annotation within its task, from 1; 0 for the others."""
    running = np.cumsum(grouped)
    first = np.searchsorted(task, task, side="left")
    before = np.concatenate([[0], running])[first] if len(task) else running
    return np.where(grouped, running - before, 0)


def _masks(batch: ShapeBatch, wanted: Bools) -> dict[int, DrawnMask]:
    """The pixels of the annotations ``wanted``; one that has none, or too many, is dropped."""
    flat, told = batch.flat, batch.told
    drawn: dict[int, DrawnMask] = {}
    marks = {name: np.zeros(len(flat), np.bool_) for name in ("empty", "huge", "cut", "overlap", "leave")}
    for row in np.flatnonzero(wanted).tolist():
        size = np.nan_to_num(batch.size[row], nan=np.inf)
        try:
            mask = draw_mask(regions_of(flat, row), np.array([0.0, 0.0, *size]))
        except ValueError:
            marks["huge"][row] = True
            continue
        marks["cut"][row] = bool((batch.box[row, :2] < 0).any() or (batch.box[row, 2:] > size).any())
        if mask is None:
            marks["empty"][row] = True
            continue
        drawn[row] = mask
        marks["overlap"][row], marks["leave"][row] = mask.overlaps, mask.holes_leave
    told.drop("its mask has no pixel: it lies outside the image, or its holes leave nothing", marks["empty"])
    told.drop("its mask would be larger than pictures are", marks["huge"])
    told.alter(CUT_MASK, marks["cut"])
    told.notice("its regions overlap", marks["overlap"])
    told.notice("a hole reaches outside its outline, only what lies inside was cut out", marks["leave"])
    return drawn


def _keypoints(batch: ShapeBatch, rows: Ints) -> dict[int, list[dict[str, Any]]]:
    """The placed keypoints of the poses in ``rows``; those without a place are told."""
    found = {}
    unplaced = np.zeros(len(batch.flat), np.bool_)
    points_of = batch.column("keypoints").take(pa.array(rows)).to_pylist()
    for row, points in zip(rows.tolist(), points_of, strict=True):
        found[row] = [point for point in points if point["value"]]
        unplaced[row] = len(found[row]) < len(points)
    batch.told.alter("a keypoint that has no place was left out", unplaced)
    return found


def _pose_shapes(
    value: str, keypoints: list[dict[str, Any]], group: int, own: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    for place, point in enumerate(keypoints):
        key = str(point["key"])
        shape = _shape(key, [point["value"][:2]], "point", own if place == 0 else None)
        about: dict[str, Any] = {}
        if point["name"] is not None and point["name"] != key:
            about["name"] = point["name"]
        if len(point["value"]) > 2:
            about["visibility"] = point["value"][2]
        if point["edges"] is not None:
            about["edges"] = point["edges"]
        shape.update(group_id=group, pose=value, keypoint=about)
        yield shape
