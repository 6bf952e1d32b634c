"""Jobs: started exactly once however badly the answer fares, and waited for until they end one way or the other."""

from __future__ import annotations

from typing import Any

import pytest

from fastlabel_dagster.api import (
    FastLabelClient,
    Invalid,
    NotFound,
    RateLimited,
    RemoteJobFailed,
    ServerError,
    StillRunning,
    SubmissionPolicy,
    TransportError,
    Unauthorized,
    UnclearSubmission,
    job_state,
)


class Trainings:
    """The API's side: keeps jobs, and loses the answers it is told to lose."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.jobs: list[dict[str, Any]] = [self.job("old-1", 300), self.job("old-2", 300)]
        self.lose: list[str] = []  # per POST: "after" or "before" the job is made, or ""
        self.shown_late = 0
        self.others: list[dict[str, Any]] = []
        self.listing_fails = False

    def job(self, id: str, epoch: int, model: str = "FastLabel Object Detection Light - 汎用") -> dict[str, Any]:
        return {
            "trainingJobId": id,
            "status": "in_progress",
            "epoch": epoch,
            "baseModelName": model,
            "instanceType": "ml.p3.2xlarge",
        }

    def __call__(self, seen: Any) -> Any:
        if seen.method == "GET" and seen.path.endswith("/trainings"):
            if self.listing_fails:
                return self.reply({"message": "down"}, 500)
            if self.shown_late > 0 and len(self.jobs) > 2:
                self.shown_late -= 1
                return self.reply(self.jobs[:2])
            return self.reply([*self.jobs, *self.others])
        if seen.method == "GET":
            id = seen.path.rsplit("/", 1)[1]
            return self.reply(next(job for job in self.jobs if job["trainingJobId"] == id))
        lose = self.lose.pop(0) if self.lose else ""
        if lose != "before":
            self.jobs.append(self.job(f"new-{len(self.jobs)}", seen.json["epoch"]))
        if lose == "500":
            return self.reply({"message": "boom"}, 500)
        return self.reply(drop=True) if lose else self.reply(self.jobs[-1])


@pytest.fixture
def trainings(server: Any, reply: Any) -> Trainings:
    server.answer = Trainings(reply)
    return server.answer


@pytest.fixture
def policy(naps: Any) -> SubmissionPolicy:
    return SubmissionPolicy(sleep=naps.sleep)


ASKED = {"dataset_name": "street", "base_model_name": "fastlabel_object_detection_light", "epoch": 300}


def submit(client: FastLabelClient, policy: SubmissionPolicy, **more: Any) -> dict[str, Any]:
    return client.training_jobs.submit(**ASKED, **more, policy=policy)


def posts(server: Any) -> int:
    return sum(seen.method == "POST" for seen in server.seen)


def test_the_plain_case(client: FastLabelClient, server: Any, trainings: Trainings, policy: Any) -> None:
    assert submit(client, policy)["trainingJobId"] == "new-2"
    assert posts(server) == 1


@pytest.mark.parametrize("lost", ["after", "500"])
def test_the_server_accepts_and_the_answer_is_lost(
    lost: str, client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = [lost]
    job = submit(client, policy)
    assert job["trainingJobId"] == "new-2"
    assert len(trainings.jobs) == 3  # exactly one was made
    assert posts(server) == 1


def test_a_job_that_shows_up_late_is_waited_for(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any, naps: Any
) -> None:
    trainings.lose, trainings.shown_late = ["after"], 2
    assert submit(client, policy)["trainingJobId"] == "new-2"
    assert posts(server) == 1
    assert naps.taken == [2.0, 4.0, 8.0]


def test_a_request_that_never_arrived_is_sent_again(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = ["before", "before"]
    assert submit(client, policy)["trainingJobId"] == "new-2"
    assert len(trainings.jobs) == 3
    assert posts(server) == 3


def test_sending_is_bounded(client: FastLabelClient, server: Any, trainings: Trainings, policy: Any) -> None:
    trainings.lose = ["before"] * 9
    with pytest.raises(TransportError):
        submit(client, policy)
    assert posts(server) == 3


def test_a_new_job_that_does_not_fit_is_neither_taken_nor_overlooked(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    """It may be somebody else's, or ours in other words: a second training is not paid for on a guess."""
    trainings.lose = ["before"]
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        if seen.method == "POST" and not trainings.others:
            trainings.others = [trainings.job("theirs", 5)]  # another epoch
        return original(seen)

    server.answer = answer
    with pytest.raises(UnclearSubmission, match="none of the jobs that are new") as caught:
        submit(client, policy)
    assert caught.value.candidates == ["theirs"]
    assert posts(server) == 1


def test_a_job_of_others_from_before_the_submit_does_not_count_as_new(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    known = client.training_jobs.known_ids()
    trainings.others = [trainings.job("theirs", 5)]
    trainings.lose = ["before"]
    assert submit(client, policy, known_ids=known)["trainingJobId"] == "new-2"
    assert posts(server) == 2


@pytest.mark.parametrize(
    "shown",
    [
        {"epoch": "300"},
        {"epoch": 300.0, "instanceType": "ml.g4dn.xlarge"},
        {"learningRate": "0.0010"},
        {"useDatasetTrainVal": "true", "dataset": {"name": "street"}},
    ],
    ids=str,
)
def test_a_job_is_recognised_by_values(
    shown: dict[str, Any], client: FastLabelClient, server: Any, reply: Any, policy: Any
) -> None:
    jobs: list[dict[str, Any]] = []

    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return reply(jobs)
        jobs.append({"trainingJobId": "ours", **shown})
        return reply(None, 504)

    server.answer = answer
    job = submit(client, policy, learning_rate=1e-3, use_dataset_train_val=True)
    assert job["trainingJobId"] == "ours"
    assert posts(server) == 1


@pytest.mark.parametrize(("failure", "looked_for"), [("504", 60.0), ("drop", 60.0), ("500", 6.0), ("502", 6.0)])
def test_how_long_it_is_looked_for(
    failure: str, looked_for: float, client: FastLabelClient, server: Any, reply: Any, policy: Any, naps: Any
) -> None:
    """A server that did not answer may be at it still; one that did has made the job or has not."""
    failed = reply(drop=True) if failure == "drop" else reply(None, int(failure))
    server.answer = lambda seen: reply([]) if seen.method == "GET" else failed
    with pytest.raises((TransportError, ServerError), match="may have been started"):
        submit(client, policy)
    assert posts(server) == 3
    assert sum(naps.taken) == pytest.approx(3 * looked_for)
    assert naps.taken[:2] == [2.0, 4.0]
    quick = SubmissionPolicy(sends=1, look_seconds=5, unanswered_seconds=1, answered_seconds=1, sleep=naps.sleep)
    naps.taken.clear()
    with pytest.raises((TransportError, ServerError)):
        submit(client, quick)
    assert naps.taken == [1]


def test_retry_after_is_waited_for_while_looking(
    client: FastLabelClient, server: Any, reply: Any, policy: Any, naps: Any
) -> None:
    wishes = ["45"]

    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return reply([])
        return reply(None, 503, {"Retry-After": wishes.pop()}) if wishes else reply({"trainingJobId": "t"})

    server.answer = answer
    assert submit(client, policy)["trainingJobId"] == "t"
    assert sum(naps.taken) == pytest.approx(45)
    server.seen.clear()
    naps.taken.clear()
    wishes.append("3600")
    with pytest.raises(ServerError, match="may have been started") as caught:
        submit(client, policy)
    assert caught.value.retry_after == 3600
    assert posts(server) == 1
    assert sum(naps.taken) == pytest.approx(6)


@pytest.mark.parametrize("second", [422, 429, 401])
def test_a_refusal_after_a_lost_answer_does_not_mean_that_nothing_runs(
    second: int, client: FastLabelClient, server: Any, reply: Any, policy: Any
) -> None:
    sent: list[int] = []

    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return reply([])
        sent.append(1)
        return reply(drop=True) if len(sent) == 1 else reply({"message": "no"}, second, {"Retry-After": "999"})

    server.answer = answer
    with pytest.raises(UnclearSubmission, match="was lost") as caught:
        submit(client, policy)
    assert isinstance(caught.value.__cause__, (Invalid, RateLimited, Unauthorized))
    assert len(sent) == 2


@pytest.mark.parametrize("status", [401, 404, 422, 429, 500])
def test_a_list_that_is_refused_leaves_it_unclear(
    status: int, client: FastLabelClient, server: Any, reply: Any, policy: Any
) -> None:
    def answer(seen: Any) -> Any:
        if seen.method == "POST":
            return reply(drop=True)
        return reply({"message": "no"}, status, {"Retry-After": "999"}) if posts(server) else reply([])

    server.answer = answer
    with pytest.raises(UnclearSubmission, match="cannot be listed"):
        submit(client, policy)
    assert posts(server) == 1


@pytest.mark.parametrize("unseen", [500, 404, 401, "not listed"])
@pytest.mark.parametrize("kind", ["training", "evaluation", "autoAnnotation"])
def test_the_id_of_a_job_that_runs_is_never_lost(
    kind: str, unseen: Any, client: FastLabelClient, server: Any, reply: Any, policy: Any, naps: Any
) -> None:
    jobs: list[dict[str, Any]] = []

    def answer(seen: Any) -> Any:
        if seen.method == "POST":
            return reply("job-1")
        if unseen != "not listed" and posts(server):
            return reply({"message": "no"}, unseen)
        return reply(jobs)

    server.answer = answer
    group = getattr(client, {"training": "training", "evaluation": "evaluation"}.get(kind, "auto_annotation") + "_jobs")
    asked = {"training": ("d", "m", 1), "evaluation": ("d", "m")}.get(kind, ("p", "m"))
    job = group.submit(*asked, policy=policy)
    assert job == {"id": "job-1", f"{kind}JobId": "job-1", "status": "unknown"}
    assert job_state(job) == "running"
    where = ("p",) if kind == "autoAnnotation" else ()
    seen_later = [reply({"message": "no"}, 404), reply({"message": "no"}, 404)] if not where else [reply([])]
    there = {"id": "job-1", "status": "completed"}
    server.answer = lambda seen: reply([there] if where else there)
    server.replies(*seen_later)
    assert group.wait(job, *where, sleep=naps.sleep, clock=naps.clock)["status"] == "completed"
    server.answer = lambda seen: reply([]) if where else reply({"message": "no"}, 404)
    with pytest.raises(NotFound):  # forgiven for a while only
        group.wait(job, *where, sleep=naps.sleep, clock=naps.clock)


def test_an_accepted_job_is_not_submitted_again_for_an_answer_nobody_can_read(
    client: FastLabelClient, server: Any, reply: Any, policy: Any
) -> None:
    server.answer = lambda seen: reply([]) if seen.method == "GET" else reply(raw=b"<html>")
    with pytest.raises(UnclearSubmission, match="cannot be read"):
        submit(client, policy)
    assert posts(server) == 1


def test_between_two_new_jobs_the_model_decides(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = ["after"]
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        if seen.method == "POST":
            trainings.others = [trainings.job("theirs", 300, "FastLabel Segmentation - 汎用")]
        return original(seen)

    server.answer = answer
    assert submit(client, policy)["trainingJobId"] == "new-2"


def test_when_nobody_can_tell_nothing_is_sent_again(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = ["after"]
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        if seen.method == "POST":
            trainings.others = [trainings.job("theirs", 300)]
        return original(seen)

    server.answer = answer
    with pytest.raises(UnclearSubmission) as caught:
        submit(client, policy)
    assert sorted(caught.value.candidates) == ["new-2", "theirs"]
    assert posts(server) == 1


def test_without_a_list_nothing_is_sent_again(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = ["after"]
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        trainings.listing_fails = trainings.listing_fails or seen.method == "POST"
        return original(seen)

    server.answer = answer
    with pytest.raises(UnclearSubmission):
        submit(client, policy)
    assert posts(server) == 1


def test_a_later_process_takes_the_job_up(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    known = client.training_jobs.known_ids()
    trainings.jobs.append(trainings.job("made-by-the-process-that-died", 300))
    assert submit(client, policy, known_ids=known)["trainingJobId"] == "made-by-the-process-that-died"
    assert posts(server) == 0


def test_a_refusal_is_final(client: FastLabelClient, server: Any, reply: Any, policy: Any) -> None:
    for status, kind in ((422, Invalid), (404, NotFound), (429, RateLimited)):
        server.seen.clear()
        refusal = {"Retry-After": "999"} if status == 429 else {}
        server.answer = lambda seen, s=status, h=refusal: reply(
            [] if seen.method == "GET" else {"message": "no"}, 200 if seen.method == "GET" else s, h
        )
        with pytest.raises(kind):
            submit(client, policy)
        assert posts(server) == 1


@pytest.mark.parametrize("shape", ["job", "list", "id", "nothing"])
def test_whatever_the_answer_is_a_job_comes_back(
    shape: str, client: FastLabelClient, server: Any, reply: Any, policy: Any, trainings: Trainings
) -> None:
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        made = original(seen)
        if seen.method == "POST":
            job = trainings.jobs[-1]
            return reply({"job": job, "list": [job], "id": job["trainingJobId"], "nothing": None}[shape])
        return made

    server.answer = answer
    assert submit(client, policy)["trainingJobId"] == "new-2"


def test_evaluations_and_auto_annotations_are_looked_up_as_well(
    client: FastLabelClient, server: Any, reply: Any, policy: Any
) -> None:
    made: list[dict[str, Any]] = []

    def answer(seen: Any) -> Any:
        if seen.method == "GET":
            return reply(made)
        made.append({"id": f"job-{len(made)}", "status": "in_progress", "modelName": "M", "iouThreshold": 0.5})
        return reply(drop=True)

    server.answer = answer
    assert client.evaluation_jobs.submit("d", "m", policy=policy)["id"] == "job-0"
    assert client.auto_annotation_jobs.submit("p", "m", policy=policy)["id"] == "job-1"
    assert posts(server) == 2


def states(reply: Any, *words: str) -> Any:
    script = list(words)
    return lambda seen: reply(
        {"id": "h", "trainingJobId": "h", "status": script.pop(0) if len(script) > 1 else script[0]}
    )


def test_waiting_looks_less_and_less_often(client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    server.answer = states(reply, *["in_progress"] * 9, "completed")
    job = client.training_jobs.wait({"trainingJobId": "h"}, poll_seconds=10, sleep=naps.sleep, clock=naps.clock)
    assert job["status"] == "completed"
    assert naps.taken[:3] == [10, 15, 22.5]
    assert naps.taken == sorted(naps.taken)
    assert max(naps.taken) == 120
    assert server.lines() == ["GET /v1/trainings/h"] * 10


@pytest.mark.parametrize("word", ["failed", "FAILED", "error", "canceled", "timed-out"])
def test_a_bad_end(word: str, client: FastLabelClient, server: Any, reply: Any, naps: Any) -> None:
    server.answer = states(reply, "running", word)
    with pytest.raises(RemoteJobFailed, match=word) as caught:
        client.import_histories.wait("h", sleep=naps.sleep, clock=naps.clock)
    assert caught.value.job["status"] == word


def test_unknown_words_mean_running_and_patience_ends(
    client: FastLabelClient, server: Any, reply: Any, naps: Any
) -> None:
    server.answer = states(reply, "pondering")
    with pytest.raises(StillRunning) as caught:
        client.evaluation_jobs.wait("h", timeout_seconds=100, sleep=naps.sleep, clock=naps.clock)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.job["status"] == "pondering"
    assert sum(naps.taken) == pytest.approx(100)
    assert job_state({}) == job_state({"status": None}) == "running"


def test_a_server_that_is_down_for_a_while_is_forgiven(
    client: FastLabelClient, server: Any, reply: Any, naps: Any
) -> None:
    failed = [reply({"message": "boom"}, 500)] * 4
    server.answer = lambda seen: reply({"status": "completed"})
    server.replies(*failed)
    assert client.training_jobs.wait("h", sleep=naps.sleep, clock=naps.clock) == {"status": "completed"}
    server.answer = lambda seen: reply({"message": "boom"}, 500)
    with pytest.raises(ServerError):
        client.training_jobs.wait("h", sleep=naps.sleep, clock=naps.clock)
    server.answer = lambda seen: reply({"message": "no such job"}, 404)
    with pytest.raises(NotFound):
        client.training_jobs.wait("h", sleep=naps.sleep, clock=naps.clock)


def test_auto_annotation_jobs_are_found_in_their_project(
    client: FastLabelClient, server: Any, reply: Any, naps: Any
) -> None:
    server.answer = lambda seen: reply([{"id": "x", "status": "running"}, {"id": "y", "status": "completed"}])
    assert client.auto_annotation_jobs.wait("y", "p", sleep=naps.sleep)["id"] == "y"
    with pytest.raises(NotFound):
        client.auto_annotation_jobs.find("z", "p")
    with pytest.raises(Invalid):
        client.auto_annotation_jobs.list("")


def test_a_job_without_an_id_cannot_be_waited_for(client: FastLabelClient) -> None:
    with pytest.raises(Invalid):
        client.training_jobs.wait({"status": "running"})
