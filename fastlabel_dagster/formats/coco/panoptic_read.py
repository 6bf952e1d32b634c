"""Read COCO panoptic datasets: every segment of a picture becomes a segmentation, traced along its pixel edges, so that
painting it again gives the same pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.assembly import AnnotationColumns
from fastlabel_dagster.formats.attributes import CROWD
from fastlabel_dagster.formats.coco.attributes import attribute_of
from fastlabel_dagster.formats.coco.batch import UNREAD
from fastlabel_dagster.formats.coco.classes import ClassBook, as_objects
from fastlabel_dagster.formats.coco.declared import titles_and_types
from fastlabel_dagster.formats.coco.files import CocoFile, load_coco_files
from fastlabel_dagster.formats.coco.images import UNREAD_OF_IMAGE, TaskRows
from fastlabel_dagster.formats.coco.read import labels_of
from fastlabel_dagster.formats.masks.png import IndexImage, PngError, read_indices
from fastlabel_dagster.formats.report import FILE, IMAGE
from fastlabel_dagster.formats.unread import unread_names
from fastlabel_dagster.labels import raster
from fastlabel_dagster.labels.painting import runs_to_pixels
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.ragged import Ints
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

_NO_ATTRIBUTES = "attributes that are not an object of JSON values were left out"
#: What is read of an entry of ``annotations``; its own id says nothing.
_OF_IMAGE = frozenset(("id", "image_id", "file_name", "segments_info"))
#: What is read of a segment, or follows from its pixels.
_KNOWN = frozenset(("id", "category_id", "iscrowd", "attributes", "area", "bbox"))
_LONGEST = 100
_GREY = 1 + 256 + 256**2


def read_panoptic(source: Path, told: ReadTally) -> Labels:
    """Read a COCO panoptic dataset: a folder with one or several panoptic files, or one such file; the PNGs of
    ``panoptic_val.json`` lie in ``panoptic_val/`` beside it (or beside it themselves).

    Raises:
        FileNotFoundError: when there is no panoptic file.
        FormatError: when it is damaged or not a panoptic file; the message names it.
    """
    with without_collecting():
        files = load_coco_files(source, told, is_panoptic, "COCO panoptic")
        book, tasks, found = ClassBook(files, told), TaskRows(files, told), AnnotationColumns()
        for file in files:
            _File(file, book, tasks, found, told).read()
    return labels_of(tasks, book, found, told, "coco_panoptic")


def is_panoptic(content: Any) -> bool:
    """Whether a JSON document is a panoptic dataset."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return False
    annotations = content.get("annotations")
    return isinstance(annotations, list) and (
        not annotations or any(isinstance(item, dict) and "segments_info" in item for item in annotations)
    )


class _File:
    """One panoptic file on its way into ``found``."""

    def __init__(
        self, file: CocoFile, book: ClassBook, tasks: TaskRows, found: AnnotationColumns, told: ReadTally
    ) -> None:
        self._file, self._book, self._tasks, self._found, self._told = file, book, tasks, found, told
        self._root = os.path.realpath(file.root)
        self._declared = titles_and_types(book.classes)

    def read(self) -> None:
        image_rows = self._tasks.read(self._file)
        done: set[int] = set()
        for item in as_objects(self._file, "annotations", self._told):
            image = item.get("image_id")
            row = image_rows.get(image, -1) if isinstance(image, int | float | str) else -1
            where = f"{self._file.name}, image {image!s:.40}"
            segments = self._segments(item.get("segments_info"), where)
            unread = unread_names(item, _OF_IMAGE)
            if unread:
                self._told.notice(UNREAD_OF_IMAGE, IMAGE, where=f"{where}: {', '.join(unread)[:_LONGEST]}")
            if row < 0:
                self._told.drop("annotations of images the file does not list", where=where, count=len(segments))
            elif row in done:
                self._told.drop("a second annotation of the same image", where=where, count=len(segments))
            else:
                done.add(row)
                self._read_image(row, item.get("file_name"), segments, where)
            self._told.advance()

    def _segments(self, given: Any, where: str) -> list[dict[str, Any]]:
        entries = given if isinstance(given, list) else [] if given is None else [given]
        segments = [one for one in entries if isinstance(one, dict)] if isinstance(given, list) else []
        self._told.drop(
            "a segment that is not a JSON object", "segmentation", where=where, count=len(entries) - len(segments)
        )
        for name in sorted(set[str]().union(*segments) - _KNOWN):
            count = sum(one.get(name) is not None for one in segments)
            self._told.notice(UNREAD, "segmentation", where=f"{self._file.name}, {name}", count=count)
        return segments

    def _read_image(self, row: int, name: Any, segments: list[dict[str, Any]], where: str) -> None:
        path = self._png(name)
        if path is None:
            self._told.drop("there is no such PNG file in the dataset", FILE, where=f"{where}, {name!s:.80}")
            self._told.drop("its PNG file cannot be read", where=where, count=len(segments))
            return
        try:
            ids = segment_ids(read_indices(path))
        except (PngError, OSError) as error:
            self._told.drop(f"a PNG file that cannot be read: {error}", FILE, where=f"{where}, {name!s:.80}")
            self._told.drop("its PNG file cannot be read", where=where, count=len(segments))
            return
        size = self._tasks.size(row)
        if None not in size and size != (ids.shape[1], ids.shape[0]):
            self._told.notice("its PNG file has not the size of the image", IMAGE, where=where)
        pixels = {one.id: one for one in runs_by_id(ids)}
        classes = self._book.numbers(
            self._file, [one.get("category_id") for one in segments], np.ones(len(segments), np.bool_)
        )
        for segment, number in zip(segments, classes.tolist(), strict=True):
            self._read_segment(row, segment, number, pixels, where)
        unlisted = [identity for identity in pixels if identity]
        self._told.notice(
            "pixels of segments the file does not list",
            where=[f"{where}, segment {identity}" for identity in unlisted[:5]],
            count=len(unlisted),
        )

    def _read_segment(
        self, row: int, segment: dict[str, Any], number: int, pixels: dict[int, Runs], where: str
    ) -> None:
        identity = segment.get("id")
        where = f"{where}, segment {identity!s:.40}"
        # A segment that was read is taken out, so that a second one of the same id finds none.
        runs = pixels.pop(identity, None) if type(identity) is int and identity > 0 else None
        if runs is None:
            self._told.drop("a segment without a pixel in the PNG file", where=where)
            return
        window, top, left = runs.window()
        regions = [[_moved(ring, left, top) for ring in region] for region in raster.mask_to_regions(window)]
        area = segment.get("area")
        if type(area) in (int, float) and area != window.sum():
            self._told.notice("segments whose stated area is not that of their pixels: the pixels count", where=where)
        attributes = []
        crowd = segment.get("iscrowd")
        if crowd not in (None, 0, 1):
            self._told.alter("an iscrowd that is neither 0 nor 1 was left out", "segmentation", where=where)
        if crowd == 1:
            attributes.append(_attribute(CROWD, "switch", "true", True))
        given = segment.get("attributes")
        if isinstance(given, dict):
            try:
                for key, content in given.items():
                    kind, text, is_json = attribute_of(content)
                    title, kind = self._declared.get((number, key), (key, kind))
                    attributes.append(_attribute(key, kind, text, is_json) | {"name": title})
            except TypeError:  # a value too large or too deep to be written as JSON
                self._told.alter(_NO_ATTRIBUTES, where=where)
        elif given:
            self._told.alter(_NO_ATTRIBUTES, where=where)
        value = self._book.classes[number].value
        self._found.add(row, "segmentation", value, regions=regions, attributes=attributes)

    def _png(self, name: Any) -> Path | None:
        """Where a PNG lies: in the folder called like the JSON file, or beside that file."""
        if not isinstance(name, str) or not name or "\0" in name:
            return None
        for folder in (self._file.path.with_suffix(""), self._file.path.parent):
            path = folder / name.replace("\\", "/")
            try:
                inside = os.path.realpath(path).startswith(self._root.rstrip("/") + "/")
                if inside and path.is_file():
                    return path
            except (OSError, ValueError):  # a name no file can have
                return None
        return None


class Runs(NamedTuple):
    """The pixels of one segment as runs along the rows."""

    id: int
    row: Ints
    start: Ints
    stop: Ints

    def window(self) -> tuple[NDArray[np.bool_], int, int]:
        """Its pixels as a mask no larger than needed, and where that begins: top and left."""
        top, left = int(self.row.min()), int(self.start.min())
        wide, high = int(self.stop.max()) - left, int(self.row.max()) + 1 - top
        line = (self.row - top) * wide - left
        ones = np.ones(len(line), np.bool_)
        return runs_to_pixels(line + self.start, line + self.stop, ones, high * wide).reshape(high, wide), top, left


def segment_ids(image: IndexImage) -> NDArray[np.uint32]:
    """uint32[h, w]: the segment of each pixel, R + 256 G + 256² B; 0 is none. Raises PngError for 16 bits of grey."""
    pixels = image.pixels
    if image.is_color:  # red is the highest byte there
        return np.asarray(pixels.byteswap() >> 8, np.uint32)
    if pixels.dtype != np.uint8:
        raise PngError("it is 16 bits of grey, not colours")
    table = np.arange(256, dtype=np.uint32) * _GREY
    if image.palette is not None:
        colors = np.frombuffer(image.palette[: 3 * 256], np.uint8).reshape(-1, 3).astype(np.uint32)
        table[: len(colors)] = colors @ np.array([1, 256, 256**2], np.uint32)
    return np.asarray(table[pixels], np.uint32)


def runs_by_id(ids: NDArray[np.uint32]) -> Iterator[Runs]:
    """The runs of every id of an image, the ids ascending."""
    width = ids.shape[1]
    flat = ids.reshape(-1)
    begins = np.ones(len(flat), np.bool_)
    begins[1:] = flat[1:] != flat[:-1]
    begins[::width] = True
    start = np.flatnonzero(begins)
    stop = np.append(start[1:], len(flat))
    order = np.argsort(flat[start], kind="stable")
    start, stop = start[order], stop[order]
    values, first = np.unique(flat[start], return_index=True)
    row = start // width
    for value, begin, end in zip(values.tolist(), first.tolist(), [*first[1:].tolist(), len(start)], strict=True):
        mine = slice(begin, end)
        yield Runs(value, row[mine], start[mine] - row[mine] * width, stop[mine] - row[mine] * width)


def _attribute(key: str, kind: str, value: str, is_json: bool) -> dict[str, Any]:
    return {"key": key, "name": key, "type": kind, "value": value, "value_is_json": is_json}


def _moved(ring: list[float], x: int, y: int) -> list[float]:
    numbers: NDArray[np.float64] = np.array(ring, np.float64).reshape(-1, 2) + np.array([x, y])
    moved: list[float] = numbers.reshape(-1).tolist()
    return moved
