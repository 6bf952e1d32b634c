"""Annotations as ``<object>`` elements, a batch of tasks at a time.

What an object says of itself stands where VOC has a place for it, and in ``<attributes>`` (as CVAT and Datumaro have
it) where it has none: ``truncated``, ``occluded`` and ``difficult`` are 1 where the attribute of that key is on,
``pose`` is the text of the attribute of that key.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import AttributeValues, attribute_values, tell_of_keys
from fastlabel_dagster.formats.outlines import outline_rings
from fastlabel_dagster.formats.shapes import ShapeBatch
from fastlabel_dagster.formats.text import glued, joined, number_text
from fastlabel_dagster.formats.xml import xml_texts
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, offsets_of

FLAGS = ("truncated", "occluded", "difficult")
POSE = "pose"
NO_POSE = "Unspecified"


def object_elements(batch: ShapeBatch, box: Floats, kept: Ints, outlined: Bools) -> pa.Array:
    """The ``<object>`` of each annotation ``kept``.

    Args:
        batch: the annotations.
        box: float64[n, 4], x1, y1, x2, y2 as they shall be written.
        kept: the rows wanted, ascending.
        outlined: bool[n], those that get a ``<polygon>`` beside their box.
    """
    n = len(batch.flat)
    rows = pa.array(kept)
    tell_of_keys(batch.column("attributes"), batch.told, among=FLAGS)
    values = attribute_values(batch.column("attributes"))
    values = values.take(batch.told.kept[values.owner])
    flags = [_flags(values, name, n).take(rows) for name in FLAGS]
    sides = [number_text(np.ascontiguousarray(box[kept, column])) for column in range(4)]
    return glued(
        "\t<object>\n\t\t<name>",
        xml_texts(batch.flat.value.take(rows)),
        "</name>\n\t\t<pose>",
        _poses(values, n).take(rows),
        "</pose>\n",
        *flags,
        "\t\t<bndbox>\n\t\t\t<xmin>",
        sides[0],
        "</xmin>\n\t\t\t<ymin>",
        sides[1],
        "</ymin>\n\t\t\t<xmax>",
        sides[2],
        "</xmax>\n\t\t\t<ymax>",
        sides[3],
        "</ymax>\n\t\t</bndbox>\n",
        _polygons(batch, outlined, n).take(rows),
        _attributes(values, n).take(rows),
        "\t</object>\n",
    )


def _flags(values: AttributeValues, name: str, n: int) -> pa.Array:
    """The element of a flag: 1 where an attribute of this key is on. One that is off, and one with a title of its own,
    tell so in an XML attribute, which other readers pass by."""
    rows = np.flatnonzero(values.is_key(name))
    on = np.zeros(n, np.int64)
    on[values.owner[rows][values.is_true[rows]]] = 1
    stated = rows[_is_switch(values)[rows]]
    form = on.copy()
    form[values.owner[stated][~values.is_true[stated]]] = 2
    words = [
        f"\t\t<{name}>0</{name}>\n",
        f"\t\t<{name}>1</{name}>\n",
        f'\t\t<{name} stated="1">0</{name}>\n',
    ]
    elements = pa.array(words).take(pa.array(form))
    titled = stated[_titled(values)[stated]]
    if not len(titled):
        return elements
    index = np.full(n, -1)
    index[values.owner[titled]] = np.arange(len(titled))
    title = xml_texts(values.name.take(pa.array(titled))).take(pa.array(index, mask=index < 0))
    bit = pa.array(["0", "1"]).take(pa.array(on))
    return pc.coalesce(glued(f'\t\t<{name} title="', title, '">', bit, f"</{name}>\n"), elements)


def _is_switch(values: AttributeValues) -> Bools:
    """bool[k]: a switch that is on or off."""
    switch: Bools = pc.fill_null(pc.equal(values.type, "switch"), False).to_numpy(zero_copy_only=False)
    truth: Bools = pc.is_in(values.value, value_set=pa.array(["true", "false"])).to_numpy(zero_copy_only=False)
    return switch & truth & values.is_json


def _titled(values: AttributeValues) -> Bools:
    """bool[k]: the title differs from the key."""
    titled: Bools = pc.fill_null(pc.not_equal(values.name, values.key), False).to_numpy(zero_copy_only=False)
    return titled


def _is_pose(values: AttributeValues) -> Bools:
    """bool[k]: a ``pose`` that is a plain text."""
    texts: Bools = pc.greater(pc.fill_null(pc.utf8_length(values.value), 0), 0).to_numpy(zero_copy_only=False)
    return values.is_key(POSE) & texts & ~values.is_json


def _is_read_alike(text: pa.Array) -> Bools:
    """bool[k]: a text that ``<pose>`` gives back: blanks at its ends are lost there, and one word stands for none."""
    alike = pc.and_(pc.equal(pc.utf8_trim_whitespace(text), text), pc.not_equal(text, NO_POSE))
    result: Bools = pc.fill_null(alike, False).to_numpy(zero_copy_only=False)
    return result


def _poses(values: AttributeValues, n: int) -> pa.Array:
    rows = np.flatnonzero(_is_pose(values))
    if not len(rows):
        return pa.array([NO_POSE], pa.string()).take(pa.array(np.zeros(n, np.int64)))
    index = np.full(n, -1)
    index[values.owner[rows][::-1]] = np.arange(len(rows))[::-1]  # the first of several
    text = xml_texts(values.value.take(pa.array(rows)))
    return pc.fill_null(text.take(pa.array(index, mask=index < 0)), NO_POSE)


def _attributes(values: AttributeValues, n: int) -> pa.Array:
    """``<attributes>`` with what the object's own elements do not say completely; empty where there is nothing.

    The attribute's type, its title where that differs from its key, and whether its value is JSON are XML attributes,
    which other readers pass by.
    """
    is_text = pc.fill_null(pc.equal(values.type, "text"), False).to_numpy(zero_copy_only=False)
    said = values.is_key(*FLAGS) & _is_switch(values)
    said |= _is_pose(values) & _is_read_alike(values.value) & is_text & ~_titled(values)
    values = values.take(~said)
    if not len(values.owner):
        return pa.array([""], pa.string()).take(pa.array(np.zeros(n, np.int64)))
    element = glued(
        "\t\t\t<attribute",
        pc.fill_null(glued(' type="', xml_texts(values.type), '"'), ""),
        pc.fill_null(pc.if_else(pa.array(_titled(values)), glued(' title="', xml_texts(values.name), '"'), ""), ""),
        pc.if_else(pa.array(values.is_json), ' json="1"', ""),
        "><name>",
        xml_texts(values.key),
        "</name>",
        pc.fill_null(glued("<value>", xml_texts(values.value), "</value>"), ""),
        "</attribute>\n",
    )
    offsets = values.offsets(n)
    inside = joined(offsets, element, "")
    block = glued("\t\t<attributes>\n", inside, "\t\t</attributes>\n")
    return pc.if_else(pa.array(np.diff(offsets) > 0), block, "")


def _polygons(batch: ShapeBatch, outlined: Bools, n: int) -> pa.Array:
    """``<polygon>`` with ``<x1> <y1> <x2> …`` for the annotations of one ring in ``outlined``; empty for others."""
    if not outlined.any():
        return pa.array([""], pa.string()).take(pa.array(np.zeros(n, np.int64)))
    flat = batch.flat
    rings = outline_rings(flat, outlined[flat.ring_annotation])
    counts = np.diff(rings.offsets)
    place = number_text(np.arange(rings.offsets[-1]) - np.repeat(rings.offsets[:-1], counts) + 1)
    x, y = (number_text(np.ascontiguousarray(rings.coords[:, axis])) for axis in (0, 1))
    point = glued("<x", place, ">", x, "</x", place, "><y", place, ">", y, "</y", place, ">")
    per_annotation = np.zeros(n, np.int64)
    per_annotation[flat.ring_annotation[rings.ring]] = counts
    inside = joined(offsets_of(per_annotation), point, "")
    return pc.if_else(pa.array(per_annotation > 0), glued("\t\t<polygon>", inside, "</polygon>\n"), "")
