"""Reading LeRobot data sets (v3): episodes from Parquet files, videos cut out of the files that hold many of them.

Layout: `meta/info.json`, `meta/episodes/chunk-*/file-*.parquet` (where each episode lies),
`data/chunk-*/file-*.parquet` (its frames) and `videos/<camera>/chunk-*/file-*.mp4`. Videos and frames are packed into
files independently of each other, so each episode says for each camera where its piece begins.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.lerobot import Camera, Frame

log = logging.getLogger("fastlabel_dagster.lerobot")


class LeRobotDataset:
    """One data set on disk.

    Args:
        path: its folder.
        info: what stands in its `meta/info.json`.

    Raises:
        Invalid: (422) when it is no LeRobot data set, or one of an older version.
    """

    def __init__(self, path: Path, info: Mapping[str, Any]) -> None:
        self.path = path
        self.fps: float | None = info.get("fps")
        check_version(path)
        self._episodes = _episodes(path)

    @staticmethod
    def info(path: Path) -> dict[str, Any]:
        """What stands in `meta/info.json`; nothing when there is none."""
        file = path / "meta" / "info.json"
        if not file.exists():
            return {}
        info = json.loads(file.read_text(encoding="utf-8"))
        return info if isinstance(info, dict) else {}

    @property
    def lengths(self) -> dict[int, int]:
        """The number of frames of every episode."""
        return {index: int(row["length"]) for index, row in self._episodes.items()}

    @cached_property
    def cameras(self) -> list[Camera]:
        """All cameras, by name.

        Raises:
            Invalid: (422) when a folder of videos is not named after an observation.
        """
        return cameras_of(self.path)

    def frames(self, episode: int) -> list[Frame]:
        """All moments of an episode, with plain Python values.

        Raises:
            Invalid: (422) when there is no such episode.
        """
        import pyarrow.parquet as pq

        row = self._episode(episode)
        file = self.path / "data" / _chunk(row["data/chunk_index"]) / f"{_file(row['data/file_index'])}.parquet"
        rows: list[Frame] = pq.read_table(file, filters=[("episode_index", "==", episode)]).to_pylist()
        return rows

    def write_zip(
        self, episode: int, name: str, cameras: Iterable[Camera], telemetry: Sequence[Mapping[str, Any]], folder: Path
    ) -> Path:
        """The zip that FastLabel imports: `<camera>.mp4` for each camera that saw the episode, and `<name>.json`.

        A camera whose video file is missing is left out, with a warning.

        Args:
            name: the episode's; the zip is called after it.
            folder: where the zip and the videos on their way into it are put.

        Raises:
            Invalid: (422) when there is no such episode, its name is no file name, or its videos cannot be cut.
        """
        if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
            raise Invalid(f"an episode cannot be called {name!r}, as its files are called so too", status=422)
        row = self._episode(episode)
        seen_by = [camera for camera in cameras if row.get(f"videos/{camera.key}/chunk_index") is not None]
        if seen_by and self.fps is None:
            raise Invalid("'fps' not found in meta/info.json, so no video can be cut", status=422)
        result = folder / f"{name}.zip"
        with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as archive:
            for camera in seen_by:
                place = f"videos/{camera.key}"
                video = video_file(camera, row[f"{place}/chunk_index"], row[f"{place}/file_index"])
                if not video.exists():
                    log.warning("episode %d: the video of %s is missing, it is left out", episode, camera.key)
                    continue
                piece = folder / "piece.mp4"
                start = round(float(row[f"{place}/from_timestamp"]) * float(self.fps or 0))
                _cut(video, start, int(row["length"]), piece)
                archive.write(piece, f"{camera.content_name}.mp4", zipfile.ZIP_STORED)
            archive.writestr(f"{name}.json", json.dumps(list(telemetry), ensure_ascii=False))
        return result

    def _episode(self, episode: int) -> dict[str, Any]:
        if episode not in self._episodes:
            raise Invalid(f"Episode index {episode} not found in dataset.", status=422)
        return self._episodes[episode]


def cameras_of(path: Path) -> list[Camera]:
    """All cameras of a data set, by name.

    Raises:
        Invalid: (422) when a folder of videos is not named after an observation.
    """
    videos = path / "videos"
    found = []
    for folder in sorted(videos.iterdir()) if videos.is_dir() else ():
        if not folder.is_dir():
            continue
        first, *others = folder.name.split(".")
        if first != "observation":
            raise Invalid(f"Unexpected camera dir name: {folder.name}", status=422)
        found.append(Camera(folder, folder.name, "_".join(others)))
    return found


def episode_files(path: Path) -> list[Path]:
    """The Parquet files that say where each episode of a data set lies, in order."""
    return sorted((path / "meta" / "episodes").glob("chunk-*/file-*.parquet"))


def video_file(camera: Camera, chunk: float, file: float) -> Path:
    """Where a camera's video of these numbers lies."""
    return camera.path / _chunk(chunk) / f"{_file(file)}.mp4"


def check_version(path: Path) -> None:
    """Raises `Invalid` (422) when a folder is no LeRobot data set, or one of an older version."""
    names = [file.name for file in (path / "data").glob("chunk-*/*.parquet")]
    if any(name.startswith("file-") for name in names):
        return
    if any(name.startswith("episode_") for name in names):
        raise Invalid("LeRobot dataset v2 is not supported. Please convert to v3.", status=422)
    raise Invalid(f"{path.name} is no LeRobot data set: there is no data/chunk-*/file-*.parquet in it", status=422)


def _episodes(path: Path) -> dict[int, dict[str, Any]]:
    import pyarrow.parquet as pq

    files = episode_files(path)
    if not files:
        raise Invalid(f"{path.name} has no meta/episodes/chunk-*/file-*.parquet", status=422)
    found = {}
    for file in files:
        wanted = [
            name
            for name in pq.read_schema(file).names
            if name in ("episode_index", "length", "data/chunk_index", "data/file_index") or name.startswith("videos/")
        ]
        for row in pq.read_table(file, columns=wanted).to_pylist():
            found[int(row["episode_index"])] = row
    return found


def _chunk(number: float) -> str:
    return f"chunk-{int(number):03d}"


def _file(number: float) -> str:
    return f"file-{int(number):03d}"


def _cut(video: Path, start: int, frames: int, target: Path) -> None:
    """So many frames of a video, from the one numbered `start` on, in a video of its own."""
    import cv2

    source = cv2.VideoCapture(str(video))
    try:
        if not source.isOpened():
            raise Invalid(f"{video.name} cannot be read as a video", status=422)
        size = (int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(target), code, source.get(cv2.CAP_PROP_FPS), size)
        try:
            source.set(cv2.CAP_PROP_POS_FRAMES, start)
            for _ in range(frames):
                there, picture = source.read()
                if not there:
                    break
                writer.write(picture)
        finally:
            writer.release()
    finally:
        source.release()
