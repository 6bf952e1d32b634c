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
    order = np.lexsort((boxes[:, 0], group))
    rows, boxes, group = rows[order], boxes[order], group[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # A hair wider than it has to be: the test of the overlap below decides.
    reach = boxes[:, 0] + (1.0 - iou) * (boxes[:, 2] - boxes[:, 0]) * (1 + 1e-9) + np.spacing(np.abs(boxes[:, 0])) * 4
    best, partner = np.zeros(len(flat)), np.full(len(flat), -1, np.int64)
    at, step = np.arange(len(rows)), 0
    while len(at):
        step += 1
        at = at[at + step < len(rows)]
        at = at[(group[at] == group[at + step]) & (boxes[at + step, 0] <= reach[at])]
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
    corners = flat.coords[flat.annotation_vertices[rows][:, None] + np.arange(4)]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1) if len(rows) else np.empty((0, 4))
    with np.errstate(over="ignore", invalid="ignore"):
        whole: Ints = np.rint(flat.rotation[rows] % 360.0).astype(np.int64) % 360
    angle = whole % 90
    turned = np.flatnonzero(flat.rotation[rows] % 90.0 != 0)  # quarter turns are upright already
    if len(turned):
        corner = corners[turned]
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
