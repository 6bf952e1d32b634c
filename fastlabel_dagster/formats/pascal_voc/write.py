"""Write Pascal VOC: ``Annotations/….xml``, ``JPEGImages/…`` and ``ImageSets/Main/….txt``.

Coordinates are pixels as FastLabel has them, from 0 at the picture's left and upper edge, fractions included: what
labelformat, globox, Datumaro and the official SDK read and write. The devkit of the challenge counted pixels from 1 and
included the last one; ``first_pixel=1`` writes (and reads) that.

``classes.json`` lists the classes in order with titles and colours, ``labelmap.txt`` is the same for CVAT and Datumaro.
It also says so where pixels are counted from 1, for our reader.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.categories import POSE, Categories
from fastlabel_dagster.formats.class_list import class_list
from fastlabel_dagster.formats.class_words import CLASS_FILE
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.outlines import SLACK, is_turned
from fastlabel_dagster.formats.pascal_voc.elements import object_elements
from fastlabel_dagster.formats.pascal_voc.files import FIRST_PIXEL
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import IMAGE, Tally
from fastlabel_dagster.formats.shapes import SHAPES, ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split, parts_of, tell_of_lost_tags
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.formats.xml import is_legal_xml, xml_texts
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, any_column, offsets_of, one_array
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

COORDINATES = ("float", "integer")
OUTLINES = ("box", "polygon", "drop")
LABEL_MAP = "labelmap.txt"
PICTURE_FOLDER = "JPEGImages"
_ROUNDED = "its corners were rounded to whole pixels"


def write_pascal_voc(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    split: Split = None,
    coordinates: str = "float",
    first_pixel: int = 0,
    outlines: str = "box",
    pose_boxes: bool = False,
) -> Written:
    """Write a Pascal VOC dataset into ``folder``.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie in ``JPEGImages``.
        tally: told of everything left out or changed.
        split: which part each picture belongs to, as :func:`~fastlabel_dagster.formats.splits.parts_of` says; a list in
            ``ImageSets/Main`` for each, and ``trainval.txt`` for train and val together. None: ``trainval.txt`` alone.
        coordinates: ``float`` writes them as they are, ``integer`` rounds to the nearest whole pixel.
        first_pixel: the number of the first pixel of a row: 0, or 1 as the devkit has it (the last pixel is included).
        outlines: what becomes of polygons, segmentations and circles: ``box`` around them, ``polygon`` beside the box
            (Roboflow's ``<polygon>``, for shapes of one ring), or ``drop``.
        pose_boxes: poses become the box around their keypoints.

    Raises:
        ValueError: for an unknown setting or an impossible split.
    """
    _check(coordinates, first_pixel, outlines)
    pictures = list_pictures(labels, images, tally, unique_stem=True)
    parts = parts_of(pictures, split)
    tell_of_lost_tags(pictures, parts if split is not None else [None] * len(parts), tally)
    categories = Categories(labels.classes)
    rule = _Rule(coordinates == "integer", float(first_pixel), outlines, pose_boxes)
    files = total = 0
    sizeless = ~(pictures.width * pictures.height > 0)
    names = [pictures.names[row] for row in np.flatnonzero(sizeless).tolist()]
    tally.note("noticed", "its size is not known, the file does not state it", IMAGE, len(names), names)

    def texts_of(batch: ShapeBatch) -> tuple[list[int], list[bytes]]:
        return batch.picture.tolist(), _texts(batch, pictures, categories, rule)

    def label_files() -> Iterator[tuple[str, bytes]]:
        nonlocal files, total
        for rows, texts in each_batch(labels, pictures, tally, texts_of):
            for row, text in zip(rows, texts, strict=True):
                files, total = files + 1, total + len(text)
                yield f"Annotations/{label_name(pictures.files[row], '.xml')}", text

    folder.write_many(label_files())
    stems = [label_name(file, "") for file in pictures.files]
    lists = _part_lists(stems, parts, split)
    lists[CLASS_FILE] = class_list(categories, **({FIRST_PIXEL: first_pixel} if first_pixel else {}))
    lists[LABEL_MAP] = _label_map(categories)
    for path, content in lists.items():
        folder.write_bytes(path, content)
        files, total = files + 1, total + len(content)
    if images is not None:
        paths = [f"{PICTURE_FOLDER}/{file}" for file in pictures.files]
        linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
        files, total = files + linked, total + linked_bytes
    named = [] if split is None else [part for part in parts if part is not None]
    return Written(len(pictures), files, total, {part: named.count(part) for part in sorted(set(named))})


def _check(coordinates: str, first_pixel: int, outlines: str) -> None:
    for value, name, known in ((coordinates, "coordinates", COORDINATES), (outlines, "outlines", OUTLINES)):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}, not {value!r}")
    if first_pixel not in (0, 1):
        raise ValueError(f"first_pixel is 0 or 1, not {first_pixel!r}")


class _Rule:
    """How boxes are written."""

    def __init__(self, whole: bool, first_pixel: float, outlines: str, pose_boxes: bool) -> None:
        self.whole, self.first_pixel, self.outlines = whole, first_pixel, outlines
        self.types = ("bbox",) if outlines == "drop" else SHAPES
        if pose_boxes:
            self.types = (*self.types, POSE)


def _texts(batch: ShapeBatch, pictures: Pictures, categories: Categories, rule: _Rule) -> list[bytes]:
    """The XML file of each task of a batch."""
    flat, told, box = batch.flat, batch.told, batch.box
    batch.sift(*rule.types, what="a box", sized=False)
    batch.tell_of_losses()
    told.drop("the box has no area", ~((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])))
    met = batch.meet(categories)
    legal = [is_legal_xml(category.value) for category in met.categories]
    told.alter("XML cannot hold a character of the class name", ~np.array([*legal, True])[met.position])
    outlined = _outlined(batch, rule)
    boxed = flat.is_type(*SHAPES) & ~flat.is_type("bbox") & ~outlined
    told.alter("a turned box became the upright box around it", is_turned(flat) & ~outlined)
    told.alter("a shape became the box around it", boxed)
    told.alter("a circle became a polygon", flat.is_type("circle") & outlined)
    told.alter("a pose became the box around its keypoints", flat.is_type(POSE))
    told.notice("reaches outside the image", _outside(box, batch.size))
    box, rounded = _written_box(box, rule)
    told.alter(_ROUNDED, rounded)
    kept = np.flatnonzero(told.kept)
    elements = object_elements(batch, box, kept, outlined & told.kept)
    per_task = offsets_of(np.bincount(flat.task[kept], minlength=batch.tasks.num_rows))
    told.finish()
    text = glued(_heads(batch, pictures), joined(per_task, elements, ""), "</annotation>\n")
    files: list[bytes] = pc.cast(text, pa.binary()).to_pylist()
    return files


def _outlined(batch: ShapeBatch, rule: _Rule) -> Bools:
    """bool[n]: those that get a polygon beside their box: of a single ring, and no upright box."""
    flat = batch.flat
    if rule.outlines != "polygon":
        return np.zeros(len(flat), np.bool_)
    single = np.diff(flat.annotation_rings) == 1
    wanted: Bools = flat.is_type(*SHAPES) & single & (~flat.is_type("bbox") | is_turned(flat))
    return wanted


def _outside(box: Floats, size: Floats) -> Bools:
    with np.errstate(invalid="ignore"):  # a size that is not known is no limit
        outside: Bools = any_column(np.hstack([box[:, :2] < -SLACK, box[:, 2:] > size + SLACK]))
    return outside


def _written_box(box: Floats, rule: _Rule) -> tuple[Floats, Bools]:
    """The numbers to write, and which boxes were moved by rounding. A box never loses its last pixel that way."""
    rounded = np.zeros(len(box), np.bool_)
    if rule.whole:
        near = np.floor(box + 0.5)
        flat = near[:, 2:] <= near[:, :2]
        near[:, :2] = np.where(flat, np.floor(box[:, :2]), near[:, :2])
        near[:, 2:] = np.where(flat, np.ceil(box[:, 2:]), near[:, 2:])
        rounded = any_column(near != box)
        box = near
    if rule.first_pixel:
        box = box.copy()
        box[:, :2] += rule.first_pixel
    return box + 0.0, rounded  # -0.0 becomes 0


def _heads(batch: ShapeBatch, pictures: Pictures) -> pa.Array:
    """Everything before the first object, for each task."""
    rows: Ints = batch.picture
    files = pa.array([pictures.files[row] for row in rows.tolist()], pa.string())
    names = one_array(batch.tasks["name"])
    renamed = pc.fill_null(pc.not_equal(names, files), False)
    width, height = pictures.width[rows], pictures.height[rows]
    size = glued(
        "\t<size>\n\t\t<width>",
        number_text(np.nan_to_num(width).astype(np.int64)),
        "</width>\n\t\t<height>",
        number_text(np.nan_to_num(height).astype(np.int64)),
        "</height>\n\t\t<depth>3</depth>\n\t</size>\n",
    )
    return glued(
        f"<annotation>\n\t<folder>{PICTURE_FOLDER}</folder>\n\t<filename>",
        xml_texts(files),
        "</filename>\n\t<source>\n\t\t<database>FastLabel</database>\n\t</source>\n",
        pc.if_else(pa.array(width * height > 0), size, ""),
        "\t<segmented>0</segmented>\n\t<task_id>",
        xml_texts(one_array(batch.tasks["task_id"])),
        "</task_id>\n",
        pc.if_else(renamed, glued("\t<task_name>", xml_texts(pc.fill_null(names, "")), "</task_name>\n"), ""),
    )


def _part_lists(stems: list[str], parts: list[str | None], split: Split) -> dict[str, bytes]:
    """``ImageSets/Main/….txt`` of each part, a picture's name without its extension on each line."""
    members: dict[str, list[str]] = {"trainval": []}
    for stem, part in zip(stems, parts, strict=True):
        if split is None or part in ("train", "val"):
            members["trainval"].append(stem)
        if split is not None and part is not None:
            members.setdefault(part, []).append(stem)
    return {
        f"ImageSets/Main/{part}.txt": "".join(f"{stem}\n" for stem in sorted(of_part)).encode()
        for part, of_part in sorted(members.items())
    }


def _label_map(categories: Categories) -> bytes:
    """CVAT's and Datumaro's list of classes with their colours; colons and line breaks cannot be told in it."""
    lines = ["# label:color_rgb:parts:actions"]
    for category in categories:
        color = category.color or ""
        try:
            rgb = ",".join(str(part) for part in bytes.fromhex(color.removeprefix("#"))[:3])
        except ValueError:
            rgb = ""
        lines.append(f"{' '.join(category.value.replace(':', ' ').split())}:{rgb}::")
    return "\n".join([*lines, ""]).encode()
