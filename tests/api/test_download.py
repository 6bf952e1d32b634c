"""Signed URLs: every byte once, in order, from where it broke off; never the token; never less than announced."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, NotFound, ServerError, TransportError, Unauthorized

CONTENT = hashlib.shake_128(b"a picture").digest(700_000)


def storage(reply: Any, cuts: list[int | None], *, ranges: bool = True, etag: bool = True) -> Any:
    """A file store whose answers break off after so many bytes, one cut per request."""

    def answer(seen: Any) -> Any:
        headers = {"ETag": '"v1"'} if etag else {}
        cut = cuts.pop(0) if cuts else None
        asked = re.match(r"bytes=(\d+)-", seen.headers.get("Range", ""))
        if asked and ranges:
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            return reply(raw=CONTENT[start:], status=206, headers=headers, cut=cut)
        return reply(raw=CONTENT, headers=headers, cut=cut)

    return answer


def get(client: FastLabelClient, server: Any, **more: Any) -> bytes:
    pieces: list[bytes] = []
    size = client.download(server.base + "/bucket/a.jpg?X-Signature=s3cr3t", pieces.append, **more)
    assert size == sum(map(len, pieces))
    return b"".join(pieces)


def test_the_whole_file_without_the_token(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = storage(reply, [])
    assert get(client, server, expected_bytes=len(CONTENT)) == CONTENT
    assert "Authorization" not in server.seen[0].headers
    assert (client.statistics.downloads, client.statistics.requests) == (1, 0)
    assert client.statistics.bytes_received == len(CONTENT)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("etag", [True, False])
def test_a_broken_download_goes_on(ranges: bool, etag: bool, client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = storage(reply, [300_000, 100, 0], ranges=ranges, etag=etag)
    assert get(client, server) == CONTENT
    assert client.statistics.retries == 3
    assert ("If-Range" in server.seen[1].headers) is etag


def test_a_file_that_stays_short_is_an_error(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = storage(reply, [10] * 99)
    with pytest.raises(TransportError, match="broke off"):
        get(client, server)
    server.answer = storage(reply, [])
    with pytest.raises(TransportError, match="700000 bytes came, 5 were expected"):
        get(client, server, expected_bytes=5)


def test_a_file_that_changed_meanwhile_is_not_glued_together(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(
        reply(raw=CONTENT, headers={"ETag": '"v1"'}, cut=300_000), reply(raw=CONTENT[::-1], headers={"ETag": '"v2"'})
    )
    with pytest.raises(TransportError, match="changed"):
        get(client, server)


def test_without_an_etag_the_length_tells_another_file(client: FastLabelClient, server: Any, reply: Any) -> None:
    broken = reply(raw=CONTENT, cut=262_144 + 5)  # one chunk is written
    for other in (
        reply(raw=b"B" * 5, status=206, headers={"Content-Range": "bytes 262144-262148/262149"}),
        reply(raw=CONTENT[:-1]),
    ):
        server.replies(broken, other)
        with pytest.raises(TransportError, match="length"):
            get(client, server)
    unknown = {"Content-Range": "bytes 262144-699999/*"}
    server.replies(broken, reply(raw=CONTENT[262_144:], status=206, headers=unknown))
    assert get(client, server) == CONTENT


def test_a_part_that_nobody_asked_for_is_not_the_file(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.replies(reply(raw=b"abc", status=206, headers={"Content-Range": "bytes 0-2/10"}))
    with pytest.raises(TransportError, match="a part of the file"):
        get(client, server)


def test_refusals(client: FastLabelClient, server: Any, reply: Any) -> None:
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    for status, kind in ((403, Unauthorized), (404, NotFound), (400, Invalid)):
        server.answer = lambda seen, s=status: reply(raw=denied, status=s)
        server.seen.clear()
        with pytest.raises(kind) as caught:
            get(client, server)
        assert "expired" in caught.value.message
        assert "s3cr3t" not in str(caught.value) + repr(vars(caught.value))
        assert len(server.seen) == 1


def test_passing_trouble(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = storage(reply, [])
    server.replies(reply(None, 503), reply(None, 500), reply(drop=True))
    assert get(client, server) == CONTENT
    server.answer = lambda seen: reply(None, 503)
    with pytest.raises(ServerError) as caught:
        get(client, server)
    assert "s3cr3t" not in str(caught.value)


def test_an_empty_file(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(raw=b"")
    assert get(client, server) == b""


def test_redirects_to_another_host_are_followed_without_the_token(
    client: FastLabelClient, server: Any, elsewhere: Any, reply: Any
) -> None:
    server.answer = lambda seen: reply(None, 307, {"Location": elsewhere.base + "/b.jpg"})
    elsewhere.answer = lambda seen: reply(raw=b"there")
    assert get(client, server) == b"there"
    assert "Authorization" not in elsewhere.seen[0].headers
    server.answer = lambda seen: reply(None, 302, {"Location": "file:///etc/passwd"})
    with pytest.raises(Invalid):
        get(client, server)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "/relative", "ftp://h/x", "http://", None])
def test_only_web_addresses(url: Any, client: FastLabelClient) -> None:
    with pytest.raises(Invalid):
        client.download(url, lambda chunk: None)


def test_what_the_writer_raises_comes_through(client: FastLabelClient, server: Any, reply: Any) -> None:
    server.answer = storage(reply, [])

    def full(chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        client.download(server.base + "/a", full)
    assert len(server.seen) == 1
