"""Training formats, written from and read into the label tables.

    >>> report = write(labels, format="coco", target="out/coco")
    >>> labels = read("out/coco", format="coco")
    >>> print(labels.report)

Every annotation is written (or read), or dropped with a reason the report counts; nothing disappears silently.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.formats import registry
from fastlabel_dagster.formats.registry import Format, register

if TYPE_CHECKING:
    from fastlabel_dagster.formats.dispatch import check_write, is_current, read, steps_of, write
    from fastlabel_dagster.formats.errors import FormatError, LossError
    from fastlabel_dagster.formats.report import ExportReport, Note
    from fastlabel_dagster.formats.unpack import ArchiveLimits
    from fastlabel_dagster.labels.report import ReadReport

#: The names of the formats that come with this package.
FORMATS: tuple[str, ...] = registry.names()

# Handed out on first use: a code location names formats when it loads, and must not load Arrow for that.
_HOMES = {
    "ArchiveLimits": "fastlabel_dagster.formats.unpack",
    "ExportReport": "fastlabel_dagster.formats.report",
    "FormatError": "fastlabel_dagster.formats.errors",
    "LossError": "fastlabel_dagster.formats.errors",
    "Note": "fastlabel_dagster.formats.report",
    "ReadReport": "fastlabel_dagster.labels.report",
    "check_write": "fastlabel_dagster.formats.dispatch",
    "is_current": "fastlabel_dagster.formats.dispatch",
    "steps_of": "fastlabel_dagster.formats.dispatch",
    "read": "fastlabel_dagster.formats.dispatch",
    "write": "fastlabel_dagster.formats.dispatch",
}

__all__ = [
    "FORMATS",
    "ArchiveLimits",
    "ExportReport",
    "Format",
    "FormatError",
    "LossError",
    "Note",
    "ReadReport",
    "check_write",
    "is_current",
    "read",
    "register",
    "steps_of",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
