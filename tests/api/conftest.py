"""A server that notes what it is sent and answers as it is told: badly, if that is the test."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fastlabel_dagster.api import FastLabelClient, RetryPolicy

TOKEN = "tok-3f9a1c-very-secret"


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def params(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)

    def __getitem__(self, name: str) -> str:
        return dict(self.params)[name]


@dataclass
class Reply:
    """What to answer. `cut` sends only so many bytes of the body; `drop` resets the connection without a word."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: int | None = None
    drop: bool = False

    def content(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.body).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        path, _, query = self.path.partition("?")
        seen = Seen(self.command, path, query, dict(self.headers.items()), self.rfile.read(length))
        recorder: Recorder = self.server.recorder  # type: ignore[attr-defined]
        with recorder.lock:
            recorder.seen.append(seen)
        reply = recorder.reply_to(seen)
        if reply.drop:
            # SO_LINGER 0 turns the close into a reset, as a crashing server does.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())  # close() would wait for rfile and wfile
            return
        content = reply.content()
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if reply.status in (204, 304):
            return
        self.wfile.write(content if reply.cut is None else content[: reply.cut])
        if reply.cut is not None:
            self.wfile.flush()
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True  # the connection was reset on purpose

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        return


class Recorder:
    """The server, from the side of the test."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: list[Seen] = []
        self.script: list[Reply] = []
        self.answer: Callable[[Seen], Reply] = lambda seen: Reply([])
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.daemon_threads = True
        self.http.recorder = self  # type: ignore[attr-defined]
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.url = self.base + "/v1/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def reply_to(self, seen: Seen) -> Reply:
        with self.lock:
            if self.script:
                return self.script.pop(0)
        return self.answer(seen)

    def replies(self, *script: Reply) -> None:
        """Answer the next requests with these, one after the other."""
        self.script[:] = script

    def lines(self) -> list[str]:
        """The requests so far, as "GET /v1/projects"."""
        return [f"{seen.method} {seen.path}" for seen in self.seen]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Naps:
    """A sleep and a clock that agree with each other and take no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.taken: list[float] = []
        self.lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.taken.append(seconds)
            self.now += seconds


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    """A second server: another port is another origin."""
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def patient(naps: Naps) -> RetryPolicy:
    """A retry policy that waits in no time."""
    return RetryPolicy(attempts=4, clock=naps.clock, sleep=naps.sleep)


@pytest.fixture
def client(server: Recorder, patient: RetryPolicy) -> Iterator[FastLabelClient]:
    with FastLabelClient(TOKEN, server.url, retry=patient, timeout=5, budget=None) as made:
        yield made


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def picture(tmp_path: Any) -> Any:
    """A file that passes for an image; nobody looks inside."""
    path = tmp_path / "猫 1.JPG"
    path.write_bytes(b"\xff\xd8\xff not really")
    return path


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[start : start + 8])
        yield name, data[start + 8 : start + size]
        start += size


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _replaced(data: bytes, path: list[bytes], change: Callable[[bytes], bytes]) -> bytes:
    if not path:
        return change(data)
    return b"".join(
        _box(name, _replaced(content, path[1:], change) if name == path[0] else content)
        for name, content in _boxes(data)
    )


@pytest.fixture(scope="session")
def mp4_of(tmp_path_factory: Any) -> Callable[[bytes | None], bytes]:
    """Small MP4 files: what OpenCV writes (MPEG-4 part 2), or that file with a sample entry of H.264 of this name."""
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for shade in range(0, 200, 40):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    written = path.read_bytes()
    # Parameter sets of a baseline stream; OpenCV decodes nothing to name the codec.
    sps, pps = bytes.fromhex("6742c00ad9041a6e1000000300100000030140f1226480"), bytes.fromhex("68cb83cb20")
    settings = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps
    settings += b"\x01" + struct.pack(">H", len(pps)) + pps

    def make(entry: bytes | None) -> bytes:
        if entry is None:
            return written

        def change(description: bytes) -> bytes:
            # Version, flags and count (8 bytes), then the entry: size and name (8), what all video entries share (78).
            return description[:8] + _box(entry, description[16:94] + _box(b"avcC", settings))

        return _replaced(written, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"], change)

    return make


@pytest.fixture(scope="session")
def h264_mp4(mp4_of: Callable[[bytes | None], bytes]) -> bytes:
    return mp4_of(b"avc1")
