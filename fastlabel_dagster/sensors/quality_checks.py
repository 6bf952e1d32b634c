"""The checks the quality sensor reports, as definitions: what Dagster shows, and answers by hand too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from fastlabel_dagster.checks.names import OPEN_COMMENTS_CHECK, SENT_BACK_CHECK
from fastlabel_dagster.resource import FastLabelResource, resource_named
from fastlabel_dagster.sensors.comments import Message
from fastlabel_dagster.sensors.quality import comments_evaluation, sent_back_evaluation
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key, safe_name


def build_quality_checks(
    project: str,
    *,
    comments: bool = True,
    statuses: Sequence[str] = ("sent_back", "declined"),
    external_statuses: Sequence[str] = (),
    most_open_comments: int = 0,
    most_sent_back: int = 10,
    severity: SeverityLike = None,
    name: str | None = None,
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
) -> dg.AssetChecksDefinition:
    """The checks on ``fastlabel/<slug>`` that the quality sensor reports: Dagster shows no check that is not defined.

    ``no_open_comments`` and ``few_sent_back``, with the arguments of
    :func:`~fastlabel_dagster.sensors.build_quality_sensor`. "Execute" in the UI asks the API there and then.

    Example:
        >>> from fastlabel_dagster.sensors import build_quality_checks
        >>> sorted(key.name for key in build_quality_checks("street-scenes").check_keys)
        ['few_sent_back', 'no_open_comments']

    Args:
        name: of the op; default made from the slug.

    Raises:
        ValueError: there is nothing to look at, or ``severity`` makes no sense.
    """
    severities = severities_of(severity)
    key = asset_key(project, "project", translator)
    descriptions: dict[str, str] = {}
    if comments:
        descriptions[OPEN_COMMENTS_CHECK] = f"At most {most_open_comments:,} comments wait to be resolved."
    if statuses or external_statuses:
        descriptions[SENT_BACK_CHECK] = f"At most {most_sent_back:,} tasks are sent back or declined."
    if not descriptions:
        raise ValueError("there is nothing to look at: comments=True, statuses or external_statuses")

    def open_comments(fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        with fastlabel.dagster_errors() as client:
            threads = [
                thread
                for thread in client.comments.iter(project)
                if not (thread.get("comment") or {}).get("isResolved")
            ]
        threads.sort(key=lambda thread: str(thread.get("createdAt")), reverse=True)
        messages = [Message.of(thread) for thread in threads]
        count = len({message.comment for message in messages})
        return _result(comments_evaluation(key, count, most_open_comments, messages, severities[OPEN_COMMENTS_CHECK]))

    def sent_back(fastlabel: FastLabelResource) -> dg.AssetCheckResult:
        with fastlabel.dagster_errors() as client:
            counts = {one: client.tasks.count(project, status=one) for one in statuses}
            counts |= {f"external {one}": client.tasks.count(project, external_status=one) for one in external_statuses}
        return _result(sent_back_evaluation(key, counts, most_sent_back, severities[SENT_BACK_CHECK]))

    answers = {OPEN_COMMENTS_CHECK: open_comments, SENT_BACK_CHECK: sent_back}

    def check(context: dg.AssetCheckExecutionContext, fastlabel: FastLabelResource) -> Iterator[dg.AssetCheckResult]:
        for selected in sorted(context.selected_asset_check_keys, key=lambda one: one.name):
            yield answers[selected.name](fastlabel)

    specs = [dg.AssetCheckSpec(check_name, asset=key, description=said) for check_name, said in descriptions.items()]
    op_name = name or f"{safe_name(project)}_quality_checks"
    decorated: Any = dg.multi_asset_check(name=op_name, specs=specs, can_subset=True)
    definition: dg.AssetChecksDefinition = decorated(resource_named(resource_key, check))
    return definition


def _result(evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    """What a sensor would report, from a step."""
    return dg.AssetCheckResult(
        asset_key=evaluation.asset_key,
        check_name=evaluation.check_name,
        passed=evaluation.passed,
        severity=evaluation.severity,
        description=evaluation.description,
        metadata=evaluation.metadata,
    )
