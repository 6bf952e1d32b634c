"""Tasks as rows of COCO's annotation table, a batch at a time; the JSON and the Parquet writer both write these rows.

COCO knows a box, polygons or a run-length mask, and keypoints. What the FastLabel types become:

=================  ====================================================================================================
bbox               bbox; no segmentation (or its corners). With a rotation: the turned rectangle, its enclosing box
polygon            one polygon
segmentation       one polygon per region; with holes (or as a crowd) an uncompressed run-length mask by pixel centres
circle             a polygon of 64 vertices on the circle; box and area are the circle's own
pose_estimation    keypoints in class order, visibility 1 -> 2, 0 -> 1, not placed -> 0; box around the placed ones
keypoint           keypoints with one point, named after the class
line, others       dropped: COCO has no place for them
=================  ====================================================================================================

``area`` is that of the shape as drawn, also where it reaches outside the image: width x height of a box, outlines less
what regions share of a polygon. That of a run-length mask is the number of its pixels, which end at the image's edge.

Any of them with the attribute ``iscrowd`` switched on becomes a crowd: ``iscrowd`` 1 and a run-length mask.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.formats.attributes import apply_stated_boxes, read_attributes
from fastlabel_dagster.formats.categories import POSE, Categories
from fastlabel_dagster.formats.keypoints import keypoint_rows
from fastlabel_dagster.formats.outlines import (
    CIRCLE_VERTICES,
    SLACK,
    TOO_FAR,
    Rings,
    is_too_far,
    is_turned,
    outline_rings,
    regions_of,
)
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import BatchTally, Tally
from fastlabel_dagster.formats.united import united_areas
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.geometry import FlatAnnotations, areas, boxes, flatten, is_finite
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, one_array, ranges

SHAPES = ("bbox", "polygon", "segmentation", "circle")
POINTS = ("keypoint", POSE)
_OVERLAP = "its regions overlap, what they share counts once in the area"

#: ``bbox`` is x, y, width, height in pixels, ``area`` square pixels; ``counts`` is set for run-length masks of ``size``
#: (height, width), whose ``segmentation`` is then empty; ``keypoints`` x, y, v; ``attributes`` a JSON object.
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
        ("attributes", pa.string()),
    ]
)
#: The columns of the label tables this reads.
NEEDS = ("task_id", "name", "width", "height", "annotations")


def coco_rows(
    tasks: pa.Table, pictures: Pictures, categories: Categories, tally: Tally, first_id: int, *, rectangles: bool
) -> pa.Table:
    """The annotations of a batch of ``tasks`` as ``COCO_ROWS``, numbered from ``first_id``, in the order of the batch.

    With ``rectangles`` an upright box is a segmentation too. Everything left out or changed is told to ``tally``;
    unknown classes are added to ``categories``.
    """
    flat = flatten(tasks)
    image = pictures.rows_of(one_array(tasks["task_id"]))
    nested = pc.list_flatten(one_array(tasks["annotations"]))
    told = tally.batch(flat.type, flat.task, one_array(tasks["name"]), pc.struct_field(nested, "annotation_id"))
    attributes = read_attributes(pc.struct_field(nested, "attributes"))
    width, height = pictures.width[image][flat.task], pictures.height[image][flat.task]

    box, area = boxes(flat), areas(flat)
    keypoints = pc.struct_field(nested, "keypoints")
    pose = flat.is_type(POSE)
    with np.errstate(over="ignore", invalid="ignore"):
        # Keypoint scores are normalised by the area of the box around the pose.
        area[pose] = np.prod(box[pose, 2:] - box[pose, :2], axis=1)
    shape = flat.is_type(*SHAPES)
    drawn = flat.annotation_rings[1:] > flat.annotation_rings[:-1]
    holes = np.zeros(len(flat), np.bool_)
    holes[flat.ring_annotation[flat.ring_is_hole]] = True
    masked = shape & (holes | attributes.crowd)

    _sift(told, flat, drawn, area, box)
    told.drop("the size of the image is not known, its mask cannot be drawn", masked & ~(width * height > 0))
    met = categories.meet(pc.if_else(pa.array(told.kept), flat.value, None), flat.type, keypoints)
    point_slot = np.array([*(category.point_slot for category in met.categories), -1])[met.position]
    told.drop("the keypoints of its category do not include it", flat.is_type("keypoint") & (point_slot < 0))
    told.alter("the class is not in the project, a category was added for it", ~met.known)
    told.alter("a rotated box became a polygon in an upright box", is_turned(flat) & ~masked)
    told.alter(f"a circle became a polygon of {CIRCLE_VERTICES} vertices", flat.is_type("circle") & ~masked)
    told.alter("a polygon with holes became a mask of pixels", holes & ~attributes.crowd)
    told.alter("a crowd became a mask of pixels", attributes.crowd & shape)
    limits = np.column_stack([width, height]) + SLACK
    outside: Bools = np.logical_or.reduce(np.hstack([box[:, :2] < -SLACK, box[:, 2:] > limits]), axis=1)
    told.notice("reaches outside the image", outside & ~masked)
    told.alter("reached outside the image, its mask ends at the edge", outside & masked)

    kept = np.flatnonzero(told.kept)
    sizes = np.column_stack([height, width])
    polygonal = told.kept & shape & ~masked & (~flat.is_type("bbox") | is_turned(flat) | rectangles)
    rings = outline_rings(flat, polygonal[flat.ring_annotation])
    counts = _masks(flat, masked & told.kept, sizes, area, told)
    united = united_areas(flat, rings, area)
    area[list(united)] = list(united.values())
    told.notice(_OVERLAP, _rows(flat, united))
    points, offsets, placed = keypoint_rows(flat, keypoints, met, point_slot, told)
    apply_stated_boxes(box, attributes)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite boxes are not written
        extent = np.column_stack([box[:, :2], box[:, 2:] - box[:, :2]])
    segmentation = _polygons(rings, np.where(polygonal, np.diff(flat.annotation_rings), 0)[kept])
    told.finish()

    rows = pa.array(kept)
    has_points = pa.array(flat.is_type(*POINTS)[kept])
    return pa.table(
        [
            pa.array(np.arange(first_id, first_id + len(kept))),
            pa.array(image[flat.task][kept] + 1),
            pa.array(met.column("id")[kept]),
            pa.array((attributes.crowd & shape)[kept].astype(np.int8)),
            pa.array(area[kept]),
            _list(extent[kept].reshape(-1), np.full(len(kept), 4)),
            segmentation,
            pa.array(
                [counts.get(row) for row in kept.tolist()] if counts else [None] * len(kept), pa.list_(pa.int64())
            ),
            pa.array(
                [sizes[row].astype(np.int64) if row in counts else None for row in kept.tolist()]
                if counts
                else [None] * len(kept),
                pa.list_(pa.int64()),
            ),
            pc.if_else(has_points, _list(*_take(points, offsets, kept)), None),
            pc.if_else(has_points, pa.array(placed[kept]), None),
            attributes.json.take(rows),
        ],
        schema=COCO_ROWS,
    )


def _sift(told: BatchTally, flat: FlatAnnotations, drawn: Bools, area: Floats, box: Floats) -> None:
    """Drop what COCO cannot hold."""
    shaped = flat.is_type(*SHAPES, *POINTS)
    told.drop("a line has no area, COCO has no place for it", flat.is_type("line"))
    told.drop("a classification has no place in the image", flat.is_type("classification"))
    told.drop("COCO has no annotation of this type", ~shaped)
    told.drop("the geometry is missing or ill-formed", ~flat.well_formed | ~drawn)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = is_finite(flat) & np.isfinite(area) & np.isfinite(box).all(axis=1)
        finite &= np.isfinite(box[:, 2:] - box[:, :2]).all(axis=1)
    told.drop("a coordinate is not a finite number", ~finite)
    told.drop(TOO_FAR, is_too_far(box))
    told.drop("a circle without a positive radius", flat.is_type("circle") & ~(flat.radius > 0))
    told.drop("it has no class", ~pc.is_valid(flat.value).to_numpy(zero_copy_only=False))


def _polygons(rings: Rings, counts: Ints) -> pa.Array:
    """The ``segmentation`` column: the next ``counts[i]`` of ``rings`` for row i."""
    lists = _list(rings.coords.reshape(-1), 2 * np.diff(rings.offsets))
    return pa.ListArray.from_arrays(pa.array(offsets_of(counts).astype(np.int32)), lists)


def _masks(flat: FlatAnnotations, masked: Bools, size: Floats, area: Floats, told: BatchTally) -> dict[int, list[int]]:
    """Run lengths of the annotations that must be masks: row -> counts. ``area`` becomes theirs."""
    runs = {}
    overlapping, leaving, empty = [], [], []
    for row in np.flatnonzero(masked).tolist():
        painting = raster.paint(regions_of(flat, row), int(size[row, 1]), int(size[row, 0]))
        runs[row] = raster.mask_to_rle(painting.mask)
        area[row] = raster.rle_area(runs[row])
        overlapping += [row] if painting.overlaps else []
        leaving += [row] if painting.holes_leave else []
        empty += [row] if not area[row] else []
    told.notice(_OVERLAP, _rows(flat, overlapping))
    told.notice("a hole reaches outside its outline, only what lies inside was cut out", _rows(flat, leaving))
    told.notice("its mask has no pixel: it lies outside the image, or its holes leave nothing", _rows(flat, empty))
    return runs


def _rows(flat: FlatAnnotations, rows: Iterable[int]) -> Bools:
    chosen = np.zeros(len(flat), np.bool_)
    chosen[list(rows)] = True
    return chosen


def _list(values: NDArray[np.float64], lengths: NDArray[np.int64]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets_of(lengths).astype(np.int32)), pa.array(values))


def _take(values: Floats, offsets: Ints, rows: Ints) -> tuple[Floats, Ints]:
    lengths = np.diff(offsets)[rows]
    return values[ranges(offsets[:-1][rows], lengths)], lengths
