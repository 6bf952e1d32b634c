"""Large XML files from outside, an element at a time, read without trusting them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.xml import east_asian, xml_errors

#: Few: what a piece of the file becomes is used while the processor still has it at hand, and its memory serves the
#: next piece. Pieces of a quarter of a megabyte take six times as long.
_BYTES_AT_ONCE = 2**14
#: Elements in elements: no format we read has more than a handful.
_DEEPEST = 64


def iterate_xml(path: Path, root: str) -> Iterator[Element]:
    """The elements in the root element, whole, one after the other; each is forgotten when the next one comes, so that
    memory is needed for one of them.

    Entities can only be declared in a document type, which stands before the root element. So defusedxml looks at the
    file first, as far as the root element, and refuses one; the rest is read by the parser in C, which is much faster.
    Encodings of East Asia are taken where the file declares them, as :func:`~fastlabel_dagster.formats.xml.parse_xml`
    takes them.

    Args:
        path: the file.
        root: name of the root element.

    Raises:
        FormatError: when it is no XML (elements before the damage have been handed out by then), declares a document
            type or entities (a bomb, or a way to other files), has another root element, or nests without end.
    """
    from defusedxml.ElementTree import DefusedXMLParser

    prologue = DefusedXMLParser(forbid_dtd=True)
    parser: XMLPullParser[Element] = XMLPullParser(["start", "end"])
    inside: list[Element] = []
    begun = False
    with xml_errors(path):
        with path.open("rb") as file:
            for data in _pieces(file):
                if not begun:
                    with suppress(ParseError):  # the parser that reads the file says what is wrong, and where
                        prologue.feed(data)
                parser.feed(data)
                for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                    if event == "start":
                        begun = True
                        inside.append(element)
                        if len(inside) == 1 and element.tag != root:
                            raise FormatError(path, f"its root element is <{element.tag}>, not <{root}>")
                        if len(inside) > _DEEPEST:
                            raise FormatError(path, f"more than {_DEEPEST} elements lie in each other")
                    else:
                        inside.pop()
                        if len(inside) == 1:
                            yield element
                            inside[0].clear()
        parser.close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file, piece by piece; in UTF-8 and without its declaration where the parser does not know the
    encoding. Raises UnicodeDecodeError when it is not in the encoding it declares."""
    data = file.read(_BYTES_AT_ONCE)
    declared = east_asian(data)
    if declared is None:
        while data:
            yield data
            data = file.read(_BYTES_AT_ONCE)
        return
    encoding, end = declared
    decoder = codecs.getincrementaldecoder(encoding)()
    data = data[end:]
    while data:
        yield decoder.decode(data).encode()
        data = file.read(_BYTES_AT_ONCE)
    yield decoder.decode(b"", final=True).encode()
