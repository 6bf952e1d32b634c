"""Training, evaluation and auto-annotation jobs on FastLabel's machines."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from fastlabel_dagster.api.errors import FastLabelError, Invalid, NotFound
from fastlabel_dagster.api.file_rules import ANY_FILE, file_to_send
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages
from fastlabel_dagster.api.submission import JobSearch, SubmissionPolicy, submit_once
from fastlabel_dagster.api.waiting import job_id, wait_until_done
from fastlabel_dagster.api.wire import Json, Jsons, check_limit, given, path_to

log = logging.getLogger("fastlabel_dagster.api")

NOT_SEEN_YET = "unknown"
"""The `status` of a job that was started and of which only the id is known."""


class Jobs(Group):
    """What training and evaluation jobs have in common."""

    path: ClassVar[str]
    what: ClassVar[str]
    id_key: ClassVar[str]

    def list(self, offset: int | None = None, limit: int | None = MOST_PER_PAGE) -> Jsons:
        """One page of the workspace's jobs."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list(self.path, given(offset=offset, limit=limit))

    def iter(self) -> Iterator[Json]:
        """All of them."""
        return all_pages(self.list)

    def known_ids(self) -> frozenset[str]:
        """The ids of all jobs there are. Noted before a submit, they let a later process recognise the new job."""
        return frozenset(job_id(job) for job in self.iter())

    def find(self, id: str) -> Json:
        """One job. An answer that is a list with one job in it is unpacked.

        Raises:
            NotFound: when there is none of this id.
        """
        path = path_to(self.path, id)
        answer = self._transport.call("GET", path)
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        if not isinstance(answer, dict) or not answer:
            raise NotFound(f"no {self.what} of this id", method="GET", path=path)
        return answer

    def wait(
        self,
        job: Json | str,
        *,
        poll_seconds: float = 10.0,
        timeout_seconds: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Json:
        """Wait until a job (or the job of this id) is completed, and return its last state.

        Raises:
            RemoteJobFailed: when it ended otherwise.
            StillRunning: after `timeout_seconds`.
        """
        id = _id_of(job)
        return wait_until_done(
            lambda: self.find(id),
            what=f"{self.what} {id}",
            forgiven=_forgiven(job),
            poll_seconds=poll_seconds,
            timeout_seconds=timeout_seconds,
            sleep=sleep,
            clock=clock,
        )

    def _submit(self, body: Json, **how: Any) -> Json:
        started = submit_once(
            lambda: self._transport.call("POST", self.path, body=body),
            _search(self.iter, body),
            **how,
        )
        return _seen(started, self.id_key, self.find)


class TrainingJobs(Jobs):
    """`client.training_jobs`: fine-tuning of a model on a dataset."""

    path = "trainings"
    what = "training"
    id_key = "trainingJobId"

    def submit(
        self,
        dataset_name: str,
        base_model_name: str,
        epoch: int,
        dataset_revision_id: str | None = None,
        use_dataset_train_val: bool = False,
        instance_type: str | None = "ml.p3.2xlarge",
        batch_size: int | None = None,
        learning_rate: float | None = None,
        resize_option: str | None = None,
        resize_dimension: int | None = None,
        annotation_value: str | None = None,
        config_file_path: str | Path | None = None,
        *,
        known_ids: Collection[str] | None = None,
        policy: SubmissionPolicy | None = None,
    ) -> Json:
        """Start a training, once. When the answer is lost, the job is looked up before anything is sent again.

        Args:
            dataset_name: the dataset to learn from.
            base_model_name: the model to begin with, e.g. `fastlabel_object_detection_light`.
            epoch: how often the training goes over the dataset.
            use_dataset_train_val: take the objects' own train and valid types as the split.
            instance_type: the machine to rent.
            resize_option: `fixed` or `none`; with `fixed`, `resize_dimension` is the image size in pixels.
            config_file_path: a model's configuration file.
            known_ids: `known_ids()` from before an earlier attempt at this same submit; a job that has appeared since
                and fits is taken up in place of a new one.
            policy: how long to look, and how often to send.

        Returns:
            The job. When the server names nothing but its id and the job cannot be read yet, that is
            `{"id": id, "trainingJobId": id, "status": "unknown"}` (`evaluationJobId` and `autoAnnotationJobId` for the
            others), which `wait` takes like any job: what runs is never lost over a look at it that fails.

        Raises:
            UnclearSubmission: when it cannot be told whether or which job runs.
        """
        config = config_file_path
        body = given(
            dataset_name=dataset_name,
            base_model_name=base_model_name,
            epoch=epoch,
            use_dataset_train_val=use_dataset_train_val,
            dataset_revision_id=dataset_revision_id,
            instance_type=instance_type,
            batch_size=batch_size,
            learning_rate=learning_rate,
            resize_option=resize_option,
            resize_dimension=resize_dimension,
            config_file=None if config is None else file_to_send(config, ANY_FILE),
            annotation_value=annotation_value or None,
        )
        return self._submit(body, policy=policy or SubmissionPolicy(), known_ids=known_ids)


class EvaluationJobs(Jobs):
    """`client.evaluation_jobs`: measuring a model on a dataset."""

    path = "evaluations"
    what = "evaluation"
    id_key = "evaluationJobId"

    def submit(
        self,
        dataset_name: str,
        model_name: str,
        iou_threshold: float | None = 0.5,
        confidence_threshold: float | None = 0.4,
        dataset_revision_id: str | None = None,
        use_dataset_test: bool = False,
        *,
        known_ids: Collection[str] | None = None,
        policy: SubmissionPolicy | None = None,
    ) -> Json:
        """Start an evaluation, once; see `TrainingJobs.submit`.

        Args:
            iou_threshold: least overlap, 0 to 1, of a found box with a true one.
            confidence_threshold: least confidence, 0 to 1, of a box that counts as found.
            use_dataset_test: only the objects of type test.
        """
        body = given(
            model_name=model_name,
            dataset_name=dataset_name,
            iou_threshold=iou_threshold,
            confidence_threshold=confidence_threshold,
            dataset_revision_id=dataset_revision_id,
            use_dataset_test=use_dataset_test,
        )
        return self._submit(body, policy=policy or SubmissionPolicy(), known_ids=known_ids)


class AutoAnnotationJobs(Group):
    """`client.auto_annotation_jobs`: a model annotates a project's tasks. The API lists these by project only."""

    path = "auto-annotations"

    def list(self, project: str, offset: int | None = None, limit: int | None = MOST_PER_PAGE) -> Jsons:
        """One page of a project's auto-annotation jobs."""
        if not project:
            raise Invalid("Project is required.", status=422)
        check_limit(limit, MOST_PER_PAGE)
        return self._list(self.path, given(project=project, offset=offset, limit=limit))

    def iter(self, project: str) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(project, offset, limit))

    def known_ids(self, project: str) -> frozenset[str]:
        """The ids of the project's jobs; see `Jobs.known_ids`."""
        return frozenset(job_id(job) for job in self.iter(project))

    def find(self, id: str, project: str) -> Json:
        """One job, looked for in its project's list as the API has no way to ask for it alone.

        Raises:
            NotFound: when the project has none of this id.
        """
        for job in self.iter(project):
            if job_id(job) == id:
                return job
        raise NotFound(f"no auto-annotation job {id!r} in {project!r}", method="GET", path=self.path)

    def submit(
        self,
        project: str,
        model_name: str,
        algorithm_type: str | None = None,
        update_existing: bool = False,
        confidence_threshold: float | None = 0.4,
        use_tta: bool = False,
        use_flip: bool = False,
        processing_speed: str | None = "low",
        auto_creation: bool = True,
        *,
        known_ids: Collection[str] | None = None,
        policy: SubmissionPolicy | None = None,
    ) -> Json:
        """Start an auto-annotation of a project's tasks, once; see `TrainingJobs.submit`.

        Args:
            update_existing: also tasks that have annotations.
            confidence_threshold: least confidence, 0 to 1, of an annotation that is kept.
            use_tta, use_flip: slower and more accurate inference.
            processing_speed: `low`, `medium` or `high`.
            auto_creation: make annotation classes that the project lacks.
        """
        body = given(
            project=project,
            model_name=model_name,
            algorithm_type=algorithm_type,
            update_existing=update_existing,
            confidence_threshold=confidence_threshold,
            use_tta=use_tta,
            use_flip=use_flip,
            processing_speed=processing_speed,
            auto_creation=auto_creation,
        )
        started = submit_once(
            lambda: self._transport.call("POST", self.path, body=body),
            _search(lambda: self.iter(project), body),
            policy=policy or SubmissionPolicy(),
            known_ids=known_ids,
        )
        return _seen(started, "autoAnnotationJobId", lambda id: self.find(id, project))

    def wait(
        self,
        job: Json | str,
        project: str,
        *,
        poll_seconds: float = 10.0,
        timeout_seconds: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Json:
        """Wait until a job is completed, and return its last state; see `Jobs.wait`."""
        id = _id_of(job)
        return wait_until_done(
            lambda: self.find(id, project),
            what=f"auto-annotation {id}",
            forgiven=_forgiven(job),
            poll_seconds=poll_seconds,
            timeout_seconds=timeout_seconds,
            sleep=sleep,
            clock=clock,
        )


def _search(list_jobs: Callable[[], Iterator[Json]], asked: Json) -> JobSearch:
    return JobSearch(list_jobs, lambda job: _contradicts_nothing(job, asked), lambda job: _confirms_model(job, asked))


def _seen(started: Json | str, id_key: str, find: Callable[[str], Json]) -> Json:
    """The job that was started, read when only its id is known; a read that fails does not lose the id."""
    if not isinstance(started, str):
        return started
    try:
        return find(started)
    except FastLabelError as error:
        log.warning("the job %s was started, but cannot be read yet: %s", started, error)
        return {"id": started, id_key: started, "status": NOT_SEEN_YET}


def _forgiven(job: Json | str) -> tuple[type[FastLabelError], ...]:
    """What is forgiven while waiting: a job that nobody has seen yet may take a while to be listed."""
    return (NotFound,) if isinstance(job, dict) and job.get("status") == NOT_SEEN_YET else ()


def _id_of(job: Json | str) -> str:
    id = job if isinstance(job, str) else job_id(job)
    if not id:
        raise Invalid("this job has no id to wait for")
    return id


def _contradicts_nothing(job: Json, asked: Mapping[str, Any]) -> bool:
    """Whether a listed job could be the one asked for: nothing that both of them say differs.

    Model names are not compared here: a list shows them as people read them ("FastLabel Object Detection Light -
    汎用"). Nor is the machine, which the server may choose otherwise. Numbers are compared by value, so "1" is 1.
    """
    dataset = job.get("dataset")
    shown = dict(job)
    if isinstance(dataset, dict):
        shown.setdefault("datasetName", dataset.get("name"))
    compared = (
        "datasetName",
        "datasetRevisionId",
        "epoch",
        "batchSize",
        "learningRate",
        "resizeOption",
        "resizeDimension",
        "iouThreshold",
        "confidenceThreshold",
        "useDatasetTest",
        "useDatasetTrainVal",
    )
    return all(
        _same(shown[key], asked[key]) for key in compared if shown.get(key) is not None and asked.get(key) is not None
    )


def _same(shown: object, asked: object) -> bool:
    try:
        return shown == asked or math.isclose(float(str(shown)), float(str(asked)), rel_tol=1e-6)
    except ValueError:
        return str(shown).strip().casefold() == str(asked).strip().casefold()


def _confirms_model(job: Json, asked: Mapping[str, Any]) -> bool:
    """Whether the model that a job shows reads like the one asked for: every word of its name occurs."""
    wanted = asked.get("baseModelName") or asked.get("modelName") or ""
    shown = job.get("baseModelName") or job.get("modelName") or ""
    words = set(re.findall(r"\w+", str(wanted).lower().replace("_", " ")))
    return bool(words) and words <= set(re.findall(r"\w+", str(shown).lower().replace("_", " ")))
