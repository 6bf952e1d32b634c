"""Write COCO panoptic: ``panoptic.json``, a PNG per picture in ``panoptic/``, and ``images/`` beside them.

A pixel's segment is R + 256 G + 256² B, 0 for none; segments are numbered 1, 2, 3, … within a picture in the order of
its annotations. A pixel belongs to a shape when its centre does, and to the last of the shapes that have it: later
annotations lie above earlier ones. Area and box of a segment are those of the pixels it is left with.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.formats.asked_classes import tell_of_unknown
from fastlabel_dagster.formats.attributes import read_attributes, tell_of_keys
from fastlabel_dagster.formats.categories import Categories, Category
from fastlabel_dagster.formats.coco.write import (
    IMAGES,
    categories_of,
    category_row,
    extras_of,
    image_rows,
    info_of,
    tell_of_sizes,
    write_items,
)
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.masks.deflate import Runs
from fastlabel_dagster.formats.masks.paint import paint_indices
from fastlabel_dagster.formats.masks.shapes import annotation_spans
from fastlabel_dagster.formats.outlines import LONGEST_SIDE, is_paintable
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.shapes import CUT_MASK, SHAPES, ShapeBatch, shape_batches
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.json_text import strict
from fastlabel_dagster.labels.painting import Spans, picked, runs_to_pixels
from fastlabel_dagster.labels.ragged import Bools, Ints
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

JSON_FILE = "panoptic.json"
PNGS = "panoptic"
_AT_ONCE = 256  # annotations: their spans may need as much memory as their pictures
_MOST_PIXELS = 2**28
_TOO_LARGE = f"the image has more than 2^28 pixels, or a longer side than {LONGEST_SIDE:,}"
_WORKERS = min(4, os.cpu_count() or 1)


def write_panoptic(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    stuff: Sequence[str] = (),
) -> Written:
    """Write ``panoptic.json`` and its PNGs into ``folder``, and the pictures into ``images/`` when ``images`` has them.

    ``stuff``: class values that are stuff and not things (sky, grass): ``isthing`` 0, and all annotations of such a
    class in a picture are one segment, as the format wants it. Classes that were stuff in the panoptic file they were
    read from are so again.
    """
    if isinstance(stuff, str) or not (isinstance(stuff, Sequence) and all(isinstance(value, str) for value in stuff)):
        raise ValueError(f"stuff is a list of class values, not {stuff!r}")
    pictures = list_pictures(labels, images, tally, unique_stem=True)
    tell_of_sizes(pictures, tally)
    tell_of_unknown("stuff", stuff, labels, tally)
    categories = categories_of(labels)
    extras = extras_of(labels)
    amorphous = {*stuff, *(value for value, extra in extras.items() if extra.get("isthing") == 0)}
    with _Pngs(folder) as pngs, folder.open(JSON_FILE) as file:
        file.write(b'{"info":' + orjson.dumps(info_of(labels)) + b',\n"licenses":[],\n"images":[')
        write_items(file, (orjson.dumps(rows)[1:-1] for rows in image_rows(pictures)))
        file.write(b'],\n"annotations":[')
        batches = shape_batches(labels, pictures, tally)
        write_items(file, _annotations(batches, pictures, categories, amorphous, pngs))
        file.write(b'],\n"categories":')
        rows = [_category(category, extras.get(category.value, {}), amorphous) for category in categories]
        file.write(strict(rows))
        file.write(b"}\n")
        size = file.tell()
    written = Written(len(pictures), files=1 + pngs.files, bytes=size + pngs.bytes)
    if images is None:
        return written
    files, size = link_pictures(folder, pictures, [f"{IMAGES}/{file}" for file in pictures.files], images, tally)
    return written._replace(files=written.files + files, bytes=written.bytes + size)


def _category(category: Category, extra: dict[str, Any], stuff: set[str]) -> dict[str, Any]:
    row = category_row(category, extra)
    for name in ("keypoints", "skeleton", "keypoint_colors"):
        row.pop(name, None)
    row["isthing"] = 0 if category.value in stuff else 1
    try:
        row["color"] = list(bytes.fromhex((category.color or "").removeprefix("#")))
    except ValueError:
        row["color"] = []
    if len(row["color"]) != len("rgb"):
        del row["color"]
    return row


def _annotations(
    batches: Iterable[ShapeBatch], pictures: Pictures, categories: Categories, stuff: set[str], pngs: _Pngs
) -> Iterator[bytes]:
    for batch in batches:
        batch.sift(*SHAPES, what="an area")
        batch.tell_of_losses()
        batch.told.drop(_TOO_LARGE, ~is_paintable(batch.size, _MOST_PIXELS))
        met = batch.meet(categories)
        attributes = read_attributes(batch.column("attributes"))
        tell_of_keys(batch.column("attributes"), batch.told)
        is_stuff = np.array([*(one.value in stuff for one in met.categories), False], np.bool_)[met.position]
        painter = _Painter(batch, met.column("id"), is_stuff, attributes.crowd, attributes.json, pictures)
        rows = [orjson.dumps(row) for row in painter.rows(pngs)]
        painter.tell()
        batch.told.finish()
        if rows:
            yield b",\n".join(rows)


@dataclass
class _Painter:
    """Paints the pictures of a batch."""

    batch: ShapeBatch
    category: Ints
    stuff: Bools
    crowd: Bools
    attributes: pa.Array
    pictures: Pictures

    def __post_init__(self) -> None:
        n = len(self.batch.flat)
        self._empty, self._covered, self._partly, self._merged, self._leaving = (
            np.zeros(n, np.bool_) for _ in range(5)
        )

    def tell(self) -> None:
        """What became of the annotations."""
        told = self.batch.told
        told.drop("it has no pixel: it lies outside the image, or between the centres of pixels", self._empty)
        told.drop("later annotations cover all of it", self._covered)
        told.alter(CUT_MASK, self.batch.outside())
        told.alter("later annotations cover a part of it, which is theirs", self._partly)
        told.alter("it became one segment with the other stuff of its class", self._merged)
        told.notice("a hole reaches outside its outline, only what lies inside was cut out", self._leaving)

    def rows(self, pngs: _Pngs) -> Iterator[dict[str, Any]]:
        """The entries of ``annotations``, one per picture; their PNGs are on their way."""
        flat = self.batch.flat
        kept = np.flatnonzero(self.batch.told.kept)
        bounds = np.searchsorted(flat.task[kept], np.arange(self.batch.tasks.num_rows + 1))
        size = np.column_stack([self.pictures.width, self.pictures.height])[self.batch.picture]
        painted = np.flatnonzero(is_paintable(size, _MOST_PIXELS))
        width, height = np.nan_to_num(size).astype(np.int64).T
        begin = 0
        while begin < len(painted):
            stop = begin + 1
            while stop < len(painted) and bounds[painted[stop] + 1] - bounds[painted[begin]] <= _AT_ONCE:
                stop += 1
            tasks = painted[begin:stop]
            rows = kept[bounds[tasks[0]] : bounds[tasks[-1] + 1]]
            rows = rows[np.isin(flat.task[rows], tasks)]
            spans, leave = annotation_spans(flat, rows, width[flat.task[rows]], height[flat.task[rows]], "centers")
            self._leaving[rows[leave]] = True
            first = np.searchsorted(flat.task[rows], tasks)
            last = np.searchsorted(flat.task[rows], tasks, side="right")
            for task, low, high in zip(tasks.tolist(), first.tolist(), last.tolist(), strict=True):
                picture = int(self.batch.picture[task])
                mine = picked(spans, slice(low, high))
                ids, infos = self._painted(rows[low:high], mine, int(width[task]), int(height[task]))
                file = label_name(self.pictures.files[picture], ".png")
                pngs.put(f"{PNGS}/{file}", ids)
                yield {"image_id": picture + 1, "file_name": file, "segments_info": infos}
            begin = stop

    def _painted(
        self, rows: Ints, spans: Spans, width: int, height: int
    ) -> tuple[NDArray[np.uint32], list[dict[str, Any]]]:
        """The segment of each pixel (uint32[h, w]) of one picture with the annotations ``rows``, and its
        ``segments_info``."""
        segment = self._segments(rows)
        # Index images are painted by the same rule: a later one lies on top.
        painted = paint_indices(spans, segment + 1, np.array([0, len(rows)]), np.array([width]), np.array([height]))
        own, left = painted.area, painted.visible
        self._empty[rows] = own == 0
        self._covered[rows] = (own > 0) & (left == 0)
        self._partly[rows] = (left > 0) & (left < own)
        # Numbers without gaps, in the order of the segments that have a pixel.
        alive, numbers = np.unique(segment[left > 0], return_inverse=True)
        number = np.zeros(len(rows), np.uint32)
        number[left > 0] = numbers + 1
        of_segment = np.zeros(len(rows), np.int64)
        of_segment[alive] = np.arange(1, len(alive) + 1)
        runs = painted.runs._replace(value=of_segment[painted.runs.value - 1])
        pixels = runs_to_pixels(runs.start, runs.stop, runs.value.astype(np.uint32), int(painted.sizes[0]))
        return pixels.reshape(height, width + 1)[:, 1:], self._infos(rows, number, runs, width + 1)

    def _segments(self, rows: Ints) -> Ints:
        """The segment of each annotation of a picture: its own, or that of the first stuff of its class."""
        segment = np.arange(len(rows))
        amorphous = np.flatnonzero(self.stuff[rows])
        if len(amorphous):
            _, first, of = np.unique(self.category[rows[amorphous]], return_index=True, return_inverse=True)
            segment[amorphous] = amorphous[first[of]]
            shared = np.bincount(segment, minlength=len(rows))[segment] > 1
            self._merged[rows[shared]] = True
        return segment

    def _infos(self, rows: Ints, number: NDArray[np.uint32], runs: Runs, line: int) -> list[dict[str, Any]]:
        """``segments_info``: segment ``i + 1`` is described by the first of its annotations, whose ``number`` is that.
        Lines of the ``runs`` begin with a pixel that is none of the picture's."""
        if not len(runs.value):
            return []
        order = np.argsort(runs.value, kind="stable")
        ids, begin, end = runs.value[order], runs.start[order], runs.stop[order]
        starts = np.flatnonzero(np.diff(ids, prepend=0))
        area = np.add.reduceat(end - begin, starts)
        y, x = np.divmod(begin, line)
        left, top, bottom = np.minimum.reduceat(x, starts) - 1, y[starts], np.maximum.reduceat(y, starts) + 1
        right = np.maximum.reduceat(x + (end - begin), starts) - 1
        box = np.column_stack([left, top, right - left, bottom - top]).tolist()
        first: dict[int, int] = {}
        for row, segment in zip(rows.tolist(), number.tolist(), strict=True):
            first.setdefault(segment, row)
        infos = []
        for segment in range(1, len(area) + 1):
            row = first[segment]
            info: dict[str, Any] = {
                "id": segment,
                "category_id": int(self.category[row]),
                "area": int(area[segment - 1]),
                "bbox": box[segment - 1],
                "iscrowd": int(self.crowd[row]),
            }
            attributes = self.attributes[row].as_py()
            if attributes is not None:
                info["attributes"] = orjson.Fragment(attributes)
            infos.append(info)
        return infos


class _Pngs:
    """Packs PNGs beside the painting, a few at a time, and puts them into the folder in their order."""

    def __init__(self, folder: FolderWriter) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="png")
        self._waiting: deque[tuple[str, Future[bytes]]] = deque()
        self.files = self.bytes = 0

    def __enter__(self) -> _Pngs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            while self._waiting and kind is None:
                self._write_one()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def put(self, path: str, ids: NDArray[np.uint32]) -> None:
        """A picture of segment ids (uint32[h, w])."""
        self._waiting.append((path, self._pool.submit(_png, ids)))
        while len(self._waiting) > 2 * _WORKERS:
            self._write_one()

    def _write_one(self) -> None:
        path, packed = self._waiting.popleft()
        data = packed.result()
        self._folder.write_bytes(path, data)
        self.files += 1
        self.bytes += len(data)


def _png(ids: NDArray[np.uint32]) -> bytes:
    import cv2

    # Little-endian bytes of an id are red, green, blue; OpenCV wants blue, green, red.
    colors = ids.astype("<u4").view(np.uint8).reshape(*ids.shape, 4)[:, :, 2::-1]
    # By run lengths such pictures are packed smaller, and four times as fast, as by what OpenCV does unasked.
    how = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    packed, data = cv2.imencode(".png", np.ascontiguousarray(colors), how)
    if not packed:
        raise ValueError(f"OpenCV could not pack a PNG of {ids.shape[1]} x {ids.shape[0]} pixels")
    return data.tobytes()
