"""A small project in a sandbox, its definitions, and what the tests ask of a Dagster instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pytest

from fastlabel_dagster.project import build_fastlabel_project
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox, SandboxState

SLUG = "street-scenes"
TRAINING = {"base_model": "fastlabel_object_detection_light", "epoch": 3}


def picture(seed: int, width: int = 160, height: int = 120) -> bytes:
    """A JPEG that differs with ``seed``."""
    image = np.full((height, width, 3), 30 + 7 * seed % 200, np.uint8)
    cv2.circle(image, (20 + 5 * seed % 120, 60), 25, (40, 200 - seed, 90), -1)
    return cv2.imencode(".jpg", image)[1].tobytes()


def fill(state: SandboxState, slug: str = SLUG, tasks: int = 12, approved: int = 4) -> list[str]:
    """A project with three classes (Japanese titles) and drawn pictures; the first ``approved`` tasks are approved."""
    state.create_project(slug, type="image_all")
    for value, title, colour, kind in (
        ("car", "乗用車", "#d62728", "bbox"),
        ("person", "歩行者", "#2ca02c", "polygon"),
        ("sign", "道路標識", "#1f77b4", "bbox"),
    ):
        state.create_class(slug, kind, value, title, color=colour)
    rows: list[dict[str, Any]] = []
    for number in range(tasks):
        annotations: list[dict[str, Any]] = [
            {"type": "bbox", "value": "car", "points": [10 + number, 20, 60 + number, 70]},
            {"type": "polygon", "value": "person", "points": [100, 20, 120, 20, 120, 80, 100, 80]},
        ]
        status = "approved" if number < approved else "registered"
        rows.append({"name": f"scene_{number:03d}.jpg", "status": status, "annotations": annotations})
    return state.add_tasks(slug, rows, {row["name"]: picture(n) for n, row in enumerate(rows)})


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox", speed=1.0) as sandbox:
        yield sandbox


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@dataclass
class Project:
    """One project as a user would have it: definitions, an instance, and a sandbox to change."""

    sandbox: Sandbox
    instance: dg.DagsterInstance
    store: Path
    slug: str = SLUG
    options: dict[str, Any] = field(default_factory=dict)
    token: str | None = None
    base_url: str | None = None

    @property
    def resource(self) -> FastLabelResource:
        return FastLabelResource(
            access_token=self.token or self.sandbox.token,
            base_url=self.base_url or self.sandbox.url,
            request_attempts=1,
            step_retries=1,
            step_retry_seconds=0,
        )

    @property
    def definitions(self) -> dg.Definitions:
        options = {"exports": ["coco", "yolo"], "dataset": "street", "training": TRAINING, **self.options}
        return build_fastlabel_project(self.slug, store=self.store, resource=self.resource, **options)

    def run(self, job: str = "everything", **how: Any) -> dg.ExecuteInProcessResult:
        definitions = self.definitions
        if job == "everything":
            found = definitions.resolve_implicit_global_asset_job_def()
        else:
            found = definitions.resolve_job_def(job)
        how.setdefault("raise_on_error", False)
        return found.execute_in_process(instance=self.instance, **how)

    def metadata(self, part: str) -> Mapping[str, Any]:
        """The newest materialization's metadata as plain values."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey([self.slug, part]))
        assert event is not None and event.asset_materialization is not None, f"{part} was never materialized"
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    def materializations(self, part: str) -> int:
        return len(self.instance.fetch_materializations(dg.AssetKey([self.slug, part]), limit=100).records)

    def statuses(self) -> dict[str, str]:
        """FRESH, STALE or MISSING by asset, as the UI shows it."""
        from dagster._core.definitions.data_version import CachingStaleStatusResolver
        from dagster._core.loader import LoadingContextForTest

        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return {key.to_user_string(): resolver.get_status(key).value for key in graph.get_all_asset_keys()}

    def checks(self, result: dg.ExecuteInProcessResult) -> dict[str, bool]:
        return {one.check_name: bool(one.passed) for one in result.get_asset_check_evaluations()}

    def files(self, folder: str) -> dict[str, tuple[int, int]]:
        """Every file below ``folder`` of the store with its inode and time of change."""
        found = sorted(path for path in (self.store / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.store)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


@pytest.fixture
def make_project(sandbox: Sandbox, instance: dg.DagsterInstance, tmp_path: Path) -> Callable[..., Project]:
    """A project that is not filled yet."""

    def make(**fields: Any) -> Project:
        return Project(sandbox, instance, tmp_path / "store", **fields)

    return make


@pytest.fixture
def project(make_project: Callable[..., Project], sandbox: Sandbox) -> Project:
    fill(sandbox.state)
    return make_project()


@pytest.fixture
def fill_project() -> Callable[..., list[str]]:
    """:func:`fill`."""
    return fill


@pytest.fixture
def failure_text() -> Callable[[dg.ExecuteInProcessResult], str]:
    """What a reader of the run sees of its failures: messages with their causes, and their metadata."""
    return _failure_text


def _failure_text(result: dg.ExecuteInProcessResult) -> str:
    lines = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            error = data.error
            while error is not None:
                lines.append(error.message)
                error = error.cause
            if data.user_failure_data is not None:
                lines.append(str(data.user_failure_data.description))
                lines.append(str({k: v.value for k, v in data.user_failure_data.metadata.items()}))
    return "\n".join(lines)
