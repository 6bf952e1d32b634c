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
        rows: for each limit ``metric``, ``value``, ``needed``, ``because``, ``passed``.
        text: the same as a sentence.
    """

    passed: bool
    rows: tuple[Mapping[str, Any], ...]
    text: str


@dataclass(frozen=True)
class Gate:
    """Limits a model has to keep.

    Attributes:
        compare_with: ``previous``: the model evaluated before this one; ``best``: the best of all earlier ones, measure
            by measure, so that models cannot get worse little by little.
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
            earlier: the measures of the models before it, newest first. The first model passes ``no_worse_than``.
        """
        rows = [row for limit in self.limits for row in self._judge(limit, measured, earlier)]
        passed = all(row["passed"] for row in rows)
        text = "; ".join(
            f"{row['metric']} {_text(row['value'])} {'keeps' if row['passed'] else 'MISSES'} {row['because']}"
            for row in rows
        )
        return Verdict(passed, tuple(rows), text)

    def _judge(
        self, limit: Limit, measured: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        value = measure(measured, limit.metric)
        rows: list[dict[str, Any]] = []

        def add(needed: float | None, because: str) -> None:
            passed = needed is None or (value is not None and value >= needed - _ROUNDING)
            rows.append(
                {"metric": limit.metric, "value": value, "needed": needed, "because": because, "passed": passed}
            )

        if limit.at_least is not None:
            add(limit.at_least, f"at least {limit.at_least:g}")
        if limit.no_worse_than is not None:
            found = [one for one in (measure(other, limit.metric) for other in earlier) if one is not None]
            if not found:
                add(None, f"no worse than {limit.no_worse_than:g} below an earlier model: there is none")
            else:
                other = found[0] if self.compare_with == "previous" else max(found)
                which = "the previous model's" if self.compare_with == "previous" else "the best model's"
                add(other - limit.no_worse_than, f"no more than {limit.no_worse_than:g} below {which} {_text(other)}")
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


def _text(value: float | None) -> str:
    return "(none)" if value is None else f"{value:.4g}"
