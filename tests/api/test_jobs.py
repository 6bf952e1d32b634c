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
    assert naps.taken == [2.0, 2.0, 2.0]


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


def test_somebody_elses_new_job_is_not_taken_for_ours(
    client: FastLabelClient, server: Any, trainings: Trainings, policy: Any
) -> None:
    trainings.lose = ["before"]
    original = trainings.__call__

    def answer(seen: Any) -> Any:
        if seen.method == "POST" and not trainings.others:
            trainings.others = [trainings.job("theirs", 5)]  # another epoch: it cannot be ours
        return original(seen)

    server.answer = answer
    assert submit(client, policy)["trainingJobId"] == "new-2"
    assert posts(server) == 2


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
