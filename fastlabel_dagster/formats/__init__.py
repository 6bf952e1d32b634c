"""Training formats, written from and read into the label tables.

    >>> report = write(labels, format="coco", target="out/coco")
    >>> labels = read("out/coco", format="coco")

Every annotation is written, or dropped with a reason the report counts; nothing disappears silently.
"""

from fastlabel_dagster.formats.dispatch import FORMATS, is_current, read, write
from fastlabel_dagster.formats.report import ExportReport, Note

__all__ = ["FORMATS", "ExportReport", "Note", "is_current", "read", "write"]
