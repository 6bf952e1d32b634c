"""The SDK's names for annotated image tasks: single, in sequence, in the project's own storage, merged again."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.file_rules import IMAGE
from fastlabel_dagster.api.modalities import IMAGE_TASK, SEQUENTIAL_IMAGE
from fastlabel_dagster.api.sdk_names.task_face import TaskFace
from fastlabel_dagster.api.task_requests import file_of, folder_of, task_fields


class ImageTaskNames(TaskFace):
    """Tasks made of images."""

    def find_image_task(self, task_id: str) -> Any:
        """One image task by id."""
        return self._find_task(IMAGE_TASK, task_id)

    def find_image_task_by_name(self, project: str, task_name: str) -> Any:
        """The first image task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(IMAGE_TASK, project, task_name)

    def get_image_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's image tasks, at most 1,000. All pages: `client.image_tasks.iter`."""
        return self._list_tasks(
            IMAGE_TASK,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_image_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        custom_task_status: str | None = "",
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        is_delete_exif: bool = False,
        **users: str | None,
    ) -> Any:
        """Add an image (png, jpg or jpeg, at most 20 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            IMAGE_TASK,
            project,
            name,
            file_of(IMAGE_TASK, file_path, None),
            users,
            status=status,
            external_status=external_status,
            custom_task_status=custom_task_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
            is_delete_exif=is_delete_exif,
        )

    def update_image_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        custom_task_status: str | None = "",
        priority: int | None = None,
        tags: Sequence[str] | None = (),
        annotations: Iterable[Mapping[str, Any]] | None = (),
        relations: Sequence[Mapping[str, Any]] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change an image task and return its id. Empty lists are not sent; `client.image_tasks.update` sends them."""
        return self._update_task(
            IMAGE_TASK,
            task_id,
            users,
            status=status,
            external_status=external_status,
            custom_task_status=custom_task_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            relations=relations,
            metadatas=metadatas,
        )

    def find_sequential_image_task(self, task_id: str) -> Any:
        """One sequential image task by id."""
        return self._find_task(SEQUENTIAL_IMAGE, task_id)

    def find_sequential_image_task_by_name(self, project: str, task_name: str) -> Any:
        """The first sequential image task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(SEQUENTIAL_IMAGE, project, task_name)

    def get_sequential_image_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 10,
    ) -> Any:
        """One page of a project's sequential image tasks, at most 10.

        All pages: `client.sequential_image_tasks.iter`.
        """
        return self._list_tasks(
            SEQUENTIAL_IMAGE,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_sequential_image_task(
        self,
        project: str,
        name: str,
        folder_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        is_delete_exif: bool = False,
        **users: str | None,
    ) -> Any:
        """Add a folder of at most 250 images (png, jpg, jpeg) by ascending name and return the task's id."""
        return self._create_task(
            SEQUENTIAL_IMAGE,
            project,
            name,
            folder_of(SEQUENTIAL_IMAGE, folder_path),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
            is_delete_exif=is_delete_exif,
        )

    def update_sequential_image_task(
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
        """Change a sequential image task and return its id.

        Empty lists are not sent; `client.sequential_image_tasks.update` sends them.
        """
        return self._update_task(
            SEQUENTIAL_IMAGE,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def create_integrated_image_task(
        self,
        project: str,
        storage_type: str,
        file_path: str,
        status: str | None = None,
        external_status: str | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Add an image (png, jpg or jpeg) that stays in the project's own storage and return the task's id."""
        IMAGE.check_name(file_path)
        fields = {
            "status": status,
            "external_status": external_status,
            "annotations": annotations,
            "tags": tags,
            "metadatas": metadatas,
        }
        body = {"project": project, "filePath": file_path, "storageType": storage_type}
        body |= task_fields(IMAGE_TASK, "create", users, fields, name=file_path, clears=False)
        return self._post("tasks/integrated-image", body)

    def find_integrated_image_task_by_prefix(self, project: str, prefix: str) -> Any:
        """The tasks that an image was split into, merged into one. An empty prefix is sent as it is."""
        return self._get("tasks/integrate/images", {"project": project, "prefix": prefix})

    def find_integrated_video_task_by_prefix(self, project: str, prefix: str) -> Any:
        """The tasks that a video was split into, merged into one. An empty prefix is sent as it is."""
        return self._get("tasks/integrate/videos", {"project": project, "prefix": prefix})

    def find_integrated_audio_task_by_prefix(self, project: str, prefix: str) -> Any:
        """The tasks that an audio file was split into, merged into one. An empty prefix is sent as it is."""
        return self._get("tasks/integrate/audios", {"project": project, "prefix": prefix})
