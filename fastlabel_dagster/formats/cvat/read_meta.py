"""What the ``<meta>`` of CVAT's XML says that has no place in FastLabel, told by its names.

What CVAT keeps of its own work (ids, owners, dates, segments) is its book-keeping and passed over; so is the default of
an attribute where it is the first of its values, as CVAT wants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from fastlabel_dagster.formats.cvat.labels import ATTRIBUTE_TYPES, COLOR, TYPE_OF_LABEL, FoundLabel, text_of
from fastlabel_dagster.formats.report import FILE
from fastlabel_dagster.labels.report import ReadTally

#: What is read of a task, a project or a job, and what CVAT writes there of its own work.
_BOOKS = frozenset(
    (
        *("id", "name", "size", "mode", "overlap", "bugtracker", "created", "updated", "subset", "subsets", "tasks"),
        *("start_frame", "stop_frame", "frame_filter", "segments", "owner", "assignee", "labels", "flipped"),
        *("z_order", "original_size", "source", "dumped", "task", "project", "job"),
    )
)
_HOLDERS = ("task", "project", "job", "tasks")
_OF_LABEL = frozenset(("name", "color", "type", "attributes", "svg", "parent", "fastlabel"))
_OF_ATTRIBUTE = frozenset(("name", "mutable", "input_type", "default_value", "values"))
_SWITCH_WORDS = frozenset(("true", "false"))
_UNREAD = "what the file says of its task has no place in FastLabel, and was not read"
_UNREAD_OF_LABEL = "what it says of a label has no place in FastLabel, and was not read"
_AGAIN = "a label that was listed before: what stands there was read"
_NO_LABEL = "a label without a name, or a point of a label that is not listed"
_LONGEST = 200


def tell_of_meta(meta: Element, known: Mapping[str, FoundLabel], file: str, told: ReadTally) -> None:
    """Tell what ``meta`` says that is not read. ``known`` are the labels of the files before."""
    attributes = {f"{one.tag}.{name}" for one in meta.iter() for name in one.attrib}
    unread = sorted(attributes.union(_unread_of_holder(meta)))
    if unread:
        told.notice(_UNREAD, FILE, where=f"{file}: {', '.join(unread)[:_LONGEST]}")
    labels = list(meta.iter("label"))
    whole = {text_of(label, "name") for label in labels if not text_of(label, "parent")}
    met: set[str] = set()
    for label in labels:
        name, parent = text_of(label, "name"), text_of(label, "parent")
        where = f"{file}, label {f'{parent}, {name}' if parent else name}"
        if not name or (parent and parent not in whole and parent not in known):
            told.notice(_NO_LABEL, "class", where=where)
            continue
        if not parent and (name in met or _says_otherwise(label, known.get(name))):
            told.notice(_AGAIN, "class", where=where)
        if not parent:
            met.add(name)
        names = sorted(_unread_of_point(label) if parent else _unread_of_label(label))
        if names:
            told.notice(_UNREAD_OF_LABEL, "class", where=f"{where}: {', '.join(names)[:_LONGEST]}")


def _unread_of_holder(holder: Element) -> Iterator[str]:
    for child in holder:
        if child.tag not in _BOOKS:
            yield child.tag
        elif child.tag in _HOLDERS:
            yield from _unread_of_holder(child)


def _says_otherwise(label: Element, earlier: FoundLabel | None) -> bool:
    """Whether a label that an earlier file listed too has another colour or other attributes here."""
    if earlier is None:
        return False
    color = text_of(label, "color")
    named = {text_of(attribute, "name") for attribute in label.iter("attribute")} - {""}
    return named != set(earlier.attributes) or (bool(COLOR.fullmatch(color)) and color != earlier.found.color)


def _unread_of_label(label: Element) -> Iterator[str]:
    yield from {child.tag for child in label} - _OF_LABEL
    color, kind = text_of(label, "color"), text_of(label, "type")
    if color and not COLOR.fullmatch(color):
        yield "color"
    if kind not in ("", "any", *TYPE_OF_LABEL):
        yield "type"
    ours = label.find("fastlabel") is not None
    for attribute in label.iter("attribute"):
        name = text_of(attribute, "name")
        for field in _unread_of_attribute(attribute, ours=ours):
            yield f"{name}.{field}"


def _unread_of_attribute(attribute: Element, *, ours: bool) -> Iterator[str]:
    yield from {child.tag for child in attribute} - _OF_ATTRIBUTE
    kind, default = text_of(attribute, "input_type"), text_of(attribute, "default_value")
    values = [value for value in text_of(attribute, "values").split("\n") if value]
    if not text_of(attribute, "name"):
        yield "name"
    if kind and kind not in ATTRIBUTE_TYPES:
        yield "input_type"
    if text_of(attribute, "mutable").lower() == "true":
        yield "mutable"
    is_plain = kind == "checkbox" and default.lower() == "false"
    if default and not is_plain and values[:1] != [default]:
        yield "default_value"
    is_plain = kind == "checkbox" and _SWITCH_WORDS.issuperset(map(str.lower, values))
    if values and kind not in ("select", "radio") and not (ours or is_plain):
        yield "values"


def _unread_of_point(label: Element) -> Iterator[str]:
    """Of a point of a skeleton its name and colour are read."""
    yield from {child.tag for child in label} - _OF_LABEL
    color = text_of(label, "color")
    if color and not COLOR.fullmatch(color):
        yield "color"
    if label.find(".//attribute") is not None:
        yield "attributes"
