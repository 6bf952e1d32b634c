"""What is new in a model: the changes of the labels since the model before it, as the dataset showed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from fastlabel_dagster.job_reports.submissions import plain

#: The dataset a training was asked for was published just before; so many newer publications may lie between.
_LOOK_BACK = 10
_SPAN = ("changes_since_model", "changes_since_model_from", "changes_since_model_to")


def learned_changes(
    instance: dg.DagsterInstance, carried: Mapping[str, Any], *, pictures: bool = True
) -> dict[str, dg.MetadataValue]:
    """``changes_since_previous_model_table`` and ``changes_since_previous_model_pictured`` of a trained model.

    A sensor that reports a model has no store to compare versions in, and needs none: they stand on the dataset's
    materialization that the training was asked for after. Empty when that shows none, or newer ones have taken its
    place.

    Args:
        carried: what the model was made from, as its training says.
        pictures: with the picture, where there is one.
    """
    asset, span = carried.get("dataset_asset"), [carried.get(name) for name in _SPAN]
    if not isinstance(asset, str) or None in span:
        return {}
    published = instance.fetch_materializations(dg.AssetKey.from_user_string(asset), limit=_LOOK_BACK).records
    for record in published:
        event = record.asset_materialization
        told = {} if event is None else plain(event.metadata)
        if event is None or [told.get(name) for name in _SPAN] != span:
            continue
        shown = {"table": "changes_since_model_table"}
        if pictures:
            # the same versions are drawn once, see change_pictures
            same = [told.get("changes_from"), told.get("changes_to")] == span[1:]
            shown["pictured"] = "changes_pictured" if same else "changes_since_model_pictured"
        return {
            f"changes_since_previous_model_{name}": event.metadata[where]
            for name, where in shown.items()
            if where in event.metadata
        }
    return {}
