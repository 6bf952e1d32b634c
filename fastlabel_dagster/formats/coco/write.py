"""Write COCO: ``annotations.json`` (or Parquet tables of the same content) and ``images/`` beside it.

Ids: image ids are 1..N in the order of task name, then task id; annotation ids those of the labels when these are
distinct whole numbers (read from COCO, they come out as they went in), otherwise 1..M in the order of the labels;
category ids as :class:`~fastlabel_dagster.formats.categories.Categories` says, or those of the COCO file the labels
were read from. ``file_name`` is the path below ``images/``. An image whose size nobody knows is listed with width and
height 0 and noted in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.categories import Categories, Category
from fastlabel_dagster.formats.coco.classes import CATEGORY_ID
from fastlabel_dagster.formats.coco.columns import are_distinct
from fastlabel_dagster.formats.coco.declared import declared_attributes
from fastlabel_dagster.formats.coco.files import RECTANGLES
from fastlabel_dagster.formats.coco.rows import COCO_ROWS, coco_rows
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.shapes import ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.text import glued, joined, list_tails, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.json_text import encodable, loads, strict
from fastlabel_dagster.labels.ragged import as_ragged, floats, offsets_of, one_array, places, taken
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
        ("keypoint_colors", pa.list_(pa.string())),
        ("attributes", pa.string()),
    ]
)
_IMAGES_AT_ONCE = 10_000
#: Above 0, for pycocotools takes an annotation 0 for no annotation, and exact in programs that only know doubles.
_ID = "^[1-9][0-9]{0,14}$"
_NO_SIZE = "the size of the image is not known, it is listed with width and height 0"


def write_coco(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    bbox_segmentation: str = "none",
    every_key: bool = False,
) -> Written:
    """Write ``annotations.json`` into ``folder``, and the pictures into ``images/`` when ``images`` has them.

    A turned box is the polygon of its corners, with its ``rotation`` (degrees, clockwise on screen) beside it.

    ``bbox_segmentation``: ``"none"`` leaves the segmentation of a box empty, as CVAT does; ``"rectangle"`` writes its
    four corners, for programs that ask every annotation for its mask (``COCO.annToMask`` fails on an empty one).
    ``every_key``: annotations and categories have every key of the official SDK's files, also where it says nothing
    (``"keypoints": []``, ``"attributes": {}``, ``"rotation": 0``), for programs that were made for those.
    """
    rectangles = _wants_rectangles(bbox_segmentation)
    pictures, categories = _plan(labels, images, tally)
    with folder.open(JSON_FILE) as file:
        file.write(
            b'{"info":' + orjson.dumps(info_of(labels, rectangles=rectangles)) + b',\n"licenses":[],\n"images":['
        )
        write_items(file, (orjson.dumps(rows)[1:-1] for rows in image_rows(pictures)))
        file.write(b'],\n"annotations":[')
        write_items(
            file,
            (
                _json_lines(rows, every_key=every_key)
                for rows in _annotation_rows(labels, pictures, categories, tally, rectangles)
            ),
        )
        file.write(b'],\n"categories":')
        extras = extras_of(labels)
        file.write(
            strict(
                [category_row(one, extras.get(one.value, {}), every_key=every_key) for one in categories],
            )
        )
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
    extras = extras_of(labels)
    tables: list[tuple[str, pa.Schema, Callable[[], Iterable[pa.Table]]]] = [
        (
            "images.parquet",
            COCO_IMAGES,
            lambda: (pa.Table.from_pylist(rows, COCO_IMAGES) for rows in image_rows(pictures)),
        ),
        ("annotations.parquet", COCO_ROWS, lambda: _annotation_rows(labels, pictures, categories, tally, rectangles)),
        (
            "categories.parquet",
            COCO_CATEGORIES,
            lambda: [
                pa.Table.from_pylist(
                    [_with_text(category_row(one, extras.get(one.value, {}))) for one in categories], COCO_CATEGORIES
                )
            ],
        ),
    ]
    for name, schema, rows in tables:
        with folder.open(name) as file:
            write_parquet(file, schema, rows())
            size += file.tell()
    return _with_images(Written(len(pictures), files=len(tables), bytes=size), folder, pictures, images, tally)


def _with_text(category: dict[str, Any]) -> dict[str, Any]:
    """A category for a table: its attributes as JSON text, as those of annotations are."""
    if "attributes" in category:
        category["attributes"] = strict(category["attributes"]).decode()
    return category


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
    tell_of_sizes(pictures, tally)
    return pictures, categories_of(labels)


def categories_of(labels: Labels) -> Categories:
    """The categories of the labels, with the ids of the COCO file they were read from where those are no orders."""
    categories = Categories(labels.classes)
    stated = {value: extra.get(CATEGORY_ID) for value, extra in extras_of(labels).items()}
    categories.take_ids({value: number for value, number in stated.items() if type(number) is int and number >= 0})
    return categories


def tell_of_sizes(pictures: Pictures, tally: Tally) -> None:
    """Tell of the images whose size nobody knows."""
    unknown = np.flatnonzero(~(pictures.width * pictures.height > 0)).tolist()
    tally.note("altered", _NO_SIZE, IMAGE, len(unknown), [pictures.names[row] for row in unknown[:EXAMPLES]])


def _annotation_rows(
    labels: Labels, pictures: Pictures, categories: Categories, tally: Tally, rectangles: bool
) -> Iterator[pa.Table]:
    own_ids: bool | None = None  # not known before the first batch is seen
    next_id = 1

    def rows_of(batch: ShapeBatch) -> pa.Table:
        nonlocal own_ids, next_id
        if own_ids is None:  # those of FastLabel are none, which the first batch tells without a further pass
            own_ids = _are_ids(batch.column("annotation_id")) and have_own_ids(labels)
        rows = coco_rows(batch, categories, None if own_ids else next_id, rectangles=rectangles)
        next_id += rows.num_rows
        return rows

    for rows in each_batch(labels, pictures, tally, rows_of, ahead=True):
        if rows.num_rows:
            yield rows


def have_own_ids(labels: Labels) -> bool:
    """Whether the annotations have ids COCO can use: all of them distinct whole numbers from 1 on, as those of labels
    that were read from COCO."""
    seen: list[pa.Array] = []
    for tasks in labels.batches(["annotations"]):
        ids = pc.struct_field(pc.list_flatten(one_array(tasks["annotations"])), "annotation_id")
        if not _are_ids(ids):
            return False
        seen.append(ids.cast(pa.int64()))
    numbers = pa.chunked_array(seen, pa.int64())
    return len(numbers) > 0 and are_distinct(numbers.to_numpy())


def _are_ids(texts: pa.Array) -> bool:
    """Whether all of the texts are whole numbers from 1 on; of others the first one often tells."""
    return not texts.null_count and all(
        pc.match_substring_regex(part, _ID).true_count == len(part) for part in (texts[:1], texts)
    )


def _with_images(
    written: Written, folder: FolderWriter, pictures: Pictures, images: PictureSource | None, tally: Tally
) -> Written:
    if images is None:
        return written
    files, size = link_pictures(folder, pictures, [f"{IMAGES}/{file}" for file in pictures.files], images, tally)
    return written._replace(files=written.files + files, bytes=written.bytes + size)


def info_of(labels: Labels, *, rectangles: bool = False) -> dict[str, str | int]:
    """What the file says of itself: nothing that depends on the moment or the machine."""
    known = {f"labels_{name}": labels.origin[name] for name in ("version", "digest") if name in labels.origin}
    if rectangles:
        known[RECTANGLES] = "rectangle"  # tells our reader that a rectangle which is its own box was drawn as a box
    return {"description": str(labels.origin.get("project", "")), **known}


def image_rows(pictures: Pictures) -> Iterator[list[dict[str, Any]]]:
    """The entries of ``images``, some thousand at a time."""
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


def extras_of(labels: Labels) -> dict[str, dict[str, Any]]:
    """Class value -> what the COCO file it was read from says of it besides (``supercategory``, ``isthing``), and the
    ``attributes`` it declares."""
    found: dict[str, dict[str, Any]] = {}
    for value, extra in zip(*(labels.classes[name].to_pylist() for name in ("value", "extra")), strict=True):
        if extra and value is not None:
            found.setdefault(value, loads(extra))
    for value, attributes in declared_attributes(labels.classes).items():
        found[value] = {**found.get(value, {}), "attributes": attributes}
    return found


def category_row(category: Category, extra: Mapping[str, Any], *, every_key: bool = False) -> dict[str, Any]:
    """A category as COCO has it. ``extra`` is that of its class; ``every_key``: keypoints are listed also where there
    are none. The supercategory is the name itself when nobody says otherwise, as in the official SDK's files."""
    above = extra.get("supercategory") or category.value
    row: dict[str, Any] = {"id": category.id, "name": category.value}
    row["supercategory"] = above if isinstance(above, str) and encodable(above) else category.value
    if category.title is not None:
        row["title"] = category.title
    if category.color is not None:
        row["color"] = category.color
    if category.types:
        row["types"] = category.types
    if category.keypoints or every_key:
        row["keypoints"] = category.keypoints
        row["skeleton"] = [list(edge) for edge in category.skeleton]
    colors = [color or category.color for color in category.keypoint_colors]
    if any(colors) or every_key:
        row["keypoint_colors"] = colors
    if extra.get("attributes"):
        row["attributes"] = extra["attributes"]
    return row


def write_items(file: BinaryIO, pieces: Iterable[bytes | memoryview]) -> None:
    """The pieces (each some items of a JSON list, separated by commas) one after the other."""
    separator = b"\n"
    for piece in pieces:
        file.write(separator)
        file.write(piece)
        separator = b",\n"


def _json_lines(rows: pa.Table, *, every_key: bool) -> memoryview:
    """The rows as JSON objects, one per line; ``every_key``: with what says nothing, too."""
    column = {name: one_array(rows[name]) for name in rows.column_names}
    outlines = _outlines_text(column["segmentation"])
    if column["counts"].null_count < len(rows):
        masks = glued('{"counts":', _list_text(column["counts"]), ',"size":', _list_text(column["size"]), "}")
        outlines = [pc.if_else(pc.is_valid(column["counts"]), masks, glued(*outlines))]
    parts: list[pa.Array | str] = ['{"id":', number_text(column["id"])]
    for name in ("image_id", "category_id", "iscrowd", "area"):
        parts += [f',"{name}":', number_text(column[name])]
    parts += [',"bbox":[', _list_tails(column["bbox"]), ',"segmentation":', *outlines]
    if column["keypoints"].null_count < len(rows) or every_key:
        points = glued(
            ',"keypoints":', _list_text(column["keypoints"]), ',"num_keypoints":', number_text(column["num_keypoints"])
        )
        nothing = ',"keypoints":[],"num_keypoints":0' if every_key else ""
        parts.append(pc.if_else(pc.is_valid(column["keypoints"]), points, nothing))
    if column["rotation"].null_count < len(rows) or every_key:
        nothing = ',"rotation":0' if every_key else ""
        parts.append(pc.fill_null(glued(',"rotation":', number_text(column["rotation"])), nothing))
    if column["attributes"].null_count < len(rows) or every_key:
        nothing = ',"attributes":{}' if every_key else ""
        parts.append(pc.fill_null(glued(',"attributes":', column["attributes"]), nothing))
    if column["score"].null_count < len(rows):
        parts.append(pc.fill_null(glued(',"score":', number_text(column["score"])), ""))
    lines = glued(*parts, "},\n")
    # The texts of a column stand one after the other in memory: that is the text of the file.
    _, offsets, text = lines.buffers()
    end = np.frombuffer(offsets, np.int32)[len(lines)] - len(",\n")
    return memoryview(text).cast("B")[:end]


def _list_text(lists: pa.Array) -> pa.Array:
    """``[1,2,3]`` of each list of numbers; ``[]`` where null."""
    return glued("[", _list_tails(lists))


def _list_tails(lists: pa.Array) -> pa.Array:
    """``1,2,3]`` of each list of numbers; ``]`` where null."""
    ragged = as_ragged(lists)
    values = floats(ragged.values)[places(ragged.starts, ragged.lengths)]
    return list_tails(values, offsets_of(ragged.lengths))


def _outlines_text(lists: pa.Array) -> list[pa.Array | str]:
    """``[[1,2],[3,4]]`` of each list of lists of numbers, in parts to be glued."""
    ragged = as_ragged(lists)
    if not ragged.lengths.any():
        return ["[]"]
    inner = taken(ragged.values, places(ragged.starts, ragged.lengths))
    if (ragged.lengths == 1).all():
        return ["[[", _list_tails(inner), "]"]
    return ["[", joined(offsets_of(ragged.lengths), _list_text(inner), ","), "]"]
