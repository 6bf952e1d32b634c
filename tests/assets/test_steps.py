"""What is said of the steps reaches every step, those that observe and check included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.steps import FastLabelStep, StepOptions
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions
from fastlabel_dagster.project import build_fastlabel_project
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.workspace import Dataset, FastLabelWorkspace, Project

from .conftest import fill

CHECKS = {"images": True, "leakage": True, "connection": True, "comments": True}
LOOP = {
    "retrain_after": {"approved": 3},
    "dataset": "street",
    "base_model": "fastlabel_object_detection_light",
    "epoch": 3,
    "gate": {"mAP": {"at_least": 0.1}},
    "auto_annotate": {},
}
WORKSPACE = FastLabelWorkspace(
    projects=(
        Project(slug="street", id="1", type="image_bbox"),
        Project(slug="通り", id="2", type="image_bbox"),
    ),
    datasets=(Dataset(id="3", name="street"),),
)


def ops(defs: dg.Definitions) -> dict[str, dg.OpDefinition]:
    """Every op of what the definitions hold, by name."""
    nodes = defs.resolve_implicit_global_asset_job_def().nodes
    return {node.definition.name: node.definition for node in nodes}  # type: ignore[misc]


def whole_project(store: str, steps: StepOptions) -> dg.Definitions:
    return build_fastlabel_project(
        "street",
        store=store,
        loop=LOOP,
        checks=CHECKS,
        imports={"s3": {"bucket": "b", "region": "r"}},
        quality=True,
        pool="calls",
        steps=steps,
        resource=FastLabelResource(access_token="t"),
    )


def workspace(store: str, steps: StepOptions, resource: FastLabelResource | None = None, **more: Any) -> dg.Definitions:
    assets = build_fastlabel_assets_definitions(WORKSPACE, store=store, pool="calls", steps=steps, **more)
    return dg.Definitions(assets=assets, resources={"fastlabel": resource or FastLabelResource(access_token="t")})


@pytest.mark.parametrize(
    ("of", "observed", "checked"),
    [
        (whole_project, "street_observe", "street_quality_checks"),
        (workspace, "observe_fastlabel", "fastlabel_checks"),
        (lambda *given: workspace(*given, gather=False), "street_observe", "street_polling_check"),
        (lambda *given: workspace(*given, partitions="project"), "fastlabel_projects_observe", None),
    ],
    ids=["project", "workspace", "not gathered", "partitioned"],
)
def test_tags_and_pool_reach_every_step(tmp_path, of, observed, checked):
    found = ops(of(str(tmp_path), StepOptions(tags={"team": "perception"})))
    assert {observed, checked} - {None} <= set(found)
    assert {name for name, op in found.items() if op.tags.get("team") != "perception"} == set()
    calling = {name for name, op in found.items() if "fastlabel" in op.required_resource_keys}
    assert {name for name in calling if found[name].pool != "calls"} == set()
    assert not any(op.pool for name, op in found.items() if name.endswith("_gate")), "who asks nobody waits for nobody"


def test_whoever_says_nothing_of_the_steps_gets_them_as_they_are(tmp_path):
    assets = build_fastlabel_project_assets("street", store=tmp_path, pool=None)
    found = ops(dg.Definitions(assets=assets, resources={"fastlabel": FastLabelResource(access_token="t")}))
    assert not any(op.pool or op.tags for op in found.values())


def test_whoever_runs_the_steps_runs_observations_and_checks_too(sandbox, instance, tmp_path):
    fill(sandbox.state, "street", tasks=2)
    ran: list[tuple[str, str, str]] = []

    def execute(context: Any, step: FastLabelStep) -> Iterator[Any]:
        context.log.info("%s begins", step.name)
        for result in step.run():
            ran.append((step.project, step.name, type(result).__name__))
            yield result

    steps = StepOptions(execute=execute)
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)

    def look(defs: dg.Definitions) -> set[tuple[str, str, str]]:
        ran.clear()
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["fastlabel", "street"])])
        assert result.success and len(result.get_asset_check_evaluations()) == sum("Check" in kind for *_, kind in ran)
        return set(ran)

    assert look(
        build_fastlabel_project("street", store=str(tmp_path), quality=True, steps=steps, resource=resource)
    ) == {
        ("street", "street_observe", "ObserveResult"),
        ("street", "street_connection_check", "AssetCheckResult"),
        ("street", "street_imports_check", "AssetCheckResult"),
        ("street", "street_polling_check", "AssetCheckResult"),
        ("street", "street_quality_checks", "AssetCheckResult"),
    }
    assert look(workspace(str(tmp_path), steps, resource)) == {
        ("", "observe_fastlabel", "ObserveResult"),
        ("", "fastlabel_checks", "AssetCheckResult"),
    }
