"""Class names for formats whose lines are words between blanks (KITTI, DOTA), and the file that tells the words' story.

``classes.json`` beside the label files lists the classes in their order: the word of each, its value, title, colour,
place and the annotation types it is used with. Readers of those formats do not look at it; ours restores the classes
from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.categories import Categories, Met
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.label_files import is_own_file
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.formats.unread import SAYS_NOTHING, unread_names
from fastlabel_dagster.labels.ragged import Bools
from fastlabel_dagster.labels.report import ReadTally

CLASS_FILE = "classes.json"
RENAMED = f"the class name is no single word, the files have another one ({CLASS_FILE} knows both)"
#: What is read of the file (Pascal VOC states there from which pixel it counts), and of a class.
_OF_FILE = frozenset(("classes", "first_pixel"))
_READ = frozenset(("word", "value", "title", "color", "order", "types"))
_UNREAD = f"what {CLASS_FILE} says that FastLabel has no place for, or that is not what it should be"
_NO_CLASS = f"a class of {CLASS_FILE} without a value and a word of its own was left out"
_LONGEST = 200
_BLANKS = re.compile(r"[\s\ufeff]+")  # a file that begins with the latter seems to have a byte order mark
_LARGEST_ORDER = 2**31
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class ClassWords:
    """A word for every category: its value with underscores for blanks, and a number behind it where two would be
    alike. A category that is met later changes no word given before."""

    def __init__(self, categories: Categories) -> None:
        self._categories = categories
        self._words: dict[int, str] = {}
        self._taken: set[str] = set()
        self._keep_up()

    def column(self, met: Met) -> tuple[pa.Array, Bools]:
        """The word of each annotation of a batch (null without a class), and whether it differs from the value."""
        self._keep_up()
        words = [self._words[category.index] for category in met.categories]
        differs = [word != category.value for word, category in zip(words, met.categories, strict=True)]
        position = pa.array(met.position, mask=met.position < 0)
        return (
            pa.array(words, pa.string()).take(position),
            np.array([*differs, False], np.bool_)[met.position],
        )

    def to_json(self) -> bytes:
        """The content of ``classes.json``."""
        self._keep_up()
        rows = [
            {
                "word": self._words[category.index],
                "value": category.value,
                "title": category.title,
                "color": category.color,
                "order": category.id,
                "types": list(dict.fromkeys(category.types)),
            }
            for category in self._categories
        ]
        return orjson.dumps({"classes": rows}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def _keep_up(self) -> None:
        for category in self._categories:
            if category.index not in self._words:
                stem = word = _BLANKS.sub("_", category.value.strip()) or "unnamed"
                number = 1
                while word in self._taken:
                    number += 1
                    word = f"{stem}_{number}"
                self._taken.add(word)
                self._words[category.index] = word


def read_class_words(folder: Path, told: ReadTally) -> dict[str, FoundClass]:
    """The classes of a folder's ``classes.json`` by their word, in their order; empty when there is none. What it says
    that is not read is told.

    Raises:
        FormatError: when the file is damaged.
    """
    path = folder / CLASS_FILE
    if not is_own_file(path, folder):
        return {}
    try:
        document = orjson.loads(path.read_bytes())
        rows = document["classes"]
        if unread := unread_names(document, _OF_FILE):
            told.notice(_UNREAD, FILE, where=f"{CLASS_FILE}: {', '.join(unread)[:_LONGEST]}")
        found: dict[str, FoundClass] = {}
        for place, row in enumerate(rows, start=1):
            where = f"{CLASS_FILE}, class {place}"
            word, value = row["word"], row["value"]
            if not (isinstance(word, str) and word and isinstance(value, str)) or word in found:
                told.notice(_NO_CLASS, FILE, where=where)
                continue
            found[word] = _found(row, place)
            unread = [*unread_names(row, _READ), *_unfit(row, found[word])]
            if unread:
                told.notice(_UNREAD, FILE, where=f"{where}: {', '.join(unread)[:_LONGEST]}")
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(path, f"it is not a list of classes: {type(error).__name__}: {error}") from error
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def class_of_word(found: dict[str, FoundClass], word: str) -> FoundClass:
    """The class of a word; one that is not known yet is called like the word and stands behind the others.

    ``found`` is in the order of its classes: the last one tells what comes behind.
    """
    if word not in found:
        last = found[next(reversed(found))].order if found else 0
        found[word] = FoundClass(word, last + 1)
    return found[word]


def merged_by_value(found: dict[str, FoundClass]) -> dict[str, FoundClass]:
    """The classes by value; two words may stand for one."""
    by_value: dict[str, FoundClass] = {}
    for one in found.values():
        by_value.setdefault(one.value, one)
    return by_value


def with_unlisted(known: Mapping[str, FoundClass], values: Iterable[str], kind: str) -> dict[str, FoundClass]:
    """The classes ``known`` by value, and behind them one of the type ``kind`` for every other of ``values``, in the
    order of their names."""
    classes = dict(known)
    behind = max((one.order for one in classes.values()), default=0)
    for place, value in enumerate(sorted(set(values) - classes.keys()), start=behind + 1):
        classes[value] = FoundClass(value, place, types=[kind])
    return classes


def _unfit(row: dict[str, Any], found: FoundClass) -> list[str]:
    """The fields of a class that are not what they should be."""
    read = {"title": found.title, "color": found.color, "order": found.order, "types": found.types}
    return [name for name, content in read.items() if row.get(name) not in SAYS_NOTHING and row[name] != content]


def _found(row: dict[str, Any], place: int) -> FoundClass:
    title, color, order, types = (row.get(name) for name in ("title", "color", "order", "types"))
    return FoundClass(
        row["value"],
        order if type(order) is int and 0 < order < _LARGEST_ORDER else place,
        title if isinstance(title, str) else None,
        color if isinstance(color, str) and _COLOR.fullmatch(color) else None,
        [kind for kind in types if isinstance(kind, str)] if isinstance(types, list) else [],
    )
