"""The SDK's names for videos, texts and sounds that are classified as a whole."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.modalities import AUDIO_CLASSIFICATION, TEXT_CLASSIFICATION, VIDEO_CLASSIFICATION
from fastlabel_dagster.api.sdk_names.task_face import TaskFace
from fastlabel_dagster.api.task_requests import file_of


class ClassifiedMediaNames(TaskFace):
    """Videos, texts and sounds with attributes in place of annotations."""

    def find_video_classification_task(self, task_id: str) -> Any:
        """One video classification task by id."""
        return self._find_task(VIDEO_CLASSIFICATION, task_id)

    def find_video_classification_task_by_name(self, project: str, task_name: str) -> Any:
        """The first video classification task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(VIDEO_CLASSIFICATION, project, task_name)

    def get_video_classification_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's video classification tasks, at most 1,000 (not checked here, as in the SDK).

        All pages: `client.video_classification_tasks.iter`.
        """
        return self._list_tasks(
            VIDEO_CLASSIFICATION,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_video_classification_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a video (mp4 of H.264, at most 250 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            VIDEO_CLASSIFICATION,
            project,
            name,
            file_of(VIDEO_CLASSIFICATION, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def update_video_classification_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a video classification task and return its id.

        Empty lists are not sent; `client.video_classification_tasks.update` sends them.
        """
        return self._update_task(
            VIDEO_CLASSIFICATION,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def find_text_classification_task(self, task_id: str) -> Any:
        """One text classification task by id."""
        return self._find_task(TEXT_CLASSIFICATION, task_id)

    def find_text_classification_task_by_name(self, project: str, task_name: str) -> Any:
        """The first text classification task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(TEXT_CLASSIFICATION, project, task_name)

    def get_text_classification_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's text classification tasks, at most 1,000 (not checked here, as in the SDK).

        All pages: `client.text_classification_tasks.iter`.
        """
        return self._list_tasks(
            TEXT_CLASSIFICATION,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_text_classification_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a text (txt, at most 2 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            TEXT_CLASSIFICATION,
            project,
            name,
            file_of(TEXT_CLASSIFICATION, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def update_text_classification_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a text classification task and return its id.

        Empty lists are not sent; `client.text_classification_tasks.update` sends them.
        """
        return self._update_task(
            TEXT_CLASSIFICATION,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def find_audio_classification_task(self, task_id: str) -> Any:
        """One audio classification task by id."""
        return self._find_task(AUDIO_CLASSIFICATION, task_id)

    def find_audio_classification_task_by_name(self, project: str, task_name: str) -> Any:
        """The first audio classification task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(AUDIO_CLASSIFICATION, project, task_name)

    def get_audio_classification_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's audio classification tasks, at most 1,000 (not checked here, as in the SDK).

        All pages: `client.audio_classification_tasks.iter`.
        """
        return self._list_tasks(
            AUDIO_CLASSIFICATION,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_audio_classification_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a sound (mp3, wav or m4a, at most 120 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            AUDIO_CLASSIFICATION,
            project,
            name,
            file_of(AUDIO_CLASSIFICATION, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def update_audio_classification_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Change an audio classification task and return its id.

        Empty lists are not sent; `client.audio_classification_tasks.update` sends them.
        """
        return self._update_task(
            AUDIO_CLASSIFICATION,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )
