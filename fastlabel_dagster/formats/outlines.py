"""The rings of shapes as polygons: circles get vertices, and what reaches outside the image is cut at its edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, any_column, every_column, offsets_of, places

#: A circle becomes a regular polygon of this many vertices, all on the circle.
CIRCLE_VERTICES = 64
#: Pixels: nobody draws out there, and sums and products of such numbers would overflow.
FARTHEST = 1e9
TOO_FAR = "a coordinate is more than a billion pixels away"
#: Pixels: no side of a picture whose masks are painted is longer. They are painted row by row, and those of a picture
#: that claims more would not fit into memory.
LONGEST_SIDE = 2**17
#: Pixels: what reaches outside the image by less is the rounding of a sum, not somebody's drawing.
SLACK = 1e-6


class Rings(NamedTuple):
    """Some rings of a batch of annotations, in their order."""

    ring: Ints
    """int64[k]: which ring of the batch."""
    coords: Floats
    """float64[m, 2]: vertices in pixels."""
    offsets: Ints
    """int64[k + 1] into ``coords``."""


def outline_rings(flat: FlatAnnotations, wanted: Bools) -> Rings:
    """The rings ``wanted`` (bool[r]) with their vertices as drawn; the centre of a circle becomes its polygon."""
    ring = np.flatnonzero(wanted)
    lengths = np.diff(flat.ring_offsets)[ring]
    radius = flat.radius[flat.ring_annotation[ring]]
    is_round = ~np.isnan(radius)
    counts = np.where(is_round, CIRCLE_VERTICES, lengths)
    offsets = offsets_of(counts)
    coords = np.empty((offsets[-1], 2), np.float64)
    straight = ~is_round
    coords[places(offsets[:-1][straight], counts[straight])] = flat.coords[
        places(flat.ring_offsets[:-1][ring[straight]], lengths[straight])
    ]
    centre = flat.coords[flat.ring_offsets[:-1][ring[is_round]]]
    corners = centre[:, None, :] + radius[is_round, None, None] * _unit_circle()
    coords[places(offsets[:-1][is_round], counts[is_round])] = corners.reshape(-1, 2)
    return Rings(ring, coords, offsets)


def regions_of(flat: FlatAnnotations, row: int) -> list[list[Floats]]:
    """One annotation as region -> ring -> flat [x, y, …]."""
    if not np.isnan(flat.radius[row]):
        centre = flat.coords[flat.annotation_vertices[row]]
        return [[(centre + flat.radius[row] * _unit_circle()).reshape(-1)]]
    regions: dict[int, list[Floats]] = {}
    for ring in range(flat.annotation_rings[row], flat.annotation_rings[row + 1]):
        coords = flat.coords[flat.ring_offsets[ring] : flat.ring_offsets[ring + 1]]
        regions.setdefault(int(flat.ring_region[ring]), []).append(coords.reshape(-1))
    return list(regions.values())


def outline_vertices(flat: FlatAnnotations, row: int) -> Floats:
    """float64[k, 2]: the vertices of one annotation without those of its holes, which add nothing to its extent."""
    first, last = flat.annotation_rings[row : row + 2]
    offsets = flat.ring_offsets[first : last + 1]
    drawn = np.repeat(~flat.ring_is_hole[first:last], np.diff(offsets))
    vertices: Floats = flat.coords[offsets[0] : offsets[-1]][drawn]
    return vertices


def is_too_far(box: Floats) -> Bools:
    """bool[n]: a side of the box (float64[n, 4]) is beyond ``FARTHEST``, also where it is infinite, as that of a circle
    is whose centre and radius are not but add up to more than there are numbers. Unknown sides (NaN) do not count."""
    far: Bools = any_column(np.abs(box) > FARTHEST)
    return far


def is_paintable(size: Floats, most: int) -> Bools:
    """bool[n]: pictures of this ``size`` (float64[n, 2], width and height) can have masks: both sides are known and not
    longer than :data:`LONGEST_SIDE`, and there are not more than ``most`` pixels."""
    return every_column((size > 0) & (size <= LONGEST_SIDE)) & (size[:, 0] * size[:, 1] <= most)


def is_turned(flat: FlatAnnotations) -> Bools:
    """bool[n]: a box that does not stand upright."""
    with np.errstate(invalid="ignore"):  # an infinite angle is dropped with its corners, which are not finite
        turned: Bools = flat.is_type("bbox") & (flat.rotation % 360 != 0)
    return turned


def cut_to_image(polygon: Floats, width: float, height: float) -> Floats:
    """The part of a polygon (float64[k, 2]) inside the image, by Sutherland and Hodgman's rule: cut at one edge
    after the other. Parts of a concave polygon stay connected along the image's edge. No vertices when nothing is
    left."""
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        if not len(polygon):
            break
        before = np.roll(polygon, 1, axis=0)
        depth, depth_before = sign * (polygon[:, axis] - limit), sign * (before[:, axis] - limit)
        crosses = (depth >= 0) != (depth_before >= 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = (depth_before / (depth_before - depth))[:, None]  # only looked at where the edge crosses
            crossing = before + share * (polygon - before)
        crossing[:, axis] = limit
        pairs = np.stack([crossing, polygon], axis=1)
        polygon = pairs[np.stack([crosses, depth >= 0], axis=1)]
    return polygon


def _unit_circle() -> Floats:
    angle = np.arange(CIRCLE_VERTICES) * (2 * np.pi / CIRCLE_VERTICES)
    return np.column_stack([np.cos(angle), np.sin(angle)])
