"""A step of one's own: what the decorator gives it, and that everything one may say reaches the definition."""

from __future__ import annotations

import doctest

import dagster as dg
import pytest

from fastlabel_dagster.assets import decorator
from fastlabel_dagster.assets.decorator import ProjectParts, fastlabel_project_assets
from fastlabel_dagster.resource import FastLabelResource

SLUG = "street-scenes"
COCO = {"format": "coco", "images": False}


def made(result):
    return {one.materialization.asset_key.path[-1] for one in result.get_asset_materialization_events()}


def run(asset, sandbox, instance, **more):
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0)
    job = dg.Definitions(assets=[asset], resources={"fastlabel": resource}).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False, **more)


def test_the_example_in_its_docstring_works():
    assert doctest.testmod(decorator).failed == 0


def test_a_step_of_ones_own_around_our_work(sandbox, instance, fill_project, tmp_path):
    fill_project(sandbox.state)
    said = []

    @fastlabel_project_assets(project=SLUG, store=tmp_path, assets=["labels", "annotations", "coco"], exports=[COCO])
    def street(context: dg.AssetExecutionContext, fastlabel: FastLabelResource, parts: ProjectParts):
        """Ours."""
        said.append("before")
        yield from parts.materialize(context, fastlabel, only=["labels"])
        said.append("between")
        yield from parts.materialize(
            context, fastlabel, only=["annotations", "coco"], options={"coco": {"force": True}}
        )

    result = run(street, sandbox, instance)
    assert result.success and said == ["before", "between"]
    assert {"labels", "annotations", "coco"} <= made(result)
    checks = {one.check_name for one in result.get_asset_check_evaluations()}
    assert {"parity", "geometry"} <= checks
    only = run(street, sandbox, instance, asset_selection=[dg.AssetKey([SLUG, "coco"])])
    assert only.success and made(only) == {"coco"}


def test_a_step_wholly_of_ones_own(sandbox, instance, tmp_path):
    @fastlabel_project_assets(project=SLUG, store=tmp_path, assets=["images"])
    def pictures(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(asset_key=[SLUG, "images"], metadata={"by": "hand"})

    result = run(pictures, sandbox, instance)
    assert result.success and made(result) == {"images"}


def test_everything_one_may_say_reaches_the_definition(tmp_path):
    days = dg.DailyPartitionsDefinition("2025-01-01")
    single, retries = dg.BackfillPolicy.single_run(), dg.RetryPolicy(max_retries=3)

    @fastlabel_project_assets(
        project=SLUG,
        store=tmp_path,
        assets=["labels", "classes"],
        name="called_otherwise",
        pool="ours",
        retry_policy=retries,
        partitions_def=days,
        backfill_policy=single,
        op_tags={"team": "perception"},
        group_name="grouped",
        can_subset=False,
    )
    def street(context: dg.AssetExecutionContext, fastlabel: FastLabelResource, parts):
        """What it does."""

    assert street.op.name == "called_otherwise" and street.op.pool == "ours"
    assert street.op.retry_policy == retries and street.op.tags["team"] == "perception"
    assert street.op.description == "What it does."
    assert street.partitions_def == days and street.backfill_policy == single and not street.can_subset
    assert set(street.group_names_by_key.values()) == {"grouped"}
    assert "fastlabel" in street.required_resource_keys
    assert {spec.name for spec in street.check_specs} >= {"parity", "quarantine"}


def test_what_the_project_does_not_have_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="no data asset yolo; it has annotations, classes, coco"):
        fastlabel_project_assets(project=SLUG, store=tmp_path, assets=["yolo"], exports=["coco"])
