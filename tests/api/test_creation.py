"""Making something when the answer is lost: never twice, never another's, and never "not made" on a guess."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fastlabel_dagster.api import (
    FastLabelClient,
    Invalid,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
    Unauthorized,
)

UNCLEAR = "may have been made"


def posts(server: Any) -> int:
    return sum(seen.method == "POST" for seen in server.seen)


def make(client: FastLabelClient) -> str:
    return client.projects.create("image_bbox", "Street", "street")


def test_retry_after_is_honoured(client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    server.replies(reply(None, 503, {"Retry-After": "7"}), reply([]), reply("p"))
    assert make(client) == "p"
    assert naps.taken == [7.0]
    server.replies(reply(None, 503, {"Retry-After": "3600"}))
    with pytest.raises(ServerError, match=UNCLEAR) as caught:
        make(client)
    assert caught.value.retry_after == 3600
    assert naps.taken == [7.0]


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (404, NotFound), (500, ServerError)])
def test_a_look_up_that_fails_leaves_the_first_error(
    status: int, kind: type, client: FastLabelClient, server: Any, reply: Any
) -> None:
    server.answer = lambda seen: reply(drop=True) if seen.method == "POST" else reply({"message": "no"}, status)
    with pytest.raises(TransportError, match=UNCLEAR) as caught:
        make(client)
    assert isinstance(caught.value.__cause__, kind)
    assert posts(server) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (422, Invalid), (429, RateLimited)])
def test_a_refusal_after_a_lost_answer_does_not_mean_that_nothing_was_made(
    status: int, kind: type, client: FastLabelClient, server: Any, reply: Any
) -> None:
    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return reply([])
        return reply(drop=True) if posts(server) == 1 else reply({"message": "no"}, status, {"Retry-After": "999"})

    server.answer = answer
    with pytest.raises(TransportError, match=UNCLEAR) as caught:
        make(client)
    assert isinstance(caught.value.__cause__, kind)
    assert posts(server) == 2


def test_a_server_that_is_gone_after_a_lost_answer(server: Any, reply: Any, naps: Any, token: str) -> None:
    """Without a connection the second request was never sent, but the first one was."""

    def sleep(seconds: float) -> None:
        naps.sleep(seconds)
        if posts(server) == 1 and len(naps.taken) == 1:
            server.close()

    client = FastLabelClient(
        token,
        server.url,
        retry=RetryPolicy(attempts=3, clock=naps.clock, sleep=sleep),
        timeout=5,
        budget=None,
    )
    server.answer = lambda seen: reply(drop=True)
    with pytest.raises(TransportError, match="Connection reset") as caught:
        make(client)
    assert UNCLEAR in str(caught.value)
    assert "refused" in str(caught.value.__cause__)


def test_a_project_of_another_type_is_not_the_one_that_was_made(
    client: FastLabelClient, server: Any, reply: Any
) -> None:
    found = {"id": "old", "slug": "street", "type": "pcd_cuboid"}
    server.answer = lambda seen: reply(drop=True) if seen.method == "POST" else reply([found])
    with pytest.raises(TransportError, match=UNCLEAR) as caught:
        make(client)
    assert "something else of this name" in str(caught.value.__cause__)
    server.answer = lambda seen: (
        reply(drop=True) if seen.method == "POST" else reply([found | {"type": "image_bbox", "id": "new"}])
    )
    assert make(client) == "new"


@pytest.mark.parametrize("server_is_off_by", [0, -86_400 * 30, 86_400 * 30])
@pytest.mark.parametrize("what", ["project", "task", "dataset", "class", "object"])
def test_what_is_older_than_the_request_was_not_made_by_it(
    what: str, server_is_off_by: int, client: FastLabelClient, server: Any, reply: Any
) -> None:
    """By the server's own clock, which need not be right."""
    now = datetime.now(timezone.utc) + timedelta(seconds=server_is_off_by)
    named = {"id": "x", "slug": "s", "name": "s", "value": "s", "type": "bbox" if what == "class" else None}

    def found(seconds: float) -> dict[str, Any]:
        return named | {"createdAt": (now + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")}

    create = {
        "project": lambda: client.projects.create("image_bbox", "n", "s"),
        "task": lambda: client.text_tasks.create("p", "s", content=b"x"),
        "dataset": lambda: client.datasets.create("s")["id"],
        "class": lambda: client.annotation_classes.create("p", "bbox", "s", "S"),
        "object": lambda: client.dataset_objects.create("s", "s", content=b"x")["id"],
    }[what]
    listed: list[dict[str, Any]] = []

    def answer(seen: Any) -> Any:
        if seen.method == "POST":
            return reply(drop=True)
        one = listed[0] if "/objects/" in seen.path else listed
        return reply(one, headers={"Date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    server.answer = answer
    for age in (60, 86_400 * 60):
        listed[:] = [found(-age)]
        with pytest.raises(TransportError, match=UNCLEAR):
            create()
    for unknown in ({"createdAt": None}, {"createdAt": "yesterday"}, {"createdAt": "2001-01-01T00:00:00"}):
        listed[:] = [named | unknown]
        assert create() == "x"
    listed[:] = [found(1)]
    assert create() == "x"


def test_what_is_listed_without_an_id(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(drop=True) if seen.method == "POST" else reply([{"slug": "street"}])
    with pytest.raises(ServerError, match="without an id"):
        make(client)
