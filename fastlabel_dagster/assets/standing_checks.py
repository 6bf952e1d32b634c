"""The checks of a project that look at files or ask the API when they are executed, after the asset was made."""

from __future__ import annotations

import dagster as dg

from fastlabel_dagster.assets.plan import ProjectPlan
from fastlabel_dagster.checks import (
    IMAGES_CHECK,
    LEAKAGE_CHECK,
    build_dataset_leakage_check,
    build_image_checks,
    build_leakage_check,
    split_of,
)


def build_standing_checks(plan: ProjectPlan) -> list[dg.AssetChecksDefinition]:
    """``images``, and ``leakage`` on each export with parts and on the dataset, as far as the plan asks for them.

    Raises:
        ValueError: ``leakage`` is asked for, and nothing has parts.
    """
    built: list[dg.AssetChecksDefinition] = []
    if IMAGES_CHECK in plan.checks:
        name = f"{plan.name}_images_check"
        built.append(
            build_image_checks(plan.key("images"), store=plan.store, s3=plan.s3, checks=plan.checks, name=name)
        )
    if LEAKAGE_CHECK not in plan.checks:
        return built
    split = [(export, split_of(export.format, export.options)) for export in plan.exports]
    for export, parts in split:
        if parts is not None:
            built.append(
                build_leakage_check(
                    plan.key("export", export),
                    store=plan.store,
                    format=export.format,
                    split=parts,
                    status=export.status,
                    version=export.labels_version,
                    s3=plan.s3,
                    checks=plan.checks,
                    name=f"{plan.name}_{export.name.replace('-', '_')}_leakage_check",
                )
            )
    if plan.dataset is not None:
        built.append(
            build_dataset_leakage_check(
                plan.key("dataset"),
                plan.dataset,
                resource_key=plan.resource_key,
                checks=plan.checks,
                name=f"{plan.name}_dataset_leakage_check",
            )
        )
    if not any(spec.name == LEAKAGE_CHECK for one in built for spec in one.check_specs):
        raise ValueError(
            "the check 'leakage' needs something with parts: an export with a split (such as yolo, or another format "
            'with split: {"train": 0.9, "val": 0.1}) or a dataset'
        )
    return built
