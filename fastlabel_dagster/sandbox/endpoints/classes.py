"""``annotations``: the annotation classes of a project."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid


def _project(call: Call) -> str:
    project = call.text("project")
    call.state.projects.seq(project)
    return str(project)


def _list(call: Call) -> Any:
    return call.state.classes.listed(_project(call), value=call.text("value"), **call.page(10, 1000))


def _create(call: Call) -> Any:
    keys = ("project", "type", "value", "title")
    project, kind, value, title = (call.required(key) for key in keys)
    more = {key: call.body[key] for key in ("color", "order", "attributes", "keypoints") if call.body.get(key)}
    _check_max_area(call)
    return call.state.classes.create(project, kind, value, title, **more)


def _create_classification(call: Call) -> Any:
    return call.state.classes.create(
        call.required("project"),
        "classification",
        "classification",
        "classification",
        attributes=call.required("attributes"),
    )


def _find(call: Call) -> Any:
    return call.state.classes.find(call.path["class_id"])


def _update(call: Call) -> Any:
    _check_max_area(call)
    return call.state.update_class(call.path["class_id"], dict(call.body))


def _update_classification(call: Call) -> Any:
    return call.state.update_class(call.path["class_id"], {"attributes": call.required("attributes")})


def _delete(call: Call) -> Any:
    call.state.classes.delete(call.path["class_id"])


def _check_max_area(call: Call) -> None:
    count = call.body.get("maxAreaCount")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1000):
        raise invalid("maxAreaCount must be between 1 and 1000, or null for unlimited")


ENDPOINTS = (
    Endpoint("GET", "annotations", _list),
    Endpoint("POST", "annotations", _create),
    Endpoint("POST", "annotations/classification", _create_classification),
    Endpoint("PUT", "annotations/classification/{class_id}", _update_classification),
    Endpoint("GET", "annotations/{class_id}", _find),
    Endpoint("PUT", "annotations/{class_id}", _update),
    Endpoint("DELETE", "annotations/{class_id}", _delete),
)
