"""XML from outside, read without trusting it: no entities, no external files, no document types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser

import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.errors import FormatError

_DECLARED = re.compile(rb"""<\?xml\s[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["'][^>]{0,100}?\?>""")
#: What files declare -> Python's name. "Shift_JIS" of Windows has signs the standard of that name lacks.
_EAST_ASIAN = {
    **dict.fromkeys(["shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms932"], "cp932"),
    **{name: name for name in ("euc-jp", "iso-2022-jp", "euc-kr", "gb2312", "gbk", "gb18030", "big5")},
}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Line breaks and tabs as references: a parser would make blanks of them, or a line feed of a carriage return.
_ESCAPES = {ord(sign): f"&#{ord(sign)};" for sign in "\t\n\r"} | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}


def _may_declare(data: bytes) -> bool:
    """Whether a file can hold a document type, where entities are declared.

    In every encoding the parser takes, ASCII stands for itself, but in UTF-16, where it comes with null bytes.
    """
    return b"<!DOCTYPE" in data or b"\0" in data


def parse_xml(path: Path | str, data: bytes) -> Element:
    """The root element of a file with this content.

    Shift_JIS, EUC-JP and other encodings of East Asia are taken where the file declares them, though the parser itself
    knows none of several bytes per character. Files that may declare something are left to defusedxml. Its parser is in
    Python, four times slower than the one in C, which reads all others: where nothing can be declared, nothing can be
    expanded or fetched.

    Raises:
        FormatError: when it is no XML, or declares entities or a document type (a bomb, or a way to other files).
    """
    from defusedxml.ElementTree import DefusedXMLParser

    data = _in_utf8(data) or data
    with xml_errors(path):
        parser = DefusedXMLParser(forbid_dtd=True) if _may_declare(data) else XMLParser()  # noqa: S314 - see above
        parser.feed(data)
        root: Element = parser.close()
    return root


@contextmanager
def xml_errors(path: Path | str) -> Iterator[None]:
    """Whatever a parser raises over a file becomes a FormatError that names the file, and the place where it can."""
    from defusedxml.common import DefusedXmlException

    try:
        yield
    except FormatError:
        raise
    except ParseError as error:
        line, column = error.position
        raise FormatError(path, f"it is not XML: {error}", place=f"line {line}, column {column}") from error
    except DefusedXmlException as error:
        raise FormatError(path, f"it declares a document type or entities, which is refused: {error}") from error
    except (LookupError, UnicodeError, ValueError) as error:
        raise FormatError(path, f"its encoding cannot be read: {error}") from error


def east_asian(data: bytes) -> tuple[str, int] | None:
    """Python's name of the encoding a file that begins with ``data`` declares, and where its declaration ends, if it is
    one of :data:`_EAST_ASIAN`, of which the parser knows none; else None."""
    declared = _DECLARED.match(data)
    encoding = _EAST_ASIAN.get(declared[1].decode().lower()) if declared else None
    return None if declared is None or encoding is None else (encoding, declared.end())


def _in_utf8(data: bytes) -> bytes | None:
    """An :func:`east_asian` file in UTF-8, without its declaration; None: it is none, or damaged."""
    declared = east_asian(data)
    if declared is None:
        return None
    encoding, end = declared
    try:
        return data[end:].decode(encoding).encode()
    except UnicodeDecodeError:
        return None


def xml_text(text: str) -> str:
    """``text`` as it stands between two tags or in an attribute's double quotes; what XML cannot hold (most control
    characters) becomes the replacement character U+FFFD."""
    if text.isalnum():
        return text
    return _ILLEGAL.sub("\ufffd", text).translate(_ESCAPES)


def xml_texts(values: pa.Array) -> pa.Array:
    """:func:`xml_text` of each string; null stays null. Work is done once per distinct string."""
    encoded = pc.dictionary_encode(values)
    words = [xml_text(word) for word in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)


def is_legal_xml(text: str) -> bool:
    """Whether every character of ``text`` may occur in an XML file."""
    return _ILLEGAL.search(text) is None
