"""FastLabel's HTTP API: `FastLabelClient`, its errors, and the values that tune it. No Arrow, no Dagster.

Names are handed out on first use (PEP 562): a code location that only names an error does not load the HTTP stack.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlabel_dagster.api.budget import RequestBudget
    from fastlabel_dagster.api.client import DEFAULT_BASE_URL, FastLabelClient
    from fastlabel_dagster.api.errors import (
        FastLabelError,
        Invalid,
        NotFound,
        RateLimited,
        RemoteJobFailed,
        ServerError,
        TransportError,
        Unauthorized,
    )
    from fastlabel_dagster.api.lerobot import Camera, LeRobotConverter
    from fastlabel_dagster.api.retry import RetryPolicy
    from fastlabel_dagster.api.statistics import RequestStatistics
    from fastlabel_dagster.api.submission import SubmissionPolicy, UnclearSubmission
    from fastlabel_dagster.api.waiting import StillRunning, job_id, job_state
    from fastlabel_dagster.api.wire import UNSET

_HOMES = {
    "Camera": "lerobot",
    "DEFAULT_BASE_URL": "client",
    "FastLabelClient": "client",
    "FastLabelError": "errors",
    "Invalid": "errors",
    "LeRobotConverter": "lerobot",
    "NotFound": "errors",
    "RateLimited": "errors",
    "RemoteJobFailed": "errors",
    "RequestBudget": "budget",
    "RequestStatistics": "statistics",
    "RetryPolicy": "retry",
    "ServerError": "errors",
    "StillRunning": "waiting",
    "SubmissionPolicy": "submission",
    "TransportError": "errors",
    "UNSET": "wire",
    "Unauthorized": "errors",
    "UnclearSubmission": "submission",
    "job_id": "waiting",
    "job_state": "waiting",
}

__all__ = [
    "DEFAULT_BASE_URL",
    "UNSET",
    "Camera",
    "FastLabelClient",
    "FastLabelError",
    "Invalid",
    "LeRobotConverter",
    "NotFound",
    "RateLimited",
    "RemoteJobFailed",
    "RequestBudget",
    "RequestStatistics",
    "RetryPolicy",
    "ServerError",
    "StillRunning",
    "SubmissionPolicy",
    "TransportError",
    "Unauthorized",
    "UnclearSubmission",
    "job_id",
    "job_state",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
