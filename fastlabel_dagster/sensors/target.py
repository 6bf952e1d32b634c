"""What a sensor launches: a job by name or object, or, when none is given, the project's own assets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from fastlabel_dagster.resource import resource_named
from fastlabel_dagster.translator import project_tag

#: A job's name, or anything Dagster takes as a job (``dg.define_asset_job(...)``, ``@dg.job``).
JobLike: TypeAlias = Any

_SYNC_PARTS = ("labels", "classes", "tasks", "annotations", "images", "export")
_TRAINING_PARTS = ("labels", "images", "dataset", "training")


def project_selection(project: str, *, training: bool = False) -> dg.AssetSelection:
    """The assets of ``project`` a sync makes (mirror to exports), or with ``training`` those a retraining makes.

    Found by the tags the translator sets, so a renamed or regrouped asset is still found.
    """
    parts = _TRAINING_PARTS if training else _SYNC_PARTS
    chosen: dg.AssetSelection = dg.AssetSelection.tag("fastlabel/part", parts[0])
    for part in parts[1:]:
        chosen = chosen | dg.AssetSelection.tag("fastlabel/part", part)
    return chosen & dg.AssetSelection.tag("fastlabel/project", project_tag(project))


def target_of(
    evaluate: Callable[..., Any],
    *,
    name: str,
    description: str,
    job: JobLike | Mapping[str, JobLike] | None,
    projects: Sequence[str],
    training: bool,
    resource_key: str,
    minimum_interval_seconds: int,
    default_status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """A sensor definition around ``evaluate(context, fastlabel)``; see the builders for the arguments."""
    target: dict[str, Any] = {}
    if isinstance(job, str):
        target["job_name"] = job
    elif isinstance(job, Mapping):
        target["jobs"] = list({one.name: one for one in job.values()}.values())
    elif job is not None:
        target["job"] = job
    else:
        selections = [project_selection(project, training=training) for project in projects]
        selection = selections[0]
        for other in selections[1:]:
            selection = selection | other
        target["asset_selection"] = selection
    return dg.SensorDefinition(
        name=name,
        description=description,
        evaluation_fn=resource_named(resource_key, evaluate),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        **target,
    )
