"""Boxes that lie on top of each other, found for all tasks at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.geometry import FlatAnnotations, is_finite
from fastlabel_dagster.labels.ragged import Floats, Ints

#: A box is compared with so many of those that begin beside it; see ``Duplicates.unexamined``.
MOST_STEPS = 1_000
#: The golden section: sums of whole numbers and its multiples are as far from each other as can be.
_SLANT = (5**0.5 - 1) / 2


class Duplicates(NamedTuple):
    """Boxes that repeat an earlier one of their task: ``row[i]`` repeats ``of[i]`` (rows of the flat annotations,
    ``of < row``) with the intersection over union ``iou[i]``; of several the one it covers best. Ordered by ``row``."""

    row: Ints
    of: Ints
    iou: Floats
    unexamined: int = 0
    """Boxes that were compared with ``MOST_STEPS`` others, and have still more beside them."""


def duplicate_boxes(flat: FlatAnnotations, *, iou: float, same_class: bool = True) -> Duplicates:
    """The bboxes of ``flat`` whose intersection over union with an earlier box of the same task is at least ``iou``.

    Boxes are swept along a slanted line, in the order of ``x1 + y1 * slant``: two whose left edges lie further apart
    than ``1 - iou`` of the width cannot be duplicates, nor can two whose upper edges lie further apart than that of the
    height, so each box is compared with the few after it that can. The line is slanted because boxes in rows or columns
    share an edge, and hardly ever a place on it. Boxes that are turned are compared with boxes turned by the same
    angle, rounded to a degree, in a picture turned back by that angle (a quarter turn exchanges width and height).
    Boxes without area, and those of videos, which lie in frames, repeat nothing.
    """
    rows = _with_corners(flat)
    with np.errstate(over="ignore", invalid="ignore"):
        boxes, angle = _upright(flat, rows)
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        rows, boxes, angle = rows[solid], boxes[solid], angle[solid]
        group = _groups(flat, rows, angle, same_class=same_class)
        # Halves, so that no sum of finite numbers is infinite.
        begin = boxes[:, 0] / 2 + boxes[:, 1] / 2 * _SLANT
        sides = boxes[:, 2:] / 2 - boxes[:, :2] / 2
        # A hair wider than it has to be: the overlap itself decides.
        slack = np.spacing(np.abs(boxes).max(axis=1, initial=0.0)) * 8
        reach = begin + (1.0 - iou) * (sides[:, 0] + sides[:, 1] * _SLANT) * (1 + 1e-9) + slack
        order = np.lexsort((begin, group))
        rows, boxes, begin, reach = rows[order], boxes[order], begin[order], reach[order]
        best, partner, unexamined = _sweep(rows, boxes, begin, reach, _group_ends(group[order]), len(flat), iou)
    found = np.flatnonzero(partner >= 0)
    return Duplicates(found, partner[found], best[found], unexamined)


def examined_boxes(flat: FlatAnnotations) -> int:
    """How many bboxes of ``flat`` :func:`duplicate_boxes` can look at."""
    return len(_with_corners(flat))


def _with_corners(flat: FlatAnnotations) -> Ints:
    rows = flat.is_type("bbox") & flat.well_formed & is_finite(flat) & (np.diff(flat.annotation_rings) > 0)
    return np.flatnonzero(rows)


def _sweep(  # noqa: PLR0917 - the columns of one table
    rows: Ints, boxes: Floats, begin: Floats, reach: Floats, stop: Ints, n: int, iou: float
) -> tuple[Floats, Ints, int]:
    """float64[n] and int64[n]: the best overlap of each annotation with an earlier one, and which that is (-1: none);
    and how many boxes have more beside them than they were compared with."""
    best, partner = np.zeros(n), np.full(n, -1, np.int64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    at, step = np.arange(len(rows)), 0
    while True:
        step += 1
        at = at[at + step < stop[at]]
        at = at[begin[at + step] <= reach[at]]
        if not len(at) or step > MOST_STEPS:
            return best, partner, len(at)
        one, two = boxes[at], boxes[at + step]
        sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
        shared = np.prod(np.clip(sides, 0.0, None), axis=1)
        overlap = shared / (area[at] + area[at + step] - shared)
        found = np.flatnonzero(overlap >= iou)
        if len(found):
            pair = np.sort(np.stack([rows[at[found]], rows[at[found] + step]]), axis=0)
            _keep_best(best, partner, pair[1], pair[0], overlap[found])


def _group_ends(group: Ints) -> Ints:
    """int64[k]: where the group of each row ends; ``group`` is in order."""
    last = np.flatnonzero(np.append(group[1:] != group[:-1], np.ones(min(len(group), 1), np.bool_))) + 1
    return np.repeat(last, np.diff(last, prepend=0))


def _keep_best(best: Floats, partner: Ints, later: Ints, earlier: Ints, overlap: Floats) -> None:
    """Note for each later box the earlier one it covers best, the first of equals."""
    order = np.lexsort((-earlier, overlap, later))  # the best of each comes last
    later, earlier, overlap = later[order], earlier[order], overlap[order]
    last = np.append(later[1:] != later[:-1], True)
    later, earlier, overlap = later[last], earlier[last], overlap[last]
    better = (overlap > best[later]) | ((overlap == best[later]) & (earlier < partner[later]))
    partner[later[better]] = earlier[better]
    best[later[better]] = overlap[better]


def _upright(flat: FlatAnnotations, rows: Ints) -> tuple[Floats, Ints]:
    """float64[k, 4]: x1, y1, x2, y2 of the boxes in a picture turned back by their angle; int64[k]: the angle, 0 to 89
    degrees."""
    first = flat.annotation_vertices[rows]
    # Corners go round from the top left, so the third one is opposite.
    boxes = np.concatenate([flat.coords[first], flat.coords[first + 2]], axis=1) if len(rows) else np.empty((0, 4))
    with np.errstate(over="ignore", invalid="ignore"):
        whole: Ints = np.rint(flat.rotation[rows] % 360.0).astype(np.int64) % 360
    angle = whole % 90
    turned = np.flatnonzero(flat.rotation[rows] != 0)
    quarters = flat.rotation[rows[turned]] % 90.0 == 0
    upright = turned[quarters]  # but another corner comes first
    boxes[upright] = np.concatenate(
        [np.minimum(boxes[upright, :2], boxes[upright, 2:]), np.maximum(boxes[upright, :2], boxes[upright, 2:])], axis=1
    )
    turned = turned[~quarters]
    if len(turned):
        corner = flat.coords[first[turned][:, None] + np.arange(4)]
        centre = (corner[:, 0] + corner[:, 2]) / 2
        sides = np.stack([np.hypot(*np.moveaxis(corner[:, k] - corner[:, 0], 1, 0)) for k in (1, 3)], axis=1)
        odd = whole[turned] // 90 % 2 == 1
        sides[odd] = sides[odd][:, ::-1]
        back = np.deg2rad(angle[turned].astype(np.float64))
        cos, sin = np.cos(back), np.sin(back)
        x, y = centre[:, 0] * cos + centre[:, 1] * sin, centre[:, 1] * cos - centre[:, 0] * sin
        middle = np.stack([x, y], axis=1)
        boxes[turned] = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1)
    return boxes, angle


def _groups(flat: FlatAnnotations, rows: Ints, angle: Ints, *, same_class: bool) -> Ints:
    """int64[k]: equal for boxes that may be compared: of one task, one angle and, where asked, one class."""
    group = flat.task[rows] * 90 + angle
    if same_class and len(rows):
        values = pc.fill_null(flat.value.take(pa.array(rows)), "").dictionary_encode()
        group = group * max(len(values.dictionary), 1) + values.indices.to_numpy(zero_copy_only=False)
    return group
