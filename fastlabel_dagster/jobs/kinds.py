"""The kinds of jobs FastLabel runs, and how one of each is submitted, found again and read.

What they have in common is little: each is started by a POST that must not be sent twice, and each shows a ``status``.
None can be cancelled: the API has no call that stops a job. Whoever stops waiting abandons it, and it runs (and is
billed) to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.api import NotFound, job_id

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient, SubmissionPolicy
    from fastlabel_dagster.jobs.ledger import Ledger

Job = dict[str, Any]


@dataclass(frozen=True)
class JobKind:
    """What is particular about one kind of job.

    Attributes:
        name: ``training``, ``evaluation``, ``auto_annotation``, ``s3_import`` or ``dicom_import``.
        words: what people call it, e.g. "auto-annotation".
        subject: what its ledger is kept by: ``dataset`` or ``project``.
        known_ids: ids of all jobs of this kind there are for a subject, asked of the API.
        submit: ``(client, arguments, known_ids, policy) -> job``: starts one. When the answer is lost, the job is
            looked up among the listed ones that are not among ``known_ids``, before anything is sent again.
        find: ``(client, id, subject) -> job``; raises ``NotFound``.
        outlived: whether what a job has made is there without it; the measures of an evaluation are the job itself.
    """

    name: str
    words: str
    subject: str
    known_ids: Callable[[FastLabelClient, str], Collection[str]] = field(repr=False)
    submit: Callable[[FastLabelClient, Mapping[str, Any], Collection[str], SubmissionPolicy | None], Job] = field(
        repr=False
    )
    find: Callable[[FastLabelClient, str, str], Job] = field(repr=False)
    outlived: bool = True

    def look(
        self,
        client: FastLabelClient,
        id: str,
        subject: str,
        *,
        pauses: Sequence[float] = (),
        sleep: Callable[[float], object] = time.sleep,
    ) -> Job | None:
        """The job, or None when FastLabel has none of this id.

        Args:
            pauses: seconds to wait before each further look at a job that is not there: one answer may come from a list
                that lags behind.
        """
        for pause in (0.0, *pauses):
            if pause:
                sleep(pause)
            try:
                return dict(self.find(client, id, subject))
            except NotFound:
                continue
        return None


@dataclass(frozen=True)
class JobRequest:
    """A job that is wanted: of which kind, for what, and for which version of it, so that it is started once.

    Attributes:
        kind: the kind of job.
        subject: the dataset's name, or the project's slug.
        version: what identifies the input; each version gets one job, also when others were in between.
        arguments: for ``submit`` of the kind.
        changed: why a new job is submitted, as a sentence without a full stop.
        unchanged: why there is no new one for a version that has its job.
        formerly: how earlier releases wrote this version in the ledger, the newest release first: looked up when it has
            no entry.
        at_turn: ``(client, ledger) -> request``, where the version depends on what was submitted before: asked when it
            is this claimant's turn, so that nobody else submits between the decision and the job.
        also: further versions of the ledger that the job is written down for, whether it was started or attached to.
        made_from: what the job is made from, such as the digest of what a dataset holds; written down with the job.
        as_found: ``(client) -> request`` for what is really there, asked right before a job is submitted: between the
            moment a run learned the version and its turn to submit, somebody else may have published.
    """

    kind: JobKind
    subject: str
    version: str
    arguments: Mapping[str, Any]
    changed: str = "the input has changed"
    unchanged: str = "nothing has changed since"
    formerly: tuple[str, ...] = ()
    at_turn: Callable[[FastLabelClient, Ledger], JobRequest] | None = field(default=None, repr=False, compare=False)
    also: tuple[str, ...] = ()
    made_from: str = ""
    as_found: Callable[[FastLabelClient], JobRequest] | None = field(default=None, repr=False, compare=False)


def _submit_training(
    client: FastLabelClient, arguments: Mapping[str, Any], known: Collection[str], policy: SubmissionPolicy | None
) -> Job:
    return dict(client.training_jobs.submit(**arguments, known_ids=known, policy=policy))


def _submit_evaluation(
    client: FastLabelClient, arguments: Mapping[str, Any], known: Collection[str], policy: SubmissionPolicy | None
) -> Job:
    return dict(client.evaluation_jobs.submit(**arguments, known_ids=known, policy=policy))


def _submit_auto_annotation(
    client: FastLabelClient, arguments: Mapping[str, Any], known: Collection[str], policy: SubmissionPolicy | None
) -> Job:
    return dict(client.auto_annotation_jobs.submit(**arguments, known_ids=known, policy=policy))


def _submit_import(
    start: Callable[[FastLabelClient, Mapping[str, Any]], Any],
    reads_from: Callable[[str], bool],
) -> Callable[[FastLabelClient, Mapping[str, Any], Collection[str], SubmissionPolicy | None], Job]:
    """Imports have no list of their own: a lost one is looked for among the project's import histories, where it shows
    what it reads from (``storageType``) and nothing else of what was asked for."""

    def submit(
        client: FastLabelClient, arguments: Mapping[str, Any], known: Collection[str], policy: SubmissionPolicy | None
    ) -> Job:
        from fastlabel_dagster.api.submission import JobSearch, SubmissionPolicy, submit_once  # loads the HTTP library

        project = str(arguments["project"])

        def could_be(history: Mapping[str, Any]) -> bool:
            shown = str(history.get("storageType") or "").casefold()
            return not shown or reads_from(shown)

        search = JobSearch(lambda: client.import_histories.iter(project), could_be, lambda history: True)
        started = submit_once(
            lambda: start(client, arguments), search, policy=policy or SubmissionPolicy(), known_ids=known
        )
        return started if isinstance(started, dict) else dict(client.import_histories.find(started))

    return submit


def _histories(client: FastLabelClient, project: str) -> Collection[str]:
    return {job_id(history) for history in client.import_histories.iter(project)}


TRAINING = JobKind(
    "training",
    "training",
    "dataset",
    lambda client, _: client.training_jobs.known_ids(),
    _submit_training,
    lambda client, id, _: client.training_jobs.find(id),
)
EVALUATION = JobKind(
    "evaluation",
    "evaluation",
    "dataset",
    lambda client, _: client.evaluation_jobs.known_ids(),
    _submit_evaluation,
    lambda client, id, _: client.evaluation_jobs.find(id),
    outlived=False,
)
AUTO_ANNOTATION = JobKind(
    "auto_annotation",
    "auto-annotation",
    "project",
    lambda client, project: client.auto_annotation_jobs.known_ids(project),
    _submit_auto_annotation,
    lambda client, id, project: client.auto_annotation_jobs.find(id, project),
)
S3_IMPORT = JobKind(
    "s3_import",
    "import from S3",
    "project",
    _histories,
    # of the words in storageType only "zip" is documented
    _submit_import(lambda client, given: client.aws_s3.import_tasks(**given), lambda storage: storage != "zip"),
    lambda client, id, _: client.import_histories.find(id),
)
DICOM_IMPORT = JobKind(
    "dicom_import",
    "DICOM import",
    "project",
    _histories,
    _submit_import(lambda client, given: client.dicom_tasks.create(**given), lambda storage: "s3" not in storage),
    lambda client, id, _: client.import_histories.find(id),
)

#: All of them by name.
KINDS: dict[str, JobKind] = {
    kind.name: kind for kind in (TRAINING, EVALUATION, AUTO_ANNOTATION, S3_IMPORT, DICOM_IMPORT)
}
