"""Exactly once, whatever dies: schedules of kills, crashes and lost answers, drawn by their number.

``FASTLABEL_FIRE=200 pytest -n 2 --dist load tests/fire/test_exactly_once.py`` plays 200 of them on two cores in eight
minutes or so, ``FASTLABEL_FIRE_FROM=80`` only those from number 80 on; without it a dozen.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
from world import Workers, World

SCHEDULES = int(os.environ.get("FASTLABEL_FIRE", "12"))
FIRST = int(os.environ.get("FASTLABEL_FIRE_FROM", "0"))
BATCHES = 2
#: Several tests, so that a failure names few schedules.
GROUPS = max(1, min(SCHEDULES - FIRST, 4))


@pytest.fixture(scope="module")
def workers():
    return Workers()


@pytest.fixture(scope="module")
def fast_folder():
    """A folder in memory where there is one: every event is a commit of SQLite."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fire-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def home(fast_folder):
    """A Dagster home with its databases made, to be copied."""
    folder = fast_folder / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert instance.get_runs() == []
    return folder


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_done_twice_and_nothing_is_missed(group, fast_folder, home, workers):
    met: Counter[str] = Counter()
    numbers = range(FIRST + group, SCHEDULES, GROUPS)
    for number in numbers:
        folder = fast_folder / str(number)
        folder.mkdir()
        with World(number, folder, home, workers) as world:
            world.play(BATCHES)
            assert world.account().wrong() == [], f"schedule {number}: {world.story}"
            met.update(world.met)
            met["trainings"] += len(world.account().started("training"))
            met["imports"] += len(world.imports)
            met["faults"] += world.sandbox.state.faults.summary()["total"]
        shutil.rmtree(folder)
    print(group, dict(met))
    if len(numbers) < 3:
        return  # of a schedule or two, chosen by hand, nobody knows what happens in them
    # schedules in which nothing happens prove nothing
    assert met["trainings"] and met["imports"] and met["faults"], met
    assert any(what.startswith("run killed") for what in met), met


def test_a_submission_that_forgets_what_it_has_begun_is_found_out(fast_folder, home, workers):
    folder = fast_folder / "forgetful"
    folder.mkdir()
    with World(0, folder, home, workers, FIRE_FORGETFUL="1") as world:
        world.happen("ticks")
        world.happen("approvals")
        world.happen("ticks")
        world.happen("run killed as a job begins")
        world.calm_down()
        assert any("trainings of 1 versions" in one for one in world.account().wrong())
