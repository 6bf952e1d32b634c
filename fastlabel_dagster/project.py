"""One call for a whole project: assets, checks, sensors, jobs and the nightly schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets import build_fastlabel_project_assets
from fastlabel_dagster.assets.plan import ExportLike, TrainingPlan
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.checks import ChecksLike
from fastlabel_dagster.loop import LoopPlan
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors import build_approval_sensor, build_import_sensor, build_jobs_sensor
from fastlabel_dagster.sensors.target import project_selection
from fastlabel_dagster.translator import safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options
    from fastlabel_dagster.translator import DagsterFastLabelTranslator


def sync_job_name(project: str) -> str:
    """Name of the job that syncs ``project``: mirror, tables, images, exports."""
    return f"{safe_name(project)}_sync"


def retrain_job_name(project: str) -> str:
    """Name of the job that syncs, publishes what is approved and submits a training."""
    return f"{safe_name(project)}_retrain"


def build_fastlabel_project(
    project: str,
    *,
    store: str | Path,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    dataset: str | None = None,
    training: TrainingPlan | Mapping[str, Any] | None = None,
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
    sensor_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.Definitions:
    """The definitions of one project. Merge several with ``dg.Definitions.merge`` (give only one of them ``resource``).

    Besides the assets and checks of
    :func:`~fastlabel_dagster.assets.build_fastlabel_project_assets` (same arguments, same meaning):

    - job ``<slug>_sync``: mirror, tables, images, exports; schedule ``<slug>_nightly`` and sensor ``<slug>_imports``
      run it;
    - with ``training``: job ``<slug>_retrain`` (mirror, images, dataset, training), sensor ``<slug>_approvals`` that
      runs it for every ``retrain_every`` newly approved tasks, and sensor ``<slug>_training`` that reports the model.

    Args:
        loop: the whole labeling loop in place of ``dataset``, ``training`` and ``retrain_every``; see
            :class:`~fastlabel_dagster.loop.LoopPlan`.
        sensor_interval_seconds: how often each sensor looks at most.
        nightly_at: cron expression of the nightly sync in ``time_zone``; None for no schedule.
        resource: put into the definitions under ``resource_key``; None leaves that to you.
        default_status: whether sensors and schedule run from the start or are switched on in the UI.

    Raises:
        ValueError: as ``build_fastlabel_project_assets`` and ``LoopPlan.of``; ``loop`` is given beside what it stands
            for; or ``retrain_every`` is below 1.
    """
    if loop is not None:
        if dataset is not None or training is not None:
            raise ValueError("loop names the dataset and the training itself: leave out dataset= and training=")
        plan = LoopPlan.of(loop)
        dataset, training, retrain_every = plan.dataset, plan.training_settings(), plan.approved
    assets = build_fastlabel_project_assets(
        project,
        store=store,
        exports=exports,
        dataset=dataset,
        training=training,
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
    if training is not None:
        retrain = dg.define_asset_job(
            f"{name}_retrain",
            selection=_own(assets, project_selection(project, training=True)),
            description=f"Mirror {project}, publish what is {publish_status}, train on it.",
            tags={"fastlabel/project": project},
        )
        jobs.append(retrain)
        sensors += [
            build_approval_sensor(
                project, name=f"{name}_approvals", every=retrain_every, job=retrain, status=publish_status, **common
            ),
            build_jobs_sensor(project, name=f"{name}_jobs", translator=translator, **common),
        ]
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
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        resources={} if resource is None else {resource_key: resource},
    )


def _own(assets: Iterable[dg.AssetsDefinition | dg.AssetSpec | Any], chosen: dg.AssetSelection) -> dg.AssetSelection:
    """``chosen``, but of these assets only: the same project may be in the code location a second time."""
    keys = [key for asset in assets for key in ([asset.key] if isinstance(asset, dg.AssetSpec) else asset.keys)]
    return chosen & dg.AssetSelection.assets(*keys)
