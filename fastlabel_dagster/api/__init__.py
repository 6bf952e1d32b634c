"""FastLabel's HTTP API: `FastLabelClient`, its errors, and the values that tune it. No Arrow, no Dagster."""

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
from fastlabel_dagster.api.submission import SubmissionPolicy, UnclearSubmission, job_id
from fastlabel_dagster.api.waiting import StillRunning, job_state
from fastlabel_dagster.api.wire import UNSET

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
