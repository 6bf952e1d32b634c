"""The SDK's names for what lies beside tasks: appendixes, metadata fields, model endpoints and monitoring."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.file_rules import ANY_ZIP, INFERENCE_IMAGE, file_to_send
from fastlabel_dagster.api.groups.appendix import MOST_APPENDIXES
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.upload import upload_zip
from fastlabel_dagster.api.wire import truthy


class ExtraNames(SdkFace):
    """Appendixes, metadata fields, models in use."""

    def get_appendix_data(
        self,
        project: str,
        status: str | None = None,
        external_status: str | None = None,
        tags: Sequence[str] | None = None,
        task_name: str | None = None,
        offset: int | None = None,
        limit: int | None = 10000,
    ) -> Any:
        """One page of the appendixes of a project's contents, at most 10,000. All pages: `client.appendix.iter`."""
        query = {"project": project} | truthy(
            status=status, external_status=external_status, tags=tags, task_name=task_name, offset=offset, limit=limit
        )
        return self._get_page("contents/export/appendix", query, limit=limit, maximum=MOST_APPENDIXES)

    def get_task_appendix_data(
        self, project: str, task_name: str | None = None, offset: int | None = None, limit: int | None = 10000
    ) -> Any:
        """One page of the appendixes of a project's tasks, at most 10,000. All: `client.appendix.iter_of_tasks`."""
        query = {"project": project} | truthy(task_name=task_name, offset=offset, limit=limit)
        return self._get_page("tasks/appendix", query, limit=limit, maximum=MOST_APPENDIXES)

    def import_appendix_file(self, project: str, file_path: str | Path) -> Any:
        """Upload a zip of calibration files, streamed from disk, and return what the API says of its import."""
        key = upload_zip(self._transport, project, file_path, ANY_ZIP)
        return self._post("contents/imports/appendix/batch", {"project": project, "fileKey": key})

    def get_metadatas(self, project: str | None = None, offset: int | None = None, limit: int | None = 100) -> Any:
        """One page of the metadata fields of a project or of the workspace, at most 1,000."""
        query = {"project": project} | truthy(offset=offset, limit=limit)
        return self._get_page("metadatas", query, limit=limit)

    def execute_endpoint(self, endpoint_name: str, file_path: str | Path) -> Any:
        """Have a model look at an image (png, jpg or jpeg, at most 6 MB) and return what it answers."""
        file = file_to_send(file_path, INFERENCE_IMAGE)
        return self._post("model-endpoints/execute", {"modelEndpointName": endpoint_name, "file": file})

    def create_model_monitoring_request_results(
        self, name: str, results: Sequence[Mapping[str, Any]] | None = ()
    ) -> Any:
        """Report what a model answered to requests."""
        return self._post("model-monitorings/create", {"name": name, "results": results})
