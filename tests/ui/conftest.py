"""A running Dagster with one round of the loop in it, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from dagster_project.rounds import Loop
from dagster_project.services import DagsterServices
from dagster_project.surroundings import Surroundings
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_drawn

ROOT = Path(__file__).parent.parent.parent
PROJECT = "street-scenes"
#: As the names of Debian, Ubuntu, and Google's own build go.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

#: What runs before the daemon is there; in one process, as it is not what is looked at.
HISTORY = """
import dagster as dg
from dagster_project.definitions import defs
with dg.DagsterInstance.get() as instance:
    for job in ("street_scenes_sync", "street_scenes_retrain"):
        assert defs.resolve_job_def(job).execute_in_process(instance=instance).success
"""


class Shown(NamedTuple):
    """Where the UI is, and what is behind it."""

    url: str
    loop: Loop


def browser_path() -> str:
    """The browser's executable; skips where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to look at the UI with: none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The UI after a round of the loop: approvals are published and trained on, the daemon has done the rest."""
    browser_path()
    folder = tmp_path_factory.mktemp("ui")
    here = Surroundings(PROJECT, str(folder / "store"), folder / "demo")
    here.make()
    with pytest.MonkeyPatch.context() as patch, Sandbox(here.sandbox, speed=600) as sandbox:
        for name in [name for name in os.environ if name.startswith(("FASTLABEL_", "DAGSTER_"))]:
            patch.delenv(name)
        seed_drawn(sandbox.state, project=PROJECT, tasks=16)
        patch.setenv("FASTLABEL_SANDBOX_URL", sandbox.url)
        patch.setenv("FASTLABEL_PROJECT", PROJECT)
        patch.setenv("FASTLABEL_STORE", here.store)
        patch.setenv("FASTLABEL_RETRAIN_EVERY", "500")
        patch.setenv("DAGSTER_HOME", str(here.dagster_home))
        services = DagsterServices(here.dagster_home, folder=ROOT)
        try:
            services.begin()
            subprocess.run([sys.executable, "-W", "ignore", "-c", HISTORY], cwd=ROOT, check=True, capture_output=True)
            services.finish_start()
            with dg.DagsterInstance.from_config(str(here.dagster_home)) as instance:
                loop = Loop(PROJECT, services, instance, sandbox)
                loop.wait_for_ticks()
                loop.wait_for_runs("evaluate", 1)
                yield Shown(services.url, loop)
        finally:
            services.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium; skips where there is none.

    It ends with its module: Playwright's event loop runs as long as it does, and no other test could start one.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = browser_path()
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, shown) -> Iterator[object]:
    """A tab at the UI's address, so large that nothing has to be scrolled to."""
    tab = browser.new_page(viewport={"width": 1680, "height": 1400}, base_url=shown.url)
    tab.set_default_timeout(60_000)
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    tab.close()
    assert errors == []
