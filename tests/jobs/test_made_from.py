"""What a job is made from is what its dataset held when the job was asked for, whatever it was believed to hold."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fastlabel_dagster.api import Invalid
from fastlabel_dagster.assets.job_plans import EvaluationPlan
from fastlabel_dagster.jobs.kinds import EVALUATION
from fastlabel_dagster.jobs.ledger import Claimant, Ledger
from fastlabel_dagster.jobs.submission import note_completed, submit_job

MODEL = "fastlabel_object_detection_light"


class Killed(BaseException):
    pass


def die(*what):
    raise Killed


def jobs(sandbox):
    return sandbox.state.summary()["jobs"]


def evaluate(client, store, published, now, *, model=MODEL, kind=EVALUATION, **how):
    request = EvaluationPlan().request("street", published, model, model, now if callable(now) else lambda client: now)
    asked, found = replace(request, kind=kind), request.as_found
    return submit_job(client, store, replace(asked, as_found=lambda *to: replace(found(*to), kind=kind)), **how)


def test_a_dataset_that_is_as_it_was_published_needs_no_more_words(client, store, sandbox):
    first = evaluate(client, store, "v1", "v1")
    assert (first.submitted, first.made_from) == (True, "v1")
    again = evaluate(client, store, "v1", die)
    assert (again.submitted, again.made_from, jobs(sandbox)) == (False, "v1", 1)


def test_a_job_on_another_version_is_that_version_s_and_stays_the_one_that_was_asked_for(client, store, sandbox):
    first = evaluate(client, store, "v1", "v2")
    assert (first.submitted, first.made_from) == (True, "v2")
    for published, now in (("v1", "v2"), ("v2", die)):
        again = evaluate(client, store, published, now)
        assert (again.submitted, again.job_id, again.made_from) == (False, first.job_id, "v2")
    # it is known already when only what is there says so
    also = evaluate(client, store, "v0", "v2")
    assert (also.submitted, also.job_id, jobs(sandbox)) == (False, first.job_id, 1)
    assert evaluate(client, store, "v3", "v3").submitted and jobs(sandbox) == 2


def test_a_version_that_comes_about_after_all_has_a_job_of_its_own(client, store, sandbox):
    """Two runs that publish at once: while one asks for its job, the other has the dataset half changed."""
    first = evaluate(client, store, "v2", "half of v1")
    assert (first.submitted, first.made_from) == (True, "half of v1")
    second = evaluate(client, store, "v2", "v2")
    assert (second.submitted, second.made_from) == (True, "v2") and second.job_id != first.job_id
    for published, now in (("v2", die), ("v1", "v2")):
        again = evaluate(client, store, published, now)
        assert (again.submitted, again.job_id, again.made_from) == (False, second.job_id, "v2")
    assert evaluate(client, store, "half of v1", die).job_id == first.job_id and jobs(sandbox) == 2


@pytest.mark.parametrize("asked_again", ["v1", "v2"])
def test_a_run_that_was_killed_while_another_published_costs_no_second_job(asked_again, client, store, sandbox):
    with pytest.raises(Killed):
        evaluate(client, store, "v1", "v2", claimant=Claimant("dead"), record=die)
    found = evaluate(client, store, asked_again, die, claimant=Claimant("me", is_active=lambda run: False))
    assert (found.submitted, found.made_from, jobs(sandbox)) == (False, "v2", 1) and "cut off" in found.reason


@pytest.mark.parametrize("killed", ["before the ledger knows it", "while it is written down"])
@pytest.mark.parametrize("asked", [("v1", "v2"), ("v2", "v1")])
def test_after_a_kill_it_is_the_job_of_both_versions(asked, killed, client, store, sandbox, monkeypatch):
    if killed == "before the ledger knows it":
        how = {"record": die}
    else:
        save, how = Ledger._save, {}

        def dies_later(ledger):
            save(ledger)
            if any("job_id" in entry for entry in ledger._entries.values()):
                raise Killed

        monkeypatch.setattr(Ledger, "_save", dies_later)
    with pytest.raises(Killed):
        evaluate(client, store, "v1", "v2", claimant=Claimant("dead"), **how)
    monkeypatch.undo()
    for published in asked:
        later = Claimant("later", is_active=lambda run: False)
        found = evaluate(client, store, published, "v2", claimant=later)
        assert (found.submitted, found.made_from, jobs(sandbox)) == (False, "v2", 1)


def test_a_submit_that_never_came_to_a_job_is_told_by_what_is_there_when_it_is_sent(client, store, sandbox):
    version = EvaluationPlan().request("street", "v1", MODEL, MODEL).version
    known = sorted(EVALUATION.known_ids(client, "street"))
    row = {"subject": "street", "version": version, "known_ids": known, "run_id": "dead", "made_from": "v1"}
    store.at("evaluation").write_bytes("ledger.json", json.dumps({"jobs": [row]}).encode())
    sent = evaluate(client, store, "v1", "v2")
    assert (sent.submitted, sent.made_from) == (True, "v2")
    assert evaluate(client, store, "v2", die).job_id == sent.job_id and jobs(sandbox) == 1


def test_a_refused_submit_leaves_nothing_begun(client, store, sandbox):
    plan = EvaluationPlan(iou_threshold=0.5)
    request = plan.request("street", "v1", "", "", lambda client: "v2")
    for _ in range(2):
        with pytest.raises(Invalid):
            submit_job(client, store, request)
    rows = json.loads(store.at("evaluation").read_bytes("ledger.json"))["jobs"]
    assert [set(row) for row in rows] == [{"subject", "version"}] * 2 and jobs(sandbox) == 0


@pytest.mark.parametrize("noted", ["in the ledger", "elsewhere"])
def test_a_job_that_was_seen_to_complete_and_is_deleted_is_not_paid_for_again(noted, client, store, sandbox):
    """Of a kind whose results are there without it, as a trained model is."""
    kind = replace(EVALUATION, outlived=True)
    first = evaluate(client, store, "v1", "v2")
    if noted == "in the ledger":
        assert note_completed(store, EVALUATION, "street", first.job_id)
        assert not note_completed(store, EVALUATION, "street", first.job_id)
    with sandbox.state.database.write() as connection:
        connection.execute("DELETE FROM jobs")
    known = {first.job_id} if noted == "elsewhere" else set()
    for published, now in (("v1", "v2"), ("v2", die)):
        known_there = {"has_completed": known.__contains__, "sleep": lambda _: None}
        after = evaluate(client, store, published, now, kind=kind, **known_there)
        assert (after.submitted, after.gone, after.status) == (False, True, "completed")
        known.clear()  # once told, the ledger knows
    assert jobs(sandbox) == 0
