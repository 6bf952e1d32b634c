"""KITTI's object detection labels: ``label_2/<name>.txt`` beside ``image_2/``, a line per box.

A line is ``type truncated occluded alpha left top right bottom height width length x y z rotation_y``, and of results a
``score`` behind it (readme of the object development kit). KITTI's own files have two decimals and its readers take any
number; ours have as many as bring the same number back. Pixels are taken as they stand there, unmoved.

What a 2-D box cannot know is written as KITTI writes it for ``DontCare`` regions: alpha and rotation_y -10, dimensions
-1, location -1000. Attributes with the keys ``truncated`` (0 to 1), ``occluded`` (0 to 3), ``alpha``, ``dimensions``
("height width length" in metres), ``location`` ("x y z" in metres) and ``rotation_y`` fill the fields, and are what the
reader makes of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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
from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.class_words import CLASS_FILE, RENAMED, ClassWords, class_of_word
from fastlabel_dagster.formats.line_files import Lines, Words, read_line_files, write_line_files
from fastlabel_dagster.formats.line_layout import Layout
from fastlabel_dagster.formats.outlines import FARTHEST, TOO_FAR, is_too_far, is_turned
from fastlabel_dagster.formats.registry import Format
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.shapes import SHAPES, ShapeBatch, confidences
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split
from fastlabel_dagster.formats.text import joined, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, every_column, offsets_of
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

LAYOUT = Layout("kitti", "label_2", "image_2", also=("labels", "label"))
#: KITTI's name of regions nobody labelled; their lines know nothing but the box.
DONT_CARE = "DontCare"
_COLUMNS = 15


class _Field(NamedTuple):
    """An attribute that has columns of its own."""

    key: str
    column: int
    size: int
    unknown: float
    """What KITTI writes where it is not known."""
    absent: float
    """What is written, and read as no attribute, where nobody says anything."""
    low: float = -np.inf
    high: float = np.inf
    whole: bool = False


_FIELDS = (
    _Field("truncated", 1, 1, -1, 0, 0, 1),
    _Field("occluded", 2, 1, -1, 0, 0, 3, whole=True),
    _Field("alpha", 3, 1, -10, -10),
    _Field("dimensions", 8, 3, -1, -1),
    _Field("location", 11, 3, -1000, -1000),
    _Field("rotation_y", 14, 1, -10, -10),
)
_KEYS = tuple(field.key for field in _FIELDS)
_TRUE, _FALSE = (pa.array(words, pa.string()) for words in (("true", "True", "yes"), ("false", "False", "no", "")))


def write_kitti(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    split: Split = None,
    score: bool = False,
) -> Written:
    """Write ``label_2/`` (and ``image_2/`` when ``images`` has the pictures), and ``classes.json``.

    ``split`` puts them into a folder per part; KITTI's own are called ``training`` and ``testing``. ``score`` writes
    the confidence as the 16th column (1 where there is none), as KITTI has it in results; its ground truth has 15.
    """

    def lines_of(batch: ShapeBatch, categories: Categories, words: ClassWords) -> pa.Array:
        return _lines_of(batch, categories, words, score=score)

    return write_line_files(labels, folder, images, tally, lines_of, layout=LAYOUT, split=split)


def _lines_of(batch: ShapeBatch, categories: Categories, words: ClassWords, *, score: bool) -> pa.Array:
    flat, told = batch.flat, batch.told
    batch.sift(*SHAPES, what="a box", sized=False)
    met = batch.meet(categories)
    word, renamed = words.column(met)
    told.alter(RENAMED, renamed)
    told.alter("a rotated box became the upright box around it", is_turned(flat))
    told.alter("a shape became the box around it", flat.is_type("polygon", "segmentation", "circle"))
    told.notice("it reaches outside the image", batch.outside())
    attributes = attribute_values(batch.column("attributes"))
    crowd = np.zeros(len(flat), np.bool_)
    crowd[attributes.owner[attributes.is_key(CROWD) & attributes.is_true]] = True
    told.alter("a crowd became one object", crowd)
    other = np.zeros(len(flat), np.bool_)
    other[attributes.owner[~attributes.is_key(CROWD, *_KEYS)]] = True
    told.alter("attributes KITTI has no column for were left out", other)
    tell_of_keys(batch.column("attributes"), told, among=_KEYS)
    confidence = confidences(batch.column("confidence_score"))
    known = np.isfinite(confidence)
    if not score:
        told.alter("its confidence was left out (the option score writes it)", known)

    rows = np.flatnonzero(told.kept)
    nobody_cares = pc.fill_null(pc.equal(word, DONT_CARE), False).to_numpy(zero_copy_only=False)
    columns = {field.key: _column(field, batch, attributes, nobody_cares)[rows] for field in _FIELDS}
    parts: list[pa.Array] = [word.take(pa.array(rows))]
    for key in ("truncated", "occluded", "alpha"):
        parts.append(_texts(columns[key]))
    parts.append(_texts(batch.box[rows]))
    for key in ("dimensions", "location", "rotation_y"):
        parts.append(_texts(columns[key]))
    if score:
        told.alter("it has no confidence, the score was written as 1", ~known)
        parts.append(_texts(np.where(known, confidence, 1.0)[rows, None]))
    return pc.binary_join_element_wise(*parts, " ")


def _column(field: _Field, batch: ShapeBatch, attributes: AttributeValues, nobody_cares: Bools) -> Floats:
    """float64[n, size]: the numbers of a field."""
    result = np.full((len(batch.flat), field.size), field.absent, np.float64)
    result[nobody_cares] = field.unknown
    mine = attributes.take(attributes.is_key(field.key))
    if len(mine.owner):
        numbers, fits = _numbers(field, mine.value)
        result[mine.owner[fits]] = numbers[fits]
        odd = np.zeros(len(batch.flat), np.bool_)
        odd[mine.owner[~fits]] = True
        batch.told.alter(f"an attribute {field.key} that is not what KITTI calls so was left out", odd)
    return result


def _numbers(field: _Field, value: pa.Array) -> tuple[Floats, Bools]:
    """The numbers of attribute values, and which of them KITTI can have. A switch counts as 1 or 0."""
    texts = pc.utf8_trim(pc.fill_null(value, ""), ' []"')
    if field.size == 1:
        texts = pc.if_else(pc.is_in(texts, value_set=_TRUE), "1", texts)
        texts = pc.if_else(pc.is_in(texts, value_set=_FALSE), "0" if field.high < np.inf else "", texts)
    words = pc.utf8_split_whitespace(pc.replace_substring(texts, ",", " "))
    right = pc.equal(pc.list_value_length(words), field.size).to_numpy(zero_copy_only=False)
    picked = np.flatnonzero(right)
    matching = Words(words.take(pa.array(picked)))
    numbers = np.full((len(right), field.size), np.nan)
    numbers[picked] = matching.numbers(0, field.size)
    fits: Bools = right & np.isfinite(numbers).all(axis=1) & (numbers >= field.low).all(axis=1)
    fits &= (numbers <= min(field.high, FARTHEST)).all(axis=1)
    if field.whole:
        fits &= (numbers == np.round(numbers)).all(axis=1)
    return numbers, fits


def _texts(numbers: Floats) -> pa.Array:
    """float64[k, c] as string[k]: the numbers of each row with blanks between them."""
    texts = number_text((numbers + 0.0).reshape(-1))  # -0 becomes 0
    if numbers.shape[1] == 1:
        return texts
    return joined(offsets_of(np.full(len(numbers), numbers.shape[1])), texts, " ")


def read_kitti(source: Path, told: ReadTally) -> Labels:
    """Read ``label_2/`` (or ``labels/``) and the pictures of it: the dataset's folder or one with a folder per part.

    Boxes become bbox, a 16th column the confidence, and what a line knows beyond the box attributes of type text;
    KITTI's values for "not known" become none. ``DontCare`` is a class like the others.

    Raises:
        FileNotFoundError: when there are no label files.
        FormatError: when ``classes.json`` is damaged.
    """
    return read_line_files(source, told, LAYOUT, _read_lines)


def _read_lines(lines: Lines, annotations: AnnotationColumns, classes: dict[str, FoundClass]) -> None:
    counts = lines.words.counts
    lines.drop("a line without KITTI's 15 or 16 columns", (counts != _COLUMNS) & (counts != _COLUMNS + 1))
    if not len(lines):
        return
    numbers = lines.words.numbers(1, _COLUMNS - 1)
    box = numbers[:, 3:7]
    bad: Bools = ~every_column(np.isfinite(box))
    far = is_too_far(box)
    keep = ~bad & ~far
    lines.drop("a box that is no finite numbers", bad)
    lines.drop(TOO_FAR, far[~bad])
    numbers, box = numbers[keep], box[keep]
    if not len(lines):
        return
    lines.alter("corners in the wrong order were exchanged", (box[:, 0] > box[:, 2]) | (box[:, 1] > box[:, 3]))
    box = np.hstack([np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])])
    confidence = np.full(len(lines), np.nan)
    scored = np.flatnonzero(lines.words.counts == _COLUMNS + 1)
    if len(scored):
        confidence[scored] = lines.words.take(scored).numbers(_COLUMNS, 1)[:, 0]
        odd = np.zeros(len(lines), np.bool_)
        odd[scored[~np.isfinite(confidence[scored])]] = True
        lines.alter("a score that is no finite number was left out", odd)
        below = confidence < 0
        lines.alter("a score below 0 was left out, where confidences begin", below)
        confidence[below] = np.nan
    words = lines.words.word(0).dictionary_encode()
    values = pa.array([class_of_word(classes, word).value for word in words.dictionary.to_pylist()], pa.string())
    annotations.add_many(
        lines.owner,
        "bbox",
        pa.DictionaryArray.from_arrays(words.indices, values),
        points=(box.reshape(-1), 4 * np.arange(len(lines) + 1)),
        confidence_score=pa.array(confidence, mask=~np.isfinite(confidence)),
        attributes=_attributes(lines, numbers),
    )


def _attributes(lines: Lines, numbers: Floats) -> pa.Array:
    """The attributes column: what the lines know beyond the box."""
    owners: list[Ints] = []
    keys: list[pa.Array] = []
    values: list[pa.Array] = []
    for field in _FIELDS:
        said = numbers[:, field.column - 1 : field.column - 1 + field.size]
        finite: Bools = every_column(np.isfinite(said))
        lines.alter(f"a {field.key} that is no finite number was left out", ~finite)
        known = finite & ~(said == field.unknown).all(axis=1) & ~(said == field.absent).all(axis=1)
        rows = np.flatnonzero(known)
        owners.append(rows)
        keys.append(pa.array([field.key] * len(rows), pa.string()))
        values.append(_texts(said[rows]))
    owner = np.concatenate(owners)
    order = pa.array(np.argsort(owner, kind="stable"))
    key, value = (pa.concat_arrays(parts).take(order) for parts in (keys, values))
    n = len(owner)
    columns = {
        "key": key,
        "name": key,
        "type": pa.array(["text"] * n, pa.string()),
        "value": value,
        "value_is_json": pa.array(np.zeros(n, np.bool_)),
    }
    return attributes_column(owner[order.to_numpy()], columns, len(lines))


FORMAT = Format(
    name="kitti",
    summary="KITTI object detection labels (label_2, image_2)",
    index=CLASS_FILE,
    write=write_kitti,
    read=read_kitti,
    options={"split": None, "score": False},
    rules=3,
)
__all__ = ["DONT_CARE", "FORMAT", "read_kitti", "write_kitti"]
