"""Tasks as rows of COCO's annotation table, a batch at a time; the JSON and the Parquet writer both write these rows.

COCO knows a box, polygons or a run-length mask, and keypoints. What the FastLabel types become:

=================  ====================================================================================================
bbox               bbox; no segmentation (or its corners). With a rotation: the turned rectangle, its enclosing box
polygon            one polygon
segmentation       one polygon per region; with holes (or as a crowd) an uncompressed run-length mask by pixel centres
circle             a polygon of 64 vertices on the circle; box and area are the circle's own
pose_estimation    keypoints in class order, visibility 1 -> 2, 0 -> 1, not placed -> 0; box around the placed ones, or
                   box, area and outline of the COCO file it was read from, while that box holds the keypoints
keypoint           keypoints with one point, named after the class
line, others       dropped: COCO has no place for them
=================  ====================================================================================================

``area`` is that of the shape as drawn, also where it reaches outside the image: width x height of a box, outlines less
what regions share of a polygon. That of a run-length mask is the number of its pixels, which end at the image's edge,
as does its ``bbox``.

Any of them with the attribute ``iscrowd`` switched on becomes a crowd: ``iscrowd`` 1 and a run-length mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.formats.attributes import Attributes, apply_stated_boxes, read_attributes, tell_of_keys
from fastlabel_dagster.formats.categories import POSE, Categories
from fastlabel_dagster.formats.coco.columns import list_array
from fastlabel_dagster.formats.coco.run_lengths import RunLengths, run_lengths
from fastlabel_dagster.formats.coco.stated import StatedShapes, stated_shapes
from fastlabel_dagster.formats.coco.united import united_areas
from fastlabel_dagster.formats.keypoints import keypoint_rows
from fastlabel_dagster.formats.outlines import (
    CIRCLE_VERTICES,
    LONGEST_SIDE,
    Rings,
    is_paintable,
    is_turned,
    outline_rings,
)
from fastlabel_dagster.formats.shapes import CUT_MASK, SHAPES, ShapeBatch
from fastlabel_dagster.labels.geometry import areas
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, as_ragged, every_column, offsets_of, ranges

POINTS = ("keypoint", POSE)
_OVERLAP = "its regions overlap, what they share counts once in the area"
_UNMEASURED = "it has too many regions to measure what they share, the area is the sum of theirs"
#: Readers of COCO count the pixels of a mask in 32 bits.
_MOST_PIXELS = 2**32 - 1
_TOO_LARGE = f"the image has more than {_MOST_PIXELS:,} pixels, or a longer side than {LONGEST_SIDE:,}, for a mask"

#: ``bbox`` is x, y, width, height in pixels, ``area`` square pixels; ``counts`` is set for run-length masks of ``size``
#: (height, width), whose ``segmentation`` is then empty; ``keypoints`` x, y, v; ``rotation`` the degrees (clockwise on
#: screen) of a turned box, whose ``segmentation`` are its corners; ``attributes`` a JSON object; ``score`` the
#: confidence of a prediction.
COCO_ROWS = pa.schema(
    [
        ("id", pa.int64()),
        ("image_id", pa.int64()),
        ("category_id", pa.int64()),
        ("iscrowd", pa.int8()),
        ("area", pa.float64()),
        ("bbox", pa.list_(pa.float64())),
        ("segmentation", pa.list_(pa.list_(pa.float64()))),
        ("counts", pa.list_(pa.int64())),
        ("size", pa.list_(pa.int64())),
        ("keypoints", pa.list_(pa.float64())),
        ("num_keypoints", pa.int64()),
        ("rotation", pa.float64()),
        ("attributes", pa.string()),
        ("score", pa.float64()),
    ]
)


def coco_rows(batch: ShapeBatch, categories: Categories, first_id: int | None, *, rectangles: bool) -> pa.Table:
    """The annotations of a batch as ``COCO_ROWS``, in its order.

    Args:
        batch: of tasks; everything left out or changed is told to it.
        categories: gives the category ids; unknown classes are added.
        first_id: the first of the ids; None: each annotation has its own.
        rectangles: an upright box is a segmentation too.
    """
    flat, told, box = batch.flat, batch.told, batch.box
    attributes = read_attributes(batch.column("attributes"))
    area = areas(flat)
    pose = flat.is_type(POSE)
    with np.errstate(over="ignore", invalid="ignore"):
        # Keypoint scores are normalised by the area of the box around the pose.
        area[pose] = np.prod(box[pose, 2:] - box[pose, :2], axis=1)
    shape = flat.is_type(*SHAPES)
    holes = np.zeros(len(flat), np.bool_)
    holes[flat.ring_annotation[flat.ring_is_hole]] = True
    masked = shape & (holes | attributes.crowd)

    told.drop("a line has no area, COCO has no place for it", flat.is_type("line"))
    told.drop("a classification has no place in the image", flat.is_type("classification"))
    batch.sift(*SHAPES, *POINTS, what="a box, an area or keypoints", sized=False)
    sized: Bools = every_column(batch.size > 0)
    told.drop("the size of the image is not known, its mask cannot be drawn", masked & ~sized)
    told.drop(_TOO_LARGE, masked & ~is_paintable(batch.size, _MOST_PIXELS))
    tell_of_keys(batch.column("attributes"), told)
    met = batch.meet(categories)
    point_slot = np.array([*(category.point_slot for category in met.categories), -1])[met.position]
    told.drop("the keypoints of its category do not include it", flat.is_type("keypoint") & (point_slot < 0))
    told.alter("a rotated box became a polygon in an upright box", is_turned(flat) & ~masked)
    told.alter(f"a circle became a polygon of {CIRCLE_VERTICES} vertices", flat.is_type("circle") & ~masked)
    told.alter("a polygon with holes became a mask of pixels", holes & ~attributes.crowd)
    told.alter("a crowd became a mask of pixels", attributes.crowd & shape)
    cut = _tell_of_edges(batch, masked)

    kept = np.flatnonzero(told.kept)
    polygonal = told.kept & shape & ~masked & (~flat.is_type("bbox") | is_turned(flat) | rectangles)
    rings = outline_rings(flat, polygonal[flat.ring_annotation])
    masks = _masks(batch, masked & told.kept, area)
    united, unmeasured = united_areas(flat, rings, area)
    area[list(united)] = list(united.values())
    told.notice(_OVERLAP, _rows(len(flat), list(united)))
    told.notice(_UNMEASURED, _rows(len(flat), unmeasured))
    boxes_with_points = flat.is_type("bbox") & (as_ragged(batch.column("keypoints")).lengths > 0)
    points, offsets, placed = keypoint_rows(
        flat, batch.column("keypoints"), met, point_slot, told, posed=flat.is_type(POSE) | boxes_with_points
    )
    box[cut] = np.clip(box[cut], 0, np.tile(batch.size[cut], 2))
    apply_stated_boxes(box, attributes)
    stated = _stated(batch, attributes, pose & told.kept, area)
    extent = np.column_stack([box[kept, :2], box[kept, 2:] - box[kept, :2]])
    told.finish()

    everything = _Outlines(rings, np.where(polygonal, np.diff(flat.annotation_rings), 0), masks, batch.size)
    segmentation, counts, size = everything.columns(kept, stated)
    rows = pa.array(kept)
    has_points = pa.array((flat.is_type(*POINTS) | boxes_with_points)[kept])
    turned = pa.array((is_turned(flat) & polygonal)[kept])
    ids = batch.column("annotation_id").take(rows).cast(pa.int64()) if first_id is None else None
    score = batch.column("confidence_score").take(rows)
    return pa.table(
        [
            pa.array(np.arange(len(kept)) + (first_id or 0)) if ids is None else ids,
            pa.array(batch.picture[flat.task][kept] + 1),
            pa.array(met.column("id")[kept]),
            pa.array((attributes.crowd & shape)[kept].astype(np.int8)),
            pa.array(area[kept]),
            list_array(4 * np.arange(len(kept) + 1), pa.array(extent.reshape(-1))),
            segmentation,
            counts,
            size,
            pc.if_else(has_points, _taken(points, offsets, kept), None),
            pc.if_else(has_points, pa.array(placed[kept]), None),
            pc.if_else(turned, pa.array(flat.rotation[kept]), None),
            attributes.json.take(rows),
            pc.if_else(pc.and_(pc.greater_equal(score, 0), pc.is_finite(score)), score, None),
        ],
        schema=COCO_ROWS,
    )


def _tell_of_edges(batch: ShapeBatch, masked: Bools) -> Bools:
    """What reaches outside the image stays as it is drawn, but for masks; bool[n]: those of them that are kept."""
    told, outside = batch.told, batch.outside()
    told.notice("reaches outside the image", outside & ~masked)
    told.alter(CUT_MASK, outside & masked)
    cut: Bools = outside & masked & told.kept
    return cut


def _masks(batch: ShapeBatch, masked: Bools, area: Floats) -> RunLengths:
    """Run lengths of the annotations that must be masks. ``area`` becomes theirs."""
    masks = run_lengths(batch.flat, masked, batch.size)
    area[masks.rows] = masks.area
    told = batch.told
    told.notice(_OVERLAP, masks.overlapping)
    told.notice("a hole reaches outside its outline, only what lies inside was cut out", masks.leaving)
    empty = _rows(len(area), masks.rows[masks.area == 0])
    told.notice("its mask has no pixel: it lies outside the image, or its holes leave nothing", empty)
    return masks


def _stated(batch: ShapeBatch, attributes: Attributes, poses: Bools, area: Floats) -> StatedShapes:
    """The boxes, areas and outlines poses had in the COCO file they come from; ``batch.box`` and ``area`` become
    theirs."""
    wanted = {row: text for row, text in attributes.stated_shapes.items() if poses[row]}
    stated = stated_shapes(wanted, batch.box)
    batch.told.alter(
        "its keypoints are no longer in the box its COCO file stated, which was left out with its outline",
        _rows(len(area), list(wanted.keys() - set(stated.rows.tolist()))),
    )
    batch.box[stated.rows] = stated.box
    area[stated.rows] = stated.area
    return stated


class _Outlines(NamedTuple):
    """All outlines of a batch."""

    rings: Rings
    per_row: Ints
    """int64[n]: how many of the rings each annotation has."""
    masks: RunLengths
    image_size: Floats

    def columns(self, kept: Ints, stated: StatedShapes) -> tuple[pa.Array, pa.Array, pa.Array]:
        """``segmentation``, ``counts`` and ``size`` of the rows ``kept``."""
        n = len(self.per_row)
        rings = list_array(2 * self.rings.offsets, pa.array(self.rings.coords.reshape(-1)))
        segmentation = list_array(offsets_of(self.per_row[kept]), rings)
        counts = self.masks.column(n).take(pa.array(kept))
        masked = _rows(n, self.masks.rows)
        sides = np.where(masked[:, None], self.image_size[:, ::-1], 0).astype(np.int64)[kept]
        size = list_array(2 * np.arange(len(kept) + 1), pa.array(sides.reshape(-1)))
        size = pc.if_else(pa.array(masked[kept]), size, None)
        if not len(stated.rows):
            return segmentation, counts, size
        place = np.full(n, -1, np.int64)
        place[stated.rows] = len(kept) + np.arange(len(stated.rows))
        picked = pa.array(np.where(place[kept] >= 0, place[kept], np.arange(len(kept))))
        whole = (
            pa.concat_arrays([own, theirs]).take(picked)
            for own, theirs in zip((segmentation, counts, size), stated.columns, strict=True)
        )
        segmentation, counts, size = whole
        return segmentation, counts, size


def _rows(n: int, rows: list[int] | Ints) -> Bools:
    chosen = np.zeros(n, np.bool_)
    chosen[rows] = True
    return chosen


def _taken(values: NDArray[np.float64], offsets: Ints, rows: Ints) -> pa.Array:
    lengths = np.diff(offsets)[rows]
    return list_array(offsets_of(lengths), pa.array(values[ranges(offsets[:-1][rows], lengths)]))
