"""For the whole suite: how it is spread over workers, an S3 server on loopback, and the small real dataset."""

from __future__ import annotations

import os
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "busy", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

#: What takes the longest by itself, mostly to wait for processes it starts: begun last, it would run on alone.
LONG = {"fire", "ui", "test_dagster_project.py", "test_demo.py", "test_load_cost.py", "test_tutorial.py"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """``-n auto``: one more than there are processors, as a third of the time tests wait for servers and processes."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of many workers some begin with the longest files; ``--no-loadscope-reorder`` keeps this order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


class S3Server(NamedTuple):
    """An S3 server on loopback and an empty bucket in it: ``endpoint_url, bucket = moto_s3`` works too."""

    endpoint_url: str
    bucket: str


@pytest.fixture(scope="session")
def _moto_endpoint() -> Iterator[str]:
    """moto's HTTP server, started once per test process on a free port."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    sessions = pytest.importorskip("botocore.session")
    loader = sessions.create_loader()
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        # What boto3 reads of its own files for each client is a third of what a test on S3 takes: they are read once.
        patch.setattr(sessions, "create_loader", lambda _: loader)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_s3(_moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A fresh bucket on a real S3 HTTP server; credentials, region and endpoint are in the environment.

    ``open_store(f"s3://{moto_s3.bucket}/prefix")`` needs nothing else, and neither does a child process
    that inherits ``os.environ``.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", _moto_endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")

    bucket = f"labels-{uuid.uuid4().hex[:12]}"
    # A bare PUT, which moto takes without a signature; a boto3 client costs a fifth of a second to make.
    urllib.request.urlopen(urllib.request.Request(f"{_moto_endpoint}/{bucket}", method="PUT")).close()
    return S3Server(_moto_endpoint, bucket)


@pytest.fixture(scope="session")
def coco_mini(pytestconfig: pytest.Config) -> Path:
    """The folder of the small COCO dataset of real photographs, or a skip where it is absent.

    It lies beside the repository; the variable FASTLABEL_COCO_MINI names another place.
    """
    named = os.environ.get("FASTLABEL_COCO_MINI")
    folder = Path(named) if named else pytestconfig.rootpath.parent / "shared" / "data" / "coco-mini"
    if not folder.is_dir():
        pytest.skip("the coco-mini dataset is not here (FASTLABEL_COCO_MINI names its folder)")
    return folder
