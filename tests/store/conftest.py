"""Stores to test against: a fresh local one, a fresh one on the S3 server, and each of them in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.store import Store, open_store


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def s3_store(moto_s3: Any) -> Store:
    return open_store(f"s3://{moto_s3.bucket}/some/prefix")


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"{request.param}_store")
