"""Write COCO: ``annotations.json`` (or Parquet tables of the same content) and ``images/`` beside it.

Ids: image ids are 1..N in the order of task name, then task id; annotation ids 1..M in the order of the labels;
category ids as :class:`~fastlabel_dagster.formats.categories.Categories` says. ``file_name`` is the path below
``images/``. An image whose size nobody knows is listed with width and height 0 and noted in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories, Category
from fastlabel_dagster.formats.coco.files import RECTANGLES
from fastlabel_dagster.formats.coco.rows import COCO_ROWS, NEEDS, coco_rows
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import as_ragged, offsets_of, ranges
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

JSON_FILE = "annotations.json"
IMAGES = "images"

COCO_IMAGES = pa.schema(
    [
        ("id", pa.int64()),
        ("file_name", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("task_id", pa.string()),
        ("task_name", pa.string()),
        ("tags", pa.list_(pa.string())),
    ]
)
COCO_CATEGORIES = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("supercategory", pa.string()),
        ("title", pa.string()),
        ("color", pa.string()),
        ("types", pa.list_(pa.string())),
        ("keypoints", pa.list_(pa.string())),
        ("skeleton", pa.list_(pa.list_(pa.int64()))),
    ]
)
_IMAGES_AT_ONCE = 10_000
_NO_SIZE = "the size of the image is not known, it is listed with width and height 0"


def write_coco(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    bbox_segmentation: str = "none",
) -> Written:
    """Write ``annotations.json`` into ``folder``, and the pictures into ``images/`` when ``images`` has them.

    ``bbox_segmentation``: ``"none"`` leaves the segmentation of a box empty, as CVAT does; ``"rectangle"`` writes its
    four corners, for programs that ask every annotation for its mask (``COCO.annToMask`` fails on an empty one).
    """
    rectangles = _wants_rectangles(bbox_segmentation)
    pictures, categories = _plan(labels, images, tally)
    with folder.open(JSON_FILE) as file:
        file.write(b'{"info":' + orjson.dumps(_info(labels, rectangles)) + b',\n"licenses":[],\n"images":[')
        _write_items(file, (orjson.dumps(rows)[1:-1] for rows in _image_rows(pictures)))
        file.write(b'],\n"annotations":[')
        _write_items(
            file, (_json_lines(rows) for rows in _annotation_rows(labels, pictures, categories, tally, rectangles))
        )
        file.write(b'],\n"categories":')
        file.write(orjson.dumps([_category_row(category) for category in categories]))
        file.write(b"}\n")
        size = file.tell()
    return _with_images(Written(len(pictures), files=1, bytes=size), folder, pictures, images, tally)


def write_coco_parquet(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    bbox_segmentation: str = "none",
) -> Written:
    """Write ``images.parquet``, ``annotations.parquet`` and ``categories.parquet``: the same rows as the JSON."""
    rectangles = _wants_rectangles(bbox_segmentation)
    pictures, categories = _plan(labels, images, tally)
    size = 0
    tables: list[tuple[str, pa.Schema, Callable[[], Iterable[pa.Table]]]] = [
        (
            "images.parquet",
            COCO_IMAGES,
            lambda: (pa.Table.from_pylist(rows, COCO_IMAGES) for rows in _image_rows(pictures)),
        ),
        ("annotations.parquet", COCO_ROWS, lambda: _annotation_rows(labels, pictures, categories, tally, rectangles)),
        (
            "categories.parquet",
            COCO_CATEGORIES,
            lambda: [pa.Table.from_pylist([_category_row(category) for category in categories], COCO_CATEGORIES)],
        ),
    ]
    for name, schema, rows in tables:
        with folder.open(name) as file:
            write_parquet(file, schema, rows())
            size += file.tell()
    return _with_images(Written(len(pictures), files=len(tables), bytes=size), folder, pictures, images, tally)


def write_parquet(file: BinaryIO, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Stream ``tables`` into one Parquet file, a row group each."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _wants_rectangles(bbox_segmentation: str) -> bool:
    if bbox_segmentation not in ("none", "rectangle"):
        raise ValueError(f'bbox_segmentation is "none" or "rectangle", not {bbox_segmentation!r}')
    return bbox_segmentation == "rectangle"


def _plan(labels: Labels, images: PictureSource | None, tally: Tally) -> tuple[Pictures, Categories]:
    pictures = list_pictures(labels, images, tally)
    unknown = np.flatnonzero(~(pictures.width * pictures.height > 0)).tolist()
    tally.note("altered", _NO_SIZE, IMAGE, len(unknown), [pictures.names[row] for row in unknown[:EXAMPLES]])
    return pictures, Categories(labels.classes)


def _annotation_rows(
    labels: Labels, pictures: Pictures, categories: Categories, tally: Tally, rectangles: bool
) -> Iterator[pa.Table]:
    first_id = 1
    for tasks in task_batches(labels, NEEDS):
        rows = coco_rows(tasks, pictures, categories, tally, first_id, rectangles=rectangles)
        first_id += rows.num_rows
        if rows.num_rows:
            yield rows


def _with_images(
    written: Written, folder: FolderWriter, pictures: Pictures, images: PictureSource | None, tally: Tally
) -> Written:
    if images is None:
        return written
    files, size = link_pictures(folder, pictures, [f"{IMAGES}/{file}" for file in pictures.files], images, tally)
    return written._replace(files=written.files + files, bytes=written.bytes + size)


def _info(labels: Labels, rectangles: bool) -> dict[str, str | int]:
    """What the file says of itself: nothing that depends on the moment or the machine."""
    known = {f"labels_{name}": labels.origin[name] for name in ("version", "digest") if name in labels.origin}
    if rectangles:
        known[RECTANGLES] = "rectangle"  # tells our reader that a rectangle which is its own box was drawn as a box
    return {"description": str(labels.origin.get("project", "")), **known}


def _image_rows(pictures: Pictures) -> Iterator[list[dict[str, Any]]]:
    width, height = (np.nan_to_num(size).astype(np.int64).tolist() for size in (pictures.width, pictures.height))
    for start in range(0, len(pictures), _IMAGES_AT_ONCE):
        rows = []
        for index in range(start, min(start + _IMAGES_AT_ONCE, len(pictures))):
            row: dict[str, Any] = {
                "id": index + 1,
                "file_name": pictures.files[index],
                "width": width[index],
                "height": height[index],
                "task_id": pictures.task_ids[index],
            }
            if pictures.names[index] != pictures.files[index]:
                row["task_name"] = pictures.names[index]
            if pictures.tags[index]:
                row["tags"] = pictures.tags[index]
            rows.append(row)
        yield rows


def _category_row(category: Category) -> dict[str, Any]:
    row: dict[str, Any] = {"id": category.id, "name": category.value, "supercategory": ""}
    if category.title is not None:
        row["title"] = category.title
    if category.color is not None:
        row["color"] = category.color
    if category.types:
        row["types"] = category.types
    if category.keypoints:
        row["keypoints"] = category.keypoints
        row["skeleton"] = [list(edge) for edge in category.skeleton]
    return row


def _write_items(file: BinaryIO, pieces: Iterable[bytes]) -> None:
    """The pieces (each some items of a JSON list, separated by commas) one after the other."""
    separator = b"\n"
    for piece in pieces:
        file.write(separator)
        file.write(piece)
        separator = b",\n"


def _json_lines(rows: pa.Table) -> bytes:
    """The rows as JSON objects, one per line."""
    column = {name: rows[name].combine_chunks() for name in rows.column_names}
    segmentation = glued("[", _lists_text(column["segmentation"]), "]")
    if column["counts"].null_count < len(rows):
        masks = glued('{"counts":[', _list_text(column["counts"]), '],"size":[', _list_text(column["size"]), "]}")
        segmentation = pc.if_else(pc.is_valid(column["counts"]), masks, segmentation)
    parts: list[pa.Array | str] = ['{"id":', number_text(column["id"])]
    for name in ("image_id", "category_id", "iscrowd", "area"):
        parts += [f',"{name}":', number_text(column[name])]
    parts += [',"bbox":[', _list_text(column["bbox"]), '],"segmentation":', segmentation]
    if column["keypoints"].null_count < len(rows):
        points = glued(
            ',"keypoints":[',
            _list_text(column["keypoints"]),
            '],"num_keypoints":',
            number_text(column["num_keypoints"]),
        )
        parts.append(pc.if_else(pc.is_valid(column["keypoints"]), points, ""))
    if column["attributes"].null_count < len(rows):
        parts.append(pc.fill_null(glued(',"attributes":', column["attributes"]), ""))
    lines = glued(*parts, "}")
    return cast(bytes, joined(np.array([0, len(lines)]), lines, ",\n")[0].as_buffer().to_pybytes())


def _list_text(lists: pa.Array) -> pa.Array:
    """``1,2,3`` of each list of numbers; empty where null."""
    ragged = as_ragged(lists)
    picked = ragged.values.take(pa.array(ranges(ragged.starts, ragged.lengths)))
    return joined(offsets_of(ragged.lengths), number_text(picked), ",")


def _lists_text(lists: pa.Array) -> pa.Array:
    """``[1,2],[3,4]`` of each list of lists of numbers."""
    ragged = as_ragged(lists)
    inner = ragged.values.take(pa.array(ranges(ragged.starts, ragged.lengths)))
    return joined(offsets_of(ragged.lengths), glued("[", _list_text(inner), "]"), ",")
