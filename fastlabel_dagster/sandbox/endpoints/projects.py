"""``projects``: settings of a piece of work."""

from __future__ import annotations

from typing import Any

from fastlabel_dagster.sandbox.call import Call, Endpoint
from fastlabel_dagster.sandbox.errors import invalid


def _list(call: Call) -> Any:
    return call.state.projects.listed(slug=call.text("slug"), **call.page(100, 1000))


def _create(call: Call) -> Any:
    for name in ("type", "name", "slug"):
        if not isinstance(call.required(name), str) or not call.body[name]:
            raise invalid(f"{name} should not be empty")
    return call.state.projects.create(
        call.body["slug"],
        call.body["type"],
        call.body["name"],
        is_pixel=bool(call.body.get("isPixel", False)),
        job_size=call.body.get("jobSize", 10),
        workflow=call.body.get("workflow"),
        external_workflow=call.body.get("externalWorkflow"),
    )


def _copy(call: Call) -> Any:
    return call.state.projects.copy(call.required("id"), call.body.get("name"), call.body.get("slug"))


def _map(call: Call) -> Any:
    return call.state.projects.id_slug_map(**call.page(1000, 1000))


def _find(call: Call) -> Any:
    return call.state.projects.find(call.path["project_id"])


def _update(call: Call) -> Any:
    return call.state.projects.update(call.path["project_id"], dict(call.body))


def _update_metadata(call: Call) -> Any:
    return call.state.projects.update_metadata(call.path["project_id"], dict(call.body))


def _delete(call: Call) -> Any:
    call.state.projects.delete(call.path["project_id"])


ENDPOINTS = (
    Endpoint("GET", "projects", _list),
    Endpoint("POST", "projects", _create),
    Endpoint("POST", "projects/copy", _copy),
    Endpoint("GET", "projects/map/id-slug", _map),
    Endpoint("GET", "projects/{project_id}", _find),
    Endpoint("PUT", "projects/{project_id}", _update),
    Endpoint("PUT", "projects/{project_id}/metadata", _update_metadata),
    Endpoint("DELETE", "projects/{project_id}", _delete),
)
