"""Lines of numbers become annotations, thousands at a time: boxes, polygons, poses and rotated boxes in pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass, class_colors, classes_table
from fastlabel_dagster.formats.outlines import FARTHEST, SLACK, TOO_FAR
from fastlabel_dagster.formats.rectangles import boxes_of_corners, clockwise, smallest_rectangle
from fastlabel_dagster.formats.yolo.corners import corners_of
from fastlabel_dagster.formats.yolo.dataset import Dataset
from fastlabel_dagster.formats.yolo.parse import Lines
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, all_true, maxima, minima, offsets_of, ranges
from fastlabel_dagster.labels.report import EXAMPLES, FILE, Fate, ReadTally
from fastlabel_dagster.labels.schema import KEYPOINT

#: What polygons may be read as.
AREAS = ("polygon", "segmentation")
_BOX, _CORNERS = 5, 9
#: Pixels: corners that miss a rectangle by no more are one that was rounded.
_ROUNDED = 0.05
#: Of the image's side: what nine decimals, of a centre and of half a size, can be wrong by.
_PRECISION = 1e-9
_UNPLACED = "a keypoint of visibility 0, which says that it is not labeled, was left out, though it has a place"
_NO_VISIBILITY = "a visibility other than 0, 1 and 2: one above 0 was read as hidden, one from 2 on as visible"
_MOST_CLASSES = 2**31


class Objects:
    """The annotations of a dataset and the classes they speak of."""

    def __init__(self, dataset: Dataset, told: ReadTally, polygons: str) -> None:
        self._told, self._task, self._polygons = told, dataset.task, polygons
        self._keypoints, self._step = dataset.keypoints, dataset.keypoint_numbers
        generic = [f"keypoint_{number}" for number in range(1, self._keypoints + 1)]
        self._classes: dict[int, FoundClass] = {}
        by_value: dict[str, FoundClass] = {}
        for number, value in sorted(dataset.names.items()):
            if value in by_value:
                told.notice("two class numbers have one name", FILE, where=value[:200])
            keys = dataset.keypoint_names.get(number, generic)[: self._keypoints]
            self._classes[number] = by_value.setdefault(value, FoundClass(value, number + 1, keypoints=keys))
        self._by_value = by_value
        self._generic = generic
        self._columns = AnnotationColumns()
        self._lines = 0

    def __len__(self) -> int:
        return len(self._columns)

    def tables(self, tasks: int) -> tuple[pa.Array, pa.Table]:
        """The ``annotations`` column of that many tasks, and the classes."""
        colors = class_colors(self._by_value.values())
        nested = self._columns.nested(tasks, self._by_value, colors)
        return nested, classes_table(self._by_value.values(), self._columns.usage(), colors)

    def add(self, lines: Lines, owner: Ints, size: Floats, where: Callable[[int], str]) -> None:
        """Add the lines that have a task (``owner``: int64[l], its position, or -1) of ``size`` (float64[l, 2],
        pixels); ``where`` says for people where a line stands."""
        _Batch(self, lines, owner, size, where).add()

    def _tell(self, fate: Fate, reason: str, mask: Bools, where: Callable[[int], str], kind: str) -> None:
        rows = np.flatnonzero(mask)
        if len(rows):
            self._told.note(fate, reason, kind, len(rows), [where(row) for row in rows[:EXAMPLES].tolist()])

    def _class_of(self, number: int) -> tuple[FoundClass, bool]:
        """The class of a number, and whether the dataset names it."""
        found = self._classes.get(number)
        if found is not None:
            return found, True
        value = f"class_{number}"
        found = self._by_value.setdefault(value, FoundClass(value, number + 1, keypoints=self._generic))
        return found, False


class _Batch:
    """The lines of some label files on their way to annotations."""

    def __init__(self, objects: Objects, lines: Lines, owner: Ints, size: Floats, where: Callable[[int], str]) -> None:
        self.o, self.lines, self.owner, self.size, self.where = objects, lines, owner, size, where
        self.kept: Bools = owner >= 0
        self.order = np.arange(objects._lines, objects._lines + len(owner))
        objects._lines += len(owner)

    def add(self) -> None:
        lines, o = self.lines, self.o
        if not len(lines.offsets) - 1:
            return
        counts, first = lines.counts, lines.offsets[:-1]
        number = lines.values[first]
        self._drop("a line is not numbers", ~lines.is_numbers)
        self._drop("a number is not finite", ~all_true(np.isfinite(lines.values), lines.offsets))
        with np.errstate(invalid="ignore"):
            whole = (number >= 0) & (number < _MOST_CLASSES) & (number == np.floor(number))
        self._drop("its class is no whole number from 0 on", ~whole)
        pose = np.zeros(len(counts), np.bool_)
        if o._keypoints and o._task in (None, "pose"):
            usual = _BOX + o._keypoints * o._step
            pose = (counts == usual) | (counts == usual + 1)  # with the confidence of a prediction
        oriented = (o._task == "obb") & ~pose & ((counts == _CORNERS) | (counts == _CORNERS + 1))
        box = ~pose & ((counts == _BOX) | (counts == _BOX + 1))
        area = ~pose & ~oriented & (counts > _BOX + 1) & (counts % 2 == 1)
        self._drop("a line of an unknown form", ~(pose | oriented | box | area))
        self._drop(TOO_FAR, self._is_too_far())
        self._drop("a box of negative size", box & self._is_negative(box))
        self._meet_classes(np.where(self.kept, number, 0).astype(np.int64))
        if o._task is None:
            told = "nine numbers were read as a polygon of four corners; task='obb' reads them as a rotated box"
            self._tell("noticed", told, area & (counts == _CORNERS), "polygon")
        self._add_boxes(np.flatnonzero(box & self.kept))
        if o._task == "detect":
            self._add_boxes_around(np.flatnonzero(area & self.kept))
        else:
            self._add_areas(np.flatnonzero(area & self.kept))
        self._add_oriented(np.flatnonzero(oriented & self.kept))
        self._add_poses(np.flatnonzero(pose & self.kept))

    def _drop(self, reason: str, mask: Bools) -> None:
        self.o._tell("dropped", reason, mask & self.kept, self.where, "annotation")
        self.kept &= ~mask

    def _tell(self, fate: Fate, reason: str, mask: Bools, kind: str) -> None:
        self.o._tell(fate, reason, mask & self.kept, self.where, kind)

    def _is_too_far(self) -> Bools:
        """bool[l]: a coordinate is more than ``FARTHEST`` pixels away."""
        values = self.lines.values.copy()
        values[self.lines.offsets[:-1]] = 0
        reach = maxima(np.abs(values), self.lines.offsets)
        with np.errstate(invalid="ignore", over="ignore"):
            far: Bools = np.asarray(reach * self.size.max(axis=1, initial=0) > FARTHEST)
        return far

    def _is_negative(self, box: Bools) -> Bools:
        negative = np.zeros(len(box), np.bool_)
        rows = np.flatnonzero(box)
        sides = self.lines.values[self.lines.offsets[rows, None] + np.array([3, 4])]
        negative[rows] = (sides < 0).any(axis=1)
        return negative

    def _meet_classes(self, number: Ints) -> None:
        """Look the class numbers of the lines that are kept up; ``position`` of each points into ``words``."""
        distinct = np.unique(number[self.kept])
        self.position = np.minimum(np.searchsorted(distinct, number), max(0, len(distinct) - 1))
        looked_up = [self.o._class_of(one) for one in distinct.tolist()]
        self.met = [found for found, _ in looked_up]
        self.words = pa.array([found.value for found in self.met], pa.string())
        unnamed = np.array([*(not named for _, named in looked_up), False])
        self._tell("noticed", "the class number has no name", unnamed[self.position], "annotation")

    def _values(self, rows: Ints) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(self.position[rows].astype(np.int32)), self.words)

    def _numbers(self, rows: Ints, count: int, skip: int = 1) -> Floats:
        """float64[k, count]: numbers of each line, after ``skip`` of them."""
        numbers: Floats = self.lines.values[self.lines.offsets[rows, None] + np.arange(skip, skip + count)]
        return numbers

    def _confidence(self, rows: Ints, usual: int) -> dict[str, pa.Array]:
        """The number behind the usual ones is the confidence of a prediction."""
        sure = self.lines.counts[rows] == usual + 1
        if not sure.any():
            return {}
        numbers = np.full(len(rows), np.nan)
        numbers[sure] = self.lines.values[self.lines.offsets[rows[sure]] + usual]
        return {"confidence_score": pa.array(numbers, mask=~sure)}

    def _put(self, rows: Ints, kind: str, **columns: Any) -> None:
        self.o._columns.add_many(self.owner[rows], kind, self._values(rows), order=self.order[rows], **columns)

    def _put_boxes(self, rows: Ints, points: Floats, **columns: Any) -> None:
        self._put(rows, "bbox", points=(points.reshape(-1), 4 * np.arange(len(rows) + 1)), **columns)

    def _add_boxes(self, rows: Ints, usual: int = _BOX) -> None:
        if not len(rows):
            return
        size = self.size[rows]
        shares = self._numbers(rows, 4)
        centre, half = shares[:, :2], shares[:, 2:] / 2
        points = np.hstack([(centre - half) * size, (centre + half) * size])
        points = _tidied(points, np.hstack([size, size]))
        self._tell_outside(rows, points[:, :2], points[:, 2:], "bbox")
        self._put_boxes(rows, points, **self._confidence(rows, usual))

    def _outlines(self, rows: Ints) -> tuple[Floats, Ints]:
        """Vertices in pixels (float64[m, 2]) and offsets into them."""
        counts = self.lines.counts[rows] - 1
        shares = self.lines.values[ranges(self.lines.offsets[rows] + 1, counts)].reshape(-1, 2)
        size = np.repeat(self.size[rows], counts // 2, axis=0)
        return _tidied(shares * size, size), offsets_of(counts // 2)

    def _add_areas(self, rows: Ints) -> None:
        if not len(rows):
            return
        vertices, offsets = self._outlines(rows)
        low, high = _extent(vertices, offsets)
        self._tell_outside(rows, low, high, self.o._polygons)
        if self.o._polygons == "polygon":
            self._put(rows, "polygon", points=(vertices.reshape(-1), 2 * offsets))
            return
        # A ring of a segmentation ends with the vertex it began with.
        closed = offsets + np.arange(len(offsets))
        ring = np.empty((closed[-1], 2))
        ring[ranges(closed[:-1], np.diff(offsets))] = vertices
        ring[closed[1:] - 1] = vertices[offsets[:-1]]
        one_each = pa.array(np.arange(len(rows) + 1, dtype=np.int32))
        rings = pa.ListArray.from_arrays(pa.array((2 * closed).astype(np.int32)), pa.array(ring.reshape(-1)))
        regions = pa.ListArray.from_arrays(one_each, pa.ListArray.from_arrays(one_each, rings))
        self._put(rows, "segmentation", regions=regions)

    def _add_boxes_around(self, rows: Ints) -> None:
        if not len(rows):
            return
        low, high = _extent(*self._outlines(rows))
        self._tell("altered", "a polygon became the box around it", _marked(rows, len(self.kept)), "bbox")
        self._tell_outside(rows, low, high, "bbox")
        self._put_boxes(rows, np.hstack([low, high]))

    def _add_oriented(self, rows: Ints) -> None:
        if not len(rows):
            return
        size = self.size[rows]
        corners = self._numbers(rows, 8).reshape(-1, 4, 2) * size[:, None]
        found = boxes_of_corners(corners)
        centre, half = corners.mean(axis=1), (found.points[:, 2:] - found.points[:, :2]) / 2
        miss = np.abs(corners_of(centre, half, found.rotation) - clockwise(corners)).max(axis=(1, 2))
        odd = np.flatnonzero(miss > _ROUNDED)
        if len(odd):
            self._tell(
                "altered",
                "its four corners are no rectangle, the smallest one around them was taken",
                _marked(rows[odd], len(self.kept)),
                "bbox",
            )
            around = boxes_of_corners(np.array([smallest_rectangle(corners[place]) for place in odd.tolist()]))
            found.points[odd], found.rotation[odd] = around.points, around.rotation
        longest = np.maximum(*(found.points[:, 2:] - found.points[:, :2]).T)
        unit = _PRECISION * size.max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            wobble = np.where(longest > 0, np.rad2deg(2 * unit / longest), 0)
        rotation = _snapped(found.rotation, np.minimum(wobble, 1e-3)) % 360
        points = _snapped(found.points, unit[:, None])
        self._tell_outside(rows, corners.min(axis=1), corners.max(axis=1), "bbox")
        turned = pa.array(rotation, mask=rotation == 0)
        self._put_boxes(rows, points, rotation=turned, **self._confidence(rows, _CORNERS))

    def _add_poses(self, rows: Ints) -> None:
        if not len(rows):
            return
        count, step = self.o._keypoints, self.o._step
        size = self.size[rows]
        numbers = self._numbers(rows, count * step, _BOX).reshape(-1, count, step)
        seen = numbers[:, :, 2] if step == 3 else np.where((numbers[:, :, :2] != 0).any(axis=2), 2.0, 0.0)
        placed = seen > 0
        odd = ((seen != 0) & (seen != 1) & (seen != 2)).any(axis=1)
        self._tell("altered", _NO_VISIBILITY, _marked(rows[odd], len(self.kept)), "pose_estimation")
        hidden = ((seen == 0) & (numbers[:, :, :2] != 0).any(axis=2)).any(axis=1)
        self._tell("altered", _UNPLACED, _marked(rows[hidden], len(self.kept)), "pose_estimation")
        keys = [found.keypoints for found in self.met]
        named = np.array([len(of_class) for of_class in keys])[self.position[rows]]
        nameless = placed & (np.arange(count) >= named[:, None])
        self._tell(
            "altered",
            "a keypoint that its class does not have was left out",
            _marked(rows[nameless.any(axis=1)], len(self.kept)),
            "pose_estimation",
        )
        placed &= ~nameless
        filled = placed.any(axis=1)
        bare = rows[~filled]
        self._tell("altered", "a pose without keypoints became its box", _marked(bare, len(self.kept)), "bbox")
        usual = _BOX + count * step
        self._add_boxes(bare, usual=usual)
        rows, placed, numbers, seen, size = rows[filled], placed[filled], numbers[filled], seen[filled], size[filled]
        if not len(rows):
            return
        row, slot = np.nonzero(placed)
        where = _tidied(numbers[row, slot, :2] * size[row], size[row])
        offsets = offsets_of(placed.sum(axis=1))
        self._tell_of_boxes(rows, where, offsets)
        words = [key for of_class in keys for key in of_class]
        start = offsets_of(np.array([len(of_class) for of_class in keys]))
        key = pa.array(words, pa.string()).take(pa.array(start[self.position[rows[row]]] + slot))
        triples = np.column_stack([where, seen[row, slot] >= 2]).reshape(-1)
        values = pa.ListArray.from_arrays(pa.array(3 * np.arange(len(row) + 1, dtype=np.int32)), pa.array(triples))
        columns = {"key": key, "name": key, "value": values, "edges": _no_lists(len(row))}
        points = pa.StructArray.from_arrays(
            [columns.get(field.name, pa.nulls(len(row), field.type)) for field in KEYPOINT], fields=list(KEYPOINT)
        )
        nested = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), points)
        self._put(rows, "pose_estimation", keypoints=nested, **self._confidence(rows, usual))

    def _tell_of_boxes(self, rows: Ints, vertices: Floats, offsets: Ints) -> None:
        """A pose has no box of its own in FastLabel."""
        low, high = _extent(vertices, offsets)
        shares = self._numbers(rows, 4)
        stated = np.hstack([shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2])
        size = self.size[rows]
        differs = (np.abs(stated * np.hstack([size, size]) - np.hstack([low, high])) > 0.5).any(axis=1)
        reason = "the box of a pose was left out, it is not the one around its keypoints"
        self._tell("altered", reason, _marked(rows[differs], len(self.kept)), "pose_estimation")

    def _tell_outside(self, rows: Ints, low: Floats, high: Floats, kind: str) -> None:
        out = ((low < -SLACK) | (high > self.size[rows] * (1 + _PRECISION) + SLACK)).any(axis=1)
        self._tell("noticed", "reaches outside the image", _marked(rows[out], len(self.kept)), kind)


def _extent(vertices: Floats, offsets: Ints) -> tuple[Floats, Floats]:
    """float64[k, 2] twice: the least and the greatest x and y of each run of vertices."""
    axes = [np.ascontiguousarray(axis) for axis in vertices.T]
    low = np.column_stack([minima(axis, offsets) for axis in axes])
    return low, np.column_stack([maxima(axis, offsets) for axis in axes])


def _tidied(pixels: Floats, size: Floats) -> Floats:
    """Coordinates that nine decimals cannot tell from a whole thousandth of a pixel are that thousandth."""
    return _snapped(pixels, _PRECISION * size)


def _snapped(numbers: Floats, tolerance: Floats) -> Floats:
    near = np.rint(numbers * 1000) / 1000
    return np.where(np.abs(numbers - near) <= tolerance, near, numbers) + 0.0  # no negative zero


def _marked(rows: Ints, n: int) -> Bools:
    mask = np.zeros(n, np.bool_)
    mask[rows] = True
    return mask


def _no_lists(n: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.array([], pa.string()))
