"""``fastlabel-dagster doctor``: one line for each thing that has to be right, and the remedy where it is not."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

_EMPTY = " (empty: nothing was mirrored here yet)"
_NEW = " (new: it knows no run, sensors begin from now, and a gate has no earlier model to compare with)"


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and what was seen or what to do."""

    subject: str
    well: bool
    words: str


def findings(store: str | None = None) -> Iterator[Finding]:
    """Look at the token, the store (when one is named), Dagster and OpenCV, one after another."""
    yield _token()
    if store:
        yield look_at_store(store)
    yield _dagster()
    yield _opencv()


def _token() -> Finding:
    from fastlabel_dagster.api import FastLabelClient, FastLabelError, RetryPolicy

    if not os.environ.get("FASTLABEL_ACCESS_TOKEN"):
        return Finding(
            "token", False, "FASTLABEL_ACCESS_TOKEN is not set → export it, or try `fastlabel-dagster sandbox`"
        )
    host = ""
    try:
        with FastLabelClient(retry=RetryPolicy(attempts=1)) as client:
            host = urlsplit(client.base_url).netloc
            start = time.perf_counter()
            client.projects.list(limit=1)
    except FastLabelError as error:
        return Finding("token", False, f"found in FASTLABEL_ACCESS_TOKEN, but {host}: {error}")
    took = (time.perf_counter() - start) * 1000
    return Finding("token", True, f"found in FASTLABEL_ACCESS_TOKEN, accepted by {host} ({took:.0f} ms)")


def look_at_store(uri: str) -> Finding:
    """Write, read and delete a small file in the store at ``uri`` (a folder or ``s3://bucket/prefix``), and see whether
    anything else is there: a relative folder is another one wherever the command is run."""
    from fastlabel_dagster.store import open_store

    probe = "doctor-was-here.txt"
    try:
        store = open_store(uri)
        empty = next(iter(store.list()), None) is None
        store.write_bytes(probe, b"fastlabel-dagster doctor")
        read = store.read_bytes(probe)
        store.delete([probe])
    except (OSError, ValueError) as error:
        return Finding("store", False, f"{uri}: {error}")
    return Finding(
        "store",
        read == b"fastlabel-dagster doctor",
        f"{store.uri}: write yes, read yes, delete yes{_EMPTY if empty else ''}",
    )


def _dagster() -> Finding:
    try:
        version = importlib.import_module("dagster").__version__
    except ImportError as error:
        return Finding("dagster", False, f"cannot be imported: {error} → pip install 'dagster>=1.13,<2'")
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return Finding("dagster", True, f"{version}, DAGSTER_HOME not set (runs are kept only while the process lives)")
    folder = Path(home).expanduser()  # as Dagster does
    if not folder.is_absolute():
        return Finding("dagster", False, f"{version}, DAGSTER_HOME {home} → Dagster wants an absolute path")
    if not folder.is_dir():
        return Finding("dagster", False, f"{version}, DAGSTER_HOME {home} is no folder → mkdir -p {folder}")
    return Finding("dagster", True, f"{version}, DAGSTER_HOME {home}{_NEW if _is_new(folder) else ''}")


def _is_new(home: Path) -> bool:
    """Whether no run is known there; False where ``dagster.yaml`` may keep them elsewhere."""
    settings = home / "dagster.yaml"
    elsewhere = settings.is_file() and "storage" in settings.read_text(encoding="utf-8", errors="replace")
    return not elsewhere and not (home / "history").exists()


def _opencv() -> Finding:
    try:
        version = importlib.import_module("cv2").__version__
    except ImportError as error:
        remedy = "apt-get install libgl1, or pip install opencv-python-headless in place of opencv-python"
        return Finding("opencv", False, f"{error} → {remedy}")
    return Finding("opencv", True, str(version))


@click.command()
@click.option("--store", metavar="URI", help="A folder or s3://bucket/prefix to try as well.")
def doctor(store: str | None) -> None:
    """Check the token, the store, Dagster and OpenCV; says what to do about each that is not well."""
    well = True
    for finding in findings(store):
        click.echo(f"  {'ok ' if finding.well else '-- '} {finding.subject:<10} {finding.words}")
        well = well and finding.well
    if not well:
        raise SystemExit(1)
