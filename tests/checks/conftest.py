"""One small project in a sandbox, its assets with the checks a test asks for, and what a run of them said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox

SLUG = "street"


def result_of(made: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    """The one evaluation of the check ``name`` in a run."""
    (found,) = [one for one in made.get_asset_check_evaluations() if one.check_name == name]
    return found


def plain(found: Any) -> dict[str, Any]:
    """Metadata as plain values; tables as lists of rows."""
    values = {name: value.value if hasattr(value, "value") else value for name, value in found.metadata.items()}
    for name, value in found.metadata.items():
        if isinstance(value, dg.TableMetadataValue):
            values[name] = [dict(record.data) for record in value.records]
    return values


class Street:
    """The project ``street``: a store, a sandbox, and the runs of its assets."""

    def __init__(self, sandbox: Sandbox, instance: dg.DagsterInstance, store: Path) -> None:
        self.sandbox, self.instance, self.store = sandbox, instance, store
        self.state = sandbox.state
        self.resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1)

    def fill(self, tasks: list[dict[str, Any]], files: Mapping[str, bytes] | None = None) -> list[str]:
        return self.state.add_tasks(SLUG, tasks, dict(files or {}), validate=False)

    def definitions(self, checks: Any = None, **how: Any) -> dg.Definitions:
        how = {"exports": ["coco"], **how}
        assets = build_fastlabel_project_assets(SLUG, store=self.store, checks=checks, **how)
        return dg.Definitions(assets=assets, resources={"fastlabel": self.resource})

    def run(self, checks: Any = None, *, only: list[str] | None = None, **how: Any) -> dg.ExecuteInProcessResult:
        """Run the assets ``only`` (last parts of their keys; None: all) with their checks."""
        definitions = self.definitions(checks, **how)
        if only is None:
            job = definitions.resolve_implicit_global_asset_job_def()
            return job.execute_in_process(instance=self.instance, raise_on_error=False)
        chosen = dg.AssetSelection.assets(*([SLUG, name] for name in only))
        jobs = dg.Definitions(jobs=[dg.define_asset_job("chosen", chosen)])
        job = dg.Definitions.merge(definitions, jobs).resolve_job_def("chosen")
        return job.execute_in_process(instance=self.instance, raise_on_error=False)


@pytest.fixture
def street(fastlabel_sandbox: Sandbox, tmp_path: Path) -> Iterator[Street]:
    state = fastlabel_sandbox.state
    state.create_project(SLUG, type="image_all")
    for value, kind in (("car", "bbox"), ("person", "polygon"), ("sign", "bbox")):
        state.create_class(SLUG, kind, value, value.title(), color="#d62728")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Street(fastlabel_sandbox, instance, tmp_path / "store")


@pytest.fixture
def said() -> Callable[..., dg.AssetCheckEvaluation]:
    """:func:`result_of`."""
    return result_of


@pytest.fixture
def values() -> Callable[..., dict[str, Any]]:
    """:func:`plain`."""
    return plain
