"""Starting a job that costs money exactly once, also when the answer to the request is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastlabel_dagster.api.answers import NeverSent
from fastlabel_dagster.api.errors import FastLabelError, ServerError, TransportError
from fastlabel_dagster.api.wire import Json

log = logging.getLogger("fastlabel_dagster.api")


class UnclearSubmission(FastLabelError):
    """The job may or may not run, and trying again could start it twice. ``candidates`` are the ids it may have."""

    hint_by_default = "look at the jobs in FastLabel; pass the right id on, or submit again if none is yours"

    def __init__(self, message: str, *, candidates: Collection[str] = ()) -> None:
        super().__init__(message)
        self.candidates = list(candidates)


@dataclass(frozen=True)
class SubmissionPolicy:
    """How a submit whose answer was lost is looked up, and how often it is sent.

    Attributes:
        sends: how often the request is sent at most.
        looks: how often the list of jobs is read after a lost answer before the request counts as not processed.
        look_seconds: time before each look; a server that timed out may still be busy making the job.
        sleep: replaced in tests.
    """

    sends: int = 3
    looks: int = 3
    look_seconds: float = 2.0
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False, compare=False)


def job_id(job: Json) -> str:
    """The id of a training, evaluation or auto-annotation job, '' when it has none."""
    for key in ("trainingJobId", "evaluationJobId", "autoAnnotationJobId", "jobId", "id"):
        if job.get(key):
            return str(job[key])
    return ""


def submit_once(
    send: Callable[[], Any],
    list_jobs: Callable[[], Iterable[Json]],
    could_be: Callable[[Json], bool],
    likely: Callable[[Json], bool],
    *,
    policy: SubmissionPolicy,
    known_ids: Collection[str] | None = None,
) -> Json | str:
    """Send a request that starts a job, and return the job; look for it before sending again.

    The ids that exist beforehand are noted. After a timeout, a broken connection or a 5xx, a job that is new since
    then and fits what was asked for is taken for ours. Comparing ids needs no clock that agrees with the server's.

    Args:
        send: sends the request once and returns its answer.
        list_jobs: all jobs, in any order.
        could_be: whether a job contradicts nothing of what was asked for.
        likely: whether its details confirm it; chooses between several that could be.
        known_ids: the ids from an earlier attempt at the same submission (of a process that died, say). Jobs that are
            new since then are looked at before anything is sent.

    Returns:
        The job, or its id as text when the server's answer holds nothing else.

    Raises:
        UnclearSubmission: when a lost answer left several jobs to choose from, or the jobs cannot be listed.
        FastLabelError: when the request was refused, or failed each time it was sent.
    """
    if known_ids is None:
        known = {job_id(job) for job in list_jobs()}
    else:
        known = set(known_ids)
        if (running := _ours(list_jobs(), known, could_be, likely)) is not None:
            log.info("job %s was submitted before; it is taken up again", job_id(running))
            return running
    for left in reversed(range(policy.sends)):
        try:
            return _started(send(), list_jobs, known, could_be, likely)
        except NeverSent:
            raise  # the transport has tried as often as it should; nothing runs
        except (TransportError, ServerError) as error:
            found = _look_for_it(list_jobs, known, could_be, likely, policy, error)
            if found is not None:
                log.warning("%s; the job runs nevertheless, as %s", error, job_id(found))
                return found
            if not left:
                raise
            log.warning("%s; no such job was started, so it is submitted again", error)
    raise AssertionError("unreachable: the last send returns or raises")


def _started(
    answer: Any,
    list_jobs: Callable[[], Iterable[Json]],
    known: Collection[str],
    could_be: Callable[[Json], bool],
    likely: Callable[[Json], bool],
) -> Json | str:
    """The job in the server's answer, whose shape nobody documents: a job, a list with one, an id, or nothing."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, dict) and job_id(answer):
        return answer
    if isinstance(answer, (str, int)) and str(answer):
        return str(answer)
    found = _ours(list_jobs(), known, could_be, likely)
    if found is None:
        raise UnclearSubmission("the server accepted the job, but named no id and lists no new job")
    return found


def _look_for_it(
    list_jobs: Callable[[], Iterable[Json]],
    known: Collection[str],
    could_be: Callable[[Json], bool],
    likely: Callable[[Json], bool],
    policy: SubmissionPolicy,
    lost: FastLabelError,
) -> Json | None:
    unseen: FastLabelError | None = None
    for _ in range(policy.looks):
        policy.sleep(policy.look_seconds)
        try:
            jobs = list(list_jobs())
        except (TransportError, ServerError) as error:
            unseen = error
            continue
        unseen = None
        if (found := _ours(jobs, known, could_be, likely)) is not None:
            return found
    if unseen is not None:
        # Without a look at the jobs, sending again would be a gamble with the user's money.
        raise UnclearSubmission(
            f"the answer to the submit was lost ({lost.message}), and so is the list of jobs"
        ) from None
    return None


def _ours(
    jobs: Iterable[Json], known: Collection[str], could_be: Callable[[Json], bool], likely: Callable[[Json], bool]
) -> Json | None:
    candidates = [job for job in jobs if job_id(job) and job_id(job) not in known and could_be(job)]
    if len(candidates) > 1:
        candidates = [job for job in candidates if likely(job)] or candidates
    if len(candidates) > 1:
        raise UnclearSubmission(
            "the answer to the submit was lost, and several new jobs could be the one",
            candidates=[job_id(job) for job in candidates],
        )
    return candidates[0] if candidates else None
