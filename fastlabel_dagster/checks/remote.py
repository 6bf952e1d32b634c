"""Checks that ask the API when they are executed: the newest import and training, connection, comments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from fastlabel_dagster.api import FastLabelError, job_state
from fastlabel_dagster.checks.mirror import comments_result
from fastlabel_dagster.checks.names import (
    COMMENTS_CHECK,
    CONNECTION_CHECK,
    IMPORTS_CHECK,
    POLLING_CHECK,
    TRAINING_CHECK,
)
from fastlabel_dagster.checks.outcome import outcome
from fastlabel_dagster.checks.plan import CheckPlan, one_setting
from fastlabel_dagster.resource import FastLabelResource, error_kind, error_metadata, resource_named
from fastlabel_dagster.translator import safe_name

# As the sensors report them: a failed import is tried again from where it came, a failed training leaves no model.
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def build_remote_checks(
    project: str,
    *,
    project_key: dg.AssetKey,
    training_key: dg.AssetKey | None = None,
    model_key: dg.AssetKey | None = None,
    resource_key: str = "fastlabel",
    checks: CheckPlan | None = None,
    name: str | None = None,
) -> list[dg.AssetChecksDefinition]:
    """The checks on the external assets: the newest import finished, the sensors can read the project, and (with the
    keys) the newest training finished.

    The sensors report them as they see an import or a training end, or fail to see anything; "Execute" in the UI asks
    the API there and then.
    ``checks`` says whether ``connection`` is among them; ``name`` begins the names of their ops, default from the slug.
    """
    plan = CheckPlan.of(checks)
    imports_spec = dg.AssetCheckSpec(
        IMPORTS_CHECK, asset=project_key, description="The newest import into the project finished."
    )

    def imports_check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        try:
            newest = max(fastlabel.client.import_histories.iter(project), key=_created, default=None)
        except FastLabelError as error:
            return unanswered(imports_spec, error, "import", _WARN)
        return _remote_result(imports_spec, newest, "import", "id", _WARN)

    name = name or safe_name(project)
    built = [
        dg.multi_asset_check(name=f"{name}_imports_check", specs=[imports_spec])(
            resource_named(resource_key, imports_check)
        ),
        _polling_check(f"{name}_polling_check", project, project_key, resource_key),
    ]
    if CONNECTION_CHECK in plan:
        own = f"{name}_connection_check"
        built.append(build_connection_check(project_key, project, resource_key=resource_key, checks=plan, name=own))
    if model_key is None or training_key is None:
        return built
    training_spec = dg.AssetCheckSpec(TRAINING_CHECK, asset=model_key, description="The newest training finished.")

    def training_check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        event = context.instance.get_latest_materialization_event(training_key)
        submitted = event.asset_materialization if event is not None else None
        job_id = submitted.metadata.get("training_job_id") if submitted is not None else None
        if job_id is None:
            return _remote_result(training_spec, None, "training", "trainingJobId", _ERROR)
        try:
            job = fastlabel.client.training_jobs.find(str(job_id.value))
        except FastLabelError as error:
            return unanswered(training_spec, error, "training", _ERROR)
        return _remote_result(training_spec, job, "training", "trainingJobId", _ERROR)

    built.append(
        dg.multi_asset_check(name=f"{name}_training_check", specs=[training_spec])(
            resource_named(resource_key, training_check)
        )
    )
    return built


def _polling_check(op: str, project: str, key: dg.AssetKey, resource_key: str) -> dg.AssetChecksDefinition:
    """``polling_healthy``, asked as the sensors ask: one count."""
    spec = dg.AssetCheckSpec(POLLING_CHECK, asset=key, description="The sensors can read the project.")

    def polling(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        problem: FastLabelError | None = None
        try:
            fastlabel.client.tasks.count(project)
        except FastLabelError as error:
            problem = error
        said = "can be read." if problem is None else f"cannot be read: {error_kind(problem)}: {problem}"
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=POLLING_CHECK,
            passed=problem is None,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{project} {said}",
            metadata={} if problem is None else error_metadata(problem),
        )

    return dg.multi_asset_check(name=op, specs=[spec])(resource_named(resource_key, polling))


def _remote_result(
    spec: dg.AssetCheckSpec, thing: Mapping[str, Any] | None, what: str, id_name: str, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    if thing is None:
        text, passed, metadata = f"There has been no {what} yet.", True, {}
    else:
        text, passed = f"The newest {what} is {thing.get('status')}.", job_state(dict(thing)) != "failed"
        metadata = {what: str(thing.get(id_name)), "status": str(thing.get("status"))}
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=passed,
        severity=severity,
        description=text,
        metadata=metadata,
    )


def unanswered(
    spec: dg.AssetCheckSpec, error: FastLabelError, what: str, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """A failed check and no failed step: the other checks of a run are answered all the same.

    Args:
        what: is asked about, in a word: "import".
    """
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=False,
        severity=severity,
        description=f"How the newest {what} went cannot be read: {error_kind(error)}: {error}",
        metadata=error_metadata(error),
    )


def _created(thing: Mapping[str, Any]) -> str:
    return str(thing.get("createdAt") or "")


def build_connection_check(
    asset: dg.AssetKey | str,
    project: str,
    *,
    resource_key: str = "fastlabel",
    checks: Mapping[str, Any] | CheckPlan | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """The check ``connection`` on any asset: the API answers, takes the token, and shows ``project``.

    A failure says which of these it was and what to do; it never shows the token. It costs one request.

    Args:
        asset: the key of the asset it belongs to.
        checks: ``{"connection": {"severity": …, "blocking": …}}``.
        name: of the op; default made from the slug.
    """
    setting = one_setting(CONNECTION_CHECK, checks)
    key = dg.AssetKey.from_coercible(asset)

    def connection(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        started = time.monotonic()
        try:
            client = fastlabel.client
            found = client.projects.by_slug(project)
        except FastLabelError as error:
            return outcome(setting, key, passed=False, description=str(error), metadata=error_metadata(error))
        seconds = round(time.monotonic() - started, 3)
        return outcome(
            setting,
            key,
            passed=True,
            description=f"{client.base_url} took the token and showed {project} in {seconds:.2f} s.",
            metadata={
                "address": str(client.base_url),
                "seconds": seconds,
                "project_id": str(found.get("id") or ""),
                "project_type": str(found.get("type") or ""),
            },
        )

    return dg.multi_asset_check(name=name or f"{safe_name(project)}_connection_check", specs=[setting.spec(key)])(
        resource_named(resource_key, connection)
    )


def build_comments_check(
    asset: dg.AssetKey | str,
    project: str,
    *,
    resource_key: str = "fastlabel",
    checks: Mapping[str, Any] | CheckPlan | None = None,
    name: str | None = None,
) -> dg.AssetChecksDefinition:
    """The check ``comments`` on any asset: no comment on a task of ``project`` waits to be resolved.

    Costs one request for each 1,000 messages. Arguments as for :func:`build_connection_check`.
    """
    setting = one_setting(COMMENTS_CHECK, checks)
    key = dg.AssetKey.from_coercible(asset)

    def comments(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        return comments_result(setting, key, fastlabel.client, project)

    return dg.multi_asset_check(name=name or f"{safe_name(project)}_comments_check", specs=[setting.spec(key)])(
        resource_named(resource_key, comments)
    )
