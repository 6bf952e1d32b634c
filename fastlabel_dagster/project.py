"""One call for a whole project: assets, checks, sensors, jobs and the nightly schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.built import BuiltTranslator
from fastlabel_dagster.assets.import_plans import ImportPlans
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, EvaluationPlan, TrainingPlan
from fastlabel_dagster.assets.plan import ExportLike
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.checks import ChecksLike
from fastlabel_dagster.loop import LoopPlan
from fastlabel_dagster.project_jobs import (
    build_observation_job,
    build_project_jobs,
    build_schedule,
    kinds_of_jobs,
)
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import (
    build_annotated_sensor,
    build_approval_sensor,
    build_import_sensor,
    build_jobs_sensor,
    build_quality_checks,
    build_quality_sensor,
)
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options
    from fastlabel_dagster.translator import DagsterFastLabelTranslator


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
    observe_at: str | None = None,
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
    previews: bool = True,
    checks: ChecksLike = None,
    quality: bool | Mapping[str, Any] = False,
    sensor_interval_seconds: int = 60,
    stuck_after: timedelta | float = timedelta(hours=24),
    severity: SeverityLike = None,
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
    - with ``quality``: sensor ``<slug>_quality`` that tells of open comments and of tasks sent back, and its checks;
    - with ``observe_at``: job and schedule ``<slug>_observation``, which look at the state the project is in.

    ``loop`` is all of these from one mapping. Each arrow of the loop is lineage between assets or a sensor's run, each
    gate a check; what starts a job is keyed by what it is made from, so that nothing is trained, evaluated or annotated
    twice, whatever is evaluated or run twice.

    Args:
        loop: the whole labeling loop, in place of ``dataset``, ``training``, ``evaluation``, ``auto_annotation`` and
            ``retrain_every``; see :class:`~fastlabel_dagster.loop.LoopPlan`.
        quality: True, or what :func:`~fastlabel_dagster.sensors.build_quality_checks` takes (``comments``,
            ``statuses``, ``external_statuses``, ``most_open_comments``, ``most_sent_back``).
        sensor_interval_seconds: how often each sensor looks at most.
        stuck_after: how long an import or another job may run before its check fails, as a timedelta or in hours.
        severity: ``warn`` or ``error``: how bad it is when a check fails that a sensor reports; or by the check's name,
            such as ``{"imports_succeeded": "error"}``. By default a failed job is an error and all else a warning.
        nightly_at: cron expression of the nightly sync in ``time_zone``; None for no schedule.
        observe_at: cron expression in ``time_zone`` of looks at ``fastlabel/<slug>``, a few cheap requests each: what
            people change between two syncs shows as a new data version. None: it is looked at by every sync only.
        resource: put into the definitions under ``resource_key``; None leaves that to you.
        default_status: whether sensors and schedule run from the start or are switched on in the UI.

    Raises:
        ValueError: as ``build_fastlabel_project_assets`` and ``LoopPlan.of``; ``loop`` is given beside what it stands
            for; or ``retrain_every`` or ``sensor_interval_seconds`` is below 1; ``stuck_after`` or ``severity``
            makes no sense.
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
    options = steps or StepOptions()
    if severity is not None:
        options = replace(options, severities=severities_of(severity))
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
        previews=previews,
        checks=checks,
        translator=translator,
        group_name=group_name,
        resource_key=resource_key,
        s3=s3,
        pool=pool,
        steps=options,
    )
    name = (steps and steps.name) or safe_name(project)
    built = BuiltTranslator(assets, translator)
    jobs = build_project_jobs(
        project,
        built,
        name=name,
        training=training is not None,
        evaluation=None if evaluation is None else EvaluationPlan.of(evaluation),
        auto_annotation=auto_annotation is not None,
        publish_status=publish_status,
    )
    watching: dict[str, Any] = {
        "default_status": default_status,
        "minimum_interval_seconds": sensor_interval_seconds,
        "translator": built,
    }
    common = {"resource_key": resource_key, "severity": severity, **watching}
    sensors = [build_import_sensor(project, name=f"{name}_imports", job=jobs.sync, stuck_after=stuck_after, **common)]
    if training is not None:
        sensors.append(
            build_approval_sensor(
                project, name=f"{name}_approvals", job=jobs.retrain, status=publish_status, **when, **common
            )
        )
    if training is not None or imports is not None:
        sensors.append(
            build_jobs_sensor(
                project,
                name=f"{name}_jobs",
                on_model=jobs.evaluate,
                on_evaluation=jobs.annotate,
                stuck_after=stuck_after,
                kinds=kinds_of_jobs(
                    training=training is not None,
                    evaluation=evaluation is not None,
                    auto_annotation=auto_annotation is not None,
                    imports=imports,
                ),
                **common,
            )
        )
    if auto_annotation is not None:
        sensors.append(build_annotated_sensor(project, name=f"{name}_annotated", job=jobs.sync, **watching))
    asset_checks: list[dg.AssetChecksDefinition] = []
    if quality is not False:
        rules: dict[str, Any] = dict(quality) if isinstance(quality, Mapping) else {}
        sensors.append(build_quality_sensor(project, name=f"{name}_quality", **rules, **common))
        own: dict[str, Any] = {"resource_key": resource_key, "translator": built, "severity": severity, **rules}
        checked = build_quality_checks(project, name=f"{name}_quality_checks", **own)
        asset_checks = options.around([checked], project=project, resource_key=resource_key, pool=pool)
    at: dict[str, Any] = {"time_zone": time_zone, "running": default_status is dg.DefaultSensorStatus.RUNNING}
    schedules = [] if nightly_at is None else [build_schedule(f"{name}_nightly", jobs.sync, nightly_at, **at)]
    if observe_at is not None:
        look = build_observation_job(f"{name}_observation", built.keys(project, ["project"]))
        schedules.append(build_schedule(look.name, look, observe_at, **at))
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks,
        jobs=jobs.all,
        sensors=sensors,
        schedules=schedules,
        resources={} if resource is None else {resource_key: resource},
    )
