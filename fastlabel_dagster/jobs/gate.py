"""The gate between a model and what it may do next: its measures against fixed limits and against earlier models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

#: What an evaluation measures, each from 0 to 1, as the API names it.
METRICS = ("mAP", "recall", "precision", "f1")
#: Differences below this are noise of decimal fractions: 0.6 may be 0.01 worse than 0.61.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Limit:
    """What one measure must reach.

    Attributes:
        no_worse_than: how far it may lie below that of the model it is compared with.
        at_least: how high it must be in any case.
    """

    metric: str
    no_worse_than: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a model.

    Attributes:
        rows: for each limit ``metric``, ``value``, ``needed``, ``because``, ``passed``; numbers to four places, as they
            are shown.
        text: the same as a sentence.
    """

    passed: bool
    rows: tuple[Mapping[str, Any], ...]
    text: str


@dataclass(frozen=True)
class Gate:
    """Limits a model has to keep.

    A model is compared with models that have passed their own gate, or were evaluated without one. One that failed is
    not in use, so it is no yardstick either: after a bad model the next one still has to come up to the last good one.
    Where the data itself has become harder, no model may reach that any more: loosen ``no_worse_than`` until one has
    passed, and later models are compared with that one.

    Attributes:
        compare_with: ``previous``: the newest earlier model that has passed; ``best``: the best of all that have,
            measure by measure, so that models cannot get worse little by little.
    """

    limits: tuple[Limit, ...]
    compare_with: Literal["previous", "best"] = "previous"

    @classmethod
    def of(cls, gate: Gate | Mapping[str, Any]) -> Gate:
        """Read ``{"mAP": {"no_worse_than": 0.01, "at_least": 0.2}, "compare_with": "previous"}``.

        Raises:
            ValueError: a measure or limit nobody knows, or none at all.
        """
        if isinstance(gate, Gate):
            return gate
        if not isinstance(gate, Mapping):
            raise ValueError(f"gate is a mapping such as {{'mAP': {{'no_worse_than': 0.01}}}}, not {gate!r}")
        given = dict(gate)
        compared = given.pop("compare_with", "previous")
        if compared not in ("previous", "best"):
            raise ValueError(f"gate: compare_with is 'previous' or 'best', not {compared!r}")
        limits = tuple(_limit(str(name), wanted) for name, wanted in given.items())
        if not limits:
            raise ValueError(f"gate needs a limit for one of {', '.join(METRICS)}")
        return cls(limits, cast("Literal['previous', 'best']", compared))

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`of` reads."""
        limits: dict[str, Any] = {}
        for one in self.limits:
            pairs = (("no_worse_than", one.no_worse_than), ("at_least", one.at_least))
            limits[one.metric] = {name: value for name, value in pairs if value is not None}
        return {**limits, "compare_with": self.compare_with}

    def judge(self, measured: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Verdict:
        """Whether a model passes.

        Args:
            measured: its measures by name; one that is missing or no number does not pass.
            earlier: the measures of the models before it, newest first, with ``gate_passed`` where it was judged. With
                none that passed there is nothing to be worse than, and ``no_worse_than`` is kept.
        """
        rows = [row for limit in self.limits for row in self._judge(limit, measured, earlier)]
        passed = all(row["passed"] for row in rows)
        return Verdict(passed, tuple(rows), "; ".join(map(_sentence, rows)))

    def _judge(
        self, limit: Limit, measured: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        value = measure(measured, limit.metric)
        rows: list[dict[str, Any]] = []

        def add(needed: float | None, because: str) -> None:
            passed = value is not None and (needed is None or value >= needed - _ROUNDING)
            shown = {"value": _shown(value), "needed": _shown(needed)}
            rows.append({"metric": limit.metric, **shown, "because": because, "passed": passed})

        if limit.at_least is not None:
            add(limit.at_least, f"at least {limit.at_least:g}")
        if limit.no_worse_than is not None:
            known = [one for one in earlier if measure(one, limit.metric) is not None]
            good = [one for one in known if one.get("gate_passed") is not False]
            if not good:
                model = "no earlier model has passed" if known else "the first model"
                add(None, f"{model}, nothing to compare with")
            else:
                measures = [measure(one, limit.metric) or 0.0 for one in good]
                other = measures[0] if self.compare_with == "previous" else max(measures)
                which = "best" if self.compare_with == "best" else "previous" if good[0] is known[0] else "last good"
                below = f"no more than {limit.no_worse_than:g} below the {which} model's {_text(other)}"
                add(other - limit.no_worse_than, below)
        return rows


def measure(measured: Mapping[str, Any], metric: str) -> float | None:
    """A measure as a finite number, else None."""
    value = measured.get(metric)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _limit(metric: str, wanted: object) -> Limit:
    known = {name.casefold(): name for name in METRICS}
    if metric.casefold() not in known:
        raise ValueError(f"gate: there is no measure {metric!r}; there are {', '.join(METRICS)}")
    if not isinstance(wanted, Mapping) or not wanted or set(wanted) - {"no_worse_than", "at_least"}:
        raise ValueError(f"gate: {metric} takes no_worse_than and at_least, not {wanted!r}")
    for name, value in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"gate: {name} of {metric} is a number from 0 to 1, not {value!r}")
    return Limit(known[metric.casefold()], wanted.get("no_worse_than"), wanted.get("at_least"))


def _sentence(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return f"{row['metric']} was not measured, which MISSES the limit"
    measured = f"{row['metric']} {_text(row['value'])}"
    if row["needed"] is None:
        return f"{measured}: {row['because']}"
    return f"{measured} {'keeps' if row['passed'] else 'MISSES'} {row['because']}"


def _shown(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: float) -> str:
    return f"{round(value, 4):g}"
