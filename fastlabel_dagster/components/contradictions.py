"""What cannot stand together in the YAML of a workspace, said when the code location loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from fastlabel_dagster.components.workspace import FastLabelWorkspaceComponent


def refuse_contradictions(component: FastLabelWorkspaceComponent) -> None:
    """Raises ValueError for an attribute that has no meaning beside another one, or without it."""
    if component.store is not None and not component.store.strip():
        raise ValueError("store is empty: with the slug behind it, it would be a folder at the root of the machine")
    if component.sensors.interval_seconds < 1:
        raise ValueError(f"sensors look every second at most, not every {component.sensors.interval_seconds} seconds")
    if component.store is None:
        made = {"partitions": component.partitions, "loop": component.loop, "schedule": component.schedule}
        wanted = [name for name, given in made.items() if given is not None]
        if wanted:
            raise ValueError(f"{' and '.join(wanted)}: that is of what is made of the projects; give store too")
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


def refuse_shared_name(component: FastLabelWorkspaceComponent, context: dg.ComponentLoadContext) -> None:
    """Raises ValueError when another component of the ``defs`` folder begins its names as this workspace does.

    Dagster tells of two sensors of one name too, but not of what to do about it.
    """
    from fastlabel_dagster.components.project import FastLabelProjectComponent
    from fastlabel_dagster.components.workspace import FastLabelWorkspaceComponent

    if component.store is None:
        return
    tree = context.component_tree
    others = [
        (one.name, "another FastLabelWorkspaceComponent")
        for one in tree.get_all_components(FastLabelWorkspaceComponent)
        if one is not component and one.store is not None
    ]
    others += [
        (one.name, f"the FastLabelProjectComponent of {one.project}")
        for one in tree.get_all_components(FastLabelProjectComponent)
    ]
    for name, what in others:
        if name == component.name:
            raise ValueError(
                f"the names of steps, jobs and sensors of this FastLabelWorkspaceComponent and of {what} all begin "
                f"with {name}_: give one of the two a name of its own, such as op: {{name: {name}_2}}"
            )
