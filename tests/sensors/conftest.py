"""A sandbox with a project to watch, and ticks as the daemon makes them: the cursor is handed from one to the next."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import dagster as dg
import pytest
import requests
from requests.adapters import BaseAdapter

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox", speed=1.0) as sandbox:
        sandbox.state.create_project("street-scenes", type="image_all")
        sandbox.state.add_tasks("street-scenes", [{"name": f"{number}.jpg"} for number in range(30)])
        yield sandbox


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@dataclass
class Daemon:
    """Ticks a sensor as Dagster's daemon does: keeps the cursor, stores the events, launches each run key once."""

    instance: dg.DagsterInstance
    resource: FastLabelResource
    cursor: str | None = None
    definitions: dg.Definitions | None = None
    resource_key: str = "fastlabel"
    launched: dict[str, dg.RunRequest] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)

    def tick(self, sensor: dg.SensorDefinition, *, crash: bool = False) -> Any:
        """One tick. With ``crash`` the daemon dies after launching and before it has stored the cursor."""
        context = dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref() if self.instance.is_persistent else None,
            cursor=self.cursor,
            resources={self.resource_key: self.resource},
            definitions=self.definitions,
        )
        with context:
            result = sensor.evaluate_tick(context)
        for request in result.run_requests or []:
            self.launched.setdefault(request.run_key, request)
        if not crash:
            for event in result.asset_events:
                self.events.append(event)
                self.instance.report_runless_asset_event(event)
            if result.cursor is not None:
                self.cursor = result.cursor
        return result

    def ticks(self, times: int, sensor: dg.SensorDefinition, clock: Callable[[], float], *, seconds: float = 5) -> None:
        """Some ticks one after the other, none of which takes longer than so many seconds of this clock."""
        for _ in range(times):
            before = clock()
            self.tick(sensor)
            assert clock() - before <= seconds

    def told(self, check: str) -> list[dg.AssetCheckEvaluation]:
        """The evaluations of this check so far."""
        return [one for one in self.events if isinstance(one, dg.AssetCheckEvaluation) and one.check_name == check]


@pytest.fixture
def make_daemon(sandbox: Sandbox, instance: dg.DagsterInstance) -> Callable[..., Daemon]:
    def make(**given: Any) -> Daemon:
        resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1)
        return Daemon(instance, given.pop("resource", resource), **given)

    return make


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon()


TOKEN = "token-of-the-vendor"


class Vendor(BaseAdapter):
    """FastLabel's server as far as a sensor sees it, in place of its socket, with a clock that only its answers move.

    Answers ``answer(path, query)`` after ``latency(path, query)`` seconds; a timeout comes when it is due.

    ``answer`` gives a JSON value, or ``(status, value)`` and headers. ``now`` is the clock, ``asked`` counts
    requests by project.
    """

    def __init__(
        self,
        answer: Callable[[str, dict[str, str]], Any],
        latency: Callable[[str, dict[str, str]], float] = lambda path, query: 0.0,
    ) -> None:
        super().__init__()
        self.answer, self.latency = answer, latency
        self.now = 1_000.0
        self._moving = threading.Lock()
        self.asked: Counter[str] = Counter()

    def clock(self) -> float:
        return self.now

    def resource(self) -> FastLabelResource:
        """A resource whose client speaks to this vendor."""
        address = f"https://vendor-{id(self)}.example/v1/"
        VENDORS[address] = self
        return VendorResource(access_token=TOKEN, base_url=address)

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        path, query = parts.path.removeprefix("/v1/"), dict(parse_qsl(parts.query))
        self.asked[query.get("project", path)] += 1
        seconds, timeout = self.latency(path, query), float(given["timeout"])
        with self._moving:
            self.now += min(seconds, timeout)
        if seconds > timeout:
            raise requests.ReadTimeout(request=request)
        answer = self.answer(path, query)
        status, value, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        response = requests.Response()
        response.headers.update(headers)
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.raw = io.BytesIO(json.dumps(value).encode())
        return response

    def close(self) -> None:
        """Nothing is held."""


#: By address: Dagster makes a new resource of a resource's configuration for every tick.
VENDORS: dict[str, Vendor] = {}


class VendorResource(FastLabelResource):
    """A resource that reaches its vendor without a socket."""

    def _connect(self) -> FastLabelClient:
        session = requests.Session()
        session.mount("https://", VENDORS[self.base_url])
        return FastLabelClient(TOKEN, self.base_url, session=session, budget=None)


@pytest.fixture
def make_vendor() -> type[Vendor]:
    return Vendor
