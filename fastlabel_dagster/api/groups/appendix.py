"""Appendix data (camera calibrations beside point clouds), and the metadata fields of a workspace."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from fastlabel_dagster.api.file_rules import ANY_ZIP
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages
from fastlabel_dagster.api.upload import upload_zip
from fastlabel_dagster.api.wire import Json, Jsons, check_limit, given

MOST_APPENDIXES: Final = 10_000
"""The longest page of appendix data."""


class Appendix(Group):
    """`client.appendix`: calibration data and images that belong to a project's contents."""

    def list(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = MOST_APPENDIXES,
    ) -> Jsons:
        """One page of the appendixes of all contents: signed `url`, `format` (yml, kitti or none), `calibration`.

        Args:
            project: the project's slug.
            status, external_status, tags, task_name: only those of tasks like this.
            limit: at most 10,000.
        """
        check_limit(limit, MOST_APPENDIXES)
        query = given(
            project=project,
            status=status,
            external_status=external_status,
            tags=tags,
            task_name=task_name,
            offset=offset,
            limit=limit,
        )
        return self._list("contents/export/appendix", query)

    def iter(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        *,
        page_size: int = MOST_PER_PAGE,
    ) -> Iterator[Json]:
        """All of them; filters as in `list`. The URLs expire, so pages are not read far ahead."""
        check_limit(page_size, MOST_APPENDIXES)
        return all_pages(
            lambda offset, limit: self.list(project, status, external_status, tags, task_name, offset, limit),
            page_size,
            in_flight=1,
        )

    def of_tasks(
        self, project: str, task_name: str | None = None, offset: int | None = None, limit: int | None = MOST_APPENDIXES
    ) -> Jsons:
        """One page of the appendixes of tasks, or of the task of this name; at most 10,000."""
        check_limit(limit, MOST_APPENDIXES)
        return self._list("tasks/appendix", given(project=project, task_name=task_name, offset=offset, limit=limit))

    def iter_of_tasks(
        self, project: str, task_name: str | None = None, *, page_size: int = MOST_PER_PAGE
    ) -> Iterator[Json]:
        """All pages of `of_tasks`."""
        check_limit(page_size, MOST_APPENDIXES)
        return all_pages(lambda offset, limit: self.of_tasks(project, task_name, offset, limit), page_size, in_flight=1)

    def import_file(self, project: str, file_path: str | Path) -> Any:
        """Upload a zip of calibration files, streamed from disk, and start its import.

        Returns:
            What the API answers: the import's history, as far as is known.

        Raises:
            Invalid: (422) for another extension; nothing is sent then.
            FastLabelError: when the upload is refused; nothing is imported then.
        """
        body = {"project": project, "fileKey": upload_zip(self._transport, project, file_path, ANY_ZIP)}
        return self._transport.call("POST", "contents/imports/appendix/batch", body=body)


class Metadatas(Group):
    """`client.metadatas`: the metadata fields that tasks can have."""

    def list(self, project: str | None = None, offset: int | None = None, limit: int | None = MOST_PER_PAGE) -> Jsons:
        """One page of them, of one project or of the workspace."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list("metadatas", given(project=project, offset=offset, limit=limit))

    def iter(self, project: str | None = None) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(project, offset, limit))
