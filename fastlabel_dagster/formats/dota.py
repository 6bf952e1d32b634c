"""DOTA's oriented boxes: ``labelTxt/<name>.txt`` beside ``images/``, a line per object.

A line is ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``: four corners in pixels, clockwise on screen, for which the
first matters (the top left of an upright object, wherever that is turned to). All versions of DOTA (1.0, 1.5, 2.0)
are alike but for their categories, and for two lines above the others that name the source of the picture and the
metres on the ground per pixel (``imagesource:`` and ``gsd:``), which 2.0 has no more.

A box of FastLabel is its corners here, turned by its rotation; four corners that make a rectangle become that box
again, to nine decimals.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.assembly import AnnotationColumns, FoundClass
from fastlabel_dagster.formats.attributes import (
    CROWD,
    AttributeValues,
    attribute_values,
    attributes_column,
    tell_of_keys,
)
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import CLASS_FILE, RENAMED, ClassWords, class_of_word
from fastlabel_dagster.formats.line_files import Lines, read_line_files, write_line_files
from fastlabel_dagster.formats.line_layout import Layout
from fastlabel_dagster.formats.outlines import FARTHEST, TOO_FAR, outline_vertices
from fastlabel_dagster.formats.rectangles import boxes_of_corners, clockwise, smallest_rectangle
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.shapes import SHAPES, ShapeBatch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, any_column, every_column
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

LAYOUT = Layout("dota", "labelTxt", "images", also=("labels", "annfiles"))
DIFFICULT = "difficult"
_HEADS = ("imagesource", "gsd")
_HEAD = re.compile(r"\s*'?(imagesource|gsd)'?\s*:\s*(.*?)\s*", re.IGNORECASE)
_UNKNOWN = "null"
_CORNERS = 8
_MOST_DIFFICULT = 2


def write_dota(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    split: Split = None,
    header: bool = False,
) -> Written:
    """Write ``labelTxt/`` (and ``images/`` when ``images`` has the pictures), and ``classes.json``.

    ``split`` puts them into a folder per part (``train/labelTxt``), as DOTA itself does. ``header`` writes the two
    lines of DOTA 1 above the objects, from the tasks' attributes ``imagesource`` and ``gsd`` ("null" without one).
    """
    heads = _heads(labels) if header else None
    kept = _HEADS if header else ()
    return write_line_files(
        labels, folder, images, tally, _lines_of, layout=LAYOUT, split=split, heads=heads, attributes=kept
    )


def _heads(labels: Labels) -> dict[str, bytes]:
    heads: dict[str, bytes] = {}
    for table in task_batches(labels, ["task_id", "attributes"]):
        for task_id, attributes in zip(table["task_id"].to_pylist(), table["attributes"].to_pylist(), strict=True):
            known = {attribute["key"]: attribute["value"] for attribute in attributes or []}
            lines = (f"{key}:{' '.join((known.get(key) or _UNKNOWN).split())}\n" for key in _HEADS)
            heads[task_id] = "".join(lines).encode()
    return heads


def _lines_of(batch: ShapeBatch, categories: Categories, words: ClassWords) -> pa.Array:
    flat, told = batch.flat, batch.told
    batch.sift(*SHAPES, what="an area", sized=False)
    met = batch.meet(categories)
    word, renamed = words.column(met)
    told.alter(RENAMED, renamed)
    attributes = attribute_values(batch.column("attributes"))
    difficult = _difficult(batch, attributes)
    batch.tell_of_losses()
    four = _has_four_corners(batch)
    told.alter("a shape became the smallest rectangle around it", ~four)
    told.notice("it reaches outside the image", batch.outside())

    rows = np.flatnonzero(told.kept)
    corners = np.empty((len(rows), 4, 2), np.float64)
    drawn = four[rows]
    first = flat.annotation_vertices[:-1][rows[drawn]]
    corners[drawn] = flat.coords[first[:, None] + np.arange(4)]
    for place in np.flatnonzero(~drawn).tolist():
        corners[place] = _around(batch, int(rows[place]))
    corners = clockwise(corners) + 0.0
    numbers = number_text(corners.reshape(-1))
    texts = joined(_CORNERS * np.arange(len(rows) + 1), numbers, " ")
    return glued(texts, " ", word.take(pa.array(rows)), " ", number_text(difficult[rows]))


def _has_four_corners(batch: ShapeBatch) -> Bools:
    """bool[n]: a box, or a polygon of four vertices (or five, of which the last is the first)."""
    flat = batch.flat
    counts = np.diff(flat.annotation_vertices)
    five = np.flatnonzero(flat.is_type("polygon") & (counts == 5))
    first = flat.annotation_vertices[:-1][five]
    counts[five[(flat.coords[first] == flat.coords[first + 4]).all(axis=1)]] = 4
    four: Bools = flat.is_type("bbox") | (flat.is_type("polygon") & (counts == 4))
    return four


def _around(batch: ShapeBatch, row: int) -> Floats:
    """float64[4, 2]: the smallest rectangle around an annotation."""
    flat = batch.flat
    if not np.isnan(flat.radius[row]):
        x1, y1, x2, y2 = batch.box[row]
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    return smallest_rectangle(outline_vertices(flat, row))


def _difficult(batch: ShapeBatch, attributes: AttributeValues) -> Ints:
    """int64[n]: the last number of each line; tells of the attributes that have no place."""
    told, n = batch.told, len(batch.flat)
    difficult = np.zeros(n, np.int64)
    mine = attributes.take(attributes.is_key(DIFFICULT))
    difficult[mine.owner[mine.is_true]] = 1
    twice = pc.fill_null(pc.equal(mine.value, "2"), False).to_numpy(zero_copy_only=False)
    difficult[mine.owner[twice]] = _MOST_DIFFICULT
    crowd, other = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    crowd[attributes.owner[attributes.is_key(CROWD) & attributes.is_true]] = True
    told.alter("a crowd became one object", crowd)
    other[attributes.owner[~attributes.is_key(CROWD, DIFFICULT)]] = True
    told.alter(f"attributes other than {DIFFICULT} were left out", other)
    tell_of_keys(batch.column("attributes"), told, among=[DIFFICULT])
    return difficult


def read_dota(source: Path, told: ReadTally, *, as_boxes: bool = False) -> Labels:
    """Read ``labelTxt/`` and the pictures of it: the dataset's folder or one with a folder per part.

    Four corners that make a rectangle become a bbox with its rotation, others a polygon (as does a rectangle of a class
    that ``classes.json`` knows for polygons only). With ``as_boxes`` others become the smallest rectangle around them:
    corners of DOTA's own files are drawn by hand and hardly ever a rectangle. ``difficult`` becomes an attribute,
    ``imagesource`` and ``gsd`` attributes of the task.

    Raises:
        FileNotFoundError: when there are no label files.
        FormatError: when ``classes.json`` is damaged.
    """

    def read_lines(lines: Lines, annotations: AnnotationColumns, classes: dict[str, FoundClass]) -> None:
        _read_lines(lines, annotations, classes, as_boxes=as_boxes)

    return read_line_files(source, told, LAYOUT, read_lines, _head_of)


def _head_of(line: str) -> tuple[str, str] | None:
    found = _HEAD.fullmatch(line)
    if found is None:
        return None
    return found[1].lower(), "" if found[2] == _UNKNOWN else found[2]


def _read_lines(
    lines: Lines, annotations: AnnotationColumns, classes: dict[str, FoundClass], *, as_boxes: bool
) -> None:
    counts = lines.words.counts
    lines.drop("a line without four corners and a category", (counts < _CORNERS + 1) | (counts > _CORNERS + 2))
    if not len(lines):
        return
    corners = lines.words.numbers(0, _CORNERS)
    bad: Bools = ~every_column(np.isfinite(corners))
    far: Bools = any_column(np.abs(corners[~bad]) > FARTHEST)
    lines.drop("a corner that is no finite numbers", bad)
    lines.drop(TOO_FAR, far)
    if not len(lines):
        return
    corners = corners[~bad][~far].reshape(-1, 4, 2)
    difficult = _difficulties(lines)

    words = lines.words.word(_CORNERS).dictionary_encode()
    found = [class_of_word(classes, word) for word in words.dictionary.to_pylist()]
    values = pa.DictionaryArray.from_arrays(words.indices, pa.array([one.value for one in found], pa.string()))
    number = words.indices.to_numpy(zero_copy_only=False)
    only_polygons = np.array([one.types == ["polygon"] for one in found], np.bool_)[number]
    boxes = boxes_of_corners(corners)
    box = boxes.fits & ~only_polygons
    points, rotation = boxes.points, boxes.rotation
    if as_boxes and not box.all():
        rest = np.flatnonzero(~box)
        lines.alter("four corners that make no rectangle became the smallest around them", ~boxes.fits)
        around = boxes_of_corners(np.stack([smallest_rectangle(corners[row]) for row in rest.tolist()]))
        points[rest], rotation[rest] = around.points, around.rotation
        box = np.ones(len(box), np.bool_)
    attributes = _attributes(difficult)
    order = np.arange(len(annotations), len(annotations) + len(lines))
    for kind, mask in (("bbox", box), ("polygon", ~box)):
        rows = np.flatnonzero(mask)
        picked = pa.array(rows)
        numbers = points[rows] if kind == "bbox" else corners[rows].reshape(-1, _CORNERS)
        turned = pa.array(rotation[rows], mask=(rotation[rows] == 0) | (kind != "bbox"))
        annotations.add_many(
            lines.owner[rows],
            kind,
            values.take(picked),
            points=(numbers.reshape(-1), numbers.shape[1] * np.arange(len(rows) + 1)),
            order=order[rows],
            rotation=turned,
            attributes=attributes.take(picked),
        )


def _difficulties(lines: Lines) -> Ints:
    """int64[k]: 0, 1 or 2; the format's first files have lines without it."""
    difficult = np.zeros(len(lines), np.int64)
    said = np.flatnonzero(lines.words.counts == _CORNERS + 2)
    if len(said):
        numbers = lines.words.take(said).numbers(_CORNERS + 1, 1)[:, 0]
        right = np.isin(numbers, (0, 1, _MOST_DIFFICULT))
        difficult[said[right]] = numbers[right].astype(np.int64)
        odd = np.zeros(len(lines), np.bool_)
        odd[said[~right]] = True
        lines.alter("a difficulty that is not 0, 1 or 2 was left out", odd)
    return difficult


def _attributes(difficult: Ints) -> pa.Array:
    """The attributes column: a switch where an object is difficult, the text 2 where it is very difficult."""
    rows = np.flatnonzero(difficult)
    n = len(rows)
    key = pa.array([DIFFICULT] * n, pa.string())
    switch = difficult[rows] == 1
    columns = {
        "key": key,
        "name": key,
        "type": pc.if_else(pa.array(switch), "switch", "text"),
        "value": pc.if_else(pa.array(switch), "true", str(_MOST_DIFFICULT)),
        "value_is_json": pa.array(switch),
    }
    return attributes_column(rows, columns, len(difficult))


FORMAT = Format(
    name="dota",
    summary="DOTA oriented boxes (labelTxt, images)",
    index=CLASS_FILE,
    write=write_dota,
    read=read_dota,
    options={"split": None, "header": False},
    read_options={"as_boxes": False},
    rules=3,
)
__all__ = ["DIFFICULT", "FORMAT", "read_dota", "write_dota"]
