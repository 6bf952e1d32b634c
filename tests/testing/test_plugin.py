"""The pytest plugin as its users meet it: in their own test files, run by pytest in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

#: Finds none of the packages of the [sandbox] extra, as where it is not installed.
WITHOUT_THE_EXTRA = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"starlette", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Absent())
"""


def run(folder: Path, code: str, *options: str, conftest: str = "") -> subprocess.CompletedProcess[str]:
    """pytest over one test file, with the plugins that the installed packages register."""
    (folder / "test_it.py").write_text(code, encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FASTLABEL_", "PYTEST_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--strict-markers",
        *options,
        str(folder),
    ]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_every_test_has_a_sandbox_of_its_own(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
import os
import pytest

def test_one(fastlabel_sandbox, fastlabel_client, fastlabel_project):
    assert os.environ["FASTLABEL_API_URL"] == fastlabel_sandbox.url
    assert os.environ["FASTLABEL_ACCESS_TOKEN"] == fastlabel_sandbox.token
    assert fastlabel_project == "street-scenes"
    assert fastlabel_client.tasks.count(fastlabel_project) == 50

@pytest.mark.fastlabel_sandbox(page_limit=4, token="mine")
@pytest.mark.fastlabel_project(tasks=9, project="other", seed=3)
def test_two(fastlabel_client, fastlabel_project, fastlabel_sandbox):
    assert fastlabel_sandbox.token == "mine"
    assert [project["slug"] for project in fastlabel_client.projects.list(limit=4)] == ["other"]
    assert len(fastlabel_client.image_tasks.list("other", limit=4)) == 4
    assert fastlabel_client.tasks.count(fastlabel_project) == 9

def test_three(fastlabel_sandbox):
    assert fastlabel_sandbox.seed(tasks=2).tasks == 2

def test_four():
    assert "FASTLABEL_API_URL" not in os.environ
""",
    )
    assert re.search(r"\b4 passed", done.stdout), done.stdout + done.stderr


def test_a_script_of_faults_meets_the_client(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
import pytest
from fastlabel_dagster.api import FastLabelError, RetryPolicy, FastLabelClient

def test_a_client_comes_through(fastlabel_sandbox, fastlabel_client, fastlabel_project):
    fastlabel_sandbox.fail("GET tasks/image", times=2, status=429, retry_after=0)
    fastlabel_sandbox.fail("GET tasks/image", kind="truncated")
    assert len(fastlabel_client.image_tasks.list(fastlabel_project)) == 50
    assert fastlabel_sandbox.state.faults.summary()["kinds"] == {"429": 2, "truncated": 1}

def test_an_impatient_one_does_not(fastlabel_sandbox):
    fastlabel_sandbox.fail("GET projects", status=503)
    with FastLabelClient(retry=RetryPolicy(attempts=1)) as client, pytest.raises(FastLabelError):
        client.projects.list()
""",
    )
    assert re.search(r"\b2 passed", done.stdout), done.stdout + done.stderr


def test_who_uses_no_fixture_pays_for_nothing(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
import sys

def test_it(request):
    assert request.config.pluginmanager.has_plugin("fastlabel_dagster")
    heavy = {"starlette", "uvicorn", "dagster", "requests", "numpy", "pyarrow", "pandas", "cv2", "boto3", "sqlite3"}
    assert heavy.isdisjoint(sys.modules)
""",
        "-p",
        "no:xdist",
        "-p",
        "no:hypothesispytest",
    )
    assert re.search(r"\b1 passed", done.stdout), done.stdout + done.stderr


def test_without_the_extra_only_who_asks_for_a_sandbox_hears_of_it(tmp_path: Path) -> None:
    code = "def test_fine():\n    pass\n\ndef test_asks(fastlabel_client):\n    pass\n"
    done = run(tmp_path, code, conftest=WITHOUT_THE_EXTRA)
    assert re.search(r"\b1 passed, 1 error", done.stdout), done.stdout + done.stderr
    assert 'pip install "fastlabel-dagster[sandbox]"' in done.stdout


def test_the_plugin_can_be_turned_off(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_asks(fastlabel_sandbox):\n    pass\n", "-p", "no:fastlabel_dagster")
    assert "fixture 'fastlabel_sandbox' not found" in done.stdout


def test_the_examples_of_the_manual_run(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    manual = (pytestconfig.rootpath / "docs" / "testing.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    assert len(examples) >= 5
    tests = sum(example.count("\ndef test_") + example.startswith("def test_") for example in examples)
    done = run(tmp_path, "\n".join(examples))
    assert re.search(rf"\b{tests} passed", done.stdout), done.stdout + done.stderr
