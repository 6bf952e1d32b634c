"""Frames of videos as pictures: decoded from the video's file, each video once and in order.

A dataset that describes single pictures gets a picture for each frame of a video (see
:mod:`fastlabel_dagster.labels.single_pictures`). The pixels are those OpenCV decodes, with the turn the video asks for,
as the official SDK cuts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.report import FILE, IMAGE, Tally
from fastlabel_dagster.formats.sources import Picture
from fastlabel_dagster.store import FolderWriter
from fastlabel_dagster.store.on_disk import on_disk

if TYPE_CHECKING:
    import cv2

#: uint8[height, width, 3], blue, green, red.
Pixels: TypeAlias = NDArray[np.uint8]
UNREADABLE = "the video cannot be read"
NO_FRAME = "the video has no such frame, or its frames cannot be read"
OTHER_SIZE = "its picture is of another size than its task says"
_HEAD = 512


class VideoError(ValueError):
    """A file is no video that can be read."""


class Wish(NamedTuple):
    """A frame somebody wants as a file."""

    frame: int
    """From 1."""
    name: str
    """Of the picture, as reports call it."""
    path: str
    """Where it goes; the ending says which kind of picture."""
    width: float
    """Pixels its task states; NaN when unknown."""
    height: float


class Film:
    """A video that is open. Frames are asked for in rising order, so that each is decoded once at most.

    Attributes:
        width, height: of its frames, in pixels.
        rate: frames a second; 0 when the file does not say.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        import cv2

        self._capture = capture
        self._next = 1
        self.width, self.height = (int(capture.get(of)) for of in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else 0.0

    def frame(self, number: int) -> Pixels | None:
        """Frame ``number`` (from 1); None behind the end. Raises ValueError for one that has gone by."""
        if number < self._next:
            raise ValueError(f"frame {number} has gone by, the next is {self._next}")
        while self._next < number:
            if not self._capture.grab():
                return None
            self._next += 1
        good, pixels = self._capture.read()
        self._next += 1
        return np.asarray(pixels, np.uint8) if good else None


@contextmanager
def open_video(video: Picture) -> Iterator[Film]:
    """Open a video for reading; one that does not lie on a local disk is brought there for that time.

    Raises:
        VideoError: it is not there, or no video OpenCV can read.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(on_disk(video.store, video.path))
        except FileNotFoundError as error:
            raise VideoError(f"{video.path}: there is no such file") from error
        yield stack.enter_context(open_film(path, video.path))


@contextmanager
def open_film(path: Path, name: str) -> Iterator[Film]:
    """Open a video on the local disk, which errors call ``name``.

    Raises:
        VideoError: no video OpenCV can read.
    """
    import cv2

    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"\0" not in head:  # a playlist is text that names other files, or other machines; every video has zeros
        raise VideoError(f"{name}: the file is {'text, not a video' if head else 'empty'}")
    # FFmpeg alone: another backend would take digits in a name for a series of pictures.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise VideoError(f"{name}: not a video that can be decoded")
        yield Film(capture)
    finally:
        capture.release()


def video_size(video: Picture) -> tuple[int, int] | None:
    """Width and height of a video's frames in pixels; None when it cannot be read."""
    try:
        with open_video(video) as film:
            return (film.width, film.height) if film.width > 0 and film.height > 0 else None
    except VideoError:
        return None


def write_frames(
    folder: FolderWriter, wishes: Mapping[str, Sequence[Wish]], held: Mapping[str, Picture], tally: Tally
) -> tuple[set[str], int]:
    """Put the frames wanted of each video (by task id) into the folder. Returns the paths written, and their bytes.

    Of decoded frames only one is in memory. A video that cannot be read is noted, and so is every frame that is not
    there; the dataset lists them all the same, unless its format looks at what was written.
    """
    made: set[str] = set()
    size = 0

    def encoded() -> Iterator[tuple[str, bytes]]:
        nonlocal size
        for video, of_video in wishes.items():
            for path, data in _encoded_frames(held[video], of_video, tally):
                made.add(path)
                size += len(data)
                yield path, data

    folder.write_many(encoded())
    return made, size


def encode(pixels: Pixels, suffix: str, quality: int = 95) -> bytes:
    """A picture file of the kind the ending ``suffix`` names. Raises ValueError for one OpenCV cannot write."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    try:
        good, data = cv2.imencode(suffix, pixels, options)
    except cv2.error as error:
        raise ValueError(f"no picture can be written as {suffix!r}") from error
    if not good:
        raise ValueError(f"the picture could not be written as {suffix!r}")
    return bytes(data.tobytes())


def _encoded_frames(video: Picture, wishes: Sequence[Wish], tally: Tally) -> Iterator[tuple[str, bytes]]:
    waiting = sorted(wishes)
    done = 0
    try:
        with open_video(video) as film:
            first = waiting[0]
            if (first.width, first.height) != (film.width, film.height) and first.width * first.height > 0:
                tally.note("noticed", OTHER_SIZE, IMAGE, len(waiting), [first.name])
            for wish in waiting:
                pixels = film.frame(wish.frame)
                if pixels is None:
                    break
                done += 1
                yield wish.path, encode(pixels, Path(wish.path).suffix)
    except VideoError:
        tally.note("dropped", UNREADABLE, FILE, 1, [video.path])
    missing = [wish.name for wish in waiting[done:]]
    tally.note("dropped", NO_FRAME, IMAGE, len(missing), missing)


def picture_pixels(data: bytes, width: float = np.nan, height: float = np.nan) -> Pixels | None:
    """The pixels of a picture file, the way up its task knows it; None when OpenCV cannot read it.

    A photograph may ask to be turned (EXIF). Annotations are drawn on what a browser shows, the turned picture; but a
    task whose ``width`` and ``height`` are those of the picture as stored was annotated on that.
    """
    import cv2

    if not data:
        return None
    coded = np.frombuffer(data, np.uint8)
    try:
        pixels: Any = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        if pixels is not None and (width, height) == pixels.shape[:2] and width != height:
            stored = cv2.imdecode(coded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            if stored is not None and stored.shape[:2] == (height, width):
                pixels = stored
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)
