"""SIGKILL at random instants: what was committed stays readable, and the next run arrives where it should."""

from __future__ import annotations

import os
import random
import runpy
from pathlib import Path

import pytest

from fastlabel_dagster.store import ImageFolder, open_store
from fastlabel_dagster.sync import download_images, sync_project

PROJECT = "street"
KILLS = int(os.environ.get("FASTLABEL_KILLS", "12"))
kill_at_random = runpy.run_path(str(Path(__file__).with_name("kill_at_random.py")))

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a POSIX signal")


def test_killed_syncs_leave_a_readable_mirror_and_the_next_converges(tmp_path):
    """``FASTLABEL_KILLS=50`` kills fifty times."""
    counts = kill_at_random["sync_under_kills"](KILLS, tmp_path)
    assert counts["killed"] == KILLS


def test_killed_downloads_are_taken_up_again(sandbox, client, box_tasks, picture, tmp_path):
    tasks = box_tasks(150)
    sandbox.state.add_tasks(PROJECT, tasks, {task["name"]: picture(n) for n, task in enumerate(tasks)})
    download_under_kills(sandbox, client, PROJECT, tmp_path, files=150)


def test_killed_downloads_of_sequences_are_taken_up_again(sandbox, client, picture, tmp_path):
    sandbox.state.create_project("walks", type="sequential_image_bbox")
    names = [f"{number:02}.jpg" for number in range(10)]
    tasks = [{"name": f"walk-{number}", "contents": [{"name": name} for name in names]} for number in range(12)]
    files = {f"{task['name']}/{name}": picture(number) for task in tasks for number, name in enumerate(names)}
    sandbox.state.add_tasks("walks", tasks, files)
    download_under_kills(sandbox, client, "walks", tmp_path, files=120)


def download_under_kills(sandbox, client, project, tmp_path, *, files):
    sync_project(client, project, tmp_path / "store")
    sync_project(client, project, tmp_path / "undisturbed")
    undisturbed = download_images(client, project, tmp_path / "undisturbed")
    victims, dice = kill_at_random["Victims"](), random.Random(1)
    what = {"url": sandbox.url, "token": sandbox.token, "project": project, "store": str(tmp_path / "store")}
    for _ in range(4):
        victims.run(dice.uniform(0.05, undisturbed.seconds / 2), **what, work="images")
    report = download_images(client, project, tmp_path / "store")
    assert report.kept + report.adopted + report.downloaded == files
    assert report.digest == undisturbed.digest
    folder = ImageFolder(open_store(tmp_path / "store").at("images"))
    left = {found.path for found in folder.store.list()}
    assert left == {*folder.files().values(), "index.parquet"}
