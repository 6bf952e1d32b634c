"""``Sandbox``: the server in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import uvicorn

from fastlabel_dagster.sandbox.errors import SandboxError
from fastlabel_dagster.sandbox.fault_web import Connections, FaultyApplication
from fastlabel_dagster.sandbox.folder_claim import FolderClaim
from fastlabel_dagster.sandbox.state import SandboxState
from fastlabel_dagster.sandbox.web import Web

if TYPE_CHECKING:
    from fastlabel_dagster.sandbox.seed import SeedReport

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - it guards nothing
REQUESTS_PER_10_MINUTES = 10_000


class _Server(uvicorn.Server):
    """uvicorn's server, which naps 0.1 s twice before it ends, where that is for nothing: tests start many."""

    _loop: asyncio.AbstractEventLoop | None = None
    _ending: asyncio.Event

    def end(self) -> None:
        """Ask it to end, from another thread."""
        if self._loop is None or self._loop.is_closed():
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        self._ending, self._loop = asyncio.Event(), asyncio.get_running_loop()
        ending = asyncio.ensure_future(self._ending.wait())
        ticks = 0
        while not await self.on_tick(ticks):
            await asyncio.wait([ending], timeout=0.1)
            ticks += 1
        ending.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those nobody is answered on are gone
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        await self.lifespan.shutdown()


class Sandbox:
    """A FastLabel-compatible server on a loopback port, with its content in ``data``.

    ``with Sandbox(data) as sandbox:`` starts it; ``sandbox.url`` is what ``FASTLABEL_API_URL`` wants to be and
    ``sandbox.token`` the access token; ``sandbox.state`` is the content itself, without HTTP. ``port=0`` takes a free
    port. ``speed`` lets jobs run so many times faster than the wall (None: as the data folder remembers, at first 1).
    ``page_limit`` lowers the largest page of every list. Raises :class:`SandboxError` for a busy port, an unwritable
    folder, or one that another server works in (as soon as it is started).
    """

    def __init__(
        self,
        data: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = DEFAULT_TOKEN,
        speed: float | None = 1.0,
        page_limit: int | None = None,
        requests_per_10_minutes: int = REQUESTS_PER_10_MINUTES,
    ) -> None:
        self.host = host
        self.token = token
        self._port = port
        self.state = SandboxState(Path(data), speed=speed)
        web = Web(self.state, token=token, requests_per_10_minutes=requests_per_10_minutes, page_limit=page_limit)
        connections = Connections()
        self._application = FaultyApplication(web.application(), self.state.faults, connections)
        config = uvicorn.Config(
            self._application,
            http=connections.protocol(),
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=75,
        )
        self._server = _Server(config)
        self._socket: socket.socket | None = None
        self._claim: FolderClaim | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Sandbox({str(self.state.data)!r}, {self.base if self._socket else 'stopped'})"

    @property
    def port(self) -> int:
        """The port the server listens on."""
        return self._port

    @property
    def base(self) -> str:
        """The server's address, ``http://127.0.0.1:8765``."""
        return f"http://{self.host}:{self._port}"

    @property
    def url(self) -> str:
        """The API's address, with the slash at its end that the official SDK needs: ``http://127.0.0.1:8765/v1/``."""
        return f"{self.base}/v1/"

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Sandbox:
        """Listen and answer from a thread of this process; returns when requests are accepted."""
        self._listen()
        self._thread = threading.Thread(target=self._run, name="fastlabel-sandbox", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                self.stop()
                raise SandboxError("the sandbox's server did not start")
            self._thread.join(0.005)
        return self

    def run(self) -> None:
        """Listen and answer until the process is asked to stop (SIGINT, SIGTERM)."""
        self._listen()
        try:
            self._run()
        finally:
            self.stop()

    def listen(self) -> str:
        """Take the port (so that :attr:`url` is known before :meth:`run`); answers the URL."""
        self._listen()
        return self.url

    def stop(self) -> None:
        """Let running requests end, then close the port and the database."""
        self._application.release()
        self._server.end()
        if self._thread is not None:
            self._thread.join(timeout=15)
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._leave()

    # -- for tests and trials ----------------------------------------------------------------------------------------

    def seed(self, tasks: int = 50, *, project: str = "street-scenes", seed: int = 0) -> SeedReport:
        """Fill a new project with street scenes the sandbox draws; see :func:`seed.seed_drawn`."""
        from fastlabel_dagster.sandbox.seed import seed_drawn

        return seed_drawn(self.state, project, tasks=tasks, seed=seed)

    def fail(
        self,
        route: str,
        *,
        times: int | None = 1,
        kind: str | None = None,
        status: int | None = None,
        after: bool | None = None,
        skip: int = 0,
        retry_after: float | str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let the next ``times`` requests of a route fail: ``fail("GET tasks/image", times=2, status=429)``.

        See :meth:`Faults.script`, which also says what raises ValueError.
        """
        self.state.faults.script(
            route,
            times=times,
            kind=kind,
            status=status,
            after=after,
            skip=skip,
            retry_after=retry_after,
            seconds=seconds,
        )

    def faults(
        self,
        probability: float,
        *,
        seed: int = 0,
        kinds: Iterable[str | int] | None = None,
        route: str = "* *",
        after: bool | None = None,
        retry_after: float | str | None = 0,
        silence_seconds: float = 60.0,
        slow_seconds: float = 0.2,
    ) -> None:
        """Let every request fail with this probability: ``faults(probability=0.2, seed=7)``. See
        :meth:`Faults.chance`."""
        self.state.faults.chance(
            probability,
            seed=seed,
            kinds=kinds,
            route=route,
            after=after,
            retry_after=retry_after,
            silence_seconds=silence_seconds,
            slow_seconds=slow_seconds,
        )

    def clear_faults(self) -> None:
        """Let everything go well again; what happened stays counted in ``state.faults.summary()``."""
        self.state.faults.clear()

    def _listen(self) -> None:
        if self._socket is not None:
            return
        try:
            self._claim = FolderClaim(self.state.data)
        except SandboxError:
            self.state.close()
            raise
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self._port))
        except OSError as error:
            listener.close()
            self._leave()
            raise SandboxError(
                f"cannot listen on {self.host} port {self._port}: {error.strerror or error}; "
                "choose another with --port, or --port 0 for any free one"
            ) from error
        self._socket = listener
        self._port = int(listener.getsockname()[1])

    def _leave(self) -> None:
        self.state.close()
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _run(self) -> None:
        assert self._socket is not None
        self._server.run(sockets=[self._socket])
