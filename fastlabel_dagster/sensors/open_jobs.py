"""Which jobs are open: they were submitted, nobody has reported their end, and no run is there that will."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from fastlabel_dagster.job_reports.submissions import Ended, JobHistory, SubmittedJob, job_history
from fastlabel_dagster.jobs.kinds import TRAINING, JobKind
from fastlabel_dagster.sensors.job_followers import NEW
from fastlabel_dagster.translator import DagsterFastLabelTranslator, asset_key


@dataclass(frozen=True)
class OpenJob:
    """A job that was submitted and whose end nobody has reported.

    Attributes:
        key: the asset its end is told of.
        stuck, gone: that it hangs was reported, or that FastLabel does not show it.
        awaited: a living run waits for it and tells of its end, though it takes longer than it may.
    """

    project: str
    kind: JobKind
    key: dg.AssetKey
    submitted: SubmittedJob
    stuck: bool
    gone: bool
    awaited: bool

    @property
    def target(self) -> str:
        """What it is called in the polling engine and its cursor."""
        return f"{self.project} {self.kind.words} {self.submitted.job_id}"


@dataclass(frozen=True)
class Told:
    """What the instance says of one project's jobs of one kind, read once a tick.

    Attributes:
        key: the asset their ends are told of.
        ends: what is told there, back to the oldest submission and for :data:`NEW` at least; where nothing was
            submitted and nothing is ``followed``, nobody looks.
    """

    key: dg.AssetKey
    submitted: dict[str, SubmittedJob]
    ends: JobHistory
    since: float

    @classmethod
    def read(
        cls,
        instance: dg.DagsterInstance,
        project: str,
        kind: JobKind,
        translator: DagsterFastLabelTranslator | None,
        *,
        followed: bool,
    ) -> Told:
        submitter = asset_key(project, kind.name, translator)
        key = asset_key(project, "model" if kind is TRAINING else kind.name, translator)
        asked = job_history(instance, submitter, kind)
        submitted = asked.submitted()
        since = min([time.time() - NEW.total_seconds(), *(job.timestamp for job in submitted.values())])
        enough = (key == submitter and asked.complete_since <= since) or not (submitted or followed)
        return cls(key, submitted, asked if enough else job_history(instance, key, kind, since=since), since)


def open_jobs(instance: dg.DagsterInstance, project: str, told: Told, longest: timedelta) -> list[OpenJob]:
    """The oldest first; without those that a living run waits for, until they take longer than they may. A run that
    counts as going on for longer than that, and than it has said it would wait, was killed without anybody noticing.

    A job that FastLabel does not show is looked for as long as a job may take, though that it is gone was told: the
    token may have been of another workspace for a while.
    """
    key, kind, submitted = told.key, told.ends.kind, told.submitted
    patience = longest.total_seconds()

    def over(ended: Ended, id: str) -> bool:
        forgotten = id in ended.gone and age(submitted[id]) > patience
        return id in ended.completed or id in ended.failed or forgotten

    def awaited(job: SubmittedJob) -> bool:
        return time.time() <= max(job.timestamp + patience, job.awaited_until) and job.polled_by(instance)

    ended = told.ends.ended(submitted)
    free = [
        (id, job, waits)
        for id, job in reversed(submitted.items())
        if not over(ended, id) and not ((waits := awaited(job)) and age(job) <= patience)
    ]
    if any(job.runs for _, job, _ in free):
        # a run may have reported its job and ended between the two looks: what it has reported is there now
        ended = job_history(instance, key, kind, since=told.since).ended(submitted)
    if any(job.metadata.get("submitted") is False for _, job, _ in free):
        # of one that was submitted very long ago only runs that attached to it are seen: so long ago may its end be
        ended |= job_history(instance, key, kind).ended(submitted)
    return [
        OpenJob(project, kind, key, job, stuck=id in ended.stuck, gone=id in ended.gone, awaited=waits)
        for id, job, waits in free
        if not over(ended, id)
    ]


def age(job: SubmittedJob) -> float:
    """Seconds since it was submitted, by Dagster's clock."""
    return max(0.0, time.time() - job.timestamp)
