"""A translator that asks its component, so that ``translation`` and an overridden ``get_asset_spec`` both count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dagster as dg

from fastlabel_dagster.components.names import refuse_key
from fastlabel_dagster.components.planned import REFRESH
from fastlabel_dagster.sensors.health import REFRESHED_BY
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps


class ComponentTranslator(DagsterFastLabelTranslator):
    """Gives every spec as ``get_asset_spec`` of the component gives it.

    Args:
        get_asset_spec: the component's.
        made: whether steps make or look at the assets. What is only shown may have any key.
        kept: whether the projects are those of a state file. The command that refreshes it stands in their metadata
            then, where sensors find it when FastLabel has a project no more.
    """

    def __init__(
        self,
        get_asset_spec: Callable[[FastLabelAssetProps], dg.AssetSpec],
        *,
        made: bool = True,
        kept: bool = False,
    ) -> None:
        self._get_asset_spec, self._made, self._kept = get_asset_spec, made, kept

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The component's spec.

        Raises:
            ValueError: Dagster refuses what ``translation`` makes of this asset, and with which words.
        """
        if self._kept and props.part == "project":
            props = replace(props, metadata={**props.metadata, REFRESHED_BY: REFRESH})
        try:
            spec = self._get_asset_spec(props)
        except (dg.DagsterInvalidDefinitionError, dg.DagsterInvariantViolationError) as error:
            raise ValueError(
                f"translation (or get_asset_spec) gives {props.part} of {props.project or 'the workspace'} what "
                f"Dagster refuses: {error}"
            ) from error
        if self._made:
            refuse_key(spec.key, props.part, props.project)
        return spec
