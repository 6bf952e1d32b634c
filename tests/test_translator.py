"""The translator: keys and names that never collide, and specs of which every attribute reaches the definitions."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import (
    PARTS,
    DagsterFastLabelTranslator,
    FastLabelAssetProps,
    dataset_name,
    project_tag,
    safe_name,
)
from fastlabel_dagster.workspace import FastLabelWorkspace, Project

DAILY = dg.DailyPartitionsDefinition("2025-01-01")


class Ours(DagsterFastLabelTranslator):
    """Changes everything a spec has."""

    def get_asset_spec(self, props):
        spec = super().get_asset_spec(props)
        more = {} if props.part == "project" else {"partitions_def": DAILY, "code_version": "7"}
        return spec.replace_attributes(
            key=spec.key.with_prefix("ours"),
            deps=[*spec.deps, dg.AssetDep("upstream_of_ours")],
            description=f"{props.part} of {props.title or props.project}",
            group_name="ours",
            owners=["team:perception"],
            tags={**spec.tags, "ours": "yes"},
            kinds={"ours"},
            metadata={**spec.metadata, "ours": props.project_type},
            automation_condition=dg.AutomationCondition.eager(),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2)),
            **more,
        )


def together(assets):
    return dg.Definitions(
        assets=[*assets, dg.AssetSpec("upstream_of_ours")], resources={"fastlabel": FastLabelResource()}
    )


def separate():
    return build_fastlabel_project_assets(
        "street", store="s", exports=["coco"], dataset="street", translator=Ours(), checks=False
    )


def gathered(**more):
    workspace = FastLabelWorkspace(projects=(Project(slug="street", name="Our street", type="image_bbox"),))
    return build_fastlabel_assets_definitions(
        workspace, store="s", exports=["coco"], dataset="street", translator=Ours(), checks=False, **more
    )


@pytest.mark.parametrize("assets", [separate, gathered, lambda: gathered(gather=False)])
def test_every_attribute_of_a_translated_spec_reaches_the_definitions(assets):
    graph = together(assets()).resolve_asset_graph()
    names = ("labels", "classes", "tasks", "annotations", "images", "coco", "dataset")
    for key in [dg.AssetKey(["ours", "street", name]) for name in names]:
        node = graph.get(key)
        assert node.partitions_def == DAILY, key
        assert node.automation_condition == dg.AutomationCondition.eager()
        assert node.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2))
        assert node.owners == ["team:perception"] and node.group_name == "ours"
        assert node.tags["ours"] == "yes" and "dagster/kind/ours" in node.tags
        assert dg.AssetKey("upstream_of_ours") in node.parent_keys
        assert node.code_version == "7"
        assert node.description.startswith(key.path[-1] if key.path[-1] != "coco" else "export")
    project = graph.get(dg.AssetKey(["ours", "fastlabel", "street"]))
    assert project.is_observable and project.owners == ["team:perception"]
    assert dg.AssetKey("upstream_of_ours") in project.parent_keys
    assert graph.get(dg.AssetKey(["ours", "street", "labels"])).parent_keys >= {project.key}


def test_a_workspace_tells_the_translator_what_it_knows_of_the_project():
    graph = together(gathered()).resolve_asset_graph()
    assert graph.get(dg.AssetKey(["ours", "fastlabel", "street"])).description == "project of Our street"
    assert graph.get(dg.AssetKey(["ours", "street", "coco"])).metadata["ours"] == "image_bbox"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_spec(part):
    of_workspace = part in {"workspace_dataset", "workspace_model", "training_jobs", "evaluation_jobs"}
    slug = "" if of_workspace else "street"
    props = FastLabelAssetProps(project=slug, part=part, name="street" if part == "project" else part, format="coco")
    spec = DagsterFastLabelTranslator().get_asset_spec(props)
    assert spec.description and "{" not in spec.description
    assert spec.tags["fastlabel/part"] == part
    assert spec.tags.get("fastlabel/project") == (None if of_workspace else "street")
    assert spec.group_name == ("fastlabel" if of_workspace else "street")


def test_keys_of_all_parts_differ():
    translator = DagsterFastLabelTranslator()
    keys = [
        translator.get_asset_key(FastLabelAssetProps(slug, part, slug if part == "project" else part))
        for slug in ("street", "labels", "workspace")
        for part in PARTS
        if part not in {"workspace_dataset", "workspace_model", "training_jobs", "evaluation_jobs"}
    ]
    assert len(keys) == len(set(keys))


def test_props_deps_are_the_dependencies_of_the_spec():
    deps = (dg.AssetKey("a"), dg.AssetKey("b"))
    spec = DagsterFastLabelTranslator().get_asset_spec(FastLabelAssetProps("street", "images", "images", deps=deps))
    assert [dep.asset_key for dep in spec.deps] == list(deps)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=12), min_size=2, max_size=6))
def test_names_made_of_slugs_are_valid_and_differ(slugs):
    names = [safe_name(slug) for slug in slugs]
    assert len(set(names)) == len(slugs)
    assert len({dataset_name(slug) for slug in slugs}) == len(slugs)
    for slug, name in zip(slugs, names, strict=True):
        dg.AssetSpec("a", group_name=name, tags={"fastlabel/project": project_tag(slug)})


def test_a_long_slug_has_a_short_name_of_its_own_and_its_assets_load():
    long = "a" * 128
    names = {safe_name(long), safe_name(long[:-1]), safe_name(long[:-1] + "b")}
    assert len(names) == 3 and all(len(name) <= 50 for name in names)
    assert len(project_tag(long)) <= 63
    spec = DagsterFastLabelTranslator().get_asset_spec(FastLabelAssetProps(project=long, part="labels", name="labels"))
    assert dg.Definitions([spec]).resolve_asset_graph().get_all_asset_keys() == {spec.key}
