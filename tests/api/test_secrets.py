"""The token goes to the API and nowhere else: not into text, not to another host, not aside for a netrc file."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any

import pytest
import requests

from fastlabel_dagster.api import FastLabelClient, FastLabelError, Invalid


def everything_reachable(value: object, depth: int = 6) -> str:
    """What a debugger, a crash reporter or a log formatter could print of an error."""
    if depth == 0:
        return ""
    parts = [repr(value), str(value)]
    if isinstance(value, BaseException):
        parts += [everything_reachable(v, depth - 1) for v in (value.__cause__, value.__context__) if v is not None]
        parts += [everything_reachable(v, depth - 1) for v in vars(value).values()]
    if isinstance(value, requests.PreparedRequest):
        parts.append(repr(dict(value.headers)))
    return "\n".join(parts)


@pytest.mark.parametrize("trouble", ["401", "echo", "html", "drop", "cut", "redirect", "down", "header"])
def test_the_token_is_in_no_text(
    trouble: str, client: FastLabelClient, server: Any, reply: Any, token: str, caplog: Any, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = {
        "401": reply({"message": "bad token"}, 401),
        "echo": reply({"message": f"token {token} is unknown"}, 401),
        "html": reply(raw=f"<html><title>{token}</title>".encode(), status=500),
        "drop": reply(drop=True),
        "cut": reply([1, 2, 3], cut=2),
        "redirect": reply(None, 302, {"Location": "http://127.0.0.1:9/elsewhere"}),
        "header": reply(None, 503, {"Retry-After": token}),
    }
    if trouble == "down":
        server.close()
    else:
        server.answer = lambda seen: answers[trouble]
    with pytest.raises(FastLabelError) as caught:
        client.projects.list()
    error = caught.value
    printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    shown = [printed, everything_reachable(error), caplog.text, repr(client), repr(client.projects), repr(vars(client))]
    shown += [repr(pickle.dumps(error)), *capsys.readouterr()]
    frame = error.__traceback__
    while frame is not None:  # what crash reporters add: the local variables of every frame of ours
        if "fastlabel_dagster" in frame.tb_frame.f_code.co_filename:
            shown.append(repr(frame.tb_frame.f_locals))
        frame = frame.tb_next
    assert not [text for text in shown if token in text]
    assert not any(token in seen.path + seen.query for seen in server.seen)


def test_clients_are_not_pickled(client: FastLabelClient) -> None:
    with pytest.raises(TypeError, match="instead of pickling"):
        pickle.dumps(client)


def test_a_token_that_cannot_be_one_is_refused_without_repeating_it() -> None:
    for bad in ("se cret", "secret\r\nX-Evil: 1", "sécret", "   "):
        with pytest.raises(Invalid) as caught:
            FastLabelClient(bad)
        assert "cret" not in str(caught.value).replace("FASTLABEL_ACCESS_TOKEN", "")


def test_a_line_end_after_the_token_is_no_part_of_it(server: Any, token: str) -> None:
    FastLabelClient(token + "\n", server.url, budget=None).projects.list()
    assert server.seen[0].headers["Authorization"] == f"Bearer {token}"


def test_without_a_token(monkeypatch: Any) -> None:
    monkeypatch.delenv("FASTLABEL_ACCESS_TOKEN", raising=False)
    with pytest.raises(ValueError, match="FASTLABEL_ACCESS_TOKEN"):
        FastLabelClient()
    with pytest.raises(FastLabelError):
        FastLabelClient("")


def test_token_and_address_from_the_environment(server: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "from-env")
    monkeypatch.setenv("FASTLABEL_API_URL", server.url.rstrip("/"))  # the final slash may be missing
    with FastLabelClient() as client:
        client.projects.list()
    assert server.seen[0].headers["Authorization"] == "Bearer from-env"
    assert server.lines() == ["GET /v1/projects"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "api.fastlabel.ai/v1/",
        "http://",
        "http://u:pw@x/v1/",
        "http://x/v1/?a=1",
        "http://x:99999/",
        "http://[x",
    ],
)
def test_addresses_that_cannot_be_right(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        FastLabelClient("t", url)
    assert "pw" not in str(caught.value)


def test_netrc_does_not_take_the_tokens_place(
    server: Any, reply: Any, patient: Any, token: str, tmp_path: Any, monkeypatch: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin intruder\npassword pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.get(server.url, timeout=5).request.headers["Authorization"].startswith("Basic")  # it would
    server.seen.clear()
    for session in (None, requests.Session()):
        client = FastLabelClient(token, server.url, session=session, retry=patient, budget=None)
        client.projects.list()
        server.replies(reply(raw=b"bytes"))
        client.download(server.base + "/file", lambda chunk: None)
    assert [seen.headers.get("Authorization") for seen in server.seen] == [f"Bearer {token}", None] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_do_not_carry_the_token_away(
    status: int, client: FastLabelClient, server: Any, elsewhere: Any, reply: Any
) -> None:
    server.answer = lambda seen: reply(None, status, {"Location": elsewhere.url + "projects"})
    for call in (client.projects.list, lambda: client.create_dataset("d"), lambda: client.delete_task("t")):
        with pytest.raises(Invalid, match="sends this request on to 127"):
            call()
    assert not elsewhere.seen


def test_redirects_at_home_are_followed_where_the_request_stays_the_same(
    client: FastLabelClient, server: Any, reply: Any
) -> None:
    server.replies(reply(None, 302, {"Location": "/v2/projects?slug=x"}), reply([{"id": "1"}]))
    assert client.get_projects(slug="x") == [{"id": "1"}]
    assert server.seen[1].headers["Authorization"]
    assert server.seen[1].params == [("slug", "x")]
    server.replies(reply(None, 308, {"Location": "/v2/projects"}), reply("id"))
    assert client.create_project("t", "n", "s") == "id"
    assert server.seen[3].json == server.seen[2].json
    server.replies(reply(None, 302, {"Location": "/v2/projects"}))
    with pytest.raises(Invalid):
        client.create_project("t", "n", "s")  # a browser would turn this POST into a GET
    server.answer = lambda seen: reply(None, 302, {"Location": seen.path})
    with pytest.raises(Invalid):
        client.projects.list()


def test_no_cookies_are_kept(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply([], headers={"Set-Cookie": "session=abc"}), reply([]))
    client.projects.list()
    client.projects.list()
    assert "Cookie" not in server.seen[1].headers


def test_what_a_redirect_is_refused_for_is_said(
    client: FastLabelClient, server: Any, elsewhere: Any, reply: Any
) -> None:
    server.answer = lambda seen: reply(None, 302, {"Location": "/v1/projects"})
    with pytest.raises(Invalid, match="redirects this request more than"):
        client.get_projects()
    with pytest.raises(Invalid, match="change it into a GET"):
        client.create_dataset("d")
    server.answer = lambda seen: reply(None, 302, {"Location": elsewhere.url})
    with pytest.raises(Invalid, match="where the token must not go"):
        client.get_projects()
    assert not elsewhere.seen
