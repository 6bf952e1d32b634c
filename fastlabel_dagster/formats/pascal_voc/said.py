"""What an ``<object>`` says of itself, as FastLabel attributes."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Any

import orjson

from fastlabel_dagster.formats.pascal_voc.elements import FLAGS, NO_POSE, POSE

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME, BOX = "name", "bndbox"
SIDES = ("xmin", "ymin", "xmax", "ymax")
#: Children that hold more than the boxes and attributes FastLabel's image annotations have.
UNREAD = {
    "part": "its parts (head, hand, foot, …) were not read",
    "actions": "its actions were not read",
    "point": "its point was not read",
    "mask": "its mask was not read",
}
#: What is read of an object, or told of by its own name.
READ = frozenset({"object", NAME, BOX, POSE, "polygon", "attributes", *FLAGS, *SIDES, *UNREAD})

_OF_ATTRIBUTES = frozenset(("attributes", "attribute", "name", "value"))
_TAG, _MARKS = attrgetter("tag"), methodcaller("keys")
_TRUE = ("1", "true", "yes")
_FALSE = ("0", "false", "no", "")

#: What is read of a file, follows from its picture, or says where that lay.
_READ_OF_FILE = frozenset(
    ("folder", "filename", "path", "size", "segmented", "object", "task_id", "task_name", "source", "owner")
)
#: XML attributes of our own exports, by the element they stand on.
_OWN_MARKS = {**dict.fromkeys(FLAGS, frozenset(("stated", "title"))), "attribute": frozenset(("type", "title", "json"))}
#: Who made a picture, and what stands there where nobody knows, or in exports of ours.
_ORIGIN = ("source", "owner")
_NO_ORIGIN = ("", "unknown", "unspecified", "fastlabel")


def unread_of_file(root: Element) -> list[str]:
    """The elements of a file that say something of its picture and are not read, sorted."""
    unread = {one.tag for one in root} - _READ_OF_FILE
    for tag in _ORIGIN:
        origin = root.find(tag)
        said = () if origin is None else ((one.text or "").strip().lower() for one in origin.iter())
        if any(text not in _NO_ORIGIN for text in said):
            unread.add(tag)
    if any(map(_MARKS, heads := [root, *(one for one in root if one.tag != "object")])):
        for one in heads:
            unread.update(_marks(one))
    return sorted(unread)


def unread_of_object(element: Element, child: Mapping[str, Element]) -> list[str]:
    """The elements of an object (and its ``child`` by tag) and of its box that are not read, XML attributes
    (``name@lang``) and what ``<attributes>`` holds beside names and values, sorted."""
    parts = [element, *element, *child[BOX]]
    unread = set(map(_TAG, parts)) - READ
    block = child.get("attributes")
    if block is not None:
        stated = list(block.iter())
        if not _OF_ATTRIBUTES.issuperset(map(_TAG, stated)):
            unread.update(f"attributes.{one.tag}" for one in stated if one.tag not in _OF_ATTRIBUTES)
        if not all((one.findtext(NAME) or "").strip() for one in block.iter("attribute")):
            unread.add("an attribute without a name")
        if (block.text or "").strip():
            unread.add("text of attributes")
        parts += stated
    if any(map(_MARKS, parts)):
        for one in parts:
            unread.update(_marks(one))
    return sorted(unread)


def _marks(element: Element) -> set[str]:
    own = _OWN_MARKS.get(element.tag, frozenset())
    return {f"{element.tag}@{name}" for name in element.attrib if name not in own}


def attributes_of(child: Mapping[str, Element], *, own: bool) -> list[dict[str, Any]]:
    """The attributes of an object, given its children by tag: its flags that are on, its pose, and ``<attributes>``.

    A flag that is off is an attribute only where our own export says that it was one. ``own``: it is in a file of ours.
    """
    block = child.get("attributes")
    stated = [] if block is None else [said for one in block.iter("attribute") if (said := _attribute(one, own=own))]
    carried = {attribute["key"] for attribute in stated}
    found = []
    for flag in FLAGS:
        element = child.get(flag)
        if element is None or ((element.text or "") == "0" and not element.attrib) or flag in carried:
            continue
        is_on = (element.text or "").strip().lower() in _TRUE
        if is_on or not _OWN_MARKS[flag].isdisjoint(element.attrib):
            found.append(_switch(flag, element.get("title", flag), is_on))
    pose = child.get(POSE)
    text = "" if pose is None else (pose.text or "").strip()
    if text and text != NO_POSE and POSE not in carried:
        found.append({"key": POSE, "name": POSE, "type": "text", "value": text, "value_is_json": False})
    return found + stated if stated else found


def odd_flags(child: Mapping[str, Element]) -> list[str]:
    """The flags of an object, given its children by tag, that are neither on nor off."""
    stated = {flag: (child[flag].text or "").strip().lower() for flag in FLAGS if flag in child}
    return [flag for flag, text in stated.items() if text not in _TRUE and text not in _FALSE]


def _switch(key: str, name: str, is_on: bool) -> dict[str, Any]:
    value = "true" if is_on else "false"
    return {"key": key, "name": name, "type": "switch", "value": value, "value_is_json": True}


def _attribute(element: Element, *, own: bool) -> dict[str, Any] | None:
    """One ``<attribute>``: ours states its type, if it has one, those of others are texts."""
    key = element.findtext("name") or ""
    own = own or "type" in element.attrib or "json" in element.attrib
    key = key if own else key.strip()
    if not key:
        return None
    value = element.find("value")
    text = None if value is None else value.text or ""
    return {
        "key": key,
        "name": element.get("title", key),
        "type": element.get("type") if own else "text",
        "value": text if own or text is None else text.strip(),
        "value_is_json": element.get("json") == "1" and _is_json(text),
    }


def _is_json(text: str | None) -> bool:
    try:
        orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return False
    return True
