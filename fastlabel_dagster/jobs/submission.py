"""Submitting a job exactly once: what is asked for is written down before it is asked, what came of it after.

The ledger (:mod:`fastlabel_dagster.jobs.ledger`) outlives runs, processes and Dagster instances, and one run at a time
decides by it. Together with the run's tags (the job's id stands there before anything else can fail) it makes a
retried step, a re-executed run, a run beside this one, or simply the next run attach to the job that is there instead
of paying for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid, NotFound, RateLimited, Unauthorized, job_id, job_state
from fastlabel_dagster.jobs.kinds import Job, JobRequest
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
    recorded: str | Callable[[str], str | None] | None = None,
    force: bool = False,
    attach_to: str | None = None,
    claimant: Claimant | None = None,
    record: Callable[[str, str], object] = lambda job, version: None,
    log: Callable[[str], object] = lambda _: None,
    policy: SubmissionPolicy | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Submission:
    """Start the job that ``request`` asks for, unless one for its version already runs or has finished.

    Safe to call from several runs, processes and machines at a time: one decides, the others wait for it and attach.

    Args:
        recorded: the id of a job that this run or the run it repeats has submitted, or who tells it of a version:
            attached to in any case, unless it failed or is gone; then the ledger's counts, which may be a newer one.
        force: start one again although nothing changed. A submit of an earlier run whose outcome is unclear is
            forgotten.
        attach_to: take this job for the one of the version and submit nothing.
        claimant: who asks; without one, a claim left by a killed process is taken over after an hour only.
        record: called with the new job's id and its version at once, before anything else happens.
        policy: how long to look for a job whose answer was lost; the client's default.
        sleep: for tests: waits between looks at a job that is not there.

    Raises:
        FastLabelError: the API refused or cannot be reached; ``UnclearSubmission`` when nobody can tell whether a job
            runs; ``SubmissionBusy`` when another run is at it and does not come to an end.
        StoreError: the store cannot be used.
    """
    claimant = claimant or Claimant()
    kind, subject = request.kind, request.subject
    with claimed(store, claimant, kind.name, log=log) as claim:
        ledger = Ledger(store, kind.name)
        if request.at_turn is not None:
            request = request.at_turn(client, ledger)
        version = request.version
        if request.formerly and not ledger.entry(subject, version) and ledger.entry(subject, request.formerly):
            ledger.rename(subject, request.formerly, version)
        if attach_to:
            job = dict(kind.find(client, attach_to, subject))
            record(attach_to, version)
            _note(ledger, request, attach_to, job)
            return _attached(request, attach_to, job, "attached, as asked for, to the job", log)
        mine = recorded(version) if callable(recorded) else recorded
        entry = ledger.entry(subject, version)
        of_version = "" if force else str(entry.get("job_id") or "")
        for known in dict.fromkeys(one for one in (mine, of_version) if one):
            there = kind.look(client, known, subject, pauses=PAUSES, sleep=sleep)
            why = "attached to the job this run has submitted" if known == mine else request.unchanged
            if there is not None and job_state(there) != "failed":
                _note(ledger, request, known, there)
                return _attached(request, known, there, why, log)
            if there is None and not force and entry.get("job_id") == known and entry.get("completed"):
                log(f"The {kind.words} {known} completed and is no longer there; force: true starts another.")
                return _attached(request, known, {"status": "completed"}, why, log)
            log(f"The job {known} has failed or is gone.")
        job, found = _submit(client, ledger, claim, request, claimant=claimant, force=force, log=log, policy=policy)
        new = job_id(job)
        record(new, version)
        _note(ledger, request, new, job)
        if found:
            return _attached(request, new, job, "an earlier attempt was cut off, and its job was found again:", log)
    log(f"{kind.words[:1].upper()}{kind.words[1:]} {new} submitted on {kind.subject} {subject}.")
    return Submission(new, str(job.get("status") or ""), True, request.changed, job)


def _note(ledger: Ledger, request: JobRequest, id: str, job: Job) -> None:
    """Have the ledger say that this is the version's job, and whether it is known to have completed."""
    entry: dict[str, Any] = {"job_id": id, **({"completed": True} if job_state(job) == "completed" else {})}
    for version in (*request.also, request.version):
        if ledger.entry(request.subject, version) != entry:
            ledger.write(request.subject, version, **entry)


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
    ledger.begin(subject, version, ids_before, claimant.run_id)
    claim.check()
    try:
        job = kind.submit(client, request.arguments, ids_before, policy)
    except (Invalid, NotFound, RateLimited, Unauthorized):
        ledger.write(subject, version, **entry)  # refused: nothing was begun, what was known before holds
        raise
    return job, job_id(job) in there
