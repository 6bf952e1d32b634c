"""Every kind of bad answer becomes one error of the tree, and says what the reader needs."""

from __future__ import annotations

import pickle
import socket
import ssl
from typing import Any

import pytest
import requests

from fastlabel_dagster.api import (
    FastLabelClient,
    FastLabelError,
    Invalid,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
    Unauthorized,
)

ANSWERS = [
    (401, b'{"statusCode": 401, "message": "Unauthorized", "error": "x"}', Unauthorized, "Unauthorized"),
    (403, b'{"message": "not a member"}', Unauthorized, "not a member"),
    (404, b'{"message": "no such project"}', NotFound, "no such project"),
    (422, b'{"message": "name is taken", "statusCode": 422}', Invalid, "name is taken"),
    (422, b'{"message": ["a is empty", "b is empty"]}', Invalid, "a is empty; b is empty"),
    (422, b'{"message": null, "error": "Unprocessable"}', Invalid, "Unprocessable"),
    (422, b'{"statusCode": 422}', Invalid, '{"statusCode": 422}'),
    (422, b'{"message": {"field": "name"}}', Invalid, '{"field": "name"}'),
    (400, b'["one", "two"]', Invalid, "one; two"),
    (400, b"null", Invalid, "Bad Request"),
    (400, b"", Invalid, "Bad Request"),
    (409, b"plain words", Invalid, "plain words"),
    (413, b"<html><head><title>413 Too Large</title></head></html>", Invalid, "an HTML page titled '413 Too Large'"),
    (500, b'{"message": "boom"}', ServerError, "boom"),
    (500, b"\xff\xfe broken", ServerError, "broken"),
    (501, b"<!DOCTYPE html><p>hello", ServerError, "an HTML page"),
    (304, b"", ServerError, "Not Modified"),
]


def test_what_is_not_there_says_what_may_have_become_of_it(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(raw=b'{"message": "Project is not found: night"}', status=404)
    with pytest.raises(NotFound, match=r"not found: night \(it may have been deleted or renamed"):
        client.tasks.count("night")


@pytest.mark.parametrize(("status", "body", "kind", "said"), ANSWERS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_answers_become_errors(
    method: str, status: int, body: bytes, kind: type, said: str, client: FastLabelClient, server: Any, reply: Any
) -> None:
    server.answer = lambda seen: reply(raw=body, status=status)
    with pytest.raises(kind) as caught:
        {
            "GET": lambda: client.find_project("p"),
            "POST": lambda: client.create_dataset("d"),
            "PUT": lambda: client.update_task("p"),
            "DELETE": lambda: client.delete_task("p"),
        }[method]()
    error = caught.value
    assert type(error) is kind
    assert said in error.message
    assert (error.status, error.method) == (status, method)
    assert error.path in ("projects/p", "datasets-v2", "tasks/p")
    # None of these is worth another try, but that reading again after a 500 does no harm.
    assert len(server.seen) == (4 if (method, status) == ("GET", 500) else 1)


def test_a_page_long_message_is_cut(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(raw=b"x" * 100_000, status=400))
    with pytest.raises(Invalid) as caught:
        client.get_projects()
    assert len(caught.value.message) == 2_000


def test_invalid_is_a_value_error_as_in_the_sdk() -> None:
    assert issubclass(Invalid, ValueError)


def test_429_is_waited_out(client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    server.replies(reply({"message": "slow down"}, 429, {"Retry-After": "7"}), reply([{"id": "1"}]))
    assert client.projects.list() == [{"id": "1"}]
    assert naps.taken == [7.0]
    assert (client.statistics.requests, client.statistics.retries, client.statistics.waited_seconds) == (2, 1, 7.0)


def test_429_for_longer_than_the_policy_waits_is_handed_on(
    client: FastLabelClient, server: Any, reply: Any, naps: Any
) -> None:
    server.answer = lambda seen: reply({"message": "slow down"}, 429, {"Retry-After": "540"})
    with pytest.raises(RateLimited) as caught:
        client.projects.list()
    assert caught.value.retry_after == 540
    assert naps.taken == []
    assert len(server.seen) == 1


def test_retry_after_as_a_date_or_as_nonsense(client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    server.replies(reply(None, 429, past), reply(None, 503, {"Retry-After": "soon"}), reply([]))
    assert client.projects.list() == []
    assert all(0 < nap < 3 for nap in naps.taken)
    assert len(naps.taken) == 2


@pytest.mark.parametrize("status", [502, 503, 504])
def test_passing_trouble_is_tried_again_where_that_does_no_harm(
    status: int, client: FastLabelClient, server: Any, reply: Any
) -> None:
    for call in (client.projects.list, lambda: client.delete_task("t"), lambda: client.update_task("t")):
        server.seen.clear()
        server.replies(reply(None, status), reply(None, status), reply([]))
        call()
        assert len(server.seen) == 3
    server.seen.clear()
    server.replies(reply(None, status), reply("id"))
    with pytest.raises(ServerError):
        client.create_project("image_bbox", "n", "s")
    assert len(server.seen) == 1


def test_tries_are_bounded(client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    server.answer = lambda seen: reply(None, 503)
    with pytest.raises(ServerError):
        client.projects.list()
    assert len(server.seen) == 4
    assert len(naps.taken) == 3


def test_a_reset_connection_is_tried_again_for_get_and_not_for_post(
    client: FastLabelClient, server: Any, reply: Any
) -> None:
    server.replies(reply(drop=True), reply([]))
    assert client.projects.list() == []
    server.replies(reply(drop=True), reply("id"))
    with pytest.raises(TransportError) as caught:
        client.create_project("image_bbox", "n", "s")
    assert caught.value.status is None
    assert server.lines() == ["GET /v1/projects", "GET /v1/projects", "POST /v1/projects"]


def test_a_create_is_tried_again_after_429(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(None, 429), reply("id"))
    assert client.create_project("image_bbox", "n", "s") == "id"


def test_a_post_that_does_no_harm_twice_is_tried_again(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(drop=True), reply({"updatedTaskCount": 1}))
    assert client.tasks.add_tags("p", ["a"], ["x"]) == 1


def test_a_delete_whose_answer_was_lost_has_deleted(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(drop=True), reply({"message": "not found"}, 404))
    client.delete_task("t")
    server.replies(reply(None, 429), reply({"message": "not found"}, 404))
    with pytest.raises(NotFound):
        client.delete_task("t")


def test_a_body_that_breaks_off_is_read_again(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply([{"id": "1"}], cut=5), reply([{"id": "1"}]))
    assert client.projects.list() == [{"id": "1"}]
    server.answer = lambda seen: reply([{"id": "1"}], cut=5)
    with pytest.raises(TransportError, match="broke off after 5 bytes"):
        client.projects.list()


@pytest.mark.parametrize("body", [b"", b"<html><title>Sign in</title>", b'[{"id": "1"', b"{]", b"[" * 50_000])
def test_an_answer_that_is_no_json(body: bytes, client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(raw=body), reply([]))
    assert client.projects.list() == []
    server.answer = lambda seen: reply(raw=body)
    with pytest.raises(ServerError) as caught:
        client.projects.list()
    assert caught.value.status == 200


def test_a_create_with_an_unreadable_answer_is_not_sent_twice(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(raw=b"<html>")
    with pytest.raises(ServerError):
        client.create_project("image_bbox", "n", "s")
    assert len(server.seen) == 1


def test_nan_in_one_task_does_not_cost_the_page(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(raw=b'[{"points": [NaN, Infinity, 1]}, {"name": "\\ud800"}, {"name": "good"}]'))
    page = client.image_tasks.list("p")
    assert page[0]["points"][0] != page[0]["points"][0]
    assert page[2] == {"name": "good"}


def test_whole_numbers_beyond_64_bits_are_not_rounded(client: FastLabelClient, server: Any, reply: Any) -> None:
    task = {"id": "a", "trackId": 2**64, "points": [1, -(2**63) - 1, 10**30], "most": [2**64 - 1, -(2**63)]}
    server.replies(reply([task]))
    assert client.image_tasks.list("p") == [task]


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_is_a_success(status: int, client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply("new-id", status)
    assert client.create_project("image_bbox", "n", "s") == "new-id"
    assert client.update_task("t") == "new-id"
    assert client.delete_task("t") is None
    server.answer = lambda seen: reply(raw=b"", status=status)
    assert client.update_task("t") is None
    assert client.create_dataset("d") is None


def test_204_is_a_success(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(status=204)
    assert client.delete_task("t") is None
    assert client.update_task("t") is None


def test_the_groups_look_at_the_shape(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply({"data": []})
    with pytest.raises(ServerError, match="a dict where a list was expected"):
        client.projects.list()
    server.answer = lambda seen: reply(None)
    with pytest.raises(NotFound):
        client.projects.find("p")


def test_no_server(server: Any, naps: Any) -> None:
    policy = RetryPolicy(attempts=3, clock=naps.clock, sleep=naps.sleep)
    down = FastLabelClient("t", server.url, retry=policy, budget=None)
    server.close()
    for call in (down.projects.list, lambda: down.create_project("t", "n", "s")):
        with pytest.raises(TransportError, match="Connection refused"):
            call()
    assert len(naps.taken) == 4  # the POST as well: without a connection it cannot have been processed


UNDER_WAY = [
    ConnectionRefusedError(111, "Connection refused"),
    socket.gaierror(-2, "Name or service not known"),
    ssl.SSLCertVerificationError(1, "certificate verify failed"),
    requests.ConnectTimeout("somebody else's"),
]


@pytest.mark.parametrize("handled", UNDER_WAY, ids=lambda error: type(error).__name__)
def test_what_the_caller_is_handling_says_nothing_about_our_request(
    handled: Exception, client: FastLabelClient, server: Any, reply: Any
) -> None:
    """Python hangs the exception that is being handled on every new one, as its context."""
    server.answer = lambda seen: reply(drop=True)
    try:
        raise handled
    except type(handled):
        with pytest.raises(TransportError, match="Connection reset") as caught:
            client.copy_project("p")
        assert type(caught.value) is TransportError
        assert len(server.seen) == 1  # it may have been processed, so it is not sent again
        with pytest.raises(TransportError, match="Connection reset"):
            client.get_projects()
        assert len(server.seen) == 5  # reading again does no harm


@pytest.mark.parametrize("handled", UNDER_WAY, ids=lambda error: type(error).__name__)
def test_without_a_connection_it_is_tried_again_inside_a_handler_as_well(
    handled: Exception, server: Any, naps: Any
) -> None:
    policy = RetryPolicy(attempts=3, clock=naps.clock, sleep=naps.sleep)
    down = FastLabelClient("t", server.url, retry=policy, budget=None)
    server.close()
    try:
        raise handled
    except type(handled):
        for call in (down.get_projects, lambda: down.copy_project("p")):
            with pytest.raises(TransportError, match="Connection refused"):
                call()
    assert len(naps.taken) == 4


def test_a_silent_server_times_out(naps: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        policy = RetryPolicy(attempts=2, clock=naps.clock, sleep=naps.sleep)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(TransportError, match="timed out"):
            FastLabelClient("t", url, timeout=(1, 0.05), retry=policy, budget=None).projects.list()


def test_what_cannot_be_json_is_refused_before_sending(client: FastLabelClient, server: Any) -> None:
    for value in (float("nan"), float("inf"), object(), {1, 2}):
        with pytest.raises(Invalid):
            client.image_tasks.update("t", annotations=[{"type": "bbox", "points": [value]}])
    assert not server.seen


def test_errors_survive_pickling(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply({"message": "wait"}, 429, {"Retry-After": "900"}))
    with pytest.raises(FastLabelError) as caught:
        client.projects.list()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.retry_after) == (str(caught.value), 900)


def test_a_session_of_ones_own_is_used(server: Any, reply: Any, patient: Any, token: str) -> None:
    session = requests.Session()
    session.headers["X-Team"] = "labels"
    FastLabelClient(token, server.url, session=session, retry=patient, budget=None).projects.list()
    assert server.seen[0].headers["X-Team"] == "labels"


def test_connections_are_kept(client: FastLabelClient, server: Any, reply: Any) -> None:
    from urllib3.connectionpool import HTTPConnectionPool

    made = []
    original = HTTPConnectionPool._new_conn
    HTTPConnectionPool._new_conn = lambda pool: made.append(1) or original(pool)  # type: ignore[method-assign]
    try:
        for _ in range(5):
            client.projects.list()
    finally:
        HTTPConnectionPool._new_conn = original  # type: ignore[method-assign]
    assert len(made) == 1
