"""The checks on jobs that can be run by hand: did the newest one come to a good end, and does its model pass the gate.

The sensors and steps report the same checks as they see a job end.
"""

from __future__ import annotations

import dagster as dg

from fastlabel_dagster.api import FastLabelError, job_state
from fastlabel_dagster.checks.names import GATE_CHECK
from fastlabel_dagster.checks.remote import unanswered
from fastlabel_dagster.job_reports.evaluations import newest_verdict
from fastlabel_dagster.job_reports.outcomes import success_check, verdict_metadata
from fastlabel_dagster.job_reports.submissions import job_history, job_metadata
from fastlabel_dagster.jobs.gate import METRICS, Gate
from fastlabel_dagster.jobs.kinds import JobKind
from fastlabel_dagster.resource import FastLabelResource, resource_named


def build_job_check(
    name: str, project: str, key: dg.AssetKey, kind: JobKind, *, resource_key: str = "fastlabel"
) -> dg.AssetChecksDefinition:
    """The check ``<kind>_succeeded`` on the asset of a kind of jobs: asks the API how the newest one stands.

    Args:
        name: what the names of the project's ops begin with.
        key: the asset that submits these jobs.
    """
    spec = dg.AssetCheckSpec(success_check(kind), asset=key, description=f"The newest {kind.words} finished.")

    def look(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        newest = next(iter(job_history(context.instance, key, kind).submitted()), None)
        if newest is None:
            return dg.AssetCheckResult(
                asset_key=key,
                check_name=spec.name,
                passed=True,
                description=f"There has been no {kind.words} yet.",
            )
        try:
            job = kind.look(fastlabel.client, newest, project)
        except FastLabelError as error:
            return unanswered(spec, error, kind.words, dg.AssetCheckSeverity.ERROR)
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=spec.name,
            passed=job is not None and job_state(job) != "failed",
            description=f"The newest {kind.words} is {'gone' if job is None else job.get('status')}.",
            metadata=job_metadata(kind, newest, job or {}),
        )

    return dg.multi_asset_check(name=f"{name}_{kind.name}_check", specs=[spec])(resource_named(resource_key, look))


def build_gate_check(name: str, key: dg.AssetKey, gate: Gate) -> dg.AssetChecksDefinition:
    """The blocking check ``gate`` on the evaluation: what comes after does not run for a model that misses its limits.

    It compares the newest evaluation with the newest before it that has passed on the same dataset with the same
    thresholds, as the instance knows them, and asks nobody else; see :class:`~fastlabel_dagster.jobs.gate.Gate`. The
    first model passes ``no_worse_than``, so does the first after the thresholds were changed: ``at_least`` still holds.

    Args:
        name: what the names of the project's ops begin with.
        key: the evaluation.
    """
    spec = dg.AssetCheckSpec(
        GATE_CHECK, asset=key, blocking=True, description="The newest model keeps its limits; else nothing follows."
    )

    def judge(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        measured, verdict = newest_verdict(context.instance, key, gate)
        if verdict is None:
            return dg.AssetCheckResult(
                asset_key=key, check_name=GATE_CHECK, passed=False, description="No model was evaluated yet."
            )
        about = {name: measured[name] for name in ("model_name", "model_id", "job_id", *METRICS) if name in measured}
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=GATE_CHECK,
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=verdict.text,
            metadata={**about, **verdict_metadata(verdict)},
        )

    # Dagster reads the annotations as they are, and this module postpones them
    judge.__annotations__ = {"context": dg.AssetCheckExecutionContext, "return": dg.AssetCheckResult}
    return dg.multi_asset_check(name=f"{name}_gate", specs=[spec])(judge)
