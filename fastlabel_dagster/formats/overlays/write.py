"""Write pictures with their annotations drawn: ``<name>`` for each task, and ``pictures.jsonl``, which says whose each
file is and how many annotations are drawn on it.

Each picture is decoded once, by a few threads; a video's frames are decoded in order, once. What is in memory is a
batch of labels and a handful of pictures.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import orjson

from fastlabel_dagster.formats.frames import OTHER_SIZE, Pixels, encode, picture_pixels
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.overlays.drawing import THIN, Shape, Style, draw
from fastlabel_dagster.formats.overlays.film import FilmStrip, Movies
from fastlabel_dagster.formats.overlays.lettering import lettering, write_title
from fastlabel_dagster.formats.overlays.shapes import DRAWN, Palette, shapes_of
from fastlabel_dagster.formats.pictures import Pictures, list_pictures
from fastlabel_dagster.formats.report import IMAGE, Tally
from fastlabel_dagster.formats.shapes import shape_batches
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.single_pictures import video_of
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

INDEX_FILE = "pictures.jsonl"
FORMATS = ("same", "jpg", "png")
NO_PICTURE = "there is no picture to draw it on"
UNREADABLE = "the picture cannot be read"
NOT_WRITABLE = "its title has letters that no font on this machine has, it was drawn without"
_WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_MOST_THREADS = 4


class _Made(NamedTuple):
    """What became of one picture."""

    data: bytes | None
    """The file; None when there was no picture, or when ``pixels`` go into a film."""
    pixels: Pixels | None
    size: tuple[int, int]
    untitled: list[int]
    """Which shapes are drawn without their title."""


@dataclass(frozen=True)
class _Painter:
    """Draws pictures; every call is one picture, and calls know nothing of each other."""

    style: Style
    names: bool
    quality: int

    def __call__(self, pixels: Pixels, shapes: list[Shape], suffix: str | None) -> _Made:
        """Draw ``shapes``; as a file of the kind ``suffix``, or as pixels when there is none."""
        drawn = np.ascontiguousarray(pixels)
        for shape in shapes:
            draw(drawn, shape, self.style)
        untitled = self._write_titles(drawn, shapes) if self.names else []
        height, width = drawn.shape[:2]
        data = None if suffix is None else encode(drawn, suffix, self.quality)
        return _Made(data, drawn if suffix is None else None, (width, height), untitled)

    def _write_titles(self, pixels: Pixels, shapes: list[Shape]) -> list[int]:
        size = int(np.clip(min(pixels.shape[:2]) / 30, 10, 48))
        untitled = []
        for index, shape in enumerate(shapes):
            letters = lettering(shape.title, size)
            if letters is None:
                untitled.append(index)
            else:
                reach = shape.radius
                write_title(pixels, letters, np.concatenate(shape.rings).min(axis=0) - reach, shape.colour)
        return untitled


def write_overlays(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    thickness: int | None = None,
    fill: float | None = None,
    names: bool = False,
    picture_format: str = "same",
    quality: int = 95,
    video: bool = False,
) -> Written:
    """Draw the annotations of every task on its picture.

    Args:
        labels: what to draw.
        folder: where the drawn pictures go.
        images: the pictures (and videos) to draw on.
        tally: told of everything left out or changed.
        thickness: of lines, in pixels (1 to 255); None: a 300th of the shorter side, as the official SDK.
        fill: how much of an area's colour covers the picture, from 0 to 1; None: 50 of 255 parts, as the SDK.
        names: write the title of its class at each shape, where a font on this machine has its letters.
        picture_format: of the pictures: ``same`` as they were, ``jpg`` or ``png``.
        quality: of JPEGs, 1 to 100.
        video: a video becomes one MP4 rather than a picture for each frame, where OpenCV can write one.

    Raises:
        ValueError: for an impossible option, and when there are no pictures at all to draw on.
    """
    _check(thickness, fill, picture_format, quality)
    if images is None and not labels.tasks.num_rows:
        return Written(0, 0, 0)
    if images is None:
        raise ValueError(
            "overlays draw on pictures, and none are known: name the image folder (a sync with images makes one), put "
            "them into images/ beside the labels, or read the labels from a dataset that has its pictures"
        )
    safe = _with_writable_ending if picture_format == "same" else None
    is_same = picture_format == "same"
    pictures = list_pictures(labels, images, tally, unique_stem=not is_same, safe=safe, attributes=None)
    if picture_format != "same":
        pictures.files = [label_name(file, f".{picture_format}") for file in pictures.files]
    painter = _Painter(Style(thickness, THIN if fill is None else fill), names, quality)
    with FilmStrip(images, tally) as strip, Movies(folder, pictures, strip, tally, wanted=video) as movies:
        studio = _Studio(labels, pictures, images, tally, painter, strip, movies)
        folder.write_many(studio.files())
        movies.finish()
        index = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in studio.rows)
        folder.write_bytes(INDEX_FILE, index)
        made = studio.made + movies.made
        return Written(studio.made + movies.frames, made + 1, studio.bytes + movies.bytes + len(index))


class _Studio:
    """Goes through the labels, and hands every picture to a few threads."""

    def __init__(  # noqa: PLR0917
        self,
        labels: Labels,
        pictures: Pictures,
        images: PictureSource,
        tally: Tally,
        painter: _Painter,
        strip: FilmStrip,
        movies: Movies,
    ) -> None:
        self._labels, self._pictures, self._images, self._tally = labels, pictures, images, tally
        self._painter, self._strip, self._movies = painter, strip, movies
        self._palette = Palette(labels.classes)
        self.made = self.bytes = 0
        self.rows: list[dict[str, object]] = []

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The files of single pictures as they are done; frames that go into films go there."""
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="overlays") as pool:
            for batch in shape_batches(self._labels, self._pictures, self._tally):
                batch.sift(*DRAWN, what="a shape that can be drawn", sized=False, classed=False)
                shapes = shapes_of(batch, self._palette)
                # where the shapes of a task stand among all annotations of the batch
                kept = np.flatnonzero(batch.told.kept)
                begins = np.searchsorted(batch.flat.task[kept], np.arange(len(shapes) + 1))
                without = np.zeros(len(shapes), np.bool_)
                untitled = np.zeros(len(batch.flat), np.bool_)
                waiting: deque[tuple[int, Future[_Made | None], bool]] = deque()
                for task, picture in enumerate([*batch.picture.tolist(), None]):
                    while waiting and (picture is None or len(waiting) >= 2 * threads):
                        done, future, told = waiting.popleft()
                        made = future.result()
                        without[done] = made is None
                        name = self._pictures.names[batch.picture[done]]
                        if made is None:
                            if not told:
                                self._tally.note("dropped", UNREADABLE, IMAGE, 1, [name])
                        else:
                            untitled[kept[begins[done] + np.array(made.untitled, np.int64)]] = True
                            yield from self._finished(int(batch.picture[done]), made, len(shapes[done]))
                    if picture is not None:
                        waiting.append((task, *self._begin(pool, picture, shapes[task])))
                batch.told.drop(NO_PICTURE, without[batch.flat.task])
                batch.told.alter(NOT_WRITABLE, untitled)
                batch.told.finish()

    def _begin(self, pool: ThreadPoolExecutor, picture: int, shapes: list[Shape]) -> tuple[Future[_Made | None], bool]:
        """What a picture will have become, and whether it is told already when that is nothing."""
        pictures, task_id = self._pictures, self._pictures.task_ids[picture]
        suffix = PurePosixPath(pictures.files[picture]).suffix
        held = self._images.held.get(task_id)
        if held is not None:
            size = (pictures.width[picture], pictures.height[picture])

            def still() -> _Made | None:
                try:
                    pixels = picture_pixels(held.store.read_bytes(held.path), *size)
                except FileNotFoundError:
                    return None
                return None if pixels is None else self._painter(pixels, shapes, suffix)

            return pool.submit(still), False
        frame = video_of(task_id)
        if frame is None or frame[0] not in self._images.held:
            self._tally.note("dropped", self._images.why_absent(task_id), IMAGE, 1, [pictures.names[picture]])
            return _nothing(), True
        pixels = self._strip.frame(*frame)
        if pixels is None:
            return _nothing(), True
        into_film = self._movies.takes(frame[0])
        return pool.submit(self._painter, pixels, shapes, None if into_film else suffix), True

    def _finished(self, picture: int, made: _Made, drawn: int) -> Iterator[tuple[str, bytes]]:
        pictures = self._pictures
        name, file, task_id = pictures.names[picture], pictures.files[picture], pictures.task_ids[picture]
        size = (pictures.width[picture], pictures.height[picture])
        if made.size != size and size[0] * size[1] > 0:
            self._tally.note("noticed", OTHER_SIZE, IMAGE, 1, [name])
        if made.data is None:
            file = self._movies.add(picture, made.pixels)
        else:
            self.made += 1
            self.bytes += len(made.data)
            yield file, made.data
        self.rows.append({"file": file, "task_id": task_id, "name": name, "annotations": drawn})


def _nothing() -> Future[_Made | None]:
    future: Future[_Made | None] = Future()
    future.set_result(None)
    return future


def _with_writable_ending(name: str) -> str:
    return name if PurePosixPath(name).suffix.lower() in _WRITABLE else f"{name}.jpg"


def _check(thickness: int | None, fill: float | None, picture_format: str, quality: int) -> None:
    if thickness is not None and not (type(thickness) is int and 1 <= thickness <= 255):
        raise ValueError(f"the thickness of lines is a whole number of pixels from 1 to 255, not {thickness!r}")
    if fill is not None and not (type(fill) in (int, float) and 0 <= fill <= 1):
        raise ValueError(f"fill is a share from 0 to 1, not {fill!r}")
    if picture_format not in FORMATS:
        raise ValueError(f"picture_format: pictures are written as {', '.join(FORMATS)}, not {picture_format!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"the quality of a JPEG is 1 to 100, not {quality!r}")
