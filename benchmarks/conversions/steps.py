"""All steps that can be measured."""

from __future__ import annotations

from benchmarks.conversions import limits, ours, peers, sdk
from benchmarks.conversions.registry import STEPS

__all__ = ["STEPS", "limits", "ours", "peers", "sdk"]
