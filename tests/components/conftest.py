"""A project folder as ``dg`` makes it, with components in it, and the sandbox they talk to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

PROJECT = "fastlabel_dagster.FastLabelProjectComponent"
WORKSPACE = "fastlabel_dagster.FastLabelWorkspaceComponent"


@dataclass
class DefsFolder:
    """The ``defs`` folder of a project that exists for one test."""

    folder: DefsFolderSandbox

    def write(self, name: str, attributes: dict[str, Any], type: str = PROJECT, **more: Any) -> Path:
        """``defs/<name>/defs.yaml``, as a user would write it."""
        place = self.folder.defs_folder_path / name
        place.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"type": type, "attributes": attributes, **more}, sort_keys=False, allow_unicode=True)
        (place / "defs.yaml").write_text(text, encoding="utf-8")
        return place

    @contextmanager
    def load(self) -> Iterator[dg.Definitions]:
        """Everything in the folder, as a code server loads it."""
        with self.folder.build_all_defs() as defs:
            yield defs


@pytest.fixture
def defs_folder() -> Iterator[DefsFolder]:
    with create_defs_folder_sandbox() as folder:
        yield DefsFolder(folder)


@pytest.fixture
def no_fastlabel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nothing of FastLabel is set."""
    for name in [name for name in os.environ if name.startswith("FASTLABEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def filled(fastlabel_sandbox: Any) -> Any:
    """A sandbox with a small project, ``street-scenes``: six pictures, 2 approved."""
    fastlabel_sandbox.seed(tasks=6)
    return fastlabel_sandbox


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
