"""Submitting a job exactly once: what is asked for is written down before it is asked, what came of it after.

The ledger (:mod:`fastlabel_dagster.jobs.ledger`) outlives runs, processes and Dagster instances, and one run at a time
decides by it. Together with the run's tags (the job's id stands there before anything else can fail) it makes a
retried step, a re-executed run, a run beside this one, or simply the next run attach to the job that is there instead
of paying for another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid, NotFound, RateLimited, Unauthorized, job_id, job_state
from fastlabel_dagster.jobs.kinds import Job, JobRequest
from fastlabel_dagster.jobs.ledger import Claim, Claimant, Ledger, claimed

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient, SubmissionPolicy
    from fastlabel_dagster.store import Store


@dataclass(frozen=True)
class Submission:
    """The job a step ended with.

    Attributes:
        job_id: the job's id; empty when there is none.
        status: the job's status as FastLabel says it; empty without a job.
        submitted: a new job was started by this call.
        reason: why, or why not, as a sentence.
        job: the job as FastLabel last showed it.
    """

    job_id: str
    status: str
    submitted: bool
    reason: str
    job: Job = field(default_factory=dict, compare=False, repr=False)


def submit_job(
    client: FastLabelClient,
    store: Store,
    request: JobRequest,
    *,
    recorded: str | None = None,
    force: bool = False,
    attach_to: str | None = None,
    claimant: Claimant | None = None,
    record: Callable[[str], object] = lambda _: None,
    log: Callable[[str], object] = lambda _: None,
    policy: SubmissionPolicy | None = None,
) -> Submission:
    """Start the job that ``request`` asks for, unless one for its version already runs or has finished.

    Safe to call from several runs, processes and machines at a time: one decides, the others wait for it and attach.

    Args:
        recorded: the id of a job that this run or the run it repeats has submitted: attached to in any case, unless it
            failed.
        force: start one again although nothing changed. A submit of an earlier run whose outcome is unclear is
            forgotten.
        attach_to: take this job for the one of the version and submit nothing.
        claimant: who asks; without one, a claim left by a killed process is taken over after an hour only.
        record: called with the new job's id at once, before anything else happens.
        policy: how long to look for a job whose answer was lost; the client's default.

    Raises:
        FastLabelError: the API refused or cannot be reached; ``UnclearSubmission`` when nobody can tell whether a job
            runs; ``SubmissionBusy`` when another run is at it and does not come to an end.
        StoreError: the store cannot be used.
    """
    kind, subject, version = request.kind, request.subject, request.version
    claimant = claimant or Claimant()
    with claimed(store, claimant, kind.name, log=log) as claim:
        ledger = Ledger(store, kind.name)
        if attach_to:
            job = dict(kind.find(client, attach_to, subject))
            record(attach_to)
            ledger.write(subject, version, job_id=attach_to)
            return _attached(request, attach_to, job, "attached, as asked for, to the job", log)
        entry = ledger.entry(subject, version)
        known = recorded or ("" if force else str(entry.get("job_id") or ""))
        if known:
            there = kind.look(client, known, subject)
            if there is not None and job_state(there) != "failed":
                if recorded and entry.get("job_id") != recorded:
                    ledger.write(subject, version, job_id=recorded)
                why = "attached to the job this run has submitted" if recorded else request.unchanged
                return _attached(request, known, there, why, log)
            log(f"The job {known} has failed or is gone; a new one is submitted.")
        job, found = _submit(client, ledger, claim, request, claimant=claimant, force=force, log=log, policy=policy)
        new = job_id(job)
        record(new)
        ledger.write(subject, version, job_id=new)
        if found:
            return _attached(request, new, job, "an earlier attempt was cut off, and its job was found again:", log)
    log(f"{kind.words[:1].upper()}{kind.words[1:]} {new} submitted on {kind.subject} {subject}.")
    return Submission(new, str(job.get("status") or ""), True, request.changed, job)


def _attached(request: JobRequest, job: str, found: Job, why: str, log: Callable[[str], object]) -> Submission:
    log(f"No new {request.kind.words}: {why} {job} ({found.get('status')}).")
    return Submission(job, str(found.get("status") or ""), False, f"{why} {job}", found)


def _submit(
    client: FastLabelClient,
    ledger: Ledger,
    claim: Claim,
    request: JobRequest,
    *,
    claimant: Claimant,
    force: bool,
    log: Callable[[str], object],
    policy: SubmissionPolicy | None,
) -> tuple[Job, bool]:
    """Submit, or find the job of a submit of this version that was cut off; whether it was found."""
    kind, subject, version = request.kind, request.subject, request.version
    entry: dict[str, Any] = dict(ledger.entry(subject, version))
    ids_before = entry.get("known_ids")
    if force and not claimant.is_mine(entry.get("run_id")):
        ids_before = None  # the cut-off submit of an earlier run: the user has said not to look for it
    there: Collection[str] = ()
    if ids_before is not None:
        log(f"An earlier submit of this {kind.subject} was cut off; looking for its job before sending again.")
        # a job that is known to be another version's is not the one looked for, new as it is
        ids_before = sorted({*ids_before, *ledger.other_jobs(subject, version)})
        there = kind.known_ids(client, subject)
    else:
        ids_before = sorted(kind.known_ids(client, subject))
    ledger.write(subject, version, known_ids=ids_before, run_id=claimant.run_id)
    claim.check()
    try:
        job = kind.submit(client, request.arguments, ids_before, policy)
    except (Invalid, NotFound, RateLimited, Unauthorized):
        ledger.write(subject, version, **entry)  # refused: nothing was begun, what was known before holds
        raise
    return job, job_id(job) in there
