"""The one label of a picture: an attribute of its task, or what a classification annotation says.

In FastLabel's classification projects a task has attributes and no annotations; projects of several types have
annotations of the type ``classification``, with attributes of their own. Which attribute is the label is named by its
key; where there is only one it needs no name; where there are no attributes at all it is the annotation's class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import attribute_values
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.labels.json_text import encodable, loads, strict
from fastlabel_dagster.labels.ragged import Bools, as_ragged, one_array
from fastlabel_dagster.labels.tables import Labels

CLASSIFICATION = "classification"


@dataclass(frozen=True)
class Labelling:
    """Which attribute (``key``; None: the annotation's class) is the label, and all labels there are."""

    key: str | None
    names: list[str]


def find_labelling(labels: Labels, key: str | None) -> Labelling:
    """Look through the labels for what the pictures are labelled with.

    Names stand in the order of the options their class declares, then by the alphabet.

    Raises:
        ValueError: when there are several attributes, and ``key`` names none, or one that is not there.
    """
    values: dict[str | None, set[str]] = {}
    for tasks in task_batches(labels, ["attributes", "annotations"]):
        rows = _classifications(tasks)
        for column in (one_array(tasks["attributes"]), pc.struct_field(rows, "attributes")):
            found = attribute_values(column)
            pairs = pa.table({"key": found.key, "value": found.value, "json": pa.array(found.is_json)})
            for pair in pairs.group_by(["key", "value", "json"]).aggregate([]).to_pylist():
                text = _text(pair["value"], pair["json"])
                if text is not None:
                    values.setdefault(pair["key"], set()).add(text)
        values.setdefault(None, set()).update(pc.drop_null(pc.unique(pc.struct_field(rows, "value"))).to_pylist())
    keys = sorted(one for one in values if one is not None)
    if key is None and len(keys) > 1:
        raise ValueError(
            f"which of the attributes is the label? Say label={keys[0]!r}, or another of {', '.join(keys)}"
        )
    if key is not None and key not in keys and keys:
        raise ValueError(f"no attribute has the key {key!r}; there are {', '.join(keys)}")
    chosen = key if key is not None else keys[0] if keys else None
    declared = _declared(labels.classes, chosen)
    there = values.get(chosen, set())
    return Labelling(chosen, [*declared, *sorted(there - set(declared))])


def labels_of_batch(tasks: pa.Table, labelling: Labelling, tally: Tally, wanted: Bools) -> list[str | None]:
    """The label of each task of a batch; None where it has none, or several. Tells of every annotation: the one a label
    comes from is written."""
    n = tasks.num_rows
    nested = one_array(tasks["annotations"])
    rows = pc.list_flatten(nested)
    kind, value, ids = (pc.struct_field(rows, name) for name in ("type", "value", "annotation_id"))
    owner = np.repeat(np.arange(n), as_ragged(nested).lengths)
    told = tally.batch(kind, owner, one_array(tasks["name"]), ids)
    is_label: Bools = pc.fill_null(pc.equal(kind, CLASSIFICATION), False).to_numpy(zero_copy_only=False)
    told.drop("not a classification", ~is_label)
    told.drop("there is no picture of its task, which was left out", ~wanted[owner])
    if labelling.key is None:
        said: list[str | None] = value.to_pylist()
        found: list[str | None] = [None] * n
    else:
        said = _of_key(pc.struct_field(rows, "attributes"), labelling.key)
        found = _of_key(one_array(tasks["attributes"]), labelling.key)
    told.drop("it does not say the label, or several", np.array([one is None for one in said], np.bool_))
    other = np.zeros(len(owner), np.bool_)
    for row in np.flatnonzero(told.kept).tolist():
        task = int(owner[row])
        if found[task] is None:
            found[task] = said[row]
        other[row] = found[task] != said[row]
    told.drop("the image has another label already", other)
    told.finish()
    return found


def _classifications(tasks: pa.Table) -> pa.Array:
    rows = pc.list_flatten(one_array(tasks["annotations"]))
    return rows.filter(pc.fill_null(pc.equal(pc.struct_field(rows, "type"), CLASSIFICATION), False))


def _of_key(column: pa.Array, key: str) -> list[str | None]:
    values = attribute_values(column)
    values = values.take(values.is_key(key))
    found: list[str | None] = [None] * len(column)
    rows = zip(values.owner.tolist(), values.value.to_pylist(), values.is_json.tolist(), strict=True)
    for row, value, is_json in rows:
        found[row] = _text(value, is_json)
    return found


def _text(value: str | None, is_json: bool) -> str | None:
    """The value of an attribute as a label: a text, a number, or the only element of a list."""
    if value is None or not is_json:
        return value or None
    try:
        content = loads(value)
    except ValueError:
        return None
    if isinstance(content, list):
        content = content[0] if len(content) == 1 else None
    if isinstance(content, bool | int | float):
        number = strict(content).decode()
        return None if number == "null" else number  # NaN and infinities
    return content if isinstance(content, str) and content and encodable(content) else None


def _declared(classes: pa.Table, key: str | None) -> list[str]:
    """The options classes declare for an attribute, or (without a key) the values of classification classes."""
    names: list[str] = []
    for row in classes.select(["type", "value", "order", "attributes"]).sort_by("order").to_pylist():
        if key is None and row["type"] == CLASSIFICATION and row["value"]:
            names.append(row["value"])
        for attribute in row["attributes"] or []:
            if key is not None and attribute["key"] == key:
                names += [option["value"] for option in attribute["options"] or [] if option["value"]]
    return list(dict.fromkeys(names))
