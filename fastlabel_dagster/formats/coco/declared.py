"""What classes declare about the attributes of their annotations: COCO has no place for it, so a category has a field
``attributes`` of its own, a list of objects as FastLabel's API answers them, which other readers pass over.

With it the values in ``attributes`` of an annotation get their titles and types back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.labels import fastlabel

Json = dict[str, Any]


def declared_attributes(classes: pa.Table) -> dict[str, list[Json]]:
    """Class value -> the attributes its rows (schema ``CLASSES``) declare, each key once."""
    found: dict[str, dict[str, Json]] = {}
    for row in fastlabel.classes_to_fastlabel(classes.select(["value", "attributes"])):
        for one in _sound(row.get("attributes")):
            found.setdefault(row["value"], {}).setdefault(one["key"], one)
    return {value: list(attributes.values()) for value, attributes in found.items() if isinstance(value, str)}


def read_declared(given: Any) -> list[Json]:
    """The ``attributes`` of a category as rows of ``schema.CLASS_ATTRIBUTE``; what is none is passed over."""
    sound = _sound(given)
    if not sound:
        return []
    rows: list[Json] = fastlabel.classes_from_fastlabel([{"attributes": sound}])["attributes"][0].as_py()
    return rows


def titles_and_types(classes: Sequence[FoundClass]) -> dict[tuple[int, str], tuple[str, str]]:
    """(Place of a class, key of an attribute it declares) -> title and type."""
    return {
        (place, one["key"]): (one["name"] or one["key"], one["type"])
        for place, known in enumerate(classes)
        for one in known.attributes
    }


def _sound(given: Any) -> list[Json]:
    return [one for one in given if _is_declared(one)] if isinstance(given, list) else []


def _is_declared(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), str) and one[name] for name in ("key", "type"))
