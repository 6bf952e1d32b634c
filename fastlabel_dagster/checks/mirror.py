"""Checks of ``<slug>/labels``, computed in the sync: is the mirror whole, is the work going on, is it far enough?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import FastLabelError
from fastlabel_dagster.api.task_statuses import in_order
from fastlabel_dagster.checks.names import (
    APPROVAL_SHARE_CHECK,
    COMMENTS_CHECK,
    FRESHNESS_CHECK,
    PARITY_CHECK,
    QUARANTINE_CHECK,
)
from fastlabel_dagster.checks.outcome import MOST_OFFENDERS, offenders_table, outcome, percent, shortened_words
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting
from fastlabel_dagster.metadata.tables import quarantine_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.labels import Labels
    from fastlabel_dagster.sync import SyncReport


def mirror_results(
    plan: CheckPlan,
    key: dg.AssetKey,
    *,
    report: SyncReport,
    counted: int,
    labels: Callable[[], Labels],
    client: FastLabelClient,
) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks on the part ``labels``.

    Args:
        report: of the sync that has just ended. counted: tasks by the API's own count, asked after it.
        labels: the mirror's newest labels; read only for the checks that need them.
    """
    for setting in plan.of_part("labels"):
        match setting.name:
            case name if name == PARITY_CHECK:
                yield parity_result(
                    setting,
                    key,
                    mirrored=report.tasks,
                    quarantined=len(report.quarantined),
                    counted=counted,
                    settled=report.settled,
                )
            case name if name == QUARANTINE_CHECK:
                yield quarantine_result(setting, key, report.quarantined, report.quarantine_file)
            case name if name == FRESHNESS_CHECK:
                yield freshness_result(setting, key, newest_change(labels()))
            case name if name == APPROVAL_SHARE_CHECK:
                yield approval_share_result(setting, key, statuses_of(labels()))
            case name if name == COMMENTS_CHECK:
                yield comments_result(setting, key, client, report.project, labels)


def parity_result(
    setting: CheckSetting, key: dg.AssetKey, *, mirrored: int, quarantined: int, counted: int, settled: bool = True
) -> dg.AssetCheckResult:
    """Mirror against ``tasks/count``. A difference is an error: labels are missing, or gone tasks are still there.

    In a project people are editing right now, tasks may come and go between the sync and the count; the next sync
    tells. ``settled`` says whether the sync's last pass saw nothing new; when it did, the description says so.
    """
    moving = "" if settled else " The project was changing while it was read: its last pass still found something new."
    difference = counted - mirrored - quarantined
    return outcome(
        setting,
        key,
        passed=abs(difference) <= setting["at_most"],
        description=f"{mirrored:,} mirrored + {quarantined:,} in quarantine, the API counts {counted:,}.{moving}",
        metadata={
            "mirrored": mirrored,
            "quarantined": quarantined,
            "counted": counted,
            "difference": difference,
            "settled": settled,
        },
    )


def quarantine_result(
    setting: CheckSetting, key: dg.AssetKey, entries: Sequence[Any], file: str | None = None
) -> dg.AssetCheckResult:
    """What could not be read as a task, with the reasons; all of it is listed in ``file``, below ``quarantine/``."""
    metadata: dict[str, Any] = {"quarantined": len(entries)}
    if entries:
        metadata["tasks"] = quarantine_table(entries[:MOST_OFFENDERS])
    if file:
        metadata["listed_in"] = file
    return outcome(
        setting,
        key,
        passed=len(entries) <= setting["at_most"],
        description="Nothing in quarantine." if not entries else f"{len(entries):,} tasks are in quarantine.",
        metadata=metadata,
    )


@dataclass(frozen=True)
class NewestChange:
    """The task that was changed last: when (by ``updatedAt``), and which."""

    at: datetime
    task_id: str
    name: str


def newest_change(labels: Labels) -> NewestChange | None:
    """The newest change of any task; None when no task says when it was changed."""
    import pyarrow.compute as pc

    found: NewestChange | None = None
    for table in labels.batches(["task_id", "name", "updated_at"]):
        newest = pc.max(table["updated_at"]).as_py()
        if newest is not None and (found is None or newest > found.at):
            row = pc.index(table["updated_at"], newest).as_py()
            found = NewestChange(newest, str(table["task_id"][row].as_py()), str(table["name"][row].as_py()))
    return found


def freshness_result(
    setting: CheckSetting, key: dg.AssetKey, newest: NewestChange | None, *, now: datetime | None = None
) -> dg.AssetCheckResult:
    """Whether the newest change of a task is younger than ``changed_within_hours`` at ``now`` (default: the present).

    How long ago the newest *sync* was is not asked here, in a sync; :func:`freshness_policy` is for that.
    """
    hours = setting["changed_within_hours"]
    if newest is None:
        return outcome(setting, key, passed=True, description="No task says when it was changed.")
    age = ((now or datetime.now(timezone.utc)) - newest.at).total_seconds() / 3600
    limit = "" if hours is None else f" Up to {hours:g} hours is fine."
    return outcome(
        setting,
        key,
        passed=hours is None or age <= hours,
        description=f"The newest change of a task is {_age(age)} old: {newest.name}.{limit}",
        metadata={
            "newest_change": dg.MetadataValue.timestamp(newest.at),
            "age_hours": round(age, 2),
            "task_id": newest.task_id,
            "task": newest.name,
        },
    )


def freshness_policy(plan: CheckPlan) -> dg.FreshnessPolicy | None:
    """What Dagster can watch by itself, between the runs too: that the mirror is synced within
    ``synced_within_hours``. None when the check ``freshness`` is off or says null."""
    setting = plan.get(FRESHNESS_CHECK)
    hours = None if setting is None else setting["synced_within_hours"]
    return None if hours is None else dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours))


def statuses_of(labels: Labels) -> Mapping[str, int]:
    """Tasks by status."""
    from fastlabel_dagster.labels.summary import status_counts

    return status_counts(labels)


def approval_share_result(setting: CheckSetting, key: dg.AssetKey, statuses: Mapping[str, int]) -> dg.AssetCheckResult:
    """The share of tasks in one of the check's ``statuses``. A project without tasks passes: nothing waits."""
    total = sum(statuses.values())
    far = sum(statuses.get(status, 0) for status in setting["statuses"])
    share = far / total if total else 1.0
    rows = [
        {"status": status, "tasks": count, "share": round(count / total, 4), "counts": status in setting["statuses"]}
        for status, count in in_order(statuses).items()
    ]
    words = " or ".join(setting["statuses"])
    return outcome(
        setting,
        key,
        passed=share >= setting["at_least"],
        description=f"{far:,} of {total:,} tasks are {words} ({percent(share)}; "
        f"{percent(setting['at_least'])} is asked for).",
        metadata={
            "share": round(share, 6),
            "tasks": total,
            "far_enough": far,
            "statuses": offenders_table(
                rows, [("status", "string"), ("tasks", "int"), ("share", "float"), ("counts", "bool")]
            ),
        },
    )


def comments_result(
    setting: CheckSetting,
    key: dg.AssetKey,
    client: FastLabelClient,
    project: str,
    labels: Callable[[], Labels] | None = None,
) -> dg.AssetCheckResult:
    """The comments of a project that nobody has resolved, oldest first, with their first message; one request for each
    1,000 messages. When the API refuses, the check fails and says why: the sync it belongs to is not to blame.

    Args:
        labels: where the names of the commented tasks are looked up; without it the table has ids only.
    """
    unresolved: dict[str, dict[str, Any]] = {}
    comments: set[str] = set()
    try:
        for message in client.comments.iter(project):
            comment = message.get("comment")
            comment = comment if isinstance(comment, Mapping) else {}
            name = str(comment.get("id") or message.get("id"))
            comments.add(name)
            created = str(message.get("createdAt") or "")
            before = unresolved.get(name)
            if comment.get("isResolved") or (before is not None and before["since"] <= created):
                continue
            unresolved[name] = {
                "task_id": str(comment.get("taskId") or ""),
                "content": comment.get("contentName"),
                "frame": comment.get("frame") or None,
                "status": comment.get("status"),
                "since": created,
                "message": shortened_words(message.get("text") or ""),
            }
    except FastLabelError as error:
        return outcome(setting, key, passed=False, description=f"The comments could not be read: {error}")
    oldest = sorted(unresolved.values(), key=lambda row: row["since"])
    shown = oldest[:MOST_OFFENDERS]
    names = {} if labels is None else _names(labels(), {row["task_id"] for row in shown})
    rows = [{"task": names.get(row["task_id"]), **row} for row in shown]
    columns = [(name, "int" if name == "frame" else "string") for name in _COMMENT]
    metadata: dict[str, Any] = {
        "unresolved": len(unresolved),
        "comments": len(comments),
        "tasks": len({row["task_id"] for row in oldest}),
    }
    if rows:
        metadata["unresolved_comments"] = offenders_table(rows, columns)
    return outcome(
        setting,
        key,
        passed=len(unresolved) <= setting["at_most"],
        description=f"{len(unresolved):,} of {len(comments):,} comments are not resolved."
        if comments
        else "There are no comments.",
        metadata=metadata,
    )


_COMMENT = ("task_id", "task", "content", "frame", "status", "since", "message")


def _names(labels: Labels, task_ids: set[str]) -> dict[str, str]:
    """Names of a few tasks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found = pa.array(sorted(task_ids), pa.string()), dict[str, str]()
    for table in labels.batches(["task_id", "name"]) if task_ids else ():
        rows = table.filter(pc.is_in(table["task_id"], value_set=wanted))
        found.update(zip(rows["task_id"].to_pylist(), rows["name"].to_pylist(), strict=True))
    return found


def _age(hours: float) -> str:
    if hours < 48:
        return f"{hours:.1f} hours"
    return f"{hours / 24:.0f} days"
