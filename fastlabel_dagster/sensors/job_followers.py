"""What is run when a training or an evaluation has finished, once for each, also when a tick died on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from fastlabel_dagster.job_reports.submissions import JobHistory, named_job
from fastlabel_dagster.jobs.kinds import EVALUATION, TRAINING, JobKind
from fastlabel_dagster.sensors.target import JobLike, Target, job_objects, launching

#: What is older than this starts no run any more: the runs that show whether it has may be deleted by then.
NEW = timedelta(days=3)
#: How runs end that have not done their work.
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
#: So many of the jobs that have completed last are looked at for one that no run has followed.
_FOLLOWED = 50


class JobFollowers(Target):
    """The jobs that are run when something has finished, by the kind of what has: trainings and evaluations."""

    def __init__(self, projects: Sequence[str], jobs: Mapping[str, JobLike | Mapping[str, JobLike] | None]) -> None:
        self._jobs = {kind: job for kind, job in jobs.items() if job is not None}
        if len(self._jobs) > 1 and any(isinstance(job, str) for job in self._jobs.values()):
            raise ValueError("on_model and on_evaluation are given as job objects when there are both of them")
        self._targets = {kind: Target(job, projects) for kind, job in self._jobs.items()}

    @property
    def kinds(self) -> list[JobKind]:
        """Those whose end something follows."""
        return [kind for kind in (TRAINING, EVALUATION) if self.follow(kind)]

    def follow(self, kind: JobKind) -> bool:
        """Whether anything is run when a job of this kind has finished."""
        return kind.name in self._jobs

    def arguments(self) -> dict[str, Any]:
        if len(self._jobs) < 2:
            return {key: value for target in self._targets.values() for key, value in target.arguments().items()}
        objects = [one for job in self._jobs.values() for one in job_objects(job)]
        return {"jobs": list({one.name: one for one in objects}.values())}

    def _chosen(self, project: str, kind: JobKind) -> JobLike:
        job = self._jobs[kind.name]
        return job[project] if isinstance(job, Mapping) else job

    def job_name(self, project: str, kind: JobKind) -> str:
        """What the job is called that is run for this project."""
        chosen = self._chosen(project, kind)
        return chosen if isinstance(chosen, str) else str(chosen.name)

    def following(self, project: str, kind: JobKind, told: Mapping[str, Any]) -> list[dg.RunRequest]:
        """The run that follows a materialization with this metadata, if one does."""
        job_id = named_job(told, kind)
        waits_elsewhere = kind is EVALUATION and told.get("wait") != "sensor"
        if not job_id or waits_elsewhere or told.get("gate_passed") is False:
            return []
        chosen = self._chosen(project, kind)
        trigger = "a new model" if kind is TRAINING else "a model passed its gate"
        tags = {"fastlabel/project": project, "fastlabel/trigger": trigger}
        return [dg.RunRequest(run_key=job_id, tags=tags, **launching(chosen, project))]


def missed_runs(
    context: dg.SensorEvaluationContext,
    followers: JobFollowers,
    project: str,
    ends: JobHistory,
    *,
    sensor: str,
) -> tuple[list[dg.RunRequest], str]:
    """The runs for new materializations that none has followed: a tick has reported one and died before the run was
    launched, or a run that waited for the job has made it. The oldest first.

    A run has followed when this sensor has launched it, or when it is of the same job: the run key alone is the id of
    what has finished, and another sensor may run another job for that.

    Returns:
        The runs, and a sentence when the one that has followed the newest end has failed: none is asked for again, so
        that what fails each time is not paid for each time, and somebody has to know.
    """
    kind, since = ends.kind, time.time() - NEW.total_seconds()
    wanted: dict[str, dg.RunRequest] = {}
    for told in reversed(list(ends.reports(since=since).values())[:_FOLLOWED]):
        wanted |= {str(one.run_key): one for one in followers.following(project, kind, told)}
    if not wanted:
        return [], ""
    job = followers.job_name(project, kind)
    newest, of_newest = list(wanted)[-1], []
    for run in context.instance.get_runs(filters=dg.RunsFilter(tags={"dagster/run_key": list(wanted)})):
        if run.job_name == job or run.tags.get("dagster/sensor_name") == sensor:
            key = run.tags["dagster/run_key"]
            wanted.pop(key, None)
            of_newest += [run] if key == newest else []
    return list(wanted.values()), _failed_for_good(context.instance, kind, newest, of_newest)


def _failed_for_good(instance: dg.DagsterInstance, kind: JobKind, job_id: str, runs: Sequence[dg.DagsterRun]) -> str:
    """What to do about the ``runs`` that have followed a job, when all of them have failed, and so has whatever of them
    was executed again."""
    if not runs or any(run.status not in _FAILED for run in runs):
        return ""
    again = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/root_run_id": [run.run_id for run in runs]}))
    if any(run.status not in _FAILED for run in again):
        return ""
    one = runs[0]
    return (
        f"the run of {one.job_name} that follows the {kind.words} {job_id} has failed and is not requested again: "
        f"re-execute it (run {one.run_id})"
    )
