"""What the instance knows of jobs: which were submitted, from what, by which run, and which ends were reported."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster.jobs.kinds import TRAINING, Job, JobKind
from fastlabel_dagster.jobs.submission import Submission

#: So many events of an asset that name a job are looked through at least, the newest first; those that name none, as
#: when there was nothing to do, do not count.
LOOK_BACK = 100
#: And all events that are no older than this, in seconds: a week. What is older than both is followed no more.
_RECENT = 7 * 24 * 3600.0
#: So many pages of events are read at most while they are that new, and so many for the sake of older ones.
_PAGES, _PAGES_OF_OLD = 20, 5
#: A report comes after its submission. The clocks of two machines may differ by this, in seconds.
_CLOCKS_DIFFER = 3600.0

#: What a submission says of its job, and its outcome then repeats: what the job was made from.
CARRIED = (
    "project",
    "labels_version",
    "labels_digest",
    "dataset",
    "dataset_asset",
    "dataset_id",
    "dataset_version",
    "published_dataset_version",
    "approved_tasks",
    "objects",
    "changes_since_model",
    "changes_since_model_from",
    "changes_since_model_to",
    "base_model",
    "changes_since_previous_model",
    "model_name",
    "model_id",
    "iou_threshold",
    "confidence_threshold",
    "use_dataset_test",
    "untouched_tasks",
    "finished_without_annotations",
    "file",
    "gate",
    "wait",
)
#: A job says by this how it ended, in an observation: ``failed``, ``stuck``, ``gone`` when FastLabel does not show it,
#: or ``shown`` when it shows it again. Completed ones are materializations.
OUTCOME = "job_outcome"
_GIVES_UP = "give_up_after_hours"


@dataclass(frozen=True)
class SubmittedJob:
    """A job as its submission recorded it.

    Attributes:
        metadata: of the first event that names the job, as plain values.
        runs: the runs that wait for it, or did.
        timestamp: when that event was stored, seconds since 1970 by Dagster's clock.
        asked: the place among all events of the first one of the last run that has asked for the job.
        awaited_until: until when a run waits for it at most, in the same seconds; 0 when none has said so.
    """

    job_id: str
    metadata: Mapping[str, Any]
    runs: tuple[str, ...]
    timestamp: float
    asked: int = 0
    awaited_until: float = 0.0

    @property
    def carried(self) -> dict[str, Any]:
        """What the job was made from."""
        return {name: self.metadata[name] for name in CARRIED if self.metadata.get(name) is not None}

    def polled_by(self, instance: dg.DagsterInstance) -> bool:
        """Whether one of the runs that submitted it, or attached to it, is still there and waits for it."""
        runs = (instance.get_run_by_id(run_id) for run_id in self.runs)
        return any(run is not None and not run.is_finished for run in runs)


def submission_metadata(
    kind: JobKind, submission: Submission, about: Mapping[str, Any], wait: str, give_up_after_hours: float
) -> dict[str, Any]:
    """The metadata of an event about a submission. An evaluation names the revision of the dataset it looks at; which
    one is the newest, and which a training learns from, no answer of the API says. Where the run waits, it says for how
    long at most: so long, the job's end is its to tell."""
    revision = submission.job.get("datasetRevisionId")
    return {
        **{name: value for name, value in about.items() if value is not None},
        **job_metadata(kind, submission.job_id, submission.job or {"status": submission.status}),
        **({"dataset_revision_id": str(revision)} if revision else {}),
        "submitted": submission.submitted,
        "reason": submission.reason,
        "wait": wait,
        **({_GIVES_UP: float(give_up_after_hours)} if wait == "run" else {}),
    }


def as_made(about: Mapping[str, Any], submission: Submission, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """``about`` with the version of the dataset that the job was really made from. Where that is not the one that was
    published, ``published_dataset_version`` says so, and what is named in ``without`` is left out: it is true of the
    published one alone.
    """
    published = about.get("dataset_version")
    if submission.made_from in ("", published):
        return dict(about)
    left = {name: value for name, value in about.items() if name not in set(without)}
    return {**left, "dataset_version": submission.made_from, "published_dataset_version": published}


def job_metadata(kind: JobKind, job_id: str, job: Job | Mapping[str, Any]) -> dict[str, Any]:
    """``job_kind``, ``job_id``, ``job_status``; trainings go on to say ``training_job_id`` too."""
    metadata = {"job_kind": kind.name, "job_id": job_id, "job_status": str(job.get("status") or "unknown")}
    if kind.name == "training":
        metadata["training_job_id"] = job_id
    return metadata


@dataclass(frozen=True)
class Ended:
    """Ids of the jobs that have completed, have failed, were stuck or not to be seen when they were looked at."""

    completed: set[str]
    failed: set[str]
    stuck: set[str]
    gone: set[str]

    def __or__(self, other: Ended) -> Ended:
        return Ended(
            self.completed | other.completed,
            self.failed | other.failed,
            self.stuck | other.stuck,
            self.gone | other.gone,
        )


@dataclass(frozen=True)
class JobHistory:
    """What the events of one asset say of jobs of one kind.

    Attributes:
        events: the materializations that name a job, then the observations that do; each the newest first.
        complete_since: no event that is newer than this was left out, in seconds since 1970.
    """

    kind: JobKind
    events: tuple[tuple[dg.EventLogRecord, Mapping[str, Any]], ...]
    complete_since: float

    def submitted(self) -> dict[str, SubmittedJob]:
        """The jobs that were submitted, the newest submission first.

        A job that later events name again, as when a run attached to it, keeps what its first event says of it. Events
        of outcomes are none of submissions.
        """
        jobs: dict[str, SubmittedJob] = {}
        first: dict[str, dict[str, int]] = {}
        for record, metadata in sorted(self.events, key=lambda one: one[0].timestamp, reverse=True):
            # a release before the job kinds had a name did not say of each training that it was submitted
            if OUTCOME in metadata or not ("submitted" in metadata or self.kind.name == "training"):
                continue
            id = named_job(metadata, self.kind)
            later = jobs.pop(id, None)  # an earlier event of the same job takes the place of the later one
            runs, awaited = ((), 0.0) if later is None else (later.runs, later.awaited_until)
            if metadata.get("wait") == "run" and record.run_id:
                runs = (*runs, record.run_id)
                hours = float(metadata.get(_GIVES_UP) or 0)
                awaited = max(awaited, record.timestamp + 3600 * hours + _CLOCKS_DIFFER if hours else 0.0)
            by_run = first.setdefault(id, {})
            by_run[record.run_id or str(record.storage_id)] = record.storage_id
            jobs[id] = SubmittedJob(id, metadata, runs, record.timestamp, max(by_run.values()), awaited)
        return jobs

    def ended(self, submitted: Mapping[str, SubmittedJob]) -> Ended:
        """How the jobs have ended, as far as that was told. That one has failed or is gone counts as long as no later
        run has asked for it: a run attaches to what it sees, and to nothing that has failed. And nothing is gone that
        was seen since.

        Args:
            submitted: as :meth:`submitted` says, of the asset that submits them.
        """
        ended = Ended(set(), set(), set(), set())
        seen: set[str] = set()  # later than the event at hand, as the newest come first
        for record, metadata in self.events:
            id, said = named_job(metadata, self.kind), metadata.get(OUTCOME)
            if record.asset_materialization is not None:
                ended.completed.add(id)
            elif said in ("stuck", "shown"):
                seen.add(id)
                if said == "stuck":
                    ended.stuck.add(id)
            elif id in submitted and submitted[id].asked >= record.storage_id:
                continue
            elif said == "failed":
                ended.failed.add(id)
            elif said == "gone" and id not in seen:
                ended.gone.add(id)
        return ended

    def reports(self, *, since: float = 0.0) -> dict[str, Mapping[str, Any]]:
        """The newest word on each completed job, the last one first; nothing older than ``since``."""
        reports: dict[str, Mapping[str, Any]] = {}
        for record, metadata in self.events:
            if record.asset_materialization is not None and record.timestamp > since:
                reports.setdefault(named_job(metadata, self.kind), metadata)
        return reports

    def asked(self, *, reported_here: bool) -> list[str]:
        """Ids of the jobs that were asked for, the one asked for last first.

        Args:
            reported_here: materializations of this asset are reports, and ask for nothing.
        """
        asked = [
            (record.timestamp, named_job(metadata, self.kind))
            for record, metadata in self.events
            if OUTCOME not in metadata and not (reported_here and record.asset_materialization is not None)
        ]
        return list(dict.fromkeys(id for _, id in sorted(asked, reverse=True)))


def job_history(
    instance: dg.DagsterInstance, key: dg.AssetKey, kind: JobKind, *, since: float | None = None
) -> JobHistory:
    """Read what the events of ``key`` say of jobs of a kind.

    Args:
        since: everything from this time on is read, in seconds since 1970. None: the last :data:`LOOK_BACK` events that
            name a job, and a week.
    """
    until = time.time() - _RECENT if since is None else since - _CLOCKS_DIFFER
    fetched = dg.AssetRecordsFilter(key, after_timestamp=None if since is None else until)
    events: list[tuple[dg.EventLogRecord, Mapping[str, Any]]] = []
    complete_since = 0.0 if since is None else until
    for fetch in (instance.fetch_materializations, instance.fetch_observations):
        cursor: str | None = None
        named, older = 0, False
        for number in range(1, _PAGES + 1):
            page = fetch(fetched, limit=LOOK_BACK, cursor=cursor)
            for record in page.records:
                event = record.asset_materialization or record.asset_observation
                metadata = {} if event is None else plain(event.metadata)
                older = older or record.timestamp < until
                if named_job(metadata, kind):
                    named += 1
                    events.append((record, metadata))
            if not page.has_more:
                break
            if number == _PAGES or (older and (named >= LOOK_BACK or number >= _PAGES_OF_OLD)):
                complete_since = max(complete_since, page.records[-1].timestamp)
                break
            cursor = page.cursor
    return JobHistory(kind, tuple(events), complete_since)


def carried_of(
    instance: dg.DagsterInstance, key: dg.AssetKey, kind: JobKind, job_id: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """What a job was made from, as the event says that first named it; for one that no event names, as ``about`` does.

    A run that attaches to the job of an earlier one knows what is there now, which may be newer.
    """
    first = job_history(instance, key, kind).submitted().get(job_id)
    if first is not None:
        return first.carried
    return {name: about[name] for name in CARRIED if about.get(name) is not None}


def named_job(metadata: Mapping[str, Any], kind: JobKind) -> str:
    """The job of this kind that an event is about; empty when it is about none."""
    if metadata.get("job_kind") == kind.name:
        return str(metadata.get("job_id") or "")
    # a release before the job kinds had a name said this of trainings only
    return str(metadata.get("training_job_id") or "") if kind.name == "training" and "job_kind" not in metadata else ""


def newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    """What the newest materialization of ``key`` says, as plain values; empty when there is none."""
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event is not None else None
    return {} if materialization is None else plain(materialization.metadata)


def newest_model(instance: dg.DagsterInstance, key: dg.AssetKey, training_key: dg.AssetKey) -> dict[str, Any]:
    """The model in use: of those reported, the one whose training was asked for last, as plain values.

    A model that no training of ``training_key`` has made was reported by somebody else, and is the model as long as it
    is the newest. Empty when there is none.

    Args:
        key: of the models.
        training_key: of the asset that submits the trainings.
    """
    return newest_report(instance, key, TRAINING, training_key)


def newest_report(
    instance: dg.DagsterInstance, key: dg.AssetKey, kind: JobKind, submitter: dg.AssetKey
) -> dict[str, Any]:
    """What is said of the job that was asked for last, of those that ``key`` says have completed, as plain values.

    An older job may end after a newer one; it is reported then, and is not the newest all the same. A run that attaches
    to an older job asks for it again. A report of a job that nobody is known to have asked for counts as long as it is
    the last one. Empty when there is none.

    Args:
        submitter: the asset that submits the jobs; where it is ``key`` itself, its materializations are the reports.
    """
    last = newest(instance, key)
    asked, reports = _asked_and_reported(instance, key, kind, submitter)
    if named_job(last, kind) not in asked:
        return last
    return next((dict(reports[id]) for id in asked if id in reports), last)


def is_overtaken(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    kind: JobKind,
    submitter: dg.AssetKey,
    *,
    job_id: str,
    beside: Collection[str] = (),
) -> bool:
    """Whether ``key`` already tells of a job that was asked for later than this one; see :func:`newest_report`.

    Args:
        beside: further jobs that are being told at this moment.
    """
    asked, reports = _asked_and_reported(instance, key, kind, submitter)
    later = asked[: asked.index(job_id)] if job_id in asked else []
    return any(one in reports or one in beside for one in later)


def _asked_and_reported(
    instance: dg.DagsterInstance, key: dg.AssetKey, kind: JobKind, submitter: dg.AssetKey
) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    asked_in = job_history(instance, submitter, kind)
    told_in = asked_in if submitter == key else job_history(instance, key, kind)
    return asked_in.asked(reported_here=submitter == key), told_in.reports()


def plain(metadata: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Metadata as plain values."""
    return {name: value.value for name, value in dict(metadata).items()}
