"""Starting a job that costs money exactly once, also when the answer to the request is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fastlabel_dagster.api.answers import NeverSent
from fastlabel_dagster.api.errors import FastLabelError, Invalid, RateLimited, ServerError, TransportError
from fastlabel_dagster.api.waiting import job_id
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
        look_seconds: time before the first look at the list of jobs; it doubles from look to look.
        unanswered_seconds: how long to look in all after a timeout, a broken connection or a 504, before the request
            counts as not processed: behind a gateway that gave up, the server may still be busy making the job.
        answered_seconds: how long after any other 5xx, which the server itself answered.
        retry_after_seconds: longest `Retry-After` that is waited for before the request is sent again. After a longer
            one it is not sent again, and the error carries it.
        sleep: replaced in tests.
    """

    sends: int = 3
    look_seconds: float = 2.0
    unanswered_seconds: float = 60.0
    answered_seconds: float = 6.0
    retry_after_seconds: float = 300.0
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False, compare=False)

    def pauses(self, seconds: float) -> Iterator[float]:
        """The times before each look, which add up to so many seconds; one look there is in any case."""
        pause = max(self.look_seconds, 0.1)
        yield min(pause, max(seconds, 0.0))
        seconds -= pause
        while seconds > 0:
            # What would be left over is added to the last one.
            pause = seconds if seconds < pause * 3 else pause * 2
            yield pause
            seconds -= pause

    def seconds_after(self, error: FastLabelError) -> float:
        """How long to look after this failure."""
        answered = isinstance(error, ServerError) and error.status is not None and error.status not in ACCEPTED_OR_LATE
        wish = retry_after_of(error)
        seconds = self.answered_seconds if answered else self.unanswered_seconds
        return seconds if wish > self.retry_after_seconds else max(seconds, wish)


ACCEPTED_OR_LATE: Final = frozenset({504, *range(200, 300)})
"""A gateway that gave up waiting, and successes whose body cannot be read: the job may be in the making."""


def retry_after_of(error: FastLabelError) -> float:
    """The seconds that the server asked to wait for, 0 when it did not."""
    return getattr(error, "retry_after", None) or 0.0


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

    def listed_since(self, known: Collection[str]) -> list[Json]:
        """All jobs whose id is not among the known ones, whether they fit or not."""
        return [job for job in self.list_jobs() if job_id(job) and job_id(job) not in known]

    def choose(self, jobs: Iterable[Json]) -> Json | None:
        """The one of these jobs that fits, or None.

        Raises:
            UnclearSubmission: when several fit equally well.
        """
        found = [job for job in jobs if self.could_be(job)]
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
    Should there be new jobs of which none fits, nothing is sent again: one may be ours and be listed in other words.

    Args:
        send: sends the request once and returns its answer.
        known_ids: the ids from an earlier attempt at the same submission (of a process that died, say). Jobs that are
            new since then are looked at before anything is sent; those that do not fit are somebody else's then.

    Returns:
        The job, or its id as text when the server's answer holds nothing else.

    Raises:
        UnclearSubmission: when a lost answer left new jobs to choose from, when the jobs cannot be listed after it, or
            when the request was refused after an earlier answer to it was lost.
        FastLabelError: when the request was refused, or failed each time it was sent.
    """
    if known_ids is None:
        known = search.ids()
    else:
        since = search.listed_since(known_ids)
        if (running := search.choose(since)) is not None:
            log.info("job %s was submitted before; it is taken up again", job_id(running))
            return running
        known = {*known_ids, *map(job_id, since)}
    lost: FastLabelError | None = None
    for left in reversed(range(policy.sends)):
        try:
            answer = send()
        except FastLabelError as error:
            if not isinstance(error, (TransportError, ServerError)) or isinstance(error, NeverSent):
                if lost is None:
                    raise  # refused, or the transport has tried as often as it should: nothing runs
                raise UnclearSubmission(
                    f"the answer to the submit was lost ({lost.message}); sent again, it failed otherwise: "
                    f"{error.message}"
                ) from error
            lost = error
            found = _look(search, known, policy, policy.seconds_after(error), error)
            if found is not None:
                log.warning("%s; the job runs nevertheless, as %s", error, job_id(found))
                return found
            if error.status is not None and error.status < 300:
                raise UnclearSubmission(
                    f"the server accepted the job, but its answer cannot be read ({error.message}) and no new job is "
                    "listed"
                ) from error
            if not left or retry_after_of(error) > policy.retry_after_seconds:
                error.hint = "the job may have been started; look at the jobs before submitting again"
                raise
            log.warning("%s; no such job was started, so it is submitted again", error)
        else:
            return _started(answer, search, known, policy)
    raise Invalid("a submission policy sends at least once")


def _started(answer: Any, search: JobSearch, known: Collection[str], policy: SubmissionPolicy) -> Json | str:
    """The job in the server's answer, whose shape nobody documents: a job, a list with one, an id, or nothing."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, dict) and job_id(answer):
        return answer
    if isinstance(answer, (str, int)) and not isinstance(answer, bool) and answer:
        return str(answer)
    found = _look(search, known, policy, policy.answered_seconds, None)
    if found is None:
        raise UnclearSubmission("the server accepted the job, but named no id and lists no new job")
    return found


def _look(
    search: JobSearch, known: Collection[str], policy: SubmissionPolicy, seconds: float, lost: FastLabelError | None
) -> Json | None:
    """The job that appeared since, or None when for so many seconds no job at all has appeared."""
    unseen: FastLabelError | None = None
    new: list[Json] = []
    for pause in policy.pauses(seconds):
        policy.sleep(pause)
        try:
            new = search.listed_since(known)
        except (TransportError, ServerError, RateLimited) as error:
            unseen = error
            continue
        except FastLabelError as error:
            unseen = error
            break
        unseen = None
        if (found := search.choose(new)) is not None:
            return found
    happened = "the answer to the submit names no job" if lost is None else f"the answer was lost ({lost.message})"
    if unseen is not None:
        # Without a look at the jobs, sending again would be a gamble with the user's money.
        raise UnclearSubmission(f"{happened}, and the jobs cannot be listed: {unseen.message}") from unseen
    if new:
        raise UnclearSubmission(
            f"{happened}, and none of the jobs that are new since then looks like the one that was asked for",
            candidates=[job_id(job) for job in new],
        )
    return None
