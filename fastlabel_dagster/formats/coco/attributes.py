"""The ``attributes`` of COCO annotations, as many readers and writers have them: an object of values by name.

They become columns piece by piece, as the annotations they are of do (see
:mod:`~fastlabel_dagster.formats.coco.items`), so that no object of the file is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import CROWD, attributes_column
from fastlabel_dagster.formats.coco.pages import release_unused
from fastlabel_dagster.labels.ragged import Ints
from fastlabel_dagster.labels.schema import ATTRIBUTE

_KINDS = {bool: "switch", list: "checkbox"}
_TYPES = {name: ATTRIBUTE.field(name).type for name in ("key", "type", "value", "value_is_json")}


class Stated(NamedTuple):
    """An attribute for what COCO states and FastLabel has no place for."""

    key: str
    text: str
    is_json: bool


class AttributeRows:
    """The attributes of annotations, a row each."""

    def __init__(self) -> None:
        self._seen = 0
        self._owners: list[Ints] = []
        self._parts: dict[str, list[pa.Array]] = {name: [] for name in _TYPES}
        self.odd: list[int] = []
        """Annotations whose attributes are no object, or hold something JSON has no text for."""

    def add(self, given: list[Any]) -> None:
        """Add those of the next annotations: what each says under ``attributes``, None where it says nothing."""
        if not any(given):
            self._seen += len(given)
            return
        objects = [one if type(one) is dict else {} for one in given]
        self.odd += [self._seen + row for row, one in enumerate(given) if one and type(one) is not dict]
        try:
            texts = _texts(chain.from_iterable(map(dict.values, objects)))
        except TypeError:  # a number too large, or lists in lists without end
            objects = [self._with_texts(row, one) for row, one in enumerate(objects, start=self._seen)]
            texts = _texts(chain.from_iterable(map(dict.values, objects)))
        types = list(map(type, chain.from_iterable(map(dict.values, objects))))
        columns = {
            "key": list(chain.from_iterable(objects)),
            "type": [_KINDS.get(kind, "text") for kind in types],
            "value": texts,
            "value_is_json": [kind is not str for kind in types],
        }
        for name, column in columns.items():
            self._parts[name].append(pa.array(column, _TYPES[name]))
        self._owners.append(np.repeat(np.arange(self._seen, self._seen + len(objects)), list(map(len, objects))))
        self._seen += len(objects)

    def _with_texts(self, row: int, attributes: dict[str, Any]) -> dict[str, Any]:
        """The attributes in front of the first one that has no text; when there is one, the row is odd."""
        sound = {}
        for key, value in attributes.items():
            try:
                attribute_of(value)
            except TypeError:
                self.odd.append(row)
                break
            sound[key] = value
        return sound

    def column(
        self,
        crowds: Ints,
        stated: Mapping[int, Stated],
        numbers: Ints,
        declared: Mapping[tuple[int, str], tuple[str, str]],
    ) -> pa.Array | None:
        """``list<ATTRIBUTE>[n]``; None when nobody has any. The rows are given up.

        Args:
            crowds: rows that have the switch of that name, which comes first.
            stated: what is stated of a row, which comes last.
            numbers: int64[n], the place of each row's class.
            declared: title and type by place of the class and key; other attributes are called like their key.
        """
        owner = np.concatenate([crowds, *self._owners, np.array(list(stated), np.int64)])
        if not len(owner):
            return None
        k = len(crowds)
        first = {"key": [CROWD] * k, "type": ["switch"] * k, "value": ["true"] * k, "value_is_json": [True] * k}
        said = list(stated.values())
        last = {
            "key": [one.key for one in said],
            "type": ["text"] * len(said),
            "value": [one.text for one in said],
            "value_is_json": [one.is_json for one in said],
        }
        order = np.argsort(owner, kind="stable") if k or said else None
        fields = {}
        for name, type_ in _TYPES.items():
            parts = [pa.array(first[name], type_), *self._parts.pop(name), pa.array(last[name], type_)]
            fields[name] = pa.concat_arrays(parts)
            del parts
            if order is not None:
                fields[name] = fields[name].take(pa.array(order))
            release_unused()  # of the many small ones that have become one
        owner = owner if order is None else owner[order]
        fields["name"] = fields["key"]
        if declared:
            fields["name"], fields["type"] = _declared(fields["key"], fields["type"], numbers[owner], declared)
        return attributes_column(owner, fields, self._seen)


def _declared(
    key: pa.Array, kind: pa.Array, number: Ints, declared: Mapping[tuple[int, str], tuple[str, str]]
) -> tuple[pa.Array, pa.Array]:
    """Titles and types of attributes: those their classes declare, else their ``key`` and ``kind``."""
    encoded = key.dictionary_encode()
    keys = encoded.dictionary.to_pylist()
    pair = number * len(keys) + encoded.indices.to_numpy()
    met, place = np.unique(pair, return_inverse=True)
    said = [declared.get((one // len(keys), keys[one % len(keys)]), (None, None)) for one in met.tolist()]
    title, of_type = (pa.array(texts, pa.string()).take(pa.array(place)) for texts in zip(*said, strict=True))
    return pc.coalesce(title, key), pc.coalesce(of_type, kind)


def attribute_of(value: Any) -> tuple[str, str, bool]:
    """Type and text of an attribute's value, and whether the text is JSON. Raises TypeError for one JSON has no text
    for."""
    (text,) = _texts([value])
    return _KINDS.get(type(value), "text"), text, not isinstance(value, str)


def _texts(values: Any) -> list[str]:
    return [value if type(value) is str else orjson.dumps(value).decode() for value in values]
