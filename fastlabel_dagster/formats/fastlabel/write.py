"""Label tables written as FastLabel's own JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.fastlabel.layout import CLASSES_FILE, LAYOUTS, PICTURES, PICTURES_FILE
from fastlabel_dagster.formats.local_urls import without_local_urls
from fastlabel_dagster.formats.pictures import link_pictures, list_pictures
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.fastlabel import classes_to_fastlabel, to_fastlabel
from fastlabel_dagster.labels.json_text import strict
from fastlabel_dagster.labels.pauses import without_collecting
from fastlabel_dagster.labels.ragged import as_ragged, one_array
from fastlabel_dagster.labels.report import EXAMPLES, TASK
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

Layout: TypeAlias = Literal["jsonl", "json"]


def write_fastlabel(
    labels: Labels, folder: FolderWriter, images: PictureSource | None, tally: Tally, *, layout: Layout = "jsonl"
) -> Written:
    """Write ``tasks.jsonl`` (a task a line) or ``tasks.json`` (one list), ``classes.json``, and the pictures in
    ``images/``.

    Tasks and classes equal those the labels were read from, but for the ``url`` of a file on this machine, which
    means nothing elsewhere. ``pictures.json`` (task id -> file) is there when a picture could not be called like its
    task.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout is "jsonl" or "json", not {layout!r}')
    files = size = tasks = 0
    if images is not None:
        pictures = list_pictures(labels, images, tally, attributes=None)
        files, size = link_pictures(folder, pictures, [f"{PICTURES}/{file}" for file in pictures.files], images, tally)
        other = {
            task_id: f"{PICTURES}/{file}"
            for task_id, name, file in zip(pictures.task_ids, pictures.names, pictures.files, strict=True)
            if name != file and task_id in images.held
        }
        if other:
            folder.write_bytes(PICTURES_FILE, orjson.dumps(other, option=orjson.OPT_INDENT_2))
            files += 1
    with folder.open(f"tasks.{layout}") as file:
        separator = b"\n" if layout == "jsonl" else b",\n"
        if layout == "json":
            file.write(b"[\n")
        for batch in task_batches(labels):
            _tell(batch, tally)
            text = separator.join(_texts(without_local_urls(batch)[0]))
            file.write(separator + text if tasks else text)
            tasks += batch.num_rows
        file.write(b"\n]\n" if layout == "json" else b"\n" if tasks else b"")
    classes = classes_to_fastlabel(labels.classes)
    folder.write_bytes(CLASSES_FILE, b"[\n" + b",\n".join(map(strict, classes)) + b"\n]\n")
    return Written(tasks, files + 2, size + folder.bytes_written)


def _texts(tasks: pa.Table) -> list[bytes]:
    with without_collecting():
        return list(map(strict, to_fastlabel(tasks)))


_NOT_FINITE = "a number that is not finite was written as null, for JSON has no word for it"


def _tell(tasks: pa.Table, tally: Tally) -> None:
    nested = as_ragged(one_array(tasks["annotations"]))
    structs = pc.list_flatten(one_array(tasks["annotations"]))
    owner = np.repeat(np.arange(tasks.num_rows, dtype=np.int64), nested.lengths)
    names = one_array(tasks["name"])
    told = tally.batch(pc.struct_field(structs, "type"), owner, names, pc.struct_field(structs, "annotation_id"))
    if _may_be_odd(tasks):
        odd: list[bool] = []
        odd_tasks: list[str] = []
        for name, task in zip(names.to_pylist(), to_fastlabel(tasks), strict=True):
            annotations = task.get("annotations")
            if isinstance(annotations, list):
                odd.extend(map(_is_odd, annotations))
            if any(_is_odd(value) for key, value in task.items() if key != "annotations" or value is not annotations):
                odd_tasks.append(str(name))
        told.alter(_NOT_FINITE, np.array(odd, np.bool_))
        tally.note("altered", _NOT_FINITE, TASK, len(odd_tasks), odd_tasks[:EXAMPLES])
    told.finish()


def _may_be_odd(tasks: pa.Table) -> bool:
    return any(_has_odd_leaf(one_array(column)) for column in tasks.columns)


def _has_odd_leaf(array: pa.Array) -> bool:
    if pa.types.is_floating(array.type):
        return not pc.all(pc.is_finite(array), min_count=0).as_py()
    if pa.types.is_string(array.type):
        return False
    if pa.types.is_list(array.type):
        return _has_odd_leaf(array.flatten())
    if pa.types.is_struct(array.type):
        children = zip(array.type, array.flatten(), strict=True)
        return any(_says_odd(child) if field.name == "extra" else _has_odd_leaf(child) for field, child in children)
    return False


def _says_odd(extra: pa.Array) -> bool:
    found = pc.match_substring_regex(extra.drop_null(), "NaN|Infinity")
    return bool(pc.any(found, min_count=0).as_py())


def _is_odd(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, float) and not isfinite(one):
            return True
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return False
