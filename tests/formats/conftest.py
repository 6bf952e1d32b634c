"""Small projects made of task JSON, and what pycocotools sees of their exports."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from fastlabel_dagster import formats, labels


class Bench:
    """Writes small projects in a folder of their own and reads the result with somebody else's eyes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def task(name: str = "a.jpg", *annotations: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A task of 100 x 80 pixels."""
        return {
            "id": f"id-{name}",
            "name": name,
            "width": 100,
            "height": 80,
            "status": "approved",
            "tags": [],
            **fields,
            "annotations": list(annotations),
        }

    @staticmethod
    def shape(kind: str, points: Any = None, value: str = "dog", **fields: Any) -> dict[str, Any]:
        """An annotation as the API sends it."""
        return {
            "id": "a",
            "type": kind,
            "title": value,
            "value": value,
            "color": "#ff0000",
            "attributes": [],
            **({} if points is None else {"points": points}),
            **fields,
        }

    @staticmethod
    def klass(value: str, order: int | None = 1, kind: str = "bbox", **fields: Any) -> dict[str, Any]:
        return {
            "id": f"{value}-{kind}",
            "type": kind,
            "value": value,
            "title": value,
            "color": "#00ff00",
            "order": order,
            "attributes": [],
            **fields,
        }

    def labels(self, *tasks: dict[str, Any], classes: list[dict[str, Any]] | None = None) -> labels.Labels:
        return labels.from_fastlabel(tasks, [self.klass("dog")] if classes is None else classes)

    def write(self, *tasks: dict[str, Any], format: str = "coco", classes: Any = None, **options: Any):
        """The report of an export into ``self.folder / format``."""
        content = self.labels(*tasks, classes=classes)
        return formats.write(content, format=format, target=self.folder / format, **options)

    def coco(self, *tasks: dict[str, Any], classes: Any = None, **options: Any):
        """The report, and the export as pycocotools loads it."""
        report = self.write(*tasks, classes=classes, **options)
        return report, load_coco(self.folder / "coco" / "annotations.json")

    def yolo(self, *tasks: dict[str, Any], classes: Any = None, **options: Any):
        """The report, and the label files by name (all of them in train)."""
        report = self.write(*tasks, format="yolo", classes=classes, **{"split": None, **options})
        place = self.folder / "yolo" / "labels" / "train"
        return report, {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*.txt")}

    def read(self, document: Any, name: str = "annotations.json", format: str = "coco") -> labels.Labels:
        """A COCO document, written to disk and read."""
        source = self.folder / "source"
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return formats.read(source, format=format)


def load_coco(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def coco_of():
    """Load an annotation file with pycocotools."""
    return load_coco


@pytest.fixture
def tree():
    """All files below a folder, but for the marks of the store: relative path -> bytes."""

    def files(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".fastlabel-folder"
        }

    return files


@pytest.fixture
def laid(tmp_path):
    """Lay out the files (path -> content) of a dataset of somebody else; gives its folder."""

    def of(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "source"
        for path, content in files.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return of


@pytest.fixture
def pictures():
    """Make an image folder with a real PNG for each task of some labels."""
    import hashlib

    import cv2
    import pyarrow as pa

    from fastlabel_dagster.store import ImageFolder, disk_names, open_store

    def make(content: labels.Labels, place: str | Path) -> ImageFolder:
        store = open_store(place)
        tasks = content.tasks.select(["task_id", "name", "width", "height"]).to_pylist()
        files = disk_names([task["name"] for task in tasks], [task["task_id"] for task in tasks])
        rows = []
        for number, (task, file) in enumerate(zip(tasks, files, strict=True)):
            picture = np.full((task["height"] or 80, task["width"] or 100, 3), number, np.uint8)
            data = cv2.imencode(".png", picture)[1].tobytes()
            store.write_bytes(file, data)
            rows.append(
                {
                    "task_id": task["task_id"],
                    "name": task["name"],
                    "file": file,
                    "bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "width": picture.shape[1],
                    "height": picture.shape[0],
                }
            )
        folder = ImageFolder(store)
        folder.save(pa.Table.from_pylist(rows))
        return folder

    return make


@pytest.fixture(scope="session")
def asked():
    """Ask other people's converters: ``asked(script, *arguments)`` runs the script with the Python of the environment
    that holds them (``.venv/peers``, see CONTRIBUTING.md) and gives what its last line says, as JSON.

    The test is skipped where that environment is not.
    """
    python = Path(__file__).parents[2] / ".venv" / "peers" / "bin" / "python"

    def ask(script: str, *arguments: object) -> Any:
        if not python.exists():
            pytest.skip("the environment of other converters is not here")
        command = [python, "-c", textwrap.dedent(script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask
