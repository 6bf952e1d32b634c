"""Submitting a training exactly once: what is asked for is written down before it is asked, what came of it after.

The ledger (:mod:`fastlabel_dagster.assets.ledger`) outlives runs, processes and Dagster instances, and one run at a
time decides by it. Together with the run's tags (the job's id stands there before anything else can fail) it makes a
retried step, a re-executed run, a run beside this one, or simply the next run attach to the job that is there instead
of paying for another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import Invalid, NotFound, RateLimited, Unauthorized, job_state
from fastlabel_dagster.assets.ledger import Claim, Claimant, Ledger, claimed
from fastlabel_dagster.assets.plan import TrainingPlan

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store


@dataclass(frozen=True)
class Submission:
    """The job a training step ended with.

    Attributes:
        job_id: the job's id; empty when there is none.
        status: the job's status as FastLabel says it; empty without a job.
        submitted: a new job was started by this call.
        reason: why, or why not, as a sentence.
    """

    job_id: str
    status: str
    submitted: bool
    reason: str


def submit_training(
    client: FastLabelClient,
    store: Store,
    training: TrainingPlan,
    dataset: str,
    dataset_version: str,
    *,
    recorded: str | None = None,
    force: bool = False,
    attach_to: str | None = None,
    claimant: Claimant | None = None,
    record: Callable[[str], object] = lambda _: None,
    log: Callable[[str], object] = lambda _: None,
) -> Submission:
    """Train on ``dataset`` as it is at ``dataset_version``, unless a job of it already runs or has finished.

    Safe to call from several runs, processes and machines at a time: one decides, the others wait for it and attach.

    Args:
        dataset_version: what identifies the published content; each version is trained on once, also when others were
            in between.
        recorded: the id of a job that this run or the run it repeats has submitted: attached to in any case, unless it
            failed.
        force: train again although nothing changed. A submit of an earlier run whose outcome is unclear is forgotten.
        attach_to: take this job for the training of ``dataset_version`` and submit nothing.
        claimant: who asks; without one, a claim left by a killed process is taken over after an hour only.
        record: called with the new job's id at once, before anything else happens.

    Raises:
        FastLabelError: the API refused or cannot be reached; ``UnclearSubmission`` when nobody can tell whether a job
            runs; ``SubmissionBusy`` when another run is at it and does not come to an end.
        StoreError: the store cannot be used.
    """
    from fastlabel_dagster.api import job_id

    claimant = claimant or Claimant()
    with claimed(store, claimant, log=log) as claim:
        ledger = Ledger(store)
        if attach_to:
            job = client.training_jobs.find(attach_to)
            record(attach_to)
            ledger.write(dataset, dataset_version, job_id=attach_to)
            return _attached(attach_to, job, "attached, as asked for, to the job", log)
        entry = ledger.entry(dataset, dataset_version)
        known = recorded or ("" if force else str(entry.get("job_id") or ""))
        if known:
            job_there = _find(client, known)
            if job_there is not None and job_state(job_there) != "failed":
                if recorded and entry.get("job_id") != recorded:
                    ledger.write(dataset, dataset_version, job_id=recorded)
                why = "attached to the job this run has submitted" if recorded else _NOTHING_NEW
                return _attached(known, job_there, why, log)
            log(f"The job {known} has failed or is gone; a new one is submitted.")
        job = _submit(
            client,
            ledger,
            claim,
            claimant=claimant,
            training=training,
            dataset=dataset,
            dataset_version=dataset_version,
            force=force,
            log=log,
        )
        new = job_id(job)
        record(new)
        ledger.write(dataset, dataset_version, job_id=new)
    log(f"Training {new} submitted on dataset {dataset}.")
    return Submission(new, str(job.get("status") or ""), True, "the approved labels have changed")


#: Why a version that was trained on before is not trained on again.
_NOTHING_NEW = "nothing newly approved since"


def _attached(job: str, found: dict[str, Any], why: str, log: Callable[[str], object]) -> Submission:
    log(f"No new training: {why} {job} ({found.get('status')}).")
    return Submission(job, str(found.get("status") or ""), False, f"{why} {job}")


def _submit(
    client: FastLabelClient,
    ledger: Ledger,
    claim: Claim,
    *,
    claimant: Claimant,
    training: TrainingPlan,
    dataset: str,
    dataset_version: str,
    force: bool,
    log: Callable[[str], object],
) -> dict[str, Any]:
    """Submit, or find the job of a submit of this version that was cut off."""
    entry = ledger.entry(dataset, dataset_version)
    ids_before = entry.get("known_ids")
    if force and not claimant.is_mine(entry.get("run_id")):
        ids_before = None  # the cut-off submit of an earlier run: the user has said not to look for it
    if ids_before is not None:
        log("An earlier submit of this dataset was cut off; looking for its job before sending again.")
        # a job that is known to be another version's training is not the one looked for, new as it is
        ids_before = sorted({*ids_before, *ledger.other_jobs(dataset, dataset_version)})
    else:
        ids_before = sorted(client.training_jobs.known_ids())
    ledger.write(dataset, dataset_version, known_ids=ids_before, run_id=claimant.run_id)
    claim.check()
    try:
        job = client.training_jobs.submit(
            dataset_name=dataset,
            base_model_name=training.base_model_name,
            epoch=training.epoch,
            known_ids=ids_before,
            **training.more,
        )
    except (Invalid, NotFound, RateLimited, Unauthorized):
        ledger.write(dataset, dataset_version, **entry)  # refused: nothing was begun, what was known before holds
        raise
    return dict(job)


def _find(client: FastLabelClient, known: str) -> dict[str, Any] | None:
    try:
        return dict(client.training_jobs.find(known))
    except NotFound:
        return None
