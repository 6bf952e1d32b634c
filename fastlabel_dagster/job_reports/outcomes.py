"""What an ended job becomes in Dagster: a materialization and a passed check, or a failed check and a note."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from fastlabel_dagster.api.links import without_query
from fastlabel_dagster.checks.names import GATE_CHECK
from fastlabel_dagster.job_reports.evaluations import gate_of, models_before
from fastlabel_dagster.job_reports.learned import learned_changes
from fastlabel_dagster.job_reports.submissions import OUTCOME, is_overtaken, job_metadata
from fastlabel_dagster.jobs.gate import METRICS, Verdict, measure
from fastlabel_dagster.jobs.kinds import Job, JobKind
from fastlabel_dagster.metadata.tables import records_table

log = logging.getLogger("fastlabel_dagster")


def success_check(kind: JobKind) -> str:
    """Name of the check that the newest job of a kind came to a good end: ``training_succeeded``, …"""
    return f"{kind.name}_succeeded"


@dataclass(frozen=True)
class JobOutcome:
    """The end of a job, told of one asset.

    Attributes:
        key: ``<slug>/model`` for a training, ``<slug>/<kind>`` for the others.
        problem: what went wrong, as a sentence; empty when it completed.
        verdict: what the gate says of an evaluated model, where there is a gate.
        gone: FastLabel does not show the job.
        overtaken: an evaluation that was asked for later is told already: this one's verdict is not the asset's.
    """

    key: dg.AssetKey
    kind: JobKind
    job_id: str
    metadata: Mapping[str, Any]
    problem: str = ""
    verdict: Verdict | None = field(default=None)
    overtaken: bool = False
    gone: bool = False

    def materialization(self) -> dg.AssetMaterialization:
        """For a sensor's tick."""
        return dg.AssetMaterialization(
            asset_key=self.key,
            description=f"{_capital(self.kind.words)} {self.job_id} finished.",
            metadata=dict(self.metadata),
            tags={"dagster/data_version": self.job_id},
        )

    def result(self, **more: Any) -> dg.MaterializeResult[Any]:
        """For a step of a run; ``more`` is further metadata."""
        return dg.MaterializeResult(
            asset_key=self.key, data_version=dg.DataVersion(self.job_id), metadata={**self.metadata, **more}
        )

    def check(self, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR) -> dg.AssetCheckEvaluation:
        """Whether the job came to a good end; ``severity``: how bad it is if it did not."""
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=success_check(self.kind),
            passed=not self.problem,
            metadata=_light(self.metadata),
            description=self.problem or f"The {self.kind.words} finished.",
            severity=severity,
        )

    def gate_check(self) -> dg.AssetCheckEvaluation | None:
        """What the gate says, where there is one, of the newest model."""
        if self.verdict is None or self.overtaken:
            return None
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=GATE_CHECK,
            passed=self.verdict.passed,
            metadata={**_light(self.metadata), **verdict_metadata(self.verdict)},
            description=self.verdict.text,
            severity=dg.AssetCheckSeverity.ERROR,
            blocking=True,
        )

    def note(self) -> dg.AssetObservation:
        """That the job did not come to a good end: kept on the instance, so that it is told once."""
        return dg.AssetObservation(
            asset_key=self.key,
            description=self.problem,
            metadata={**_light(self.metadata), OUTCOME: "gone" if self.gone else "failed"},
        )

    def events(
        self, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    ) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.AssetObservation]:
        """All that a sensor reports; ``severity``: how bad it is if the job did not come to a good end."""
        if self.problem:
            return [self.check(severity), self.note()]
        gate = self.gate_check()
        return [self.materialization(), self.check(severity), *([] if gate is None else [gate])]


def completed_job(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    kind: JobKind,
    *,
    job_id: str,
    job: Job,
    carried: Mapping[str, Any],
    previews: bool = True,
    beside: Collection[str] = (),
) -> JobOutcome:
    """A job that came to a good end.

    Args:
        carried: what the job was made from, as its submission says.
        previews: with pictures; tables there are in any case.
        beside: other completed jobs that are told at this moment.
    """
    metadata: dict[str, Any] = {**job_metadata(kind, job_id, job), **job_facts(kind, job), **carried}
    if "model_url" in metadata:
        metadata["model_url"] = dg.MetadataValue.url(metadata["model_url"])
    ended = timestamp_of(job.get("completedAt") or (job.get("updatedAt") if "import" in kind.name else None))
    if ended is not None:
        metadata["completed_at"] = dg.MetadataValue.timestamp(ended)
    if kind.name == "training":
        metadata |= learned_changes(instance, carried, pictures=previews)
    verdict, overtaken = None, False
    if kind.name == "evaluation":
        earlier = models_before(instance, key, metadata)
        gate = gate_of(carried)
        if gate is not None:
            verdict = gate.judge(metadata, earlier)
            metadata["gate_verdict"] = verdict.text
            metadata["gate_passed"] = verdict.passed
            overtaken = is_overtaken(instance, key, kind, key, job_id=job_id, beside=beside)
        metadata |= _models_shown(job, metadata, earlier, previews)
    return JobOutcome(key, kind, job_id, _present(metadata), verdict=verdict, overtaken=overtaken)


def _models_shown(
    job: Job, metadata: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], previews: bool
) -> dict[str, Any]:
    from fastlabel_dagster.metadata.evaluation import evaluation_pictures, models_table

    try:
        shown = {"models": models_table(metadata, earlier)}
        return {**shown, **evaluation_pictures(job, metadata, earlier)} if previews else shown
    except Exception as error:  # noqa: BLE001 - a decoration: the measures are reported without it
        log.warning("The pictures of evaluation %s were left out: %s: %s", metadata["job_id"], type(error), error)
        return {}


def failed_job(
    key: dg.AssetKey, kind: JobKind, *, job_id: str, job: Job | None, carried: Mapping[str, Any], problem: str
) -> JobOutcome:
    """A job that ended badly, or None: one that is gone."""
    gone, job = job is None, job or {}
    metadata = {**job_metadata(kind, job_id, job), **carried}
    for name in ("errorMessage", "message", "msgCode", "error"):
        if job.get(name) and job[name] != "none":
            metadata["remote_message"] = str(job[name])
            break
    return JobOutcome(key, kind, job_id, _present(metadata), problem, gone=gone)


def stuck_events(
    key: dg.AssetKey, kind: JobKind, *, job_id: str, job: Job, carried: Mapping[str, Any], hours: float
) -> list[dg.AssetCheckEvaluation | dg.AssetObservation]:
    """What is reported once of a job that runs for too long. When it ends, its outcome turns the check."""
    metadata = _light({**job_metadata(kind, job_id, job), **carried, "hours_since_submission": round(hours, 2)})
    text = (
        f"The {kind.words} {job_id} is {job.get('status')} for {hours:.1f} hours. The API cannot cancel it; look at it "
        "in FastLabel. It is followed further, and this check turns when it ends."
    )
    return [
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=success_check(kind),
            passed=False,
            metadata=metadata,
            description=text,
            severity=dg.AssetCheckSeverity.WARN,
        ),
        dg.AssetObservation(asset_key=key, description=text, metadata={**metadata, OUTCOME: "stuck"}),
    ]


def shown_again(
    key: dg.AssetKey, kind: JobKind, *, job_id: str, job: Job, carried: Mapping[str, Any]
) -> dg.AssetObservation:
    """That a job runs of which was told that it is gone: it is followed again, however long it takes."""
    return dg.AssetObservation(
        asset_key=key,
        description=f"FastLabel shows the {kind.words} {job_id} again: it is {job.get('status')}. When it ends, the "
        "check turns.",
        metadata=_light({**job_metadata(kind, job_id, job), **carried, OUTCOME: "shown"}),
    )


def verdict_metadata(verdict: Verdict) -> dict[str, Any]:
    """The gate's limits as a table."""
    columns = [("metric", "string"), ("value", "float"), ("needed", "float"), ("because", "string"), ("passed", "bool")]
    return {"limits": records_table(verdict.rows, columns)}


def job_facts(kind: JobKind, job: Job) -> dict[str, Any]:
    """What a completed job says of what came of it: the model, the measures, the counts; plain values."""
    return _TELLS[kind.name](job)


def _training(job: Job) -> dict[str, Any]:
    model = job.get("customModel") or {}
    told: dict[str, Any] = {
        "model_id": str(model.get("modelId") or ""),
        "model_name": str(model.get("modelName") or ""),
        "model_classes": [str(one) for one in model.get("classes") or []],
        "epoch": job.get("epoch"),
        "content_count": job.get("contentCount"),
    }
    if model.get("modelURL"):
        told["model_url"] = without_query(str(model["modelURL"]))
    return told


def _evaluation(job: Job) -> dict[str, Any]:
    told: dict[str, Any] = {metric: measure(job, metric) for metric in METRICS}
    for name, key in (
        ("pictures", "contentCount"),
        ("true_annotations", "gtCount"),
        ("found_annotations", "predCount"),
        ("seconds", "duration"),
        ("dataset_revision_id", "datasetRevisionId"),
    ):
        told[name] = job.get(key)
    return told


def _auto_annotation(job: Job) -> dict[str, Any]:
    return {
        "annotated_tasks": job.get("contentCount"),
        "annotations_made": job.get("taskAnnotationCount"),
        "seconds": job.get("duration"),
    }


def _import(job: Job) -> dict[str, Any]:
    return {"storage_type": job.get("storageType")}


_TELLS = {
    "training": _training,
    "evaluation": _evaluation,
    "auto_annotation": _auto_annotation,
    "s3_import": _import,
    "dicom_import": _import,
}


def _light(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Without pictures and tables: what a check or a note needs to say."""
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, str | int | float | bool) and not isinstance(value, dg.MetadataValue)
    }


def _present(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if value is not None and value not in ("", [])}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def timestamp_of(text: object) -> float | None:
    """A date of the API in seconds since 1970; None for what is none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
