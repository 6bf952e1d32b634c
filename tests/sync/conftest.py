"""A sandbox with a small project, a client for it, and what a mirror should hold, worked out without the mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastlabel_dagster.api import FastLabelClient, RetryPolicy
from fastlabel_dagster.labels import to_fastlabel
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sync import LabelMirror

PROJECT = "street"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox") as running:
        running.state.create_project(PROJECT)
        running.state.create_class(PROJECT, "bbox", "car", "Car")
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[FastLabelClient]:
    impatient = RetryPolicy(attempts=2, backoff_seconds=0.01)
    with FastLabelClient(sandbox.token, sandbox.url, retry=impatient, budget=None) as made:
        yield made


@pytest.fixture
def box_tasks() -> Callable[..., list[dict[str, Any]]]:
    """Tasks with two boxes each, for ``sandbox.state.add_tasks``."""

    def make(count: int, *, start: int = 0, width: int | None = 64, height: int | None = 48) -> list[dict[str, Any]]:
        return [
            {
                "name": f"image-{number:05}.jpg",
                "width": width,
                "height": height,
                "status": "approved" if number % 4 == 0 else "registered",
                "annotations": [
                    {"type": "bbox", "value": "car", "points": [1, 2, 11 + number % 7, 22]},
                    {"type": "bbox", "value": "car", "points": [3.5, 4, 40, 40.25]},
                ],
            }
            for number in range(start, start + count)
        ]

    return make


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """The bytes of a picture whose content depends on ``seed``."""

    def make(seed: int = 0, *, width: int = 64, height: int = 48, extension: str = ".jpg") -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        done, encoded = cv2.imencode(extension, pixels)
        assert done
        return encoded.tobytes()

    return make


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., bytes]:
    """The bytes of a video; frame ``n`` (from 1) is ``10 n`` grey, and a little lighter for another ``seed``."""

    def make(seed: int = 0, *, width: int = 64, height: int = 48, frames: int = 12) -> bytes:
        path = tmp_path / "sandbox" / "clip.mp4"
        path.parent.mkdir(exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
        if not writer.isOpened():
            pytest.skip("OpenCV has no codec for MP4 here")
        for number in range(1, frames + 1):
            writer.write(np.full((height, width, 3), 10 * number + seed % 8, np.uint8))
        writer.release()
        # A box nobody reads, so that videos which look alike differ.
        return path.read_bytes() + (12).to_bytes(4, "big") + b"free" + seed.to_bytes(4, "big")

    return make


@pytest.fixture
def at_the_api(client: FastLabelClient) -> Callable[[], dict[str, dict[str, Any]]]:
    """The project as the API has it now: tasks by id, without the signed links."""

    def read() -> dict[str, dict[str, Any]]:
        return {
            task["id"]: {key: value for key, value in task.items() if key != "url"}
            for task in client.image_tasks.iter(PROJECT)
        }

    return read


@pytest.fixture
def in_the_mirror() -> Callable[..., dict[str, dict[str, Any]]]:
    """The project as a mirror has it at a version: tasks by id. A task that is there twice fails."""

    def read(mirror: LabelMirror, version: int | None = None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for batch in mirror.read(version).batches():
            for task in to_fastlabel(batch):
                assert task["id"] not in found
                found[task["id"]] = {key: value for key, value in task.items() if key != "url"}
        return found

    return read
