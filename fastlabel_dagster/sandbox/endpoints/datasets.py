"""``datasets-v2`` and ``dataset-revision-objects``."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint

_OBJECT = "dataset-revision-objects/datasets/{dataset_id}/objects/{object_name:path}"


def _list(call: Call) -> Any:
    return call.state.datasets.listed(
        keyword=call.text("keyword"),
        tags=call.texts("tags"),
        license=call.text("license"),
        visibility=call.text("visibility"),
    )


def _create(call: Call) -> Any:
    return call.state.datasets.create(call.body.get("name"), call.body.get("tags"), call.body.get("visibility"))


def _find(call: Call) -> Any:
    return call.state.datasets.find(call.path["dataset_id"])


def _update(call: Call) -> Any:
    return call.state.datasets.update(call.path["dataset_id"], call.body.get("name"), call.body.get("tags"))


def _delete(call: Call) -> Any:
    call.state.datasets.delete(call.path["dataset_id"])


def _page(call: Call) -> Any:
    return call.state.datasets.objects(
        call.text("datasetName"),
        version=call.text("version"),
        revision_id=call.text("revisionId"),
        tags=call.texts("tags"),
        licenses=call.texts("licenses"),
        types=call.texts("types"),
        **call.page(1000, 1000),
    )


def _objects(call: Call) -> Any:
    return [body for body, _, _ in _page(call)]


def _signed_urls(call: Call) -> Any:
    return [{**body, "type": kind, "signedUrl": call.link(key)} for body, kind, key in _page(call)]


def _create_object(call: Call) -> Any:
    call.state.datasets.by_name(call.required("datasetName"))
    return call.state.datasets.add_object(
        call.body["datasetName"], call.required("objectName"), call.file("filePath"), dict(call.body)
    )


def _update_object(call: Call) -> Any:
    return call.state.datasets.update_object(call.required("datasetId"), call.required("objectName"), dict(call.body))


def _find_object(call: Call) -> Any:
    return call.state.datasets.find_object(
        call.path["dataset_id"],
        call.path["object_name"],
        version=call.text("version"),
        revision_id=call.text("revisionId"),
    )


def _delete_object(call: Call) -> Any:
    call.state.datasets.delete_object(call.path["dataset_id"], call.path["object_name"])


ENDPOINTS = (
    Endpoint("GET", "datasets-v2", _list),
    Endpoint("POST", "datasets-v2", _create),
    Endpoint("GET", "datasets-v2/{dataset_id}", _find),
    Endpoint("PUT", "datasets-v2/{dataset_id}", _update),
    Endpoint("DELETE", "datasets-v2/{dataset_id}", _delete),
    Endpoint("GET", "dataset-revision-objects", _objects),
    Endpoint("POST", "dataset-revision-objects", _create_object),
    Endpoint("PUT", "dataset-revision-objects", _update_object),
    Endpoint("GET", "dataset-revision-objects/signed-urls", _signed_urls),
    Endpoint("GET", _OBJECT, _find_object),
    Endpoint("DELETE", _OBJECT, _delete_object),
)
