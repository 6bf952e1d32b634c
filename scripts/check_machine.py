"""Say in one sentence what a machine lacks before pip finds out in fifty lines. Plain Python, no dependencies.

Run by ``make`` before it builds the virtual environment; exits 1 with the reason and the remedy.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator

OLDEST = (3, 10)
NEWEST = (3, 14)
NEEDED_GB = 2.5  # dagster, pyarrow, OpenCV and the test tools, unpacked


def missing() -> "Iterator[str]":  # quoted: an old Python shall read this file, too, and hear that it is old
    """What is in the way, as sentences for a person; empty when all is well."""
    version = sys.version_info[:2]
    if version < OLDEST or version > NEWEST:
        oldest, newest, this = (".".join(map(str, pair)) for pair in (OLDEST, NEWEST, version))
        yield f"Python {oldest} to {newest} is needed, this is {this}; name another: `make PYTHON=python3.11 …`."
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            yield f"Python's module {module} is missing; on Debian and Ubuntu: apt-get install python3-venv."
    if not os.path.isdir(".venv"):
        free = shutil.disk_usage(".").free / 1e9
        if free < NEEDED_GB:
            yield f"{NEEDED_GB} GB of free disk are needed here, {free:.1f} GB are free."
    if not os.access(".", os.W_OK):
        yield f"This folder cannot be written to: {os.getcwd()}."


if __name__ == "__main__":
    reasons = list(missing())
    for reason in reasons:
        print(f"fastlabel-dagster cannot be set up: {reason}", file=sys.stderr)
    sys.exit(1 if reasons else 0)
