"""What was answered once is there after a restart, also when the process was killed; many at once get along."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox, SandboxError
from fastlabel_dagster.sandbox.seed import seed_drawn
from fastlabel_dagster.sandbox.state import SandboxState

RUN = "from fastlabel_dagster.sandbox.commands import sandbox; sandbox()"


@contextmanager
def served(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The sandbox in a process of its own, by its command, on a free port."""
    command = [sys.executable, "-c", RUN, "--data", str(data), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        address = re.search(r"http://\S+", said)
        assert address is not None
        assert not re.search(r"\b1 (projects|tasks)\b", said)
        for _ in range(200):
            try:
                requests.get(address.group(), timeout=10)
                break
            except requests.ConnectionError:
                time.sleep(0.02)
        yield process, f"{address.group()}/v1/"
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()


def test_everything_is_there_again_after_a_restart(tmp_path: Path, picture: Callable[..., str]) -> None:
    data = tmp_path / "data"
    with Sandbox(data) as first:
        state = first.state
        state.create_project("p", name="名前")
        state.create_class("p", "bbox", "car", "車", attributes=[{"key": "make", "type": "text"}])
        box = {"type": "bbox", "value": "car", "points": [1, 2, 3, 4]}
        (task_id,) = state.add_tasks(
            "p", [{"name": "a.jpg", "annotations": [box], "tags": ["t"]}], {"a.jpg": Path(picture())}
        )
        state.datasets.create("d")
        state.datasets.add_object("d", "a.txt", b"bytes", {})
        training = state.jobs.start_training({"datasetName": "d", "baseModelName": "fastlabel_x", "epoch": 1})
        history = state.start_import("p", seconds=1000)
        state.clock.advance(700)
        headers = {"Authorization": f"Bearer {first.token}"}

        def answers(sandbox: Sandbox) -> dict[str, Any]:
            paths = ["projects", "annotations?project=p", f"tasks/image/{task_id}", "tasks/count?project=p&tags=t"]
            paths += ["datasets-v2", "dataset-revision-objects?datasetName=d", f"tasks/import/histories/{history}"]
            paths += [f"trainings/{training['trainingJobId']}"]
            found = {path: requests.get(sandbox.url + path, headers=headers, timeout=10).json() for path in paths}
            found[paths[2]].pop("url")
            found[paths[-1]]["customModel"].pop("modelURL")
            return found

        before = answers(first)
        link = state.files.link("", state.tasks.file_of(task_id) or "")
    with Sandbox(data) as second:
        assert answers(second) == before
        assert before[f"trainings/{training['trainingJobId']}"]["status"] == "completed"
        assert before[f"tasks/import/histories/{history}"]["status"] == "running"
        assert requests.get(second.base + link, timeout=10).content == Path(picture()).read_bytes()
        second.state.clock.advance(301)
        assert answers(second)[f"tasks/import/histories/{history}"]["status"] == "completed"


def test_what_was_answered_survives_a_kill(tmp_path: Path, picture: Callable[..., str]) -> None:
    import base64

    data = tmp_path / "data"
    headers = {"Authorization": "Bearer sandbox-token"}
    file = base64.b64encode(Path(picture()).read_bytes()).decode()
    known: list[str] = []
    for round_ in range(2):
        with served(data) as (process, url), requests.Session() as session:
            session.headers.update(headers)
            if round_ == 0:
                session.post(url + "projects", json={"type": "image_all", "name": "p", "slug": "p"}, timeout=10)
            for number in range(15):
                request = {"project": "p", "name": f"{round_}-{number}.jpg", "file": file}
                known.append(session.post(url + "tasks/image", json=request, timeout=10).json())
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
        with served(data) as (_, url):
            tasks = requests.get(url + "tasks/image?project=p", headers=headers, timeout=10).json()
            assert [task["id"] for task in tasks] == known
            assert requests.get(tasks[-1]["url"], timeout=10).content == Path(picture()).read_bytes()


def test_a_write_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with SandboxState(tmp_path / "data") as state:
        state.create_project("p")
        with pytest.raises(ZeroDivisionError), state.database.write():
            state.create_project("q")
            state.add_tasks("q", [{"name": "a.jpg"}])
            raise ZeroDivisionError
        assert state.find_project("q") is None
        state.create_project("q")
        assert state.task_ids("q") == []


def test_many_clients_at_once(sandbox: Sandbox) -> None:
    sandbox.state.create_project("p")
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    ids = sandbox.state.add_tasks("p", [{"name": f"{number}.jpg"} for number in range(40)])

    def work(number: int) -> int:
        with requests.Session() as session:
            session.headers.update(headers)
            changed = session.put(sandbox.url + f"tasks/{ids[number]}", json={"status": "approved"}, timeout=30)
            listed = session.get(sandbox.url + "tasks/image?project=p", timeout=30)
            tagged = {"project": "p", "taskIds": ids, "tags": [f"tag {number % 4}"]}
            session.post(sandbox.url + "tasks/tags/add", json=tagged, timeout=30)
            assert changed.status_code == 200
            return len(listed.json())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [40] * 40
    tasks = requests.get(sandbox.url + "tasks/image?project=p", headers=headers, timeout=30).json()
    assert [task["id"] for task in tasks] == ids
    assert {task["status"] for task in tasks} == {"approved"}
    assert all(sorted(task["tags"]) == [f"tag {number}" for number in range(4)] for task in tasks)


def test_two_processes_may_share_a_folder(sandbox: Sandbox) -> None:
    with SandboxState(sandbox.state.data) as other:
        other.create_project("p")
        other.add_tasks("p", [{"name": "a.jpg"}])
    assert sandbox.state.tasks.count("p") == 1


def test_a_second_server_on_a_folder_is_refused_until_the_first_has_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = sandbox.state.data
    for start in (Sandbox.start, Sandbox.listen, Sandbox.run):
        with pytest.raises(SandboxError, match="another sandbox runs on the data folder"):
            start(Sandbox(folder))
    with SandboxState(folder) as state:
        assert seed_drawn(state, tasks=1).tasks == 1, "to seed beside a running server works"
    assert sandbox.state.tasks.count("street-scenes") == 1
    with pytest.raises(SandboxError, match="port"):
        Sandbox(tmp_path / "other", port=sandbox.port).start()
    with Sandbox(tmp_path / "other"):
        pass
    sandbox.stop()
    with Sandbox(folder) as again:
        assert again.state.tasks.count("street-scenes") == 1


def test_a_server_that_stops_ends_its_answers_and_hangs_up_on_those_who_wait(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "data").start()
    address, headers = sandbox.url + "projects", {"authorization": f"Bearer {sandbox.token}"}
    with requests.Session() as kept:
        assert kept.get(address, headers=headers, timeout=30).json() == []
        sandbox.fail("GET projects", kind="slow", seconds=1)
        under_way = requests.get(address, headers=headers, stream=True, timeout=30)
        sandbox.stop()
        assert under_way.json() == []
        with pytest.raises(requests.ConnectionError):
            kept.get(address, headers=headers, timeout=30)
    with Sandbox(tmp_path / "data", port=sandbox.port) as again:
        assert requests.get(again.url + "projects", headers=headers, timeout=30).json() == []


def test_a_busy_port_and_an_unwritable_folder_say_so(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=f"port {sandbox.port}.*--port"):
        Sandbox(tmp_path / "other", port=sandbox.port).start()
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="cannot write"):
        Sandbox(tmp_path / "file")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sandbox.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(SandboxError, match="cannot open"):
        Sandbox(tmp_path / "old")
