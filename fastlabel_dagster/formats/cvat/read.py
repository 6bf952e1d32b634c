"""Read CVAT's XML: "CVAT for images" as tasks of pictures, "CVAT for video" as tasks of a video with its tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.annotation_blocks import made_small
from fastlabel_dagster.formats.assembly import (
    ANNOTATION_TYPES,
    AnnotationColumns,
    FoundClass,
    labels_of,
    stable_id,
)
from fastlabel_dagster.formats.cvat.films import Film, films_of
from fastlabel_dagster.formats.cvat.labels import FoundLabel, read_labels, with_attributes
from fastlabel_dagster.formats.cvat.read_meta import tell_of_meta
from fastlabel_dagster.formats.cvat.read_said import (
    attributes_of,
    confidence_of,
    finite,
    tags_of,
    tell_of_image,
    tell_of_shape,
    tell_of_track,
)
from fastlabel_dagster.formats.cvat.shapes import Shape, ShapeError, read_shape
from fastlabel_dagster.formats.cvat.tracks import Track, read_track
from fastlabel_dagster.formats.cvat.write import IMAGES, XML_FILE
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
from fastlabel_dagster.formats.label_files import only_named, suffix_of
from fastlabel_dagster.formats.report import FILE, IMAGE
from fastlabel_dagster.formats.xml_stream import iterate_xml
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

_LARGEST_SIDE = 2**31
_TASK_COLUMNS = ("task_id", "name", "width", "height", "tags", "url", "frame_count")
_IGNORED = frozenset({"version", "meta"})
_ROWS_AT_ONCE = 4096
_NO_SIDE = "a width or height that is no number of pixels was left out"
_ROW_COLUMNS = (
    "type",
    "value",
    "points",
    "regions",
    "keypoints",
    "rotation",
    "attributes",
    "annotation_id",
    "confidence_score",
)


def read_cvat(source: Path, told: ReadTally) -> Labels:
    """Read an XML file of CVAT, or the ``annotations.xml`` of a folder (without one: all XML files in it).

    A task per image: its name the image's (with the ending of its picture, which CVAT leaves out for frames of videos),
    its tag the subset, its ``url`` the picture when it lies in the folder. What an export of ours says beyond CVAT
    (ids, tags, titles, types) is restored. A file of tracks ("CVAT for video") is a task for each of its videos, whose
    annotations have a keyframe per frame; frames count from 1 there.

    Raises:
        FileNotFoundError: when there is no XML file.
        FormatError: when the file is no XML of CVAT, or declares entities.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no CVAT dataset at {source}")
    root = source if source.is_dir() else source.parent
    files = [source] if source.is_file() else _files(root, told)
    reader = _Reader(root, told)
    for path in files:
        try:
            reader.read(path, subset=path.stem if len(files) > 1 else "")
        except FormatError as error:
            if len(files) == 1:
                raise
            told.drop(f"a file that cannot be read: {error.problem}", FILE, where=path.name)
    return reader.labels()


def _files(root: Path, told: ReadTally) -> list[Path]:
    for folder in (root, root / "annotations"):
        if (folder / XML_FILE).is_file():
            return [folder / XML_FILE]
        found = only_named(sorted(path for path in folder.glob("*.xml") if path.is_file()), root, told)
        if found:
            return found
    raise FileNotFoundError(f"{root} has no {XML_FILE}, so it is no CVAT dataset")


class _Reader:
    def __init__(self, root: Path, told: ReadTally) -> None:
        self._root, self._told = root, told
        self._index = PictureIndex(root)
        self._labels: dict[str, FoundLabel] = {}
        self._last_order = 0
        self._annotations = AnnotationColumns()
        self._rows: list[tuple[Any, ...]] = []
        self._tasks: dict[str, list[Any]] = {name: [] for name in _TASK_COLUMNS}
        self._row_of: dict[tuple[str, str], int] = {}
        self._subsets: list[str] = []
        self._ids: set[str] = set()
        self._file = self._subset = ""

    def read(self, path: Path, subset: str) -> None:
        """Add what a file holds."""
        self._file = path.name
        self._subset = subset
        meta: Element | None = None
        tracks: list[Track] = []
        images = 0
        for number, element in enumerate(iterate_xml(path, "annotations"), start=1):
            if element.tag == "meta":
                tell_of_meta(element, self._labels, self._file, self._told)
                read_labels(element, self._labels)
                self._last_order = max((label.found.order for label in self._labels.values()), default=0)
                meta = element
            elif element.tag == "image":
                self._image(element)
                images += 1
                self._told.advance()
            elif element.tag == "track":
                self._track(element, tracks)
            elif element.tag not in _IGNORED:
                self._told.drop("an element CVAT's format does not have", where=f"{self._file}, element {number}")
        for film in films_of(meta, tracks, unnamed=path.stem):
            if film.tracks or not images:
                self._film(film)

    def labels(self) -> Labels:
        """Everything read."""
        self._flush()
        self._name_apart()
        classes = {name: label.found for name, label in self._labels.items()}
        labels = labels_of("cvat", self._tasks, self._annotations, classes, self._told)
        labels.classes = with_attributes(labels.classes, self._labels)
        return labels

    def _image(self, element: Element) -> None:
        listed = element.get("name", "").replace("\\", "/")
        where = f"{self._file}, image {element.get('id', '')} {listed}".rstrip()
        if not listed:
            self._told.drop("an image without a name", IMAGE, where=where)
            if len(element):
                self._told.drop("its image has no name", where=where, count=len(element))
            return
        subset = element.get("subset") or self._subset
        row = self._row_of.get((subset, listed))
        if row is None:
            row = self._task(element, subset, listed)
        else:
            self._told.notice("an image listed twice under one name, read as one", IMAGE, where=where)
        tell_of_image(element, where, self._told)
        for place, child in enumerate(element, start=1):
            try:
                shapes = read_shape(child)
            except ShapeError as error:
                self._told.drop(str(error), error.kind, where=f"{where}, {child.tag} {place}")
                continue
            for shape in shapes:
                self._add(row, child, shape, f"{where}, {child.tag} {place}")

    def _task(self, element: Element, subset: str, listed: str) -> int:
        row = len(self._tasks["task_id"])
        self._row_of[subset, listed] = row
        path = f"{subset}/{listed}" if subset else listed
        picture = self._index.stated(path)
        name = element.get("fastlabel_name") or listed
        if picture is None and "fastlabel_id" not in element.attrib and suffix_of(listed) not in IMAGE_SUFFIXES:
            picture = self._index.find_at(f"{IMAGES}/{path}.xml")  # CVAT names frames of videos without their ending
            name += picture.suffix if picture else ""
        tags = tags_of(element)
        self._add_task(
            stable_id("cvat", subset, listed) if self._is_taken(element) else element.get("fastlabel_id"),
            name=name,
            **self._sides(element, f"{self._file}, {listed}"),
            tags=[subset] if tags is None and subset else tags or [],
            url=picture.as_uri() if picture else None,
        )
        self._subsets.append(subset)
        return row

    def _sides(self, element: Element, where: str) -> dict[str, int | None]:
        sides = {name: _side(element.get(name)) for name in ("width", "height")}
        if any(side is None and element.get(name) for name, side in sides.items()):
            self._told.notice(_NO_SIDE, IMAGE, where=where)
        return sides

    def _is_taken(self, element: Element) -> bool:
        identity = element.get("fastlabel_id")
        return not identity or identity in self._ids

    def _add_task(self, identity: str | None, **fields: Any) -> None:
        self._ids.add(identity or "")
        fields["task_id"] = identity
        for name, column in self._tasks.items():
            column.append(fields.get(name))

    def _add(self, row: int, element: Element, shape: Shape, where: str) -> None:
        value = element.get("label")
        if not value:
            self._told.drop("a shape without a label", shape.kind, where=where)
            return
        label = self._label(value, where)
        if shape.altered:
            self._told.alter(shape.altered, shape.kind, where=where)
        tell_of_shape(element, shape.kind, where, self._told)
        self._rows.append(
            (
                row,
                shape.kind,
                value,
                shape.points,
                shape.regions,
                self._keypoints(label, shape),
                shape.rotation,
                attributes_of(element, label),
                element.get("fastlabel_id"),
                confidence_of(element),
            )
        )
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Turn the annotations collected so far into columns."""
        if self._rows:
            owner, *columns = zip(*self._rows, strict=True)
            self._rows = []
            arrays = {
                name: pa.array(column, ANNOTATION_TYPES[name])
                for name, column in zip(_ROW_COLUMNS, columns, strict=True)
            }
            arrays["regions"] = made_small(arrays["regions"])
            kind, value = arrays.pop("type"), arrays.pop("value")
            self._annotations.add_many(np.array(owner, np.int64), kind, value, **arrays)

    def _label(self, value: str, where: str) -> FoundLabel:
        if value not in self._labels:
            self._last_order += 1
            self._labels[value] = FoundLabel(FoundClass(value, self._last_order), {})
            self._told.notice("a label the file does not list", where=where)
        return self._labels[value]

    def _keypoints(self, label: FoundLabel, shape: Shape) -> list[dict[str, Any]] | None:
        if shape.keypoints is None:
            return None
        for key, _ in shape.keypoints:
            if key not in label.found.keypoints:
                label.found.keypoints.append(key)
        edges = label.found.edges()
        return [
            {"key": key, "name": key, "value": value, "edges": edges[key]}
            for key, value in shape.keypoints
            if value is not None
        ]

    def _track(self, element: Element, tracks: list[Track]) -> None:
        where = f"{self._file}, track {element.get('id', '')}"
        try:
            track = read_track(element)
        except ShapeError as error:
            self._told.drop(str(error), error.kind, where=where)
            return
        if not element.get("label"):
            self._told.drop("a track without a label", track.kind, where=where)
            return
        for reason, count in track.lost.items():
            self._told.alter(reason, track.kind, where=where, count=count)
        tell_of_track(element, track.kind, where, self._told)
        attributes = attributes_of(track.element, self._label(track.value, where), element)
        track = track._replace(attributes=attributes)
        tracks.append(track)

    def _film(self, film: Film) -> None:
        row = len(self._tasks["task_id"])
        subset = film.subset or self._subset
        sides = {"width": _side(film.width), "height": _side(film.height)}
        if any(side is None and getattr(film, name) for name, side in sides.items()):
            self._told.notice(_NO_SIDE, IMAGE, where=f"{self._file}, {film.name}")
        identity = stable_id("cvat", self._subset, f"video {film.name}")
        self._add_task(
            stable_id("cvat", self._subset, f"video {film.task} {film.name}") if identity in self._ids else identity,
            name=film.name,
            **sides,
            tags=[subset] if subset else [],
            frame_count=film.frame_count or None,
        )
        self._subsets.append(subset)
        self._flush()
        for track in film.tracks:
            self._annotations.add(row, track.kind, track.value, frames=track.frames, attributes=track.attributes)

    def _name_apart(self) -> None:
        """Tasks of two subsets whose name is the same get the subset in front."""
        names = self._tasks["name"]
        counts: dict[str, int] = {}
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        for row, name in enumerate(names):
            if counts[name] > 1 and self._subsets[row]:
                names[row] = f"{self._subsets[row]}/{name}"


def _side(text: str | None) -> int | None:
    number = finite(text)
    return int(number) if number is not None and 0 < number < _LARGEST_SIDE else None
