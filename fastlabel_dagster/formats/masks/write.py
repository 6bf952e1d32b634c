"""Write index masks: one PNG per picture whose pixel values are numbers of classes or of instances.

``masks/<name>.png`` beside ``images/<name>.jpg``; an index file (``classes.json`` or ``instances.json``) says what each
number means, and ``classes.txt`` names the class of every pixel value, a line each, from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from fastlabel_dagster.formats.asked_classes import tell_of_unknown
from fastlabel_dagster.formats.attributes import OWN_KEYS
from fastlabel_dagster.formats.label_files import label_name
from fastlabel_dagster.formats.masks.classes import MaskClasses
from fastlabel_dagster.formats.masks.deflate import packed_runs
from fastlabel_dagster.formats.masks.paint import Painted, counted_from, paint_indices
from fastlabel_dagster.formats.masks.palette import MOST, class_palette, given_palette, sdk_palette
from fastlabel_dagster.formats.masks.png import MOST_PIXELS, encode_grey16, palette_png
from fastlabel_dagster.formats.masks.shapes import PIXELS, annotation_spans, edge_pixels
from fastlabel_dagster.formats.outlines import LONGEST_SIDE, is_paintable
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import EXAMPLES, IMAGE, Tally
from fastlabel_dagster.formats.shapes import CUT_MASK, NO_CLASS, SHAPES, ShapeBatch, shape_batches
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.labels.painting import runs_to_pixels
from fastlabel_dagster.labels.ragged import Bools, Ints, every_column, offsets_of
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

IMAGES, CLASS_LIST, BACKGROUND = "images", "classes.txt", "background"
SEMANTIC_INDEX, INSTANCE_INDEX = "classes.json", "instances.json"
_NO_SIZE = "the size of the image is not known, it has no mask"
_TOO_LARGE = f"the image has more than {MOST_PIXELS:,} pixels, or a longer side than {LONGEST_SIDE:,}, it has no mask"
#: About how many rows all edges cross that are worked on at once; and that many pixels cost what one of these does.
_EDGE_PIXELS = 500_000
_PIXELS_OF_AN_EDGE = 1000
_HIGHEST = 2**16 - 1


@dataclass(frozen=True)
class _Plan:
    """What all pictures of a dataset have in common."""

    instances: bool
    pictures: Pictures
    listed: Bools
    """bool[pictures]: the picture gets a mask."""
    classes: MaskClasses
    palette: Callable[[dict[int, str | None], int], bytes]
    """From the class colours of pixel values, where known, and the highest pixel value."""
    start: int
    pixels: str
    folder: str
    wide: bool

    def mask_path(self, row: int) -> str:
        name = label_name(self.pictures.files[row], ".png")
        return f"{self.folder}/{name}" if self.folder else name


def write_masks(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    instances: bool,
    palette: str | Sequence[int] = "sdk",
    start_index: int = 1,
    pixels: str = "centers",
    mask_folder: str = "masks",
    classes: str | Sequence[str] = "project",
) -> Written:
    """Write a mask for every picture whose size is known.

    Args:
        labels: what to write.
        folder: where to.
        images: the pictures, when they shall lie beside the masks.
        tally: told of everything left out or changed.
        instances: number the annotations of each picture, in their order; otherwise the classes.
        palette: ``"sdk"``: the official SDK's colours; ``"classes"``: those of the project's classes; or flat
            [r, g, b, …].
        start_index: pixel value of the first class or instance: 1 (0 is the background), or 0.
        pixels: ``"centers"`` or ``"sdk"``, see :mod:`fastlabel_dagster.formats.masks.shapes`.
        mask_folder: where the masks lie; empty: in the dataset's folder itself, as the SDK has it.
        classes: their order, see :class:`~fastlabel_dagster.formats.masks.classes.MaskClasses`.

    Raises:
        ValueError: for an impossible option.
    """
    colors = _palette(palette)
    if start_index not in (0, 1) or isinstance(start_index, bool):
        raise ValueError(f"start_index is 1, or 0 for masks without a background, not {start_index!r}")
    if pixels not in PIXELS:
        raise ValueError(f'pixels is "centers" or "sdk", not {pixels!r}')
    if not isinstance(mask_folder, str) or mask_folder in (".", "..", IMAGES) or set(mask_folder) & set("/\\\0"):
        raise ValueError(f"mask_folder is the name of one folder, and not {IMAGES!r}: {mask_folder!r}")
    pictures = list_pictures(labels, images, tally, unique_stem=True, safe=None if mask_folder else _beside_images)
    listed = _drawable(pictures, tally)
    known = MaskClasses(labels, classes)
    if known.fixed:
        tell_of_unknown("classes", known.values, labels, tally)
    wide = not instances and len(known) - 1 + start_index >= MOST
    plan = _Plan(instances, pictures, listed, known, colors, start_index, pixels, mask_folder, wide)
    index_name = INSTANCE_INDEX if instances else SEMANTIC_INDEX
    if not start_index and listed.any():
        tally.note("noticed", "start_index is 0: what is not annotated has the first index", IMAGE, int(listed.sum()))
    total = 0
    with folder.open(index_name) as index:
        head = {"format": "instance_masks" if instances else "semantic_masks", "start_index": start_index}
        index.write(orjson.dumps(head)[:-1] + b',\n"images":[')

        def masks() -> Iterator[tuple[str, bytes]]:
            nonlocal total
            separator = b"\n"
            for batch in shape_batches(labels, pictures, tally):
                for row, png, about in _batch_masks(batch, plan):
                    index.write(separator + orjson.dumps(about))
                    separator = b",\n"
                    total += len(png)
                    yield plan.mask_path(row), png

        folder.write_many(masks())
        index.write(b'\n],\n"classes":' + orjson.dumps(known.rows(start_index)) + b"}\n")
        total += index.tell()
    names = _class_list(known.values, start_index)
    folder.write_bytes(CLASS_LIST, names)
    written = Written(int(listed.sum()), int(listed.sum()) + 2, total + len(names))
    if images is None:
        return written
    paths = [f"{IMAGES}/{file}" for file in pictures.files]
    linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
    return written._replace(files=written.files + linked, bytes=written.bytes + linked_bytes)


def _drawable(pictures: Pictures, tally: Tally) -> Bools:
    """bool[pictures]: the picture gets a mask."""
    sides = np.column_stack([pictures.width, pictures.height])
    known, drawable = every_column(sides > 0), is_paintable(sides, MOST_PIXELS)
    for reason, out in ((_NO_SIZE, ~known), (_TOO_LARGE, known & ~drawable)):
        rows = np.flatnonzero(out)
        tally.note("dropped", reason, IMAGE, len(rows), [pictures.names[row] for row in rows[:EXAMPLES].tolist()])
    return drawable


def _batch_masks(batch: ShapeBatch, plan: _Plan) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Row, PNG and description of each picture of a batch."""
    told, flat = batch.told, batch.flat
    batch.sift(*SHAPES, what="an area")
    batch.tell_of_losses(attributes=OWN_KEYS)
    told.drop(_TOO_LARGE, ~plan.listed[batch.picture][flat.task])
    place, is_known = plan.classes.meet(flat.value, told.kept)
    told.drop("its class is not one of those asked for", place < 0)
    told.alter(NO_CLASS, ~is_known)
    if plan.instances:
        first = offsets_of(told.kept)[np.searchsorted(flat.task, np.arange(batch.tasks.num_rows))]
        number = offsets_of(told.kept)[1:] - first[flat.task]
    else:
        number = place + 1
    told.drop("a mask has no more than 65,535 numbers", number - 1 + plan.start > _HIGHEST)
    gone, covered, cut, leaving = (np.zeros(len(flat), np.bool_) for _ in range(4))
    columns = batch.column("annotation_id"), flat.type, flat.value
    for tasks, rows in _portions(batch, plan):
        size = batch.size[rows].astype(np.int64)
        spans, leaving[rows] = annotation_spans(flat, rows, size[:, 0], size[:, 1], plan.pixels)
        shapes = np.searchsorted(flat.task[rows], np.append(tasks, tasks[-1] + 1))
        pictures = batch.picture[tasks]
        sides = np.column_stack([plan.pictures.width[pictures], plan.pictures.height[pictures]]).astype(np.int64)
        painted = paint_indices(spans, number[rows], shapes, sides[:, 0], sides[:, 1])
        gone[rows] = painted.area == 0
        covered[rows] = (painted.visible == 0) & (painted.area > 0)
        cut[rows] = painted.visible < painted.area
        of_pictures = np.split(rows, shapes[1:-1])
        wide = np.array([int(number[those].max(initial=0)) for those in of_pictures]) - 1 + plan.start >= MOST
        palettes = [_palette_of(batch, those, number[those], plan) for those in of_pictures]
        for nth, png in enumerate(_pngs(painted, sides, palettes, plan.wide | wide, plan.start)):
            seen = of_pictures[nth][painted.visible[shapes[nth] : shapes[nth + 1]] > 0]
            about = _described(plan, int(pictures[nth]))
            if plan.instances:
                cells = [column.take(seen).to_pylist() for column in columns]
                indices = (number[seen] - 1 + plan.start).tolist()
                about["instances"] = [
                    {name: cell for name, cell in zip(_INSTANCE, row, strict=True) if cell is not None}
                    for row in zip(indices, *cells, strict=True)
                ]
            yield int(pictures[nth]), png, about
    told.drop("it has no pixel within the image", gone)
    told.drop("later annotations cover all of it", covered)
    told.alter(CUT_MASK, batch.outside())
    told.notice("later annotations cover a part of it", cut)
    told.notice("a hole reaches outside its outline, only what lies inside was cut out", leaving)
    told.finish()


_INSTANCE = ("index", "id", "type", "class")


def _pngs(painted: Painted, size: Ints, palettes: Sequence[bytes], wide: Bools, start: int) -> Iterator[bytes]:
    """The file of each picture; ``size`` is int64[p, 2], width and height. ``wide`` ones are grey, in 16 bits."""
    runs = counted_from(painted.runs, start)
    packed = iter(packed_runs(runs.of(np.flatnonzero(~wide)), painted.sizes[~wide]))
    for place, (width, height) in enumerate(size.tolist()):
        if not wide[place]:
            yield palette_png(next(packed), width, height, palettes[place])
            continue
        _, first, stop, value = runs.of(np.array([place]))
        rows = runs_to_pixels(first, stop, value.astype(np.uint16), (width + 1) * height)
        yield encode_grey16(rows.reshape(height, width + 1)[:, 1:])


def _portions(batch: ShapeBatch, plan: _Plan) -> Iterator[tuple[Ints, Ints]]:
    """Tasks that follow each other and get a mask, and their annotations that are kept, so that memory for their edges
    is bounded."""
    kept, flat = batch.told.kept, batch.flat
    listed = plan.listed[batch.picture]
    area = plan.pictures.width[batch.picture] * plan.pictures.height[batch.picture]
    cost = np.where(kept, edge_pixels(flat, batch.size[:, 1], stairs=plan.pixels == "sdk"), 0)
    per_task = np.bincount(flat.task, weights=cost, minlength=batch.tasks.num_rows).astype(np.float64)
    per_task += np.where(listed, area, 0) / _PIXELS_OF_AN_EDGE
    portion = (np.cumsum(per_task) // _EDGE_PIXELS).astype(np.int64)
    for number in np.unique(portion[listed]).tolist():
        tasks = np.flatnonzero(listed & (portion == number))
        first, last = np.searchsorted(flat.task, [tasks[0], tasks[-1] + 1]).tolist()
        yield tasks, first + np.flatnonzero(kept[first:last])


def _described(plan: _Plan, picture: int) -> dict[str, Any]:
    pictures = plan.pictures
    about: dict[str, Any] = {
        "mask": plan.mask_path(picture),
        "file": pictures.files[picture],
        "task_id": pictures.task_ids[picture],
        "width": int(pictures.width[picture]),
        "height": int(pictures.height[picture]),
    }
    if pictures.names[picture] != pictures.files[picture]:
        about["name"] = pictures.names[picture]
    if pictures.tags[picture]:
        about["tags"] = pictures.tags[picture]
    return about


def _palette_of(batch: ShapeBatch, rows: Ints, number: Ints, plan: _Plan) -> bytes:
    highest = int(number.max(initial=0)) - 1 + plan.start
    colors: dict[int, str | None] = {}
    if plan.palette is _of_classes and plan.instances:
        values = batch.flat.value.take(rows).to_pylist()
        colors = {
            index: plan.classes.color_of(value)
            for index, value in zip((number - 1 + plan.start).tolist(), values, strict=True)
        }
    elif plan.palette is _of_classes:
        colors = plan.classes.colors(plan.start)
    return plan.palette(colors, highest)


def _of_classes(colors: dict[int, str | None], highest: int) -> bytes:
    return class_palette({**dict.fromkeys(range(highest + 1)), **colors})


def _palette(palette: str | Sequence[int]) -> Callable[[dict[int, str | None], int], bytes]:
    if palette == "sdk":
        return lambda _, highest: sdk_palette(highest)
    if palette == "classes":
        return _of_classes
    whole = isinstance(palette, list | tuple) and all(isinstance(level, int) and 0 <= level < 256 for level in palette)
    if isinstance(palette, str) or not whole or len(palette) % 3 or not 0 < len(palette) <= 3 * MOST:
        raise ValueError(
            'palette is "sdk", "classes", or up to 256 colours as numbers [r, g, b, r, g, b, …] from 0 to 255'
        )
    return lambda _, highest: given_palette(palette, highest)


def _class_list(values: Sequence[str], start: int) -> bytes:
    """The class of pixel value i in line i."""
    lines = [BACKGROUND] * start + [" ".join(value.split()) for value in values]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _beside_images(name: str) -> str:
    """Masks in the dataset's own folder keep out of that of the pictures."""
    return f"{IMAGES}_/{name.partition('/')[2]}" if name.startswith(f"{IMAGES}/") else name
