"""What can be wrong in the arguments is refused when the code location loads, in words that name it."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.gathered import folder_of
from fastlabel_dagster.formats import registry
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator, dataset_name, safe_name

TRAINED = {"dataset": "d", "training": {"base_model": "m", "epoch": 1}}


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
        ({"exports": None}, "exports is a list of formats .* not null"),
        ({"exports": [{"format": "coco", "status": 3}]}, "status of coco is a status or a list"),
        ({"exports": [{"format": "coco", "images": "no"}]}, "images of coco is true or false, not 'no'"),
        ({"store": None}, "store is a folder or s3://bucket/prefix, not null"),
        ({"store": " "}, "store is a folder"),
        ({"store": "gs://acme/labels"}, "s3://bucket/prefix, not gs://"),
        ({"dataset": 7}, "dataset is the name of a dataset, not 7"),
        ({"publish_status": None}, "publish_status is the status .* not null"),
        ({"previews": "no"}, "previews is true or false"),
        ({"pool": ""}, "pool is the name of a pool"),
        ({"resource_key": "of ours"}, "resource_key is a name such as fastlabel"),
        ({"s3": {"regoin": "x"}}, "s3 is a mapping of endpoint_url, region, profile"),
        ({"s3": {"region": 3}}, "s3: region is a text"),
        ({"exports": ["coco", {"format": "coco", "status": "approved"}]}, "two exports are called coco"),
        ({"exports": [{"format": "coco", "name": "labels"}]}, "cannot be called 'labels'"),
        ({"exports": [{"format": "coco", "name": "approved_tasks"}]}, "cannot be called 'approved_tasks'"),
        ({"exports": [{"format": "coco", "name": "dataset_objects"}]}, "cannot be called 'dataset_objects'"),
        (
            {"exports": [{"format": "coco", "name": "a-b"}, {"format": "yolo", "name": "a_b"}]},
            "exports a-b and a_b are one name to Dagster",
        ),
        ({"exports": [{"format": "coco", "name": "../up"}]}, "cannot be called '../up'"),
        ({"training": {"base_model": "m", "epoch": 3}}, "needs a dataset"),
        ({"dataset": "d", "training": {"epoch": 3}}, "base_model"),
        ({"dataset": "d", "training": {"base_model": "m", "epoch": 0}}, "epoch"),
        ({"dataset": "d", "training": {"base_model": "m", "epoch": 1, "lr": 3}}, "no option lr"),
        ({**TRAINED, "training": {**TRAINED["training"], "wait": "forever"}}, "wait is 'run' or 'sensor'"),
        ({**TRAINED, "training": {**TRAINED["training"], "poll_seconds": 0}}, "poll_seconds is a number above 0"),
        ({"evaluation": {}}, "needs a training"),
        ({**TRAINED, "auto_annotation": {}}, "follows an evaluation"),
        ({**TRAINED, "evaluation": {"iou": 0.5}}, "no option iou"),
        ({**TRAINED, "evaluation": {"iou_threshold": 5}}, "iou_threshold is a number from 0 to 1"),
        ({**TRAINED, "evaluation": {"use_dataset_test": "yes"}}, "true or false"),
        ({**TRAINED, "evaluation": {"gate": {"mAp50": {"at_least": 1}}}}, "no measure 'mAp50'"),
        ({**TRAINED, "evaluation": {"gate": {"mAP": {"at_least": 20}}}}, "from 0 to 1"),
        ({**TRAINED, "evaluation": {}, "auto_annotation": {"confidence": "high"}}, "confidence is a number"),
        ({**TRAINED, "evaluation": {}, "auto_annotation": {"update_existing": True}}, "never touches"),
        ({**TRAINED, "evaluation": {}, "auto_annotation": {"status": [3]}}, "status is a text or a list"),
        ({"imports": {"gcs": {}}}, "no option gcs"),
        ({"imports": {"s3": {"bucket": "b"}}}, "bucket and region are given together"),
        ({"imports": {"s3": {"prefix": "b"}}}, "a prefix needs a bucket"),
        ({"imports": {"s3": {"priority": 5}}}, "priority is 0, 10, 20 or 30"),
        ({"imports": {"dicom": "scan.dcm"}}, "the path of a .zip"),
        ({"imports": ["s3"]}, "imports is a mapping"),
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
    loop = keys(**TRAINED, evaluation={}, auto_annotation={"update_existing": False}, imports={"s3": True})
    assert {"street-scenes/evaluation", "street-scenes/auto_annotation", "street-scenes/s3_import"} <= loop
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


class ByOrigin(DagsterFastLabelTranslator):
    """Makes keys of all that it is told of an asset: what it is made from, and with which options."""

    def get_asset_spec(self, props):
        spec = super().get_asset_spec(props)
        origin = [dep.path[-1] for dep in props.deps] + sorted(map(str, props.options))
        return spec.replace_attributes(key=dg.AssetKey(["_".join(origin) or "nothing", *spec.key.path]))


def test_a_key_may_be_made_of_what_an_asset_is_made_from():
    arguments = {
        **TRAINED,
        "evaluation": {"gate": {"mAP": {"no_worse_than": 0}}},
        "auto_annotation": {},
        "imports": {"s3": True, "dicom": "scan.zip"},
        "exports": ["coco", {"format": "yolo", "split": {"train": 0.9, "val": 0.1}, "images": False}],
        "checks": {"leakage": True, "images": True, "geometry": {"severity": "error", "blocking": True}},
    }

    def lineage(**more):
        built = build_fastlabel_project_assets("street-scenes", store="out", **arguments, **more)
        graph = graph_of(built)
        edges = {
            (key.path[-1], parent.path[-1])
            for key in graph.get_all_asset_keys()
            for parent in graph.get(key).parent_keys
        }
        return edges, {(check.asset_key.path[-1], check.name) for check in graph.asset_check_keys}, graph

    *plain, _ = lineage()
    *ours, graph = lineage(translator=ByOrigin())
    assert ours == plain, "nothing is split in two, and nothing hangs in the air"
    assert len(graph.get_all_asset_keys()) == len({key.path[-1] for key in graph.get_all_asset_keys()})
    yolo = next(key for key in graph.get_all_asset_keys() if key.path[-1] == "yolo")
    assert yolo.path[0] == "labels_annotations_split"


def test_names_are_fit_for_dagster_and_differ():
    slugs = ["street-scenes", "street_scenes", "Street-Scenes", "交差点", "交差点 2", "--", "a" * 300, "\ud800"]
    names = [safe_name(slug) for slug in slugs]
    assert len(set(names)) == len(slugs)
    assert all(name.isidentifier() or name[0].isdigit() for name in names)
    assert all(name.isascii() for name in names)


def test_folders_are_the_slugs_where_a_disk_takes_them_and_differ_from_one_another():
    plain = ["street-scenes", "street_scenes", "v1.2", "交差点", "車" * 80]
    assert [folder_of(slug) for slug in plain] == plain
    others = ["車" * 81, "車" * 120, "車" * 120 + "b", "a" * 241, "con", "..", "a/b", "", "\ud800", " x"]
    folders = [folder_of(slug) for slug in others]
    assert len({folder.lower() for folder in folders}) == len(others)
    assert all(len(folder.encode()) <= 240 and folder.isidentifier() for folder in folders)


def test_dataset_names_are_fit_for_fastlabel_and_differ():
    slugs = ["street-scenes", "street_scenes", "Street-Scenes", "交差点", "--"]
    names = [dataset_name(slug) for slug in slugs]
    assert names[0] == "street-scenes"
    assert len(set(names)) == len(slugs)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_the_loop_is_a_line_from_people_to_people():
    arguments = {**TRAINED, "evaluation": {"gate": {"mAP": {"no_worse_than": 0}}}, "auto_annotation": {}}
    arguments["imports"] = {"s3": {"bucket": "b", "region": "r"}, "dicom": {"file": "scan.zip"}}
    graph = graph_of(build_fastlabel_project_assets("street-scenes", store="out", **arguments))

    def parents(*path):
        return {key.to_user_string() for key in graph.get(dg.AssetKey(path)).parent_keys}

    assert parents("street-scenes", "auto_annotation") == {"street-scenes/evaluation"}
    assert parents("street-scenes", "evaluation") == {"street-scenes/model", "street-scenes/dataset"}
    assert parents("street-scenes", "model") == {"street-scenes/training"}
    assert parents("fastlabel", "street-scenes") == {"street-scenes/s3_import", "street-scenes/dicom_import"}
    checks = {f"{key.asset_key.path[-1]}.{key.name}" for key in graph.asset_check_keys}
    assert {"evaluation.gate", "evaluation.evaluation_succeeded", "model.training_succeeded"} <= checks
    assert {f"{one}.{one}_succeeded" for one in ("auto_annotation", "s3_import", "dicom_import")} <= checks
