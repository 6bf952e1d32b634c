"""A workspace with a few projects in a sandbox, and a client that counts what it asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastlabel_dagster.api import FastLabelClient, RetryPolicy
from fastlabel_dagster.sandbox import Sandbox

PROJECTS = {"harbour": "image_bbox", "street-day": "image_bbox", "street-night": "video_bbox", "yard": "image_all"}


@pytest.fixture
def sandbox(fastlabel_sandbox: Sandbox) -> Sandbox:
    for number, (slug, kind) in enumerate(PROJECTS.items()):
        fastlabel_sandbox.state.create_project(slug, type=kind, name="One name for all")
        fastlabel_sandbox.state.create_class(slug, "bbox", "car", "Car")
        suffix = "mp4" if kind.startswith("video") else "jpg"
        tasks = [{"name": f"{each}.{suffix}", "status": "approved"} for each in range(number)]
        fastlabel_sandbox.state.add_tasks(slug, tasks)
    return fastlabel_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[FastLabelClient]:
    with FastLabelClient(sandbox.token, sandbox.url, retry=RetryPolicy(attempts=1)) as client:
        yield client
