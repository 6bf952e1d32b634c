"""LeRobot data sets (v3) as robotics tasks: one per episode, with a content per camera.

Episodes carry no annotations, but say what the robot was told to do: that is the attribute ``task`` of the episode's
task (a list where it was told several things). Splits become tags, ``frame_count`` is the episode's length.

Several episodes lie in one video file. A content's URL is that of the file, and its ``extra`` says where the episode
begins and ends in it, in seconds (``fromTimestamp``, ``toTimestamp``).

What was recorded beside the videos (states, actions, pictures within ``data/``), and columns of episodes nobody knows,
are told by their names; where things lie and the statistics of them follow from the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.lerobot import Camera
from fastlabel_dagster.formats.assembly import stable_id
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.formats.unread import unread_names
from fastlabel_dagster.labels import fastlabel
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.lerobot import cameras_of, check_version, episode_files, video_file

INFO = "meta/info.json"
_EPISODE = "episode"
#: What is read of ``info.json``, and what counts the rest or says where it lies.
_OF_INFO = frozenset(
    (
        *("fps", "splits", "features", "codebase_version", "data_path", "video_path"),
        *("total_episodes", "total_frames", "total_tasks", "total_videos", "total_chunks"),
        *("chunks_size", "data_files_size_in_mb", "video_files_size_in_mb"),
    )
)
_OF_FRAME = frozenset(("timestamp", "frame_index", "episode_index", "index", "task_index"))
_OF_EPISODE = frozenset(("episode_index", "length", "tasks", "dataset_from_index", "dataset_to_index"))
_PLACES = ("videos/", "data/", "meta/episodes/", "stats/")
_UNREAD = "what the data set says beyond its episodes has no place in FastLabel, and was not read"
_UNREAD_FRAMES = "what was recorded beside the videos was not read"
_UNREAD_COLUMNS = "columns of its episodes that have no place in FastLabel were not read"
_NO_FOLDER = "the videos of a camera are not in the data set"
_LONGEST = 200
_MOST = 2**31
_PIXELS = 100_000
_DIGITS = 9


def read_lerobot(source: Path, told: ReadTally) -> Labels:
    """Read a data set's folder (or its ``meta/info.json``).

    Raises:
        FileNotFoundError: when there is no such folder.
        FormatError: when it is another file, no LeRobot v3 data set, or nothing of what it says of itself can be read.
    """
    root = source.parent.parent if source.is_file() and source.name == "info.json" else source
    if root.is_file():
        raise FormatError(root, f"it is a file: name the data set's folder, or its {INFO}")
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not there")
    info = _info(root)
    try:
        check_version(root)
        cameras = cameras_of(root)
    except Invalid as error:
        raise FormatError(root, str(error)) from error
    _tell_of_info(root, info, cameras, told)
    reader = _Reader(root, info, cameras, told)
    files = episode_files(root)
    if not files:
        raise FormatError(root, "there is no meta/episodes/chunk-*/file-*.parquet in it")
    for file in files:
        reader.read(file)
    return reader.labels()


def _info(root: Path) -> dict[str, Any]:
    path = root / INFO
    if not path.is_file():
        return {}
    try:
        info = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise FormatError(path, f"it is not JSON: {type(error).__name__}") from error
    if not isinstance(info, dict):
        raise FormatError(path, "it is not a JSON object")
    return info


def _tell_of_info(root: Path, info: Mapping[str, Any], cameras: list[Camera], told: ReadTally) -> None:
    """Tell what the data set has that is not read: fields of ``info.json``, and what its frames hold but the videos."""
    if unread := unread_names(info, _OF_INFO):
        told.notice(_UNREAD, FILE, where=f"{INFO}: {_listed(unread)}")
    said = info.get("features")
    features = said if isinstance(said, dict) and said else dict.fromkeys(_frame_columns(root, told))
    videos = {camera.key for camera in cameras}
    missing = [name for name, one in features.items() if isinstance(one, dict) and one.get("dtype") == "video"]
    missing = [name if encodable(name) else "?" for name in missing if name not in videos]
    told.drop(_NO_FOLDER, FILE, where=[f"videos/{name}"[:_LONGEST] for name in missing], count=len(missing))
    if unread := unread_names(features, {*_OF_FRAME, *videos, *missing}, ()):
        told.notice(_UNREAD_FRAMES, FILE, where=_listed(unread))


def _frame_columns(root: Path, told: ReadTally) -> list[str]:
    """What the frames of a data set hold that does not say so itself."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = min((root / "data").glob("chunk-*/file-*.parquet"))
    try:
        return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        told.notice(f"the file cannot be read ({type(error).__name__})", FILE, where=file.relative_to(root).as_posix())
        return []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)[:_LONGEST]


class _Reader:
    def __init__(self, root: Path, info: Mapping[str, Any], cameras: list[Camera], told: ReadTally) -> None:
        self._root, self._cameras, self._told = root, cameras, told
        self._inside = root.resolve()
        fps = _number(info.get("fps"))
        self._fps = fps if fps is not None and fps > 0 else None
        self._sizes = {camera.key: _size(info.get("features"), camera.key) for camera in cameras}
        self._splits = _splits(info.get("splits"))
        said = info.get("splits") or {}
        read = {name for name, _, _ in self._splits}
        names = said if isinstance(said, dict) else ["splits"]
        unread = [name if encodable(name) else INFO for name in names if name not in read]
        told.notice("a split that is not of the form first:last was left out", FILE, where=unread, count=len(unread))
        if self._fps is None and info.get("fps") is not None:
            told.notice("its fps is not a number above 0, and was left out", FILE, where=INFO)
        self._urls: dict[Path, str | None] = {}
        self._tasks: dict[int, dict[str, Any]] = {}

    def read(self, file: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        where = file.relative_to(self._root).as_posix()
        try:
            names = pq.read_schema(file).names
            wanted = [name for name in names if name in ("episode_index", "length", "tasks") or "videos/" in name]
            if "episode_index" not in wanted:
                self._told.drop("the file has no column episode_index", FILE, where=where)
                return
            unread = sorted(name for name in names if name not in _OF_EPISODE and not name.startswith(_PLACES))
            if unread:
                self._told.notice(_UNREAD_COLUMNS, FILE, where=f"{where}: {_listed(unread)}")
            rows = pq.read_table(file, columns=wanted).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            self._told.drop(f"the file cannot be read ({type(error).__name__})", FILE, where=where)
            return
        for place, row in enumerate(rows, start=1):
            self._add(row, f"{where}, row {place}")
            self._told.advance()

    def _add(self, row: Mapping[str, Any], where: str) -> None:
        index, length = _whole(row.get("episode_index")), _whole(row.get("length"))
        if index is None:
            self._told.drop("its number is not a whole number from 0 on", _EPISODE, where=where)
            return
        if index in self._tasks:
            self._told.drop("an episode of this number was there already", _EPISODE, where=where)
            return
        contents = [content for camera in self._cameras if (content := self._content(camera, row, where))]
        task: dict[str, Any] = {
            "id": stable_id("lerobot", str(index)),
            "name": f"episode_{index:06d}",  # as `import_lerobot` calls it
            "contents": contents,
            "tags": [split for split, first, last in self._splits if first <= index < last],
            "annotations": [],
        }
        if length is None:
            self._told.notice("its length is not known", _EPISODE, where=where)
        else:
            task["frameCount"] = length
        if self._fps is not None:
            task["fps"] = self._fps
            if length is not None:
                task["duration"] = length / self._fps
        said = row.get("tasks")
        texts = [text for text in said if isinstance(text, str)] if isinstance(said, list) else []
        if said is not None and (not isinstance(said, list) or len(texts) < len(said)):
            self._told.notice("what it was told to do is no text, and was left out", _EPISODE, where=where)
        if texts:
            value = texts[0] if len(texts) == 1 else texts
            task["attributes"] = [{"key": "task", "name": "task", "type": "text", "value": value}]
        self._tasks[index] = task

    def _content(self, camera: Camera, row: Mapping[str, Any], where: str) -> dict[str, Any] | None:
        """The video of one camera; None when the camera did not see the episode."""
        place = f"videos/{camera.key}"
        chunk, file = row.get(f"{place}/chunk_index"), row.get(f"{place}/file_index")
        if chunk is None and file is None:
            return None
        numbers = _whole(chunk), _whole(file)
        if numbers[0] is None or numbers[1] is None:
            self._told.drop("the number of a video file is not a whole number", FILE, where=where)
            return None
        url = self._url(video_file(camera, numbers[0], numbers[1]))
        content: dict[str, Any] = {"name": f"{camera.content_name}.mp4"}
        if url is not None:
            content["url"] = url
        content |= self._sizes[camera.key]
        for key, name in (("fromTimestamp", "from_timestamp"), ("toTimestamp", "to_timestamp")):
            stated = row.get(f"{place}/{name}")
            time = _number(stated)
            if time is not None:
                content[key] = time
            elif stated is not None:
                self._told.notice("a time in its video is no number, and was left out", _EPISODE, where=where)
        return content

    def _url(self, video: Path) -> str | None:
        if video not in self._urls:
            path = video.resolve()
            self._urls[video] = path.as_uri() if path.is_file() and path.is_relative_to(self._inside) else None
            if self._urls[video] is None:
                where = video.relative_to(self._root).as_posix()
                self._told.drop("the video is not in the data set", FILE, where=where)
        return self._urls[video]

    def labels(self) -> Labels:
        self._told.found(len(self._tasks), 0)
        tasks = [self._tasks[index] for index in sorted(self._tasks)]
        return Labels(fastlabel.from_fastlabel(tasks).tasks, origin={"format": "lerobot"})


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MOST:
        return None
    return float(value) if math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number.is_integer() else None


def _size(features: Any, key: str) -> dict[str, int]:
    """Width and height of a camera's pictures, as far as ``info.json`` says: by the video's own words, or the shape of
    the feature."""
    feature = features.get(key) if isinstance(features, dict) else None
    if not isinstance(feature, dict):
        return {}
    said = feature.get("info") or feature.get("video_info")
    size = {}
    if isinstance(said, dict):
        size = {side: _whole(said.get(f"video.{side}")) for side in ("width", "height")}
    if not all(size.values()) or not size:
        shape, names = feature.get("shape"), feature.get("names")
        if isinstance(shape, list) and isinstance(names, list) and len(shape) == len(names):
            by_name = {name: _whole(length) for name, length in zip(names, shape, strict=True) if isinstance(name, str)}
            size = {side: by_name.get(side, by_name.get(side[0])) for side in ("width", "height")}
    return {side: length for side, length in size.items() if length is not None and 0 < length <= _PIXELS}


def _splits(said: Any) -> list[tuple[str, int, int]]:
    """Name, first episode and the one behind the last of every split: ``{"train": "0:50"}``."""
    found = []
    for name, span in said.items() if isinstance(said, dict) else ():
        first, colon, last = span.partition(":") if isinstance(span, str) else ("", "", "")
        plain = all(side.isascii() and side.isdigit() and len(side) <= _DIGITS for side in (first, last))
        if colon and plain and name and encodable(name):
            found.append((name, int(first), int(last)))
    return found


FORMAT = Format(
    name="lerobot",
    summary="LeRobot data sets (v3), an episode per task",
    index=INFO,
    read=read_lerobot,
    per_picture=False,
)
