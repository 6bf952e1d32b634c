"""The area several regions cover together: what they share counts once.

Almost always regions lie apart and their areas add up, so the cheap questions come first (do their boxes meet, do their
outlines touch, does one lie in the other); only regions that may overlap are measured, exactly, by cutting the plane
into strips between which no two edges cross.
"""

from __future__ import annotations

import numpy as np

from fastlabel_dagster.formats.outlines import Rings
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import Floats, Ints, ranges

_EDGES_AT_ONCE = 256
#: What is asked of one annotation at most. Its regions' strips cost as much as the square of their edges.
_MOST_NEIGHBOURS, _MOST_PAIRS = 4_000_000, 20_000
_MOST_EDGES, _MOST_STRIPS = 4_000, 20_000
#: Square pixels per square pixel: regions with a common border overlap by this much in floating point.
_ROUNDING = 1e-9
_LEVEL = 1e-9  # pixels: an edge that rises by less is level, and its slope is not asked for


def united_areas(flat: FlatAnnotations, rings: Rings, area: Floats) -> tuple[dict[int, float], list[int]]:
    """Annotation -> the area its ``rings`` (outlines without holes) cover, where that is less than ``area`` (their sum,
    float64[n]) because they overlap; and the annotations that have too many regions to measure that."""
    owner = flat.ring_annotation[rings.ring]
    several = np.flatnonzero(np.bincount(owner, minlength=len(flat)) > 1)
    found: dict[int, float] = {}
    unmeasured: list[int] = []
    if not len(several):
        return found, unmeasured
    low = np.minimum.reduceat(rings.coords, rings.offsets[:-1])
    high = np.maximum.reduceat(rings.coords, rings.offsets[:-1])
    first, stop = np.searchsorted(owner, several), np.searchsorted(owner, several, side="right")
    for row, begin, end in zip(several.tolist(), first.tolist(), stop.tolist(), strict=True):
        pairs = _meeting(low[begin:end], high[begin:end])
        if pairs is None:
            unmeasured.append(row)
            continue
        outlines = [rings.coords[rings.offsets[ring] : rings.offsets[ring + 1]] for ring in range(begin, end)]
        if any(_may_overlap(outlines[a], outlines[b]) for a, b in pairs.tolist()):
            united = area_of_union(outlines)
            if united is None:
                unmeasured.append(row)
            elif united < float(area[row]) * (1 - _ROUNDING) - _ROUNDING:
                found[row] = united
    return found, unmeasured


def _meeting(low: Floats, high: Floats) -> Ints | None:
    """int64[p, 2]: the pairs of boxes (``low`` and ``high``: float64[k, 2]) that share something; None: too many."""
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    place = np.arange(len(order))
    # Of the boxes that begin further right, those that begin before this one ends.
    beside = np.maximum(np.searchsorted(low[:, 0], high[:, 0]) - place - 1, 0)
    if beside.sum() > _MOST_NEIGHBOURS:
        return None
    one, other = np.repeat(place, beside), ranges(place + 1, beside)
    meet = (low[one, 1] < high[other, 1]) & (low[other, 1] < high[one, 1]) & (low[one, 0] < high[other, 0])
    pairs = np.column_stack([order[one[meet]], order[other[meet]]])
    return None if len(pairs) > _MOST_PAIRS else pairs


def area_of_union(outlines: list[Floats]) -> float | None:
    """The area of all points inside at least one of ``outlines`` (float64[k, 2] each, closed by itself), in square
    pixels; None: they have too many edges, or edges that cross. Inside one outline the even-odd rule holds."""
    start = np.concatenate(outlines)
    end = np.concatenate([np.roll(outline, -1, axis=0) for outline in outlines])
    region = np.repeat(np.arange(len(outlines)), [len(outline) for outline in outlines])
    if len(start) > _MOST_EDGES:
        return None
    steep = np.abs(start[:, 1] - end[:, 1]) > _LEVEL  # a level edge bounds a strip, it never lies in one
    start, end, region = start[steep], end[steep], region[steep]
    down = (start[:, 1] > end[:, 1])[:, None]
    top, bottom = np.where(down, end, start), np.where(down, start, end)
    slope = (bottom[:, 0] - top[:, 0]) / (bottom[:, 1] - top[:, 1])
    heights = np.unique(np.concatenate([top[:, 1], bottom[:, 1], _crossing_heights(top, bottom, slope)]))
    if len(heights) > _MOST_STRIPS:
        return None
    total = 0.0
    for upper, lower in zip(heights[:-1].tolist(), heights[1:].tolist(), strict=True):
        middle = (upper + lower) / 2
        crossed = np.flatnonzero((top[:, 1] <= middle) & (middle < bottom[:, 1]))
        x = top[crossed, 0] + slope[crossed] * (middle - top[crossed, 1])
        order = np.argsort(x, kind="stable")
        of_region = region[crossed[order], None] == np.arange(len(outlines))
        inside = np.logical_or.reduce(np.cumsum(of_region, axis=0) % 2, axis=1)
        total += (lower - upper) * float((np.diff(x[order]) * inside[:-1]).sum())
    return total


def _crossing_heights(top: Floats, bottom: Floats, slope: Floats) -> Floats:
    """The y of all points where two edges cross."""
    found = []
    at_zero = top[:, 0] - slope * top[:, 1]
    for begin in range(0, len(top), _EDGES_AT_ONCE):
        some = slice(begin, begin + _EDGES_AT_ONCE)
        with np.errstate(
            divide="ignore", over="ignore", invalid="ignore"
        ):  # parallel edges do not cross; left out below
            y = (at_zero[None, :] - at_zero[some, None]) / (slope[some, None] - slope[None, :])
        within = (
            (y > top[some, 1, None]) & (y < bottom[some, 1, None]) & (y > top[None, :, 1]) & (y < bottom[None, :, 1])
        )
        found.append(y[within])
    return np.concatenate(found) if found else np.empty(0)


def _may_overlap(one: Floats, other: Floats) -> bool:
    """Whether the outlines touch or one lies in the other. Nothing else can overlap."""
    low = np.maximum(one.min(axis=0), other.min(axis=0))
    high = np.minimum(one.max(axis=0), other.max(axis=0))
    edges = [_edges_in(outline, low, high) for outline in (one, other)]
    if all(len(each) for each in edges) and _touch(*edges):
        return True
    return _holds(one, other[0]) or _holds(other, one[0])


def _edges_in(outline: Floats, low: Floats, high: Floats) -> Floats:
    """The edges (float64[e, 4]: x1, y1, x2, y2) that come near the box."""
    after = np.roll(outline, -1, axis=0)
    near = (np.minimum(outline, after) <= high).all(axis=1) & (np.maximum(outline, after) >= low).all(axis=1)
    edges: Floats = np.hstack([outline, after])[near]
    return edges


def _touch(one: Floats, other: Floats) -> bool:
    a, b = one[:, None, :2], one[:, None, 2:]
    c, d = other[None, :, :2], other[None, :, 2:]
    boxes = ((np.minimum(a, b) <= np.maximum(c, d)) & (np.minimum(c, d) <= np.maximum(a, b))).all(axis=2)
    apart = (_side(a, b, c) * _side(a, b, d) > 0) | (_side(c, d, a) * _side(c, d, b) > 0)
    return bool((boxes & ~apart).any())


def _side(a: Floats, b: Floats, point: Floats) -> Floats:
    cross: Floats = (b[..., 0] - a[..., 0]) * (point[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
        point[..., 0] - a[..., 0]
    )
    return np.sign(cross)


def _holds(outline: Floats, point: Floats) -> bool:
    after = np.roll(outline, -1, axis=0)
    across = np.flatnonzero((outline[:, 1] <= point[1]) != (after[:, 1] <= point[1]))
    a, b = outline[across], after[across]
    x = a[:, 0] + (point[1] - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return bool((x > point[0]).sum() % 2)
