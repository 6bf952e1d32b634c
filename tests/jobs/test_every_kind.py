"""Jobs of every kind: started once, whatever happens to the request, the answer, or the one who asked."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fastlabel_dagster.api import FastLabelError, Invalid, SubmissionPolicy, UnclearSubmission, job_state
from fastlabel_dagster.jobs.kinds import KINDS
from fastlabel_dagster.jobs.ledger import Claimant
from fastlabel_dagster.jobs.submission import submit_job

ROUTES = {
    "training": "POST trainings",
    "evaluation": "POST evaluations",
    "auto_annotation": "POST auto-annotations",
    "s3_import": "POST tasks/aws-s3",
    "dicom_import": "POST tasks/dicom",
}
every_kind = pytest.mark.parametrize("name", list(KINDS))


#: As patient as in production, but two hundred times as fast.
POLICY = SubmissionPolicy(sleep=lambda seconds: time.sleep(seconds / 200))


def jobs(sandbox):
    return sandbox.state.summary()["jobs"]


@every_kind
def test_a_job_is_started_once_and_attached_to_afterwards(name, requests_of, client, store, sandbox):
    told = []
    first, again = (
        submit_job(client, store, requests_of[name], record=lambda one, version: told.append((one, version)))
        for _ in range(2)
    )
    assert (first.submitted, again.submitted, first.job_id) == (True, False, again.job_id)
    assert told == [(first, "v1"), (again, "v1")] and jobs(sandbox) == 1
    assert KINDS[name].find(client, first.job_id, requests_of[name].subject)["status"] == first.status
    assert first.job_id in again.reason
    other = submit_job(client, store, replace(requests_of[name], version="v2"))
    assert other.submitted and jobs(sandbox) == 2


@every_kind
def test_a_job_whose_answer_was_lost_is_found_and_not_started_again(name, requests_of, client, store, sandbox):
    sandbox.fail(ROUTES[name], status=502, after=True)
    result = submit_job(client, store, requests_of[name], policy=POLICY)
    assert result.submitted and jobs(sandbox) == 1
    job = KINDS[name].find(client, result.job_id, requests_of[name].subject)
    assert job_state(job) == "running"


@every_kind
def test_the_job_of_a_process_that_died_while_submitting_is_found(name, requests_of, client, store, sandbox):
    request = requests_of[name]
    kind = KINDS[name]
    row = {"subject": request.subject, "version": "v1", "run_id": "dead"}
    known = sorted(kind.known_ids(client, request.subject))
    store.at(name).write_bytes("ledger.json", json.dumps({"jobs": [{**row, "known_ids": known}]}).encode())
    lost = kind.submit(client, request.arguments, known, None)
    result = submit_job(client, store, request)
    assert jobs(sandbox) == 1
    assert result.job_id in {str(value) for value in lost.values()}
    assert not result.submitted, "it was not this call that has started it"
    assert result.reason == f"an earlier attempt was cut off, and its job was found again: {result.job_id}"


@every_kind
def test_a_submit_that_was_cut_off_before_it_was_sent_is_sent(name, requests_of, client, store, sandbox):
    request = requests_of[name]
    known = sorted(KINDS[name].known_ids(client, request.subject))
    row = {"subject": request.subject, "version": "v1", "run_id": "dead", "known_ids": known}
    store.at(name).write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    result = submit_job(client, store, request)
    assert result.submitted and result.reason == request.changed and jobs(sandbox) == 1


@every_kind
def test_of_many_at_the_same_time_one_starts_it(name, requests_of, client, store, sandbox):
    start = threading.Barrier(4)

    def submit(number):
        start.wait()
        return submit_job(client, store, requests_of[name], claimant=Claimant(str(number)))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(submit, range(4)))
    assert jobs(sandbox) == 1 and len({result.job_id for result in results}) == 1
    assert [result.submitted for result in results].count(True) == 1


@every_kind
def test_a_refused_job_leaves_no_trace(name, requests_of, client, store, sandbox):
    sandbox.fail(ROUTES[name], status=422)
    with pytest.raises(Invalid):
        submit_job(client, store, requests_of[name])
    assert submit_job(client, store, requests_of[name]).submitted and jobs(sandbox) == 1


@every_kind
def test_a_failed_job_is_started_again(name, requests_of, client, store, sandbox):
    sandbox.state.fail_next({"s3_import": "import", "dicom_import": "import"}.get(name, name))
    first = submit_job(client, store, requests_of[name])
    sandbox.state.clock.advance(3600)
    second = submit_job(client, store, requests_of[name])
    assert second.submitted and second.job_id != first.job_id


def test_kinds_do_not_wait_for_each_other(requests_of, client, store, sandbox):
    """Somebody is at a training for long; an evaluation is submitted meanwhile."""
    content = json.dumps({"run_id": "alive", "step": "", "token": "x", "made_at": 4e9}).encode()
    assert store.at("training").write_new("claims/000000001.json", content)
    alive = Claimant("me", is_active=lambda _: True)
    assert submit_job(client, store, requests_of["evaluation"], claimant=alive).submitted


def test_two_lost_imports_are_a_question_for_people(requests_of, client, store, sandbox):
    request = requests_of["s3_import"]
    row = {"subject": "street", "version": "v1", "run_id": "dead", "known_ids": []}
    store.at("s3_import").write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    ids = {sandbox.state.start_import("street", tasks=0) for _ in range(2)}
    assert submit_job(client, store, request).submitted, "imports of a zip are none from S3"
    store.at("s3_import").write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    client.aws_s3.import_tasks("street")
    with pytest.raises(UnclearSubmission) as caught:
        submit_job(client, store, request)
    assert len(caught.value.candidates) == 2 and not ids & set(caught.value.candidates)


def test_a_ledger_nobody_can_read_is_named(requests_of, client, store):
    store.at("evaluation").write_bytes("ledger.json", b"{")
    with pytest.raises(ValueError, match=r"evaluation/ledger\.json"):
        submit_job(client, store, requests_of["evaluation"])


def test_a_server_that_is_down_is_no_lost_job(requests_of, client, store, sandbox):
    sandbox.fail("GET evaluations", status=503)
    with pytest.raises(FastLabelError):
        submit_job(client, store, requests_of["evaluation"])
    assert jobs(sandbox) == 0
    assert submit_job(client, store, requests_of["evaluation"]).submitted


@every_kind
def test_on_bad_days_a_version_has_one_job_at_most_and_in_the_end_exactly_one(
    name, requests_of, client, store, sandbox
):
    """Answers are lost at random, before and after the request was carried out; whoever asked tries again and again."""
    for seed in range(6):
        request = replace(requests_of[name], version=f"day {seed}")
        before = jobs(sandbox)
        sandbox.state.faults.chance(0.35, seed=seed, kinds=[500, 502, "reset", "truncated"])
        for attempt in range(6):
            try:
                submit_job(client, store, request, claimant=Claimant("me", "step"), policy=POLICY)
            except FastLabelError:
                assert jobs(sandbox) - before <= 1, (seed, attempt)
        sandbox.state.faults.clear()
        assert jobs(sandbox) - before <= 1, seed
        result = submit_job(client, store, request, claimant=Claimant("me", "step"), policy=POLICY)
        assert result.job_id and jobs(sandbox) - before == 1, seed
