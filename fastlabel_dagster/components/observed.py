"""The projects and datasets of a workspace as what Dagster can look at, and the keys of what it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from fastlabel_dagster.assets.observation import observation_steps, observed_dataset, observed_project
from fastlabel_dagster.assets.workspace_specs import REFUSED, InformedTranslator, props_of

if TYPE_CHECKING:
    from fastlabel_dagster.translator import DagsterFastLabelTranslator
    from fastlabel_dagster.workspace import FastLabelWorkspace

_OBSERVED_PARTS = ("project", "workspace_dataset")


def observable_workspace(
    specs: Iterable[dg.AssetSpec],
    workspace: FastLabelWorkspace,
    translator: DagsterFastLabelTranslator,
    *,
    name: str,
    resource_key: str,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """``specs``, the projects and datasets among them with the steps that look at them (``observe_<name>``,
    ``observe_<name>_datasets``). What has been left out of ``specs``, as it was refused, is left out here."""
    told = InformedTranslator(translator, workspace)
    by_key = {spec.key: spec for spec in specs}
    projects, datasets = [], []

    def taken(slug: str, part: str, named: str) -> dg.AssetSpec | None:
        try:
            key = told.get_asset_spec(props_of(slug, part, named)).key
        except REFUSED:  # of which the log has been told when the specs were made
            return None
        return by_key.pop(key, None)

    for slug in workspace.slugs:
        spec = taken(slug, "project", slug)
        if spec is not None:
            projects.append(observed_project(spec, slug))
    for dataset in workspace.datasets or ():
        spec = taken("", "workspace_dataset", dataset.name)
        if spec is not None:
            datasets.append(observed_dataset(spec, dataset.name))
    steps = observation_steps(name, projects=projects, datasets=datasets, resource_key=resource_key)
    return [*by_key.values(), *steps]


def observed_keys(assets: Sequence[dg.AssetsDefinition | dg.AssetSpec]) -> list[dg.AssetKey]:
    """The keys of the projects and datasets that a step looks at."""
    return [
        spec.key
        for one in assets
        if isinstance(one, dg.AssetsDefinition)
        for spec in one.specs
        if spec.tags.get("fastlabel/part") in _OBSERVED_PARTS
    ]
