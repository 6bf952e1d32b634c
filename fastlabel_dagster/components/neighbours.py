"""What a workspace and the other components of its code location cannot both have, said when it loads.

Dagster tells of two sensors of one name and of two assets of one key too, but not of what to do about it. The workspace
looks at the others, and they not at it: with hundreds of components, that would be a look of each at each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from fastlabel_dagster.translator import FastLabelAssetProps

if TYPE_CHECKING:
    from fastlabel_dagster.components.workspace import FastLabelWorkspaceComponent


def refuse_shared_name(component: FastLabelWorkspaceComponent, context: dg.ComponentLoadContext) -> None:
    """Raises ValueError when another component of the ``defs`` folder begins its names as this workspace does."""
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


def refuse_shared_projects(assets: Iterable[object], context: dg.ComponentLoadContext) -> None:
    """Raises ValueError when a ``FastLabelProjectComponent`` has a project that is among the ``assets`` of a
    workspace."""
    from fastlabel_dagster.components.project import FastLabelProjectComponent

    keys = {
        spec.key
        for one in assets
        if isinstance(one, dg.AssetsDefinition | dg.AssetSpec)
        for spec in ([one] if isinstance(one, dg.AssetSpec) else one.specs)
        if spec.tags.get("fastlabel/part") == "project"
    }
    for one in context.component_tree.get_all_components(FastLabelProjectComponent):
        key = one.get_asset_spec(FastLabelAssetProps(one.project, "project", one.project, store=one.store)).key
        if key in keys:
            raise ValueError(
                f"this FastLabelWorkspaceComponent and the FastLabelProjectComponent of {one.project} both have the "
                f"asset {key.to_user_string()}: leave the project out of the workspace, with selector: {{exclude: "
                f"[{one.project}]}}, and refresh its state; or give the assets of one of the two keys of their own, "
                "with translation: {key_prefix: …}"
            )
