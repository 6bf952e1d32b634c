"""The models measured so far, and what the gate says of the newest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from fastlabel_dagster.job_reports.submissions import LOOK_BACK, plain
from fastlabel_dagster.jobs.gate import METRICS, Gate, Verdict

#: How many models the history shows.
MOST_MODELS = 30
#: How often further back is looked for a model that has passed its gate, where the newest events show none.
_PAGES = 20


def evaluated_models(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[dict[str, Any]]:
    """What is known of each model that was evaluated, the newest first, as its last evaluation says.

    Args:
        key: the evaluation asset.
    """
    models: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    for _ in range(_PAGES):
        page = instance.fetch_materializations(key, limit=LOOK_BACK, cursor=cursor)
        for record in page.records:
            if record.asset_materialization is None:
                continue
            metadata = plain(record.asset_materialization.metadata)
            name = str(metadata.get("model_id") or metadata.get("model_name") or "")
            if name and any(metadata.get(metric) is not None for metric in METRICS):
                models.setdefault(name, metadata)
        passed = [one for one in models.values() if one.get("gate_passed") is not False]
        if not page.has_more or len(passed) > 1:
            break
        cursor = page.cursor  # a good model must not be forgotten because many bad ones came after it
    return list(models.values())


def models_before(models: Sequence[Mapping[str, Any]], of: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models but the one of ``of``."""
    mine = str(of.get("model_id") or of.get("model_name") or "")
    return [one for one in models if str(one.get("model_id") or one.get("model_name") or "") != mine]


def gate_of(metadata: Mapping[str, Any]) -> Gate | None:
    """The gate that a submission or an evaluation carries."""
    gate = metadata.get("gate")
    return Gate.of(gate) if isinstance(gate, Mapping) and gate else None


def newest_verdict(
    instance: dg.DagsterInstance, key: dg.AssetKey, gate: Gate
) -> tuple[Mapping[str, Any], Verdict | None]:
    """The newest evaluation, and what ``gate`` says of it; an empty one and None before the first."""
    models = evaluated_models(instance, key)
    if not models:
        return {}, None
    return models[0], gate.judge(models[0], models_before(models, models[0]))
