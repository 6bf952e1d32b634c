"""One training for each version of the approved labels, whatever happens to steps, runs and processes."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.job_reports.submissions import job_history
from fastlabel_dagster.jobs.kinds import TRAINING
from fastlabel_dagster.sync import dataset_digest

RETRAIN = "street_scenes_retrain"


def jobs(project) -> int:
    return project.sandbox.state.summary()["jobs"]


@pytest.fixture
def cut_off(project, monkeypatch):
    """Lets the next write of run tags fail, before or after the tags are stored: the step dies right there."""

    def arrange(*, stored: bool):
        real = project.instance.add_run_tags
        calls = []

        def once(run_id, tags):
            if calls:
                return real(run_id, tags)
            calls.append(tags)
            if stored:
                real(run_id, tags)
            raise RuntimeError("the process was killed here")

        monkeypatch.setattr(project.instance, "add_run_tags", once)

    return arrange


def test_the_job_is_in_the_tags_of_the_run_and_in_the_metadata(project):
    result = project.run(RETRAIN)
    assert result.success
    job = project.metadata("training")["training_job_id"]
    run = project.instance.get_run_by_id(result.run_id)
    assert run.tags["fastlabel/training_job/street_scenes"] == job
    assert {event.materialization.asset_key.path[-1] for event in result.get_asset_materialization_events()} == {
        *("labels", "images", "dataset", "training"),
    }
    assert jobs(project) == 1


@pytest.mark.parametrize("stored", [True, False])
def test_a_step_that_died_right_after_submitting_attaches_in_the_next_run(project, cut_off, stored):
    cut_off(stored=stored)
    assert not project.run(RETRAIN).success
    assert jobs(project) == 1
    # the jobs sensor follows it, also when there is no next run
    told = job_history(project.instance, dg.AssetKey([project.slug, "training"]), TRAINING).submitted()
    assert list(told) == [project.sandbox.state.jobs.listed("training")[0]["trainingJobId"]]
    assert project.run(RETRAIN).success
    assert jobs(project) == 1
    assert project.metadata("training")["training_job_id"]


def test_a_reexecuted_run_attaches_by_the_tags_of_the_run_it_repeats(project, cut_off):
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run

    cut_off(stored=True)
    first = project.run(RETRAIN)
    assert not first.success
    (project.store / "training" / "ledger.json").unlink()  # nothing but the tags is left to know the job by
    here = dg.Definitions(executor=dg.in_process_executor)
    job = dg.Definitions.merge(project.definitions, here).resolve_job_def(RETRAIN)
    again = project.instance.create_run_for_job(job, parent_run_id=first.run_id, root_run_id=first.run_id)
    assert execute_run(InMemoryJob(job), again, project.instance).success
    assert jobs(project) == 1
    training = project.metadata("training")
    assert training["submitted"] is False and "attached" in training["reason"]


def test_with_the_store_left_behind_the_instance_knows_what_was_paid_for(project, tmp_path, capfd):
    project.run(RETRAIN)
    first = project.metadata("training")["training_job_id"]
    project.store = tmp_path / "elsewhere"  # as a relative path is on another machine
    assert project.run(RETRAIN).success
    training = project.metadata("training")
    assert (training["training_job_id"], training["submitted"], jobs(project)) == (first, False, 1)
    assert "left behind or emptied" in capfd.readouterr().err
    assert project.run(RETRAIN).success
    assert "left behind or emptied" not in capfd.readouterr().err, "from now on the new store knows it"
    config = {"ops": {"street_scenes_training": {"config": {"force": True}}}}
    project.store = tmp_path / "a third"
    assert project.run(RETRAIN, run_config=config).success
    assert jobs(project) == 2


def test_a_renamed_project_in_its_store_and_dataset_is_not_trained_again(project):
    project.run(RETRAIN)
    first = project.metadata("training")["training_job_id"]
    id = project.sandbox.state.find_project("street-scenes")["id"]
    project.sandbox.state.projects.update(id, {"slug": "avenue"})
    project.slug = "avenue"
    assert project.run("avenue_retrain").success
    training = project.metadata("training")
    assert (training["training_job_id"], training["submitted"], jobs(project)) == (first, False, 1)
    assert (project.metadata("dataset")["objects"], project.metadata("dataset")["objects_of_others"]) == (4, 0)


def test_over_the_store_of_an_instance_that_is_gone_nothing_is_paid_for_twice(project):
    project.run(RETRAIN)
    first = project.metadata("training")["training_job_id"]
    with dg.DagsterInstance.ephemeral() as project.instance:
        assert project.run(RETRAIN).success
        training = project.metadata("training")
        assert (training["training_job_id"], training["submitted"], jobs(project)) == (first, False, 1)


def test_nothing_newly_approved_means_no_new_training(project):
    project.run(RETRAIN)
    first = project.metadata("training")["training_job_id"]
    # a change that is not approved changes the labels, but not what is trained on
    task = project.sandbox.state.task_ids("street-scenes", status="registered")[0]
    project.sandbox.state.update_task(task, annotations=[])
    project.run(RETRAIN)
    training = project.metadata("training")
    assert (training["training_job_id"], training["submitted"], jobs(project)) == (first, False, 1)
    assert project.metadata("labels")["labels_version"] == 1


def test_newly_approved_tasks_are_trained_on(project):
    project.run(RETRAIN)
    first = project.metadata("training")
    project.sandbox.state.approve("street-scenes", 3)
    project.run(RETRAIN)
    second = project.metadata("training")
    assert jobs(project) == 2
    assert second["submitted"] is True and second["training_job_id"] != first["training_job_id"]
    assert (first["approved_tasks"], second["approved_tasks"]) == (4, 7)
    assert second["labels_version"] == 1


def test_a_failed_training_is_submitted_again(project):
    project.sandbox.state.fail_next("training")
    project.run(RETRAIN)
    first = project.metadata("training")["training_job_id"]
    project.sandbox.state.clock.advance(3600)
    project.run(RETRAIN)
    assert project.metadata("training")["training_job_id"] != first
    assert jobs(project) == 2


def test_a_training_can_be_forced(project):
    project.run(RETRAIN)
    config = {"ops": {"street_scenes_training": {"config": {"force": True}}}}
    assert project.run(RETRAIN, run_config=config).success
    assert jobs(project) == 2
    assert project.run(RETRAIN).success
    assert jobs(project) == 2


def test_training_needs_a_published_dataset(project):
    definitions = project.definitions
    selection = dg.AssetSelection.assets(dg.AssetKey(["street-scenes", "training"]))
    alone = dg.Definitions.merge(definitions, dg.Definitions(jobs=[dg.define_asset_job("alone", selection)]))
    result = alone.resolve_job_def("alone").execute_in_process(instance=project.instance, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "materialize street-scenes/dataset first" in failure.step_failure_data.user_failure_data.description


def test_a_task_that_was_sent_back_leaves_the_dataset_and_comes_back_without_a_new_training(project):
    project.run(RETRAIN)
    first = project.metadata("training")
    task = project.sandbox.state.task_ids("street-scenes", status="approved")[0]
    project.sandbox.state.set_status(task, "sent_back")
    project.run(RETRAIN)
    less, dataset = project.metadata("training"), project.metadata("dataset")
    assert (dataset["removed"], dataset["objects"], dataset["approved_tasks"]) == (1, 3, 3)
    assert (less["submitted"], less["objects"], jobs(project)) == (True, 3, 2)
    project.sandbox.state.set_status(task, "approved")
    project.run(RETRAIN)
    again = project.metadata("training")
    assert (again["submitted"], again["training_job_id"]) == (False, first["training_job_id"])
    assert jobs(project) == 2


def test_without_pruning_nothing_that_is_trained_on_changes_when_a_task_is_sent_back(make_project, fill_project):
    project = make_project(options={"prune": False})
    fill_project(project.sandbox.state)
    project.run(RETRAIN)
    task = project.sandbox.state.task_ids("street-scenes", status="approved")[0]
    project.sandbox.state.set_status(task, "sent_back")
    project.run(RETRAIN)
    training, dataset = project.metadata("training"), project.metadata("dataset")
    assert (training["submitted"], jobs(project)) == (False, 1)
    assert (dataset["left_over"], dataset["objects"], training["objects"]) == (1, 4, 4)


def test_what_is_told_of_a_training_is_what_the_dataset_held_when_it_was_asked_for(project):
    """Between the publication and the training somebody else puts an object into the dataset."""
    assert project.run("street_scenes_sync").success
    alone = dg.Definitions(
        jobs=[
            dg.define_asset_job("publish", dg.AssetSelection.assets([project.slug, "dataset"])),
            dg.define_asset_job("train", dg.AssetSelection.assets([project.slug, "training"])),
        ]
    )
    definitions = dg.Definitions.merge(project.definitions, alone)

    def run(job):
        found = definitions.resolve_job_def(job)
        assert found.execute_in_process(instance=project.instance, raise_on_error=False).success

    run("publish")
    published = project.metadata("dataset")["dataset_version"]
    with FastLabelClient(project.sandbox.token, project.sandbox.url) as client:
        assert dataset_digest(client, "street", project.slug) == published
        client.dataset_objects.create("street", "note.txt", content=b"of somebody else")
        now = dataset_digest(client, "street", project.slug)
    run("train")
    told = project.metadata("training")
    assert (told["dataset_version"], told["published_dataset_version"]) == (now, published) and now != published
    assert not {"labels_version", "labels_digest", "approved_tasks"} & set(told)
    # published again, it is that version, and the model is there already
    run("publish")
    run("train")
    again = project.metadata("training")
    assert (again["submitted"], again["dataset_version"], again["labels_version"]) == (False, now, 0)
    assert project.metadata("dataset")["dataset_version"] == now and jobs(project) == 1
