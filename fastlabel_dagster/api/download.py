"""Downloads from signed URLs: streamed, taken up where they broke off, never with the token, verified by length."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

import requests

from fastlabel_dagster.api.answers import Again, Failure, failed_answer, failed_connection, message_in
from fastlabel_dagster.api.errors import Invalid, NotFound, TransportError, Unauthorized
from fastlabel_dagster.api.transport import MOST_REDIRECTS, NoToken, Transport

CHUNK_BYTES = 256 * 1024


def download(
    transport: Transport, url: str, write: Callable[[bytes], object], *, expected_bytes: int | None = None
) -> int:
    """Stream what lies behind a signed URL into `write`.

    A broken download is taken up at the byte where it broke off. The signature in the URL is a credential, so errors
    name the host and the path only.

    Args:
        write: called with each piece, in order; no byte is given twice.
        expected_bytes: how long the file must be, where that is known beforehand.

    Returns:
        The number of bytes written.

    Raises:
        TransportError: when fewer or other bytes came than the server announced or `expected_bytes` says.
        Unauthorized: (403) when the URL has expired.
        NotFound: when nothing lies there.
    """
    where = place_of(url)
    state = _Progress(write)
    transport.persist(lambda: _receive(transport, url, where, state), "GET", where)
    if expected_bytes is not None and state.written != expected_bytes:
        raise TransportError(f"{state.written} bytes came, {expected_bytes} were expected", method="GET", path=where)
    return state.written


def place_of(url: str) -> str:
    """Host and path of a URL, without the query that holds its signature.

    Raises:
        Invalid: when it is no http(s) URL.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise Invalid("not an http(s) URL", hint="signed URLs come from task answers and dataset_objects.signed_urls")
    return parts.netloc.rpartition("@")[2] + parts.path


class _Progress:
    """How far a download has come, over all its tries."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write
        self.written = 0
        self.etag: str | None = None
        self.length: int | None = None
        self.plain = True


def _receive(transport: Transport, url: str, where: str, state: _Progress) -> Failure | None:
    """One try: None when everything has arrived."""
    headers = {"Accept-Encoding": "identity"}  # so that lengths and ranges are those of the file
    if state.written:
        headers["Range"] = f"bytes={state.written}-"
        if state.etag:
            headers["If-Range"] = state.etag
    transport.counter.add(downloads=1)
    try:
        response = _open(transport, url, headers)
    except requests.RequestException as error:
        return failed_connection(error, "GET", where)
    with response:
        if response.status_code not in (200, 206):
            return _refused(transport, response, where)
        try:
            skip = _bytes_to_skip(response, state, where)
            _copy(transport, response, state, skip)
        except requests.RequestException as error:
            return failed_connection(error, "GET", where)
        except _OtherFile as other:
            return Failure(TransportError(str(other), method="GET", path=where), Again.NEVER)
    return None


class _OtherFile(Exception):
    """The server now hands out something else than what the bytes written so far came from."""


def _open(transport: Transport, url: str, headers: dict[str, str]) -> requests.Response:
    for _ in range(MOST_REDIRECTS):
        response = transport.session.get(
            url, headers=headers, auth=NoToken(), timeout=transport.timeout, stream=True, allow_redirects=False
        )
        if not response.is_redirect:
            break
        target = urljoin(url, response.headers["Location"])
        response.close()
        place_of(target)  # http(s) only
        url = target
    return response


def _refused(transport: Transport, response: requests.Response, where: str) -> Failure:
    try:
        said = message_in(response)
    except requests.RequestException:
        said = str(response.reason or "refused")
    status = response.status_code
    if status == 403:
        hint = "a signed URL lives only for a while; ask for the task or object again to get a fresh one"
        return Failure(Unauthorized(said, status=status, method="GET", path=where, hint=hint), Again.NEVER)
    if status == 404:
        return Failure(NotFound(said, status=status, method="GET", path=where), Again.NEVER)
    wait = transport.retry.begin().seconds_in(response.headers.get("Retry-After"))
    repeatable = transport.retry.statuses | transport.retry.read_statuses
    return failed_answer(response, method="GET", path=where, message=said, retry_after=wait, repeatable=repeatable)


def _bytes_to_skip(response: requests.Response, state: _Progress, where: str) -> int:
    """How many bytes of this answer have been written before."""
    etag = response.headers.get("ETag")
    if not state.written:
        if response.status_code == 206:
            raise _OtherFile("the server answered with a part of the file where the whole was asked for")
        length = response.headers.get("Content-Length", "")
        state.length = int(length) if length.isdecimal() else None
        state.etag = etag if etag and not etag.startswith("W/") else None
        state.plain = response.headers.get("Content-Encoding", "identity") == "identity"
        return 0
    if not state.plain:
        raise _OtherFile("the compressed answer broke off, and what was written cannot be continued")
    if response.status_code == 200:
        if state.etag and etag != state.etag:
            raise _OtherFile("the file changed while it was being downloaded")
        if state.length is not None and response.headers.get("Content-Length", str(state.length)) != str(state.length):
            raise _OtherFile("the file changed its length while it was being downloaded")
        return state.written
    part = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if part is None or int(part[1]) != state.written:
        raise _OtherFile("the server continued at another byte than it was asked for")
    if part[2] != "*" and state.length is not None and int(part[2]) != state.length:
        raise _OtherFile("the file changed its length while it was being downloaded")
    return 0


def _copy(transport: Transport, response: requests.Response, state: _Progress, skip: int) -> None:
    # urllib3 itself compares the body with Content-Length and raises when it is short.
    for chunk in response.iter_content(CHUNK_BYTES):
        transport.counter.add(bytes_received=len(chunk))
        fresh = chunk[min(skip, len(chunk)) :]
        skip -= len(chunk) - len(fresh)
        if fresh:
            state.write(fresh)
            state.written += len(fresh)
