"""The request budget: never more requests in a window than it allows, for all clients of a token together."""

from __future__ import annotations

import threading
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
