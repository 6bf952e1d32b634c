"""The check ``polling_healthy``: whether the sensors can read a target, how it is reported, and what it says now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster._compat import last_check_evaluation
from fastlabel_dagster.api.errors import FastLabelError, NotFound
from fastlabel_dagster.checks.names import POLLING_CHECK
from fastlabel_dagster.resource import error_kind, error_metadata

#: Metadata of a project's asset: the command that fetches anew what is known of it, its slug above all.
REFRESHED_BY = "fastlabel/refreshed_by"


@dataclass
class Trouble:
    """What is known of a target that fails: how often in a row, from which tick on it is asked again, and whether its
    check says so."""

    failures: int = 0
    resume: int = 0
    reported: bool = False


def health_evaluation(
    key: dg.AssetKey,
    target: str,
    error: Exception | None,
    *,
    failures: int,
    read_at: float | None,
    now: float,
    severity: dg.AssetCheckSeverity,
    about: dict[str, Any],
) -> dg.AssetCheckEvaluation:
    """``polling_healthy`` of a target: passed, or failed with the error.

    Args:
        failures: how often in a row it could not be read.
        read_at: when it was read last, in seconds since 1970; None: never.
        now: in the same seconds.
        severity: how bad it is that it cannot be read.
        about: what else the metadata says: which sensor, and who fails beside it.
    """
    metadata: dict[str, Any] = {"project": target, **about}
    if error is not None:
        metadata["failures_in_a_row"] = failures
        metadata |= error_metadata(error) if isinstance(error, FastLabelError) else {"error": in_a_line(error)}
    if read_at is not None:
        metadata["last_success"] = dg.MetadataValue.timestamp(float(read_at))
        metadata["lag_seconds"] = max(0, int(now) - int(read_at))
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=POLLING_CHECK,
        passed=error is None,
        severity=severity,
        description=f"{target} can be read." if error is None else f"{target} cannot be read: {in_a_line(error)}",
        metadata=metadata,
    )


def says_healthy(context: dg.SensorEvaluationContext, key: dg.AssetKey) -> bool:
    """Whether the newest evaluation of ``polling_healthy`` of this asset that the instance knows is a passed one."""
    try:
        newest = last_check_evaluation(context.instance, dg.AssetCheckKey(key, POLLING_CHECK))
    except dg.DagsterInvariantViolationError:  # a context built by hand, which has no instance
        return False
    return newest is not None and newest.passed


def with_what_to_run(error: NotFound, context: dg.SensorEvaluationContext, key: dg.AssetKey) -> NotFound:
    """``error`` with the command that the asset of its target names, when it names one: under another slug the project
    may still be there, and nothing but that command finds it."""
    definitions = context.repository_def
    if definitions is None or not definitions.asset_graph.has(key):
        return error
    command = definitions.asset_graph.get(key).metadata.get(REFRESHED_BY)
    if command is None:
        return error
    hint = "; ".join(part for part in (error.hint, if_renamed(str(command))) if part)
    return NotFound(error.message, status=error.status, method=error.method, path=error.path, hint=hint)


def if_renamed(command: str) -> str:
    """What to do about a project that FastLabel has not under the slug that is known of it."""
    return f"if it was renamed or deleted in FastLabel, run `{command}` and reload the code location"


def in_a_line(error: Exception) -> str:
    """An error in a line. Of one that is not ours only its kind: its text may hold anything."""
    return f"{error_kind(error)}: {error}"[:500] if isinstance(error, FastLabelError) else type(error).__name__
