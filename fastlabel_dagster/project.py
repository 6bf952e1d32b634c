"""One call for a whole project: assets, checks, sensors, jobs and the nightly schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, EvaluationPlan, ImportPlans, TrainingPlan
from fastlabel_dagster.assets.plan import ExportLike
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.checks import ChecksLike
from fastlabel_dagster.loop import LoopPlan
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import (
    build_approval_sensor,
    build_import_sensor,
    build_jobs_sensor,
    build_quality_checks,
    build_quality_sensor,
)
from fastlabel_dagster.sensors.target import project_selection
from fastlabel_dagster.translator import asset_key, project_tag, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options
    from fastlabel_dagster.translator import DagsterFastLabelTranslator


def sync_job_name(project: str) -> str:
    """Name of the job that syncs ``project``: mirror, tables, images, exports."""
    return f"{safe_name(project)}_sync"


def retrain_job_name(project: str) -> str:
    """Name of the job that syncs, publishes what is approved and submits a training."""
    return f"{safe_name(project)}_retrain"


def evaluate_job_name(project: str) -> str:
    """Name of the job that evaluates the newest model and, past the gate, has it annotate what is untouched."""
    return f"{safe_name(project)}_evaluate"


def annotate_job_name(project: str) -> str:
    """Name of the job that has an evaluated model annotate, where the evaluation is left to the jobs sensor."""
    return f"{safe_name(project)}_annotate"


def build_fastlabel_project(
    project: str,
    *,
    store: str | Path,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    dataset: str | None = None,
    training: TrainingPlan | Mapping[str, Any] | None = None,
    evaluation: EvaluationPlan | Mapping[str, Any] | None = None,
    auto_annotation: AutoAnnotationPlan | Mapping[str, Any] | None = None,
    imports: ImportPlans | Mapping[str, Any] | None = None,
    loop: LoopPlan | Mapping[str, Any] | None = None,
    retrain_every: int = 200,
    nightly_at: str | None = "0 3 * * *",
    time_zone: str = "UTC",
    resource: FastLabelResource | None = None,
    translator: DagsterFastLabelTranslator | None = None,
    group_name: str | None = None,
    resource_key: str = "fastlabel",
    s3: S3Options | None = None,
    pool: str | None = "fastlabel",
    steps: StepOptions | None = None,
    publish_status: str = "approved",
    prune: bool = True,
    checks: ChecksLike = None,
    quality: bool | Mapping[str, Any] = False,
    sensor_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.Definitions:
    """The definitions of one project. Merge several with ``dg.Definitions.merge`` (give only one of them ``resource``).

    Besides the assets and checks of
    :func:`~fastlabel_dagster.assets.build_fastlabel_project_assets` (same arguments, same meaning):

    - job ``<slug>_sync``: mirror, tables, images, exports; schedule ``<slug>_nightly`` and sensor ``<slug>_imports``
      run it;
    - with ``training``: job ``<slug>_retrain`` (mirror, images, dataset, training) and sensor ``<slug>_approvals`` that
      runs it for every ``retrain_every`` newly approved tasks;
    - with ``training`` or ``imports``: sensor ``<slug>_jobs`` that reports the model, and whatever else FastLabel has
      finished, where no run waits for it;
    - with ``evaluation``: job ``<slug>_evaluate`` (evaluation and, past its gate, auto-annotation), which
      ``<slug>_jobs`` runs once for each new model. An evaluation with ``wait: sensor`` outlasts its run, so the
      auto-annotation is a job of its own then, ``<slug>_annotate``, which ``<slug>_jobs`` runs once for each model that
      passes its gate;
    - with ``auto_annotation``: sensor ``<slug>_annotated`` that runs ``<slug>_sync`` once for each auto-annotation that
      has landed, so that the mirror holds what the model has drawn;
    - with ``quality``: sensor ``<slug>_quality`` that tells of open comments and of tasks sent back, and its checks.

    ``loop`` is all of these from one mapping. Each arrow of the loop is lineage between assets or a sensor's run, each
    gate a check; what starts a job is keyed by what it is made from, so that nothing is trained, evaluated or annotated
    twice, whatever is evaluated or run twice.

    Args:
        loop: the whole labeling loop, in place of ``dataset``, ``training``, ``evaluation``, ``auto_annotation`` and
            ``retrain_every``; see :class:`~fastlabel_dagster.loop.LoopPlan`.
        quality: True, or what :func:`~fastlabel_dagster.sensors.build_quality_checks` takes (``comments``,
            ``statuses``, ``external_statuses``, ``most_open_comments``, ``most_sent_back``).
        sensor_interval_seconds: how often each sensor looks at most.
        nightly_at: cron expression of the nightly sync in ``time_zone``; None for no schedule.
        resource: put into the definitions under ``resource_key``; None leaves that to you.
        default_status: whether sensors and schedule run from the start or are switched on in the UI.

    Raises:
        ValueError: as ``build_fastlabel_project_assets`` and ``LoopPlan.of``; ``loop`` is given beside what it stands
            for; or ``retrain_every`` or ``sensor_interval_seconds`` is below 1.
    """
    if sensor_interval_seconds < 1:
        raise ValueError(f"a sensor looks every second at most, not every {sensor_interval_seconds} seconds")
    when: dict[str, Any] = {"every": retrain_every}
    if loop is not None:
        if any(one is not None for one in (dataset, training, evaluation, auto_annotation)):
            raise ValueError(
                "loop names dataset, training, evaluation and auto-annotation itself: leave those arguments out"
            )
        plan = LoopPlan.of(loop)
        dataset, training, when = plan.dataset, plan.training, {"every": plan.approved, "share": plan.share}
        evaluation, auto_annotation = plan.evaluation, plan.auto_annotation
    assets = build_fastlabel_project_assets(
        project,
        store=store,
        exports=exports,
        dataset=dataset,
        training=training,
        evaluation=evaluation,
        auto_annotation=auto_annotation,
        imports=imports,
        publish_status=publish_status,
        prune=prune,
        checks=checks,
        translator=translator,
        group_name=group_name,
        resource_key=resource_key,
        s3=s3,
        pool=pool,
        steps=steps,
    )
    name = (steps and steps.name) or safe_name(project)
    sync = dg.define_asset_job(
        f"{name}_sync",
        selection=_own(assets, project_selection(project)),
        description=f"Mirror {project}, write its tables, images and exports.",
        tags={"fastlabel/project": project},
    )
    jobs = [sync]
    common: dict[str, Any] = {
        "resource_key": resource_key,
        "default_status": default_status,
        "minimum_interval_seconds": sensor_interval_seconds,
    }
    sensors = [build_import_sensor(project, name=f"{name}_imports", job=sync, translator=translator, **common)]
    evaluate = annotate = None
    if training is not None:
        retrain = dg.define_asset_job(
            f"{name}_retrain",
            selection=_own(assets, project_selection(project, training=True)),
            description=f"Mirror {project}, publish what is {publish_status}, train on it.",
            tags={"fastlabel/project": project},
        )
        jobs.append(retrain)
        sensors.append(
            build_approval_sensor(
                project,
                name=f"{name}_approvals",
                job=retrain,
                status=publish_status,
                translator=translator,
                **when,
                **common,
            )
        )
    if evaluation is not None:
        # what comes after an evaluation that no run waits for is no step of its run, but a run of its own
        apart = auto_annotation is not None and EvaluationPlan.of(evaluation).waiting.wait == "sensor"
        parts = ["evaluation"] if apart else ["evaluation", "auto_annotation"]
        after = "" if apart else "; past the gate, annotate what is untouched"
        evaluate = dg.define_asset_job(
            f"{name}_evaluate",
            selection=_own(assets, _parts(project, *parts)),
            description=f"Evaluate the newest model of {project}{after}.",
            tags={"fastlabel/project": project},
        )
        jobs.append(evaluate)
        if apart:
            annotate = dg.define_asset_job(
                f"{name}_annotate",
                selection=_own(assets, _parts(project, "auto_annotation")),
                description=f"Have the model of {project} that has passed its gate annotate what is untouched.",
                tags={"fastlabel/project": project},
            )
            jobs.append(annotate)
    if training is not None or imports is not None:
        sensors.append(
            build_jobs_sensor(
                project,
                name=f"{name}_jobs",
                on_model=evaluate,
                on_evaluation=annotate,
                translator=translator,
                **common,
            )
        )
    if auto_annotation is not None:
        sensors.append(
            _annotated_sensor(
                f"{name}_annotated",
                project,
                asset_key(project, "auto_annotation", translator),
                sync,
                minimum_interval_seconds=sensor_interval_seconds,
                default_status=default_status,
            )
        )
    asset_checks: list[dg.AssetChecksDefinition] = []
    if quality is not False:
        rules: dict[str, Any] = dict(quality) if isinstance(quality, Mapping) else {}
        sensors.append(build_quality_sensor(project, name=f"{name}_quality", translator=translator, **rules, **common))
        own: dict[str, Any] = {"resource_key": resource_key, "translator": translator, **rules}
        asset_checks.append(build_quality_checks(project, name=f"{name}_quality_checks", **own))
    schedules = []
    if nightly_at is not None:
        running = default_status is dg.DefaultSensorStatus.RUNNING
        schedules.append(
            dg.ScheduleDefinition(
                name=f"{name}_nightly",
                job=sync,
                cron_schedule=nightly_at,
                execution_timezone=time_zone,
                default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
            )
        )
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks,
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        resources={} if resource is None else {resource_key: resource},
    )


def _own(assets: Iterable[dg.AssetsDefinition | dg.AssetSpec | Any], chosen: dg.AssetSelection) -> dg.AssetSelection:
    """``chosen``, but of these assets only: the same project may be in the code location a second time."""
    keys = [key for asset in assets for key in ([asset.key] if isinstance(asset, dg.AssetSpec) else asset.keys)]
    return chosen & dg.AssetSelection.assets(*keys)


def _parts(project: str, *parts: str) -> dg.AssetSelection:
    """The assets of these parts of a project, found by the translator's tags."""
    chosen: dg.AssetSelection = dg.AssetSelection.tag("fastlabel/part", parts[0])
    for part in parts[1:]:
        chosen = chosen | dg.AssetSelection.tag("fastlabel/part", part)
    return chosen & dg.AssetSelection.tag("fastlabel/project", project_tag(project))


def _annotated_sensor(name: str, project: str, key: dg.AssetKey, sync: Any, **settings: Any) -> dg.SensorDefinition:
    """Runs ``sync`` once for each auto-annotation that has landed, whether a run or the jobs sensor has reported it."""

    def landed(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest | dg.SkipReason:
        materialization = event.asset_materialization
        metadata = {} if materialization is None else materialization.metadata
        job = metadata.get("job_id")
        if job is None or not job.value:
            return dg.SkipReason(f"{project}: nothing was annotated, as no task was untouched.")
        return dg.RunRequest(
            run_key=f"fastlabel/{project}/annotated/{job.value}",
            tags={"fastlabel/project": project, "fastlabel/trigger": f"auto-annotation {job.value} has landed"},
        )

    description = f"Syncs {project} when the model has annotated what was untouched."
    return dg.asset_sensor(asset_key=key, name=name, job=sync, description=description, **settings)(landed)
