"""How the objects in FastLabel's JSON map onto the columns of the label tables.

Each kind of object (task, annotation, attribute, keypoint, keyframe, content, class, …) is a :class:`Level`: the JSON
key of every column, and how a value of that key is stored. Levels are derived from
:mod:`fastlabel_dagster.labels.schema`, so a column added there is read and written without further code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

import pyarrow as pa

from fastlabel_dagster.labels import schema


class Kind(Enum):
    """How the value of one JSON key is stored."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    FLAG = auto()
    TIME = auto()
    """Text that reads ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
    TEXTS = auto()
    NUMBERS = auto()
    RECORDS = auto()
    """A list of objects of another level."""
    ANY = auto()
    """Any JSON value: text as it is, everything else as JSON text; a second column tells which."""
    POINTS = auto()
    """Numbers, regions or keyframes: three columns of which at most one is filled."""


@dataclass(frozen=True)
class Field:
    """One JSON key and the columns it is stored in (``columns[0]`` first; see :class:`Kind`)."""

    key: str
    kind: Kind
    columns: tuple[str, ...]
    level: Level | None = None
    """The level of the objects in a RECORDS list, or of the keyframes of POINTS."""


@dataclass(frozen=True)
class Level:
    """One kind of JSON object: its fields, and the Arrow type of its rows (which has an ``extra`` column besides)."""

    struct: pa.StructType
    fields: tuple[Field, ...]


_PLAIN = {
    pa.string(): Kind.TEXT,
    pa.int64(): Kind.INTEGER,
    pa.float64(): Kind.NUMBER,
    pa.bool_(): Kind.FLAG,
    pa.timestamp("ms", "UTC"): Kind.TIME,
    pa.list_(pa.string()): Kind.TEXTS,
    pa.list_(pa.float64()): Kind.NUMBERS,
}


#: A column of this ending tells which values of the column it belongs to are JSON text and which are texts.
_MARK = "_is_json"


def _level(struct: pa.StructType, own_id: str | None = None, skip: Iterable[str] = ()) -> Level:
    names = [field.name for field in struct]
    fields = []
    for column in struct:
        name = column.name
        key = "id" if name == own_id else _camel_case(name)
        if name in {"extra", "regions", "frames", *skip} or name.endswith(_MARK):
            continue
        if name + _MARK in names:
            fields.append(Field(key, Kind.ANY, (name, name + _MARK)))
        elif name == "points" and "regions" in names:
            fields.append(Field(key, Kind.POINTS, ("points", "regions", "frames"), _FRAME))
        elif column.type in _PLAIN:
            fields.append(Field(key, _PLAIN[column.type], (name,)))
        else:
            fields.append(Field(key, Kind.RECORDS, (name,), _LEVELS[column.type.value_type]))
    return Level(struct, tuple(fields))


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# A keyframe's number is the key it stands under in its parent, not a key of its own.
_FRAME = _level(schema.FRAME, skip=["frame"])
_LEVELS: dict[pa.DataType, Level] = {}
_OPTION = schema.CLASS_ATTRIBUTE.field("options").type.value_type
for _struct, _own_id in (
    (schema.ATTRIBUTE, None),
    (schema.KEYPOINT, None),
    (schema.ANNOTATION, "annotation_id"),
    (schema.CONTENT, None),
    (_OPTION, None),
    (schema.CLASS_ATTRIBUTE, "attribute_id"),
    (schema.CLASS_KEYPOINT, "keypoint_id"),
):
    _LEVELS[_struct] = _level(_struct, _own_id)

TASK = _level(pa.struct(list(schema.TASKS)), "task_id")
CLASS = _level(pa.struct(list(schema.CLASSES)), "class_id")
DATASET_OBJECT = _level(pa.struct(list(schema.DATASET_OBJECTS)), "object_id")
