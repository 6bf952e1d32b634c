"""Paying once: two runs at a time, dead runs, versions that come back, and ways out when nobody can tell."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, NotFound, RetryPolicy, UnclearSubmission
from fastlabel_dagster.assets.plan import TrainingPlan
from fastlabel_dagster.jobs.ledger import LONGEST_SECONDS, Claimant, SubmissionBusy, claimed
from fastlabel_dagster.jobs.submission import submit_job
from fastlabel_dagster.store import open_store

PLAN = TrainingPlan("model", 3)


def submit_training(client, store, plan, dataset, version, **how):
    return submit_job(client, store, plan.request(dataset, version), **how)


RETRAIN = "street_scenes_retrain"


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    if request.param == "local":
        return open_store(tmp_path / "shared")
    return open_store(f"s3://{request.getfixturevalue('moto_s3').bucket}/shared")


@pytest.fixture
def client(sandbox):
    with FastLabelClient(sandbox.token, sandbox.url, retry=RetryPolicy(attempts=1), budget=None) as client:
        client.datasets.create("street")
        client.dataset_objects.create("street", "note.txt", content=b"something to train on")
        yield client


def jobs(sandbox):
    return sandbox.state.summary()["jobs"]


def hold(store, run_id, step="", **more):
    """A claim as a killed process leaves it."""
    content = {"run_id": run_id, "step": step, "token": "of the dead", "made_at": time.time(), **more}
    assert store.write_new("training/claims/000000001.json", json.dumps(content).encode())


def test_of_runs_that_submit_at_the_same_time_one_pays(store, client, sandbox):
    start = threading.Barrier(6)

    def submit(number):
        start.wait()
        return submit_training(client, store, PLAN, "street", "v1", claimant=Claimant(str(number)))

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(submit, range(6)))
    assert jobs(sandbox) == 1
    assert [result.submitted for result in results].count(True) == 1
    assert len({result.job_id for result in results}) == 1
    # and nothing piles up
    assert len(list(store.list("training/claims/"))) == 1


@pytest.mark.parametrize("age", [0, LONGEST_SECONDS + 1])
def test_a_living_run_is_waited_for_and_not_overtaken(store, age):
    hold(store, "alive", made_at=time.time() - age)
    with (
        pytest.raises(SubmissionBusy, match="alive"),
        claimed(store, Claimant("me", is_active=lambda _: True), wait_seconds=0),
    ):
        pass


def test_of_a_run_that_this_instance_does_not_know_it_is_said_when_its_claim_lapses(store):
    made_at = datetime(2096, 11, 23, 9, 30, tzinfo=timezone.utc).timestamp()
    hold(store, "of another home", made_at=made_at)
    with (
        pytest.raises(SubmissionBusy, match=r"000000001.json .*does not know that run: .* after 2096-11-23 10:30 UTC"),
        claimed(store, Claimant("me", is_active=lambda _: None), wait_seconds=0),
    ):
        pass


@pytest.mark.parametrize("how", ["ended", "old", "same step"])
def test_the_claim_of_a_dead_run_is_taken_over_and_its_job_found(store, client, sandbox, how):
    known = sorted(client.training_jobs.known_ids())
    pending = {"dataset": "street", "dataset_version": "v1", "known_ids": known, "run_id": "dead"}
    store.write_bytes("training/ledger.json", json.dumps({"trainings": [pending]}).encode())
    lost = client.training_jobs.submit("street", "model", 3)["trainingJobId"]
    hold(store, "dead", "train", **({"made_at": time.time() - LONGEST_SECONDS - 1} if how == "old" else {}))
    who = {
        "ended": Claimant("me", is_active=lambda run: run != "dead"),
        "old": Claimant("me", is_active=lambda _: None),
        "same step": Claimant("dead", "train", is_active=lambda _: True),
    }[how]
    result = submit_training(client, store, PLAN, "street", "v1", claimant=who)
    assert result.job_id == lost and jobs(sandbox) == 1


def test_of_many_who_find_a_dead_claim_one_at_a_time_holds_it(store):
    hold(store, "dead")
    inside, most = [0], [0]

    def enter(number):
        with claimed(
            store, Claimant(str(number), is_active=lambda run: run != "dead"), sleep=lambda _: time.sleep(0.01)
        ):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(enter, range(6)))
    assert most == [1]


def test_a_version_that_comes_back_is_not_trained_on_again(store, client, sandbox):
    first = submit_training(client, store, PLAN, "street", "A")
    assert submit_training(client, store, PLAN, "street", "B").submitted
    again = submit_training(client, store, PLAN, "street", "A")
    assert (again.submitted, again.job_id, jobs(sandbox)) == (False, first.job_id, 2)


def test_the_training_of_another_version_is_not_taken_for_a_lost_one(store, client, sandbox):
    pending = {"dataset": "street", "dataset_version": "A", "known_ids": [], "run_id": "dead"}
    store.write_bytes("training/ledger.json", json.dumps({"trainings": [pending]}).encode())
    other = submit_training(client, store, PLAN, "street", "B")
    mine = submit_training(client, store, PLAN, "street", "A")
    assert mine.submitted and mine.job_id != other.job_id and jobs(sandbox) == 2


def test_a_ledger_of_the_first_kind_is_read(store, client, sandbox):
    job = client.training_jobs.submit("street", "model", 3)["trainingJobId"]
    old = {"dataset": "street", "dataset_version": "A", "job_id": job}
    store.write_bytes("training/ledger.json", json.dumps(old).encode())
    assert submit_training(client, store, PLAN, "street", "A").job_id == job


def test_a_refused_submit_leaves_what_was_known(store, client, sandbox):
    first = submit_training(client, store, PLAN, "street", "A")
    with pytest.raises(Invalid):
        submit_training(client, store, TrainingPlan("", 0), "street", "A", force=True)
    assert submit_training(client, store, PLAN, "street", "A").job_id == first.job_id


def unclear(store, client):
    """An earlier submit of version A was cut off, and two jobs could be its."""
    pending = {"dataset": "street", "dataset_version": "A", "known_ids": [], "run_id": "dead"}
    store.write_bytes("training/ledger.json", json.dumps({"trainings": [pending]}).encode())
    return [client.training_jobs.submit("street", "model", 3)["trainingJobId"] for _ in range(2)]


def test_what_nobody_can_tell_is_decided_by_the_user(store, client, sandbox):
    _, second = unclear(store, client)
    for _ in range(2):
        with pytest.raises(UnclearSubmission):
            submit_training(client, store, PLAN, "street", "A")
    with pytest.raises(NotFound):
        submit_training(client, store, PLAN, "street", "A", attach_to="no-such-job")
    attached = submit_training(client, store, PLAN, "street", "A", attach_to=second)
    assert (attached.job_id, attached.submitted) == (second, False)
    assert submit_training(client, store, PLAN, "street", "A").job_id == second
    assert jobs(sandbox) == 2


def test_force_forgets_the_unclear_submit_of_another_run_but_not_its_own(store, client, sandbox):
    unclear(store, client)
    with pytest.raises(UnclearSubmission):  # a retry of the forced run that was cut off itself
        submit_training(client, store, PLAN, "street", "A", force=True, claimant=Claimant("dead"))
    with pytest.raises(UnclearSubmission):
        again = Claimant("new", ancestors=frozenset({"dead"}))
        submit_training(client, store, PLAN, "street", "A", force=True, claimant=again)
    assert submit_training(client, store, PLAN, "street", "A", force=True).submitted
    assert jobs(sandbox) == 3


def test_the_failure_says_what_to_type_and_that_works(project, failure_text):
    assert project.run(RETRAIN).success
    ledger = project.store / "training" / "ledger.json"
    (row,) = json.loads(ledger.read_text())["jobs"]
    ledger.write_text(json.dumps({"jobs": [{**row, "job_id": None, "known_ids": [], "run_id": "dead"}]}))
    with FastLabelClient(project.sandbox.token, project.sandbox.url) as client:
        other = client.training_jobs.submit("street", "fastlabel_object_detection_light", 3)["trainingJobId"]
    failed = project.run(RETRAIN)
    assert not failed.success
    told = failure_text(failed)
    assert row["job_id"] in told and other in told
    assert 'ops:\n  street_scenes_training:\n    config:\n      attach_to: "' in told.replace("\\n", "\n")
    assert "force: true" in told
    config = {"ops": {"street_scenes_training": {"config": {"attach_to": other}}}}
    assert project.run(RETRAIN, run_config=config).success
    assert project.metadata("training")["training_job_id"] == other
    assert project.run(RETRAIN).success
    assert project.metadata("training")["training_job_id"] == other
