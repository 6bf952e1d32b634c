"""Pictures that lie inside a dataset's own files: the bytes of picture files, and of frames cut from videos."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.frames import NO_FRAME, OTHER_SIZE, UNREADABLE, Film, VideoError, encode, open_video
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import FILE, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.labels.single_pictures import video_of

#: About what a pixel of a frame takes as JPEG, for nobody knows before it is made.
_BYTES_PER_PIXEL = 0.5


def picture_weights(pictures: Pictures, source: PictureSource) -> NDArray[np.float64]:
    """float64[pictures]: the bytes of each picture, estimated from its size for a frame of a video; at least 1."""
    weights = np.ones(len(pictures))
    frames = np.zeros(len(pictures), np.bool_)
    for row, task_id in enumerate(pictures.task_ids):
        held = source.held.get(task_id)
        if held is not None:
            weights[row] = held.size
        else:
            frames[row] = _frame_of(task_id, source) is not None
    estimate = np.nan_to_num(pictures.width * pictures.height) * _BYTES_PER_PIXEL
    return np.maximum(np.where(frames, estimate, weights), 1)


class PictureReader:
    """Reads pictures by their position; one that cannot be had is None, and told.

    As long as frames are asked for in their order, each video is opened and decoded once.
    """

    def __init__(self, pictures: Pictures, source: PictureSource, tally: Tally) -> None:
        self.pictures = pictures
        self._source, self._tally = source, tally
        self._open = ExitStack()
        self._video: str | None = None
        self._film: Film | None = None
        self._next = 1
        self._unreadable: set[str] = set()

    def has_frames(self, rows: Sequence[int]) -> bool:
        """Whether any of these is a frame of a video."""
        return any(self._frame(row) is not None for row in rows)

    def frames(self, rows: Sequence[int]) -> dict[int, bytes | None]:
        """Those of ``rows`` that are frames of a video, as picture files."""
        asked = [(*frame, row) for row in rows if (frame := self._frame(row)) is not None]
        order = {video: place for place, video in enumerate(dict.fromkeys(video for video, _, _ in asked))}
        asked.sort(key=lambda one: (order[one[0]], one[1]))
        return {row: self._cut(video, number, row) for video, number, row in asked}

    def stored(self, row: int) -> bytes | None:
        """The bytes of a picture file."""
        held = self._source.held.get(self.pictures.task_ids[row])
        try:
            content = None if held is None else held.store.read_bytes(held.path)
        except FileNotFoundError:
            content = None
        if content is None:
            reason = self._source.why_absent(self.pictures.task_ids[row])
            self._tally.note("dropped", reason, IMAGE, 1, [self.pictures.names[row]])
        return content

    def _frame(self, row: int) -> tuple[str, int] | None:
        return _frame_of(self.pictures.task_ids[row], self._source)

    def _cut(self, video: str, number: int, row: int) -> bytes | None:
        if video != self._video or number < self._next:
            self._begin(video)
        pixels = None if self._film is None else self._film.frame(number)
        self._next = number + 1
        name, file = self.pictures.names[row], self.pictures.files[row]
        if pixels is None:
            self._film = None  # what comes behind a frame that cannot be had is not trusted either
            self._tally.note("dropped", NO_FRAME, IMAGE, 1, [name])
            return None
        wide, high = self.pictures.width[row], self.pictures.height[row]
        if (high, wide) != pixels.shape[:2] and wide * high > 0:
            self._tally.note("noticed", OTHER_SIZE, IMAGE, 1, [name])
        return encode(pixels, PurePosixPath(file).suffix)

    def _begin(self, video: str) -> None:
        self.close()
        self._video, self._next = video, 1
        if video in self._unreadable:
            return
        try:
            self._film = self._open.enter_context(open_video(self._source.held[video]))
        except VideoError:
            self._unreadable.add(video)
            self._tally.note("dropped", UNREADABLE, FILE, 1, [self._source.held[video].path])

    def close(self) -> None:
        """Close the video that is open."""
        self._open.close()
        self._video = self._film = None

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame_of(task_id: str, source: PictureSource) -> tuple[str, int] | None:
    """The video and the frame (from 1) a picture is cut from; None when it is a file of its own, or not there."""
    if task_id in source.held:
        return None
    frame = video_of(task_id)
    return frame if frame is not None and frame[0] in source.held else None
