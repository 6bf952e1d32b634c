"""What a workspace and the other components of its code location cannot both have, said when it loads.

Dagster tells of two sensors of one name and of two assets of one key too, but not of what to do about it. The workspace
looks at the others, and they not at it: with hundreds of components, that would be a look of each at each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
    """Raises ValueError when a ``FastLabelProjectComponent``, or another workspace, has a project that is among the
    ``assets`` of a workspace."""
    from fastlabel_dagster.components.project import FastLabelProjectComponent

    keys = _projects(assets)
    for one in context.component_tree.get_all_components(FastLabelProjectComponent):
        key = one.get_asset_spec(FastLabelAssetProps(one.project, "project", one.project, store=one.store)).key
        if key in keys:
            raise ValueError(
                f"this FastLabelWorkspaceComponent and the FastLabelProjectComponent of {one.project} both have the "
                f"asset {key.to_user_string()}: leave the project out of the workspace, with selector: {{exclude: "
                f"[{one.project}]}}, and refresh its state; or give the assets of one of the two keys of their own, "
                "with translation: {key_prefix: …}"
            )
    _claim(keys, context, "with selector: {exclude: […]} in one workspace, whose state is to be refreshed then")


def refuse_shared_project(assets: Iterable[object], context: dg.ComponentLoadContext) -> None:
    """Raises ValueError when another ``FastLabelProjectComponent`` has the project that is among the ``assets``."""
    _claim(_projects(assets), context, "by deleting one of the two")


@dataclass
class _Claims:
    """Which component has which project, of the ``defs`` folder that is being loaded: where the components are, by the
    keys of the projects. Each looks here instead of at all others."""

    tree: object = None
    places: dict[dg.AssetKey, Path] = field(default_factory=dict)


_claims = _Claims()


def _claim(projects: Mapping[dg.AssetKey, str], context: dg.ComponentLoadContext, leaving: str) -> None:
    if _claims.tree is not context.component_tree:
        _claims.tree, _claims.places = context.component_tree, {}
    for key, slug in projects.items():
        other = _claims.places.setdefault(key, context.path)
        if other != context.path:
            root = context.defs_module_path
            places = (one.relative_to(root) if one.is_relative_to(root) else one for one in (other, context.path))
            both = " and ".join(map(str, places))
            raise ValueError(
                f"the project {slug} is in two components, {both}, which both have the asset {key.to_user_string()}: "
                f"keep it in one of them, {leaving}; or give the assets of one of the two keys of their own, with "
                "translation: {key_prefix: …}, and its steps and sensors names of their own, with op: {name: …}"
            )


def _projects(assets: Iterable[object]) -> dict[dg.AssetKey, str]:
    """The slugs of the projects among ``assets``, by their keys."""
    return {
        spec.key: str(spec.metadata.get("fastlabel/project") or spec.key.path[-1])
        for one in assets
        if isinstance(one, dg.AssetsDefinition | dg.AssetSpec)
        for spec in ([one] if isinstance(one, dg.AssetSpec) else one.specs)
        if spec.tags.get("fastlabel/part") == "project"
    }
