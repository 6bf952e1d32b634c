"""``LoopPlan``: how a labeling loop closes, checked when the code location loads.

Approvals start a retraining, its model is evaluated, a gate decides, and the model that passes annotates the tasks
nobody has touched; people correct and approve those, and the loop begins again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KEYS = ("retrain_after", "dataset", "base_model", "epoch", "training", "gate", "evaluation", "auto_annotate")
_ANNOTATE_KEYS = ("status", "confidence", "wait", "update_existing")
#: The gate where a loop names none: a model may be a little worse than the one before it, as evaluations vary.
_DEFAULT_GATE = {"mAP": {"no_worse_than": 0.01}}


@dataclass(frozen=True)
class LoopPlan:
    """One labeling loop.

    Attributes:
        approved: how many newly approved tasks start a retraining.
        dataset: the FastLabel dataset that approved tasks are published to and trained on.
        base_model: name of the model to start from, in FastLabel.
        epoch: how many epochs to train.
        training: further arguments of ``client.training_jobs.submit``.
        gate: by metric, what a model must hold to go on: ``{"mAP": {"no_worse_than": 0.01, "at_least": 0.2}}``.
        evaluation: further settings of the evaluation (``iou_threshold``, ``wait`` …).
        auto_annotate: settings of the auto-annotation (``status``, ``confidence`` …); None: the loop ends at the gate.
    """

    approved: int
    dataset: str
    base_model: str
    epoch: int
    training: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: dict(_DEFAULT_GATE))
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    auto_annotate: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, loop: LoopPlan | Mapping[str, Any]) -> LoopPlan:
        """Read the mapping a component's ``loop`` attribute holds::

            retrain_after: {approved: 200}
            dataset: street-scenes
            base_model: fastlabel_object_detection_light
            epoch: 300
            gate: {mAP: {no_worse_than: 0.01}}
            auto_annotate: {status: registered, confidence: 0.4}

        ``gate`` may be left out (a model may then lose 0.01 of mAP at most) or be ``{}`` (every model goes on);
        without ``auto_annotate`` the loop ends at the gate. ``training`` and ``evaluation`` take further settings.

        Raises:
            ValueError: with what is missing, unknown or unusable.
        """
        if isinstance(loop, LoopPlan):
            return loop
        if not isinstance(loop, Mapping):
            raise ValueError(f"loop is a mapping with {', '.join(_KEYS)}, not {loop!r}")
        _refuse_unknown("loop", loop, _KEYS)
        missing = [key for key in ("retrain_after", "dataset", "base_model", "epoch") if loop.get(key) is None]
        if missing:
            raise ValueError(f"loop lacks {', '.join(missing)}")
        for key in ("dataset", "base_model"):
            if not isinstance(loop[key], str) or not loop[key].strip():
                raise ValueError(f"loop: {key} is a name in FastLabel, not {loop[key]!r}")
        annotate = loop.get("auto_annotate")
        return cls(
            approved=_approved(loop["retrain_after"]),
            dataset=loop["dataset"],
            base_model=loop["base_model"],
            epoch=_at_least_one("epoch", loop["epoch"]),
            training=_mapping("training", loop.get("training")),
            gate=_gate(loop.get("gate", _DEFAULT_GATE)),
            evaluation=_mapping("evaluation", loop.get("evaluation")),
            auto_annotate=None if annotate is None or annotate is False else _annotate(annotate),
        )

    def training_settings(self) -> dict[str, Any]:
        """The argument ``training`` of ``build_fastlabel_project_assets``."""
        return {"base_model": self.base_model, "epoch": self.epoch, **self.training}

    def evaluation_settings(self) -> dict[str, Any]:
        """The argument ``evaluation`` of ``build_fastlabel_project_assets``."""
        return {**self.evaluation, "gate": {metric: dict(limits) for metric, limits in self.gate.items()}}

    def auto_annotation_settings(self) -> dict[str, Any] | None:
        """The argument ``auto_annotation`` of ``build_fastlabel_project_assets``."""
        return None if self.auto_annotate is None else dict(self.auto_annotate)


def _approved(value: Any) -> int:
    if not isinstance(value, Mapping) or set(value) != {"approved"}:
        raise ValueError(
            f"loop: retrain_after says how many approvals start a retraining, {{approved: 200}}: {value!r}"
        )
    return _at_least_one("retrain_after: approved", value["approved"])


def _at_least_one(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"loop: {name} is a whole number of at least 1, not {value!r}")
    return value


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"loop: {name} is a mapping, not {value!r}")
    return dict(value)


def _gate(value: Any) -> dict[str, dict[str, float]]:
    """Only the shape: which metrics and limits there are is known to the evaluation, which checks it too."""
    gate = _mapping("gate", value)
    for metric, limits in gate.items():
        if not isinstance(limits, Mapping) or not limits:
            raise ValueError(f"loop: gate {metric} needs a limit, such as {{no_worse_than: 0.01}}, not {limits!r}")
        for limit, number in limits.items():
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"loop: gate {metric}: {limit} is a number, not {number!r}")
    return {str(metric): dict(limits) for metric, limits in gate.items()}


def _annotate(value: Any) -> dict[str, Any]:
    given = {} if value is True else _mapping("auto_annotate", value)
    _refuse_unknown("loop: auto_annotate", given, _ANNOTATE_KEYS)
    confidence = given.get("confidence")
    if confidence is not None and (
        isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1
    ):
        raise ValueError(f"loop: auto_annotate: confidence is a number from 0 to 1, not {confidence!r}")
    return given


def _refuse_unknown(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise ValueError(f"{what} has no {', '.join(unknown)}; it has {', '.join(known)}")
