"""Starting a job that costs money exactly once, also when the answer to the request is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastlabel_dagster.api.answers import NeverSent
from fastlabel_dagster.api.errors import FastLabelError, RateLimited, ServerError, TransportError
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


@dataclass(frozen=True)
class JobSearch:
    """How the job that was asked for is recognised among all jobs.

    Attributes:
        list_jobs: all jobs there are now, in any order.
        could_be: whether a job contradicts nothing of what was asked for.
        likely: whether its details confirm it; chooses between several that could be.
    """

    list_jobs: Callable[[], Iterable[Json]]
    could_be: Callable[[Json], bool]
    likely: Callable[[Json], bool]

    def ids(self) -> set[str]:
        """The ids of all jobs there are."""
        return {job_id(job) for job in self.list_jobs()}

    def new_since(self, known: Collection[str]) -> Json | None:
        """The job that fits and whose id is not among the known ones, or None.

        Raises:
            UnclearSubmission: when several fit equally well.
        """
        found = [job for job in self.list_jobs() if job_id(job) and job_id(job) not in known and self.could_be(job)]
        if len(found) > 1:
            found = [job for job in found if self.likely(job)] or found
        if len(found) > 1:
            raise UnclearSubmission(
                "the answer to the submit was lost, and several new jobs could be the one",
                candidates=[job_id(job) for job in found],
            )
        return found[0] if found else None


def submit_once(
    send: Callable[[], Any],
    search: JobSearch,
    *,
    policy: SubmissionPolicy,
    known_ids: Collection[str] | None = None,
) -> Json | str:
    """Send a request that starts a job, and return the job; look for it before sending again.

    The ids that exist beforehand are noted. After a timeout, a broken connection or a 5xx, a job that is new since
    then and fits what was asked for is taken for ours. Comparing ids needs no clock that agrees with the server's.

    Args:
        send: sends the request once and returns its answer.
        known_ids: the ids from an earlier attempt at the same submission (of a process that died, say). Jobs that are
            new since then are looked at before anything is sent.

    Returns:
        The job, or its id as text when the server's answer holds nothing else.

    Raises:
        UnclearSubmission: when a lost answer left several jobs to choose from, or the jobs cannot be listed.
        FastLabelError: when the request was refused, or failed each time it was sent.
    """
    if known_ids is None:
        known: Collection[str] = search.ids()
    else:
        known = frozenset(known_ids)
        if (running := search.new_since(known)) is not None:
            log.info("job %s was submitted before; it is taken up again", job_id(running))
            return running
    for left in reversed(range(policy.sends)):
        try:
            answer = send()
        except NeverSent:
            raise  # the transport has tried as often as it should; nothing runs
        except (TransportError, ServerError) as error:
            found = _look(search, known, policy, error)
            if found is not None:
                log.warning("%s; the job runs nevertheless, as %s", error, job_id(found))
                return found
            if not left:
                raise
            log.warning("%s; no such job was started, so it is submitted again", error)
        else:
            return _started(answer, search, known)
    raise AssertionError("unreachable: the last send returns or raises")


def _started(answer: Any, search: JobSearch, known: Collection[str]) -> Json | str:
    """The job in the server's answer, whose shape nobody documents: a job, a list with one, an id, or nothing."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, dict) and job_id(answer):
        return answer
    if isinstance(answer, str) and answer:
        return answer
    found = search.new_since(known)
    if found is None:
        raise UnclearSubmission("the server accepted the job, but named no id and lists no new job")
    return found


def _look(search: JobSearch, known: Collection[str], policy: SubmissionPolicy, lost: FastLabelError) -> Json | None:
    unseen = False
    for _ in range(policy.looks):
        policy.sleep(policy.look_seconds)
        try:
            found = search.new_since(known)
        except (TransportError, ServerError, RateLimited):
            unseen = True
            continue
        unseen = False
        if found is not None:
            return found
    if unseen:
        # Without a look at the jobs, sending again would be a gamble with the user's money.
        raise UnclearSubmission(f"the answer to the submit was lost ({lost.message}), and so is the list of jobs")
    return None
