"""Read YOLO datasets as labels: ``data.yaml`` and what it names, or just images, label files and ``classes.txt``.

A line of five numbers is a box, one with an odd count from seven a polygon, one as long as ``kpt_shape`` says a pose.
What cannot be read is told to the tally.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fastlabel_dagster.formats.assembly import (
    AnnotationColumns,
    FoundClass,
    class_colors,
    classes_table,
    stable_id,
    tasks_table,
)
from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES, image_size
from fastlabel_dagster.labels.report import ReadTally
from fastlabel_dagster.labels.tables import Labels

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_CLASS_LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")
_PARTS = ("train", "val", "valid", "test")
_BOX = 5


class _Part(NamedTuple):
    """One part of a dataset: its name and the folder (or the list) of its images."""

    name: str
    place: Path


def read_yolo(source: Path, told: ReadTally) -> Labels:
    """Read a YOLO dataset: its folder, its ``data.yaml``, or a folder with ``classes.txt``.

    Task names are paths below the part's image folder (with the part in front where two parts have the same name), task
    ids a stable hash of part and path, tags the part. The class at place i of ``names`` gets the order i + 1.

    Raises:
        FileNotFoundError: when there is neither ``data.yaml`` nor ``classes.txt``, or an image folder is missing.
        ValueError: when ``data.yaml`` is damaged; the message names it.
    """
    root, names, parts, keypoints = _dataset(source)
    return _Reader(root, names, keypoints, told).labels(parts)


def _dataset(source: Path) -> tuple[Path, dict[int, str], list[_Part], tuple[int, int]]:
    if not source.exists():
        raise FileNotFoundError(f"there is no YOLO dataset at {source}")
    if source.is_file() and source.suffix.lower() in (".yaml", ".yml"):
        return _described(source)
    root = source if source.is_dir() else source.parent
    for name in _YAML_NAMES:
        if (root / name).is_file():
            return _described(root / name)
    for path in [root / name for name in _CLASS_LISTS] + [root / "labels" / name for name in _CLASS_LISTS]:
        if path.is_file():
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
            return root, {place: name for place, name in enumerate(lines) if name}, _found_parts(root), (0, 0)
    raise FileNotFoundError(f"{root} has neither data.yaml nor classes.txt, so the classes have no names")


def _found_parts(root: Path) -> list[_Part]:
    images = root / "images" if (root / "images").is_dir() else root
    parts = [_Part(name, images / name) for name in _PARTS if (images / name).is_dir()]
    return parts or [_Part("", images)]


def _described(path: Path) -> tuple[Path, dict[int, str], list[_Part], tuple[int, int]]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        names = data["names"]
        named = dict(enumerate(names)) if isinstance(names, list) else {int(place): names[place] for place in names}
        keypoints = data.get("kpt_shape") or (0, 0)
        shape = (int(keypoints[0]), int(keypoints[1]))
        below = data.get("path")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not a YOLO data file: {type(error).__name__}: {error}") from error
    root = path.parent / str(below) if below else path.parent
    if not root.is_dir():
        root = path.parent
    parts = []
    for name in _PARTS:
        places = data.get(name) or []
        for place in [places] if isinstance(places, str) else places:
            parts.append(_Part("val" if name == "valid" else name, _image_folder(root, str(place))))
    if not parts:
        raise ValueError(f"{path} names no images (train, val or test)")
    return path.parent, {place: str(name) for place, name in named.items()}, parts, shape


def _image_folder(root: Path, place: str) -> Path:
    # Some exporters write ../train/images although the folder lies beside the file.
    for path in (root / place, root / place.removeprefix("../")):
        if path.exists():
            return path
    if Path(place).name in ("train", "val", "valid", "test"):
        return root / place  # a part without images has no folder
    raise FileNotFoundError(f"{root / place}, which data.yaml names, is not there")


class _Reader:
    def __init__(self, root: Path, names: dict[int, str], keypoints: tuple[int, int], told: ReadTally) -> None:
        self._root, self._told = root, told
        self._classes: dict[int, FoundClass] = {}
        by_value: dict[str, FoundClass] = {}
        keys = [f"keypoint_{number}" for number in range(1, keypoints[0] + 1)]
        for place, value in sorted(names.items()):
            found = by_value.setdefault(value, FoundClass(value, place + 1, keypoints=keys))
            self._classes[place] = found
        self._keys, self._keypoint_size = keys, keypoints[1]
        self._annotations = AnnotationColumns()
        self._tasks: dict[str, list[Any]] = {name: [] for name in ("task_id", "name", "width", "height", "tags", "url")}

    def labels(self, parts: list[_Part]) -> Labels:
        images = {part: list(_images(part.place)) for part in parts}
        seen: dict[str, int] = {}
        for found in images.values():
            for name, _ in found:
                seen[name] = seen.get(name, 0) + 1
        for part, found in images.items():
            used = set()
            for name, path in found:
                label = _label_of(path)
                used.add(label)
                prefix = f"{part.name}/" if seen[name] > 1 and part.name else ""
                self._read_image(part, name, prefix + name, path, label)
            for label in _label_files(part.place):
                if label not in used:
                    self._told.drop("its label file has no image", where=self._below(label), count=_count_lines(label))
        found_classes = list({one.value: one for one in self._classes.values()}.values())
        colors = class_colors(found_classes)
        nested = self._annotations.nested(
            len(self._tasks["task_id"]), {one.value: one for one in found_classes}, colors
        )
        self._told.found(len(self._tasks["task_id"]), len(self._annotations))
        return Labels(
            tasks_table({**self._tasks, "annotations": nested}),
            classes_table(found_classes, self._annotations.usage(), colors),
            origin={"format": "yolo"},
        )

    def _below(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.name

    def _read_image(self, part: _Part, name: str, task_name: str, path: Path, label: Path | None) -> None:
        size = image_size(path)
        row = len(self._tasks["task_id"])
        for column, content in (
            ("task_id", stable_id("yolo", part.name, name)),
            ("name", task_name),
            ("width", size and size[0]),
            ("height", size and size[1]),
            ("tags", [part.name] if part.name else []),
            ("url", path.resolve().as_uri()),
        ):
            self._tasks[column].append(content)
        if label is None:
            return
        if size is None:
            self._told.drop(
                "the image cannot be read, its size is not known", where=self._below(path), count=_count_lines(label)
            )
            return
        self._told.advance()
        for number, line in enumerate(label.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
            words = line.split()
            if words:
                self._read_line(row, words, *size, f"{self._below(label)}, line {number}")

    def _read_line(self, row: int, words: list[str], width: int, height: int, where: str) -> None:
        try:
            number = int(words[0])
            shares = [float(word) for word in words[1:]]
        except ValueError:
            self._told.drop("a line is not numbers", where=where)
            return
        if not all(math.isfinite(share) for share in shares):
            self._told.drop("a number is not finite", where=where)
            return
        count = len(words)
        pose = self._keys and count == _BOX + len(self._keys) * self._keypoint_size
        if number < 0 or not (pose or count in (_BOX, _BOX + 1) or (count > _BOX + 1 and count % 2 == 1)):
            self._told.drop("a line of an unknown form", where=where)
            return
        if number not in self._classes:
            self._told.notice("the class number has no name", where=where)
            self._classes[number] = FoundClass(f"class_{number}", number + 1)
        value = self._classes[number].value
        if pose:
            self._add_pose(row, value, shares[4:], width, height)
        elif count in (_BOX, _BOX + 1):
            # A sixth number is the confidence of a prediction.
            x, y, w, h = (share * side for share, side in zip(shares, (width, height) * 2, strict=False))
            points = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
            self._annotations.add(row, "bbox", value, points=points)
        else:
            points = [share * (height if place % 2 else width) for place, share in enumerate(shares)]
            self._annotations.add(row, "polygon", value, points=points)

    def _add_pose(self, row: int, value: str, numbers: list[float], width: int, height: int) -> None:
        step = self._keypoint_size
        keypoints = []
        for place, key in enumerate(self._keys):
            x, y, *rest = numbers[step * place : step * place + step]
            visibility = rest[0] if rest else 2.0 if (x, y) != (0, 0) else 0.0
            if visibility > 0:
                where = [x * width, y * height, float(visibility >= 2)]
                keypoints.append({"key": key, "name": key, "value": where, "edges": []})
        self._annotations.add(row, "pose_estimation", value, keypoints=keypoints)


def _images(place: Path) -> Iterator[tuple[str, Path]]:
    """The images of a folder, or of a text file that lists them, with their names, in a fixed order."""
    if place.is_file():
        for line in place.read_text(encoding="utf-8-sig").splitlines():
            path = place.parent / line.strip()
            if line.strip() and path.is_file():
                yield path.name, path
        return
    found = ((path.relative_to(place).as_posix(), path) for path in place.rglob("*"))
    yield from sorted((name, path) for name, path in found if path.suffix.lower() in IMAGE_SUFFIXES)


def _label_of(image: Path) -> Path | None:
    """The label file of an image: the last folder ``images`` of its path replaced by ``labels``, or beside the
    image."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            path = Path(*parts[:place], "labels", *parts[place + 1 :]).with_suffix(".txt")
            if path.is_file():
                return path
            break
    beside = image.with_suffix(".txt")
    return beside if beside.is_file() else None


def _label_files(place: Path) -> Iterator[Path]:
    folder = place
    parts = list(place.parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        folder = Path(*parts[:last], "labels", *parts[last + 1 :])
    if folder.is_dir():
        yield from sorted(path for path in folder.rglob("*.txt") if path.name not in _CLASS_LISTS)


def _count_lines(label: Path) -> int:
    return sum(1 for line in label.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip())
