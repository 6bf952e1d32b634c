"""Which masks a dataset has, and what their numbers or colours mean: from our index file, or as others lay them out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.found_pictures import IMAGE_FOLDERS, PictureIndex
from fastlabel_dagster.formats.label_files import is_own_file
from fastlabel_dagster.formats.masks.palette import rgb_of
from fastlabel_dagster.formats.masks.write import BACKGROUND, CLASS_LIST
from fastlabel_dagster.formats.text_files import text_of_names
from fastlabel_dagster.formats.unread import unread_names
from fastlabel_dagster.labels.report import FILE, IMAGE, ReadTally

#: Where others keep masks, the likeliest first.
SEMANTIC_FOLDERS = (
    "masks",
    "SegmentationClass",
    "SegmentationClassPNG",
    "labels",
    "annotations",
    "mask",
    "label",
    "gt",
)
INSTANCE_FOLDERS = ("masks", "SegmentationObject", "SegmentationObjectPNG", "instances", *SEMANTIC_FOLDERS[3:])
#: CVAT's list of classes with their colours.
COLOR_LIST = "labelmap.txt"
_NO_CLASS_NAMES = frozenset({BACKGROUND, "_background_", "__background__", "__ignore__", "unlabeled", "void"})
#: What is read of an index file and its entries, and its types.
_OF_INDEX = {"format": str, "start_index": int, "classes": list, "images": list}
_OF_CLASS = {"index": int, "value": str, "title": str, "color": str, "types": list}
_OF_IMAGE = {
    **{"mask": str, "file": str, "name": str, "task_id": str, "tags": list, "instances": list},
    **{"width": int, "height": int},
}
#: Of these, the lists that hold texts only.
_TEXTS = ("types", "tags")
_UNREAD = "what an index file says that FastLabel has no place for, or that is not what it should be, was not read"
_LONGEST = 200
_HIGHEST = 2**16 - 1


@dataclass
class MaskFile:
    """One mask: where it lies, and what an index file says of it."""

    path: Path
    place: str
    """Its path below the dataset's folder."""
    below: str
    """Its path below the folder of masks."""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class MaskDataset:
    """A dataset of masks."""

    root: Path
    pictures: PictureIndex
    masks: list[MaskFile]
    start: int
    """The pixel value of the first class or object."""
    classes: dict[int, FoundClass]
    """By pixel value."""
    colors: dict[int, FoundClass]
    """By colour (red * 65536 + green * 256 + blue)."""
    described: bool
    """It has our index file."""


def open_dataset(
    source: Path,
    index_name: str,
    folders: Sequence[str],
    told: ReadTally,
    *,
    classes: Mapping[int | str, str] | Sequence[str] | None = None,
    start_index: int = 1,
    mask_folder: str | None = None,
) -> MaskDataset:
    """Find the masks of ``source``, a folder or an index file.

    Raises:
        FileNotFoundError: when there is nothing, or no mask.
        FormatError: when the index file is damaged.
    """
    if not source.exists():
        raise FileNotFoundError(f"there are no masks at {source}")
    index = source / index_name if source.is_dir() else source
    if index.is_file():
        return _described(index, told)
    pictures = PictureIndex(source)
    masks = list(_found_masks(pictures, folders, mask_folder, told))
    if not masks:
        raise FileNotFoundError(f"{source} has neither {index_name} nor a PNG in a folder such as {folders[0]}")
    named, colored = _given(classes, start_index) if classes else _listed(source, start_index)
    return MaskDataset(pictures.root, pictures, masks, 1, named, colored, described=False)


def _found_masks(
    pictures: PictureIndex, folders: Sequence[str], wanted: str | None, told: ReadTally
) -> Iterator[MaskFile]:
    """The PNG files in the folder of masks. What else lies there is told, unless it is the picture of a mask."""
    places = [(place, place.split("/")) for place in pictures]
    masks = [(place, parts) for place, parts in places if place.lower().endswith(".png")]
    chosen = wanted or next((name for name in folders if any(name in parts[:-1] for _, parts in masks)), None)
    for place, parts in masks:
        if chosen is None:
            if not set(parts[:-1]).isdisjoint(IMAGE_FOLDERS):
                continue
            below = place
        elif chosen in parts[:-1]:
            cut = parts.index(chosen)
            below = "/".join([*parts[:cut], *parts[cut + 1 :]])
        else:
            continue
        yield MaskFile(pictures.root / place, place, below)
    masked = {place.rpartition(".")[0] for place, _ in masks}
    others = [place for place, parts in places if chosen in parts[:-1] and place.rpartition(".")[0] not in masked]
    told.drop("it lies among the masks and is no PNG file, only those are read", IMAGE, where=others, count=len(others))


def _described(index: Path, told: ReadTally) -> MaskDataset:
    content = _json(index)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(images, list):
        raise FormatError(index, "it does not list masks")
    tell_of_rest(content, _OF_INDEX, index.name, told)
    start = content.get("start_index", 1)
    if start not in (0, 1) or isinstance(start, bool):
        raise FormatError(index, f"start_index is 0 or 1, not {start!r}")
    root = Path(os.path.realpath(index.parent))
    dataset = MaskDataset(root, PictureIndex(root), [], int(start), {}, {}, described=True)
    rows = content.get("classes")
    for number, row in enumerate(rows if isinstance(rows, list) else [], start=1):
        found = _class_row(row, dataset.start)
        tell_of_rest(row, _OF_CLASS, f"{index.name}, class {number}", told)
        if found is None or found[0] in dataset.classes:
            told.drop("a class that is not well-formed", FILE, where=f"{index.name}, class {number}")
        else:
            dataset.classes[found[0]] = found[1]
    seen: set[str] = set()
    for number, about in enumerate(images, start=1):
        where = f"{index.name}, image {number}"
        tell_of_rest(about, _OF_IMAGE, where, told)
        place = about.get("mask") if isinstance(about, dict) else None
        path = _inside(root, place) if isinstance(place, str) else None
        if path is None or not isinstance(place, str) or place in seen:
            told.drop("an image without a mask of its own inside the dataset", IMAGE, where=where)
        elif not path.is_file():
            told.drop("the mask is missing", IMAGE, where=where)
        else:
            seen.add(place)
            dataset.masks.append(MaskFile(path, place, place, about))
    return dataset


def tell_of_rest(said: Any, read: Mapping[str, type], where: str, told: ReadTally) -> None:
    """Tell what an index file, or an entry of it, says that is not read; ``read`` are its fields and their types."""
    if isinstance(said, dict):
        odd = (name for name, kind in read.items() if said.get(name) is not None and not _is_sound(said, name, kind))
        unread = [*unread_names(said, read), *odd]
        if unread:
            told.notice(_UNREAD, FILE, where=f"{where}: {', '.join(unread)[:_LONGEST]}")


def _is_sound(said: Mapping[str, Any], name: str, kind: type) -> bool:
    return isinstance(said[name], kind) and (name not in _TEXTS or all(isinstance(one, str) for one in said[name]))


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FormatError(path, f"it is not valid JSON: {error}") from error


def _inside(root: Path, place: str) -> Path | None:
    """The file ``place`` below ``root``; None when it would lie elsewhere, or can be no path."""
    try:
        path = Path(os.path.realpath(root / place))
        path.is_file()
        return path if path.is_relative_to(root) and place.encode() else None
    except (OSError, ValueError):  # longer than a name can be; a null byte, or half a surrogate pair
        return None


def _class_row(row: Any, start: int) -> tuple[int, FoundClass] | None:
    if not isinstance(row, dict):
        return None
    index, value = row.get("index"), row.get("value")
    if (
        not isinstance(index, int)
        or isinstance(index, bool)
        or not 0 <= index <= _HIGHEST
        or not isinstance(value, str)
        or not value
    ):
        return None
    title, color, types = row.get("title"), row.get("color"), row.get("types")
    return index, FoundClass(
        value,
        index - start + 1,
        title if isinstance(title, str) else None,
        color if isinstance(color, str) else None,
        [kind for kind in types if isinstance(kind, str)] if isinstance(types, list) else [],
    )


def _given(
    classes: Mapping[int | str, str] | Sequence[str], start: int
) -> tuple[dict[int, FoundClass], dict[int, FoundClass]]:
    """Classes by pixel value and by colour, as the caller names them."""
    if isinstance(classes, str):
        raise ValueError("classes= are names in the order of their pixel values, or pixel values or colours -> names")
    if not isinstance(classes, Mapping):
        return {start + place: FoundClass(str(name), place + 1) for place, name in enumerate(classes)}, {}
    named: dict[int, FoundClass] = {}
    colored: dict[int, FoundClass] = {}
    for order, (key, name) in enumerate(classes.items(), start=1):
        rgb = rgb_of(key) if isinstance(key, str) else None
        if rgb is not None:
            colored[int.from_bytes(rgb, "big")] = FoundClass(str(name), order, color=str(key))
        elif str(key).isdecimal() and int(key) <= _HIGHEST:
            named[int(key)] = FoundClass(str(name), order)
        else:
            raise ValueError(f"classes= maps pixel values, or colours such as #ff0000, to names: {key!r}")
    return named, colored


def _listed(root: Path, start: int) -> tuple[dict[int, FoundClass], dict[int, FoundClass]]:
    """Classes as a text file in the dataset's folder names them."""
    if is_own_file(root / COLOR_LIST, root):
        return {}, dict(_colored_lines(_lines(root / COLOR_LIST)))
    if not is_own_file(root / CLASS_LIST, root):
        return {}, {}
    names = _lines(root / CLASS_LIST)
    if names and names[0].strip().lower() in _NO_CLASS_NAMES:
        start = 0
    found = {start + place: name.strip() for place, name in enumerate(names[: _HIGHEST + 1 - start])}
    wanted = {index: name for index, name in found.items() if name and name.lower() not in _NO_CLASS_NAMES}
    return {index: FoundClass(name, order) for order, (index, name) in enumerate(wanted.items(), start=1)}, {}


def _colored_lines(lines: Sequence[str]) -> Iterator[tuple[int, FoundClass]]:
    """``name:red,green,blue:parts:actions``; a line that begins with # is a remark."""
    order = 0
    for line in lines:
        name, _, rest = line.partition(":")
        levels = rest.partition(":")[0].split(",")
        plain = len(levels) == 3 and all(level.strip().isdecimal() and len(level.strip()) <= 3 for level in levels)
        if line.startswith("#") or not name.strip() or not plain or max(map(int, levels)) > 255:
            continue
        color = bytes(int(level) for level in levels)
        if name.strip().lower() not in _NO_CLASS_NAMES:
            order += 1
            yield int.from_bytes(color, "big"), FoundClass(name.strip(), order, color=f"#{color.hex()}")


def _lines(path: Path) -> list[str]:
    return text_of_names(path).splitlines()
