"""A measurement is a process of its own: seconds, and what its memory grew by above the moment before the work."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def in_a_process(module: str, *arguments: object) -> Any:
    """Run ``python -m module arguments…`` and read the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{module} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def resident_mb() -> float:
    """Resident memory of this process now, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what the system says of "self" elsewhere begins with the size of the parent on Linux
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@contextlib.contextmanager
def sandbox_in_a_process(data: Path) -> Iterator[tuple[str, str]]:
    """A sandbox server on ``data`` in a process of its own: its URL and token."""
    command = [sys.executable, "-m", "fastlabel_dagster.cli", "sandbox", "--port", "0", "--data", str(data)]
    with tempfile.TemporaryFile("w+") as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert server.stdout is not None
            address = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
            if address is None:
                errors.seek(0)
                raise SystemExit(f"the sandbox did not start: {errors.read()}")
            yield f"{address.group()}/v1/", "sandbox-token"
        finally:
            server.terminate()
            server.wait(timeout=30)
