"""Refresh the pictures in docs/images: play the demo, look at the UI with a headless Chromium, keep what it shows.

    python scripts/screenshots.py [FOLDER]     default docs/images

Takes about two minutes. Needs playwright (part of the [dev] extra) and a Chromium on the PATH.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import dagster as dg
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from dagster_project.demo import SPEED, play
from dagster_project.rounds import Loop
from dagster_project.services import DagsterServices
from dagster_project.surroundings import Surroundings
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_drawn

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "street-scenes"
#: No picture weighs more, so that the pages they stand on load fast.
MOST_BYTES = 300_000
GROUP = "/locations/fastlabel/asset-groups/street_scenes/lineage"


def lineage(page: Page) -> None:
    page.set_viewport_size({"width": 1900, "height": 1060})
    page.goto(GROUP)
    page.get_by_text("auto_annotation", exact=True).first.wait_for()
    page.get_by_text("Hide navigation").click()


def markdown(page: Page, name: str) -> None:
    """Open the picture that an event shows under a metadata key."""
    page.set_viewport_size({"width": 1400, "height": 1030})
    page.goto("/assets/street-scenes/annotations?view=events")
    row = page.get_by_role("row").filter(has_text=re.compile(f"^{name}"))
    row.get_by_text(re.compile("show markdown", re.IGNORECASE)).first.click()
    page.get_by_role("dialog").locator("img").first.wait_for()


def approvals(page: Page) -> None:
    page.set_viewport_size({"width": 1400, "height": 940})
    page.goto("/locations/fastlabel/sensors/street_scenes_approvals")
    page.get_by_text(re.compile("runs? requested")).first.wait_for()
    page.get_by_text("All ticks", exact=True).click()
    page.get_by_role("menuitem").get_by_text("Requested", exact=True).click()  # only those that asked for a run
    page.get_by_text("1 run requested").first.wait_for()


def gate(page: Page) -> None:
    page.set_viewport_size({"width": 1400, "height": 940})
    page.goto("/assets/street-scenes/evaluation?view=checks&checkDetail=gate")
    page.get_by_text("MISSES").first.wait_for()


#: File -> what is to be seen.
PICTURES: dict[str, Any] = {
    "lineage.png": lineage,
    "annotations-histogram.png": lambda page: markdown(page, "class_histogram"),
    "annotations-contact-sheet.png": lambda page: markdown(page, "contact_sheet"),
    "approval-sensor.png": approvals,
    "gate.png": gate,
}


def small(png: bytes) -> bytes:
    """The picture as it is, or with as many colours less as it takes: a UI has few, and classes keep theirs."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    candidates = [
        picture,
        *(picture.quantize(n, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE) for n in (256, 128)),
    ]
    for candidate in candidates:
        buffer = io.BytesIO()
        candidate.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def shoot(url: str, folder: Path) -> None:
    """Every picture from the UI at ``url``."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, show in PICTURES.items():
            page = browser.new_page(base_url=url)
            page.set_default_timeout(30_000)
            show(page)
            page.wait_for_timeout(2500)  # counts and dates arrive after the names
            dialog = page.get_by_role("dialog")
            content = small(dialog.screenshot() if dialog.count() else page.screenshot())
            (folder / name).write_bytes(content)
            print(f"  {name:<32} {len(content) / 1000:.0f} kB")
            page.close()
        browser.close()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        here = Surroundings(PROJECT, f"{place}/out", Path(place) / "demo")
        here.make()
        with Sandbox(here.sandbox, speed=SPEED) as sandbox:
            seeded = seed_drawn(sandbox.state, project=PROJECT, tasks=240)
            here.enter(sandbox.url, retrain_every=40)
            with DagsterServices(here.dagster_home, folder=ROOT) as services, dg.DagsterInstance.get() as instance:
                play(Loop(PROJECT, services, instance, sandbox), here, sandbox, seeded, 40)
                shoot(services.url, folder)


if __name__ == "__main__":
    main()
