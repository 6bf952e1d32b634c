"""Projects, their tags, import histories and S3 storage."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastlabel_dagster.api.creation import create_once
from fastlabel_dagster.api.errors import Invalid, NotFound
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages, id_in
from fastlabel_dagster.api.paging import iter_pages
from fastlabel_dagster.api.waiting import wait_until_done
from fastlabel_dagster.api.wire import Fixed, Json, Jsons, check_limit, given, path_to


class Projects(Group):
    """`client.projects`: labeling projects."""

    def list(self, slug: str | None = None, offset: int | None = None, limit: int | None = 100) -> Jsons:
        """One page of the workspace's projects, or the one with this slug; at most 1,000."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list("projects", given(slug=slug, offset=offset, limit=limit))

    def iter(self, *, page_size: int = MOST_PER_PAGE) -> Iterator[Json]:
        """All projects."""
        check_limit(page_size, MOST_PER_PAGE)
        return all_pages(lambda offset, limit: self.list(None, offset, limit), page_size)

    def find(self, project_id: str) -> Json:
        """One project by id.

        Raises:
            NotFound: when there is none of this id.
        """
        return self._object("GET", path_to("projects", project_id))

    def by_slug(self, slug: str) -> Json:
        """One project by its slug, the name in its address.

        Raises:
            NotFound: when this token sees no project of this slug.
        """
        if not slug:
            raise Invalid("an empty slug finds nothing")
        for project in self.list(slug=slug):
            if project.get("slug") == slug:
                return project
        raise NotFound(
            f"no project with the slug {slug!r}",
            method="GET",
            path="projects",
            hint="the slug is the last part of the project's address; the token's user must be a member",
        )

    def create(
        self,
        type: str,
        name: str,
        slug: str,
        is_pixel: bool | None = None,
        job_size: int | None = 10,
        workflow: str | None = "two_step",
        external_workflow: str | None = "two_step",
    ) -> str:
        """Make a project. When the answer is lost, it is looked up by its slug before anything is sent again.

        Args:
            type: e.g. `image_bbox`, `image_polygon`, `image_segmentation`, `image_all`, `image_classification`.
            name: what people read.
            slug: lower-case name in addresses, unique in the workspace.
            job_size: how many tasks an annotator is given at once.
            workflow, external_workflow: `two_step` or `three_step`.

        Returns:
            The new project's id.
        """
        body = given(
            type=type,
            name=name,
            slug=slug,
            is_pixel=is_pixel,
            job_size=job_size,
            workflow=workflow,
            external_workflow=external_workflow,
        )

        return create_once(
            self._transport,
            "projects",
            lambda: self._text("POST", "projects", body),
            lambda: next((found for found in self.list(slug=slug) if found.get("slug") == slug), None),
            id_in,
            fits=lambda found: found.get("type") in (None, type),
        )

    def update(
        self,
        project_id: str,
        *,
        name: str | None = None,
        slug: str | None = None,
        job_size: int | None = None,
        workflow: str | None = None,
        external_workflow: str | None = None,
    ) -> str:
        """Change a project; what is None stays. Returns its id."""
        body = given(name=name, slug=slug, job_size=job_size, workflow=workflow, external_workflow=external_workflow)
        return self._text("PUT", path_to("projects", project_id), body)

    def delete(self, project_id: str) -> None:
        """Delete a project with all its tasks."""
        self._nothing("DELETE", path_to("projects", project_id))

    def copy(self, project_id: str, name: str | None = None, slug: str | None = None) -> str:
        """Copy a project's settings and classes. Returns the copy's id."""
        path_to("projects", project_id)  # refuses an empty id, which here travels in the body
        return self._text("POST", "projects/copy", given(id=project_id, name=name, slug=slug))

    def set_external_codes(self, project_id: str, code_1: str | None, code_2: str | None, code_3: str | None) -> str:
        """Set a project's three external codes; None clears one. Returns the id of the project's metadata."""
        body = {"externalCode1": code_1, "externalCode2": code_2, "externalCode3": code_3}
        return self._text("PUT", path_to("projects", project_id, Fixed("metadata")), body)

    def set_user_role(self, project: str, email: str, role: str) -> Any:
        """Make a user a member of a project, change what they are there, or take them out of it.

        Args:
            project: the project's slug.
            email: the user's address.
            role: `annotator`, `reviewer`, `owner`, `external_annotator`, `external_reviewer`, `external_approver`,
                `external_sub_owner`, `external_owner`; `none` takes the user out.

        Returns:
            The server's word on it, true as a rule.
        """
        return self._transport.call("PUT", "projects-users", body={"project": project, "email": email, "role": role})

    def id_slug_map(self) -> dict[str, str]:
        """The slugs of all projects by id."""

        def fetch(offset: int, limit: int) -> dict[str, str]:
            return self._map("projects/map/id-slug", given(offset=offset, limit=limit))

        pages = iter_pages(fetch, page_size=MOST_PER_PAGE)
        return {project_id: slug for page in pages for project_id, slug in page.items()}


class Tags(Group):
    """`client.tags`: the tags that a project's tasks can have."""

    def list(
        self, project: str, keyword: str | None = None, offset: int | None = None, limit: int | None = MOST_PER_PAGE
    ) -> Jsons:
        """One page of a project's tags, of those with `keyword` in their name when it is given."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list("tags", given(project=project, keyword=keyword, offset=offset, limit=limit))

    def iter(self, project: str, keyword: str | None = None) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(project, keyword, offset, limit))

    def delete(self, tag_ids: Sequence[str]) -> None:
        """Delete tags, and with that take them off all tasks."""
        self._nothing("POST", "tags/delete/multi", body={"tagIds": list(tag_ids)}, harmless=True)


class ImportHistories(Group):
    """`client.import_histories`: imports of files into a project, running and past."""

    def list(self, project: str, offset: int | None = None, limit: int | None = MOST_PER_PAGE) -> Jsons:
        """One page of a project's imports."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list("tasks/import/histories", given(project=project, offset=offset, limit=limit))

    def iter(self, project: str) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(project, offset, limit))

    def find(self, history_id: str) -> Json:
        """One import.

        Raises:
            NotFound: when there is none of this id.
        """
        return self._object("GET", path_to("tasks/import/histories", history_id))

    def wait(
        self,
        history_id: str,
        *,
        poll_seconds: float = 5.0,
        timeout_seconds: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Json:
        """Wait until an import is completed, and return its last state; see `waiting.wait_until_done`.

        Raises:
            RemoteJobFailed: when it failed.
            StillRunning: after `timeout_seconds`.
        """
        return wait_until_done(
            lambda: self.find(history_id),
            what=f"import {history_id}",
            poll_seconds=poll_seconds,
            timeout_seconds=timeout_seconds,
            sleep=sleep,
            clock=clock,
        )


class AwsS3(Group):
    """`client.aws_s3`: a project's S3 storage and the imports from it."""

    def import_status(self, project: str) -> Json:
        """The newest import from the project's bucket, as a history.

        Args:
            project: the project's slug.
        """
        return self._object("GET", path_to("tasks/import/status/aws-s3", project))

    def import_tasks(
        self, project: str, status: str = "registered", tags: Sequence[str] | None = None, priority: int = 0
    ) -> Json:
        """Start an import of what lies in the project's bucket. Returns its history, running as a rule."""
        body = {"project": project, "status": status, "tags": list(tags or ()), "priority": priority}
        return self._object("POST", "tasks/aws-s3", body=body)

    def set_storage(self, project: str, bucket_name: str, bucket_region: str, prefix: str | None = None) -> str:
        """Say which bucket (and which folder in it) the project's files lie in. Returns the server's word on it."""
        body = given(bucket_name=bucket_name, bucket_region=bucket_region, prefix=prefix)
        return self._text("PUT", path_to("storages/aws-s3", project), body)
