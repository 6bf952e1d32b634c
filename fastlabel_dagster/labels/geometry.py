"""Geometry of all annotations at once: vertices, boxes, areas and checks as ragged NumPy arrays.

:func:`flatten` turns a tasks table into one flat array of vertices with offsets; everything else is arithmetic on it.
Nothing here runs Python code per annotation. Lengths are pixels, x to the right and y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import (
    Bools,
    Floats,
    Ints,
    all_true,
    as_ragged,
    floats,
    maxima,
    minima,
    offsets_of,
    one_array,
    places,
    ranges,
    sums,
    valid_mask,
)
from fastlabel_dagster.labels.rings import (
    POINT_TYPES,
    POSE,
    SEGMENTATION,
    Words,
    corners_of,
    placed_keypoints,
    points_fit,
    put_in_order,
    segmentation_rings,
    whatever_came,
)


@dataclass(frozen=True)
class FlatAnnotations:
    """``n`` annotations as ``r`` rings of ``m`` vertices.

    Annotation ``i`` owns rings ``annotation_rings[i]:annotation_rings[i + 1]``; ring ``j`` owns the vertices
    ``coords[ring_offsets[j]:ring_offsets[j + 1]]``. An annotation has no ring when it has no 2D geometry of its own
    (classification, text, keyframes, …) or when that geometry is ill-formed (``well_formed`` False).
    """

    task: Ints
    """int64[n]: row of the annotation's task in the tasks table."""
    index: Ints
    """int64[n]: position within its task, from 0."""
    type: pa.Array
    """string[n]: annotation type, may hold nulls."""
    value: pa.Array
    """string[n]: class value, may hold nulls."""
    coords: Floats
    """float64[m, 2]: all vertices, x and y in pixels; NaN and infinities as they came."""
    ring_offsets: Ints
    """int64[r + 1] into ``coords``."""
    annotation_rings: Ints
    """int64[n + 1] into the rings."""
    ring_region: NDArray[np.int32]
    """int32[r]: number of the ring's region within its annotation, from 0."""
    ring_is_hole: Bools
    """bool[r]: the ring is cut out of its region."""
    rotation: Floats
    """float64[n]: degrees clockwise on screen, 0 when absent. Already applied to the corners of a bbox."""
    radius: Floats
    """float64[n]: radius of a circle in pixels, NaN for everything else."""
    width: Floats
    """float64[n]: width of the task's image in pixels; NaN when unknown (absent, zero or negative)."""
    height: Floats
    """float64[n]: height likewise."""
    well_formed: Bools
    """bool[n]: False when the type promises geometry and the points do not fit it: a wrong or odd count of numbers,
    null or missing points, a ring of fewer than three vertices. Such an annotation has no ring."""
    reversed: Bools
    """bool[n]: a bbox whose points came with x1 > x2 or y1 > y2. Its ring begins at the top left like that of any
    other: the order of its corners says nothing about the box, and must not turn it."""

    def __len__(self) -> int:
        return len(self.task)

    @property
    def ring_annotation(self) -> Ints:
        """int64[r]: the annotation each ring belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.annotation_rings))

    @property
    def vertex_ring(self) -> Ints:
        """int64[m]: the ring each vertex belongs to."""
        return np.repeat(np.arange(len(self.ring_region), dtype=np.int64), np.diff(self.ring_offsets))

    @property
    def annotation_vertices(self) -> Ints:
        """int64[n + 1] into ``coords``: the vertices of annotation ``i``, all its rings together."""
        return self.ring_offsets[self.annotation_rings]

    @cached_property
    def _words(self) -> Words:
        return Words(self.type)

    def is_type(self, *types: str) -> Bools:
        """bool[n]: the annotation is of one of ``types``."""
        return self._words.among(*types)


def flatten(tasks: pa.Table) -> FlatAnnotations:
    """The geometry of every annotation of ``tasks`` (columns ``annotations``, and ``width``/``height`` when present).

    Rings by type: bbox 4 corners clockwise from the top left, whichever two of them its points name, turned by
    ``rotation`` about the box's centre; polygon its
    outline and line its path (open) as they came; segmentation each ring of each region without the vertex that repeats
    the first; keypoint one vertex; circle its centre; pose_estimation the x, y of its placed keypoints in their order.
    """
    nested = as_ragged(one_array(tasks["annotations"]))
    task = np.repeat(np.arange(tasks.num_rows, dtype=np.int64), nested.lengths)
    rows = pc.list_flatten(one_array(tasks["annotations"]))
    column: dict[str, pa.Array] = dict(zip((field.name for field in rows.type), rows.flatten(), strict=True))
    n = len(rows)
    types = Words(column["type"])
    points = as_ragged(column["points"])
    numbers = floats(points.values)
    regions = as_ragged(column["regions"])
    poses = as_ragged(column["keypoints"])
    elsewhere = valid_mask(column["frames"]) | valid_mask(column["start"])

    promised = types.among(*POINT_TYPES, SEGMENTATION, POSE) & ~elsewhere
    fits = points_fit(types, points)
    segmentation = types.among(SEGMENTATION) & regions.valid
    rings = segmentation_rings(regions, segmentation)
    pose = types.among(POSE) & poses.valid
    placed = placed_keypoints(poses, pose)
    well_formed = ~promised | fits | rings.fits | placed.fits

    # How many rings each annotation has and how many vertices each ring.
    ring_counts = np.zeros(n, dtype=np.int64)
    ring_counts[fits | placed.fits] = 1
    ring_counts[rings.fits] = rings.counts[rings.fits]
    annotation_rings = offsets_of(ring_counts)
    ring_vertices = np.zeros(annotation_rings[-1], dtype=np.int64)
    circle = types.among("circle") & fits
    bbox = types.among("bbox") & fits
    vertices = points.lengths // 2
    vertices[bbox] = 4
    ring_vertices[annotation_rings[:-1][fits]] = vertices[fits]
    ring_vertices[annotation_rings[:-1][placed.fits]] = placed.counts[placed.fits]
    own_rings = ranges(annotation_rings[:-1][rings.fits], ring_counts[rings.fits])
    ring_vertices[own_rings] = rings.vertices
    ring_offsets = offsets_of(ring_vertices)

    coords = np.empty((ring_offsets[-1], 2), dtype=np.float64)
    flat = coords.reshape(-1)
    first_ring = annotation_rings[:-1]
    listed = np.flatnonzero(fits & ~bbox)
    flat[places(2 * ring_offsets[first_ring[listed]], 2 * vertices[listed])] = numbers[
        places(points.starts[listed], 2 * vertices[listed])
    ]
    rotation = np.where(valid_mask(column["rotation"]), floats(column["rotation"]), 0.0)
    boxed = np.flatnonzero(bbox)
    is_reversed = np.zeros(n, dtype=np.bool_)
    if len(boxed):
        four = np.full(len(boxed), 4)
        ends = np.array(numbers[places(points.starts[boxed], four)]).reshape(-1, 4)
        is_reversed[boxed] = put_in_order(ends)
        drawn = corners_of(ends, rotation[boxed])
        coords[places(ring_offsets[first_ring[boxed]], four)] = drawn.reshape(-1, 2)
    coords[places(ring_offsets[own_rings], rings.vertices)] = rings.coords
    coords[places(ring_offsets[first_ring[placed.fits]], placed.counts[placed.fits])] = placed.coords

    ring_region = np.zeros(len(ring_vertices), dtype=np.int32)
    ring_region[own_rings] = rings.region
    ring_is_hole = np.zeros(len(ring_vertices), dtype=np.bool_)
    ring_is_hole[own_rings] = rings.is_hole
    radius = np.full(n, np.nan)
    radius[circle] = numbers[points.starts[circle] + 2]
    return FlatAnnotations(
        task=task,
        index=ranges(np.zeros(tasks.num_rows), nested.lengths),
        type=column["type"],
        value=column["value"],
        coords=coords,
        ring_offsets=ring_offsets,
        annotation_rings=annotation_rings,
        ring_region=ring_region,
        ring_is_hole=ring_is_hole,
        rotation=rotation,
        radius=radius,
        width=_size(tasks, "width")[task],
        height=_size(tasks, "height")[task],
        well_formed=well_formed,
        reversed=is_reversed,
    )


def boxes(flat: FlatAnnotations) -> Floats:
    """float64[n, 4]: the smallest upright box around each annotation, x1, y1, x2, y2 in pixels.

    A circle's box encloses the circle. A hole takes away and adds nothing, also where it leaves its outline. NaN where
    there is no ring, or where a coordinate is NaN.
    """
    offsets, coords = flat.annotation_vertices, flat.coords
    if flat.ring_is_hole.any():
        drawn = ~np.repeat(flat.ring_is_hole, np.diff(flat.ring_offsets))
        offsets, coords = offsets_of(drawn)[offsets], coords[drawn]
    return _extents(flat, coords, offsets)


def reaches(flat: FlatAnnotations) -> Floats:
    """float64[n, 4]: :func:`boxes` around all vertices, those of holes too: how far whoever follows the edges goes."""
    return _extents(flat, flat.coords, flat.annotation_vertices)


def _extents(flat: FlatAnnotations, coords: Floats, offsets: Ints) -> Floats:
    result = np.empty((len(flat), 4), dtype=np.float64)
    for axis in (0, 1):
        values = np.ascontiguousarray(coords[:, axis])
        result[:, axis] = minima(values, offsets)
        result[:, axis + 2] = maxima(values, offsets)
    circle = np.flatnonzero(_drawn_circles(flat))
    reach = np.abs(flat.radius[circle, None])
    with whatever_came():
        result[circle, :2] -= reach
        result[circle, 2:] += reach
    return result


def ring_areas(flat: FlatAnnotations) -> Floats:
    """float64[r]: unsigned area of each ring by the shoelace formula, in square pixels; 0 for rings that enclose
    nothing (points, lines, poses)."""
    offsets = flat.ring_offsets
    lengths = np.diff(offsets)
    # Measured from the ring's first vertex: far from the origin the products would cancel away the digits that matter.
    first, last = offsets[:-1][lengths > 0], offsets[1:][lengths > 0] - 1
    with whatever_came():
        x, y = (flat.coords[:, axis] - np.repeat(flat.coords[first, axis], lengths[lengths > 0]) for axis in (0, 1))
        cross = np.empty(len(x))
        cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        cross[last] = x[last] * y[first] - x[first] * y[last]
        areas = 0.5 * np.abs(sums(cross, offsets))
    encloses = flat.is_type("bbox", "polygon", SEGMENTATION)[flat.ring_annotation]
    return np.where(encloses, areas, 0.0)


def areas(flat: FlatAnnotations) -> Floats:
    """float64[n]: area in square pixels.

    bbox width x height, polygon by the shoelace formula, segmentation its outlines less their holes, circle pi r²; 0
    for points, lines, poses and annotations without geometry; NaN where a coordinate is not finite.
    """
    signed = np.where(flat.ring_is_hole, -1.0, 1.0) * ring_areas(flat)
    circle = _drawn_circles(flat)
    with whatever_came():
        result = sums(signed, flat.annotation_rings)
        result[circle] = np.pi * flat.radius[circle] ** 2
    return result


def is_finite(flat: FlatAnnotations) -> Bools:
    """bool[n]: no coordinate (nor a circle's radius) is NaN or infinite. True for annotations without geometry."""
    finite: Bools = np.isfinite(flat.coords[:, 0]) & np.isfinite(flat.coords[:, 1])
    return all_true(finite, flat.annotation_vertices) & (np.isfinite(flat.radius) | ~_drawn_circles(flat))


def inside_image(flat: FlatAnnotations, *, tolerance: float = 0.0) -> Bools:
    """bool[n]: the annotation lies within [0, width] x [0, height] of its image, or ``tolerance`` pixels around it.

    A side whose length is unknown has no far end to cross. Annotations without geometry lie nowhere outside: True.
    Coordinates that are not finite are not inside.
    """
    box = boxes(flat)
    without = flat.annotation_vertices[1:] == flat.annotation_vertices[:-1]
    width = np.where(np.isnan(flat.width), np.inf, flat.width)
    height = np.where(np.isnan(flat.height), np.inf, flat.height)
    low, right, bottom = -tolerance, width + tolerance, height + tolerance
    inside = (box[:, 0] >= low) & (box[:, 1] >= low) & (box[:, 2] <= right) & (box[:, 3] <= bottom)
    result: Bools = without | (inside & is_finite(flat))
    return result


def _drawn_circles(flat: FlatAnnotations) -> Bools:
    return flat.is_type("circle") & (flat.annotation_rings[1:] > flat.annotation_rings[:-1])


def _size(tasks: pa.Table, column: str) -> Floats:
    if column not in tasks.column_names:
        return np.full(tasks.num_rows, np.nan)
    size = floats(tasks[column])
    return np.where(size > 0, size, np.nan)
