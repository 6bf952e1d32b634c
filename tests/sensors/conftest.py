"""A sandbox with a project to watch, and ticks as the daemon makes them: the cursor is handed from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

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
                if isinstance(event, dg.AssetMaterialization):
                    self.instance.report_runless_asset_event(event)
            if result.cursor is not None:
                self.cursor = result.cursor
        return result


@pytest.fixture
def make_daemon(sandbox: Sandbox, instance: dg.DagsterInstance) -> Callable[..., Daemon]:
    def make(**given: Any) -> Daemon:
        resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1)
        return Daemon(instance, given.pop("resource", resource), **given)

    return make


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon()
