"""The parts :func:`fastlabel_dagster.labels.geometry.flatten` is made of: what a type's geometry is, its rings and its
vertices, taken out of nested lists. Lengths are pixels, x to the right and y downwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.ragged import (
    Bools,
    Floats,
    Ints,
    Ragged,
    as_ragged,
    floats,
    offsets_of,
    places,
    ranges,
    valid_mask,
)

#: Types whose geometry is a list of numbers in ``points``: type -> (fewest numbers, most numbers or None, multiple of).
POINT_TYPES: dict[str, tuple[int, int | None, int]] = {
    "bbox": (4, 4, 2),
    "polygon": (6, None, 2),
    "line": (4, None, 2),
    "keypoint": (2, 2, 2),
    "circle": (3, 3, 1),
}
POSE = "pose_estimation"
SEGMENTATION = "segmentation"
_FEWEST_RING_VERTICES = 3
#: Where x and y of each corner of a box, clockwise from the first, stand among x1, y1, x2, y2.
_CORNERS = np.array([[0, 1], [2, 1], [2, 3], [0, 3]])


class Words:
    """A column of few different texts, nulls among them: which rows are one of some words, again and again."""

    def __init__(self, texts: pa.Array) -> None:
        encoded = pc.dictionary_encode(texts)
        self._words = encoded.dictionary.to_pylist()
        self._codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)

    def among(self, *wanted: str) -> Bools:
        """bool[n]: the text is one of ``wanted``."""
        chosen = np.array([*(word in wanted for word in self._words), False], np.bool_)
        result: Bools = chosen[self._codes]
        return result


def points_fit(types: Words, points: Ragged) -> Bools:
    """bool[n]: the type has its geometry in ``points``, and these are as many numbers as it needs."""
    fits = np.zeros(len(points.lengths), dtype=np.bool_)
    for name, (fewest, most, multiple) in POINT_TYPES.items():
        count = points.lengths
        right = (count >= fewest) & (count % multiple == 0)
        if most is not None:
            right &= count <= most
        fits |= types.among(name) & right
    return fits & points.valid & _no_nulls(points)


def _no_nulls(lists: Ragged) -> Bools:
    if lists.values.null_count == 0:
        return np.ones(len(lists.lengths), dtype=np.bool_)
    nulls = offsets_of(~valid_mask(lists.values))
    none: Bools = nulls[lists.starts + lists.lengths] == nulls[lists.starts]
    return none


def put_in_order(ends: Floats) -> Bools:
    """Make x1 <= x2 and y1 <= y2 of boxes (float64[b, 4]: x1, y1, x2, y2), in place; bool[b]: it was not so.

    NaN is in no order and stays where it came."""
    swapped: Bools = ends[:, :2] > ends[:, 2:]
    row, axis = np.nonzero(swapped)
    ends[row, axis], ends[row, axis + 2] = ends[row, axis + 2], ends[row, axis]
    result: Bools = np.logical_or(swapped[:, 0], swapped[:, 1])
    return result


def corners_of(ends: Floats, degrees: Floats) -> Floats:
    """float64[b, 4, 2]: corners of boxes given as x1, y1, x2, y2, turned clockwise on screen about their centres."""
    corners = np.take(ends, _CORNERS, axis=1)
    turned = np.flatnonzero(degrees != 0)
    if len(turned):
        with whatever_came():
            angle = np.deg2rad(degrees[turned] % 360.0)
            # Quarter turns are exact: cos(90°) is 6e-17 in floating point and would smear whole-pixel boxes.
            quarter = degrees[turned] % 90.0 == 0
            cos, sin = np.cos(angle), np.sin(angle)
            cos, sin = np.where(quarter, np.round(cos), cos), np.where(quarter, np.round(sin), sin)
            centre = (corners[turned, 0] + corners[turned, 2]) / 2
            dx, dy = np.moveaxis(corners[turned] - centre[:, None], 2, 0)
            corners[turned, :, 0] = centre[:, 0, None] + dx * cos[:, None] - dy * sin[:, None]
            corners[turned, :, 1] = centre[:, 1, None] + dx * sin[:, None] + dy * cos[:, None]
    return corners


class SegmentationRings(NamedTuple):
    """The rings of segmentations."""

    fits: Bools  # [n] the annotation is a well-formed segmentation
    counts: Ints  # [n] its number of rings
    vertices: Ints  # per ring of the fitting annotations: vertices without the closing one
    region: Ints  # per such ring
    is_hole: Bools  # per such ring
    coords: Floats  # [vertices.sum(), 2]


def segmentation_rings(regions: Ragged, wanted: Bools) -> SegmentationRings:
    """Take region -> ring -> [x, y, …] apart for the annotations ``wanted``; the others have no ring."""
    region_counts = np.where(wanted, regions.lengths, 0)
    in_region = as_ragged(regions.values)
    region_rows = ranges(regions.starts, region_counts)
    region_annotation = np.repeat(np.arange(len(wanted)), region_counts)
    ring_counts = in_region.lengths[region_rows]
    in_ring = as_ragged(in_region.values)
    ring_rows = ranges(in_region.starts[region_rows], ring_counts)
    ring_annotation = np.repeat(region_annotation, ring_counts)
    starts, lengths = in_ring.starts[ring_rows], in_ring.lengths[ring_rows]
    numbers = floats(in_ring.values)

    vertices = lengths // 2
    closed = np.flatnonzero((lengths % 2 == 0) & (vertices > 1))
    last = starts[closed] + lengths[closed]
    repeats = (numbers[last - 2] == numbers[starts[closed]]) & (numbers[last - 1] == numbers[starts[closed] + 1])
    vertices[closed[repeats]] -= 1

    right = (lengths % 2 == 0) & (vertices >= _FEWEST_RING_VERTICES) & _no_nulls(in_ring)[ring_rows]
    fits = wanted & (region_counts > 0)
    fits[region_annotation[ring_counts == 0]] = False
    fits[ring_annotation[~right]] = False

    kept = fits[ring_annotation]
    number_in_annotation = ranges(np.zeros(len(wanted)), region_counts)
    number_in_region = ranges(np.zeros(len(ring_counts)), ring_counts)
    counts = np.bincount(ring_annotation, minlength=len(wanted)).astype(np.int64)
    return SegmentationRings(
        fits=fits,
        counts=counts,
        vertices=vertices[kept],
        region=np.repeat(number_in_annotation, ring_counts)[kept],
        is_hole=number_in_region[kept] > 0,
        coords=numbers[places(starts[kept], 2 * vertices[kept])].reshape(-1, 2),
    )


class PlacedKeypoints(NamedTuple):
    """The vertices of poses."""

    fits: Bools  # [n] the annotation is a pose with at least one placed keypoint and none ill-formed
    counts: Ints  # [n] its number of placed keypoints
    coords: Floats  # [counts[fits].sum(), 2]


def placed_keypoints(poses: Ragged, wanted: Bools) -> PlacedKeypoints:
    """The x, y of the keypoints of the annotations ``wanted``; one whose value is null or empty is not placed."""
    keypoint_counts = np.where(wanted, poses.lengths, 0)
    rows = ranges(poses.starts, keypoint_counts)
    annotation = np.repeat(np.arange(len(wanted)), keypoint_counts)
    value = as_ragged(pc.struct_field(poses.values, "value"))
    lengths = value.lengths[rows]
    placed = lengths > 0
    right = ~placed | ((lengths >= 2) & (lengths <= 3) & _no_nulls(value)[rows])
    counts = np.bincount(annotation[placed], minlength=len(wanted)).astype(np.int64)
    fits = wanted & (counts > 0)
    fits[annotation[~right]] = False
    kept = rows[placed & fits[annotation]]
    coords = floats(value.values)[ranges(value.starts[kept], np.full(len(kept), 2))].reshape(-1, 2)
    return PlacedKeypoints(fits, counts, coords)


def whatever_came() -> np.errstate:
    """Arithmetic on coordinates as they came, NaN, infinite or near the largest number there is: the result is NaN or
    infinite then, as documented and as :func:`is_finite` tells, and nobody at the terminal can do anything about it."""
    return np.errstate(invalid="ignore", over="ignore")
