"""Submitting a job exactly once: what is asked for is written down before it is asked, what came of it after.

The ledger (:mod:`fastlabel_dagster.jobs.ledger`) outlives runs, processes and Dagster instances, and one run at a time
decides by it. Together with the run's tags (the job's id stands there before anything else can fail) it makes a
retried step, a re-executed run, a run beside this one, or simply the next run attach to the job that is there instead
of paying for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid, NotFound, RateLimited, Unauthorized, job_id, job_state
from fastlabel_dagster.jobs.kinds import Job, JobKind, JobRequest
from fastlabel_dagster.jobs.ledger import Claim, Claimant, Ledger, claimed

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient, SubmissionPolicy
    from fastlabel_dagster.store import Store

#: Seconds between looks at a job that does not show itself, before it counts as gone: what follows costs money.
PAUSES = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Submission:
    """The job a step ended with.

    Attributes:
        job_id: the job's id; empty when there is none.
        status: the job's status as FastLabel says it; empty without a job.
        submitted: a new job was started by this call.
        reason: why, or why not, as a sentence.
        job: the job as FastLabel last showed it.
        made_from: what the job was made from, where the ledger says so: see :class:`JobRequest`.
        gone: the job has completed, and FastLabel shows it no more.
    """

    job_id: str
    status: str
    submitted: bool
    reason: str
    job: Job = field(default_factory=dict, compare=False, repr=False)
    made_from: str = ""
    gone: bool = False


def submit_job(
    client: FastLabelClient,
    store: Store,
    request: JobRequest,
    *,
    recorded: str | Callable[[str], str | None] | None = None,
    remembered: Callable[[str], str | None] = lambda version: None,
    has_completed: Callable[[str], bool] = lambda job: False,
    force: bool = False,
    attach_to: str | None = None,
    claimant: Claimant | None = None,
    record: Callable[[Submission, str], object] = lambda submission, version: None,
    log: Callable[[str], object] = lambda _: None,
    policy: SubmissionPolicy | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Submission:
    """Start the job that ``request`` asks for, unless one for its version already runs or has finished.

    Safe to call from several runs, processes and machines at a time: one decides, the others wait for it and attach.

    Args:
        recorded: the id of a job that this run or the run it repeats has submitted, or who tells it of a version:
            attached to in any case, unless it failed or is gone; then the ledger's counts, which may be a newer one.
        remembered: tells of a version the ledger knows nothing of which job any other run has submitted for it: the
            store may have been lost, or left behind where it was.
        has_completed: whether somebody else has seen a job complete, and kept what came of it; asked of one that
            FastLabel shows no more. For a kind whose results outlive the job, the ledger's word is enough.
        force: start one again although nothing changed. A submit of an earlier run whose outcome is unclear is
            forgotten.
        attach_to: take this job for the one of the version and submit nothing.
        claimant: who asks; without one, a claim left by a killed process is taken over after an hour only.
        record: called with the job and its version as soon as both are known, before anything else happens.
        policy: how long to look for a job whose answer was lost; the client's default.
        sleep: for tests: waits between looks at a job that is not there.

    Raises:
        FastLabelError: the API refused or cannot be reached; ``UnclearSubmission`` when nobody can tell whether a job
            runs; ``SubmissionBusy`` when another run is at it and does not come to an end.
        StoreError: the store cannot be used.
    """
    claimant = claimant or Claimant()
    with claimed(store, claimant, request.kind.name, log=log) as claim:
        turn = _Turn(client, Ledger(store, request.kind.name), claim, claimant, force, record, log, sleep)
        if request.at_turn is not None:
            request = request.at_turn(client, turn.ledger)
        if attach_to:
            turn.rename(request)
            job = dict(request.kind.find(client, attach_to, request.subject))
            return turn.attach(request, attach_to, job, "attached, as asked for, to the job", request.made_from)
        while True:
            turn.rename(request)
            mine = recorded(request.version) if callable(recorded) else recorded
            attached = turn.known_job(request, mine, remembered, has_completed)
            if attached is not None:
                return attached
            if turn.may_have_a_lost_job(request):
                return turn.submit(request, policy, lost=True)
            found = request if request.as_found is None else request.as_found(client)
            if found.version == request.version:
                return turn.submit(request, policy)
            log(f"The {request.kind.subject} {request.subject} does not hold what was published last.")
            request = replace(found, also=(*request.also, request.version), as_found=None)


def note_completed(
    store: Store,
    kind: JobKind,
    subject: str,
    job_id: str,
    *,
    claimant: Claimant | None = None,
    log: Callable[[str], object] = lambda _: None,
) -> bool:
    """Have the ledger say that a job has completed: a version whose job is deleted in FastLabel afterwards is not paid
    for again. Whether anything was written.

    Raises:
        SubmissionBusy: another run holds the claim for long.
        StoreError: the store cannot be used.
    """
    with claimed(store, claimant or Claimant(), kind.name, wait_seconds=30.0, log=log):
        return Ledger(store, kind.name).completed(subject, job_id)


@dataclass(frozen=True)
class _Turn:
    """The turn of one claimant, who alone looks at the ledger and decides."""

    client: FastLabelClient
    ledger: Ledger
    claim: Claim
    claimant: Claimant
    force: bool
    record: Callable[[Submission, str], object]
    log: Callable[[str], object]
    sleep: Callable[[float], object]
    #: Why the known jobs of the version count no more, as sentences without a full stop.
    refused: list[str] = field(default_factory=list)

    def rename(self, request: JobRequest) -> None:
        """Know the version by the name it has now."""
        subject, version = request.subject, request.version
        for former in request.formerly:
            if not self.ledger.entry(subject, version) and self.ledger.entry(subject, former):
                self.ledger.rename(subject, former, version)

    def known_job(
        self,
        request: JobRequest,
        mine: str | None,
        remembered: Callable[[str], str | None],
        has_completed: Callable[[str], bool],
    ) -> Submission | None:
        """The job that this run has submitted, or that the ledger knows as the version's, or, where it knows nothing of
        the version, somebody else; None when there is none that counts."""
        kind = request.kind
        self.refused.clear()
        entry = self.ledger.entry(request.subject, request.version)
        made_from = str(entry.get("made_from") or "")
        # one that was made from something else counts as long as that is what is there: whoever asks looks then
        counts = not self.force and made_from in ("", request.made_from)
        of_version = str(entry.get("job_id") or "") if counts else ""
        if not entry and counts and not mine:
            of_version = remembered(request.version) or ""
        for known in dict.fromkeys(one for one in (mine, of_version) if one):
            there = kind.look(self.client, known, request.subject, pauses=PAUSES, sleep=self.sleep)
            why = "attached to the job this run has submitted" if known == mine else request.unchanged
            if there is not None and job_state(there) != "failed":
                return self.attach(request, known, there, why, made_from)
            if there is None and not self.force:
                noted = kind.outlived and entry.get("job_id") == known and entry.get("completed")
                if noted or has_completed(known):
                    self.log(f"The {kind.words} {known} completed and is no longer there; force: true starts another.")
                    return self.attach(request, known, {"status": "completed"}, why, made_from, gone=True)
            self.refused.append(f"the {kind.words} {known} {'is no longer there' if there is None else 'has failed'}")
            self.log(f"Another {kind.words} may be started: {self.refused[-1]}.")
        return None

    def attach(
        self, request: JobRequest, job_id: str, job: Job, why: str, made_from: str, *, gone: bool = False
    ) -> Submission:
        """Go on with a job that is there."""
        status = str(job.get("status") or "")
        self.log(f"No new {request.kind.words}: {why} {job_id} ({job.get('status')}).")
        submission = Submission(job_id, status, False, f"{why} {job_id}", job, made_from, gone)
        return self._settle(request, submission)

    def may_have_a_lost_job(self, request: JobRequest) -> bool:
        """Whether a submit of this version was cut off, and jobs have appeared since that could be its."""
        before = self._known_before(request)
        if before is None:
            return False
        if set(request.kind.known_ids(self.client, request.subject)) - set(before):
            return True
        self.log(f"An earlier submit of this {request.kind.subject} was cut off before there was a job.")
        return False

    def _known_before(self, request: JobRequest) -> list[str] | None:
        """The jobs that are not the one of a submit that was cut off; None when none was."""
        entry = self.ledger.entry(request.subject, request.version)
        before = entry.get("known_ids")
        if before is None or (self.force and not self.claimant.is_mine(entry.get("run_id"))):
            return None  # with force, of the submit of an earlier run: the user has said not to look for its job
        # a job that is known to be another version's is not the one looked for, new as it is
        return sorted({*before, *self.ledger.other_jobs(request.subject, request.version)})

    def submit(self, request: JobRequest, policy: SubmissionPolicy | None, *, lost: bool = False) -> Submission:
        """Submit, or find the job of a submit of this version that was cut off; ``lost``: there may be one."""
        kind, subject, ledger = request.kind, request.subject, self.ledger
        begun_together = ledger.begun_with(subject, request.version) if lost else ()
        versions = tuple(dict.fromkeys((*request.also, *begun_together, request.version)))
        entries = {version: dict(ledger.entry(subject, version)) for version in versions}
        there = ids_before = sorted(kind.known_ids(self.client, subject))
        made_from = request.made_from
        if lost:
            self.log(f"An earlier submit of this {kind.subject} was cut off; looking for its job before sending again.")
            ids_before = self._known_before(request) or []
            made_from = str(entries[request.version].get("made_from") or made_from)
        begun = {"known_ids": ids_before, "run_id": self.claimant.run_id, **_source(made_from)}
        ledger.begin(subject, versions, **begun)
        self.claim.check()
        try:
            job = kind.submit(self.client, request.arguments, ids_before, policy)
        except (Invalid, NotFound, RateLimited, Unauthorized):
            ledger.write(subject, entries)  # refused: nothing was begun, what was known before holds
            raise
        new = job_id(job)
        if new in there:
            why = "an earlier attempt was cut off, and its job was found again:"
            return self.attach(request, new, job, why, made_from)
        status = str(job.get("status") or "")
        why = self.refused[-1] if self.refused else request.changed
        submission = self._settle(request, Submission(new, status, True, why, job, made_from))
        words = f"{kind.words[:1].upper()}{kind.words[1:]}"
        self.log(f"{words} {new} submitted on {kind.subject} {subject}.")
        return submission

    def _settle(self, request: JobRequest, submission: Submission) -> Submission:
        """Record the job, then have the ledger say that it is the versions', and whether it is known to have
        completed."""
        self.record(submission, request.version)
        done = {"completed": True} if submission.gone or job_state(submission.job) == "completed" else {}
        entry: dict[str, Any] = {"job_id": submission.job_id, **done, **_source(submission.made_from)}
        # one that was cut off was asked for as all of these, whichever of them is asked for now
        begun_together = self.ledger.begun_with(request.subject, request.version)
        versions = (*request.also, *begun_together, request.version)
        self.ledger.write(request.subject, dict.fromkeys(versions, entry))
        if done:
            self.ledger.completed(request.subject, submission.job_id)  # as which other version ever it is known
        return submission


def _source(made_from: str) -> dict[str, str]:
    return {"made_from": made_from} if made_from else {}
