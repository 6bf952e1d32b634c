"""XML from outside, read without trusting it: no entities, no external files, no document types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastlabel_dagster.formats.errors import FormatError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def load_xml(path: Path) -> Element:
    """The root element of a file.

    Raises:
        FormatError: when it is no XML, or declares entities or a document type (a bomb, or a way to other files).
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        raise FormatError(path, f"it is not XML: {error}", place=f"line {line}, column {column}") from error
    except DefusedXmlException as error:
        raise FormatError(path, f"it declares a document type or entities, which is refused: {error}") from error
    except (LookupError, UnicodeError, ValueError) as error:
        raise FormatError(path, f"its encoding cannot be read: {error}") from error
    return root
