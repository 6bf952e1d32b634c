"""A COCO or YOLO dataset folder, as people have it on their disks, made ready to become a project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fastlabel_dagster.sandbox.errors import Refused, SandboxError
from fastlabel_dagster.sandbox.modalities import measure_image

if TYPE_CHECKING:
    from fastlabel_dagster.labels import Labels

_IMAGES = (".png", ".jpg", ".jpeg")
_MOST_DEPTH = 4


@dataclass
class DatasetFolder:
    """``classes`` as the API answers them; :meth:`tasks` streams the tasks that have a picture; ``notes`` say what is
    odd."""

    format: str
    labels: Labels
    pictures: list[Path]
    classes: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    attributes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pictures)

    def tasks(self) -> Iterator[tuple[dict[str, Any], Path]]:
        """Each task (API form) with its picture. Fills ``attributes``, by class value and key, on the way."""
        from fastlabel_dagster.labels import to_fastlabel

        for task, picture in zip(to_fastlabel(self.labels), self.pictures, strict=True):
            if task.get("width") is None or task.get("height") is None:
                task.update(measure_image(picture.read_bytes()))
            for annotation in task.get("annotations") or []:
                for attribute in annotation.get("attributes") or []:
                    self._meet(annotation["value"], attribute)
            yield task, picture

    def _meet(self, value: str, attribute: dict[str, Any]) -> None:
        known = self.attributes.setdefault(value, {}).setdefault(
            attribute["key"],
            {"key": attribute["key"], "name": attribute.get("name"), "type": attribute.get("type"), "options": []},
        )
        if attribute.get("type") in {"select", "radio", "checkbox"}:
            chosen = attribute.get("value")
            for one in chosen if isinstance(chosen, list) else [chosen]:
                option = {"title": str(one), "value": one}
                if option not in known["options"]:
                    known["options"].append(option)


def read_folder(folder: Path, *, most: int | None = None) -> DatasetFolder:
    """Read a COCO folder (annotation JSONs and pictures anywhere below it) or a YOLO one (``data.yaml``).

    ``most`` takes the first so many pictures. Tasks without a readable picture are left out and noted. Raises
    :class:`SandboxError` when there is no folder, no dataset in it, or no picture.
    """
    import pyarrow as pa

    from fastlabel_dagster.labels import Labels, classes_to_fastlabel

    folder = Path(folder)
    if not folder.exists():
        raise SandboxError(f"there is no folder {folder}")
    kind, labels = _read_any(folder)
    table = labels.tasks
    index: dict[str, list[Path]] | None = None
    rows: list[int] = []
    pictures: list[Path] = []
    lost = 0
    for row, (name, url) in enumerate(zip(table["name"].to_pylist(), table["url"].to_pylist(), strict=True)):
        if most is not None and len(rows) >= most:
            break
        picture = _local(url)
        if picture is None:
            index = _pictures_below(folder) if index is None else index
            picture = _find(index, name)
        if picture is None or not _usable(picture, table, row):
            lost += 1
            continue
        rows.append(row)
        pictures.append(picture)
    if not rows:
        raise SandboxError(
            f"no images found: {folder} describes {table.num_rows:,} of them, and none of those files lies below it"
        )
    notes = []
    if lost:
        notes.append(f"{lost:,} tasks left out: their picture is missing or cannot be read")
    if labels.report is not None:
        notes.extend(labels.report.sentences())
    chosen = Labels(table.take(pa.array(rows, pa.int64())), labels.classes)
    return DatasetFolder(kind, chosen, pictures, classes_to_fastlabel(labels.classes), tuple(notes))


def project_name(folder: Path) -> str:
    """A project slug from a folder's name: ``COCO Mini (v2)`` -> ``coco-mini-v2``."""
    name = folder.resolve().stem if folder.is_file() else folder.resolve().name
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "dataset"


def _read_any(folder: Path) -> tuple[str, Labels]:
    from fastlabel_dagster import formats

    tried: list[str] = []
    for kind, place in _places(folder):
        try:
            return kind, formats.read(place, format=kind)
        except FileNotFoundError:
            continue
        except ValueError as error:
            tried.append(str(error))
    if tried:
        raise SandboxError(f"cannot read the dataset in {folder}: {tried[0]}")
    raise SandboxError(
        f"no dataset found in {folder}: expected COCO (a JSON with images and annotations, like "
        "annotations/instances_train.json) or YOLO (a data.yaml)"
    )


def _places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Where a dataset may start, the most likely place first."""
    if folder.is_file():
        yield ("yolo" if folder.suffix in {".yaml", ".yml"} else "coco"), folder
        return
    configurations = _below(folder, "data.yaml") + _below(folder, "data.yml")
    if any(path.parent == folder for path in configurations):
        yield "yolo", folder
    yield "coco", folder
    for path in configurations:
        yield "yolo", path
    roots = [
        path.parent.parent if path.parent.name == "annotations" else path.parent for path in _below(folder, "*.json")
    ]
    for root in dict.fromkeys(roots):
        if root != folder and root.is_relative_to(folder):
            yield "coco", root


def _below(folder: Path, pattern: str) -> list[Path]:
    found = [path for path in folder.rglob(pattern) if len(path.relative_to(folder).parts) <= _MOST_DEPTH]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _local(url: str | None) -> Path | None:
    parts = urlsplit(url or "")
    path = Path(unquote(parts.path)) if parts.scheme == "file" else None
    return path if path is not None and path.is_file() else None


def _pictures_below(folder: Path) -> dict[str, list[Path]]:
    index: dict[str, list[Path]] = {}
    for path in sorted((folder if folder.is_dir() else folder.parent).rglob("*")):
        if path.suffix.lower() in _IMAGES and path.is_file():
            index.setdefault(path.name, []).append(path)
    return index


def _find(index: dict[str, list[Path]], name: str) -> Path | None:
    """The picture of this name; of several, the one whose path ends like the name, if there is just one."""
    found = index.get(name.rpartition("/")[2], [])
    if len(found) > 1:
        parts = name.split("/")
        found = [path for path in found if list(path.parts[-len(parts) :]) == parts]
    return found[0] if len(found) == 1 else None


def _usable(picture: Path, table: Any, row: int) -> bool:
    """Whether the picture can be taken: its size is known from the labels, or can be read from the file."""
    if table["width"][row].is_valid and table["height"][row].is_valid:
        return True
    try:
        measure_image(picture.read_bytes())
    except (Refused, OSError):
        return False
    return True
