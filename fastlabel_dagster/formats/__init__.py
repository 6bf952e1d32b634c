"""Training formats, written from and read into the label tables.

    >>> report = write(labels, format="coco", target="out/coco")
    >>> labels = read("out/coco", format="coco")
    >>> print(labels.report)

Every annotation is written (or read), or dropped with a reason the report counts; nothing disappears silently.
"""

from fastlabel_dagster.formats import registry
from fastlabel_dagster.formats.dispatch import is_current, read, write
from fastlabel_dagster.formats.errors import FormatError, LossError
from fastlabel_dagster.formats.registry import Format, register
from fastlabel_dagster.formats.report import ExportReport, Note
from fastlabel_dagster.labels.report import ReadReport

#: The names of the formats that come with this package.
FORMATS: tuple[str, ...] = registry.names()

__all__ = [
    "FORMATS",
    "ExportReport",
    "Format",
    "FormatError",
    "LossError",
    "Note",
    "ReadReport",
    "is_current",
    "read",
    "register",
    "write",
]
