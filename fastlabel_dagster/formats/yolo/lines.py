"""Annotations as lines of YOLO label files, a batch of tasks at a time.

A line is the class's number and coordinates as shares of the image's width and height, rounded to nine decimals and
never in exponent notation: ``class cx cy w h`` (detect), ``class x1 y1 x2 y2 …`` (segment), ``class cx cy w h x y v
…`` (pose). YOLO readers refuse whole images for one coordinate outside 0..1, so everything is cut to the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import apply_stated_boxes, read_attributes
from fastlabel_dagster.formats.categories import POSE, Categories, Met
from fastlabel_dagster.formats.keypoints import keypoint_rows
from fastlabel_dagster.formats.outlines import (
    CIRCLE_VERTICES,
    SLACK,
    TOO_FAR,
    Rings,
    cut_to_image,
    is_too_far,
    is_turned,
    outline_rings,
)
from fastlabel_dagster.formats.report import BatchTally, Tally
from fastlabel_dagster.formats.text import decimal_text, glued, joined, number_text
from fastlabel_dagster.labels.geometry import FlatAnnotations, boxes, flatten, is_finite
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of, one_array, ranges

SHAPES = ("bbox", "polygon", "segmentation", "circle")
#: The columns of the label tables this reads.
NEEDS = ("task_id", "name", "width", "height", "annotations")
_SMALLEST = 0.5e-9  # a share of the image that the nine decimals of the text would round to nothing


@dataclass
class _Batch:
    """What every task of YOLO needs of a batch."""

    flat: FlatAnnotations
    box: Floats
    size: Floats  # float64[n, 2]: width and height of each annotation's image
    keypoints: pa.Array
    told: BatchTally
    met: Met


@dataclass
class _Lines:
    """Lines of text and the annotation each belongs to, in the order of the annotations."""

    annotation: Ints
    text: pa.Array


def yolo_texts(
    tasks: pa.Table,
    sizes: Floats,
    categories: Categories,
    tally: Tally,
    *,
    task: str,
    pose_boxes: bool = False,
    keypoint_count: int = 0,
) -> list[bytes]:
    """The label file of each task of a batch.

    Args:
        tasks: the batch.
        sizes: float64[tasks, 2], width and height of each task's image in pixels, NaN when unknown.
        categories: gives the class numbers; unknown classes are added.
        tally: told of everything left out or changed.
        task: ``detect``, ``segment`` or ``pose``.
        pose_boxes: in ``detect``, a pose becomes the box around its keypoints.
        keypoint_count: in ``pose``, how many keypoints every line has.
    """
    flat = flatten(tasks)
    nested = pc.list_flatten(one_array(tasks["annotations"]))
    keypoints = pc.struct_field(nested, "keypoints")
    told = tally.batch(flat.type, flat.task, one_array(tasks["name"]), pc.struct_field(nested, "annotation_id"))
    size = sizes[flat.task]
    wanted = {"detect": (*SHAPES, POSE) if pose_boxes else SHAPES, "segment": SHAPES, "pose": (POSE,)}[task]
    _sift(told, flat, size, wanted, {"detect": "a box", "segment": "an area", "pose": "a pose"}[task])
    met = categories.meet(pc.if_else(pa.array(told.kept), flat.value, None), flat.type, keypoints)
    told.alter("the class is not in the project, it was added behind the others", ~met.known)
    attributes = read_attributes(pc.struct_field(nested, "attributes"))
    told.alter("a crowd became one object", attributes.crowd)
    box = boxes(flat)
    apply_stated_boxes(box, attributes)
    batch = _Batch(flat, box, size, keypoints, told, met)
    if task == "detect":
        lines = _detect(batch)
    elif task == "segment":
        lines = _segment(batch)
    else:
        lines = _pose(batch, keypoint_count)
    told.finish()
    per_task = offsets_of(np.bincount(flat.task[lines.annotation], minlength=tasks.num_rows))
    files = joined(per_task, lines.text, "\n").to_pylist()
    return [f"{text}\n".encode() if text else b"" for text in files]


def _sift(told: BatchTally, flat: FlatAnnotations, size: Floats, wanted: tuple[str, ...], what: str) -> None:
    told.drop(f"not {what}", ~flat.is_type(*wanted))
    told.drop(
        "the geometry is missing or ill-formed",
        ~flat.well_formed | (flat.annotation_rings[1:] == flat.annotation_rings[:-1]),
    )
    told.drop("a coordinate is not a finite number", ~is_finite(flat))
    told.drop(TOO_FAR, is_too_far(boxes(flat)))
    told.drop("a circle without a positive radius", flat.is_type("circle") & ~(flat.radius > 0))
    told.drop("it has no class", ~pc.is_valid(flat.value).to_numpy(zero_copy_only=False))
    sized: Bools = np.logical_and.reduce(size > 0, axis=1)
    told.drop("the size of the image is not known", ~sized)


def _detect(batch: _Batch) -> _Lines:
    flat, told = batch.flat, batch.told
    shares = _box_shares(batch)
    told.alter("a rotated box became the upright box around it", is_turned(flat))
    told.alter("a shape became the box around it", flat.is_type("polygon", "segmentation", "circle", POSE))
    rows = np.flatnonzero(told.kept)
    return _Lines(rows, _line_texts(batch, rows, shares[rows].reshape(-1), np.full(len(rows), 4)))


def _box_shares(batch: _Batch) -> Floats:
    """Centre and size of each box as shares of its image, cut to it; what leaves nothing is dropped."""
    told, box, size = batch.told, batch.box, batch.size
    with np.errstate(invalid="ignore"):
        first, last = np.clip(box[:, :2], 0, size), np.clip(box[:, 2:], 0, size)
        cut: Bools = np.logical_or.reduce(np.hstack([first - box[:, :2], box[:, 2:] - last]) > SLACK, axis=1)
        first, last = first / size, last / size
        lasting: Bools = np.logical_and.reduce(last - first > _SMALLEST, axis=1)
        told.drop("nothing of it lies within the image, or it has no area", ~lasting)
    told.alter("reached outside the image and was cut at its edge", cut)
    return np.column_stack([(first + last) / 2, last - first])


def _segment(batch: _Batch) -> _Lines:
    flat, told, size = batch.flat, batch.told, batch.size
    rings = outline_rings(flat, told.kept[flat.ring_annotation] & ~flat.ring_is_hole)
    rings, cut = _cut_rings(rings, flat, size)
    annotation = flat.ring_annotation[rings.ring]
    shares = np.clip(rings.coords / size[np.repeat(annotation, np.diff(rings.offsets))], 0, 1)
    lasting = _has_area(shares, rings.offsets)
    left = np.zeros(len(flat), np.bool_)
    left[annotation[lasting]] = True
    told.drop("nothing of it lies within the image, or it has no area", ~left)
    told.alter("reached outside the image and was cut at its edge", cut)
    holes = np.zeros(len(flat), np.bool_)
    holes[flat.ring_annotation[flat.ring_is_hole]] = True
    told.alter("its holes were filled, YOLO has none", holes)
    told.alter("its parts became an object each", np.bincount(annotation[lasting], minlength=len(flat)) > 1)
    told.alter(f"a circle became a polygon of {CIRCLE_VERTICES} vertices", flat.is_type("circle"))
    counts = np.diff(rings.offsets)[lasting]
    picked = shares[ranges(rings.offsets[:-1][lasting], counts)]
    rows = annotation[lasting]
    return _Lines(rows, _line_texts(batch, rows, picked.reshape(-1), 2 * counts))


def _cut_rings(rings: Rings, flat: FlatAnnotations, size: Floats) -> tuple[Rings, Bools]:
    """The rings cut to their images, and which annotations were cut. Only rings that reach outside cost Python time."""
    counts = np.diff(rings.offsets)
    limits = size[np.repeat(flat.ring_annotation[rings.ring], counts)]
    out = ((rings.coords < -SLACK) | (rings.coords > limits + SLACK)).any(axis=1)
    outside = np.unique(np.repeat(np.arange(len(rings.ring)), counts)[out])
    cut = np.zeros(len(flat), np.bool_)
    if not len(outside):
        return rings, cut
    cut[flat.ring_annotation[rings.ring[outside]]] = True
    pieces = np.split(rings.coords, rings.offsets[1:-1])
    for number in outside.tolist():
        width, height = size[flat.ring_annotation[rings.ring[number]]]
        pieces[number] = cut_to_image(pieces[number], float(width), float(height))
    return Rings(rings.ring, np.concatenate(pieces), offsets_of(np.array([len(piece) for piece in pieces]))), cut


def _has_area(shares: Floats, offsets: Ints) -> Bools:
    """bool[k]: the ring has three vertices and extends in both directions."""
    lasting = np.diff(offsets) >= 3
    filled = np.flatnonzero(lasting)
    if len(filled):
        # reduceat runs from one start to the next: rings between that are too short only widen the stretch it sees, so
        # they are left out first.
        rows = ranges(offsets[:-1][filled], np.diff(offsets)[filled])
        starts = offsets_of(np.diff(offsets)[filled])[:-1]
        span = np.maximum.reduceat(shares[rows], starts) - np.minimum.reduceat(shares[rows], starts)
        lasting[filled] = (span > _SMALLEST).all(axis=1)
    return lasting


def _pose(batch: _Batch, count: int) -> _Lines:
    flat, told = batch.flat, batch.told
    slots = batch.met.column("keypoint_count")
    told.drop(f"its class has more than the dataset's {count} keypoints", slots > count)
    shares = _box_shares(batch)
    values, offsets, _ = keypoint_rows(flat, batch.keypoints, batch.met, np.full(len(flat), -1), told)
    rows = np.flatnonzero(told.kept)
    flat_table = np.zeros((len(rows), 3 * count))
    lengths = np.diff(offsets)[rows]
    place = (np.repeat(np.arange(len(rows)), lengths), ranges(np.zeros(len(rows)), lengths))
    flat_table[place] = values[ranges(offsets[:-1][rows], lengths)]
    table = flat_table.reshape(len(rows), count, 3)
    size = batch.size[rows][:, None, :]
    placed = table[:, :, 2] > 0
    gone = placed & ((table[:, :, :2] < 0) | (table[:, :, :2] > size)).any(axis=2)
    table[gone] = 0
    lost = np.zeros(len(flat), np.bool_)
    lost[rows[gone.any(axis=1)]] = True
    told.alter("a keypoint outside the image counts as not placed", lost)
    table[:, :, :2] /= size
    numbers = np.concatenate([shares[rows], flat_table], axis=1)
    return _Lines(rows, _line_texts(batch, rows, numbers.reshape(-1), np.full(len(rows), numbers.shape[1])))


def _line_texts(batch: _Batch, rows: Ints, shares: Floats, counts: Ints) -> pa.Array:
    numbers = joined(offsets_of(counts), decimal_text(shares), " ")
    return glued(number_text(batch.met.column("index")[rows]), " ", numbers)
