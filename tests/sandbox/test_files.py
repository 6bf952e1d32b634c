"""Signed links: they open for a while, for what they were signed for, and for nobody who changes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from fastlabel_dagster.sandbox import Refused, Sandbox


@pytest.fixture
def url(sandbox: Sandbox, http: Callable[..., requests.Response]) -> str:
    sandbox.state.create_project("p")
    sandbox.state.add_tasks("p", [{"name": "a.jpg", "width": 1, "height": 1}], {"a.jpg": b"bytes"})
    return str(http("GET", "tasks/image", params={"project": "p"}).json()[0]["url"])


def status(url: str, method: str = "GET") -> int:
    return requests.request(method, url, timeout=10).status_code


def test_a_link_needs_no_token_and_serves_the_bytes(sandbox: Sandbox, url: str) -> None:
    assert url.startswith(f"{sandbox.base}/files/") and sandbox.token not in url
    answer = requests.get(url, timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (b"bytes", "image/jpeg")
    assert answer.headers["Content-Length"] == "5"
    part = requests.get(url, headers={"Range": "bytes=2-"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"tes")


def test_a_link_expires_by_the_clock(sandbox: Sandbox, url: str) -> None:
    sandbox.state.clock.advance(3590)
    assert status(url) == 200
    sandbox.state.clock.advance(12)
    assert status(url) == 403


def test_a_fast_clock_does_not_shorten_links(sandbox: Sandbox, url: str) -> None:
    sandbox.state.clock.set_speed(1e6)
    assert status(url) == 200


def test_a_changed_link_does_not_open(sandbox: Sandbox, url: str) -> None:
    parts = urlsplit(url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    plain = f"{sandbox.base}{parts.path}"
    other = sandbox.state.files.add(b"other", "b.jpg")
    for changed in (
        plain,
        f"{plain}?expires={query['expires']}",
        f"{plain}?signature={query['signature']}",
        f"{plain}?expires={int(query['expires']) + 1}&signature={query['signature']}",
        f"{plain}?expires=٣&signature={query['signature']}",
        f"{plain}?expires={query['expires']}&signature={query['signature'][:-1]}",
        f"{plain}?expires={query['expires']}&signature=é",
        f"{sandbox.base}/files/{other}?{parts.query}",
    ):
        assert status(changed) == 403, changed
    assert status(url, "PUT") == 403, "a link to read is no link to write"


@pytest.mark.parametrize("key", ["../sandbox.sqlite", "..", "uploads/../../x", "uploads/" + "0" * 32 + "/..", "x\0y"])
def test_no_key_leaves_the_folder(sandbox: Sandbox, key: str) -> None:
    with pytest.raises(Refused):
        sandbox.state.files.path(key)
    assert status(sandbox.state.files.link(sandbox.base, key)) in {403, 404}


def test_uploads_keep_to_their_place(sandbox: Sandbox, http: Callable[..., requests.Response]) -> None:
    sandbox.state.create_project("p")
    params = {"project": "p", "fileName": "../../ä b.zip", "fileType": "application/zip"}
    granted = http("GET", "files", params=params).json()
    assert set(granted) == {"url", "name"}
    assert requests.put(granted["url"], data=b"raw", timeout=10).status_code == 200
    kept = sandbox.state.files.path(granted["name"])
    assert kept.read_bytes() == b"raw" and kept.is_relative_to(sandbox.state.data / "files" / "uploads")
    assert requests.put(granted["url"], files={"file": ("x", b"\r\n--form\r\n")}, timeout=10).status_code == 200
    assert kept.read_bytes() == b"\r\n--form\r\n"
    assert status(granted["url"]) == 403, "a link to write is no link to read"
    broken = requests.put(
        granted["url"], data=b"--x", headers={"Content-Type": "multipart/form-data; boundary=x"}, timeout=10
    )
    assert broken.status_code == 400


def test_the_same_bytes_are_kept_once(sandbox: Sandbox, tmp_path: Path) -> None:
    source = tmp_path / "a.PNG"
    source.write_bytes(b"same")
    files = sandbox.state.files
    assert files.add(b"same", "b.png") == files.add_file(source) == files.add_file(source)
    assert files.path(files.add(b"", "empty")).read_bytes() == b""
