"""The tutorial does what it says: its own commands and files, run in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
NOT_RUN = "<!-- not run by the test"
STEP = "--- the next step ---"
# A process for each step, as a run has by default, loads the same modules over and over: most of this test's time.
# test_dagster_project.py launches a run as it is.
ONE_PROCESS = """--config-json '{"execution": {"config": {"in_process": {}}}}'"""

pytestmark = pytest.mark.skipif(
    not (Path(sys.executable).parent / "create-dagster").exists(), reason="create-dagster is not installed"
)


class Block(NamedTuple):
    """A fenced block of the page: ``sh``, ``yaml`` or ``python`` with what it holds, or ``text`` that must be seen."""

    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks in order, without those the page says are not run."""
    found = re.finditer(r"(?P<note><!--[^\n]*-->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", page, re.DOTALL)
    return [Block(one["kind"], one["text"]) for one in found if not (one["note"] or "").startswith(NOT_RUN)]


def script(page: list[Block], port: int) -> tuple[str, list[list[str]]]:
    """One shell script of the page's commands, which also writes its files, and what each of its steps must say."""
    lines = ["set -e"]
    expected: list[list[str]] = []
    for block in page:
        text = block.text.replace("8765", str(port))
        if block.kind == "text":
            expected[-1] += [line for line in text.splitlines() if line.strip()]
        elif block.kind == "sh":
            text = text.replace("sandbox --speed", f"sandbox --port {port} --speed")
            lines += [f"echo '{STEP}'", text.replace("dg launch", f"dg launch {ONE_PROCESS}")]
            expected.append([])
        else:
            place = text.splitlines()[0].removeprefix("# ")
            lines += [f'mkdir -p "$(dirname {place})"', f"cat > {place} <<'END_OF_FILE'", text.rstrip(), "END_OF_FILE"]
    return "\n".join(lines), expected


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell as somebody new has it, with this environment's commands, and with nothing of FastLabel set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FASTLABEL_", "DAGSTER_", "AWS_", "PYTEST_")) and name != "VIRTUAL_ENV"
    }
    home = tmp_path / "home"
    home.mkdir()
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "COLUMNS": "200",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": "",
        # nothing of this test leaves the machine
        "CREATE_DAGSTER_UPDATE_CHECK_ENABLED": "0",
        "DAGSTER_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A bash of its own group, so that what it leaves in the background ends with the test."""
    shell = subprocess.Popen(
        ["bash", "-s"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield shell
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


def test_the_tutorial_does_what_it_says(shell, tmp_path, free_port):
    commands, expected = script(blocks(PAGE.read_text(encoding="utf-8")), free_port)
    # the sandbox goes on in the background: it must not hold our end of the pipe
    said, _ = shell.communicate(commands, timeout=600)
    assert shell.returncode == 0, said[-5000:]
    steps = said.split(STEP)[1:]
    assert len(steps) == len(expected)
    missing = [line for step, lines in zip(steps, expected, strict=True) for line in lines if line not in step]
    assert missing == [], said[-5000:]
    project = tmp_path / "labels"
    assert (project / "data" / "street-scenes" / "coco" / "annotations.json").is_file()
    kept = "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in project.rglob("*")
        if path.is_file() and path.suffix in {".yaml", ".py", ".toml", ".json", ".md", ""}
    )
    assert "sandbox-token" not in kept, "the token ended in a file of the project"


def test_the_page_is_read_as_it_is_meant():
    page = "words\n```sh\na\n```\n<!-- not run by the test: no -->\n```sh\nb\n```\n```text\nseen\n```\n"
    assert blocks(page) == [Block("sh", "a\n"), Block("text", "seen\n")]
