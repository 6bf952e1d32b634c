"""The quality sensor: open comments and tasks sent back become failed checks people see; each message acted on once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import dagster as dg

from fastlabel_dagster._compat import version_tags
from fastlabel_dagster.api.task_statuses import refuse_mistyped
from fastlabel_dagster.checks.names import OPEN_COMMENTS_CHECK, POLLING_CHECK, SENT_BACK_CHECK
from fastlabel_dagster.metadata.tables import counts_table, records_table
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.comments import Message, Reading, page_of_messages
from fastlabel_dagster.sensors.polling import Findings, Polling, Visit, poll
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.sensors.target import JobLike, Target, listed, mark, sensor_name, sensor_of, slugs_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_KIND = "quality"
_ROWS: Final = 20
_COLUMNS = [(name, "string") for name in ("created", "text", "task", "content", "comment")]


def build_quality_sensor(
    projects: str | Sequence[str],
    *,
    comments: bool = True,
    statuses: Sequence[str] = ("sent_back", "declined"),
    external_statuses: Sequence[str] = (),
    most_open_comments: int = 0,
    most_sent_back: int = 10,
    severity: SeverityLike = None,
    job: JobLike | Mapping[str, JobLike] | None = None,
    first_tick: Literal["from_now", "backfill"] = "from_now",
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
    """A sensor that tells when something is wrong with the labeling of a project, on ``fastlabel/<slug>``:

    - check ``no_open_comments``, failed when more than ``most_open_comments`` comments wait to be resolved,
      with a table of the newest messages; and for new messages an observation with a table of them;
    - check ``few_sent_back``, failed when more than ``most_sent_back`` tasks are in one of ``statuses`` or
      ``external_statuses`` taken together, with a table of the counts.

    A check is reported when what it says has changed, a message once. With ``job`` new messages request one run, and so
    does ``few_sent_back`` each time it begins to fail.

    A project costs one request a tick. FastLabel counts the tasks of one status at a time, and no other request tells
    of several, so comments and each status have their turn: with two statuses each is looked at every third tick, and
    a shorter ``minimum_interval_seconds`` makes the round shorter. ``few_sent_back`` turns when each status was looked
    at since the counts said so first, as tasks move between two looks.

    Example:
        >>> from fastlabel_dagster.sensors import build_quality_sensor
        >>> sensor = build_quality_sensor("street-scenes", most_sent_back=5, external_statuses=["customer_declined"])
        >>> sensor.name
        'street_scenes_quality'

    Args:
        projects: slugs.
        comments: whether comments are looked at.
        statuses, external_statuses: task statuses that mean somebody was not content.
        severity: ``warn`` (the default) or ``error``: how bad it is when a check fails; or by the check's name, such as
            ``{"few_sent_back": "error"}``.
        job: by name or object; for several projects also a mapping of slug to job object. None requests no runs.
        first_tick: with ``from_now`` messages there are already are no news; with ``backfill`` they are. The checks
            tell of the present state either way.
        time_budget_seconds: Dagster ends a tick after 60 s, some proxies after 15 s.
        owners, tags, metadata: the sensor's own, in Dagster.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: there is nothing to look at, no project is named, or one has no job.
    """
    slugs = slugs_of(projects)
    questions = (
        *(["comments"] if comments else []),
        *(f"status {one}" for one in dict.fromkeys(statuses)),
        *(f"external status {one}" for one in dict.fromkeys(external_statuses)),
    )
    refuse_mistyped("quality: statuses:", (*statuses, *external_statuses))
    if not questions:
        raise ValueError("there is nothing to look at: comments=True, statuses or external_statuses")
    target = Target(job, slugs, runs=False)
    severities = severities_of(severity)
    rule = _Rule(questions, most_open_comments, most_sent_back, len(slugs), severities)
    polling = Polling(
        _KIND,
        time_budget_seconds=time_budget_seconds,
        first_tick=first_tick,
        severity=severities[POLLING_CHECK],
        clock=clock,
    )

    def key(slug: str) -> dg.AssetKey:
        return asset_key(slug, "project", translator)

    def digest(visit: Visit, answer: Any) -> Findings:
        return _Look(visit, key(visit.target), rule, None if job is None else target).findings(answer)

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult:
        return poll(context, fastlabel, slugs, polling, ask=rule.ask, digest=digest, health_key=key)

    return sensor_of(
        evaluate,
        name=name or sensor_name(slugs, "quality"),
        description=f"Tells of comments and of tasks sent back in {listed(slugs)}.",
        resource_key=resource_key,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        owners=owners,
        tags=tags,
        metadata=metadata,
    )


def comments_evaluation(
    key: dg.AssetKey, open_comments: int, most: int, newest: Sequence[Message], severity: dg.AssetCheckSeverity
) -> dg.AssetCheckEvaluation:
    """``no_open_comments`` with a table of the newest messages of open comments."""
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=OPEN_COMMENTS_CHECK,
        passed=open_comments <= most,
        severity=severity,
        description=f"{open_comments:,} comments wait to be resolved ({most:,} are fine).",
        metadata={"open_comments": open_comments, "newest": _table(newest)},
    )


def sent_back_evaluation(
    key: dg.AssetKey, counts: Mapping[str, int], most: int, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckEvaluation:
    """``few_sent_back`` with a table of the counts by status."""
    total = sum(counts.values())
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=SENT_BACK_CHECK,
        passed=total <= most,
        severity=severity,
        description=f"{total:,} tasks are sent back or declined ({most:,} are fine).",
        metadata={"tasks": total, "by_status": counts_table(counts, "status")},
    )


def _table(messages: Sequence[Message]) -> dg.TableMetadataValue:
    return records_table([vars(message) for message in messages[:_ROWS]], _COLUMNS)


@dataclass(frozen=True)
class _Rule:
    """What is asked of how many projects, one question a visit, how much is too much, and how bad that is."""

    questions: tuple[str, ...]
    most_open_comments: int
    most_sent_back: int
    projects: int
    severities: Mapping[str, dg.AssetCheckSeverity]

    def question(self, memory: Mapping[str, Any] | None) -> str:
        """The question whose turn it is."""
        return self.questions[int((memory or {}).get("turn", 0)) % len(self.questions)]

    def ask(self, client: FastLabelClient, project: str, memory: Mapping[str, Any] | None) -> Any:
        """One request."""
        question = self.question(memory)
        if question == "comments":
            return page_of_messages(client, project, (memory or {}).get("comments"))
        kind, _, status = question.rpartition("status ")
        return client.tasks.count(project, **{"external_status" if kind else "status": status})


class _Look:
    """One visit of one project."""

    def __init__(self, visit: Visit, key: dg.AssetKey, rule: _Rule, target: Target | None) -> None:
        self.visit, self.key, self.rule, self.target = visit, key, rule, target
        self.memory: dict[str, Any] = dict(visit.memory) if visit.memory is not None else {"turn": 0}
        # runs are numbered below a birth mark, which must stand in the cursor before the first of them
        self.numbered = target is None or "epoch" in self.memory
        if not self.numbered:
            self.memory["epoch"] = uuid.uuid4().hex[:12]
        self.events: list[dg.AssetCheckEvaluation | dg.AssetObservation] = []
        self.runs: list[dg.RunRequest] = []

    def findings(self, answer: Any) -> Findings:
        """What the answer to this visit's question means."""
        question = self.rule.question(self.visit.memory)
        staged = self.memory.pop("staged", None)
        if staged:  # who shares the run stood in the cursor before it is requested
            self._request(f"comments/{staged[1]}", f"{staged[0]} new message(s)")
        note = self._comments(answer) if question == "comments" else self._statuses(question, int(answer))
        self.memory["turn"] = (int(self.memory["turn"]) + 1) % len(self.rule.questions)
        return Findings(self.memory, runs=self.runs, events=self.events, note=f"{self.visit.target}: {note}")

    def _comments(self, page: Sequence[Mapping[str, Any]]) -> str:
        reading = Reading.load(self.memory.get("comments", {}), targets=self.rule.projects)
        known = reading.open is not None or self.visit.first_tick == "backfill"
        newest, new = reading.take(page)
        self.memory["comments"] = reading.dump()
        new = new if known else []
        if new:
            self.events.append(
                dg.AssetObservation(
                    self.key,
                    description=f"{len(new)} new message(s) on open comments.",
                    metadata={"new_messages": len(new), "messages": _table(new)},
                    tags=version_tags(self.visit.context.instance, self.key),
                )
            )
            if self.target is not None:
                self.memory["staged"] = [len(new), mark(sorted(message.id for message in new))]
        if reading.open is None:
            return f"reading its messages, page {reading.page + 1} is next"
        told = self.memory.get("told_open")
        if reading.page == 0 and (new or reading.open != told):
            most, severity = self.rule.most_open_comments, self.rule.severities[OPEN_COMMENTS_CHECK]
            self.events.append(comments_evaluation(self.key, reading.open, most, newest, severity))
            self.memory["told_open"] = reading.open
        return f"{reading.open} open comments, {len(new)} new message(s)"

    def _statuses(self, question: str, count: int) -> str:
        asked = [one for one in self.rule.questions if one != "comments"]
        counts: list[int | None] = self.memory.get("counts", [])
        counts = [*counts] if len(counts) == len(asked) else [None] * len(asked)
        if counts[asked.index(question)] != count:
            counts[asked.index(question)] = count
            self.memory["untold"] = 1
        self.memory["counts"] = counts
        known = {
            one.replace("status ", ""): number for one, number in zip(asked, counts, strict=True) if number is not None
        }
        if len(known) == len(asked) and self.numbered:
            severity = self.rule.severities[SENT_BACK_CHECK]
            evaluation = sent_back_evaluation(self.key, known, self.rule.most_sent_back, severity)
            if self._believed(failing=not evaluation.passed, looks=len(asked)) and self.memory.pop("untold", None):
                self.events.append(evaluation)
                self._alarm(failing=not evaluation.passed)
        return f"{count} tasks are {question.replace('status ', '')}"

    def _believed(self, *, failing: bool, looks: int) -> bool:
        """Whether the check may say so: it turns when every status was looked at since the counts first said that it
        should. A task that moves from one status to another between two looks is counted twice, or not at all."""
        if failing == self.memory.get("failing", failing):
            self.memory.pop("turned", None)
            return True
        turned = int(self.memory.get("turned", 0)) + 1
        self.memory["turned"] = turned
        return turned >= looks

    def _alarm(self, *, failing: bool) -> None:
        """Request a run when the tasks sent back have become many; how they were found at first is no news."""
        before = self.memory.get("failing", self.visit.first_tick == "from_now")
        self.memory["failing"] = failing
        if failing and not before and self.target is not None:
            number = self.memory["alarms"] = int(self.memory.get("alarms", 0)) + 1
            self._request(f"sent_back/{self.memory['epoch']}/{number}", "many tasks are sent back or declined")

    def _request(self, what: str, trigger: str) -> None:
        if self.target is not None:
            run_key = f"fastlabel/{self.visit.target}/{what}"
            tags = {"fastlabel/trigger": trigger}
            self.runs.extend(self.target.requests(self.visit.context, self.visit.target, run_key, tags))
