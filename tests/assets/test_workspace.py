"""A whole workspace as assets: what is there, that any part of it can be run, and that one project harms no other."""

from __future__ import annotations

import dataclasses
import logging

import dagster as dg
import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions, load_fastlabel_asset_specs
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key
from fastlabel_dagster.workspace import (
    AnnotationClass,
    AutoAnnotationJob,
    Dataset,
    EvaluationJob,
    FastLabelWorkspace,
    ImportHistory,
    Model,
    Project,
    TrainingJob,
    fetch_workspace,
)

SLUGS = ("harbour", "street")
COCO = {"format": "coco", "images": False}


def key(text):
    return dg.AssetKey(text.split("/"))


def names(assets):
    graph = dg.Definitions(assets=assets, resources={"fastlabel": FastLabelResource()}).resolve_asset_graph()
    return {one.to_user_string() for one in graph.get_all_asset_keys()}


@pytest.fixture
def resource(sandbox):
    return FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0)


@pytest.fixture
def workspace(sandbox, fill_project):
    for slug in SLUGS:
        fill_project(sandbox.state, slug, tasks=4, approved=2)
    with FastLabelClient(sandbox.token, sandbox.url) as client:
        return fetch_workspace(client)


@pytest.fixture
def definitions(workspace, resource, tmp_path):
    def make(**more):
        built = build_fastlabel_assets_definitions(workspace, store=tmp_path / "store", exports=[COCO], **more)
        return dg.Definitions(assets=built, resources={"fastlabel": resource})

    return make


def run(defs, instance, *keys, **more):
    job = defs.resolve_implicit_global_asset_job_def()
    more.setdefault("raise_on_error", False)
    return job.execute_in_process(instance=instance, asset_selection=list(map(key, keys)) or None, **more)


def made(result):
    return {one.materialization.asset_key.to_user_string() for one in result.get_asset_materialization_events()}


DATA = ("labels", "classes", "tasks", "annotations", "images", "coco")


def test_every_project_has_what_it_would_have_alone(definitions, instance):
    defs = definitions(dataset="train-{slug}")
    result = run(defs, instance)
    assert result.success
    assert made(result) == {f"{slug}/{name}" for slug in SLUGS for name in (*DATA, "dataset")}
    checks = {(one.asset_key.to_user_string(), one.check_name) for one in result.get_asset_check_evaluations()}
    assert {("harbour/labels", "parity"), ("street/annotations", "geometry")} <= checks
    assert {("fastlabel/harbour", "imports_succeeded"), ("fastlabel/street", "imports_succeeded")} <= checks
    assert all(one.passed for one in result.get_asset_check_evaluations())
    graph = defs.resolve_asset_graph()
    separate = definitions(dataset="train-{slug}", gather=False).resolve_asset_graph()
    assert graph.get_all_asset_keys() == separate.get_all_asset_keys()
    assert graph.asset_check_keys == separate.asset_check_keys
    for one in graph.get_all_asset_keys():
        assert graph.get(one).parent_keys == separate.get(one).parent_keys, one


def test_running_it_again_makes_nothing_stale(definitions, instance):
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    defs = definitions()
    for _ in range(2):
        assert run(defs, instance).success
        graph = defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        statuses = {one.to_user_string(): resolver.get_status(one).value for one in graph.get_all_asset_keys()}
        assert {statuses[f"{slug}/{name}"] for slug in SLUGS for name in DATA} == {"FRESH"}
        assert statuses["fastlabel/street"] == "FRESH"


def test_any_part_of_a_project_can_be_run_alone(definitions, instance):
    defs = definitions()
    assert made(run(defs, instance, "street/labels")) == {"street/labels"}
    result = run(defs, instance, "street/coco")
    assert result.success and made(result) == {"street/coco"}
    result = run(defs, instance, "street/annotations")
    assert result.success and {one.check_name for one in result.get_asset_check_evaluations()} >= {"geometry"}
    # the three tables are written at once, so the other two are as new, and said to be
    assert made(result) == {f"street/{name}" for name in ("annotations", "classes", "tasks")}
    assert instance.get_latest_materialization_event(key("harbour/labels")) is None


def test_a_run_may_say_something_about_one_export(definitions, instance, tmp_path):
    defs = definitions()
    run(defs, instance)
    file = tmp_path / "store" / "street" / "coco" / "annotations.json"
    first = file.stat().st_ino
    run(defs, instance, "street/coco")
    assert file.stat().st_ino == first
    config = {"ops": {"street_project": {"config": {"options": {"coco": {"force": True}}}}}}
    assert run(defs, instance, "street/coco", run_config=config).success
    assert file.stat().st_ino != first


def test_a_project_that_fails_harms_no_other(definitions, instance, sandbox, failure_text):
    defs = definitions()
    sandbox.state.projects.delete(sandbox.state.find_project("harbour")["id"])
    result = run(defs, instance)
    assert not result.success
    assert made(result) == {f"street/{name}" for name in DATA}
    assert "harbour" in failure_text(result)


def test_a_dataset_that_is_gone_fails_the_run_and_keeps_no_project_from_its_sync(
    sandbox, resource, workspace, instance, tmp_path, failure_text
):
    gone = dataclasses.replace(workspace, datasets=(Dataset(id="d1", name="gone"),))
    built = build_fastlabel_assets_definitions(gone, store=tmp_path / "store", exports=[COCO])
    result = run(dg.Definitions(assets=built, resources={"fastlabel": resource}), instance)
    assert not result.success and "there is no dataset 'gone'" in failure_text(result)
    assert made(result) == {f"{slug}/{name}" for slug in SLUGS for name in DATA}


def test_a_part_that_fails_keeps_from_running_only_what_is_made_from_it(definitions, instance, sandbox, tmp_path):
    defs = definitions()
    run(defs, instance, "street/labels")
    (tmp_path / "store" / "street" / "images").mkdir()
    (tmp_path / "store" / "street" / "images" / "mine.jpg").write_bytes(b"somebody's own file")
    result = run(defs, instance, *(f"street/{name}" for name in DATA))
    assert not result.success
    assert made(result) == {"street/labels", "street/classes", "street/tasks", "street/annotations", "street/coco"}


def test_a_step_tried_again_goes_on_where_it_failed(workspace, instance, sandbox, tmp_path):
    built = build_fastlabel_assets_definitions(workspace, store=tmp_path / "store", exports=[COCO])
    patient = FastLabelResource(
        access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=1, step_retry_seconds=0
    )
    defs = dg.Definitions(assets=built, resources={"fastlabel": patient})
    # a look and two scans of the mirror pass, the links of the pictures fail once
    sandbox.fail("GET tasks/image", times=1, status=500, skip=3)
    result = run(defs, instance, *(f"street/{name}" for name in DATA))
    counts = {name: len(instance.fetch_materializations(key(f"street/{name}"), limit=9).records) for name in DATA}
    assert result.success and counts == dict.fromkeys(DATA, 1)


def test_a_blocking_check_keeps_what_follows_from_being_made(definitions, instance, sandbox):
    task = sandbox.state.task_ids("street")[0]
    sandbox.state.update_task(task, annotations=[{"type": "bbox", "value": "car", "points": [-50, 5, 9000, 60]}])
    checks = {"geometry": {"severity": "error", "blocking": True}}
    result = run(definitions(checks=checks), instance)
    assert not result.success
    assert "street/annotations" in made(result) and "street/coco" not in made(result)
    assert "harbour/coco" in made(result)


def test_two_projects_of_one_name_stay_two():
    slugs = ("a-1", "a_1", "港湾", "東京")  # Dagster calls two and two of them the same in one step
    twins = FastLabelWorkspace(projects=tuple(Project(slug=slug, name="Street") for slug in slugs))
    built = build_fastlabel_assets_definitions(twins, store="s", exports=["coco"])
    graph = dg.Definitions(assets=built, resources={"fastlabel": FastLabelResource()}).resolve_asset_graph()
    projects = {asset_key(slug, "project") for slug in slugs}
    labels = {asset_key(slug, "labels") for slug in slugs}
    assert len(projects) == len(labels) == 4 and projects | labels <= graph.get_all_asset_keys()
    for one in projects:
        assert dg.AssetCheckKey(one, "imports_succeeded") in graph.asset_check_keys
    assert {"fastlabel/a-1", "fastlabel/a_1"} <= names(load_fastlabel_asset_specs(twins))


def test_projects_that_cannot_be_built_are_left_out_and_named(caplog):
    odd = FastLabelWorkspace(
        projects=(
            Project(slug="a/b"),
            Project(slug="fastlabel"),
            Project(slug="good"),
            Project(slug="labels", errors={"classes": "ServerError: broken"}),
        )
    )
    with caplog.at_level(logging.WARNING):
        built = build_fastlabel_assets_definitions(odd, store="s", exports=["coco"])
    found = names(built)
    assert {"good/labels", "fastlabel/labels"} <= found and "labels/labels" not in found
    assert "project a/b was left out" in caplog.text
    assert "project labels was left out: another asset is called fastlabel/labels" in caplog.text


def test_an_error_of_all_projects_is_an_error():
    several = FastLabelWorkspace(projects=(Project(slug="a"), Project(slug="b")))
    with pytest.raises(ValueError, match="unknown export format 'docx'"):
        build_fastlabel_assets_definitions(several, store="s", exports=["docx"])


def test_what_could_not_be_fetched_is_in_the_metadata():
    odd = FastLabelWorkspace(
        projects=(Project(slug="a", errors={"classes": "ServerError: broken"}, left_out=("tasks",)),)
    )
    (spec,) = load_fastlabel_asset_specs(odd)
    assert spec.metadata["fastlabel/error"] == "classes: ServerError: broken"
    assert spec.metadata["fastlabel/left_out"] == "tasks"


WHOLE = FastLabelWorkspace(
    projects=(
        Project(
            slug="street",
            id="p1",
            type="image_bbox",
            status="active",
            tasks=7,
            statuses={"approved": 5},
            classes=(AnnotationClass("c", "bbox", "car"),),
            imports=(ImportHistory("i1", "zip", "completed", "2025"),),
            auto_annotations=(AutoAnnotationJob("a1", "completed", "m"),),
        ),
    ),
    datasets=(Dataset(id="d1", name="train-street", objects=5), Dataset(id="d2", name="big", objects_at_least=1000)),
    trainings=(
        TrainingJob("t1", "completed", "base", 3, model=Model("m1", "ours/1", ("car",), training_job="t1")),
        TrainingJob("t2", "completed", "base", 3, model=Model("m2", "same", training_job="t2")),
        TrainingJob("t3", "completed", "base", 3, model=Model("m3", "same", training_job="t3")),
    ),
    evaluations=(EvaluationJob("e1", "completed"),),
)


def test_specs_show_everything_of_a_workspace():
    specs = {one.key.to_user_string(): one for one in load_fastlabel_asset_specs(WHOLE)}
    assert set(specs) == {
        "fastlabel/street",
        "fastlabel/street/annotation_classes",
        "fastlabel/street/import_histories",
        "fastlabel/street/auto_annotation_jobs",
        "fastlabel_workspace/datasets/train-street",
        "fastlabel_workspace/datasets/big",
        "fastlabel_workspace/training_jobs",
        "fastlabel_workspace/evaluation_jobs",
        "fastlabel_workspace/models/ours-1",
        "fastlabel_workspace/models/same-m2",
        "fastlabel_workspace/models/same-m3",
    }
    street = specs["fastlabel/street"].metadata
    assert (street["fastlabel/tasks"], street["fastlabel/tasks/approved"], street["fastlabel/classes"]) == (7, 5, 1)
    assert specs["fastlabel/street/import_histories"].metadata["fastlabel/newest_import"] == "i1"
    assert specs["fastlabel_workspace/datasets/train-street"].metadata["fastlabel/objects"] == 5
    assert specs["fastlabel_workspace/datasets/big"].metadata["fastlabel/objects_at_least"] == 1000
    assert specs["fastlabel_workspace/models/ours-1"].metadata["fastlabel/training_job"] == "t1"


def test_what_a_translator_leaves_out_of_a_spec_is_added():
    class Terse(DagsterFastLabelTranslator):
        def get_asset_spec(self, props):
            return dg.AssetSpec(self.get_asset_key(props), metadata={"fastlabel/types": "ours"})

    workspace = FastLabelWorkspace(
        projects=(Project(slug="street", name="Street", classes=(AnnotationClass(id="1", value="car", type="bbox"),)),),
        trainings=(TrainingJob(id="t", status="completed", model=Model(id="m", name="detector")),),
    )
    specs = {spec.key.to_user_string(): spec for spec in load_fastlabel_asset_specs(workspace, Terse())}
    classes, model = specs["fastlabel/street/annotation_classes"], specs["fastlabel_workspace/models/detector"]
    assert [dep.asset_key for dep in classes.deps] == [key("fastlabel/street")]
    assert classes.metadata == {"fastlabel/classes": 1, "fastlabel/types": "ours"}
    assert [dep.asset_key for dep in model.deps] == [key("fastlabel_workspace/training_jobs")]
    assert model.metadata["fastlabel/model_id"] == "m"
    assert specs["fastlabel/street"].metadata["fastlabel/project_name"] == "Street"


def test_a_published_dataset_is_made_from_the_project_that_publishes_it():
    built = build_fastlabel_assets_definitions(WHOLE, store="s", exports=["coco"], dataset="train-{slug}")
    graph = dg.Definitions(assets=built, resources={"fastlabel": FastLabelResource()}).resolve_asset_graph()
    assert graph.get(key("fastlabel_workspace/datasets/train-street")).parent_keys == {key("street/dataset")}
    assert graph.get(key("fastlabel_workspace/datasets/train-street")).is_observable
    assert graph.get(key("fastlabel_workspace/datasets/big")).parent_keys == set()


class Renamed(DagsterFastLabelTranslator):
    """Another key for every asset."""

    def get_asset_spec(self, props):
        spec = super().get_asset_spec(props)
        return spec.replace_attributes(key=dg.AssetKey(["x", *spec.key.path[:-1], f"{spec.key.path[-1]}_x"]))


def test_renamed_assets_are_still_found_in_the_api(sandbox, instance, workspace, resource, tmp_path):
    sandbox.state.datasets.create("boxes")
    fresh = fetch_workspace(resource.client)
    built = build_fastlabel_assets_definitions(fresh, store=tmp_path / "s", exports=[COCO], translator=Renamed())
    defs = dg.Definitions(assets=built, resources={"fastlabel": resource})
    assert run(defs, instance).success
    for one in ("x/fastlabel_workspace/datasets/boxes_x", "x/fastlabel/street_x"):
        assert instance.fetch_observations(key(one), limit=1).records


def test_projects_may_differ_and_options_reach_all(workspace):
    built = build_fastlabel_assets_definitions(
        workspace,
        store="s",
        exports=["coco"],
        projects={"street": {"exports": ["yolo"], "dataset": "own"}},
        training=None,
        group_name="ours",
    )
    found = names(built)
    assert {"street/yolo", "street/dataset", "harbour/coco"} <= found
    assert not {"street/coco", "harbour/yolo", "harbour/dataset"} & found


def test_what_is_trained_on_has_steps_and_checks_of_its_own(workspace):
    training = {"base_model": "fastlabel_x", "epoch": 1}
    common = {"store": "s", "exports": ["coco"], "dataset": "{slug}", "training": training, "evaluation": {"gate": {}}}
    graphs = []
    for gather in (True, False):
        built = build_fastlabel_assets_definitions(workspace, gather=gather, **common)
        defs = dg.Definitions(assets=built, resources={"fastlabel": FastLabelResource()})
        dg.Definitions.validate_loadable(defs)
        graphs.append(defs.resolve_asset_graph())
    assert graphs[0].get_all_asset_keys() == graphs[1].get_all_asset_keys()
    assert graphs[0].asset_check_keys == graphs[1].asset_check_keys
    assert dg.AssetCheckKey(key("street/model"), "training_succeeded") in graphs[0].asset_check_keys


def test_a_resource_fetches_and_selects_before_it_asks(sandbox, resource, workspace):
    before = len(workspace.projects)
    specs = load_fastlabel_asset_specs(resource, selector="street")
    slugs = {spec.metadata.get("fastlabel/project") for spec in specs} - {None}
    assert slugs == {"street"} and before == 2
    built = build_fastlabel_assets_definitions(resource, store="s", exports=["coco"], selector={"globs": "har*"})
    assert "harbour/labels" in names(built) and "street/labels" not in names(built)


def test_a_fetched_workspace_needs_no_network(workspace, sandbox, monkeypatch):
    import socket

    sandbox.stop()
    monkeypatch.setattr(socket.socket, "connect", lambda *given: pytest.fail("a connection was made"))
    built = build_fastlabel_assets_definitions(workspace, store="s3://nowhere/at/all", exports=["coco"])
    defs = dg.Definitions(assets=built, resources={"fastlabel": FastLabelResource(access_token=dg.EnvVar("UNSET"))})
    dg.Definitions.validate_loadable(defs)


def test_two_workspaces_fit_into_one_location(workspace, tmp_path):
    other = FastLabelWorkspace(projects=(Project(slug="elsewhere"),))
    first = build_fastlabel_assets_definitions(workspace, store="a", exports=["coco"])
    second = build_fastlabel_assets_definitions(
        other, store="b", exports=["coco"], name="second", resource_key="second"
    )
    defs = dg.Definitions(
        assets=[*first, *second], resources={"fastlabel": FastLabelResource(), "second": FastLabelResource()}
    )
    dg.Definitions.validate_loadable(defs)


class Titled(DagsterFastLabelTranslator):
    """Makes tags of what people have typed, which Dagster takes in ASCII only."""

    def get_asset_spec(self, props):
        typed = props.title or (props.name if props.part.startswith("workspace_") else "")
        return super().get_asset_spec(props).merge_attributes(tags={"title": typed})


def test_what_dagster_refuses_is_left_out_and_harms_nothing_else(caplog):
    found = FastLabelWorkspace(
        projects=(Project(slug="harbour", name="港湾"), Project(slug="street", name="Street")),
        datasets=(Dataset(id="d1", name="港湾"), Dataset(id="d2", name="boxes")),
        trainings=(),
    )
    for load in (
        lambda: names(build_fastlabel_assets_definitions(found, store="s", exports=["coco"], translator=Titled())),
        lambda: {spec.key.to_user_string() for spec in load_fastlabel_asset_specs(found, Titled())},
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            keys = load()
        assert {"fastlabel/street", "fastlabel_workspace/datasets/boxes"} <= keys
        assert not any("harbour" in one for one in keys)
        assert "project harbour was left out" in caplog.text and "workspace_dataset 港湾 was left out" in caplog.text
    only = FastLabelWorkspace(projects=found.projects[:1])
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="tag"):
        build_fastlabel_assets_definitions(only, store="s", exports=["coco"], translator=Titled())


def test_things_of_one_name_do_not_take_the_location_down(caplog):
    models = [Model(f"m{number}", name) for number, name in enumerate(("a/b", "a-b", "c", "c"))]
    found = FastLabelWorkspace(
        projects=(Project(slug="street"),),
        datasets=(Dataset(id="d1", name="twin"), Dataset(id="d2", name="twin")),
        trainings=tuple(TrainingJob(f"t{n}", "completed", model=model) for n, model in enumerate(models)),
    )
    with caplog.at_level(logging.WARNING):
        keys = names(build_fastlabel_assets_definitions(found, store="s", exports=["coco"]))
    assert "a second asset called fastlabel_workspace/datasets/twin was left out" in caplog.text
    shown = {f"fastlabel_workspace/models/{name}" for name in ("a-b-m0", "a-b-m1", "c-m2", "c-m3")}
    assert shown | {"fastlabel_workspace/datasets/twin", "street/coco"} <= keys
    assert shown <= {spec.key.to_user_string() for spec in load_fastlabel_asset_specs(found)}


def test_a_misspelt_option_of_a_project_is_named():
    found = FastLabelWorkspace(projects=(Project(slug="street"),))
    with pytest.raises(ValueError, match="project street has no option exprots"):
        build_fastlabel_assets_definitions(found, store="s", projects={"street": {"exprots": ["coco"]}})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"projects": {"street": None}}, "projects: street: what differs for a project is a mapping"),
        ({"projects": {"street": {"store": None}}}, "projects: street: store is a folder"),
        ({"projects": {"street": {"checks": 3}}}, "projects: street: checks is a mapping"),
        ({"exports": ["docx"], "projects": {"street": {"prune": False}}}, "^unknown export format 'docx'"),
        ({"store": None}, "store is a folder or s3://bucket/prefix, not null"),
        ({"dataset": 7}, "dataset is the name of a dataset"),
    ],
)
def test_what_suits_no_project_is_told_with_the_project_it_was_said_of(arguments, words):
    several = FastLabelWorkspace(projects=(Project(slug="street"), Project(slug="harbour")))
    with pytest.raises(ValueError, match=words):
        build_fastlabel_assets_definitions(several, **{"store": "s", **arguments})
