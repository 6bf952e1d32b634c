"""The pictures of a dataset that has a label file for each: found by the name the label file states, or by its own.

Label files speak of pictures in many ways: ``a.jpg``, ``sub/a.jpg``, ``..\\images\\a.jpg``, or the absolute path on
the machine of whoever drew the labels. And they lie in many places: beside the picture, in ``Annotations`` where the
picture is in ``JPEGImages``, in ``label_2`` where it is in ``image_2``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES, image_size
from fastlabel_dagster.formats.label_files import files_below, stem_of, suffix_of

#: What folders of pictures are called. None of them holds masks.
IMAGE_FOLDERS = ("images", "JPEGImages", "image_2", "image", "imgs", "img", "data", "obj_train_data")
#: Pictures in these folders are masks; only a label file beside them means them.
_MASK_FOLDERS = frozenset({"SegmentationClass", "SegmentationObject", "SegmentationClassPNG", "masks"})
_DRIVE = re.compile(r"^[A-Za-z]:")
_PLAIN_NAME = re.compile(r"\w[\w.-]*")
_MOST_PARTS = 32


class PictureIndex:
    """The pictures below a dataset's folder. The folder is listed once, when the first picture is asked for.

    Links to folders are not followed, and a link to a file outside the dataset's folder is no picture of it.
    """

    def __init__(self, root: Path, listing: Iterable[tuple[str, list[str]]] | None = None) -> None:
        """``listing``: what :func:`files_below` says of the folder, where somebody has asked already for pictures and
        others."""
        #: The dataset's folder, links resolved.
        self.root = Path(os.path.realpath(root))
        self._uri = self.root.as_uri().rstrip("/") + "/"
        self._listing = files_below(self.root, IMAGE_SUFFIXES) if listing is None else listing
        self._listed: dict[str, _Folder] | None = None
        #: Name -> the path of the only picture called so; None where several are.
        self._anywhere: dict[str, str | None] = {}
        self._places_of: dict[str, tuple[str, ...]] = {}
        self._likely_of: dict[str, list[tuple[str, _Folder]]] = {}
        self._home_of: dict[Path, str] = {}

    def find(self, label_file: Path, *, stated: str | None = None) -> Path | None:
        """The picture of ``label_file`` (which lies below ``root``): the one ``stated`` in it, or else the one called
        like it. None when the dataset has none. The path is absolute and inside ``root``."""
        home = self._folder_of(label_file)
        return self.find_at(f"{home}/{label_file.name}" if home else label_file.name, stated=stated)

    def find_at(self, place: str, *, stated: str | None = None) -> Path | None:
        """:meth:`find` for a label file by its POSIX path below ``root``."""
        found = self.place_at(place, stated=stated)
        return None if found is None else self.root / found

    def place_at(self, place: str, *, stated: str | None = None) -> str | None:
        """:meth:`find_at`, as a POSIX path below ``root``: readers of many small files need no ``Path`` of each."""
        home = place.rpartition("/")[0]
        found = self._by_name(home, stated) if stated else None
        return self._by_stem(home, stem_of(place), stated) if found is None else found

    def uri_of(self, place: str) -> str:
        """The file URI of what lies at a POSIX path below ``root``."""
        return self._uri + quote(place)

    def stated(self, stated: str, *, beside: str = "") -> Path | None:
        """The picture with the path or name ``stated``, as seen from the folder ``beside`` (a POSIX path below
        ``root``); None when the dataset has none."""
        found = self._by_name(beside, stated)
        return None if found is None else self.root / found

    def size_of(self, picture: Path) -> tuple[int, int] | None:
        """Width and height in pixels of a picture that was found, as it is shown; None when it cannot be read."""
        import cv2

        try:
            return image_size(picture)
        except (OSError, cv2.error):  # gone or not readable; too large to be decoded
            return None

    def path_of(self, picture: Path) -> str:
        """The POSIX path of a picture below ``root``."""
        return picture.relative_to(self.root).as_posix()

    def __iter__(self) -> Iterator[str]:
        """POSIX paths below ``root`` of all pictures, sorted."""
        for folder, listed in sorted(self._folders.items()):
            for file in sorted(listed.files.values()):
                yield f"{folder}/{file}" if folder else file

    def __len__(self) -> int:
        return sum(len(listed.files) for listed in self._folders.values())

    @property
    def _folders(self) -> dict[str, _Folder]:
        if self._listed is None:
            self._listed = dict(_listing(self._listing))
            for folder, listed in self._listed.items():
                if _MASK_FOLDERS.isdisjoint(folder.split("/")):
                    for key, file in listed.files.items():
                        self._anywhere[key] = None if key in self._anywhere else _joined(folder, [file])
        return self._listed

    def _folder_of(self, label_file: Path) -> str:
        parent = label_file.parent
        if parent not in self._home_of:
            folder = os.path.relpath(os.path.realpath(parent), self.root).replace(os.sep, "/")
            self._home_of[parent] = "" if folder == "." or folder.startswith("..") else folder
        return self._home_of[parent]

    def _by_name(self, home: str, stated: str) -> str | None:
        below, name = _parts(stated)
        if not name:
            return None
        key = _key(name)
        # The more of the stated path agrees, the surer the picture is the one meant.
        for start in range(len(below)):
            tail = below[start:]
            for place in self._places(home):
                found = self._folders.get(_joined(place, tail))
                if found is not None and key in found.files:
                    return _joined(_joined(place, tail), [found.files[key]])
        for place, found in self._likely(home):
            if key in found.files:
                return f"{place}/{found.files[key]}" if place else found.files[key]
        return self._anywhere.get(key)

    def _by_stem(self, home: str, stem: str, stated: str | None) -> str | None:
        suffix = suffix_of(_parts(stated)[1]) if stated else ""
        for place, found in self._likely(home):
            file = found.files.get(stem + suffix) if suffix else None
            file = file or found.stems.get(stem)
            if file is not None:
                return _joined(place, [file])
        return None

    def _places(self, home: str) -> tuple[str, ...]:
        """Where pictures of label files in the folder ``home`` may lie, the likeliest first."""
        if home not in self._places_of:
            self._places_of[home] = self._likely_places(home)
        return self._places_of[home]

    def _likely(self, home: str) -> list[tuple[str, _Folder]]:
        """:meth:`_places` with pictures right in them, and these."""
        if home not in self._likely_of:
            places = self._places(home)
            self._likely_of[home] = [(place, self._folders[place]) for place in places if place in self._folders]
        return self._likely_of[home]

    def _likely_places(self, home: str) -> tuple[str, ...]:
        parts = home.split("/") if home else []
        places = [home]
        for index in reversed(range(len(parts))):
            # Annotations/sub -> JPEGImages/sub: one folder has another name, what lies below is the same.
            places += ["/".join([*parts[:index], name, *parts[index + 1 :]]) for name in IMAGE_FOLDERS]
        for length in reversed(range(len(parts) + 1)):
            above = parts[:length]
            places.append("/".join(above))
            places += ["/".join([*above, name]) for name in IMAGE_FOLDERS]
        known = {""}
        for folder in self._folders:
            known.update(_and_above(folder))
        return tuple(place for place in dict.fromkeys(places) if place in known)


def _and_above(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


class _Folder:
    """The picture files of one folder."""

    def __init__(self) -> None:
        #: Name with its extension in lower case -> name.
        self.files: dict[str, str] = {}
        #: Name without extension -> name; the first in alphabetical order where there are several.
        self.stems: dict[str, str] = {}


def _listing(listing: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, _Folder]]:
    """The folders that hold pictures, and these."""
    for folder, names in listing:
        listed = _Folder()
        for name in names:
            dot = name.rfind(".")
            suffix = name[dot:].lower()
            if suffix in IMAGE_SUFFIXES:
                listed.files.setdefault(name[:dot] + suffix if dot > 0 else name, name)
                listed.stems.setdefault(name[:dot] or name, name)
        if listed.files:
            yield folder, listed


def _key(name: str) -> str:
    dot = name.rfind(".")
    return name[:dot] + name[dot:].lower() if dot > 0 else name


def _parts(stated: str) -> tuple[list[str], str]:
    """The folders and the name of a stated path, whoever's machine it was written on; ``..`` loses what is before."""
    if stated.isascii() and _PLAIN_NAME.fullmatch(stated):
        return [], stated
    path = _DRIVE.sub("", stated.strip().removeprefix("file://").replace("\\", "/"), count=1)
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.clear()
        elif part not in ("", "."):
            parts.append(part)
    parts = parts[-_MOST_PARTS:]
    return (parts[:-1], parts[-1]) if parts else ([], "")


def _joined(folder: str, parts: list[str]) -> str:
    return "/".join([folder, *parts] if folder else parts)
