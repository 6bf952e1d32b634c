"""YAML components: with ``type: fastlabel_dagster.components.FastLabelProjectComponent`` a ``defs.yaml`` is a project.

``dg list components`` asks every installed package for its components, so this module loads them only when their names
are used, and they load nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlabel_dagster.components.project import FastLabelProjectComponent
    from fastlabel_dagster.components.workspace import FastLabelWorkspaceComponent

_HOMES = {
    "FastLabelProjectComponent": "fastlabel_dagster.components.project",
    "FastLabelWorkspaceComponent": "fastlabel_dagster.components.workspace",
}

__all__ = ["FastLabelProjectComponent", "FastLabelWorkspaceComponent"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
