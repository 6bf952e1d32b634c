"""Read labelme's JSON files as labels, whoever wrote them: labelme of any version, X-AnyLabeling, converters.

Polygons of one label and one ``group_id`` are regions of one segmentation, as labelme itself takes them to be one
instance. Flags of the picture that are set are classifications. What cannot be read is told to the tally, file by file
and shape by shape.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    labels_of,
    stable_id,
)
from fastlabel_dagster.formats.categories import POSE
from fastlabel_dagster.formats.class_list import listed_classes
from fastlabel_dagster.formats.class_words import CLASS_FILE, merged_by_value, read_class_words
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
from fastlabel_dagster.formats.label_files import files_below, folder_of, is_own_file, read_small, stem_of
from fastlabel_dagster.formats.labelme.geometry import (
    Shape,
    UnreadShapeError,
    closed,
    plain_box,
    shape_geometry,
)
from fastlabel_dagster.formats.labelme.masks import embedded_size
from fastlabel_dagster.formats.labelme.said import attributes_of, is_told_whole, unread_of
from fastlabel_dagster.formats.point_rows import PointRows
from fastlabel_dagster.formats.report import REPORT_FILE
from fastlabel_dagster.formats.splits import PART_OF_TAG
from fastlabel_dagster.formats.text_files import text_of_names
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.report import EXAMPLES, FILE, IMAGE, ReadTally
from fastlabel_dagster.labels.tables import Labels

_CLASS_LISTS = ("labels.txt", "classes.txt")
_NO_CLASSES = ("__ignore__", "_background_")
_TASK = ("task_id", "name", "width", "height", "tags", "url")
_LONGEST_SIDE = 2**31
#: Files read without collecting garbage in between.
_AT_ONCE = 128
_NO_PLACE = "its other fields have no place in FastLabel, and were not read"
_LONGEST = 100


def read_labelme(source: Path, told: ReadTally) -> Labels:
    """Read a labelme dataset: its folder with all below, one JSON file, or the ``classes.json`` our own export wrote.

    Task names are those our own export wrote, or the path of the JSON file with the picture's name in its place; task
    ids our own or a stable hash of that path; tags our own, or train, val, test where the files lie in folders called
    so. Classes stand in the order of ``classes.json``, else of ``labels.txt``, else as they come.

    Raises:
        FileNotFoundError: when there is no JSON file.
        FormatError: when none of them can be read, or ``classes.json`` is damaged.
    """
    root, files, listing = _label_files(source)
    return _Reader(root, told, listing, whole=source.is_dir() or source.name == CLASS_FILE).labels(files)


def _label_files(source: Path) -> tuple[Path, list[str], list[tuple[str, list[str]]] | None]:
    """The dataset's folder, its JSON files below it, and what lies in it, where that was looked at."""
    if not source.exists():
        raise FileNotFoundError(f"there is no labelme dataset at {source}")
    if source.is_file() and source.suffix.lower() == ".json" and source.name != CLASS_FILE:
        return source.parent, [source.name], None
    root = folder_of(source, [".json"])
    listing = list(files_below(root, {".json", *IMAGE_SUFFIXES}))
    files = [
        f"{folder}/{name}" if folder else name
        for folder, names in listing
        for name in names
        if name[-5:].lower() == ".json"
    ]
    files = [file for file in files if file not in (CLASS_FILE, REPORT_FILE) or _is_labelme(root / file)]
    if not files and not (root / CLASS_FILE).is_file():  # with it, it is the export of a project without tasks
        raise FileNotFoundError(f"there is no JSON file of labelme in {root}")
    return root, files, listing


def _is_labelme(path: Path) -> bool:
    """Whether a file that has the name of one of ours is a picture's label file all the same."""
    try:
        return "shapes" in _load(str(path))
    except FormatError:
        return False


def _load(path: str) -> dict[str, Any]:
    """The document of a file.

    Raises:
        FormatError: when it is no JSON object.
    """
    try:
        data = read_small(path).removeprefix(b"\xef\xbb\xbf")
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            # Python's json writes NaN, which is no JSON, and reads 1e400: one such number shall not cost the others.
            document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"it is not JSON: {error}") from error
    except OSError as error:
        raise FormatError(path, f"it cannot be opened: {error.strerror}") from error
    if not isinstance(document, dict):
        raise FormatError(path, "it is not a JSON object")
    return document


class _Reader:
    def __init__(
        self, root: Path, told: ReadTally, listing: list[tuple[str, list[str]]] | None, *, whole: bool
    ) -> None:
        self._root, self._told, self._whole = root, told, whole
        self._pictures = PictureIndex(root, listing)
        self._classes = _listed(root)
        self._last_order = max((one.order for one in self._classes.values()), default=0)
        self._annotations = AnnotationColumns()
        self._plain = PointRows(self._annotations)
        self._tasks: list[tuple[Any, ...]] = []  # rows of _TASK
        self._known_ids: set[str] = set()
        self._used: set[str] = set()
        self._damage: FormatError | None = None

    def labels(self, files: list[str]) -> Labels:
        for start in range(0, len(files), _AT_ONCE):
            with without_collecting():
                self._read_files(files[start : start + _AT_ONCE])
        if self._damage is not None and not self._tasks:
            raise self._damage
        self._notice_unlabeled()
        self._plain.hand_over()
        columns = {name: [row[place] for row in self._tasks] for place, name in enumerate(_TASK)}
        return labels_of("labelme", columns, self._annotations, self._classes, self._told)

    def _read_files(self, files: list[str]) -> None:
        root = str(self._root)
        for file in files:
            try:
                document = _load(f"{root}/{file}")  # a Path for each takes longer
                if not isinstance(document.get("shapes"), list):
                    raise FormatError(self._root / file, "it has no list of shapes, so it is not labelme's")
                self._read_file(file, document)
            except FormatError as error:
                self._damage = self._damage or error
                self._told.drop("a file cannot be read", FILE, where=f"{file}: {error.problem}")
            self._told.advance()

    def _notice_unlabeled(self) -> None:
        if self._whole:
            unlabeled = [picture for picture in self._pictures if picture not in self._used]
            self._told.notice(
                "a picture without a JSON file was not read", IMAGE, where=unlabeled[:EXAMPLES], count=len(unlabeled)
            )

    def _read_file(self, file: str, document: dict[str, Any]) -> None:
        stated = document.get("imagePath")
        stated = stated if isinstance(stated, str) else ""
        picture = self._pictures.place_at(file, stated=stated)
        if picture is not None:
            self._used.add(picture)
        width, height = (_side(document.get(key)) for key in ("imageWidth", "imageHeight"))
        if width is None or height is None:
            size = None if picture is None else self._pictures.size_of(self._pictures.root / picture)
            width, height = size or embedded_size(document.get("imageData")) or (width, height)
        task_id = _own_text(document.get("task_id"))
        if not task_id or task_id in self._known_ids:
            task_id = stable_id("labelme", file)
        self._known_ids.add(task_id)
        folder, slash, _ = file.rpartition("/")
        called = (picture or stated.replace("\\", "/")).rpartition("/")[2] or stem_of(file)
        name = f"{folder}{slash}{called}"
        if "task_name" in document:  # one of our own exports, where the task of this picture may have had no name
            name = _own_text(document["task_name"]) or name.removeprefix("images/")
        url = None if picture is None else self._pictures.uri_of(picture)
        self._tasks.append((task_id, name, width, height, _tags(document, folder), url))
        _Shapes(self, len(self._tasks) - 1, file, document["shapes"]).read(document)

    def meet(self, value: str) -> None:
        """A class is used; a new one stands behind the others."""
        if value not in self._classes:
            self._last_order += 1
            self._classes[value] = FoundClass(value, self._last_order)

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

    @property
    def told(self) -> ReadTally:
        return self._told


class _Shapes:
    """The shapes of one file, on their way to annotations."""

    def __init__(self, reader: _Reader, row: int, file: str, shapes: list[Any]) -> None:
        self._reader, self._row, self._file, self._shapes = reader, row, file, shapes
        #: (group id, label) -> regions of a segmentation that further shapes may add to; likewise keypoints of a pose.
        self._regions: dict[tuple[Any, str], list[list[list[float]]]] = {}
        self._poses: dict[tuple[Any, str], list[dict[str, Any]]] = {}
        self._order = 0

    @cached_property
    def _groups(self) -> Counter[tuple[Any, str] | None]:
        """How many polygons each group has."""
        return Counter(
            _group(shape)
            for shape in self._shapes
            if isinstance(shape, dict) and shape.get("shape_type", "polygon") == "polygon"
        )

    def read(self, document: dict[str, Any]) -> None:
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
                self._reader.meet(label)
                continue
            where = f"{self._file}, shape {number}"
            if not isinstance(shape, dict):
                self._reader.told.drop("a shape that is no JSON object", where=where)
                continue
            label = shape.get("label")
            if type(label) is int:
                label = str(label)
            if not isinstance(label, str) or not label or not encodable(label):
                self._reader.told.drop("a shape without a label", where=where)
                continue
            try:
                for geometry in shape_geometry(shape):
                    self._order += 1
                    self._read_shape(shape, label, geometry, where)
            except UnreadShapeError as error:
                self._reader.told.drop(str(error), where=where)
        self._reader.add_boxes(self._row, orders, values, numbers)
        self._read_flags(document)

    def _read_shape(self, shape: dict[str, Any], label: str, geometry: Shape, where: str) -> None:
        told = self._reader.told
        if geometry.altered:
            told.alter(geometry.altered, geometry.type, where=where)
        pose = _own_text(shape.get("pose")) if geometry.type == "keypoint" else ""
        if pose:
            self._read_keypoint(shape, label, pose, geometry)
            return
        group = _group(shape)
        attributes = attributes_of(shape)
        if not is_told_whole(shape, attributes):
            told.alter("flags that are neither on nor off, or attributes without a text", geometry.type, where=where)
        if group is None and shape.get("group_id") not in (None, ""):
            told.alter("a group that is neither a whole number nor text was left out", geometry.type, where=where)
        if geometry.rotation is None and shape.get("rotation"):
            told.alter("a rotation that its corners do not show was left out", geometry.type, where=where)
        unread = unread_of(shape)
        if unread:
            told.notice(_NO_PLACE, geometry.type, where=f"{where}: {', '.join(unread)[:_LONGEST]}")
        if group is not None and self._groups[group] > 1 and geometry.type in ("polygon", "segmentation"):
            regions = _as_regions(geometry)
            if group in self._regions:
                self._regions[group] += regions
                if shape.get("annotation_type") != "segmentation":
                    told.notice("polygons of one group became one segmentation", "segmentation", where=where)
                return
            self._regions[group] = regions
            self._reader.add(self._row, self._order, "segmentation", label, regions=regions, attributes=attributes)
            return
        if group is not None and shape.get("annotation_type") is None:
            told.notice("the group a shape belongs to was not kept", geometry.type, where=where)
        if not attributes and geometry.points is not None and geometry.rotation is None:
            self._reader.add_points(self._row, self._order, geometry.type, label, geometry.points)
            return
        self._reader.add(
            self._row,
            self._order,
            geometry.type,
            label,
            points=geometry.points,
            regions=geometry.regions,
            rotation=geometry.rotation,
            attributes=attributes,
        )

    def _read_keypoint(self, shape: dict[str, Any], key: str, pose: str, geometry: Shape) -> None:
        """A point of a pose, as our own export writes them."""
        stated = shape.get("keypoint")
        about = stated if isinstance(stated, dict) else {}
        visibility = about.get("visibility", 1.0)
        seen = float(visibility) if type(visibility) in (int, float) and visibility in (0, 1, 2) else 1.0
        edges = about.get("edges")
        name = about.get("name")
        point = {
            "key": key,
            "name": name if isinstance(name, str) else key,
            "value": [*(geometry.points or ()), *([seen] if "visibility" in about or not about else [])],
            "edges": [end for end in edges if isinstance(end, str)] if isinstance(edges, list) else None,
        }
        group = _group(shape)
        known = None if group is None else self._poses.get((group[0], pose))
        if known is not None:
            known.append(point)
            return
        keypoints = [point]
        if group is not None:
            self._poses[group[0], pose] = keypoints
        self._reader.add(self._row, self._order, POSE, pose, keypoints=keypoints, attributes=attributes_of(shape))

    def _read_flags(self, document: dict[str, Any]) -> None:
        flags = document.get("flags")
        about = document.get("flag_attributes")
        if flags and not isinstance(flags, dict):
            self._reader.told.drop("flags of the picture that are no JSON object", "classification", where=self._file)
        for value, is_set in flags.items() if isinstance(flags, dict) else ():
            if is_set is not True and is_set is not False:
                where = f"{self._file}, {value[:_LONGEST] if encodable(value) else ''}"
                self._reader.told.drop(
                    "a flag of the picture that is neither on nor off", "classification", where=where
                )
            if is_set is True and value and encodable(value):
                said = about.get(value) if isinstance(about, dict) else None
                attributes = attributes_of(said) if isinstance(said, dict) else []
                self._order += 1
                self._reader.add(self._row, self._order, "classification", value, attributes=attributes)


def _as_regions(geometry: Shape) -> list[list[list[float]]]:
    return [[closed(geometry.points or [])]] if geometry.regions is None else geometry.regions


def _group(shape: dict[str, Any]) -> tuple[Any, str] | None:
    """What tells the shapes of one group: its id and the label; None without a group."""
    group, label = shape.get("group_id"), shape.get("label")
    if isinstance(group, int | str) and group != "" and isinstance(label, int | str):
        return (group, str(label))
    return None


def _listed(root: Path) -> dict[str, FoundClass]:
    if is_own_file(root / CLASS_FILE, root) and not _is_labelme(root / CLASS_FILE):
        return merged_by_value(read_class_words(root))
    for name in _CLASS_LISTS:
        if is_own_file(root / name, root):
            lines = text_of_names(root / name).splitlines()
            return listed_classes(line.strip() for line in lines if line.strip() not in _NO_CLASSES)
    return {}


def _tags(document: dict[str, Any], folder: str) -> list[str]:
    stated = document.get("tags")
    if isinstance(stated, list) and all(isinstance(tag, str) and encodable(tag) for tag in stated):
        return stated
    part = PART_OF_TAG.get(folder.partition("/")[0].lower())
    return [part] if part else []


def _own_text(value: Any) -> str:
    return value if isinstance(value, str) and encodable(value) else ""


def _side(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 1 <= value < _LONGEST_SIDE else None
