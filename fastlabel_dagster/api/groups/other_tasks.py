"""Tasks that are made in other ways: DICOM series and robotics episodes from zips, multi-modal ones in the web tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.file_rules import ANY_ZIP, DICOM_ZIP
from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks
from fastlabel_dagster.api.lerobot import LeRobotConverter, import_lerobot
from fastlabel_dagster.api.modalities import DICOM, MULTI_MODAL_VIDEO_AUDIO, ROBOTICS
from fastlabel_dagster.api.task_requests import task_fields
from fastlabel_dagster.api.upload import upload_zip
from fastlabel_dagster.api.wire import Jsons


class MultiModalVideoAudioTasks(ModalityTasks):
    """`client.multi_modal_video_audio_tasks`: videos with their sound. The API lets them be read only."""

    modality = MULTI_MODAL_VIDEO_AUDIO


class DicomTasks(ModalityTasks):
    """`client.dicom_tasks`: DICOM series. A zip of at most 2,000 MB is imported; its tasks appear when that is done."""

    modality = DICOM

    def create(
        self,
        project: str,
        file_path: str | Path,
        *,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> Any:
        """Upload a zip of DICOM files, streamed from disk, and start its import.

        It is not started again when its answer is lost, as an import has no name to be found by; see
        `client.import_histories` then.

        Args:
            project: the project's slug.
            file_path: a zip of at most 2,000 MB.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`.

        Returns:
            What the API answers: the import's history, as its documentation says.

        Raises:
            Invalid: (422) for another extension, a larger file, or an unknown keyword; nothing is sent then.
            FastLabelError: when the upload is refused; nothing is imported then.
        """
        fields = {"status": status, "external_status": external_status, "tags": tags, "metadatas": metadatas}
        body = {"project": project} | task_fields(self.modality, "create", users, fields, clears=True)
        body["fileKey"] = upload_zip(self._transport, project, file_path, DICOM_ZIP)
        return self._transport.call("POST", self.modality.path, body=body)

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task. What is None stays as it is; an empty list is sent, and clears. Returns its id."""
        return self._update(
            task_id, users, status=status, external_status=external_status, tags=tags, metadatas=metadatas
        )


class RoboticsTasks(ModalityTasks):
    """`client.robotics_tasks`: robot episodes: videos and telemetry, imported as a zip of the task's name."""

    modality = ROBOTICS

    def create(
        self,
        project: str,
        name: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        operator: str | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Add a task without content; `import_contents` brings that.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project; the zip with its contents has the same.
            operator: who steered the robot.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`.

        Returns:
            The new task's id.
        """
        return self._create(
            project,
            name,
            {},
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            operator=operator,
            metadatas=metadatas,
        )

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        operator: str | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task. What is None stays as it is; an empty list or text is sent, and clears. Returns its id."""
        return self._update(
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            operator=operator,
            annotations=annotations,
            metadatas=metadatas,
        )

    def import_lerobot(
        self,
        project: str,
        data: str | Path,
        episode_indices: Sequence[int] | None = None,
        converter: Callable[[dict[str, Any]], Any] = LeRobotConverter,
    ) -> Jsons:
        """Import the episodes of a LeRobot data set (v3): a task each, then its videos and telemetry.

        Args:
            data: the data set's folder.
            episode_indices: which episodes; None leaves it to the converter, which takes all as a rule.
            converter: a `LeRobotConverter`, or anything that makes one of the parsed `meta/info.json`.

        Returns:
            Per episode `episode_index`, `episode` (its name), `success`, and as `result` the API's answer or an
            `error`. One that failed does not stop the others.

        Raises:
            Invalid: (422) for a data set that is not LeRobot v3, or does not name its values; nothing is sent then.
        """

        def create(name: str, **further: Any) -> Any:
            return self.create(project, name, **further)

        def upload(file: Path) -> Any:
            return self.import_contents(project, file)

        return import_lerobot(data, episode_indices, converter, create=create, upload=upload)

    def import_contents(self, project: str, file_path: str | Path) -> Any:
        """Upload an episode's zip, streamed from disk: one mp4 per camera and a json with the telemetry.

        Returns:
            What the API answers: the import's history, as its documentation says.

        Raises:
            Invalid: (422) for another extension; nothing is sent then.
            FastLabelError: when the upload is refused; nothing is imported then.
        """
        body = {"project": project, "fileKey": upload_zip(self._transport, project, file_path, ANY_ZIP)}
        return self._transport.call("POST", "contents/imports/robotics-contents/batch", body=body)
