"""What has been built, as a translator: sensors and checks name an asset as it was named when it was made.

A translator may make keys of anything it is told: the project's type, the store, the options of an export. A sensor
knows none of these. So it is not asked a second time, with less; the key is that of the asset that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import dagster as dg

from fastlabel_dagster.translator import GATE_TAG, DagsterFastLabelTranslator, FastLabelAssetProps, project_tag


class BuiltTranslator(DagsterFastLabelTranslator):
    """Gives the assets that were built the specs they were built with, and asks another translator for the rest.

    Args:
        built: the assets; they are found by the tags ``fastlabel/project`` and ``fastlabel/part``.
        translator: the one they were made with. It is asked for what is not among them, and for exports, of which a
            project has several.
    """

    def __init__(
        self,
        built: Iterable[dg.AssetsDefinition | dg.AssetSpec],
        translator: DagsterFastLabelTranslator | None = None,
    ) -> None:
        self._built = list(built)
        self._translator = translator or DagsterFastLabelTranslator()

    @cached_property
    def _specs(self) -> Mapping[tuple[str, str], list[dg.AssetSpec]]:
        """By project and part; made when somebody asks, which is not when a code location loads."""
        found: dict[tuple[str, str], list[dg.AssetSpec]] = {}
        for one in self._built:
            for spec in [one] if isinstance(one, dg.AssetSpec) else one.specs:
                place = (spec.tags.get("fastlabel/project", ""), spec.tags.get("fastlabel/part", ""))
                found.setdefault(place, []).append(spec)
        return found

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec an asset was built with."""
        built = self._specs.get((project_tag(props.project), props.part), ()) if props.project else ()
        return built[0] if built and props.part != "export" else self._translator.get_asset_spec(props)

    def keys(self, project: str, parts: Iterable[str], *, gates: bool = False) -> list[dg.AssetKey]:
        """The keys of these parts of a project; with ``gates`` also of what holds others up when its checks fail."""
        wanted, tag = set(parts), project_tag(project)
        return [
            spec.key
            for (of, part), specs in self._specs.items()
            for spec in specs
            if of == tag and (part in wanted or (gates and spec.tags.get(GATE_TAG) == "blocking"))
        ]
