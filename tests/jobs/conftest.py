"""A sandbox in which every kind of job can be started, and how each is asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastlabel_dagster.api import FastLabelClient, RetryPolicy
from fastlabel_dagster.jobs.kinds import KINDS, JobRequest
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.store import Store, open_store


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox", speed=1.0) as sandbox:
        state = sandbox.state
        state.create_project("street", type="image_all")
        state.create_class("street", "bbox", "car", "Car")
        state.create_project("scans", type="dicom_bbox")
        picture = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
        state.add_tasks("street", [{"name": "a.jpg"}], {"a.jpg": picture})
        bucket = sandbox.state.data / "buckets" / "acme"
        bucket.mkdir(parents=True)
        (bucket / "new.jpg").write_bytes(picture)
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[FastLabelClient]:
    with FastLabelClient(sandbox.token, sandbox.url, retry=RetryPolicy(attempts=1), budget=None) as client:
        client.datasets.create("street")
        client.dataset_objects.create("street", "note.txt", content=b"something to train on")
        client.aws_s3.set_storage("street", "acme", "ap-northeast-1")
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def requests_of(tmp_path: Path) -> dict[str, JobRequest]:
    """A request of every kind."""
    series = tmp_path / "series.zip"
    with zipfile.ZipFile(series, "w") as zipped:
        zipped.writestr("series/1.dcm", bytes(128) + b"DICM" + b"\x28\x00\x10\x00US\x02\x00\x00\x02")
    model = "fastlabel_object_detection_light"
    arguments: dict[str, dict[str, Any]] = {
        "training": {"dataset_name": "street", "base_model_name": model, "epoch": 3},
        "evaluation": {"dataset_name": "street", "model_name": model},
        "auto_annotation": {"project": "street", "model_name": model},
        "s3_import": {"project": "street"},
        "dicom_import": {"project": "scans", "file_path": str(series)},
    }
    subjects = {"training": "street", "evaluation": "street", "dicom_import": "scans"}
    return {name: JobRequest(kind, subjects.get(name, "street"), "v1", arguments[name]) for name, kind in KINDS.items()}
