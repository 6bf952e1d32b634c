"""A translator that asks its component, so that ``translation`` and an overridden ``get_asset_spec`` both count."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg

from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps


class ComponentTranslator(DagsterFastLabelTranslator):
    """Gives every spec as ``get_asset_spec`` of the component gives it."""

    def __init__(self, get_asset_spec: Callable[[FastLabelAssetProps], dg.AssetSpec]) -> None:
        self._get_asset_spec = get_asset_spec

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The component's spec."""
        return self._get_asset_spec(props)
