"""What a YOLO dataset says of itself: the names of its classes, where its images lie, what its lines mean."""

# Links are followed before a path is trusted, which is a matter of text and os.path.
# ruff: noqa: PTH110, PTH112, PTH118, PTH119

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.label_files import files_below, folder_of, is_own_file
from fastlabel_dagster.formats.text_files import text_of_names
from fastlabel_dagster.formats.unread import unread_names
from fastlabel_dagster.formats.yolo.lines import TASKS

_YAML = (".yaml", ".yml")
YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
DARKNET_FILE = "obj.data"
CLASS_LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")
_PARTS = ("train", "val", "valid", "test")
#: What the other keys of a data file say is not where images lie.
_NOT_PARTS = frozenset(
    {"path", "names", "nc", "channels", "task", "kpt_shape", "kpt_names", "flip_idx", "download", "yaml_file"}
)
#: What the lines of darknet's data file say that is not which file lists the images of a part.
_NOT_LISTS = frozenset({"classes", "names", "backup", "eval", "results", "task", "kpt_shape"})
#: Of these, what is read, or says nothing of the labels.
_READ = frozenset({"path", "names", "nc", "task", "kpt_shape", "kpt_names", "yaml_file"})
_LARGEST_YAML = 4 * 2**20  # bytes; a thousand times the largest people have
_MOST_KEYPOINTS = 10_000
_MOST_FOLDERS = 32


@dataclass(frozen=True)
class Part:
    """One part of a dataset: its name, and the folder of its images or the text file that lists them."""

    name: str
    place: str
    """Absolute, links resolved."""


@dataclass
class Dataset:
    """A dataset before its labels are read."""

    root: str
    """Its folder, absolute, links resolved; nothing outside it is opened."""
    names: dict[int, str]
    parts: list[Part]
    task: str | None = None
    """What the dataset says its lines are for, where it does."""
    keypoints: int = 0
    keypoint_numbers: int = 0
    """Numbers per keypoint, 2 or 3."""
    keypoint_names: dict[int, list[str]] = field(default_factory=dict)
    """By class number, where the dataset names them."""
    unread: list[str] = field(default_factory=list)
    """The names in its data file that say something and were not read, or that contradict the others."""
    described: bool = False
    """It has a data file that names its folders."""
    class_list: str | None = None
    """The text file the names come from."""
    lists: dict[str, str] = field(default_factory=dict)
    """Text files beside it that list the images of a part, by its data file: name of the file -> part."""


def find_dataset(source: Path, classes: str | os.PathLike[str] | Sequence[str] | None) -> Dataset:
    """The dataset at ``source``: its folder, its data file, or its list of classes.

    ``classes`` are the names, or a text file of them, where they do not lie in the dataset (or are to be others).

    Raises:
        FileNotFoundError: nothing is there, or nothing that names the classes.
        FormatError: the data file is damaged, or names a folder that is not in the dataset's.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no YOLO dataset at {source}")
    named, listed = _given(classes)
    root = folder_of(source, [*_YAML, ".txt", ".names"])
    described = [source] if source.is_file() and source.suffix.lower() in _YAML else []
    for path in [*described, *(root / name for name in YAML_NAMES)]:
        if path == source or is_own_file(path, root):
            dataset = _described(path)
            dataset.names = dataset.names if named is None else named
            return dataset
    resolved = os.path.realpath(root)
    if named is None:
        lists = [source] if source.is_file() else []
        lists += [place / name for place in (root, root / "labels", root / "annotations") for name in CLASS_LISTS]
        listed = next((path for path in lists if path == source or is_own_file(path, root)), None)
        if listed is None:
            folder, data_files = next(files_below(root, _YAML), ("", []))
            if len(data_files) == 1 and not folder:
                return _described(root / data_files[0])
            raise FileNotFoundError(
                f"{root} has neither data.yaml nor classes.txt, so the classes have no names"
                + (": it has several YAML files, name the data file itself" if data_files and not folder else "")
            )
        named = _names_in(listed)
    class_list = None if listed is None else os.path.realpath(listed)
    dataset = Dataset(resolved, named, _found_parts(resolved), class_list=class_list)
    stated = _darknet_data(root / DARKNET_FILE)
    for name, place in stated.items():
        if name not in _NOT_LISTS and place.lower().endswith(".txt"):
            dataset.lists.setdefault(place.replace("\\", "/").rpartition("/")[2], "val" if name == "valid" else name)
    if stated.get("task") in TASKS:
        dataset.task = stated["task"]
    dataset.unread = sorted(_unread_of_darknet(stated, dataset))
    shape = stated.get("kpt_shape", "").split()
    dataset.keypoints, dataset.keypoint_numbers = _keypoint_shape(root / DARKNET_FILE, shape)
    return dataset


def _given(classes: str | os.PathLike[str] | Sequence[str] | None) -> tuple[dict[int, str] | None, Path | None]:
    if classes is None:
        return None, None
    if isinstance(classes, str | os.PathLike):
        path = Path(classes)
        if not path.is_file():
            raise FileNotFoundError(f"there is no list of classes at {path}")
        return _names_in(path), path
    if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes are names, or the path of a file of names, not {classes!r}")
    return dict(enumerate(classes)), None


def _darknet_data(path: Path) -> dict[str, str]:
    """The lines ``name = value`` of a darknet data file; empty when there is none."""
    if not is_own_file(path, path.parent):
        return {}
    with path.open("rb") as file:
        text = file.read(_LARGEST_YAML).decode("utf-8-sig", "replace")
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _names_in(path: Path) -> dict[int, str]:
    """A name a line; a blank line is a class without a name."""
    lines = [line.strip() for line in text_of_names(path).splitlines()]
    return {place: name for place, name in enumerate(lines) if name}


def _found_parts(root: str) -> list[Part]:
    images = os.path.join(root, "images")
    images = images if os.path.isdir(images) and is_within(images, root) else root
    parts = [Part("val" if name == "valid" else name, os.path.join(images, name)) for name in _PARTS]
    parts = [part for part in parts if os.path.isdir(part.place) and is_within(part.place, root)]
    return parts or [Part("", images)]


def is_within(path: str, root: str) -> bool:
    """Whether ``path``, its links followed, lies in ``root`` (or is it)."""
    real = os.path.realpath(path)
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def _described(path: Path) -> Dataset:
    data = _loaded(path)
    root = os.path.realpath(path.parent)
    base = root
    if isinstance(data.get("path"), str) and data["path"]:
        # A dataset that was moved, or whose data file lies in it, keeps a ``path`` that leads elsewhere.
        stated = os.path.join(root, data["path"])
        base = os.path.realpath(stated) if os.path.isdir(stated) and is_within(stated, root) else root
    parts = []
    met: set[str] = set()
    absent: set[str] = set()
    keys = [*_PARTS, *(key for key in data if isinstance(key, str) and key not in _PARTS and key not in _NOT_PARTS)]
    for key in keys:
        places = data.get(key) or []
        for place in [places] if isinstance(places, str) else places if isinstance(places, list) else []:
            if not isinstance(place, str):
                if key not in _PARTS:
                    continue
                raise FormatError(path, f"{key} names no folder: {place!r:.60}")
            found = _place(path, root, base, place, key)
            if found is not None:
                met.add(key)
                parts.append(Part("val" if key == "valid" else key, found))
            elif key in _PARTS:
                absent.add(key)
    if absent and not parts:
        raise FileNotFoundError(f"none of the folders that {path} names is there")
    if not parts:
        raise FormatError(path, "it names no images (train, val or test)")
    count, numbers = _keypoint_shape(path, data.get("kpt_shape"))
    task = data.get("task")
    dataset = Dataset(
        root,
        _names(path, data),
        parts,
        task=task if task in TASKS else None,
        keypoints=count,
        keypoint_numbers=numbers,
        keypoint_names=_keypoint_names(data.get("kpt_names")),
        described=True,
    )
    dataset.unread = sorted({*_unread(data, dataset, met), *absent})
    return dataset


def _unread(data: Mapping[Any, Any], dataset: Dataset, met: Collection[str]) -> Iterator[str]:
    """The names in a data file that say something and are not read; ``met`` are those of its parts."""
    yield from unread_names({str(key): value for key, value in data.items()}, {*_READ, *_PARTS, *met})
    if data.get("task") and dataset.task is None:
        yield "task"
    if data.get("names") and "nc" in data and data["nc"] != str(len(data["names"])):
        yield "nc"
    named = data.get("kpt_names")
    if named and not (isinstance(named, dict) and len(dataset.keypoint_names) == len(named)):
        yield "kpt_names"


def _unread_of_darknet(stated: Mapping[str, str], dataset: Dataset) -> Iterator[str]:
    """The same for the lines of a darknet data file."""
    for name, value in stated.items():
        if value and name not in _NOT_LISTS and not value.lower().endswith(".txt"):
            yield name
    if stated.get("task") and dataset.task is None:
        yield "task"
    if stated.get("classes", "").isdecimal() and int(stated["classes"]) != max(dataset.names, default=-1) + 1:
        yield "classes"


def _loaded(path: Path) -> dict[Any, Any]:
    with path.open("rb") as file:
        text = file.read(_LARGEST_YAML + 1)
    if len(text) > _LARGEST_YAML:
        raise FormatError(path, f"it is larger than {_LARGEST_YAML >> 20} MiB, which no data file is")
    words = text_of_names(path, text)
    try:
        # The base loader leaves every word as it stands: a class called "no" or "010" keeps its name.
        data = yaml.load(words, Loader=yaml.BaseLoader)  # noqa: S506 - makes only text
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FormatError(path, f"it is no YOLO data file: {type(error).__name__}: {error}") from error
    if not isinstance(data, dict):
        raise FormatError(path, "it is no YOLO data file: it holds no names and values")
    return data


def _names(path: Path, data: Mapping[Any, Any]) -> dict[int, str]:
    names = data.get("names")
    if names is None and "nc" in data:
        return {}  # they are called by their number where they occur
    if isinstance(names, list):
        numbered = dict(enumerate(names))
    elif isinstance(names, dict):
        try:
            numbered = {int(number): name for number, name in names.items()}
        except (TypeError, ValueError) as error:
            raise FormatError(path, f"a class number is no number: {error}", place="names") from error
    else:
        raise FormatError(path, "it is no YOLO data file: it has no list of names", place="names")
    for number, name in numbered.items():
        if not isinstance(name, str) or not 0 <= number < 2**31:
            raise FormatError(path, f"class {number} has no name that is a text", place="names")
    return {number: name for number, name in numbered.items() if name}


def _keypoint_shape(path: Path, shape: Any) -> tuple[int, int]:
    if not shape:
        return 0, 0
    try:
        count, numbers = (int(number) for number in shape)
    except (TypeError, ValueError) as error:
        raise FormatError(path, f"it is no pair of numbers: {error}", place="kpt_shape") from error
    if not 1 <= count <= _MOST_KEYPOINTS or numbers not in (2, 3):
        raise FormatError(path, f"{count} keypoints of {numbers} numbers are not possible", place="kpt_shape")
    return count, numbers


def _keypoint_names(named: Any) -> dict[int, list[str]]:
    """Keypoint names by class number, as far as they can be used: different texts, a list to a class."""
    if not isinstance(named, dict):
        return {}
    found = {}
    for number, names in named.items():
        numbered = isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10
        if not numbered or not isinstance(names, list):
            continue
        if all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names):
            found[int(number)] = list(names)
    return found


def _place(path: Path, root: str, base: str, place: str, key: str) -> str | None:
    """Where ``place`` leads, inside ``root``. None when an unknown key names nothing that is there, and where a dataset
    has nothing to validate or test with: exporters name those folders also when they write none."""
    known = key in _PARTS
    if "\0" in place:
        raise FormatError(path, f"{place!r:.60} is no path")
    # Some exporters write ../train/images although the folder lies beside the file.
    candidates = [os.path.join(base, place), os.path.join(base, place.removeprefix("../"))]
    there = [candidate for candidate in candidates if os.path.exists(candidate)]
    for candidate in there:
        if is_within(candidate, root):
            return os.path.realpath(candidate)
    if not known:
        return None
    if not there:
        for candidate in _ends_of(root, place):
            if os.path.exists(candidate) and is_within(candidate, root):
                return os.path.realpath(candidate)
    if there:
        raise FormatError(path, f"{place} leads out of the dataset's folder, where nothing is read")
    if os.path.basename(place.rstrip("/")) in _PARTS and is_within(candidates[0], root):
        return candidates[0]  # a part without images has no folder
    if key != "train" and any(_ends_of(root, place)):
        return None
    raise FileNotFoundError(f"{candidates[0]}, which {path} names, is not there")


def _ends_of(root: str, place: str) -> Iterator[str]:
    """Where a folder would lie whose ``place`` is a path from when the dataset lay elsewhere, while the end of that
    says which part it is of."""
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".", "..")][-_MOST_FOLDERS:]
    for start in range(len(parts)):
        if any(part.lower().startswith(_PARTS) for part in parts[start:]):
            yield os.path.join(root, *parts[start:])
