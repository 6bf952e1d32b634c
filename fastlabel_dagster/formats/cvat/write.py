"""Write CVAT for images 1.1: ``annotations.xml`` and ``images/`` beside it, as CVAT exports and imports them."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from typing import BinaryIO, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.categories import Categories
from fastlabel_dagster.formats.cvat.elements import Elements, Used, shape_elements
from fastlabel_dagster.formats.cvat.labels import declared_attributes, label_elements
from fastlabel_dagster.formats.pictures import Pictures, link_pictures, list_pictures
from fastlabel_dagster.formats.report import IMAGE, Tally
from fastlabel_dagster.formats.scratch import close_scratch, in_scratch
from fastlabel_dagster.formats.shapes import ShapeBatch, each_batch
from fastlabel_dagster.formats.sources import PictureSource
from fastlabel_dagster.formats.splits import Split, parts_of
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.written import Written
from fastlabel_dagster.formats.xml import xml_text, xml_texts
from fastlabel_dagster.labels.ragged import offsets_of, one_array
from fastlabel_dagster.labels.tables import Labels
from fastlabel_dagster.store import FolderWriter

XML_FILE = "annotations.xml"
IMAGES = "images"
_IN_MEMORY = 64 * 2**20


def write_cvat(
    labels: Labels,
    folder: FolderWriter,
    images: PictureSource | None,
    tally: Tally,
    *,
    split: Split = None,
) -> Written:
    """Write ``annotations.xml`` (and ``images/`` when ``images`` has the pictures).

    The list of labels stands above the images in the file, but is only known when all annotations have been seen; so
    the images wait in a temporary file, of which no more than 64 MB are in memory.

    ``split`` makes it the export of a project with a task and a subset per part, otherwise it is that of one task.
    """
    pictures = list_pictures(labels, images, tally)
    parts: list[str | None] = [None] * len(pictures) if split is None else list(parts_of(pictures, split))
    sizeless = np.flatnonzero(~(pictures.width * pictures.height > 0)).tolist()
    names = [pictures.names[row] for row in sizeless]
    tally.note("noticed", "its size is not known, the file does not state it", IMAGE, len(names), names)
    categories = Categories(labels.classes)
    used = Used({}, {})
    listed = {part: parts.count(part) for part in sorted({part for part in parts if part is not None})}

    def elements_of(batch: ShapeBatch) -> list[bytes]:
        shapes = shape_elements(batch, categories, used)
        batch.told.finish()
        return _image_elements(batch, shapes, pictures, parts)

    with ExitStack() as stack:
        waiting = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the stack closes it
        stack.callback(close_scratch, waiting)
        file = stack.enter_context(folder.open(XML_FILE))
        for texts in each_batch(labels, pictures, tally, elements_of, ahead=True):
            for text in texts:
                with in_scratch(XML_FILE):
                    waiting.write(text)
        project = str(labels.origin.get("project") or "FastLabel")
        file.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(_meta(project, len(pictures), listed))
        for label in label_elements(categories, declared_attributes(labels.classes), used):
            file.write(label.encode())
        file.write(f"      </labels>\n    </{'project' if listed else 'task'}>\n  </meta>\n".encode())
        with in_scratch(XML_FILE):
            waiting.seek(0)
        shutil.copyfileobj(cast(BinaryIO, waiting), file, 2**20)
        file.write(b"</annotations>\n")
        size = file.tell()
    files = 1
    if images is not None:
        paths = [
            f"{IMAGES}/{part}/{name}" if part else f"{IMAGES}/{name}"
            for part, name in zip(parts, pictures.files, strict=True)
        ]
        linked, linked_bytes = link_pictures(folder, pictures, paths, images, tally)
        files, size = files + linked, size + linked_bytes
    return Written(len(pictures), files, size, listed)


def _image_elements(batch: ShapeBatch, shapes: Elements, pictures: Pictures, parts: list[str | None]) -> list[bytes]:
    per_task = offsets_of(np.bincount(batch.flat.task[shapes.annotation], minlength=batch.tasks.num_rows))
    inner = joined(per_task, shapes.text, "")
    rows = batch.picture
    listed = rows.tolist()
    files = pa.array([pictures.files[row] for row in listed], pa.string())
    names = pa.array([pictures.names[row] for row in listed], pa.string())
    subset = [f' subset="{parts[row]}"' if parts[row] else "" for row in listed]
    tags = [orjson.dumps(pictures.tags[row]).decode() if pictures.tags[row] else "" for row in listed]
    text = glued(
        '  <image id="',
        number_text(rows),
        '" name="',
        xml_texts(files),
        '"',
        pa.array(subset, pa.string()),
        *_sides(batch, pictures),
        ' fastlabel_id="',
        xml_texts(one_array(batch.tasks["task_id"])),
        '"',
        pc.if_else(pc.equal(names, files), "", glued(' fastlabel_name="', xml_texts(names), '"')),
        pa.array([f' fastlabel_tags="{xml_text(tag)}"' if tag else "" for tag in tags], pa.string()),
        ">\n",
        inner,
        "  </image>\n",
    )
    elements: list[bytes] = pc.cast(text, pa.binary()).to_pylist()
    return elements


def _sides(batch: ShapeBatch, pictures: Pictures) -> list[pa.Array]:
    sides = []
    for name, values in (("width", pictures.width), ("height", pictures.height)):
        side = values[batch.picture]
        known = side > 0
        text = glued(f' {name}="', number_text(np.where(known, side, 0).astype(np.int64)), '"')
        sides.append(pc.if_else(pa.array(known), text, ""))
    return sides


def _meta(name: str, images: int, subsets: dict[str, int]) -> bytes:
    if not subsets:
        return f"  <meta>\n    <task>\n{_task(1, name, images, '', '      ')}      <labels>\n".encode()
    tasks = "".join(
        f"        <task>\n{_task(number, f'{name} {subset}', count, subset, '          ')}        </task>\n"
        for number, (subset, count) in enumerate(subsets.items(), start=1)
    )
    return (
        f"  <meta>\n    <project>\n      <id>1</id>\n      <name>{xml_text(name)}</name>\n"
        f"      <tasks>\n{tasks}      </tasks>\n      <subsets>{chr(10).join(subsets)}</subsets>\n      <labels>\n"
    ).encode()


def _task(number: int, name: str, images: int, subset: str, indent: str) -> str:
    fields = {
        "id": str(number),
        "name": xml_text(name),
        "size": str(images),
        "mode": "annotation",
        "overlap": "0",
        "start_frame": "0",
        "stop_frame": str(max(0, images - 1)),
        "frame_filter": "",
        **({"subset": subset} if subset else {}),
    }
    return "".join(f"{indent}<{field}>{value}</{field}>\n" for field, value in fields.items())
