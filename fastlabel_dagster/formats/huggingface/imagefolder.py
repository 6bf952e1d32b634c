"""Hugging Face's ``imagefolder``: ``<split>/metadata.jsonl`` beside the pictures, loaded by
``load_dataset("imagefolder", data_dir=…)`` or from the Hub as it is.

The card ``README.md`` names the features, so that categories are class labels with names.
"""

from __future__ import annotations

import contextlib
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.huggingface.card import CARD, card
from fastlabel_dagster.formats.huggingface.label import find_labelling
from fastlabel_dagster.formats.huggingface.rows import (
    Rows,
    Shape,
    check_options,
    label_rows,
    object_classes,
    object_rows,
    splits_of,
    taken_apart,
)
from fastlabel_dagster.formats.pictures import link_pictures, list_pictures
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split
from fastlabel_dagster.formats.text import glued, joined, json_text, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import offsets_of
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

METADATA = "metadata.jsonl"
_TAKEN = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_NO_PICTURES = "no pictures were given: the dataset loads once they lie beside metadata.jsonl"


def write_hf_imagefolder(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    task: str = "detect",
    split: Split = None,
    category: str = "index",
    label: str | None = None,
) -> Written:
    """Write ``<split>/metadata.jsonl``, the pictures beside it, and the card.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures. A task without one is left out, for ``datasets`` would not load the others either. With
            None there is only the metadata.
        tally: told of everything left out or changed.
        task: ``detect`` (a box around every shape) or ``classify`` (one label per picture).
        split: which part each image belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says; ``val``
            is written as ``validation``.
        category: in ``detect``, ``index`` (the place of the class) or ``name``. Labels of pictures are always places.
        label: in ``classify``, the key of the attribute that is the label, where there are several.

    Raises:
        ValueError: for an unknown task, category or label, or an impossible split.
    """
    check_options(task, category)
    pictures = list_pictures(labels, images, tally, safe=_beside_metadata)
    splits = splits_of(pictures, split)
    wanted = np.array([images is None or task_id in images.held for task_id in pictures.task_ids], np.bool_)
    if images is None:
        tally.note("noticed", _NO_PICTURES, IMAGE, len(pictures), pictures.names[:EXAMPLES])
    if task == "detect":
        classes = object_classes(labels)
        shape = Shape(task, category, [one.value for one in classes])
        rows = object_rows(labels, pictures, classes, tally, names=category == "name", wanted=wanted)
    else:
        labelling = find_labelling(labels, label)
        shape = Shape(task, category, labelling.names)
        rows = label_rows(labels, pictures, labelling, tally, wanted=wanted)
    names = sorted({one for one, is_wanted in zip(splits, wanted.tolist(), strict=True) if is_wanted})
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {one: stack.enter_context(folder.open(f"{one}/{METADATA}")) for one in names}
        for batch in rows:
            texts = _lines(batch, names=category == "name").to_pylist()
            for row, text in zip(batch.picture.tolist(), texts, strict=True):
                files[splits[row]].write(text.encode())
        size = sum(file.tell() for file in files.values())
    content = card(shape, names, "{}/**", image=True, file_name=False)
    folder.write_bytes(CARD, content)
    counts = {one: int(sum(wanted[np.array(splits) == one])) for one in names}
    written = Written(int(wanted.sum()), len(names) + 1, size + len(content), counts)
    if images is None:
        return written
    paths = [f"{one}/{file}" for one, file in zip(splits, pictures.files, strict=True)]
    linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
    return written._replace(files=written.files + linked, bytes=written.bytes + linked_bytes)


def _beside_metadata(name: str) -> str:
    """A name that is none of the metadata file's own."""
    place, slash, last = name.replace("\\", "/").rpartition("/")
    return f"{place}{slash}_{last}" if last.strip().lower() in _TAKEN else name


def _lines(rows: Rows, *, names: bool) -> pa.Array:
    column = {name: rows.columns[name].combine_chunks() for name in rows.columns.column_names}
    parts: list[pa.Array | str] = ['{"file_name":', json_text(column["file_name"])]
    parts += [',"image_id":', number_text(column["image_id"]), ',"task_id":', json_text(column["task_id"])]
    for name in ("width", "height"):
        parts += [f',"{name}":', pc.fill_null(number_text(column[name]), "null")]
    if "label" in column:
        return glued(*parts, ',"label":', pc.fill_null(number_text(column["label"]), "null"), "}\n")
    offsets, fields = taken_apart(column["objects"])
    boxes = fields["bbox"]
    texts = {
        "id": number_text(fields["id"]),
        "area": number_text(fields["area"]),
        "bbox": glued("[", joined(offsets_of(np.full(len(boxes), 4)), number_text(pc.list_flatten(boxes)), ","), "]"),
        "category": json_text(fields["category"]) if names else number_text(fields["category"]),
        "iscrowd": number_text(fields["iscrowd"]),
    }
    separator = ',"objects":{'
    for name, text in texts.items():
        parts += [f'{separator}"{name}":[', joined(offsets, text, ","), "]"]
        separator = ","
    return glued(*parts, "}}\n")


FORMAT = Format(
    name="hf_imagefolder",
    summary="Hugging Face imagefolder: pictures and metadata.jsonl",
    index=CARD,
    write=write_hf_imagefolder,
    options={"task": "detect", "split": None, "category": "index", "label": None},
)
