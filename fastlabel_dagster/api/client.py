"""The client: where token and address come from, and which groups of methods there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

import requests

from fastlabel_dagster.api.budget import RequestBudget
from fastlabel_dagster.api.download import download
from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.annotated_tasks import (
    AudioTasks,
    ImageTasks,
    PcdTasks,
    SequentialImageTasks,
    SequentialPcdTasks,
    TextTasks,
    VideoTasks,
)
from fastlabel_dagster.api.groups.annotation_classes import AnnotationClasses
from fastlabel_dagster.api.groups.appendix import Appendix, Metadatas
from fastlabel_dagster.api.groups.classified_tasks import (
    AudioClassificationTasks,
    ImageClassificationTasks,
    MultiImageClassificationTasks,
    TextClassificationTasks,
    VideoClassificationTasks,
)
from fastlabel_dagster.api.groups.comments import Comments
from fastlabel_dagster.api.groups.datasets import DatasetObjects, Datasets
from fastlabel_dagster.api.groups.jobs import AutoAnnotationJobs, EvaluationJobs, TrainingJobs
from fastlabel_dagster.api.groups.models import ModelEndpoints, ModelMonitoring
from fastlabel_dagster.api.groups.other_tasks import DicomTasks, MultiModalVideoAudioTasks, RoboticsTasks
from fastlabel_dagster.api.groups.projects import AwsS3, ImportHistories, Projects, Tags
from fastlabel_dagster.api.groups.tasks import Tasks
from fastlabel_dagster.api.groups.workspace import WorkspaceUsers
from fastlabel_dagster.api.retry import RetryPolicy
from fastlabel_dagster.api.sdk_names import SdkNames
from fastlabel_dagster.api.statistics import RequestStatistics
from fastlabel_dagster.api.transport import Timeout, Transport, clean_base_url, clean_token, new_session

DEFAULT_BASE_URL = "https://api.fastlabel.ai/v1/"


class FastLabelClient(SdkNames):
    """Speaks to FastLabel's HTTP API. One client serves many threads.

    ```python
    with FastLabelClient() as client:                        # token and address from the environment
        for task in client.image_tasks.iter("street-scenes", status="approved"):
            print(task["name"], len(task["annotations"]))
        client.get_image_tasks(project="street-scenes")      # the official SDK's names work as well
    ```

    Answers are plain dicts exactly as the API sends them.

    Args:
        access_token: else the environment's FASTLABEL_ACCESS_TOKEN.
        base_url: else the environment's FASTLABEL_API_URL, else FastLabel's own service.
        timeout: seconds to wait for a connection, and for the next byte of an answer; one number sets both.
        retry: which failures are tried again, and how patiently.
        budget: requests this process may send with this token; None counts nothing.
        session: a session of your own (proxies, certificates). It is closed with the client.

    Raises:
        Invalid: (also a ValueError) without a token, or with a token or address that cannot be right.
            Nothing is sent before the first method is called.
    """

    def __init__(
        self,
        access_token: str | None = None,
        base_url: str | None = None,
        *,
        timeout: Timeout = (5, 60),
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - an immutable value
        budget: RequestBudget | None = RequestBudget(),  # noqa: B008 - an immutable value
        session: requests.Session | None = None,
    ) -> None:
        token = access_token or os.environ.get("FASTLABEL_ACCESS_TOKEN")
        if not token:
            raise Invalid(
                "FASTLABEL_ACCESS_TOKEN is not configured.",
                hint="set the environment variable, or pass access_token=",
            )
        token = clean_token(token)
        self._base_url = clean_base_url(base_url or os.environ.get("FASTLABEL_API_URL") or DEFAULT_BASE_URL)
        self._transport = Transport(
            token,
            self._base_url,
            timeout=timeout,
            retry=retry,
            account=None if budget is None else budget.account(token, self._base_url),
            session=session or new_session(),
        )
        self._make_groups()

    def _make_groups(self) -> None:
        self.projects = Projects(self._transport)
        self.tasks = Tasks(self._transport)
        self.image_tasks = ImageTasks(self._transport)
        self.image_classification_tasks = ImageClassificationTasks(self._transport)
        self.multi_image_classification_tasks = MultiImageClassificationTasks(self._transport)
        self.sequential_image_tasks = SequentialImageTasks(self._transport)
        self.video_tasks = VideoTasks(self._transport)
        self.video_classification_tasks = VideoClassificationTasks(self._transport)
        self.text_tasks = TextTasks(self._transport)
        self.text_classification_tasks = TextClassificationTasks(self._transport)
        self.audio_tasks = AudioTasks(self._transport)
        self.audio_classification_tasks = AudioClassificationTasks(self._transport)
        self.multi_modal_video_audio_tasks = MultiModalVideoAudioTasks(self._transport)
        self.pcd_tasks = PcdTasks(self._transport)
        self.sequential_pcd_tasks = SequentialPcdTasks(self._transport)
        self.dicom_tasks = DicomTasks(self._transport)
        self.robotics_tasks = RoboticsTasks(self._transport)
        self.tags = Tags(self._transport)
        self.annotation_classes = AnnotationClasses(self._transport)
        self.import_histories = ImportHistories(self._transport)
        self.aws_s3 = AwsS3(self._transport)
        self.datasets = Datasets(self._transport)
        self.dataset_objects = DatasetObjects(self._transport)
        self.training_jobs = TrainingJobs(self._transport)
        self.evaluation_jobs = EvaluationJobs(self._transport)
        self.auto_annotation_jobs = AutoAnnotationJobs(self._transport)
        self.model_endpoints = ModelEndpoints(self._transport)
        self.model_monitoring = ModelMonitoring(self._transport)
        self.appendix = Appendix(self._transport)
        self.metadatas = Metadatas(self._transport)
        self.comments = Comments(self._transport)
        self.workspace_users = WorkspaceUsers(self._transport)

    def __repr__(self) -> str:
        return f"FastLabelClient(base_url={self._base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds a token and open connections; make one in each process instead of pickling it")

    def __enter__(self) -> FastLabelClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def with_limits(self, *, timeout: Timeout | None = None, retry: RetryPolicy | None = None) -> FastLabelClient:
        """A client of the same token, connections, request budget and statistics that is less (or more) patient.

        ```python
        hurried = client.with_limits(timeout=5, retry=RetryPolicy(attempts=1, total_seconds=5))
        ```

        It waits for room in the request budget no longer than its retry policy's `total_seconds`; then it raises
        `RateLimited`. Closing either client closes the connections of both, which open again when they are used.

        Args:
            timeout: as for the client; None keeps it.
            retry: as for the client; None keeps it, and with it the unlimited wait for room in the budget.
        """
        other: FastLabelClient = object.__new__(type(self))
        other._base_url = self._base_url
        other._transport = self._transport.with_limits(timeout=timeout, retry=retry)
        other._make_groups()
        return other

    def close(self) -> None:
        """Close the pooled connections. A closed client opens new ones when it is used again."""
        self._transport.close()

    @property
    def base_url(self) -> str:
        """The API's address, with its final slash."""
        return self._base_url

    @property
    def statistics(self) -> RequestStatistics:
        """Requests, retries, waits and bytes of this client so far; two of them subtract."""
        return self._transport.counter.snapshot()

    def download(self, url: str, write: Callable[[bytes], object], *, expected_bytes: int | None = None) -> int:
        """Stream a signed URL (a task's `url`, an object's `signedUrl`) into `write`, without the token.

        ```python
        with open("cat.jpg", "wb") as file:
            client.download(task["url"], file.write)
        ```

        Args:
            write: called with each piece in order. A broken download goes on where it broke off.
            expected_bytes: how long the file must be, where that is known.

        Returns:
            The number of bytes written.

        Raises:
            TransportError: when it stayed shorter than announced, or is not `expected_bytes` long.
            Unauthorized: when the URL has expired.
            NotFound: when nothing lies there.
        """
        return download(self._transport, url, write, expected_bytes=expected_bytes)
