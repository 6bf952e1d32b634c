"""Boxes that lie on top of each other, found for all tasks at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.labels.geometry import FlatAnnotations, is_finite
from fastlabel_dagster.labels.ragged import Floats, Ints


class Duplicates(NamedTuple):
    """Boxes that repeat an earlier one of their task: ``row[i]`` repeats ``of[i]`` (rows of the flat annotations,
    ``of < row``) with the intersection over union ``iou[i]``; of several the one it covers best. Ordered by ``row``."""

    row: Ints
    of: Ints
    iou: Floats


def duplicate_boxes(flat: FlatAnnotations, *, iou: float, same_class: bool = True) -> Duplicates:
    """The bboxes of ``flat`` whose intersection over union with an earlier box of the same task is at least ``iou``.

    Boxes are sorted by their left edge; two whose left edges lie further apart than ``1 - iou`` of the width cannot be
    duplicates, so each box is compared with the few after it that can. Boxes that are turned are compared with boxes
    turned by the same angle, rounded to a degree, in a picture turned back by that angle (a quarter turn exchanges
    width and height). Boxes without area repeat nothing.
    """
    rows = np.flatnonzero(flat.is_type("bbox") & flat.well_formed & is_finite(flat))
    boxes, angle = _upright(flat, rows)
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    rows, boxes, angle = rows[solid], boxes[solid], angle[solid]
    group = _groups(flat, rows, angle, same_class=same_class)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # A hair wider than it has to be: the overlap itself decides.
    reach = boxes[:, 0] + (1.0 - iou) * (boxes[:, 2] - boxes[:, 0]) * (1 + 1e-9) + np.spacing(np.abs(boxes[:, 0])) * 4
    begins, ends = _in_steps(group, boxes[:, 0], reach)
    order = np.argsort(begins)
    rows, boxes, area, begins, ends = rows[order], boxes[order], area[order], begins[order], ends[order]
    best, partner = np.zeros(len(flat)), np.full(len(flat), -1, np.int64)
    at, step = np.arange(len(rows)), 0
    while len(at):
        step += 1
        at = at[at + step < len(rows)]
        at = at[begins[at + step] <= ends[at]]
        one, two = boxes[at], boxes[at + step]
        sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
        shared = np.prod(np.clip(sides, 0.0, None), axis=1)
        overlap = shared / (area[at] + area[at + step] - shared)
        found = np.flatnonzero(overlap >= iou)
        if len(found):
            pair = np.sort(np.stack([rows[at[found]], rows[at[found] + step]]), axis=0)
            _keep_best(best, partner, pair[1], pair[0], overlap[found])
    found = np.flatnonzero(partner >= 0)
    return Duplicates(found, partner[found], best[found])


def _in_steps(group: Ints, low: Floats, high: Floats) -> tuple[Ints, Ints]:
    """int64[k] twice: ``low`` and ``high`` in whole steps behind the number of the group: one key to sort by. Rounding
    keeps the order, so that a box that begins before another's reach ends does so in steps as well."""
    if not len(group):
        return group, group
    bits = min(31, 62 - int(group.max()).bit_length())
    start, side = float(low.min()) / 2, max(float(high.max()) / 2 - float(low.min()) / 2, float(np.finfo(float).tiny))
    key = group << bits
    steps = [((one / 2 - start) / side * 2.0 ** (bits - 1)).astype(np.int64) for one in (low, high)]
    return key + steps[0], key + steps[1]


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
