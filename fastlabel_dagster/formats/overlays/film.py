"""Videos as overlays need them: frames taken from one video after the other, and drawn ones put into a new film."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING

from fastlabel_dagster.formats.frames import NO_FRAME, UNREADABLE, Film, Pixels, VideoError, open_video
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import FILE, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.labels.single_pictures import video_of
from fastlabel_dagster.store import FolderWriter, disk_names

if TYPE_CHECKING:
    import cv2

NO_CODEC = "OpenCV cannot write MP4 here, its frames are single pictures"
_FRAME_NAME = re.compile(r"_\d+(\.[^./]*)?$")
_USUAL_RATE = 30.0


class FilmStrip:
    """Frames of videos; as long as they are asked for in order, each video is opened and decoded once."""

    def __init__(self, images: PictureSource, tally: Tally) -> None:
        self._images, self._tally = images, tally
        self._open: ExitStack | None = None
        self._video: str | None = None
        self.film: Film | None = None
        """The video that is open."""

    def frame(self, video: str, number: int) -> Pixels | None:
        """Frame ``number`` (from 1) of the video of this task; None, and told, when it cannot be had."""
        if video != self._video:
            self.close()
            self._video, self._open = video, ExitStack()
            try:
                self.film = self._open.enter_context(open_video(self._images.held[video]))
            except VideoError:
                self._tally.note("dropped", UNREADABLE, FILE, 1, [self._images.held[video].path])
        pixels = None if self.film is None else self.film.frame(number)
        if pixels is None:
            self._tally.note("dropped", NO_FRAME, IMAGE, 1, [f"{self._images.held[video].path} · frame {number}"])
        return pixels

    def close(self) -> None:
        """Close the video that is open."""
        if self._open is not None:
            self._open.close()
        self._open = self._video = self.film = None

    def __enter__(self) -> FilmStrip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Movies:
    """Drawn frames, put together as MP4 files: ``<name of the video>.mp4``."""

    def __init__(
        self, folder: FolderWriter, pictures: Pictures, strip: FilmStrip, tally: Tally, *, wanted: bool
    ) -> None:
        self._folder, self._pictures, self._strip, self._tally = folder, pictures, strip, tally
        self._wanted = wanted
        self._paths = _movie_paths(pictures) if wanted else {}
        self._place = ExitStack()
        self._scratch = Path()
        self._rates: dict[str, float] = {}
        self._current: str | None = None
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self.made = self.frames = self.bytes = 0

    def takes(self, video: str) -> bool:
        """Whether the frames of this video, which the strip has open, become a film; told when they cannot."""
        if not self._wanted:
            return False
        if video not in self._rates:
            film = self._strip.film
            rate = (film.rate if film is not None else 0.0) or _USUAL_RATE
            can = film is not None and _can_write(self._scratch / "trial.mp4", rate, film)
            self._rates[video] = rate if can else 0.0
            if not can:
                self._tally.note("noticed", NO_CODEC, FILE, 1, [self._paths[video]])
        return self._rates[video] > 0

    def add(self, picture: int, pixels: Pixels | None) -> str:
        """Put a drawn frame behind those before it. Returns the file it is in."""
        import cv2

        found = video_of(self._pictures.task_ids[picture])
        if found is None or pixels is None:
            raise ValueError("only frames of a video become a film")
        video = found[0]
        if video != self._current:
            self.finish()
            height, width = pixels.shape[:2]
            self._current, self._size = video, (width, height)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._scratch / "film.mp4"), code, self._rates[video], self._size)
        if self._writer is not None:
            same = pixels.shape[1::-1] == self._size
            self._writer.write(pixels if same else cv2.resize(pixels, self._size))
        self.frames += 1
        return self._paths[video]

    def finish(self) -> None:
        """Put the film that is being made into the folder."""
        if self._writer is None or self._current is None:
            return
        self._writer.release()
        path = self._paths[self._current]
        with (self._scratch / "film.mp4").open("rb") as source, self._folder.open(path) as target:
            while piece := source.read(2**20):
                target.write(piece)
                self.bytes += len(piece)
        self.made += 1
        self._writer = self._current = None

    def __enter__(self) -> Movies:
        if self._wanted:
            self._scratch = Path(self._place.enter_context(TemporaryDirectory(prefix="fastlabel-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        self._place.close()


def _can_write(path: Path, rate: float, film: Film) -> bool:
    """Whether OpenCV has what it takes to write such a film, found out by beginning one."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (film.width, film.height))
    try:
        return bool(writer.isOpened())
    finally:
        writer.release()


def _movie_paths(pictures: Pictures) -> dict[str, str]:
    """The file of each video, different from those of all pictures."""
    names: dict[str, str] = {}
    for task_id, file in zip(pictures.task_ids, pictures.files, strict=True):
        found = video_of(task_id)
        if found is not None and found[0] not in names:
            names[found[0]] = _FRAME_NAME.sub("", file) + ".mp4"
    paths = disk_names([*pictures.files, *names.values()], [*pictures.task_ids, *names])
    return dict(zip(names, paths[len(pictures) :], strict=True))
