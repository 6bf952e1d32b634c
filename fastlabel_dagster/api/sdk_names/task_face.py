"""What the SDK's task methods are made of: a row of the table of modalities, and the SDK's rule for empty values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.api.sdk_names.face import SdkFace, first_of, named
from fastlabel_dagster.api.task_requests import task_fields
from fastlabel_dagster.api.wire import Json, check_limit, path_to, truthy


class TaskFace(SdkFace):
    """One call per method; the methods themselves hold the SDK's signatures."""

    def _find_task(self, modality: Modality, task_id: str) -> Any:
        return self._get(path_to(modality.path, task_id))

    def _first_task(self, modality: Modality, project: str, task_name: str) -> Any:
        query: Json = {"project": project, "taskName": named(task_name, "task name"), "limit": modality.page_default}
        if modality.key == "robotics":
            query["offset"] = 0  # always sent there
        return first_of(self._get(modality.path, query))

    def _list_tasks(self, modality: Modality, project: str, limit: int | None, **filters: Any) -> Any:
        if modality.checked_by_sdk:
            check_limit(limit, modality.page_maximum)
        return self._get(modality.path, {"project": project} | truthy(**filters, limit=limit))

    def _create_task(
        self,
        modality: Modality,
        project: str,
        name: str,
        content: Json,
        users: Mapping[str, str | None],
        /,
        **fields: Any,
    ) -> Any:
        body = {"project": project, "name": name} | content
        body |= task_fields(modality, "create", users, fields, name=name, clears=False)
        return self._post(modality.path, body)

    def _update_task(self, modality: Modality, task_id: str, users: Mapping[str, str | None], /, **fields: Any) -> Any:
        body = task_fields(modality, "update", users, fields, clears=False)
        return self._put(path_to(modality.path, task_id), body)
