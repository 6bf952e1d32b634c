"""Tasks whose annotations lie on a file: images, videos, texts, audio files and point clouds, single or in sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from fastlabel_dagster.api.file_rules import IMAGE
from fastlabel_dagster.api.groups.modality_tasks import ModalityTasks
from fastlabel_dagster.api.modalities import (
    AUDIO_TASK,
    IMAGE_TASK,
    PCD_TASK,
    SEQUENTIAL_IMAGE,
    SEQUENTIAL_PCD,
    TEXT_TASK,
    VIDEO_TASK,
)
from fastlabel_dagster.api.task_requests import file_of, folder_of, task_fields
from fastlabel_dagster.api.wire import Json, given


class _AnnotatedTasks(ModalityTasks):
    """Changing tasks that have annotations."""

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task. What is None stays as it is; an empty list is sent, and clears.

        Args:
            annotations: replace those there are; in the shape that task answers have; they are not changed.
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
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )


class _Mergeable(ModalityTasks):
    """Tasks that can be split for labeling and read merged again."""

    merged_path: ClassVar[str]

    def merged(self, project: str, prefix: str) -> Json:
        """The tasks that one file was split into, as one task with all their annotations.

        Args:
            prefix: what the names of the split tasks begin with.

        Raises:
            NotFound: when there are none.
        """
        return self._object("GET", self.merged_path, query=given(project=project, prefix=prefix))


class _FileTasks(_AnnotatedTasks):
    """Making tasks of one file with annotations."""

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
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Add a task, with annotations if there are any already.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            file_path: the file; which kinds and sizes are taken is said above. Or give its bytes as `content`.
            annotations: in the shape that task answers have; they are not changed.
            priority: 0 none, 10 low, 20 medium, 30 high.
            metadatas: dicts of `key` and `value`.
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
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )


class VideoTasks(_FileTasks, _Mergeable):
    """`client.video_tasks`: an MP4 file of H.264, at most 250 MB; annotations hold their points frame by frame."""

    modality = VIDEO_TASK
    merged_path = "tasks/integrate/videos"


class TextTasks(_FileTasks):
    """`client.text_tasks`: a txt file of at most 2 MB; annotations run from character `start` to `end`."""

    modality = TEXT_TASK


class AudioTasks(_FileTasks, _Mergeable):
    """`client.audio_tasks`: an mp3, wav or m4a file of at most 120 MB; annotations run from second to second."""

    modality = AUDIO_TASK
    merged_path = "tasks/integrate/audios"


class PcdTasks(_FileTasks):
    """`client.pcd_tasks`: a point cloud, a pcd file of at most 100 MB, with cuboids or segmentations in it."""

    modality = PCD_TASK


class ImageTasks(_Mergeable):
    """`client.image_tasks`: one image (png, jpg or jpeg, at most 20 MB) and the annotations on it."""

    modality = IMAGE_TASK
    merged_path = "tasks/integrate/images"

    def create(
        self,
        project: str,
        name: str,
        file_path: str | Path | None = None,
        *,
        content: bytes | None = None,
        status: str | None = None,
        external_status: str | None = None,
        custom_task_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        is_delete_exif: bool | None = None,
        **users: str | None,
    ) -> str:
        """Add an image, with annotations if there are any already.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            file_path: a png, jpg or jpeg of at most 20 MB; or give its bytes as `content`.
            annotations: in the shape that task answers have; they are not changed.
            priority: 0 none, 10 low, 20 medium, 30 high.
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
            custom_task_status=custom_task_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
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
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Add an image that stays in the project's own storage.

        Args:
            storage_type: where it lies, e.g. `gcp`.
            file_path: its path there (png, jpg or jpeg); annotations' `content` becomes this path.

        Returns:
            The new task's id.

        Raises:
            Invalid: (422) for another extension; nothing is sent then.
        """
        IMAGE.check_name(file_path)
        fields = {
            "status": status,
            "external_status": external_status,
            "annotations": annotations,
            "tags": tags,
            "metadatas": metadatas,
        }
        body = given(project=project, file_path=file_path, storage_type=storage_type)
        body |= task_fields(self.modality, "create", users, fields, name=file_path, clears=True)
        return self._text("POST", "tasks/integrated-image", body)

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        custom_task_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        relations: Sequence[Mapping[str, Any]] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task. What is None stays as it is; an empty list is sent, and clears.

        Returns:
            The task's id.
        """
        return self._update(
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


class SequentialImageTasks(_AnnotatedTasks):
    """`client.sequential_image_tasks`: a folder of at most 250 images; an annotation's `content` names its frame."""

    modality = SEQUENTIAL_IMAGE

    def create(
        self,
        project: str,
        name: str,
        folder_path: str | Path,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        is_delete_exif: bool | None = None,
        **users: str | None,
    ) -> str:
        """Add a sequence, its frames in ascending order of their file names.

        When the answer is lost, the task is looked up by its name before anything is sent again.

        Args:
            project: the project's slug.
            name: the task's name, unique in its project.
            folder_path: at most 250 png, jpg or jpeg files of at most 20 MB each, some 400 MB together.
            annotations: each with the frame's file name as `content`; they are not changed.
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
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
            is_delete_exif=is_delete_exif,
        )


class SequentialPcdTasks(_AnnotatedTasks):
    """`client.sequential_pcd_tasks`: a folder of at most 250 point clouds; cuboids hold their points frame by frame."""

    modality = SEQUENTIAL_PCD

    def create(
        self,
        project: str,
        name: str,
        folder_path: str | Path,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Add a sequence of pcd files of at most 100 MB each; otherwise as `client.sequential_image_tasks.create`.

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
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )
