"""pytest fixtures for code that works with FastLabel: a sandbox of its own for every test, filled and made to fail.

Installed with the package, pytest finds the fixtures by itself; nothing is to be imported or configured. Importing this
module loads pytest and the lazy root of the package, nothing else: who does not use a fixture pays nothing, and the
``[sandbox]`` extra is needed only by who does. ``-p no:fastlabel_dagster`` turns the plugin off.

- ``fastlabel_sandbox``: a running :class:`~fastlabel_dagster.sandbox.Sandbox` with an empty data folder of its own;
  ``FASTLABEL_API_URL`` and ``FASTLABEL_ACCESS_TOKEN`` name it until the test ends.
- ``fastlabel_client``: a :class:`~fastlabel_dagster.api.FastLabelClient` for it.
- ``fastlabel_project``: the slug of a project with drawn street scenes in it.

The marker ``fastlabel_sandbox`` passes keyword arguments to the sandbox, ``fastlabel_project`` to its ``seed``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.sandbox import Sandbox

__all__ = ["fastlabel_client", "fastlabel_project", "fastlabel_sandbox"]

_MARKERS = (
    "fastlabel_sandbox(speed=1.0, page_limit=None, requests_per_10_minutes=10000, token=...): "
    "how the fixture fastlabel_sandbox starts its server",
    "fastlabel_project(tasks=50, project='street-scenes', seed=0): what the fixture fastlabel_project is filled with",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, so that ``--strict-markers`` accepts them."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def fastlabel_sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """A FastLabel-compatible server on a free loopback port, empty, and gone after the test.

    ``.seed(tasks=50)`` fills it, ``.fail("GET tasks/image", times=2, status=429)`` and ``.faults(probability=0.2)``
    spoil its day, ``.state`` is its content without HTTP, ``.url`` and ``.token`` are what a client needs. The
    environment names it, so that clients made without arguments find it, in child processes too.
    """
    try:
        from fastlabel_dagster.sandbox import Sandbox
    except ImportError as error:
        if error.name not in {"starlette", "uvicorn"}:
            raise
        pytest.fail(
            'the fixture fastlabel_sandbox needs the sandbox: pip install "fastlabel-dagster[sandbox]"', pytrace=False
        )
    with Sandbox(tmp_path_factory.mktemp("fastlabel"), **_wishes(request, "fastlabel_sandbox")) as sandbox:
        monkeypatch.setenv("FASTLABEL_API_URL", sandbox.url)
        monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", sandbox.token)
        for name in ("NO_PROXY", "no_proxy"):
            # a proxy of the environment knows nothing of this machine's loopback
            monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), sandbox.host))))
        yield sandbox


@pytest.fixture
def fastlabel_client(fastlabel_sandbox: Sandbox) -> Iterator[FastLabelClient]:
    """A client of the test's sandbox. It retries as in production, but comes back within hundredths of a second."""
    from fastlabel_dagster.api import FastLabelClient, RetryPolicy

    retry = RetryPolicy(backoff_seconds=0.01, backoff_max_seconds=0.1)
    with FastLabelClient(fastlabel_sandbox.token, fastlabel_sandbox.url, timeout=(5, 30), retry=retry) as client:
        yield client


@pytest.fixture
def fastlabel_project(request: pytest.FixtureRequest, fastlabel_sandbox: Sandbox) -> str:
    """The slug of a project of 50 drawn street scenes: pictures, annotations of seven types, every status."""
    wishes = _wishes(request, "fastlabel_project")
    fastlabel_sandbox.seed(**wishes)
    return str(wishes.get("project", "street-scenes"))


def _wishes(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """The keyword arguments of the test's marker of this name; the nearest one counts."""
    marker = request.node.get_closest_marker(name)
    if marker is None:
        return {}
    if marker.args:
        raise pytest.UsageError(f"the marker {name} takes keyword arguments only")
    return dict(marker.kwargs)
