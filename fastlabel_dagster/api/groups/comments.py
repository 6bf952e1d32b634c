"""Comments on tasks, and the threads of messages below them."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages
from fastlabel_dagster.api.wire import Fixed, Json, Jsons, check_limit, given, path_to


class Comments(Group):
    """`client.comments`: what people say about tasks. A comment lies on a point of a task and holds messages."""

    def list(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        issue_category_id: str | None = None,
        offset: int | None = None,
        limit: int | None = MOST_PER_PAGE,
    ) -> Jsons:
        """One page of a project's messages, each with the `comment` that it belongs to.

        Args:
            project: the project's slug.
            status, external_status, tags: only on tasks like this.
            limit: at most 1,000.
        """
        check_limit(limit, MOST_PER_PAGE)
        query = given(
            project=project,
            task_status=status,
            task_external_status=external_status,
            task_tags=tags,
            issue_category_id=issue_category_id,
            offset=offset,
            limit=limit,
        )
        return self._list("comments/threads", query)

    def iter(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        issue_category_id: str | None = None,
    ) -> Iterator[Json]:
        """All of a project's messages; filters as in `list`."""
        return all_pages(
            lambda offset, limit: self.list(project, status, external_status, tags, issue_category_id, offset, limit)
        )

    def of_task(
        self, project: str, task_id: str, offset: int | None = None, limit: int | None = MOST_PER_PAGE
    ) -> Jsons:
        """One page of the comments on one task, each with its `threads`; at most 1,000."""
        path_to("tasks", task_id)  # refuses an empty id, which here travels in the query
        check_limit(limit, MOST_PER_PAGE)
        return self._list("comments", given(project=project, task_id=task_id, offset=offset, limit=limit))

    def iter_of_task(self, project: str, task_id: str) -> Iterator[Json]:
        """All comments on one task."""
        return all_pages(lambda offset, limit: self.of_task(project, task_id, offset, limit))

    def create(
        self,
        task_id: str,
        points: Sequence[float] | None,
        text: str,
        *,
        content_name: str | None = None,
        content_id: str | None = None,
        type: str = "text",
        scale: float = 0,
        frame: int = 0,
        status: str | None = None,
        priority: int | None = None,
        is_resolved: bool = False,
        task_annotation_id: str | None = None,
        color: str | None = None,
    ) -> Json:
        """Comment on a task.

        Args:
            points: where, x and y in pixels.
            text: the first message.
            content_name: the frame it is about, by the file name in `contents[].name`; or its `content_id`.
            frame: of a video, counted from 1.

        Returns:
            The comment.

        Raises:
            Invalid: (422) when both content_name and content_id are given.
        """
        if content_name is not None and content_id is not None:
            raise Invalid("Specify either content_name or content_id, not both.", status=422)
        path_to("tasks", task_id)  # refuses an empty id, which here travels in the body
        body: Json = {"taskId": task_id, "points": None if points is None else [*points], "text": text, "type": type}
        body |= given(
            is_resolved=is_resolved,
            scale=scale,
            frame=frame,
            content_name=content_name,
            content_id=content_id,
            status=status,
            priority=priority,
            task_annotation_id=task_annotation_id,
            color=color,
        )
        return self._object("POST", "comments", body=body)

    def reply(self, comment_id: str, text: str) -> Json:
        """Add a message to a comment."""
        return self._object("POST", path_to("comments", comment_id, Fixed("threads")), body={"text": text})

    def update(self, thread_id: str, text: str) -> Json:
        """Change the text of a message."""
        return self._object("PUT", path_to("comments/threads", thread_id), body={"text": text})

    def delete(self, thread_id: str) -> None:
        """Delete a message; the comment goes with its last one."""
        self._nothing("DELETE", path_to("comments/threads", thread_id))
