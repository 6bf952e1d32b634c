"""The SDK's names for images that are classified as a whole, one by one or several together."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.modalities import IMAGE_CLASSIFICATION, MULTI_IMAGE_CLASSIFICATION
from fastlabel_dagster.api.sdk_names.task_face import TaskFace
from fastlabel_dagster.api.task_requests import file_of, folder_of, task_fields


class ClassifiedImageNames(TaskFace):
    """Images with attributes in place of annotations."""

    def find_image_classification_task(self, task_id: str) -> Any:
        """One image classification task by id."""
        return self._find_task(IMAGE_CLASSIFICATION, task_id)

    def find_image_classification_task_by_name(self, project: str, task_name: str) -> Any:
        """The first image classification task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(IMAGE_CLASSIFICATION, project, task_name)

    def get_image_classification_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's image classification tasks, at most 1,000 (not checked here, as in the SDK).

        All pages: `client.image_classification_tasks.iter`.
        """
        return self._list_tasks(
            IMAGE_CLASSIFICATION,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_image_classification_task(
        self,
        project: str,
        name: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        is_delete_exif: bool = False,
        **users: str | None,
    ) -> Any:
        """Add an image (png, jpg or jpeg, at most 20 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            IMAGE_CLASSIFICATION,
            project,
            name,
            file_of(IMAGE_CLASSIFICATION, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
            is_delete_exif=is_delete_exif,
        )

    def update_image_classification_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Change an image classification task and return its id.

        Empty lists are not sent; `client.image_classification_tasks.update` sends them.
        """
        return self._update_task(
            IMAGE_CLASSIFICATION,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def find_multi_image_classification_task(self, task_id: str) -> Any:
        """One multi-image classification task by id."""
        return self._find_task(MULTI_IMAGE_CLASSIFICATION, task_id)

    def find_multi_image_classification_task_by_name(self, project: str, task_name: str) -> Any:
        """The first multi-image classification task that the API lists under this name, or None.

        An empty name is refused.
        """
        return self._first_task(MULTI_IMAGE_CLASSIFICATION, project, task_name)

    def get_multi_image_classification_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's multi-image classification tasks, at most 1,000 (not checked here, as in the SDK).

        All pages: `client.multi_image_classification_tasks.iter`.
        """
        return self._list_tasks(
            MULTI_IMAGE_CLASSIFICATION,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_multi_image_classification_task(
        self,
        project: str,
        name: str,
        folder_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        is_delete_exif: bool = False,
        **users: str | None,
    ) -> Any:
        """Add a folder of at most 6 images (png, jpg, jpeg, gif) by ascending name and return the task's id."""
        return self._create_task(
            MULTI_IMAGE_CLASSIFICATION,
            project,
            name,
            folder_of(MULTI_IMAGE_CLASSIFICATION, folder_path),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
            is_delete_exif=is_delete_exif,
        )

    def update_multi_image_classification_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = (),
        tags: Sequence[str] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a multi-image classification task and return its id.

        Empty lists are not sent; `client.multi_image_classification_tasks.update` sends them.
        """
        return self._update_task(
            MULTI_IMAGE_CLASSIFICATION,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            attributes=attributes,
            tags=tags,
        )

    def create_integrated_image_classification_task(
        self,
        project: str,
        file_path: str,
        storage_type: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        attributes: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        **users: str | None,
    ) -> Any:
        """Add an image that stays in the project's own storage and return the task's id."""
        fields = {
            "status": status,
            "external_status": external_status,
            "priority": priority,
            "attributes": attributes,
            "tags": tags,
        }
        body = {"project": project, "filePath": file_path, "storageType": storage_type}
        body |= task_fields(IMAGE_CLASSIFICATION, "create", users, fields, clears=False)
        return self._post("tasks/integrated-image/classification", body)
