"""Models in use: asking an endpoint, and reporting what a model answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.file_rules import INFERENCE_IMAGE, one_to_send
from fastlabel_dagster.api.groups.group import Group
from fastlabel_dagster.api.wire import Json, path_to


class ModelEndpoints(Group):
    """`client.model_endpoints`: models that are ready to answer."""

    def execute(self, endpoint_name: str, file_path: str | Path | None = None, *, content: bytes | None = None) -> Json:
        """Have a model look at an image.

        Args:
            endpoint_name: the endpoint's name.
            file_path: a png, jpg or jpeg of at most 6 MB; or give its bytes as `content`.

        Returns:
            What it answers: `json` with the predictions, `file` with a drawn image in base64, by the documentation.

        Raises:
            Invalid: (422) for another extension or a larger file; nothing is sent then.
        """
        path_to("model-endpoints", endpoint_name)  # refuses an empty name, which here travels in the body
        body = {"modelEndpointName": endpoint_name, "file": one_to_send(file_path, content, INFERENCE_IMAGE)}
        return self._object("POST", "model-endpoints/execute", body=body)


class ModelMonitoring(Group):
    """`client.model_monitoring`: reports on models in use."""

    def create_results(self, name: str, results: Sequence[Mapping[str, Any]]) -> Any:
        """Report what a model answered to requests.

        Args:
            name: the monitoring setting's name.
            results: dicts with a `status` of `success` or `failed`, and what the setting asks for.

        Returns:
            What the API answers.
        """
        return self._transport.call("POST", "model-monitorings/create", body={"name": name, "results": [*results]})
