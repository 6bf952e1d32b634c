"""The assets of a FastLabel project, from the project people label in to the model trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.assets.auto_annotation import build_auto_annotation_asset
from fastlabel_dagster.assets.evaluation import build_evaluation_asset
from fastlabel_dagster.assets.exports import build_export_asset
from fastlabel_dagster.assets.images import build_images_asset
from fastlabel_dagster.assets.imports import build_import_assets
from fastlabel_dagster.assets.job_checks import build_gate_check, build_job_check
from fastlabel_dagster.assets.mirror import build_mirror_asset
from fastlabel_dagster.assets.observation import project_asset
from fastlabel_dagster.assets.plan import (
    AutoAnnotationPlan,
    EvaluationPlan,
    ExportLike,
    ExportPlan,
    ImportPlans,
    ProjectPlan,
    TrainingPlan,
)
from fastlabel_dagster.assets.standing_checks import build_standing_checks
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.assets.tables import build_tables_asset
from fastlabel_dagster.assets.training import build_dataset_asset, build_training_asset
from fastlabel_dagster.checks import CheckPlan, ChecksLike, build_remote_checks
from fastlabel_dagster.jobs.kinds import AUTO_ANNOTATION, DICOM_IMPORT, EVALUATION, S3_IMPORT

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options
    from fastlabel_dagster.translator import DagsterFastLabelTranslator

__all__ = [
    "AutoAnnotationPlan",
    "EvaluationPlan",
    "ExportPlan",
    "ImportPlans",
    "ProjectPlan",
    "TrainingPlan",
    "build_fastlabel_project_assets",
]


def build_fastlabel_project_assets(
    project: str,
    *,
    store: str | Path,
    exports: Iterable[ExportLike] = ("coco", "yolo"),
    dataset: str | None = None,
    training: TrainingPlan | Mapping[str, Any] | None = None,
    evaluation: EvaluationPlan | Mapping[str, Any] | None = None,
    auto_annotation: AutoAnnotationPlan | Mapping[str, Any] | None = None,
    imports: ImportPlans | Mapping[str, Any] | None = None,
    publish_status: str = "approved",
    prune: bool = True,
    checks: ChecksLike = None,
    translator: DagsterFastLabelTranslator | None = None,
    group_name: str | None = None,
    resource_key: str = "fastlabel",
    s3: S3Options | None = None,
    pool: str | None = "fastlabel",
    previews: bool = True,
    steps: StepOptions | None = None,
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """All assets of one project, ready for ``dg.Definitions(assets=[*street])``. Builds; asks nobody and opens nothing.

    The lineage, with keys below the slug::

        fastlabel/<slug> (external) -> labels -> classes, tasks, annotations
                                       labels -> images -> coco, yolo, …
                                       labels, images -> dataset -> training -> model (external)
                                       model, dataset -> evaluation -> auto_annotation
        s3_import, dicom_import -> fastlabel/<slug>

    Data versions follow the content: as long as nobody changes the project, running everything again makes nothing
    stale and rewrites nothing. Every asset made from labels records ``labels_version`` and ``labels_digest``.

    Args:
        project: slug of the project, of whatever type.
        store: where everything is written: a folder or ``s3://bucket/prefix``; one store for each project.
        exports: names of formats (``coco``, ``yolo``, ``pascal_voc`` …: ``formats.FORMATS``), or mappings with
            ``format``, and optionally ``name`` (of asset and folder), ``status`` (only tasks in it), ``images`` (False:
            labels only), ``labels_version`` (a version of the mirror to stay at), ``strict`` (a loss is an error),
            ``archive`` ("zip" or "tar") and options of the format. The label tables are written as plain Parquet in
            any case.
        dataset: name of the FastLabel dataset that approved tasks are published to; None publishes nothing.
        training: ``{"base_model": …, "epoch": …, …}``, further keys as ``client.training_jobs.submit`` takes them.
            Every job takes ``wait``: ``"run"`` polls in the step (``poll_seconds``, ``give_up_after_hours``),
            ``"sensor"`` leaves the end to the jobs sensor. Trainings are left to the sensor unless told otherwise, the
            others are waited for.
        evaluation: ``{"iou_threshold": 0.5, "confidence_threshold": 0.4, "use_dataset_test": False, "gate": …}``, or
            ``{}``: measures the newest model on the published dataset. ``gate`` is as in
            ``{"mAP": {"no_worse_than": 0.01, "at_least": 0.2}}``, with ``recall``, ``precision`` and ``f1`` likewise;
            the newest model that has passed is what a new one is compared with, and with ``"compare_with": "best"`` the
            best one that has.
        auto_annotation: ``{"status": "registered", "confidence": 0.4, …}``, or ``{}``: the evaluated model annotates
            tasks without annotations once it has passed the gate. Needs ``evaluation``.
        imports: ``{"s3": {"bucket": …, "region": …, "prefix": …}}`` (or ``{"s3": True}`` for the storage the project
            has) and/or ``{"dicom": "path/to.zip"}``: imports as assets upstream of the project.
        publish_status: the status of the tasks to publish.
        prune: take objects out of the dataset again whose task has left that status or is gone, so that it holds just
            the approved tasks. Only objects this project has published are ever deleted. Off, they stay, and are
            trained on with the rest.
        checks: which checks there are and how strict: ``{"geometry": {"severity": "error", "blocking": True},
            "duplicates": True, "parity": False}``. What is not named is as it is when nothing is said; False: no checks
            of labels at all. See :class:`~fastlabel_dagster.checks.CheckPlan`.
        translator: names and describes the assets; see
            :class:`~fastlabel_dagster.translator.DagsterFastLabelTranslator`.
        group_name: the assets' group; default made from the slug.
        resource_key: under which key the code location holds its ``FastLabelResource``.
        s3: endpoint, region and profile for an ``s3://`` store, where the environment does not decide.
        pool: Dagster pool of the steps that call the API; set its limit with ``dagster instance concurrency``.
        previews: pictures in the metadata (contact sheet, charts, what changed); False leaves them all out.
        steps: what all steps have in common, those that observe and check included: the beginning of their names, op
            tags, backfill policy, and a function that runs them. They are
            :class:`~fastlabel_dagster.assets.steps.StepOptions`.

    Raises:
        ValueError: something is named that does not exist, or two exports have one name.
    """
    from fastlabel_dagster.translator import DagsterFastLabelTranslator

    plan = ProjectPlan.of(
        project,
        exports,
        store,
        dataset=dataset,
        training=training,
        evaluation=evaluation,
        auto_annotation=auto_annotation,
        imports=imports,
        publish_status=publish_status,
        prune=prune,
        checks=CheckPlan.of(checks),
        translator=translator or DagsterFastLabelTranslator(),
        group_name=group_name,
        resource_key=resource_key,
        s3=s3,
        pool=pool,
        previews=previews,
        steps=steps or StepOptions(),
    )
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *build_import_assets(plan),
        project_asset(plan),
        build_mirror_asset(plan),
        build_tables_asset(plan),
        build_images_asset(plan),
        *(build_export_asset(plan, export) for export in plan.exports),
    ]
    trained = plan.training is not None
    if plan.dataset is not None:
        assets.append(build_dataset_asset(plan))
    if plan.training is not None:
        assets.append(build_training_asset(plan))
        if plan.training.waiting.wait == "sensor":
            assets.append(plan.spec("model"))
    for kind, wanted in (
        (S3_IMPORT, plan.imports.s3),
        (DICOM_IMPORT, plan.imports.dicom),
        (EVALUATION, plan.evaluation),
        (AUTO_ANNOTATION, plan.auto_annotation),
    ):
        if wanted is not None:
            assets.append(build_job_check(plan.name, project, plan.key(kind.name), kind, resource_key=resource_key))
    if plan.evaluation is not None:
        assets.append(build_evaluation_asset(plan))
        if plan.evaluation.gate is not None:
            assets.append(build_gate_check(plan.name, plan.key("evaluation"), plan.evaluation.gate))
    if plan.auto_annotation is not None:
        assets.append(build_auto_annotation_asset(plan))
    assets += build_standing_checks(plan)
    if not plan.steps.gathered:  # whoever gathers checks all projects in one step
        assets += build_remote_checks(
            project,
            project_key=plan.key("project"),
            training_key=plan.key("training") if trained else None,
            model_key=plan.key("model") if trained else None,
            resource_key=resource_key,
            checks=plan.checks,
            name=plan.name,
        )
    return plan.steps.around(assets, project=project, resource_key=resource_key, pool=pool)
