"""Projects and datasets are observed: versions follow the remote state, conditions and staleness go by them."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.assets.observation import build_fastlabel_observation
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import DagsterFastLabelTranslator

PROJECT = dg.AssetKey(["fastlabel", "street-scenes"])
LABELS = dg.AssetKey(["street-scenes", "labels"])


def observe(project):
    return project.run(asset_selection=[PROJECT])


def versions(instance, key=PROJECT):
    records = instance.fetch_observations(key, limit=50).records
    return [one.asset_observation.tags["dagster/data_version"] for one in records]


def data(project):
    """Mirror and tables, without what takes long."""
    names = ("labels", "classes", "tasks", "annotations")
    return project.run(asset_selection=[dg.AssetKey([project.slug, name]) for name in names])


def test_looking_and_syncing_agree(project):
    assert observe(project).success
    assert data(project).success
    assert observe(project).success
    first, second, third = versions(project.instance)
    assert first == second == third
    statuses = project.statuses()
    assert {statuses[f"street-scenes/{name}"] for name in ("labels", "classes", "tasks", "annotations")} == {"FRESH"}


def test_a_change_makes_the_mirror_stale_and_a_sync_makes_it_fresh(project, sandbox):
    data(project)
    sandbox.state.approve("street-scenes", 1)
    assert project.statuses()["street-scenes/labels"] == "FRESH", "nobody has looked yet"
    observe(project)
    assert project.statuses()["street-scenes/labels"] == "STALE"
    data(project)
    assert project.statuses()["street-scenes/labels"] == "FRESH"
    observe(project)
    assert project.statuses()["street-scenes/labels"] == "FRESH"
    before = project.metadata("labels")["labels_version"]
    data(project)
    assert project.metadata("labels")["labels_version"] == before
    assert set(project.statuses().values()) <= {"FRESH", "MISSING"}


def test_what_an_observation_says(project, sandbox):
    ids = sandbox.state.task_ids("street-scenes")
    sandbox.state.set_status(ids, "registered")
    for status, some in {"approved": [*ids[:2], *ids[-2:]], "declined": ids[4:5], "completed": ids[5:8]}.items():
        sandbox.state.set_status(some, status)
    observe(project)
    about = project.instance.fetch_observations(PROJECT, limit=1).records[0].asset_observation.metadata
    told = {name: value.value for name, value in about.items()}
    assert (told["tasks"], told["classes"], told["project_type"]) == (12, 3, "image_all")
    assert (told["tasks/approved"], told["tasks/registered"]) == (4, 4)
    rows = [(row.data["status"], row.data["count"]) for row in about["statuses"].records]
    assert rows == [("registered", 4), ("completed", 3), ("approved", 4), ("declined", 1)], "as a task goes"
    assert told["approved_share"] == pytest.approx(1 / 3, abs=1e-4) and told["every_task_seen"] is True
    assert project.sandbox.token not in str(told)


class OnChange(DagsterFastLabelTranslator):
    """Mirrors follow their project, tables follow their mirror."""

    def __init__(self, condition):
        self.condition = condition

    def get_asset_spec(self, props):
        spec = super().get_asset_spec(props)
        follows = props.part in {"labels", "tasks"}
        return spec.replace_attributes(automation_condition=self.condition) if follows else spec


@pytest.mark.parametrize(
    "condition",
    [
        dg.AutomationCondition.eager(),
        dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()),
    ],
    ids=["eager", "data_version_changed"],
)
def test_conditions_ask_for_a_sync_when_the_state_has_changed_and_only_then(make_project, fill_project, condition):
    project = make_project(options={"translator": OnChange(condition)})
    fill_project(project.sandbox.state)
    data(project)
    cursor = None

    def asked():
        nonlocal cursor
        result = dg.evaluate_automation_conditions(
            defs=project.definitions,
            instance=project.instance,
            cursor=cursor,
            asset_selection=dg.AssetSelection.assets(LABELS),
        )
        cursor = result.cursor
        return result.get_num_requested(LABELS)

    asked()
    observe(project)
    assert asked() == 0, "it was looked at, and nothing has changed"
    project.sandbox.state.approve("street-scenes", 1)
    observe(project)
    assert asked() == 1
    data(project)
    observe(project)
    asked()
    assert asked() == 0


def definitions(sandbox, **more):
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0)
    built = build_fastlabel_observation(**more)
    return dg.Definitions(assets=[built], resources={"fastlabel": resource}), built


def look(defs, instance):
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_projects_and_datasets_of_ones_own_choice(sandbox, instance, fill_project):
    fill_project(sandbox.state)
    sandbox.state.datasets.create("boxes")
    hourly = dg.AutomationCondition.on_cron("@hourly")
    defs, _ = definitions(sandbox, projects=["street-scenes"], datasets="boxes", automation_condition=hourly)
    assert look(defs, instance).success
    dataset = dg.AssetKey(["fastlabel_workspace", "datasets", "boxes"])
    assert len(versions(instance, dataset)) == len(versions(instance)) == 1
    FastLabelClient(sandbox.token, sandbox.url).dataset_objects.create("boxes", "a.txt", content=b"one")
    look(defs, instance)
    assert len(set(versions(instance, dataset))) == 2 and len(set(versions(instance))) == 1
    graph = defs.resolve_asset_graph()
    assert {graph.get(key).automation_condition for key in (dataset, PROJECT)} == {hourly}
    with pytest.raises(ValueError, match="at least one"):
        build_fastlabel_observation()


def test_what_cannot_be_looked_at_keeps_nothing_else_from_it(sandbox, instance, fill_project, failure_text):
    fill_project(sandbox.state)
    fill_project(sandbox.state, "other")
    defs, _ = definitions(sandbox, projects=["gone", "street-scenes", "other"], datasets=["no-such"])
    result = look(defs, instance)
    assert not result.success
    assert len(versions(instance)) == len(versions(instance, dg.AssetKey(["fastlabel", "other"]))) == 1
    text = failure_text(result)
    assert "fastlabel/gone" in text and "fastlabel_workspace/datasets/no-such" in text
    assert "fastlabel/other" not in text
    # never seen, it has no version; one made up would make the first real look a change
    assert not instance.fetch_observations(dg.AssetKey(["fastlabel", "gone"]), limit=1).records


def test_a_failed_look_fails_the_run_also_where_checks_come_along(project, failure_text):
    assert {"imports_succeeded", "polling_healthy"} <= set(project.checks(observe(project)))
    project.sandbox.state.projects.delete(project.sandbox.state.find_project(project.slug)["id"])
    result = observe(project)
    assert not result.success and "could not be observed" in failure_text(result)
    assert project.checks(result) == {}, "nothing was found well of what nobody could look at"
    assert len(set(versions(project.instance))) == 1


def test_what_is_made_of_it_is_not_made_when_the_look_fails(sandbox, instance, failure_text):
    @dg.asset(deps=[dg.AssetKey(["fastlabel", "gone"])])
    def own():
        raise AssertionError("made of what nobody could look at")

    _, built = definitions(sandbox, projects=["gone"])
    resource = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url, request_attempts=1, step_retries=0)
    result = look(dg.Definitions(assets=[built, own], resources={"fastlabel": resource}), instance)
    assert not result.success and "fastlabel/gone" in failure_text(result)
    assert {event.step_key for event in result.all_events if event.is_step_failure} == {"observe_fastlabel"}


def test_a_failed_look_keeps_the_version_also_behind_many_observations_without_one(sandbox, instance):
    gone = dg.AssetKey(["fastlabel", "gone"])
    instance.report_runless_asset_event(dg.AssetObservation(gone, tags={"dagster/data_version": "v1"}))
    for _ in range(45):
        instance.report_runless_asset_event(dg.AssetObservation(gone))
    defs, _ = definitions(sandbox, projects=["gone"])
    assert not look(defs, instance).success
    (record,) = instance.fetch_observations(gone, limit=1).records
    assert record.asset_observation.tags["dagster/data_version"] == "v1"
    assert "NotFound" in record.asset_observation.metadata["error"].value


def test_a_refused_token_ends_it_at_once(sandbox, instance, fill_project, failure_text):
    fill_project(sandbox.state)
    _, built = definitions(sandbox, projects=["street-scenes", "other"])
    wrong = FastLabelResource(access_token="not-the-token", base_url=sandbox.url, request_attempts=1)
    result = look(dg.Definitions(assets=[built], resources={"fastlabel": wrong}), instance)
    assert not result.success and "Unauthorized" in failure_text(result) and "not-the-token" not in failure_text(result)


def test_one_can_be_selected(sandbox, instance, fill_project):
    fill_project(sandbox.state)
    defs, _ = definitions(sandbox, projects=["street-scenes", "gone"])
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, asset_selection=[PROJECT]).success
