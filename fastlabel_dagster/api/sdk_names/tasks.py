"""The SDK's names for what works with tasks of every modality, and for task tags."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.tasks import TASKS_PER_TAG_REQUEST, updated_tasks
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.wire import Fixed, Json, given, path_to, truthy, users_to_send


class TaskNames(SdkFace):
    """Operations on tasks of any modality, and their tags."""

    def count_tasks(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Any:
        """How many tasks a project has in these states and with these tags."""
        query = {"project": project} | truthy(status=status, external_status=external_status, tags=tags)
        return self._get("tasks/count", query)

    def get_task_id_name_map(self, project: str, offset: int | None = None, limit: int | None = 1000) -> Any:
        """One page of the tasks' names by id. All pages: `client.tasks.id_name_map`."""
        query = {"project": project} | truthy(offset=offset, limit=limit)
        return self._get_page("tasks/map/id-name", query, limit=limit)

    def update_task(
        self,
        task_id: str,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = (),
        metadatas: Sequence[Mapping[str, Any]] | None = (),
        **users: str | None,
    ) -> Any:
        """Change a task of any modality and return its id. Empty lists are not sent."""
        body = truthy(status=status, external_status=external_status, tags=tags, metadatas=metadatas)
        body |= given(priority=priority) | users_to_send(users)
        return self._put(path_to("tasks", task_id), body)

    def delete_task(self, task_id: str) -> None:
        """Delete a task."""
        self._delete(path_to("tasks", task_id))

    def delete_task_annotations(self, task_id: str) -> None:
        """Delete a task's annotations; the task stays."""
        self._delete(path_to("tasks", task_id, Fixed("task-annotations")))

    def get_tags(
        self, project: str, keyword: str | None = None, offset: int | None = None, limit: int | None = 100
    ) -> Any:
        """One page of a project's tags, at most 1,000."""
        query = {"project": project} | truthy(keyword=keyword, offset=offset, limit=limit)
        return self._get_page("tags", query, limit=limit)

    def delete_tags(self, tag_ids: Sequence[str]) -> None:
        """Delete tags."""
        self._post("tags/delete/multi", {"tagIds": tag_ids}, harmless=True)

    def add_task_tags(self, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        """Put tags on tasks, 5,000 tasks per request, and return how many were changed."""
        return self._tag_tasks("tasks/tags/add", project, task_ids, tags)

    def remove_task_tags(self, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        """Take tags off tasks, 5,000 tasks per request, and return how many were changed."""
        return self._tag_tasks("tasks/tags/remove", project, task_ids, tags)

    def _tag_tasks(self, path: str, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        ids = list(dict.fromkeys(task_ids))
        if not ids:
            raise Invalid("Task ids must not be empty.", status=422)
        if not tags:
            raise Invalid("Tags must not be empty.", status=422)
        batches: list[Json] = [
            {"project": project, "taskIds": ids[start : start + TASKS_PER_TAG_REQUEST], "tags": tags}
            for start in range(0, len(ids), TASKS_PER_TAG_REQUEST)
        ]
        return sum(updated_tasks(self._post(path, batch, harmless=True), path) for batch in batches)
