"""The official SDK and our client before one sandbox, and what both make of the same tasks and files."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sandbox import Sandbox

PROJECTS = {
    "boxes": "image_bbox",
    "areas": "image_segmentation",
    "everything": "image_all",
    "films": "video_bbox",
}


class Pair:
    """Both clients. Each call is given its own copy of the tasks, and a folder of its own."""

    def __init__(self, theirs: Any, ours: FastLabelClient, place: Path) -> None:
        self.theirs, self.ours = theirs, ours
        self._place, self._number = place, itertools.count()

    def folder(self) -> Path:
        return self._place / str(next(self._number))

    def export(self, method: str, *arguments: Any, **options: Any) -> tuple[Path, Path, Any]:
        """The SDK's folder, ours, and our report."""
        place = self.folder()
        results = []
        for side, client in (("sdk", self.theirs), ("ours", self.ours)):
            given, more = copy.deepcopy((arguments, options))
            results.append(getattr(client, method)(*given, output_dir=str(place / side), **more))
        return place / "sdk", place / "ours", results[1]

    def convert(self, method: str, *arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        theirs, ours = (getattr(client, method)(*copy.deepcopy(arguments)) for client in (self.theirs, self.ours))
        return theirs, ours


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    fastlabel = pytest.importorskip("fastlabel")
    root.handlers[:], root.level = handlers, level
    place = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch, Sandbox(place / "sandbox") as sandbox:
        for slug, kind in PROJECTS.items():
            sandbox.state.create_project(slug, type=kind)
        patch.setenv("FASTLABEL_API_URL", sandbox.url)
        with FastLabelClient(sandbox.token, sandbox.url, budget=None) as ours:
            yield Pair(fastlabel.Client(access_token=sandbox.token), ours, place)


@pytest.fixture(scope="module")
def files() -> Callable[[Path], dict[str, Path]]:
    """All files of a folder, by their path in it."""

    def found(folder: Path) -> dict[str, Path]:
        return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}

    return found
