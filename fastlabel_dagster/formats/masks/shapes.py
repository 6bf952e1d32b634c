"""The pixels of annotations: of many at once, as runs."""

from __future__ import annotations

import numpy as np

from fastlabel_dagster.formats.outlines import is_turned
from fastlabel_dagster.labels.geometry import FlatAnnotations, reaches
from fastlabel_dagster.labels.painting import Spans, disc_spans, joined_spans, placed, region_spans
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, every_column, offsets_of, ranges, sums
from fastlabel_dagster.labels.stairs import Shapes, stair_spans

#: ``centers``: a pixel belongs to a shape when its centre does. ``sdk``: the pixels the official SDK paints.
PIXELS = ("centers", "sdk")
#: Pixels from the origin: an outline that goes farther is not made of stairs, there would be too many.
_FARTHEST_STAIR = 2**17


def annotation_spans(flat: FlatAnnotations, rows: Ints, width: Ints, height: Ints, pixels: str) -> tuple[Spans, Bools]:
    """The pixels of the annotations ``rows`` (which have rings, all coordinates finite), cut to their pictures.

    Args:
        flat: the batch they are of.
        rows: int64[k], which of the batch.
        width: int64[k], of the picture of each.
        height: int64[k], likewise.
        pixels: one of :data:`PIXELS`. Circles and turned boxes are painted by their centres either way, for the SDK
            does not draw the first and does not turn the second.

    Returns:
        The spans of each, and bool[k]: a hole of it reaches outside its outline.
    """
    stepped = _is_stepped(flat, rows) if pixels == "sdk" else np.zeros(len(rows), np.bool_)
    exact = np.flatnonzero(~stepped)
    spans, leave = _exact_spans(flat, rows[exact], width[exact], height[exact])
    holes_leave = np.zeros(len(rows), np.bool_)
    holes_leave[exact] = leave
    parts = [(exact, spans)]
    by_steps = np.flatnonzero(stepped)
    if len(by_steps):
        parts.append((by_steps, _stepped_spans(flat, rows[by_steps], width[by_steps], height[by_steps])))
    round_ = np.flatnonzero(~np.isnan(flat.radius[rows]))
    if len(round_):
        centre = flat.coords[flat.annotation_vertices[rows[round_]]]
        parts.append((round_, disc_spans(centre, flat.radius[rows[round_]], width[round_], height[round_])))
    if len(parts) == 1:
        return spans, holes_leave
    return placed(parts, len(rows)), holes_leave


def edge_pixels(flat: FlatAnnotations, height: Floats, *, stairs: bool) -> Floats:
    """float64[n]: about how many rows (with ``stairs``: rows and columns) the edges of each annotation cross."""
    way = _way(flat, 1)
    limit = np.repeat(height, np.diff(flat.annotation_vertices))
    rows = np.fmin(way, limit, out=limit)
    rows += 1
    if stairs:
        rows += np.fmin(np.fmin(way, _way(flat, 0)), 2 * _FARTHEST_STAIR)
    with np.errstate(invalid="ignore", over="ignore"):
        radius = np.fmin(np.nan_to_num(flat.radius), np.nan_to_num(height))
        crossed: Floats = sums(np.nan_to_num(rows, copy=False), flat.annotation_vertices) + 2 * radius
    return crossed


def _way(flat: FlatAnnotations, axis: int) -> Floats:
    """float64[v]: how far it is from each vertex to the next one of its ring, along one axis."""
    offsets, place = flat.ring_offsets, flat.coords[:, axis]
    way = np.empty(len(place))
    drawn = np.diff(offsets) > 0
    first, last = offsets[:-1][drawn], offsets[1:][drawn] - 1
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(place[1:], place[:-1], out=way[:-1])
        way[last] = place[first] - place[last]
    return np.abs(way, out=way)


def _exact_spans(flat: FlatAnnotations, rows: Ints, width: Ints, height: Ints) -> tuple[Spans, Bools]:
    rings, ring_counts, coords, offsets = _taken(flat, rows)
    is_outline = ~flat.ring_is_hole[rings]
    regions = np.append(np.flatnonzero(is_outline), len(rings))
    shape = np.repeat(np.arange(len(rows)), ring_counts)[is_outline]
    found = region_spans(coords, offsets, regions, width[shape], height[shape])
    counts = np.bincount(shape, minlength=len(rows))
    leave = np.bincount(shape, weights=found.holes_leave, minlength=len(rows)) > 0
    return joined_spans(found.spans, offsets_of(counts)), leave


def _is_stepped(flat: FlatAnnotations, rows: Ints) -> Bools:
    """Which of ``rows`` the SDK's rule is for."""
    near: Bools = every_column(np.abs(reaches(flat)) <= _FARTHEST_STAIR)
    stepped: Bools = (near & np.isnan(flat.radius) & ~is_turned(flat))[rows]
    return stepped


def _stepped_spans(flat: FlatAnnotations, rows: Ints, width: Ints, height: Ints) -> Spans:
    rings, ring_counts, coords, offsets = _taken(flat, rows)
    is_box = flat.is_type("bbox")[rows]
    boxed = offsets[:-1][np.repeat(is_box, ring_counts), None] + np.arange(4)
    corners = np.trunc(coords[boxed])
    low, high = corners.min(axis=1, initial=np.inf), corners.max(axis=1, initial=-np.inf)
    coords[boxed[:, 0]], coords[boxed[:, 2]] = low, high
    coords[boxed[:, 1], 0], coords[boxed[:, 1], 1] = high[:, 0], low[:, 1]
    coords[boxed[:, 3], 0], coords[boxed[:, 3], 1] = low[:, 0], high[:, 1]
    shapes = Shapes(
        coords,
        offsets,
        offsets_of(ring_counts),
        flat.ring_is_hole[rings],
        flat.is_type("segmentation")[rows],
        is_box,
        width,
        height,
    )
    return stair_spans(shapes)


def _taken(flat: FlatAnnotations, rows: Ints) -> tuple[Ints, Ints, Floats, Ints]:
    """The rings of ``rows``: their numbers, how many each row has, their vertices and the offsets into these."""
    ring_counts = np.diff(flat.annotation_rings)[rows]
    rings = ranges(flat.annotation_rings[:-1][rows], ring_counts)
    lengths = np.diff(flat.ring_offsets)[rings]
    coords = flat.coords[ranges(flat.ring_offsets[:-1][rings], lengths)]
    return rings, ring_counts, coords, offsets_of(lengths)
