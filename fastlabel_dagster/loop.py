"""``LoopPlan``: how a labeling loop closes, checked when the code location loads.

Approvals start a retraining, its model is evaluated, a gate decides, and the model that passes annotates the tasks
nobody has touched; people correct and approve those, and the loop begins again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, EvaluationPlan, TrainingPlan

_KEYS = ("retrain_after", "dataset", "base_model", "epoch", "training", "gate", "evaluation", "auto_annotate")
_NEEDED = ("retrain_after", "dataset", "base_model", "epoch")
#: The gate of a loop that names none: a model may be a little worse than the last good one, as evaluations vary.
DEFAULT_GATE = {"mAP": {"no_worse_than": 0.01}}


@dataclass(frozen=True)
class LoopPlan:
    """One labeling loop.

    Attributes:
        approved: how many newly approved tasks start a retraining; None: their number alone starts none.
        share: which part of the project's tasks must be approved for it, 0 to 1; None: any part will do.
        dataset: the FastLabel dataset that approved tasks are published to and trained on.
        training: what is trained.
        evaluation: how its model is measured, and the gate.
        auto_annotation: how the model that passes annotates what is untouched; None: the loop ends at the gate.
    """

    approved: int | None
    share: float | None
    dataset: str
    training: TrainingPlan
    evaluation: EvaluationPlan
    auto_annotation: AutoAnnotationPlan | None = None

    @classmethod
    def of(cls, loop: LoopPlan | Mapping[str, Any]) -> LoopPlan:
        """Read the mapping that a component's ``loop`` attribute holds::

            retrain_after: {approved: 200}       # or {share: 0.8}, or both: then both must hold
            dataset: street-scenes
            base_model: fastlabel_object_detection_light
            epoch: 300
            training: {batch_size: 16}           # optional, as everything below: more settings of the training
            evaluation: {iou_threshold: 0.5}     # settings of the evaluation
            gate: {mAP: {no_worse_than: 0.01}}   # what is taken without it; {} lets every model pass
            auto_annotate: {status: registered, confidence: 0.4}   # without it, the loop ends at the gate

        Raises:
            ValueError: with what is missing, unknown or unusable.
        """
        if isinstance(loop, LoopPlan):
            return loop
        if not isinstance(loop, Mapping):
            raise ValueError(f"loop is a mapping with {', '.join(_KEYS)}, not {loop!r}")
        _refuse_unknown("loop", loop, _KEYS)
        missing = [key for key in _NEEDED if loop.get(key) is None]
        if missing:
            raise ValueError(f"loop lacks {', '.join(missing)}")
        if not isinstance(loop["dataset"], str) or not loop["dataset"].strip():
            raise ValueError(f"loop: dataset is the name of a dataset in FastLabel, not {loop['dataset']!r}")
        approved, share = _retrain_after(loop["retrain_after"])
        own = {key: loop[key] for key in ("base_model", "epoch")}
        training = {**_mapping(loop, "training", beside=own), **own}
        gate = DEFAULT_GATE if loop.get("gate") is None else loop["gate"]
        evaluation = {**_mapping(loop, "evaluation", beside=("gate",)), "gate": gate or None}
        annotate = loop.get("auto_annotate")
        if annotate is True:
            annotate = {}
        try:
            return cls(
                approved,
                share,
                loop["dataset"],
                TrainingPlan.of(training),
                EvaluationPlan.of(evaluation),
                None if annotate is None or annotate is False else AutoAnnotationPlan.of(annotate),
            )
        except ValueError as error:
            raise ValueError(f"loop: {error}") from error


def refuse_in_part(loop: Mapping[str, Any]) -> None:
    """Look at what is said of several loops together, each of which may say more, or something else, for itself.

    Raises:
        ValueError: as :meth:`LoopPlan.of`, for what is unknown, and for a ``retrain_after`` that is unusable.
    """
    _refuse_unknown("loop", loop, _KEYS)
    if loop.get("retrain_after") is not None:
        _retrain_after(loop["retrain_after"])


def _retrain_after(value: Any) -> tuple[int | None, float | None]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"loop: retrain_after is {{approved: <how many start a retraining>}}, not {value!r}")
    _refuse_unknown("loop: retrain_after", value, ("approved", "share"))
    approved, share = value.get("approved"), value.get("share")
    if approved is not None and (isinstance(approved, bool) or not isinstance(approved, int) or approved < 1):
        raise ValueError(f"loop: retrain_after: approved is a whole number of at least 1, not {approved!r}")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1):
        raise ValueError(f"loop: retrain_after: share is above 0 and at most 1, not {share!r}")
    if approved is None and share is None:
        raise ValueError("loop: retrain_after needs approved, share or both")
    return approved, share


def _mapping(loop: Mapping[str, Any], key: str, *, beside: Collection[str]) -> dict[str, Any]:
    """The settings under ``key``; none of them is one that the loop has ``beside`` it, as only that one would count."""
    value = loop.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"loop: {key} is a mapping of settings, not {value!r}")
    if misplaced := [name for name in beside if value.get(name) is not None]:
        raise ValueError(f"loop: {', '.join(misplaced)} stands beside {key}, not in it")
    return dict(value)


def _refuse_unknown(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise ValueError(f"{what} has no {', '.join(unknown)}; it has {', '.join(known)}")
