"""Submitting a training exactly once: what was asked for is written down before it is asked, and what came of it after.

The ledger ``<store>/training/ledger.json`` outlives runs, processes and Dagster instances. Together with the run's tags
(the job's id stands there before anything else can fail) it makes a retried step, a re-executed run, or simply the next
run attach to the job that is there instead of paying for another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import NotFound, job_id, job_state
from fastlabel_dagster.assets.plan import TrainingPlan

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import Store

_LEDGER = "training/ledger.json"


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
    record: Callable[[str], object] = lambda _: None,
    log: Callable[[str], object] = lambda _: None,
) -> Submission:
    """Train on ``dataset`` as it is at ``dataset_version``, unless a job of it already runs or has finished.

    Args:
        dataset_version: what identifies the published content; the same version is trained on once.
        recorded: the id of a job that this run or the run it repeats has submitted: attached to in any case, unless it
            failed.
        force: train again although nothing changed.
        record: called with the new job's id at once, before anything else happens.

    Raises:
        FastLabelError: the API refused or cannot be reached; ``UnclearSubmission`` when nobody can tell whether a job
        runs.
    """
    ledger = _read(store)
    same = ledger.get("dataset_version") == dataset_version and ledger.get("dataset") == dataset
    known = recorded or (str(ledger.get("job_id") or "") if same and not force else "")
    if known:
        job = _find(client, known)
        if job is not None and job_state(job) != "failed":
            why = "attached to the job this run has submitted" if recorded else "nothing newly approved since"
            log(f"No new training: {why} {known} ({job.get('status')}).")
            return Submission(known, str(job.get("status") or ""), False, f"{why} {known}")
        log(f"The job {known} has failed or is gone; a new one is submitted.")
    ids_before = ledger.get("known_ids") if same and not ledger.get("job_id") else None
    if ids_before is not None:
        log("An earlier submit of this dataset was cut off; looking for its job before sending again.")
    else:
        ids_before = sorted(client.training_jobs.known_ids())
        _write(store, {"dataset": dataset, "dataset_version": dataset_version, "known_ids": ids_before})
    job = client.training_jobs.submit(
        dataset_name=dataset,
        base_model_name=training.base_model_name,
        epoch=training.epoch,
        known_ids=ids_before,
        **training.more,
    )
    new = job_id(job)
    record(new)
    _write(store, {"dataset": dataset, "dataset_version": dataset_version, "job_id": new})
    log(f"Training {new} submitted on dataset {dataset}.")
    return Submission(new, str(job.get("status") or ""), True, "the approved labels have changed")


def _find(client: FastLabelClient, known: str) -> dict[str, Any] | None:
    try:
        return dict(client.training_jobs.find(known))
    except NotFound:
        return None


def _read(store: Store) -> dict[str, Any]:
    try:
        ledger = json.loads(store.read_bytes(_LEDGER))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{store.uri_of(_LEDGER)} cannot be read; delete it if no training is under way") from error
    return ledger if isinstance(ledger, dict) else {}


def _write(store: Store, ledger: Mapping[str, Any]) -> None:
    store.write_bytes(_LEDGER, json.dumps(ledger, indent=1, sort_keys=True).encode())
