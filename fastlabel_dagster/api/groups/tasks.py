"""What works for tasks of every modality."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastlabel_dagster.api.errors import Invalid, ServerError
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group
from fastlabel_dagster.api.paging import PAGES_IN_FLIGHT, iter_pages
from fastlabel_dagster.api.wire import (
    Fixed,
    Json,
    check_limit,
    given,
    path_to,
    users_to_send,
)

TASKS_PER_TAG_REQUEST = 5000
"""How many tasks one tag request may name."""


class Tasks(Group):
    """`client.tasks`: what works for tasks of every modality."""

    def count(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> int:
        """How many tasks a project has, in these states and with these tags."""
        query = given(project=project, status=status, external_status=external_status, tags=tags)
        return self._number("tasks/count", query)

    def id_name_map(self, project: str) -> dict[str, str]:
        """The names of all tasks by id, over all pages."""
        return {task_id: name for page in self.id_name_pages(project) for task_id, name in page.items()}

    def id_name_pages(
        self, project: str, *, page_size: int = MOST_PER_PAGE, in_flight: int = PAGES_IN_FLIGHT
    ) -> Iterator[dict[str, str]]:
        """The same page by page, for projects too large to hold at once."""
        check_limit(page_size, MOST_PER_PAGE)

        def fetch(offset: int, limit: int) -> dict[str, str]:
            return self._map("tasks/map/id-name", given(project=project, offset=offset, limit=limit))

        return iter_pages(fetch, page_size=page_size, in_flight=in_flight)

    def update(
        self,
        task_id: str,
        *,
        status: str | None = None,
        external_status: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        **users: str | None,
    ) -> str:
        """Change a task of any modality. What is None stays as it is; an empty list is sent, and clears.

        Returns:
            The task's id.
        """
        body = given(
            status=status, external_status=external_status, priority=priority, tags=tags, metadatas=metadatas
        ) | users_to_send(users)
        return self._text("PUT", path_to("tasks", task_id), body)

    def delete(self, task_id: str) -> None:
        """Delete a task with its annotations."""
        self._nothing("DELETE", path_to("tasks", task_id))

    def delete_annotations(self, task_id: str) -> None:
        """Delete a task's annotations; the task stays."""
        self._nothing("DELETE", path_to("tasks", task_id, Fixed("task-annotations")))

    def add_tags(self, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        """Put tags on tasks; unknown tags are made. At most 20 tags of 140 characters.

        Sent in batches of 5,000 tasks. A repeated batch does no harm, so it is repeated when its answer is lost; the
        count then misses what the lost answer would have counted.

        Returns:
            How many tasks were changed; those that had the tags already do not count.
        """
        return self._tag("tasks/tags/add", project, task_ids, tags)

    def remove_tags(self, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        """Take tags off tasks; unknown tags are ignored. Otherwise as `add_tags`."""
        return self._tag("tasks/tags/remove", project, task_ids, tags)

    def _tag(self, path: str, project: str, task_ids: Iterable[str], tags: Sequence[str]) -> int:
        ids = list(dict.fromkeys(task_ids))
        if not ids:
            raise Invalid("Task ids must not be empty.", status=422)
        if not tags:
            raise Invalid("Tags must not be empty.", status=422)
        changed = 0
        for start in range(0, len(ids), TASKS_PER_TAG_REQUEST):
            body = given(project=project, task_ids=ids[start : start + TASKS_PER_TAG_REQUEST], tags=tags)
            changed += self._count_in(path, body)
        return changed

    def _count_in(self, path: str, body: Json) -> int:
        answer = self._transport.call("POST", path, body=body, harmless=True)
        return updated_tasks(answer, path)


def updated_tasks(answer: object, path: str) -> int:
    """How many tasks were changed, by the answer; 0 for an empty one.

    Raises:
        ServerError: when the answer says something else.
    """
    if answer is None:
        return 0
    count = answer.get("updatedTaskCount", 0) if isinstance(answer, dict) else None
    if isinstance(count, int):
        return count
    raise ServerError("the answer does not say how many tasks were changed", method="POST", path=path)
