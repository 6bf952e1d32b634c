"""Annotations as lines of YOLO label files, a batch of tasks at a time.

A line is the class's number and coordinates as shares of the image's width and height, rounded to nine decimals and
never in exponent notation: ``class cx cy w h`` (detect), ``class x1 y1 x2 y2 …`` (segment), ``class cx cy w h x y v
…`` (pose), ``class x1 y1 x2 y2 x3 y3 x4 y4`` (obb). YOLO readers refuse whole images for one box outside 0..1, so
everything is cut to the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import OWN_KEYS, apply_stated_boxes, read_attributes
from fastlabel_dagster.formats.categories import POSE, Categories, Met
from fastlabel_dagster.formats.keypoints import keypoint_rows
from fastlabel_dagster.formats.outlines import (
    CIRCLE_VERTICES,
    SLACK,
    Rings,
    cut_to_image,
    is_turned,
    outline_rings,
    outline_vertices,
)
from fastlabel_dagster.formats.rectangles import convex_hull, smallest_rectangle
from fastlabel_dagster.formats.shapes import SHAPES, ShapeBatch
from fastlabel_dagster.formats.text import decimal_lists, glued, joined, number_text
from fastlabel_dagster.formats.yolo.corners import corners_of, fits_image, side_lengths
from fastlabel_dagster.labels.geometry import FlatAnnotations
from fastlabel_dagster.labels.ragged import (
    Bools,
    Floats,
    Ints,
    any_column,
    every_column,
    maxima,
    minima,
    offsets_of,
    places,
    ranges,
)

TASKS = ("detect", "segment", "pose", "obb")
_WHAT = {"detect": "a box", "segment": "an area", "pose": "a pose", "obb": "a box"}
_SMALLEST = 0.5e-9  # a share of the image that the nine decimals of the text would round to nothing
_NOTHING_LEFT = "nothing of it lies within the image, or it has no area"
_CUT = "reached outside the image and was cut at its edge"


@dataclass
class _Lines:
    """Lines of text, ends included, and the annotation each belongs to, in the order of the annotations."""

    annotation: Ints
    text: pa.Array


def yolo_texts(
    batch: ShapeBatch,
    categories: Categories,
    *,
    task: str,
    pose_boxes: bool = False,
    keypoint_count: int = 0,
    wanted: list[str] | None = None,
) -> list[bytes]:
    """The label file of each task of a batch.

    Args:
        batch: the annotations; what is left out or changed is told to its tally.
        categories: gives the class numbers; unknown classes are added.
        task: one of :data:`TASKS`.
        pose_boxes: in ``detect`` and ``obb``, a pose becomes the box around its keypoints.
        keypoint_count: in ``pose``, how many keypoints every line has.
        wanted: the only classes that are written; None: all.
    """
    told = batch.told
    if task == "pose":
        types: tuple[str, ...] = (POSE,)
    else:
        types = (*SHAPES, POSE) if pose_boxes and task != "segment" else SHAPES
    batch.sift(*types, what=_WHAT[task])
    if wanted is not None:
        asked = pc.is_in(batch.flat.value, value_set=pa.array(wanted, pa.string()))
        told.drop("its class is not among those asked for", ~asked.to_numpy(zero_copy_only=False))
    met = batch.meet(categories)
    batch.tell_of_losses(attributes=OWN_KEYS)
    attributes = read_attributes(batch.column("attributes"))
    told.alter("a crowd became one object", attributes.crowd)
    if task != "segment":  # outlines tell by the box around themselves whether they reach outside
        apply_stated_boxes(batch.box, attributes)
    if task == "detect":
        lines = _detect(batch, met)
    elif task == "segment":
        lines = _segment(batch, met)
    elif task == "obb":
        lines = _oriented(batch, met)
    else:
        lines = _pose(batch, met, keypoint_count)
    told.finish()
    per_task = offsets_of(np.bincount(batch.flat.task[lines.annotation], minlength=batch.tasks.num_rows))
    files: list[bytes] = joined(per_task, lines.text, "").cast(pa.binary()).to_pylist()
    return files


def _detect(batch: ShapeBatch, met: Met) -> _Lines:
    flat, told = batch.flat, batch.told
    shares = _box_shares(batch)
    told.alter("a rotated box became the upright box around it", is_turned(flat))
    told.alter("a shape became the box around it", flat.is_type("polygon", "segmentation", "circle", POSE))
    rows = np.flatnonzero(told.kept)
    return _Lines(rows, _line_texts(met, rows, shares[rows].reshape(-1), np.full(len(rows), 4)))


def _box_shares(batch: ShapeBatch) -> Floats:
    """Centre and size of each box as shares of its image, cut to it; what leaves nothing is dropped."""
    told, box, size = batch.told, batch.box, batch.size
    with np.errstate(invalid="ignore"):
        first, last = np.clip(box[:, :2], 0, size), np.clip(box[:, 2:], 0, size)
        cut: Bools = any_column(np.hstack([first - box[:, :2], box[:, 2:] - last]) > SLACK)
        first, last = first / size, last / size
        lasting: Bools = every_column(last - first > _SMALLEST)
        told.drop(_NOTHING_LEFT, ~lasting)
    told.alter(_CUT, cut)
    return np.column_stack([(first + last) / 2, last - first])


def _segment(batch: ShapeBatch, met: Met) -> _Lines:
    flat, told, size = batch.flat, batch.told, batch.size
    rings = outline_rings(flat, told.kept[flat.ring_annotation] & ~flat.ring_is_hole)
    rings, cut = _cut_rings(rings, flat, size, batch.outside())
    annotation = flat.ring_annotation[rings.ring]
    shares = rings.coords / np.repeat(size[annotation], np.diff(rings.offsets), axis=0)
    np.clip(shares, 0, 1, out=shares)
    lasting = _has_area(batch, rings, shares, cut)
    told.drop(_NOTHING_LEFT, ~_marked(annotation[lasting], flat))
    told.alter(_CUT, cut)
    holes = _marked(flat.ring_annotation[flat.ring_is_hole], flat)
    told.alter("its holes were filled, YOLO has none", holes)
    told.alter("its parts became an object each", np.bincount(annotation[lasting], minlength=len(flat)) > 1)
    told.alter(f"a circle became a polygon of {CIRCLE_VERTICES} vertices", flat.is_type("circle"))
    counts = np.diff(rings.offsets)[lasting]
    picked = shares[places(rings.offsets[:-1][lasting], counts)]
    rows = annotation[lasting]
    return _Lines(rows, _line_texts(met, rows, picked.reshape(-1), 2 * counts))


def _cut_rings(rings: Rings, flat: FlatAnnotations, size: Floats, outside: Bools) -> tuple[Rings, Bools]:
    """The rings cut to their images, and which annotations were cut. ``outside``: those whose box reaches outside; only
    their rings are looked at, and only rings that reach outside themselves cost Python time."""
    annotation = flat.ring_annotation[rings.ring]
    cut = np.zeros(len(flat), np.bool_)
    pieces: dict[int, Floats] = {}
    for number in np.flatnonzero(outside[annotation]).tolist():
        piece = rings.coords[rings.offsets[number] : rings.offsets[number + 1]]
        width, height = size[annotation[number]]
        if ((piece < -SLACK) | (piece > (width + SLACK, height + SLACK))).any():
            pieces[number] = cut_to_image(piece, float(width), float(height))
            cut[annotation[number]] = True
    if not pieces:
        return rings, cut
    all_pieces = np.split(rings.coords, rings.offsets[1:-1])
    for number, piece in pieces.items():
        all_pieces[number] = piece
    offsets = offsets_of(np.array([len(piece) for piece in all_pieces]))
    return Rings(rings.ring, np.concatenate(all_pieces), offsets), cut


def _has_area(batch: ShapeBatch, rings: Rings, shares: Floats, cut: Bools) -> Bools:
    """bool[k]: the ring has three vertices and extends in both directions. ``shares``: float64[m, 2], its vertices;
    ``cut``: bool[n], the annotation was cut."""
    flat, counts = batch.flat, np.diff(rings.offsets)
    annotation = flat.ring_annotation[rings.ring]
    # The box around an annotation that is one ring is the ring's, and known.
    alone = (np.diff(flat.annotation_rings) == 1) & ~cut & ~flat.is_type("circle")
    first, last = (np.clip(side / batch.size, 0, 1)[annotation] for side in (batch.box[:, :2], batch.box[:, 2:]))
    rows = np.flatnonzero(~alone[annotation])
    some, offsets = shares[places(rings.offsets[:-1][rows], counts[rows])], offsets_of(counts[rows])
    for axis in (0, 1):
        values = np.ascontiguousarray(some[:, axis])
        first[rows, axis], last[rows, axis] = minima(values, offsets), maxima(values, offsets)
    lasting: Bools = every_column(last - first > _SMALLEST) & (counts >= 3)
    return lasting


def _oriented(batch: ShapeBatch, met: Met) -> _Lines:
    flat, told = batch.flat, batch.told
    rows = np.flatnonzero(told.kept)
    size = batch.size[rows]
    corners, upright = _rectangles(batch, rows)
    limits = size[:, None, :]
    out: Bools = np.logical_or.reduce((corners < -SLACK) | (corners > limits + SLACK), axis=(1, 2))
    cut = out & upright
    corners[upright] = np.clip(corners, 0, limits)[upright]
    shortest: Floats = np.minimum.reduce(side_lengths(corners), axis=1)
    solid: Bools = np.greater(shortest, _SMALLEST * np.maximum.reduce(size, axis=1))
    fits = fits_image(corners, size)
    is_box, outside = flat.is_type("bbox")[rows], batch.outside()[rows]
    straightened = np.zeros(len(rows), np.bool_)
    for place in np.flatnonzero(out & solid & ~upright).tolist():
        width, height = size[place].tolist()
        # What a rectangle has outside the image need not be a part of the shape it was put around.
        drawn = corners[place] if is_box[place] else convex_hull(outline_vertices(flat, int(rows[place])))
        inside = cut_to_image(drawn, width, height)
        if len(inside) < 3 or not (np.ptp(inside, axis=0) > _SMALLEST * size[place]).all():
            solid[place] = False
        elif not fits[place]:
            corners[place] = _within(inside, width, height)
            cut[place] = is_box[place] or outside[place]
            straightened[place] = not is_box[place]
    told.drop(_NOTHING_LEFT, _marked(rows[~solid], flat))
    told.alter(_CUT, _marked(rows[cut], flat))
    told.alter("a shape became the smallest rectangle around it", ~flat.is_type("bbox"))
    told.notice(
        "its smallest rectangle reaches too far outside the image, another one was taken",
        _marked(rows[straightened], flat),
    )
    told.notice("a corner of the rotated box lies outside the image", _marked(rows[out & ~cut & ~straightened], flat))
    shares = (corners / limits)[solid]
    return _Lines(rows[solid], _line_texts(met, rows[solid], shares.reshape(-1), np.full(len(shares), 8)))


def _rectangles(batch: ShapeBatch, rows: Ints) -> tuple[Floats, Bools]:
    """float64[k, 4, 2]: the corners of boxes, of circles' squares, and of the smallest rectangle around everything
    else; bool[k]: it is a box or a circle and stands upright."""
    flat = batch.flat
    starts = flat.annotation_vertices
    boxed, is_circle = np.flatnonzero(flat.is_type("bbox")[rows]), flat.is_type("circle")[rows]
    corners = np.empty((len(rows), 4, 2))
    drawn = flat.coords[starts[rows[boxed], None] + np.arange(4)]
    # Whichever corners the box was given by, its first corner is the one at the top left before it was turned.
    normal = corners_of(drawn.mean(axis=1), side_lengths(drawn)[:, [1, 0]] / 2, flat.rotation[rows[boxed]] % 360)
    as_drawn = np.abs(normal - drawn).max(axis=(1, 2), initial=0) < SLACK
    corners[boxed] = np.where(as_drawn[:, None, None], drawn, normal)
    corners[is_circle] = batch.box[rows[is_circle]][:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    others = ~is_circle
    others[boxed] = False
    for place in np.flatnonzero(others).tolist():
        corners[place] = smallest_rectangle(outline_vertices(flat, int(rows[place])))
    return corners, ~others & ~is_turned(flat)[rows]


def _marked(rows: Ints, flat: FlatAnnotations) -> Bools:
    """bool[n]: the annotations ``rows``."""
    mask = np.zeros(len(flat), np.bool_)
    mask[rows] = True
    return mask


def _within(inside: Floats, width: float, height: float) -> Floats:
    """The smallest rectangle around what is ``inside`` the image, or the upright one where trainers refuse that."""
    corners = smallest_rectangle(inside)
    if fits_image(corners[None], np.array([[width, height]]))[0]:
        return corners
    (x1, y1), (x2, y2) = inside.min(axis=0), inside.max(axis=0)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _pose(batch: ShapeBatch, met: Met, count: int) -> _Lines:
    flat, told = batch.flat, batch.told
    slots = met.column("keypoint_count")
    told.drop(f"its class has more than the dataset's {count} keypoints", slots > count)
    shares = _box_shares(batch)
    values, offsets, _ = keypoint_rows(flat, batch.column("keypoints"), met, np.full(len(flat), -1), told)
    rows = np.flatnonzero(told.kept)
    table = np.zeros((len(rows), 3 * count))
    lengths = np.diff(offsets)[rows]
    place = (np.repeat(np.arange(len(rows)), lengths), ranges(np.zeros(len(rows)), lengths))
    table[place] = values[ranges(offsets[:-1][rows], lengths)]
    points = table.reshape(len(rows), count, 3)
    size = batch.size[rows][:, None, :]
    out = (points[:, :, :2] < 0) | (points[:, :, :2] > size)
    gone: Bools = np.logical_and(points[:, :, 2] > 0, np.logical_or.reduce(out, axis=2))
    points[gone] = 0
    lessened: Bools = any_column(gone)
    told.alter("a keypoint outside the image counts as not placed", _marked(rows[lessened], flat))
    points[:, :, :2] /= size
    _shrink_boxes(shares, rows[lessened], points[lessened])
    numbers = np.concatenate([shares[rows], table], axis=1)
    return _Lines(rows, _line_texts(met, rows, numbers.reshape(-1), np.full(len(rows), numbers.shape[1])))


def _shrink_boxes(shares: Floats, rows: Ints, points: Floats) -> None:
    """Make the boxes (``shares``: float64[n, 4], centre and size) of the poses ``rows``, which lost keypoints, those
    around the keypoints left (``points``: float64[k, count, 3], shares too), where these have an area."""
    if not len(rows):
        return
    placed = points[:, :, 2:] > 0
    first = np.where(placed, points[:, :, :2], np.inf).min(axis=1)
    last = np.where(placed, points[:, :, :2], -np.inf).max(axis=1)
    solid: Bools = every_column(last - first > _SMALLEST)
    first, last = first[solid], last[solid]
    shares[rows[solid]] = np.hstack([(first + last) / 2, last - first])


def _line_texts(met: Met, rows: Ints, shares: Floats, counts: Ints) -> pa.Array:
    return glued(number_text(met.column("index")[rows]), decimal_lists(shares, offsets_of(counts)), "\n")
