"""Does to a connection what the rule book says: answers with errors, resets, silence, slow and cut bodies."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import orjson
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from fastlabel_dagster.sandbox.errors import Refused
from fastlabel_dagster.sandbox.faults import Fault, Faults

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: How many pieces a slow body comes in.
_PIECES = 10
_LOOK_SECONDS = 0.05

_HTML = b"""<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>sandbox</center></body></html>
"""


class Connections:
    """The open connections of a server by the address of their other end: ASGI has no word for breaking one."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's protocol class, which also enters its connections here."""
        connections = self._open

        class Entered(cast(Any, AutoHTTPProtocol)):  # type: ignore[misc] # which of two classes it is, is known at run time
            def connection_made(self, transport: asyncio.Transport) -> None:
                self._address = transport.get_extra_info("peername")[:2]
                connections[self._address] = transport
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                connections.pop(self._address, None)
                super().connection_lost(error)

        return Entered

    def of(self, scope: Scope) -> asyncio.Transport | None:
        """The connection a request came by; None behind a proxy that rewrites the address."""
        return self._open.get(tuple(scope.get("client") or ()))


class FaultyApplication:
    """The application with the rule book's faults in front of it and behind it."""

    def __init__(self, application: Application, faults: Faults, connections: Connections) -> None:
        self._application = application
        self._faults = faults
        self._connections = connections
        self._released = False

    def release(self) -> None:
        """End every silence, so that the server can stop."""
        self._released = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        fault = None
        if scope["type"] == "http" and self._faults.active:
            fault = self._faults.draw(scope["method"], scope["path"])
        if fault is None:
            await self._application(scope, receive, send)
            return
        answer: list[Message] = []
        if fault.after:

            async def keep(message: Message) -> None:
                answer.append(message)

            await self._application(scope, receive, keep)
        else:
            await _read_all(receive)
        await self._harm(fault, answer, scope, receive, send)

    async def _harm(self, fault: Fault, answer: list[Message], scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind.isdigit():
            error = Refused(int(fault.kind), f"A fault of the sandbox: {fault.kind}")
            await _answer(send, error.status, b"application/json", orjson.dumps(error.body()), fault)
        elif fault.kind == "html":
            await _answer(send, 502, b"text/html; charset=utf-8", _HTML, fault)
        elif fault.kind == "slow":
            await self._slowly(answer, fault.seconds, send)
        elif fault.kind == "truncated":
            await _part_of(answer, send)
            await self._close(scope, receive, politely=True)
        else:
            if fault.kind == "timeout":
                await self._silence(fault.seconds, receive)
            await self._close(scope, receive, politely=fault.kind == "timeout")

    async def _silence(self, seconds: float, receive: Receive) -> None:
        """Say nothing until the time is over, the caller hangs up or the server stops."""
        gone = asyncio.ensure_future(_hung_up(receive))
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        try:
            while not gone.done() and not self._released and clock() < end:
                await asyncio.wait([gone], timeout=min(_LOOK_SECONDS, max(0.0, end - clock())))
        finally:
            gone.cancel()

    async def _slowly(self, answer: list[Message], seconds: float, send: Send) -> None:
        start, body = _whole(answer)
        await send(start)
        size = max(1, -(-len(body) // _PIECES))
        for at in range(0, len(body), size):
            if not self._released:
                await asyncio.sleep(seconds / _PIECES)
            await send({"type": "http.response.body", "body": body[at : at + size], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _close(self, scope: Scope, receive: Receive, *, politely: bool) -> None:
        """Break the connection: what was sent still arrives (``politely``), or the other end is told of a reset."""
        transport = self._connections.of(scope)
        if transport is None:
            return  # uvicorn answers 500 or closes, whatever is still possible
        if politely:
            transport.close()
        else:
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        await _hung_up(receive)


async def _read_all(receive: Receive) -> None:
    """Take the request's body, so that a caller who is still sending gets as far as reading the answer."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, kind: bytes, body: bytes, fault: Fault) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", fault.retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _whole(answer: list[Message]) -> tuple[Message, bytes]:
    start = next(message for message in answer if message["type"] == "http.response.start")
    parts = [message.get("body", b"") for message in answer if message["type"] == "http.response.body"]
    return start, b"".join(parts)


async def _part_of(answer: list[Message], send: Send) -> None:
    """The answer's head, which promises the whole body, and half of the body; nothing of an answer without one."""
    start, body = _whole(answer)
    if not body:
        return
    await send(start)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
