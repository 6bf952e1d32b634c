"""The images of a YOLO dataset and the label file of each, found by listing every folder once."""

# Paths are plain text here: for a hundred thousand files, Path objects take longer than the disk.
# ruff: noqa: PTH113, PTH118, PTH120, PTH123, PTH206

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
from fastlabel_dagster.formats.label_files import is_text, label_name
from fastlabel_dagster.formats.yolo.dataset import Dataset, Part, is_within
from fastlabel_dagster.labels.report import FILE, IMAGE, ReadTally

#: Folders of labels, where images lie in ``images``.
_LABEL_FOLDERS = ("labels", "annotations")


class Item(NamedTuple):
    """An image with its label file, or one of the two alone."""

    part: str
    name: str
    """The image's path below its part's folder; without an image, the label file's without its extension."""
    image: str | None
    """Absolute path."""
    label: str | None


class _Searched(NamedTuple):
    """Whose label files lie in a folder."""

    part: str
    above: str
    """What stands before their names: the path of their images' folder below the part's, with a slash behind it."""


class DatasetFiles:
    """The files below a dataset's folder. Links that lead out of it are left out, links to folders not followed."""

    def __init__(self, dataset: Dataset, told: ReadTally) -> None:
        self._dataset, self._root, self._told = dataset, dataset.root, told
        self._listed: dict[str, tuple[list[str], list[str]]] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._folders_of: dict[str, list[str]] = {}
        #: Of listed images that are not here: the list and its line -> part.
        self._absent: dict[tuple[str, str], str] = {}
        self._lists: set[str] = {dataset.class_list} if dataset.class_list else set()

    def below(self, path: str) -> str:
        """The path below the dataset's folder, for people."""
        return os.path.relpath(path, self._root).replace(os.sep, "/")

    def items(self) -> Iterator[Item]:
        """Every image with its label file, part by part, then the label files without an image: those of listed images
        that are not here, and what else lies in the folders of label files."""
        used: set[str] = set()
        met: set[str] = set()
        own: dict[str, _Searched] = {}
        shared: dict[str, _Searched] = {}
        for part in self._dataset.parts:
            if os.path.isfile(part.place):
                self._lists.add(part.place)
        tags = {} if self._dataset.described else self._tags()
        for part in self._dataset.parts:
            tables: dict[str, list[dict[str, str]]] = {}
            if not os.path.isfile(part.place):
                self._search(part.place, part, "", own, shared)
            for name, image in self._images(part):
                if image in met:
                    several = "an image that several parts name became a task in each"
                    self._told.notice(several, IMAGE, where=self.below(image))
                met.add(image)
                folder, _, file = image.rpartition(os.sep)
                if folder not in tables:
                    places = self._search(folder, part, name[: name.rfind("/") + 1], own, shared)
                    tables[folder] = [self._labels_in(place) for place in places]
                stem = file[: file.rindex(".")]
                label = next((table[stem] for table in tables[folder] if stem in table), None)
                if label is not None:
                    used.add(label)
                yield Item(tags.get(image, part.name), name, image, label)
        listed: dict[str, tuple[str, str]] = {}
        for (place, line), name in self._absent.items():
            path, label = self._label_at(place, line) or ("", "")
            if label and label not in used and label not in listed and (_is_image(path) or not self._dataset.described):
                listed[label] = (name, path)
            elif self._dataset.described:
                self._told.drop("a listed image is not in the dataset's folder", IMAGE, where=line[:200])
        if self._dataset.described:
            for label, (name, path) in listed.items():
                used.add(label)
                yield Item(name, _name_of(self.below(path)), None, label)
        yield from self._alone({**shared, **own}, used, listed)

    def _search(
        self, folder: str, part: Part, above: str, own: dict[str, _Searched], shared: dict[str, _Searched]
    ) -> list[str]:
        """Where label files of images in ``folder`` may lie, the likeliest first. Whose these places are is noted, in
        ``own`` where they belong to this folder alone and in ``shared`` where to all parts."""
        places = self._own_label_folders(folder)
        for place in places:
            own.setdefault(place, _Searched(part.name, above))
        fallback = [] if os.path.isfile(part.place) else self._shared_label_folders(folder, part)
        for place in fallback:
            shared.setdefault(place, _Searched(part.name, above))
        return list(dict.fromkeys([*places, *fallback]))

    def _alone(
        self, searched: dict[str, _Searched], used: set[str], listed: dict[str, tuple[str, str]]
    ) -> Iterator[Item]:
        """The label files that no image ``used``. Each belongs to the innermost of the places it lies in: what lies in
        ``labels/val`` is not what ``labels`` holds for every part. ``listed``: label file -> the part of its image, and
        where that would lie."""
        seen: set[str] = set()
        for place in sorted(searched, key=lambda place: -place.count(os.sep)):
            part, above = searched[place]
            for folder, _ in self._walk(place):
                if folder in seen:
                    continue
                seen.add(folder)
                for label in self._labels_in(folder).values():
                    if label not in used:
                        stem = os.path.relpath(label, place).replace(os.sep, "/").rpartition(".")[0]
                        name, image = listed.get(label, (part, ""))
                        ending = image[image.rfind(".") :] if _is_image(image) else ""
                        yield Item(name, above + stem + ending, None, label)

    def _images(self, part: Part) -> Iterator[tuple[str, str]]:
        """Name and path of each image of a part, in a fixed order."""
        if os.path.isfile(part.place):
            yield from self._listed_images(part)
            return
        found = []
        for folder, names in self._walk(part.place):
            above = "" if folder == part.place else os.path.relpath(folder, part.place).replace(os.sep, "/") + "/"
            found += [(above + name, f"{folder}{os.sep}{name}") for name in names if _is_image(name)]
        yield from sorted(found)

    def _listed_images(self, part: Part) -> Iterator[tuple[str, str]]:
        seen = set()
        for line in _lines_of(part.place):
            path = self._image_at(part.place, line)
            if path is None:
                self._absent.setdefault((part.place, line), part.name)
            elif path not in seen:
                seen.add(path)
                yield _name_of(self.below(path)), path

    def _image_at(self, listed_in: str, line: str) -> str | None:
        """The image a list names: as seen from the list, from the dataset's folder, or by the end of its path."""
        for path in self._places_of(listed_in, line):
            if _is_image(path) and os.path.isfile(path):
                return path if is_within(path, self._root) else None
        return None

    def _label_at(self, listed_in: str, line: str) -> tuple[str, str] | None:
        """Where the image a list names would lie, and its label file, which is there without it."""
        for path in self._places_of(listed_in, line):
            folder, _, name = path.rpartition(os.sep)
            for place in self._label_folders(folder):
                label = self._labels_in(place).get(label_name(name, ""))
                if label is not None:
                    return path, label
        return None

    def _places_of(self, listed_in: str, line: str) -> Iterator[str]:
        """Where the image a list names may lie: as seen from the list, from the dataset's folder, or by the end of its
        path."""
        if "\0" in line:
            return
        line = line.replace("\\", "/")
        tails = line.split("/")
        yield from self._inside(os.path.join(os.path.dirname(listed_in), line))
        yield from self._inside(os.path.join(self._root, line))
        for start in range(1, min(len(tails), 32)):
            yield from self._inside(os.path.join(self._root, *tails[start:]))

    def _inside(self, place: str) -> Iterator[str]:
        path = os.path.normpath(place)
        if path.startswith(self._root + os.sep):
            yield path

    def _tags(self) -> dict[str, str]:
        """Image -> the part that lists it, for the lists (``train.txt``) beside a list of classes: those the data file
        names, and what else begins with the name of an image."""
        tags: dict[str, str] = {}
        for name in self._list(self._root)[0]:
            path = os.path.join(self._root, name)
            if name.lower().endswith(".txt") and path != self._dataset.class_list:
                own = self._dataset.lists.get(name)
                if own is None and _is_image(next(iter(_lines_of(path, 1)), "")):
                    part = name.rpartition(".")[0]
                    # FiftyOne's images.txt lists those of all parts.
                    own = {"valid": "val", "images": ""}.get(part, part)
                if own is not None:
                    self._lists.add(path)
                    for line in _lines_of(path) if own else ():
                        image = self._image_at(path, line)
                        if image is not None:
                            tags.setdefault(image, own)
                        else:
                            self._absent.setdefault((path, line), own)
        return tags

    def _own_label_folders(self, folder: str) -> list[str]:
        """Where only label files of images in ``folder`` lie: in ``labels`` where the image is in ``images``, or beside
        the image."""
        below = os.path.relpath(folder, self._root).split(os.sep)
        places = []
        for name in _LABEL_FOLDERS:
            for index in reversed(range(len(below))):
                if below[index] == "images":
                    places.append(os.path.join(self._root, *below[:index], name, *below[index + 1 :]))
                    break
        return [*places, folder]

    def _label_folders(self, folder: str) -> list[str]:
        """Where label files of images that would lie in ``folder`` may be."""
        places = self._folders_of.get(folder)
        if places is None:
            below = [] if folder == self._root else os.path.relpath(folder, self._root).split(os.sep)
            found = [
                [*below[:index], name, *below[index + 1 :]]
                for index in reversed(range(len(below)))
                if below[index] == "images"
                for name in _LABEL_FOLDERS
            ]
            found += [below, *([name, *below] for name in _LABEL_FOLDERS)]
            places = self._folders_of[folder] = [os.path.join(self._root, *parts) for parts in found]
        return places

    def _shared_label_folders(self, folder: str, part: Part) -> list[str]:
        """Where label files of all parts may lie: in a folder ``labels`` (``annotations``) of the dataset."""
        inner = os.path.relpath(folder, part.place)
        return [os.path.normpath(os.path.join(self._root, name, inner)) for name in _LABEL_FOLDERS]

    def _labels_in(self, folder: str) -> dict[str, str]:
        """Stem -> path of the label files of one folder."""
        found = self._labels.get(folder)
        if found is None:
            found = self._labels[folder] = {}
            for name in self._list(folder)[0]:
                path = f"{folder}{os.sep}{name}"
                if name[-4:].lower() == ".txt" and path not in self._lists:
                    found[name[:-4]] = path
        return found

    def _walk(self, folder: str) -> Iterator[tuple[str, list[str]]]:
        waiting = [folder]
        while waiting:
            place = waiting.pop()
            names, folders = self._list(place)
            waiting += [f"{place}{os.sep}{name}" for name in reversed(folders)]
            yield place, names

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the files and of the folders in ``folder``, sorted; none where it is no folder of the dataset."""
        found = self._listed.get(folder)
        if found is None:
            found = self._listed[folder] = ([], [])
            try:
                with os.scandir(folder) as entries:
                    if not is_within(folder, self._root):
                        return found
                    for entry in entries:
                        self._sort_in(entry, *found)
            except (FileNotFoundError, NotADirectoryError):
                return found
            except OSError as error:
                self._told.drop("a folder cannot be read", FILE, where=f"{self.below(folder)}: {error.strerror}")
            for names in found:
                names.sort()
        return found

    def _sort_in(self, entry: os.DirEntry[str], files: list[str], folders: list[str]) -> None:
        if not entry.name.isascii() and not is_text(entry.name):
            self._told.drop("the name of the file is no text", FILE, where=ascii(self.below(entry.path)))
        elif entry.is_symlink():  # asked by its path, for one that leads to itself is an error for the entry
            if Path(entry.path).is_dir():
                self._told.notice("a link to a folder is not followed", FILE, where=self.below(entry.path))
            elif not is_within(entry.path, self._root):
                self._told.drop("a link leads out of the dataset's folder", FILE, where=self.below(entry.path))
            elif Path(entry.path).is_file():
                files.append(entry.name)
        elif entry.is_dir():
            folders.append(entry.name)
        elif entry.is_file():
            files.append(entry.name)


def _is_image(name: str) -> bool:
    dot = name.rfind(".")
    return dot >= 0 and name[dot:].lower() in IMAGE_SUFFIXES


def _name_of(path: str) -> str:
    """The image's path below the last folder ``images``."""
    folder, found, rest = f"/{path}".rpartition("/images/")
    return rest if found and (folder or rest) else path


def _lines_of(path: str, most: int | None = None) -> Iterable[str]:
    """The lines of a list of images that are not blank, at most ``most``."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        count = 0
        while most is None or count < most:
            line = file.readline(65536)
            if not line:
                return
            if line.strip():
                count += 1
                yield line.strip()
