"""A Hugging Face dataset as Parquet files: ``data/<split>-00000-of-00003.parquet``, with the pictures in them.

``load_dataset("parquet", …)``, or the folder on the Hub, gives typed features: pictures, and class labels with their
names. Rows are streamed: memory is needed for a row group, every picture is read once, and so is every video whose
frames are the pictures.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.formats.huggingface.card import CARD, card, schema_metadata
from fastlabel_dagster.formats.huggingface.pictures_inside import PictureReader, picture_weights
from fastlabel_dagster.formats.huggingface.rows import (
    Rows,
    Shape,
    check_options,
    splits_of,
)
from fastlabel_dagster.formats.huggingface.subject import subject_of
from fastlabel_dagster.formats.pictures import list_pictures
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

#: A file is about this large, in bytes of pictures as far as not said otherwise; and without pictures, in rows.
SHARD_BYTES = 500 * 10**6
SHARD_ROWS = 1_000_000
#: A row group ends when it holds so many bytes of pictures, or rows.
_GROUP_BYTES = 32 * 2**20
_GROUP_ROWS = 1000
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_hf_parquet(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    task: str = "detect",
    split: Split = None,
    category: str = "index",
    label: str | None = None,
    image_bytes: bool = True,
    file_bytes: int = SHARD_BYTES,
) -> Written:
    """Write ``data/<split>-….parquet`` and the card.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, or the videos frames are cut from. A task without one has a null there. With None there
            is no column of pictures.
        tally: told of everything left out or changed.
        task: ``detect`` (a box around every shape) or ``classify`` (one label per picture).
        split: which part each image belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says; ``val``
            is written as ``validation``.
        category: in ``detect``, ``index`` (the place of the class) or ``name``. Labels of pictures are always places.
        label: in ``classify``, the key of the attribute that is the label, where there are several.
        image_bytes: off: no pictures, only the names of their files.
        file_bytes: about how many bytes of pictures a file holds.

    Raises:
        ValueError: for an unknown task, category or label, or an impossible split.
    """
    check_options(task, category)
    if file_bytes <= 0:
        raise ValueError(f"file_bytes is a number of bytes from 1 on, not {file_bytes!r}")
    pictures = list_pictures(labels, images, tally, attributes=None)
    splits = splits_of(pictures, split, tally)
    source = images if image_bytes else None
    shape, rows_of = subject_of(labels, pictures, tally, task=task, category=category, label=label)
    rows = rows_of(np.ones(len(pictures), np.bool_))
    schema = _schema(shape, image=source is not None)
    weights = np.ones(len(pictures)) if source is None else picture_weights(pictures, source)
    names = sorted(set(splits))
    chosen = np.array(splits)
    limit = SHARD_ROWS if source is None else file_bytes
    with contextlib.ExitStack() as stack:
        shards = {
            one: stack.enter_context(_Shards(folder, one, float(weights[chosen == one].sum()), limit, schema))
            for one in names
        }
        reader = None if source is None else stack.enter_context(PictureReader(pictures, source, tally))
        for piece in _pieces(rows, weights, reader):
            frames = {} if reader is None else reader.frames(piece.picture.tolist())
            of_piece = chosen[piece.picture]
            for one in sorted(set(of_piece.tolist())):
                mine = np.flatnonzero(of_piece == one)
                part = Rows(piece.picture[mine], piece.columns.take(pa.array(mine)))
                for group in _groups(part, weights, min(limit, _GROUP_BYTES)):
                    content = group.columns if reader is None else _with_images(group, reader, frames)
                    shards[one].write(content.cast(schema), float(weights[group.picture].sum()))
    files, size = (sum(getattr(one, what) for one in shards.values()) for what in ("files", "bytes"))
    readme = card(shape, names, "data/{}-*", image=source is not None, file_name=True)
    folder.write_bytes(CARD, readme)
    return Written(len(pictures), files + 1, size + len(readme), {one: splits.count(one) for one in names})


class _Shards:
    """The files of one split: as many as its ``total`` weight asks for, filled one after the other."""

    def __init__(self, folder: FolderWriter, split: str, total: float, limit: float, schema: pa.Schema) -> None:
        self._folder, self._split, self._schema = folder, split, schema
        self._total = max(total, 1.0)
        self._count = max(1, math.ceil(total / limit))
        self._number = -1
        self._written = 0.0
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        self._writer: Any = None
        self.files = self.bytes = 0

    def __enter__(self) -> _Shards:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        while self._number < self._count - 1:  # a last file without rows, where large pictures filled the others
            self._next()
        self._finish()

    def write(self, rows: pa.Table, weight: float) -> None:
        """Write a row group."""
        place = min(self._count - 1, int(self._written / self._total * self._count))
        if place > self._number:
            self._next()
        self._writer.write_table(rows)
        self._written += weight

    def _next(self) -> None:
        import pyarrow.parquet as pq

        self._finish()
        self._number += 1
        name = f"data/{self._split}-{self._number:05d}-of-{self._count:05d}.parquet"
        self._file = self._stack.enter_context(self._folder.open(name))
        sink = pa.PythonFile(self._file, mode="w")
        # Pictures are compressed already, and no two are alike: a dictionary of them would only cost memory.
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(sink, self._schema, compression="zstd", use_dictionary=["task_id", "file_name"])
        )

    def _finish(self) -> None:
        if self._file is not None:
            self._writer.close()
            self.bytes += self._file.tell()
            self.files += 1
            self._stack.close()
            self._file = None


def _schema(shape: Shape, *, image: bool) -> pa.Schema:
    category = pa.string() if shape.category == "name" else pa.int64()
    objects = pa.struct(
        [
            ("id", pa.list_(pa.int64())),
            ("area", pa.list_(pa.float64())),
            ("bbox", pa.list_(pa.list_(pa.float64(), 4))),
            ("category", pa.list_(category)),
            ("iscrowd", pa.list_(pa.int64())),
        ]
    )
    fields: list[tuple[str, pa.DataType]] = [("image", _IMAGE)] if image else []
    fields += [("image_id", pa.int64()), ("task_id", pa.string()), ("file_name", pa.string())]
    fields += [("width", pa.int64()), ("height", pa.int64())]
    fields.append(("label", pa.int64()) if shape.task == "classify" else ("objects", objects))
    return pa.schema(fields, metadata=dict(schema_metadata(shape, image=image)))


def _pieces(rows: Iterable[Rows], weights: NDArray[np.float64], reader: PictureReader | None) -> Iterator[Rows]:
    """The batches; those with frames of videos in pieces of the size of a row group, for the frames of a piece are in
    memory together: its splits share them, and the video is decoded once for all."""
    for batch in rows:
        if reader is not None and reader.has_frames(batch.picture.tolist()):
            yield from _groups(batch, weights, _GROUP_BYTES)
        else:
            yield batch


def _groups(rows: Rows, weights: NDArray[np.float64], limit: float) -> Iterator[Rows]:
    """The rows in pieces of the size of a row group, which weighs no more than ``limit`` if it has several rows."""
    weight = weights[rows.picture]
    first = 0
    while first < len(rows.picture):
        reached = np.cumsum(weight[first : first + _GROUP_ROWS])
        count = max(1, int(np.searchsorted(reached, limit, side="right")))
        yield Rows(rows.picture[first : first + count], rows.columns.slice(first, count))
        first += count


def _with_images(rows: Rows, reader: PictureReader, frames: Mapping[int, bytes | None]) -> pa.Table:
    """The columns with ``image`` before them, null where there is no picture."""
    places = rows.picture.tolist()
    contents = [frames[row] if row in frames else reader.stored(row) for row in places]
    files = [reader.pictures.files[row] for row in places]
    paths = [None if content is None else file for content, file in zip(contents, files, strict=True)]
    fields = [pa.array(contents, pa.binary()), pa.array(paths, pa.string())]
    mask = pa.array([content is None for content in contents], pa.bool_())
    image = pa.StructArray.from_arrays(fields, fields=list(_IMAGE), mask=mask)
    return rows.columns.add_column(0, "image", image)


FORMAT = Format(
    name="hf_parquet",
    summary="Hugging Face dataset as Parquet, pictures included",
    index=CARD,
    rules=4,
    write=write_hf_parquet,
    options={
        "task": "detect",
        "split": None,
        "category": "index",
        "label": None,
        "image_bytes": True,
        "file_bytes": SHARD_BYTES,
    },
)
