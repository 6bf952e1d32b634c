"""The options of the writers, by format: their defaults and what they may be.

A code location names exports and their options when it loads, and must not load Arrow to learn that one is misspelt. So
they stand here once more, without the writers; a test holds this table equal to what every format says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastlabel_dagster.formats.split_rules import check_split


class Option(NamedTuple):
    """One option of a writer."""

    default: Any
    what: str
    """What its values are, for people; nothing where ``allows`` says it itself."""
    allows: Callable[[Any], bool]
    """Whether this is such a value. Raises ValueError for one of which more is to be said."""


def _words(*words: str) -> Option:
    """One of some words, the first by default."""
    return Option(words[0], f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def _switch(*, default: bool = False) -> Option:
    return Option(default, "true or false", lambda value: isinstance(value, bool))


def _whole(default: int | None, low: int, high: int | None = None) -> Option:
    span = f"from {low} on" if high is None else f"from {low} to {high}"

    def allows(value: Any) -> bool:
        if value is None:
            return default is None
        return type(value) is int and low <= value and (high is None or value <= high)

    return Option(default, f"a whole number {span}", allows)


def _text(default: str | None) -> Option:
    return Option(default, "a text", lambda value: isinstance(value, str) or (value is None and default is None))


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _split(default: str | None = None) -> Option:
    def allows(value: Any) -> bool:
        check_split(value)
        return True

    return Option(default, "", allows)


def _is_palette(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("sdk", "classes")
    return isinstance(value, list | tuple) and all(type(level) is int and 0 <= level < 256 for level in value)


def _is_share(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 1)


def _is_order(value: Any) -> bool:
    return value in ("project", "sorted") if isinstance(value, str) else _is_names(value)


_PALETTE = Option("sdk", '"sdk", "classes", or colours as numbers r, g, b, r, g, b, … from 0 to 255', _is_palette)
_MASKS = {
    "palette": _PALETTE,
    "start_index": _whole(1, 0, 1),
    "pixels": _words("centers", "sdk"),
    "mask_folder": _text("masks"),
}
_HUGGING_FACE = {
    "task": _words("detect", "classify"),
    "split": _split(),
    "category": _words("index", "name"),
    "label": _text(None),
}
#: Format -> option -> what it may be, for every format of this package that is written.
WRITER_OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "coco": {"bbox_segmentation": _words("none", "rectangle"), "every_key": _switch()},
    "coco_parquet": {"bbox_segmentation": _words("none", "rectangle")},
    "coco_panoptic": {"stuff": Option((), "a list of class values", _is_names)},
    "yolo": {
        "task": _words("detect", "segment", "pose", "obb"),
        "split": _split("auto"),
        "pose_boxes": _switch(),
        "layout": _words("ultralytics", "darknet"),
        "classes": Option(
            None,
            "a list of class values in the order of their numbers",
            lambda value: value is None or _is_names(value),
        ),
    },
    "cvat": {"split": _split()},
    "kitti": {"split": _split(), "score": _switch()},
    "dota": {"split": _split(), "header": _switch()},
    "pascal_voc": {
        "split": _split(),
        "coordinates": _words("float", "integer"),
        "first_pixel": _whole(0, 0, 1),
        "outlines": _words("box", "polygon", "drop"),
        "pose_boxes": _switch(),
    },
    "fastlabel": {"layout": _words("jsonl", "json")},
    "labelme": {"turned_boxes": _words("polygon", "oriented_rectangle")},
    "semantic_masks": {
        **_MASKS,
        "classes": Option("project", '"project", "sorted" or a list of class values', _is_order),
    },
    "instance_masks": _MASKS,
    "overlays": {
        "thickness": _whole(None, 1, 255),
        "fill": Option(None, "a share from 0 to 1", _is_share),
        "names": _switch(),
        "picture_format": _words("same", "jpg", "png"),
        "quality": _whole(95, 1, 100),
        "video": _switch(),
    },
    "parquet": {},
    "spacy": {"split": _split()},
    "conll": {"split": _split()},
    "hf_imagefolder": _HUGGING_FACE,
    "hf_parquet": {**_HUGGING_FACE, "image_bytes": _switch(default=True), "file_bytes": _whole(500_000_000, 1)},
    "rttm": {"one_file": _switch()},
    "audacity": {},
}
#: What ``formats.write`` itself takes besides the options of the format, as far as it stands in the entry of an export.
SHARED_OPTIONS: Mapping[str, Option] = {
    "archive": Option(None, '"zip", "tar" or null', lambda value: value in (None, "zip", "tar")),
    "shard_bytes": _whole(2**30, 1),
    "pictures": _switch(default=True),
    "replace": _switch(),
    "strict": _switch(),
}


def unknown_option(option: str, known: Mapping[str, Any], of: str) -> ValueError:
    """What is said of an option nobody knows."""
    has = f"it has {', '.join(known)}" if known else "it has none of its own"
    return ValueError(f"{of} has no option {option!r}; {has}")


def check_values(known: Mapping[str, Option], given: Mapping[str, Any], of: str) -> None:
    """Refuse options that are not known, and values that are not what they may be. Raises ValueError."""
    for name, value in given.items():
        if name not in known:
            raise unknown_option(name, known, of)
        if not known[name].allows(value):
            raise ValueError(f"the option {name!r} of {of} is {known[name].what}, not {value!r}")
