"""Read labelme's JSON files as labels, whoever wrote them: labelme of any version, X-AnyLabeling, converters.

Polygons of one label and one ``group_id`` are regions of one segmentation, as labelme itself takes them to be one
instance. Flags of the picture that are set are classifications. What cannot be read is told to the tally, file by file
and shape by shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from fastlabel_dagster.formats.assembly import FoundClass, labels_of, stable_id
from fastlabel_dagster.formats.class_list import listed_classes
from fastlabel_dagster.formats.class_words import CLASS_FILE, merged_by_value, read_class_words
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.found_pictures import PictureIndex
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES
from fastlabel_dagster.formats.label_files import files_below, folder_of, is_own_file, read_small, stem_of
from fastlabel_dagster.formats.labelme.annotations import NO_PLACE, FoundAnnotations, ShapeReader
from fastlabel_dagster.formats.labelme.masks import embedded_size
from fastlabel_dagster.formats.labelme.said import names_of, own_text, unread_of
from fastlabel_dagster.formats.report import REPORT_FILE
from fastlabel_dagster.formats.splits import PART_OF_TAG
from fastlabel_dagster.formats.text_files import text_of_names
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.report import EXAMPLES, FILE, IMAGE, TASK, ReadTally
from fastlabel_dagster.labels.tables import Labels

_CLASS_LISTS = ("labels.txt", "classes.txt")
_NO_CLASSES = ("__ignore__", "_background_")
_TASK = ("task_id", "name", "width", "height", "tags", "url")
_LONGEST_SIDE = 2**31
#: Files read without collecting garbage in between.
_AT_ONCE = 128
#: What is read of a file, and what it says of the program that wrote it: version, and the colours that one draws in.
_READ = frozenset(
    (
        *("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"),
        *("task_id", "task_name", "tags", "flag_attributes", "lineColor", "fillColor"),
    )
)
_UNFIT = "fields that are not what they should be were left out"
_PICTURE_WITHIN = "the picture within the file was not taken out, and no other is there"
_SAME_ID = "two files have the same task id, the later one got another"


def read_labelme(source: Path, told: ReadTally) -> Labels:
    """Read a labelme dataset: its folder with all below, one JSON file, or the ``classes.json`` our own export wrote.

    Task names are those our own export wrote, or the path of the JSON file with the picture's name in its place; task
    ids our own or a stable hash of that path; tags our own, or train, val, test where the files lie in folders called
    so. Classes stand in the order of ``classes.json``, else of ``labels.txt``, else as they come.

    Raises:
        FileNotFoundError: when there is no JSON file.
        FormatError: when none of them can be read, or ``classes.json`` is damaged.
    """
    root, files, listing = _label_files(source, told)
    return _Reader(root, told, listing, whole=source.is_dir() or source.name == CLASS_FILE).labels(files)


def _label_files(source: Path, told: ReadTally) -> tuple[Path, list[str], list[tuple[str, list[str]]] | None]:
    """The dataset's folder, its JSON files below it, and what lies in it, where that was looked at."""
    if not source.exists():
        raise FileNotFoundError(f"there is no labelme dataset at {source}")
    if source.is_file() and source.suffix.lower() == ".json" and source.name != CLASS_FILE:
        return source.parent, [source.name], None
    root = folder_of(source, [".json"])
    listing = list(files_below(root, {".json", *IMAGE_SUFFIXES}, told))
    files = [
        f"{folder}/{name}" if folder else name
        for folder, names in listing
        for name in names
        if name[-5:].lower() == ".json"
    ]
    files = [file for file in files if file not in (CLASS_FILE, REPORT_FILE) or _is_labelme(root / file)]
    if not files and not (root / CLASS_FILE).is_file():  # with it, it is the export of a project without tasks
        raise FileNotFoundError(f"there is no JSON file of labelme in {root}")
    return root, files, listing


def _is_labelme(path: Path) -> bool:
    """Whether a file that has the name of one of ours is a picture's label file all the same."""
    try:
        return "shapes" in _load(str(path))
    except FormatError:
        return False


def _load(path: str) -> dict[str, Any]:
    """The document of a file.

    Raises:
        FormatError: when it is no JSON object.
    """
    try:
        data = read_small(path).removeprefix(b"\xef\xbb\xbf")
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            # Python's json writes NaN, which is no JSON, and reads 1e400: one such number shall not cost the others.
            document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"it is not JSON: {error}") from error
    except OSError as error:
        raise FormatError(path, f"it cannot be opened: {error.strerror}") from error
    if not isinstance(document, dict):
        raise FormatError(path, "it is not a JSON object")
    return document


class _Reader:
    def __init__(
        self, root: Path, told: ReadTally, listing: list[tuple[str, list[str]]] | None, *, whole: bool
    ) -> None:
        self._root, self._told, self._whole = root, told, whole
        self._pictures = PictureIndex(root, listing)
        self._found = FoundAnnotations(_listed(root, told))
        self._tasks: list[tuple[Any, ...]] = []  # rows of _TASK
        self._known_ids: set[str] = set()
        self._used: set[str] = set()
        self._damage: FormatError | None = None

    def labels(self, files: list[str]) -> Labels:
        for start in range(0, len(files), _AT_ONCE):
            with without_collecting():
                self._read_files(files[start : start + _AT_ONCE])
        if self._damage is not None and not self._tasks:
            raise self._damage
        self._notice_unlabeled()
        columns = {name: [row[place] for row in self._tasks] for place, name in enumerate(_TASK)}
        return labels_of("labelme", columns, self._found.columns(), self._found.classes, self._told)

    def _read_files(self, files: list[str]) -> None:
        root = str(self._root)
        for file in files:
            try:
                document = _load(f"{root}/{file}")  # a Path for each takes longer
                if not isinstance(document.get("shapes"), list):
                    raise FormatError(self._root / file, "it has no list of shapes, so it is not labelme's")
                self._read_file(file, document)
            except FormatError as error:
                self._damage = self._damage or error
                self._told.drop("a file cannot be read", FILE, where=f"{file}: {error.problem}")
            self._told.advance()

    def _notice_unlabeled(self) -> None:
        if self._whole:
            unlabeled = [picture for picture in self._pictures if picture not in self._used]
            self._told.notice(
                "a picture without a JSON file was not read", IMAGE, where=unlabeled[:EXAMPLES], count=len(unlabeled)
            )

    def _read_file(self, file: str, document: dict[str, Any]) -> None:
        stated = document.get("imagePath")
        stated = stated if isinstance(stated, str) else ""
        picture = self._pictures.place_at(file, stated=stated)
        if picture is not None:
            self._used.add(picture)
        width, height = (_side(document.get(key)) for key in ("imageWidth", "imageHeight"))
        unfit = [
            key
            for key, side in (("imageWidth", width), ("imageHeight", height))
            if document.get(key) not in (None, side)
        ]
        if width is None or height is None:
            size = None if picture is None else self._pictures.size_of(self._pictures.root / picture)
            width, height = size or embedded_size(document.get("imageData")) or (width, height)
        task_id = own_text(document.get("task_id"))
        if task_id in self._known_ids:
            self._told.alter(_SAME_ID, TASK, where=file)
        if not task_id or task_id in self._known_ids:
            task_id = stable_id("labelme", file)
        self._known_ids.add(task_id)
        folder, slash, _ = file.rpartition("/")
        called = (picture or stated.replace("\\", "/")).rpartition("/")[2] or stem_of(file)
        name = f"{folder}{slash}{called}"
        if "task_name" in document:  # one of our own exports, where the task of this picture may have had no name
            name = own_text(document["task_name"]) or name.removeprefix("images/")
        url = None if picture is None else self._pictures.uri_of(picture)
        self._tasks.append((task_id, name, width, height, _tags(document, folder), url))
        shapes = ShapeReader(self._found, self._told, len(self._tasks) - 1, file, document["shapes"])
        unfit += shapes.read(document)
        self._tell_of_rest(file, document, unfit, has_picture=picture is not None)

    def _tell_of_rest(self, file: str, document: dict[str, Any], unfit: list[str], *, has_picture: bool) -> None:
        """Tell what a file says beside its shapes and flags that is not read."""
        unfit += [
            key for key in ("imagePath", "task_id", "task_name") if document.get(key) and not own_text(document[key])
        ]
        if document.get("tags") and not _are_tags(document["tags"]):
            unfit.append("tags")
        if unfit:
            self._told.notice(_UNFIT, IMAGE, where=f"{file}: {names_of(unfit)}")
        if document.get("imageData") and not has_picture:
            self._told.notice(_PICTURE_WITHIN, IMAGE, where=file)
        unread = unread_of(document, _READ)
        if unread:
            self._told.notice(NO_PLACE, IMAGE, where=f"{file}: {names_of(unread)}")


def _listed(root: Path, told: ReadTally) -> dict[str, FoundClass]:
    if is_own_file(root / CLASS_FILE, root) and not _is_labelme(root / CLASS_FILE):
        return merged_by_value(read_class_words(root, told))
    for name in _CLASS_LISTS:
        if is_own_file(root / name, root):
            lines = text_of_names(root / name).splitlines()
            return listed_classes(line.strip() for line in lines if line.strip() not in _NO_CLASSES)
    return {}


def _tags(document: dict[str, Any], folder: str) -> list[str]:
    stated: Any = document.get("tags")
    if _are_tags(stated):
        return list(stated)
    part = PART_OF_TAG.get(folder.partition("/")[0].lower())
    return [part] if part else []


def _are_tags(stated: Any) -> bool:
    return isinstance(stated, list) and all(isinstance(tag, str) and encodable(tag) for tag in stated)


def _side(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and 1 <= value < _LONGEST_SIDE else None
