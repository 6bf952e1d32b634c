"""What can be wrong in the arguments is refused when the code location loads, in words that name it."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.formats import registry
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator, dataset_name, safe_name


def keys(**arguments):
    assets = build_fastlabel_project_assets("street-scenes", **{"store": "out", **arguments})
    return {key.to_user_string() for key in graph_of(assets).get_all_asset_keys()}


def graph_of(assets):
    resources = {"fastlabel": FastLabelResource(access_token="x")}
    return dg.Definitions(assets=assets, resources=resources).resolve_asset_graph()


@pytest.mark.parametrize("format", formats.FORMATS)
def test_every_format_that_is_written_can_be_an_export(format):
    if registry.find(format).write is None:
        with pytest.raises(ValueError, match="unknown export format"):
            keys(exports=[format])
    else:
        exports = keys(exports=[format])
        assert format == "parquet" or f"street-scenes/{format}" in exports


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"exports": ["coco", "yelo"]}, "unknown export format 'yelo'"),
        ({"exports": ["coco", {"format": "coco", "status": "approved"}]}, "two exports are called coco"),
        ({"exports": [{"format": "coco", "name": "labels"}]}, "cannot be called 'labels'"),
        ({"exports": [{"format": "coco", "name": "../up"}]}, "cannot be called '../up'"),
        ({"training": {"base_model": "m", "epoch": 3}}, "needs a dataset"),
        ({"dataset": "d", "training": {"epoch": 3}}, "base_model"),
        ({"dataset": "d", "training": {"base_model": "m", "epoch": 0}}, "epoch"),
        ({"dataset": "d", "training": {"base_model": "m", "epoch": 1, "lr": 3}}, "no option lr"),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        keys(**arguments)


def test_assets_come_as_far_as_they_are_asked_for():
    assert "street-scenes/dataset" not in keys()
    assert "street-scenes/training" not in keys(dataset="d")
    assert {"street-scenes/training", "street-scenes/model"} <= keys(
        dataset="d", training={"base_model": "m", "epoch": 1}
    )
    assert keys(exports=["parquet"]) == keys(exports=[])
    named = keys(exports=["coco", {"format": "coco", "name": "coco-approved", "status": "approved"}])
    assert {"street-scenes/coco", "street-scenes/coco-approved"} <= named


def test_a_translator_decides_keys_groups_and_owners():
    class Ours(DagsterFastLabelTranslator):
        def get_asset_spec(self, props):
            spec = super().get_asset_spec(props)
            return spec.replace_attributes(key=spec.key.with_prefix("ml"), owners=["team:perception"])

    assets = build_fastlabel_project_assets(
        "street-scenes", store="out", dataset="d", training={"base_model": "m", "epoch": 1}, translator=Ours()
    )
    graph = graph_of(assets)
    assert {key.path[0] for key in graph.get_all_asset_keys()} == {"ml"}
    labels = graph.get(dg.AssetKey(["ml", "street-scenes", "labels"]))
    assert labels.parent_keys == {dg.AssetKey(["ml", "fastlabel", "street-scenes"])}
    assert labels.owners == ["team:perception"]


def test_names_are_fit_for_dagster_and_differ():
    slugs = ["street-scenes", "street_scenes", "Street-Scenes", "交差点", "交差点 2", "--", "a" * 300]
    names = [safe_name(slug) for slug in slugs]
    assert len(set(names)) == len(slugs)
    assert all(name.isidentifier() or name[0].isdigit() for name in names)
    assert all(name.isascii() for name in names)


def test_dataset_names_are_fit_for_fastlabel_and_differ():
    slugs = ["street-scenes", "street_scenes", "Street-Scenes", "交差点", "--"]
    names = [dataset_name(slug) for slug in slugs]
    assert names[0] == "street-scenes"
    assert len(set(names)) == len(slugs)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
