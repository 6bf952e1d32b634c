"""Where the parts of a Pascal VOC dataset lie: its XML files, its lists of parts, its list of classes."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.class_list import listed_classes
from fastlabel_dagster.formats.class_words import CLASS_FILE, merged_by_value, read_class_words
from fastlabel_dagster.formats.label_files import files_below, folder_of, is_own_file, stem_of
from fastlabel_dagster.formats.splits import PART_OF_TAG
from fastlabel_dagster.formats.text_files import text_of_names
from fastlabel_dagster.labels.report import FILE, ReadTally

#: In ``classes.json``: the number of the first pixel of a row, where that is not 0.
FIRST_PIXEL = "first_pixel"
_CLASS_LISTS = ("labels.txt", "classes.txt", "predefined_classes.txt")
_LABEL_MAP = "labelmap.txt"
_WHOLE = "trainval"
#: How each line of the devkit's lists of single classes, such as aeroplane_train.txt, ends.
_SIGNS = ("1", "-1", "0")
_BEYOND = "parts and actions of a class in labelmap.txt have no place in FastLabel, and were not read"


@dataclass(slots=True)
class VocFile:
    """One XML file of a dataset."""

    root: str
    """The dataset's folder."""
    place: str
    """Its POSIX path below it."""
    home: str
    """The folder that holds ``Annotations``, or the dataset's folder: "" or a POSIX path below it."""
    below: str
    """The folder below ``Annotations`` (or ``home``) it lies in."""
    tags: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it lies."""
        return os.path.join(self.root, self.place)  # noqa: PTH118 - a Path for each takes longer


def find_voc_files(source: Path, told: ReadTally) -> tuple[Path, list[VocFile]]:
    """The dataset's folder and its XML files, sorted by path, with the parts they belong to.

    ``source`` is the folder, one XML file (which then belongs to no part), or a file that stands for its folder:
    ``classes.json``, a list in ``ImageSets/Main``.

    Raises:
        FileNotFoundError: when there is no XML file.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no Pascal VOC dataset at {source}")
    if source.suffix.lower() == ".xml" and source.is_file():
        return _around(source)
    root = folder_of(source, [".xml", CLASS_FILE, ".txt"])
    if source.is_file() and root.parent.name == "ImageSets":
        root = root.parent.parent
    files = [
        _voc_file(str(root), folder, name) for folder, names in files_below(root, {".xml"}, told) for name in names
    ]
    if not files and not (root / CLASS_FILE).is_file():  # with it, it is the export of a project without tasks
        raise FileNotFoundError(f"there is no XML file in {root}")
    for home in sorted({file.home for file in files}):
        _tag(root, home, [file for file in files if file.home == home], told)
    return root, files


def _around(file: Path) -> tuple[Path, list[VocFile]]:
    """One XML file, and the folder of the dataset it seems to be from."""
    file = file.absolute()
    root = next((folder.parent for folder in file.parents if folder.name.lower() == "annotations"), file.parent)
    below = file.parent.relative_to(root).as_posix()
    return root, [_voc_file(str(root), "" if below == "." else below, file.name)]


def _voc_file(root: str, folder: str, name: str) -> VocFile:
    place = f"{folder}/{name}" if folder else name
    parts = folder.split("/") if folder else []
    for index, part in enumerate(parts):
        if part.lower() == "annotations":
            return VocFile(root, place, "/".join(parts[:index]), "/".join(parts[index + 1 :]))
    return VocFile(root, place, "", folder)


def _tag(root: Path, home: str, files: list[VocFile], told: ReadTally) -> None:
    """Tags from the lists in ``ImageSets/Main``; without any, from folders called train, val (valid) and test."""
    folder = root / home / "ImageSets" / "Main"
    lists: dict[str, list[str]] = {}
    for _, names in files_below(folder, {".txt"}) if folder.is_dir() else ():
        for name in names:
            if is_own_file(folder / name, root):
                text = (folder / name).read_text(encoding="utf-8-sig", errors="replace")
                lists[stem_of(name)] = [line.strip() for line in text.splitlines() if line.strip()]
    by_stem = {(f"{file.below}/" if file.below else "") + stem_of(file.place): file for file in files}
    lists = {part: lines for part, lines in lists.items() if not _is_of_one_class(part, lines, by_stem)}
    if set(lists) & {"train", "val"} or set(lists) == {_WHOLE}:
        lists.pop(_WHOLE, None)
    elif not lists:
        for file in files:
            tag = PART_OF_TAG.get(file.place.split("/")[0].lower())
            if tag is not None and "/" in file.place:
                file.tags.append(tag)
    for part, stems in lists.items():
        strangers = []
        for stem in stems:
            listed = by_stem.get(stem) or by_stem.get(stem.rpartition(" ")[0].rstrip())
            if listed is None:
                strangers.append(stem)
            elif part not in listed.tags:
                listed.tags.append(part)
        where = "/".join([*filter(None, [home]), f"ImageSets/Main/{part}.txt"])
        told.notice(
            "a part lists it, but it has no XML file",
            FILE,
            where=[f"{where}: {stem}" for stem in strangers[:5]],
            count=len(strangers),
        )


def _is_of_one_class(part: str, lines: list[str], known: Container[str]) -> bool:
    """Whether a list says which pictures show the class it is named after (``dog_train``), not which are of a part."""
    return "_" in part and all(line.split()[-1] in _SIGNS and line not in known for line in lines)


def find_classes(root: Path, told: ReadTally) -> dict[str, FoundClass]:
    """The classes the dataset lists, by value: from ``classes.json``, ``labelmap.txt``, or a plain list of names; empty
    when it lists none.

    Raises:
        FormatError: for a damaged ``classes.json``.
    """
    listed = merged_by_value(read_class_words(root, told))
    if listed:
        return listed
    if is_own_file(root / _LABEL_MAP, root):
        return _label_map(root / _LABEL_MAP, told)
    for name in _CLASS_LISTS:
        if is_own_file(root / name, root):
            return listed_classes(_lines(root / name))
    return {}


def stated_first_pixel(root: Path) -> int:
    """The number of the first pixel of a row, 0 or 1, as the ``classes.json`` of the dataset says (which
    :func:`find_classes` could read)."""
    path = root / CLASS_FILE
    stated = orjson.loads(path.read_bytes()).get(FIRST_PIXEL) if is_own_file(path, root) else 0
    return 1 if type(stated) is int and stated == 1 else 0


def _label_map(path: Path, told: ReadTally) -> dict[str, FoundClass]:
    colors: dict[str, str | None] = {}
    for line in _lines(path):
        name, _, rest = line.partition(":")
        color, _, beyond = rest.partition(":")
        if beyond.strip(": ") and not line.startswith("#"):
            told.notice(_BEYOND, "class", where=name.strip())
        rgb = re.fullmatch(r"(\d{1,3}),(\d{1,3}),(\d{1,3})", color.replace(" ", ""))
        parts = [int(part) for part in rgb.groups()] if rgb else []
        is_color = len(parts) == 3 and max(parts) < 256
        if not line.startswith("#") and name != "background":
            colors.setdefault(name.strip(), "#" + bytes(parts).hex() if is_color else None)
    found = listed_classes(colors)
    for value, one in found.items():
        one.color = colors[value]
    return found


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in text_of_names(path).splitlines() if line.strip()]
