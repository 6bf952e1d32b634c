"""The SDK's names for point clouds, DICOM series and robot episodes."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.file_rules import ANY_ZIP, DICOM_ZIP
from fastlabel_dagster.api.lerobot import LeRobotConverter, import_lerobot
from fastlabel_dagster.api.modalities import DICOM, PCD_TASK, ROBOTICS, SEQUENTIAL_PCD
from fastlabel_dagster.api.sdk_names.task_face import TaskFace
from fastlabel_dagster.api.task_requests import file_of, folder_of, task_fields
from fastlabel_dagster.api.upload import upload_zip
from fastlabel_dagster.api.wire import Jsons, check_limit, truthy


class SpatialTaskNames(TaskFace):
    """Tasks made of point clouds, DICOM files and robot episodes."""

    def find_pcd_task(self, task_id: str) -> Any:
        """One point cloud task by id."""
        return self._find_task(PCD_TASK, task_id)

    def find_pcd_task_by_name(self, project: str, task_name: str) -> Any:
        """The first point cloud task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(PCD_TASK, project, task_name)

    def get_pcd_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's point cloud tasks, at most 1,000. All pages: `client.pcd_tasks.iter`."""
        return self._list_tasks(
            PCD_TASK,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_pcd_task(
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
        """Add a point cloud (pcd, at most 100 MB) and return the task's id. Nothing passed in is changed."""
        return self._create_task(
            PCD_TASK,
            project,
            name,
            file_of(PCD_TASK, file_path, None),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )

    def update_pcd_task(
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
        """Change a point cloud task and return its id.

        Empty lists are not sent; `client.pcd_tasks.update` sends them.
        """
        return self._update_task(
            PCD_TASK,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def find_sequential_pcd_task(self, task_id: str) -> Any:
        """One sequential point cloud task by id."""
        return self._find_task(SEQUENTIAL_PCD, task_id)

    def find_sequential_pcd_task_by_name(self, project: str, task_name: str) -> Any:
        """The first sequential point cloud task that the API lists under this name, or None.

        An empty name is refused.
        """
        return self._first_task(SEQUENTIAL_PCD, project, task_name)

    def get_sequential_pcd_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 10,
    ) -> Any:
        """One page of a project's sequential point cloud tasks, at most 10.

        All pages: `client.sequential_pcd_tasks.iter`.
        """
        return self._list_tasks(
            SEQUENTIAL_PCD,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_sequential_pcd_task(
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
        **users: str | None,
    ) -> Any:
        """Add a folder of at most 250 pcd files by ascending name and return the task's id."""
        return self._create_task(
            SEQUENTIAL_PCD,
            project,
            name,
            folder_of(SEQUENTIAL_PCD, folder_path),
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            annotations=annotations,
            tags=tags,
            metadatas=metadatas,
        )

    def update_sequential_pcd_task(
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
        """Change a sequential point cloud task and return its id.

        Empty lists are not sent; `client.sequential_pcd_tasks.update` sends them.
        """
        return self._update_task(
            SEQUENTIAL_PCD,
            task_id,
            users,
            status=status,
            external_status=external_status,
            priority=priority,
            tags=tags,
            annotations=annotations,
            metadatas=metadatas,
        )

    def find_dicom_task(self, task_id: str) -> Any:
        """One DICOM task by id."""
        return self._find_task(DICOM, task_id)

    def find_dicom_task_by_name(self, project: str, task_name: str) -> Any:
        """The first DICOM task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(DICOM, project, task_name)

    def get_dicom_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of a project's DICOM tasks, at most 1,000. All pages: `client.dicom_tasks.iter`."""
        return self._list_tasks(
            DICOM,
            project,
            limit,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
        )

    def create_dicom_task(
        self,
        project: str,
        file_path: str | Path,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Upload a zip of at most 2,000 MB, streamed from disk, and return what the API says of its import.

        Raises:
            FastLabelError: when the upload is refused, which the SDK does not notice.
        """
        fields = {"status": status, "external_status": external_status, "tags": tags, "metadatas": metadatas}
        body = {"project": project} | task_fields(DICOM, "create", users, fields, clears=False)
        body["fileKey"] = upload_zip(self._transport, project, file_path, DICOM_ZIP)
        return self._post(DICOM.path, body)

    def update_dicom_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a DICOM task and return its id. Empty lists are not sent; `client.dicom_tasks.update` sends them."""
        return self._update_task(
            DICOM,
            task_id,
            users,
            status=status,
            external_status=external_status,
            tags=tags,
            metadatas=metadatas,
        )

    def find_robotics_task(self, task_id: str) -> Any:
        """One robotics task by id."""
        return self._find_task(ROBOTICS, task_id)

    def find_robotics_task_by_name(self, project: str, task_name: str) -> Any:
        """The first robotics task that the API lists under this name, or None. An empty name is refused."""
        return self._first_task(ROBOTICS, project, task_name)

    def get_robotics_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Any:
        """One page of a project's robotics tasks, at most 100. All pages: `client.robotics_tasks.iter`."""
        check_limit(limit, ROBOTICS.page_maximum)
        query = {"project": project, "offset": offset, "limit": limit}
        query |= truthy(status=status, external_status=external_status, tags=tags, task_name=task_name)
        return self._get(ROBOTICS.path, query)

    def create_robotics_task(
        self,
        project: str,
        name: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        operator: str | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> Any:
        """Add a task without content and return its id; `import_robotics_contents_file` brings the content."""
        return self._create_task(
            ROBOTICS,
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

    def update_robotics_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        operator: str | None = None,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> Any:
        """Change a robotics task and return its id. `annotations=[]` is sent, and clears; other empty lists are not."""
        return self._update_task(
            ROBOTICS,
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
        lerobot_data_path: str | Path,
        episode_indices: Sequence[int] | None = None,
        converter: Callable[[dict[str, Any]], Any] = LeRobotConverter,
    ) -> Jsons:
        """Import the episodes of a LeRobot data set (v3): a task each, then its videos and telemetry.

        Args:
            episode_indices: which episodes; None leaves it to the converter, which takes all as a rule.
            converter: a `LeRobotConverter`, or anything that makes one of the parsed `meta/info.json`.

        Returns:
            Per episode `episode_index`, `episode`, `success` and `result`; one that failed does not stop the others.
        """

        def create(name: str, **further: Any) -> Any:
            return self.create_robotics_task(project=project, name=name, **further)

        def upload(file: Path) -> Any:
            return self.import_robotics_contents_file(project, file)

        return import_lerobot(lerobot_data_path, episode_indices, converter, create=create, upload=upload)

    def import_robotics_contents_file(self, project: str, file_path: str | Path) -> Any:
        """Upload an episode's zip, streamed from disk, and return what the API says of its import."""
        key = upload_zip(self._transport, project, file_path, ANY_ZIP)
        return self._post("contents/imports/robotics-contents/batch", {"project": project, "fileKey": key})
