"""Find and load the files of a COCO dataset, as people really lay them out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from fastlabel_dagster.api.exact_json import exact_json
from fastlabel_dagster.formats.coco.items import Items, items_of_document
from fastlabel_dagster.formats.coco.pages import pages_of
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.label_files import only_named
from fastlabel_dagster.formats.report import EXAMPLES, FILE, REPORT_FILE
from fastlabel_dagster.formats.unread import SAYS_NOTHING, unread_names
from fastlabel_dagster.labels.report import ReadTally

_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LONGEST = 200
_WORD = re.compile(r"[a-z]+")
#: One dataset is often published as several files over the same images; the first of these that is there is read.
_KINDS = ("instances_", "person_keypoints_", "panoptic_", "", "stuff_", "image_info_")
#: These are left out only where they have no further images: somebody's own files may be called so.
_OF_THE_SAME = frozenset(("stuff_", "image_info_"))


#: What a file of labels has lists of; what is read of a file; and of ``info``, what our own exports write there.
_LISTS = frozenset(("images", "annotations", "categories"))
_READ = _LISTS | {"info"}
_READ_OF_INFO = frozenset(("labels_version", "labels_digest"))
_UNREAD = "what the file says beside images, annotations and categories has no place in FastLabel, and was not read"
_SAME_PICTURES = "a file of the same pictures as another one, which was read"
_OTHER_JSON = "a JSON file that is none of these annotation files was left aside"
#: In ``info``: boxes have their four corners as segmentation.
RECTANGLES = "bbox_segmentation"


class CocoFile(NamedTuple):
    """One annotation file."""

    path: Path
    root: Path
    """The dataset's folder."""
    split: str
    """The file's own part of the dataset, such as ``train2017``; empty when the dataset is one file."""
    tag: str
    """``train``, ``val`` or ``test`` when the names say so, otherwise the split."""
    content: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's path below the dataset's folder."""
        return self.path.relative_to(self.root).as_posix()


def load_coco_files(
    source: Path, told: ReadTally, accepts: Callable[[Any], bool] | None = None, what: str = "COCO"
) -> list[CocoFile]:
    """The annotation files of ``source`` (a JSON file, or a folder with some of its own, in ``annotations/`` or one
    level below), in the order of their names. A damaged file beside good ones is told as dropped.

    Args:
        source: the file or the folder.
        told: the report.
        accepts: whether a document is one of those looked for; without it, :func:`is_coco`.
        what: those are called.

    Raises:
        FileNotFoundError: when there is none.
        FormatError: when the only ones there are damaged, or such as COCO does not have; the message names one.
    """
    load = load_coco if accepts is None else load_json
    accepts = accepts or is_coco
    if source.is_dir():
        files = _one_per_split(_accepted(source, told, load, accepts, what), told, source)
        if not files:
            raise FileNotFoundError(f"there is no {what} annotation file in {source} (nor one folder below it)")
        root = source
    else:
        content = load(source)
        if not accepts(content):
            raise _refusal(source, content, what)
        files = [(source, content)]
        root = source.parent.parent if source.parent.name == "annotations" else source.parent
    several = len(files) > 1
    result = []
    for path, content in files:
        split, tag = _split_of(path, root)
        file = CocoFile(path, root, split or (path.stem if several else ""), tag or (split if several else ""), content)
        _tell_of_rest(file, told)
        result.append(file)
    return result


def _refusal(path: Path, content: Any, what: str) -> FormatError:
    listed = isinstance(content, dict) and isinstance(content.get("images"), list)
    missing = "its annotations are of another kind" if listed else "it has no list of images"
    return FormatError(path, f"is not a {what} file: {missing}")


def _tell_of_rest(file: CocoFile, told: ReadTally) -> None:
    """Tell what a file says of itself: licences, where it is from, lists of other things."""
    unread = [name for name in unread_names(file.content, _READ) if _says_something(file.content.get(name))]
    info = file.content.get("info")
    if isinstance(info, dict):
        # The description is the project's name where an export of ours says so.
        known = {RECTANGLES, "description", *_READ_OF_INFO} if not _READ_OF_INFO.isdisjoint(info) else {RECTANGLES}
        unread += [f"info.{name}" for name in unread_names(info, known) if _says_something(info.get(name))]
    elif info:
        unread.append("info")
    if unread:
        told.notice(_UNREAD, FILE, where=f"{file.name}: {', '.join(unread)[:_LONGEST]}")


def _says_something(value: Any, depth: int = 2) -> bool:
    """Whether there is anything in a value but emptiness; programs that do not know a licence list one without."""
    if isinstance(value, list | dict) and depth:
        return any(_says_something(one, depth - 1) for one in (value.values() if isinstance(value, dict) else value))
    return value not in (*SAYS_NOTHING, 0)


def _accepted(
    folder: Path, told: ReadTally, load: Callable[[Path], Any], accepts: Callable[[Any], bool], what: str
) -> list[tuple[Path, dict[str, Any]]]:
    found: list[tuple[Path, dict[str, Any]]] = []
    damaged: list[FormatError] = []
    others: list[Path] = []
    refused: list[FormatError] = []
    for path in only_named(_json_files(folder), folder, told):
        try:
            content = load(path)
        except FormatError as error:
            damaged.append(error)
            continue
        if accepts(content):
            found.append((path, content))
        else:
            others.append(path)
            if isinstance(content, dict) and not _LISTS.isdisjoint(content):
                refused.append(_refusal(path, content, what))
    if not found and (damaged or refused):
        raise (*damaged, *refused)[0]
    for one in damaged:
        told.drop("a file that is not valid JSON", FILE, where=Path(one.path).relative_to(folder).as_posix())
    if found:
        where = [path.relative_to(folder).as_posix() for path in others[:EXAMPLES]]
        told.notice(_OTHER_JSON, FILE, where=where, count=len(others))
    return found


def _json_files(folder: Path) -> list[Path]:
    """In the folder and in those of it, in the order of their paths; folders of a million pictures are among them."""
    with os.scandir(folder) as entries:
        # A link that leads to itself is no folder for Path, and an error for the entry.
        within = [one for one in entries if one.is_dir(follow_symlinks=False) or one.is_symlink()]
    folders = [folder, *(path for path in map(Path, within) if path.is_dir())]
    paths: list[Path] = []
    for one in folders:
        with suppress(PermissionError), os.scandir(one) as entries:
            paths += [one / entry.name for entry in entries if entry.name.endswith(".json")]
    return sorted(path for path in paths if path.name != REPORT_FILE and path.is_file())


def load_coco(path: Path) -> Any:
    """The same as :func:`load_json`, with ``annotations`` as :class:`~fastlabel_dagster.formats.coco.items.Items` where
    they can be read that way."""
    content = items_of_document(pages_of(path))
    return load_json(path) if content is None or _has_rounded_ids(content) else content


def load_json(path: Path) -> Any:
    """The JSON of a file; NaN and infinities, which JSON does not know but Python writes, are accepted. Raises
    FormatError for anything else that is not JSON."""
    data = path.read_bytes()
    try:
        content = orjson.loads(data)
        return exact_json(data) if _has_rounded_ids(content) else content
    except orjson.JSONDecodeError as error:
        try:
            return _sound(json.loads(data))
        except (ValueError, RecursionError):
            raise FormatError(path, f"is not valid JSON: {error}") from error
    except ValueError as error:
        raise FormatError(path, f"cannot be read to the last digit: {error}") from error


def _has_rounded_ids(content: Any) -> bool:
    """Whether ids of images may be whole numbers beyond 64 bits: read as floats, several become one."""
    images = content.get("images") if isinstance(content, dict) else None
    ids = (one.get("id") for one in images if isinstance(one, dict)) if isinstance(images, list) else ()
    return any(type(number) is float and abs(number) >= 2**63 for number in ids)


def _sound(value: Any) -> Any:
    """``value`` with text that can be written as UTF-8: half characters become question marks."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sound(item) for item in value]
    if isinstance(value, dict):
        return {_sound(key): _sound(item) for key, item in value.items()}
    return value


def is_coco(content: Any) -> bool:
    """Whether a JSON document is a COCO dataset with objects in it (captions are not)."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return False
    annotations = content.get("annotations") or []
    if not isinstance(annotations, list | Items):
        return False
    first = annotations.first if isinstance(annotations, Items) else annotations[0] if annotations else None
    return not (isinstance(first, dict) and ("caption" in first or "segments_info" in first))


def _one_per_split(
    files: list[tuple[Path, dict[str, Any]]], told: ReadTally, folder: Path
) -> list[tuple[Path, dict[str, Any]]]:
    best: dict[tuple[Path, str], tuple[int, Path, dict[str, Any]]] = {}
    for path, content in files:
        rank, key = _KINDS.index(_kind_of(path)), _key_of(path)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, path, content)
    read = [(path, content) for path, content in files if _is_read(path, content, best[_key_of(path)])]
    paths = {path for path, _ in read}
    unread = [path.relative_to(folder).as_posix() for path, _ in files if path not in paths]
    told.notice(_SAME_PICTURES, FILE, where=unread[:EXAMPLES], count=len(unread))
    return sorted(read, key=lambda item: item[0].as_posix())


def _key_of(path: Path) -> tuple[Path, str]:
    """What files of one dataset over the same images have in common."""
    return path.parent, path.stem.removeprefix(_kind_of(path))


def _is_read(path: Path, content: dict[str, Any], best: tuple[int, Path, dict[str, Any]]) -> bool:
    """Whether a file is the ``best`` of its kinds, or has images that one has not."""
    if path == best[1]:
        return True
    return _kind_of(path) in _OF_THE_SAME and not _names_in(content) <= _names_in(best[2])


def _names_in(content: dict[str, Any]) -> set[str]:
    images = (one for one in content.get("images") or () if isinstance(one, dict))
    return {name for one in images if isinstance(name := one.get("file_name") or one.get("coco_url"), str)}


def _kind_of(path: Path) -> str:
    return next((kind for kind in _KINDS if kind and path.stem.startswith(kind)), "")


def _split_of(path: Path, root: Path) -> tuple[str, str]:
    """The split a file's name speaks of, and its tag: ``instances_train2017`` -> ("train2017", "train")."""
    stem = path.stem.removeprefix(_kind_of(path))
    tag = next((_SPLITS[word] for word in _WORD.findall(stem.lower()) if word in _SPLITS), "")
    if tag:
        return stem, tag
    folder = path.parent.name
    if path.parent != root and path.parent.name != "annotations":
        return folder, next((_SPLITS[word] for word in _WORD.findall(folder.lower()) if word in _SPLITS), folder)
    return "", ""
