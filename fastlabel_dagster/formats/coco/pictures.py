"""Where the pictures of a COCO file lie, if they do: each folder is listed once, not asked once per picture."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastlabel_dagster.formats.coco.files import CocoFile
from fastlabel_dagster.formats.found_pictures import IMAGE_FOLDERS

#: Names that are their own quotation, as most are.
_UNRESERVED = re.compile(r"[A-Za-z0-9._-]+")
#: Paths of another machine and addresses, as Label Studio writes them: ``/data/upload/1/a.jpg``, ``../media/a.jpg``.
_ELSEWHERE = re.compile(r"/|\.\./|[A-Za-z][A-Za-z0-9+.-]*:")
_MOST_PARTS = 32


def ends_of(lists: Iterable[Any]) -> Counter[str]:
    """How many different names of pictures, in some files' lists of images, end alike behind their folders."""
    images = (one for images in lists for one in images or () if isinstance(one, dict))
    named = {name for one in images if isinstance(name := one.get("file_name"), str)}
    return Counter(_path(one).rpartition("/")[2] for one in named)


class PictureFinder:
    """The pictures beside one annotation file: ``images/``, the folders of its part, its own folder."""

    def __init__(self, file: CocoFile, ends: Counter[str] | None) -> None:
        """``ends``: those of the pictures of all files, which look in the same folders; None: there is one file."""
        self._root = os.path.realpath(file.root)
        self._folders = [os.fspath(folder) for folder in dict.fromkeys(_image_folders(file)) if folder.is_dir()]
        #: Folder -> the names of the files in it, and the folder's URI; links count only when they stay inside.
        self._listed: dict[str, tuple[set[str], str]] = {}
        self._images = file.content.get("images")
        self._ends = ends

    def url_of(self, file_name: str) -> str | None:
        """The file URI of a picture, None when it is not there or not inside the dataset's folder. One whose name leads
        elsewhere is looked for by the end of that, where no other is called alike."""
        found = self._at(file_name)
        if found is None and _ELSEWHERE.match(file_name):
            parts = [part for part in _path(file_name).split("/") if part not in ("", ".", "..")][-_MOST_PARTS:]
            if parts and self._is_only(parts[-1]):
                found = next(filter(None, (self._at("/".join(parts[start:])) for start in range(len(parts)))), None)
        return found

    def _is_only(self, end: str) -> bool:
        """Whether a single picture is called so, whatever stands before it."""
        if self._ends is None:
            self._ends = ends_of([self._images])
        return self._ends[end] == 1

    def _at(self, file_name: str) -> str | None:
        folder, _, name = file_name.rpartition("/")
        if not name or "\0" in file_name:
            return None
        for place in self._folders:
            names, uri = self._list(f"{place}/{folder}" if folder else place)
            if name in names:
                return uri + (name if _UNRESERVED.fullmatch(name) else quote(name))
        return None

    def urls_of(self, file_names: list[str]) -> list[str | None]:
        """The same for many."""
        together = "".join(file_names)
        if "/" not in together and "\0" not in together and "" not in file_names:
            places = [self._list(place) for place in self._folders]
            wanted = set(file_names)
            holding = [(names, uri) for names, uri in places if not names.isdisjoint(wanted)]
            if not holding:
                return [None] * len(file_names)
            if len(holding) == 1:
                ((held, uri),) = holding
                quoted = file_names if _UNRESERVED.fullmatch(together) else map(quote, file_names)
                return [uri + text if name in held else None for name, text in zip(file_names, quoted, strict=True)]
        return [self.url_of(name) for name in file_names]

    def _list(self, folder: str) -> tuple[set[str], str]:
        known = self._listed.get(folder)
        if known is None:
            known = self._listed[folder] = self._look_into(folder)
        return known

    def _look_into(self, folder: str) -> tuple[set[str], str]:
        real = os.path.realpath(folder)
        if not self._holds(real):
            return set(), ""
        try:
            with os.scandir(real) as entries:
                names = {
                    entry.name
                    for entry in entries
                    if not entry.name.endswith(".json")  # labels, though an image may be called like them
                    and (entry.is_file(follow_symlinks=False) or (entry.is_symlink() and self._is_picture(entry)))
                }
        except OSError:  # no such folder: nothing lies in it
            return set(), ""
        return names, Path(real).as_uri().rstrip("/") + "/"

    def _is_picture(self, entry: os.DirEntry[str]) -> bool:
        """Whether a link leads to a file of the dataset."""
        # One that leads to itself is an error for the entry.
        return Path(entry.path).is_file() and self._holds(os.path.realpath(entry.path))

    def _holds(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root.rstrip("/") + "/")


def _path(name: str) -> str:
    """The name of a picture as a path; an address may have a query behind it."""
    return (name.partition("?")[0] if "://" in name else name).replace("\\", "/")


def _image_folders(file: CocoFile) -> Iterator[Path]:
    yield file.path.parent
    yield file.root / "images"
    yield file.root
    for part in dict.fromkeys([file.split, file.tag]):
        if part:
            yield file.root / "images" / part
            yield file.root / part
            yield file.root / part / "images"
    for name in IMAGE_FOLDERS:  # FiftyOne has its pictures in data/, converters of Pascal VOC in JPEGImages/
        yield file.path.parent / name
        yield file.root / name
