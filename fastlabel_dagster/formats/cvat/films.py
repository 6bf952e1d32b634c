"""The videos a file of tracks speaks of: that of a task or a job, or of a project all of its tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from fastlabel_dagster.formats.cvat.labels import text_of
from fastlabel_dagster.formats.cvat.tracks import LAST_FRAME, Track

#: What CVAT calls the mode of a task that is a video.
_FILM = "interpolation"
_STEP = re.compile(r"step=([0-9]{1,9})")


class Film(NamedTuple):
    """A video, as a file says of it; numbers as they stand there."""

    task: str
    """CVAT's id of its task, empty where the tracks do not name it."""
    name: str
    subset: str
    width: str
    height: str
    frame_count: int
    tracks: list[Track]


def films_of(meta: Element | None, tracks: Sequence[Track], *, unnamed: str) -> Iterator[Film]:
    """The videos of a file, in the order of the tracks, and behind them those without a track.

    Tracks of a project name their task. Their frames go on counting from one task of a subset to the next: here each
    video's begin where its own task begins.

    Args:
        meta: the file's ``<meta>``.
        tracks: all of the file.
        unnamed: what a video is called that says no name.
    """
    listed = {text_of(task, "id"): task for task in _holders(meta) if text_of(task, "id")}
    by_task: dict[str, list[Track]] = {}
    for track in tracks:
        by_task.setdefault(track.task, []).append(track)
    if "" not in by_task:
        by_task |= {one: [] for one, task in listed.items() if one not in by_task and text_of(task, "mode") == _FILM}
    offsets = _offsets(listed)
    for one, found in by_task.items():
        mine = found
        task = listed.get(one, None if one else meta)
        if task is not None and len(listed) < 2:
            task = meta  # what a job does not say stands beside it
        subset = next((track.subset for track in mine if track.subset), "")
        if not subset and len(listed) > 1:
            subset = _said(task, "subset")
        first = min((frame["frame"] for track in mine for frame in track.frames), default=1) - 1
        begin = offsets.get(one, 0)
        if 0 < begin <= first:
            mine = [track._replace(frames=[_moved(frame, begin) for frame in track.frames]) for track in mine]
        last = max((frame["frame"] for track in mine for frame in track.frames), default=0)
        count = max(_whole(_said(task, "size")), _whole(_said(task, "stop_frame")) + 1, last)
        name = _said(task, "source") or _said(task, "name") or unnamed
        yield Film(one, name, subset, _said(task, "width"), _said(task, "height"), count, mine)


def _holders(meta: Element | None) -> Iterator[Element]:
    """What a file says of its tasks, or of its job."""
    if meta is not None:
        yield from meta.iter("task")
        yield from meta.iter("job")


def _offsets(tasks: Mapping[str, Element]) -> dict[str, int]:
    """Id of a task -> how far its frames are moved: by those of the tasks before it in its subset."""
    reached: dict[str, int] = {}
    offsets = {}
    for identity, task in tasks.items():
        subset = text_of(task, "subset")
        offsets[identity] = reached.get(subset, 0)
        step = _STEP.search(text_of(task, "frame_filter"))
        frames = _whole(text_of(task, "size")) * (int(step[1]) if step else 1)
        reached[subset] = offsets[identity] + _whole(text_of(task, "start_frame")) + frames
    return offsets


def _moved(frame: dict[str, Any], begin: int) -> dict[str, Any]:
    return frame | {"frame": frame["frame"] - begin}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 and int(text) < LAST_FRAME else 0


def _said(task: Element | None, name: str) -> str:
    """The text of a task's field, or of the size of its frames."""
    if task is None:
        return ""
    for place in (f"./{name}", f".//task/{name}", f".//job/{name}", f".//original_size/{name}"):
        found = task.find(place)
        if found is not None and found.text and found.text.strip():
            return found.text.strip().replace("\\", "/")
    return ""
