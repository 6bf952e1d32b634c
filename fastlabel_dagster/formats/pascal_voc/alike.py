"""Many ``<object>`` elements of one form, read by one regular expression learnt from an object the parser has read.

The files of a dataset come from one program, so their objects have the same children in the same order. A file made of
such objects is taken apart by the expression in one go, and only the rest, which is short, goes through the parser.
Whatever is not exactly alike (comments, entities, attributes, other children, other encodings) is left to the parser,
so what is read is the same either way.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from xml.etree.ElementTree import Element as _Element
from xml.etree.ElementTree import SubElement

from fastlabel_dagster.formats.pascal_voc.elements import FLAGS, NO_POSE, POSE
from fastlabel_dagster.formats.pascal_voc.said import BOX, NAME, READ, SIDES

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_WANTED = frozenset({NAME, POSE, *FLAGS})
_BLANKS = r"[ \t\r\n]*"
#: No markup, no reference, and nothing a parser would refuse or change (it makes a line feed of a carriage return).
_TEXT = "[^<>&\x00-\x1f\ud800-\udfff\ufffe\uffff]*"
_OTHER_ENCODING = re.compile(r"""encoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)


class Objects(NamedTuple):
    """The objects of a file."""

    rest: bytes
    """The file with one empty ``<object/>`` in the place of all of them."""
    columns: dict[str, list[str]]
    """What they say, by tag (``bndbox`` itself is not one): n texts each."""

    def __len__(self) -> int:
        return len(self.columns[NAME])


class ObjectForm:
    """What the objects of a dataset look like."""

    def __init__(self, example: Element) -> None:
        """The form of one object.

        Raises:
            ValueError: when it is not simple: texts without attributes, and a box of texts.
        """
        self._tags: list[str] = []
        inside = [self._box(child) if child.tag == BOX else self._leaf(child, _WANTED) for child in example]
        self._pattern = re.compile(_BLANKS + self._around(example, inside, {NAME, BOX}))

    def _box(self, element: Element) -> str:
        return self._around(element, [self._leaf(child, frozenset(SIDES)) for child in element], {*SIDES})

    @staticmethod
    def _around(element: Element, inside: list[str], needed: set[str]) -> str:
        tags = {child.tag for child in element}
        if element.attrib or len(tags) < len(element) or not needed <= tags:
            raise ValueError(f"<{element.tag}> is not simple")
        return f"<{element.tag}>{_BLANKS}{''.join(one + _BLANKS for one in inside)}</{element.tag}>"

    def _leaf(self, element: Element, wanted: frozenset[str]) -> str:
        """A text: one of those ``wanted`` in this place, or one that is read nowhere."""
        tag = element.tag
        if element.attrib or len(element) or tag in self._tags or (tag in READ and tag not in wanted):
            raise ValueError(f"<{tag}> is not simple")
        self._tags.append(tag)
        return f"<{re.escape(tag)}>({_TEXT})</{re.escape(tag)}>"

    def objects_of(self, data: bytes) -> Objects | None:
        """The objects of a file with this content; None when it has none, or is not made of objects of this form."""
        # The whole file has no comment, CDATA, document type or further instruction, so tags are tags.
        if not data.startswith(b"<") or b"<!" in data or b"\0" in data or data.rfind(b"<?") > 0:
            return None
        try:
            pieces = self._pattern.split(data.decode())
        except UnicodeDecodeError:
            return None
        count = len(self._tags) + 1
        head, tail = pieces[0], pieces[-1]
        if len(pieces) == 1 or any(pieces[count:-1:count]) or "<object" in head or "<object" in tail:
            return None
        if head.startswith("<?") and _OTHER_ENCODING.search(head):
            return None
        columns = {tag: pieces[place:-1:count] for place, tag in enumerate(self._tags, start=1)}
        return Objects(f"{head}<object/>{tail}".encode(), columns)


def joined_objects(columns: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """The columns of several files of one form, behind each other."""
    return {tag: list(chain.from_iterable(one[tag] for one in columns)) for tag in columns[0]}


def is_unmarked(columns: dict[str, list[str]]) -> bool:
    """Whether no object has a flag that is on or a pose: what it says is its name and its box."""
    return all(set(columns[flag]) <= {"0"} for flag in FLAGS if flag in columns) and (
        set(columns.get(POSE, ())) <= {NO_POSE, ""}
    )


def as_elements(columns: dict[str, list[str]]) -> list[Element]:
    """An ``<object>`` for each row; what nobody reads stands beside its box, wherever it stood."""
    found = []
    for row in range(len(columns[NAME])):
        element = _Element("object")
        box = SubElement(element, BOX)
        for tag, texts in columns.items():
            SubElement(box if tag in SIDES else element, tag).text = texts[row]
        found.append(element)
    return found
