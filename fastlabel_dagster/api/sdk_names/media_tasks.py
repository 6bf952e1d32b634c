"""The SDK's names for annotated video, text and audio tasks."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.modalities import AUDIO_TASK, MULTI_MODAL_VIDEO_AUDIO, TEXT_TASK, VIDEO_TASK
from fastlabel_dagster.api.sdk_names.task_face import TaskFace
from fastlabel_dagster.api.task_requests import file_of


class MediaTaskNames(TaskFace):
    """Tasks made of a video, a text or a sound."""

    def find_video_task(self, task_id: str) -> Any:
        """One video task by id."""
        return self._find_task(VIDEO_TASK, task_id)

    def find_video_task_by_name(self, project: str, task_name: str) -> Any:
        """The first video task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(VIDEO_TASK, project, task_name)

    def get_video_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 10,
    ) -> Any:
        """One page of a project's video tasks, at most 10. All pages: `client.video_tasks.iter`."""
        return self._list_tasks(
            VIDEO_TASK,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_video_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a video (mp4 of H.264, at most 250 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            VIDEO_TASK,
            project,
            name,
            file_of(VIDEO_TASK, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )

    def update_video_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = (),
        annotations: Iterable[Mapping[str, Any]] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a video task and return its id. Empty lists are not sent; `client.video_tasks.update` sends them."""
        return self._update_task(
            VIDEO_TASK,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def find_text_task(self, task_id: str) -> Any:
        """One text task by id."""
        return self._find_task(TEXT_TASK, task_id)

    def find_text_task_by_name(self, project: str, task_name: str) -> Any:
        """The first text task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(TEXT_TASK, project, task_name)

    def get_text_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's text tasks, at most 1,000. All pages: `client.text_tasks.iter`."""
        return self._list_tasks(
            TEXT_TASK,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_text_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a text (txt, at most 2 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            TEXT_TASK,
            project,
            name,
            file_of(TEXT_TASK, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )

    def update_text_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = (),
        annotations: Iterable[Mapping[str, Any]] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a text task and return its id. Empty lists are not sent; `client.text_tasks.update` sends them."""
        return self._update_task(
            TEXT_TASK,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def find_audio_task(self, task_id: str) -> Any:
        """One audio task by id."""
        return self._find_task(AUDIO_TASK, task_id)

    def find_audio_task_by_name(self, project: str, task_name: str) -> Any:
        """The first audio task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(AUDIO_TASK, project, task_name)

    def get_audio_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's audio tasks, at most 1,000. All pages: `client.audio_tasks.iter`."""
        return self._list_tasks(
            AUDIO_TASK,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_audio_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Add a sound (mp3, wav or m4a, at most 120 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            AUDIO_TASK,
            project,
            name,
            file_of(AUDIO_TASK, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )

    def update_audio_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = (),
        annotations: Iterable[Mapping[str, Any]] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change an audio task and return its id. Empty lists are not sent; `client.audio_tasks.update` sends them."""
        return self._update_task(
            AUDIO_TASK,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def find_multi_modal_video_audio_task(self, task_id: str) -> Any:
        """One multi-modal video and audio task by id."""
        return self._find_task(MULTI_MODAL_VIDEO_AUDIO, task_id)

    def get_multi_modal_video_audio_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 10,
    ) -> Any:
        """One page of a project's multi-modal video and audio tasks, at most 10.

        All pages: `client.multi_modal_video_audio_tasks.iter`.
        """
        return self._list_tasks(
            MULTI_MODAL_VIDEO_AUDIO,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )
