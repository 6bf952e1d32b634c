"""The scan and the mirror under fire: tasks are added, changed and deleted while pages are being read."""

from __future__ import annotations

import os
import random
import runpy
import threading
import time
from pathlib import Path

import pytest
import requests

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sync import ConcurrentSync, LabelMirror, sync_project
from fastlabel_dagster.sync.scan import scan_project
from fastlabel_dagster.sync.spill import TaskSpill

PROJECT = "street"
FIRE = int(os.environ.get("FASTLABEL_SCAN_TASKS", "300"))
FIRES = int(os.environ.get("FASTLABEL_SCAN_TIMES", "2"))
fire = runpy.run_path(str(Path(__file__).with_name("fire.py")))


@pytest.fixture
def scanned(client):
    """A scan in small pages that calls ``at[n]()`` after page n of all passes together; and its tasks by id."""

    def scan(at=None, **options):
        pages = 0

        def on_page(_):
            nonlocal pages
            pages += 1
            if at and pages in at:
                at[pages]()

        with TaskSpill() as spill:
            result = scan_project(client, PROJECT, spill, page_size=10, on_page=on_page, **options)
            ids = [task_id for _, tasks in spill.by_bucket(1) for task_id, _ in tasks]
            assert len(ids) == len(set(ids)) == spill.tasks
            return result, {task["id"]: task for task in spill.bodies(ids)}

    return scan


def test_quiet_project_takes_two_passes(sandbox, box_tasks, scanned):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(95))
    result, tasks = scanned()
    assert (result.passes, result.settled, result.looked_up) == (2, True, 0)
    assert set(tasks) == set(ids)


def test_deleting_read_tasks_makes_pages_skip_and_nothing_is_lost(sandbox, box_tasks, scanned):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(200))
    gone = ids[:9]

    def delete():
        for task_id in gone:
            sandbox.state.delete_task(task_id)

    # confirm=False: the proof alone has to find the nine tasks that moved to pages read before.
    result, tasks = scanned({2: delete}, confirm=False)
    assert set(tasks) == set(ids[9:])
    assert result.settled
    assert result.looked_up >= 18  # nine skipped, nine gone


def test_task_changed_after_its_page_was_read_is_caught(sandbox, box_tasks, scanned):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(60))
    changed = ids[3]
    result, tasks = scanned({4: lambda: sandbox.state.set_status(changed, "sent_back")})
    assert tasks[changed]["status"] == "sent_back"
    assert result.settled
    assert result.passes == 3  # the second saw a difference, the third none


def test_one_pass_misses_that_change_and_does_not_claim_otherwise(sandbox, box_tasks, scanned):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(60))
    _, tasks = scanned({4: lambda: sandbox.state.set_status(ids[3], "sent_back")}, confirm=False)
    assert tasks[ids[3]]["status"] == "registered"


def test_task_added_while_reading_is_there(sandbox, box_tasks, scanned):
    sandbox.state.add_tasks(PROJECT, box_tasks(50))
    added = []
    result, tasks = scanned({1: lambda: added.extend(sandbox.state.add_tasks(PROJECT, box_tasks(3, start=500)))})
    assert set(added) <= set(tasks)
    assert result.settled


def test_project_that_never_stands_still_is_reported(sandbox, box_tasks, scanned):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(30))
    statuses = iter(["reviewed", "approved", "sent_back", "skipped", "completed"])
    edits = {page: (lambda: sandbox.state.set_status(ids[0], next(statuses))) for page in (2, 5, 8, 11)}
    said = []
    result, tasks = scanned(edits, max_passes=3, log=said.append)
    assert (result.passes, result.settled) == (3, False)
    assert len(tasks) == 30
    assert any("still changing after 3 passes" in sentence for sentence in said)


def test_mirror_under_fire(sandbox, client, box_tasks, at_the_api, in_the_mirror, tmp_path):
    """One thread works on the project like many people would, while syncs in small pages go on."""
    state = sandbox.state
    steady = state.add_tasks(PROJECT, box_tasks(300))
    loose = state.add_tasks(PROJECT, box_tasks(60, start=300))
    stop = threading.Event()
    dice = random.Random(7)

    def work() -> None:
        number = 1000
        while not stop.is_set():
            chance = dice.random()
            if chance < 0.3:
                loose.extend(state.add_tasks(PROJECT, box_tasks(3, start=number)))
                number += 3
            elif chance < 0.6 and loose:
                state.delete_task(loose.pop(dice.randrange(len(loose))))
            else:
                points = [dice.randrange(30), 2, 31 + dice.randrange(30), 40]
                annotations = [{"type": "bbox", "value": "car", "points": points}]
                state.update_task(dice.choice(steady), annotations=annotations)
            time.sleep(0.001)

    worker = threading.Thread(target=work)
    worker.start()
    mirror = LabelMirror(tmp_path / "labels")
    try:
        for _ in range(3):
            start = at_the_api()
            report = sync_project(client, PROJECT, tmp_path, page_size=40, max_passes=2, buckets=8)
            found = in_the_mirror(mirror, report.version)
            assert set(steady) <= set(found)  # exactly once: in_the_mirror fails on a repeat
            for task_id in steady:
                assert found[task_id]["updatedAt"] >= start[task_id]["updatedAt"]
    finally:
        stop.set()
        worker.join()
    last = sync_project(client, PROJECT, tmp_path, page_size=40)
    assert last.settled
    assert in_the_mirror(mirror) == at_the_api()


@pytest.mark.parametrize("seed", range(FIRES))
def test_mirror_against_a_log_of_the_fire(tmp_path, seed):
    """``FASTLABEL_SCAN_TASKS=3000 FASTLABEL_SCAN_TIMES=5``: a fire of 3,000 tasks, five times."""
    outcome = fire["sync_under_fire"](tmp_path, tasks=FIRE, page_size=max(10, FIRE // 30), seed=seed)
    assert outcome["changed"] > 0
    assert outcome["deleted"] > 0


@pytest.mark.parametrize("mirrored_before", [True, False])
def test_two_syncs_at_once_lose_nothing(
    sandbox, client, box_tasks, at_the_api, in_the_mirror, tmp_path, mirrored_before
):
    """Another sync, of a newer state, commits between a sync's scan and its commit: the slower one reads again."""
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(40))
    if mirrored_before:
        sync_project(client, PROJECT, tmp_path, buckets=4)
        sandbox.state.set_status(ids[0], "sent_back")
    others = []

    def overtake(response, **_):
        if "annotation" in response.url and not others:
            sandbox.state.set_status(ids[1], "reviewed")
            others.append(sync_project(client, PROJECT, tmp_path))

    session = requests.Session()
    session.hooks["response"].append(overtake)
    said = []
    with FastLabelClient(sandbox.token, sandbox.url, session=session, budget=None) as slow:
        report = sync_project(slow, PROJECT, tmp_path, log=said.append)
    assert others[0].changed
    assert (report.version, report.digest, report.changed) == (others[0].version, others[0].digest, False)
    assert any("another sync committed meanwhile" in sentence for sentence in said)
    assert in_the_mirror(LabelMirror(tmp_path / "labels")) == at_the_api()


def test_sync_that_is_overtaken_again_and_again_gives_up_clearly(sandbox, client, box_tasks, tmp_path):
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(10))
    busy = []

    def overtake(response, **_):
        if "annotation" in response.url:
            sandbox.state.set_status(ids[0], ["reviewed", "sent_back"][len(busy) % 2])
            sandbox.state.set_status(ids[1], ["sent_back", "reviewed"][len(busy) % 2])
            busy.append(sync_project(client, PROJECT, tmp_path))
            sandbox.state.set_status(ids[0], "skipped")

    session = requests.Session()
    session.hooks["response"].append(overtake)
    with (
        FastLabelClient(sandbox.token, sandbox.url, session=session, budget=None) as slow,
        pytest.raises(ConcurrentSync, match=r"at the same time|just made"),
    ):
        sync_project(slow, PROJECT, tmp_path)
    assert LabelMirror(tmp_path / "labels").digest == busy[-1].digest
