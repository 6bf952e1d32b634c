"""Where a dataset with a text file per picture (KITTI, DOTA) has its files, and which tasks they make.

``labels/`` beside ``pictures/`` (each format has its own names for the two), in the dataset's folder itself or, with
parts, in a folder for each: ``train/labels/sub/a.txt`` speaks of ``train/pictures/sub/a.png``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.label_files import label_name, suffix_of
from fastlabel_dagster.formats.report import FILE, IMAGE
from fastlabel_dagster.formats.splits import PART_OF_TAG
from fastlabel_dagster.labels.report import ReadTally

#: Text files that lie beside label files in many datasets and are none.
_NO_LABELS = frozenset({"classes.txt", "labels.txt", "readme.txt", "README.txt", "train.txt", "val.txt", "test.txt"})
#: What folders of pictures are called beside a format's own.
_PICTURES = frozenset({"images", "image", "imgs", "img", "JPEGImages"})
_LISTS = frozenset({"train.txt", "val.txt", "trainval.txt", "test.txt"})
_UNREAD_LIST = "a list of pictures was not read: parts are folders here"
_SECOND = "a second label file of a picture, which became a task without it"
_ELSEWHERE = "a picture without a label file, in a folder of other pictures, was not read"


@dataclass(frozen=True)
class Layout:
    """What a format calls its folders."""

    format: str
    labels: str
    pictures: str
    also: tuple[str, ...] = ()
    """Other names of the folder of labels that datasets in the wild have, looked for where the first is not there."""


class Task(NamedTuple):
    """A task a dataset has: its label file, its picture, or both."""

    name: str
    part: str
    label: str | None
    """POSIX path of its label file below the dataset's folder."""
    picture: Path | None


class LabelFile(NamedTuple):
    """A label file, and where it lies."""

    part: str
    """POSIX path of the folder of its part below the dataset's, "" for itself."""
    inner: str
    """POSIX path below the folder of labels."""
    path: str
    """POSIX path below the dataset's folder."""


def label_files(listing: list[tuple[str, list[str]]], layout: Layout) -> list[LabelFile]:
    """The label files, in a fixed order."""
    listed = [(folder, [name for name in names if suffix_of(name) == ".txt"]) for folder, names in listing]
    for known in (layout.labels, *layout.also):
        found = []
        for folder, names in listed:
            above = folder.split("/")
            place = next((at for at, name in enumerate(above) if name == known or name.startswith(f"{known}-")), None)
            if place is not None:
                part, inside = "/".join(above[:place]), above[place + 1 :]
                found += [LabelFile(part, "/".join([*inside, name]), f"{folder}/{name}") for name in names]
        if found:
            return sorted(found)
    return [
        LabelFile("", name, name) for folder, names in listed if not folder for name in names if name not in _NO_LABELS
    ]


def tell_of_lists(listing: list[tuple[str, list[str]]], files: list[LabelFile], told: ReadTally) -> None:
    """Tell of text files that say which pictures are of which part, as in KITTI's ``ImageSets/``."""
    labels = {file.path for file in files}
    for folder, names in listing:
        for name in names:
            path = f"{folder}/{name}" if folder else name
            if name.lower() in _LISTS and path not in labels:
                told.notice(_UNREAD_LIST, FILE, where=path)


def tasks_of(root: Path, files: list[LabelFile], index: PictureIndex, layout: Layout, told: ReadTally) -> list[Task]:
    """A task for each label file, and for each picture without one that lies where pictures do: not those of another
    camera (KITTI's ``image_3``), of depths or masks. The names differ."""
    return _named_apart(_tasks(root, files, index, layout, told))


def _tasks(root: Path, files: list[LabelFile], index: PictureIndex, layout: Layout, told: ReadTally) -> Iterator[Task]:
    used: set[Path] = set()
    homes = {file.path.rpartition("/")[0] for file in files}
    for file in files:
        picture = index.find(root / file.path)
        if picture is not None and picture not in used:
            used.add(picture)
            place = index.path_of(picture)
            homes.add(place.rpartition("/")[0])
            yield Task(_name(place, file.part, layout), file.part, file.path, picture)
        else:
            if picture is not None:
                told.notice(_SECOND, FILE, where=file.path)
            yield Task(label_name(file.inner, ""), file.part, file.path, None)
    named = _PICTURES | {layout.pictures}
    for path in index:
        picture = index.root / path
        if picture in used:
            continue
        folder = path.rpartition("/")[0]
        if files and folder not in homes and named.isdisjoint(folder.split("/")):
            told.notice(_ELSEWHERE, IMAGE, where=path)
            continue
        part = next(_part_of(path, layout), "")
        yield Task(_name(path, part, layout), part, None, picture)


def _part_of(path: str, layout: Layout) -> Iterator[str]:
    above = path.split("/")[:-1]
    for place, name in enumerate(above):
        if name in (layout.pictures, "images"):
            yield "/".join(above[:place])


def _name(path: str, part: str, layout: Layout) -> str:
    """The path of a picture below the folder of pictures."""
    inner = path.removeprefix(f"{part}/") if part else path
    for folder in (layout.pictures, "images"):
        if inner.startswith(f"{folder}/"):
            return inner.removeprefix(f"{folder}/")
    return inner


def tag_of(part: str) -> str:
    """The tag of a task in a folder of this part."""
    last = part.rpartition("/")[2]
    return PART_OF_TAG.get(last.lower(), part)


def _named_apart(tasks: Iterator[Task]) -> list[Task]:
    """Tasks whose name another has too get their part in front, and a number where that is not enough."""
    listed = list(tasks)
    counts: dict[str, int] = {}
    for task in listed:
        counts[task.name] = counts.get(task.name, 0) + 1
    taken: set[str] = set()
    result = []
    for task in listed:
        stem = name = f"{task.part}/{task.name}" if counts[task.name] > 1 and task.part else task.name
        number = 1
        while name in taken:
            number += 1
            name = f"{stem} ({number})"
        taken.add(name)
        result.append(task._replace(name=name))
    return result
