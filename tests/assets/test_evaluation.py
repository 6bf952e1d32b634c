"""The newest model is measured, once for each dataset, and the gate decides what may follow."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.job_reports.evaluations import newest_verdict
from fastlabel_dagster.job_reports.outcomes import completed_job
from fastlabel_dagster.job_reports.submissions import LOOK_BACK, newest_model
from fastlabel_dagster.jobs import submission
from fastlabel_dagster.jobs.gate import Gate
from fastlabel_dagster.jobs.kinds import EVALUATION
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sandbox import Sandbox

SLUG = "street-scenes"
FAST = {"poll_seconds": 0.05}
TRAINING = {"base_model": "fastlabel_object_detection_light", "epoch": 3, "wait": "run", **FAST}
GATE = {"mAP": {"no_worse_than": 0.01}}


@pytest.fixture
def sandbox(tmp_path: Path):
    """Jobs of minutes are over in tenths of a second."""
    with Sandbox(tmp_path / "sandbox", speed=4000.0) as sandbox:
        yield sandbox


class Loop:
    """A project with training, evaluation and auto-annotation."""

    def __init__(self, sandbox, instance, store, **options):
        self.sandbox, self.instance, self.store = sandbox, instance, store
        given = {"training": TRAINING, "evaluation": {"gate": GATE, **FAST}, "auto_annotation": {**FAST}, **options}
        self.assets = build_fastlabel_project_assets(SLUG, store=store, exports=[], dataset="street", **given)
        resource = FastLabelResource(
            access_token=sandbox.token,
            base_url=sandbox.url,
            step_retries=1,
            step_retry_seconds=0,
            request_attempts=1,
        )
        self.definitions = dg.Definitions(assets=self.assets, resources={"fastlabel": resource})

    def run(self, *parts, **how):
        """All assets, or some of them with their checks."""
        definitions = self.definitions
        how.setdefault("raise_on_error", False)
        if not parts:
            job = definitions.resolve_implicit_global_asset_job_def()
        else:
            keys = dg.AssetSelection.assets(*(dg.AssetKey([SLUG, part]) for part in parts))
            alone = dg.Definitions(jobs=[dg.define_asset_job("some", keys)])
            job = dg.Definitions.merge(definitions, alone).resolve_job_def("some")
        return job.execute_in_process(instance=self.instance, **how)

    def check(self, part, name):
        """One check, by hand."""
        selected = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey([SLUG, part]), name))
        alone = dg.Definitions(jobs=[dg.define_asset_job("some", selected)])
        job = dg.Definitions.merge(self.definitions, alone).resolve_job_def("some")
        return job.execute_in_process(instance=self.instance)

    def metadata(self, part):
        event = self.instance.get_latest_materialization_event(dg.AssetKey([SLUG, part]))
        return {
            name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
            for name, value in event.asset_materialization.metadata.items()
        }

    def jobs(self, kind):
        return len(self.sandbox.state.jobs.listed(kind))

    def approve(self, count):
        self.sandbox.state.approve(SLUG, count)


def checks(result):
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def made(result):
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


@pytest.fixture
def make(sandbox, instance, tmp_path, fill_project):
    def make(**options):
        if not sandbox.state.summary()["projects"]:
            fill_project(sandbox.state, tasks=20)
        return Loop(sandbox, instance, tmp_path / "store", **options)

    return make


def test_the_whole_way_and_once_more_for_nothing(make):
    loop = make()
    first = loop.run()
    assert first.success, first
    assert {"training", "model", "evaluation", "auto_annotation"} <= made(first)
    assert checks(first)["gate"] and checks(first)["training_succeeded"] and checks(first)["evaluation_succeeded"]
    model, evaluation = loop.metadata("model"), loop.metadata("evaluation")
    assert (model["model_name"], model["model_classes"]) == ("street-1", ["car", "person"])
    published = loop.metadata("dataset")
    assert (model["dataset"], model["dataset_version"]) == ("street", published["dataset_version"])
    assert (model["labels_version"], model["labels_digest"]) == (0, loop.metadata("labels")["labels_digest"])
    (job,) = loop.sandbox.state.jobs.listed("evaluation")
    assert [evaluation[name] for name in ("mAP", "recall", "precision", "f1")] == [
        job[name] for name in ("mAP", "recall", "precision", "f1")
    ]
    assert (evaluation["job_id"], evaluation["job_kind"], evaluation["job_status"]) == (
        job["id"],
        "evaluation",
        "completed",
    )
    assert (evaluation["model_name"], evaluation["model_id"]) == ("street-1", model["model_id"])
    assert evaluation["submitted"] is True and evaluation["labels_version"] == 0
    again = loop.run()
    assert again.success
    assert [loop.jobs(kind) for kind in ("training", "evaluation", "auto_annotation")] == [1, 1, 0]
    assert loop.metadata("evaluation")["submitted"] is False and job["id"] in loop.metadata("evaluation")["reason"]
    # every picture of this project has annotations: there is nothing to annotate, and it says so
    assert "without annotations" in loop.metadata("auto_annotation")["reason"]
    # by hand, while nobody answers: a failed check, and no failed run
    loop.sandbox.fail("GET evaluations/*", status=503)
    (found,) = loop.check("evaluation", "evaluation_succeeded").get_asset_check_evaluations()
    assert not found.passed and found.description.startswith("How the newest evaluation went cannot be read: Server")


def test_a_model_that_misses_the_gate_annotates_nothing(make, sandbox):
    loop = make()
    sandbox.state.next_metrics(mAP=0.7)
    assert loop.run().success
    sandbox.state.next_metrics(mAP=0.6)
    sandbox.state.add_tasks(SLUG, [{"name": "new.jpg"}])
    loop.approve(2)
    second = loop.run()
    assert not second.success and checks(second)["gate"] is False
    assert "evaluation" in made(second) and "auto_annotation" not in made(second)
    evaluation = loop.metadata("evaluation")
    assert (evaluation["gate_passed"], evaluation["model_name"]) == (False, "street-2")
    assert "no more than 0.01 below the previous model's 0.7" in evaluation["gate_verdict"]
    rows = [(row.data["model"], row.data["mAP"]) for row in evaluation["models"]]
    assert rows == [("street-2", 0.6), ("street-1", 0.7)]
    # a step that is started by hand looks for itself
    alone = loop.run("auto_annotation")
    assert alone.success and made(alone) == set() and loop.jobs("auto_annotation") == 0
    (seen,) = loop.instance.fetch_observations(dg.AssetKey([SLUG, "auto_annotation"]), limit=1).records
    assert "has not passed the gate" in seen.asset_observation.metadata["reason"].value
    config = {"ops": {"street_scenes_auto_annotation": {"config": {"despite_gate": True}}}}
    assert loop.run("auto_annotation", run_config=config).success and loop.jobs("auto_annotation") == 1
    # the bad model is no yardstick: the next one is compared with the last that has passed
    loop.approve(1)
    sandbox.state.next_metrics(mAP=0.6)
    third = loop.run()
    assert checks(third)["gate"] is False and "auto_annotation" not in made(third)
    assert "below the last good model's 0.7" in loop.metadata("evaluation")["gate_verdict"]
    sandbox.state.add_tasks(SLUG, [{"name": "newer.jpg"}])
    loop.approve(1)
    sandbox.state.next_metrics(mAP=0.69)
    fourth = loop.run()
    assert checks(fourth)["gate"] is True and "auto_annotation" in made(fourth)


def test_a_good_model_is_remembered_however_many_bad_ones_come_after_it(instance):
    key = dg.AssetKey([SLUG, "evaluation"])

    def report(name, passed):
        metadata = {"model_name": name, "mAP": 0.7 if passed else 0.5, "gate_passed": passed}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=metadata))

    report("good", True)
    for number in range(LOOK_BACK + 1):
        report(f"bad-{number % 3}", False)
    _, verdict = newest_verdict(instance, key, Gate.of(GATE))
    assert not verdict.passed and "the last good model's 0.7" in verdict.text


def test_a_model_without_measures_annotates_nothing(make, sandbox, instance):
    """It is the newest evaluation that is judged, not the one before it that has measures."""
    loop = make()
    sandbox.state.next_metrics(mAP=0.8)
    sandbox.state.add_tasks(SLUG, [{"name": "new.jpg"}])
    assert loop.run().success and loop.jobs("auto_annotation") == 1
    key = dg.AssetKey([SLUG, "evaluation"])
    unmeasured = {"model_name": "street-2", "model_id": "m-2", "job_kind": "evaluation", "job_id": "e-2"}
    instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=unmeasured))
    measured, verdict = newest_verdict(instance, key, Gate.of(GATE))
    assert measured["model_name"] == "street-2" and not verdict.passed and "was not measured" in verdict.text
    sandbox.state.add_tasks(SLUG, [{"name": "newer.jpg"}])
    assert made(loop.run("auto_annotation")) == set() and loop.jobs("auto_annotation") == 1


def evaluated(instance, job_id, model, mAP, *, completed="2026-01-01T00:00:00Z", **carried):
    """An evaluation as the step and the sensor report it."""
    given = {"model_name": model, "gate": GATE, "dataset": "street", "iou_threshold": 0.5, **carried}
    job = {"status": "completed", "mAP": mAP, "completedAt": completed}
    key = dg.AssetKey([SLUG, "evaluation"])
    outcome = completed_job(instance, key, EVALUATION, job_id=job_id, job=job, carried=given, previews=False)
    instance.report_runless_asset_event(outcome.materialization())
    return outcome.verdict


@pytest.mark.parametrize(
    "other", [{"iou_threshold": 0.75}, {"dataset": "night"}, {"confidence_threshold": 0.1}, {"use_dataset_test": True}]
)
def test_measures_taken_otherwise_are_no_yardstick(instance, other):
    same = {"confidence_threshold": 0.4, "use_dataset_test": False}
    assert evaluated(instance, "e1", "a", 0.8, **same).passed
    assert evaluated(instance, "e2", "b", 0.9, **{**same, **other}).passed
    assert not evaluated(instance, "e3", "a", 0.1, **{**same, **other}).passed, "compared with b"
    verdict = evaluated(instance, "e4", "c", 0.79, **same)
    assert verdict.passed and "previous model's 0.8" in verdict.text
    assert newest_verdict(instance, dg.AssetKey([SLUG, "evaluation"]), Gate.of(GATE))[1] == verdict


def test_earlier_is_what_was_completed_earlier(instance):
    evaluated(instance, "e1", "a", 0.5, completed="2026-01-01T00:00:00Z")
    evaluated(instance, "e3", "c", 0.9, completed="2026-01-03T00:00:00Z")
    # reported last, and measured before c
    verdict = evaluated(instance, "e2", "b", 0.5, completed="2026-01-02T00:00:00Z")
    assert verdict.passed and "previous model's 0.5" in verdict.text
    assert not evaluated(instance, "e4", "d", 0.6, completed="2026-01-04T00:00:00Z").passed, "compared with c"


def test_an_older_training_that_ends_later_is_not_the_model(make, instance):
    loop = make()
    training, model = (dg.AssetKey([SLUG, part]) for part in ("training", "model"))

    def ask(job):
        metadata = {"job_kind": "training", "job_id": job, "submitted": True}
        instance.report_runless_asset_event(dg.AssetMaterialization(training, metadata=metadata))

    def end(job):
        metadata = {"job_kind": "training", "job_id": job, "model_name": f"model of {job}"}
        instance.report_runless_asset_event(dg.AssetMaterialization(model, metadata=metadata))

    def the_model():
        return newest_model(loop.instance, model, training).get("model_name")

    assert the_model() is None
    ask("slow")
    ask("quick")
    ask("running")
    end("quick")
    assert the_model() == "model of quick"
    end("slow")
    assert the_model() == "model of quick"
    ask("slow")  # the dataset is again what it was, and the run has attached to its training
    assert the_model() == "model of slow"
    end("of somebody else")
    assert the_model() == "model of of somebody else"


def test_the_model_that_was_asked_for_last_is_the_one_evaluated(make, instance):
    loop = make()
    assert loop.run("labels", "images", "dataset", "training", "model").success
    training, model = (dg.AssetKey([SLUG, part]) for part in ("training", "model"))
    older = {"job_kind": "training", "job_id": "older", "submitted": True}
    instance.report_runless_asset_event(dg.AssetMaterialization(training, metadata=older))
    assert loop.run("training").success  # attaches: its training is asked for last
    instance.report_runless_asset_event(
        dg.AssetMaterialization(model, metadata={**older, "model_name": "an older one", "model_id": "0"})
    )
    assert loop.run("evaluation").success and loop.metadata("evaluation")["model_name"] == "street-1"


def test_an_older_evaluation_that_is_reported_last_is_not_the_newest(instance):
    key = dg.AssetKey([SLUG, "evaluation"])

    def ask(job):
        metadata = {"job_kind": "evaluation", "job_id": job, "submitted": True, "wait": "sensor"}
        instance.report_runless_asset_event(dg.AssetObservation(key, metadata=metadata))

    ask("of the older model")
    ask("of the newer model")
    evaluated(instance, "of the newer model", "newer", 0.5, completed="2026-01-01T02:00:00Z")
    given = {"model_name": "older", "gate": GATE, "dataset": "street", "iou_threshold": 0.5}
    job = {"status": "completed", "mAP": 0.3, "completedAt": "2026-01-01T03:00:00Z"}
    late = completed_job(instance, key, EVALUATION, job_id="of the older model", job=job, carried=given)
    instance.report_runless_asset_event(late.materialization())
    assert late.verdict is not None and not late.verdict.passed
    assert late.gate_check() is None, "the check speaks of the newest model"
    measured, verdict = newest_verdict(instance, key, Gate.of(GATE))
    assert measured["model_name"] == "newer" and verdict.passed
    ask("of the older model")  # which a run has attached to: it is wanted now
    assert newest_verdict(instance, key, Gate.of(GATE))[0]["model_name"] == "older"


@pytest.mark.parametrize("known_by", ["the ledger", "what was reported"])
def test_what_has_completed_is_not_paid_for_again_when_fastlabel_has_deleted_it(make, sandbox, known_by, monkeypatch):
    monkeypatch.setattr(submission, "PAUSES", ())  # a job that does not show itself is looked for again, after seconds
    loop = make()
    assert loop.run().success
    before = {part: loop.metadata(part)["job_id"] for part in ("model", "evaluation")}
    for kind in ("training", "evaluation"):
        ledger = loop.store / kind / "ledger.json"
        (row,) = json.loads(ledger.read_text())["jobs"]
        assert row.pop("completed") is True, "the step that has waited for it has seen it"
        if known_by == "what was reported":
            ledger.write_text(json.dumps({"jobs": [row]}))
    with sandbox.state.database.write() as connection:
        connection.execute("DELETE FROM jobs")
    again = loop.run("training", "model", "evaluation")
    assert again.success and made(again) == {"training", "model", "evaluation"}
    assert loop.jobs("training") == loop.jobs("evaluation") == 0
    assert {part: loop.metadata(part)["job_id"] for part in before} == before
    assert checks(again)["gate"] and loop.metadata("evaluation")["submitted"] is False


def test_an_evaluation_that_fastlabel_has_deleted_keeps_no_model_from_annotating(make, sandbox, monkeypatch):
    monkeypatch.setattr(submission, "PAUSES", ())
    loop = make()
    sandbox.state.next_metrics(mAP=0.7)
    assert loop.run().success

    def delete(kind):
        with sandbox.state.database.write() as connection:
            connection.execute("DELETE FROM jobs WHERE kind = ?", (kind,))

    delete("evaluation")
    sandbox.state.add_tasks(SLUG, [{"name": "new.jpg"}])
    again = loop.run("evaluation", "auto_annotation")
    assert again.success and made(again) == {"evaluation", "auto_annotation"} and checks(again)["gate"]
    assert (loop.jobs("evaluation"), loop.jobs("auto_annotation"), loop.metadata("evaluation")["mAP"]) == (0, 1, 0.7)
    # who shares the store and was told nothing of it has no measures to go by
    with dg.DagsterInstance.ephemeral() as loop.instance:
        elsewhere = loop.run()
        assert elsewhere.success and "auto_annotation" in made(elsewhere) and loop.jobs("evaluation") == 1
        assert loop.metadata("evaluation")["reason"].endswith("is no longer there")
    delete("training")
    with dg.DagsterInstance.ephemeral() as loop.instance:
        unknown = loop.run("labels", "images", "dataset", "training", "model")
        assert not unknown.success and loop.jobs("training") == 0
        (failure,) = [event for event in unknown.all_events if event.is_step_failure]
        assert "was never reported here" in failure.step_failure_data.user_failure_data.description


def test_a_run_of_the_training_alone_reports_the_model_too(make):
    loop = make()
    assert loop.run("labels", "images", "dataset").success
    result = loop.run("training")
    assert result.success and made(result) == {"training"}
    assert loop.metadata("model")["model_name"] == "street-1"
    again = loop.run("model")
    assert again.success and made(again) == {"model"} and loop.jobs("training") == 1
    assert loop.run("evaluation").success


def test_at_least_holds_for_the_first_model_too(make, sandbox):
    loop = make(evaluation={"gate": {"recall": {"at_least": 0.9}}, **FAST})
    assert checks(loop.run())["gate"] is False


def test_without_a_gate_every_model_goes_on(make):
    loop = make(evaluation=FAST)
    result = loop.run()
    assert result.success and "gate" not in checks(result) and "auto_annotation" in made(result)


def test_a_failed_evaluation_is_a_failed_check_and_the_next_run_tries_again(make, sandbox):
    loop = make()
    sandbox.state.fail_next("evaluation")
    first = loop.run()
    assert not first.success and "evaluation" not in made(first)
    key = dg.AssetKey([SLUG, "evaluation"])
    notes = [one.asset_observation.metadata for one in loop.instance.fetch_observations(key, limit=9).records]
    assert [one["job_outcome"].value for one in notes if "job_outcome" in one] == ["failed"]
    assert loop.run().success and loop.jobs("evaluation") == 2
    assert loop.jobs("training") == 1


def test_evaluation_needs_a_model(make):
    loop = make(training={**TRAINING, "wait": "sensor"})
    loop.run("labels", "images", "dataset")
    result = loop.run("evaluation")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "no model of street-scenes yet" in failure.step_failure_data.user_failure_data.description


def test_a_server_that_is_down_while_the_step_waits_is_survived_by_a_retry(make, sandbox):
    loop = make()
    assert loop.run("labels", "images", "dataset", "training", "model").success
    sandbox.fail("GET evaluations/{job_id}", status=503, times=5)  # more than is forgiven while waiting
    result = loop.run("evaluation")
    assert result.success and [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert loop.jobs("evaluation") == 1 and loop.metadata("evaluation")["submitted"] is False


def test_left_to_the_sensor_the_step_submits_and_yields_nothing(make):
    loop = make()
    assert loop.run("labels", "images", "dataset", "training", "model").success
    sensed = make(evaluation={"gate": GATE, "wait": "sensor", "iou_threshold": 0.7}, auto_annotation={"wait": "sensor"})
    result = sensed.run("evaluation", "auto_annotation")
    assert result.success and made(result) == set()
    (record,) = sensed.instance.fetch_observations(dg.AssetKey([SLUG, "evaluation"]), limit=5).records
    told = {name: value.value for name, value in record.asset_observation.metadata.items()}
    assert (told["job_kind"], told["submitted"], told["wait"]) == ("evaluation", True, "sensor")
    assert told["gate"] == {"mAP": {"no_worse_than": 0.01}, "compare_with": "previous"}
    assert told["iou_threshold"] == 0.7 and told["labels_version"] == 0
    (job,) = sensed.sandbox.state.jobs.listed("evaluation")
    assert job["id"] == told["job_id"] and job["iouThreshold"] == 0.7
    assert told["dataset_revision_id"] == job["datasetRevisionId"]


def test_other_settings_are_another_evaluation(make):
    assert make().run("labels", "images", "dataset", "training", "model").success
    for options in ({}, {}, {"confidence_threshold": 0.6}, {"use_dataset_test": True}, {}):
        assert make(evaluation={**FAST, **options}).run("evaluation").success
    assert make().jobs("evaluation") == 3


@pytest.mark.parametrize("when", ["while it polls", "while it submits"])
def test_a_cancelled_run_stops_and_the_next_one_attaches(make, sandbox, capfd, when):
    loop = make()
    assert loop.run("labels", "images", "dataset", "training", "model").success
    sandbox.state.clock.set_speed(0)  # from here on nothing ends
    key = dg.AssetKey([SLUG, "evaluation"])

    def cancel():
        while not loop.jobs("evaluation"):
            time.sleep(0.01)
        while when == "while it polls" and not loop.instance.fetch_observations(key, limit=1).records:
            time.sleep(0.05)
        time.sleep(1.0 if when == "while it polls" else 0)  # the event is stored a moment before the first look
        os.kill(os.getpid(), signal.SIGINT)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    # a signal within a write leaves Dagster's storage in memory locked until the broken-off statement is let go
    with pytest.raises((dg.DagsterExecutionInterruptedError, KeyboardInterrupt, OperationalError)):
        loop.run("evaluation", raise_on_error=True)
    gc.collect()
    canceller.join()
    said = "goes on in FastLabel, whose API cannot cancel it" in capfd.readouterr().err
    assert said or when == "while it submits"
    sandbox.state.clock.set_speed(4000)
    assert loop.run("evaluation").success
    assert loop.jobs("evaluation") == 1, "whatever moment it was, the job is found again"


def test_a_run_that_gives_up_says_that_the_job_goes_on(make, sandbox, failure_text):
    loop = make(evaluation={**FAST, "give_up_after_hours": 0.0001})
    assert loop.run("labels", "images", "dataset", "training", "model").success
    sandbox.state.clock.set_speed(0)
    result = loop.run("evaluation")
    assert not result.success and "goes on by itself" in failure_text(result)


def test_a_model_annotates_new_tasks_once(make, sandbox):
    loop = make()
    state = sandbox.state
    seed = sandbox.state.task_ids(SLUG)[0]
    picture = state.files.path(str(state.tasks.file_of(seed))).read_bytes()
    state.add_tasks(
        SLUG, [{"name": "new-1.jpg"}, {"name": "new-2.jpg"}], dict.fromkeys(["new-1.jpg", "new-2.jpg"], picture)
    )
    state.add_tasks(SLUG, [{"name": "empty.jpg", "status": "approved"}], {"empty.jpg": picture})
    assert loop.run().success
    told = loop.metadata("auto_annotation")
    # the API looks at no status: the finished task that was left empty is annotated too, and that is said beforehand
    assert (told["untouched_tasks"], told["finished_without_annotations"], told["annotated_tasks"]) == (2, 1, 3)
    assert told["model_name"] == "street-1"
    assert told["submitted"] is True and loop.jobs("auto_annotation") == 1
    # the model found nothing in them (they are still untouched): it is not asked again
    assert loop.run().success
    told = loop.metadata("auto_annotation")
    assert told["submitted"] is False and "has seen these tasks" in told["reason"] and loop.jobs("auto_annotation") == 1
    # a new task it has not seen
    state.add_tasks(SLUG, [{"name": "new-3.jpg"}], {"new-3.jpg": picture})
    assert loop.run("auto_annotation").success
    assert loop.jobs("auto_annotation") == 2 and loop.metadata("auto_annotation")["untouched_tasks"] == 3


def test_work_of_people_is_left_alone(make, sandbox):
    loop = make(auto_annotation={**FAST, "status": ["registered", "sent_back"]})
    sandbox.state.add_tasks(SLUG, [{"name": "empty.jpg", "status": "approved"}])
    assert loop.run().success and loop.jobs("auto_annotation") == 0
    assert (
        "no task of street-scenes without annotations is registered or sent_back"
        in (loop.metadata("auto_annotation")["reason"])
    )
