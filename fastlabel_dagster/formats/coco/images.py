"""The images of COCO files as tasks: each name once, each with its picture where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fastlabel_dagster.formats.assembly import stable_id, tasks_table
from fastlabel_dagster.formats.coco.columns import is_id
from fastlabel_dagster.formats.coco.files import CocoFile
from fastlabel_dagster.formats.coco.pictures import PictureFinder, ends_of
from fastlabel_dagster.formats.outlines import FARTHEST
from fastlabel_dagster.formats.report import IMAGE
from fastlabel_dagster.formats.unread import SAYS_NOTHING
from fastlabel_dagster.labels.report import ReadTally

_READ = frozenset(("id", "file_name", "width", "height", "task_id", "task_name", "tags"))
#: Where a picture is from, as COCO's own files say; programs that do not know write 0.
_ORIGIN = frozenset(("license", "coco_url", "flickr_url", "date_captured"))
_ADDRESS = "coco_url"
_MOST_UNREAD = 100
UNREAD_OF_IMAGE = "images with a field that FastLabel has no place for, which was not read"
_UNFIT = "a task_id, task_name or tags that are not what our exports write were left out"
_SEVERAL = "an image that several files list became a task for each"
_SAME_ID = "images whose task id another image has already: they got one of their own"
_NO_SIDE = "a width or height that is not a whole number of pixels was left out, or rounded down"


class TaskRows:
    """The tasks of all files of a dataset, in the order of the files and their images."""

    def __init__(self, files: Sequence[CocoFile], told: ReadTally) -> None:
        self._told = told
        self._repeated = _repeated_names(files)
        self._ends = ends_of(file.content["images"] for file in files) if len(files) > 1 else None
        self._ids: set[str] = set()
        #: Of names that are repeated: picture -> the file that listed it first.
        self._met: dict[str, str] = {}
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("task_id", "name", "width", "height", "tags", "url")
        }

    def __len__(self) -> int:
        return len(self._columns["task_id"])

    def size(self, row: int) -> tuple[int | None, int | None]:
        """Width and height of a task's picture in pixels, where the file says."""
        return self._columns["width"][row], self._columns["height"][row]

    def fits(self, row: int, size: tuple[int, int]) -> bool:
        """Whether ``size`` (width, height) is that of a task's picture; it becomes it where the file does not say."""
        for name, side in zip(("width", "height"), size, strict=True):
            if self._columns[name][row] is None:
                self._columns[name][row] = side
        return self.size(row) == size

    def table(self, annotations: pa.Array) -> pa.Table:
        """All tasks with their ``annotations``."""
        return tasks_table({**self._columns, "annotations": annotations})

    def read(self, file: CocoFile) -> dict[Any, int]:
        """Add the images of ``file``, and give up its list of them. Returns image id -> row."""
        pictures = PictureFinder(file, self._ends)
        images = file.content.pop("images")
        all_at_once = self._read_plain(file, images, pictures)
        if all_at_once is not None:
            return all_at_once
        rows: dict[Any, int] = {}
        row_of_name: dict[str, int] = {}
        columns, told = self._columns, self._told
        prefix = f"{file.split}/" if file.split else ""
        for place, image in enumerate(images, start=1):
            name = _file_name(image) if isinstance(image, dict) else None
            if name is None or not is_id(image.get("id")):
                told.drop("images without an id or a file name", IMAGE, where=f"{file.name}, image #{place}")
                continue
            identity = image["id"]
            if identity in rows:
                told.drop("images whose id another image has already", IMAGE, where=f"{file.name}, {name}")
                continue
            if name in row_of_name:
                told.notice("images listed twice under one file name, read as one", IMAGE, where=f"{file.name}, {name}")
                rows[identity] = row_of_name[name]
                continue
            task_id = image.get("task_id")
            if isinstance(task_id, str) and task_id in self._ids:
                told.notice(_SAME_ID, IMAGE, where=f"{file.name}, {name}")
            if not (task_id and isinstance(task_id, str)) or task_id in self._ids:
                task_id = stable_id("coco", file.split, name)
            self._ids.add(task_id)
            rows[identity] = row_of_name[name] = len(columns["task_id"])
            columns["task_id"].append(task_id)
            task_name = image.get("task_name")
            if not (task_name and isinstance(task_name, str)):
                task_name = prefix + name if name in self._repeated else name
            columns["name"].append(task_name)
            for side in ("width", "height"):
                columns[side].append(_side(image.get(side)))
                if image.get(side) not in (None, columns[side][-1]):
                    told.notice(_NO_SIDE, IMAGE, where=f"{file.name}, {name}")
            self._tell_of_unread(file, [image])
            tags = image.get("tags")
            are_tags = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
            whole = all(isinstance(image.get(key) or "", str) for key in ("task_id", "task_name"))
            if not whole or (tags and not are_tags):
                told.notice(_UNFIT, IMAGE, where=f"{file.name}, {name}")
            if not tags or not are_tags:
                tags = [file.tag] if file.tag else []
            columns["tags"].append(tags)
            url = pictures.url_of(name)
            columns["url"].append(url)
            if url and name in self._repeated and self._met.setdefault(url, file.name) != file.name:
                told.notice(_SEVERAL, IMAGE, where=f"{file.name}, {name}")
        return rows

    def _read_plain(self, file: CocoFile, images: list[Any], pictures: PictureFinder) -> dict[Any, int] | None:
        """The same for images that all have an id, a file name and a size of their own, and are all alike; None when
        some are not, and nothing has been added."""
        if not images or set(map(type, images)) != {dict} or len(set(map(tuple, images))) > 1:
            return None
        first = images[0]
        if self._repeated or "tags" in first or "task_name" in first:
            return None
        try:
            ids, names, widths, heights = (
                [image[key] for image in images] for key in ("id", "file_name", "width", "height")
            )
            task_ids = [image["task_id"] for image in images] if "task_id" in first else None
        except KeyError:
            return None
        start, n = len(self), len(images)
        plain = (
            set(map(type, ids)) <= {int, str}
            and set(map(type, names)) == {str}
            and set(map(type, widths)) | set(map(type, heights)) == {int}
            and min(sides := {*widths, *heights}) >= 1
            and max(sides) <= FARTHEST
            and (task_ids is None or set(map(type, task_ids)) == {str})
        )
        if not plain or "\\" in "".join(names) or len(set(ids)) < n or len(set(names)) < n or "" in names:
            return None
        if task_ids is None:
            task_ids = [stable_id("coco", file.split, name) for name in names]
        if "" in task_ids or len(set(task_ids)) < n or not self._ids.isdisjoint(task_ids):
            return None
        self._ids.update(task_ids)
        self._tell_of_unread(file, images)
        tags = [file.tag] if file.tag else []
        more = {"task_id": task_ids, "name": names, "width": widths, "height": heights, "tags": [tags] * n}
        for name, values in {**more, "url": pictures.urls_of(names)}.items():
            self._columns[name].extend(values)
        return dict(zip(ids, range(start, start + n), strict=True))

    def _tell_of_unread(self, file: CocoFile, images: list[dict[str, Any]]) -> None:
        """Say which fields of images with the same fields are not read."""
        read = _READ if "file_name" in images[0] else {*_READ, _ADDRESS}
        for name in [name for name in images[0] if name not in read][:_MOST_UNREAD]:
            nothing = (*SAYS_NOTHING, 0) if name in _ORIGIN else SAYS_NOTHING
            said = sum(image[name] not in nothing for image in images)
            self._told.notice(UNREAD_OF_IMAGE, IMAGE, where=f"{file.name}, {name}", count=said)


def _repeated_names(files: Sequence[CocoFile]) -> set[str]:
    """File names that occur in more than one file of the dataset."""
    if len(files) == 1:
        return set()
    first: dict[str, str] = {}
    repeated = set()
    for file in files:
        for image in file.content["images"]:
            name = _file_name(image) if isinstance(image, dict) else None
            if name is not None and first.setdefault(name, file.name) != file.name:
                repeated.add(name)
    return repeated


def _file_name(image: dict[str, Any]) -> str | None:
    name = image.get("file_name")
    if name is None and isinstance(address := image.get(_ADDRESS), str):
        name = address.partition("://")[2].partition("/")[2]  # what LVIS and the programs that read it call its file
    return name.replace("\\", "/") if isinstance(name, str) and name else None


def _side(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 1 <= value <= FARTHEST else None
