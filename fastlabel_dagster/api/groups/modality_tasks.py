"""Tasks of one modality: finding and listing them, and what making and changing them has in common."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from fastlabel_dagster.api.creation import create_once
from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.group import Group, id_in, shaped_entries
from fastlabel_dagster.api.modalities import Modality
from fastlabel_dagster.api.paging import PAGES_IN_FLIGHT, iter_pages
from fastlabel_dagster.api.task_requests import task_fields
from fastlabel_dagster.api.wire import Json, Jsons, check_limit, given, path_to


class ModalityTasks(Group):
    """Reading the tasks of one modality; a further modality is a subclass with its row of the table."""

    modality: ClassVar[Modality]

    def list(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> Jsons:
        """One page of a project's tasks, oldest list position first. An entry that is no object stays as it came.

        Args:
            project: the project's slug.
            status, external_status: only tasks in this state, e.g. "approved".
            tags: only tasks with these tags, at most 10.
            task_name: only the task of this name.
            offset: how many tasks to leave out at the beginning.
            limit: longest page wanted; the longest that the API hands out when not given: 1,000, but 100 for robotics
                and 10 for videos, sequential tasks and multi-modal ones.
        """
        maximum = self.modality.page_maximum
        return self._list(
            self.modality.path,
            given(
                project=project,
                status=status,
                external_status=external_status,
                tags=tags,
                task_name=task_name,
                offset=offset,
                limit=maximum if limit is None else check_limit(limit, maximum),
            ),
            as_they_are=True,  # one bad task must not cost the page it is on: a sync puts it into quarantine
        )

    def pages(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        *,
        page_size: int | None = None,
        in_flight: int = PAGES_IN_FLIGHT,
    ) -> Iterator[Jsons]:
        """All pages in order, up to `in_flight` of them ahead of the reader. Filters as in `list`.

        Offset paging over a project that people are working on can skip a task or show it twice; whoever needs every
        task exactly once compares with `tasks.id_name_map`.
        """
        maximum = self.modality.page_maximum
        check_limit(page_size, maximum)

        def fetch(offset: int, limit: int) -> Jsons:
            return self.list(project, status, external_status, tags, task_name, offset, limit)

        return iter_pages(fetch, page_size=maximum if page_size is None else page_size, in_flight=in_flight)

    def iter(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        *,
        page_size: int | None = None,
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
        return self._object("GET", path_to(self.modality.path, task_id))

    def by_name(self, project: str, task_name: str) -> Json | None:
        """The task of exactly this name (compared in Unicode NFC), or None.

        Raises:
            Invalid: for an empty name, which the API would take as no filter at all.
        """
        if not task_name:
            raise Invalid("an empty task name finds nothing")
        wanted = unicodedata.normalize("NFC", task_name)
        for task in shaped_entries(self.list(project, task_name=task_name), self.modality.path):
            if unicodedata.normalize("NFC", str(task.get("name"))) == wanted:
                return task
        return None

    def _create(self, project: str, name: str, content: Json, users: Mapping[str, str | None], **fields: Any) -> str:
        """Make a task. When the answer is lost, it is looked up by its name before anything is sent again."""
        body = given(project=project, name=name) | content
        body |= task_fields(self.modality, "create", users, fields, name=name, clears=True)
        path = self.modality.path

        return create_once(
            self._transport,
            path,
            lambda: self._text("POST", path, body),
            lambda: self.by_name(project, name) if name else None,
            id_in,
        )

    def _update(self, task_id: str, users: Mapping[str, str | None], **fields: Any) -> str:
        body = task_fields(self.modality, "update", users, fields, clears=True)
        return self._text("PUT", path_to(self.modality.path, task_id), body)
