"""The SDK's names for the people of a workspace, what they may use, and what they say about tasks."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.workspace import MODULE_PATHS, checked_modules
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.wire import Fixed, Json, given, path_to, truthy

USERS = "workspaces-users/internal-users"


class WorkspaceNames(SdkFace):
    """Comments, users, permissions."""

    def get_project_comments(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        issue_category_id: str | None = None,
        offset: int | None = None,
        limit: int | None = 100,
    ) -> Any:
        """One page of the messages on a project's tasks, at most 1,000. All pages: `client.comments.iter`."""
        query = {"project": project} | given(offset=offset, limit=limit)
        query |= truthy(
            task_status=status,
            task_external_status=external_status,
            task_tags=tags,
            issue_category_id=issue_category_id,
        )
        return self._get_page("comments/threads", query, limit=limit)

    def get_task_comments(self, project: str, task_id: str, offset: int | None = None, limit: int | None = 100) -> Any:
        """One page of the comments on a task, at most 1,000. All pages: `client.comments.iter_of_task`."""
        query = {"project": project, "taskId": task_id} | given(offset=offset, limit=limit)
        return self._get_page("comments", query, limit=limit)

    def create_task_comment(
        self,
        task_id: str | None = None,
        points: Sequence[float] | None = None,
        text: str | None = None,
        content_name: str | None = None,
        content_id: str | None = None,
        type: str | None = "text",
        scale: float | None = 0,
        frame: int | None = 0,
        status: str | None = None,
        priority: int | None = None,
        is_resolved: bool | None = False,
        task_annotation_id: str | None = None,
        color: str | None = None,
        comment_id: str | None = None,
    ) -> Any:
        """Comment on a task, or with `comment_id` add a message to a comment; of that only `text` is sent."""
        if content_name is not None and content_id is not None:
            raise Invalid("Specify either content_name or content_id, not both.", status=422)
        if comment_id is not None:
            return self._post(path_to("comments", comment_id, Fixed("threads")), {"text": text})
        body: Json = {
            "taskId": task_id,
            "points": points,
            "text": text,
            "type": type,
            "isResolved": is_resolved,
            "scale": scale,
            "frame": frame,
        }
        body |= given(
            content_name=content_name,
            content_id=content_id,
            status=status,
            priority=priority,
            task_annotation_id=task_annotation_id,
            color=color,
        )
        return self._post("comments", body)

    def update_task_comment(self, thread_id: str, text: str) -> Any:
        """Change the text of a message."""
        return self._put(path_to("comments/threads", thread_id), {"text": text})

    def delete_task_comment(self, thread_id: str) -> None:
        """Delete a message; the comment goes with its last one."""
        self._delete(path_to("comments/threads", thread_id))

    def get_workspace_users(self, keyword: str | None = None, offset: int | None = None, limit: int | None = 20) -> Any:
        """One page of the workspace's users; the API names no longest page. All: `client.workspace_users.iter`."""
        return self._get("workspaces-users", truthy(keyword=keyword) | given(offset=offset, limit=limit))

    def create_workspace_user(self, name: str, email: str, language: str, role: str) -> Any:
        """Add a user (language `en` or `ja`, role `member` or `owner`) and return the user."""
        return self._post(USERS, {"name": name, "email": email, "language": language, "role": role})

    def update_workspace_user(self, email: str, role: str) -> Any:
        """Change a user's role and return the user; `none` removes the user."""
        return self._put(USERS, {"email": email, "role": role})

    def delete_workspace_user(self, email: str) -> None:
        """Remove a user from the workspace."""
        self._put(USERS, {"email": email, "role": "none"})

    def create_workspace_user_module_permissions(self, email: str, modules: str | Sequence[str]) -> Any:
        """Let a user use modules (`annotation`, `modelDev`, `dataset`) and return the API's answer to each."""
        return [
            self._post(
                f"function-resource-permissions/{MODULE_PATHS[module]}/internal-users", {"email": email}, harmless=True
            )
            for module in checked_modules(modules)
        ]

    def delete_workspace_user_module_permissions(self, email: str, modules: str | Sequence[str]) -> None:
        """Take modules away from a user."""
        for module in checked_modules(modules):
            body = {"email": email, "resource": module}
            self._transport.call("DELETE", "function-resource-permissions", body=body)

    def update_project_user_permission(self, project: str, email: str, role: str) -> Any:
        """Give a user a role in a project; `none` takes the user out of it."""
        return self._put("projects-users", {"project": project, "email": email, "role": role})
