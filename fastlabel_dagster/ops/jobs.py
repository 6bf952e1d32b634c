"""Ops on FastLabel's jobs: train, evaluate, auto-annotate, import; each submitted once, and waited for where asked.

Every one keeps the ledger of the assets: a repeated step, a re-executed run, a run beside this one and the next run
attach to the job there is. The API cannot cancel a job; cancelling a run stops the waiting only.
"""

# Annotations are not postponed here: Dagster reads them from the functions as they are.
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from fastlabel_dagster.api import FastLabelClient, job_id
from fastlabel_dagster.assets.auto_annotation import annotation_request, untouched_tasks
from fastlabel_dagster.assets.following import follow_in_run
from fastlabel_dagster.assets.import_plans import DicomImportPlan, S3ImportPlan
from fastlabel_dagster.assets.imports import s3_import_request
from fastlabel_dagster.assets.input_files import file_digest
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, EvaluationPlan, TrainingPlan
from fastlabel_dagster.assets.plan_options import Waiting
from fastlabel_dagster.assets.submitting import JobConfig, submit_in_run
from fastlabel_dagster.job_reports.outcomes import job_facts
from fastlabel_dagster.jobs.gate import Gate, measure
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, EVALUATION, KINDS, Job, JobKind, JobRequest
from fastlabel_dagster.jobs.submission import Submission
from fastlabel_dagster.ops.places import AFTER, ProjectConfig
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import Store


def _told(name: str, description: str) -> dict[str, dg.In]:
    """Besides ``start``: the result of the op before it in the story, which need not be there."""
    return {**AFTER, name: dg.In(default_value=None, description=description)}


class SubmitConfig(ProjectConfig):
    """How a job is submitted and waited for; the store keeps the ledger of jobs."""

    wait: bool = Field(default=True, description="Wait for the job's end; false: submit it and go on.")
    poll_seconds: float = Field(default=10.0, gt=0, description="Pause between the first two looks; it grows.")
    give_up_after_hours: float = Field(default=24.0, gt=0, description="How long to wait at most; the job goes on.")
    force: bool = Field(
        default=False,
        description="Start a job again although nothing has changed; forget an earlier submit of unclear outcome.",
    )
    attach_to: str | None = Field(
        default=None, description="Id of a job to take for this version's; nothing is submitted."
    )

    @property
    def waiting(self) -> Waiting:
        """The same for the functions below."""
        return Waiting("run" if self.wait else "sensor", self.poll_seconds, self.give_up_after_hours)


class TrainConfig(SubmitConfig):
    """What to train, and on what."""

    wait: bool = Field(default=False, description="Wait for the training's end, which may take hours.")
    dataset: str = Field(default="", description="Name of the FastLabel dataset; that of `published` when left out.")
    dataset_version: str = Field(
        default="",
        description="What identifies its content, such as the digest publish_op returns; that of `published` when left "
        "out.",
    )
    base_model: str = Field(description="Name of the base model in FastLabel.")
    epoch: int = Field(ge=1, description="How often the training goes over the dataset.")
    options: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the training.")


class EvaluateConfig(SubmitConfig):
    """Which model to evaluate on which dataset."""

    dataset: str = Field(default="", description="Name of the FastLabel dataset; that of `trained` when left out.")
    dataset_version: str = Field(
        default="", description="What identifies its content; that of `trained` when left out."
    )
    model_name: str = Field(default="", description="Name of the model; that of `trained` when left out.")
    iou_threshold: float = Field(default=0.5, ge=0, le=1, description="Least overlap of a found box with a true one.")
    confidence_threshold: float = Field(default=0.4, ge=0, le=1, description="Least confidence of a found box.")
    use_dataset_test: bool = Field(default=False, description="Only the objects of type test.")
    gate: dict[str, Any] | None = Field(
        default=None,
        description='Limits such as {"mAP": {"no_worse_than": 0.01, "at_least": 0.2}}. Earlier models are those the '
        "workspace has evaluated on this dataset; those the gate would have stopped are no yardstick.",
    )


class AutoAnnotateConfig(SubmitConfig):
    """Which model annotates which tasks."""

    model_name: str = Field(default="", description="Name of the model; that of `evaluated` when left out.")
    status: list[str] = Field(default=["registered"], description="Tasks in these statuses count as untouched.")
    confidence: float = Field(default=0.4, ge=0, le=1, description="Least confidence of an annotation that is kept.")
    options: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the auto-annotation.")


class ImportS3Config(SubmitConfig):
    """What to import from S3."""

    bucket: str | None = Field(default=None, description="Bucket to set for the project; null: the one it has.")
    region: str | None = Field(default=None, description="Its region.")
    prefix: str | None = Field(default=None, description="Folder in it.")
    status: str = Field(default="registered", description="Status of the new tasks.")
    tags: list[str] = Field(default_factory=list, description="Tags of the new tasks.")
    priority: int = Field(default=0, description="0 none, 10 low, 20 medium, 30 high.")


class ImportDicomConfig(SubmitConfig):
    """Which zip of DICOM files to import."""

    file: str = Field(description="Path of the zip, at most 2,000 MB.")
    status: str | None = Field(default=None, description="Status of the new tasks.")
    tags: list[str] = Field(default_factory=list, description="Tags of the new tasks.")


class WaitConfig(dg.Config):
    """Which job to wait for: one named here, or the one an op before has submitted."""

    kind: str = Field(default="", description="training, evaluation, auto_annotation, s3_import or dicom_import.")
    job_id: str = Field(default="", description="Id of the job.")
    subject: str = Field(default="", description="Slug of the project, for an auto-annotation.")
    poll_seconds: float = Field(default=10.0, gt=0, description="Pause between the first two looks; it grows.")
    give_up_after_hours: float = Field(default=24.0, gt=0, description="How long to wait at most; the job goes on.")


@dg.op(
    ins=_told("published", "What publish_op returned."),
    description="Train a model, once for each version of the dataset.",
)
def train_op(
    context: dg.OpExecutionContext, config: TrainConfig, fastlabel: FastLabelResource, published: Any
) -> dict[str, Any]:
    """``{"kind", "job_id", "subject", "status", "submitted", "reason", "dataset", "dataset_version"}``, and with
    ``wait`` the model: ``model_name``, ``model_id``, ``model_classes``."""
    before = published or {}
    dataset = config.dataset or str(before.get("dataset") or "")
    version = config.dataset_version or str(before.get("digest") or "")
    _need({"dataset": dataset, "dataset_version": version}, "published")
    plan = _checked(lambda: TrainingPlan.of({"base_model": config.base_model, "epoch": config.epoch, **config.options}))
    with fastlabel.dagster_errors(context) as client:
        result = _run(context, client, config, plan.request(dataset, version))
    return {**result, "dataset": dataset, "dataset_version": version}


@dg.op(
    ins=_told("trained", "What train_op or wait_op returned."),
    description="Measure a model on a dataset, once for each version of it.",
)
def evaluate_op(
    context: dg.OpExecutionContext, config: EvaluateConfig, fastlabel: FastLabelResource, trained: Any
) -> dict[str, Any]:
    """As :func:`train_op`; with ``wait`` also ``mAP``, ``recall``, ``precision``, ``f1``, and with a gate ``passed``
    and ``verdict``. A model that misses its limits is no failure of the op: what follows looks at ``passed``. Without
    ``wait`` the gate is handed on as ``gate``, and :func:`wait_op` judges by it."""
    before = trained or {}
    dataset = config.dataset or str(before.get("dataset") or "")
    version = config.dataset_version or str(before.get("dataset_version") or "")
    model = config.model_name or str(before.get("model_name") or "")
    _need({"dataset": dataset, "dataset_version": version, "model_name": model}, "trained")
    settings: dict[str, Any] = {
        "iou_threshold": config.iou_threshold,
        "confidence_threshold": config.confidence_threshold,
        "use_dataset_test": config.use_dataset_test,
        "gate": config.gate,
    }
    plan = _checked(lambda: EvaluationPlan.of(settings))
    about = {"dataset": dataset, "dataset_version": version, "model_name": model}
    with fastlabel.dagster_errors(context) as client:
        request = plan.request(dataset, version, model, str(before.get("model_id") or model))
        result = {**_run(context, client, config, request), **about}
        if plan.gate is not None:
            result |= _judged(context, client, plan.gate, result) if config.wait else {"gate": plan.gate.to_dict()}
    return result


@dg.op(
    ins=_told("evaluated", "What evaluate_op returned; a model that has not passed its gate annotates nothing."),
    description="Have a model annotate the tasks that nobody has touched.",
)
def auto_annotate_op(
    context: dg.OpExecutionContext, config: AutoAnnotateConfig, fastlabel: FastLabelResource, evaluated: Any
) -> dict[str, Any]:
    """As :func:`train_op`, with ``untouched_tasks``, and with ``wait`` ``annotated_tasks`` and ``annotations_made``.
    ``submitted`` is false with the reason when there is nothing to do."""
    before = evaluated or {}
    model = config.model_name or str(before.get("model_name") or "")
    _need({"model_name": model}, "evaluated")
    settings = {"status": config.status, "confidence": config.confidence, **config.options}
    plan = _checked(lambda: AutoAnnotationPlan.of(settings))
    nothing = {"kind": AUTO_ANNOTATION.name, "job_id": "", "subject": config.project, "status": "", "submitted": False}
    if before.get("passed") is False:
        reason = f"the model {model} has not passed the gate: {before.get('verdict')}"
        context.log.warning("No auto-annotation: %s.", reason)
        return {**nothing, "reason": reason, "model_name": model}
    if before.get("gate") and "passed" not in before:
        raise dg.Failure(
            description=f"whether the model {model} passes its gate is not known yet: put wait_op after an evaluate_op "
            "with wait: false",
            allow_retries=False,
        )
    with fastlabel.dagster_errors(context) as client:
        untouched = untouched_tasks(client, config.project, plan.status)
        about = {"model_name": model, "untouched_tasks": untouched.count}
        if not untouched.count and not config.attach_to:
            reason = f"no task of {config.project} without annotations is {' or '.join(plan.status)}"
            return {**nothing, "reason": reason, **about}
        id = str(before.get("model_id") or model)
        request = annotation_request(plan, config.project, untouched, model_name=model, model_id=id)
        return {**_run(context, client, config, request), **about}


@dg.op(ins=AFTER, description="Import what lies in the project's S3 storage.")
def import_s3_op(
    context: dg.OpExecutionContext, config: ImportS3Config, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """As :func:`train_op`. Each run imports once; while the import of another run goes on, it attaches to that."""
    names = ("bucket", "region", "prefix", "status", "tags", "priority")
    plan = _checked(lambda: S3ImportPlan.of({name: getattr(config, name) for name in names}))
    with fastlabel.dagster_errors(context) as client:
        if plan.bucket is not None:
            client.aws_s3.set_storage(config.project, plan.bucket, str(plan.region), plan.prefix)
        run = context.run.root_run_id or context.run.run_id
        return _run(context, client, config, s3_import_request(plan, config.project, run))


@dg.op(ins=AFTER, description="Import a zip of DICOM files.")
def import_dicom_op(
    context: dg.OpExecutionContext, config: ImportDicomConfig, fastlabel: FastLabelResource
) -> dict[str, Any]:
    """As :func:`train_op`. A file of the same content is imported once."""
    given = {"file": config.file, "status": config.status, "tags": config.tags}
    plan = _checked(lambda: DicomImportPlan.of(given))
    digest = file_digest(config.file)
    with fastlabel.dagster_errors(context) as client:
        return _run(context, client, config, plan.request(config.project, digest))


@dg.op(
    ins=_told("job", "What an op that submits a job returned."),
    description="Wait for a job that was submitted before.",
)
def wait_op(
    context: dg.OpExecutionContext, config: WaitConfig, fastlabel: FastLabelResource, job: Any
) -> dict[str, Any]:
    """What ``job`` says (or kind, id and subject of the config), with the job's ``status`` and what came of it; of an
    evaluation that was submitted with a gate also ``passed`` and ``verdict``."""
    before = dict(job or {})
    kind_name = config.kind or str(before.get("kind") or "")
    id = config.job_id or str(before.get("job_id") or "")
    if kind_name in KINDS and before and not id:
        return before  # there was nothing to do, and nothing to wait for
    _need({"kind": kind_name, "job_id": id}, "job")
    if kind_name not in KINDS:
        raise dg.Failure(
            description=f"there are no jobs of the kind {kind_name!r}; there are {', '.join(KINDS)}",
            allow_retries=False,
        )
    kind = KINDS[kind_name]
    subject = config.subject or str(before.get("subject") or "")
    waiting = Waiting("run", config.poll_seconds, config.give_up_after_hours)
    with fastlabel.dagster_errors(context) as client:
        found = _followed(context, client, kind, Submission(id, "", False, ""), subject=subject, waiting=waiting)
        result = {**before, "kind": kind.name, "job_id": id, "subject": subject, **_result(kind, found)}
        if kind is EVALUATION and before.get("gate"):
            gate = _checked(lambda: Gate.of(before["gate"]))
            result |= _judged(context, client, gate, result)
    return result


def _run(
    context: dg.OpExecutionContext, client: FastLabelClient, config: SubmitConfig, request: JobRequest
) -> dict[str, Any]:
    """Submit, wait where asked, and say what came of it."""
    how = JobConfig(force=config.force, attach_to=config.attach_to)
    store = config.open()
    submission = submit_in_run(context, client, store, request, how, name=safe_name(config.project))
    result: dict[str, Any] = {
        "kind": request.kind.name,
        "job_id": submission.job_id,
        "subject": request.subject,
        "status": submission.status,
        "submitted": submission.submitted,
        "reason": submission.reason,
    }
    context.add_output_metadata({"job_kind": request.kind.name, **result})
    if config.wait:
        subject, waiting = request.subject, config.waiting
        job = _followed(context, client, request.kind, submission, subject=subject, waiting=waiting, store=store)
        result |= _result(request.kind, job)
    return result


def _followed(
    context: dg.OpExecutionContext,
    client: FastLabelClient,
    kind: JobKind,
    submission: Submission,
    *,
    subject: str,
    waiting: Waiting,
    store: "Store | None" = None,
) -> Job:
    followed = follow_in_run(context, client, kind, submission, subject=subject, waiting=waiting, store=store)
    if followed.outcome == "failed":
        raise dg.Failure(
            description=f"The {followed.problem}.",
            metadata={"job_kind": kind.name, "job_id": submission.job_id},
            allow_retries=False,
        )
    return followed.job


def _result(kind: JobKind, job: Job) -> dict[str, Any]:
    return {"status": str(job.get("status") or ""), **job_facts(kind, job)}


def _judged(
    context: dg.OpExecutionContext, client: FastLabelClient, gate: Gate, result: dict[str, Any]
) -> dict[str, Any]:
    """``{"passed", "verdict"}`` of an evaluation that has ended."""
    verdict = gate.judge(result, _evaluated_before(client, gate, result))
    context.log.info("%s.", verdict.text)
    return {"passed": verdict.passed, "verdict": verdict.text}


def _evaluated_before(client: FastLabelClient, gate: Gate, result: dict[str, Any]) -> list[Job]:
    """The workspace's evaluations of other models on the same dataset that had completed when this one did, newest
    first, each judged as it would have been."""
    jobs = [dict(job) for job in client.evaluation_jobs.iter()]
    until = next((str(job.get("completedAt") or "") for job in jobs if job_id(job) == result["job_id"]), "")
    found = []
    for job in jobs:
        name, completed = (job.get("dataset") or {}).get("name"), str(job.get("completedAt") or "")
        measured = any(measure(job, limit.metric) is not None for limit in gate.limits)
        other = name == result["dataset"] and job.get("modelName") != result["model_name"] and job_id(job)
        if other and measured and completed and (not until or completed <= until):
            found.append(job)
    judged: list[Job] = []
    for job in sorted(found, key=lambda job: str(job.get("completedAt"))):
        judged.insert(0, {**job, "gate_passed": gate.judge(job, judged).passed})
    return judged


def _need(named: dict[str, str], other: str) -> None:
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise dg.Failure(
            description=f"{', '.join(missing)} is neither in the config nor in what `{other}` says",
            allow_retries=False,
        )


def _checked(make: Any) -> Any:
    """A plan, its ValueError as a failure that is not tried again."""
    try:
        return make()
    except ValueError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
