"""Tasks: what all modalities have in common, and image tasks."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group
from fastlabel_dagster.api.paging import PAGES_IN_FLIGHT, iter_pages
from fastlabel_dagster.api.wire import (
    IMAGE_BYTES,
    IMAGE_EXTENSIONS,
    Fixed,
    Json,
    Jsons,
    annotations_to_send,
    check_limit,
    content_to_send,
    file_to_send,
    given,
    path_to,
    users_to_send,
)

TASKS_PER_TAG_REQUEST = 5000
"""How many tasks one tag request may name."""


class ModalityTasks(Group):
    """Reading the tasks of one modality; a further modality is a subclass with its `path`."""

    path: ClassVar[str]
    most_per_page: ClassVar[int] = MOST_PER_PAGE

    def list(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = MOST_PER_PAGE,
    ) -> Jsons:
        """One page of a project's tasks, oldest list position first.

        Args:
            project: the project's slug.
            status, external_status: only tasks in this state, e.g. "approved".
            tags: only tasks with these tags, at most 10.
            task_name: only the task of this name.
            offset: how many tasks to leave out at the beginning.
            limit: longest page wanted, at most 1,000.
        """
        check_limit(limit, self.most_per_page)
        return self._list(
            self.path,
            given(
                project=project,
                status=status,
                external_status=external_status,
                tags=tags,
                task_name=task_name,
                offset=offset,
                limit=limit,
            ),
        )

    def pages(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        *,
        page_size: int = MOST_PER_PAGE,
        in_flight: int = PAGES_IN_FLIGHT,
    ) -> Iterator[Jsons]:
        """All pages in order, up to `in_flight` of them ahead of the reader. Filters as in `list`.

        Offset paging over a project that people are working on can skip a task or show it twice; whoever needs every
        task exactly once compares with `tasks.id_name_map`.
        """
        check_limit(page_size, self.most_per_page)

        def fetch(offset: int, limit: int) -> Jsons:
            return self.list(project, status, external_status, tags, task_name, offset, limit)

        return iter_pages(fetch, page_size=page_size, in_flight=in_flight)

    def iter(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        *,
        page_size: int = MOST_PER_PAGE,
        in_flight: int = PAGES_IN_FLIGHT,
    ) -> Iterator[Json]:
        """All tasks one by one; see `pages`."""
        pages = self.pages(project, status, external_status, tags, task_name, page_size=page_size, in_flight=in_flight)
        return (task for page in pages for task in page)

    def find(self, task_id: str) -> Json:
        """One task.

        Raises:
            NotFound: when there is none of this id.
        """
        return self._object("GET", path_to(self.path, task_id))

    def by_name(self, project: str, task_name: str) -> Json | None:
        """The task of exactly this name (compared in Unicode NFC), or None.

        Raises:
            Invalid: for an empty name, which the API would take as no filter at all.
        """
        if not task_name:
            raise Invalid("an empty task name finds nothing")
        wanted = unicodedata.normalize("NFC", task_name)
        for task in self.list(project, task_name=task_name):
            if unicodedata.normalize("NFC", str(task.get("name"))) == wanted:
                return task
        return None


class ImageTasks(ModalityTasks):
    """`client.image_tasks`: one image and the annotations on it."""

    path = "tasks/image"

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
        body = given(project=project, name=name, file=_image(file_path, content))
        body |= self._changes(
            annotations=None if annotations is None else annotations_to_send(annotations, content=name),
            users=users,
            status=status,
            external_status=external_status,
            custom_task_status=custom_task_status,
            priority=priority,
            tags=tags,
            metadatas=metadatas,
            is_delete_exif=is_delete_exif,
        )
        return self._text("POST", self.path, body)

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
        body = self._changes(
            # The server fills in the name itself when the content is empty.
            annotations=None if annotations is None else annotations_to_send(annotations, content=""),
            users=users,
            status=status,
            external_status=external_status,
            custom_task_status=custom_task_status,
            priority=priority,
            tags=tags,
            relations=relations,
            metadatas=metadatas,
        )
        return self._text("PUT", path_to(self.path, task_id), body)

    @staticmethod
    def _changes(*, users: Mapping[str, str | None], **values: Any) -> Json:
        return given(**values) | users_to_send(users)


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
        return int((answer or {}).get("updatedTaskCount", 0))


def _image(file_path: str | Path | None, content: bytes | None) -> str:
    if (file_path is None) == (content is None):
        raise Invalid("give either file_path or content")
    if content is not None:
        return content_to_send(content, what="image", max_bytes=IMAGE_BYTES)
    assert file_path is not None  # the other case left above
    return file_to_send(file_path, what="image", max_bytes=IMAGE_BYTES, extensions=IMAGE_EXTENSIONS)
