"""Hugging Face's ``imagefolder``: ``<split>/metadata.jsonl`` beside the pictures, loaded by
``load_dataset("imagefolder", data_dir=…)`` or from the Hub as it is.

The card ``README.md`` names the features, categories as class labels among them. ``datasets`` itself makes up the
features of an image folder from its lines: there, only ``category="name"`` (or ``hf_parquet``) shows names. It takes a
number without a point for an integer, and refuses splits whose columns are not of the same types: so sizes and places
always have a point, and a split that says nothing of a column is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.huggingface.card import CARD, card
from fastlabel_dagster.formats.huggingface.rows import (
    Rows,
    check_options,
    splits_of,
    taken_apart,
)
from fastlabel_dagster.formats.huggingface.subject import subject_of
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import EXAMPLES, FILE, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split
from fastlabel_dagster.formats.text import glued, joined, json_text, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, offsets_of
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

METADATA = "metadata.jsonl"
_TAKEN = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_SILENT = (
    "a split that says nothing of what the others say: datasets loads it by itself only (hf_parquet knows no limit)"
)
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
        images: the pictures, or the videos frames are cut from. A task without a picture is left out, and so is a
            frame that its video does not have, for ``datasets`` would not load the others either. With None there is
            only the metadata.
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
    pictures = list_pictures(labels, images, tally, safe=_beside_metadata, attributes=None)
    splits = splits_of(pictures, split, tally)
    subject = subject_of(labels, pictures, tally, task=task, category=category, label=label)
    # Pictures first: only then it is known which frames the videos really have.
    wanted, linked, linked_bytes = _put_pictures(folder, pictures, splits, images, tally)
    names = sorted({one for one, is_wanted in zip(splits, wanted.tolist(), strict=True) if is_wanted})
    saying: set[tuple[str, str]] = set()
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {one: stack.enter_context(folder.open(f"{one}/{METADATA}")) for one in names}
        for batch in subject.rows(wanted):
            saying.update(_saying(batch, splits))
            texts = _lines(batch, names=category == "name").to_pylist()
            for row, text in zip(batch.picture.tolist(), texts, strict=True):
                files[splits[row]].write(text.encode())
        size = sum(file.tell() for file in files.values())
    silent = {(split, column) for split in names for _, column in saying} - saying
    told = [f"{split}: {column}" for split, column in sorted(silent)]
    tally.note("noticed", _SILENT, FILE, len(told), told[:EXAMPLES])
    content = card(subject.shape, names, "{}/**", image=True, file_name=False)
    folder.write_bytes(CARD, content)
    counts = {one: int(sum(wanted[np.array(splits) == one])) for one in names}
    return Written(int(wanted.sum()), len(names) + 1 + linked, size + len(content) + linked_bytes, counts)


def _put_pictures(
    folder: FolderWriter, pictures: Pictures, splits: list[str], images: PictureSource | None, tally: Tally
) -> tuple[Bools, int, int]:
    """Put the pictures where their rows will be. Returns which images the dataset has (bool[pictures]), and the files
    and bytes written."""
    wanted = np.ones(len(pictures), np.bool_)
    if images is None:
        tally.note("noticed", _NO_PICTURES, IMAGE, len(pictures), pictures.names[:EXAMPLES])
        return wanted, 0, 0
    paths = [f"{one}/{file}" for one, file in zip(splits, pictures.files, strict=True)]
    without: set[int] = set()
    linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally, without=without)
    wanted[sorted(without)] = False
    return wanted, linked, linked_bytes


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
        "area": _with_point(fields["area"]),
        "bbox": glued("[", joined(offsets_of(np.full(len(boxes), 4)), _with_point(pc.list_flatten(boxes)), ","), "]"),
        "category": json_text(fields["category"]) if names else number_text(fields["category"]),
        "iscrowd": number_text(fields["iscrowd"]),
    }
    separator = ',"objects":{'
    for name, text in texts.items():
        parts += [f'{separator}"{name}":[', joined(offsets, text, ","), "]"]
        separator = ","
    return glued(*parts, "}}\n")


def _with_point(numbers: pa.Array) -> pa.Array:
    """Each number (float64, not null) as JSON that no reader takes for an integer."""
    text = number_text(numbers)
    return glued(text, pc.if_else(pc.match_substring_regex(text, "[.e]"), "", ".0"))


def _saying(rows: Rows, splits: list[str]) -> Iterator[tuple[str, str]]:
    """Split and column of whatever the rows say more of than null, or an empty list."""
    for name in {"width", "height", "label", "objects"}.intersection(rows.columns.column_names):
        column = rows.columns[name].combine_chunks()
        says = pc.is_valid(column)
        if name == "objects":
            says = pc.greater(pc.list_value_length(pc.struct_field(column, "id")), 0)
        places = rows.picture[says.to_numpy(zero_copy_only=False)]
        yield from {(splits[place], name) for place in places.tolist()}


FORMAT = Format(
    name="hf_imagefolder",
    summary="Hugging Face imagefolder: pictures and metadata.jsonl",
    index=CARD,
    rules=4,
    write=write_hf_imagefolder,
    options={"task": "detect", "split": None, "category": "index", "label": None},
)
