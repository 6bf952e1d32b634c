"""The checks ``geometry`` and ``duplicates``: annotations that cannot be what somebody meant to draw."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from fastlabel_dagster.checks.batch import ANNOTATION_COLUMNS, LabelBatch, columns_of
from fastlabel_dagster.checks.catalogue import GEOMETRY_PROBLEMS
from fastlabel_dagster.checks.crops import MOST_CROPS, Crop, ReadImage, crop_of, crops_picture
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, offenders_table, outcome, percent
from fastlabel_dagster.checks.plan import CheckSetting
from fastlabel_dagster.labels.crossings import self_contact
from fastlabel_dagster.labels.duplicates import duplicate_boxes, examined_boxes
from fastlabel_dagster.labels.geometry import FlatAnnotations, areas, boxes
from fastlabel_dagster.labels.ragged import Bools, Floats
from fastlabel_dagster.labels.single_pictures import TakenApart
from fastlabel_dagster.labels.summary import geometry_masks

#: What encloses this many square pixels encloses nothing: areas of slanted lines come out like that.
_ROUNDING = 1e-9
_ENCLOSING = ("bbox", "polygon", "segmentation", "circle")
_DRAWN = ("polygon", "segmentation")
#: Annotations without 2D geometry of their own.
_ELSEWHERE = "on no frame of their video, in texts, in space, of whole tasks"


def problems_of(setting: CheckSetting, flat: FlatAnnotations) -> tuple[dict[str, Bools], int]:
    """bool[n] for each problem the check looks for: the annotations that have it, each at most one; and how many
    outlines were too tangled to be compared with themselves wholly."""
    wanted = setting["problems"]
    found = geometry_masks(flat, tolerance=setting["tolerance_pixels"])
    unreadable = found["ill_formed"] | found["not_finite"]
    masks = {"unreadable": unreadable, "outside": found["outside_image"]}
    sound = ~unreadable
    if "zero_area" in wanted:
        with np.errstate(invalid="ignore"):
            nothing = _areas(flat) <= max(setting["smallest_area"], _ROUNDING)
        masks["zero_area"] = flat.is_type(*_ENCLOSING) & sound & nothing & _has_outline(flat)
    unexamined = 0
    if "self_intersecting" in wanted or "self_touching" in wanted:
        rings = np.flatnonzero((flat.is_type(*_DRAWN) & sound)[flat.ring_annotation])
        contact = self_contact(flat, rings)
        unexamined = int(contact.unexamined.sum())
        for name, mask in (("self_intersecting", contact.crosses), ("self_touching", contact.touches)):
            masks[name] = np.zeros(len(flat), np.bool_)
            masks[name][flat.ring_annotation[rings[mask]]] = True
    taken = np.zeros(len(flat), np.bool_)
    chosen: dict[str, Bools] = {}
    for name in GEOMETRY_PROBLEMS:
        if name in wanted:
            chosen[name] = masks[name] & ~taken
            taken |= masks[name]
    return chosen, unexamined


def _has_outline(flat: FlatAnnotations) -> Bools:
    """bool[n]: geometry of its own: what lies in texts and in space has none, nor has a track on no frame."""
    return np.asarray(np.diff(flat.annotation_rings) > 0)


def _areas(flat: FlatAnnotations) -> Floats:
    """float64[n]: :func:`areas`, by width and height where there are only boxes, which is most of the time."""
    if flat.is_type("polygon", "segmentation", "circle").any():
        return areas(flat)
    result = np.zeros(len(flat))
    rows = np.flatnonzero(flat.is_type("bbox") & _has_outline(flat))
    first = flat.annotation_vertices[rows]
    across, down = flat.coords[first + 1] - flat.coords[first], flat.coords[first + 3] - flat.coords[first]
    result[rows] = np.abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0])
    return result


class Geometry:
    """Counts annotations by what is wrong with their geometry, and keeps a few of each kind to show.

    It is handed single pictures (:meth:`LabelBatch.pictures`): a track counts once for each keyframe somebody drew.
    """

    def __init__(self, setting: CheckSetting, classes: pa.Table, read_image: ReadImage | None = None) -> None:
        self._setting, self._classes, self._read_image = setting, classes, read_image
        self.counts: Counter[str] = Counter({name: 0 for name in GEOMETRY_PROBLEMS if name in setting["problems"]})
        self.annotations = self.examined = self.unexamined = 0
        self._examples: dict[str, list[dict[str, Any]]] = {name: [] for name in self.counts}
        self._crops: dict[str, list[Crop]] = {name: [] for name in self.counts}

    def add(self, batch: LabelBatch) -> None:
        flat = batch.flat
        self.annotations += len(flat)
        self.examined += int((_has_outline(flat) | ~flat.well_formed).sum())
        masks, unexamined = problems_of(self._setting, flat)
        self.unexamined += unexamined
        for name, mask in masks.items():
            rows = np.flatnonzero(mask)
            self.counts[name] += len(rows)
            examples, crops = self._examples[name], self._crops[name]
            for row in rows[: MOST_OFFENDERS - len(examples)].tolist():
                examples.append({**batch.annotation(row), "problem": name, "detail": _detail(flat, row, name)})
                if self._read_image is not None and name != "unreadable" and len(crops) < MOST_CROPS:
                    crops.append(crop_of(batch, [row], name))

    def leave_out(self, told: TakenApart) -> None:
        """Count what is on no picture."""
        self.annotations += told.annotations

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        wrong = sum(self.counts.values())
        share = wrong / self.examined if self.examined else 0.0
        without = self.annotations - self.examined
        said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items() if count)
        metadata: dict[str, Any] = {
            **self.counts,
            "annotations": self.annotations,
            "examined": self.examined,
            "share": round(share, 8),
            "tolerance_pixels": setting["tolerance_pixels"],
        }
        if self.unexamined:
            metadata["not_compared_wholly"] = self.unexamined
        if wrong:
            rows = _in_turn(self._examples)
            columns = [*ANNOTATION_COLUMNS, ("problem", "string"), ("detail", "string")]
            metadata["offenders"] = offenders_table(rows, columns_of(rows, columns))
            metadata |= crops_picture(_in_turn(self._crops), self._classes, self._read_image)
        return outcome(
            setting,
            key,
            passed=share <= setting["at_most"],
            description=(
                f"{wrong:,} of {self.examined:,} annotations ({percent(share)}): {said}."
                if wrong
                else f"Nothing is wrong with the geometry of {self.examined:,} annotations."
                if self.examined or not without
                else "Nothing was looked at."
            )
            + (
                f" {without:,} have no place in a picture of their own ({_ELSEWHERE}): not looked at."
                if without
                else ""
            )
            + (f" {self.unexamined:,} outlines are too tangled to be compared wholly." if self.unexamined else ""),
            metadata=metadata,
        )


class DuplicateBoxes:
    """Counts boxes that lie on an earlier one of their task, and keeps a few pairs to show."""

    def __init__(self, setting: CheckSetting, classes: pa.Table, read_image: ReadImage | None = None) -> None:
        self._setting, self._classes, self._read_image = setting, classes, read_image
        self.boxes = self.all_boxes = self.duplicates = self.tasks = self.unexamined = 0
        self._last_task: str | None = None
        self._examples: list[dict[str, Any]] = []
        self._crops: list[Crop] = []

    def add(self, batch: LabelBatch) -> None:
        flat, setting = batch.flat, self._setting
        self.all_boxes += int(flat.is_type("bbox").sum())
        self.boxes += examined_boxes(flat)
        found = duplicate_boxes(flat, iou=setting["iou"], same_class=setting["same_class"])
        self.unexamined += found.unexamined
        self.duplicates += len(found.row)
        tasks = {str(batch.task(row)["task_id"]): None for row in np.unique(flat.task[found.row]).tolist()}
        self.tasks += len(tasks) - (self._last_task in tasks)  # the frames of a long video come in several batches
        self._last_task = next(reversed(tasks), self._last_task)
        for position in range(min(len(found.row), MOST_OFFENDERS - len(self._examples))):
            row, other = int(found.row[position]), int(found.of[position])
            first = batch.annotation(other)
            self._examples.append(
                {
                    **batch.annotation(row),
                    "repeats": first["annotation"],
                    "class_of_that": first["class"],
                    "iou": round(float(found.iou[position]), 4),
                }
            )
            if self._read_image is not None and len(self._crops) < MOST_CROPS:
                self._crops.append(crop_of(batch, [other, row], f"IoU {found.iou[position]:.3f}"))

    def leave_out(self, told: TakenApart) -> None:
        """Count the boxes that are on no picture."""
        self.all_boxes += sum(note.count for note in told.left_out.notes("dropped") if note.type == "bbox")

    def result(self, setting: CheckSetting, key: dg.AssetKey) -> dg.AssetCheckResult:
        metadata: dict[str, Any] = {"duplicates": self.duplicates, "tasks": self.tasks, "boxes": self.boxes}
        without = self.all_boxes - self.boxes
        if without:
            metadata["not_looked_at"] = without
        if self.unexamined:
            metadata["not_compared_wholly"] = self.unexamined
        if self.duplicates:
            columns = [*ANNOTATION_COLUMNS, ("repeats", "string"), ("class_of_that", "string"), ("iou", "float")]
            metadata["offenders"] = offenders_table(self._examples, columns_of(self._examples, columns))
            metadata |= crops_picture(self._crops, self._classes, self._read_image)
        return outcome(
            setting,
            key,
            passed=self.duplicates <= setting["at_most"],
            description=(
                f"{self.duplicates:,} of {self.boxes:,} boxes lie on an earlier one of their task "
                f"(IoU from {setting['iou']:g} on{', of the same class' if setting['same_class'] else ''})."
                if self.duplicates
                else f"None of {self.boxes:,} boxes lies on another (IoU from {setting['iou']:g} on)."
                if self.boxes or not without
                else "Nothing was looked at."
            )
            + (f" {without:,} boxes were not looked at: unreadable, or on no picture." if without else "")
            + (f" {self.unexamined:,} have too many beside them to be compared with all." if self.unexamined else ""),
            metadata=metadata,
        )


def _in_turn(kinds: dict[str, list[Any]]) -> list[Any]:
    """A few of every kind: first the first of each, then the second of each …"""
    longest = max(map(len, kinds.values()), default=0)
    return [found[turn] for turn in range(longest) for found in kinds.values() if turn < len(found)]


def _detail(flat: FlatAnnotations, row: int, problem: str) -> str:
    """What a person needs to see at once: how far outside, how small."""
    if problem == "unreadable":
        return "coordinates that are no numbers" if flat.well_formed[row] else "its points do not fit its type"
    one = _one(flat, row)
    x1, y1, x2, y2 = (round(float(edge), 2) for edge in boxes(one)[0])
    if problem == "outside":
        width, height = (f"{side:g}" for side in (flat.width[row], flat.height[row]))
        return f"reaches from {x1:g}, {y1:g} to {x2:g}, {y2:g} in a picture of {width} x {height}"
    if problem == "zero_area":
        return f"{x2 - x1:g} x {y2 - y1:g} pixels at {x1:g}, {y1:g}"
    return f"{len(one.coords):,} vertices, from {x1:g}, {y1:g} to {x2:g}, {y2:g}"


def _one(flat: FlatAnnotations, row: int) -> FlatAnnotations:
    """The annotation ``row`` alone."""
    rings = slice(int(flat.annotation_rings[row]), int(flat.annotation_rings[row + 1]))
    vertices = slice(int(flat.ring_offsets[rings.start]), int(flat.ring_offsets[rings.stop]))
    only = slice(row, row + 1)
    return FlatAnnotations(
        task=flat.task[only],
        index=flat.index[only],
        type=flat.type[only],
        value=flat.value[only],
        coords=flat.coords[vertices],
        ring_offsets=flat.ring_offsets[rings.start : rings.stop + 1] - vertices.start,
        annotation_rings=np.array([0, rings.stop - rings.start]),
        ring_region=flat.ring_region[rings],
        ring_is_hole=flat.ring_is_hole[rings],
        rotation=flat.rotation[only],
        radius=flat.radius[only],
        width=flat.width[only],
        height=flat.height[only],
        well_formed=flat.well_formed[only],
        reversed=flat.reversed[only],
    )
