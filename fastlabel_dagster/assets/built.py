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
    def _specs(self) -> Mapping[str, Mapping[str, list[dg.AssetSpec]]]:
        """By project, then by part: of hundreds of projects, each is asked for by itself."""
        found: dict[str, dict[str, list[dg.AssetSpec]]] = {}
        for one in self._built:
            for spec in [one] if isinstance(one, dg.AssetSpec) else one.specs:
                of = found.setdefault(spec.tags.get("fastlabel/project", ""), {})
                of.setdefault(spec.tags.get("fastlabel/part", ""), []).append(spec)
        return found

    def _of(self, project: str) -> Mapping[str, list[dg.AssetSpec]]:
        return self._specs.get(project_tag(project), {}) if project else {}

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec an asset was built with."""
        built = self._of(props.project).get(props.part, ())
        return built[0] if built and props.part != "export" else self._translator.get_asset_spec(props)

    def has(self, project: str) -> bool:
        """Whether the project itself is among them: one that could not be built was left out."""
        return "project" in self._of(project)

    def keys(self, project: str, parts: Iterable[str], *, gates: bool = False) -> list[dg.AssetKey]:
        """The keys of these parts of a project; with ``gates`` also of what holds others up when its checks fail."""
        wanted = set(parts)
        return [
            spec.key
            for part, specs in self._of(project).items()
            for spec in specs
            if part in wanted or (gates and spec.tags.get(GATE_TAG) == "blocking")
        ]
