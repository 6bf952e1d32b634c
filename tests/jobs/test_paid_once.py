"""What could make somebody pay twice: lists that lag, runs that repeat old ones, and versions decided too early."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b

import dagster as dg
import pytest

from fastlabel_dagster.api import NotFound
from fastlabel_dagster.assets.auto_annotation import UntouchedTasks, annotation_request
from fastlabel_dagster.assets.import_plans import S3ImportPlan
from fastlabel_dagster.assets.imports import s3_import_request
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, TrainingPlan
from fastlabel_dagster.jobs.kinds import KINDS, TRAINING
from fastlabel_dagster.jobs.ledger import Claimant
from fastlabel_dagster.jobs.submission import submit_job

MODEL = "fastlabel_object_detection_light"
OTHER = "fastlabel_object_detection_high_accuracy"


def jobs(sandbox):
    return sandbox.state.summary()["jobs"]


def seen_as(request, id, status):
    """The same request, of a kind that shows one job with another status; None: not at all."""

    def find(client, asked, subject):
        if asked == id and status is None:
            raise NotFound("there is no such job")
        job = request.kind.find(client, asked, subject)
        return {**job, "status": status} if asked == id else job

    return replace(request, kind=replace(request.kind, find=find))


def test_a_repeated_run_whose_own_job_failed_attaches_to_the_newer_one(requests_of, client, store, sandbox):
    own = submit_job(client, store, requests_of["training"], claimant=Claimant("A")).job_id
    request = seen_as(requests_of["training"], own, "failed")
    newer = submit_job(client, store, request, claimant=Claimant("B"))
    assert newer.submitted
    again = submit_job(client, store, request, recorded=own, claimant=Claimant("A2", ancestors=frozenset({"A"})))
    assert (again.submitted, again.job_id, jobs(sandbox)) == (False, newer.job_id, 2)
    both = seen_as(request, newer.job_id, "failed")
    assert submit_job(client, store, both, recorded=own).submitted


@pytest.mark.parametrize("name", list(KINDS))
def test_a_job_that_does_not_show_itself_at_once_is_looked_at_again(name, requests_of, client, store, sandbox):
    first = submit_job(client, store, requests_of[name])
    kind, missing = KINDS[name], [NotFound("not listed yet")] * 3

    def find(client, id, subject):
        if missing:
            raise missing.pop()
        return kind.find(client, id, subject)

    pauses = []
    request = replace(requests_of[name], kind=replace(kind, find=find))
    again = submit_job(client, store, request, sleep=pauses.append)
    assert (again.job_id, again.submitted, jobs(sandbox)) == (first.job_id, False, 1)
    assert len(pauses) == 3 and pauses == sorted(pauses)


def test_a_job_that_had_completed_and_is_gone_is_not_paid_for_again(requests_of, client, store, sandbox):
    request = requests_of["training"]
    first = submit_job(client, store, request).job_id
    sandbox.state.clock.advance(36_000)
    assert submit_job(client, store, request).status == "completed"
    gone = seen_as(request, first, None)
    for _ in range(2):
        after = submit_job(client, store, gone, sleep=lambda _: None)
        assert (after.submitted, after.job_id, after.status) == (False, first, "completed")
    assert jobs(sandbox) == 1
    assert submit_job(client, store, gone, force=True, sleep=lambda _: None).submitted


def test_an_evaluation_that_is_gone_is_made_anew_unless_somebody_has_its_measures(requests_of, client, store, sandbox):
    request = requests_of["evaluation"]
    first = submit_job(client, store, request).job_id
    sandbox.state.clock.advance(3600)
    assert submit_job(client, store, request).status == "completed"
    gone = seen_as(request, first, None)
    kept = submit_job(client, store, gone, has_completed=lambda job: job == first, sleep=lambda _: None)
    assert (kept.submitted, kept.gone, kept.job_id) == (False, True, first)
    anew = submit_job(client, store, gone, sleep=lambda _: None)
    assert anew.submitted and jobs(sandbox) == 2 and anew.reason == f"the evaluation {first} is no longer there"
    assert submit_job(client, store, gone, sleep=lambda _: None).job_id == anew.job_id and jobs(sandbox) == 2


def test_a_job_that_is_gone_and_never_completed_is_started_again(requests_of, client, store, sandbox):
    first = submit_job(client, store, requests_of["evaluation"]).job_id
    gone = seen_as(requests_of["evaluation"], first, None)
    assert submit_job(client, store, gone, sleep=lambda _: None).submitted and jobs(sandbox) == 2


def bring_in(client, store, run, **how):
    return submit_job(client, store, s3_import_request(S3ImportPlan(), "street", run), claimant=Claimant(run, **how))


def test_of_two_runs_that_import_at_the_same_time_one_does(client, store, sandbox):
    start = threading.Barrier(2)

    def run(number):
        request = s3_import_request(S3ImportPlan(), "street", f"run-{number}")
        start.wait()
        return submit_job(client, store, request, claimant=Claimant(f"run-{number}"))

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, range(2)))
    assert jobs(sandbox) == 1 and len({one.job_id for one in results}) == 1
    # and a run that is repeated after the import's end does not import a second time, whoever has started it
    sandbox.state.clock.advance(3600)
    assert [run_again.submitted for run_again in (bring_in(client, store, f"run-{n}") for n in range(2))] == [False] * 2
    assert bring_in(client, store, "run-2").submitted


def test_an_import_whose_run_was_killed_is_taken_up_by_the_next(client, store, sandbox):
    class Killed(BaseException):
        pass

    def die(*what):
        raise Killed

    request = s3_import_request(S3ImportPlan(), "street", "r1")
    with pytest.raises(Killed):
        submit_job(client, store, request, claimant=Claimant("r1"), record=die)
    taken = bring_in(client, store, "r2", is_active=lambda run: False)
    assert (taken.submitted, jobs(sandbox)) == (False, 1) and "cut off" in taken.reason
    sandbox.state.clock.advance(3600)
    for run in ("r1", "r2"):
        assert bring_in(client, store, run).job_id == taken.job_id
    assert jobs(sandbox) == 1


def test_while_a_model_annotates_newer_tasks_wait(client, store, sandbox):
    plan = AutoAnnotationPlan()

    def annotate(newest, model=MODEL):
        request = annotation_request(plan, "street", UntouchedTasks(1, newest), model_name=model, model_id=model)
        return submit_job(client, store, request)

    first = annotate("2026-01-01")
    meanwhile = annotate("2026-01-02")
    assert (meanwhile.submitted, meanwhile.job_id, jobs(sandbox)) == (False, first.job_id, 1)
    assert annotate("2026-01-02", OTHER).submitted, "another model has seen nothing"
    sandbox.state.clock.advance(3600)
    assert annotate("2026-01-01").job_id == first.job_id
    then = annotate("2026-01-02")
    assert then.submitted and jobs(sandbox) == 3


def test_tasks_that_come_while_a_cut_off_annotation_is_unclear_start_no_second(client, store, sandbox):
    plan = AutoAnnotationPlan()

    def request(newest):
        return annotation_request(plan, "street", UntouchedTasks(1, newest), model_name=MODEL, model_id=MODEL)

    known = sorted(KINDS["auto_annotation"].known_ids(client, "street"))
    row = {"subject": "street", "version": request("2026-01-01").version, "run_id": "dead", "known_ids": known}
    store.at("auto_annotation").write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    KINDS["auto_annotation"].submit(client, request("2026-01-01").arguments, known, None)
    assert not submit_job(client, store, request("2026-01-02")).submitted and jobs(sandbox) == 1


@pytest.mark.parametrize(
    "other", [{"base_model": OTHER}, {"epoch": 300}, {"learning_rate": 0.5}], ids=["base model", "epoch", "options"]
)
def test_other_settings_are_another_training(other, client, store, sandbox):
    settings = {"base_model": MODEL, "epoch": 3, "batch_size": 2}
    plan, changed = TrainingPlan.of(settings), TrainingPlan.of({**settings, **other})
    first = submit_job(client, store, plan.request("street", "digest"))
    second = submit_job(client, store, changed.request("street", "digest"))
    assert second.submitted and second.job_id != first.job_id
    reordered = TrainingPlan.of(dict(reversed(settings.items())))
    assert submit_job(client, store, reordered.request("street", "digest")).job_id == first.job_id
    assert jobs(sandbox) == 2


def test_another_configuration_under_the_same_name_is_another_training(tmp_path, client, store, sandbox):
    config = tmp_path / "config.yaml"
    plan = TrainingPlan.of({"base_model": MODEL, "epoch": 3, "config_file_path": str(config)})
    submitted = []
    for content in ("lr: 0.1", "lr: 0.1", "lr: 0.2"):
        config.write_text(content)
        submitted.append(submit_job(client, store, plan.request("street", "digest")).submitted)
    assert submitted == [True, False, True] and jobs(sandbox) == 2
    moved = config.rename(tmp_path / "moved.yaml")
    elsewhere = TrainingPlan.of({"base_model": MODEL, "epoch": 3, "config_file_path": str(moved)})
    assert not submit_job(client, store, elsewhere.request("street", "digest")).submitted, "it holds the same"
    with pytest.raises(dg.Failure, match=r"config\.yaml cannot be read"):
        plan.request("street", "digest")


@pytest.mark.parametrize("by_name", [False, True], ids=["by the dataset", "by the name of a file"])
@pytest.mark.parametrize("cut_off", [False, True])
def test_after_an_upgrade_nothing_is_trained_again(cut_off, by_name, client, store, sandbox, tmp_path):
    """Ledgers of earlier releases know a training by the digest of the dataset alone, or by the name of its file."""
    (config := tmp_path / "config.yaml").write_text("lr: 0.1")
    more = {"config_file_path": str(config)} if by_name else {}
    plan = TrainingPlan.of({"base_model": MODEL, "epoch": 3, **more})
    settings = "\n".join(map(repr, ("digest", MODEL, 3, *more.items()))).encode()
    former = blake2b(settings, digest_size=12).hexdigest() if by_name else "digest"
    known = sorted(TRAINING.known_ids(client, "street"))
    job = client.training_jobs.submit("street", MODEL, 3, **more)["trainingJobId"]
    row = {"subject": "street", "version": former, **({"known_ids": known} if cut_off else {"job_id": job})}
    store.at("training").write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    for _ in range(2):
        found = submit_job(client, store, plan.request("street", "digest"))
        assert (found.submitted, found.job_id) == (False, job)
    other = TrainingPlan.of({"base_model": OTHER, "epoch": 3})
    assert submit_job(client, store, other.request("street", "digest")).submitted and jobs(sandbox) == 2
