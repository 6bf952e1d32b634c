"""A client with other limits: the same token, connections, budget and counts, but less patient."""

from __future__ import annotations

from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, RateLimited, RequestBudget, RetryPolicy, ServerError


def test_it_gives_up_sooner_and_counts_together(server: Any, reply: Any, token: str, patient: Any) -> None:
    client = FastLabelClient(token, server.url, retry=patient)
    hurried = client.with_limits(timeout=3, retry=RetryPolicy(attempts=1))
    server.replies(reply(None, 503), reply(None, 503), reply([]))
    with pytest.raises(ServerError):
        hurried.projects.list()
    assert client.statistics.requests == hurried.statistics.requests == 1
    assert client.projects.list() == []
    assert client.statistics.requests == 3 and client.statistics.retries == 1
    assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {token}"}
    assert repr(hurried) == repr(client) and token not in repr(hurried)


def test_what_is_not_named_stays(server: Any, reply: Any, token: str, patient: Any) -> None:
    client = FastLabelClient(token, server.url, retry=patient).with_limits(timeout=7)
    server.replies(reply(None, 503), reply([]))
    assert client.projects.list() == []


def test_it_does_not_wait_longer_for_the_budget_than_it_may(server: Any, naps: Any, token: str) -> None:
    budget = RequestBudget(2, 60, clock=naps.clock, sleep=naps.sleep)
    client = FastLabelClient(token, server.url, budget=budget)
    hurried = client.with_limits(retry=RetryPolicy(total_seconds=10))
    for _ in range(2):
        hurried.projects.list()
    with pytest.raises(RateLimited) as caught:
        hurried.projects.list()
    assert 10 < caught.value.retry_after <= 61 and caught.value.status is None
    assert naps.taken == [] and len(server.seen) == 2
    naps.now += 55
    hurried.projects.list()  # six seconds are not too long
    assert sum(naps.taken) < 10
    for _ in range(2):
        client.projects.list()  # whoever has time waits as before
    assert sum(naps.taken) > 10
