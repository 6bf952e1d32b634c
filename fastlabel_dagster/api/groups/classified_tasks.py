"""Tasks that are classified as a whole: attribute values in place of annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks
from fastlabel_dagster.api.modalities import (
    AUDIO_CLASSIFICATION,
    IMAGE_CLASSIFICATION,
    MULTI_IMAGE_CLASSIFICATION,
    TEXT_CLASSIFICATION,
    VIDEO_CLASSIFICATION,
)
from fastlabel_dagster.api.task_requests import file_of, folder_of, task_fields
from fastlabel_dagster.api.wire import given


class _ClassifiedTasks(ModalityTasks):
    """Changing tasks that have attributes."""

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task. What is None stays as it is; an empty list is sent, and clears.

        Args:
            attributes: dicts of `key` and `value`; what else task answers hold is left out. They are not changed.
            priority: 0 none, 10 low, 20 medium, 30 high.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`; None takes a person off.

        Returns:
            The task's id.
        """
        return self._update(
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )


class _ClassifiedFileTasks(_ClassifiedTasks):
    """Making tasks of one file with attributes."""

    def create(
        self,
        project: str,
        name: str,
        file_path: str | Path | None = None,
        *,
        content: bytes | None = None,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        **users: str | None,
    ) -> str:
        """Add a task, classified already if attributes are given.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            file_path: the file; which kinds and sizes are taken is said above. Or give its bytes as `content`.
            attributes: dicts of `key` and `value`; they are not changed.
            priority: 0 none, 10 low, 20 medium, 30 high.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`.

        Returns:
            The new task's id.

        Raises:
            Invalid: (422) for another extension or codec, a larger file, or an unknown keyword; nothing is sent then.
        """
        return self._create(
            project,
            name,
            file_of(self.modality, file_path, content),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )


class VideoClassificationTasks(_ClassifiedFileTasks):
    """`client.video_classification_tasks`: an MP4 file of H.264, at most 250 MB."""

    modality = VIDEO_CLASSIFICATION


class TextClassificationTasks(_ClassifiedFileTasks):
    """`client.text_classification_tasks`: a txt file of at most 2 MB."""

    modality = TEXT_CLASSIFICATION


class AudioClassificationTasks(_ClassifiedFileTasks):
    """`client.audio_classification_tasks`: an mp3, wav or m4a file of at most 120 MB."""

    modality = AUDIO_CLASSIFICATION


class ImageClassificationTasks(_ClassifiedTasks):
    """`client.image_classification_tasks`: one image (png, jpg or jpeg, at most 20 MB)."""

    modality = IMAGE_CLASSIFICATION

    def create(
        self,
        project: str,
        name: str,
        file_path: str | Path | None = None,
        *,
        content: bytes | None = None,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        is_delete_exif: bool | None = None,
        **users: str | None,
    ) -> str:
        """Add an image, classified already if attributes are given.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            file_path: a png, jpg or jpeg of at most 20 MB; or give its bytes as `content`.
            attributes: dicts of `key` and `value`; they are not changed.
            is_delete_exif: have the server remove the image's EXIF data.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`.

        Returns:
            The new task's id.

        Raises:
            Invalid: (422) for another extension, a larger file, or an unknown keyword; nothing is sent then.
        """
        return self._create(
            project,
            name,
            file_of(self.modality, file_path, content),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
            is_delete_exif=is_delete_exif,
        )

    def create_integrated(
        self,
        project: str,
        storage_type: str,
        file_path: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        **users: str | None,
    ) -> str:
        """Add an image that stays in the project's own storage.

        Args:
            storage_type: where it lies, e.g. `gcp`.
            file_path: its path there.

        Returns:
            The new task's id.
        """
        fields = {
            "status": status,
            "external_status": external_status,
            "priority": priority,
            "attributes": attributes,
            "tags": tags,
        }
        body = given(project=project, file_path=file_path, storage_type=storage_type)
        body |= task_fields(self.modality, "create", users, fields, clears=True)
        return self._text("POST", "tasks/integrated-image/classification", body)


class MultiImageClassificationTasks(_ClassifiedTasks):
    """`client.multi_image_classification_tasks`: up to 6 images (png, jpg, jpeg, gif) that are classified together."""

    modality = MULTI_IMAGE_CLASSIFICATION

    def create(
        self,
        project: str,
        name: str,
        folder_path: str | Path,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        is_delete_exif: bool | None = None,
        **users: str | None,
    ) -> str:
        """Add the images of a folder as one task, in ascending order of their file names.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            folder_path: at most 6 png, jpg, jpeg or gif files of at most 20 MB each.
            attributes: dicts of `key` and `value`; they are not changed.
            is_delete_exif: have the server remove the images' EXIF data.
            **users: `assignee`, `reviewer`, … as user slugs, see `wire.USER_KEYWORDS`.

        Returns:
            The new task's id.

        Raises:
            Invalid: (422) for another extension, too many or too large files, or an unknown keyword; nothing is sent.
        """
        return self._create(
            project,
            name,
            folder_of(self.modality, folder_path),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
            is_delete_exif=is_delete_exif,
        )
