"""The models measured so far, and what the gate says of the newest one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from fastlabel_dagster.job_reports.submissions import LOOK_BACK, newest_report, plain
from fastlabel_dagster.jobs.gate import METRICS, Gate, Verdict, measure
from fastlabel_dagster.jobs.kinds import EVALUATION

#: How often further back is looked for a model that has passed its gate, where the newest events show none.
_PAGES = 20
#: What two evaluations must have in common, or their measures say nothing about which model is better. Of the dataset
#: it is the name: its content grows with the labels.
_COMPARED_WITHIN = ("dataset", "iou_threshold", "confidence_threshold", "use_dataset_test")


def models_before(instance: dg.DagsterInstance, key: dg.AssetKey, of: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The measures of the models that were evaluated before the one of ``of``, the last completed first.

    Of each model its last evaluation before that of ``of``; only evaluations on the same dataset with the same
    thresholds (one that does not say counts as the same), and only those in which something was measured.

    Args:
        key: the evaluation asset.
        of: the metadata of an evaluation, as plain values or as an event is given them.
    """
    mine = {name: _value(of.get(name)) for name in ("model_id", "model_name", "completed_at", *_COMPARED_WITHIN)}
    ended = measure(mine, "completed_at")
    found: list[tuple[float, dict[str, Any]]] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = instance.fetch_materializations(key, limit=LOOK_BACK, cursor=cursor)
        for record in page.records:
            if record.asset_materialization is None:
                continue
            metadata = plain(record.asset_materialization.metadata)
            theirs = measure(metadata, "completed_at")
            later = ended is not None and theirs is not None and theirs > ended
            if _model(metadata) in ("", _model(mine)) or later or not _comparable(metadata, mine):
                continue
            if any(measure(metadata, metric) is not None for metric in METRICS):
                found.append((record.timestamp if theirs is None else theirs, metadata))
        if not page.has_more or any(one.get("gate_passed") is not False for _, one in found):
            break
        cursor = page.cursor  # a good model must not be forgotten because many bad ones came after it
    models: dict[str, dict[str, Any]] = {}
    for _, metadata in sorted(found, key=lambda one: one[0], reverse=True):
        models.setdefault(_model(metadata), metadata)
    return list(models.values())


def gate_of(metadata: Mapping[str, Any]) -> Gate | None:
    """The gate that a submission or an evaluation carries."""
    gate = metadata.get("gate")
    return Gate.of(gate) if isinstance(gate, Mapping) and gate else None


def newest_evaluation(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    """Of the evaluations reported, the one that was asked for last, as plain values; empty when there is none.

    An older one that the jobs sensor finds finished after a newer one is no reason to go back to an older model.
    """
    return newest_report(instance, key, EVALUATION, key)


def newest_verdict(
    instance: dg.DagsterInstance, key: dg.AssetKey, gate: Gate
) -> tuple[Mapping[str, Any], Verdict | None]:
    """The newest evaluation, and what ``gate`` says of it; an empty one and None before the first.

    The newest is the one that was asked for last (:func:`newest_evaluation`), and it is judged whatever it has
    measured: one without measures does not pass.
    """
    measured = newest_evaluation(instance, key)
    return measured, gate.judge(measured, models_before(instance, key, measured)) if measured else None


def _model(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("model_id") or metadata.get("model_name") or "")


def _comparable(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    pairs = ((one.get(name), other.get(name)) for name in _COMPARED_WITHIN)
    return all(first is None or second is None or first == second for first, second in pairs)


def _value(given: Any) -> Any:
    return given.value if isinstance(given, dg.MetadataValue) else given
