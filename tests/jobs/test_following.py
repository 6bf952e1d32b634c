"""A job is followed to its end, patiently; time is the test's."""

from __future__ import annotations

import pytest

from fastlabel_dagster.api import FastLabelError, NotFound
from fastlabel_dagster.jobs.following import follow_job
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, EVALUATION
from fastlabel_dagster.jobs.submission import submit_job


class Time:
    """A clock that the sandbox's goes along with."""

    def __init__(self, sandbox):
        self.sandbox, self.now, self.pauses = sandbox, 0.0, []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        self.sandbox.state.clock.advance(seconds)

    def follow(self, client, kind, id, **how):
        return follow_job(client, kind, id, "street", sleep=self.sleep, clock=lambda: self.now, **how)


@pytest.fixture
def time(sandbox):
    return Time(sandbox)


@pytest.fixture
def evaluation(requests_of, client, store):
    return submit_job(client, store, requests_of["evaluation"]).job_id


def test_a_job_that_completes(time, client, evaluation):
    seen = []
    result = time.follow(client, EVALUATION, evaluation, poll_seconds=10, progress=seen.append)
    assert (result.outcome, result.problem) == ("completed", "")
    assert result.job["mAP"] > 0 and [job["status"] for job in seen] == ["in_progress", "completed"]
    # half as long again each time, and no longer than needed: an evaluation takes two minutes here
    assert time.pauses == [10 * 1.5**number for number in range(len(time.pauses))] and 120 <= time.now < 200
    assert result.looks == len(time.pauses) + 1


def test_a_job_that_fails(time, client, sandbox, requests_of, store):
    sandbox.state.fail_next("auto_annotation")
    id = submit_job(client, store, requests_of["auto_annotation"]).job_id
    result = time.follow(client, AUTO_ANNOTATION, id)
    assert result.outcome == "failed" and result.job["status"] == "failed"
    assert id in result.problem and "'failed'" in result.problem


def test_a_deadline_gives_up_and_the_job_goes_on(time, client, evaluation):
    result = time.follow(client, EVALUATION, evaluation, deadline_seconds=45)
    assert (result.outcome, result.job["status"], time.now) == ("gave_up", "in_progress", 45)
    assert time.follow(client, EVALUATION, evaluation).outcome == "completed"


def test_the_pauses_stop_growing(time, client, evaluation, sandbox):
    time.sleep = lambda seconds: (time.pauses.append(seconds), setattr(time, "now", time.now + seconds))
    result = time.follow(client, EVALUATION, evaluation, poll_seconds=1, deadline_seconds=500)
    assert result.outcome == "gave_up" and max(time.pauses) == 12


def test_a_server_that_is_down_for_a_while_is_forgiven(time, client, evaluation, sandbox):
    sandbox.fail("GET evaluations/{job_id}", status=503, times=3)
    assert time.follow(client, EVALUATION, evaluation).outcome == "completed"
    sandbox.fail("GET evaluations/{job_id}", status=503, times=None)
    with pytest.raises(FastLabelError):
        time.follow(client, EVALUATION, evaluation)


def test_a_job_that_is_not_there(time, client):
    with pytest.raises(NotFound):
        time.follow(client, EVALUATION, "00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize(("unseen", "found"), [(2, True), (3, False)])
def test_a_new_job_that_is_not_listed_yet_is_looked_for_again(time, client, evaluation, sandbox, unseen, found):
    sandbox.fail("GET evaluations/{job_id}", status=404, times=unseen)
    if found:
        assert time.follow(client, EVALUATION, evaluation).outcome == "completed"
    else:
        with pytest.raises(NotFound):
            time.follow(client, EVALUATION, evaluation)


def test_a_job_that_was_there_and_is_gone_is_no_new_one(time, client, evaluation, sandbox):
    with pytest.raises(NotFound):
        time.follow(
            client,
            EVALUATION,
            evaluation,
            progress=lambda job: sandbox.fail("GET evaluations/{job_id}", status=404, times=1),
        )
