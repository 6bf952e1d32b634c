"""The request budget: never more requests in a window than it allows, for all clients of a token together."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, RequestBudget


def test_a_window_never_holds_more_than_the_budget(server: Any, naps: Any, patient: Any, token: str) -> None:
    sent: list[float] = []
    server.answer = lambda seen, answer=server.answer: sent.append(naps.now) or answer(seen)
    budget = RequestBudget(5, 60, clock=naps.clock, sleep=naps.sleep)
    client = FastLabelClient(token, server.url, budget=budget, retry=patient)
    for _ in range(17):
        naps.now += 1
        client.projects.list()
    assert len(sent) == 17
    for start in sent:
        assert sum(start <= moment < start + 60 for moment in sent) <= 5
    assert sent[-1] - sent[0] < 4 * 61  # and it waits no longer than it must
    assert client.statistics.waited_seconds == pytest.approx(sum(naps.taken))
    assert client.statistics.waited_seconds > 100


def test_clients_of_one_token_share_and_others_do_not(server: Any, naps: Any) -> None:
    budget = RequestBudget(3, 60, clock=naps.clock, sleep=naps.sleep)
    one, same, other = (FastLabelClient(t, server.url, budget=budget) for t in ("one", "one", "other"))
    for client in (one, same, one, other, other, other):
        client.projects.list()
    assert naps.taken == []
    same.projects.list()
    assert sum(naps.taken) >= 60
    assert other.statistics.waited_seconds == 0


def test_repetitions_cost_budget_too(server: Any, reply: Any, naps: Any, patient: Any) -> None:
    budget = RequestBudget(2, 60, clock=naps.clock, sleep=naps.sleep)
    server.replies(reply(None, 503), reply(None, 503), reply([]))
    client = FastLabelClient("retries", server.url, budget=budget, retry=patient)
    client.projects.list()
    assert client.statistics.requests == 3
    assert sum(naps.taken) >= 60


def test_threads_share_it(naps: Any) -> None:
    account = RequestBudget(50, 60, clock=naps.clock, sleep=naps.sleep).account("threads", "u")
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: [waits.append(account.spend()) for _ in range(10)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits == [0.0] * 50
    assert account.spend() > 0


def test_the_default_is_what_the_api_documents() -> None:
    assert (RequestBudget().requests, RequestBudget().seconds) == (10_000, 600)
    assert RequestBudget() == RequestBudget()


def test_a_budget_of_nothing_is_refused() -> None:
    for arguments in ((0, 60), (5, 0)):
        with pytest.raises(Invalid):
            RequestBudget(*arguments)


CHILD = """
import sys
from fastlabel_dagster.api import RequestBudget

class Full(Exception):
    pass

def stop(seconds):
    raise Full

budget = RequestBudget(40, 3600, shared=sys.argv[1], sleep=stop)
account = budget.account("secret-token", "http://api.example/v1/")
granted = 0
try:
    while True:
        account.spend()
        granted += 1
except Full:
    print(granted)
"""


def test_processes_share_it_when_asked(tmp_path: Path) -> None:
    shared = tmp_path / "not there yet" / "budget"
    command = [sys.executable, "-c", CHILD, str(shared)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    granted = [int(child.communicate(timeout=60)[0]) for child in children]
    assert sum(granted) == 40
    # And one that comes later finds the account as the others left it.
    later = subprocess.run(command, capture_output=True, text=True, check=True)
    assert later.stdout.strip() == "0"
    assert not any("secret-token" in file.name or b"secret-token" in file.read_bytes() for file in shared.iterdir())


def test_the_shared_window_slides(naps: Any, tmp_path: Path) -> None:
    budget = RequestBudget(5, 60, shared=tmp_path, clock=naps.clock, sleep=naps.sleep)
    account, other = budget.account("t", "u"), budget.account("other", "u")
    sent = []
    for _ in range(17):
        naps.now += 1
        account.spend()
        sent.append(naps.now)
    for start in sent:
        assert sum(start <= moment < start + 60 for moment in sent) <= 5
    assert sent[-1] - sent[0] < 4 * 61
    assert other.spend() == 0


def test_a_shared_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Invalid, match="cannot be kept"):
        RequestBudget(shared=tmp_path / "file").account("t", "u").spend()
