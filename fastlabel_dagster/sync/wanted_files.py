"""Which files the tasks of a project should have on disk, and how those are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.labels.content_names import content_id, content_names
from fastlabel_dagster.labels.picture_plan import is_name_of_video
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import disk_names

_SUFFIXES = {
    *(".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    *(".mp4", ".txt", ".mp3", ".wav", ".m4a", ".pcd", ".zip"),
}


class WantedFile(NamedTuple):
    """A file a task should have.

    Attributes:
        key: what the index calls it: the task's id, or ``<task id>/<content>`` for one of several.
        task_id: the task.
        content: which of the task's contents; None for the task's own file.
        name: the task's, or ``<task name>/<content>``.
        file: where it belongs, below the image folder.
        width, height: in pixels, as the task states them.
    """

    key: str
    task_id: str
    content: str | None
    name: str
    file: str
    width: int | None
    height: int | None


def wanted_files(labels: Labels, modality: Modality) -> dict[str, WantedFile]:
    """Every file by its key, in the order the tasks were created and in which each lists its contents.

    A task with contents has those and no file of its own. One without has one, where the kind of task is made from
    one at all; a sequence of point clouds has none, as the API hands out no links to them.

    File names are made safe and unique by ``store.disk_names``, so a later task never renames the file of an earlier
    one.
    """
    columns = ["task_id", "name", "width", "height", "contents", "created_at"]
    batches = list(labels.batches(columns))
    if not batches:
        return {}
    table = pa.concat_tables(batches)
    table = table.take(pc.sort_indices(table, [("created_at", "ascending"), ("task_id", "ascending")]))
    found: dict[str, WantedFile] = {}
    alone = modality.source not in ("folder", "nothing")
    rows = zip(*(table[column].to_pylist() for column in columns[:-1]), strict=True)
    for task_id, name, width, height, contents in rows:
        own = name or task_id
        if contents:
            sizes = [(each["width"] or width, each["height"] or height) for each in contents]
            for content, size in zip(names_of_contents([each["name"] for each in contents]), sizes, strict=True):
                key = content_id(task_id, content)
                found.setdefault(key, WantedFile(key, task_id, content, f"{own}/{content}", "", *size))
        elif alone:
            found.setdefault(task_id, WantedFile(task_id, task_id, None, own, "", width, height))
    stemmed = [_with_stem(each.name, each.task_id) for each in found.values()]
    files = disk_names(stemmed, list(found))
    return {key: wanted._replace(file=file) for (key, wanted), file in zip(found.items(), files, strict=True)}


def names_of_contents(names: Sequence[str | None]) -> list[str]:
    """What the contents of a task are called, in their order.

    Pictures are called as :func:`~fastlabel_dagster.labels.single_pictures.single_pictures` calls them, which passes
    over videos; so those get their names afterwards.
    """
    video = [is_name_of_video(name or "") for name in names]
    pictures = content_names([name for name, other in zip(names, video, strict=True) if not other])
    videos = content_names([name for name, other in zip(names, video, strict=True) if other], pictures)
    remaining = {True: iter(videos), False: iter(pictures)}
    return [next(remaining[other]) for other in video]


def links_of(task: Mapping[str, Any]) -> dict[str | None, str]:
    """The links in a task's JSON: by what each of its contents is called, its own under None."""
    contents = task.get("contents")
    listed = [each if isinstance(each, dict) else {} for each in contents] if isinstance(contents, list) else []
    stated = [name if isinstance(name := each.get("name"), str) else None for each in listed]
    found: dict[str | None, Any] = {None: task.get("url")}
    found.update(zip(names_of_contents(stated), (each.get("url") for each in listed), strict=True))
    return {content: url for content, url in found.items() if isinstance(url, str) and url}


def _with_stem(name: str, task_id: str) -> str:
    """The name, but for one that is a suffix and nothing else: ``.png`` made safe would be ``_png``, no picture to
    anybody; with the task's id before it, it stays one."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{task_id}{last}" if last.lower() in _SUFFIXES else name
