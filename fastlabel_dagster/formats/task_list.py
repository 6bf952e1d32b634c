"""The list of tasks beside files whose format has no room for a task's name: ids, names and tags, a line each.

It lets our own exports be read again with the tasks they came from. Other programs do not need it, and datasets of
other programs do not have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.class_words import CLASS_FILE, read_class_words
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.formats.unread import SAYS_NOTHING, unread_names
from fastlabel_dagster.labels.json_text import encodable
from fastlabel_dagster.labels.report import ReadTally

_UNREAD = "what the list of tasks says that FastLabel has no place for, or that is not what it should be, was not read"
_LONGEST = 200


class ListedTask(NamedTuple):
    """One task: ``key`` is what the other files know it by."""

    key: str
    task_id: str
    name: str
    tags: list[str]


def list_lines(tasks: Iterable[ListedTask]) -> bytes:
    """The content of the file, a JSON object per line."""
    return b"".join(orjson.dumps(task._asdict(), option=orjson.OPT_APPEND_NEWLINE) for task in tasks)


def read_list(path: Path, told: ReadTally) -> dict[str, ListedTask]:
    """The tasks by ``key``; none when there is no list. A line that is not one is told as noticed and left aside, for
    the labels do not depend on it."""
    listed: dict[str, ListedTask] = {}
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        data = b""
        told.notice("the list of tasks cannot be read", FILE, where=path.name)
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        found = _listed(line)
        if found is None or found[0].key in listed:
            told.notice("a line of the list of tasks is not a task", FILE, where=where)
            continue
        task, unread = found
        listed[task.key] = task
        if unread:
            told.notice(_UNREAD, FILE, where=f"{where}: {', '.join(unread)[:_LONGEST]}")
    return listed


def read_class_list(folder: Path, told: ReadTally) -> dict[str, FoundClass]:
    """The classes of ``classes.json`` by their word; none when there is no such file, or it is one of somebody else's,
    which is told as noticed."""
    try:
        return read_class_words(folder, told)
    except FormatError as error:
        told.notice(f"{CLASS_FILE} was left aside: it is no list of classes", FILE, where=Path(error.path).name)
        return {}


def texts_of(value: Any) -> list[str]:
    """The strings of a list; nothing of what is no list."""
    return [one for one in value if isinstance(one, str) and encodable(one)] if isinstance(value, list) else []


def _listed(line: bytes) -> tuple[ListedTask, list[str]] | None:
    """The task of a line, and the names of the fields that are not read."""
    try:
        row = orjson.loads(line)
        key, task_id, name = (row[part] for part in ("key", "task_id", "name"))
        given = row.get("tags")
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError, AttributeError):
        return None
    if not (isinstance(key, str) and key and isinstance(task_id, str) and task_id and isinstance(name, str)):
        return None
    tags = texts_of(given)
    unread = unread_names(row, ListedTask._fields)
    return ListedTask(key, task_id, name, tags), unread + ["tags"] * (given not in SAYS_NOTHING and tags != given)
