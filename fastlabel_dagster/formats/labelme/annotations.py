"""The shapes and flags of labelme's files on their way to annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass
from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.formats.labelme.geometry import Shape, UnreadShapeError, closed, plain_box, shape_geometry
from fastlabel_dagster.formats.labelme.said import (
    LONGEST,
    attributes_of,
    is_told_whole,
    names_of,
    own_text,
    score_of,
    unread_of,
)
from fastlabel_dagster.formats.point_rows import PointRows
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.report import ReadTally

NO_PLACE = "its other fields have no place in FastLabel, and were not read"
_HALF_SAID = "flags that are neither on nor off, or attributes without a text"
_NO_GROUP = "a group that is neither a whole number nor text was left out"
_NO_TURN = "a rotation that its corners do not show was left out"
_NO_SCORE = "a score that is not a number from 0 on was left out"
_FURTHER = "what a further shape of its group says of itself was left out, for the first one says otherwise"
_ODD_POINT = "what a point says of itself that is not as our own exports write it was left out"
_OF_POINT = frozenset(("name", "visibility", "edges"))
_VISIBILITIES = (0, 1, 2)


class FoundAnnotations:
    """The annotations of a dataset, and the classes they use."""

    def __init__(self, classes: dict[str, FoundClass]) -> None:
        self.classes = classes
        """By value; those that are met are added behind the others."""
        self._last_order = max((one.order for one in classes.values()), default=0)
        self._annotations = AnnotationColumns()
        self._plain = PointRows(self._annotations)

    def columns(self) -> AnnotationColumns:
        """All that were added."""
        self._plain.hand_over()
        return self._annotations

    def meet(self, value: str) -> None:
        """A class is used; a new one stands behind the others."""
        if value not in self.classes:
            self._last_order += 1
            self.classes[value] = FoundClass(value, self._last_order)

    def add(self, row: int, order: int, kind: str, value: str, **fields: Any) -> None:
        """Add an annotation, at the place ``order`` within its task."""
        self.meet(value)
        self._annotations.add(row, kind, value, order=order, **fields)

    def add_points(self, row: int, order: int, kind: str, value: str, points: list[float]) -> None:
        """Add an annotation that has nothing but its points."""
        self.meet(value)
        self._plain.add(row, order, kind, value, points)

    def add_boxes(self, row: int, orders: list[int], values: list[str], numbers: list[float]) -> None:
        """:meth:`add_points` for many boxes of classes that were met."""
        self._plain.extend([row] * len(orders), orders, "bbox", values, numbers)


@dataclass(frozen=True)
class _About:
    """What a shape says of itself beside its geometry."""

    attributes: list[dict[str, Any]]
    score: float | None

    def says_more_than(self, first: _About) -> bool:
        """Whether something is lost when the ``first`` shape of its group speaks for this one."""
        if self.score is not None and self.score != first.score:
            return True
        return bool(self.attributes) and self.attributes != first.attributes


@dataclass(frozen=True)
class _Group:
    """Shapes that are one annotation."""

    parts: list[Any]
    """Regions of a segmentation or keypoints of a pose; further shapes add to them."""
    about: _About


class ShapeReader:
    """The shapes and flags of one file."""

    def __init__(self, found: FoundAnnotations, told: ReadTally, row: int, file: str, shapes: list[Any]) -> None:
        self._found, self._told, self._row, self._file, self._shapes = found, told, row, file, shapes
        #: By group id and label (of a pose: its class).
        self._regions: dict[tuple[Any, str], _Group] = {}
        self._poses: dict[tuple[Any, str], _Group] = {}
        self._order = 0

    @cached_property
    def _groups(self) -> Counter[tuple[Any, str] | None]:
        """How many polygons each group has."""
        return Counter(
            _group(shape)
            for shape in self._shapes
            if isinstance(shape, dict) and shape.get("shape_type", "polygon") == "polygon"
        )

    def read(self, document: dict[str, Any]) -> list[str]:
        """Read shapes and flags. Returns the names of the fields beside ``shapes`` that are not what they should be."""
        orders: list[int] = []
        values: list[str] = []
        numbers: list[float] = []
        for number, shape in enumerate(self._shapes, start=1):
            box = plain_box(shape) if type(shape) is dict else None
            if box is not None and type(label := shape.get("label")) is str and label and encodable(label):
                self._order += 1
                orders.append(self._order)
                values.append(label)
                numbers += box
                self._found.meet(label)
                continue
            where = f"{self._file}, shape {number}"
            if not isinstance(shape, dict):
                self._told.drop("a shape that is no JSON object", where=where)
                continue
            label = shape.get("label")
            if type(label) is int:
                label = str(label)
            if not isinstance(label, str) or not label or not encodable(label):
                self._told.drop("a shape without a label", where=where)
                continue
            try:
                for geometry in shape_geometry(shape):
                    self._order += 1
                    self._read_shape(shape, label, geometry, where)
            except UnreadShapeError as error:
                self._told.drop(str(error), where=where)
        self._found.add_boxes(self._row, orders, values, numbers)
        return self._read_flags(document)

    def _read_shape(self, shape: dict[str, Any], label: str, geometry: Shape, where: str) -> None:
        told = self._told
        if geometry.altered:
            told.alter(geometry.altered, geometry.type, where=where)
        about = self._about(shape, geometry, where)
        group = _group(shape)
        pose = own_text(shape.get("pose")) if geometry.type == "keypoint" else ""
        if pose:
            self._read_keypoint(shape, pose, geometry, about, where)
            return
        if group is not None and self._groups[group] > 1 and geometry.type in ("polygon", "segmentation"):
            regions = _as_regions(geometry)
            if group in self._regions:
                self._regions[group].parts.extend(regions)
                if about.says_more_than(self._regions[group].about):
                    told.alter(_FURTHER, "segmentation", where=where)
                if shape.get("annotation_type") != "segmentation":
                    told.notice("polygons of one group became one segmentation", "segmentation", where=where)
                return
            self._regions[group] = _Group(regions, about)
            self._add("segmentation", label, about, regions=regions)
            return
        if group is not None and shape.get("annotation_type") is None:
            told.notice("the group a shape belongs to was not kept", geometry.type, where=where)
        points = geometry.points
        if not about.attributes and about.score is None and points is not None and geometry.rotation is None:
            self._found.add_points(self._row, self._order, geometry.type, label, points)
            return
        self._add(geometry.type, label, about, points=points, regions=geometry.regions, rotation=geometry.rotation)

    def _add(self, kind: str, value: str, about: _About, **geometry: Any) -> None:
        said = {"attributes": about.attributes, "confidence_score": about.score}
        self._found.add(self._row, self._order, kind, value, **geometry, **said)

    def _about(self, shape: dict[str, Any], geometry: Shape, where: str) -> _About:
        """What a shape says of itself; what has no place is told."""
        told, kind = self._told, geometry.type
        about = _About(attributes_of(shape), score_of(shape))
        if not is_told_whole(shape, about.attributes):
            told.alter(_HALF_SAID, kind, where=where)
        if about.score is None and shape.get("score") not in (None, ""):
            told.alter(_NO_SCORE, kind, where=where)
        if _group(shape) is None and shape.get("group_id") not in (None, ""):
            told.alter(_NO_GROUP, kind, where=where)
        if geometry.rotation is None and shape.get("rotation"):
            told.alter(_NO_TURN, kind, where=where)
        unread = unread_of(shape)
        if unread:
            told.notice(NO_PLACE, kind, where=f"{where}: {names_of(unread)}")
        return about

    def _read_keypoint(self, shape: dict[str, Any], pose: str, geometry: Shape, about: _About, where: str) -> None:
        """A point of a pose, as our own export writes them."""
        key = str(shape["label"])
        stated = shape.get("keypoint")
        said = stated if isinstance(stated, dict) else {}
        visibility, edges, name = said.get("visibility", 1.0), said.get("edges"), said.get("name")
        is_sound = type(visibility) in (int, float) and visibility in _VISIBILITIES
        ends = [end for end in edges if isinstance(end, str) and encodable(end)] if isinstance(edges, list) else None
        point = {
            "key": key,
            "name": name if isinstance(name, str) and encodable(name) else key,
            "value": [
                *(geometry.points or ()),
                *([float(visibility) if is_sound else 1.0] if "visibility" in said or not said else []),
            ],
            "edges": ends,
        }
        whole = is_sound and ends == edges and name in (None, point["name"]) and isinstance(stated, dict | None)
        if not whole or not _OF_POINT.issuperset(said):
            self._told.alter(_ODD_POINT, POSE, where=where)
        group = _group(shape)
        known = None if group is None else self._poses.get((group[0], pose))
        if known is not None:
            known.parts.append(point)
            if about.says_more_than(known.about):
                self._told.alter(_FURTHER, POSE, where=where)
            return
        keypoints = [point]
        if group is not None:
            self._poses[group[0], pose] = _Group(keypoints, about)
        self._add(POSE, pose, about, keypoints=keypoints)

    def _read_flags(self, document: dict[str, Any]) -> list[str]:
        flags = document.get("flags")
        stated = document.get("flag_attributes")
        about = stated if isinstance(stated, dict) else {}
        whole = isinstance(stated, dict | None)
        if flags and not isinstance(flags, dict):
            self._told.drop("flags of the picture that are no JSON object", "classification", where=self._file)
        flags = flags if isinstance(flags, dict) else {}
        for value, is_set in flags.items():
            if is_set is not True and is_set is not False:
                where = f"{self._file}, {value[:LONGEST] if encodable(value) else ''}"
                self._told.drop("a flag of the picture that is neither on nor off", "classification", where=where)
            if is_set is True and value and encodable(value):
                of_flag = about.get(value)
                said = of_flag if isinstance(of_flag, dict) else {}
                attributes, score = attributes_of(said), score_of(said)
                whole &= of_flag is None or (of_flag is said and _is_whole(said, attributes, score))
                self._order += 1
                self._add("classification", value, _About(attributes, score))
        whole &= all(flags.get(value) is True for value in about)
        return [] if whole else ["flag_attributes"]


def _is_whole(said: dict[str, Any], attributes: list[dict[str, Any]], score: float | None) -> bool:
    """Whether this is all that is said of a flag."""
    return is_told_whole(said, attributes) and not unread_of(said) and (score is not None or not said.get("score"))


def _as_regions(geometry: Shape) -> list[list[list[float]]]:
    return [[closed(geometry.points or [])]] if geometry.regions is None else geometry.regions


def _group(shape: dict[str, Any]) -> tuple[Any, str] | None:
    """What tells the shapes of one group: its id and the label; None without a group."""
    group, label = shape.get("group_id"), shape.get("label")
    if isinstance(group, int | str) and group != "" and isinstance(label, int | str):
        return (group, str(label))
    return None
