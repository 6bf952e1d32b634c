"""The training sensor: a finished training is reported as the model, once; a failed one as a failed check."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from fastlabel_dagster.api import FastLabelError, NotFound, job_state
from fastlabel_dagster.checks.names import TRAINING_CHECK
from fastlabel_dagster.metadata.tables import without_query
from fastlabel_dagster.resource import FastLabelResource, error_kind, resource_named
from fastlabel_dagster.sensors.cursor import dump_cursor, load_cursor
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key, safe_name

_KIND = "training"
#: How many materializations of the training asset are looked through for jobs, newest first.
_LOOK_BACK = 100
#: How many settled jobs the cursor names; more than the look-back can show.
_REMEMBERED = 200

#: What a materialization of the training asset says of its job, and the model's then repeats.
PASSED_ON = (
    "labels_version",
    "labels_digest",
    "dataset",
    "dataset_version",
    "approved_tasks",
    "objects",
    "base_model",
)


def build_training_sensor(
    project: str,
    *,
    name: str | None = None,
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that follows the training jobs submitted by ``<slug>/training`` to their end.

    It finds the jobs in the materializations of the training asset on the Dagster instance, asks FastLabel how each
    stands, and reports a finished one as a materialization of ``<slug>/model``: job, model id and name, address without
    its signature, the labels' version and digest it was trained on, the dataset. A failed job is reported as a failed
    evaluation of the check ``training_succeeded`` on the model. Each job is reported once: the cursor remembers it, and
    with a lost cursor the model's own materializations do.

    Args:
        project: slug of the project.
        time_budget_seconds: no further job is asked for after this long; the next tick goes on.
    """
    training_key = asset_key(project, "training", translator)
    model_key = asset_key(project, "model", translator)

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult | dg.SkipReason:
        state = load_cursor(context.cursor, _KIND, context.log) or {}
        settled: list[str] = list(state.get("settled", []))
        submitted = _jobs(context.instance, training_key)
        reported = set(settled) | set(_jobs(context.instance, model_key))
        open_jobs = [job for job in reversed(submitted) if job not in reported]
        deadline = time.monotonic() + time_budget_seconds
        events: list[dg.AssetMaterialization | dg.AssetCheckEvaluation] = []
        notes: list[str] = []
        for asked, job_id in enumerate(open_jobs):
            if asked and time.monotonic() > deadline:
                notes.append(f"time budget used up, {len(open_jobs) - asked} jobs left for the next tick")
                break
            try:
                job = fastlabel.client.training_jobs.find(job_id)
            except NotFound as error:
                events.append(
                    _evaluation(model_key, job_id, {}, submitted[job_id], f"FastLabel has no such job: {error}")
                )
                settled.append(job_id)
                continue
            except FastLabelError as error:
                notes.append(f"{job_id}: {error_kind(error)}: {error}")
                continue
            outcome = job_state(job)
            if outcome == "running":
                notes.append(f"{job_id} is {job.get('status')}")
                continue
            if outcome == "completed":
                events.append(_model(model_key, job_id, job, submitted[job_id]))
            problem = None if outcome == "completed" else f"The training job ended as {job.get('status')}."
            events.append(_evaluation(model_key, job_id, job, submitted[job_id], problem))
            settled.append(job_id)
        cursor = dump_cursor(_KIND, {"settled": settled[-_REMEMBERED:]})
        reason = None if events else "; ".join(notes) or f"no training of {project} is under way"
        return dg.SensorResult(asset_events=events, cursor=cursor, skip_reason=reason)

    return dg.SensorDefinition(
        name=name or f"{safe_name(project)}_training",
        description=f"Reports finished trainings of {project} as its model.",
        evaluation_fn=resource_named(resource_key, evaluate),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
    )


def _jobs(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dict[str, Any]]:
    """Job id -> metadata of the materialization that first named it, newest job first."""
    jobs: dict[str, dict[str, Any]] = {}
    for record in instance.fetch_materializations(key, limit=_LOOK_BACK).records:
        materialization = record.asset_materialization
        if materialization is None:
            continue
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        job_id = metadata.get("training_job_id")
        if job_id:
            # records come newest first: a later (= earlier in time) one replaces what re-materializations repeated
            jobs[str(job_id)] = metadata
    return jobs


def _model(
    key: dg.AssetKey, job_id: str, job: Mapping[str, Any], training: Mapping[str, Any]
) -> dg.AssetMaterialization:
    model = job.get("customModel") or {}
    metadata: dict[str, Any] = {
        "training_job_id": job_id,
        "model_id": str(model.get("modelId") or ""),
        "model_name": str(model.get("modelName") or ""),
        "model_classes": [str(one) for one in model.get("classes") or []],
        "epoch": job.get("epoch"),
        "content_count": job.get("contentCount"),
        **{name: training[name] for name in PASSED_ON if training.get(name) is not None},
    }
    if model.get("modelURL"):
        metadata["model_url"] = dg.MetadataValue.url(without_query(str(model["modelURL"])))
    completed = _timestamp(job.get("completedAt"))
    if completed is not None:
        metadata["completed_at"] = dg.MetadataValue.timestamp(completed)
    return dg.AssetMaterialization(
        asset_key=key,
        description=f"Training {job_id} finished.",
        metadata={name: value for name, value in metadata.items() if value not in (None, "", [])},
        tags={"dagster/data_version": job_id},
    )


def _evaluation(
    key: dg.AssetKey, job_id: str, job: Mapping[str, Any], training: Mapping[str, Any], problem: str | None
) -> dg.AssetCheckEvaluation:
    metadata: dict[str, Any] = {"training_job_id": job_id, "status": str(job.get("status") or "unknown")}
    metadata.update({name: training[name] for name in PASSED_ON if training.get(name) is not None})
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=TRAINING_CHECK,
        passed=problem is None,
        metadata=metadata,
        description=problem or "The training finished.",
    )


def _timestamp(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
