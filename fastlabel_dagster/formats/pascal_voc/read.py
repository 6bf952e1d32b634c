"""Read Pascal VOC datasets as labels: the devkit's folders, or XML files beside their pictures.

Every ``<object>`` is a bbox; one with Roboflow's ``<polygon>`` is a polygon. What cannot be read is told to the tally,
file by file and object by object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    labels_of,
    stable_id,
)
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.label_files import read_small, stem_of
from fastlabel_dagster.formats.pascal_voc.alike import ObjectForm, as_elements, is_unmarked, joined_objects
from fastlabel_dagster.formats.pascal_voc.files import VocFile, find_classes, find_voc_files, stated_first_pixel
from fastlabel_dagster.formats.pascal_voc.said import (
    NAME,
    READ,
    SIDES,
    UNREAD,
    attributes_of,
    odd_flags,
    unread_of_file,
    unread_of_object,
)
from fastlabel_dagster.formats.point_rows import PointRows
from fastlabel_dagster.formats.xml import parse_xml
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.ragged import Floats
from fastlabel_dagster.labels.report import EXAMPLES, FILE, IMAGE, ReadTally
from fastlabel_dagster.labels.tables import Labels

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_TASK = ("task_id", "name", "width", "height", "tags", "url")
_LONGEST_SIDE = 2**31
#: Files read together.
_AT_ONCE = 128
#: Forms of objects learnt before we take it that they are all different.
_MOST_FORMS = 16
#: Of a pixel: what decimals in files may be off.
_SLACK = 1e-6
_NO_SIZE = "its stated width or height is no number of pixels from 1 on, and was not taken"
_UNREAD_OF_FILE = "what the file says of its picture has no place in FastLabel, and was not read"
_TWICE = "an element that stands twice in an object: the last one was read"
_BEHIND_A_GAP = "points of a polygon behind a gap in their numbers were left out"
_LONGEST = 200
_NO_PLACE = "its other elements have no place in FastLabel, and were not read"


def read_pascal_voc(source: Path, told: ReadTally, *, first_pixel: int | None = None) -> Labels:
    """Read a Pascal VOC dataset: its folder, one XML file, or the ``classes.json`` our own export wrote.

    Task names are paths of the pictures below their folder (with the dataset's sub-folder in front where there are
    several, as in ``VOCdevkit``), task ids those our own export wrote or a stable hash of the XML file's path, tags the
    parts that list the picture.

    Args:
        source: what to read.
        told: of everything left out or changed.
        first_pixel: 1 for the devkit's own files, whose pixels are counted from 1 with the last one included.
            None: what our own export says of itself, and 0 for all others.

    Raises:
        FileNotFoundError: when there is no XML file.
        FormatError: when none of the XML files can be read, or ``classes.json`` is damaged.
        ValueError: for another ``first_pixel``.
    """
    if first_pixel not in (None, 0, 1):
        raise ValueError(f"first_pixel is 0 or 1, not {first_pixel!r}")
    root, files = find_voc_files(source, told)
    whole = source.suffix.lower() != ".xml"
    classes = find_classes(root, told)
    first = stated_first_pixel(root) if first_pixel is None else first_pixel
    return _Reader(root, classes, float(first), told, whole=whole).labels(files)


class _Loaded(NamedTuple):
    """A file."""

    root: Element
    columns: dict[str, list[str]] | None
    """What its objects say; None: they are in ``root``."""


class _Boxes(NamedTuple):
    """Objects that are a class and a box with an area."""

    values: list[str]
    corners: Floats
    """float64[n, 4]: x1, y1, x2, y2 as they are stated."""


class _Reader:
    def __init__(
        self, root: Path, classes: dict[str, FoundClass], first_pixel: float, told: ReadTally, *, whole: bool
    ) -> None:
        self._classes, self._first_pixel, self._told, self._whole = classes, first_pixel, told, whole
        self._last_order = max((one.order for one in classes.values()), default=0)
        self._pictures = PictureIndex(root)
        self._annotations = AnnotationColumns()
        self._plain = PointRows(self._annotations)
        self._tasks: list[tuple[Any, ...]] = []  # rows of _TASK
        self._known_ids: set[str] = set()
        self._used: set[str] = set()
        self._damage: FormatError | None = None
        self._form: ObjectForm | None = None
        self._forms_left = _MOST_FORMS

    def labels(self, files: list[VocFile]) -> Labels:
        several = len({file.home for file in files}) > 1
        for start in range(0, len(files), _AT_ONCE):
            with without_collecting():  # elements know their children, not their parents
                self._read_files(files[start : start + _AT_ONCE], several)
        if self._damage is not None and not self._tasks:
            raise self._damage
        self._notice_unlabeled()
        self._plain.hand_over()
        columns = {name: [row[place] for row in self._tasks] for place, name in enumerate(_TASK)}
        return labels_of("pascal_voc", columns, self._annotations, self._classes, self._told)

    def _read_files(self, files: list[VocFile], several: bool) -> None:
        """Read some files: the objects of all of them at once where nothing is special about any, else one by one."""
        loaded = [self._load(file) for file in files]
        alike = [one.columns for one in loaded if isinstance(one, _Loaded) and one.columns]
        boxes = _plain_boxes(joined_objects(alike)) if alike and len({*map(tuple, alike)}) == 1 else None
        owner: list[int] = []
        order: list[int] = []
        for file, one in zip(files, loaded, strict=True):
            if isinstance(one, FormatError):
                self._damage = self._damage or one
                self._told.drop("a file cannot be read", FILE, where=f"{file.place}: {one.problem}")
            else:
                row = self._read_head(file, one.root, several)
                if one.columns is None:
                    own = one.root.find("task_id") is not None
                    for number, element in enumerate(one.root.findall("object"), start=1):
                        self._read_object(row, number, element, file, own=own)
                elif boxes is not None:
                    count = len(one.columns[NAME])
                    self._tell_unread(one.columns, file)
                    self._meet(boxes.values[len(owner) : len(owner) + count])  # classes come in the order of the files
                    owner += [row] * count
                    order += range(1, count + 1)
                else:
                    self._read_alike(row, one.columns, file)
            self._told.advance()
        if boxes is not None:
            self._add_boxes(owner, order, boxes)

    def _read_alike(self, row: int, columns: dict[str, list[str]], file: VocFile) -> None:
        boxes = _plain_boxes(columns)
        if boxes is not None:
            count = len(boxes.values)
            self._tell_unread(columns, file)
            self._meet(boxes.values)
            self._add_boxes([row] * count, range(1, count + 1), boxes)
            return
        for number, element in enumerate(as_elements(columns), start=1):
            self._read_object(row, number, element, file, own=False)  # of this form none has attributes

    def _tell_unread(self, columns: dict[str, list[str]], file: VocFile) -> None:
        unread = sorted(columns.keys() - READ)
        if unread:
            count = len(columns[NAME])
            where = [_no_place(file, number, unread) for number in range(1, min(count, EXAMPLES) + 1)]
            self._told.notice(_NO_PLACE, where=where, count=count)

    def _add_boxes(self, owner: Sequence[int], order: Sequence[int], boxes: _Boxes) -> None:
        """Add boxes of classes that were met."""
        corners = boxes.corners
        if self._first_pixel:
            corners[:, :2] -= self._first_pixel
        self._plain.extend(owner, order, "bbox", boxes.values, corners.ravel().tolist())

    def _meet(self, values: Sequence[str]) -> None:
        """Classes are used; new ones stand behind the others."""
        for value in values:
            if value not in self._classes:
                self._last_order += 1
                self._classes[value] = FoundClass(value, self._last_order)

    def _load(self, file: VocFile) -> _Loaded | FormatError:
        """The content of a file: its root, and its objects as columns where they have the form known so far; or what
        is wrong with it."""
        try:
            data = read_small(file.path)
        except OSError as error:
            return FormatError(file.path, f"it cannot be opened: {error.strerror}")
        objects = None if self._form is None else self._form.objects_of(data)
        if objects is not None:
            with suppress(FormatError):  # the file as a whole tells what is wrong, and where
                root = parse_xml(file.path, objects.rest)
                if root.tag == "annotation" and root.find("object") is not None:
                    return _Loaded(root, objects.columns)
        try:
            root = parse_xml(file.path, data)
        except FormatError as error:
            return error
        if root.tag != "annotation":
            return FormatError(file.path, "its root is not <annotation>")
        self._learn(root)
        return _Loaded(root, None)

    def _learn(self, root: Element) -> None:
        """The objects of the next files will look like the first one of this."""
        example = root.find("object")
        if example is not None and self._forms_left:
            self._forms_left -= 1
            with suppress(ValueError):
                self._form = ObjectForm(example)

    def _notice_unlabeled(self) -> None:
        if not self._whole:
            return
        unlabeled = [picture for picture in self._pictures if picture not in self._used]
        self._told.notice(
            "a picture without an XML file was not read", IMAGE, where=unlabeled[:EXAMPLES], count=len(unlabeled)
        )

    def _read_head(self, file: VocFile, root: Element, several: bool) -> int:
        """Add the task of a file. Returns its row."""
        stated = _text(root.find("filename"))
        picture = self._pictures.place_at(file.place, stated=stated)
        if picture is not None:
            if picture in self._used:
                self._told.notice("several XML files speak of one picture", IMAGE, where=file.place)
            self._used.add(picture)
        task_id = _text(root.find("task_id"))
        if not task_id or task_id in self._known_ids:
            task_id = stable_id("pascal_voc", file.place.removesuffix(".xml"))
        self._known_ids.add(task_id)
        called = picture.rpartition("/")[2] if picture is not None else _base_name(stated) or stem_of(file.place)
        name = f"{file.below}/{called}" if file.below else called
        if several and file.home:
            name = f"{file.home}/{name}"
        size = root.find("size")
        sides = ["", ""] if size is None else [_text(size.find(side)) for side in ("width", "height")]
        width, height = map(_side, sides)
        if any(sides) and (width is None or height is None):
            self._told.notice(_NO_SIZE, IMAGE, where=file.place)
        if (width is None or height is None) and picture is not None:
            width, height = self._pictures.size_of(self._pictures.root / picture) or (width, height)
        unread = unread_of_file(root)
        if unread:
            self._told.notice(_UNREAD_OF_FILE, IMAGE, where=f"{file.place}: {', '.join(unread)[:_LONGEST]}")
        url = None if picture is None else self._pictures.uri_of(picture)
        # Only our own files have the task's name, in which blanks are no layout.
        self._tasks.append((task_id, root.findtext("task_name") or name, width, height, file.tags, url))
        return len(self._tasks) - 1

    def _read_object(self, row: int, number: int, element: Element, file: VocFile, *, own: bool) -> None:
        child = {one.tag: one for one in element}
        stated = "" if child.get(NAME) is None else child[NAME].text or ""
        value = self._class_of(stated)
        if not value:
            self._told.drop("an object without a name", where=_where(file, number))
            return
        box = self._box(child.get("bndbox"), file, number)
        if box is None:
            return
        if not UNREAD.keys().isdisjoint(child):
            for tag in sorted(UNREAD.keys() & child.keys()):
                self._told.notice(UNREAD[tag], where=_where(file, number))
        if value != stated:
            self._told.alter("blanks around the name of the class were left out", where=_where(file, number))
        self._meet([value])
        outline = self._outline(child["polygon"], file, number) if "polygon" in child else None
        kind, points = ("bbox", box) if outline is None else ("polygon", outline)
        if outline is not None and _is_off(box, outline, self._first_pixel):
            self._told.notice(
                "a box more than a pixel off its polygon: the polygon was read", where=_where(file, number)
            )
        for flag in odd_flags(child):
            self._told.alter(f"a {flag} that is neither 0 nor 1 was left out", where=_where(file, number))
        if len(child) < len(element):
            tags = [one.tag for one in element if one.tag not in UNREAD]
            twice = sorted({tag for tag in tags if tags.count(tag) > 1})
            if twice:
                self._told.alter(_TWICE, where=f"{_where(file, number)}: {', '.join(twice)}")
        unread = unread_of_object(element, child)
        if unread:
            self._told.notice(_NO_PLACE, where=_no_place(file, number, unread))
        attributes = attributes_of(child, own=own)
        if attributes:
            self._annotations.add(row, kind, value, points=points, attributes=attributes, order=number)
        else:
            self._plain.add(row, number, kind, value, points)

    def _class_of(self, stated: str) -> str:
        """The class an object states. People put blanks around names when they lay out XML; they belong to a name
        only where the dataset's own list of classes has it so."""
        return stated if stated in self._classes else stated.strip()

    def _box(self, element: Element | None, file: VocFile, number: int) -> list[float] | None:
        """x1, y1, x2, y2 in pixels, the corners in order; None (and told) when the box is no box."""
        if element is None:
            self._told.drop("an object without a box", where=_where(file, number))
            return None
        stated = {side.tag: side.text or "" for side in element}
        try:
            x1, y1 = float(stated["xmin"]), float(stated["ymin"])
            x2, y2 = float(stated["xmax"]), float(stated["ymax"])
        except (KeyError, ValueError):
            self._told.drop("a box whose corners are missing or no numbers", where=_where(file, number))
            return None
        if not (math.isfinite(x1) and math.isfinite(y1) and math.isfinite(x2) and math.isfinite(y2)):
            self._told.drop("a coordinate is not a finite number", where=_where(file, number))
            return None
        if x2 < x1 or y2 < y1:
            self._told.alter("the corners of a box were in the wrong order", "bbox", where=_where(file, number))
            x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        x1, y1 = x1 - self._first_pixel, y1 - self._first_pixel
        if x2 <= x1 or y2 <= y1:
            self._told.notice("the box has no area", "bbox", where=_where(file, number))
        return [x1, y1, x2, y2]

    def _outline(self, element: Element, file: VocFile, number: int) -> list[float] | None:
        """x, y, x, y, … of a polygon; None (and told) when it cannot be read."""
        stated = {one.tag: one.text for one in element}
        numbers: list[float] = []
        try:
            while f"x{len(numbers) // 2 + 1}" in stated:
                place = len(numbers) // 2 + 1
                numbers += [float(stated[f"x{place}"] or ""), float(stated[f"y{place}"] or "")]
        except (KeyError, ValueError):
            numbers = []
        if len(numbers) < 6 or not all(map(math.isfinite, numbers)):
            self._told.alter("a polygon that cannot be read, its box was read", "bbox", where=_where(file, number))
            return None
        if len(stated) > len(numbers):
            self._told.alter(_BEHIND_A_GAP, "polygon", where=_where(file, number))
        return numbers


def _plain_boxes(columns: dict[str, list[str]]) -> _Boxes | None:
    """The objects as boxes; None when one of them needs a closer look."""
    values = columns[NAME]
    if not all(values) or values != list(map(str.strip, values)) or not is_unmarked(columns):
        return None
    try:
        corners = np.array([list(map(float, columns[side])) for side in SIDES]).T
    except ValueError:
        return None
    if not (np.isfinite(corners).all() and (corners[:, :2] < corners[:, 2:]).all()):
        return None
    return _Boxes(values, corners)


def _is_off(box: Sequence[float], outline: Sequence[float], first_pixel: float) -> bool:
    """Whether a box, of whose corners only the first was moved by ``first_pixel``, is not the one around an outline."""
    x, y = outline[0::2], outline[1::2]
    moved = [side + first_pixel for side in box[:2]]
    apart = zip((*moved, *box[2:]), (min(x), min(y), max(x), max(y)), strict=True)
    return any(abs(side - reach) > 1 + _SLACK + first_pixel for side, reach in apart)


def _where(file: VocFile, number: int) -> str:
    return f"{file.place}, object {number}"


def _no_place(file: VocFile, number: int, tags: Sequence[str]) -> str:
    return f"{_where(file, number)}: {', '.join(tags)}"


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _base_name(stated: str) -> str:
    return stated.replace("\\", "/").rpartition("/")[2]


def _side(text: str) -> int | None:
    """Pixels of a side; None when it is not a number that makes sense."""
    try:
        side = float(text)
    except ValueError:
        return None
    return int(side) if 1 <= side < _LONGEST_SIDE else None
