"""The jobs of a project: what is run of its assets together, by hand, by a schedule or by a sensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster.assets.built import BuiltTranslator
from fastlabel_dagster.assets.import_plans import ImportPlans
from fastlabel_dagster.assets.job_plans import EvaluationPlan
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, DICOM_IMPORT, EVALUATION, S3_IMPORT, TRAINING
from fastlabel_dagster.sensors.target import SYNC_PARTS, TRAINING_PARTS
from fastlabel_dagster.translator import safe_name


def sync_job_name(project: str) -> str:
    """Name of the job that syncs ``project``: mirror, tables, images, exports."""
    return f"{safe_name(project)}_sync"


@dataclass(frozen=True)
class ProjectJobs:
    """The jobs of one project; None where it has nothing to do.

    Attributes:
        sync: mirror, tables, images, exports.
        retrain: the same up to the images, the dataset, the training.
        evaluate: the evaluation and, where a run waits for it, the auto-annotation.
        annotate: the auto-annotation alone, after an evaluation that no run waits for.
    """

    sync: Any
    retrain: Any = None
    evaluate: Any = None
    annotate: Any = None

    @property
    def all(self) -> list[Any]:
        """Those there are."""
        return [job for job in (self.sync, self.retrain, self.evaluate, self.annotate) if job is not None]


def build_project_jobs(
    project: str,
    built: BuiltTranslator,
    *,
    name: str,
    training: bool = False,
    evaluation: EvaluationPlan | None = None,
    auto_annotation: bool = False,
    publish_status: str = "approved",
) -> ProjectJobs:
    """The jobs ``<name>_sync``, ``_retrain``, ``_evaluate`` and ``_annotate``, as far as the project has them.

    They are made of the assets in ``built`` only: the same project may be in the code location a second time.
    """

    def job(does: str, parts: Iterable[str], description: str, *, gates: bool = False) -> Any:
        return dg.define_asset_job(
            f"{name}_{does}",
            selection=dg.AssetSelection.assets(*built.keys(project, parts, gates=gates)),
            description=description,
            tags={"fastlabel/project": project},
        )

    sync = job("sync", SYNC_PARTS, f"Mirror {project}, write its tables, images and exports.", gates=True)
    retrain = evaluate = annotate = None
    if training:
        does = f"Mirror {project}, publish what is {publish_status}, train on it."
        retrain = job("retrain", TRAINING_PARTS, does, gates=True)
    evaluated, annotated = parts_after_training(evaluation, auto_annotation=auto_annotation)
    if evaluated:
        after = "; past the gate, annotate what is untouched" if len(evaluated) > 1 else ""
        evaluate = job("evaluate", evaluated, f"Evaluate the newest model of {project}{after}.")
    if annotated:
        does = f"Have the model of {project} that has passed its gate annotate what is untouched."
        annotate = job("annotate", annotated, does)
    return ProjectJobs(sync, retrain, evaluate, annotate)


def parts_after_training(
    evaluation: EvaluationPlan | None, *, auto_annotation: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is made when there is a model, and what when an evaluation that no run waits for has passed its gate: that
    is no step of its run, but a run of its own."""
    if evaluation is None:
        return (), ()
    if not auto_annotation:
        return ("evaluation",), ()
    if evaluation.waiting.wait == "sensor":
        return ("evaluation",), ("auto_annotation",)
    return ("evaluation", "auto_annotation"), ()


def kinds_of_jobs(
    *, training: bool, evaluation: bool, auto_annotation: bool, imports: ImportPlans | Mapping[str, Any] | None
) -> list[str]:
    """The kinds of jobs that a project asks FastLabel for, as the jobs sensor is told of them. Raises ValueError for
    imports that make no sense."""
    brought = ImportPlans.of(imports)
    asked = {
        TRAINING: training,
        EVALUATION: evaluation,
        AUTO_ANNOTATION: auto_annotation,
        S3_IMPORT: brought.s3 is not None,
        DICOM_IMPORT: brought.dicom is not None,
    }
    return [kind.name for kind, is_asked in asked.items() if is_asked]


def build_observation_job(name: str, keys: Iterable[dg.AssetKey]) -> Any:
    """The job that looks at projects (and datasets), with a few cheap requests each.

    Without their checks: those are the sensors' to report. A look that fails would leave them planned and never
    evaluated, and so take the red result away that says why.
    """
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys).without_checks(),
        description="Looks at the state projects and datasets are in at FastLabel.",
    )


def build_schedule(name: str, job: Any, cron: str, *, time_zone: str, running: bool) -> dg.ScheduleDefinition:
    """``job`` at the times ``cron`` says in ``time_zone``; ``running`` from the start, or switched on in the UI."""
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    return dg.ScheduleDefinition(
        name=name, job=job, cron_schedule=cron, execution_timezone=time_zone, default_status=status
    )
