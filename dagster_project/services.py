"""The real Dagster as child processes: code server, daemon and webserver on one Dagster home, ended as they were begun.

``make demo`` drives the loop through them, and so do the tests that need a daemon they can kill. Each process leads a
group of its own and writes to a log of its own; a process that dies, or something that does not come about in time, is
a :class:`ServiceProblem`: one sentence with the log's place.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import dagster as dg

Found = TypeVar("Found")

#: How long a process may take to end after it was asked to, before it is killed.
GRACE_SECONDS = 10.0
#: How long the code location may take to load, and daemon and webserver to answer, on a slow machine.
START_SECONDS = 120.0

_WORKSPACE = """\
load_from:
  - grpc_server: {{socket: {socket}, location_name: {location}}}
"""


class ServiceProblem(Exception):
    """A service died, or what was waited for did not come about. Says so in one sentence and names the log."""


@dataclass
class _Child:
    """A process with a group of its own, and the file it writes to."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def ask_to_end(self) -> None:
        """Ask the process to end; :meth:`end` waits for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self, grace_seconds: float) -> None:
        """Wait for the process, and see that nothing of its group is left after that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self) -> str:
        """The last line of the log that is not empty."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


class DagsterServices:
    """Code server, daemon and webserver for one code location, as a deployment runs them.

    ``with DagsterServices(home, environment=…) as services:`` starts all three and ends them, also after an error or
    Ctrl-C. The webserver's address is ``services.url``. A run is a child of the code server: it goes on while the
    daemon is killed (:meth:`kill_daemon`) and started again (:meth:`start_daemon`).

    Args:
        home: the Dagster home; ``dagster.yaml`` in it is read, logs go to ``services/`` in it.
        module: the module with the definitions.
        folder: where the processes work; default here.
        environment: variables for the processes, over this process's own. None for a value removes the variable.
        port: the webserver's; 0 takes a free one.
        webserver: off for a test that asks the instance only.
        clock, sleep: for tests that do not want to wait.
    """

    def __init__(
        self,
        home: Path,
        *,
        module: str = "dagster_project.definitions",
        location: str = "fastlabel",
        folder: Path | None = None,
        environment: Mapping[str, str | None] | None = None,
        port: int = 0,
        webserver: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.home = home.absolute()
        self.logs = self.home / "services"
        self.location = location
        self._module = module
        self._folder = folder
        self._wishes = environment or {}
        self._port = port
        self._webserver = webserver
        self._clock = clock
        self._sleep = sleep
        self._children: dict[str, _Child] = {}
        self._place: Path | None = None

    def __enter__(self) -> DagsterServices:
        try:
            self.begin()
            self.finish_start()
        except BaseException:  # Ctrl-C too: whatever ends the start, the children that have begun must not outlive it
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The webserver's address."""
        return f"http://127.0.0.1:{self._port}"

    # -- starting and ending -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the code server, which takes seconds to load; :meth:`finish_start` waits for it."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self._make_databases()
        # a path in the home may be too long for a socket
        self._place = Path(tempfile.mkdtemp(prefix="dagster-"))
        self.start_code_server()

    def finish_start(self) -> None:
        """Wait for the code server, then start daemon and webserver and wait until both are there."""
        self.wait_until("the code location loads", self._code_server_listens, START_SECONDS)
        workspace = self.home / "workspace.yaml"
        workspace.write_text(_WORKSPACE.format(socket=self._socket, location=self.location), encoding="utf-8")
        self.start_daemon()
        if self._webserver:
            self._port = self._port or free_port()
            self._start(
                "webserver",
                *(_script("dagster-webserver"), "--workspace", str(workspace)),
                *("--host", "127.0.0.1", "--port", str(self._port)),
            )
            self.wait_until("the webserver answers", self._webserver_answers, START_SECONDS)

    def _make_databases(self) -> None:
        """Make a new home's databases while nobody else can: of two processes that make them at once, one may die.

        Dagster writes each database's revision without asking whether another process has just done so, and refuses to
        open one with two ("more than one head").
        """
        with dg.DagsterInstance.from_config(str(self.home)):
            pass

    def start_code_server(self) -> None:
        """Start the process that holds the code location and whose children the runs are."""
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        self._start(
            "code-server",
            *(sys.executable, "-m", "dagster", "api", "grpc", "--socket", str(self._socket)),
            *("--module-name", self._module, "--location-name", self.location),
            "--use-python-environment-entry-point",
        )

    def start_daemon(self) -> None:
        """Start the daemon (again); it takes seconds until its sensors tick."""
        self._start("daemon", _script("dagster-daemon"), "run", "--workspace", str(self.home / "workspace.yaml"))

    def kill_daemon(self) -> None:
        """Kill the daemon as a power cut would; runs under way go on."""
        self._children.pop("daemon").end(grace_seconds=0)

    def stop(self) -> None:
        """End what was started, the last first. Safe to call at any time and more than once."""
        for child in self._children.values():
            child.ask_to_end()
        while self._children:
            self._children.popitem()[1].end(GRACE_SECONDS)
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place = None

    # -- waiting and asking ------------------------------------------------------------------------------------------

    def wait_until(
        self,
        what: str,
        condition: Callable[[], Found | None],
        seconds: float = 60.0,
        *,
        every: float = 0.2,
        look_into: str | None = None,
    ) -> Found:
        """What ``condition`` answers as soon as that is something true.

        Raises ServiceProblem when a process has ended meanwhile, or when ``seconds`` have passed. ``what`` says, in the
        present, what is waited for; ``look_into`` names the service whose log tells most (default: the one begun last).
        """
        until = self._clock() + seconds
        while True:
            found = condition()
            if found:
                return found
            self._see_all_alive(what)
            if self._clock() >= until:
                name = look_into or next(reversed(self._children), None)
                where = f"; its log: {self._children[name].log}" if name else ""
                raise ServiceProblem(f"waited {seconds:.0f} s until {what}, in vain{where}")
            self._sleep(every)

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver. Raises ServiceProblem for an answer with errors, OSError when nobody answers."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows our loopback
        with opener.open(request, timeout=30) as answer:
            content = json.load(answer)
        if content.get("errors"):
            raise ServiceProblem(f"the webserver answers: {content['errors'][0].get('message')}")
        data: dict[str, Any] = content["data"]
        return data

    def _see_all_alive(self, what: str) -> None:
        for child in self._children.values():
            code = child.process.poll()
            if code is not None:
                raise ServiceProblem(
                    f"the {child.name} ended (code {code}) before {what}; it last said: {child.last_words()[:300]}; "
                    f"its log: {child.log}"
                )

    # -- the processes -----------------------------------------------------------------------------------------------

    @property
    def _socket(self) -> Path:
        assert self._place is not None, "begin() makes it"
        return self._place / "code"

    def _start(self, name: str, *command: str) -> None:
        log = self.logs / f"{name}.log"
        environment = {**os.environ, "DAGSTER_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        for variable, value in self._wishes.items():
            environment.pop(variable, None)
            if value is not None:
                environment[variable] = value
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us, and we end the group in order
            )
        self._children[name] = _Child(name, log, process)

    def _code_server_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True

    def _webserver_answers(self) -> bool:
        try:
            answer = self.graphql("{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }")
        except (OSError, urllib.error.URLError):
            return False
        entries = answer["workspaceOrError"]["locationEntries"]
        return all(entry["loadStatus"] == "LOADED" for entry in entries) and bool(entries)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does: by KeyboardInterrupt, so that every ``with`` is left in order."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _script(name: str) -> str:
    """A console script of this Python's environment."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name
