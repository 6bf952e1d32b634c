"""Read index masks as labels: every class, or every object, of a picture becomes a segmentation, traced exactly along
the pixel edges.

Our own exports are read by their index file. Others are PNG files in a folder such as ``masks``, ``SegmentationClass``
or ``SegmentationObject``: 8 or 16 bits grey, with a palette, or in colours that ``labelmap.txt`` (CVAT) or ``classes=``
name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    labels_of,
    stable_id,
)
from fastlabel_dagster.formats.masks.files import (
    INSTANCE_FOLDERS,
    SEMANTIC_FOLDERS,
    MaskDataset,
    MaskFile,
    open_dataset,
    tell_of_rest,
)
from fastlabel_dagster.formats.masks.palette import rgb_of
from fastlabel_dagster.formats.masks.png import IndexImage, PngError, read_indices
from fastlabel_dagster.formats.masks.write import INSTANCE_INDEX, SEMANTIC_INDEX
from fastlabel_dagster.formats.splits import PART_OF_TAG
from fastlabel_dagster.labels.outline_trace import Regions, trace
from fastlabel_dagster.labels.ragged import Ints
from fastlabel_dagster.labels.report import IMAGE, ReadTally
from fastlabel_dagster.labels.tables import Labels

#: What many datasets give to pixels nobody decided about.
VOID = 255
#: What is read of an object in an index file, and its types.
_OF_OBJECT = {"index": int, "class": str, "id": str}
_MOST_OBJECTS = 2**16 - 1
_OTHER_SIZE = "its index file states another size than its mask has, which counts"


def read_semantic(
    source: Path,
    told: ReadTally,
    *,
    classes: Mapping[int | str, str] | Sequence[str] | None = None,
    start_index: int = 1,
    split_components: bool = False,
    mask_folder: str | None = None,
) -> Labels:
    """Read semantic masks: one segmentation per picture and class.

    Args:
        source: the dataset's folder, or its ``classes.json``.
        told: of what cannot be read.
        classes: names, where no file of the dataset has them: in the order of their pixel values from ``start_index``
            on, or by pixel value, or by colour (``#rrggbb``).
        start_index: pixel value of the first of ``classes``, or of ``classes.txt`` when its first line names no
            background.
        split_components: a segmentation for every connected region instead.
        mask_folder: where the masks lie, when it has an unusual name.

    Raises:
        FileNotFoundError: when there is no mask.
        FormatError: when the index file is damaged.
    """
    dataset = open_dataset(
        source,
        SEMANTIC_INDEX,
        SEMANTIC_FOLDERS,
        told,
        classes=classes,
        start_index=start_index,
        mask_folder=mask_folder,
    )
    reader = _Reader(dataset, told, "semantic_masks")
    for row, mask, image in reader.masks():
        reader.read_classes(row, mask, image, split=split_components)
    return reader.labels()


def read_instances(source: Path, told: ReadTally, *, value: str = "object", mask_folder: str | None = None) -> Labels:
    """Read instance masks: one segmentation per picture and object.

    Args:
        source: the dataset's folder, or its ``instances.json``.
        told: of what cannot be read.
        value: the class of objects whose class the dataset does not say.
        mask_folder: where the masks lie, when it has an unusual name.

    Raises:
        FileNotFoundError: when there is no mask.
        FormatError: when the index file is damaged.
    """
    dataset = open_dataset(source, INSTANCE_INDEX, INSTANCE_FOLDERS, told, mask_folder=mask_folder)
    reader = _Reader(dataset, told, "instance_masks")
    for row, mask, image in reader.masks():
        reader.read_objects(row, mask, image, value)
    return reader.labels()


class _Reader:
    def __init__(self, dataset: MaskDataset, told: ReadTally, format: str) -> None:
        self._dataset, self._told, self._format = dataset, told, format
        self._classes: dict[str, FoundClass] = {}
        for one in (*dataset.classes.values(), *dataset.colors.values()):
            self._classes.setdefault(one.value, one)
        self._last_order = max((one.order for one in self._classes.values()), default=0)
        self._annotations = AnnotationColumns()
        self._tasks: dict[str, list[Any]] = {name: [] for name in ("task_id", "name", "width", "height", "tags", "url")}
        self._known_ids: set[str] = set()
        self._masks = {mask.path.relative_to(dataset.root).as_posix() for mask in dataset.masks}

    def masks(self) -> Iterator[tuple[int, MaskFile, IndexImage]]:
        """Row, mask and pixels of every mask that can be read; a task is made of each."""
        for mask in self._dataset.masks:
            try:
                image = read_indices(mask.path)
            except (PngError, OSError) as error:
                self._told.drop(f"the mask cannot be read: {_reason(error)}", IMAGE, where=mask.place)
            else:
                self._add_task(mask, image)
                yield len(self._tasks["task_id"]) - 1, mask, image
            self._told.advance()

    def read_classes(self, row: int, mask: MaskFile, image: IndexImage, *, split: bool) -> None:
        """The classes of one picture."""
        dataset, pixels = self._dataset, image.pixels
        if image.is_color and not dataset.colors and not dataset.described and _is_grey(pixels):
            pixels = (pixels & 0xFF).astype(np.uint8)
        elif image.is_color or (image.palette is not None and dataset.colors):
            numbers, classes = self._by_color(image, mask)
            for number, regions in trace(numbers).items():
                self._add(row, classes[number - 1], regions, split=split)
            return
        if dataset.start == 0:
            pixels = pixels.astype(np.int32) + 1
        for number, regions in trace(pixels).items():
            index = number - (dataset.start == 0)
            found = dataset.classes.get(index)
            if found is None and index == VOID and dataset.classes:
                self._told.drop("the void value 255, which no class has", where=mask.place)
                continue
            if found is None:
                self._told.notice("a pixel value has no class name", where=mask.place)
            self._add(row, found or self._unnamed(f"class_{index}"), regions, split=split)

    def read_objects(self, row: int, mask: MaskFile, image: IndexImage, value: str) -> None:
        """The objects of one picture."""
        pixels, start = image.pixels, self._dataset.start
        if image.is_color:
            _, place = np.unique(pixels, return_inverse=True)
            if int(place.max(initial=0)) > _MOST_OBJECTS:
                self._told.drop("a mask of more than 65,535 colours", IMAGE, where=mask.place)
                return
            pixels = place.reshape(pixels.shape) + int(pixels.min() != 0)
        elif start == 0:
            pixels = pixels.astype(np.int32) + 1
        said = _instances_of(mask, self._told)
        for number, regions in trace(pixels).items():
            about = said.pop(number - (start == 0), {})
            name, identity = about.get("class"), about.get("id")
            if not isinstance(name, str) or not name:
                if self._dataset.described:
                    self._told.notice("an object whose class is not said", where=mask.place)
                name = value
            self._unnamed(name)
            outlines = cast(list[list[list[float]]], regions)
            known = identity if isinstance(identity, str) else None
            self._annotations.add(row, "segmentation", name, regions=outlines, annotation_id=known)
        self._told.drop("an object without a pixel in its mask", "segmentation", where=mask.place, count=len(said))

    def labels(self) -> Labels:
        """Everything that was read."""
        return labels_of(self._format, self._tasks, self._annotations, self._classes, self._told)

    def _add_task(self, mask: MaskFile, image: IndexImage) -> None:
        about, pictures = mask.about, self._dataset.pictures
        height, width = image.pixels.shape
        if about.get("width") not in (None, width) or about.get("height") not in (None, height):
            self._told.notice(_OTHER_SIZE, IMAGE, where=mask.place)
        stated = about.get("file")
        # As if the mask lay among the pictures: beside it are other masks.
        twin = pictures.root / "images" / mask.below
        picture = pictures.find(twin, stated=stated if isinstance(stated, str) else None)
        if picture is not None and pictures.path_of(picture) in self._masks:
            picture = None
        folder, slash, own_name = mask.below.rpartition("/")
        name = about.get("name", stated)
        if not isinstance(name, str) or not name:
            name = f"{folder}{slash}{own_name if picture is None else picture.name}"
        task_id = about.get("task_id")
        if not isinstance(task_id, str) or not task_id or task_id in self._known_ids:
            task_id = stable_id(self._format, mask.place)
        self._known_ids.add(task_id)
        tags = about.get("tags")
        if not isinstance(tags, list):
            part = PART_OF_TAG.get(folder.partition("/")[0])
            tags = [part] if part else []
        for column, content in (
            ("task_id", task_id),
            ("name", name),
            ("width", width),
            ("height", height),
            ("tags", [tag for tag in tags if isinstance(tag, str)]),
            ("url", None if picture is None else picture.as_uri()),
        ):
            self._tasks[column].append(content)

    def _by_color(self, image: IndexImage, mask: MaskFile) -> tuple[Ints, list[FoundClass]]:
        """The place (from 1; 0: none) of each pixel's class in a list, by the pixel's colour."""
        known = self._dataset.colors or self._colors_of_classes()
        if image.palette is None:
            colors, position = np.unique(image.pixels, return_inverse=True)
        else:
            levels = np.zeros((int(image.pixels.max(initial=0)) + 1, 3), np.int64)
            stated = np.frombuffer(image.palette, np.uint8)[: 3 * len(levels)].reshape(-1, 3)
            levels[: len(stated)] = stated
            colors, position = levels @ [1 << 16, 1 << 8, 1], image.pixels
        classes = list(known.values())
        place_of = {color: place for place, color in enumerate(known, start=1)}
        places = np.array([place_of.get(color, 0) for color in colors.tolist()], np.int64)
        numbers = places[position.reshape(image.pixels.shape)]
        used = np.bincount(position.reshape(-1), minlength=len(colors)) > 0
        strange = int(((places == 0) & (colors != 0) & used).sum())
        if strange:
            self._told.drop("a colour that no class has", where=mask.place, count=strange)
        return numbers, classes

    def _colors_of_classes(self) -> dict[int, FoundClass]:
        found = ((rgb_of(one.color), one) for one in self._dataset.classes.values())
        return {int.from_bytes(rgb, "big"): one for rgb, one in found if rgb is not None}

    def _unnamed(self, value: str) -> FoundClass:
        """The class ``value``, made behind all others where it is not known."""
        if value not in self._classes:
            self._last_order += 1
            self._classes[value] = FoundClass(value, self._last_order)
        return self._classes[value]

    def _add(self, row: int, found: FoundClass, regions: Regions, *, split: bool) -> None:
        for part in [[region] for region in regions] if split else [regions]:
            self._annotations.add(row, "segmentation", found.value, regions=cast(list[list[list[float]]], part))


def _is_grey(pixels: NDArray[Any]) -> bool:
    """Whether red, green and blue agree everywhere: indices somebody saved as a picture."""
    low = pixels & 0xFF
    return bool((pixels == low * np.uint32(0x10101)).all())


def _instances_of(mask: MaskFile, told: ReadTally) -> dict[int, dict[str, Any]]:
    """What the index file says of each object, by pixel value."""
    rows = mask.about.get("instances")
    found: dict[int, dict[str, Any]] = {}
    for row in rows if isinstance(rows, list) else []:
        index = row.get("index") if isinstance(row, dict) else None
        if isinstance(index, int) and index not in found:
            found[index] = row
            tell_of_rest(row, _OF_OBJECT, f"{mask.place}, object {index}", told)
        else:
            told.notice("an entry of the index file without a pixel value of its own", where=mask.place)
    return found


def _reason(error: PngError | OSError) -> str:
    """Without the path, which the report names its own way."""
    return str(error) if isinstance(error, PngError) else error.strerror or type(error).__name__
