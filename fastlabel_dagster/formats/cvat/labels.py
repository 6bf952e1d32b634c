"""The list of labels in the ``<meta>`` of a CVAT file, and the classes it stands for.

Each label has CVAT's name, colour, type and attributes, a skeleton its points as labels of their own with the drawing
CVAT shows them by. What FastLabel knows beyond that (title, order, types, titles and types of attributes and of their
options) stands as JSON in an element ``fastlabel`` of the label, which all other readers skip. So do the names
themselves, for blanks around what stands between two tags are layout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import orjson
import pyarrow as pa

from fastlabel_dagster.formats.assembly import FoundClass, stable_id
from fastlabel_dagster.formats.categories import POSE, Category
from fastlabel_dagster.formats.cvat.elements import ELEMENTS, Used
from fastlabel_dagster.formats.xml import xml_text
from fastlabel_dagster.labels.schema import CLASSES

#: FastLabel's type of an attribute -> CVAT's; all others are text.
_INPUT_TYPES = {"select": "select", "radio": "radio", "switch": "checkbox"}
#: CVAT's type of an attribute -> FastLabel's.
ATTRIBUTE_TYPES = {"select": "select", "radio": "radio", "checkbox": "switch", "number": "text", "text": "text"}
TYPE_OF_LABEL = {label: kind for kind, (_, label) in ELEMENTS.items()} | {"bbox": "bbox"}
COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_EDGE = re.compile(r"<line\b[^>]*>")
_NODE = re.compile(r"<circle\b[^>]*>")
_XML_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_LARGEST_ORDER = 2**31
_LONGEST_DRAWING = 2**20


class Option(NamedTuple):
    """A value an attribute may have."""

    title: str
    value: str


class LabelAttribute(NamedTuple):
    """An attribute a label declares."""

    key: str
    name: str
    type: str
    options: tuple[Option, ...] = ()
    declared: bool = True
    """False when only annotations speak of it."""


def label_elements(
    categories: Iterable[Category], declared: dict[str, list[LabelAttribute]], used: Used
) -> Iterator[str]:
    """The ``<label>`` elements of all categories.

    Args:
        categories: in their order.
        declared: class value -> the attributes its classes declare.
        used: what the annotations use beyond that.
    """
    for category in categories:
        types = list(dict.fromkeys([*category.types, *sorted(used.types.get(category.index, ()))]))
        known = [kind for kind in types if kind in ELEMENTS]
        attributes = {attribute.key: attribute for attribute in declared.get(category.value, [])}
        for key, (name, kind) in used.attributes.get(category.index, {}).items():
            attributes.setdefault(key, LabelAttribute(key, name, kind, declared=False))
        said = {
            "value": category.value,
            "title": category.title,
            "order": category.id,
            "types": types,
            "attributes": [
                attribute._asdict() | {"options": [option._asdict() for option in attribute.options]}
                for attribute in attributes.values()
            ],
            "keypoints": list(category.keypoints) if POSE in known else [],
        }
        skeleton = POSE in known
        yield "".join(
            [
                "        <label>\n",
                f"          <name>{xml_text(category.value)}</name>\n",
                f"          <color>{xml_text(category.color or '')}</color>\n" if category.color else "",
                f"          <type>{_label_type(known)}</type>\n",
                *_attribute_list(attributes.values()),
                f"          <svg>{xml_text(_drawing(category))}</svg>\n" if skeleton else "",
                f"          <fastlabel>{xml_text(orjson.dumps(said).decode())}</fastlabel>\n",
                "        </label>\n",
            ]
        )
        for key, color in zip_longest(category.keypoints, category.keypoint_colors) if skeleton else ():
            yield "".join(
                [
                    f"        <label>\n          <name>{xml_text(key)}</name>\n",
                    f"          <color>{xml_text(color)}</color>\n" if color else "",
                    "          <type>points</type>\n          <attributes></attributes>\n",
                    f"          <parent>{xml_text(category.value)}</parent>\n        </label>\n",
                ]
            )


def declared_attributes(classes: pa.Table) -> dict[str, list[LabelAttribute]]:
    """Class value -> the attributes its class rows declare, each key once."""
    found: dict[str, dict[str, LabelAttribute]] = {}
    for row in classes.select(["value", "attributes"]).to_pylist():
        for attribute in row["attributes"] or []:
            key = attribute["key"]
            if key and row["value"] is not None:
                options = tuple(
                    Option(str(option["title"] or option["value"]), str(option["value"]))
                    for option in attribute["options"] or []
                    if option["value"]
                )
                one = LabelAttribute(key, attribute["name"] or key, attribute["type"] or "text", options)
                found.setdefault(row["value"], {}).setdefault(key, one)
    return {value: list(attributes.values()) for value, attributes in found.items()}


def _label_type(known: list[str]) -> str:
    if POSE in known:
        return "skeleton"  # any other type would hide its points; CVAT knows no label for all but skeletons and them
    return ELEMENTS[known[0]][1] if len(known) == 1 else "any"


def _attribute_list(attributes: Iterable[LabelAttribute]) -> Iterator[str]:
    yield "          <attributes>\n"
    for attribute in attributes:
        # Nobody knows all values of an attribute that no class declares: as a text it takes any.
        kind = _INPUT_TYPES.get(attribute.type, "text") if attribute.declared else "text"
        values = "\n".join(xml_text(option.value).replace("&#10;", " ") for option in attribute.options)
        yield (
            f"            <attribute>\n              <name>{xml_text(attribute.key)}</name>\n"
            "              <mutable>False</mutable>\n"
            f"              <input_type>{kind}</input_type>\n"
            "              <default_value></default_value>\n"
            f"              <values>{values}</values>\n            </attribute>\n"
        )
    yield "          </attributes>\n"


def _drawing(category: Category) -> str:
    """The points of a skeleton on a circle, and its edges, as CVAT's editor draws them (in per cent of its canvas)."""
    count = max(1, len(category.keypoints))
    places = [
        (50 + 40 * math.cos(2 * math.pi * place / count), 50 + 40 * math.sin(2 * math.pi * place / count))
        for place in range(count)
    ]
    lines = []
    for start, end in category.skeleton:
        (x1, y1), (x2, y2) = places[start - 1], places[end - 1]
        lines.append(
            f'<line x1="{x1:.3f}" y1="{y1:.3f}" x2="{x2:.3f}" y2="{y2:.3f}" data-type="edge" data-node-from="{start}" '
            f'data-node-to="{end}" stroke="black" stroke-width="0.5"></line>'
        )
    for number, (key, (x, y)) in enumerate(zip(category.keypoints, places, strict=False), start=1):
        lines.append(
            f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x:.3f}" cy="{y:.3f}" stroke-width="0.1" '
            f'data-type="element node" data-element-id="{number}" data-node-id="{number}" '
            f'data-label-name="{xml_text(key)}"></circle>'
        )
    return "".join(lines)


class FoundLabel(NamedTuple):
    """A label of a file: its class and its attributes by name."""

    found: FoundClass
    attributes: dict[str, LabelAttribute]


def read_labels(meta: Element, labels: dict[str, FoundLabel]) -> None:
    """Add the labels a ``<meta>`` lists to ``labels``; those that are there stay as they are."""
    points: dict[str, dict[str, str | None]] = {}
    skeletons: dict[str, _Skeleton] = {}
    for element in meta.iter("label"):
        name = text_of(element, "name")
        parent = text_of(element, "parent")
        if parent:
            if name:
                points.setdefault(parent, {}).setdefault(name, _color(element))
            continue
        said = _json(text_of(element, "fastlabel"))
        value = _exact(name, [said.get("value")])
        if not name or value in labels:
            continue
        labels[value] = _label(element, value, said, len(labels) + 1)
        skeletons[name] = _Skeleton(value, text_of(element, "svg"), said.get("keypoints"))
    for name, colors in points.items():
        if name in skeletons:
            value, drawing, stated = skeletons[name]
            found, keys = labels[value].found, [_exact(key, stated) for key in colors]
            found.keypoints, found.keypoint_colors = keys, list(colors.values())
            found.skeleton = _edges(drawing, keys)


class _Skeleton(NamedTuple):
    value: str
    drawing: str
    keys: Any
    """The keys of its points, as our own export states them."""


def _exact(name: str, stated: Any) -> str:
    """The one of the names ``stated`` that ``name`` is but for blanks around it; where there is none, ``name``."""
    names = stated if isinstance(stated, list) else []
    return next((one for one in names if isinstance(one, str) and one.strip() == name), name)


def _label(element: Element, name: str, said: dict[str, Any], place: int) -> FoundLabel:
    title, order, types = said.get("title"), said.get("order"), said.get("types")
    kind = TYPE_OF_LABEL.get(text_of(element, "type"))
    stated = [one for one in types if isinstance(one, str)] if isinstance(types, list) else [kind] if kind else []
    found = FoundClass(
        name,
        order if type(order) is int and 0 < order < _LARGEST_ORDER else place,
        title if isinstance(title, str) else None,
        _color(element),
        list(dict.fromkeys(stated)),
    )
    known = {one["key"].strip(): one for one in said.get("attributes") or [] if _is_attribute(one)}
    attributes = {}
    for attribute in element.iter("attribute"):
        key = text_of(attribute, "name")
        if key:
            options = tuple(Option(option, option) for option in text_of(attribute, "values").split("\n") if option)
            kind = ATTRIBUTE_TYPES.get(text_of(attribute, "input_type"), "text")
            one = known.get(key, {"key": key, "name": key, "type": kind})
            declared = one.get("declared") is not False
            choices = options if kind in ("select", "radio") or key in known else ()
            choices = _options(one.get("options")) or choices
            attributes[one["key"]] = LabelAttribute(one["key"], one["name"], one["type"], choices, declared)
    return FoundLabel(found, attributes)


def _options(stated: Any) -> tuple[Option, ...]:
    """The options our own export states; none where it, as earlier ones, states their values only."""
    options = []
    for one in stated if isinstance(stated, list) else []:
        title, value = (one.get("title"), one.get("value")) if isinstance(one, dict) else (None, None)
        if not (isinstance(title, str) and isinstance(value, str)):
            return ()
        options.append(Option(title, value))
    return tuple(options)


def _is_attribute(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), str) for name in ("key", "name", "type"))


def _json(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(said, dict) or not isinstance(said.get("attributes", []), list):
        return {}
    return said


def text_of(element: Element, name: str) -> str:
    """What a child of an element says, without blanks around it; empty where there is none."""
    child = element.find(name)
    return "" if child is None or child.text is None else child.text.strip()


def _color(element: Element) -> str | None:
    color = text_of(element, "color")
    return color if COLOR.fullmatch(color) else None


def _edges(drawing: str, keys: list[str]) -> list[tuple[int, int]]:
    """The edges of a skeleton's drawing as pairs of places in ``keys``, from 1."""
    place_of_node: dict[str, int] = {}
    nodes = [dict(_XML_ATTRIBUTE.findall(node)) for node in _NODE.findall(drawing[:_LONGEST_DRAWING])]
    for number, node in enumerate(nodes, start=1):
        name = node.get("data-label-name", "").replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")
        name = name.replace("&amp;", "&")
        place = keys.index(name) + 1 if name in keys else number
        place_of_node[node.get("data-node-id", str(number))] = place
    pairs = set()
    for line in _EDGE.findall(drawing[:_LONGEST_DRAWING]):
        ends = dict(_XML_ATTRIBUTE.findall(line))
        start, end = (place_of_node.get(ends.get(name, "")) for name in ("data-node-from", "data-node-to"))
        if start and end and start != end and max(start, end) <= len(keys):
            pairs.add((min(start, end), max(start, end)))
    return sorted(pairs)


def with_attributes(table: pa.Table, labels: dict[str, FoundLabel]) -> pa.Table:
    """Class rows with the attributes their labels declare."""
    rows = table.to_pylist()
    for row in rows:
        label = labels.get(row["value"])
        row["attributes"] = [
            {
                "attribute_id": stable_id("attribute", row["value"], one.key),
                "key": one.key,
                "name": one.name,
                "type": one.type,
                "order": place,
                "options": [option._asdict() for option in one.options],
            }
            for place, one in enumerate((one for one in label.attributes.values() if one.declared) if label else (), 1)
        ]
    return pa.Table.from_pylist(rows, CLASSES)
