"""``classes.json``: the classes of a dataset whose own files only hold their names, in order, with titles and colours.

The file has the form :mod:`fastlabel_dagster.formats.class_words` reads, with names that are the class values as they
are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.categories import Category


def class_list(categories: Iterable[Category], **more: Any) -> bytes:
    """The content of ``classes.json``, with what ``more`` a format has to say of all its files."""
    rows = [
        {
            "word": category.value,
            "value": category.value,
            "title": category.title,
            "color": category.color,
            "order": category.id,
            "types": list(dict.fromkeys(category.types)),
        }
        for category in categories
    ]
    return orjson.dumps({**more, "classes": rows}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def listed_classes(values: Iterable[str]) -> dict[str, FoundClass]:
    """Classes by value, in the order of a list of their names; empty and repeated names count once or not at all."""
    names = dict.fromkeys(value for value in values if value)
    return {value: FoundClass(value, order) for order, value in enumerate(names, start=1)}
