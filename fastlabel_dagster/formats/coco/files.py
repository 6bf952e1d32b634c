"""Find and load the files of a COCO dataset, as people really lay them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from fastlabel_dagster.formats.report import REPORT_FILE

_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_WORD = re.compile(r"[a-z]+")
#: One dataset is often published as several files over the same images; the first of these that is there is read.
_KINDS = ("instances_", "person_keypoints_", "")


#: In ``info``: boxes have their four corners as segmentation.
RECTANGLES = "bbox_segmentation"


class CocoFile(NamedTuple):
    """One annotation file."""

    path: Path
    root: Path
    """The dataset's folder."""
    split: str
    """The file's own part of the dataset, such as ``train2017``; empty when the dataset is one file."""
    tag: str
    """``train``, ``val`` or ``test`` when the names say so, otherwise the split."""
    content: dict[str, Any]


def load_coco_files(source: Path) -> list[CocoFile]:
    """The annotation files of ``source`` (a JSON file, or a folder with some of its own, in ``annotations/`` or one
    level below), in the order of their names.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when a JSON file is damaged, or the one named is not COCO; the message names it.
    """
    if source.is_dir():
        paths = [*source.glob("*.json"), *source.glob("*/*.json")]
        loaded = [(path, load_json(path)) for path in sorted(paths) if path.name != REPORT_FILE]
        files = _one_per_split([(path, content) for path, content in loaded if is_coco(content)])
        if not files:
            raise FileNotFoundError(f"there is no COCO annotation file in {source} (nor one folder below it)")
        root = source
    else:
        content = load_json(source)
        if not is_coco(content):
            raise ValueError(f"{source} is not a COCO file: it has no list of images and annotations")
        files = [(source, content)]
        root = source.parent.parent if source.parent.name == "annotations" else source.parent
    several = len(files) > 1
    result = []
    for path, content in files:
        split, tag = _split_of(path, root)
        result.append(
            CocoFile(path, root, split or (path.stem if several else ""), tag or (split if several else ""), content)
        )
    return result


def load_json(path: Path) -> Any:
    """The JSON of a file; NaN and infinities, which JSON does not know but Python writes, are accepted."""
    data = path.read_bytes()
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data)
        except ValueError:
            raise ValueError(f"{path} is not valid JSON: {error}") from error


def is_coco(content: Any) -> bool:
    """Whether a JSON document is a COCO dataset with objects in it (captions are not)."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return False
    annotations = content.get("annotations", [])
    return isinstance(annotations, list) and not (annotations and "caption" in annotations[0])


def find_image(file: CocoFile, file_name: str) -> Path | None:
    """Where the picture lies, if it does and if that is inside the dataset's folder."""
    for folder in _image_folders(file):
        path = folder / file_name
        if path.is_file() and path.resolve().is_relative_to(file.root.resolve()):
            return path
    return None


def _image_folders(file: CocoFile) -> Iterator[Path]:
    yield file.path.parent
    yield file.root / "images"
    yield file.root
    for part in dict.fromkeys([file.split, file.tag]):
        if part:
            yield file.root / "images" / part
            yield file.root / part
            yield file.root / part / "images"


def _one_per_split(files: list[tuple[Path, dict[str, Any]]]) -> list[tuple[Path, dict[str, Any]]]:
    best: dict[tuple[Path, str], tuple[int, Path, dict[str, Any]]] = {}
    for path, content in files:
        rank, prefix = next((rank, kind) for rank, kind in enumerate(_KINDS) if path.stem.startswith(kind))
        key = (path.parent, path.stem.removeprefix(prefix))
        if key not in best or rank < best[key][0]:
            best[key] = (rank, path, content)
    return sorted(((path, content) for _, path, content in best.values()), key=lambda item: item[0].as_posix())


def _split_of(path: Path, root: Path) -> tuple[str, str]:
    """The split a file's name speaks of, and its tag: ``instances_train2017`` -> ("train2017", "train")."""
    stem = path.stem
    for kind in _KINDS:
        if kind and stem.startswith(kind):
            stem = stem.removeprefix(kind)
            break
    tag = next((_SPLITS[word] for word in _WORD.findall(stem.lower()) if word in _SPLITS), "")
    if tag:
        return stem, tag
    folder = path.parent.name
    if path.parent != root and path.parent.name != "annotations":
        return folder, next((_SPLITS[word] for word in _WORD.findall(folder.lower()) if word in _SPLITS), folder)
    return "", ""
