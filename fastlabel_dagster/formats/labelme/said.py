"""What a shape says of itself, as FastLabel has it: flags, description and attributes as attributes, and its score."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import orjson

from fastlabel_dagster.formats.labelme.shapes import DESCRIPTION, SCORE, guessed_type
from fastlabel_dagster.formats.unread import SAYS_NOTHING, unread_names
from fastlabel_dagster.labels.json_text import encodable

#: Of names in an example, at most so many characters are shown.
LONGEST = 100
#: What is read of a shape, and what follows from its corners.
READ = frozenset(
    [
        "label",
        "points",
        "group_id",
        "shape_type",
        "flags",
        "mask",
        "attributes",
        "attribute_types",
        "attribute_names",
        "annotation_type",
        "rotation",
        "pose",
        "keypoint",
        "direction",
        SCORE,
    ]
) | {DESCRIPTION}
#: X-AnyLabeling writes its switches with every shape and file, also those that are off.
_SAYS_NOTHING = (*SAYS_NOTHING, False)


def unread_of(said: dict[str, Any], read: frozenset[str] = READ) -> list[str]:
    """The fields of a shape (or a file) that say something and are not among those ``read``, sorted."""
    return [] if read.issuperset(said) else unread_names(said, read, _SAYS_NOTHING)


def names_of(fields: Iterable[str]) -> str:
    """Fields as the end of an example."""
    return ", ".join(fields)[:LONGEST]


def own_text(value: Any) -> str:
    """A text that tables can hold; nothing instead of anything else."""
    return value if isinstance(value, str) and encodable(value) else ""


def score_of(said: dict[str, Any]) -> float | None:
    """The confidence of a shape, as X-AnyLabeling writes that of its models: a number from 0 on. None without one."""
    score: Any = said.get(SCORE)
    return float(score) if type(score) in (int, float) and 0 <= score <= sys.float_info.max else None


def is_told_whole(shape: dict[str, Any], attributes: list[dict[str, Any]]) -> bool:
    """Whether a shape's ``attributes`` are all it says of itself under these names."""
    flags, description, stated = shape.get("flags"), shape.get(DESCRIPTION), shape.get("attributes")
    if not (flags or description or stated):
        return True
    if not (isinstance(flags or {}, dict) and isinstance(stated or {}, dict)):
        return False
    return len(attributes) == len(flags or ()) + len(stated or ()) + bool(description)


def attributes_of(shape: dict[str, Any]) -> list[dict[str, Any]]:
    """The attributes of a shape. labelme writes every flag it was told of with every shape, so one that is off is an
    attribute as well."""
    if not (shape.get("flags") or shape.get(DESCRIPTION) or shape.get("attributes")):
        return []
    types, names = (_texts(shape.get(key)) for key in ("attribute_types", "attribute_names"))
    found: list[tuple[str, str, Any]] = []
    flags = shape.get("flags")
    for key, value in flags.items() if isinstance(flags, dict) else ():
        if isinstance(value, bool) and key:
            found.append((key, "switch", value))
    description = shape.get(DESCRIPTION)
    if isinstance(description, str) and description:
        found.append((DESCRIPTION, "text", description))
    stated = shape.get("attributes")
    for key, value in stated.items() if isinstance(stated, dict) else ():
        if key:
            found.append((key, types.get(key) or guessed_type(value), value))
    attributes = (_attribute(key, names.get(key, key), kind, value) for key, kind, value in found)
    return [attribute for attribute in attributes if attribute is not None]


def _attribute(key: str, name: str, kind: str, value: Any) -> dict[str, Any] | None:
    if value is None:
        return {"key": key, "name": name, "type": kind, "value": None, "value_is_json": False}
    is_text = isinstance(value, str)
    try:
        text = orjson.dumps(value).decode()  # of a text only to see that a table can hold it
        orjson.dumps([key, name, kind])
    except TypeError:  # half characters, integers beyond 64 bits, NaN is null
        return None
    return {"key": key, "name": name, "type": kind, "value": value if is_text else text, "value_is_json": not is_text}


def _texts(stated: Any) -> dict[str, str]:
    if not isinstance(stated, dict):
        return {}
    return {key: value for key, value in stated.items() if isinstance(value, str)}
