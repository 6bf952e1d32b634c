"""The SDK's names for projects, import histories and S3 storage."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastlabel_dagster.api.sdk_names.face import SdkFace, first_of, named
from fastlabel_dagster.api.wire import Fixed, path_to, truthy


class ProjectNames(SdkFace):
    """Projects, and what is imported into them."""

    def find_project(self, project_id: str) -> Any:
        """One project by id."""
        return self._get(path_to("projects", project_id))

    def find_project_by_slug(self, slug: str) -> Any:
        """The first project that the API lists under this slug, or None. An empty slug is refused."""
        return first_of(self.get_projects(slug=named(slug, "slug")))

    def get_projects(self, slug: str | None = None, offset: int | None = None, limit: int | None = 100) -> Any:
        """One page of the workspace's projects, at most 1,000. All pages: `client.projects.iter`."""
        return self._get_page("projects", truthy(slug=slug, offset=offset, limit=limit), limit=limit)

    def get_project_id_slug_map(self, offset: int | None = None, limit: int | None = 1000) -> Any:
        """One page of the projects' slugs by id."""
        return self._get_page("projects/map/id-slug", truthy(offset=offset, limit=limit), limit=limit)

    def create_project(
        self,
        type: str,
        name: str,
        slug: str,
        is_pixel: bool = False,
        job_size: int | None = 10,
        workflow: str | None = "two_step",
        external_workflow: str | None = "two_step",
    ) -> Any:
        """Make a project and return its id."""
        body = {"type": type, "name": name, "slug": slug, "workflow": workflow, "externalWorkflow": external_workflow}
        return self._post("projects", body | truthy(is_pixel=is_pixel, job_size=job_size))

    def update_project(
        self,
        project_id: str,
        name: str | None = None,
        slug: str | None = None,
        job_size: int | None = None,
        workflow: str | None = None,
        external_workflow: str | None = None,
    ) -> Any:
        """Change a project and return its id."""
        body = truthy(name=name, slug=slug, job_size=job_size, workflow=workflow, external_workflow=external_workflow)
        return self._put(path_to("projects", project_id), body)

    def update_project_metadata(
        self,
        project_id: str,
        external_code_1: str | None,
        external_code_2: str | None,
        external_code_3: str | None,
    ) -> Any:
        """Set a project's three external codes; None clears one."""
        body = {
            "externalCode1": external_code_1,
            "externalCode2": external_code_2,
            "externalCode3": external_code_3,
        }
        return self._put(path_to("projects", project_id, Fixed("metadata")), body)

    def delete_project(self, project_id: str) -> None:
        """Delete a project with all its tasks."""
        self._delete(path_to("projects", project_id))

    def copy_project(self, project_id: str, project_name: str | None = None, project_slug: str | None = None) -> Any:
        """Copy a project's settings and return the copy's id."""
        path_to("projects", project_id)  # refuses an empty id, which here travels in the body
        return self._post("projects/copy", {"id": project_id} | truthy(name=project_name, slug=project_slug))

    def find_history(self, history_id: str) -> Any:
        """One import by id."""
        return self._get(path_to("tasks/import/histories", history_id))

    def get_histories(self, project: str, offset: int | None = None, limit: int | None = 100) -> Any:
        """One page of a project's imports, at most 1,000."""
        query = {"project": project} | truthy(offset=offset, limit=limit)
        return self._get_page("tasks/import/histories", query, limit=limit)

    def get_aws_s3_import_status_by_project(self, project: str) -> Any:
        """The newest import from a project's S3 bucket."""
        return self._get(path_to("tasks/import/status/aws-s3", project))

    def create_task_from_aws_s3(
        self,
        project: str,
        status: str | None = "registered",
        tags: Sequence[str] | None = (),
        priority: int | None = 0,
    ) -> Any:
        """Import what lies in a project's S3 bucket and return the import's history."""
        return self._post("tasks/aws-s3", {"project": project, "status": status, "tags": tags, "priority": priority})

    def update_aws_s3_storage(
        self, project: str, bucket_name: str, bucket_region: str, prefix: str | None = None
    ) -> Any:
        """Say which S3 bucket, and which folder in it, a project's files lie in."""
        body = {"bucketName": bucket_name, "bucketRegion": bucket_region} | truthy(prefix=prefix)
        return self._put(path_to("storages/aws-s3", project), body)
