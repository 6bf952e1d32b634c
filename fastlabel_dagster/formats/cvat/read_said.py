"""What elements of CVAT's XML say beside their geometry: what becomes FastLabel attributes, and what is told because
nothing reads it."""

from __future__ import annotations

import math
from typing import Any
from xml.etree.ElementTree import Element

import orjson

from fastlabel_dagster.formats.cvat.labels import FoundLabel, LabelAttribute
from fastlabel_dagster.formats.report import IMAGE
from fastlabel_dagster.labels.report import ReadTally

CONFIDENCE = "fastlabel_confidence"
#: The XML attributes that are read of every shape, and of each by its element.
_OF_SHAPE = frozenset(("label", "source", "occluded", "z_order", "group_id", "fastlabel_id", CONFIDENCE))
_GEOMETRY = {
    "box": frozenset(("xtl", "ytl", "xbr", "ybr", "rotation")),
    "polygon": frozenset(("points",)),
    "polyline": frozenset(("points",)),
    "points": frozenset(("points",)),
    "ellipse": frozenset(("cx", "cy", "rx", "ry", "rotation")),
    "mask": frozenset(("rle", "left", "top", "width", "height")),
}
_READ = {tag: _OF_SHAPE | names for tag, names in _GEOMETRY.items()}
_IN_TRACK = frozenset(("frame", "keyframe", "outside"))
_OF_TRACK = frozenset(("id", "label", "source", "group_id", "task_id", "subset"))
_OF_POINT = frozenset(("label", "source", "outside", "occluded", "points"))
_OF_ATTRIBUTE = frozenset(("name", "fastlabel_json"))
#: Of an image; ``id`` and ``task_id`` only count in CVAT.
_OF_IMAGE = frozenset(
    (
        *("id", "name", "width", "height", "subset", "task_id"),
        *("fastlabel_id", "fastlabel_name", "fastlabel_tags"),
    )
)
#: CVAT's own XML attributes that become FastLabel attributes -> what they are where they say nothing.
_OWN = {"z_order": "0", "group_id": "0", "source": "manual"}
_UNREAD = "its other XML attributes have no place in FastLabel, and were not read"
_UNREAD_OF_IMAGE = "an image with XML attributes that have no place in FastLabel, which were not read"
_UNREAD_WITHIN = "elements within it have no place in FastLabel, and were not read"
_NO_FLAG = "an occluded that is neither 0 nor 1 was left out"
_NO_CONFIDENCE = "a confidence that is no finite number was left out"
_SEVERAL = "all but the first place of a skeleton's point were left out"
_LONGEST = 200


def attributes_of(element: Element, label: FoundLabel, track: Element | None = None) -> list[dict[str, Any]]:
    """The attributes of a shape: its ``<attribute>`` elements, and of CVAT's own those that say something. What a shape
    does not say for itself its ``track`` says."""
    found = []
    keys = set()
    for child in element:
        if child.tag == "attribute":
            key = child.get("name", "")
            keys.add(key)
            declared = label.attributes.get(key) or LabelAttribute(key, key, "text")
            found.append(_attribute(child.text or "", declared, is_json=child.get("fastlabel_json") == "1"))
    if element.get("occluded") == "1" and "occluded" not in keys:
        found.append(_attribute("true", LabelAttribute("occluded", "occluded", "switch"), is_json=True))
    for key, absent in _OWN.items():
        said = element.get(key) or (None if track is None else track.get(key))
        if said and said != absent and key not in keys:
            found.append(_attribute(said, LabelAttribute(key, key, "text"), is_json=False))
    return found


def tell_of_shape(element: Element, kind: str, where: str, told: ReadTally, *, in_track: bool = False) -> None:
    """Tell what a shape says that is not read; ``kind`` is its type."""
    read = _READ.get(element.tag, _OF_SHAPE)
    unread: set[str] = set() if read.issuperset(element.attrib) else element.attrib.keys() - read
    if in_track:
        unread -= _IN_TRACK
    if element.get("occluded", "0") not in ("0", "1"):
        told.alter(_NO_FLAG, kind, where=where)
    if CONFIDENCE in element.attrib and confidence_of(element) is None:
        told.alter(_NO_CONFIDENCE, kind, where=where)
    within: set[str] = set()
    for child in element:
        if child.tag == "attribute":
            unread.update(f"attribute.{name}" for name in child.attrib.keys() - _OF_ATTRIBUTE)
            within.update(one.tag for one in child)
        elif element.tag == "skeleton" and child.tag == "points":
            unread.update(f"points.{name}" for name in _unread_of_point(child, element))
            within.update(one.tag for one in child if one.tag != "attribute")
            if ";" in child.get("points", "").strip().rstrip(";"):
                told.alter(_SEVERAL, kind, where=where)
        else:
            within.add(child.tag)
    if unread:
        told.notice(_UNREAD, kind, where=f"{where}: {_listed(unread)}")
    if within:
        told.notice(_UNREAD_WITHIN, kind, where=f"{where}: {_listed(within)}")


def tell_of_track(element: Element, kind: str, where: str, told: ReadTally) -> None:
    """Tell what a track and its shapes say that is not read; ``kind`` is its type."""
    unread = element.attrib.keys() - _OF_TRACK
    if unread:
        told.notice(_UNREAD, kind, where=f"{where}: {_listed(unread)}")
    for place, shape in enumerate(element, start=1):
        if shape.tag == "attribute":
            told.notice(_UNREAD_WITHIN, kind, where=f"{where}: attribute")
        else:
            tell_of_shape(shape, kind, f"{where}, {shape.tag} {place}", told, in_track=True)


def tell_of_image(element: Element, where: str, told: ReadTally) -> None:
    """Tell what an image says that is not read."""
    unread = set(element.attrib.keys() - _OF_IMAGE)
    if element.get("fastlabel_tags") and tags_of(element) is None:
        unread.add("fastlabel_tags")
    if unread:
        told.notice(_UNREAD_OF_IMAGE, IMAGE, where=f"{where}: {_listed(unread)}")


def tags_of(element: Element) -> list[str] | None:
    """The tags our own export states of an image; None where there are none."""
    try:
        tags = orjson.loads(element.get("fastlabel_tags", ""))
    except orjson.JSONDecodeError:
        return None
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else None


def confidence_of(element: Element) -> float | None:
    """The confidence our own export states of a shape: CVAT has no place for it."""
    return finite(element.get(CONFIDENCE))


def finite(text: str | None) -> float | None:
    """The number of a text; None where it is no finite one."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unread_of_point(point: Element, skeleton: Element) -> set[str]:
    """What a point of a skeleton says for itself alone."""
    unread = {name for name in point.attrib.keys() - _OF_POINT if point.get(name) != _OWN.get(name)}
    if point.get("source", "manual") not in ("manual", skeleton.get("source")):
        unread.add("source")
    if point.get("occluded", "0") not in ("0", "1"):
        unread.add("occluded")
    return unread


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))[:_LONGEST]


def _attribute(text: str, declared: LabelAttribute, *, is_json: bool) -> dict[str, Any]:
    if is_json and not _is_json(text):
        is_json = False
    is_json = is_json or (declared.type == "switch" and text in ("true", "false"))
    return {
        "key": declared.key,
        "name": declared.name,
        "type": declared.type,
        "value": text,
        "value_is_json": is_json,
    }


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
