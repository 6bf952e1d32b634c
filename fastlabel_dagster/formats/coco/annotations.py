"""The annotations of one COCO file, all at once: which is a box, an outline, a mask, a pose, and which is none.

Columns are made of the lists JSON holds, and decisions of columns; only run lengths and attributes are looked at one by
one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.annotation_blocks import made_small, put_together
from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass
from fastlabel_dagster.formats.attributes import STATED_BOX, STATED_SHAPE
from fastlabel_dagster.formats.coco.attributes import Stated
from fastlabel_dagster.formats.coco.batch import Batch
from fastlabel_dagster.formats.coco.classes import ClassBook
from fastlabel_dagster.formats.coco.columns import Boxes, Outlines, looked_up
from fastlabel_dagster.formats.coco.declared import titles_and_types
from fastlabel_dagster.formats.coco.files import CocoFile
from fastlabel_dagster.formats.coco.images import TaskRows
from fastlabel_dagster.formats.coco.items import Items
from fastlabel_dagster.formats.coco.masks import regions_of, run_mask
from fastlabel_dagster.formats.coco.pages import release_unused
from fastlabel_dagster.formats.coco.poses import Poses, poses_of
from fastlabel_dagster.formats.coco.stated import holds, shape_text
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints
from fastlabel_dagster.labels.report import ReadTally

_SAME = 1e-9
_CLOSE = 1 + 1e-6
_MASKS_AT_ONCE = 1_000
#: CVAT says so in its COCO files how a box is turned. In other files the attribute may be anything, a heading say.
_READ_UPRIGHT = "an attribute states a rotation, as CVAT does for turned boxes: it was kept, the box was read upright"
_UNPLACED = "keypoints of visibility 0, which says that they are not labeled, were left out, though they have a place"
_NO_VISIBILITY = "a visibility other than 0, 1 and 2: one above 0 was read as hidden, one from 2 on as visible"
_NO_BOX = "a bbox that is not four numbers was left out"
_NOT_TURNED = "a rotation that its outline does not show was left out"
_REVERSED = "a box of negative width or height: its corners were put in order"
_TOO_FAR = "a coordinate is not a finite number, or more than a billion pixels away"


def read_annotations(
    file: CocoFile,
    tasks: TaskRows,
    book: ClassBook,
    found: AnnotationColumns,
    told: ReadTally,
    *,
    rectangles: bool,
    keypoints: bool = True,
) -> None:
    """Add all annotations of one file that can be read to ``found``; the file's lists of them and of its images are
    given up, for they need much memory.

    Args:
        file: whose annotations.
        tasks: gives image ids their tasks, and is told the size of a picture only its masks know.
        book: gives category ids their classes.
        found: where they go.
        told: the report.
        rectangles: an outline that is the rectangle of its own box is a box.
        keypoints: what has keypoints is a pose; otherwise it is its outline, or its box.
    """
    batch = Batch.of(_items_of(file), file.name, told)
    owner = looked_up(batch.items.taken("image_id"), tasks.read(file))
    batch.drop("annotations of images the file does not list", owner < 0)
    numbers = book.numbers(file, batch.items.taken("category_id"), batch.kept)
    classes = book.classes
    boxes = Boxes.of(batch.items.taken("bbox"))
    runs = batch.items.runs
    outlines = Outlines.of(batch.items.taken("segmentation"))
    batch.alter("an outline that is not lists of numbers was left out", batch.rows(batch.items.odd["segmentation"]))
    outlined = outlines.counts > 0
    rotations = batch.rotations()
    asked = rectangles or rotations is not None
    rectangular = outlines.is_rectangle(boxes.corners) if asked else np.zeros(len(owner), np.bool_)
    turned, is_turned = None, np.zeros(len(owner), np.bool_)
    if rotations is not None:
        turned = outlines.turned_back(rotations, rectangular)
        is_turned = outlined & np.isfinite(turned[:, 4])
        outlined &= ~is_turned
    if rectangles:
        outlined &= ~rectangular

    poses = _poses(batch, numbers, classes, read=keypoints)
    stated = _kept_shapes(batch, poses, boxes, outlines, outlined | batch.rows(runs))
    rest = batch.kept & ~poses.posed
    traced = _traced(batch, [row for row in runs if rest[row]], boxes, stated)
    sizes = zip(traced.rows.tolist(), owner[traced.rows].tolist(), map(tuple, traced.size.tolist()), strict=True)
    batch.notice(
        "masks of another size than their image",
        batch.rows(row for row, task, size in sizes if not tasks.fits(task, size)),
    )
    rest &= ~batch.rows(traced.rows)
    outlined &= rest
    batch.alter("polygons of fewer than three points", outlines.short)
    batch.drop(_TOO_FAR, outlined & ~outlines.sound)
    if outlined.any():
        _compare_boxes(batch, outlined & batch.kept, boxes, outlines.around, stated)
    is_turned &= rest
    boxed = rest & ~outlined & ~is_turned
    batch.drop("annotations without a box, an outline or keypoints", boxed & ~boxes.there)
    batch.drop(_TOO_FAR, boxed & ~boxes.sound)
    corners = boxes.corners
    is_reversed = boxed & ((corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1]))
    batch.alter(_REVERSED, is_reversed)
    if is_reversed.any():
        some = corners[is_reversed].reshape(-1, 2, 2)
        corners[is_reversed] = np.sort(some, axis=1).reshape(-1, 4)
    batch.alter(_NO_BOX, boxes.odd | batch.rows(batch.items.odd["bbox"]))
    if rotations is not None:
        with np.errstate(invalid="ignore"):
            is_said = np.isfinite(rotations) & (rotations % 360 != 0)
        batch.alter(_NOT_TURNED, is_said & ~is_turned)
    del boxes  # its numbers are not needed any more, nor what the columns were put together from
    release_unused()

    into = _Target(batch, owner, numbers, pa.array([one.value for one in classes], pa.string()), found)
    into.attributes = _attributes(batch, stated, numbers, classes)
    batch.notice(_READ_UPRIGHT, boxed & _states_rotation(into.attributes, len(owner)))
    if len(rows := np.flatnonzero(boxed & batch.kept)):
        some = corners if len(rows) == len(corners) else corners[rows]
        into.add("bbox", rows, points=(some.reshape(-1), 4 * np.arange(len(rows) + 1)))
    if turned is not None and len(rows := np.flatnonzero(is_turned & batch.kept)):
        upright = turned[rows, :4].reshape(-1), 4 * np.arange(len(rows) + 1)
        into.add("bbox", rows, points=upright, rotation=pa.array(turned[rows, 4]))
    if len(rows := np.flatnonzero(outlined & batch.kept & (outlines.counts == 1))):
        into.add("polygon", rows, points=outlines.points(rows))
    if len(rows := np.flatnonzero(outlined & batch.kept & (outlines.counts > 1))):
        into.add("segmentation", rows, regions=outlines.regions(rows))
    if len(traced.rows):
        into.add("segmentation", traced.rows, regions=traced.regions)
    if len(rows := np.flatnonzero(poses.posed & ~poses.single & batch.kept)):
        into.add("pose_estimation", rows, keypoints=poses.of(rows))
    if len(rows := np.flatnonzero(poses.single & batch.kept)):
        points = poses.around[rows, :2].reshape(-1), 2 * np.arange(len(rows) + 1)
        into.add("keypoint", rows, points=points)


def _items_of(file: CocoFile) -> Items:
    items = file.content.pop("annotations", None) or []
    return items if isinstance(items, Items) else Items.of(items)


@dataclass
class _Target:
    """Where annotations go, with what all of them have."""

    batch: Batch
    owner: Ints
    numbers: Ints
    names: pa.Array
    found: AnnotationColumns
    attributes: pa.Array | None = None
    _shared: dict[str, pa.Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._shared["annotation_id"] = self.batch.identities()
        scores = self.batch.scores()
        if scores is not None:
            self._shared["confidence_score"] = scores
        self._place = self.batch.items.place

    def add(self, kind: str, rows: Ints, **columns: Any) -> None:
        shared = self._shared if self.attributes is None else {**self._shared, "attributes": self.attributes}
        if len(rows) < len(self.owner):
            taken = pa.array(rows)
            shared = {name: column.take(taken) for name, column in shared.items()}
        value = pa.DictionaryArray.from_arrays(pa.array(self.numbers[rows].astype(np.int32)), self.names)
        self.found.add_many(self.owner[rows], kind, value, order=self._place[rows], **columns, **shared)


def _states_rotation(attributes: pa.Array | None, count: int) -> Bools:
    """bool[n]: an attribute ``rotation`` is a number other than 0."""
    states = np.zeros(count, np.bool_)
    if attributes is not None:
        said = attributes.flatten()
        rows = np.flatnonzero(pc.equal(said.field("key"), "rotation").to_numpy(zero_copy_only=False))
        if len(rows):
            owner = attributes.value_parent_indices().to_numpy()
            words = pc.dictionary_encode(said.field("value").take(pa.array(rows)))
            turns = [_is_turn(word) for word in words.dictionary.to_pylist()]
            turned = pc.fill_null(pa.array(turns, pa.bool_()).take(words.indices), False).to_numpy(zero_copy_only=False)
            states[owner[rows[turned]]] = True
    return states


def _is_turn(word: str) -> bool:
    try:
        return math.isfinite(float(word)) and float(word) != 0
    except ValueError:
        return False


def _poses(batch: Batch, numbers: Ints, classes: list[FoundClass], *, read: bool) -> Poses:
    batch.alter("keypoints that are not numbers were left out", batch.rows(batch.items.odd["keypoints"]))
    column = batch.items.taken("keypoints")
    poses = poses_of(column, batch.kept, numbers, classes)
    if not read:
        batch.alter("its keypoints were left out, as asked", poses.posed)
        return poses_of(column, np.zeros_like(batch.kept), numbers, classes)
    batch.alter("keypoints that are not three numbers each were left out", poses.uneven)
    batch.alter("keypoints its category does not have were left out", poses.stray)
    batch.alter(_UNPLACED, poses.unplaced)
    batch.alter(_NO_VISIBILITY, poses.unseen)
    batch.drop(_TOO_FAR, ~poses.sound)
    return poses


class _Traced(NamedTuple):
    """Run-length masks, traced along their pixel edges."""

    rows: Ints
    """int64[k]"""
    regions: pa.Array
    """list<list<list<double>>>[k]"""
    size: Ints
    """int64[k, 2]: width and height of their pictures."""


def _traced(batch: Batch, rows: list[int], boxes: Boxes, stated: dict[int, Stated]) -> _Traced:
    """The masks of ``rows``, which are given up; those with an empty or damaged one are left to their boxes."""
    damaged, empty, unlike = [], [], []
    found: list[int] = []
    sizes: list[tuple[int, int]] = []
    parts: list[pa.Array] = []
    around = np.full((len(batch.items) if rows else 0, 4), np.nan)
    areas = batch.items.field("area") if rows else []
    for start in range(0, len(rows), _MASKS_AT_ONCE):
        masks = []
        for row in rows[start : start + _MASKS_AT_ONCE]:
            try:
                mask = run_mask(batch.items.runs.pop(row))
            except ValueError:
                damaged.append(row)
                continue
            if mask is None:
                empty.append(row)
                continue
            masks.append(mask)
            found.append(row)
            sizes.append(mask.size)
            around[row] = mask.box
            area = areas[row]
            if isinstance(area, int | float) and not abs(area - mask.area) < 1:
                unlike.append(row)
        parts.append(made_small(regions_of(masks)))
    batch.alter("damaged run-length masks: the box was read", batch.rows(damaged))
    batch.alter("empty run-length masks: the box was read", batch.rows(empty))
    batch.notice("masks whose stated area is not that of their pixels: the pixels count", batch.rows(unlike))
    if rows:
        _compare_boxes(batch, batch.rows(found), boxes, around, stated)
    return _Traced(np.array(found, np.int64), put_together(parts), np.array(sizes, np.int64).reshape(-1, 2))


def _compare_boxes(batch: Batch, mask: Bools, boxes: Boxes, around: Floats, stated: dict[int, Stated]) -> None:
    """Keep the boxes (x, y, width, height as text) that are not quite those around their outlines."""
    rows = np.flatnonzero(mask & boxes.there)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(around[rows] - boxes.corners[rows]).max(axis=1) if len(rows) else np.empty(0)
    off = np.zeros(len(batch.items), np.bool_)
    off[rows[~(gap <= _CLOSE)]] = True
    batch.notice("boxes more than a pixel off their outline: the outline was read", off)
    for row in rows[(gap > _SAME) & (gap <= _CLOSE)].tolist():
        text = ",".join(repr(side).removesuffix(".0") for side in boxes.numbers[row].tolist())
        stated[row] = Stated(STATED_BOX, text, False)


def _kept_shapes(batch: Batch, poses: Poses, boxes: Boxes, outlines: Outlines, outlined: Bools) -> dict[int, Stated]:
    """Row -> what poses have beside their keypoints, as an attribute: an outline, or a box that is not just theirs."""
    stated: dict[int, Stated] = {}
    if not poses.posed.any():
        return stated
    around = poses.around
    with np.errstate(invalid="ignore"):
        own_box = ~boxes.there | (np.abs(around - boxes.corners) <= _SAME).all(axis=1)
    posed = poses.posed & batch.kept
    lost = posed & poses.single & outlined
    shaped = np.flatnonzero(posed & ~poses.single & (outlined | ~own_box)).tolist()
    areas = batch.items.field("area") if shaped else []
    for row in shaped:
        box, area = boxes.numbers[row].tolist(), areas[row]
        if type(area) not in (int, float):
            area = box[2] * box[3]
        shape = batch.items.runs.get(row) or outlines.of_row(row)
        text = shape_text(box, area, shape) if holds(box, around[row]) else None
        if text is None:
            lost[row] = True
        else:
            stated[row] = Stated(STATED_SHAPE, text, True)
    batch.alter("its keypoints were read; box and outline were left out, for the box does not hold them", lost)
    return stated


def _attributes(
    batch: Batch, stated: Mapping[int, Stated], numbers: Ints, classes: list[FoundClass]
) -> pa.Array | None:
    """list<ATTRIBUTE>[n]: the attributes of the file, the crowd switch and the stated boxes; None: nobody has any."""
    crowds = batch.crowds()
    batch.alter(
        "attributes that are not an object of JSON values were left out", batch.rows(batch.items.attributes.odd)
    )
    return batch.items.attributes.column(crowds, stated, numbers, titles_and_types(classes))
