"""The jobs sensor: what FastLabel has finished becomes an asset, what failed or hangs a failed check; each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from fastlabel_dagster.api import job_state
from fastlabel_dagster.checks.names import POLLING_CHECK
from fastlabel_dagster.job_reports.outcomes import completed_job, failed_job, shown_again, stuck_events, success_check
from fastlabel_dagster.job_reports.submissions import plain
from fastlabel_dagster.jobs.kinds import EVALUATION, KINDS, TRAINING, Job, JobKind
from fastlabel_dagster.resource import FastLabelResource
from fastlabel_dagster.sensors.cursor import CursorState, dump_cursor, load_cursor
from fastlabel_dagster.sensors.health import says_healthy
from fastlabel_dagster.sensors.job_followers import JobFollowers, missed_runs
from fastlabel_dagster.sensors.open_jobs import OpenJob, Told, age, open_jobs
from fastlabel_dagster.sensors.polling import Findings, Polling, Visit, poll
from fastlabel_dagster.sensors.severity import SeverityLike, severities_of
from fastlabel_dagster.sensors.stuck import patience_of
from fastlabel_dagster.sensors.target import JobLike, listed, sensor_name, sensor_of, slugs_of
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

_KIND = "jobs"
#: A job that FastLabel does not know is given this many looks: a new one may take a moment to be listed.
_LOOKS_FOR_A_MISSING_JOB = 2
#: So many runs that have failed are named in a tick.
_FAILURES_SHOWN = 5


def build_jobs_sensor(
    projects: str | Sequence[str],
    *,
    on_model: JobLike | Mapping[str, JobLike] | None = None,
    on_evaluation: JobLike | Mapping[str, JobLike] | None = None,
    stuck_after: timedelta | float = timedelta(hours=24),
    severity: SeverityLike = None,
    kinds: Iterable[str] | Mapping[str, Iterable[str]] = tuple(KINDS),
    previews: bool = True,
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
    """A sensor that follows the jobs of one or several projects to their end.

    It finds trainings, evaluations, auto-annotations and imports in the events of the assets that submit them, asks
    FastLabel how each stands, and reports

    - a finished training as a materialization of ``<slug>/model``, another finished job as one of its own asset, each
      with what it was made from (labels version and digest, dataset and its version, model), and the check
      ``<kind>_succeeded`` as passed; of an evaluation also its check ``gate``;
    - a failed job, or one FastLabel has no more, as that check failed, and as an observation of the asset; one that is
      gone is looked for until it is ``stuck_after`` old, and again when a run attaches to it; once it is shown again it
      is followed like any other, and its end turns the check;
    - a job in progress for longer than ``stuck_after`` likewise; when it ends after all, the check turns.

    Each end is reported once. What was reported stands on the Dagster instance, so a lost cursor, a tick that is
    evaluated twice and a daemon that dies between two steps change nothing. There is no first tick to decide about:
    every job that was submitted and not reported is followed, whenever that was. The end of a job that a run waits for
    is left to that run until it has ended, or for as long as it may wait.

    The check ``polling_healthy`` of a project fails when one of its jobs cannot be read, and passes when all can again.

    Args:
        projects: slugs.
        on_model: a job that is run once for each new model, by name or object, or by slug; its run key is the id of the
            training. None runs nothing.
        on_evaluation: likewise a job that is run once for each model that was left to this sensor to evaluate
            (``wait: sensor``) and passes its gate, with the evaluation's id as run key: the auto-annotation. Where a
            run waits for the evaluation, what follows is a step of that run. Given together, ``on_model`` and
            ``on_evaluation`` are job objects, not names.
        stuck_after: how long a job may take, as a timedelta or in hours.
        severity: ``warn`` or ``error``: how bad it is when a check fails; or by the check's name, such as
            ``{"training_succeeded": "warn"}``. By default a failed job is an error, and one that cannot be read a
            warning; a job that hangs is always one.
        kinds: the kinds of jobs to follow, of ``training``, ``evaluation``, ``auto_annotation``, ``s3_import``,
            ``dicom_import``; or those of each project, by slug.
        previews: pictures in the metadata of evaluations.
        time_budget_seconds: a tick ends within this time, what it looks up on the Dagster instance included; the next
            one goes on where it stopped.
        clock: monotonic seconds; replaced in tests.

    Raises:
        ValueError: no project is named, or an unknown kind or severity; nobody says which kinds a project has;
            ``stuck_after`` is not positive; or two jobs are given and one of them by its name.
    """
    slugs = slugs_of(projects)
    followed = _followed(kinds, slugs)
    longest, severities = patience_of(stuck_after), severities_of(severity)
    called = name or sensor_name(slugs, _KIND)
    followers = JobFollowers(slugs, {TRAINING.name: on_model, EVALUATION.name: on_evaluation})
    polling = Polling(_KIND, time_budget_seconds=time_budget_seconds, severity=severities[POLLING_CHECK], clock=clock)

    def evaluate(context: dg.SensorEvaluationContext, fastlabel: FastLabelResource) -> dg.SensorResult:
        started = clock()
        before = _Remembered.of(context.cursor, context)
        jobs: dict[str, OpenJob] = {}
        requests: list[dg.RunRequest] = []
        failures: list[str] = []
        completed: dict[dg.AssetKey, set[str]] = {}
        # the instance answers at once as a rule; when it does not, the next tick begins where this one has stopped
        first = slugs.index(before.first) if before.first in slugs else 0
        turns = [*slugs[first:], *slugs[:first]]
        left: list[str] = []
        for number, slug in enumerate(turns):
            if clock() - started > time_budget_seconds / 3:
                left = turns[number:]
                context.log.warning("The Dagster instance is slow: %d projects wait for the next tick.", len(left))
                break
            for kind in dict.fromkeys((*followed[slug], *followers.kinds)):
                told = Told.read(context.instance, slug, kind, translator, followed=followers.follow(kind))
                if kind in followed[slug]:
                    jobs |= {job.target: job for job in open_jobs(context.instance, slug, told, longest)}
                if followers.follow(kind):
                    missed, failed = missed_runs(context, followers, slug, told.ends, sensor=called)
                    requests += missed
                    failures += [failed] if failed else []

        def ask(client: FastLabelClient, name: str, memory: Mapping[str, Any] | None) -> Job | None:
            job = jobs[name]
            return job.kind.look(client, job.submitted.job_id, job.project)

        def digest(visit: Visit, answer: Job | None) -> Findings:
            job = jobs[visit.target]
            done = completed.setdefault(job.key, set())
            findings = _findings(
                context.instance,
                job,
                answer,
                visit.memory or {},
                longest=longest,
                severity=severities[success_check(job.kind)],
                previews=previews,
                beside=done,
            )
            for event in findings.events:
                if not isinstance(event, dg.AssetMaterialization):
                    continue
                done.add(job.submitted.job_id)
                if followers.follow(job.kind):
                    # what this sensor reports, no run goes on from, also where one had wanted to wait for it
                    told = {**plain(event.metadata), "wait": "sensor"}
                    findings.runs = followers.following(job.project, job.kind, told)
            return findings

        result = poll(
            context,
            fastlabel,
            list(jobs),
            polling,
            ask=ask,
            digest=digest,
            health_key=lambda name: asset_key(jobs[name].project, "project", translator),
            started=started,
        )
        keys = {slug: asset_key(slug, "project", translator) for slug in slugs}
        after = _Remembered.of(result.cursor, context).with_those_of(left, before)
        asked = {request.run_key for request in result.run_requests or []}
        requests = [*(result.run_requests or []), *(one for one in requests if one.run_key not in asked)]
        quiet = result.skip_reason if jobs else dg.SkipReason(f"no job of {listed(slugs)} is under way")
        if quiet is not None and failures:
            quiet = dg.SkipReason("; ".join([*failures[:_FAILURES_SHOWN], quiet.skip_message or ""]))
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else quiet,
            asset_events=_told_by_project(
                context, result.asset_events, keys, before.unreadable(slugs), after.unreadable(slugs)
            ),
            cursor=after.cursor(),
        )

    return sensor_of(
        evaluate,
        name=called,
        description=f"Reports finished, failed and stuck jobs of {listed(slugs)}.",
        resource_key=resource_key,
        target=followers,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        owners=owners,
        tags=tags,
        metadata=metadata,
    )


def _followed(kinds: Iterable[str] | Mapping[str, Iterable[str]], slugs: Sequence[str]) -> dict[str, list[JobKind]]:
    """The kinds of jobs that are followed of each project."""
    if not isinstance(kinds, Mapping):
        of_all = [_kind(one) for one in kinds]
        return dict.fromkeys(slugs, of_all)
    if missing := [slug for slug in slugs if slug not in kinds]:
        raise ValueError(f"kinds does not say which jobs of {listed(missing)} are followed")
    return {slug: [_kind(one) for one in kinds[slug]] for slug in slugs}


def _kind(name: str) -> JobKind:
    if name not in KINDS:
        raise ValueError(f"there are no jobs of the kind {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def _findings(
    instance: dg.DagsterInstance,
    job: OpenJob,
    answer: Job | None,
    memory: Mapping[str, Any],
    *,
    longest: timedelta,
    severity: dg.AssetCheckSeverity,
    previews: bool,
    beside: Collection[str],
) -> Findings:
    id, carried = job.submitted.job_id, job.submitted.carried
    state = "gone" if answer is None else job_state(answer)
    if job.awaited and state != "running":
        return Findings({}, note=f"{job.target} is left to the run that waits for it")
    if state == "completed":
        assert answer is not None
        outcome = completed_job(
            instance, job.key, job.kind, job_id=id, job=answer, carried=carried, previews=previews, beside=beside
        )
        return Findings({}, events=outcome.events(severity))
    if state in ("failed", "gone"):
        if state == "gone" and job.gone:
            return Findings({}, note=f"{job.target} is still not there")
        looks = int(memory.get("missing", 0)) + 1
        if state == "gone" and looks < _LOOKS_FOR_A_MISSING_JOB:
            return Findings({"missing": looks}, note=f"{job.target} is not there; looking once more")
        problem = (
            f"FastLabel has no such job: {job.kind.words} {id}."
            if answer is None
            else f"The {job.kind.words} {id} ended as {answer.get('status')}."
        )
        outcome = failed_job(job.key, job.kind, job_id=id, job=answer, carried=carried, problem=problem)
        return Findings({}, events=outcome.events(severity))
    assert answer is not None
    hours = age(job.submitted) / 3600
    note = f"{job.target} is {answer.get('status')}"
    if job.gone:
        again = shown_again(job.key, job.kind, job_id=id, job=answer, carried=carried)
        return Findings({}, events=[again], note=f"{note}: it is shown again")
    if job.stuck or hours * 3600 <= longest.total_seconds():
        return Findings({}, note=note)
    stuck = stuck_events(job.key, job.kind, job_id=id, job=answer, carried=carried, hours=hours)
    return Findings({}, events=stuck, note=f"{note} for {hours:.1f} hours")


@dataclass(frozen=True)
class _Remembered:
    """What a cursor of this sensor says.

    Attributes:
        state: as the polling engine has written it.
        memories, failing: of each job, by its target.
        first: the project that a tick begins with.
    """

    state: dict[str, Any]
    memories: dict[str, dict[str, Any]]
    failing: dict[str, tuple[int, int, bool]]
    first: str

    @classmethod
    def of(cls, cursor: str | None, context: dg.SensorEvaluationContext) -> _Remembered:
        state = load_cursor(cursor, _KIND, context.log) or {}
        read = CursorState(state, context.log)
        return cls(state, read.memories(), read.failing(), read.text("first"))

    def with_those_of(self, projects: Sequence[str], before: _Remembered) -> _Remembered:
        """With what was known ``before`` of the jobs of projects that were not looked at, of which the first is the
        next tick's."""
        kept = tuple(f"{slug} " for slug in projects)
        memories = {target: known for target, known in before.memories.items() if target.startswith(kept)}
        failing = {target: known for target, known in before.failing.items() if target.startswith(kept)}
        first = projects[0] if projects else ""
        return replace(self, memories=memories | self.memories, failing=failing | self.failing, first=first)

    def cursor(self) -> str:
        """Both as a cursor."""
        more = {"failing": self.failing} if self.failing else {}
        begin = {"first": self.first} if self.first else {}
        return dump_cursor(_KIND, {**self.state, "projects": self.memories, **more, **begin})

    def unreadable(self, slugs: Sequence[str]) -> set[str]:
        """The projects one of whose jobs could not be read for long enough to be told."""
        told = [target for target, (_, _, reported) in self.failing.items() if reported]
        return {slug for slug in slugs if any(target.startswith(f"{slug} ") for target in told)}


def _told_by_project(
    context: dg.SensorEvaluationContext,
    events: Iterable[Any],
    keys: Mapping[str, dg.AssetKey],
    before: set[str],
    after: set[str],
) -> list[Any]:
    """The events, with what the engine says of the health of each job put together: one evaluation of a project's check
    when its first job cannot be read (again when another sensor has turned the check), and one when the last of them
    can be, or is none to be read any more."""
    told: list[Any] = []
    slugs = {key: slug for slug, key in keys.items()}
    failed: set[str] = set()
    for event in events:
        if not isinstance(event, dg.AssetCheckEvaluation) or event.check_name != POLLING_CHECK:
            told.append(event)
        elif not event.passed and (slug := slugs[event.asset_key]) not in failed:
            failed.add(slug)
            if slug not in before or says_healthy(context, event.asset_key):
                told.append(event)
    return told + [
        dg.AssetCheckEvaluation(
            asset_key=keys[slug],
            check_name=POLLING_CHECK,
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"The jobs of {slug} can be read.",
            metadata={"sensor": _KIND, "project": slug},
        )
        for slug in sorted(before - after)
    ]
