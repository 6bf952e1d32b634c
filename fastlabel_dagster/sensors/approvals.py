"""The approval sensor: when enough tasks have been approved, the retraining job runs, once per batch."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from fastlabel_dagster.api.task_statuses import refuse_mistyped
from fastlabel_dagster.checks.names import POLLING_CHECK
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.cursor import short
from fastlabel_dagster.sensors.polling import Findings, Polling, Visit, poll
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.sensors.target import JobLike, Target, listed, sensor_name, sensor_of, slugs_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_KIND = "approvals"


def build_approval_sensor(
    project: str | Sequence[str],
    *,
    every: int | None = None,
    share: float | None = None,
    job: JobLike | Mapping[str, JobLike] | None = None,
    status: str | None = "approved",
    external_status: str | None = None,
    task_tags: Sequence[str] | None = None,
    first_tick: Literal["from_now", "backfill"] = "from_now",
    severity: SeverityLike = None,
    name: str | None = None,
    resource_key: str = "fastlabel",
    translator: DagsterFastLabelTranslator | None = None,
    time_budget_seconds: float = 10.0,
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dg.SensorDefinition:
    """A sensor that requests one run of ``job`` when enough tasks of a project are approved.

    Two conditions; when both are given, a run is requested only when both hold:

    - ``every``: that many more tasks are approved than at the last request. **Net count**: the remembered number
      follows the count down when two counts one after the other say so, so a task that is sent back, and approved again
      some ticks later, counts again; a task approved and another sent back between two ticks cancel out. All approvals
      known at a tick belong to that batch: 95 new ones with ``every=40`` are one run, not two.
    - ``share``: that part of the tasks (0…1) is approved. Alone it fires when the share is reached, and again only
      after it was below. It needs the number of all tasks too, which is asked for in turn with the other, so that a
      project still costs one request a tick; the share must be reached in two looks one after the other, so that no
      number of yesterday decides.

    Which tasks count is said by ``status``, ``external_status`` and ``task_tags`` together; ``task_tags`` also narrows
    the tasks the share is taken of.

    The first tick of a project after the sensor is switched on (or its cursor is reset, or other tasks count than
    before) only remembers and never fires: ``first_tick="from_now"`` counts from the present number and takes a share
    that is reached for known; with ``"backfill"`` both count as new.

    Each batch has a ``run_key`` made of the cursor's birth mark and the batch number, so a batch that is evaluated
    twice (daemon restarted before it stored the cursor) still launches one run.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster import build_approval_sensor
        >>> retrain = dg.define_asset_job("retrain", selection=dg.AssetSelection.groups("street_scenes"))
        >>> definitions = dg.Definitions(
        ...     jobs=[retrain], sensors=[build_approval_sensor("street-scenes", every=200, job=retrain)]
        ... )
        >>> accepted = build_approval_sensor(  # nine tenths of the night pictures are accepted by the customer
        ...     ["harbour", "airport"], share=0.9, status=None, external_status="approved", task_tags=["night"],
        ...     job=retrain, name="night_is_accepted",
        ... )

    Args:
        project: slug of the project, or of several, each with a count and batches of its own.
        every: how many newly approved tasks make a batch, at least 1.
        share: above 0, at most 1.
        job: the job to run, as an object, or by the name of one among the same ``Definitions``: Dagster refuses to load
            a sensor whose job is not there. For several projects also a mapping of slug to job object. None: the
            project's assets from mirror to training, no job is needed.
        status: the task status that counts; None for any.
        external_status: the same for the customer's side.
        task_tags: only tasks with these tags.
        severity: ``warn`` (the default) or ``error``: how bad it is when ``polling_healthy`` fails.
        resource_key: under which key the code location holds its :class:`FastLabelResource`.
        time_budget_seconds: Dagster ends a tick after 60 s, some proxies after 15 s.
        owners, tags, metadata: the sensor's own, in Dagster.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: there is no condition, or one that makes no sense; no project is named, or one has no job.
    """
    slugs = slugs_of(project)
    refuse_mistyped("approvals: status:", [one for one in (status, external_status) if one])
    rule = _Rule(every, share, status, external_status, tuple(task_tags or ()))
    target = Target(job, slugs, training=True)
    polling = Polling(
        _KIND,
        time_budget_seconds=time_budget_seconds,
        first_tick=first_tick,
        severity=severities_of(severity)[POLLING_CHECK],
        migrations={1: lambda state: _from_v1(state, slugs)},
        clock=clock,
    )

    def digest(visit: Visit, answer: int) -> Findings:
        return _digest(visit, answer, rule, target)

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult:
        return poll(
            context,
            fastlabel,
            slugs,
            polling,
            ask=rule.ask,
            digest=digest,
            health_key=lambda slug: asset_key(slug, "project", translator),
        )

    return sensor_of(
        evaluate,
        name=name or sensor_name(slugs, "approvals"),
        description=f"Requests a run for {rule.words} of {listed(slugs)}.",
        resource_key=resource_key,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        owners=owners,
        tags=tags,
        metadata=metadata,
    )


@dataclass(frozen=True)
class _Rule:
    """When a project is ready for a run."""

    every: int | None
    share: float | None
    status: str | None
    external_status: str | None
    task_tags: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.every is None and self.share is None:
            raise ValueError("say when to run: every=, share= or both")
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")
        if self.share is not None and not (self.status or self.external_status):
            raise ValueError("a share needs status= or external_status=: which tasks is it made of?")

    @property
    def counted(self) -> str:
        """The tasks that count, as an adjective: ``approved``, ``externally approved``, ``approved, tagged night``."""
        words = [self.status] if self.status else []
        words += [f"externally {self.external_status}"] if self.external_status else []
        words += [f"tagged {' and '.join(self.task_tags)}"] if self.task_tags else []
        return ", ".join(words) or "registered"

    @property
    def words(self) -> str:
        """The conditions in words."""
        parts = [f"every {self.every} newly {self.counted} tasks"] if self.every is not None else []
        parts += [f"{self.share:.0%} of the tasks {self.counted}"] if self.share is not None else []
        return " and ".join(parts)

    def known(self, memory: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """``memory``, unless it is of other tasks than those that count now: then it is a first visit again."""
        return None if memory is None or memory.get("of", self.mark) != self.mark else memory

    @property
    def mark(self) -> str:
        """Stands for which tasks count."""
        return short("\n".join((self.status or "", self.external_status or "", *sorted(self.task_tags))))

    def asks_for_all(self, memory: Mapping[str, Any] | None) -> bool:
        """Whether this look asks for the number of all tasks, or of those that count."""
        known = self.known(memory)
        return self.share is not None and known is not None and known.get("asked") == "counted"

    def ask(self, client: FastLabelClient, project: str, memory: Mapping[str, Any] | None) -> int:
        """One count."""
        tagged = list(self.task_tags) or None
        if self.asks_for_all(memory):
            return client.tasks.count(project, tags=tagged)
        return client.tasks.count(project, status=self.status, external_status=self.external_status, tags=tagged)


def _digest(visit: Visit, answer: int, rule: _Rule, target: Target) -> Findings:
    slug = visit.target
    known = rule.known(visit.memory)
    memory: dict[str, Any] = dict(known or {"epoch": uuid.uuid4().hex[:12], "batch": 0}) | {"of": rule.mark}
    if rule.asks_for_all(visit.memory):
        memory |= {"all": int(answer), "asked": "all"}
    else:
        memory |= {"count": int(answer)} | ({"asked": "counted"} if rule.share is not None else {})
    count = int(memory["count"])
    if known is None:
        baseline = memory["baseline"] = 0 if visit.backfill else count
        follows = f"a run follows {rule.words}"
        return Findings(memory, note=f"{slug}: watching from {baseline} {rule.counted} tasks (now {count}); {follows}.")
    if not rule.asks_for_all(visit.memory):
        _follow_down(memory, count)
    reached, said = _share_reached(memory, rule, visit)
    new = max(0, count - memory["baseline"])
    if rule.every is None:
        due = reached and memory.get("armed", False)
    else:
        due = new >= rule.every and reached
        said = f"{new} of {rule.every} newly {rule.counted} ({count} in all){said and '; '}{said}"
    if not due:
        return Findings(memory, note=f"{slug}: {said}.")
    batch = memory["batch"] = int(memory["batch"]) + 1
    trigger = f"{new} newly {rule.counted}" if rule.every is not None else said
    memory |= {"baseline": count} | ({"armed": False} if rule.share is not None else {})
    visit.context.log.info("%s: %s: requesting a run.", slug, said)
    of = "/".join(part for part in (rule.status, rule.external_status) if part) or "any"
    run_key = f"fastlabel/{slug}/{of}/{memory['epoch']}/{batch}"
    run_tags = {"fastlabel/trigger": trigger, "fastlabel/batch": str(batch)}
    return Findings(memory, runs=target.requests(visit.context, slug, run_key, run_tags))


def _follow_down(memory: dict[str, Any], count: int) -> None:
    """Let the remembered number go down as far as two counts one after the other say: a single one may be wrong, and
    the right one after it would look like a batch."""
    baseline, before = int(memory["baseline"]), memory.pop("lower", None)
    if count < baseline:
        memory["lower"] = count
        if before is not None:
            memory["baseline"] = min(baseline, max(int(before), count))


def _share_reached(memory: dict[str, Any], rule: _Rule, visit: Visit) -> tuple[bool, str]:
    """Whether the share has been reached in this look and the one before, and in words. Arms itself when it has not."""
    if rule.share is None:
        return True, ""
    if "all" not in memory:
        return False, f"counting all tasks next, for a share of {rule.share:.0%}"
    everything = int(memory["all"])
    # as a quotient: 0.55 * 100 is a little more than 55
    now = everything > 0 and memory["count"] / everything >= rule.share
    before, memory["reached"] = memory.get("reached"), now
    if before is None:  # the first share known
        memory["armed"] = not now or visit.first_tick == "backfill"
    elif not now and not before:
        memory["armed"] = True
    said = f"{memory['count']} of {everything} {rule.counted} ({memory['count'] / max(1, everything):.1%})"
    return bool(now and before), f"{said}, {rule.share:.0%} is wanted"


def _from_v1(state: dict[str, Any], slugs: Sequence[str]) -> dict[str, Any]:
    """A cursor of release 0.1, which knew one project."""
    known = {name: state[name] for name in ("epoch", "baseline", "batch")}
    return {"kind": state["kind"], "projects": {slugs[0]: known | {"count": known["baseline"]}}}
