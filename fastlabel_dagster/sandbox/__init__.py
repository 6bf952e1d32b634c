"""A FastLabel-compatible server to try things on: an account one can break, on the loopback interface.

``Sandbox(data)`` runs it in a thread of this process; ``fastlabel-dagster sandbox`` runs it on its own. Everything that
is created is kept in a data folder (SQLite and files) and survives a restart, also after SIGKILL. The package shares no
code with the client, so that the two check each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.errors import Refused, SandboxError
    from fastlabel_dagster.sandbox.server import Sandbox
    from fastlabel_dagster.sandbox.state import SandboxState

__all__ = ["Refused", "Sandbox", "SandboxError", "SandboxState"]

_HOMES = {"Refused": "errors", "Sandbox": "server", "SandboxError": "errors", "SandboxState": "state"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
