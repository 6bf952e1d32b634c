"""A running sandbox, the official SDK pointed at it, and pictures to upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "data") as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The official SDK, unchanged; only its environment names the sandbox."""
    import fastlabel

    monkeypatch.setenv("FASTLABEL_API_URL", sandbox.url)
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", sandbox.token)
    return fastlabel.Client()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., str]:
    """Writes a picture of one colour and answers its path."""

    def write(name: str = "picture.jpg", width: int = 70, height: int = 50) -> str:
        import cv2
        import numpy as np

        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
        return str(path)

    return write


@pytest.fixture
def http(sandbox: Sandbox) -> Callable[..., requests.Response]:
    """``http("GET", "tasks/count", params=...)`` with the token; a path with a leading slash starts at the root."""

    def send(method: str, path: str, **more: Any) -> requests.Response:
        url = sandbox.base + path if path.startswith("/") else sandbox.url + path
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        return requests.request(method, url, headers=headers, timeout=30, **more)

    return send
