"""What cannot stand together in a component's YAML, said when the code location loads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel

from fastlabel_dagster.workspace import PARTS

if TYPE_CHECKING:
    from fastlabel_dagster.components.project import FastLabelProjectComponent
    from fastlabel_dagster.components.workspace import FastLabelWorkspaceComponent

#: What says something of the assets that are made of projects, and of the sensors that have them made.
_OF_A_STORE = ("partitions", "loop", "schedule", "projects", "dataset", "exports", "checks", "s3")
_SENSORS_OF_A_STORE = ("imports", "approvals", "jobs")


def refuse_contradictions(component: FastLabelWorkspaceComponent) -> None:
    """Raises ValueError for an attribute that has no meaning beside another one, or without it."""
    if component.store is not None and not component.store.strip():
        raise ValueError("store is empty: with the slug behind it, it would be a folder at the root of the machine")
    if component.sensors.interval_seconds < 1:
        raise ValueError(f"sensors look every second at most, not every {component.sensors.interval_seconds} seconds")
    unknown = [part for part in component.include or () if part not in PARTS]
    if unknown:
        raise ValueError(f"include has no {', '.join(unknown)}; it has {', '.join(PARTS)}")
    if component.store is None:
        wanted = [*_written(component, _OF_A_STORE)]
        wanted += [f"sensors.{name}" for name in _written(component.sensors, _SENSORS_OF_A_STORE)]
        if wanted:
            raise ValueError(
                f"{', '.join(wanted)}: that is of what is made of the projects, and without a store nothing is made of "
                "them: give store too, such as store: data or store: s3://bucket/prefix, or leave that out"
            )
    if component.partitions is None:
        return
    if component.loop is not None:
        raise ValueError(
            "loop: what is partitioned by project trains nothing. Give the projects that are trained on a "
            "FastLabelProjectComponent each, or a FastLabelWorkspaceComponent of their own, whose selector names them"
        )
    if component.schedule is not None or component.observe is not None:
        raise ValueError(
            "schedule and observe are of a workspace without partitions: of one with partitions, each would start a "
            "run for every project"
        )
    if component.sensors.quality:
        raise ValueError("sensors.quality fails checks, and Dagster's checks know no partitions: leave one of them out")


def refuse_contradictions_of_one(component: FastLabelProjectComponent) -> None:
    """Raises ValueError for an attribute of a single project that has no meaning beside another one, or without it."""
    if component.loop is not None and component.dataset is not None:
        raise ValueError("dataset: a loop names its own; write it there, as loop: {dataset: …}")
    if component.loop is not None:
        return
    sensors = _written(component.sensors, ("approvals",) if component.imports else ("approvals", "jobs"))
    wanted = [f"sensors.{name}" for name in sensors]
    if component.dataset is None:
        wanted += [name for name in ("publish_status", "prune") if name in component.model_fields_set]
    if wanted:
        raise ValueError(
            f"{', '.join(wanted)}: without a loop nothing is trained, and without a loop or a dataset nothing is "
            "published. Give one, or leave that out"
        )


def _written(attributes: BaseModel, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that somebody has asked for: nobody asks for a default, or for null, false or nothing."""
    return [name for name in names if name in attributes.model_fields_set and getattr(attributes, name)]
